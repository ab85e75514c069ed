//! The bytes of a segment: stamp, batch headers, record headers (`docs/format/changelog.md`).
//!
//! # Invariants
//! 1. All checksums of a segment cover its id and its salt, so neither a record from an earlier use of the
//!    file nor bytes inside a record's content can pass for a part of this segment.
//! 2. Batches and records begin at multiples of 8.

use crc_fast::{CrcAlgorithm, Digest, crc32_iscsi};
use types::{ClusterId, LogIndex, Term};

/// What this release writes and the highest that it reads.
pub(crate) const VERSION: u32 = 1;
/// A device writes so much as a whole; each copy of the stamp has a sector of its own.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Where batches begin: after both copies of the stamp.
pub(crate) const DATA_OFFSET: u64 = 2 * SECTOR_BYTES as u64;
/// Bytes of a batch header.
pub(crate) const BATCH_HEADER_BYTES: usize = 48;
/// Bytes of a record header.
pub(crate) const RECORD_HEADER_BYTES: usize = 24;
/// Batches and records begin at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 8;
const STAMP_BYTES: usize = 56;
const STAMP_MAGIC: [u8; 8] = *b"MSKXSEGM";
const BATCH_MAGIC: [u8; 4] = *b"MSKB";

const _: () = assert!(STAMP_BYTES <= SECTOR_BYTES && SECTOR_BYTES.is_multiple_of(ALIGN_BYTES));
const _: () = assert!(BATCH_HEADER_BYTES.is_multiple_of(ALIGN_BYTES));
const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(ALIGN_BYTES));

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a range of four bytes is four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of eight bytes is eight bytes"))
}

/// What stands at the beginning of a segment, twice, written when the file is made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) segment: u64,
    pub(crate) salt: u64,
    pub(crate) cluster: ClusterId,
    /// Size of the segment.
    pub(crate) bytes: u64,
}

/// A stamp as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundStamp {
    Valid(Stamp),
    /// Its checksum is right, but a later release wrote it.
    Newer(u32),
    Invalid,
}

impl Stamp {
    /// A whole sector.
    pub(crate) fn encode(&self) -> [u8; SECTOR_BYTES] {
        let mut sector = [0; SECTOR_BYTES];
        sector[..8].copy_from_slice(&STAMP_MAGIC);
        sector[8..12].copy_from_slice(&VERSION.to_le_bytes());
        sector[16..24].copy_from_slice(&self.segment.to_le_bytes());
        sector[24..32].copy_from_slice(&self.salt.to_le_bytes());
        sector[32..48].copy_from_slice(&self.cluster.0);
        sector[48..56].copy_from_slice(&self.bytes.to_le_bytes());
        let crc = stamp_crc(&sector);
        sector[12..16].copy_from_slice(&crc.to_le_bytes());
        sector
    }

    /// Reads a sector.
    pub(crate) fn decode(sector: &[u8]) -> FoundStamp {
        if sector.len() < STAMP_BYTES || sector[..8] != STAMP_MAGIC {
            return FoundStamp::Invalid;
        }
        if u32_at(sector, 12) != stamp_crc(sector) {
            return FoundStamp::Invalid;
        }
        let version = u32_at(sector, 8);
        if version != VERSION {
            return FoundStamp::Newer(version);
        }
        let Some(cluster) = ClusterId::from_slice(&sector[32..48]) else { return FoundStamp::Invalid };
        let (segment, salt, bytes) = (u64_at(sector, 16), u64_at(sector, 24), u64_at(sector, 48));
        FoundStamp::Valid(Self { segment, salt, cluster, bytes })
    }
}

/// The checksum stands at 12..16 in every version.
fn stamp_crc(sector: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&sector[..12]);
    digest.update(&sector[16..STAMP_BYTES]);
    digest.finalize() as u32
}

/// What binds bytes to their segment.
#[derive(Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) segment: u64,
    pub(crate) salt: u64,
    prefix: Digest,
}

impl Binding {
    pub(crate) fn new(segment: u64, salt: u64) -> Self {
        let mut prefix = Digest::new(CrcAlgorithm::Crc32Iscsi);
        prefix.update(&segment.to_le_bytes());
        prefix.update(&salt.to_le_bytes());
        Self { segment, salt, prefix }
    }

    /// The checksum of a record: segment, salt, then header after the checksum field, then body.
    fn record_crc(&self, checked: &[u8]) -> u32 {
        let mut digest = self.prefix;
        digest.update(checked);
        digest.finalize() as u32
    }
}

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Index of the first record.
    pub(crate) first: LogIndex,
    /// Known durable when the batch was written.
    pub(crate) stable: LogIndex,
    /// Bytes of all records, padding included.
    pub(crate) bytes: u32,
    /// Number of records. None: it only says what is durable.
    pub(crate) count: u32,
}

