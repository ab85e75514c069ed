//! Limits of healing: how much copying a server, or the way between disks, is given.
//!
//! What copies, and how the bytes per second are shared out, is `fleet`'s.

use crate::{Expression, ServerId};

/// Most limits of a cluster: each is looked at with each copy.
pub const LIMITS_MAX: usize = 64;
/// Most copies at one time that a limit can allow: a chunkserver makes no more at a time on one disk.
pub const LIMIT_COPIES_MAX: u32 = 64;
/// Fewest bytes per second that a limit can allow: a whole chunk takes a quarter of an hour then.
pub const LIMIT_BYTES_PER_S_MIN: u64 = 64 << 10;
/// Most of them: more than any network has.
pub const LIMIT_BYTES_PER_S_MAX: u64 = 1 << 40;

/// What a limit is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitScope {
    /// What one server reads for copies, and what it writes: each is limited by itself.
    Server(ServerId),
    /// What goes from disks with these labels to disks with those.
    Pair {
        /// A condition on the disk that is read.
        from: Expression,
        /// A condition on the disk that is written.
        to: Expression,
    },
}

/// How much it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit {
    /// Copies at one time; `None`: as without a limit.
    pub copies: Option<u32>,
    /// Bytes per second; `None`: as many as go through.
    pub bytes_per_s: Option<u64>,
}

impl Limit {
    /// Whether it limits anything, and its numbers are in range.
    pub fn in_range(&self) -> bool {
        let bytes = LIMIT_BYTES_PER_S_MIN..=LIMIT_BYTES_PER_S_MAX;
        let some = self.copies.is_some() || self.bytes_per_s.is_some();
        some && self.copies.is_none_or(|copies| (1..=LIMIT_COPIES_MAX).contains(&copies))
            && self.bytes_per_s.is_none_or(|rate| bytes.contains(&rate))
    }
}
