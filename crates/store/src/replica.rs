//! One open chunk file: its header, its record table, and the changes to them.
//!
//! Layout: `docs/format/chunk-file.md`. Everything here is called under the chunk's lock
//! ([`crate::cache`]); nothing here knows of other chunks.
//!
//! # Invariants
//! 1. The table in memory is what the file holds; a change that failed half way is reconciled page by
//!    page, or the replica is bad.
//! 2. `synced <= written`; both count changes of the file.
//! 3. A replica with the flag `NEW` was never flushed as a whole; its changes need no marks.

mod edit;
mod holes;
mod settle;
mod stream;
mod torn;

pub(crate) use edit::CheckedWrite;
pub(crate) use settle::Settled;

use crate::StoreError;
use crate::crc::{PAGE, crc32c};
use crate::error::is_exhausted;
use crate::header::{Chosen, Flags, Header, HeaderError, SLOT_BYTES};
use crate::table::{Decoded, TABLE_PAGES, TablePage, blocks_of, place_of, range_of};
use crate::value::{block_value, hole_value};
use bytes::Bytes;
use env::{File, buffer};
use std::io;
use std::sync::{Arc, LazyLock};
use stream::{Row, Stream};
use types::{BLOCK_BYTES, BLOCKS_PER_CHUNK, CHUNK_BYTES, ChunkId, ClusterId, PAGES_PER_BLOCK, Version};

const PAGES: usize = PAGES_PER_BLOCK as usize;
const HEADER_PAGE: usize = 4096;
/// Pages verified with one read.
const VERIFY_PAGES: usize = 256;

/// The table of a chunk of which nothing was written, for all that need it.
static HOLES: LazyLock<[TablePage; TABLE_PAGES]> = LazyLock::new(|| std::array::from_fn(TablePage::holes));

/// What is known of a table page.
#[derive(Clone, Debug)]
pub(crate) enum TableSlot {
    /// Not read yet, or the device could not read it, which is tried again each time.
    Unread,
    /// Nothing of its blocks was ever written.
    Holes,
    /// As in the file.
    Loaded(TablePage),
    /// Its checksum is wrong outside of any mark.
    Damaged,
}

/// An open chunk file.
pub(crate) struct Replica {
    file: Arc<dyn File>,
    chunk: ChunkId,
    header: Header,
    /// The slot that holds `header`.
    slot: usize,
    /// The header in `slot` is durable, so the other slot may be overwritten; and the change that wrote it.
    header_durable: bool,
    header_at: u64,
    table: [TableSlot; TABLE_PAGES],
    /// The first page of the trailer was not written yet.
    fresh: bool,
    /// Changes made, and changes that are durable.
    written: u64,
    synced: u64,
    /// The last change that replaced damaged pages, and the last one of data or records that are at stake if it is lost.
    replaced_at: u64,
    at_stake: u64,
    /// The file's entry in its folder may not be durable.
    pub(crate) entry_unsynced: bool,
    stream: Stream,
}

/// Why a chunk file could not be opened as a replica.
#[derive(Debug)]
pub(crate) enum LoadError {
    Absent,
    /// Made, and nothing of it was ever synced.
    Stub,
    Unreadable(&'static str),
    Disk(io::Error),
}

/// Somebody put something else in its place: that is no fault of the disk.
const NO_FILE: &str = "it is not a regular file";
/// What opening a symbolic link gives.
const ELOOP: i32 = 40;
/// What reading a fifo at an offset gives.
const ESPIPE: i32 = 29;

impl From<io::Error> for LoadError {
    /// Of a file that could not be opened, or of which the header could not be read.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            io::ErrorKind::IsADirectory => Self::Unreadable(NO_FILE),
            _ if matches!(error.raw_os_error(), Some(ELOOP | ESPIPE)) => Self::Unreadable(NO_FILE),
            _ => Self::Disk(error),
        }
    }
}

impl LoadError {
    pub(crate) fn of(self, chunk: ChunkId) -> StoreError {
        match self {
            Self::Absent | Self::Stub => StoreError::Absent { chunk },
            Self::Unreadable(what) => StoreError::DamagedFile { chunk, what },
            Self::Disk(source) => source.into(),
        }
    }
}

/// Reads at an offset; what lies beyond the end of the file is zeroes.
fn read_padded(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let count = file.read_at(buffer, offset)?;
    if let Some(rest) = buffer.get_mut(count..) {
        rest.fill(0);
    }
    Ok(())
}

