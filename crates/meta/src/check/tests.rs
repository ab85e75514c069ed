//! Each kind of contradiction, made on purpose, is found.

use super::*;
use crate::chunks::Chunk;
use crate::digest::Sum;
use types::{
    ClusterId, DirtyChunk, Generation, InodeRef, LogIndex, Name, NodeSpec, Op, Owner, Record, Term,
    Timestamp, TruncateGeneration, Version,
};

const FILE: InodeId = InodeId(4);

/// A tree `d/e`, `d/f` (a file with one chunk), `g` (another name of it) in the first reign.
fn tree() -> Meta {
    let mut meta = Meta::new();
    let mut apply = |op| {
        let index = LogIndex(meta.applied().1.0 + 1);
        let record = Record { term: Term(1), index, at: Timestamp::new(index.0 as i64, 0), origin: None, op };
        assert!(meta.apply(&record).changed);
    };
    let inode = |id| InodeRef { id: InodeId(id), generation: Generation(1) };
    let name = |text: &str| Name::new(text.as_bytes()).expect("a name");
    let create = |parent, text: &str, id, kind| Op::Create {
        parent,
        name: name(text),
        inode: inode(id),
        node: NodeSpec { kind, mode: 0o755, owner: Owner::default(), device: 0, target: Vec::new() },
        exclusive: true,
    };
    apply(Op::NewCluster { cluster: ClusterId([1; 16]) });
    apply(Op::NewTerm { term: Term(1) });
    apply(create(InodeRef::ROOT, "d", 2, FileKind::Directory));
    apply(create(inode(2), "e", 3, FileKind::Directory));
    apply(create(inode(2), "f", FILE.0, FileKind::File));
    apply(Op::Link { inode: inode(FILE.0), parent: InodeRef::ROOT, name: name("g") });
    let version = Version { term: Term(1), counter: 1 };
    let chunk = ChunkId::new(Term(1), 1).expect("an id");
    apply(Op::Commit {
        inode: inode(FILE.0),
        truncate_generation: TruncateGeneration(0),
        length: 7,
        modified: None,
        accessed: None,
        chunks: vec![DirtyChunk { index: ChunkIndex(0), chunk, version }],
        clear_privileges: false,
        durable: false,
    });
    meta
}

fn slot(meta: &Meta, inode: InodeId) -> u32 {
    meta.inodes.find_id(inode).expect("it exists")
}

/// What is found once `damage` was done.
fn found(damage: impl FnOnce(&mut Meta)) -> Vec<Finding> {
    let mut meta = tree();
    assert_eq!(meta.check(), []);
    damage(&mut meta);
    let findings = meta.check();
    assert!(findings.iter().all(|finding| !finding.to_string().is_empty()));
    findings
}

#[test]
fn counts_that_do_not_match_what_they_count_are_found() {
    let links = found(|meta| {
        let (file, dir) = (slot(meta, FILE), slot(meta, InodeId(2)));
        meta.inodes.edit(file, |inode| inode.links = 1);
        meta.inodes.edit(dir, |inode| inode.links = 2);
    });
    let wrong = |inode, says, found| Finding::Links { inode, says, found };
    assert_eq!(links, [wrong(InodeId(2), 2, 3), wrong(FILE, 1, 2)]);
    let orphan = found(|meta| assert!(meta.orphans.insert(FILE)));
    assert_eq!(orphan, [Finding::Orphan { inode: FILE }]);
}

#[test]
fn what_has_no_name_is_found() {
    let lost = found(|meta| {
        let dir = slot(meta, InodeId(2));
        let table = meta.table_of(dir);
        for name in [&b"e"[..], b"f"] {
            let entry = meta.directories.find(table, name).expect("it has this name");
            let child = meta.directories.child(entry);
            let id = meta.child(child).id;
            meta.directories.remove(entry, id);
        }
    });
    assert!(lost.contains(&Finding::Unreachable { inode: InodeId(3) }), "{lost:?}");
    assert!(lost.contains(&Finding::Links { inode: FILE, says: 2, found: 1 }), "{lost:?}");
    assert!(lost.contains(&Finding::Links { inode: InodeId(2), says: 3, found: 2 }), "{lost:?}");
}

#[test]
fn a_directory_that_is_not_where_its_parent_says_is_found_and_a_circle_ends() {
    let moved = found(|meta| {
        let (root, dir) = (slot(meta, InodeId::ROOT), slot(meta, InodeId(3)));
        meta.inodes.place_mut(dir).side = root;
    });
    assert!(moved.contains(&Finding::Parent { inode: InodeId(3) }), "{moved:?}");
    let circle = found(|meta| {
        let dir = slot(meta, InodeId(3));
        let child = meta.child(slot(meta, InodeId(2)));
        let table = meta.table_of(dir);
        meta.directories.insert(table, b"up", child);
    });
    assert!(circle.contains(&Finding::Parent { inode: InodeId(2) }), "{circle:?}");
}

#[test]
fn chunks_that_nobody_has_or_two_have_are_found() {
    let version = Version { term: Term(1), counter: 1 };
    let stray = ChunkId::new(Term(1), 9).expect("an id");
    let lost = found(|meta| {
        meta.chunks.insert(Chunk::new(stray, version, FILE, ChunkIndex(3)));
    });
    assert_eq!(lost, [Finding::References { chunk: stray, says: 1, found: 0 }]);
    let elsewhere = found(|meta| {
        let slot = meta.chunks.insert(Chunk::new(stray, version, InodeId(99), ChunkIndex(3)));
        let file = self::slot(meta, FILE);
        meta.maps.insert(meta.inodes.place_mut(file), ChunkIndex(3), slot);
    });
    assert_eq!(elsewhere, [Finding::Owner { inode: FILE, index: ChunkIndex(3), chunk: stray }]);
    let later = found(|meta| {
        let slot = meta.chunks.find(ChunkId::new(Term(1), 1).expect("an id")).expect("it exists");
        meta.chunks.set_version(slot, Version { term: Term(2), counter: 1 });
    });
    assert_eq!(later, [Finding::Version { chunk: ChunkId::new(Term(1), 1).expect("an id") }]);
}

#[test]
fn numbers_digests_and_attributes_that_cannot_be_are_found() {
    let gone = found(|meta| meta.xattrs.set(InodeId(99), b"user.a", b"1"));
    assert_eq!(gone, [Finding::Attribute { inode: InodeId(99) }]);
    let digest = found(|meta| meta.inodes.damage_sum(Sum::default()));
    assert_eq!(digest, [Finding::Digest]);
}
