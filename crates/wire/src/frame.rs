//! The 32-byte header that precedes every body and payload.
//!
//! # Invariants
//! 1. Lengths are checked against their limits before anybody allocates for them.
//! 2. The header is believed only if its own checksum matches; the body only if the header's checksum of it does.
//! 3. A payload carries no checksum here: the pages' checksums in the body are its checksum.

use bytes::Bytes;
use types::{BODY_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;
/// The first bytes of every frame, and so of every connection that carries frames.
pub const MAGIC: [u8; 4] = *b"MSKX";
/// The version of the protocol spoken here; stated by both sides in HELLO.
pub const PROTOCOL_VERSION: u32 = 1;
/// Bit 0 of the flags: the frame answers the request with the same id.
const FLAG_ANSWER: u16 = 1;

/// What a frame is. Numbers are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Kind {
    /// The first frame of every connection.
    Hello = 1,
    /// Is somebody there? Answered by the connection itself.
    Ping = 2,
    /// A client opens or resumes its session with the master.
    SessionOpen = 16,
    /// A client's request to the master.
    Request = 17,
    /// The master takes a lease back (reserved).
    Recall = 18,
    /// Bytes for a chunk.
    Write = 32,
    /// Bytes of a chunk.
    Read = 33,
    /// What was written before goes to stable storage.
    Flush = 34,
    /// What blocks of a replica are compared by.
    Values = 35,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Hello,
        Self::Ping,
        Self::SessionOpen,
        Self::Request,
        Self::Recall,
        Self::Write,
        Self::Read,
        Self::Flush,
        Self::Values,
    ];

    /// The number in the header.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The inverse of [`Kind::code`].
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Why bytes are not a frame. Each closes the connection that they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// Something else than our protocol.
    #[error("the frame does not begin with MSKX")]
    Magic,
    /// Damaged on its way.
    #[error("the header does not match its checksum")]
    HeaderChecksum,
    /// A newer peer, or a broken one.
    #[error("unknown frame kind {0}")]
    Kind(u16),
    /// A newer peer, or a broken one.
    #[error("unknown flags {0:#06x}")]
    Flags(u16),
    /// Never allocated.
    #[error("a body of {0} bytes is above the limit")]
    BodyTooLong(u32),
    /// Never allocated.
    #[error("a payload of {0} bytes is above the limit")]
    PayloadTooLong(u32),
    /// Damaged on its way.
    #[error("the body does not match its checksum")]
    BodyChecksum,
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Whether it answers a request.
    pub answer: bool,
    /// Chosen by the asking side, echoed in the answer.
    pub id: u64,
    /// Bytes of the protobuf body that follows.
    pub body_bytes: u32,
    /// Bytes of the raw payload that follows the body.
    pub payload_bytes: u32,
    /// CRC32C of the body.
    pub body_crc: u32,
}

impl Header {
    /// The header for a body and a payload. `None` if one of them is above its limit.
    pub fn new(kind: Kind, answer: bool, id: u64, body: &[u8], payload_bytes: usize) -> Option<Self> {
        let body_bytes = u32::try_from(body.len()).ok().filter(|bytes| *bytes <= BODY_BYTES_MAX)?;
        let payload_bytes = u32::try_from(payload_bytes).ok().filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)?;
        Some(Self { kind, answer, id, body_bytes, payload_bytes, body_crc: crate::crc::crc32c(body) })
    }

    /// As bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&self.kind.code().to_le_bytes());
        bytes[6..8].copy_from_slice(&(if self.answer { FLAG_ANSWER } else { 0 }).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crate::crc::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Checks magic, checksum, kind, flags and both lengths.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[0..4] != MAGIC {
            return Err(FrameError::Magic);
        }
        if u32_at(28) != crate::crc::crc32c(&bytes[..28]) {
            return Err(FrameError::HeaderChecksum);
        }
        let kind = Kind::from_code(u16_at(4)).ok_or(FrameError::Kind(u16_at(4)))?;
        let flags = u16_at(6);
        if flags & !FLAG_ANSWER != 0 {
            return Err(FrameError::Flags(flags));
        }
        let (body_bytes, payload_bytes) = (u32_at(16), u32_at(20));
        if body_bytes > BODY_BYTES_MAX {
            return Err(FrameError::BodyTooLong(body_bytes));
        }
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(FrameError::PayloadTooLong(payload_bytes));
        }
        Ok(Self {
            kind,
            answer: flags & FLAG_ANSWER != 0,
            id: u64::from(u32_at(8)) | (u64::from(u32_at(12)) << 32),
            body_bytes,
            payload_bytes,
            body_crc: u32_at(24),
        })
    }

    /// Checks a body that arrived.
    pub fn check_body(&self, body: &[u8]) -> Result<(), FrameError> {
        if crate::crc::crc32c(body) == self.body_crc { Ok(()) } else { Err(FrameError::BodyChecksum) }
    }
}

/// A whole frame that arrived, its body checked against the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Whether it answers a request.
    pub answer: bool,
    /// The request's id.
    pub id: u64,
    /// Protobuf.
    pub body: Bytes,
    /// Raw bytes.
    pub payload: Bytes,
}

/// Header and body in one small buffer; the payload follows it on the wire as it is. `None` if body or
/// payload is above its limit.
pub fn encode(kind: Kind, answer: bool, id: u64, body: &[u8], payload_bytes: usize) -> Option<Bytes> {
    let header = Header::new(kind, answer, id, body, payload_bytes)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(body);
    Some(bytes.into())
}

#[cfg(test)]
mod tests;
