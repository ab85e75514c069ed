//! The header of a chunk file: two slots of 512 bytes, written alternately.
//!
//! The layout is in `docs/format/chunk-file.md`. The valid slot with the higher sequence counts, so a
//! header that was torn by a power cut leaves the one before it.

use crate::crc::crc32c;
use crate::report::{InventoryEntry, ReplicaState};
use types::{BLOCK_BYTES, CHUNK_BYTES, ChunkId, ClusterId, PAGE_BYTES, Version};

/// Bytes of a slot: a sector, which a disk writes whole.
pub(crate) const SLOT_BYTES: usize = 512;
const MAGIC: &[u8; 8] = b"MSKXCHNK";
const FORMAT: u16 = 1;
const CRC_AT: usize = SLOT_BYTES - 4;

/// What is known about a replica apart from its data: bits of the state field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u16);

impl Flags {
    pub(crate) const COMPLETE: u16 = 1;
    pub(crate) const FILLING: u16 = 1 << 1;
    pub(crate) const LAGGING: u16 = 1 << 2;
    /// The disk lost a write: not to be read.
    pub(crate) const BAD: u16 = 1 << 3;
    /// Some page does not match its record.
    pub(crate) const DAMAGED: u16 = 1 << 4;
    /// Never flushed as a whole since it was made: any mismatch may be torn.
    pub(crate) const NEW: u16 = 1 << 5;
    /// Has torn pages, in the regions that the header names.
    pub(crate) const TORN: u16 = 1 << 6;
    /// Was being written when the process or the machine stopped.
    pub(crate) const MARKED: u16 = 1 << 7;
    /// Together with `MARKED`: it was the machine, so what was not synced may be gone.
    pub(crate) const POWER_LOST: u16 = 1 << 8;
    /// Together with `DAMAGED`: its disk lost what was to replace damaged pages, so it is not mended in place. The rest is as it was.
    pub(crate) const WORN: u16 = 1 << 9;
    /// Of the index alone: it could not be settled. Not to be read.
    pub(crate) const HELD: u16 = 1 << 10;

    pub(crate) fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }
    pub(crate) fn set(&mut self, bit: u16) {
        self.0 |= bit;
    }
    pub(crate) fn clear(&mut self, bit: u16) {
        self.0 &= !bit;
    }
    /// What the inventory says of a replica with these flags.
    pub(crate) fn entry(self, chunk: ChunkId, version: Version) -> InventoryEntry {
        let state = if self.has(Self::FILLING) {
            ReplicaState::Filling
        } else if self.has(Self::LAGGING) {
            ReplicaState::Lagging
        } else {
            ReplicaState::Complete
        };
        InventoryEntry {
            chunk,
            version,
            state,
            bad: self.has(Self::BAD) || self.has(Self::HELD),
            damaged: self.has(Self::DAMAGED),
            torn: self.has(Self::TORN),
            marked: self.has(Self::MARKED),
            power_lost: self.has(Self::POWER_LOST),
        }
    }
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) chunk: ChunkId,
    pub(crate) version: Version,
    /// Grows with each header written.
    pub(crate) sequence: u64,
    pub(crate) flags: Flags,
    pub(crate) cluster: ClusterId,
    /// Which pages of the record table were ever written; the others are holes.
    pub(crate) tables: u32,
    /// Regions in which a page that does not match its record is torn.
    pub(crate) torn: u16,
    /// Which making of the replica: see [`types::Verifier`].
    pub(crate) made: u64,
}

/// The header that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) header: Header,
    /// The slot that it is in.
    pub(crate) slot: usize,
    /// The one in the other slot, if it is valid.
    pub(crate) other: Option<Header>,
}

