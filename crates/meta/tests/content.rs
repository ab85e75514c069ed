//! What commit, truncate and punch do to a file's map.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use common::{Fs, MIB, ROOT, chunk, chunk_id, raised, version_of};
use meta::{Cut, Effect};
use types::{
    CHUNK_BYTES, ChunkIndex, ChunkSlot, ClassId, FILE_BYTES_MAX, Op, Status, Term, Timestamp,
    TruncateGeneration, Version,
};

fn with_chunks(count: u32) -> (Fs, types::InodeRef) {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    let chunks: Vec<_> = (0..count).map(|index| chunk(index, u64::from(index) + 1, 1)).collect();
    fs.commit(f, u64::from(count) * CHUNK_BYTES, &chunks).unwrap();
    (fs, f)
}

#[test]
fn a_commit_attaches_what_the_map_lacks_and_only_lengthens() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    fs.commit(f, 5000, &[chunk(0, 1, 1), chunk(7, 2, 1)]).unwrap();
    let born = |slot, number| Effect::ChunkBorn {
        slot: ChunkSlot(slot),
        chunk: chunk_id(number),
        version: version_of(1),
        class: ClassId(0),
    };
    assert_eq!(fs.effects, [born(0, 1), born(1, 2)]);
    fs.commit(f, 100, &[chunk(0, 1, 1)]).unwrap();
    assert_eq!((fs.stat(f).length, fs.stat(f).chunks), (5000, 2));
    assert_eq!(fs.map(f), [(0, 1, 1), (7, 2, 1)]);
    let (view, owner) = fs.meta.find_chunk(chunk_id(2)).unwrap();
    assert_eq!(
        (owner.inode, owner.index, fs.meta.owner_of(view.slot)),
        (f, ChunkIndex(7), Some((view, owner)))
    );
    assert_eq!(fs.meta.chunk_at(f, ChunkIndex(3)).unwrap(), None);
}

#[test]
fn a_commit_that_contradicts_the_map_is_an_error_and_changes_nothing() {
    let (mut fs, f) = with_chunks(2);
    let g = fs.file(ROOT, "g");
    fs.op(Op::Raise { chunk: chunk_id(1), version: version_of(3), members: vec![] }).unwrap();
    assert_eq!(fs.commit(f, 1, &[chunk(0, 9, 1)]), Err(Status::Io), "another chunk");
    assert_eq!(fs.commit(f, 1, &[chunk(0, 1, 2)]), Err(Status::Io), "an older version");
    assert_eq!(fs.commit(g, 1, &[chunk(0, 2, 1)]), Err(Status::Io), "of another file");
    assert_eq!(fs.commit(f, 1, &[chunk(5, 2, 1)]), Err(Status::Io), "of another place");
    assert_eq!(fs.commit(g, 1, &[chunk(0, 8, 1), chunk(1, 8, 1)]), Err(Status::Io), "one chunk twice");
    assert_eq!(fs.commit(g, 1, &[chunk(0, 8, 1), chunk(0, 9, 1)]), Err(Status::Invalid), "one place twice");
    assert_eq!(fs.commit(g, FILE_BYTES_MAX + 1, &[]), Err(Status::FileTooBig));
    let mut future = chunk(0, 1, 1);
    future.version = Version { term: Term(2), counter: 1 };
    assert_eq!(fs.commit(f, 1, &[future]), Err(Status::Io), "of a reign that has not been");
    fs.commit(f, 1, &[chunk(0, 1, 4)]).unwrap();
    assert_eq!(fs.map(f)[0], (0, 1, 4));
}

#[test]
fn a_length_from_before_a_truncate_is_ignored() {
    let (mut fs, f) = with_chunks(1);
    let late = fs.commit_op(f, 60 * MIB, &[chunk(0, 1, 1), chunk(1, 9, 1)]);
    fs.truncate(f, 0, None).unwrap();
    assert_eq!(fs.effects.len(), 1);
    fs.op(late).unwrap();
    assert_eq!((fs.stat(f).length, fs.map(f)), (0, vec![]));
    let mut ahead = fs.commit_op(f, 1, &[chunk(0, 10, 1)]);
    if let Op::Commit { truncate_generation, .. } = &mut ahead {
        *truncate_generation = TruncateGeneration(truncate_generation.0 + 1);
    }
    fs.op(ahead).unwrap();
    assert_eq!((fs.stat(f).length, fs.map(f)), (0, vec![]), "its truncate is lost with a tail of the log");
}

#[test]
fn reading_alone_changes_nothing_but_the_access_time() {
    let (mut fs, f) = with_chunks(1);
    let before = fs.stat(f);
    let mut op = fs.commit_op(f, 0, &[]);
    if let Op::Commit { accessed, .. } = &mut op {
        *accessed = Some(Timestamp::new(77, 0));
    }
    fs.ok(op);
    assert_eq!(fs.stat(f), types::Attributes { accessed: Timestamp::new(77, 0), ..before });
}

