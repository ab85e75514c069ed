//! Frames waiting to be sent on one connection, in order.
//!
//! One task sends them, many in one system call. Waking the thread of that task costs more than sending a short frame, so
//! whoever gives one on another thread sends it there and then, if nothing is before it and the socket has room.
//!
//! # Invariants
//! 1. Frames leave whole and in the order in which they were given.
//! 2. Giving never waits for the other end.

use crate::error::Lost;
use crate::payload::{self, Payload};
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
    waiting: VecDeque<(Bytes, Payload)>,
    /// The task has taken frames and not sent all of them.
    sending: bool,
    closed: bool,
    /// The thread of the task, and a way to send for the others.
    direct: Option<(ThreadId, Direct)>,
}

impl Frames {
    /// Sends what can be sent without waiting; false: something is left.
    fn send_now(&self, head: &mut Bytes, payload: &mut Payload) -> bool {
        let length = head.len() + payload.len();
        let (Some((task, stream)), Payload::Bytes(payload)) = (&self.direct, payload) else { return false };
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
    pub(crate) fn give(&self, mut head: Bytes, payload: impl Into<Payload>) {
        let mut payload = payload.into();
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

    fn take_batch(&self, batch: &mut VecDeque<Payload>) {
        let mut frames = self.frames();
        for _ in 0..BATCH_FRAMES_MAX {
            let Some((head, payload)) = frames.waiting.pop_front() else { break };
            batch.extend([head.into(), payload].into_iter().filter(|bytes| !bytes.is_empty()));
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

/// What one step did.
enum Did {
    /// So many bytes left.
    Send(usize),
    /// The first of the batch was read, and can be sent now.
    Read(Payload),
}

/// One system call, or the reading of a file's rest; what was sent leaves the batch.
async fn send_some(stream: &mut Writing, batch: &mut VecDeque<Payload>) -> Result<(), Lost> {
    let mut slices = [IoSlice::new(&[]); 2 * BATCH_FRAMES_MAX];
    let mut count = 0;
    for (slice, payload) in slices.iter_mut().zip(batch.iter()) {
        let Payload::Bytes(bytes) = payload else { break };
        *slice = IoSlice::new(bytes);
        count += 1;
    }
    let send = async {
        match batch.front() {
            Some(Payload::File(range)) => match payload::next_of(range).await? {
                Payload::File(piece) => stream.send_file(&piece).await.map(Did::Send),
                read @ Payload::Bytes(_) => Ok(Did::Read(read)),
            },
            // A head that left alone would wake the other end for nothing.
            _ if count < batch.len() => stream.send_more(&slices[..count]).await.map(Did::Send),
            _ => stream.write_vectored(&slices[..count]).await.map(Did::Send),
        }
    };
    let mut sent = match tokio::time::timeout(STALL_MAX, send).await {
        Err(_) => return Err(Lost::Silent),
        Ok(Err(error)) => return Err(Lost::Io(Arc::new(error))),
        Ok(Ok(Did::Send(0))) => return Err(Lost::Closed),
        Ok(Ok(Did::Send(sent))) => sent,
        Ok(Ok(Did::Read(bytes))) => {
            batch[0] = bytes;
            return Ok(());
        }
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
    use env::FileRange;
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
                giver.give(Bytes::from(number.to_be_bytes().to_vec()), Bytes::from(frame(number)));
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
    async fn bytes_of_a_file_leave_in_their_place_and_what_cannot_be_read_ends_the_connection() {
        const LENGTH: usize = 3 << 20;
        let content: Vec<u8> = (0..LENGTH).map(|n| (n / 7 * 31) as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, &content).unwrap();
        let file = env::RealDir::open(folder.path()).unwrap().open("f", env::OpenMode::Read).unwrap();
        let range = |offset, length| FileRange { file: Arc::clone(&file), offset, length };
        let (queue, mut far, _reading, task) = queue().await;
        queue.give(Bytes::from_static(b"one"), range(5, (LENGTH - 5) as u32));
        // As if the memory had been needed: the rest is read from the device.
        let written = std::fs::File::open(&path).unwrap();
        written.sync_all().unwrap();
        rustix::fs::fadvise(&written, 1 << 20, None, rustix::fs::Advice::DontNeed).unwrap();
        queue.give(Bytes::from_static(b"two"), Bytes::from_static(b"2"));
        queue.give(Bytes::from_static(b"three"), range(0, 1));
        let read = std::thread::spawn(move || {
            let mut found = vec![0; 3 + LENGTH - 5 + 4 + 6];
            far.read_exact(&mut found).unwrap();
            (found, far)
        });
        while !read.is_finished() {
            tokio::task::yield_now().await;
        }
        let (found, mut far) = read.join().unwrap();
        let expected = [b"one", &content[5..], b"two2three", &content[..1]].concat();
        assert!(found == expected);
        // It ends before.
        queue.give(Bytes::from_static(b"four"), range(LENGTH as u64 - 1, 2));
        task.await.unwrap();
        drop((queue, _reading));
        let mut rest = Vec::new();
        let _reset = far.read_to_end(&mut rest);
        assert!(rest.len() <= 5, "{}", rest.len());
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
