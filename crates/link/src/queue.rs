//! Frames waiting to be sent on one connection, in order.
//!
//! One task sends them, many in one system call. Waking the thread of that task costs more than sending a short frame, so
//! whoever gives one on another thread sends it there and then, if nothing is before it and the socket has room.
//!
//! What waits is counted, so that a peer that asks and does not read fills no memory: whoever is about to make a large answer looks
//! whether there is room, and if there is none is called when there is. Nothing is set aside for an answer before it is given:
//! whatever an answer waits for, such as a disk that hangs, takes no room from others.
//!
//! # Invariants
//! 1. Frames leave whole and in the order in which they were given.
//! 2. Giving never waits for the other end.
//! 3. There is room while fewer bytes wait than the limit, so a frame of any length leaves in its turn.
//! 4. Somebody waits for room only while a frame waits to be sent; when none does any more, all are called.

use crate::error::Lost;
use crate::stream::{Direct, Writing};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Frames gathered into one system call.
const BATCH_FRAMES_MAX: usize = 32;
/// No further frame is gathered beyond so many bytes, about what a socket takes: a batch counts as waiting until all of it was sent.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Frames that wait when the other end asks without reading.
const LONG_FRAMES: usize = 16_384;
/// Longer frames are left to the task: whoever gives another one meanwhile waits for the copying.
const DIRECT_BYTES_MAX: usize = 64 << 10;
/// A connection on which no byte can be sent for so long is lost.
const STALL_MAX: Duration = Duration::from_secs(30);

/// What a request holds of its connection's limits until its answer was sent.
pub(crate) type InFlight = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// The queue. Givers never wait; what they may give is bounded before it gets here.
pub(crate) struct SendQueue {
    frames: Mutex<Frames>,
    given: Notify,
    /// There is room again, and nobody waits for it.
    eased: Notify,
    /// Bytes beyond which there is no room.
    bytes_max: usize,
    /// Bytes that wait or are being sent. Changed under the lock, looked at without it.
    bytes: AtomicUsize,
    /// Whether somebody waits for room; likewise.
    awaited: AtomicBool,
}

impl Default for SendQueue {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

#[derive(Default)]
struct Frames {
    waiting: VecDeque<Frame>,
    /// Those who wait for room, in order.
    parked: VecDeque<Parked>,
    /// Bytes that the task has taken and not sent all of; 0: none.
    sending: usize,
    closed: bool,
    /// The thread of the task, and a way to send for the others.
    direct: Option<(ThreadId, Direct)>,
}

/// A frame that waits: header and body, payload, and what is held until it was sent.
struct Frame(Bytes, Bytes, Option<InFlight>);

impl Frame {
    fn bytes(&self) -> usize {
        self.0.len() + self.1.len()
    }
}

/// Somebody who waits for room, for about so many bytes.
struct Parked {
    bytes: usize,
    then: Then,
}

/// What is done when there is room.
pub(crate) type Then = Box<dyn FnOnce() + Send>;

impl Frames {
    /// Those who wait for room and are called now that there is so much; at least one if there is any.
    fn parked_for(&mut self, mut room: usize, all: bool) -> VecDeque<Parked> {
        if all {
            return std::mem::take(&mut self.parked);
        }
        let mut called = VecDeque::new();
        while room > 0
            && let Some(parked) = self.parked.pop_front()
        {
            room = room.saturating_sub(parked.bytes);
            called.push_back(parked);
        }
        called
    }

    /// Sends what can be sent without waiting; false: something is left.
    fn send_now(&self, head: &mut Bytes, payload: &mut Bytes) -> bool {
        let length = head.len() + payload.len();
        let Some((task, stream)) = &self.direct else { return false };
        if self.sending > 0
            || !self.waiting.is_empty()
            || length > DIRECT_BYTES_MAX
            || *task == std::thread::current().id()
        {
            return false;
        }
        // The task meets the same error, and tells of it.
        let sent = stream.try_send(&[IoSlice::new(head), IoSlice::new(payload)]).unwrap_or(0);
        let of_head = sent.min(head.len());
        head.advance(of_head);
        payload.advance(sent - of_head);
        sent == length
    }
}

impl SendQueue {
    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().expect("nothing panics while it is held")
    }

