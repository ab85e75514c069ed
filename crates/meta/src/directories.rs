//! Entry tables: names, what they lead to, and their order.
//!
//! An entry belongs to an entry table, and a directory's inode names its table. Now each directory has
//! a table of its own with the inode's number as id; sharing comes with snapshots
//! (`docs/decisions/0002-snapshots-and-entries.md`).
//!
//! # Invariants
//! 1. A name is in a table at most once, and all entries of a table are in its order.
//! 2. An entry keeps its cursor while it lives; a table never gives a cursor twice.
//! 3. Entries and tables change only through functions here that keep the digest. The caller names the
//!    identity of the inode together with its slot, since items are made of identities.

use crate::cursors::CursorList;
use crate::digest::{Item, Sum, Tag};
use crate::index::{Hash, Index, mix};
use crate::names::Names;
use crate::slab::Slab;
use types::{DirCursor, InodeId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What an entry leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) slot: u32,
    pub(crate) id: InodeId,
}

#[derive(Debug, Default)]
struct Table {
    id: u64,
    /// The entry that leads to the directory; of the root none. It follows from the entries.
    named_by: Option<u32>,
    /// Directories that name this table.
    refs: u32,
    cursor_last: u64,
    order: CursorList,
}

impl Table {
    fn hash(&self) -> u128 {
        Item::<32>::new(Tag::Table).u64(self.id).u32(self.refs).u64(self.cursor_last).hash()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    table: u32,
    child: u32,
    name: u32,
    /// In two halves, for the sake of the entry's alignment.
    cursor: [u32; 2],
    /// Of table and name: an index that grows need not look at names.
    hash: u32,
    name_len: u8,
}

const _: () = assert!(size_of::<Entry>() == 28);

impl Entry {
    fn cursor(&self) -> u64 {
        (u64::from(self.cursor[1]) << 32) | u64::from(self.cursor[0])
    }
}

/// An entry as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryView<'a> {
    pub(crate) cursor: DirCursor,
    pub(crate) name: &'a [u8],
    /// Slot of the inode.
    pub(crate) child: u32,
}

/// A table as a checkpoint sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableView {
    pub(crate) slot: u32,
    pub(crate) id: u64,
    pub(crate) refs: u32,
    pub(crate) cursor_last: u64,
}

/// All tables and entries.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    tables: Slab<Table>,
    entries: Slab<Entry>,
    names: Names,
    index: Index,
    sum: Sum,
}

fn hash_name(table: u32, name: &[u8]) -> u32 {
    xxh3_64_with_seed(name, mix(u64::from(table))) as u32
}

impl Directories {
    /// An empty table.
    pub(crate) fn add_table(&mut self, id: u64, cursor_last: u64) -> u32 {
        let table = Table { id, named_by: None, refs: 1, cursor_last, order: CursorList::default() };
        self.sum.add(table.hash());
        self.tables.insert(table)
    }

    /// Removes a table that is empty.
    pub(crate) fn remove_table(&mut self, slot: u32) {
        assert_eq!(self.count(slot), 0, "only an empty directory is removed");
        let table = self.tables.remove(slot);
        self.sum.take(table.hash());
    }

    /// Entries of a table.
    pub(crate) fn count(&self, table: u32) -> u32 {
        self.tables[table].order.len()
    }

    /// The entry with a name.
    pub(crate) fn find(&self, table: u32, name: &[u8]) -> Option<u32> {
        let hash = hash_name(table, name);
        self.index.find(Hash::of_hashed(hash), |slot| {
            let entry = &self.entries[slot];
            entry.hash == hash
                && entry.table == table
                && usize::from(entry.name_len) == name.len()
                && self.names.get(entry.name, entry.name_len) == name
        })
    }

    /// Slot of the inode that an entry leads to.
    pub(crate) fn child(&self, entry: u32) -> u32 {
        self.entries[entry].child
    }

