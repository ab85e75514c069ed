//! What follows the body of a frame: bytes that are here, or bytes of a file that are sent as they are in it.

use bytes::{Buf, Bytes};
use env::{FileRange, buffer};
use std::io;

/// The payload of an answer.
#[derive(Clone)]
pub enum Payload {
    /// Bytes that are here.
    Bytes(Bytes),
    /// Bytes of a file, which leave without being copied. If they cannot be read, the connection is lost.
    File(FileRange),
}

impl Payload {
    /// How many bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(range) => range.length as usize,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// So many of them were sent.
    pub(crate) fn advance(&mut self, sent: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(sent),
            Self::File(range) => {
                range.offset += sent as u64;
                range.length -= sent as u32;
            }
        }
    }
}

/// So much of a file is sent after each look whether it is in the page cache.
const LOOK_BYTES: u32 = 256 << 10;

/// What of a range is to be sent next: from the page cache what is there, and what has left it since it was lent once it is
/// read, on a thread that may wait for the device.
pub(crate) async fn next_of(range: &FileRange) -> io::Result<Payload> {
    let piece = FileRange { length: range.length.min(LOOK_BYTES), ..range.clone() };
    if piece.file.is_resident(piece.offset, piece.length) {
        return Ok(Payload::File(piece));
    }
    let whole = range.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = buffer::filled(whole.length as usize);
        let count = whole.file.read_at(&mut bytes, whole.offset)?;
        if count < bytes.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(buffer::share(bytes)) }
    });
    read.await.map_err(io::Error::other)?.map(Payload::Bytes)
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<FileRange> for Payload {
    fn from(range: FileRange) -> Self {
        Self::File(range)
    }
}
