//! The two halves of a stream, real or simulated.

use env::{SimulatedStream, Stream};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

type Simulated = Box<dyn SimulatedStream>;

/// Splits without a lock where the system allows it.
pub(crate) fn split(stream: Stream) -> (Reading, Writing) {
    match stream {
        Stream::Tcp(stream) => {
            let (read, write) = stream.into_split();
            (Reading::Tcp(read), Writing::Tcp(write))
        }
        Stream::Simulated(stream) => {
            let (read, write) = tokio::io::split(stream);
            (Reading::Simulated(read), Writing::Simulated(write))
        }
    }
}

pub(crate) enum Reading {
    Tcp(OwnedReadHalf),
    Simulated(ReadHalf<Simulated>),
}

pub(crate) enum Writing {
    Tcp(OwnedWriteHalf),
    Simulated(WriteHalf<Simulated>),
}

impl AsyncRead for Reading {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            Self::Simulated(half) => Pin::new(half).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Writing {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_write(cx, buf),
            Self::Simulated(half) => Pin::new(half).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_write_vectored(cx, bufs),
            Self::Simulated(half) => Pin::new(half).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_flush(cx),
            Self::Simulated(half) => Pin::new(half).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            Self::Simulated(half) => Pin::new(half).poll_shutdown(cx),
        }
    }
}
