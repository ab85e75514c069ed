//! Room that is kept in the log for what must be recorded, on a disk that is full.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use env::{SimDisk, SimWorld};
use journal::Options;
use types::*;

const SEGMENT_BYTES: u64 = 3 << 20;

/// A log on a disk that has no room for another segment.
struct Full {
    log: Log,
    index: LogIndex,
    _disk: SimDisk,
}

impl Full {
    fn new() -> Self {
        let world = SimWorld::new(7);
        let (disk, env) = (world.disk("metadata"), world.env("master"));
        let options =
            Options { segment_bytes: SEGMENT_BYTES, ..Options::new(ClusterId([1; 16]), env.seed.clone()) };
        let (journal, _) = Journal::open(disk.dir(), options).unwrap();
        disk.set_capacity(disk.used_bytes());
        Self { log: Log::new(journal, env.workers.as_ref()), index: LogIndex(0), _disk: disk }
    }

    /// Logs one record in a batch of its own, which is said to be stable at once: most headers for least content.
    fn log(&mut self, leaves: Leaves, origin: Option<Origin>, op: &Op) -> Result<(), Status> {
        let index = LogIndex(self.index.0 + 1);
        let (term, at) = (Term(u32::MAX >> 8), Timestamp::new(i64::MAX >> 2, 999_999_999));
        let record = Record { term, index, at, origin, op: op.clone() };
        self.log.stage(&record, leaves)?;
        self.index = index;
        assert!(self.log.write().unwrap());
        self.log.syncer.sync().unwrap();
        self.log.note_stable().unwrap();
        Ok(())
    }

    /// Logs the same again until it is refused; how often.
    fn fill(&mut self, origin: Option<Origin>, op: &Op) -> u32 {
        for count in 0..1_000_000 {
            if let Err(status) = self.log(Leaves::of(origin, op), origin, op) {
                assert_eq!(status, Status::NoSpace);
                return count;
            }
        }
        panic!("the log never was full");
    }
}

fn a_client() -> Option<Origin> {
    let last = Sequence(u64::MAX);
    Some(Origin { session: SessionId(u64::MAX), sequence: last, answered_below: last })
}

fn inode() -> InodeRef {
    InodeRef { id: InodeId(u64::MAX), generation: Generation(u32::MAX) }
}

fn change() -> Op {
    Op::RemoveXattr { inode: inode(), name: b"user.n".to_vec() }
}

fn raise() -> Op {
    Op::Raise { chunk: ChunkId(7), version: Version::default(), members: vec![DiskId([1; 16]); 2] }
}

fn registration() -> Op {
    let (server, disk) = (ServerId([1; 16]), DiskId([2; 16]));
    Op::RegisterDisk { server, disk, registrations: 9, path: "/srv/muskox/disk".into() }
}

/// The largest there is.
fn edit() -> Op {
    let version = Version { term: Term(u32::MAX), counter: u32::MAX };
    let raised = RaisedChunk { index: ChunkIndex(u32::MAX), chunk: ChunkId(u64::MAX), version };
    Op::Punch { inode: inode(), offset: u64::MAX, length: u64::MAX, boundaries: vec![raised; 2] }
}

#[test]
fn on_a_full_disk_clients_are_refused_first_then_raises_and_registrations_last() {
    let mut full = Full::new();
    assert!(full.fill(a_client(), &change()) > 1_000);
    assert!(!full.log.takes_changes());
    assert_eq!(full.log.promise(), Err(Status::NoSpace), "no edit begins");
    assert_eq!(full.fill(None, &edit()), 0, "nor is one recorded that needed no replica, whoever asked");
    let raises = full.fill(None, &raise());
    assert!(raises > 1_000, "{raises}");
    assert_eq!(full.fill(a_client(), &change()), 0);
    let registrations = full.fill(None, &registration());
    assert!(registrations > 1_000, "{registrations}");
}

#[test]
fn the_records_of_edits_that_have_begun_find_room_whatever_was_recorded_meanwhile() {
    for edits in [1, 100] {
        let mut full = Full::new();
        (0..edits).for_each(|_| full.log.promise().unwrap());
        full.fill(a_client(), &change());
        full.fill(None, &raise());
        full.fill(None, &registration());
        for _ in 0..edits {
            full.log.redeem();
            full.log(Leaves::Promises, a_client(), &edit()).unwrap();
        }
    }
}
