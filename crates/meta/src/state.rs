//! The state as a whole: its tables, and the small steps that touch more than one of them.

use crate::api::{Boundary, ChunkOwner, ChunkView, Effect};
use crate::chunks::{Chunk, Chunks};
use crate::classes::Classes;
use crate::digest::{Item, Sum, Tag};
use crate::directories::{Child, Directories};
use crate::disks::Disks;
use crate::holds::Holds;
use crate::inodes::{Inode, Inodes};
use crate::limits::Limits;
use crate::maps::Maps;
use crate::mutes::Mutes;
use crate::servers::Servers;
use crate::sessions::Sessions;
use crate::targets::Targets;
use crate::tasks::Tasks;
use crate::trash::{Entry, Trash};
use crate::xattrs::Xattrs;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use types::{
    Attributes, ChunkIndex, ChunkSlot, ClassId, ClusterId, FileKind, InodeId, InodeRef, LogIndex, Name,
    Stage, Status, Term, Timestamp,
};

/// The namespace: all of what the log says, and nothing else.
#[derive(Debug, Default)]
pub struct Meta {
    pub(crate) inodes: Inodes,
    pub(crate) directories: Directories,
    pub(crate) chunks: Chunks,
    pub(crate) maps: Maps,
    pub(crate) targets: Targets,
    pub(crate) xattrs: Xattrs,
    pub(crate) sessions: Sessions,
    pub(crate) disks: Disks,
    pub(crate) servers: Servers,
    pub(crate) classes: Classes,
    pub(crate) tasks: Tasks,
    pub(crate) trash: Trash,
    pub(crate) mutes: Mutes,
    pub(crate) limits: Limits,
    pub(crate) holds: Holds,
    /// Inodes without a name that are not in the trash; follows from `links == 0`.
    pub(crate) orphans: BTreeSet<InodeId>,
    pub(crate) position: Position,
}

/// Where the state stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) cluster: Option<ClusterId>,
    /// Named by the last `NewTerm`.
    pub(crate) term: Term,
    /// Of the last record.
    pub(crate) applied_term: Term,
    pub(crate) applied: LogIndex,
    pub(crate) at: Timestamp,
}

impl Meta {
    /// The slot of a directory.
    pub(crate) fn directory(&self, inode: InodeRef) -> Result<u32, Status> {
        let slot = self.inodes.find(inode)?;
        if self.inodes.get(slot).is_directory() { Ok(slot) } else { Err(Status::NotDirectory) }
    }

    /// The slot of a file with content.
    pub(crate) fn file(&self, inode: InodeRef) -> Result<u32, Status> {
        let slot = self.inodes.find(inode)?;
        match self.inodes.get(slot).kind() {
            FileKind::File => Ok(slot),
            FileKind::Directory => Err(Status::IsDirectory),
            _ => Err(Status::Invalid),
        }
    }

    /// The entry table of a directory.
    pub(crate) fn table_of(&self, dir: u32) -> u32 {
        self.inodes.get(dir).place.main
    }

    pub(crate) fn child(&self, slot: u32) -> Child {
        Child { slot, id: InodeId(self.inodes.get(slot).id) }
    }

    /// Entry slot and inode slot of a name.
    pub(crate) fn find_name(&self, dir: u32, name: &Name) -> Option<(u32, u32)> {
        let entry = self.directories.find(self.table_of(dir), name.as_bytes())?;
        Some((entry, self.directories.child(entry)))
    }

    pub(crate) fn attributes_at(&self, slot: u32) -> Attributes {
        let inode = self.inodes.get(slot);
        let (length, chunks) = match inode.kind() {
            FileKind::Directory => (u64::from(self.directories.count(inode.place.main)), 0),
            FileKind::File => (inode.length, self.maps.count(inode.place)),
            _ => (inode.length, 0),
        };
        inode.attributes(length, chunks)
    }

    pub(crate) fn view(&self, slot: ChunkSlot) -> ChunkView {
        let chunk = self.chunks.at(slot);
        ChunkView { slot, index: chunk.index, chunk: chunk.id, version: chunk.version() }
    }

    pub(crate) fn view_and_owner(&self, slot: ChunkSlot) -> (ChunkView, ChunkOwner) {
        let chunk = self.chunks.at(slot);
        let owner = self.inodes.find_id(chunk.owner).expect("a chunk's owner outlives it");
        let inode = self.inodes.get(owner);
        let (class, stage) = (ClassId(inode.class), self.stage_of(inode));
        let owner = ChunkOwner { inode: inode.reference(), index: chunk.index, class, stage };
        (self.view(slot), owner)
    }

    /// In which part of its life a file is.
    pub(crate) fn stage_of(&self, inode: &Inode) -> Stage {
        let trashed = inode.links == 0 && self.trash.contains(InodeId(inode.id));
        Stage { archived: inode.is_archived(), trashed }
    }

    /// A file came into another stage: it is told for each of its chunks.
    pub(crate) fn tell_stage(&self, file: u32, effects: &mut Vec<Effect>) {
        let inode = self.inodes.get(file);
        let stage = self.stage_of(inode);
        let chunks = self.maps.range(inode.place, 0..=u32::MAX);
        effects.extend(chunks.map(|(_, slot)| Effect::ChunkStage { slot, stage }));
    }

