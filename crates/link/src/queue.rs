//! Frames waiting to be sent on one connection, in order.
//!
//! One task sends them, many in one system call. Waking the thread of that task costs more than sending a short frame, so
//! whoever gives one on another thread sends it there and then, if nothing is before it and the socket has room.
//!
//! # Invariants
//! 1. Frames leave whole and in the order in which they were given.
//! 2. Giving never waits for the other end.

use crate::error::Lost;
use crate::stream::{Direct, Writing};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

/// Frames gathered into one system call.
const BATCH_FRAMES_MAX: usize = 32;
/// Frames that wait when the other end asks without reading.
const LONG_FRAMES: usize = 16_384;
/// Longer frames are left to the task: whoever gives another one meanwhile waits for the copying.
const DIRECT_BYTES_MAX: usize = 64 << 10;
/// A connection on which no byte can be sent for so long is lost.
const STALL_MAX: Duration = Duration::from_secs(30);

/// The queue. Givers never wait; what they may give is bounded before it gets here.
#[derive(Default)]
pub(crate) struct SendQueue {
    frames: Mutex<Frames>,
    given: Notify,
}

#[derive(Default)]
struct Frames {
    waiting: VecDeque<(Bytes, Bytes)>,
    /// The task has taken frames and not sent all of them.
    sending: bool,
    closed: bool,
    /// The thread of the task, and a way to send for the others.
    direct: Option<(ThreadId, Direct)>,
}

impl Frames {
    /// Sends what can be sent without waiting; false: something is left.
    fn send_now(&self, head: &mut Bytes, payload: &mut Bytes) -> bool {
        let length = head.len() + payload.len();
        let Some((task, stream)) = &self.direct else { return false };
        if self.sending
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

    /// `head`: header and body. After [`SendQueue::close`] it goes nowhere.
    pub(crate) fn give(&self, mut head: Bytes, mut payload: Bytes) {
        let mut frames = self.frames();
        if frames.closed || frames.send_now(&mut head, &mut payload) {
            return;
        }
        frames.waiting.push_back((head, payload));
        drop(frames);
        self.given.notify_one();
    }

    /// Drops what waits, and all that comes.
    pub(crate) fn close(&self) {
        let mut frames = self.frames();
        frames.closed = true;
        frames.waiting.clear();
        frames.direct = None;
    }

    /// More waits than answers to requests in flight can explain.
    pub(crate) fn is_long(&self) -> bool {
        self.frames().waiting.len() > LONG_FRAMES
    }

    fn take_batch(&self, batch: &mut VecDeque<Bytes>) {
        let mut frames = self.frames();
        for _ in 0..BATCH_FRAMES_MAX {
            let Some((head, payload)) = frames.waiting.pop_front() else { break };
            batch.extend([head, payload].into_iter().filter(|bytes| !bytes.is_empty()));
        }
        frames.sending = !batch.is_empty();
    }

    /// Sends what is given, in order, until the connection fails.
    pub(crate) async fn send_all(&self, mut stream: Writing) -> Lost {
        self.frames().direct = stream.direct().map(|direct| (std::thread::current().id(), direct));
        let mut batch = VecDeque::new();
        loop {
            self.take_batch(&mut batch);
            if batch.is_empty() {
                if let Err(error) = stream.flush().await {
                    return Lost::Io(Arc::new(error));
                }
                self.given.notified().await;
                continue;
            }
            while !batch.is_empty() {
                if let Err(lost) = send_some(&mut stream, &mut batch).await {
                    return lost;
                }
            }
        }
    }
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
            queue.give(Bytes::from_static(b"head"), Bytes::from_static(b"payload"));
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
                giver.give(Bytes::from(number.to_be_bytes().to_vec()), frame(number).into());
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
        std::thread::spawn(move || queue.give(Bytes::from_static(b"late"), Bytes::new())).join().unwrap();
    }
}
