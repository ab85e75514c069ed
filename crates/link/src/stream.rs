//! The two halves of a stream, real or simulated.

use env::{SimulatedStream, Stream};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

type Simulated = Box<dyn SimulatedStream>;

/// Splits without a lock where the system allows it.
pub(crate) fn split(stream: Stream) -> (Reading, Writing) {
    match stream {
        Stream::Tcp(stream) => {
            let (read, write) = stream.into_split();
            (Reading::Tcp(read), Writing::Tcp(Arc::new(write)))
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
    Tcp(Arc<OwnedWriteHalf>),
    Simulated(WriteHalf<Simulated>),
}

impl Writing {
    /// A way to send for those who must not wait, on any thread. A simulated stream has none.
    pub(crate) fn direct(&self) -> Option<Direct> {
        match self {
            Self::Tcp(half) => Some(Direct(Arc::downgrade(half))),
            Self::Simulated(_) => None,
        }
    }
}

/// See [`Writing::direct`]. It does not keep the connection.
pub(crate) struct Direct(Weak<OwnedWriteHalf>);

impl Direct {
    /// Sends as much as there is room for.
    pub(crate) fn try_send(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.upgrade().ok_or(io::ErrorKind::NotConnected)?.try_write_vectored(bytes)
    }
}

/// Sends through a half that is shared.
fn poll_send(half: &OwnedWriteHalf, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    loop {
        ready!(half.as_ref().poll_write_ready(cx))?;
        match half.try_write_vectored(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
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
            Self::Tcp(half) => poll_send(half, cx, &[IoSlice::new(buf)]),
            Self::Simulated(half) => Pin::new(half).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => poll_send(half, cx, bufs),
            Self::Simulated(half) => Pin::new(half).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // A socket keeps nothing back.
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Simulated(half) => Pin::new(half).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // The last holder of a half that is shared shuts it down by letting go.
            Self::Tcp(half) => match Arc::get_mut(half) {
                Some(half) => Pin::new(half).poll_shutdown(cx),
                None => Poll::Ready(Ok(())),
            },
            Self::Simulated(half) => Pin::new(half).poll_shutdown(cx),
        }
    }
}
