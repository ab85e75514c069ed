//! Appending, syncing, rotating, reopening, recycling.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use env::{Effort, Fault, OpenMode, RealDir, SimDisk};
use journal::{Entry, Journal, OpenError, Options, Reader, ReplayError};
use proptest::prelude::*;
use types::{ClusterId, LogIndex, Term};

const SEGMENT: u64 = 8 << 10;

#[test]
fn a_new_log_is_empty_and_begins_with_record_1() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, recovery) = open(&disk, SEGMENT).unwrap();
    assert!(recovery.fresh && recovery.cuts.is_empty());
    assert_eq!((recovery.first, recovery.last, recovery.term), (LogIndex(1), LogIndex(0), Term(0)));
    assert_eq!(read(&journal, 1).unwrap(), []);
    append(&mut journal, 2, 1).unwrap();
    assert_eq!(read(&journal, 1).unwrap(), [(1, 1), (1, 2)]);
    assert_eq!(read(&journal, 2).unwrap(), [(1, 2)]);
    assert_eq!(read(&journal, 3).unwrap(), []);
}

#[test]
fn a_log_can_begin_after_a_checkpoint_from_elsewhere() {
    let disk = SimDisk::new(1, "log");
    let after = || Options { after: (Term(4), LogIndex(100)), ..options(SEGMENT) };
    let (mut journal, recovery) = Journal::open(disk.dir(), after()).unwrap();
    assert_eq!((recovery.first, recovery.last, recovery.term), (LogIndex(101), LogIndex(100), Term(4)));
    append(&mut journal, 3, 5).unwrap();
    drop(journal);
    for options in [after(), options(SEGMENT)] {
        let (journal, recovery) = Journal::open(disk.dir(), options).unwrap();
        assert_eq!((recovery.first, recovery.last), (LogIndex(101), LogIndex(103)));
        assert!(matches!(read(&journal, 100), Err(ReplayError::Gone { first: LogIndex(101), .. })));
    }
}

#[test]
fn stable_follows_sync_and_one_sync_serves_all_appends_before_it() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    let syncer = journal.syncer();
    append(&mut journal, 1, 1).unwrap();
    append(&mut journal, 2, 1).unwrap();
    assert!(syncer.is_behind() && journal.stable() == LogIndex(0));
    let before = disk.writes();
    assert_eq!(syncer.sync().unwrap(), LogIndex(3));
    assert_eq!(disk.writes() - before, 1, "one fdatasync");
    assert!(!syncer.is_behind() && syncer.stable() == LogIndex(3) && journal.stable() == LogIndex(3));
    assert_eq!(syncer.sync().unwrap(), LogIndex(3));
}

#[test]
fn an_append_is_one_write_also_in_a_prepared_segment() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    let mut rotations = 0;
    for _ in 0..60 {
        journal.syncer().prepare().unwrap();
        let (before, sealed) = (disk.writes(), journal.syncer().sealed().len());
        append(&mut journal, 3, 1).unwrap();
        assert_eq!(disk.writes() - before, 1);
        rotations += journal.syncer().sealed().len() - sealed;
    }
    assert!(rotations > 3, "{rotations}");
}

#[test]
fn segments_are_sealed_recycled_and_their_old_records_stay_away() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    for round in 0..300u64 {
        let syncer = journal.syncer();
        append(&mut journal, 1 + round % 7, 1 + round as u32 / 50).unwrap();
        if round % 3 == 0 {
            syncer.sync().unwrap();
            syncer.prepare().unwrap();
        }
        if round % 20 == 19 {
            let keep = journal.last().1.0.saturating_sub(30);
            syncer.truncate_before(LogIndex(keep)).unwrap();
            let sealed = syncer.sealed();
            assert!(sealed.windows(2).all(|w| w[0].last.0 + 1 == w[1].first.0));
            assert!(sealed.first().is_none_or(|s| s.first.0 <= keep));
            assert!(files(&*disk.dir(), "segment-").len() <= sealed.len() + 2);
            assert!(files(&*disk.dir(), "spare-").len() <= 2);
            let expected = journal.last();
            if round % 40 == 39 {
                disk.kill();
                let (reopened, recovery) = open(&disk, SEGMENT).unwrap();
                assert_eq!((recovery.term, recovery.last), expected);
                assert!(recovery.cuts.is_empty() && recovery.first.0 <= keep);
                let found = read(&reopened, recovery.first.0).unwrap();
                assert_eq!(found.len() as u64, recovery.last.0 + 1 - recovery.first.0);
                journal = reopened;
            }
        }
    }
    assert!(journal.last().1.0 > 1000);
}

