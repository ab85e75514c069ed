//! A directory entry's name: 1 to 255 arbitrary bytes without `/` and NUL, not `.` or `..`.

use crate::{NAME_BYTES_MAX, Status};
use std::fmt;

/// A checked name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Checks the bytes of a name of a directory entry, without keeping them.
    pub fn check(bytes: &[u8]) -> Result<(), Status> {
        if bytes.len() > NAME_BYTES_MAX {
            return Err(Status::NameTooLong);
        }
        let bad = bytes.is_empty()
            || bytes == b"."
            || bytes == b".."
            || bytes.iter().any(|b| *b == b'/' || *b == 0);
        if bad { Err(Status::Invalid) } else { Ok(()) }
    }

    /// Checks and keeps the bytes of a name of a directory entry.
    pub fn new(bytes: &[u8]) -> Result<Self, Status> {
        Self::check(bytes).map(|()| Self(bytes.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(Name::new(b"a\xff\n").is_ok());
        assert!(Name::new(&[b'x'; 255]).is_ok());
        assert_eq!(Name::new(&[b'x'; 256]), Err(Status::NameTooLong));
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0"] {
            assert_eq!(Name::new(bad), Err(Status::Invalid));
        }
    }
}
