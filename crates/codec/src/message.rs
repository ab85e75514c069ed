//! The one shape of every message: append to a buffer, read from a slice.

/// Bytes that are not a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {what}")]
pub struct Malformed {
    /// Which part, for the log.
    pub what: &'static str,
}

impl Malformed {
    /// Names the part that is wrong.
    pub const fn new(what: &'static str) -> Self {
        Self { what }
    }
}

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self::new("not protobuf of the expected shape")
    }
}

/// A plain value that travels as the body of a frame or lies in a file.
pub trait Message: Sized {
    /// Appends the bytes of `self`.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads and checks a whole message.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed>;
    /// The bytes of `self` in a buffer of their own.
    fn to_bytes(&self) -> bytes::Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.into()
    }
}
