//! The digest: a wrapping 128-bit sum of the hashes of all items.
//!
//! A sum does not depend on order, so each table keeps its own and adds or takes away what it changes;
//! comparing two states costs nothing, however large they are. Each item begins with a tag, all numbers
//! are little-endian, and byte strings carry their length, so no two different items look alike
//! (`docs/format/checkpoint.md` lists them).
//!
//! # Invariants
//! 1. An item is made of identities and values that outlive the process, never of slots.
//! 2. A table changes only through functions that keep its sum.

use types::{Label, Labels, Mark};
use xxhash_rust::xxh3::xxh3_128;

/// What kind of item is hashed. Numbers are only ever added.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Tag {
    Position = 1,
    Inode = 2,
    Table = 3,
    Entry = 4,
    Chunk = 5,
    Target = 6,
    Xattr = 7,
    Session = 8,
    Answer = 9,
    Disk = 10,
    Class = 11,
    ClassesGiven = 12,
    Server = 13,
    DiskDetails = 14,
    Task = 15,
    Trashed = 16,
    Limit = 17,
    Mute = 18,
    Hold = 19,
}

/// The sum over one table, or over all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(u128);

impl Sum {
    pub(crate) fn add(&mut self, hash: u128) {
        self.0 = self.0.wrapping_add(hash);
    }
    pub(crate) fn take(&mut self, hash: u128) {
        self.0 = self.0.wrapping_sub(hash);
    }
    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.0);
    }
    /// The inverse of [`Sum::merge`].
    pub(crate) fn split(&mut self, other: Self) {
        self.take(other.0);
    }
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

/// An item being encoded, on the stack: `N` is the most bytes it can have.
pub(crate) struct Item<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Item<N> {
    #[inline(always)]
    pub(crate) fn new(tag: Tag) -> Self {
        Self { bytes: [0; N], len: 0 }.u8(tag as u8)
    }
    #[inline(always)]
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        self
    }
    #[inline(always)]
    pub(crate) fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }
    #[inline(always)]
    pub(crate) fn u16(self, value: u16) -> Self {
        self.raw(&value.to_le_bytes())
    }
    #[inline(always)]
    pub(crate) fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }
    #[inline(always)]
    pub(crate) fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }
    #[inline(always)]
    pub(crate) fn hash(self) -> u128 {
        xxh3_128(&self.bytes[..self.len])
    }
}

/// An item with byte strings of any length.
pub(crate) struct LongItem(Vec<u8>);

impl LongItem {
    pub(crate) fn new(tag: Tag) -> Self {
        Self(vec![tag as u8])
    }
    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
    pub(crate) fn text(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
    pub(crate) fn hash(self) -> u128 {
        xxh3_128(&self.0)
    }
}

/// Adds what servers and disks have in common.
pub(crate) fn labels_and_mark(item: LongItem, labels: &Labels, mark: Mark) -> LongItem {
    let item = labels
        .iter()
        .map(Label::as_str)
        .fold(item.u64(labels.len() as u64), |item, label| item.text(label.as_bytes()));
    match mark {
        Mark::None => item.u64(0),
        Mark::Removing { drain_only, with: None } => item.u64(1).u64(drain_only.into()),
        Mark::Removing { drain_only, with: Some(disk) } => item.u64(4).u64(drain_only.into()).text(&disk.0),
        Mark::Maintenance { until: None } => item.u64(2),
        Mark::Maintenance { until: Some(until) } => item.u64(3).u64(until.to_bits()),
    }
}
