//! Bytes of the activity log.

use crate::crc::{crc32c, crc32c_after};
use crate::header::{u16_at, u32_at, u64_at};
use std::collections::BTreeMap;
use types::{ChunkId, DiskId};

/// The file's name in the disk's directory.
pub(crate) const NAME: &str = "activity";
const HALF_BYTES: usize = 512 << 10;
const HEAD_BYTES: usize = 512;
pub(super) const RECORD_BYTES: usize = 32;
/// Records in a half: some 16,000. Only chunks with unsynced changes need one after a turn, and the
/// number of open chunk files bounds those.
pub(super) const HALF_RECORDS: usize = (HALF_BYTES - HEAD_BYTES) / RECORD_BYTES;
/// The file is made this long, with zeroes, so that a sync of it touches no metadata.
pub(crate) const FILE_BYTES: usize = 2 * HALF_BYTES;
const _: () = assert!(HALF_RECORDS > 3 * crate::cache::OPEN_CHUNKS_MAX + 2 * crate::disk::HELD_MAX);

const MAGIC: &[u8; 8] = b"MSKXACTV";
const FORMAT: u16 = 1;
const CLEAN: u16 = 1;
const NEW: u16 = 1;
const SYNCED: u16 = 2;
const HELD: u16 = 4;
const POWER_LOST: u16 = 8;
/// No disk gets there; a head that says so is not believed.
const GENERATION_MAX: u64 = 1 << 62;

fn half_at(generation: u64) -> usize {
    (generation % 2) as usize * HALF_BYTES
}

/// Where the head of a generation is.
pub(super) fn head_at(generation: u64) -> u64 {
    half_at(generation) as u64
}

/// Where a record of a generation is.
pub(super) fn record_at(generation: u64, n: usize) -> u64 {
    (half_at(generation) + HEAD_BYTES + n * RECORD_BYTES) as u64
}

/// The first sector of a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) generation: u64,
    pub(super) disk: DiskId,
    pub(super) boot: u64,
    pub(super) clean: bool,
    /// See [`Recovered::epoch`].
    pub(super) epoch: u64,
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(MAGIC);
        head[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        head[10..12].copy_from_slice(&(if self.clean { CLEAN } else { 0 }).to_le_bytes());
        head[16..24].copy_from_slice(&self.generation.to_le_bytes());
        head[24..32].copy_from_slice(&self.boot.to_le_bytes());
        head[32..48].copy_from_slice(&self.disk.0);
        head[48..56].copy_from_slice(&self.epoch.to_le_bytes());
        let crc = crc32c(&head[..HEAD_BYTES - 4]);
        head[HEAD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        head
    }

    fn decode(head: &[u8], disk: DiskId, half: u64) -> Option<Self> {
        let ours = head.len() == HEAD_BYTES
            && &head[..8] == MAGIC
            && crc32c(&head[..HEAD_BYTES - 4]) == u32_at(head, HEAD_BYTES - 4)
            && u16_at(head, 8) == FORMAT
            && head[32..48] == disk.0
            && u64_at(head, 16) % 2 == half
            && u64_at(head, 16) < GENERATION_MAX;
        ours.then(|| Self {
            generation: u64_at(head, 16),
            disk,
            boot: u64_at(head, 24),
            clean: u16_at(head, 10) & CLEAN != 0,
            epoch: u64_at(head, 48),
        })
    }
}

/// One record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) chunk: ChunkId,
    pub(super) regions: u16,
    pub(super) new: bool,
    /// Nothing of it is torn at this point, but others of its chain may lack what it has.
    pub(super) synced: bool,
    /// As the fields of [`Named`].
    pub(super) held: bool,
    pub(super) power_lost: bool,
}

impl Record {
    pub(super) fn encode(&self, generation: u64) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        let flags =
            [(self.new, NEW), (self.synced, SYNCED), (self.held, HELD), (self.power_lost, POWER_LOST)];
        let flags = flags.into_iter().filter(|(is, _)| *is).fold(0, |all, (_, flag)| all | flag);
        record[4..6].copy_from_slice(&flags.to_le_bytes());
        record[6..8].copy_from_slice(&self.regions.to_le_bytes());
        record[8..16].copy_from_slice(&self.chunk.0.to_le_bytes());
        let crc = crc32c_after(&generation.to_le_bytes(), &record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        record
    }