#[test]
fn truncate_drops_chunks_and_wants_the_boundary_cut_under_a_raised_version() {
    let (mut fs, f) = with_chunks(4);
    let edge = fs.meta.cut_boundaries(f, Cut::Length(CHUNK_BYTES + 10)).unwrap();
    assert_eq!(edge.len(), 1);
    assert_eq!((edge[0].view.index.0, edge[0].from, u64::from(edge[0].to)), (1, 10, CHUNK_BYTES));
    assert_eq!(fs.truncate(f, CHUNK_BYTES + 10, None), Err(Status::TryAgain));
    assert_eq!(fs.truncate(f, CHUNK_BYTES + 10, Some(raised(1, 9, 5))), Err(Status::TryAgain));
    assert_eq!(fs.truncate(f, CHUNK_BYTES + 10, Some(raised(1, 2, 1))), Err(Status::WrongVersion));
    fs.truncate(f, CHUNK_BYTES + 10, Some(raised(1, 2, 2))).unwrap();
    assert_eq!(fs.map(f), [(0, 1, 1), (1, 2, 2)]);
    assert_eq!((fs.stat(f).length, fs.stat(f).truncate_generation.0), (CHUNK_BYTES + 10, 1));
    fs.truncate(f, 9 * CHUNK_BYTES, None).unwrap();
    assert_eq!((fs.stat(f).chunks, fs.stat(f).truncate_generation.0), (2, 1));
    fs.truncate(f, CHUNK_BYTES, None).unwrap();
    assert_eq!(fs.map(f), [(0, 1, 1)]);
    assert_eq!(fs.truncate(f, FILE_BYTES_MAX + 1, None), Err(Status::FileTooBig));
}

#[test]
fn a_file_that_is_made_longer_has_what_lies_beyond_its_end_cut() {
    let (mut fs, f) = with_chunks(2);
    fs.truncate(f, CHUNK_BYTES + 10, Some(raised(1, 2, 2))).unwrap();
    for length in [CHUNK_BYTES + 10, 9 * CHUNK_BYTES] {
        let edge = fs.meta.cut_boundaries(f, Cut::Length(length)).unwrap();
        assert_eq!(edge.len(), 1);
        assert_eq!((edge[0].view.index.0, edge[0].from, u64::from(edge[0].to)), (1, 10, CHUNK_BYTES));
    }
    fs.truncate(f, 9 * CHUNK_BYTES, Some(raised(1, 2, 3))).unwrap();
    assert_eq!(fs.map(f), [(0, 1, 1), (1, 2, 3)]);
    // Who wrote beyond the end and has not committed learns that it is gone.
    assert_eq!((fs.stat(f).length, fs.stat(f).truncate_generation.0), (9 * CHUNK_BYTES, 2));
    assert!(
        fs.meta.cut_boundaries(f, Cut::Length(10 * CHUNK_BYTES)).unwrap().is_empty(),
        "there is no chunk"
    );
}

#[test]
fn punch_drops_whole_chunks_and_cuts_both_edges() {
    let (mut fs, f) = with_chunks(4);
    let punch = |offset, length, boundaries| Op::Punch { inode: f, offset, length, boundaries };
    let (offset, length) = (CHUNK_BYTES / 2, 2 * CHUNK_BYTES);
    let edges = fs.meta.cut_boundaries(f, Cut::Range { offset, length }).unwrap();
    let shown: Vec<_> = edges.iter().map(|edge| (edge.view.index.0, edge.from, edge.to)).collect();
    let (half, whole) = (CHUNK_BYTES as u32 / 2, CHUNK_BYTES as u32);
    assert_eq!(shown, [(0, half, whole), (2, 0, half)]);
    assert_eq!(fs.refused(punch(offset, length, vec![raised(0, 1, 2)])), Status::TryAgain);
    fs.ok(punch(offset, length, vec![raised(0, 1, 2), raised(2, 3, 2)]));
    assert_eq!(fs.map(f), [(0, 1, 2), (2, 3, 2), (3, 4, 1)]);
    assert_eq!(fs.stat(f).length, 4 * CHUNK_BYTES);
    assert_eq!(fs.refused(punch(0, 0, vec![])), Status::Invalid);
    assert_eq!(fs.refused(punch(u64::MAX, 2, vec![])), Status::FileTooBig);
    let inner = fs.meta.cut_boundaries(f, Cut::Range { offset: 5, length: 10 }).unwrap();
    assert_eq!((inner.len(), inner[0].from, inner[0].to), (1, 5, 15));
    fs.ok(punch(3 * CHUNK_BYTES, CHUNK_BYTES, vec![]));
    assert_eq!((fs.stat(f).chunks, fs.stat(f).truncate_generation.0), (2, 2));
}

#[test]
fn punching_to_the_end_of_a_file_drops_its_last_chunk() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    fs.commit(f, 5000, &[chunk(0, 1, 1)]).unwrap();
    fs.ok(Op::Punch { inode: f, offset: 0, length: 5000, boundaries: vec![] });
    assert_eq!((fs.stat(f).length, fs.stat(f).chunks), (5000, 0));
}

#[test]
fn a_sparse_file_of_16_tib_has_a_map_of_its_chunks_alone() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    let last = (16u64 << 40) / CHUNK_BYTES - 1;
    fs.commit(f, 16 << 40, &[chunk(last as u32, 1, 1)]).unwrap();
    assert_eq!((fs.stat(f).length, fs.stat(f).chunks), (16 << 40, 1));
    fs.truncate(f, FILE_BYTES_MAX, None).unwrap();
    fs.commit(f, 0, &[chunk(u32::MAX, 2, 1)]).unwrap();
    fs.truncate(f, 1, None).unwrap();
    assert_eq!(fs.map(f), []);
}

#[test]
fn a_raise_only_goes_up() {
    let (mut fs, _) = with_chunks(1);
    let mut raise = |number, counter| {
        fs.op(Op::Raise { chunk: chunk_id(number), version: version_of(counter), members: vec![] })
            .map(|_| ())
    };
    assert_eq!(raise(1, 2), Ok(()));
    assert_eq!(raise(1, 2), Err(Status::WrongVersion));
    assert_eq!(raise(5, 2), Err(Status::NoChunk));
}
