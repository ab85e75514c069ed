//! Frames waiting to be sent on one connection, in order.

use crate::error::Lost;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// Frames gathered into one system call.
const BATCH_FRAMES_MAX: usize = 32;
/// Frames that wait when the other end asks without reading.
const LONG_FRAMES: usize = 16_384;
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
    closed: bool,
}

impl SendQueue {
    /// `head`: header and body. After [`SendQueue::close`] it goes nowhere.
    pub(crate) fn give(&self, head: Bytes, payload: Bytes) {
        let mut frames = self.frames.lock().expect("nothing panics while it is held");
        if !frames.closed {
            frames.waiting.push_back((head, payload));
            drop(frames);
            self.given.notify_one();
        }
    }

    /// Drops what waits, and all that comes.
    pub(crate) fn close(&self) {
        let mut frames = self.frames.lock().expect("nothing panics while it is held");
        frames.closed = true;
        frames.waiting.clear();
    }

    /// More waits than answers to requests in flight can explain.
    pub(crate) fn is_long(&self) -> bool {
        self.frames.lock().expect("nothing panics while it is held").waiting.len() > LONG_FRAMES
    }

    fn take_batch(&self, batch: &mut VecDeque<Bytes>) {
        let mut frames = self.frames.lock().expect("nothing panics while it is held");
        for _ in 0..BATCH_FRAMES_MAX {
            let Some((head, payload)) = frames.waiting.pop_front() else { return };
            batch.push_back(head);
            if !payload.is_empty() {
                batch.push_back(payload);
            }
        }
    }

    /// Sends what is given, in order, until the connection fails.
    pub(crate) async fn send_all(&self, mut stream: impl AsyncWrite + Unpin) -> Lost {
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
async fn send_some(stream: &mut (impl AsyncWrite + Unpin), batch: &mut VecDeque<Bytes>) -> Result<(), Lost> {
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
            bytes::Buf::advance(first, sent);
            break;
        }
        sent -= first.len();
        batch.pop_front();
    }
    Ok(())
}