impl BatchHeader {
    /// Writes the header over the first bytes of `target`.
    pub(crate) fn encode_into(&self, binding: &Binding, target: &mut [u8]) {
        target[..4].copy_from_slice(&BATCH_MAGIC);
        target[8..16].copy_from_slice(&binding.segment.to_le_bytes());
        target[16..24].copy_from_slice(&binding.salt.to_le_bytes());
        target[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        target[32..40].copy_from_slice(&self.stable.0.to_le_bytes());
        target[40..44].copy_from_slice(&self.bytes.to_le_bytes());
        target[44..48].copy_from_slice(&self.count.to_le_bytes());
        let crc = crc32_iscsi(&target[8..BATCH_HEADER_BYTES]);
        target[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a header that belongs to the segment.
    pub(crate) fn decode(binding: &Binding, bytes: &[u8]) -> Option<Self> {
        if bytes.len() < BATCH_HEADER_BYTES
            || bytes[..4] != BATCH_MAGIC
            || u64_at(bytes, 8) != binding.segment
            || u64_at(bytes, 16) != binding.salt
            || u32_at(bytes, 4) != crc32_iscsi(&bytes[8..BATCH_HEADER_BYTES])
        {
            return None;
        }
        let header = Self {
            first: LogIndex(u64_at(bytes, 24)),
            stable: LogIndex(u64_at(bytes, 32)),
            bytes: u32_at(bytes, 40),
            count: u32_at(bytes, 44),
        };
        let overflows = header.first.0.checked_add(u64::from(header.count)).is_none();
        ((header.count > 0 || header.bytes == 0) && !overflows).then_some(header)
    }

    /// The index after its last record.
    pub(crate) fn next(&self) -> LogIndex {
        LogIndex(self.first.0 + u64::from(self.count))
    }
}

/// Bytes that a record takes in a batch.
pub(crate) fn record_bytes(body_bytes: usize) -> usize {
    RECORD_HEADER_BYTES + body_bytes.next_multiple_of(ALIGN_BYTES)
}

/// Appends a record.
pub(crate) fn encode_record(
    binding: &Binding,
    term: Term,
    index: LogIndex,
    body: &[u8],
    buffer: &mut Vec<u8>,
) {
    let start = buffer.len();
    let length = u32::try_from(body.len()).expect("a record fits in a segment of at most 1 GiB");
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&index.0.to_le_bytes());
    buffer.extend_from_slice(&term.0.to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(body);
    let crc = binding.record_crc(&buffer[start + 4..]);
    buffer[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    buffer.resize(start + record_bytes(body.len()), 0);
}

/// A record in a buffer.
pub(crate) struct RecordView<'a> {
    pub(crate) term: Term,
    pub(crate) index: LogIndex,
    pub(crate) body: &'a [u8],
    /// What follows it.
    pub(crate) rest: &'a [u8],
}

/// Reads the record at the beginning of `bytes`; `None` if there is no valid one.
pub(crate) fn decode_record<'a>(binding: &Binding, bytes: &'a [u8]) -> Option<RecordView<'a>> {
    if bytes.len() < RECORD_HEADER_BYTES {
        return None;
    }
    let (length, index) = record_numbers(bytes);
    // Compared before anything is added: the length is whatever the bytes say.
    if length > bytes.len() - RECORD_HEADER_BYTES || record_bytes(length) > bytes.len() {
        return None;
    }
    if u32_at(bytes, 0) != binding.record_crc(&bytes[4..RECORD_HEADER_BYTES + length]) {
        return None;
    }
    Some(RecordView {
        term: Term(u32_at(bytes, 16)),
        index,
        body: &bytes[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length],
        rest: &bytes[record_bytes(length)..],
    })
}

/// Length of the body and index, as a record's header has them; the checksum is not looked at.
pub(crate) fn record_numbers(header: &[u8]) -> (usize, LogIndex) {
    (u32_at(header, 4) as usize, LogIndex(u64_at(header, 8)))
}

/// Whether a batch may begin here: a cheap look before the checksum is computed.
pub(crate) fn looks_like_batch(bytes: &[u8]) -> bool {
    bytes.starts_with(&BATCH_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_for_a_part_of_another_segment() {
        let here = Binding::new(5, 77);
        let mut bytes = vec![0; BATCH_HEADER_BYTES];
        encode_record(&here, Term(1), LogIndex(9), b"body", &mut bytes);
        let header = BatchHeader {
            first: LogIndex(9),
            stable: LogIndex(8),
            bytes: (bytes.len() - BATCH_HEADER_BYTES) as u32,
            count: 1,
        };
        header.encode_into(&here, &mut bytes);
        assert_eq!(BatchHeader::decode(&here, &bytes), Some(header));
        assert!(decode_record(&here, &bytes[BATCH_HEADER_BYTES..]).is_some());
        for other in [Binding::new(6, 77), Binding::new(5, 78)] {
            assert_eq!(BatchHeader::decode(&other, &bytes), None);
            assert!(decode_record(&other, &bytes[BATCH_HEADER_BYTES..]).is_none());
        }
    }

    #[test]
    fn lengths_are_checked_before_they_are_used() {
        let here = Binding::new(5, 77);
        for length in [1, 8, 1000, u32::MAX - 30, u32::MAX] {
            let mut bytes = vec![0; RECORD_HEADER_BYTES];
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            let crc = here.record_crc(&bytes[4..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            assert!(decode_record(&here, &bytes).is_none());
        }
        for cut in 0..RECORD_HEADER_BYTES {
            assert!(decode_record(&here, &vec![0; cut]).is_none());
        }
    }

    #[test]
    fn a_stamp_of_a_later_version_is_told_from_noise() {
        let stamp = Stamp { segment: 1, salt: 2, cluster: ClusterId([3; 16]), bytes: 4096 };
        let mut sector = stamp.encode();
        assert_eq!(Stamp::decode(&sector), FoundStamp::Valid(stamp));
        sector[8] = 9;
        assert_eq!(Stamp::decode(&sector), FoundStamp::Invalid);
        let crc = stamp_crc(&sector);
        sector[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Stamp::decode(&sector), FoundStamp::Newer(9));
    }
}
