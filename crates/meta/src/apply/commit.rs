//! Commit: what a client tells after its data has reached the chain.
//!
//! The master takes it only if its map says the same: a chunk that differs, that belongs to another place, or
//! that was written under a version since replaced, means that the data is not where it was thought to be,
//! and the client must be told (`Io`). A chunk the map lacks is attached: a new one, or one whose record was
//! in a lost tail of the log.

use super::{Context, Done};
use crate::api::Effect;
use crate::chunks::Chunk;
use crate::sessions::Answer;
use crate::state::Meta;
use std::collections::BTreeSet;
use types::{
    ChunkSlot, ClassId, DirtyChunk, FILE_BYTES_MAX, InodeRef, Stage, Status, TERM_MAX, Timestamp,
    TruncateGeneration,
};

/// The fields of `Op::Commit`.
pub(super) struct Commit<'a> {
    pub(super) truncate_generation: TruncateGeneration,
    pub(super) length: u64,
    pub(super) modified: Option<Timestamp>,
    pub(super) accessed: Option<Timestamp>,
    pub(super) chunks: &'a [DirtyChunk],
    pub(super) clear_privileges: bool,
}

enum Change {
    Attach(DirtyChunk),
    Raise(ChunkSlot, DirtyChunk),
}

impl Meta {
    pub(super) fn commit(
        &mut self,
        inode: InodeRef,
        commit: &Commit<'_>,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let file = self.file(inode)?;
        let known = *self.inodes.get(file);
        if commit.length > FILE_BYTES_MAX {
            return Err(Status::FileTooBig);
        }
        // Else it is from before a truncate, or from after one that is lost with a tail of the log: the client learns the generation by the answer.
        let current = commit.truncate_generation == known.truncate_generation;
        let changes = if current { self.check_dirty(file, commit.chunks, cx)? } else { Vec::new() };

        let aged = self.due_at(&known).is_some();
        let grows = current && commit.length > known.length;
        let wrote =
            grows || commit.modified.is_some() || !commit.chunks.is_empty() || commit.clear_privileges;
        for change in changes {
            self.take_over(file, change, cx);
        }
        self.inodes.edit(file, |inode| {
            if grows {
                inode.length = commit.length;
            }
            inode.accessed = commit.accessed.unwrap_or(inode.accessed);
            if wrote {
                inode.wrote(commit.modified.or(grows.then_some(cx.at)), cx.at);
            }
        });
        if commit.clear_privileges {
            self.clear_privileges(file);
        }
        if wrote {
            self.rejuvenate(file, aged, &mut cx.effects);
        }
        Ok(Done::Changed(Answer::Attributes(self.attributes_at(file))))
    }

    /// What a list of dirty chunks changes, if the map agrees with all of them.
    fn check_dirty(&self, file: u32, dirty: &[DirtyChunk], cx: &Context) -> Result<Vec<Change>, Status> {
        let place = self.inodes.get(file).place;
        let mut changes = Vec::new();
        let mut seen = BTreeSet::new();
        let mut new = BTreeSet::new();
        for chunk in dirty {
            if !seen.insert(chunk.index) {
                return Err(Status::Invalid);
            }
            let minted = chunk.chunk.0 != 0
                && chunk.chunk.term() <= cx.term
                && chunk.version.term <= cx.term
                && cx.term.0 <= TERM_MAX;
            if !minted {
                return Err(Status::Io);
            }
            match self.maps.get(place, chunk.index) {
                Some(slot) => {
                    let known = self.chunks.at(slot);
                    if known.id != chunk.chunk || chunk.version < known.version() {
                        return Err(Status::Io);
                    }
                    if chunk.version > known.version() {
                        changes.push(Change::Raise(slot, *chunk));
                    }
                }
                None if self.chunks.find(chunk.chunk).is_some() || !new.insert(chunk.chunk) => {
                    return Err(Status::Io);
                }
                None => changes.push(Change::Attach(*chunk)),
            }
        }
        Ok(changes)
    }

    fn take_over(&mut self, file: u32, change: Change, cx: &mut Context) {
        match change {
            Change::Attach(DirtyChunk { index, chunk, version }) => {
                let inode = self.inodes.get(file);
                let (class, stage) = (ClassId(inode.class), self.stage_of(inode));
                let slot = self.attach(file, Chunk::new(chunk, version, inode.reference().id, index));
                cx.effects.push(Effect::ChunkBorn { slot, chunk, version, class });
                if stage != Stage::default() {
                    cx.effects.push(Effect::ChunkStage { slot, stage });
                }
            }
            Change::Raise(slot, DirtyChunk { chunk, version, .. }) => {
                self.chunks.set_version(slot, version);
                cx.effects.push(Effect::ChunkVersion { slot, chunk, version });
            }
        }
    }
}
