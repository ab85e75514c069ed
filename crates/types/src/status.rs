//! Why a request was refused. `mount` alone turns these into `errno`.

/// A refusal or a failure, as answered over the wire. Numbers are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[repr(u16)]
#[allow(missing_docs, reason = "the message of each variant is its documentation")]
pub enum Status {
    #[error("no such file or directory")]
    NotFound = 1,
    #[error("it exists already")]
    Exists = 2,
    #[error("not a directory")]
    NotDirectory = 3,
    #[error("is a directory")]
    IsDirectory = 4,
    #[error("the directory is not empty")]
    NotEmpty = 5,
    #[error("the inode is gone or its number was given anew")]
    Stale = 6,
    #[error("no space left on the cluster's disks")]
    NoSpace = 7,
    #[error("name too long")]
    NameTooLong = 8,
    #[error("invalid argument")]
    Invalid = 9,
    #[error("operation not permitted")]
    NotPermitted = 10,
    #[error("permission denied")]
    AccessDenied = 11,
    #[error("read-only")]
    ReadOnly = 12,
    #[error("too many links")]
    TooManyLinks = 13,
    #[error("no such attribute")]
    NoAttribute = 14,
    #[error("value too large")]
    TooBig = 15,
    #[error("file too large")]
    FileTooBig = 16,
    #[error("busy")]
    Busy = 17,
    #[error("quota exceeded")]
    Quota = 18,
    #[error("input/output error")]
    Io = 19,
    #[error("not now, try again")]
    TryAgain = 20,
    #[error("the replica is at another version")]
    WrongVersion = 21,
    #[error("the sender's term is outdated")]
    WrongTerm = 22,
    #[error("not supported")]
    Unsupported = 23,
    #[error("timed out")]
    TimedOut = 24,
    #[error("the data does not match its checksum")]
    Corrupt = 25,
    #[error("the chunk is not on this disk")]
    NoChunk = 26,
    #[error("the session is unknown or has ended")]
    NoSession = 27,
    #[error("the next hop of the chain could not be reached")]
    ChainBroken = 28,
    #[error("the message cannot be understood")]
    BadMessage = 29,
    #[error("another cluster")]
    WrongCluster = 30,
    #[error("the sequence has a gap")]
    Gap = 31,
    #[error("interrupted")]
    Interrupted = 32,
    #[error("data that was acknowledged is no longer there")]
    LostTail = 33,
}

impl Status {
    /// All of them, in order of their numbers.
    pub const ALL: &[Self] = &[
        Self::NotFound,
        Self::Exists,
        Self::NotDirectory,
        Self::IsDirectory,
        Self::NotEmpty,
        Self::Stale,
        Self::NoSpace,
        Self::NameTooLong,
        Self::Invalid,
        Self::NotPermitted,
        Self::AccessDenied,
        Self::ReadOnly,
        Self::TooManyLinks,
        Self::NoAttribute,
        Self::TooBig,
        Self::FileTooBig,
        Self::Busy,
        Self::Quota,
        Self::Io,
        Self::TryAgain,
        Self::WrongVersion,
        Self::WrongTerm,
        Self::Unsupported,
        Self::TimedOut,
        Self::Corrupt,
        Self::NoChunk,
        Self::NoSession,
        Self::ChainBroken,
        Self::BadMessage,
        Self::WrongCluster,
        Self::Gap,
        Self::Interrupted,
        Self::LostTail,
    ];

    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The inverse of [`Status::code`].
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(*status));
        }
        assert_eq!(Status::from_code(0), None);
        assert_eq!(Status::from_code(9999), None);
    }
}
