//! The inode table: 88 bytes for each inode, found by number.
//!
//! # Invariants
//! 1. An inode is changed by [`Inodes::edit`] alone, which keeps the digest. [`Place`] is outside of it:
//!    it holds slots, which say where other tables keep what belongs to the inode.
//! 2. What has which class is counted by the same functions.
//! 3. `links` of a directory is 2 + its subdirectories; of anything else, its number of entries.

use crate::api::ClassUse;
use crate::digest::{Item, Sum, Tag};
use crate::index::{Hash, Index};
use crate::slab::{NONE, Slab};
use crate::usage::{Share, Usage};
use types::{
    Attributes, ClassId, FileKind, Generation, InodeId, InodeRef, Owner, Status, Timestamp,
    TruncateGeneration,
};

/// Where other tables keep an inode's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// File: slot of chunk 0. Directory: its entry table. Symlink: its target. Device: its number.
    pub(crate) main: u32,
    /// File: its further chunks in `maps`. Directory: the inode slot of its parent.
    pub(crate) side: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self { main: NONE, side: NONE }
    }
}

/// One inode.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inode {
    pub(crate) id: u64,
    pub(crate) length: u64,
    pub(crate) accessed: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) created: Timestamp,
    pub(crate) change_counter: u64,
    pub(crate) generation: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u32,
    pub(crate) truncate_generation: TruncateGeneration,
    pub(crate) place: Place,
    pub(crate) class: u16,
    /// Twelve bits of mode, above them three of the kind, and whether the file is archived.
    mode_and_kind: u16,
}

const _: () = assert!(size_of::<Inode>() == 88);

const MODE_BITS: u32 = 12;
pub(crate) const MODE_MASK: u16 = (1 << MODE_BITS) - 1;
const KIND_MASK: u8 = 7;
const ARCHIVED: u16 = 1 << 15;

impl Inode {
    pub(crate) fn new(inode: InodeRef, kind: FileKind, mode: u16) -> Self {
        Self {
            id: inode.id.0,
            generation: inode.generation.0,
            mode_and_kind: (u16::from(kind.code()) << MODE_BITS) | (mode & MODE_MASK),
            ..Self::default()
        }
    }
    pub(crate) fn reference(&self) -> InodeRef {
        InodeRef { id: InodeId(self.id), generation: Generation(self.generation) }
    }
    pub(crate) fn kind(&self) -> FileKind {
        FileKind::from_code((self.mode_and_kind >> MODE_BITS) as u8 & KIND_MASK).expect("made from a kind")
    }
    pub(crate) fn mode(&self) -> u16 {
        self.mode_and_kind & MODE_MASK
    }
    pub(crate) fn set_mode(&mut self, mode: u16) {
        self.mode_and_kind = (self.mode_and_kind & !MODE_MASK) | (mode & MODE_MASK);
    }
    /// It did not change for as long as its class says.
    pub(crate) fn is_archived(&self) -> bool {
        self.mode_and_kind & ARCHIVED != 0
    }
    pub(crate) fn set_archived(&mut self, archived: bool) {
        self.mode_and_kind = (self.mode_and_kind & !ARCHIVED) | if archived { ARCHIVED } else { 0 };
    }
    pub(crate) fn is_directory(&self) -> bool {
        self.kind() == FileKind::Directory
    }
    /// Device number of a device node, else 0.
    pub(crate) fn device(&self) -> u32 {
        match self.kind() {
            FileKind::CharDevice | FileKind::BlockDevice => self.place.main,
            _ => 0,
        }
    }
    /// The entry table of a directory, else 0. See `docs/decisions/0002-snapshots-and-entries.md`.
    pub(crate) fn table_id(&self) -> u64 {
        if self.is_directory() { self.id } else { 0 }
    }
    /// Content or attributes changed.
    pub(crate) fn touch(&mut self, at: Timestamp) {
        self.changed = at;
        self.change_counter += 1;
    }
    /// Content changed.
    pub(crate) fn touch_content(&mut self, at: Timestamp) {
        self.modified = at;
        self.touch(at);
    }
    /// Content was written at `modified` by the writer's clock, which is told at `at`. Both times are those of the write,
    /// so that a file does not seem to change again when its last write is told; unless that clock is behind, for a
    /// change must show. Without a time nothing was written since the last one that was told.
    pub(crate) fn wrote(&mut self, modified: Option<Timestamp>, at: Timestamp) {
        self.change_counter += 1;
        if let Some(modified) = modified {
            self.modified = modified;
            self.changed = if modified > self.changed { modified } else { at };
        }
    }
    /// Drops setuid, and setgid where it means a group to run as.
    pub(crate) fn clear_privileges(&mut self) {
        let mode = self.mode();
        let drop = if mode & 0o010 != 0 { 0o6000 } else { 0o4000 };
        self.set_mode(mode & !drop);
    }
    /// What stat(2) shows; `length` and `chunks` of directories and files come from other tables.
    pub(crate) fn attributes(&self, length: u64, chunks: u32) -> Attributes {
        Attributes {
            inode: self.reference(),
            kind: self.kind(),
            mode: self.mode(),
            links: self.links,
            owner: Owner { uid: self.uid, gid: self.gid },
            device: self.device(),
            length,
            chunks,
            accessed: self.accessed,
            modified: self.modified,
            changed: self.changed,
            created: self.created,
            change_counter: self.change_counter,
            truncate_generation: self.truncate_generation,
        }
    }