    fn decode(record: &[u8], generation: u64) -> Option<Self> {
        let ours = crc32c_after(&generation.to_le_bytes(), &record[4..]) == u32_at(record, 0);
        ours.then(|| Self {
            chunk: ChunkId(u64_at(record, 8)),
            regions: u16_at(record, 6),
            new: u16_at(record, 4) & NEW != 0,
            synced: u16_at(record, 4) & SYNCED != 0,
            held: u16_at(record, 4) & HELD != 0,
            power_lost: u16_at(record, 4) & POWER_LOST != 0,
        })
    }
}

/// What the log says of a chunk that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// Regions with changes that may not have reached the device.
    pub(crate) regions: u16,
    /// Those with changes after its last sync.
    pub(crate) open: u16,
    /// It was never flushed as a whole.
    pub(crate) new: bool,
    /// It was changed lately, and perhaps synced since: others of its chain may lack what it has, or have what it lacks.
    pub(crate) changed: bool,
    /// It could not be settled after an earlier stop, and nobody used it since.
    pub(crate) held: bool,
    /// Held since a loss of power, or one came later.
    pub(crate) power_lost: bool,
}

impl Named {
    fn add(&mut self, record: &Record) {
        self.regions |= record.regions;
        self.open = if record.synced { 0 } else { self.open | record.regions };
        self.new = !record.synced && (self.new || record.new);
        self.changed |= record.new || record.synced || record.regions != 0;
        if record.held {
            (self.held, self.power_lost) = (true, self.power_lost || record.power_lost);
        } else if record.synced {
            (self.held, self.power_lost) = (false, false);
        }
    }

    /// The records that say the same in the next generation, of a chunk that is held back.
    pub(super) fn records(self, chunk: ChunkId) -> impl Iterator<Item = Record> {
        let held = Record { chunk, held: true, power_lost: self.power_lost, ..Record::default() };
        let before = Record { regions: self.regions, synced: true, ..held };
        let since = Record { regions: self.open, new: self.new, ..held };
        self.changed.then_some(before).into_iter().chain([since])
    }
}

/// What the log of the last user says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Its generation; the next one is higher.
    pub(crate) generation: u64,
    /// The boot that wrote it.
    pub(crate) boot: u64,
    /// The boot since which nothing was lost that was not synced: after a stop in order there is nothing to lose.
    pub(crate) epoch: u64,
    /// It was closed in order.
    pub(crate) clean: bool,
    /// Neither half has a valid head.
    pub(crate) damaged: bool,
    /// Chunks named.
    pub(crate) chunks: BTreeMap<ChunkId, Named>,
}

impl Recovered {
    /// From the bytes of the file, which may be anything.
    pub(crate) fn decode(bytes: &[u8], disk: DiskId) -> Self {
        let heads = [0, 1].map(|half: usize| {
            let at = half * HALF_BYTES;
            Head::decode(bytes.get(at..at + HEAD_BYTES).unwrap_or_default(), disk, half as u64)
        });
        let Some(head) = heads.into_iter().flatten().max_by_key(|head| head.generation) else {
            return Self { damaged: true, ..Self::default() };
        };
        let mut chunks: BTreeMap<ChunkId, Named> = BTreeMap::new();
        let from = half_at(head.generation) + HEAD_BYTES;
        let to = (from + HALF_RECORDS * RECORD_BYTES).min(bytes.len());
        for record in bytes.get(from..to).unwrap_or_default().chunks_exact(RECORD_BYTES) {
            if let Some(record) = Record::decode(record, head.generation) {
                chunks.entry(record.chunk).or_default().add(&record);
            }
        }
        let Head { generation, boot, clean, epoch, .. } = head;
        Self { generation, boot, epoch, clean, damaged: false, chunks }
    }
}

/// The bytes of the file of a new disk.
pub(crate) fn blank(disk: DiskId, boot: u64) -> Vec<u8> {
    let mut bytes = vec![0; FILE_BYTES];
    let head = Head { generation: 0, disk, boot, clean: true, epoch: boot };
    bytes[..HEAD_BYTES].copy_from_slice(&head.encode());
    bytes
}
