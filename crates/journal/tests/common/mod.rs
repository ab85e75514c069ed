//! A journal in hand, with records whose content follows from their index.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use env::{Dir, Env, Seed, SimDisk};
use journal::{Entry, Journal, OpenError, Options, Recovery, ReplayError};
use std::sync::Arc;
use types::{ClusterId, LogIndex, Term};

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);

pub(crate) fn seed(number: u64) -> Arc<dyn Seed> {
    Env::simulated(number).0.seed
}

pub(crate) fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::new(CLUSTER, seed(9)) }
}

pub(crate) fn open(disk: &SimDisk, segment_bytes: u64) -> Result<(Journal, Recovery), OpenError> {
    Journal::open(disk.dir(), options(segment_bytes))
}

/// The content of a record; its length varies from 0 to about 600.
pub(crate) fn body(index: u64, term: u32) -> Vec<u8> {
    let length = (index * 7919 + u64::from(term) * 31) % 600;
    (0..length).map(|n| (n * 13 + index * 17 + u64::from(term)) as u8).collect()
}

/// Appends `count` records in one batch.
pub(crate) fn append(journal: &mut Journal, count: u64, term: u32) -> std::io::Result<()> {
    let first = journal.last().1.0 + 1;
    let bodies: Vec<Vec<u8>> = (first..first + count).map(|index| body(index, term)).collect();
    let entries: Vec<Entry<'_>> = bodies
        .iter()
        .zip(first..)
        .map(|(bytes, index)| Entry { term: Term(term), index: LogIndex(index), bytes })
        .collect();
    journal.append(&entries)
}

/// Reads records and checks their content; gives the (term, index) of each.
pub(crate) fn read(journal: &Journal, from: u64) -> Result<Vec<(u32, u64)>, ReplayError> {
    let mut found = Vec::new();
    journal.replay(LogIndex(from), |entry| {
        assert_eq!(entry.bytes, body(entry.index.0, entry.term.0), "record {}", entry.index);
        found.push((entry.term.0, entry.index.0));
        Ok::<_, ReplayError>(())
    })?;
    Ok(found)
}

/// Names of files that begin with `prefix`.
pub(crate) fn files(dir: &dyn Dir, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> =
        dir.list("").unwrap().into_iter().map(|e| e.name).filter(|n| n.starts_with(prefix)).collect();
    names.sort();
    names
}

/// A disk on which a journal with these batches was written, the first `synced` of them synced.
pub(crate) fn disk_with(number: u64, segment_bytes: u64, batches: &[u64], synced: usize) -> SimDisk {
    let disk = SimDisk::new(number, "log");
    let (mut journal, _) = open(&disk, segment_bytes).unwrap();
    for (n, count) in batches.iter().enumerate() {
        append(&mut journal, *count, 1).unwrap();
        if n < synced {
            journal.syncer().sync().unwrap();
        }
    }
    disk.kill();
    disk
}