    /// What it adds to its class.
    fn share(&self) -> Share {
        let bytes = if self.kind() == FileKind::File { self.length } else { 0 };
        Share { class: self.class, bytes }
    }

    fn hash(&self) -> u128 {
        Item::<112>::new(Tag::Inode)
            .u64(self.id)
            .u32(self.generation)
            .u8(self.kind().code())
            .u16(self.mode() | (self.mode_and_kind & ARCHIVED))
            .u16(self.class)
            .u32(self.uid)
            .u32(self.gid)
            .u32(self.links)
            .u32(self.device())
            .u64(self.length)
            .u64(self.accessed.to_bits())
            .u64(self.modified.to_bits())
            .u64(self.changed.to_bits())
            .u64(self.created.to_bits())
            .u64(self.change_counter)
            .u32(self.truncate_generation.0)
            .u64(self.table_id())
            .hash()
    }
}

/// All inodes.
#[derive(Debug, Default)]
pub(crate) struct Inodes {
    slab: Slab<Inode>,
    index: Index,
    sum: Sum,
    usage: Usage,
    highest: u64,
}

impl Inodes {
    pub(crate) fn find_id(&self, id: InodeId) -> Option<u32> {
        self.index.find(Hash::of_number(id.0), |slot| self.slab[slot].id == id.0)
    }

    /// The slot of an inode under the generation by which the caller knows it.
    pub(crate) fn find(&self, inode: InodeRef) -> Result<u32, Status> {
        self.find_id(inode.id)
            .filter(|slot| self.slab[*slot].generation == inode.generation.0)
            .ok_or(Status::Stale)
    }

    pub(crate) fn get(&self, slot: u32) -> &Inode {
        &self.slab[slot]
    }

    pub(crate) fn insert(&mut self, inode: Inode) -> u32 {
        self.sum.add(inode.hash());
        self.usage.add(inode.share());
        self.highest = self.highest.max(inode.id);
        let slot = self.slab.insert(inode);
        let slab = &self.slab;
        self.index.insert(Hash::of_number(inode.id), slot, |slot| Hash::of_number(slab[slot].id));
        slot
    }

    pub(crate) fn edit(&mut self, slot: u32, change: impl FnOnce(&mut Inode)) {
        let inode = &mut self.slab[slot];
        let share = inode.share();
        self.sum.take(inode.hash());
        change(inode);
        self.sum.add(inode.hash());
        if inode.share() != share {
            self.usage.take(share);
            self.usage.add(inode.share());
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Inode {
        self.index.remove(Hash::of_number(self.slab[slot].id), slot);
        let inode = self.slab.remove(slot);
        self.sum.take(inode.hash());
        self.usage.take(inode.share());
        inode
    }

    /// How much has a class.
    pub(crate) fn usage(&self, class: ClassId) -> ClassUse {
        self.usage.of(class)
    }

    /// For files and directories only: their places are slots.
    pub(crate) fn place_mut(&mut self, slot: u32) -> &mut Place {
        &mut self.slab[slot].place
    }

    /// The highest number ever inserted, also of inodes that are gone.
    pub(crate) fn highest(&self) -> InodeId {
        InodeId(self.highest)
    }
    pub(crate) fn raise_highest(&mut self, id: InodeId) {
        self.highest = self.highest.max(id.0);
    }
    /// Inodes in slots from this one on, in order; at most so many slots are looked at.
    pub(crate) fn some_from(&self, slot: u32, slots: u32) -> impl Iterator<Item = (u32, &Inode)> {
        self.slab.some_from(slot, slots)
    }
    /// All slots are below.
    pub(crate) fn end(&self) -> u32 {
        self.slab.end()
    }
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Inode)> {
        self.slab.iter()
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    #[cfg(test)]
    pub(crate) fn damage_sum(&mut self, sum: Sum) {
        self.sum = sum;
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(_, inode)| sum.add(inode.hash()));
        sum
    }
}
