//! Truncate and punch: content that goes.
//!
//! Chunks wholly inside the cut leave the map. A chunk at its edge stays and is cut on disk, under a raised
//! version, before the record is made. If the map or the length changed in between so that another chunk
//! lies at the edge, the record is refused with `TryAgain` and the master plans anew.
//!
//! *A writer stores bytes beyond the end and dies before its commit; the file is made longer; its bytes show up where
//! zeroes were promised.* So a length that does not shrink the file has the rest of its last chunk cut too, and is a
//! truncate like any other for writers who have not committed. The record does not insist on it: records of the first
//! logs came without.

use super::{Context, Done};
use crate::api::{Boundary, Cut, Effect};
use crate::sessions::Answer;
use crate::state::Meta;
use std::ops::RangeInclusive;
use types::{CHUNK_BYTES, ChunkIndex, ChunkSlot, FILE_BYTES_MAX, InodeRef, RaisedChunk, Status, Version};

/// What an edit does to a file's map.
pub(crate) struct CutPlan {
    /// Chunks that leave.
    drop: Option<RangeInclusive<u32>>,
    /// Chunks that stay and are cut.
    pub(crate) boundaries: Vec<Boundary>,
    /// Content may have gone: length updates made before are void.
    pub(crate) cuts: bool,
}

/// The chunk indexes from `first` to before `end`.
fn indexes(first: u64, end: u64) -> Option<RangeInclusive<u32>> {
    let last = u32::try_from(end.checked_sub(1)?).ok()?;
    let first = u32::try_from(first).ok()?;
    (first <= last).then_some(first..=last)
}

impl Meta {
    /// Plans an edit of a file as it is now.
    pub(crate) fn plan_cut(&self, file: u32, cut: Cut) -> Result<CutPlan, Status> {
        let inode = self.inodes.get(file);
        let (start, end) = match cut {
            Cut::Length(length) if length > FILE_BYTES_MAX => return Err(Status::FileTooBig),
            Cut::Length(length) if length >= inode.length => {
                return Ok(CutPlan { drop: None, boundaries: Vec::new(), cuts: false });
            }
            Cut::Length(length) => (length, FILE_BYTES_MAX),
            Cut::Range { length: 0, .. } => return Err(Status::Invalid),
            Cut::Range { offset, length } => {
                let end = offset.checked_add(length).filter(|end| *end <= FILE_BYTES_MAX);
                let end = end.ok_or(Status::FileTooBig)?;
                // The last chunk has no content beyond the end of the file.
                (offset, if end >= inode.length { end.next_multiple_of(CHUNK_BYTES) } else { end })
            }
        };
        let drop = indexes(start.div_ceil(CHUNK_BYTES), end / CHUNK_BYTES);
        let mut boundaries = Vec::new();
        let mut push = |index: u64, from: u64, to: u64| {
            let slot = self.maps.get(inode.place, ChunkIndex(index as u32));
            boundaries.extend(slot.map(|slot| self.boundary(slot, from, to)));
        };
        let (first, last) = (start / CHUNK_BYTES, end / CHUNK_BYTES);
        let head = start % CHUNK_BYTES;
        if head != 0 {
            push(first, head, (end - first * CHUNK_BYTES).min(CHUNK_BYTES));
        }
        if !end.is_multiple_of(CHUNK_BYTES) && (first != last || head == 0) {
            push(last, 0, end % CHUNK_BYTES);
        }
        Ok(CutPlan { drop, boundaries, cuts: true })
    }

    /// The last chunk's part beyond the end of the file, if there is such a chunk.
    pub(crate) fn beyond_end(&self, file: u32) -> Option<Boundary> {
        let inode = self.inodes.get(file);
        let (index, from) = (inode.length / CHUNK_BYTES, inode.length % CHUNK_BYTES);
        let slot = self.maps.get(inode.place, ChunkIndex(index as u32)).filter(|_| from != 0)?;
        Some(self.boundary(slot, from, CHUNK_BYTES))
    }

    /// Whether every chunk at the edge was cut, and which versions the record brings. A chunk that was cut
    /// without need is still a chunk whose replicas have a new version.
    fn check_raised(
        &self,
        file: u32,
        plan: &CutPlan,
        raised: &[RaisedChunk],
        cx: &Context,
    ) -> Result<Vec<(ChunkSlot, Version)>, Status> {
        let place = self.inodes.get(file).place;
        let mut versions: Vec<(ChunkSlot, Version)> = Vec::new();
        for raised in raised {
            let slot = self.maps.get(place, raised.index);
            let Some(slot) = slot.filter(|slot| self.chunks.at(*slot).id == raised.chunk) else { continue };
            let twice = versions.iter().any(|(other, _)| *other == slot);
            if twice || raised.version <= self.chunks.at(slot).version() || raised.version.term > cx.term {
                return Err(Status::WrongVersion);
            }
            versions.push((slot, raised.version));
        }
        let all = plan.boundaries.iter().all(|edge| versions.iter().any(|(slot, _)| *slot == edge.view.slot));
        if all { Ok(versions) } else { Err(Status::TryAgain) }
    }

    fn cut(
        &mut self,
        file: u32,
        plan: CutPlan,
        versions: Vec<(ChunkSlot, Version)>,
        length: Option<u64>,
        cx: &mut Context,
    ) {
        let aged = self.due_at(self.inodes.get(file)).is_some();
        let cuts = plan.cuts || !versions.is_empty();
        for (slot, version) in versions {
            self.chunks.set_version(slot, version);
            cx.effects.push(Effect::ChunkVersion { slot, chunk: self.chunks.at(slot).id, version });
        }
        if let Some(range) = plan.drop {
            self.detach(file, range, &mut cx.effects);
        }
        self.inodes.edit(file, |inode| {
            if cuts {
                inode.truncate_generation = inode.truncate_generation.truncated();
            }
            inode.length = length.unwrap_or(inode.length);
            inode.touch_content(cx.at);
        });
        self.rejuvenate(file, aged, &mut cx.effects);
    }

    pub(super) fn set_length(
        &mut self,
        inode: InodeRef,
        length: u64,
        clear_privileges: bool,
        raised: &[RaisedChunk],
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let file = self.file(inode)?;
        let plan = self.plan_cut(file, Cut::Length(length))?;
        let versions = self.check_raised(file, &plan, raised, cx)?;
        self.cut(file, plan, versions, Some(length), cx);
        if clear_privileges {
            self.clear_privileges(file);
        }
        Ok(Done::Changed(Answer::Attributes(self.attributes_at(file))))
    }

    pub(super) fn punch(
        &mut self,
        inode: InodeRef,
        offset: u64,
        length: u64,
        raised: &[RaisedChunk],
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let file = self.file(inode)?;
        let plan = self.plan_cut(file, Cut::Range { offset, length })?;
        let versions = self.check_raised(file, &plan, raised, cx)?;
        self.cut(file, plan, versions, None, cx);
        Ok(Done::Changed(Answer::Attributes(self.attributes_at(file))))
    }

    pub(super) fn forfeit_appends(&mut self, inode: InodeRef) -> Result<Done, Status> {
        let file = self.file(inode)?;
        self.inodes.edit(file, |inode| {
            inode.truncate_generation = inode.truncate_generation.forfeited();
            inode.change_counter += 1;
        });
        Ok(Done::Changed(Answer::Done))
    }
}
