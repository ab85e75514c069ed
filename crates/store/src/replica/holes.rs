//! What lies under a hole.
//!
//! *A page of the record table whose last write was lost is a sound one of a moment ago: it calls pages holes that were written since, and a
//! hole is not read.* So where a file has bytes under a hole, that block is looked at like any other: its pages are read, and
//! match their checksum, that of zeroes, or do not.
//!
//! # Invariants
//! 1. Under a hole the file has zeroes, outside of regions that are being written. Bytes there are damage, and whoever asks whether the
//!    replica is sound is told.
//! 2. In regions that were being written when the process stopped, bytes under a hole are of a write that did not get as far as its
//!    record. Settling replaces them by zeroes.

use super::{PAGES, Replica, read_readable};
use crate::StoreError;
use crate::activity::regions;
use crate::crc::{PAGE, is_zeroes};
use crate::table::{TablePage, blocks_of, place_of};
use env::File;
use std::io;
use types::{BLOCK_BYTES, BLOCKS_PER_CHUNK};

/// Piece in which zeroes are written.
const PIECE: usize = BLOCK_BYTES as usize;

/// Where a file has bytes, asked in ascending order.
pub(super) struct Bytes<'a> {
    file: &'a dyn File,
    /// The first ones at or after the last place that was asked for.
    next: Option<u64>,
}

impl<'a> Bytes<'a> {
    pub(super) fn of(file: &'a dyn File) -> Self {
        Self { file, next: None }
    }

    /// Whether there are any in a page. If the filesystem fails to tell, there are.
    pub(super) fn are_in(&mut self, at: u64) -> bool {
        let next = match self.next.filter(|next| *next >= at) {
            Some(next) => next,
            None => self.file.next_data(at).map_or(at, |next| next.unwrap_or(u64::MAX)),
        };
        self.next = Some(next);
        next < at + PAGE as u64
    }
}

impl Replica {
    /// Whether the file has bytes in a page.
    pub(super) fn has_bytes(&self, at: u64) -> bool {
        Bytes::of(&*self.file).are_in(at)
    }

    /// Whether the device can read a page, and it is zeroes.
    pub(super) fn has_zeroes(&self, at: u64) -> io::Result<bool> {
        let mut data = [0; PAGE];
        Ok(read_readable(&*self.file, &mut data, at)? && is_zeroes(&data))
    }

    /// Has the blocks looked at that have bytes under a hole.
    pub(super) fn look_under_holes(&self, table: &mut TablePage, page: usize) {
        let mut bytes = Bytes::of(&*self.file);
        for (record, block) in blocks_of(page).enumerate() {
            let mut pages = (0..PAGES).filter(|within| table.is_hole(record, *within));
            if pages.any(|within| bytes.are_in(((block * PAGES + within) * PAGE) as u64)) {
                table.look_at(record);
            }
        }
    }

    /// Makes zeroes of what the file has in these regions, of blocks of which no record was ever written. Not durable before the next
    /// sync.
    pub(super) fn clear_unrecorded(&mut self, page: usize, marked: u16) -> io::Result<()> {
        let file = self.file();
        let mut bytes = Bytes::of(&*file);
        for block in blocks_of(page) {
            let at = (block * PAGES * PAGE) as u64;
            if regions(at, BLOCK_BYTES.into()) & marked == 0 {
                continue;
            }
            for within in 0..PAGES {
                let at = at + (within * PAGE) as u64;
                if bytes.are_in(at) {
                    self.written += 1;
                    self.clear(at, PAGE as u64)?;
                }
            }
        }
        Ok(())
    }

    /// The first page that does not match its checksum in a block that is looked at because of what lies, or lay, under its holes. All
    /// records are loaded.
    pub(crate) fn damaged_under_holes(&self) -> Result<Option<u32>, StoreError> {
        for block in 0..BLOCKS_PER_CHUNK {
            let (page, record) = place_of(block as usize);
            if self.table_of(page)?.looks(record) {
                let pages = block * PAGES as u32..(block + 1) * PAGES as u32;
                if let Some(page) = self.damaged_pages(pages)?.first() {
                    return Ok(Some(*page));
                }
            }
        }
        Ok(None)
    }

    /// Gives the room of a range back, or at least replaces its bytes by zeroes.
    pub(super) fn clear(&self, offset: u64, length: u64) -> io::Result<()> {
        self.file.punch_hole(offset, length).or_else(|_| {
            let zeroes = [0; PIECE];
            (0..length).step_by(PIECE).try_for_each(|done| {
                let piece = (length - done).min(PIECE as u64) as usize;
                self.file.write_at(&zeroes[..piece], offset + done)
            })
        })
    }
}