/// As [`read_padded`]. False: the device cannot read it, which is damage of what is there, as rot is; the buffer is zeroes.
fn read_readable(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    match read_padded(file, buffer, offset) {
        Ok(()) => Ok(true),
        Err(error) if is_exhausted(&error) => Err(error),
        Err(_) => {
            buffer.fill(0);
            Ok(false)
        }
    }
}

impl Replica {
    /// A replica in a file that was just made, complete or filling as the flags say. Nothing is written before
    /// the first change.
    pub(crate) fn new(
        file: Arc<dyn File>,
        chunk: ChunkId,
        version: Version,
        cluster: ClusterId,
        flags: Flags,
        made: u64,
    ) -> Self {
        let table = [const { TableSlot::Holes }; TABLE_PAGES];
        let header = Header { chunk, version, sequence: 1, flags, cluster, tables: 1, torn: 0, made };
        Self {
            file,
            chunk,
            header,
            slot: 0,
            header_durable: false,
            header_at: 0,
            table,
            fresh: true,
            written: 0,
            synced: 0,
            replaced_at: 0,
            at_stake: 0,
            entry_unsynced: true,
            stream: Stream::default(),
        }
    }

    /// Takes an open chunk file and reads the first page of its trailer. Its changes are counted from `opening`.
    pub(crate) fn load(
        file: Arc<dyn File>,
        chunk: ChunkId,
        cluster: ClusterId,
        opening: u64,
    ) -> Result<Self, LoadError> {
        let mut page = vec![0; HEADER_PAGE];
        read_padded(&*file, &mut page, CHUNK_BYTES)?;
        let Chosen { header, slot, other } =
            Header::choose(&page, chunk, cluster).map_err(|error| match error {
                HeaderError::Empty => LoadError::Stub,
                HeaderError::Damaged(what) => LoadError::Unreadable(what),
            })?;
        // Clearing `NEW` is the one header write that no sync follows before a file is closed.
        let was_new = other.is_some_and(|other| other.flags.has(Flags::NEW));
        let table = [const { TableSlot::Unread }; TABLE_PAGES];
        let mut replica = Self {
            file,
            chunk,
            header_durable: header.flags.has(Flags::NEW) || !was_new,
            header,
            slot,
            header_at: opening,
            table,
            fresh: false,
            written: opening,
            synced: opening,
            replaced_at: opening,
            at_stake: opening,
            entry_unsynced: false,
            stream: Stream::default(),
        };
        replica.take_table_page(0, &page[2 * SLOT_BYTES..]);
        Ok(replica)
    }

    pub(crate) fn chunk(&self) -> ChunkId {
        self.chunk
    }
    pub(crate) fn version(&self) -> Version {
        self.header.version
    }
    /// See [`types::Verifier`].
    pub(crate) fn made(&self) -> u64 {
        self.header.made
    }
    pub(crate) fn flags(&self) -> Flags {
        self.header.flags
    }
    pub(crate) fn file(&self) -> Arc<dyn File> {
        Arc::clone(&self.file)
    }
    /// What was written in a row and is to leave for the device, once the lock is released.
    pub(crate) fn take_row(&mut self) -> Option<Row> {
        self.stream.take_row().map(|range| Row { file: self.file(), range })
    }
    pub(crate) fn is_dirty(&self) -> bool {
        self.written != self.synced
    }
    /// Whether nothing is lost if the file is closed without a sync. The error of a bad replica was counted; another
    /// fdatasync proves nothing.
    pub(crate) fn is_clean(&self) -> bool {
        let flags = self.header.flags;
        flags.has(Flags::BAD) || !(self.is_dirty() || self.entry_unsynced || flags.has(Flags::NEW))
    }

    /// Changes so far: no two states of one replica have the same number.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }
    /// A change may be in the page cache that we do not know of.
    pub(crate) fn assume_dirty(&mut self) {
        self.written += 1;
        self.header_at = self.written;
        self.header_durable = false;
        self.at_stake = self.written;
    }
    /// All changes up to `upto` are durable.
    pub(crate) fn set_synced(&mut self, upto: u64) {
        self.synced = self.synced.max(upto);
        self.header_durable |= upto >= self.header_at;
    }
    /// Whether a header that survives is in the file, so that the next one may be written.
    pub(crate) fn has_durable_header(&self) -> bool {
        self.header_durable || !self.header.flags.has(Flags::NEW)
    }

    /// Refuses another version and a bad replica.
    pub(crate) fn check(&self, wanted: Version) -> Result<(), StoreError> {
        let found = self.header.version;
        if found != wanted {
            return Err(StoreError::WrongVersion { chunk: self.chunk, found, wanted });
        }
        if self.header.flags.has(Flags::BAD) {
            return Err(StoreError::Bad { chunk: self.chunk });
        }
        Ok(())
    }

