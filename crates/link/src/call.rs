//! The connecting side: one connection, many calls in flight.

use crate::error::{LinkError, Lost};
use crate::queue::SendQueue;
use crate::read::{FrameReader, Limits};
use crate::stream::{Reading, Writing, split};
use bytes::Bytes;
use env::Env;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wire::message::{Hello, HelloAnswer, Message};
use wire::{Frame, Kind, frame};

/// Unit of the budget of bytes in flight.
const BUDGET_UNIT_BYTES: usize = 1 << 10;
/// PINGs on a connection nobody waits on, in multiples of [`LinkOptions::ping_interval`].
const IDLE_PING_EVERY: u32 = 5;

/// How a connection behaves.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// Longest wait for the answer to HELLO.
    pub hello_timeout: Duration,
    /// How often it is checked whether the other end is alive; five times as rare when nobody waits.
    pub ping_interval: Duration,
    /// A connection on which nothing came for so long, while asked for, is lost.
    pub silence_max: Duration,
    /// Bytes of requests without an answer; further callers of [`Link::start`] wait.
    pub in_flight_bytes_max: usize,
    /// Calls without an answer; [`Link::send`] refuses more, for its callers have limits of their own.
    pub calls_max: usize,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(3),
            silence_max: Duration::from_secs(9),
            in_flight_bytes_max: 64 << 20,
            calls_max: 16_384,
        }
    }
}

/// A connection. Clones share it; it is closed when the last clone and the last [`Pending`] are dropped.
#[derive(Clone)]
pub struct Link {
    owner: Arc<Owner>,
}

/// Ends the connection's task when nobody can use the connection any more.
struct Owner {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.end(Lost::Dropped);
    }
}

struct Shared {
    address: String,
    hello: HelloAnswer,
    queue: SendQueue,
    calls: Mutex<Calls>,
    budget: Arc<Semaphore>,
    budget_units: usize,
    next_id: AtomicU64,
    calls_max: usize,
}

#[derive(Default)]
struct Calls {
    waiting: BTreeMap<u64, oneshot::Sender<Result<Frame, LinkError>>>,
    lost: Option<LinkError>,
}

impl Link {
    /// Connects and exchanges HELLO. Needs a tokio runtime, on which one task serves the connection.
    pub async fn connect(
        env: &Env,
        address: &str,
        hello: &Hello,
        options: LinkOptions,
    ) -> Result<Self, LinkError> {
        let connect = |source| LinkError::Connect { address: address.to_owned(), source: Arc::new(source) };
        let stream = env.net.connect(address).await.map_err(connect)?;
        Self::over(stream, address, hello, options).await
    }

    /// Exchanges HELLO over a stream that is connected already.
    pub async fn over(
        stream: env::Stream,
        address: &str,
        hello: &Hello,
        options: LinkOptions,
    ) -> Result<Self, LinkError> {
        let lost = |reason| LinkError::Lost { address: address.to_owned(), reason };
        let (reading, mut writing) = split(stream);
        let mut reader = FrameReader::new(reading, &[], None);
        let greet = greet(&mut reader, &mut writing, hello);
        let answer = tokio::time::timeout(options.hello_timeout, greet)
            .await
            .map_err(|_| lost(Lost::Silent))?
            .map_err(lost)?;
        let refused = |status, message: String| {
            Err(LinkError::Refused { address: address.to_owned(), status, message })
        };
        if let Err(status) = answer.result {
            return refused(status, answer.message);
        }
        if let (Some(ours), Some(theirs)) = (hello.cluster, answer.cluster)
            && ours != theirs
        {
            return refused(types::Status::WrongCluster, format!("it belongs to cluster {theirs}"));
        }
        let budget_units = (options.in_flight_bytes_max / BUDGET_UNIT_BYTES).max(1);
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            hello: answer,
            queue: SendQueue::default(),
            calls: Mutex::default(),
            budget: Arc::new(Semaphore::new(budget_units)),
            budget_units,
            next_id: AtomicU64::new(1),
            calls_max: options.calls_max,
        });
        let task = tokio::spawn(run(Arc::clone(&shared), reader, writing, options));
        Ok(Self { owner: Arc::new(Owner { shared, task }) })
    }

    /// What the other end said at the beginning.
    pub fn hello(&self) -> &HelloAnswer {
        &self.owner.shared.hello
    }

    /// Where it goes.
    pub fn address(&self) -> &str {
        &self.owner.shared.address
    }

    /// Why it ended, if it did.
    pub fn lost(&self) -> Option<LinkError> {
        self.owner.shared.lock().lost.clone()
    }

    /// Asks, waits for room in the budget first, then for the answer.
    pub async fn call(
        &self,
        kind: Kind,
        body: Bytes,
        payload: Bytes,
        deadline: Duration,
    ) -> Result<Frame, LinkError> {
        let both = async { self.start(kind, body, payload).await?.forever().await };
        tokio::time::timeout(deadline, both).await.map_err(|_| LinkError::TimedOut)?
    }

    /// Waits for room in the budget, then sends. Callers that wait get their turn in order.
    pub async fn start(&self, kind: Kind, body: Bytes, payload: Bytes) -> Result<Pending, LinkError> {
        let shared = &self.owner.shared;
        let units = ((body.len() + payload.len()) / BUDGET_UNIT_BYTES + 1).min(shared.budget_units);
        let permit = Arc::clone(&shared.budget).acquire_many_owned(units as u32).await;
        let Ok(permit) = permit else { return Err(shared.lost_error()) };
        let mut pending = self.send(kind, body, payload)?;
        pending.permit = Some(permit);
        Ok(pending)
    }

    /// Sends at once, after everything sent before, whatever the budget. For callers that must keep an order
    /// and bound what they have in flight themselves.
    pub fn send(&self, kind: Kind, body: Bytes, payload: Bytes) -> Result<Pending, LinkError> {
        let shared = &self.owner.shared;
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let head = frame::encode(kind, false, id, &body, payload.len()).ok_or(LinkError::TooLong)?;
        let (answer, receive) = oneshot::channel();
        let mut calls = shared.lock();
        if let Some(error) = &calls.lost {
            return Err(error.clone());
        }
        if calls.waiting.len() >= shared.calls_max {
            return Err(LinkError::Full);
        }
        calls.waiting.insert(id, answer);
        // Giving may send, and the answer be there at once.
        drop(calls);
        shared.queue.give(head, payload, None);
        Ok(Pending { link: self.clone(), id, receive, permit: None })
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().expect("nothing panics while it is held")
    }

    fn lost_error(&self) -> LinkError {
        let dropped = || LinkError::Lost { address: self.address.clone(), reason: Lost::Dropped };
        self.lock().lost.clone().unwrap_or_else(dropped)
    }

    /// Every call fails, those to come too. The first reason stays.
    fn end(&self, reason: Lost) {
        let error = LinkError::Lost { address: self.address.clone(), reason };
        let mut calls = self.lock();
        let error = calls.lost.get_or_insert(error).clone();
        let waiting = std::mem::take(&mut calls.waiting);
        drop(calls);
        self.queue.close();
        self.budget.close();
        for (_, answer) in waiting {
            let _ = answer.send(Err(error.clone()));
        }
    }
}

