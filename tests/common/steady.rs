//! One writer that changes one file in place, syncs each change, and never pauses; as a database does.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use super::common::*;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const FILE_BYTES: usize = 24 << 20;
const CHANGE_BYTES: usize = 4096;

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    changes: AtomicU64,
    /// The longest that a change and its fsync took.
    slowest_us: AtomicU64,
}

/// It runs until it is told to end, or is refused something.
pub struct Steady {
    shared: Arc<Shared>,
    /// What the file holds.
    thread: JoinHandle<io::Result<Vec<u8>>>,
}

impl Steady {
    pub fn start(path: &Path) -> Self {
        let content = bytes(1, FILE_BYTES);
        fs::write(path, &content).unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || change(&file, content, &theirs));
        Self { shared, thread }
    }

    /// Waits until so many more changes are durable.
    pub fn wait_for(&self, changes: u64) {
        let until = self.changes() + changes;
        wait_until("the writer goes on", || {
            assert!(!self.thread.is_finished(), "the writer was refused something");
            self.changes() >= until
        });
    }

    pub fn changes(&self) -> u64 {
        self.shared.changes.load(Ordering::Relaxed)
    }

    /// The longest that a change and its fsync took since this was asked last.
    pub fn slowest(&self) -> Duration {
        Duration::from_micros(self.shared.slowest_us.swap(0, Ordering::Relaxed))
    }

    /// What the file has to hold.
    pub fn end(self) -> Vec<u8> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap()
    }
}

fn change(file: &File, mut content: Vec<u8>, shared: &Shared) -> io::Result<Vec<u8>> {
    let mut number = 0_u64;
    while !shared.stop.load(Ordering::Relaxed) {
        number += 1;
        let offset = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize % (FILE_BYTES - CHANGE_BYTES);
        let data = bytes(number, CHANGE_BYTES);
        let begun = Instant::now();
        file.write_all_at(&data, offset as u64)?;
        file.sync_all()?;
        shared.slowest_us.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
        content[offset..offset + CHANGE_BYTES].copy_from_slice(&data);
        shared.changes.store(number, Ordering::Relaxed);
    }
    Ok(content)
}
