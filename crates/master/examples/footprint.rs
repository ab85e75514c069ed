//! Memory and speed of the metadata: a million small files with one chunk of two replicas each, 1,000 to a
//! directory, names of 17 bytes, in `meta` and `fleet`. Prints bytes for each file (resident memory, everything
//! included), operations per second, and how long a checkpoint takes to write and to load.
//!
//! `cargo run --release -p master --example footprint [files]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints and may stop")]

use fleet::{DiskInfo, Event, Fleet, FleetOptions, ReportedReplica, ServerInfo};
use meta::{Effect, Loader, Meta};
use std::time::Instant;
use types::{
    ChunkId, ChunkIndex, ChunkSlot, ClusterId, DirCursor, DirtyChunk, DiskId, FileKind, Generation, InodeId,
    InodeRef, LogIndex, Name, NodeSpec, Op, Owner, Record, ServerId, Term, Timestamp, TruncateGeneration,
    Version,
};

const FILES_PER_DIRECTORY: u64 = 1000;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Chunks that one message of a disk's report names.
const REPORT_ENTRIES: usize = 10_000;
const DISKS: usize = 6;

struct Log {
    meta: Meta,
    fleet: Fleet,
    index: u64,
    born: Vec<(ChunkSlot, ChunkId, Version)>,
}

fn server(number: usize) -> ServerId {
    ServerId([number as u8 + 1; 16])
}

fn disk(number: usize) -> DiskId {
    DiskId([number as u8 + 101; 16])
}

impl Log {
    /// Every chunk gets two replicas on different servers, as reports after a start give them.
    fn report_replicas(&mut self) {
        let mut commands = Vec::new();
        for number in 0..DISKS / 2 {
            let disks = [number * 2, number * 2 + 1].map(|n| DiskInfo {
                disk: disk(n),
                total_bytes: 1 << 40,
                free_bytes: 1 << 39,
                ..DiskInfo::default()
            });
            let info = ServerInfo { server: server(number), disks: disks.to_vec(), ..ServerInfo::default() };
            self.fleet.handle(Event::ServerRegistered(info), 0, &mut commands);
        }
        for number in 0..DISKS {
            let held: Vec<_> = self
                .born
                .iter()
                .filter(|(slot, ..)| {
                    let first = slot.0 as usize % DISKS;
                    number == first || number == (first + 2) % DISKS
                })
                .map(|&(slot, chunk, version)| ReportedReplica::sound(Some(slot), chunk, version))
                .collect();
            for part in held.chunks(REPORT_ENTRIES) {
                let event = Event::Reported { disk: disk(number), replicas: part.to_vec(), last: false };
                self.fleet.handle(event, 0, &mut commands);
            }
            self.fleet.handle(
                Event::Reported { disk: disk(number), replicas: Vec::new(), last: true },
                0,
                &mut commands,
            );
        }
    }

    fn apply(&mut self, op: Op) {
        self.index += 1;
        let at = Timestamp::new(1_800_000_000 + self.index as i64 / 1000, self.index as u32 % 1000);
        let record = Record { term: Term(1), index: LogIndex(self.index), at, origin: None, op };
        let outcome = self.meta.apply(&record);
        outcome.reply.unwrap();
        for effect in outcome.effects {
            if let Effect::ChunkBorn { slot, chunk, version, class } = effect {
                self.fleet.handle(Event::ChunkBorn { slot, chunk, version, class }, 0, &mut Vec::new());
                self.born.push((slot, chunk, version));
            }
        }
    }

    fn create(&mut self, parent: InodeRef, name: &str, inode: InodeRef, kind: FileKind) {
        let node = NodeSpec {
            kind,
            mode: 0o644,
            owner: Owner { uid: 1000, gid: 1000 },
            device: 0,
            target: Vec::new(),
        };
        let name = Name::new(name.as_bytes()).unwrap();
        self.apply(Op::Create { parent, name, inode, node, exclusive: true });
    }
}

fn inode(number: u64) -> InodeRef {
    InodeRef { id: InodeId(number), generation: Generation(1) }
}

