//! What follows the body of a frame: bytes that are here, or bytes of a file that are sent as they are in it.

use bytes::{Buf, Bytes};
use env::FileRange;

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
