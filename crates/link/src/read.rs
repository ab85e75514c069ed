//! Frames out of a byte stream.

use crate::error::Lost;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use env::buffer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use wire::{Frame, HEADER_BYTES, Header};

/// Room for headers, bodies and small payloads of many frames per system call.
const BUFFER_BYTES: usize = 64 << 10;
/// A payload up to this size stays in the shared buffer; a larger one is read into one of its own.
const INLINE_BYTES_MAX: usize = 16 << 10;
const _: () = assert!(buffer::BUFFER_BYTES == types::PAYLOAD_BYTES_MAX as usize);

/// Reads frames one after the other. Not cancel-safe: a dropped `next` ends the connection.
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    /// Counts reads that brought something, so that others see whether the peer is alive.
    progress: Arc<AtomicU64>,
    /// Longest wait for one read.
    patience: Option<Duration>,
}

/// The longest body and payload that are accepted; HELLO is held shorter than the rest.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body_bytes: u32,
    pub(crate) payload_bytes: u32,
}

impl Limits {
    pub(crate) const HELLO: Self = Self { body_bytes: 8 << 10, payload_bytes: 0 };
    pub(crate) const ANY: Self =
        Self { body_bytes: types::BODY_BYTES_MAX, payload_bytes: types::PAYLOAD_BYTES_MAX };
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// `first` was read from the stream already.
    pub(crate) fn new(stream: R, first: &[u8], patience: Option<Duration>) -> Self {
        let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
        buffer.extend_from_slice(first);
        Self { stream, buffer, progress: Arc::new(AtomicU64::new(0)), patience }
    }

    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress)
    }

    /// The next frame, or how the connection ended.
    pub(crate) async fn next(&mut self, limits: Limits) -> Result<Frame, Lost> {
        self.fill(HEADER_BYTES).await?;
        let mut bytes = [0; HEADER_BYTES];
        self.buffer.copy_to_slice(&mut bytes);
        let header = Header::decode(&bytes).map_err(Lost::BadFrame)?;
        if header.body_bytes > limits.body_bytes || header.payload_bytes > limits.payload_bytes {
            return Err(Lost::Protocol("a first frame that is too long"));
        }
        let body_bytes = header.body_bytes as usize;
        let body = if body_bytes <= BUFFER_BYTES {
            self.fill(body_bytes).await?;
            self.buffer.split_to(body_bytes).freeze()
        } else {
            self.own_buffer(body_bytes).await?
        };
        header.check_body(&body).map_err(Lost::BadFrame)?;
        let payload_bytes = header.payload_bytes as usize;
        let payload = if payload_bytes == 0 {
            Bytes::new()
        } else if payload_bytes <= INLINE_BYTES_MAX {
            self.fill(payload_bytes).await?;
            self.buffer.split_to(payload_bytes).freeze()
        } else {
            self.own_buffer(payload_bytes).await?
        };
        Ok(Frame { kind: header.kind, answer: header.answer, id: header.id, body, payload })
    }

    /// Waits until the buffer holds at least `bytes`, at most [`BUFFER_BYTES`].
    async fn fill(&mut self, bytes: usize) -> Result<(), Lost> {
        while self.buffer.len() < bytes {
            if self.buffer.capacity() - self.buffer.len() < BUFFER_BYTES / 4 {
                self.buffer.reserve(BUFFER_BYTES);
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let count = wait(self.patience, read).await?;
            self.arrived(count)?;
        }
        Ok(())
    }

    async fn own_buffer(&mut self, bytes: usize) -> Result<Bytes, Lost> {
        let mut own = buffer::take(bytes);
        let have = self.buffer.len().min(bytes);
        own.extend_from_slice(&self.buffer[..have]);
        self.buffer.advance(have);
        while own.len() < bytes {
            let left = bytes - own.len();
            let mut rest = (&mut own).limit(left);
            let count = wait(self.patience, self.stream.read_buf(&mut rest)).await?;
            self.arrived(count)?;
        }
        Ok(buffer::share(own))
    }

    fn arrived(&self, count: usize) -> Result<(), Lost> {
        if count == 0 {
            return Err(Lost::Closed);
        }
        self.progress.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

async fn wait(
    patience: Option<Duration>,
    read: impl Future<Output = std::io::Result<usize>>,
) -> Result<usize, Lost> {
    let read = match patience {
        Some(patience) => tokio::time::timeout(patience, read).await.map_err(|_| Lost::Silent)?,
        None => read.await,
    };
    read.map_err(|error| Lost::Io(Arc::new(error)))
}
