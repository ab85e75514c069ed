//! Holds: what an edit of a class or of labels made dispensable stays for a while.
//!
//! A hold says what was wanted before the edit. Which replicas that concerns follows from it, chunk by chunk, so one edit is one
//! hold however many chunks there are.

use crate::{ClassId, Holder, Labels, StorageClass, Timestamp};
use std::fmt;

/// Most holds of a cluster: with another one that which ends first is ended.
pub const HOLDS_MAX: usize = 256;

/// A hold: the index of the record that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub u64);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What was wanted before an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldCause {
    /// Chunks of a class were wanted as by this definition: it was the class's, or that of the class that their files had.
    Class {
        /// The class that they have now.
        class: ClassId,
        /// What was wanted.
        before: Box<StorageClass>,
    },
    /// A server or a disk had these labels.
    Labels {
        /// Which.
        holder: Holder,
        /// What it had.
        before: Labels,
    },
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What was wanted before.
    pub cause: HoldCause,
    /// When the edit was made.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
}