fn file_name(number: u64) -> String {
    format!("file-{number:012}")
}

fn report(what: &str, count: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what:<34} {seconds:>8.3} s {:>12.0} /s", count as f64 / seconds);
}

fn main() {
    let files: u64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().unwrap());
    let directories = files.div_ceil(FILES_PER_DIRECTORY);
    let fleet = Fleet::new(Term(2), FleetOptions::default(), 0);
    let mut log = Log { meta: Meta::new(), fleet, index: 0, born: Vec::with_capacity(files as usize) };
    log.apply(Op::NewCluster { cluster: ClusterId([1; 16]) });
    log.apply(Op::NewTerm { term: Term(1) });
    // The list of chunks is the measurement's own; its memory is touched before.
    log.born.resize(files as usize, (ChunkSlot(0), ChunkId(0), Version::default()));
    log.born.clear();
    let before = resident_bytes();

    for dir in 0..directories {
        log.create(InodeRef::ROOT, &format!("dir-{dir:08}"), inode(dir + 2), FileKind::Directory);
    }
    let parent = |number: u64| inode(number / FILES_PER_DIRECTORY + 2);
    let first = directories + 2;
    let begun = Instant::now();
    for number in 0..files {
        log.create(parent(number), &file_name(number), inode(first + number), FileKind::File);
    }
    report("create", files, begun);
    let begun = Instant::now();
    for number in 0..files {
        let chunk = DirtyChunk {
            index: ChunkIndex(0),
            chunk: ChunkId::new(Term(1), number + 1).unwrap(),
            version: Version { term: Term(1), counter: 1 },
        };
        log.apply(Op::Commit {
            inode: inode(first + number),
            truncate_generation: TruncateGeneration(0),
            length: 4096,
            modified: None,
            accessed: None,
            chunks: vec![chunk],
            clear_privileges: false,
            durable: false,
        });
    }
    report("commit of one chunk", files, begun);
    let begun = Instant::now();
    log.report_replicas();
    report("reports of all replicas", 2 * files, begun);
    assert_eq!(log.fleet.summary().ok, files);
    let used = resident_bytes() - before;
    println!("{:<34} {:>8.1} bytes/file", "resident", used as f64 / files as f64);

    let names: Vec<(InodeRef, Name)> = (0..files)
        .map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % files)
        .map(|number| (parent(number), Name::new(file_name(number).as_bytes()).unwrap()))
        .collect();
    let begun = Instant::now();
    for (dir, name) in &names {
        log.meta.lookup(*dir, name).unwrap();
    }
    report("lookup in random order", files, begun);
    let begun = Instant::now();
    let mut seen = 0;
    for dir in 0..directories {
        let mut after = DirCursor(0);
        loop {
            let (entries, end) = log.meta.read_directory(inode(dir + 2), after, 1 << 17).unwrap();
            seen += entries.len() as u64;
            after = entries.last().unwrap().cursor;
            if end {
                break;
            }
        }
    }
    assert_eq!(seen, files);
    report("readdir with attributes", files, begun);

    let mut checkpoint = Vec::new();
    let begun = Instant::now();
    let write = &mut |piece: &[u8]| {
        checkpoint.extend_from_slice(piece);
        Ok(())
    };
    log.meta.write_checkpoint(write).unwrap();
    report("checkpoint, write", files, begun);
    println!("{:<34} {:>8.1} bytes/file", "checkpoint", checkpoint.len() as f64 / files as f64);
    let begun = Instant::now();
    let mut loader = Loader::new();
    checkpoint.chunks(1 << 20).for_each(|part| loader.feed(part).unwrap());
    let loaded = loader.finish(Some(log.meta.digest())).unwrap();
    report("checkpoint, load and check", files, begun);
    assert_eq!(loaded.applied(), log.meta.applied());

    let begun = Instant::now();
    for number in 0..files {
        let name = Name::new(file_name(number).as_bytes()).unwrap();
        log.apply(Op::Unlink { parent: parent(number), name, keep: false });
    }
    report("unlink", files, begun);
}
