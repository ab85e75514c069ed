//! Memory and speed of the namespace: a million small files with one chunk each, 1,000 to a directory,
//! names of 17 bytes. Prints bytes for each file (resident memory, everything included), operations per
//! second, and how long a checkpoint takes to write and to load.
//!
//! `cargo run --release -p meta --example footprint [files]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints and may stop")]

use meta::{Loader, Meta};
use std::time::Instant;
use types::{
    ChunkId, ChunkIndex, ClusterId, DirCursor, DirtyChunk, FileKind, Generation, InodeId, InodeRef, LogIndex,
    Name, NodeSpec, Op, Owner, Record, Term, Timestamp, TruncateGeneration, Version,
};

const FILES_PER_DIRECTORY: u64 = 1000;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

struct Log {
    meta: Meta,
    index: u64,
}

impl Log {
    fn apply(&mut self, op: Op) {
        self.index += 1;
        let at = Timestamp::new(1_800_000_000 + self.index as i64 / 1000, self.index as u32 % 1000);
        let record = Record { term: Term(1), index: LogIndex(self.index), at, origin: None, op };
        self.meta.apply(&record).reply.unwrap();
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
    let mut log = Log { meta: Meta::new(), index: 0 };
    log.apply(Op::NewCluster { cluster: ClusterId([1; 16]) });
    log.apply(Op::NewTerm { term: Term(1) });
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
