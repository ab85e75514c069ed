//! A process that may have only so many files open; what happens while bytes leave for the device; a disk that is too full to give
//! room back.

use crate::testing::*;
use crate::{Disk, DiskOptions, StoreError};
use env::{Dir, DirEntry, File, Identity, OpenMode, SimDisk, Space};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::time::Duration;
use types::ChunkId;

const EMFILE: i32 = 24;
const SOON: Duration = Duration::from_secs(5);

type Hook = Box<dyn FnOnce() + Send>;

/// A directory of which only so many files can be open; something may happen while it is synced, or while bytes of a file begin to
/// leave.
pub(super) struct Tight {
    dir: Arc<dyn Dir>,
    open: Mutex<Vec<Weak<dyn File>>>,
    most: usize,
    during_sync: Mutex<Option<Hook>>,
    during_leaving: Arc<Mutex<Option<Hook>>>,
    /// Neither where nothing is nor to make a hole has the disk any room, whatever it says.
    full: Arc<AtomicBool>,
}

/// One of its files.
struct Watched {
    file: Arc<dyn File>,
    full: Arc<AtomicBool>,
    during_leaving: Arc<Mutex<Option<Hook>>>,
}

impl File for Watched {
    fn start_writing(&self, offset: u64, length: u64) {
        if let Some(hook) = self.during_leaving.lock().unwrap().take() {
            hook();
        }
        self.file.start_writing(offset, length);
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.file.read_resident_at(buffer, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) && self.file.next_data(offset)? != Some(offset) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_at(data, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn check_written(&self) -> io::Result<()> {
        self.file.check_written()
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.file.next_data(offset)
    }
    fn allocated_bytes(&self) -> io::Result<u64> {
        self.file.allocated_bytes()
    }
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.file.allocate(offset, length)
    }
    fn punch_hole(&self, offset: u64, length: u64) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => self.file.punch_hole(offset, length),
        }
    }
}

impl Tight {
    pub(super) fn new(dir: Arc<dyn Dir>, most: usize) -> Arc<Self> {
        let (during_sync, during_leaving, full) = Default::default();
        Arc::new(Self { dir, open: Mutex::default(), most, during_sync, during_leaving, full })
    }

    pub(super) fn during_sync(&self, hook: impl FnOnce() + Send + 'static) {
        *self.during_sync.lock().unwrap() = Some(Box::new(hook));
    }
}

impl Dir for Tight {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut open = self.open.lock().unwrap();
        open.retain(|file| file.strong_count() > 0);
        if open.len() >= self.most {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        let during_leaving = Arc::clone(&self.during_leaving);
        let (file, full) = (self.dir.open(path, mode)?, Arc::clone(&self.full));
        let file: Arc<dyn File> = Arc::new(Watched { file, full, during_leaving });
        open.push(Arc::downgrade(&file));
        Ok(file)
    }
    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.dir.create_dir_all(path)
    }
    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.dir.list(path)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.dir.remove(path)
    }
    fn remove_dir_all(&self, path: &str) -> io::Result<()> {
        self.dir.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.dir.sync_dir(path)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.dir.sync_all()?;
        if let Some(hook) = self.during_sync.lock().unwrap().take() {
            hook();
        }
        Ok(())
    }
    fn exists(&self, path: &str) -> io::Result<bool> {
        self.dir.exists(path)
    }
    fn space(&self) -> io::Result<Space> {
        self.dir.space()
    }
    fn identity(&self) -> io::Result<Identity> {
        self.dir.identity()
    }
    fn lock(&self, path: &str) -> io::Result<Box<dyn Send + Sync>> {
        self.dir.lock(path)
    }
    fn real_path(&self) -> Option<std::path::PathBuf> {
        None
    }
}

