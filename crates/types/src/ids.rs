//! Identities. None of them is ever given twice: the term of the master that minted an id is part of
//! it, so a log that lost its tail cannot lead to a second use (`docs/protocol/identities.md`).

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);
        impl $name {
            /// From a slice of exactly 16 bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

random_id!(
    /// A cluster, drawn at random when its metadata is first made.
    ClusterId
);
random_id!(
    /// A chunkserver, drawn at random at its first start and kept in its data directory.
    ServerId
);
random_id!(
    /// A disk: one directory on one device, drawn at random when it is stamped.
    DiskId
);

/// Bits of a 64-bit id below the term.
pub const TERM_SHIFT: u32 = 40;
/// The highest term: terms take 24 bits.
pub const TERM_MAX: u32 = (1 << 24) - 1;
/// The highest counter below a term.
pub const COUNTER_MAX: u64 = (1 << TERM_SHIFT) - 1;

number!(
    /// The master's reign: 24 bits, raised at every start of a master, stable before its first order.
    Term(u32)
);
number!(
    /// A position in the changelog; the first record has index 1.
    LogIndex(u64)
);
number!(
    /// An inode number. Never reused.
    InodeId(u64)
);
number!(
    /// Begins with the term in which the inode was created. A mismatch is `Status::Stale`.
    Generation(u32)
);
number!(
    /// A client's standing with the master: (term 24 bits, counter 40 bits).
    SessionId(u64)
);
number!(
    /// Number of a request within its session, from 1, without gaps.
    Sequence(u64)
);
number!(
    /// A chunk: (term 24 bits, counter 40 bits).
    ChunkId(u64)
);
number!(
    /// Dense index of a chunk in the arrays of `meta` and `fleet`; reused after the chunk is gone, never stored.
    ChunkSlot(u32)
);
number!(
    /// Which 64 MiB of a file.
    ChunkIndex(u32)
);
number!(
    /// Position of an entry in its directory; an entry keeps it while it lives. 0 stands before the first.
    DirCursor(u64)
);
number!(
    /// Raised by each truncate that shrinks or punches, and whenever the append lock is taken away; older length updates
    /// are ignored. The upper 8 bits count what was taken away, the others the truncates.
    TruncateGeneration(u32)
);

impl TruncateGeneration {
    /// After a truncate.
    pub fn truncated(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// After the append lock was taken from who holds it, or may hold it.
    pub fn forfeited(self) -> Self {
        Self(self.0.wrapping_add(1 << 24))
    }

    /// How often the append lock was taken away, modulo 256. 16,777,216 truncates count as once more.
    pub fn forfeits(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Whether it is the later one of two that are not too far apart (serial number arithmetic, RFC 1982).
    pub fn is_after(self, other: Self) -> bool {
        self != other && self.0.wrapping_sub(other.0) < 1 << 31
    }
}
number!(
    /// Raised to fence a session's data-plane rights.
    LeaseEpoch(u64)
);
number!(
    /// The place of a write in the one order that the head of a chain gives.
    ChainSequence(u64)
);
number!(
    /// A storage class. 0 is the class `default`. Given in order, and never twice.
    ClassId(u16)
);
number!(
    /// A task: the log index of the record that began it.
    TaskId(u64)
);

macro_rules! term_and_counter {
    ($name:ident) => {
        impl $name {
            /// Puts a term and a counter together; `None` if either does not fit.
            pub fn new(term: Term, counter: u64) -> Option<Self> {
                (term.0 <= TERM_MAX && counter <= COUNTER_MAX)
                    .then(|| Self((u64::from(term.0) << TERM_SHIFT) | counter))
            }
            /// The term that minted it.
            pub fn term(self) -> Term {
                Term((self.0 >> TERM_SHIFT) as u32)
            }
            /// The counter within the term.
            pub fn counter(self) -> u64 {
                self.0 & COUNTER_MAX
            }
        }
    };
}
term_and_counter!(ChunkId);
term_and_counter!(SessionId);

impl ClassId {
    /// The class `default`, which always exists and keeps its name.
    pub const DEFAULT: Self = Self(0);
}

impl InodeId {
    /// The root directory.
    pub const ROOT: Self = Self(1);
}

/// The version of a chunk: raised when the set of replicas that may be written changes, never by content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The term of the master that granted it.
    pub term: Term,
    /// Counter within the term and chunk.
    pub counter: u32,
}

impl Version {
    /// Packed for records and frames: term in the high half.
    pub fn to_u64(self) -> u64 {
        (u64::from(self.term.0) << 32) | u64::from(self.counter)
    }
    /// The inverse of [`Version::to_u64`]; `None` if the term does not fit in 24 bits.
    pub fn from_u64(packed: u64) -> Option<Self> {
        let term = (packed >> 32) as u32;
        (term <= TERM_MAX).then_some(Self { term: Term(term), counter: packed as u32 })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.counter)
    }
}

/// An inode and the generation under which the caller knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeRef {
    /// The number.
    pub id: InodeId,
    /// The generation.
    pub generation: Generation,
}

impl InodeRef {
    /// The root directory: the same in every cluster and for ever.
    pub const ROOT: Self = Self { id: InodeId::ROOT, generation: Generation(1) };
}

/// Who made a logged request, so that a repeat is answered and not done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The session.
    pub session: SessionId,
    /// The request's number.
    pub sequence: Sequence,
    /// Every answer below this number has arrived at the client; the master may drop those.
    pub answered_below: Sequence,
}
