//! One suite for every implementation.

use super::*;
use crate::testing::{V1, V2, temporary};

fn behaves_as_a_sorted_map(index: &dyn KvIndex) {
    let entry = |version| IndexEntry { version, flags: Flags(Flags::TORN) };
    for n in [5, 1, 300, 256] {
        index.put(ChunkId(n), entry(V1)).unwrap();
    }
    index.put(ChunkId(5), entry(V2)).unwrap();
    index.remove(ChunkId(300)).unwrap();
    index.remove(ChunkId(301)).unwrap();
    index.flush().unwrap();
    assert_eq!(index.get(ChunkId(5)).unwrap(), Some(entry(V2)));
    assert_eq!(index.get(ChunkId(300)).unwrap(), None);
    let ids = |after, max| -> Vec<u64> {
        index.page(after, max).unwrap().into_iter().map(|(chunk, _)| chunk.0).collect()
    };
    assert_eq!(ids(None, 10), [1, 5, 256]);
    assert_eq!(ids(None, 2), [1, 5]);
    assert_eq!(ids(Some(ChunkId(5)), 10), [256]);
    assert!(ids(Some(ChunkId(256)), 10).is_empty());
}

#[test]
fn memory_behaves_as_a_sorted_map() {
    behaves_as_a_sorted_map(&MemoryIndex::default());
}

#[test]
fn sled_behaves_as_a_sorted_map_and_keeps_it() {
    let (guard, dir) = temporary();
    let opened = open_sled(&*dir, guard.path()).unwrap();
    assert!(opened.rebuilt.is_some());
    behaves_as_a_sorted_map(&*opened.index);
    drop(opened);
    let opened = open_sled(&*dir, guard.path()).unwrap();
    assert_eq!(opened.rebuilt, None);
    assert_eq!(opened.index.page(None, 10).unwrap().len(), 3);
    opened.index.condemn();
    drop(opened);
    let opened = open_sled(&*dir, guard.path()).unwrap();
    assert!(opened.rebuilt.is_some() && opened.index.page(None, 10).unwrap().is_empty());
}

#[test]
fn an_index_that_was_never_flushed_is_not_believed() {
    let (guard, dir) = temporary();
    let opened = open_sled(&*dir, guard.path()).unwrap();
    opened.index.put(ChunkId(1), IndexEntry { version: V1, flags: Flags(0) }).unwrap();
    drop(opened);
    assert!(open_sled(&*dir, guard.path()).unwrap().rebuilt.is_some());
}
