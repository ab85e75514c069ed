//! Health: the codes of what may be wrong with a cluster, and mutes.
//!
//! # Invariants
//! 1. A code that exists is in [`HealthCode::ALL`]; its word is never given a second meaning.

use crate::Timestamp;
use std::fmt;

/// Longest reason of a mute.
pub const MUTE_REASON_BYTES_MAX: usize = 255;

/// The stable word of a kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HealthCode(&'static str);

impl HealthCode {
    /// All of them, in order.
    pub const ALL: &[Self] = &[
        Self("CHECKPOINT_DAMAGED"),
        Self("CHECKPOINT_DIGEST"),
        Self("CHECKPOINT_FAILED"),
        Self("CHUNK_DAMAGED"),
        Self("CHUNK_ENDANGERED"),
        Self("CHUNK_MISSING"),
        Self("CHUNK_UNDERGOAL"),
        Self("CLASS_UNSATISFIABLE"),
        Self("DISK_DAMAGED"),
        Self("DISK_ERRORS"),
        Self("DISK_HANGING"),
        Self("DISK_NOT_SERVED"),
        Self("DISK_READ_ONLY"),
        Self("DISK_TWICE"),
        Self("DISK_UNTRUSTED"),
        Self("HEALING_LIMITED"),
        Self("INSECURE"),
        Self("LABELS_DIFFER"),
        Self("LOG_FULL"),
        Self("LOG_TAIL_CUT"),
        Self("LOST_TAIL"),
        Self("REMOVAL_DONE"),
        Self("REMOVAL_RUNNING"),
        Self("REMOVAL_STUCK"),
        Self("REPLICAS_HELD_BACK"),
        Self("SERVER_DOWN"),
        Self("SERVER_MAINTENANCE"),
        Self("TRASH_LARGE"),
    ];

    /// The code with this word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.0 == word)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for HealthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// An operator knows of a kind of trouble: it is shown, and costs no health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mute {
    /// When it was muted.
    pub since: Timestamp,
    /// Until then; `None`: until something else ends it.
    pub until: Option<Timestamp>,
    /// How many things it concerned then: with more than these, the mute ends.
    pub amount: u64,
    /// Only time ends it, and operators do.
    pub sticky: bool,
    /// Why, for people; may be empty.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_found_by_their_words_alone() {
        assert!(HealthCode::ALL.is_sorted_by(|one, other| one < other));
        for code in HealthCode::ALL {
            assert_eq!(HealthCode::find(code.word()), Some(*code));
        }
        assert_eq!(HealthCode::find("server_down"), None);
    }
}
