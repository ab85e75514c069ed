//! A role's one TCP port: the first four bytes of a connection say what it wants.
//!
//! | bytes | what | where it goes |
//! | --- | --- | --- |
//! | `MSKX` | our frames | [`Services::frames`] |
//! | `PRI ` | gRPC | [`Services::control`], [`Services::admin`] |
//! | `MXP1` | the plain carrier, simulated streams only | the same |
//! | `GET ` | a person with a browser | a short text, then closed |
//! | else | | closed |
//!
//! The port is accepted and sorted on the runtime that polls [`serve`]; frames may belong to another one
//! ([`Frames`]), so that neither keeps the other's callers waiting.
//!
//! # Invariants
//! 1. There are never more connections than [`PortOptions::connections_max`], and never more of one
//!    peer's host than [`PortOptions::per_peer_max`].
//! 2. A connection that does not say what it wants in time is closed.
//! 3. Dropping the future of [`serve`] ends every connection of the port.

mod first;
mod grpc;
mod http;
mod seats;

pub(crate) use grpc::Peer;

use crate::admin::AdminApi;
use crate::control::ControlHandler;
use crate::{admin, carrier, control};
use env::{BoxFuture, Listener, Stream, Task};
use seats::{Seat, Seats};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// Takes a connection that speaks frames, with the peer's address. The connection is counted until the
/// future ends; nothing of the stream has been consumed.
pub type FrameHandler = Arc<dyn Fn(Stream, String) -> BoxFuture<'static, ()> + Send + Sync>;

/// Errors of accept(2) in a row after which the listener counts as lost.
const ACCEPT_ERRORS_MAX: u32 = 100;
/// Pause after an error of accept(2).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// At most one warning about turned-away connections in this time.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Who serves frames, and where.
#[derive(Clone)]
pub struct Frames {
    /// Who.
    pub handler: FrameHandler,
    /// The runtime on which the handler and the socket live.
    pub runtime: Handle,
}

/// What a port serves; what is `None` is refused.
#[derive(Clone, Default)]
pub struct Services {
    /// Frames.
    pub frames: Option<Frames>,
    /// Chunkservers' control links.
    pub control: Option<ControlHandler>,
    /// Operators.
    pub admin: Option<Arc<dyn AdminApi>>,
}

/// Limits of a port.
#[derive(Clone, Copy, Debug)]
pub struct PortOptions {
    /// Connections at one time: each costs a descriptor and some buffers.
    pub connections_max: usize,
    /// Connections of one peer's host at one time; a host runs several mounts and chunkservers.
    pub per_peer_max: usize,
    /// Time to send the first four bytes.
    pub first_bytes_timeout: Duration,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self { connections_max: 4_096, per_peer_max: 1_024, first_bytes_timeout: Duration::from_secs(10) }
    }
}

/// What a port has seen since it was opened.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PortCounters {
    pub accepted: AtomicU64,
    pub frames: AtomicU64,
    pub grpc: AtomicU64,
    pub http: AtomicU64,
    /// Closed because the port was full.
    pub refused_full: AtomicU64,
    /// Closed because the peer's host had too many.
    pub refused_peer: AtomicU64,
    /// Closed because they said nothing in time, or broke before.
    pub silent: AtomicU64,
    /// Closed because nobody here speaks that.
    pub unknown: AtomicU64,
}