/// Why there is no usable header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// No header was ever written to its end: the file was made, and nothing of it ever synced.
    Empty,
    /// Neither slot is valid.
    Damaged(&'static str),
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(MAGIC);
        slot[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        slot[10..12].copy_from_slice(&self.flags.0.to_le_bytes());
        slot[12..14].copy_from_slice(&self.torn.to_le_bytes());
        slot[16..24].copy_from_slice(&self.chunk.0.to_le_bytes());
        slot[24..32].copy_from_slice(&self.version.to_u64().to_le_bytes());
        slot[32..40].copy_from_slice(&self.sequence.to_le_bytes());
        slot[40..56].copy_from_slice(&self.cluster.0);
        slot[56..60].copy_from_slice(&(CHUNK_BYTES as u32).to_le_bytes());
        slot[60..64].copy_from_slice(&BLOCK_BYTES.to_le_bytes());
        slot[64..68].copy_from_slice(&PAGE_BYTES.to_le_bytes());
        slot[68..72].copy_from_slice(&self.tables.to_le_bytes());
        slot[72..80].copy_from_slice(&self.made.to_le_bytes());
        let crc = crc32c(&slot[..CRC_AT]);
        slot[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    fn decode(slot: &[u8], chunk: ChunkId, cluster: ClusterId) -> Result<Self, &'static str> {
        if slot.len() != SLOT_BYTES || &slot[..8] != MAGIC {
            return Err("no header");
        }
        if crc32c(&slot[..CRC_AT]) != u32_at(slot, CRC_AT) {
            return Err("the header does not match its checksum");
        }
        if u16_at(slot, 8) != FORMAT {
            return Err("the header was written by a newer release");
        }
        if u64_at(slot, 16) != chunk.0 {
            return Err("the header names another chunk");
        }
        if slot[40..56] != cluster.0 {
            return Err("the header names another cluster");
        }
        let geometry = [u32_at(slot, 56), u32_at(slot, 60), u32_at(slot, 64)];
        if geometry != [CHUNK_BYTES as u32, BLOCK_BYTES, PAGE_BYTES] {
            return Err("the header has another geometry");
        }
        Ok(Self {
            chunk,
            version: Version::from_u64(u64_at(slot, 24)).ok_or("the header has an impossible version")?,
            sequence: u64_at(slot, 32),
            flags: Flags(u16_at(slot, 10)),
            cluster,
            tables: u32_at(slot, 68),
            torn: u16_at(slot, 12),
            made: u64_at(slot, 72),
        })
    }

    /// The header that counts, from the first page of the trailer.
    pub(crate) fn choose(page: &[u8], chunk: ChunkId, cluster: ClusterId) -> Result<Chosen, HeaderError> {
        let slot = |n: usize| {
            let bytes = page.get(n * SLOT_BYTES..(n + 1) * SLOT_BYTES).unwrap_or_default();
            Self::decode(bytes, chunk, cluster)
        };
        match (slot(0), slot(1)) {
            (Ok(a), Ok(b)) if b.sequence > a.sequence => Ok(Chosen { header: b, slot: 1, other: Some(a) }),
            (Ok(a), b) => Ok(Chosen { header: a, slot: 0, other: b.ok() }),
            (Err(_), Ok(b)) => Ok(Chosen { header: b, slot: 1, other: None }),
            (Err(_), Err(_)) if never_written(page) => Err(HeaderError::Empty),
            (Err(a), Err(b)) => Err(HeaderError::Damaged(if a == "no header" { b } else { a })),
        }
    }
}

/// The first header goes to slot 0 and its checksum is its end; slot 1 is written only after that.
fn never_written(page: &[u8]) -> bool {
    page.get(CRC_AT..2 * SLOT_BYTES).is_none_or(crate::crc::is_zeroes)
}

/// Little-endian fields at fixed offsets of a buffer whose length was checked.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}
/// See [`u16_at`].
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}
/// See [`u16_at`].
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Term;

    fn header(sequence: u64) -> Header {
        Header {
            chunk: ChunkId(7),
            version: Version { term: Term(3), counter: 9 },
            sequence,
            flags: Flags(Flags::COMPLETE | Flags::TORN),
            cluster: ClusterId([5; 16]),
            tables: 0b101,
            torn: 0b11,
            made: 6,
        }
    }

    fn page(a: Option<Header>, b: Option<Header>) -> Vec<u8> {
        let mut page = vec![0; 4096];
        if let Some(a) = a {
            page[..512].copy_from_slice(&a.encode());
        }
        if let Some(b) = b {
            page[512..1024].copy_from_slice(&b.encode());
        }
        page
    }

    fn choose(page: &[u8]) -> Result<(Header, usize), HeaderError> {
        Header::choose(page, ChunkId(7), ClusterId([5; 16])).map(|chosen| (chosen.header, chosen.slot))
    }

    #[test]
    fn the_valid_slot_with_the_higher_sequence_counts() {
        assert_eq!(choose(&page(Some(header(4)), Some(header(5)))), Ok((header(5), 1)));
        assert_eq!(choose(&page(Some(header(6)), Some(header(5)))), Ok((header(6), 0)));
        let mut torn = page(Some(header(6)), Some(header(5)));
        torn[100] ^= 1;
        assert_eq!(choose(&torn), Ok((header(5), 1)));
        assert_eq!(choose(&page(None, None)), Err(HeaderError::Empty));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        for bit in 0..SLOT_BYTES * 8 {
            let mut one = page(Some(header(1)), None);
            one[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(choose(&one), Err(HeaderError::Damaged(_))), "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_another_chunk_or_cluster_is_refused() {
        let page = page(Some(header(1)), None);
        assert!(Header::choose(&page, ChunkId(8), ClusterId([5; 16])).is_err());
        assert!(Header::choose(&page, ChunkId(7), ClusterId([6; 16])).is_err());
        assert!(Header::choose(&page[..100], ChunkId(7), ClusterId([5; 16])).is_err());
    }
}
