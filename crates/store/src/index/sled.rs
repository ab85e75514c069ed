//! The index in a sled database: the only module that knows sled.
//!
//! sled 0.34 can panic or fail when it finds its own files damaged, so every call is fenced, and any
//! trouble means: move the directory aside and build a new index. Its `flush` is no fsync; nothing here
//! is relied on after a loss of power.

use super::{IndexEntry, IndexError, KvIndex};
use env::Dir;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use types::ChunkId;

const DIRECTORY: &str = "index";
const ASIDE: &str = "index.aside";
/// sled's page cache: the entries are 18 bytes, the files are the truth.
const CACHE_BYTES: u64 = 8 << 20;
const FLUSH_EVERY_MS: u64 = 1000;
const CANARY: &[u8] = b"canary";
const CANARY_VALUE: &[u8] = b"chunk index 1";
const SEAL: &[u8] = b"seal";

/// How often, and how far apart, the database of an index is tried while it is locked.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

struct SledIndex {
    /// There until it is dropped.
    db: Option<sled::Db>,
}

impl SledIndex {
    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("it is taken only when this is dropped")
    }
}

impl Drop for SledIndex {
    /// sled writes when it is dropped, and panics if the device is gone.
    fn drop(&mut self) {
        let db = self.db.take();
        let _ = fenced(|| {
            drop(db);
            Ok(())
        });
    }
}

/// An open index, and why it is empty if it had to be made anew.
pub(crate) struct OpenedSled {
    pub(crate) index: Box<dyn KvIndex>,
    pub(crate) rebuilt: Option<String>,
}

/// Opens the index of a disk. If it is absent or unusable, a new empty one, to be filled by a walk.
pub(crate) fn open(dir: &dyn Dir, root: &std::path::Path) -> Result<OpenedSled, IndexError> {
    let path = root.join(DIRECTORY);
    let existed = dir.exists(DIRECTORY).map_err(shown)?;
    let why = if existed {
        match open_at(&path).and_then(|db| check_canary(&db).map(|()| db)) {
            Ok(db) => return Ok(OpenedSled { index: Box::new(SledIndex { db: Some(db) }), rebuilt: None }),
            Err(error) => error.0,
        }
    } else {
        "it was absent".to_owned()
    };
    if existed {
        if dir.exists(ASIDE).map_err(shown)? {
            dir.remove_dir_all(ASIDE).map_err(shown)?;
        }
        dir.rename(DIRECTORY, ASIDE).map_err(shown)?;
    }
    let db = open_at(&path)?;
    Ok(OpenedSled { index: Box::new(SledIndex { db: Some(db) }), rebuilt: Some(why) })
}

/// The disk's own lock says that nobody else uses it. But a child that is just being started has the file of a database that
/// was dropped a moment ago, and so its lock, until it runs its program.
fn open_at(path: &std::path::Path) -> Result<sled::Db, IndexError> {
    for _ in 0..LOCK_TRIES {
        match try_open_at(path) {
            Err(error) if error.0.contains("could not acquire lock") => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    try_open_at(path)
}

fn try_open_at(path: &std::path::Path) -> Result<sled::Db, IndexError> {
    fenced(|| {
        sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_EVERY_MS)).open()
    })
}

fn check_canary(db: &sled::Db) -> Result<(), IndexError> {
    match fenced(|| db.get(CANARY))? {
        Some(value) if value == CANARY_VALUE => Ok(()),
        Some(_) => Err(IndexError("its canary is wrong".to_owned())),
        None => Err(IndexError("it was never finished".to_owned())),
    }
}

fn shown(error: impl std::fmt::Display) -> IndexError {
    IndexError(error.to_string())
}

/// Turns an error or a panic of sled into an error.
fn fenced<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(shown),
        Err(_) => Err(IndexError("sled panicked".to_owned())),
    }
}

fn decoded(key: &[u8], value: &[u8]) -> Option<(ChunkId, IndexEntry)> {
    let chunk = ChunkId(u64::from_be_bytes(key.try_into().ok()?));
    Some((chunk, IndexEntry::decode(value)?))
}

impl KvIndex for SledIndex {
    fn get(&self, chunk: ChunkId) -> Result<Option<IndexEntry>, IndexError> {
        match fenced(|| self.db().get(chunk.0.to_be_bytes()))? {
            None => Ok(None),
            Some(value) => match IndexEntry::decode(&value) {
                Some(entry) => Ok(Some(entry)),
                None => Err(IndexError("an entry cannot be read".to_owned())),
            },
        }
    }

    fn put(&self, chunk: ChunkId, entry: IndexEntry) -> Result<(), IndexError> {
        fenced(|| self.db().insert(chunk.0.to_be_bytes(), &entry.encode())).map(drop)
    }

    fn remove(&self, chunk: ChunkId) -> Result<(), IndexError> {
        fenced(|| self.db().remove(chunk.0.to_be_bytes())).map(drop)
    }

    fn page(&self, after: Option<ChunkId>, max: usize) -> Result<Vec<(ChunkId, IndexEntry)>, IndexError> {
        let from = after.map_or(Bound::Unbounded, |chunk| Bound::Excluded(chunk.0.to_be_bytes().to_vec()));
        let mut page = Vec::with_capacity(max.min(1024));
        let mut entries = fenced(|| Ok(self.db().range::<Vec<u8>, _>((from, Bound::Unbounded))))?;
        while page.len() < max {
            let Some(entry) = fenced(|| entries.next().transpose())? else {
                break;
            };
            let (key, value) = entry;
            if key == CANARY || key == SEAL {
                continue;
            }
            match decoded(&key, &value) {
                Some(entry) => page.push(entry),
                None => return Err(IndexError("an entry cannot be read".to_owned())),
            }
        }
        Ok(page)
    }

    fn flush(&self) -> Result<(), IndexError> {
        // The canary is there only in an index that was flushed, thus filled, at least once.
        fenced(|| self.db().insert(CANARY, CANARY_VALUE))?;
        fenced(|| self.db().flush()).map(drop)
    }

    fn seal(&self, digest: [u8; 32]) -> Result<(), IndexError> {
        fenced(|| self.db().insert(SEAL, &digest)).map(drop)
    }

    fn is_sealed(&self, digest: [u8; 32]) -> Result<bool, IndexError> {
        Ok(fenced(|| self.db().get(SEAL))?.is_some_and(|sealed| *sealed == digest))
    }

    fn condemn(&self) {
        let _ = fenced(|| self.db().remove(CANARY));
        let _ = fenced(|| self.db().flush());
    }
}
