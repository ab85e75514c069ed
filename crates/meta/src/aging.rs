//! When files are archived: once they did not change, or were not read either, for as long as their class says.
//!
//! That a file is archived is recorded with it, so that a replay decides nothing anew; that one is due is found by the
//! master, which asks here.

use crate::api::Effect;
use crate::inodes::Inode;
use crate::state::Meta;
use types::{AgeBy, ClassId, FileKind, InodeRef, Timestamp};

impl Meta {
    /// When a file is to be archived, unless it changes before; `None`: not at all as things are.
    pub(crate) fn due_at(&self, inode: &Inode) -> Option<Timestamp> {
        let archive = self.classes.get(ClassId(inode.class))?.archive.as_ref()?;
        let is_young = inode.kind() == FileKind::File && inode.links > 0 && !inode.is_archived();
        if !is_young || inode.length < archive.min_size.max(1) {
            return None;
        }
        let last = match archive.by {
            AgeBy::Changed => inode.changed,
            AgeBy::Modified => inode.modified,
            AgeBy::Accessed => inode.accessed.max(inode.changed),
        };
        Some(last.after(archive.after_s))
    }

    /// Tells that a file ages, if it does.
    pub(crate) fn tell_aging(&self, file: u32, effects: &mut Vec<Effect>) {
        let inode = self.inodes.get(file);
        if self.due_at(inode).is_some() {
            effects.push(Effect::Ages { inode: inode.reference() });
        }
    }

    /// The content of a file changed: it comes back from the archive, if its class lets it, and ages anew. `aged`: it did
    /// before.
    pub(crate) fn rejuvenate(&mut self, file: u32, aged: bool, effects: &mut Vec<Effect>) {
        let inode = self.inodes.get(file);
        let class = self.classes.get(ClassId(inode.class));
        let stays = class.and_then(|class| class.archive.as_ref()).is_some_and(|archive| !archive.reversible);
        if inode.is_archived() && !stays {
            self.inodes.edit(file, |inode| inode.set_archived(false));
            self.tell_stage(file, effects);
        }
        if !aged {
            self.tell_aging(file, effects);
        }
    }

    /// When a file is to be archived, unless it changes before; `None`: not at all as things are.
    pub fn archive_due(&self, inode: InodeRef) -> Option<Timestamp> {
        self.due_at(self.inodes.get(self.inodes.find(inode).ok()?))
    }

    /// Files that are to be archived one day, among so many places of the inode table from this one on, and when; and where
    /// to go on, until all places were looked at.
    pub fn aging_from(&self, place: u32, places: u32) -> (Vec<(InodeRef, Timestamp)>, Option<u32>) {
        let due = |(_, inode): (u32, &Inode)| Some((inode.reference(), self.due_at(inode)?));
        let found = self.inodes.some_from(place, places).filter_map(due).collect();
        let next = place.saturating_add(places);
        (found, (next < self.inodes.end()).then_some(next))
    }
}
