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
    let activity = Activity::begin(Arc::clone(&file), DISK, [1, 1], 1, index, []).unwrap();
    Setup { _guard: guard, file, activity }
}

/// The chunks that the log names, with the regions that count after a loss of power.
fn marked(file: &dyn File) -> BTreeMap<ChunkId, u16> {
    recovered(file).chunks.into_iter().map(|(chunk, named)| (chunk, named.regions)).collect()
}

fn changed(file: &dyn File) -> BTreeSet<ChunkId> {
    let named = recovered(file).chunks.into_iter().filter(|(_, named)| named.changed);
    named.map(|(chunk, _)| chunk).collect()
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
    assert!(!recovered(&*s.file).clean);
    assert_eq!(marked(&*s.file), BTreeMap::from([(ChunkId(7), 0b10)]));
}

#[test]
fn after_a_sync_only_what_changed_since_may_be_torn_by_a_kill_and_all_of_it_by_a_loss_of_power() {
    let s = setup();
    let open = |chunk| recovered(&*s.file).chunks[&ChunkId(chunk)].open;
    s.activity.hold(ChunkId(1), 0b11, false).unwrap();
    s.activity.hold(ChunkId(2), 0b1, true).unwrap();
    assert_eq!((open(1), open(2)), (0b11, 0b1));
    let before = s.activity.syncs();
    for chunk in 1..3 {
        s.activity.clean(ChunkId(chunk));
        assert_eq!((open(chunk), recovered(&*s.file).chunks[&ChunkId(chunk)].new), (0, false));
    }
    s.activity.hold(ChunkId(1), 0b10, false).unwrap();
    s.activity.hold(ChunkId(2), 0b1000, true).unwrap();
    assert_eq!((open(1), open(2)), (0b10, 0b1000));
    assert_eq!(marked(&*s.file), BTreeMap::from([(ChunkId(1), 0b11), (ChunkId(2), 0b1001)]));
    assert_eq!(s.activity.syncs(), before, "what is marked durably needs no other sync");
    s.activity.checkpoint().unwrap();
    assert_eq!(marked(&*s.file), BTreeMap::from([(ChunkId(1), 0b10), (ChunkId(2), 0b1000)]));
    let before = s.activity.syncs();
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    assert_eq!((open(1), s.activity.syncs()), (0b11, before + 1));
}

#[test]
fn a_sync_during_which_the_chunk_is_changed_covers_what_was_changed_before() {
    let s = setup();
    let named = || recovered(&*s.file).chunks[&ChunkId(1)];
    s.activity.hold(ChunkId(1), 0b11, true).unwrap();
    for (regions, open) in [(0b10, 0b10), (0b100, 0b100)] {
        s.activity.sync_begins(ChunkId(1));
        s.activity.hold(ChunkId(1), regions, true).unwrap();
        s.activity.synced(ChunkId(1), true);
        assert_eq!((named().open, named().new, named().changed), (open, false, true));
        s.activity.checkpoint().unwrap();
        assert_eq!((named().open, named().regions), (open, open));
    }
    assert!(!s.activity.finish().unwrap(), "it has unsynced changes");
    // Only a header was written meanwhile: it is compared after a kill all the same.
    s.activity.sync_begins(ChunkId(1));
    s.activity.synced(ChunkId(1), true);
    s.activity.checkpoint().unwrap();
    assert_eq!((named().open, named().changed), (0, true));
    let s = setup();
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    s.activity.sync_begins(ChunkId(1));
    s.activity.synced(ChunkId(1), false);
    assert_eq!(recovered(&*s.file).chunks[&ChunkId(1)].open, 0);
    assert!(s.activity.finish().unwrap());
}

#[test]
fn a_mark_made_while_the_chunk_was_new_is_durable_before_a_change_when_it_is_not_new_any_more() {
    let s = setup();
    s.activity.hold(ChunkId(1), 0b1, true).unwrap();
    let before = s.activity.syncs();
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    assert_eq!(s.activity.syncs(), before + 1);
    s.activity.clean(ChunkId(1));
    s.activity.hold(ChunkId(1), 0b1, false).unwrap();
    assert_eq!(s.activity.syncs(), before + 1);
}

