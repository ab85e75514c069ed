//! The namespace: records applied to a directory of 100,000 files, questions about it, and records as bytes.
//!
//! What is applied keeps the digest and the answer to the session's last request current, as on a live master.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use codec::record::{decode, encode};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use meta::Meta;
use micro::{in_turns, timed};
use std::hint::black_box;
use std::time::Duration;
use types::{
    ChunkId, ChunkIndex, ClusterId, DirCursor, DirtyChunk, FileKind, Generation, InodeId, InodeRef, LogIndex,
    Name, NodeSpec, Op, Origin, Owner, Record, Sequence, SessionId, Term, Timestamp, TruncateGeneration,
    Version,
};

/// Files that are there all the time, in one directory.
const FILES: u64 = 100_000;
/// Files that come and go within one turn.
const TURN: u64 = 1000;
/// What a client asks of a listing at most.
const PAGE_BYTES: u32 = 512 << 10;
const TERM: Term = Term(1);
const SESSION: SessionId = SessionId(5);
const DIRECTORY: InodeRef = inode(2);

const fn inode(number: u64) -> InodeRef {
    InodeRef { id: InodeId(number), generation: Generation(1) }
}

fn name(file: u64) -> Name {
    Name::new(format!("file-{file:012}").as_bytes()).unwrap()
}

fn node(kind: FileKind) -> NodeSpec {
    NodeSpec { kind, mode: 0o644, owner: Owner { uid: 1000, gid: 1000 }, device: 0, target: Vec::new() }
}

/// A namespace, and the numbers that its next records take.
struct Fs {
    meta: Meta,
    /// Records made so far.
    index: u64,
    /// The next inode; its chunk has the same number.
    inode: u64,
}

impl Fs {
    /// With files 0 to [`FILES`], the first of which has inode 3.
    fn furnished() -> Self {
        let mut fs = Self { meta: Meta::new(), index: 0, inode: 3 };
        let dir = Op::Create {
            parent: InodeRef::ROOT,
            name: Name::new(b"large").unwrap(),
            inode: DIRECTORY,
            node: node(FileKind::Directory),
            exclusive: true,
        };
        let begin = [
            Op::NewCluster { cluster: ClusterId([1; 16]) },
            Op::NewTerm { term: TERM },
            Op::OpenSession { session: SESSION, name: "bench".into() },
            dir,
        ];
        let begin: Vec<Record> = begin.into_iter().map(|op| fs.record(op, None)).collect();
        fs.apply(&begin);
        let files = fs.create(0..FILES);
        fs.apply(&files);
        fs.check();
        fs
    }

    /// The next record.
    fn record(&mut self, op: Op, origin: Option<Origin>) -> Record {
        self.index += 1;
        let at = Timestamp::new(1_800_000_000 + self.index as i64 / 1000, self.index as u32 % 1000);
        Record { term: TERM, index: LogIndex(self.index), at, origin, op }
    }

    /// The next record, for a client that has all answers before it.
    fn asked(&mut self, op: Op) -> Record {
        let sequence = Sequence(self.index + 1);
        let origin = Origin { session: SESSION, sequence, answered_below: sequence };
        self.record(op, Some(origin))
    }

    /// Two records for each file: its creation and the commit of its 4 KiB.
    fn create(&mut self, files: std::ops::Range<u64>) -> Vec<Record> {
        let mut records = Vec::with_capacity(2 * files.clone().count());
        for file in files {
            let new = inode(self.inode);
            let chunk = DirtyChunk {
                index: ChunkIndex(0),
                chunk: ChunkId::new(TERM, self.inode).unwrap(),
                version: Version { term: TERM, counter: 1 },
            };
            self.inode += 1;
            records.push(self.asked(Op::Create {
                parent: DIRECTORY,
                name: name(file),
                inode: new,
                node: node(FileKind::File),
                exclusive: true,
            }));
            records.push(self.asked(Op::Commit {
                inode: new,
                truncate_generation: TruncateGeneration(0),
                length: 4096,
                modified: None,
                accessed: None,
                chunks: vec![chunk],
                clear_privileges: false,
                durable: false,
            }));
        }
        records
    }

    fn unlink(&mut self, files: std::ops::Range<u64>) -> Vec<Record> {
        files
            .map(|file| self.asked(Op::Unlink { parent: DIRECTORY, name: name(file), keep: false }))
            .collect()
    }

    fn apply(&mut self, records: &[Record]) {
        for record in records {
            black_box(self.meta.apply(black_box(record)));
        }
    }

