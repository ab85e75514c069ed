//! The accepting side of a connection.

use crate::counters::Counters;
use crate::error::Lost;
use crate::queue::{InFlight, SendQueue};
use crate::read::{FrameReader, Limits};
use crate::stream::{Reading, Writing, split};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use types::Status;
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Hello, HelloAnswer, Message};
use wire::{Frame, Kind, frame};

/// Unit of the budget of bytes in flight.
const BUDGET_UNIT_BYTES: usize = 1 << 10;
/// How long a refusal may take to reach the other end before the connection is closed.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// A connection as it was accepted.
pub struct Incoming {
    /// The stream.
    pub stream: env::Stream,
    /// What was read from it already, to tell protocols apart.
    pub first: Bytes,
    /// The other end, for logs.
    pub peer: String,
}

/// How connections are served.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Longest wait for HELLO.
    pub hello_timeout: Duration,
    /// A connection on which nothing comes for so long is closed. Links send a PING every 15 s.
    pub idle_timeout: Duration,
    /// Requests whose answer was not sent; no further frame is read from the connection at the limit.
    pub requests_in_flight_max: usize,
    /// Bytes of requests whose answer was not sent; no further frame is read from the connection at the limit.
    pub in_flight_bytes_max: usize,
    /// Bytes of answers that wait to be sent. At the limit no further frame is read, and makers of large answers wait
    /// ([`Replier::has_room`]); so there may be one more for each thread that makes one, and the small ones of requests in
    /// flight.
    pub unsent_bytes_max: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            requests_in_flight_max: 1_024,
            in_flight_bytes_max: 64 << 20,
            unsent_bytes_max: 64 << 20,
        }
    }
}

/// Why a HELLO is not accepted.
#[derive(Clone, Debug)]
pub struct Refused {
    /// For the other end's program.
    pub status: Status,
    /// For the person who reads its log.
    pub message: String,
}

/// Serves one connection until it ends. `accept` judges the HELLO and makes the handler of the frames that
/// follow, which is dropped when the connection ends. The handler is called in the order of the frames;
/// answers may be given in any order. Versions of the protocol are judged here. Everything happens on the
/// calling task: dropping the future closes the connection.
pub async fn serve<A, H>(incoming: Incoming, options: ServeOptions, counters: &Counters, accept: A)
where
    A: FnOnce(&Hello) -> Result<(HelloAnswer, H), Refused>,
    H: FnMut(Frame, Replier),
{
    let Incoming { stream, first, peer } = incoming;
    counters.connection();
    let (reading, mut writing) = split(stream);
    let mut reader = FrameReader::new(reading, &first, Some(options.idle_timeout));
    let hello = tokio::time::timeout(options.hello_timeout, reader.next(Limits::HELLO)).await;
    let frame = match hello {
        Err(_) => return counters.protocol(&peer, "no HELLO in time"),
        Ok(Err(reason)) => return report(counters, &peer, &reason),
        Ok(Ok(frame)) => frame,
    };
    if frame.kind != Kind::Hello || frame.answer {
        return counters.protocol(&peer, "the first frame is not HELLO");
    }
    let judged = match Hello::decode(&frame.body) {
        Err(_) => Err(Refused { status: Status::BadMessage, message: "HELLO makes no sense".into() }),
        Ok(hello) if hello.protocol_version != PROTOCOL_VERSION => Err(Refused {
            status: Status::Unsupported,
            message: format!(
                "protocol version {} is not spoken here, version {PROTOCOL_VERSION} is",
                hello.protocol_version
            ),
        }),
        Ok(hello) => accept(&hello),
    };
    let (answer, handler) = match judged {
        Ok((answer, handler)) => (answer, handler),
        Err(refused) => {
            counters.refused_hello(&peer, &refused.message);
            let answer = HelloAnswer {
                protocol_version: PROTOCOL_VERSION,
                result: Err(refused.status),
                cluster: None,
                term: types::Term(0),
                message: refused.message,
            };
            let _ = tokio::time::timeout(FAREWELL_MAX, farewell(&mut writing, frame.id, &answer)).await;
            return;
        }
    };
    let shared = Arc::new(SendQueue::new(options.unsent_bytes_max));
    let _closing = Closing(Arc::clone(&shared));
    let Some(head) = frame::encode(Kind::Hello, true, frame.id, &answer.to_bytes(), 0) else { return };
    shared.give(head, Bytes::new(), None);
    let reason = tokio::select! {
        biased;
        reason = receive(&shared, reader, options, counters, handler) => reason,
        reason = shared.send_all(writing) => reason,
    };
    report(counters, &peer, &reason);
}