#[test]
fn files_are_closed_for_others_when_no_more_may_be_open_and_no_replica_is_blamed() {
    let (_guard, dir) = temporary();
    format(&dir);
    let tight = Tight::new(dir, 24);
    let as_dir = Arc::clone(&tight) as Arc<dyn Dir>;
    let options = DiskOptions { index_in_memory: true, ..Default::default() };
    let disk = Disk::open(as_dir, options).unwrap().disk;
    for round in 0..2 {
        for n in 1..=60 {
            write(&disk, ChunkId(n), V1, round, b"more").unwrap();
            assert_eq!(read(&disk, ChunkId(n), V1, round, 4), b"more");
        }
    }
    // Others in the process take what is left, and what becomes free.
    let hogs: Vec<_> = (0..8).map(|_| tight.dir.open("hog", OpenMode::Create).unwrap()).collect();
    tight.open.lock().unwrap().extend(hogs.iter().cycle().take(24).map(Arc::downgrade));
    let refused = (1..=60).filter(|n| match disk.read(ChunkId(*n), V1, 0, 4) {
        Ok(_) => false,
        Err(StoreError::Exhausted { .. }) => true,
        Err(error) => panic!("chunk {n}: {error}"),
    });
    assert!(refused.count() > 0);
    drop(hogs);
    for n in 1..=60 {
        assert_eq!(read(&disk, ChunkId(n), V1, 1, 4), b"more");
        let entry = disk.entry(ChunkId(n)).unwrap();
        assert!(!entry.bad && !entry.damaged);
    }
}

#[test]
fn a_chunk_can_be_used_and_deleted_while_bytes_of_it_leave_for_the_device() {
    const MIB: usize = 1 << 20;
    let (_guard, dir) = temporary();
    format(&dir);
    let tight = Tight::new(dir, 100);
    let as_dir = Arc::clone(&tight) as Arc<dyn Dir>;
    let options = DiskOptions { index_in_memory: true, ..Default::default() };
    let disk = Arc::new(Disk::open(as_dir, options).unwrap().disk);
    let data = pattern(1, MIB);
    let write_row = || {
        for at in 0..8 {
            write(&disk, CHUNK, V1, at * MIB as u64, &data).unwrap();
        }
    };
    let (tell, told) = mpsc::channel();
    let leaving = |work: fn(&Disk)| {
        let (disk, tell) = (Arc::clone(&disk), tell.clone());
        let hook = move || {
            let (ended, end) = mpsc::channel();
            // Somebody else's turn, so that a lock that is held shows and is not waited for.
            std::thread::spawn(move || {
                work(&disk);
                let _ = ended.send(());
            });
            tell.send(end.recv_timeout(SOON).is_ok()).unwrap();
        };
        *tight.during_leaving.lock().unwrap() = Some(Box::new(hook));
    };
    leaving(|disk| write(disk, CHUNK, V1, 0, b"other").unwrap());
    write_row();
    assert_eq!(told.try_recv(), Ok(true), "it can be written");
    assert_eq!(read(&disk, CHUNK, V1, 0, 6), [b"other", &data[5..6]].concat());
    leaving(|disk| disk.punch(CHUNK, V1, &[(0, 16 << 20)]).unwrap());
    write_row();
    assert_eq!(told.try_recv(), Ok(true), "it can be cut");
    assert!(read(&disk, CHUNK, V1, 7 << 20, MIB as u32).iter().all(|byte| *byte == 0));
    leaving(|disk| {
        disk.delete(CHUNK, V1, 0).unwrap();
        disk.purge_deleted(u64::MAX).unwrap();
    });
    write_row();
    assert_eq!(told.try_recv(), Ok(true), "it can be deleted and erased");
    assert!(matches!(disk.read(CHUNK, V1, 0, 4), Err(StoreError::Absent { .. })));
    write(&disk, CHUNK, V2, 0, &data).unwrap();
    assert_eq!(read(&disk, CHUNK, V2, 0, MIB as u32), data);
}

#[test]
fn a_full_disk_that_cannot_even_make_a_hole_refuses_a_write_and_harms_nothing() {
    let sim = SimDisk::new(8, "disk");
    format(&sim.dir());
    let tight = Tight::new(sim.dir(), 100);
    let options = DiskOptions { index_in_memory: true, ..Default::default() };
    let disk = Disk::open(Arc::clone(&tight) as Arc<dyn Dir>, options).unwrap().disk;
    write(&disk, CHUNK, V1, 0, &pattern(1, 8192)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    tight.full.store(true, Ordering::Relaxed);
    // Its pages are holes, and stay so.
    let refused = write(&disk, CHUNK, V1, 16_384, &pattern(2, 8192)).unwrap_err();
    assert!(matches!(refused, StoreError::NoSpace), "{refused}");
    let entry = disk.entry(CHUNK).unwrap();
    assert!(!entry.bad && !entry.damaged, "{entry:?}");
    assert_eq!(read(&disk, CHUNK, V1, 0, 24_576), [pattern(1, 8192), vec![0; 16_384]].concat());
    disk.sync(CHUNK, V1).unwrap();
    disk.check(CHUNK, V1).unwrap();
}