    /// As [`Replica::check`], and refuses one that lacks something.
    pub(crate) fn check_whole(&self, wanted: Version) -> Result<(), StoreError> {
        self.check(wanted)?;
        if self.header.flags.has(Flags::FILLING) {
            return Err(StoreError::Filling { chunk: self.chunk });
        }
        Ok(())
    }

    fn take_table_page(&mut self, page: usize, bytes: &[u8]) {
        self.table[page] = match TablePage::decode(bytes, self.chunk, page) {
            Decoded::Valid(mut table) => {
                self.look_under_holes(&mut table, page);
                TableSlot::Loaded(table)
            }
            Decoded::Unwritten if self.header.tables >> page & 1 == 0 => TableSlot::Holes,
            Decoded::Unwritten | Decoded::Invalid(_) => TableSlot::Damaged,
        };
    }

    /// Whether the records of these pages are in memory (or known to have rotted).
    pub(crate) fn has_table(&self, pages: &std::ops::Range<u32>) -> bool {
        table_pages(pages).all(|page| !matches!(self.table[page], TableSlot::Unread))
    }

    #[cfg(test)]
    pub(crate) fn loaded_table_pages(&self) -> usize {
        self.table.iter().filter(|slot| matches!(slot, TableSlot::Loaded(_))).count()
    }

    /// Reads the records of these pages into memory.
    pub(crate) fn load_table(&mut self, pages: &std::ops::Range<u32>) -> io::Result<()> {
        for page in table_pages(pages) {
            if matches!(self.table[page], TableSlot::Unread) {
                let (at, length) = range_of(page);
                let mut bytes = vec![0; length];
                // It is left as it is: what cannot be read now may be read later.
                if read_readable(&*self.file, &mut bytes, at)? {
                    self.take_table_page(page, &bytes);
                }
            }
        }
        Ok(())
    }

    /// Whether a loaded page of the record table does not match its checksum.
    pub(crate) fn has_damaged_table(&self) -> bool {
        self.table.iter().any(|page| matches!(page, TableSlot::Damaged))
    }

    /// Whether the record of a page can be read, and written. It was loaded before, if it can be.
    pub(crate) fn has_record(&self, page: u32) -> bool {
        let (table, _) = place_of(page as usize / PAGES);
        !matches!(self.table[table], TableSlot::Unread | TableSlot::Damaged)
    }

    /// Whether every loaded page of the record table is sound.
    pub(crate) fn check_table(&self) -> Result<(), StoreError> {
        (0..TABLE_PAGES).try_for_each(|page| self.table_of(page).map(drop))
    }

    /// The table page of a block. It was loaded before.
    fn table_of(&self, page: usize) -> Result<&TablePage, StoreError> {
        match &self.table[page] {
            TableSlot::Loaded(table) => Ok(table),
            TableSlot::Holes => Ok(&HOLES[page]),
            TableSlot::Unread | TableSlot::Damaged => Err(StoreError::DamagedFile {
                chunk: self.chunk,
                what: "a page of its record table is damaged",
            }),
        }
    }

    /// The record of a page: its CRC, and whether it reads as zeroes without looking.
    fn record_of(&self, page: u32) -> Result<(u32, bool), StoreError> {
        let (block, within) = (page as usize / PAGES, page as usize % PAGES);
        let (table, record) = place_of(block);
        if matches!(self.table[table], TableSlot::Unread) {
            return Err(self.mismatch(page));
        }
        let table = self.table_of(table)?;
        Ok((table.records[record].crcs[within], table.is_hole(record, within)))
    }