    /// `bytes_max`: see [`SendQueue::has_room`].
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            frames: Mutex::default(),
            given: Notify::new(),
            eased: Notify::new(),
            bytes_max: bytes_max.max(1),
            bytes: AtomicUsize::new(0),
            awaited: AtomicBool::new(false),
        }
    }

    /// `head`: header and body. `held` is dropped when all of it was sent. After [`SendQueue::close`] it goes nowhere.
    pub(crate) fn give(&self, mut head: Bytes, mut payload: Bytes, held: Option<InFlight>) {
        let mut frames = self.frames();
        if frames.closed || frames.send_now(&mut head, &mut payload) {
            return;
        }
        let frame = Frame(head, payload, held);
        self.bytes.fetch_add(frame.bytes(), Ordering::Relaxed);
        frames.waiting.push_back(frame);
        drop(frames);
        self.given.notify_one();
    }

    /// Fewer bytes wait than the limit.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.bytes_max
    }

    /// Calls `then` when there is room for about so many bytes: at once, or later on the task. Its turn does not keep the
    /// room: `then` looks again. After [`SendQueue::close`] it is dropped.
    pub(crate) fn when_room(&self, bytes: usize, then: Then) {
        let mut frames = self.frames();
        if frames.closed {
            return;
        }
        if self.has_room() {
            drop(frames);
            return then();
        }
        frames.parked.push_back(Parked { bytes, then });
        self.awaited.store(true, Ordering::Relaxed);
    }

    /// Waits until there is room and nobody was before.
    pub(crate) async fn eased(&self) {
        while !self.has_room() || self.awaited.load(Ordering::Relaxed) {
            self.eased.notified().await;
        }
    }

    /// Drops what waits, and all that comes.
    pub(crate) fn close(&self) {
        let mut frames = self.frames();
        frames.closed = true;
        frames.direct = None;
        let left = (std::mem::take(&mut frames.waiting), std::mem::take(&mut frames.parked));
        drop(frames);
        // Who waited may answer when he is dropped.
        drop(left);
    }

    /// More waits than answers to requests in flight can explain.
    pub(crate) fn is_long(&self) -> bool {
        self.frames().waiting.len() > LONG_FRAMES
    }

    /// The batch before was sent. Takes the next one, and those for whom there is room now.
    fn take_batch(&self, batch: &mut Batch) -> VecDeque<Parked> {
        batch.held.clear();
        let mut frames = self.frames();
        let had_room = self.has_room() && frames.parked.is_empty();
        let left = self.bytes.fetch_sub(frames.sending, Ordering::Relaxed) - frames.sending;
        frames.sending = 0;
        let called = frames.parked_for(self.bytes_max.saturating_sub(left), left == 0);
        self.awaited.store(!frames.parked.is_empty(), Ordering::Relaxed);
        if !had_room && self.has_room() && frames.parked.is_empty() {
            self.eased.notify_one();
        }
        for _ in 0..BATCH_FRAMES_MAX {
            if frames.sending >= BATCH_BYTES_MAX {
                break;
            }
            let Some(frame) = frames.waiting.pop_front() else { break };
            frames.sending += frame.bytes();
            let Frame(head, payload, held) = frame;
            batch.bytes.extend([head, payload].into_iter().filter(|bytes| !bytes.is_empty()));
            batch.held.extend(held);
        }
        called
    }

    /// Sends what is given, in order, until the connection fails.
    pub(crate) async fn send_all(&self, mut stream: Writing) -> Lost {
        self.frames().direct = stream.direct().map(|direct| (std::thread::current().id(), direct));
        let mut batch = Batch::default();
        loop {
            for parked in self.take_batch(&mut batch) {
                (parked.then)();
            }
            if batch.bytes.is_empty() {
                if let Err(error) = stream.flush().await {
                    return Lost::Io(Arc::new(error));
                }
                self.given.notified().await;
                continue;
            }
            while !batch.bytes.is_empty() {
                if let Err(lost) = send_some(&mut stream, &mut batch.bytes).await {
                    return lost;
                }
            }
        }
    }
}

/// Frames that the task sends at a time.
#[derive(Default)]
struct Batch {
    bytes: VecDeque<Bytes>,
    /// What is held until all of them were sent.
    held: Vec<InFlight>,
}