    /// Puts a new chunk into a file's map.
    pub(crate) fn attach(&mut self, file: u32, chunk: Chunk) -> ChunkSlot {
        let slot = self.chunks.insert(chunk);
        self.maps.insert(self.inodes.place_mut(file), chunk.index, slot);
        slot
    }

    /// Takes a range of chunks out of a file's map.
    pub(crate) fn detach(&mut self, file: u32, range: RangeInclusive<u32>, effects: &mut Vec<Effect>) {
        let place = self.inodes.get(file).place;
        let victims: Vec<(ChunkIndex, ChunkSlot)> = self.maps.range(place, range).collect();
        for (index, slot) in victims {
            self.maps.remove(self.inodes.place_mut(file), index);
            let chunk = self.chunks.remove(slot);
            effects.push(Effect::ChunkGone { slot, chunk: chunk.id, version: chunk.version() });
        }
    }

    /// The last name of an inode that is not a directory went, or an orphan is reaped: frees it.
    pub(crate) fn free(&mut self, slot: u32, effects: &mut Vec<Effect>) {
        let inode = *self.inodes.get(slot);
        let id = InodeId(inode.id);
        match inode.kind() {
            FileKind::File => self.detach(slot, 0..=u32::MAX, effects),
            FileKind::Symlink => self.targets.remove(id, inode.place.main),
            FileKind::Directory => self.directories.remove_table(inode.place.main),
            FileKind::Fifo | FileKind::Socket | FileKind::CharDevice | FileKind::BlockDevice => {}
        }
        self.xattrs.remove_all(id);
        self.orphans.remove(&id);
        self.inodes.remove(slot);
        effects.push(Effect::InodeGone { inode: inode.reference() });
    }

    /// A name of something that is not a directory went: a further name, the trash, `keep` or nothing holds it. `gone`: what
    /// was its name, and in which directory.
    pub(crate) fn drop_link(
        &mut self,
        slot: u32,
        gone: (u32, &Name),
        keep: bool,
        at: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.inodes.edit(slot, |inode| {
            inode.links -= 1;
            inode.touch(at);
        });
        let inode = self.inodes.get(slot);
        if inode.links > 0 {
            return;
        }
        if let Some(until) = self.trash_until(inode, at) {
            let (inode, bytes) = (inode.reference(), inode.length);
            let path = self.path_of(gone.0, gone.1);
            self.trash.insert(inode.id, Entry { path, deleted: at, until, bytes });
            self.tell_stage(slot, effects);
            if !keep {
                effects.push(Effect::Shelved { inode });
            }
        } else if keep {
            let inode = inode.reference();
            self.orphans.insert(inode.id);
            effects.push(Effect::Orphaned { inode });
        } else {
            self.free(slot, effects);
        }
    }

    /// Makes an inode and what belongs to it; it has no name yet.
    pub(crate) fn make_inode(&mut self, mut inode: Inode, parent: u32, target: &[u8]) -> u32 {
        let id = InodeId(inode.id);
        match inode.kind() {
            FileKind::Directory => {
                inode.place.main = self.directories.add_table(inode.table_id(), 0);
                inode.place.side = parent;
            }
            FileKind::Symlink => inode.place.main = self.targets.insert(id, target),
            FileKind::File
            | FileKind::Fifo
            | FileKind::Socket
            | FileKind::CharDevice
            | FileKind::BlockDevice => {}
        }
        self.inodes.insert(inode)
    }

    /// A [`Boundary`] of a chunk in a map, unless nothing is to be erased.
    pub(crate) fn boundary(&self, slot: ChunkSlot, from: u64, to: u64) -> Boundary {
        Boundary { view: self.view(slot), from: from as u32, to: to as u32 }
    }

    pub(crate) fn position_hash(&self) -> u128 {
        let position = &self.position;
        let cluster = position.cluster.unwrap_or_default();
        Item::<72>::new(Tag::Position)
            .u8(u8::from(position.cluster.is_some()))
            .raw(&cluster.0)
            .u32(position.term.0)
            .u32(position.applied_term.0)
            .u64(position.applied.0)
            .u64(position.at.to_bits())
            .u64(self.inodes.highest().0)
            .hash()
    }

    /// The digest computed anew from all items: for tests and for checking a loaded state.
    pub fn recomputed_digest(&self) -> [u8; 16] {
        let id_of = |slot| InodeId(self.inodes.get(slot).id);
        let links = self.inodes.iter().filter(|(_, inode)| inode.kind() == FileKind::Symlink);
        let targets = links.map(|(_, inode)| (InodeId(inode.id), self.targets.get(inode.place.main)));
        let mut sum = Sum::default();
        sum.add(self.position_hash());
        sum.merge(self.inodes.recomputed());
        sum.merge(self.directories.recomputed(id_of));
        sum.merge(self.chunks.recomputed());
        sum.merge(Targets::recomputed(targets));
        sum.merge(self.xattrs.recomputed());
        sum.merge(self.sessions.recomputed());
        sum.merge(self.disks.recomputed());
        sum.merge(self.servers.recomputed());
        sum.merge(self.classes.recomputed());
        sum.merge(self.tasks.recomputed());
        sum.merge(self.trash.recomputed());
        sum.merge(self.mutes.recomputed());
        sum.merge(self.limits.recomputed());
        sum.merge(self.holds.recomputed());
        sum.to_bytes()
    }
}
