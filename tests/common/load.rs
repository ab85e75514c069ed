//! Four writers and four readers that go on while things break, and remember what they were promised.
//!
//! # Invariants
//! 1. A file is read by others only after its writer's close(2) succeeded.
//! 2. What is *durable* was covered by an fsync that succeeded.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use super::common::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub const WRITERS: u64 = 4;
pub const READERS: u64 = 4;
/// Longest file.
const FILE_BYTES_MAX: u64 = 900_000;
/// Length of the one file that each writer changes in place.
const PATCHED_BYTES: u64 = 1 << 20;
const PATCH_BYTES_MAX: u64 = 100_000;

/// A file that was closed.
#[derive(Clone, Debug)]
pub struct Stored {
    pub path: PathBuf,
    seed: u64,
    length: usize,
    pub durable: bool,
}

impl Stored {
    pub fn check(&self) {
        let found = fs::read(&self.path).unwrap_or_else(|error| panic!("{self:?}: {error}"));
        assert!(found == bytes(self.seed, self.length), "{self:?} has other bytes");
    }
}

/// A file that is changed in place: what an fsync covers, and the change that is under way.
#[derive(Default)]
struct Patched {
    content: Vec<u8>,
    under_way: Option<(usize, Vec<u8>)>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    done: Mutex<Vec<Stored>>,
    patched: Mutex<BTreeMap<PathBuf, Patched>>,
    failures: Mutex<Vec<String>>,
    operations: AtomicU64,
}

pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What a load was promised.
pub struct Promised {
    pub files: Vec<Stored>,
    patched: BTreeMap<PathBuf, Patched>,
    /// Errors that its threads were given; each ends the thread.
    pub failures: Vec<String>,
}

/// Numbers from a start, for one thread.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

impl Load {
    /// Starts in a directory that it makes. Different seeds give different files.
    pub fn start(directory: &Path, seed: u64) -> Self {
        fs::create_dir_all(directory).unwrap();
        let shared = Arc::new(Shared::default());
        let spawn = |number: u64, work: fn(&Shared, &Path, u64, Numbers) -> io::Result<()>| {
            let (shared, directory) = (Arc::clone(&shared), directory.to_owned());
            std::thread::spawn(move || {
                let numbers = Numbers(seed.wrapping_mul(1000) + number);
                if let Err(error) = work(&shared, &directory, number, numbers) {
                    shared.failures.lock().unwrap().push(format!("thread {number}: {error}"));
                }
            })
        };
        let writers = (0..WRITERS).map(|number| spawn(number, write));
        let threads = writers.chain((WRITERS..WRITERS + READERS).map(|number| spawn(number, read))).collect();
        Self { shared, threads }
    }

    /// Files closed, files read and places changed so far.
    pub fn operations(&self) -> u64 {
        self.shared.operations.load(Ordering::Relaxed)
    }

    /// Waits until so many more operations have succeeded, or somebody was given an error.
    pub fn wait_for(&self, more: u64) {
        let wanted = self.operations() + more;
        wait_within(std::time::Duration::from_secs(90), "the load goes on", || {
            self.operations() >= wanted || !self.shared.failures.lock().unwrap().is_empty()
        });
    }

    /// Ends it; what it was promised, errors included.
    pub fn end(self) -> Promised {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a thread of the load panicked");
        }
        let take = |failures: &Mutex<Vec<String>>| std::mem::take(&mut *failures.lock().unwrap());
        Promised {
            files: std::mem::take(&mut *self.shared.done.lock().unwrap()),
            patched: std::mem::take(&mut *self.shared.patched.lock().unwrap()),
            failures: take(&self.shared.failures),
        }
    }
}

impl Promised {
    /// Nobody was given an error.
    pub fn assert_no_error(&self) {
        assert!(self.failures.is_empty(), "{:?}", self.failures);
    }

    /// Every file is as its writer left it.
    pub fn check(&self) {
        self.files.iter().for_each(Stored::check);
        self.check_patched();
    }

