//! Deleted files that are kept: what they were called, and until when.
//!
//! The inode, its attributes and its chunks stay where they are in the other tables; only its name is gone. How long it is
//! kept is decided when it is deleted, by the class that it has then.
//!
//! # Invariants
//! 1. What is here is a file without a name, and not among the orphans.
//! 2. Entries change only through functions here that keep the digest, the order by time, and the sum of lengths.

use crate::api::{TrashUse, Trashed};
use crate::digest::{LongItem, Sum, Tag};
use crate::inodes::Inode;
use crate::state::Meta;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use types::{ClassId, FileKind, InodeId, InodeRef, Timestamp};

/// One deleted file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: Box<[u8]>,
    pub(crate) deleted: Timestamp,
    pub(crate) until: Timestamp,
    /// Its length when it came here. Who has it open may still write; the digest does not know this.
    pub(crate) bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Trash {
    entries: BTreeMap<InodeId, Entry>,
    by_time: BTreeSet<(Timestamp, InodeId)>,
    bytes: u64,
    sum: Sum,
}

fn hash(inode: InodeId, entry: &Entry) -> u128 {
    LongItem::new(Tag::Trashed)
        .u64(inode.0)
        .text(&entry.path)
        .u64(entry.deleted.to_bits())
        .u64(entry.until.to_bits())
        .hash()
}

impl Trash {
    pub(crate) fn contains(&self, inode: InodeId) -> bool {
        self.entries.contains_key(&inode)
    }

    /// Puts in a file that is not there yet.
    pub(crate) fn insert(&mut self, inode: InodeId, entry: Entry) {
        self.sum.add(hash(inode, &entry));
        self.by_time.insert((entry.until, inode));
        self.bytes = self.bytes.wrapping_add(entry.bytes);
        self.entries.insert(inode, entry);
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, inode: InodeId) -> bool {
        let Some(entry) = self.entries.remove(&inode) else { return false };
        self.sum.take(hash(inode, &entry));
        self.by_time.remove(&(entry.until, inode));
        self.bytes = self.bytes.wrapping_sub(entry.bytes);
        true
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (InodeId, &Entry)> {
        self.entries.iter().map(|(inode, entry)| (*inode, entry))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(inode, entry)| sum.add(hash(inode, entry)));
        sum
    }
}

impl Meta {
    /// Until when a file that has just lost its last name is kept; `None`: it is not.
    pub(crate) fn trash_until(&self, inode: &Inode, at: Timestamp) -> Option<Timestamp> {
        let class = self.classes.get(ClassId(inode.class))?;
        let kept = inode.kind() == FileKind::File && class.trash_keep_s > 0;
        kept.then(|| at.after(class.trash_keep_s))
    }

    fn trashed(&self, inode: InodeId, entry: &Entry) -> Trashed {
        let slot = self.inodes.find_id(inode).expect("what is in the trash exists until it is reaped");
        let class = ClassId(self.inodes.get(slot).class);
        let (path, deleted, until) = (entry.path.to_vec(), entry.deleted, entry.until);
        Trashed { attributes: self.attributes_at(slot), class, path, deleted, until }
    }

    /// Deleted files above this number, in order; at most so many.
    pub fn trash_after(&self, after: InodeId, count: usize) -> Vec<Trashed> {
        let above = self.trash.entries.range((Bound::Excluded(after), Bound::Unbounded));
        above.take(count).map(|(inode, entry)| self.trashed(*inode, entry)).collect()
    }

    /// A deleted file.
    pub fn trash_entry(&self, inode: InodeRef) -> Option<Trashed> {
        self.inodes.find(inode).ok()?;
        self.trash.entries.get(&inode.id).map(|entry| self.trashed(inode.id, entry))
    }

    /// Deleted files that are kept no longer at this time, first those whose time is longest over; at most so many.
    pub fn trash_due(&self, now: Timestamp, count: usize) -> Vec<InodeRef> {
        let due = self.trash.by_time.iter().take_while(|(until, _)| *until <= now).take(count);
        let slot_of =
            |inode| self.inodes.find_id(inode).expect("what is in the trash exists until it is reaped");
        due.map(|(_, inode)| self.inodes.get(slot_of(*inode)).reference()).collect()
    }

    /// How much is in the trash.
    pub fn trash_use(&self) -> TrashUse {
        let next = self.trash.by_time.first().map(|(until, _)| *until);
        TrashUse { files: self.trash.entries.len() as u64, bytes: self.trash.bytes, next }
    }
}
