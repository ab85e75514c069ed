//! Disks that were removed from the cluster, durably (`docs/format/chunkserver-identity.md`): they are not served again,
//! although the configuration may still name them.
//!
//! Layout, little-endian; replaced as a whole (new file, fsync, rename, fsync of the folder):
//!
//! ```text
//! offset size field
//! 0      8    magic "MSKXCLSD"
//! 8      4    format version, 1
//! 12     4    number of disks
//! 16     n    for each: its id (16), the length of its path (4), the path
//! 16+n   4    CRC32C of all before
//! ```
//!
//! # Invariants
//! 1. A disk is in the file before anybody is told that it is closed.

use env::{Dir, OpenMode, Queue};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use types::DiskId;

const PATH: &str = "closed-disks";
const PATH_NEW: &str = "closed-disks.new";
const MAGIC: &[u8; 8] = b"MSKXCLSD";
const FORMAT: u32 = 1;
/// Largest file that is read: thousands of disks.
const BYTES_MAX: u64 = 16 << 20;

/// A disk and where it was.
type Entry = (DiskId, String);

/// See the module.
pub(crate) struct ClosedDisks {
    data: Arc<dyn Dir>,
    /// Where the file is written.
    queue: Arc<dyn Queue>,
    all: Mutex<Vec<Entry>>,
}

impl ClosedDisks {
    /// Reads the file, if there is one. Blocks.
    pub(crate) fn load(data: Arc<dyn Dir>, queue: Arc<dyn Queue>) -> io::Result<Self> {
        let all = if data.exists(PATH)? { read(&*data)? } else { Vec::new() };
        Ok(Self { data, queue, all: Mutex::new(all) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.all.lock().expect("nothing panics while it is held")
    }

    pub(super) fn contains(&self, disk: DiskId) -> bool {
        self.lock().iter().any(|(one, _)| *one == disk)
    }

    /// Whether a disk that was here was closed.
    pub(super) fn was_at(&self, path: &str) -> bool {
        self.lock().iter().any(|(_, at)| at == path)
    }

    /// Makes it durable that a disk is closed.
    pub(super) async fn add(&self, disk: DiskId, path: &str) -> io::Result<()> {
        let mut all = self.lock().clone();
        all.retain(|(one, _)| *one != disk);
        all.push((disk, path.to_owned()));
        let (data, bytes) = (Arc::clone(&self.data), encode(&all));
        self.queue.call(move || store(&*data, &bytes)).await??;
        *self.lock() = all;
        Ok(())
    }
}

fn store(dir: &dyn Dir, bytes: &[u8]) -> io::Result<()> {
    let file = dir.open(PATH_NEW, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    dir.rename(PATH_NEW, PATH)?;
    dir.sync_dir("")
}

fn read(dir: &dyn Dir) -> io::Result<Vec<Entry>> {
    let damaged = |what: &str| {
        let text = format!(
            "{PATH} in the data directory {what}; next step: remove the file, and the disks it named again"
        );
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let file = dir.open(PATH, OpenMode::Read)?;
    let length = file.len()?;
    if length > BYTES_MAX {
        return Err(damaged("is too long"));
    }
    let mut bytes = vec![0; length as usize];
    let found = file.read_at(&mut bytes, 0)?;
    decode(&bytes[..found]).ok_or_else(|| damaged("cannot be read"))
}

fn encode(all: &[Entry]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend((all.len() as u32).to_le_bytes());
    for (disk, path) in all {
        bytes.extend(disk.0);
        bytes.extend((path.len() as u32).to_le_bytes());
        bytes.extend(path.as_bytes());
    }
    let crc = wire::crc::crc32c(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let mut rest = body.strip_prefix(MAGIC)?;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    let number = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
    if u32::from_le_bytes(*crc) != wire::crc::crc32c(body) || number(take(4)?)? != FORMAT {
        return None;
    }
    let mut all = Vec::new();
    for _ in 0..number(take(4)?)? {
        let disk = DiskId::from_slice(take(16)?)?;
        let length = number(take(4)?)?;
        all.push((disk, String::from_utf8(take(length as usize)?.to_vec()).ok()?));
    }
    rest.is_empty().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;

    fn sample() -> Vec<Entry> {
        vec![(DiskId([1; 16]), "/mnt/d1".into()), (DiskId([2; 16]), String::new())]
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = encode(&sample());
        assert_eq!(decode(&bytes), Some(sample()));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bytes), None, "bit {bit}");
        }
        for short in 0..bytes.len() {
            assert_eq!(decode(&bytes[..short]), None, "{short} bytes");
        }
    }

    #[test]
    fn the_file_looks_as_it_always_did() {
        let hex: String = encode(&sample()[..1]).iter().map(|byte| format!("{byte:02x}")).collect();
        let body = "4d534b58434c534401000000010000000101010101010101010101010101010107000000";
        assert_eq!(hex[..72], *body);
    }

    #[tokio::test]
    async fn a_closed_disk_stays_closed_over_a_loss_of_power() {
        let (env, world) = Env::simulated(1);
        let disk = world.disk("data");
        let queue = || env.workers.queue("identity", 1);
        let closed = ClosedDisks::load(disk.dir(), queue()).unwrap();
        for (id, path) in sample() {
            closed.add(id, &path).await.unwrap();
        }
        disk.power_cut();
        let found = ClosedDisks::load(disk.dir(), queue()).unwrap();
        assert!(found.contains(DiskId([1; 16])) && found.contains(DiskId([2; 16])));
        assert!(found.was_at("/mnt/d1") && !found.was_at("/mnt/d2") && !found.contains(DiskId([3; 16])));
    }
}
