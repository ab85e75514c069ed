//! Looking at the first four bytes of a connection without taking them from whoever serves it.

use env::{SimulatedStream, Stream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// How often a socket that has sent one to three bytes is looked at again: readiness cannot tell.
const PEEK_PAUSE: Duration = Duration::from_millis(10);

/// The first four bytes. A socket keeps them (they are peeked at), a simulated stream does not.
pub(super) async fn bytes(stream: &mut Stream) -> io::Result<[u8; 4]> {
    let mut first = [0; 4];
    match stream {
        Stream::Tcp(socket) => loop {
            match socket.peek(&mut first).await? {
                4 => return Ok(first),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => tokio::time::sleep(PEEK_PAUSE).await,
            }
        },
        Stream::Simulated(stream) => {
            stream.read_exact(&mut first).await?;
            Ok(first)
        }
    }
}

/// The stream with its first bytes still to be read.
pub(super) fn put_back(stream: Stream, first: [u8; 4]) -> Stream {
    match stream {
        Stream::Tcp(socket) => Stream::Tcp(socket),
        Stream::Simulated(rest) => Stream::Simulated(Box::new(Prefixed { first, taken: 0, rest })),
    }
}

struct Prefixed {
    first: [u8; 4],
    taken: usize,
    rest: Box<dyn SimulatedStream>,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.first[self.taken..];
        if left.is_empty() {
            return Pin::new(&mut self.rest).poll_read(cx, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        self.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(cx)
    }
}