    /// Only what fsyncs cover: the rest may be gone when everything was killed.
    pub fn durable(mut self) -> Self {
        self.files.retain(|file| file.durable);
        self
    }

    fn check_patched(&self) {
        for (path, patched) in &self.patched {
            let mut found = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if let Some((at, data)) = &patched.under_way {
                // Each byte of a change that was not confirmed is old or new.
                for (offset, byte) in data.iter().enumerate() {
                    if found[at + offset] == *byte {
                        found[at + offset] = patched.content[at + offset];
                    }
                }
            }
            assert!(found == patched.content, "{} has other bytes", path.display());
        }
    }
}

fn write(shared: &Shared, directory: &Path, number: u64, mut numbers: Numbers) -> io::Result<()> {
    let path = directory.join(format!("patched{number}"));
    let content = bytes(number + 1, PATCHED_BYTES as usize);
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    file.write_all(&content)?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    let patched = Patched { content, under_way: None };
    shared.patched.lock().unwrap().insert(path.clone(), patched);
    for count in 0.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let durable = numbers.below(2) == 0;
        let seed = numbers.below(1 << 30);
        let length = numbers.below(FILE_BYTES_MAX) as usize;
        let stored = Stored { path: directory.join(format!("w{number}-{count}")), seed, length, durable };
        store(&stored)?;
        shared.done.lock().unwrap().push(stored);
        patch(shared, &path, &file, &mut numbers)?;
        shared.operations.fetch_add(2, Ordering::Relaxed);
    }
    Ok(())
}

fn store(stored: &Stored) -> io::Result<()> {
    let mut file = File::create_new(&stored.path)?;
    for piece in bytes(stored.seed, stored.length).chunks(100_000) {
        file.write_all(piece)?;
    }
    if stored.durable {
        file.sync_all()?;
        File::open(stored.path.parent().unwrap())?.sync_all()?;
    }
    // std ignores the result of close(2).
    let descriptor = std::os::fd::IntoRawFd::into_raw_fd(file);
    close(descriptor)
}

#[allow(unsafe_code, reason = "std closes a file without telling whether that succeeded")]
fn close(descriptor: std::os::fd::RawFd) -> io::Result<()> {
    // SAFETY: the descriptor was just given up by its owner and is closed once.
    match unsafe { libc::close(descriptor) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Changes a place of the writer's own file, durably, and reads it back.
fn patch(shared: &Shared, path: &Path, file: &File, numbers: &mut Numbers) -> io::Result<()> {
    let data = bytes(numbers.below(1 << 30), 1 + numbers.below(PATCH_BYTES_MAX) as usize);
    let at = numbers.below(PATCHED_BYTES - data.len() as u64);
    let set = |change: &dyn Fn(&mut Patched)| change(shared.patched.lock().unwrap().get_mut(path).unwrap());
    set(&|patched| patched.under_way = Some((at as usize, data.clone())));
    file.write_all_at(&data, at)?;
    file.sync_data()?;
    set(&|patched| {
        patched.content[at as usize..at as usize + data.len()].copy_from_slice(&data);
        patched.under_way = None;
    });
    let mut back = vec![0; data.len()];
    file.read_exact_at(&mut back, at)?;
    if back == data { Ok(()) } else { Err(io::Error::other(format!("{} reads other bytes", path.display()))) }
}

fn read(shared: &Shared, _: &Path, _: u64, mut numbers: Numbers) -> io::Result<()> {
    while !shared.stop.load(Ordering::Relaxed) {
        let picked = {
            let done = shared.done.lock().unwrap();
            (!done.is_empty()).then(|| done[numbers.below(done.len() as u64) as usize].clone())
        };
        let Some(stored) = picked else {
            std::thread::yield_now();
            continue;
        };
        if fs::read(&stored.path)? != bytes(stored.seed, stored.length) {
            return Err(io::Error::other(format!("{stored:?} reads other bytes")));
        }
        shared.operations.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
