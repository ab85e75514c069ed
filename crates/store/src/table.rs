//! The record table of a chunk file: one 96-byte record per block, in pages with a checksum each.
//!
//! The layout is in `docs/format/chunk-file.md`. Page 0 shares its 4 KiB with the header slots.
//!
//! # Invariants
//! 1. A page whose CRC is `ZERO_PAGE_CRC` reads as zeroes, whatever the data area holds, unless its
//!    block has the *look* bit.
//! 2. The look bit is set when a block takes a page that has that CRC without being zeroes, or has bytes where it should have none.
//! 3. A block of which every page reads as zeroes has the value `HOLE`.

use crate::crc::crc32c;
use crate::header::{u16_at, u32_at, u64_at};
use types::{BLOCKS_PER_CHUNK, CHUNK_BYTES, ChunkId, PAGES_PER_BLOCK, ZERO_PAGE_CRC};

/// Pages of the table.
pub(crate) const TABLE_PAGES: usize = 25;
/// Records in page 0, which also holds the header slots.
pub(crate) const FIRST_RECORDS: usize = 31;
/// Records in each other page.
pub(crate) const MORE_RECORDS: usize = 42;
const RECORD_BYTES: usize = 96;
const BLOCKS: usize = BLOCKS_PER_CHUNK as usize;
const PAGES: usize = PAGES_PER_BLOCK as usize;
const MAGIC: &[u8; 4] = b"MSKT";
const FIRST_AT: u64 = 1024;
const FIRST_BYTES: usize = 4096 - FIRST_AT as usize;
const FIRST_HEAD: usize = 96;
const MORE_HEAD: usize = 64;

const _: () = assert!(FIRST_HEAD + FIRST_RECORDS * RECORD_BYTES == FIRST_BYTES);
const _: () = assert!(MORE_HEAD + MORE_RECORDS * RECORD_BYTES == 4096);
const _: () = assert!(FIRST_RECORDS + (TABLE_PAGES - 1) * MORE_RECORDS >= BLOCKS);
const _: () = assert!(FIRST_RECORDS + (TABLE_PAGES - 2) * MORE_RECORDS < BLOCKS);

/// A chaining value that was not computed yet.
pub(crate) const PENDING: [u8; 32] = [0; 32];
/// The value of a block of zeroes, which needs no computing.
pub(crate) const HOLE: [u8; 32] = [0xff; 32];

/// Checksums of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) crcs: [u32; PAGES],
    pub(crate) value: [u8; 32],
}

impl Record {
    pub(crate) const HOLE: Self = Self { crcs: [ZERO_PAGE_CRC; PAGES], value: HOLE };
    /// What bytes of zeroes decode to: a record whose sector never reached the disk.
    pub(crate) const UNWRITTEN: Self = Self { crcs: [0; PAGES], value: PENDING };
}

/// One page of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TablePage {
    pub(crate) records: Vec<Record>,
    /// Bit per record: a page of this block has the CRC of a hole without being one.
    pub(crate) look: u64,
}

/// What was found where a table page belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Valid(TablePage),
    /// All zeroes.
    Unwritten,
    /// Its checksum is wrong; the records as they stand.
    Invalid(TablePage),
}

/// Where the record of a block is: (table page, record in it).
pub(crate) fn place_of(block: usize) -> (usize, usize) {
    match block.checked_sub(FIRST_RECORDS) {
        None => (0, block),
        Some(rest) => (1 + rest / MORE_RECORDS, rest % MORE_RECORDS),
    }
}

/// The blocks whose records are in a table page.
pub(crate) fn blocks_of(page: usize) -> std::ops::Range<usize> {
    match page.checked_sub(1) {
        None => 0..FIRST_RECORDS,
        Some(rest) => {
            let first = FIRST_RECORDS + rest * MORE_RECORDS;
            first..(first + MORE_RECORDS).min(BLOCKS)
        }
    }
}

/// Where a table page is in the file: (offset, length).
pub(crate) fn range_of(page: usize) -> (u64, usize) {
    match page {
        0 => (CHUNK_BYTES + FIRST_AT, FIRST_BYTES),
        page => (CHUNK_BYTES + page as u64 * 4096, 4096),
    }
}

fn head_bytes(page: usize) -> usize {
    if page == 0 { FIRST_HEAD } else { MORE_HEAD }
}

impl TablePage {
    /// Nothing but holes.
    pub(crate) fn holes(page: usize) -> Self {
        Self { records: vec![Record::HOLE; blocks_of(page).len()], look: 0 }
    }

    pub(crate) fn looks(&self, record: usize) -> bool {
        self.look >> record & 1 != 0
    }

    /// No page of this block reads as zeroes without looking.
    pub(crate) fn look_at(&mut self, record: usize) {
        self.look |= 1 << record;
        let value = &mut self.records[record].value;
        if *value == HOLE {
            *value = PENDING;
        }
    }

    /// Whether a page of a block reads as zeroes without looking at the data.
    pub(crate) fn is_hole(&self, record: usize, page: usize) -> bool {
        self.records[record].crcs[page] == ZERO_PAGE_CRC && !self.looks(record)
    }

