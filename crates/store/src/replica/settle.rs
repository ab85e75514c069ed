//! Looking at a replica after an unclean stop.
//!
//! Inside marked regions (all of a new chunk) a page that does not match its record is *torn*: data and
//! record were two writes, and one of them did not arrive. It stays as it is, and the header names its region
//! until other replicas were asked for it (`torn`). Outside a mismatch is rot. A table page whose own checksum is
//! wrong was torn if any of its blocks is marked; its other records then prove themselves by the data. What the device cannot
//! read matches nothing, and is not written over: it may be read later.
//!
//! What is read here may be in the page cache alone: after a failed fdatasync the kernel takes it for written, shows it, and
//! the next fdatasync says nothing. The header may have been unable to say *bad*, and whoever knew was killed. So all
//! of a marked region, data and records, is written again as it is.

use super::holes::Bytes;
use super::{PAGES, Replica, TableSlot, read_readable, regions_of_table};
use crate::activity::regions;
use crate::crc::{PAGE, crc32c, is_zeroes};
use crate::header::Flags;
use crate::table::{Decoded, Record, TABLE_PAGES, TablePage, blocks_of, range_of};
use std::io;
use types::{BLOCK_BYTES, BLOCKS_PER_CHUNK, ZERO_PAGE_CRC};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) torn_pages: u64,
    /// The regions that they are in.
    torn_regions: u16,
    pub(crate) rotten_pages: u64,
}

impl Replica {
    /// Verifies the marked regions, writes them again and says what is torn. Those that were changed lately and synced are
    /// verified, too: what rotted there is found now, and if it is in a table page, that one is made anew by the data that it
    /// describes. Not durable before the next sync.
    pub(crate) fn settle(&mut self, changed: u16, marked: u16) -> io::Result<Settled> {
        let mut settled = Settled::default();
        for page in 0..TABLE_PAGES {
            let regions = regions_of_table(page);
            if regions & marked != 0 || regions & changed != 0 && self.is_table_damaged(page)? {
                self.settle_table_page(page, marked, &mut settled)?;
            }
        }
        for block in 0..BLOCKS_PER_CHUNK {
            let bytes = u64::from(BLOCK_BYTES);
            if regions(u64::from(block) * bytes, bytes) & changed & !marked != 0 {
                let pages = block * PAGES as u32..(block + 1) * PAGES as u32;
                self.load_table(&pages)?;
                settled.rotten_pages += self.damaged_pages(pages).map_or(0, |damaged| damaged.len() as u64);
            }
        }
        self.at_stake = self.written;
        self.set_torn(settled.torn_regions)?;
        if settled.rotten_pages > 0 {
            self.set_flags(Flags::DAMAGED, 0)?;
        }
        Ok(settled)
    }

    /// Proves what damaged pages of the table say by the data. Not durable before the next sync.
    pub(crate) fn prove_table(&mut self) -> io::Result<Settled> {
        let mut settled = Settled::default();
        for page in 0..TABLE_PAGES {
            if self.is_table_damaged(page)? {
                self.settle_table_page(page, 0, &mut settled)?;
                self.replaced_at = self.written;
            }
        }
        if settled.rotten_pages > 0 {
            self.set_flags(Flags::DAMAGED, 0)?;
        }
        Ok(settled)
    }

    fn is_table_damaged(&mut self, page: usize) -> io::Result<bool> {
        let first = blocks_of(page).start as u32 * PAGES as u32;
        self.load_table(&(first..first + 1))?;
        Ok(matches!(self.table[page], TableSlot::Damaged))
    }

    fn settle_table_page(&mut self, page: usize, marked: u16, settled: &mut Settled) -> io::Result<()> {
        let (at, length) = range_of(page);
        let mut bytes = vec![0; length];
        if !read_readable(&*self.file, &mut bytes, at)? {
            settled.torn_regions |= regions_of_table(page) & marked;
            return Ok(());
        }
        let listed = self.header.tables >> page & 1 != 0;
        let (mut table, valid) = match TablePage::decode(&bytes, self.chunk, page) {
            Decoded::Valid(table) => (table, true),
            Decoded::Unwritten if !listed => {
                self.clear_unrecorded(page, marked)?;
                self.table[page] = TableSlot::Loaded(TablePage::holes(page));
                return Ok(());
            }
            Decoded::Unwritten => {
                (TablePage { records: vec![Record::UNWRITTEN; blocks_of(page).len()], look: 0 }, false)
            }
            Decoded::Invalid(table) => (table, false),
        };
        let file = self.file();
        let mut bytes_in = Bytes::of(&*file);
        for (record, block) in blocks_of(page).enumerate() {
            let region = regions(block as u64 * u64::from(BLOCK_BYTES), u64::from(BLOCK_BYTES));
            let here = region & marked != 0;
            if here || !valid {
                let judge = Judge { region, marked: here, valid };
                self.settle_block(&mut table, (record, block), judge, &mut bytes_in, settled)?;
            }
        }
        self.look_under_holes(&mut table, page);
        self.written += 1;
        self.file.write_at(&table.encode(self.chunk, page), at)?;
        self.table[page] = TableSlot::Loaded(table);
        if !listed {
            self.header.tables |= 1 << page;
            self.write_header()?;
        }
        Ok(())
    }

    fn settle_block(
        &self,
        table: &mut TablePage,
        (record, block): (usize, usize),
        judge: Judge,
        bytes: &mut Bytes<'_>,
        settled: &mut Settled,
    ) -> io::Result<()> {
        let (mut fixes, mut torn) = (Vec::new(), false);
        let mut data = vec![0; PAGE];
        for within in 0..PAGES {
            let at = (block * PAGES + within) as u64 * PAGE as u64;
            if table.is_hole(record, within) {
                if bytes.are_in(at) {
                    settled.rotten_pages += u64::from(!judge.marked && !self.has_zeroes(at)?);
                    if judge.marked {
                        self.clear(at, PAGE as u64)?;
                    }
                }
                continue;
            }
            let readable = read_readable(&*self.file, &mut data, at)?;
            if judge.marked && readable {
                self.file.write_at(&data, at)?;
            }
            if readable && crc32c(&data) == table.records[record].crcs[within] {
                continue;
            }
            // The first writing of this table page was cut off: the page was never written.
            if readable && !judge.valid && judge.marked && is_zeroes(&data) {
                fixes.push((within, ZERO_PAGE_CRC, false));
            } else if judge.marked {
                settled.torn_pages += 1;
                settled.torn_regions |= judge.region;
                torn = true;
            } else {
                settled.rotten_pages += 1;
            }
        }
        if !fixes.is_empty() || torn || !judge.valid {
            // The chaining value may be torn as well: pending.
            table.change(record, &fixes, None);
        }
        Ok(())
    }
}

/// How much a mismatch in a block means.
#[derive(Clone, Copy)]
struct Judge {
    /// The region that the block is in, as a bit.
    region: u16,
    /// The block is in a marked region.
    marked: bool,
    /// Its table page has a valid checksum.
    valid: bool,
}