    /// Reads whole pages and their records. `read` fills a buffer from an offset, or says `None`.
    pub(crate) fn read_pages(
        &self,
        pages: std::ops::Range<u32>,
        mut read: impl FnMut(&dyn File, &mut [u8], u64) -> io::Result<Option<usize>>,
    ) -> Result<Option<Pages>, StoreError> {
        let mut crcs = Vec::with_capacity(pages.len());
        let mut holes = Vec::with_capacity(pages.len());
        for page in pages.clone() {
            let (crc, hole) = self.record_of(page)?;
            crcs.push(crc);
            holes.push(hole);
        }
        if holes.iter().all(|hole| *hole) {
            return Ok(Some(Pages { data: Bytes::new(), crcs: Vec::new(), zeroes: true, read_bytes: 0 }));
        }
        let mut data = buffer::filled(crcs.len() * PAGE);
        let (mut from, mut read_bytes) = (0, 0);
        while from < holes.len() {
            let run = holes[from..].iter().take_while(|hole| **hole == holes[from]).count();
            let buffer = &mut data[from * PAGE..(from + run) * PAGE];
            if holes[from] {
                buffer.fill(0);
            } else {
                let wanted = buffer.len();
                let at = (u64::from(pages.start) + from as u64) * PAGE as u64;
                match read(&*self.file, buffer, at)? {
                    Some(count) if count == wanted => read_bytes += wanted as u64,
                    Some(_) => {
                        let what = "the file is shorter than its data";
                        return Err(StoreError::DamagedFile { chunk: self.chunk, what });
                    }
                    None => return Ok(None),
                }
            }
            from += run;
        }
        Ok(Some(Pages { data: buffer::share(data), crcs, zeroes: false, read_bytes }))
    }

    /// Reads one page and verifies it.
    fn verified_page(&self, page: u32) -> Result<Vec<u8>, StoreError> {
        let mut data = vec![0; PAGE];
        let (crc, hole) = self.record_of(page)?;
        if !hole {
            let readable = read_readable(&*self.file, &mut data, u64::from(page) * PAGE as u64)?;
            if !readable || crc32c(&data) != crc {
                return Err(self.mismatch(page));
            }
        }
        Ok(data)
    }

