//! Changing a replica: writes and cuts.
//!
//! Order of steps: verify what came and what is merged with; mark; data; records; header. A stop between
//! two of them leaves pages that do not match their records inside marked regions (or in a new chunk),
//! which `settle` puts right.

use super::{HOLES, PAGES, Replica, TableSlot, read_padded, read_readable, regions_of_table};
use crate::StoreError;
use crate::activity::{Activity, regions};
use crate::crc::{PAGE, Piece, crc32c, looks_like_hole, pieces};
use crate::header::{Flags, SLOT_BYTES};
use crate::report::Write;
use crate::table::{Decoded, TablePage, place_of, range_of};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use types::{BLOCK_BYTES, CHUNK_BYTES, PAYLOAD_BYTES_MAX, ZERO_PAGE_CRC};

/// A write whose payload was verified against its CRCs, before any lock was taken.
pub(crate) struct CheckedWrite<'a> {
    pub(crate) write: Write<'a>,
    /// Pieces with their CRC and whether it is that of a hole although the page is none.
    pieces: Vec<(Piece, u32, bool)>,
    /// The first whole block that `block_values` is about.
    first_value_block: usize,
}

impl<'a> CheckedWrite<'a> {
    /// Verifies every piece.
    pub(crate) fn new(write: Write<'a>) -> Result<Self, StoreError> {
        let length = write.data.len() as u64;
        if length == 0 || length > u64::from(PAYLOAD_BYTES_MAX) {
            return Err(StoreError::Invalid { what: "a write carries 1 byte to 1 MiB" });
        }
        let end = write.offset.saturating_add(length);
        if end > CHUNK_BYTES {
            return Err(StoreError::Invalid { what: "a write ends within the chunk" });
        }
        let cut: Vec<Piece> = pieces(write.offset, length).collect();
        if cut.len() != write.page_crcs.len() {
            return Err(StoreError::Invalid { what: "a write carries one CRC per touched page" });
        }
        let block = u64::from(BLOCK_BYTES);
        let (first, last) = (write.offset.div_ceil(block), end / block);
        if !write.block_values.is_empty() && write.block_values.len() as u64 != last.saturating_sub(first) {
            return Err(StoreError::Invalid { what: "a write carries one value per whole block, or none" });
        }
        let mut checked = Vec::with_capacity(cut.len());
        for (piece, crc) in cut.into_iter().zip(write.page_crcs) {
            let data = piece.of(write.data);
            if crc32c(data) != *crc {
                return Err(StoreError::CorruptPayload { chunk: write.chunk, page: piece.page });
            }
            checked.push((piece, *crc, piece.is_whole() && looks_like_hole(data, *crc)));
        }
        Ok(Self { write, pieces: checked, first_value_block: first as usize })
    }

    /// The pages that it touches.
    pub(crate) fn pages(&self) -> std::ops::Range<u32> {
        let first = self.pieces.first().map_or(0, |(piece, ..)| piece.page);
        first..first + self.pieces.len() as u32
    }

    fn value_of(&self, block: usize) -> Option<[u8; 32]> {
        self.write.block_values.get(block.checked_sub(self.first_value_block)?).copied()
    }
}

/// What becomes of one page.
struct PageChange {
    page: u32,
    crc: u32,
    look: bool,
    /// What it has is not the page, and is to be told from every other one.
    spoilt: bool,
}

/// A change of data and records.
#[derive(Default)]
pub(super) struct Edit<'a> {
    pages: Vec<PageChange>,
    /// Whole pages to write: first page and bytes.
    writes: Vec<(u32, std::borrow::Cow<'a, [u8]>)>,
    /// Byte ranges whose room is given back: offset and length.
    punches: Vec<(u64, u64)>,
    values: BTreeMap<usize, [u8; 32]>,
    /// Its pages did not match their records before, and hold nothing that could be lost.
    replaces: bool,
    /// It makes a cut.
    cuts: bool,
}

/// A cut that was looked at, and not begun.
#[derive(Default)]
pub(crate) struct PlannedCut {
    edit: Edit<'static>,
    /// The first page that is damaged, and is neither made whole nor given up by it.
    pub(crate) damaged: Option<u32>,
    /// Whole pages whose records cannot be read: offset and length of what becomes zeroes without them.
    unrecorded: Vec<(u64, u64)>,
}

/// What a page is beside its record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PageState {
    Sound,
    Torn,
    Damaged,
}