/// Serves a port until the listener is lost; dropping the future ends all.
pub async fn serve(
    listener: Box<dyn Listener>,
    services: Services,
    options: PortOptions,
    counters: Arc<PortCounters>,
) -> io::Result<()> {
    let (grpc, incoming) = mpsc::channel(16);
    let server = grpc::serve(services.clone(), incoming);
    let mut server = std::pin::pin!(server);
    let seats = Seats::new(options.connections_max, options.per_peer_max);
    let shared = Arc::new(Shared { services, options, counters, grpc });
    let mut connections = JoinSet::new();
    let mut errors = 0;
    let mut warnings = Warnings::default();
    loop {
        let accepted = tokio::select! {
            biased;
            Some(_) = connections.join_next() => continue,
            ended = &mut server => return ended,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                errors += 1;
                if errors >= ACCEPT_ERRORS_MAX && !passes(&error) {
                    return Err(error);
                }
                warnings.warn("cannot accept a connection", &error.to_string());
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        errors = 0;
        shared.counters.accepted.fetch_add(1, Relaxed);
        match seats.take(&peer) {
            Ok(seat) => {
                connections.spawn(connection(shared.clone(), stream, peer, seat));
            }
            Err(full) => {
                let counter = match full {
                    seats::Full::Port => &shared.counters.refused_full,
                    seats::Full::Peer => &shared.counters.refused_peer,
                };
                counter.fetch_add(1, Relaxed);
                warnings.warn("connection turned away: too many", &peer);
            }
        }
    }
}

/// Whether it ends when others in the process or the host give something back: ENOMEM, ENFILE, EMFILE, ENOBUFS.
fn passes(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

struct Shared {
    services: Services,
    options: PortOptions,
    counters: Arc<PortCounters>,
    grpc: mpsc::Sender<io::Result<grpc::GrpcStream>>,
}

async fn connection(shared: Arc<Shared>, mut stream: Stream, peer: String, _seat: Seat) {
    let counters = &shared.counters;
    let asked = tokio::time::timeout(shared.options.first_bytes_timeout, first::bytes(&mut stream)).await;
    let Ok(Ok(first)) = asked else {
        counters.silent.fetch_add(1, Relaxed);
        debug!(peer, "connection closed: it did not say what it wants");
        return;
    };
    let services = &shared.services;
    match (&first, &services.frames) {
        (b"MSKX", Some(frames)) => {
            counters.frames.fetch_add(1, Relaxed);
            serve_frames(frames, first::put_back(stream, first), peer).await;
        }
        (b"PRI ", _) if services.control.is_some() || services.admin.is_some() => {
            counters.grpc.fetch_add(1, Relaxed);
            grpc::hand_over(&shared.grpc, first::put_back(stream, first), peer).await;
        }
        (b"GET ", _) => {
            counters.http.fetch_add(1, Relaxed);
            http::answer(stream).await;
        }
        (&carrier::MAGIC, _) => match stream {
            Stream::Simulated(stream) => {
                counters.grpc.fetch_add(1, Relaxed);
                if let Err(error) = plain(services, stream, &peer).await {
                    debug!(peer, %error, "plain carrier broke");
                }
            }
            Stream::Tcp(_) => unknown(counters, &peer),
        },
        _ => unknown(counters, &peer),
    }
}

/// Has frames served on their runtime, until the connection ends or this future is dropped.
async fn serve_frames(frames: &Frames, stream: Stream, peer: String) {
    let handler = Arc::clone(&frames.handler);
    let served = Task::spawn(&frames.runtime, async move {
        match stream.move_here() {
            Ok(stream) => handler(stream, peer).await,
            Err(error) => warn!(peer, %error, "a connection could not be handed to those who serve frames"),
        }
    });
    // A handler that panicked has told so.
    let _ = served.await;
}

fn unknown(counters: &PortCounters, peer: &str) {
    let connections = counters.unknown.fetch_add(1, Relaxed) + 1;
    // The first, second, fourth, eighth ...: whoever sends a million of them gets twenty lines.
    if connections.is_power_of_two() {
        warn!(peer, connections, "connection closed: what it sent first is no protocol of this port");
    }
}

async fn plain(services: &Services, mut stream: Box<dyn env::SimulatedStream>, peer: &str) -> io::Result<()> {
    match (stream.read_u8().await?, &services.control, &services.admin) {
        (carrier::CONTROL, Some(handler), _) => control::plain::serve(stream, handler, peer.into()).await,
        (carrier::ADMIN, _, Some(api)) => admin::plain::serve(stream, &**api).await,
        _ => Ok(()),
    }
}

/// One warning per interval, with the number of those left out.
#[derive(Default)]
struct Warnings {
    last: Option<tokio::time::Instant>,
    left_out: u64,
}

impl Warnings {
    fn warn(&mut self, what: &'static str, detail: &str) {
        let now = tokio::time::Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < WARNING_INTERVAL) {
            self.left_out += 1;
            return;
        }
        warn!(detail, left_out = self.left_out, "{what}");
        self.last = Some(now);
        self.left_out = 0;
    }
}

#[cfg(test)]
mod tests;
