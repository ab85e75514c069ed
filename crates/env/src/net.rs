//! Byte streams between processes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// A future in a box: the traits here are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How long a connect waits for an answer.
pub(crate) const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

/// A connected byte stream. An enum and not an object, so that the real one costs nothing per byte.
pub enum Stream {
    /// A real socket with `TCP_NODELAY` set.
    Tcp(tokio::net::TcpStream),
    /// A simulated one.
    Simulated(Box<dyn SimulatedStream>),
}

impl Stream {
    /// Has a socket served by the runtime that calls this, whichever accepted it.
    pub fn move_here(self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => Ok(Self::Tcp(tokio::net::TcpStream::from_std(socket.into_std()?)?)),
            simulated @ Self::Simulated(_) => Ok(simulated),
        }
    }
}

/// What a simulated stream must be.
pub trait SimulatedStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> SimulatedStream for T {}

/// Accepts streams.
pub trait Listener: Send + Sync {
    /// The next stream and the address of its other end.
    fn accept(&self) -> BoxFuture<'_, io::Result<(Stream, String)>>;
    /// The address that it listens on, with the port that was taken.
    fn address(&self) -> String;
}

/// Makes streams. Addresses are `host:port`.
pub trait Net: Send + Sync {
    /// Connects.
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Stream>>;
    /// Listens; port 0 takes a free one.
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;
}