    /// Adds a name that is not there yet, with the table's next cursor. The slot of the entry.
    pub(crate) fn insert(&mut self, table: u32, name: &[u8], child: Child) -> u32 {
        let cursor = self.tables[table].cursor_last + 1;
        let before = self.tables[table].hash();
        self.tables[table].cursor_last = cursor;
        self.sum.take(before);
        self.sum.add(self.tables[table].hash());
        self.insert_at(table, name, child, DirCursor(cursor))
    }

    /// Adds a name with a cursor above all others of the table and not above the table's last. The slot of the entry.
    pub(crate) fn insert_at(&mut self, table: u32, name: &[u8], child: Child, cursor: DirCursor) -> u32 {
        let entry = Entry {
            table,
            child: child.slot,
            name: self.names.insert(name),
            cursor: [cursor.0 as u32, (cursor.0 >> 32) as u32],
            hash: hash_name(table, name),
            name_len: name.len() as u8,
        };
        let slot = self.entries.insert(entry);
        self.tables[table].order.push(cursor.0, slot);
        self.sum.add(self.hash(slot, child.id));
        let entries = &self.entries;
        self.index.insert(Hash::of_hashed(entry.hash), slot, |slot| Hash::of_hashed(entries[slot].hash));
        slot
    }

    /// Notes by which entry the directory of a table is found.
    pub(crate) fn set_named_by(&mut self, table: u32, entry: u32) {
        self.tables[table].named_by = Some(entry);
    }

    /// What the directory of a table is called; the root is not.
    pub(crate) fn name_of(&self, table: u32) -> Option<&[u8]> {
        let entry = self.entries.get(self.tables[table].named_by?)?;
        Some(self.names.get(entry.name, entry.name_len))
    }

    /// Removes an entry that leads to `child`.
    pub(crate) fn remove(&mut self, slot: u32, child: InodeId) {
        self.sum.take(self.hash(slot, child));
        let entry = self.entries[slot];
        self.index.remove(Hash::of_hashed(entry.hash), slot);
        let entries = &self.entries;
        self.tables[entry.table].order.remove(entry.cursor(), |slot| entries[slot].cursor());
        self.names.remove(entry.name, entry.name_len);
        self.entries.remove(slot);
    }

    /// Makes an entry lead elsewhere; it keeps its cursor.
    pub(crate) fn retarget(&mut self, slot: u32, from: InodeId, to: Child) {
        self.sum.take(self.hash(slot, from));
        self.entries[slot].child = to.slot;
        self.sum.add(self.hash(slot, to.id));
    }

    /// Entries of a table after a cursor, in order.
    pub(crate) fn after(&self, table: u32, after: DirCursor) -> impl Iterator<Item = EntryView<'_>> {
        self.tables[table].order.after(after.0, |slot| self.entries[slot].cursor()).map(|slot| {
            let entry = &self.entries[slot];
            EntryView {
                cursor: DirCursor(entry.cursor()),
                name: self.names.get(entry.name, entry.name_len),
                child: entry.child,
            }
        })
    }

    fn hash(&self, slot: u32, child: InodeId) -> u128 {
        let entry = &self.entries[slot];
        Item::<288>::new(Tag::Entry)
            .u64(self.tables[entry.table].id)
            .u64(entry.cursor())
            .u64(child.0)
            .u8(entry.name_len)
            .raw(self.names.get(entry.name, entry.name_len))
            .hash()
    }

    /// All tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = TableView> {
        self.tables.iter().map(|(slot, table)| TableView {
            slot,
            id: table.id,
            refs: table.refs,
            cursor_last: table.cursor_last,
        })
    }
    /// Tables: one for each directory.
    pub(crate) fn table_count(&self) -> usize {
        self.tables.len()
    }
    /// Entries of all tables.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self, id_of: impl Fn(u32) -> InodeId) -> Sum {
        let mut sum = Sum::default();
        self.tables.iter().for_each(|(_, table)| sum.add(table.hash()));
        self.entries.iter().for_each(|(slot, entry)| sum.add(self.hash(slot, id_of(entry.child))));
        sum
    }
}