#[test]
fn a_chunk_that_was_flushed_and_changed_again_is_not_new_after_a_turn_either() {
    let s = setup();
    let named = |chunk| recovered(&*s.file).chunks[&ChunkId(chunk)];
    for chunk in [1, 2] {
        s.activity.hold(ChunkId(chunk), 0b1, true).unwrap();
    }
    s.activity.clean(ChunkId(1));
    s.activity.hold(ChunkId(1), 0b10, true).unwrap();
    for _ in 0..3 {
        assert_eq!((named(1).new, named(1).open, named(2).new, named(2).open), (false, 0b10, true, 0b1));
        s.activity.checkpoint().unwrap();
    }
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
    assert_eq!(marked(&*s.file).get(&ChunkId(1)), Some(&0b1));
    for _ in 0..NAMED_CHECKPOINTS {
        s.activity.checkpoint().unwrap();
    }
    assert_eq!(marked(&*s.file), BTreeMap::from([(ChunkId(1), 0b1)]));
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
        assert_eq!(marked(&*s.file), BTreeMap::from([(ChunkId(1), 0)]));
        assert!(changed(&*s.file).contains(&ChunkId(1)));
    }
    s.activity.hold(ChunkId(2), 0, true).unwrap();
    s.activity.clean(ChunkId(2));
    assert!(changed(&*s.file).contains(&ChunkId(2)), "a new chunk as well, before any checkpoint");
    assert!(s.activity.finish().unwrap());
    assert!(recovered(&*s.file).clean);
    assert_eq!(changed(&*s.file), BTreeSet::from([ChunkId(2)]));
}

#[test]
fn a_chunk_that_is_held_back_keeps_its_marks_until_it_is_settled() {
    let s = setup();
    let index = || Arc::new(Index::new(Box::new(MemoryIndex::default())));
    let mut generation = recovered(&*s.file).generation;
    let cases = [
        Named { held: true, ..Named::default() },
        Named { regions: 0b111, open: 0b10, changed: true, held: true, power_lost: true, ..Named::default() },
        Named { new: true, changed: true, held: true, ..Named::default() },
        Named { regions: 0b1, changed: true, held: true, ..Named::default() },
    ];
    let held: BTreeMap<ChunkId, Named> = (1..).map(ChunkId).zip(cases).collect();
    for clean in [false, true] {
        generation += 1;
        let file = Arc::clone(&s.file);
        let activity = Activity::begin(file, DISK, [1, 1], generation, index(), held.clone()).unwrap();
        assert_eq!(recovered(&*s.file).chunks, held);
        let before = activity.syncs();
        activity.checkpoint().unwrap();
        assert_eq!(activity.syncs(), before, "at rest the log is not written");
        activity.hold(ChunkId(9), 0b1, false).unwrap();
        activity.checkpoint().unwrap();
        activity.clean(ChunkId(9));
        for _ in 0..NAMED_CHECKPOINTS {
            activity.checkpoint().unwrap();
        }
        assert!(!clean || activity.finish().unwrap());
        let found = recovered(&*s.file);
        assert_eq!((found.chunks, found.clean), (held.clone(), clean));
        generation = found.generation;
    }
    let activity = Activity::begin(Arc::clone(&s.file), DISK, [1, 1], generation + 1, index(), held).unwrap();
    assert!(activity.settled(ChunkId(2)) && !activity.settled(ChunkId(2)) && !activity.settled(ChunkId(9)));
    let named = recovered(&*s.file).chunks[&ChunkId(2)];
    assert!(!named.held && !named.power_lost && named.open == 0 && named.regions == 0b111, "{named:?}");
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
    assert_eq!(marked(&*s.file), BTreeMap::from([(ChunkId(0), 0b1)]));
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
