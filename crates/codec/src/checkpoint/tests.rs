//! Parts of a checkpoint, there and back, and damaged.

use super::*;
use types::{Expression, Holder, Label};

fn pieces() -> Vec<Piece> {
    let header = Header {
        format_version: FORMAT_VERSION,
        cluster: Some(ClusterId([7; 16])),
        term: Term(3),
        applied_term: Term(3),
        applied: LogIndex(99),
        at: Timestamp::new(1_800_000_000, 5),
        inode_highest: InodeId(12),
        classes_given: 3,
    };
    let entry = Entry { cursor: DirCursor(4), inode: InodeId(9), name: b"a name".to_vec() };
    vec![
        Piece::Header(header),
        Piece::Tables(vec![Table { id: 1, refs: 1, cursor_last: 8, entries: vec![entry] }]),
        Piece::Xattrs(vec![Xattr { inode: InodeId(9), name: b"user.x".to_vec(), value: vec![0, 255] }]),
        Piece::Trash(vec![Trashed {
            inode: InodeId(9),
            path: b"/a/name".to_vec(),
            deleted: Timestamp::new(1_800_000_000, 4),
            until: Timestamp::new(1_800_086_400, 4),
        }]),
        Piece::Limits(vec![Limited {
            scope: LimitScope::Pair {
                from: Expression::new("ssd").unwrap(),
                to: Expression::new("site=home").unwrap(),
            },
            limit: Limit { copies: Some(2), bytes_per_s: Some(1 << 20) },
        }]),
        Piece::Holds(vec![Held {
            hold: HoldId(90),
            cause: HoldCause::Labels {
                holder: Holder::Disk(DiskId([3; 16])),
                before: Labels::new([Label::new("ssd").unwrap()]).unwrap(),
            },
            since: Timestamp::new(1_800_000_000, 4),
            until: Timestamp::new(1_800_003_600, 4),
        }]),
        Piece::End(End { digest: [1; 16], inodes: 2, entries: 1, chunks: 0 }),
    ]
}

fn stream() -> Vec<u8> {
    let mut bytes = Vec::new();
    pieces().into_iter().for_each(|piece| piece.encode(&mut bytes));
    bytes
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_pieces() {
    for cut in [1, 2, 3, 7, 64, 10_000] {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for part in stream().chunks(cut) {
            let visit = |piece| {
                found.push(piece);
                Ok::<(), Malformed>(())
            };
            splitter.feed(part, visit).unwrap();
        }
        assert!(splitter.is_at_end());
        assert_eq!(found, pieces());
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_anything_is_kept() {
    let mut splitter = Splitter::default();
    let result = splitter.feed(&u32::MAX.to_le_bytes(), |_| Ok::<(), Malformed>(()));
    assert_eq!(result, Err(Malformed::new("piece too long")));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let entry = Entry { cursor: DirCursor(1), inode: InodeId(2), name: b"a/b".to_vec() };
    let mut bytes = Vec::new();
    Piece::Tables(vec![Table { id: 1, refs: 1, cursor_last: 1, entries: vec![entry] }]).encode(&mut bytes);
    let result = Splitter::default().feed(&bytes, |_| Ok::<(), Malformed>(()));
    assert_eq!(result, Err(Malformed::new("name")));
}