    /// The pages of a range that do not match their records, torn ones among them.
    pub(crate) fn damaged_pages(&self, pages: std::ops::Range<u32>) -> Result<Vec<u32>, StoreError> {
        let mut damaged = Vec::new();
        for first in pages.clone().step_by(VERIFY_PAGES) {
            let end = (first + VERIFY_PAGES as u32).min(pages.end);
            match self.read_blocking(first..end) {
                Ok(Some(read)) => {
                    for (n, (page, crc)) in read.data.chunks_exact(PAGE).zip(&read.crcs).enumerate() {
                        if crc32c(page) != *crc {
                            damaged.push(first + n as u32);
                        }
                    }
                }
                Ok(None) => {}
                // A sector that cannot be read damages the page that it is in, or those whose records are in it.
                Err(StoreError::Disk { .. } | StoreError::Damaged { .. } | StoreError::Torn { .. }) => {
                    damaged.extend((first..end).filter(|page| self.verified_page(*page).is_err()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }

    /// Reads pages, waiting for the device; `None` if all are zeroes.
    fn read_blocking(&self, pages: std::ops::Range<u32>) -> Result<Option<Pages>, StoreError> {
        let read = self.read_pages(pages, |file, buffer, at| file.read_at(buffer, at).map(Some))?;
        Ok(read.filter(|read| !read.zeroes))
    }

    /// The chaining value of a block, and whether it had to be computed.
    pub(crate) fn block_value(&self, block: usize) -> Result<([u8; 32], bool), StoreError> {
        let (table, record) = place_of(block);
        if matches!(self.table[table], TableSlot::Unread) {
            return Err(self.mismatch((block * PAGES) as u32));
        }
        let value = self.table_of(table)?.records[record].value;
        if value == crate::table::HOLE {
            return Ok((hole_value(block), false));
        }
        if value != crate::table::PENDING {
            return Ok((value, false));
        }
        let first = (block * PAGES) as u32;
        let pages = first..first + PAGES_PER_BLOCK;
        let read = match self.read_blocking(pages.clone()) {
            // Which page is it that cannot be read?
            Err(error @ StoreError::Disk { .. }) => {
                let damaged = self.damaged_pages(pages)?;
                return Err(damaged.first().map_or(error, |page| self.mismatch(*page)));
            }
            read => read?,
        };
        let Some(read) = read else {
            return Ok((hole_value(block), false));
        };
        for (page, (data, crc)) in (first..).zip(read.data.chunks_exact(PAGE).zip(&read.crcs)) {
            if crc32c(data) != *crc {
                return Err(self.mismatch(page));
            }
        }
        Ok((block_value(block, &read.data), true))
    }

    /// Keeps computed chaining values; they reach the file with the next change of their table page.
    pub(crate) fn keep_values(&mut self, values: &[(usize, [u8; 32])]) {
        for (block, value) in values {
            let (page, record) = place_of(*block);
            if let TableSlot::Loaded(table) = &mut self.table[page]
                && table.records[record].value == crate::table::PENDING
            {
                table.records[record].value = *value;
            }
        }
    }

    /// Writes the header; durable with the next sync. It goes to the other slot, or, if the header in this
    /// one is not durable, to the same slot again: so the last durable header is never overwritten.
    fn write_header(&mut self) -> io::Result<()> {
        if self.fresh {
            return Ok(());
        }
        self.header.sequence += 1;
        let slot = if self.header_durable { 1 - self.slot } else { self.slot };
        self.written += 1;
        self.file.write_at(&self.header.encode(), CHUNK_BYTES + (slot * SLOT_BYTES) as u64)?;
        (self.slot, self.header_durable, self.header_at) = (slot, false, self.written);
        Ok(())
    }

    /// Changes flags, in memory in any case.
    pub(crate) fn set_flags(&mut self, set: u16, clear: u16) -> io::Result<()> {
        let before = self.header.flags;
        self.header.flags.set(set);
        self.header.flags.clear(clear);
        if self.header.flags == before { Ok(()) } else { self.write_header() }
    }

    /// A sync failed. If nothing is lost but what was to replace damaged pages, the others are as they were, and may be the last ones:
    /// it stays damaged. Else it is bad.
    pub(crate) fn lost(&mut self) {
        let at_stake = self.at_stake > self.synced || self.entry_unsynced;
        if self.replaced_at > self.synced && !at_stake { self.set_worn() } else { self.set_bad() }
    }

    /// Damaged for good, as long as it is not made anew.
    pub(crate) fn set_worn(&mut self) {
        if let Err(error) = self.set_flags(Flags::DAMAGED | Flags::WORN, 0) {
            tracing::warn!(chunk = %self.chunk, %error, "a replica cannot be mended and its header cannot say so");
        }
    }

    /// The disk lost something: neither read nor written until it is rewritten. The flag is written if
    /// the disk lets us; in memory it holds anyway.
    pub(crate) fn set_bad(&mut self) {
        if let Err(error) = self.set_flags(Flags::BAD, 0) {
            tracing::warn!(chunk = %self.chunk, %error, "a replica is bad and its header cannot say so");
        }
    }

    /// The chunk is flushed and no change follows unmarked: the header need not say `NEW` any more. This
    /// costs no sync: should the old header come back, more is verified than needed.
    pub(crate) fn clear_new(&mut self) -> io::Result<()> {
        if self.is_dirty() || self.entry_unsynced || !self.header.flags.has(Flags::NEW) {
            return Ok(());
        }
        self.set_flags(0, Flags::NEW)?;
        // What is not synced now is only this flag.
        self.synced = self.written;
        Ok(())
    }

    /// Takes it as the beginning of another replica, which lacks something, in the header. Durable with the next sync.
    pub(crate) fn set_filling(&mut self, made: u64) -> io::Result<()> {
        self.header.made = made;
        self.header.flags.set(Flags::FILLING);
        self.header.flags.clear(Flags::COMPLETE);
        self.write_header()
    }

    /// Names this replica anew, in the header. Durable with the next sync; a loss of power gives it another boot anyway.
    pub(crate) fn set_made(&mut self, made: u64) -> io::Result<()> {
        let before = std::mem::replace(&mut self.header.made, made);
        self.write_header().inspect_err(|_| self.header.made = before)
    }

    /// Takes the version to `to`, in the header. Durable with the next sync.
    pub(crate) fn set_version(&mut self, to: Version) -> io::Result<()> {
        let before = std::mem::replace(&mut self.header.version, to);
        self.write_header().inspect_err(|_| self.header.version = before)
    }
}

/// Whole pages and their records.
pub(crate) struct Pages {
    pub(crate) data: Bytes,
    pub(crate) crcs: Vec<u32>,
    pub(crate) zeroes: bool,
    /// Bytes that came from the file.
    pub(crate) read_bytes: u64,
}

/// The table pages that hold the records of these pages.
fn table_pages(pages: &std::ops::Range<u32>) -> std::ops::RangeInclusive<usize> {
    let block = |page: u32| (page as usize / PAGES).min(BLOCKS_PER_CHUNK as usize - 1);
    place_of(block(pages.start)).0..=place_of(block(pages.end.saturating_sub(1).max(pages.start))).0
}

/// All pages of a chunk.
pub(crate) const ALL_PAGES: std::ops::Range<u32> = 0..types::PAGES_PER_CHUNK;

/// The regions whose blocks have their records in a table page.
fn regions_of_table(page: usize) -> u16 {
    let blocks = blocks_of(page);
    let bytes = u64::from(BLOCK_BYTES);
    crate::activity::regions(blocks.start as u64 * bytes, blocks.len() as u64 * bytes)
}
