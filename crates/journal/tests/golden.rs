//! Files written by earlier releases still read the same, and this one writes the same bytes.
//!
//! `UPDATE_GOLDEN=1 cargo test -p journal --test golden` writes them anew: only when a format is added.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use env::{Dir, OpenMode, Seed, SimDisk};
use journal::checkpoint::{Header, Reader, Writer};
use journal::{Entry, Journal, Options, ReplayError};
use std::path::PathBuf;
use std::sync::Arc;
use types::{ClusterId, LogIndex, Term};

const CLUSTER: ClusterId = ClusterId(*b"a golden cluster");

struct FixedSalt;
impl Seed for FixedSalt {
    fn next_u64(&self) -> u64 {
        0x1122_3344_5566_7788
    }
}

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, written).unwrap();
    }
    std::fs::read(&path).unwrap()
}

fn put(dir: &dyn Dir, name: &str, bytes: &[u8]) {
    dir.open(name, OpenMode::Create).unwrap().write_at(bytes, 0).unwrap();
}

fn options() -> Options {
    let after = (Term(2), LogIndex(40));
    Options { segment_bytes: 4096, after, ..Options::new(CLUSTER, Arc::new(FixedSalt)) }
}

const RECORDS: [(u32, u64, &[u8]); 4] =
    [(3, 41, b"first"), (3, 42, b""), (3, 43, b"eight by"), (4, 44, b"last")];

#[test]
fn a_segment_keeps_its_form() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = Journal::open(disk.dir(), options()).unwrap();
    let entries: Vec<Entry<'_>> = RECORDS
        .iter()
        .map(|(term, index, bytes)| Entry { term: Term(*term), index: LogIndex(*index), bytes })
        .collect();
    journal.append(&entries[..3]).unwrap();
    journal.syncer().sync().unwrap();
    journal.append(&entries[3..]).unwrap();
    let written = disk.contents("segment-0000000000000001").unwrap();
    let kept = golden("segment-v1.bin", &written);
    assert!(kept == written, "the form of a segment has changed");

    let disk = SimDisk::new(1, "log");
    put(&*disk.dir(), "segment-0000000000000001", &kept);
    let (journal, recovery) = Journal::open(disk.dir(), options()).unwrap();
    assert_eq!((recovery.first, recovery.last, recovery.term), (LogIndex(41), LogIndex(44), Term(4)));
    let mut found = Vec::new();
    let read = journal.replay(LogIndex(41), |entry| {
        found.push((entry.term.0, entry.index.0, entry.bytes.to_vec()));
        Ok::<_, ReplayError>(())
    });
    read.unwrap();
    assert_eq!(found, RECORDS.map(|(term, index, bytes)| (term, index, bytes.to_vec())));
}

#[test]
fn a_checkpoint_keeps_its_form() {
    let disk = SimDisk::new(1, "log");
    let header = Header { cluster: CLUSTER, term: Term(4), index: LogIndex(44) };
    let mut writer = Writer::create(disk.dir(), header).unwrap();
    writer.piece(b"one").unwrap();
    writer.piece(b"and two").unwrap();
    writer.finish(*b"sixteen byte sum").unwrap();
    let name = "checkpoint-00000000000000000044";
    let written = disk.contents(name).unwrap();
    let kept = golden("checkpoint-v1.bin", &written);
    assert!(kept == written, "the form of a checkpoint has changed");

    let disk = SimDisk::new(1, "log");
    put(&*disk.dir(), name, &kept);
    let mut reader = Reader::open(&*disk.dir(), CLUSTER, LogIndex(44)).unwrap();
    assert_eq!(reader.header(), header);
    let mut pieces = Vec::new();
    let digest = reader.read(|piece| {
        pieces.push(piece.to_vec());
        Ok::<_, journal::checkpoint::CheckpointError>(())
    });
    assert_eq!(digest.unwrap(), *b"sixteen byte sum");
    assert_eq!(pieces, [b"one".to_vec(), b"and two".to_vec()]);
}
