//! In what the replicas of a chunk may differ (`docs/protocol/grants.md`, *Settling*).

use crate::BLOCKS_PER_CHUNK;

/// Blocks `first .. first + count` of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRange {
    /// First block.
    pub first: u32,
    /// Number of blocks.
    pub count: u32,
}

impl BlockRange {
    /// The whole chunk.
    pub const ALL: Self = Self { first: 0, count: BLOCKS_PER_CHUNK };

    /// The union of ranges, in order, as at most `most` ranges: if there are more, one that covers them all.
    pub fn join(mut ranges: Vec<Self>, most: usize) -> Vec<Self> {
        ranges.sort_unstable();
        let mut joined: Vec<Self> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.first <= last.first + last.count => {
                    last.count = last.count.max(range.first + range.count - last.first);
                }
                _ => joined.push(range),
            }
        }
        if joined.len() > most
            && let (Some(first), Some(last)) = (joined.first(), joined.last())
        {
            joined = vec![Self { first: first.first, count: last.first + last.count - first.first }];
        }
        joined
    }
}

/// What a member of a chain remembers of the writes it took, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Memory {
    /// All of them.
    #[default]
    Kept = 0,
    /// Its process stopped since, or it forgot an idle chain; whatever it took was applied.
    Forgot = 1,
    /// Its process stopped while the chunk was being written.
    Marked = 2,
    /// So it did, and pages of it do not match their checksums: other replicas are to be asked for them.
    Torn = 3,
    /// Its machine lost power while the chunk was being written: what was not synced may be gone.
    PowerLost = 4,
    /// So it did, and pages of it do not match their checksums.
    PowerLostTorn = 5,
}

impl Memory {
    /// Whether writes that it answered may be gone.
    pub fn lost_power(self) -> bool {
        self >= Self::PowerLost
    }
}

/// What a member says when its version is raised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Blocks of writes of which it does not know that all members have them.
    pub touched: Vec<BlockRange>,
    /// Blocks of the last writes it took: whoever forgot what it took may lack them.
    pub recent: Vec<BlockRange>,
    /// What it remembers.
    pub memory: Memory,
    /// The chain failed here: it could not reach the one behind it, was told of a failure, or lost the one before it.
    pub failed: bool,
}

impl Memory {
    /// Whether there may be torn pages.
    pub fn is_torn(self) -> bool {
        matches!(self, Self::Torn | Self::PowerLostTorn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_blocks_are_joined_and_bounded() {
        let range = |first, count| BlockRange { first, count };
        let joined = |ranges: &[(u32, u32)], most| {
            BlockRange::join(ranges.iter().map(|(first, count)| range(*first, *count)).collect(), most)
        };
        assert_eq!(joined(&[], 1), []);
        assert_eq!(joined(&[(5, 1), (0, 1), (1, 1), (0, 1)], 9), [range(0, 2), range(5, 1)]);
        assert_eq!(joined(&[(0, 9), (2, 1)], 9), [range(0, 9)]);
        assert_eq!(joined(&[(0, 1), (2, 1), (4, 2)], 2), [range(0, 6)]);
    }
}
