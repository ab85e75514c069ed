//! TCP.

use crate::net::{BoxFuture, CONNECT_TIMEOUT};
use crate::{Listener, Net, Stream};
use std::io;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Pause after accept(2) ran out of descriptors or memory, so that its caller's loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The system's sockets.
pub(super) struct RealNet;

impl Net for RealNet {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await.map_err(
                |_| {
                    io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("{address} did not answer within {} s", CONNECT_TIMEOUT.as_secs()),
                    )
                },
            )??;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            // tokio sets SO_REUSEADDR, so a restarted server gets its port back at once.
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?.to_string();
            Ok(Box::new(RealListener { listener, address }) as Box<dyn Listener>)
        })
    }
}

struct RealListener {
    listener: TcpListener,
    address: String,
}

impl Listener for RealListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Stream, String)>> {
        Box::pin(async move {
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => {
                        // Fails only if the other end is gone already; the reader will see that.
                        let _ = stream.set_nodelay(true);
                        return Ok((Stream::Tcp(stream), peer.to_string()));
                    }
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        return Err(error);
                    }
                }
            }
        })
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

/// Errors of accept(2) that tell of a connection that died in the queue, not of the listener.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn socket(stream: Stream) -> TcpStream {
        match stream {
            Stream::Tcp(stream) => stream,
            Stream::Simulated(_) => panic!("a simulated stream from the real network"),
        }
    }

    #[tokio::test]
    async fn sockets_connect_without_delay_and_a_port_can_be_taken_again_at_once() {
        let listener = RealNet.listen("127.0.0.1:0").await.unwrap();
        let address = listener.address();
        let (near, far) = tokio::join!(RealNet.connect(&address), listener.accept());
        let (mut near, (far, peer)) = (socket(near.unwrap()), far.unwrap());
        let mut far = socket(far);
        assert!(near.nodelay().unwrap() && far.nodelay().unwrap());
        assert_eq!(peer, near.local_addr().unwrap().to_string());
        near.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 5];
        far.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"hello");
        // The listener's side closes first and keeps the port in TIME_WAIT.
        drop((far, listener));
        assert_eq!(near.read(&mut buffer).await.unwrap(), 0);
        drop(near);
        RealNet.listen(&address).await.map(drop).unwrap();
        let refused = RealNet.connect(&address).await.map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
