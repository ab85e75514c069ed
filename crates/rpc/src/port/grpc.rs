//! gRPC on connections that the port has accepted.
//!
//! Each connection is copied through a pipe in memory, by a task of the port: when that task goes, tonic
//! sees the end of the stream, so no connection outlives the port. The control plane is not busy enough
//! for the copy to matter.

use super::Services;
use crate::admin::{ANSWER_BYTES_MAX, AdminService, QUESTION_BYTES_MAX};
use crate::channel::{KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT};
use crate::control::{ControlService, MESSAGE_BYTES_MAX};
use crate::generated::admin_server::AdminServer;
use crate::generated::control_server::ControlServer;
use env::Stream;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::transport::server::Connected;

/// Bytes in the pipe of one connection.
const PIPE_BYTES: usize = 64 << 10;
/// Calls at one time on one connection: a control link, or some questions.
const CALLS_MAX: u32 = 64;
/// Bytes of the headers of one call.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// The address of the other end, as an extension of each call.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) String);

/// What tonic takes for a connection.
pub(super) struct GrpcStream {
    pipe: DuplexStream,
    peer: String,
}

/// Serves the connections that come through `incoming`, until there can be no more.
pub(super) async fn serve(
    services: Services,
    incoming: mpsc::Receiver<io::Result<GrpcStream>>,
) -> io::Result<()> {
    let calls = Calls {
        control: services.control.map(|handler| {
            ControlServer::new(ControlService { handler })
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
        }),
        admin: services.admin.map(|api| {
            AdminServer::new(AdminService { api })
                .max_decoding_message_size(QUESTION_BYTES_MAX)
                .max_encoding_message_size(ANSWER_BYTES_MAX)
        }),
    };
    tonic::transport::Server::builder()
        .max_concurrent_streams(CALLS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .serve_with_incoming(calls, ReceiverStream::new(incoming))
        .await
        .map_err(io::Error::other)
}

/// Gives a connection to [`serve`] and carries its bytes until either side ends.
pub(super) async fn hand_over(to: &mpsc::Sender<io::Result<GrpcStream>>, stream: Stream, peer: String) {
    let (mut near, pipe) = tokio::io::duplex(PIPE_BYTES);
    if to.send(Ok(GrpcStream { pipe, peer })).await.is_err() {
        return;
    }
    // An end of the connection is an ordinary event here; tonic tells the calls.
    let _ = match stream {
        Stream::Tcp(mut stream) => tokio::io::copy_bidirectional(&mut stream, &mut near).await,
        Stream::Simulated(mut stream) => tokio::io::copy_bidirectional(&mut stream, &mut near).await,
    };
}

/// Finds the service of a call by its path.
#[derive(Clone)]
struct Calls {
    control: Option<ControlServer<ControlService>>,
    admin: Option<AdminServer<AdminService>>,
}

impl Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = request.uri().path().trim_start_matches('/').split('/').next();
        match (service, &mut self.control, &mut self.admin) {
            (Some("muskox.v1.Control"), Some(control), _) => control.call(request),
            (Some("muskox.v1.Admin"), _, Some(admin)) => admin.call(request),
            _ => Box::pin(async {
                Ok(tonic::Status::unimplemented("this port does not offer that service").into_http())
            }),
        }
    }
}

impl Connected for GrpcStream {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        Peer(self.peer.clone())
    }
}

impl AsyncRead for GrpcStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buffer)
    }
}

impl AsyncWrite for GrpcStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}
