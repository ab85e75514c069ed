//! How a member that joined a chain with nothing comes to hold what the others hold, while they are being written.
//!
//! It takes every write of the version, in order, like any other member. Beside that it asks a complete member for one
//! piece of the chunk after the other. That member reads a piece in the chain's order: after all writes it had taken when
//! it was asked, so also after all that the asking member had taken, for whoever is before another takes first. What
//! the asking member takes while a piece is on its way may be missing in the piece, and is written again on top of it.
//! A write is bytes at a place: doing it twice, in order, is doing it once.
//!
//! # Invariants
//! 1. One piece is on its way at a time; nothing is asked for twice, unless it did not come.
//! 2. What [`Filling::arrived`] gives back covers every byte that was taken since the piece was asked for, with what was
//!    taken last; so a piece never lands on top of a newer write.
//! 3. A piece may hold writes that are still on their way here. The member is whole only when it has taken all of
//!    those, and then it holds exactly what the others held after the last write that it took.
//! 4. Memory is bounded by one piece.
//!
//! # Elsewhere
//! Frames, jobs, the header that says *filling*: `chunkserver`. Who fills, and when: `fleet`.

use std::collections::BTreeMap;
use types::{BLOCK_BYTES, BlockRange, CHUNK_BYTES, ChainSequence};

/// Bytes of a piece: a member that is written reads so much between two writes, which is a few milliseconds.
pub const PIECE_BYTES: u32 = 4 * BLOCK_BYTES;

const _: () = assert!(CHUNK_BYTES.is_multiple_of(PIECE_BYTES as u64));

/// See the module.
#[derive(Debug)]
pub struct Filling {
    /// Bytes to have in all, and of a piece.
    end: u32,
    piece: u32,
    /// What lies before is here.
    have: u32,
    asked: Option<Asked>,
    /// The last write that some piece may hold.
    upto: ChainSequence,
}

/// The piece that begins at `have` is on its way; what was taken since.
#[derive(Debug)]
struct Asked {
    arrived: bool,
    bytes: Vec<u8>,
    /// Ranges of `bytes`, from the start to the end, that do not touch each other.
    covered: BTreeMap<u32, u32>,
}

impl Default for Filling {
    fn default() -> Self {
        Self::sized(CHUNK_BYTES as u32, PIECE_BYTES)
    }
}

impl Filling {
    fn sized(end: u32, piece: u32) -> Self {
        Self { end, piece, have: 0, asked: None, upto: ChainSequence(0) }
    }

    /// The next piece to ask for; `None` if one is on its way or there is no more.
    pub fn ask(&mut self) -> Option<BlockRange> {
        if self.asked.is_some() || self.have == self.end {
            return None;
        }
        self.asked = Some(Asked { arrived: false, bytes: Vec::new(), covered: BTreeMap::new() });
        Some(BlockRange { first: self.have / BLOCK_BYTES, count: self.piece / BLOCK_BYTES })
    }

    /// A write was taken.
    pub fn wrote(&mut self, offset: u32, data: &[u8]) {
        let (from, to) = (self.have, self.have + self.piece);
        let Some(asked) = self.asked.as_mut().filter(|asked| !asked.arrived) else { return };
        let end = offset.saturating_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
        let (first, last) = (offset.max(from), end.min(to));
        if first >= last {
            return;
        }
        asked.bytes.resize(self.piece as usize, 0);
        let part = &data[(first - offset) as usize..(last - offset) as usize];
        asked.bytes[(first - from) as usize..(last - from) as usize].copy_from_slice(part);
        asked.cover(first - from, last - from);
    }

    /// The piece is here, read after this write: what is to be written on top of it, at which offsets.
    pub fn arrived(&mut self, sequence: ChainSequence) -> Vec<(u32, Vec<u8>)> {
        let Some(asked) = self.asked.as_mut() else { return Vec::new() };
        asked.arrived = true;
        self.upto = self.upto.max(sequence);
        let run =
            |(from, to): (&u32, &u32)| (self.have + from, asked.bytes[*from as usize..*to as usize].to_vec());
        asked.covered.iter().map(run).collect()
    }

    /// The piece and what was taken since are stored.
    pub fn landed(&mut self) {
        if self.asked.take().is_some() {
            self.have += self.piece;
        }
    }

    /// The piece did not come: the next source is asked for it.
    pub fn lost(&mut self) {
        self.asked = None;
    }

    /// Whether all of it is here, the last write taken being this one.
    pub fn is_whole(&self, taken: ChainSequence) -> bool {
        self.have == self.end && taken >= self.upto
    }
}

impl Asked {
    fn cover(&mut self, mut from: u32, mut to: u32) {
        while let Some((start, end)) =
            self.covered.range(..=to).next_back().map(|(start, end)| (*start, *end))
            && end >= from
        {
            (from, to) = (from.min(start), to.max(end));
            self.covered.remove(&start);
        }
        self.covered.insert(from, to);
    }
}

#[cfg(test)]
mod tests;
