//! A snapshot of unsent and uncommitted writes, laid over what the servers hold.
//!
//! A reader takes it *before* it asks a server: bytes that leave the buffer while the answer is on its
//! way are then in one of the two.

use bytes::Bytes;

/// Pieces in the order in which they lie over each other: a later one hides an earlier one.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    pieces: Vec<(u64, Bytes)>,
}

impl Overlay {
    /// Adds a piece on top.
    pub(crate) fn push(&mut self, offset: u64, bytes: Bytes) {
        self.pieces.push((offset, bytes));
    }

    /// Nothing is written here.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Lays the pieces over `base`, whose first byte is the file's byte `offset`.
    pub(crate) fn apply(&self, offset: u64, base: &mut [u8]) {
        let end = offset + base.len() as u64;
        for (at, bytes) in &self.pieces {
            let (from, to) = ((*at).max(offset), (at + bytes.len() as u64).min(end));
            if from < to {
                base[(from - offset) as usize..(to - offset) as usize]
                    .copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
            }
        }
    }

    /// The bytes of a range if all of it is written here: no server need be asked.
    pub(crate) fn whole(&self, offset: u64, length: usize) -> Option<Bytes> {
        let end = offset + length as u64;
        if let Some((at, bytes)) = self.pieces.last()
            && *at <= offset
            && at + bytes.len() as u64 >= end
        {
            let from = (offset - at) as usize;
            return Some(bytes.slice(from..from + length));
        }
        let mut ranges: Vec<(u64, u64)> =
            self.pieces.iter().map(|(at, bytes)| (*at, at + bytes.len() as u64)).collect();
        ranges.sort_unstable();
        let mut reached = offset;
        for (from, to) in ranges {
            if from > reached {
                break;
            }
            reached = reached.max(to);
        }
        if reached < end {
            return None;
        }
        let mut bytes = vec![0; length];
        self.apply(offset, &mut bytes);
        Some(bytes.into())
    }
}