/// A call that was sent. Dropping it gives up the answer, not the request.
pub struct Pending {
    link: Link,
    id: u64,
    receive: oneshot::Receiver<Result<Frame, LinkError>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pending {
    /// Waits for the answer, at most until the deadline.
    pub async fn answer(self, deadline: Duration) -> Result<Frame, LinkError> {
        tokio::time::timeout(deadline, self.forever()).await.map_err(|_| LinkError::TimedOut)?
    }

    /// Waits for the answer or the end of the connection.
    async fn forever(mut self) -> Result<Frame, LinkError> {
        match (&mut self.receive).await {
            Ok(result) => result,
            Err(_) => Err(self.link.owner.shared.lost_error()),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.link.owner.shared.lock().waiting.remove(&self.id);
        self.permit = None;
    }
}

async fn greet(
    reader: &mut FrameReader<Reading>,
    writing: &mut Writing,
    hello: &Hello,
) -> Result<HelloAnswer, Lost> {
    let io = |error| Lost::Io(Arc::new(error));
    let head = frame::encode(Kind::Hello, false, 0, &hello.to_bytes(), 0)
        .ok_or(Lost::Protocol("our own HELLO is too long"))?;
    writing.write_all(&head).await.map_err(io)?;
    writing.flush().await.map_err(io)?;
    let frame = reader.next(Limits::HELLO).await?;
    if frame.kind != Kind::Hello || !frame.answer {
        return Err(Lost::Protocol("HELLO was answered by something else"));
    }
    HelloAnswer::decode(&frame.body).map_err(|_| Lost::Protocol("the answer to HELLO makes no sense"))
}

/// Serves a connection until it ends.
async fn run(shared: Arc<Shared>, reader: FrameReader<Reading>, writing: Writing, options: LinkOptions) {
    let progress = reader.progress();
    let reason = tokio::select! {
        biased;
        reason = receive(&shared, reader) => reason,
        reason = shared.queue.send_all(writing) => reason,
        reason = watch(&shared, &progress, options) => reason,
    };
    shared.end(reason);
}

async fn receive(shared: &Shared, mut reader: FrameReader<Reading>) -> Lost {
    loop {
        let frame = match reader.next(Limits::ANY).await {
            Ok(frame) => frame,
            Err(reason) => return reason,
        };
        if !frame.answer {
            // Nothing is asked of this side yet: RECALL comes with leases.
            return Lost::Protocol("the accepting side asked");
        }
        // An answer nobody waits for any more came after its deadline.
        let waiting = shared.lock().waiting.remove(&frame.id);
        if let Some(answer) = waiting {
            let _ = answer.send(Ok(frame));
        }
    }
}

/// Sends PINGs when nothing comes, and gives up when nothing comes of them.
async fn watch(shared: &Shared, progress: &AtomicU64, options: LinkOptions) -> Lost {
    let mut seen = progress.load(Ordering::Relaxed);
    let mut asked = Duration::ZERO;
    let mut idle_rounds = 0;
    loop {
        tokio::time::sleep(options.ping_interval).await;
        let now = progress.load(Ordering::Relaxed);
        let waited_for = !shared.lock().waiting.is_empty();
        if now != seen {
            (seen, asked, idle_rounds) = (now, Duration::ZERO, 0);
            continue;
        }
        idle_rounds += 1;
        if asked > Duration::ZERO || waited_for {
            asked += options.ping_interval;
        }
        if asked >= options.silence_max {
            return Lost::Silent;
        }
        if waited_for || asked > Duration::ZERO || idle_rounds % IDLE_PING_EVERY == 0 {
            asked = asked.max(Duration::from_nanos(1));
            if let Some(head) = frame::encode(Kind::Ping, false, 0, &[], 0) {
                shared.queue.give(head, Bytes::new(), None);
            }
        }
    }
}