/// One system call; what was sent leaves the batch.
async fn send_some(stream: &mut Writing, batch: &mut VecDeque<Bytes>) -> Result<(), Lost> {
    let mut slices = [IoSlice::new(&[]); 2 * BATCH_FRAMES_MAX];
    for (slice, bytes) in slices.iter_mut().zip(batch.iter()) {
        *slice = IoSlice::new(bytes);
    }
    let count = batch.len().min(slices.len());
    let write = tokio::time::timeout(STALL_MAX, stream.write_vectored(&slices[..count]));
    let mut sent = match write.await {
        Err(_) => return Err(Lost::Silent),
        Ok(Err(error)) => return Err(Lost::Io(Arc::new(error))),
        Ok(Ok(0)) => return Err(Lost::Closed),
        Ok(Ok(sent)) => sent,
    };
    while let Some(first) = batch.front_mut() {
        if sent < first.len() {
            first.advance(sent);
            break;
        }
        sent -= first.len();
        batch.pop_front();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Reading, split};
    use std::io::Read;
    use std::sync::mpsc;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    /// A queue whose task runs, its other end, and what keeps the connection.
    async fn queue() -> (Arc<SendQueue>, std::net::TcpStream, Reading, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let far = listener.accept().await.unwrap().0.into_std().unwrap();
        far.set_nonblocking(false).unwrap();
        let (reading, writing) = split(env::Stream::Tcp(near));
        let queue = Arc::<SendQueue>::default();
        let task = Arc::clone(&queue);
        let task = tokio::spawn(async move { drop(task.send_all(writing).await) });
        while queue.frames().direct.is_none() {
            tokio::task::yield_now().await;
        }
        (queue, far, reading, task)
    }

    #[tokio::test]
    async fn a_short_frame_of_another_thread_leaves_while_the_task_cannot_run() {
        let (queue, mut far, _reading, _task) = queue().await;
        let (given, is_given) = mpsc::channel();
        std::thread::spawn(move || {
            queue.give(Bytes::from_static(b"head"), Bytes::from_static(b"payload"), None);
            given.send(queue).unwrap();
        });
        // This blocks the only thread of the runtime.
        let queue = is_given.recv().unwrap();
        assert!(queue.frames().waiting.is_empty());
        let mut bytes = [0; 11];
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"headpayload");
    }

    #[tokio::test]
    async fn frames_leave_whole_and_in_order_whether_there_is_room_or_not() {
        const FRAMES: u32 = 4_000;
        const LONG: usize = DIRECT_BYTES_MAX + 1;
        // Far more than a socket has room for, now and then one that is left to the task.
        let frame = |number: u32| vec![number as u8; if number % 100 == 99 { LONG } else { 8 << 10 }];
        let (queue, mut far, _reading, _task) = queue().await;
        let giver = Arc::clone(&queue);
        let (half, is_half) = mpsc::channel();
        let given = std::thread::spawn(move || {
            for number in 0..FRAMES {
                giver.give(Bytes::from(number.to_be_bytes().to_vec()), frame(number).into(), None);
                if number == FRAMES / 2 {
                    half.send(()).unwrap();
                }
            }
        });
        let read = std::thread::spawn(move || {
            is_half.recv().unwrap();
            for number in 0..FRAMES {
                let mut head = [0; 4];
                far.read_exact(&mut head).unwrap();
                assert_eq!(u32::from_be_bytes(head), number);
                let mut payload = vec![0; frame(number).len()];
                far.read_exact(&mut payload).unwrap();
                assert!(payload == frame(number), "frame {number}");
            }
        });
        while !read.is_finished() {
            tokio::task::yield_now().await;
        }
        given.join().unwrap();
        read.join().unwrap();
    }

    #[tokio::test]
    async fn a_queue_does_not_keep_a_connection_whose_task_was_dropped() {
        let (queue, mut far, reading, task) = queue().await;
        task.abort();
        assert!(task.await.is_err());
        drop(reading);
        assert_eq!(far.read(&mut [0; 1]).unwrap(), 0, "it is closed");
        std::thread::spawn(move || queue.give(Bytes::from_static(b"late"), Bytes::new(), None))
            .join()
            .unwrap();
    }
}