/// Closes the queue also when the connection's future is dropped: those who wait for room would keep it, and it them.
struct Closing(Arc<SendQueue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn farewell(writing: &mut Writing, id: u64, answer: &HelloAnswer) -> std::io::Result<()> {
    if let Some(head) = frame::encode(Kind::Hello, true, id, &answer.to_bytes(), 0) {
        writing.write_all(&head).await?;
    }
    writing.shutdown().await
}

fn report(counters: &Counters, peer: &str, reason: &Lost) {
    match reason {
        Lost::BadFrame(error) => counters.bad_frame(peer, *error),
        Lost::Protocol(what) => counters.protocol(peer, what),
        Lost::Closed | Lost::Dropped | Lost::Io(_) | Lost::Silent => {
            tracing::debug!(peer, %reason, "a connection ended");
        }
    }
}

async fn receive<H>(
    queue: &Arc<SendQueue>,
    mut reader: FrameReader<Reading>,
    options: ServeOptions,
    counters: &Counters,
    mut handler: H,
) -> Lost
where
    H: FnMut(Frame, Replier),
{
    let requests = Arc::new(Semaphore::new(options.requests_in_flight_max));
    let budget_units = (options.in_flight_bytes_max / BUDGET_UNIT_BYTES).max(1);
    let budget = Arc::new(Semaphore::new(budget_units));
    loop {
        let frame = match reader.next(Limits::ANY).await {
            Ok(frame) => frame,
            Err(reason) => return reason,
        };
        counters.frame();
        if frame.answer {
            return Lost::Protocol("an answer to nobody");
        }
        match frame.kind {
            Kind::Hello => return Lost::Protocol("a second HELLO"),
            Kind::Ping => {
                if let Some(head) = frame::encode(Kind::Ping, true, frame.id, &[], 0) {
                    queue.give(head, Bytes::new(), None);
                }
                // Answers to PINGs are not counted as in flight: a flood of them must not pile up.
                tokio::task::yield_now().await;
                if queue.is_long() {
                    return Lost::Protocol("PINGs faster than their answers are read");
                }
                continue;
            }
            _ => {}
        }
        queue.eased().await;
        let units = ((frame.body.len() + frame.payload.len()) / BUDGET_UNIT_BYTES + 1).min(budget_units);
        let request = Arc::clone(&requests).acquire_owned().await;
        let bytes = Arc::clone(&budget).acquire_many_owned(units as u32).await;
        let (Ok(request), Ok(bytes)) = (request, bytes) else { return Lost::Dropped };
        let replier =
            Replier { queue: Arc::clone(queue), kind: frame.kind, id: frame.id, in_flight: (request, bytes) };
        handler(frame, replier);
    }
}

/// Answers one request. Dropped without an answer, the other end waits until its deadline.
pub struct Replier {
    queue: Arc<SendQueue>,
    kind: Kind,
    id: u64,
    in_flight: InFlight,
}

impl Replier {
    /// Sends the answer. One that is above the limits of a frame is not sent; its maker has a fault.
    pub fn answer(self, body: &[u8], payload: Bytes) {
        match frame::encode(self.kind, true, self.id, body, payload.len()) {
            Some(head) => self.queue.give(head, payload, Some(self.in_flight)),
            None => {
                tracing::error!(kind = ?self.kind, body = body.len(), payload = payload.len(), "an answer is too long")
            }
        }
    }

    /// Whether a large answer may be made now: fewer bytes wait to be sent than [`ServeOptions::unsent_bytes_max`]. To be asked
    /// right before.
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Calls `then` when there is room for an answer of about so many bytes: at once, or on the connection's task, which it
    /// must not hold up. If the connection ends before, it is dropped. Whoever is called asks [`Replier::has_room`] again
    /// before he makes the answer, and comes back if there is none: no room is kept for him, since he may be long about it.
    pub fn when_room(self, bytes: usize, then: impl FnOnce(Self) + Send + 'static) {
        let queue = Arc::clone(&self.queue);
        queue.when_room(bytes, Box::new(move || then(self)));
    }
}
