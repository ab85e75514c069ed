//! The activity log through losses of power and full regions.

use super::format::Recovered;
use super::*;
use crate::index::MemoryIndex;
use crate::testing::temporary;
use env::OpenMode;
use proptest::prelude::*;
use std::collections::BTreeSet;

const DISK: DiskId = DiskId([3; 16]);

struct Setup {
    _guard: tempfile::TempDir,
    file: Arc<dyn File>,
    activity: Activity,
}

fn setup() -> Setup {
    let (guard, dir) = temporary();
    let file = dir.open(NAME, OpenMode::Create).unwrap();
    file.write_at(&blank(DISK, 1), 0).unwrap();
    let index = Arc::new(Index::new(Box::new(MemoryIndex::default())));
    let activity = Activity::begin(Arc::clone(&file), DISK, 1, 1, index).unwrap();
    Setup { _guard: guard, file, activity }
}

fn recovered(file: &dyn File) -> Recovered {
    let mut bytes = vec![0; FILE_BYTES];
    file.read_at(&mut bytes, 0).unwrap();
    Recovered::decode(&bytes, DISK)
}

#[test]
fn regions_are_four_mebibytes() {
    assert_eq!(regions(0, 1), 1);
    assert_eq!(regions(REGION_BYTES - 1, 2), 3);
    assert_eq!(regions(0, types::CHUNK_BYTES), ALL_REGIONS);
    assert_eq!(regions(5, 0), 0);
}

#[test]
fn a_mark_is_in_the_file_before_hold_returns_and_costs_one_sync() {
    let s = setup();
    let before = s.activity.syncs();
    s.activity.hold(ChunkId(7), 0b10, false).unwrap();
    s.activity.hold(ChunkId(7), 0b10, false).unwrap();
    assert_eq!(s.activity.syncs(), before + 1);
    let found = recovered(&*s.file);
    assert!(!found.clean);
    assert_eq!(found.chunks, BTreeMap::from([(ChunkId(7), 0b10)]));
}

#[test]
fn marks_of_unsynced_chunks_survive_turns_and_others_are_dropped() {
    let s = setup();
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    for n in 2..20_000 {
        s.activity.touch(ChunkId(n)).unwrap();
        if n % 100 == 0 {
            s.activity.hold(ChunkId(n), 0b100, false).unwrap();
            s.activity.clean(ChunkId(n));
        }
    }
    assert_eq!(recovered(&*s.file).chunks.get(&ChunkId(1)), Some(&0b1));
    for _ in 0..NAMED_CHECKPOINTS {
        s.activity.checkpoint().unwrap();
    }
    assert_eq!(recovered(&*s.file).chunks, BTreeMap::from([(ChunkId(1), 0b1)]));
    s.activity.clean(ChunkId(1));
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    assert!(!s.activity.finish().unwrap(), "a chunk with unsynced changes forbids a clean end");
}

#[test]
fn a_clean_end_is_seen() {
    let s = setup();
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    s.activity.clean(ChunkId(1));
    s.activity.compared(ChunkId(1));
    assert!(s.activity.finish().unwrap());
    let found = recovered(&*s.file);
    assert!(found.clean && found.chunks.is_empty());
}

#[test]
fn what_was_synced_lately_is_named_without_regions_also_after_a_clean_end() {
    let s = setup();
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    s.activity.clean(ChunkId(1));
    for _ in 1..NAMED_CHECKPOINTS {
        s.activity.checkpoint().unwrap();
        let found = recovered(&*s.file);
        assert_eq!(found.chunks, BTreeMap::from([(ChunkId(1), 0)]));
        assert!(found.changed.contains(&ChunkId(1)));
    }
    s.activity.hold(ChunkId(2), 0, true).unwrap();
    s.activity.clean(ChunkId(2));
    assert!(recovered(&*s.file).changed.contains(&ChunkId(2)), "a new chunk as well, before any checkpoint");
    assert!(s.activity.finish().unwrap());
    let found = recovered(&*s.file);
    assert!(found.clean && found.changed == BTreeSet::from([ChunkId(2)]), "{found:?}");
}

#[test]
fn more_synced_chunks_than_there_is_room_for_are_not_named() {
    let s = setup();
    s.activity.hold(ChunkId(0), 0b1, false).unwrap();
    for n in 1..=NAMED_MAX as u64 {
        s.activity.hold(ChunkId(n), 0, true).unwrap();
        s.activity.clean(ChunkId(n));
    }
    s.activity.checkpoint().unwrap();
    assert_eq!(recovered(&*s.file).chunks, BTreeMap::from([(ChunkId(0), 0b1)]));
}

#[test]
fn a_record_of_an_older_generation_does_not_count() {
    let s = setup();
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    s.activity.clean(ChunkId(1));
    s.activity.compared(ChunkId(1));
    s.activity.checkpoint().unwrap();
    s.activity.checkpoint().unwrap();
    s.activity.hold(ChunkId(2), 0b1, false).unwrap();
    s.activity.clean(ChunkId(2));
    s.activity.compared(ChunkId(2));
    s.activity.checkpoint().unwrap();
    assert!(recovered(&*s.file).chunks.is_empty());
}

#[test]
fn one_unreadable_record_takes_no_other_with_it() {
    let s = setup();
    for n in 1..=3 {
        s.activity.hold(ChunkId(n), 0b1, false).unwrap();
    }
    s.file.write_at(&[0xee; 8], record_at(1, 1)).unwrap();
    let found: Vec<_> = recovered(&*s.file).chunks.into_keys().collect();
    assert_eq!(found, [ChunkId(1), ChunkId(3)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_decode_to_something(bytes in proptest::collection::vec(any::<u8>(), 0..4096), at in 0..FILE_BYTES) {
        let mut file = blank(DISK, 4);
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
        let _ = Recovered::decode(&file, DISK);
        let _ = Recovered::decode(&bytes, DISK);
    }
}