    /// As the master does it for the changelog.
    fn apply_and_encode(&mut self, records: &[Record], buffer: &mut Vec<u8>) {
        for record in records {
            black_box(self.meta.apply(black_box(record)));
            buffer.clear();
            encode(record, buffer);
            black_box(&*buffer);
        }
    }

    /// Every record was carried out (only then the position advances), and the standing files are there.
    fn check(&self) {
        assert_eq!(self.meta.applied(), (TERM, LogIndex(self.index)));
        assert_eq!(self.meta.counts().entries, FILES + 1);
        assert_eq!(self.meta.counts().chunks, FILES);
    }

    /// Creates files, then removes them; tells how long each took.
    fn turn(&mut self, count: u64, apply: impl FnOnce(&mut Self, &[Record])) -> (Duration, Duration) {
        let created = self.create(FILES..FILES + count);
        let creating = timed(|| apply(self, &created));
        assert_eq!(self.meta.counts().chunks, FILES + count);
        let unlinked = self.unlink(FILES..FILES + count);
        let unlinking = timed(|| self.apply(&unlinked));
        self.check();
        (creating, unlinking)
    }
}

fn namespace(criterion: &mut Criterion) {
    let mut fs = Fs::furnished();
    let mut group = criterion.benchmark_group("meta");
    group.bench_function("create and commit of a small file", |bench| {
        bench.iter_custom(|iterations| in_turns(iterations, TURN, |count| fs.turn(count, Fs::apply).0));
    });
    let mut buffer = Vec::new();
    group.bench_function("create and commit of a small file, with encoding", |bench| {
        bench.iter_custom(|iterations| {
            in_turns(iterations, TURN, |count| {
                fs.turn(count, |fs, records| fs.apply_and_encode(records, &mut buffer)).0
            })
        });
    });
    group.bench_function("unlink of a small file", |bench| {
        bench.iter_custom(|iterations| in_turns(iterations, TURN, |count| fs.turn(count, Fs::apply).1));
    });

    // A stride that shares no factor with their number visits all files, each far from the one before.
    let names: Vec<Name> = (0..FILES).map(|n| name(n * 61_803 % FILES)).collect();
    let found = fs.meta.lookup(DIRECTORY, &names[1]).unwrap();
    assert_eq!((found.inode, found.length, found.chunks), (inode(61_803 + 3), 4096, 1));
    let mut next = names.iter().cycle();
    group.bench_function("lookup", |bench| {
        bench.iter_batched(
            || next.next(),
            |name| fs.meta.lookup(DIRECTORY, name.expect("a cycle has no end")),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("digest of the whole", |bench| bench.iter(|| fs.meta.digest()));

    let page = |after| fs.meta.read_directory(DIRECTORY, after, PAGE_BYTES).unwrap().0;
    let (mut after, mut seen) = (DirCursor(0), 0);
    let mut cursors = Vec::new();
    loop {
        let entries = page(after);
        let Some(last) = entries.last() else { break };
        assert_eq!(entries[0].name, name(seen));
        cursors.push((after, entries.len()));
        (after, seen) = (last.cursor, seen + entries.len() as u64);
    }
    assert_eq!(seen, FILES);
    let (middle, entries) = cursors[cursors.len() / 2];
    group.throughput(Throughput::Elements(entries as u64));
    group.bench_function("page of a listing", |bench| bench.iter(|| page(black_box(middle))));
    group.finish();
    assert_eq!(fs.meta.digest(), fs.meta.recomputed_digest());
}

fn records(criterion: &mut Criterion) {
    let mut fs = Fs { meta: Meta::new(), index: 0, inode: 3 };
    let records = fs.create(0..1);
    let mut group = criterion.benchmark_group("meta, record as bytes");
    for (what, record) in ["create", "commit"].into_iter().zip(&records) {
        let mut bytes = Vec::new();
        encode(record, &mut bytes);
        assert_eq!(decode(&bytes).as_ref(), Ok(record));
        let mut buffer = Vec::new();
        group.bench_function(format!("encode a {what}"), |bench| {
            bench.iter(|| {
                buffer.clear();
                encode(black_box(record), &mut buffer);
                black_box(&buffer);
            });
        });
        group.bench_function(format!("decode a {what}"), |bench| bench.iter(|| decode(black_box(&bytes))));
    }
    group.finish();
}

criterion_group! { name = benches; config = micro::criterion(); targets = namespace, records }
criterion_main!(benches);
