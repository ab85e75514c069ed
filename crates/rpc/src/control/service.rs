//! Carriers of the control link: gRPC, and the plain one of a simulation.

use super::{ControlHandler, ControlLink, MESSAGE_BYTES_MAX, TO_MASTER_MESSAGES_MAX, TO_SERVER_MESSAGES_MAX};
use crate::generated::control_server::Control;
use crate::port::Peer;
use codec::control::{ToMaster, ToServer};
use codec::{Malformed, proto};
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};

/// The gRPC service.
pub(crate) struct ControlService {
    /// Takes each new link.
    pub(crate) handler: ControlHandler,
}

#[tonic::async_trait]
impl Control for ControlService {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<proto::ToServer, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<proto::ToMaster>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let peer = request.extensions().get::<Peer>().map_or_else(String::new, |p| p.0.clone());
        let (to_server, outgoing) = mpsc::channel::<ToServer>(TO_SERVER_MESSAGES_MAX);
        let (incoming, from_server) = mpsc::channel(TO_MASTER_MESSAGES_MAX);
        tokio::spawn(forward::<_, ToMaster>(request.into_inner(), incoming, peer.clone()));
        (self.handler)(ControlLink { tx: to_server, rx: from_server, peer });
        let answers = ReceiverStream::new(outgoing).map(|m| Ok(proto::ToServer::from(&m)));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Moves messages from a gRPC stream to a queue until either ends.
pub(crate) async fn forward<P, T>(mut from: Streaming<P>, to: mpsc::Sender<T>, peer: String)
where
    T: TryFrom<P, Error = Malformed>,
{
    loop {
        let received = tokio::select! {
            biased;
            () = to.closed() => return,
            received = from.message() => received,
        };
        let message = match received {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(status) => {
                debug!(peer, reason = status.message(), "control link broke");
                return;
            }
        };
        match T::try_from(message) {
            Ok(message) => {
                if to.send(message).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(peer, %error, "control link closed: malformed message");
                return;
            }
        }
    }
}

/// The control link on a simulated stream.
pub(crate) mod plain {
    use super::{
        ControlHandler, ControlLink, MESSAGE_BYTES_MAX, TO_MASTER_MESSAGES_MAX, TO_SERVER_MESSAGES_MAX,
        debug, mpsc,
    };
    use crate::carrier;
    use crate::control::ServerEnd;
    use env::SimulatedStream;
    use std::io;
    use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

    /// The chunkserver's end.
    pub(crate) async fn attach(mut stream: Box<dyn SimulatedStream>, address: &str) -> io::Result<ServerEnd> {
        stream.write_all(&carrier::MAGIC).await?;
        stream.write_all(&[carrier::CONTROL]).await?;
        stream.flush().await?;
        let (to_master, outgoing) = mpsc::channel(TO_MASTER_MESSAGES_MAX);
        let (incoming, from_master) = mpsc::channel(TO_SERVER_MESSAGES_MAX);
        let peer = address.to_owned();
        let link = ControlLink { tx: to_master, rx: from_master, peer: peer.clone() };
        tokio::spawn(async move {
            if let Err(error) = carrier::pump(stream, outgoing, incoming, MESSAGE_BYTES_MAX).await {
                debug!(peer, %error, "control link broke");
            }
        });
        Ok(link)
    }

    /// The master's end; returns when the link ends.
    pub(crate) async fn serve(
        stream: impl AsyncRead + AsyncWrite + Send,
        handler: &ControlHandler,
        peer: String,
    ) -> io::Result<()> {
        let (to_server, outgoing) = mpsc::channel(TO_SERVER_MESSAGES_MAX);
        let (incoming, from_server) = mpsc::channel(TO_MASTER_MESSAGES_MAX);
        handler(ControlLink { tx: to_server, rx: from_server, peer });
        carrier::pump(stream, outgoing, incoming, MESSAGE_BYTES_MAX).await
    }
}