    /// Stores what changed in one block. `crcs` are (page in block, CRC, looks like a hole without
    /// being one); `value` is the chaining value if it is known.
    pub(crate) fn change(&mut self, record: usize, crcs: &[(usize, u32, bool)], value: Option<[u8; 32]>) {
        let bit = 1 << record;
        if crcs.len() == PAGES {
            self.look &= !bit;
        }
        for (page, crc, look) in crcs {
            self.records[record].crcs[*page] = *crc;
            if *look {
                self.look |= bit;
            }
        }
        let hole = !self.looks(record) && self.records[record].crcs == [ZERO_PAGE_CRC; PAGES];
        let value = value.filter(|value| *value != HOLE).unwrap_or(PENDING);
        self.records[record].value = if hole { HOLE } else { value };
    }

    /// Whether it says the same, and all the values that it has.
    pub(crate) fn is_as_good_as(&self, other: &Self) -> bool {
        let is_known = |(found, wanted): (&Record, &Record)| {
            found.crcs == wanted.crcs && [PENDING, wanted.value].contains(&found.value)
        };
        self.look == other.look && self.records.iter().zip(&other.records).all(is_known)
    }

    pub(crate) fn encode(&self, chunk: ChunkId, page: usize) -> Vec<u8> {
        let head = head_bytes(page);
        let mut bytes = vec![0; range_of(page).1];
        bytes[4..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&chunk.0.to_le_bytes());
        bytes[16..18].copy_from_slice(&(page as u16).to_le_bytes());
        bytes[18..20].copy_from_slice(&(self.records.len() as u16).to_le_bytes());
        bytes[24..32].copy_from_slice(&self.look.to_le_bytes());
        for (slot, record) in bytes[head..].chunks_exact_mut(RECORD_BYTES).zip(&self.records) {
            for (place, crc) in slot.chunks_exact_mut(4).zip(record.crcs) {
                place.copy_from_slice(&crc.to_le_bytes());
            }
            slot[PAGES * 4..].copy_from_slice(&record.value);
        }
        let crc = crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the bytes of a table page; `bytes` may be short at the end of the file.
    pub(crate) fn decode(bytes: &[u8], chunk: ChunkId, page: usize) -> Decoded {
        if crate::crc::is_zeroes(bytes) {
            return Decoded::Unwritten;
        }
        let mut whole = vec![0; range_of(page).1];
        let length = bytes.len().min(whole.len());
        whole[..length].copy_from_slice(&bytes[..length]);
        let count = blocks_of(page).len();
        let records = whole[head_bytes(page)..]
            .chunks_exact(RECORD_BYTES)
            .take(count)
            .map(|slot| {
                let mut record = Record::UNWRITTEN;
                for (n, crc) in record.crcs.iter_mut().enumerate() {
                    *crc = u32_at(slot, n * 4);
                }
                record.value.copy_from_slice(&slot[PAGES * 4..]);
                record
            })
            .collect();
        let decoded = Self { records, look: u64_at(&whole, 24) };
        let valid = crc32c(&whole[4..]) == u32_at(&whole, 0)
            && &whole[4..8] == MAGIC
            && u64_at(&whole, 8) == chunk.0
            && usize::from(u16_at(&whole, 16)) == page
            && usize::from(u16_at(&whole, 18)) == count;
        if valid { Decoded::Valid(decoded) } else { Decoded::Invalid(decoded) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_one_place() {
        let mut seen = 0;
        for page in 0..TABLE_PAGES {
            for (n, block) in blocks_of(page).enumerate() {
                assert_eq!(place_of(block), (page, n));
                assert_eq!(block, seen);
                seen += 1;
            }
        }
        assert_eq!(seen, BLOCKS);
    }

    fn sample(page: usize) -> TablePage {
        let mut table = TablePage::holes(page);
        table.change(3, &[(0, 17, false), (15, ZERO_PAGE_CRC, true)], None);
        let all: Vec<_> = (0..16).map(|n| (n, n as u32 * 77, false)).collect();
        table.change(5, &all, Some([9; 32]));
        table
    }

    #[test]
    fn pages_round_trip_and_every_flipped_bit_is_noticed() {
        for page in [0, 1, 24] {
            let bytes = sample(page).encode(ChunkId(4), page);
            assert_eq!(TablePage::decode(&bytes, ChunkId(4), page), Decoded::Valid(sample(page)));
            assert!(matches!(TablePage::decode(&bytes, ChunkId(5), page), Decoded::Invalid(_)));
            for bit in (0..bytes.len() * 8).step_by(7) {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(matches!(TablePage::decode(&bytes, ChunkId(4), page), Decoded::Invalid(_)));
            }
        }
    }

    #[test]
    fn a_block_of_zeroes_is_a_hole_and_a_collision_is_not() {
        let mut table = sample(1);
        assert!(!table.is_hole(3, 1), "a block with the look bit is looked at");
        let zeroes: Vec<_> = (0..16).map(|n| (n, ZERO_PAGE_CRC, false)).collect();
        table.change(3, &zeroes, Some([1; 32]));
        assert_eq!(table.records[3], Record::HOLE);
        assert!(table.is_hole(3, 15));
    }
}
