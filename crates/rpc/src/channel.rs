//! A gRPC channel over a connection of [`env::Net`].

use env::{Net, Stream};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint};

/// A ping after so long without traffic finds a peer that went without a word.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer to the ping may take.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a channel that starts on `stream` and connects anew through `net` when it breaks.
pub(crate) async fn over(
    stream: TcpStream,
    net: Arc<dyn Net>,
    address: &str,
    timeout: Duration,
) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(timeout)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let first = Arc::new(Mutex::new(Some(stream)));
    let address: Arc<str> = address.into();
    let connector = tower::service_fn(move |_| {
        let (first, net, address) = (first.clone(), net.clone(), address.clone());
        async move {
            if let Some(stream) = first.lock().await.take() {
                return Ok(TokioIo::new(stream));
            }
            match net.connect(&address).await? {
                Stream::Tcp(stream) => Ok(TokioIo::new(stream)),
                Stream::Simulated(_) => Err(io::Error::other("gRPC needs a real socket")),
            }
        }
    });
    endpoint.connect_with_connector(connector).await
}

/// An error and its causes in one line, innermost last.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}