impl Edit<'_> {
    /// A page gets the checksum of the bytes that it has.
    pub(super) fn keep(&mut self, page: u32, data: &[u8]) {
        let crc = crc32c(data);
        self.pages.push(PageChange { page, crc, look: looks_like_hole(data, crc), spoilt: false });
    }

    /// A page that does not match its record gets bytes that are not the page either, and a record that no page has: the one that it had
    /// is that of the page before, which another replica may have.
    fn spoil(&mut self, page: u32, data: Vec<u8>) {
        let crc = match !crc32c(&data) {
            ZERO_PAGE_CRC => ZERO_PAGE_CRC ^ 1,
            crc => crc,
        };
        self.pages.push(PageChange { page, crc, look: false, spoilt: true });
        self.writes.push((page, data.into()));
    }

    fn merged(&mut self, page: u32, data: Vec<u8>) {
        self.keep(page, &data);
        self.writes.push((page, data.into()));
    }
}

impl Replica {
    /// Writes the header of a file that was just made.
    pub(crate) fn begin(&mut self, activity: &Activity) -> Result<(), StoreError> {
        self.apply(Edit::default(), activity)
    }

    /// Carries out a write. The records of its pages are loaded. `replaces`: these pages were damaged.
    pub(crate) fn write(
        &mut self,
        checked: &CheckedWrite<'_>,
        replaces: bool,
        activity: &Activity,
    ) -> Result<(), StoreError> {
        let data = checked.write.data;
        let mut edit = Edit { replaces, ..Edit::default() };
        let mut whole: Option<(u32, usize, usize)> = None;
        for (piece, crc, look) in &checked.pieces {
            if piece.is_whole() {
                edit.pages.push(PageChange { page: piece.page, crc: *crc, look: *look, spoilt: false });
                let (first, from, _) = whole.unwrap_or((piece.page, piece.at, 0));
                whole = Some((first, from, piece.at + PAGE));
            } else {
                let mut page = self.verified_page(piece.page)?;
                page[piece.start..piece.end].copy_from_slice(piece.of(data));
                edit.merged(piece.page, page);
            }
        }
        if let Some((first, from, to)) = whole {
            edit.writes.push((first, data[from..to].into()));
        }
        let pages = checked.pages();
        for block in pages.start as usize / PAGES..=(pages.end as usize - 1) / PAGES {
            if let Some(value) = checked.value_of(block) {
                edit.values.insert(block, value);
            }
        }
        self.apply(edit, activity)
    }

    /// Makes byte ranges read as zeroes, or changes nothing because a page that is to be cut in two is damaged. All records are
    /// loaded.
    pub(crate) fn cut(&mut self, cuts: &[(u64, u64)], activity: &Activity) -> Result<(), StoreError> {
        let planned = self.plan_cut(cuts)?;
        match planned.damaged {
            Some(page) => Err(self.mismatch(page)),
            None => self.carry_out_cut(planned, activity),
        }
    }

