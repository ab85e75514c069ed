//! Which files are to be archived, by when: an index of times, so that a tick looks at those whose time has come and at no
//! others.
//!
//! A file is put in when it begins to age, and looked at when that time has come; if it changed meanwhile, it is put in again
//! at its new time. So a write costs nothing here. After a start, and when a class gets an archive, a walk over the table of
//! inodes finds what ages, a part at each tick.
//!
//! # Invariants
//! 1. A file that is to be archived one day is in the index at that time or before, or the walk has yet to come to it.
//! 2. A file is in the index once at most, and no longer than it exists.
//! 3. A tick looks at no more than [`LOOKED_MAX`] files whose time has come and [`PLACES_MAX`] places of the table, and makes one
//!    record of at most [`ARCHIVED_MAX`] files.

use super::Core;
use std::collections::{BTreeMap, BTreeSet};
use types::{ClassId, InodeRef, Op, Timestamp};

/// Files whose time has come that one tick looks at.
const LOOKED_MAX: usize = 1_024;
/// Files of one record.
const ARCHIVED_MAX: usize = 256;
/// Chunks of the files of one record, beyond the first file's: the fleet is told of each.
const CHUNKS_MAX: u32 = 4_096;
/// Places of the table of inodes that one tick looks at: one to two milliseconds.
const PLACES_MAX: u32 = 16_384;

/// See the module.
#[derive(Default)]
pub(super) struct Aging {
    by_time: BTreeSet<(Timestamp, InodeRef)>,
    times: BTreeMap<InodeRef, Timestamp>,
    /// Where the walk goes on; `None`: it is over.
    walk: Option<u32>,
}

impl Aging {
    /// A file is to be looked at, unless it is anyway before.
    fn note(&mut self, inode: InodeRef, due: Timestamp) {
        match self.times.get(&inode) {
            Some(known) if *known <= due => return,
            Some(known) => drop(self.by_time.remove(&(*known, inode))),
            None => {}
        }
        self.by_time.insert((due, inode));
        self.times.insert(inode, due);
    }

    /// A file is no more.
    pub(super) fn gone(&mut self, inode: InodeRef) {
        if let Some(due) = self.times.remove(&inode) {
            self.by_time.remove(&(due, inode));
        }
    }

    /// Takes out a file whose time has come.
    fn pop(&mut self, now: Timestamp) -> Option<InodeRef> {
        let (due, inode) = *self.by_time.first().filter(|(due, _)| *due <= now)?;
        self.by_time.remove(&(due, inode));
        self.times.remove(&inode);
        Some(inode)
    }
}

impl Core {
    /// A file begins to age, or is older than was thought.
    pub(super) fn note_aging(&mut self, inode: InodeRef) {
        if let Some(due) = self.meta.archive_due(inode) {
            self.aging.note(inode, due);
        }
    }

    /// What has these classes may have begun to age: it is looked for.
    pub(super) fn look_for_aging(&mut self, class: Option<ClassId>) {
        let archives = |id| self.meta.class(id).is_some_and(|class| class.archive.is_some());
        let any = match class {
            Some(class) => archives(class),
            None => self.meta.classes().any(|(_, class)| class.archive.is_some()),
        };
        if any {
            self.aging.walk = Some(0);
        }
    }

    /// Goes on with the walk, and archives what has its time.
    pub(super) fn archive_aged(&mut self) {
        if let Some(place) = self.aging.walk {
            let (found, next) = self.meta.aging_from(place, PLACES_MAX);
            found.into_iter().for_each(|(inode, due)| self.aging.note(inode, due));
            self.aging.walk = next;
        }
        let now = self.record_time();
        let (mut inodes, mut looked, mut chunks) = (Vec::new(), 0, 0u32);
        while looked < LOOKED_MAX
            && inodes.len() < ARCHIVED_MAX
            && chunks < CHUNKS_MAX
            && let Some(inode) = self.aging.pop(now)
        {
            looked += 1;
            match self.meta.archive_due(inode) {
                Some(due) if due > now => self.aging.note(inode, due),
                Some(_) => {
                    chunks = chunks.saturating_add(self.meta.attributes(inode).map_or(0, |file| file.chunks));
                    inodes.push(inode);
                }
                None => {}
            }
        }
        if inodes.is_empty() {
            return;
        }
        let files = inodes.len();
        match self.log(None, Op::Archive { inodes: inodes.clone() }).reply {
            Ok(_) => tracing::debug!(files, "files were archived"),
            Err(status) => {
                // Most likely the log has no room; the next tick tries again.
                tracing::warn!(%status, "files cannot be archived now");
                inodes.into_iter().for_each(|inode| self.aging.note(inode, now));
            }
        }
    }
}
