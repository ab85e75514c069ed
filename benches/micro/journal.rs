//! The changelog in a real directory: appends of one record and of a hundred, with and without a sync, and a replay.
//!
//! What the log thread does besides (preparing and recycling segments) is done between turns and not measured.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use env::Env;
use journal::{Entry, Journal, Options, ReplayError, Syncer};
use micro::{Place, content, in_turns, timed};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use types::{ClusterId, LogIndex, Term};

/// About what the creation of a file takes.
const RECORD_BYTES: u64 = 128;
/// A quarter of what a master uses, so that a bench is set up soon.
const SEGMENT_BYTES: u64 = 16 << 20;
/// What is appended in one turn: less than a segment.
const TURN_BYTES: u64 = 4 << 20;
const REPLAYED: u64 = 10_000;
const BATCH: u64 = 100;
const TERM: Term = Term(1);

/// A journal whose records' content follows from their index.
struct Log {
    journal: Journal,
    syncer: Arc<Syncer>,
    bytes: Vec<u8>,
    _place: Place,
}

/// The content of a record, as a part of `bytes`.
fn body(bytes: &[u8], index: u64) -> &[u8] {
    &bytes[(index % 1000) as usize..][..RECORD_BYTES as usize]
}

impl Log {
    fn make() -> Self {
        let place = Place::make();
        let options =
            Options { segment_bytes: SEGMENT_BYTES, ..Options::new(ClusterId([7; 16]), Env::real().seed) };
        let (journal, recovery) = Journal::open(place.dir(), options).unwrap();
        assert!(recovery.fresh);
        let syncer = journal.syncer();
        Self { journal, syncer, bytes: content(2 << 10), _place: place }
    }

    fn last(&self) -> u64 {
        self.journal.last().1.0
    }

    fn append(&mut self, count: u64) {
        let first = self.last() + 1;
        let entry = |index| Entry { term: TERM, index: LogIndex(index), bytes: body(&self.bytes, index) };
        let entries: Vec<Entry<'_>> = (first..first + count).map(entry).collect();
        self.journal.append(&entries).unwrap();
    }

    /// Appends of `count` records each, made durable one by one if `sync`.
    fn turn(&mut self, appends: u64, count: u64, sync: bool) -> Duration {
        let took = timed(|| {
            for _ in 0..appends {
                self.append(count);
                if sync {
                    black_box(self.syncer.sync().unwrap());
                }
            }
        });
        let last = self.syncer.sync().unwrap();
        assert_eq!(last, self.journal.last().1);
        self.syncer.truncate_before(last).unwrap();
        self.syncer.prepare().unwrap();
        took
    }

    /// The bytes of all records from `first` on, and how many there are.
    fn replay(&self, first: u64, mut check: impl FnMut(&Entry<'_>)) -> u64 {
        let mut records = 0;
        let visit = |entry: Entry<'_>| {
            check(&entry);
            records += 1;
            Ok::<_, ReplayError>(())
        };
        self.journal.replay(LogIndex(first), visit).unwrap();
        records
    }

    /// The last `count` records are what was appended.
    fn check(&self, count: u64) {
        let mut next = self.last() + 1 - count;
        let records = self.replay(next, |entry| {
            assert_eq!((entry.index.0, entry.bytes), (next, body(&self.bytes, next)));
            next += 1;
        });
        assert_eq!(records, count);
    }
}

fn appends(criterion: &mut Criterion) {
    let mut log = Log::make();
    for (what, count) in [("1 record", 1), ("100 records", BATCH)] {
        let most = TURN_BYTES / (count * RECORD_BYTES);
        let mut group = criterion.benchmark_group(format!("journal, append of {what}"));
        group.throughput(Throughput::Elements(count));
        for (how, sync) in [("without a sync", false), ("with a sync", true)] {
            group.bench_function(how, |bench| {
                bench.iter_custom(|iterations| {
                    in_turns(iterations, most, |appends| log.turn(appends, count, sync))
                });
            });
            log.check(count);
        }
        group.finish();
    }
}

fn replay(criterion: &mut Criterion) {
    let mut log = Log::make();
    (0..REPLAYED / BATCH).for_each(|_| log.append(BATCH));
    log.check(REPLAYED);
    let mut group = criterion.benchmark_group("journal, replay");
    group.throughput(Throughput::Elements(REPLAYED));
    group.bench_function("10,000 records", |bench| {
        bench.iter(|| {
            log.replay(1, |entry| {
                black_box(entry);
            })
        });
    });
    group.finish();
}

criterion_group! { name = benches; config = micro::criterion(); targets = appends, replay }
criterion_main!(benches);
