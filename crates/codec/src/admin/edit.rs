//! What an edit of a class, of labels, or of the class of files would do, before it is made.

use super::Unmet;
use crate::common::list;
use crate::{Malformed, proto};
use types::REPLICAS_MAX;

/// Parts of a class that ask for replicas.
const PARTS: usize = 4;

/// What a change would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditPlan {
    /// Chunks of which something changes.
    pub chunks: u64,
    /// Replicas to be made.
    pub add: u64,
    /// Bytes of files in them.
    pub add_bytes: u64,
    /// Replicas that are dispensable then.
    pub drop: u64,
    /// Bytes of files in them.
    pub drop_bytes: u64,
    /// Replicas that are wanted then and that no disk can take.
    pub lacking: u64,
    /// Replicas that stay where they are not wanted, since no disk is better.
    pub amiss: u64,
    /// Bytes free on the disks that are in service.
    pub room_bytes: u64,
    /// For so long dispensable replicas are kept.
    pub hold_ms: u64,
    /// Copies that were timed since the master's start.
    pub timed: u64,
    /// How long one took of late.
    pub copy_ms: u64,
    /// Copies that may run at the same time.
    pub at_once: u64,
    /// What the disks cannot give of what the class asks for then.
    pub unmet: Vec<Unmet>,
}

impl From<&EditPlan> for proto::EditPlan {
    fn from(v: &EditPlan) -> Self {
        Self {
            chunks: v.chunks,
            add: v.add,
            add_bytes: v.add_bytes,
            drop: v.drop,
            drop_bytes: v.drop_bytes,
            lacking: v.lacking,
            amiss: v.amiss,
            room_bytes: v.room_bytes,
            hold_ms: v.hold_ms,
            timed: v.timed,
            copy_ms: v.copy_ms,
            at_once: v.at_once,
            unmet: v.unmet.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::EditPlan> for EditPlan {
    type Error = Malformed;
    fn try_from(p: proto::EditPlan) -> Result<Self, Malformed> {
        Ok(Self {
            chunks: p.chunks,
            add: p.add,
            add_bytes: p.add_bytes,
            drop: p.drop,
            drop_bytes: p.drop_bytes,
            lacking: p.lacking,
            amiss: p.amiss,
            room_bytes: p.room_bytes,
            hold_ms: p.hold_ms,
            timed: p.timed,
            copy_ms: p.copy_ms,
            at_once: p.at_once,
            unmet: list(p.unmet, PARTS * REPLICAS_MAX, "what a class lacks")?,
        })
    }
}