    /// What a cut does. All records are loaded. A page that is damaged or torn stays so: its bytes become zeroes in the range, and its
    /// record matches nothing from then on, neither them nor the uncut page of another replica. If what is left is the page on
    /// record, it is that. Where the device cannot read it, all of it becomes zeroes, for what it holds must not come back
    /// uncut. Where its record cannot be read, its bytes are cut, so that the record, if it comes back, does not match.
    pub(crate) fn plan_cut(&self, cuts: &[(u64, u64)]) -> Result<PlannedCut, StoreError> {
        for (from, to) in cuts {
            if from > to || *to > CHUNK_BYTES {
                return Err(StoreError::Invalid { what: "a cut is a range within the chunk" });
            }
        }
        // Edges are merged in memory first, since two cuts may meet in one page.
        let mut edges: BTreeMap<u32, (Vec<u8>, PageState)> = BTreeMap::new();
        let mut gone: BTreeMap<u32, ()> = BTreeMap::new();
        let mut planned = PlannedCut::default();
        for (from, to) in cuts {
            for piece in pieces(*from, to - from) {
                if self.has_record(piece.page) && self.record_of(piece.page)?.1 {
                    continue;
                }
                if piece.is_whole() {
                    gone.insert(piece.page, ());
                } else {
                    let page = match edges.entry(piece.page) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(free) => free.insert(self.page_as_it_is(piece.page)?),
                    };
                    page.0[piece.start..piece.end].fill(0);
                }
            }
        }
        for (page, (data, state)) in edges {
            if gone.contains_key(&page) {
                continue;
            }
            let recorded = self.has_record(page);
            if state == PageState::Damaged {
                planned.damaged.get_or_insert(page);
            }
            match state {
                PageState::Sound => planned.edit.merged(page, data),
                _ if !recorded || self.record_of(page)?.0 == crc32c(&data) => {
                    planned.edit.writes.push((page, data.into()));
                }
                PageState::Torn | PageState::Damaged => planned.edit.spoil(page, data),
            }
        }
        for page in gone.into_keys() {
            let punches = if self.has_record(page) {
                planned.edit.pages.push(PageChange { page, crc: ZERO_PAGE_CRC, look: false, spoilt: false });
                &mut planned.edit.punches
            } else {
                planned.damaged.get_or_insert(page);
                &mut planned.unrecorded
            };
            let at = u64::from(page) * PAGE as u64;
            match punches.last_mut() {
                Some((from, length)) if *from + *length == at => *length += PAGE as u64,
                _ => punches.push((at, PAGE as u64)),
            }
        }
        Ok(planned)
    }

    /// Carries out a cut. If it leaves a page damaged, the header says so durably by now: what is marked and does not match is taken
    /// for torn after a stop, and may keep its bytes.
    pub(crate) fn carry_out_cut(
        &mut self,
        planned: PlannedCut,
        activity: &Activity,
    ) -> Result<(), StoreError> {
        let edit = Edit { cuts: true, ..planned.edit };
        // First what may be refused for want of room, when nothing has been cut.
        if !edit.pages.is_empty() || !edit.writes.is_empty() {
            self.apply(edit, activity)?;
        }
        if !planned.unrecorded.is_empty() {
            self.written += 1;
            self.at_stake = self.written;
        }
        for (offset, length) in &planned.unrecorded {
            self.file.punch_hole(*offset, *length).map_err(StoreError::half_way)?;
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, edit: Edit<'_>, activity: &Activity) -> Result<(), StoreError> {
        let mut blocks: BTreeMap<usize, Vec<(usize, u32, bool)>> = BTreeMap::new();
        let mut marked = 0;
        for change in &edit.pages {
            let (block, within) = (change.page as usize / PAGES, change.page as usize % PAGES);
            blocks.entry(block).or_default().push((within, change.crc, change.look));
            marked |= regions(u64::from(change.page) * PAGE as u64, PAGE as u64);
        }
        let mut tables: BTreeMap<usize, TablePage> = BTreeMap::new();
        for (block, crcs) in &blocks {
            let (page, record) = place_of(*block);
            let table = match tables.entry(page) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => free.insert(self.table_of(page)?.clone()),
            };
            table.change(record, crcs, edit.values.get(block).copied());
        }
        for page in tables.keys().filter(|page| self.header.tables >> **page & 1 == 0) {
            // Its first writing may be cut off in any of its records.
            marked |= regions_of_table(*page);
        }
        activity.hold(self.chunk, marked, self.header.flags.has(Flags::NEW))?;
        self.written += 1;
        if edit.replaces {
            self.replaced_at = self.written;
        } else {
            self.at_stake = self.written;
        }
        if !self.fresh {
            self.reserve(tables.keys().copied())?;
        }
        if let Err(error) = self.carry_out(&edit, tables) {
            if !self.fresh {
                self.reconcile(&edit);
            }
            return Err(if edit.cuts { StoreError::half_way(error) } else { error.into() });
        }
        Ok(())
    }

    /// Writes table pages that never were, as they are now, so that a full disk is noticed before data
    /// of older pages is touched; and says in the header that they exist.
    fn reserve(&mut self, pages: impl Iterator<Item = usize>) -> Result<(), StoreError> {
        let mut more = self.header.tables;
        for page in pages {
            if more >> page & 1 == 0 {
                let bytes = self.table_of(page)?.encode(self.chunk, page);
                self.file.write_at(&bytes, range_of(page).0)?;
                more |= 1 << page;
            }
        }
        let changed = more != self.header.tables;
        self.header.tables = more;
        // The header of a new replica is written again when it stops being new; until then a table page
        // that it does not name speaks for itself.
        if changed && !self.header.flags.has(Flags::NEW) {
            self.write_header()?;
        }
        Ok(())
    }

    fn carry_out(&mut self, edit: &Edit<'_>, tables: BTreeMap<usize, TablePage>) -> io::Result<()> {
        for (page, data) in &edit.writes {
            let offset = u64::from(*page) * PAGE as u64;
            self.file.write_at(data, offset)?;
            self.stream.wrote(offset, data.len() as u64);
        }
        if self.fresh {
            for page in tables.keys() {
                self.header.tables |= 1 << page;
            }
        }
        // The page with the header last: it is what makes a new file a replica.
        for (page, table) in tables.iter().rev() {
            if !(self.fresh && *page == 0) {
                self.file.write_at(&table.encode(self.chunk, *page), range_of(*page).0)?;
            }
        }
        if self.fresh {
            let mut first = self.header.encode().to_vec();
            first.resize(2 * SLOT_BYTES, 0);
            first.extend_from_slice(&tables.get(&0).unwrap_or(&HOLES[0]).encode(self.chunk, 0));
            self.file.write_at(&first, CHUNK_BYTES)?;
            self.fresh = false;
            self.header_at = self.written;
        }
        for (page, table) in tables {
            self.table[page] = TableSlot::Loaded(table);
        }
        for (offset, length) in &edit.punches {
            // The records say zeroes already, but bytes that stay are found under the hole at the next opening.
            self.clear(*offset, *length)?;
        }
        Ok(())
    }

    /// After a failed change: every page is old or new, and its record follows; else something is lost. A page that reads as zeroes
    /// and has bytes that the disk does not let go of is damaged, and so is a new one for whose record there is no room.
    fn reconcile(&mut self, edit: &Edit<'_>) {
        match self.try_reconcile(edit) {
            Ok(false) => {}
            Ok(true) => match self.set_flags(Flags::DAMAGED, 0).map_err(StoreError::from) {
                // The next process finds the page as this one did.
                Ok(()) | Err(StoreError::NoSpace) => {}
                Err(_) => self.lost(),
            },
            Err(_) => self.lost(),
        }
    }

    /// Whether a page is damaged now.
    fn try_reconcile(&mut self, edit: &Edit<'_>) -> Result<bool, StoreError> {
        let mut tables: BTreeMap<usize, TablePage> = BTreeMap::new();
        let (mut data, mut damaged) = (vec![0; PAGE], false);
        for change in &edit.pages {
            let (block, within) = (change.page as usize / PAGES, change.page as usize % PAGES);
            let (page, record) = place_of(block);
            let table = match tables.entry(page) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => free.insert(self.table_of(page)?.clone()),
            };
            let at = u64::from(change.page) * PAGE as u64;
            let hole = self.table_of(page)?.is_hole(record, within);
            // On a full disk not even a hole can be made where there is one.
            if hole && (!self.has_bytes(at) || self.clear(at, PAGE as u64).is_ok()) {
                continue;
            }
            read_padded(&*self.file, &mut data, at)?;
            let found = crc32c(&data);
            if !hole && found == self.table_of(page)?.records[record].crcs[within] {
                continue;
            }
            if found == change.crc || change.spoilt {
                table.change(record, &[(within, change.crc, change.look)], None);
            } else if found != table.records[record].crcs[within] {
                if !hole {
                    return Err(StoreError::Damaged { chunk: self.chunk, page: change.page });
                }
                table.look_at(record);
                damaged = true;
            }
        }
        // The table on the disk may be old, new or half of each: it becomes what it must be. A full disk may refuse even to write
        // what is there once more.
        for (page, table) in tables {
            if self.is_on_disk(page, &table)? {
                self.table[page] = TableSlot::Loaded(table);
                continue;
            }
            let written = self.file.write_at(&table.encode(self.chunk, page), range_of(page).0);
            match written.map_err(StoreError::from) {
                Ok(()) => self.table[page] = TableSlot::Loaded(table),
                Err(StoreError::NoSpace) if self.is_on_disk(page, self.table_of(page)?)? => damaged = true,
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }

    /// Whether a table page is in the file as here, but for values that were computed since.
    fn is_on_disk(&self, page: usize, table: &TablePage) -> Result<bool, StoreError> {
        let (at, length) = range_of(page);
        let mut bytes = vec![0; length];
        if !read_readable(&*self.file, &mut bytes, at)? {
            return Ok(false);
        }
        Ok(match TablePage::decode(&bytes, self.chunk, page) {
            Decoded::Valid(found) => found.is_as_good_as(table),
            Decoded::Unwritten | Decoded::Invalid(_) => false,
        })
    }
}
