//! Damaged checkpoints: an error or the same state, never a panic.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use codec::Malformed;
use codec::checkpoint::{Piece, Splitter};
use common::{Fs, ROOT, chunk, load};
use meta::LoadError;
use proptest::prelude::*;
use types::{ChunkIndex, ClassId, DirCursor, InodeId, Op, XattrMode};

fn sample() -> Fs {
    let mut fs = Fs::default();
    let (a, b) = (fs.mkdir(ROOT, "a"), fs.mkdir(ROOT, "b"));
    let c = fs.mkdir(a, "c");
    let f = fs.file(c, "f");
    fs.commit(f, 1 << 30, &[chunk(0, 1, 1), chunk(2, 2, 1)]).unwrap();
    fs.link(f, b, "g").unwrap();
    fs.make(b, "s", types::FileKind::Symlink, 0o777);
    fs.ok(Op::SetXattr { inode: f, name: b"user.x".to_vec(), value: vec![1], mode: XattrMode::Set });
    fs.ok(Op::OpenSession { session: types::SessionId(4), name: "x".into() });
    let (_, op) = fs.create_op(b, "h", Fs::node(types::FileKind::File, 0o600));
    fs.asked(4, 1, 1, op).reply.unwrap();
    fs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_an_error_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let fs = sample();
        let mut bytes = fs.checkpoint();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(meta) = load(&bytes) {
            prop_assert_eq!(meta.digest(), fs.meta.digest());
        }
    }

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(load(&bytes).is_err());
    }
}

/// Loads the sample after a change to its pieces; all lies, well formed.
fn load_changed(change: impl Fn(&mut Vec<Piece>)) -> LoadError {
    let mut pieces = Vec::new();
    let keep = |piece| {
        pieces.push(piece);
        Ok::<(), Malformed>(())
    };
    Splitter::default().feed(&sample().checkpoint(), keep).unwrap();
    change(&mut pieces);
    let mut bytes = Vec::new();
    pieces.into_iter().for_each(|piece| piece.encode(&mut bytes));
    load(&bytes).unwrap_err()
}

fn in_inodes(change: impl Fn(&mut Vec<codec::checkpoint::Inode>)) -> LoadError {
    load_changed(|pieces| {
        pieces.iter_mut().for_each(|piece| {
            if let Piece::Inodes(inodes) = piece {
                change(inodes);
            }
        });
    })
}

fn in_tables(change: impl Fn(&mut Vec<codec::checkpoint::Table>)) -> LoadError {
    load_changed(|pieces| {
        pieces.iter_mut().for_each(|piece| {
            if let Piece::Tables(tables) = piece {
                change(tables);
            }
        });
    })
}

fn in_chunks(change: impl Fn(&mut Vec<codec::checkpoint::Chunk>)) -> LoadError {
    load_changed(|pieces| {
        pieces.iter_mut().for_each(|piece| {
            if let Piece::Chunks(chunks) = piece {
                change(chunks);
            }
        });
    })
}

#[test]
fn well_formed_lies_are_found() {
    let says = |what| LoadError::Inconsistent { what };
    assert_eq!(in_inodes(|inodes| inodes[1].attributes.links = 7), says("links of a directory"));
    assert_eq!(in_inodes(|inodes| inodes[4].attributes.links = 1), says("links of an inode"));
    assert_eq!(
        in_inodes(|inodes| inodes[4].attributes.inode.id = InodeId(0)),
        says("inode number out of range")
    );
    assert_eq!(in_inodes(|inodes| inodes[1].table = 1), says("entry table of an inode"));
    assert_eq!(in_inodes(|inodes| inodes[2] = inodes[1].clone()), says("an inode comes twice"));
    assert_eq!(in_inodes(|inodes| inodes[4].attributes.mode = 0o600), LoadError::Digest);
    assert_eq!(in_inodes(|inodes| inodes[4].class = ClassId(3)), LoadError::Digest);
    assert_eq!(in_inodes(|inodes| inodes[0].attributes.length = 3), says("length of an inode"));
    assert_eq!(in_inodes(|inodes| inodes[5].target.push(1)), says("target of an inode"));
    assert_eq!(in_inodes(|inodes| drop(inodes.remove(4))), says("an entry without its inode"));

    assert_eq!(in_tables(|tables| tables[0].refs = 2), says("references to an entry table"));
    assert_eq!(in_tables(|tables| tables[1].id = 1), says("two parts of an entry table disagree"));
    assert_eq!(in_tables(|tables| tables[0].entries[1].cursor = DirCursor(1)), says("cursors of a table"));
    assert_eq!(in_tables(|tables| tables[0].entries[1].name = b"a".to_vec()), says("a name comes twice"));
    assert_eq!(
        in_tables(|tables| tables[0].entries[1].inode = InodeId(2)),
        says("a directory has two names")
    );
    assert_eq!(in_tables(|tables| tables[1].entries[0].inode = InodeId(1)), says("the root has a name"));
    assert_eq!(in_tables(|tables| drop(tables.remove(2))), says("items are missing"));

    assert_eq!(in_chunks(|chunks| chunks[1].index = ChunkIndex(0)), says("two chunks at one place"));
    assert_eq!(in_chunks(|chunks| chunks[1].chunk = chunks[0].chunk), says("a chunk comes twice"));
    assert_eq!(in_chunks(|chunks| chunks[1].owner = InodeId(1)), says("a chunk without its file"));
    assert_eq!(in_chunks(|chunks| chunks[1].refs = 2), says("references to a chunk"));
    assert_eq!(in_chunks(|chunks| chunks[1].index = ChunkIndex(5)), LoadError::Digest);
    assert_eq!(load_changed(|pieces| pieces.swap(1, 2)), says("an entry table without its directory"));
    assert_eq!(load_changed(|pieces| pieces.rotate_left(1)), says("sections are out of order"));
    assert_eq!(
        load_changed(|pieces| {
            if let Piece::Header(header) = &mut pieces[0] {
                header.format_version = 2;
            }
        }),
        LoadError::Version { found: 2, known: 1 }
    );
}

#[test]
fn directories_in_a_loop_are_found() {
    // `a` hangs below its own child `c`; links and counts agree.
    let error = load_changed(|pieces| {
        for piece in pieces {
            match piece {
                Piece::Inodes(inodes) => {
                    inodes[0].attributes.links = 3;
                    inodes[3].attributes.links = 3;
                }
                Piece::Tables(tables) => {
                    let entry = tables[0].entries.remove(0);
                    tables[3].cursor_last = 9;
                    tables[3].entries.push(codec::checkpoint::Entry { cursor: DirCursor(9), ..entry });
                }
                _ => {}
            }
        }
    });
    assert_eq!(error, LoadError::Inconsistent { what: "directories form a loop" });
}
