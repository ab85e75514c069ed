//! Holds that have not ended, by the records that made them.
//!
//! # Invariants
//! 1. No two holds have the same cause.

use crate::classes::definition;
use crate::digest::{LongItem, Sum, Tag, labels_and_mark};
use std::collections::BTreeMap;
use types::{ClassId, Hold, HoldCause, HoldId, Holder, Mark, Timestamp};

/// All holds.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    holds: BTreeMap<HoldId, Hold>,
    sum: Sum,
}

fn hash(id: HoldId, hold: &Hold) -> u128 {
    let item = LongItem::new(Tag::Hold).u64(id.0).u64(hold.since.to_bits()).u64(hold.until.to_bits());
    match &hold.cause {
        HoldCause::Class { class, before } => definition(item.u64(0).u64(class.0.into()), before).hash(),
        HoldCause::Labels { holder, before } => {
            let item = match holder {
                Holder::Server(server) => item.u64(1).text(&server.0),
                Holder::Disk(disk) => item.u64(2).text(&disk.0),
            };
            labels_and_mark(item, before, Mark::None).hash()
        }
    }
}

impl Holds {
    pub(crate) fn get(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id)
    }
    /// The one with this cause.
    pub(crate) fn find(&self, cause: &HoldCause) -> Option<HoldId> {
        self.iter().find(|(_, hold)| hold.cause == *cause).map(|(id, _)| id)
    }
    /// The one that ends first.
    pub(crate) fn first_to_end(&self) -> Option<HoldId> {
        self.iter().min_by_key(|(id, hold)| (hold.until, *id)).map(|(id, _)| id)
    }
    /// Those of chunks of this class.
    pub(crate) fn of_class(&self, class: ClassId) -> Vec<HoldId> {
        let is_of = |hold: &Hold| matches!(hold.cause, HoldCause::Class { class: of, .. } if of == class);
        self.iter().filter(|(_, hold)| is_of(hold)).map(|(id, _)| id).collect()
    }
    /// Those of labels of this server or disk.
    pub(crate) fn of_holder(&self, holder: Holder) -> Vec<HoldId> {
        let is_of = |hold: &Hold| matches!(hold.cause, HoldCause::Labels { holder: of, .. } if of == holder);
        self.iter().filter(|(_, hold)| is_of(hold)).map(|(id, _)| id).collect()
    }
    pub(crate) fn set(&mut self, id: HoldId, hold: Hold) {
        self.remove(id);
        self.sum.add(hash(id, &hold));
        self.holds.insert(id, hold);
    }
    /// The hold lasts until then.
    pub(crate) fn prolong(&mut self, id: HoldId, until: Timestamp) {
        if let Some(hold) = self.get(id).cloned() {
            self.set(id, Hold { until, ..hold });
        }
    }
    pub(crate) fn remove(&mut self, id: HoldId) -> bool {
        let gone = self.holds.remove(&id);
        gone.inspect(|hold| self.sum.take(hash(id, hold))).is_some()
    }
    pub(crate) fn len(&self) -> usize {
        self.holds.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (HoldId, &Hold)> {
        self.holds.iter().map(|(id, hold)| (*id, hold))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(id, hold)| sum.add(hash(id, hold)));
        sum
    }
}