#[test]
fn a_batch_larger_than_a_segment_goes_into_several() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    append(&mut journal, 1, 1).unwrap();
    append(&mut journal, 100, 1).unwrap();
    assert!(journal.syncer().sealed().len() >= 3);
    journal.syncer().sync().unwrap();
    disk.power_cut();
    let (journal, recovery) = open(&disk, SEGMENT).unwrap();
    assert_eq!(recovery.last, LogIndex(101));
    assert_eq!(read(&journal, 1).unwrap().len(), 101);
}

#[test]
fn a_record_larger_than_a_segment_is_refused_and_ends_the_journal() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    let bytes = vec![0; SEGMENT as usize];
    let entry = Entry { term: Term(1), index: LogIndex(1), bytes: &bytes };
    assert!(!journal.has_room(1, bytes.len()));
    assert!(journal.append(&[entry]).unwrap_err().to_string().contains("larger than a segment"));
    assert!(append(&mut journal, 1, 1).is_err());
}

#[test]
fn numbers_that_do_not_follow_are_refused() {
    for (term, index) in [(1, 3), (1, 1), (0, 2)] {
        let disk = SimDisk::new(1, "log");
        let (mut journal, _) = open(&disk, SEGMENT).unwrap();
        append(&mut journal, 1, 1).unwrap();
        let entry = Entry { term: Term(term), index: LogIndex(index), bytes: b"" };
        assert!(journal.append(&[entry]).is_err(), "{term} {index}");
    }
}

#[test]
fn after_a_failed_write_or_sync_everything_fails() {
    for effort in [Effort::Write, Effort::Sync] {
        let disk = SimDisk::new(1, "log");
        let (mut journal, _) = open(&disk, SEGMENT).unwrap();
        append(&mut journal, 1, 1).unwrap();
        disk.inject(Fault { path: "segment-".into(), effort, skip: 0, count: 1 });
        if effort == Effort::Write {
            assert!(append(&mut journal, 1, 1).is_err());
        } else {
            assert!(journal.syncer().sync().is_err());
        }
        assert!(append(&mut journal, 1, 1).is_err());
        let error = journal.syncer().sync().unwrap_err();
        assert!(error.to_string().contains("failed before"), "{error}");
        assert_eq!(journal.stable(), LogIndex(0));
    }
}

#[test]
fn room_is_known_before_it_is_needed() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    disk.set_capacity(SEGMENT + 4096);
    assert!(journal.has_room(10, 1000));
    while journal.has_room(1, 600) {
        append(&mut journal, 1, 1).unwrap();
    }
    assert!(journal.syncer().prepare().is_err(), "the disk is full");
    assert!(journal.syncer().sync().is_ok(), "a failed preparation is no failure of the log");
    disk.set_capacity(1 << 30);
    journal.syncer().prepare().unwrap();
    assert!(journal.has_room(1, 600));
}

#[test]
fn another_clusters_log_and_misplaced_segments_are_refused() {
    let disk = disk_with(1, SEGMENT, &[20, 20, 20, 20], 4);
    let names = files(&*disk.dir(), "segment-");
    assert!(names.len() >= 3);
    let other = Options::new(ClusterId([8; 16]), seed(1));
    let error = Journal::open(disk.dir(), other).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    let renamed = disk.fork();
    renamed.dir().rename(&names[0], "segment-00000000000000ff").unwrap();
    assert!(matches!(open(&renamed, SEGMENT), Err(OpenError::Missing { .. } | OpenError::Foreign { .. })));

    let gap = disk.fork();
    gap.dir().remove(&names[1]).unwrap();
    let Err(OpenError::Missing { file }) = open(&gap, SEGMENT).map(drop) else { panic!("a gap is refused") };
    assert_eq!(file, names[1]);

    let copied = disk.fork();
    let bytes = copied.contents(&names[0]).unwrap();
    let next = format!("segment-{:016x}", names.len() + 1);
    copied.dir().open(&next, OpenMode::Create).unwrap().write_at(&bytes, 0).unwrap();
    assert!(matches!(open(&copied, SEGMENT), Err(OpenError::Foreign { .. })), "a copy under another name");
}

#[test]
fn a_reader_follows_while_the_log_grows_and_is_recycled() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    let reader = Reader::open(disk.dir(), CLUSTER).unwrap();
    let mut next = 1;
    for round in 0..100 {
        append(&mut journal, 1 + round % 5, 1).unwrap();
        journal.syncer().sync().unwrap();
        journal.syncer().prepare().unwrap();
        if round % 10 == 9 {
            let last = journal.last().1.0;
            let mut found = Vec::new();
            reader
                .replay(LogIndex(next), LogIndex(last), |entry| {
                    assert_eq!(entry.bytes, body(entry.index.0, 1));
                    found.push(entry.index.0);
                    Ok::<_, ReplayError>(())
                })
                .unwrap();
            assert_eq!(found, (next..=last).collect::<Vec<_>>());
            next = last + 1;
            journal.syncer().truncate_before(LogIndex(next)).unwrap();
        }
    }
    let to = LogIndex(journal.last().1.0 + 1);
    let late = reader.replay(LogIndex(next), to, |_| Ok::<_, ReplayError>(()));
    assert!(late.is_err(), "what is not there is not given");
    let gone = reader.replay(LogIndex(1), LogIndex(5), |_| Ok::<_, ReplayError>(()));
    assert!(matches!(gone, Err(ReplayError::Gone { .. })));
}

