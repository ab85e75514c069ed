//! A process that may have only so many files open.

use crate::testing::*;
use crate::{Disk, DiskOptions, StoreError};
use env::{Dir, DirEntry, File, Identity, OpenMode, Space};
use std::io;
use std::sync::{Arc, Mutex, Weak};
use types::ChunkId;

const EMFILE: i32 = 24;

type Hook = Box<dyn FnOnce() + Send>;

/// A directory of which only so many files can be open; something may happen while it is synced.
pub(super) struct Tight {
    dir: Arc<dyn Dir>,
    open: Mutex<Vec<Weak<dyn File>>>,
    most: usize,
    during_sync: Mutex<Option<Hook>>,
}

impl Tight {
    pub(super) fn new(dir: Arc<dyn Dir>, most: usize) -> Arc<Self> {
        Arc::new(Self { dir, open: Mutex::default(), most, during_sync: Mutex::default() })
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
        let file = self.dir.open(path, mode)?;
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
