//! The control plane: one link between a chunkserver and a master, in typed messages.
//!
//! A chunkserver calls [`connect`] for each master it knows; the master is handed the other end by
//! [`crate::port::serve`]. A link that breaks is not mended: `rx` ends, and the chunkserver connects again.
//!
//! # Invariants
//! 1. Messages of one link arrive in the order in which they were sent, each once, or the link ends.
//! 2. When one end is dropped the other one's `rx` ends after what was sent before.

mod service;

pub(crate) use service::{ControlService, plain};

use crate::channel;
use crate::generated::control_client::ControlClient;
use codec::control::{ToMaster, ToServer};
use codec::proto;
use env::{Env, Stream};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Messages waiting for the master: few, since a report is large.
pub const TO_MASTER_MESSAGES_MAX: usize = 64;
/// Messages waiting for a chunkserver: small ones, in bursts when many chunks are raised.
pub const TO_SERVER_MESSAGES_MAX: usize = 1_024;
/// Largest message: a full report of 10,000 replicas needs 200 KiB.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// How long a master may take to accept a link.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One end of a link.
#[derive(Debug)]
pub struct ControlLink<Out, In> {
    /// To the other end; full means it is slow, closed means the link is gone.
    pub tx: mpsc::Sender<Out>,
    /// From the other end; `None` means the link is gone.
    pub rx: mpsc::Receiver<In>,
    /// The address of the other end, for logs.
    pub peer: String,
}

/// The chunkserver's end.
pub type ServerEnd = ControlLink<ToMaster, ToServer>;
/// The master's end.
pub type MasterEnd = ControlLink<ToServer, ToMaster>;
/// Takes the master's end of each new link; must not block.
pub type ControlHandler = Arc<dyn Fn(MasterEnd) + Send + Sync>;

/// Two ends joined in memory.
pub fn pair() -> (ServerEnd, MasterEnd) {
    let (to_master, from_server) = mpsc::channel(TO_MASTER_MESSAGES_MAX);
    let (to_server, from_master) = mpsc::channel(TO_SERVER_MESSAGES_MAX);
    (
        ControlLink { tx: to_master, rx: from_master, peer: "memory".into() },
        ControlLink { tx: to_server, rx: from_server, peer: "memory".into() },
    )
}

/// Attaches to the master at `address`: by gRPC on a real socket, by the plain carrier on a simulated one.
pub async fn connect(env: &Env, address: &str) -> io::Result<ServerEnd> {
    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{address} did not answer in time"));
    tokio::time::timeout(CONNECT_TIMEOUT, attach(env, address)).await.map_err(timed_out)?
}

async fn attach(env: &Env, address: &str) -> io::Result<ServerEnd> {
    match env.net.connect(address).await? {
        Stream::Simulated(stream) => plain::attach(stream, address).await,
        Stream::Tcp(stream) => {
            let channel = channel::over(stream, env.net.clone(), address, CONNECT_TIMEOUT)
                .await
                .map_err(|e| io::Error::other(channel::chain(&e)))?;
            let mut client = ControlClient::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX);
            let (to_master, outgoing) = mpsc::channel::<ToMaster>(TO_MASTER_MESSAGES_MAX);
            let (incoming, from_master) = mpsc::channel(TO_SERVER_MESSAGES_MAX);
            let outgoing = ReceiverStream::new(outgoing).map(|m| proto::ToMaster::from(&m));
            let answers = client
                .attach(outgoing)
                .await
                .map_err(|e| io::Error::other(format!("the master refused: {}", e.message())))?
                .into_inner();
            let peer = address.to_owned();
            tokio::spawn(service::forward::<_, ToServer>(answers, incoming, peer.clone()));
            Ok(ControlLink { tx: to_master, rx: from_master, peer })
        }
    }
}

#[cfg(test)]
mod tests;
