//! What operators have changed about the disks of this server, durably (`docs/format/chunkserver-identity.md`): those added beside
//! the configuration, and those removed from the cluster, which are not served again although the configuration may name them.
//!
//! Layout, little-endian; replaced as a whole (new file, fsync, rename, fsync of the folder):
//!
//! ```text
//! offset size field
//! 0      8    magic "MSKXDSKS"
//! 8      4    format version, 1
//! 12     4    number of disks
//! 16     n    for each: 1 added or 2 closed (1), its id (16), the length of its path (4), the path
//! 16+n   4    CRC32C of all before
//! ```
//!
//! # Invariants
//! 1. A disk is in the file before anybody is told that it is closed, or was added.

use env::{Dir, OpenMode, Queue};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use types::DiskId;

const PATH: &str = "disk-list";
const PATH_NEW: &str = "disk-list.new";
const MAGIC: &[u8; 8] = b"MSKXDSKS";
const FORMAT: u32 = 1;
/// Largest file that is read: thousands of disks.
const BYTES_MAX: u64 = 16 << 20;

/// What became of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Change {
    Added = 1,
    Closed = 2,
}

/// A disk and where it is or was. Zeroes: it has no stamp yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    change: Change,
    disk: DiskId,
    path: String,
}

/// See the module.
pub(crate) struct DiskList {
    data: Arc<dyn Dir>,
    /// Where the file is written.
    queue: Arc<dyn Queue>,
    all: Mutex<Vec<Entry>>,
    /// One change after the other: each writes what all before it left.
    changing: tokio::sync::Mutex<()>,
}

impl DiskList {
    /// Reads the file, if there is one. Blocks.
    pub(crate) fn load(data: Arc<dyn Dir>, queue: Arc<dyn Queue>) -> io::Result<Self> {
        let all = if data.exists(PATH)? { read(&*data)? } else { Vec::new() };
        Ok(Self { data, queue, all: Mutex::new(all), changing: tokio::sync::Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.all.lock().expect("nothing panics while it is held")
    }

    fn holds(&self, is: impl Fn(&Entry) -> bool, change: Change) -> bool {
        self.lock().iter().any(|one| one.change == change && is(one))
    }

    pub(super) fn is_closed(&self, disk: DiskId) -> bool {
        self.holds(|one| one.disk == disk, Change::Closed)
    }

    /// Whether a disk that was here was closed.
    pub(super) fn was_closed_at(&self, path: &str) -> bool {
        self.holds(|one| one.path == path, Change::Closed)
    }

    /// Where disks are that were added.
    pub(super) fn added(&self) -> Vec<String> {
        let all = self.lock();
        all.iter().filter(|one| one.change == Change::Added).map(|one| one.path.clone()).collect()
    }

    /// Makes it durable that a disk is closed.
    pub(super) async fn close(&self, disk: DiskId, path: &str) -> io::Result<()> {
        let entry = Entry { change: Change::Closed, disk, path: path.to_owned() };
        self.replace(entry, |one| one.disk == disk || one.change == Change::Added && one.path == path).await
    }

    /// Makes it durable that the disk here is served, also one that had been closed. `disk`: by its stamp, if it has one.
    pub(super) async fn add(&self, disk: Option<DiskId>, path: &str) -> io::Result<()> {
        let entry =
            Entry { change: Change::Added, disk: disk.unwrap_or(DiskId([0; 16])), path: path.to_owned() };
        self.replace(entry, |one| Some(one.disk) == disk || one.path == path).await
    }

    async fn replace(&self, entry: Entry, is_over: impl Fn(&Entry) -> bool) -> io::Result<()> {
        let _alone = self.changing.lock().await;
        let mut all = self.lock().clone();
        // A disk that was closed stays so when another one takes its directory.
        let keeps = |one: &Entry| one.change == Change::Closed && one.disk != entry.disk;
        all.retain(|one| keeps(one) || !is_over(one));
        for one in all.iter_mut().filter(|one| is_over(one)) {
            one.path.clear();
        }
        all.push(entry);
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
            "{PATH} in the data directory {what}; next step: remove the file, then add and remove again the disks that it named"
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
    for Entry { change, disk, path } in all {
        bytes.push(*change as u8);
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
        let change = match take(1)? {
            [1] => Change::Added,
            [2] => Change::Closed,
            _ => return None,
        };
        let disk = DiskId::from_slice(take(16)?)?;
        let length = number(take(4)?)?;
        all.push(Entry { change, disk, path: String::from_utf8(take(length as usize)?.to_vec()).ok()? });
    }
    rest.is_empty().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;

    fn sample() -> Vec<Entry> {
        vec![
            Entry { change: Change::Closed, disk: DiskId([1; 16]), path: "/mnt/d1".into() },
            Entry { change: Change::Added, disk: DiskId([0; 16]), path: String::new() },
        ]
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
        let body = "4d534b5844534b530100000001000000020101010101010101010101010101010107000000";
        assert_eq!(hex[..74], *body);
    }

    #[tokio::test]
    async fn what_was_changed_stays_so_over_a_loss_of_power() {
        let (env, world) = Env::simulated(1);
        let disk = world.disk("data");
        let load = || DiskList::load(disk.dir(), env.workers.queue("identity", 1)).unwrap();
        let (list, one, two) = (load(), DiskId([1; 16]), DiskId([2; 16]));
        list.close(one, "/mnt/d1").await.unwrap();
        list.close(two, "").await.unwrap();
        list.add(None, "/mnt/d3").await.unwrap();
        disk.power_cut();
        let list = load();
        assert!(list.is_closed(one) && list.is_closed(two) && !list.is_closed(DiskId([3; 16])));
        assert!(list.was_closed_at("/mnt/d1") && !list.was_closed_at("/mnt/d2"));
        assert_eq!(list.added(), ["/mnt/d3"]);
    }

    #[tokio::test]
    async fn changes_at_the_same_time_are_all_kept() {
        let (env, world) = Env::simulated(1);
        let disk = world.disk("data");
        let load = || DiskList::load(disk.dir(), env.workers.queue("identity", 1)).unwrap();
        let list = load();
        let close = async |n: u8| list.close(DiskId([n; 16]), &format!("/mnt/d{n}")).await.unwrap();
        tokio::join!(close(1), close(2), close(3));
        assert!((1..=3).all(|n| load().is_closed(DiskId([n; 16]))));
    }

    #[tokio::test]
    async fn the_last_change_of_a_disk_counts() {
        let (env, world) = Env::simulated(1);
        let list = DiskList::load(world.disk("data").dir(), env.workers.queue("identity", 1)).unwrap();
        let (one, two) = (DiskId([1; 16]), DiskId([2; 16]));
        list.close(one, "/mnt/d1").await.unwrap();
        // The same disk elsewhere; a new one where it was.
        list.add(Some(one), "/mnt/d2").await.unwrap();
        assert!(!list.is_closed(one) && !list.was_closed_at("/mnt/d1"));
        list.close(one, "/mnt/d2").await.unwrap();
        assert!(list.is_closed(one) && list.added().is_empty());
        // Another disk takes its directory; it is closed all the same.
        list.add(None, "/mnt/d2").await.unwrap();
        assert!(list.is_closed(one) && !list.was_closed_at("/mnt/d2"));
        list.close(two, "/mnt/d2").await.unwrap();
        assert!(list.is_closed(two) && list.added().is_empty());
    }
}
