//! What the benches share: sizes, content, a directory to work in, and a clock that runs only for what is measured.
//!
//! # Invariants
//! 1. No bench asserts a time. Each asserts once, outside of what is timed, that the measured code gave the right answer.
//! 2. A bench leaves its state as large as it found it, so that a later iteration does the work of the first.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use criterion::Criterion;
use env::{Dir, RealDir};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A page, and the largest payload of a frame.
pub const SIZES: [(&str, usize); 2] = [("4 KiB", 4 << 10), ("1 MiB", 1 << 20)];

/// The settings of all benches: some three seconds for each figure, so that all of them take a few minutes.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

/// Bytes that differ from page to page.
pub fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ (n >> 12) as u8).collect()
}

/// An empty real directory, removed in the end.
pub struct Place {
    dir: Arc<dyn Dir>,
    _guard: tempfile::TempDir,
}

impl Place {
    /// Below `MUSKOX_BENCH_DIR`, or below the system's directory for temporary files.
    pub fn make() -> Self {
        let above = std::env::var_os("MUSKOX_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let guard = tempfile::Builder::new().prefix("muskox-bench-").tempdir_in(above).unwrap();
        Self { dir: RealDir::open(guard.path()).unwrap(), _guard: guard }
    }

    /// The directory.
    pub fn dir(&self) -> Arc<dyn Dir> {
        Arc::clone(&self.dir)
    }
}

/// How long `work` takes.
pub fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// Does `iterations` of something in turns of at most `most`. `turn` is given how many, and tells how long the
/// part took that is measured: it may prepare before and tidy up after it.
pub fn in_turns(iterations: u64, most: u64, mut turn: impl FnMut(u64) -> Duration) -> Duration {
    let (mut left, mut took) = (iterations, Duration::ZERO);
    while left > 0 {
        let count = left.min(most);
        took += turn(count);
        left -= count;
    }
    took
}