#[test]
fn the_size_of_segments_can_change_between_starts() {
    let disk = SimDisk::new(1, "log");
    for (round, bytes) in [8u64 << 10, 16 << 10, 4 << 10, 64 << 10].into_iter().enumerate() {
        let (mut journal, recovery) = open(&disk, bytes).unwrap();
        assert!(recovery.cuts.is_empty());
        assert_eq!(recovery.last, LogIndex(round as u64 * 80));
        for _ in 0..20 {
            append(&mut journal, 4, 1).unwrap();
            journal.syncer().prepare().unwrap();
        }
        assert_eq!(read(&journal, 1).unwrap().len(), (round + 1) * 80);
        disk.kill();
    }
}

#[test]
fn a_real_disk_holds_a_log_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let dir = || RealDir::open(folder.path()).unwrap();
    let (mut journal, _) = Journal::open(dir(), options(SEGMENT)).unwrap();
    for _ in 0..50 {
        append(&mut journal, 3, 1).unwrap();
        journal.syncer().sync().unwrap();
        journal.syncer().prepare().unwrap();
    }
    journal.syncer().truncate_before(LogIndex(100)).unwrap();
    drop(journal);
    let (journal, recovery) = Journal::open(dir(), options(SEGMENT)).unwrap();
    assert_eq!(recovery.last, LogIndex(150));
    assert!(recovery.first.0 > 1 && recovery.first.0 <= 100);
    assert_eq!(read(&journal, 100).unwrap().len(), 51);
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Sync,
    Prepare,
    Truncate,
    NewTerm,
    Kill,
    PowerCut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1u64..8).prop_map(Step::Append),
        4 => Just(Step::Sync),
        2 => Just(Step::Prepare),
        1 => Just(Step::Truncate),
        1 => Just(Step::NewTerm),
        1 => Just(Step::Kill),
        1 => Just(Step::PowerCut),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The log against a list: nothing synced is lost, nothing written is lost by a kill, and what is found is
    /// a prefix of what was appended last.
    #[test]
    fn the_log_is_a_list_that_loses_at_most_its_unsynced_end(number in 0u64..1000, steps in steps()) {
        let disk = SimDisk::new(number, "log");
        let (mut journal, _) = open(&disk, SEGMENT).unwrap();
        let (mut model, mut synced, mut first, mut term) = (Vec::new(), 0u64, 1u64, 1u32);
        for step in steps {
            match step {
                Step::Append(count) => {
                    append(&mut journal, count, term).unwrap();
                    for _ in 0..count {
                        model.push((term, model.len() as u64 + 1));
                    }
                }
                Step::Sync => synced = journal.syncer().sync().unwrap().0,
                Step::Prepare => journal.syncer().prepare().unwrap(),
                Step::Truncate => {
                    let index = LogIndex(synced.saturating_sub(20));
                    journal.syncer().truncate_before(index).unwrap();
                }
                Step::NewTerm => term += 1,
                Step::Kill | Step::PowerCut => {
                    let power = matches!(step, Step::PowerCut);
                    if power { disk.power_cut() } else { disk.kill() }
                    let (reopened, recovery) = open(&disk, SEGMENT).unwrap();
                    journal = reopened;
                    prop_assert!(recovery.last.0 >= synced);
                    prop_assert!(power || recovery.last.0 == model.len() as u64);
                    prop_assert!(power || recovery.cuts.is_empty());
                    prop_assert!(recovery.last.0 <= model.len() as u64);
                    model.truncate(recovery.last.0 as usize);
                    (synced, first) = (recovery.last.0, recovery.first.0);
                    term += 1;
                }
            }
        }
        let found = read(&journal, first.max(journal_first(&journal))).unwrap();
        let skip = model.len() - found.len();
        prop_assert_eq!(&found[..], &model[skip..]);
    }
}

fn journal_first(journal: &Journal) -> u64 {
    let sealed = journal.syncer().sealed();
    match sealed.first() {
        Some(segment) => segment.first.0,
        // Only the segment being written is there; ask the log itself.
        None => match read(journal, 0) {
            Err(ReplayError::Gone { first, .. }) => first.0,
            other => panic!("record 0 does not exist, but: {other:?}"),
        },
    }
}
