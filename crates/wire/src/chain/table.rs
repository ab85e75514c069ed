//! What the head of a chain remembers of the writes it took, so that a repeat takes effect once.
//!
//! A client that lost its connection sends again what was not answered, and a frame of the dead connection
//! may still be on its way. The table dies with the version of the chunk, and with it all such frames.

use super::Op;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{ChainSequence, Witness};

/// Writes of one session that are in flight or answered and not yet known to have arrived. A client has no
/// more in flight on one chunk, so its `answered_below` moves on before the table is full.
pub const WRITES_REMEMBERED_MAX: usize = 1_024;

/// What became of a write.
#[derive(Clone, Debug)]
pub(super) enum Remembered {
    /// Not answered yet.
    InFlight(Op),
    /// Applied on all members.
    Applied(ChainSequence, Arc<[Witness]>),
}

/// The writes of one session.
#[derive(Debug, Default)]
pub(super) struct Table {
    answered_below: u64,
    writes: BTreeMap<u64, Remembered>,
}

/// What the table says about a frame.
pub(super) enum Seen {
    /// Never seen: to be taken.
    New,
    /// Seen.
    Before(Remembered),
    /// The client has said that it holds the answer: an old copy of the frame.
    Forgotten,
    /// Too many in flight.
    Full,
}

impl Table {
    /// Forgets what the client has the answers of, then looks.
    pub(super) fn look(&mut self, write_id: u64, answered_below: u64) -> Seen {
        if answered_below > self.answered_below {
            self.answered_below = answered_below;
            let kept = self.writes.split_off(&answered_below);
            // A write in flight stays until it is done, whatever the client says.
            let in_flight = std::mem::replace(&mut self.writes, kept);
            self.writes.extend(in_flight.into_iter().filter(|(_, w)| matches!(w, Remembered::InFlight(_))));
        }
        match self.writes.get(&write_id) {
            Some(remembered) => Seen::Before(remembered.clone()),
            None if write_id < self.answered_below => Seen::Forgotten,
            None if self.writes.len() >= WRITES_REMEMBERED_MAX => Seen::Full,
            None => Seen::New,
        }
    }

    pub(super) fn taken(&mut self, write_id: u64, answered_below: u64, op: Op) {
        self.answered_below = self.answered_below.max(answered_below);
        self.writes.insert(write_id, Remembered::InFlight(op));
    }

    pub(super) fn applied(&mut self, write_id: u64, sequence: ChainSequence, witnesses: Arc<[Witness]>) {
        if write_id < self.answered_below {
            self.writes.remove(&write_id);
        } else {
            self.writes.insert(write_id, Remembered::Applied(sequence, witnesses));
        }
    }
}
