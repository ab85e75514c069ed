//! What a file may contain, as a plain map of extents that remember who wrote them.
//!
//! Every write has a number, and its bytes are a function of the number and the offset ([`fill`]), so the
//! oracle keeps numbers instead of bytes. Number 0 is a hole.
//!
//! Four things are known of each extent: what its writer was last told (`intent`), and the writes whose bytes
//! may be found there now (`live`), after the writer died (`closed`), and after power was lost (`synced`).
//!
//! # Invariants
//! 1. `live`, `closed`, `synced` each contain the one before.
//! 2. A successful flush makes `closed` equal to `live`; a successful fsync makes all equal to the intent where
//!    this writer wrote. Nothing else ever takes a possibility away, apart from writing over it, and a reader who comes when replicas
//!    have been compared: from then on `live` is what he found.

use crate::chance::mix;
use std::collections::{BTreeMap, BTreeSet};

/// The number of a write; 0 is a hole.
pub(crate) type WriteId = u32;

/// Bytes of one write are not mixed with those of another within this unit.
const SECTOR_BYTES: u64 = 512;
/// A write across a multiple of this is stored in two frames.
const SEAM_BYTES: u64 = types::PAYLOAD_BYTES_MAX as u64;
/// How much of a long hole is read at each end.
const EDGE_BYTES: u64 = 4096;

/// The bytes of write `id` at `offset`.
pub(crate) fn fill(id: WriteId, offset: u64, buffer: &mut [u8]) {
    if id == 0 {
        return buffer.fill(0);
    }
    for (at, byte) in (offset..).zip(buffer) {
        let word = mix((u64::from(id) << 40) ^ (at / 8));
        *byte = word.to_le_bytes()[(at % 8) as usize];
    }
}

/// Where a possibility holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// Now.
    Live = 0,
    /// After the writer died or gave up.
    Closed = 1,
    /// After a loss of power.
    Synced = 2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Extent {
    end: u64,
    intent: Option<WriteId>,
    layers: [BTreeSet<WriteId>; 3],
}

impl Extent {
    fn hole(end: u64) -> Self {
        let zero = BTreeSet::from([0]);
        Self { end, intent: None, layers: [zero.clone(), zero.clone(), zero] }
    }

    /// Something is written, surely or perhaps.
    fn put(&mut self, id: WriteId, sure: bool) {
        for (number, layer) in self.layers.iter_mut().enumerate() {
            if sure && number == Layer::Live as usize {
                layer.clear();
            }
            layer.insert(id);
        }
        self.intent = sure.then_some(id);
    }
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// By their start, without gaps between 0 and `u64::MAX`.
    extents: BTreeMap<u64, Extent>,
    lengths: [BTreeSet<u64>; 3],
    length_intent: Option<u64>,
}

impl Content {
    /// An empty file.
    pub(crate) fn new() -> Self {
        let empty = BTreeSet::from([0]);
        Self {
            extents: BTreeMap::from([(0, Extent::hole(u64::MAX))]),
            lengths: [empty.clone(), empty.clone(), empty],
            length_intent: None,
        }
    }

    fn split(&mut self, at: u64) {
        if let Some((start, extent)) = self.extents.range_mut(..at).next_back()
            && *start < at
            && at < extent.end
        {
            let right = extent.clone();
            extent.end = at;
            self.extents.insert(at, right);
        }
    }

    fn each(&mut self, from: u64, to: u64, mut change: impl FnMut(&mut Extent)) {
        self.split(from);
        self.split(to);
        self.extents.range_mut(from..to).for_each(|(_, extent)| change(extent));
        self.merge();
    }

    fn merge(&mut self) {
        let old = std::mem::take(&mut self.extents);
        for (start, extent) in old {
            match self.extents.last_entry() {
                // The border of a possible write may be found within a sector.
                Some(mut last)
                    if extent.layers[2].len() == 1
                        && last.get().layers == extent.layers
                        && last.get().intent == extent.intent =>
                {
                    last.get_mut().end = extent.end;
                }
                _ => {
                    self.extents.insert(start, extent);
                }
            }
        }
    }

    fn set_length(&mut self, sure: bool, new: impl Fn(u64) -> u64) {
        for (number, lengths) in self.lengths.iter_mut().enumerate() {
            let changed: Vec<u64> = lengths.iter().map(|length| new(*length)).collect();
            if sure && number == Layer::Live as usize {
                lengths.clear();
            }
            lengths.extend(changed);
        }
        self.length_intent = match (sure, self.length()) {
            (true, length) => length,
            (false, _) => None,
        };
    }

    /// The length, if there is only one possibility.
    pub(crate) fn length(&self) -> Option<u64> {
        let live = &self.lengths[Layer::Live as usize];
        if live.len() == 1 { live.first().copied() } else { None }
    }

    /// Whether a reader can be told exactly what to find.
    pub(crate) fn is_certain(&self) -> bool {
        self.is_certain_in(Layer::Live)
    }

    /// Whether it was so before anybody looked ([`Content::narrow`]). Nobody may be writing.
    pub(crate) fn was_certain(&self) -> bool {
        self.is_certain_in(Layer::Closed)
    }

    fn is_certain_in(&self, layer: Layer) -> bool {
        let layer = layer as usize;
        self.lengths[layer].len() == 1 && self.extents.values().all(|extent| extent.layers[layer].len() == 1)
    }

    /// Whether everything survives a loss of power.
    pub(crate) fn is_durable(&self) -> bool {
        self.is_certain_in(Layer::Synced)
    }

    /// A write was accepted (`sure`), or nobody knows.
    pub(crate) fn write(&mut self, offset: u64, length: u64, id: WriteId, sure: bool) {
        let end = offset + length;
        let within = |old: &u64| offset < *old && *old < end;
        let borders: BTreeSet<u64> = self.lengths.iter().flatten().copied().filter(within).collect();
        self.each(offset, end, |extent| extent.put(id, sure));
        // If the writer dies and somebody makes the file longer, what it wrote beyond the length of before reads as zeroes.
        borders.into_iter().for_each(|old| self.split(old));
        // A writer that dies half way may have committed what lies before a seam.
        let seams = (offset / SEAM_BYTES + 1..).map(|seam| seam * SEAM_BYTES).take_while(|seam| *seam < end);
        let partly: Vec<BTreeSet<u64>> = {
            let seams: Vec<u64> = seams.collect();
            let part = |lengths: &BTreeSet<u64>| {
                lengths.iter().flat_map(|old| seams.iter().map(move |seam| *old.max(seam))).collect()
            };
            self.lengths.iter().map(part).collect()
        };
        self.set_length(sure, |old| old.max(end));
        let first = if sure { Layer::Closed } else { Layer::Live } as usize;
        for (lengths, partly) in self.lengths.iter_mut().zip(partly).skip(first) {
            lengths.extend(partly);
        }
    }

    /// truncate(2).
    pub(crate) fn cut(&mut self, length: u64, sure: bool) {
        self.erase(length, u64::MAX, sure);
        for (number, lengths) in self.lengths.iter_mut().enumerate() {
            if sure && number != Layer::Synced as usize {
                lengths.clear();
            }
            lengths.insert(length);
        }
        self.length_intent = sure.then_some(length);
    }

    /// Punches a hole; the length stays.
    pub(crate) fn punch(&mut self, from: u64, to: u64, sure: bool) {
        self.erase(from, to, sure);
    }

    fn erase(&mut self, from: u64, to: u64, sure: bool) {
        self.each(from, to, |extent| {
            if sure {
                // The master's answer: no late write can undo it.
                extent.layers[Layer::Closed as usize].clear();
            }
            extent.put(0, sure);
        });
    }

    /// close(2) succeeded.
    pub(crate) fn flushed(&mut self) {
        self.each(0, u64::MAX, |extent| extent.layers[1] = extent.layers[0].clone());
        self.lengths[1] = self.lengths[0].clone();
    }

    /// fsync(2) succeeded: what this writer did is exactly there, whatever happened meanwhile.
    pub(crate) fn synced(&mut self) {
        self.each(0, u64::MAX, |extent| {
            if let Some(id) = extent.intent {
                extent.layers.iter_mut().for_each(|layer| *layer = BTreeSet::from([id]));
            }
        });
        if let Some(length) = self.length_intent {
            self.lengths.iter_mut().for_each(|lengths| *lengths = BTreeSet::from([length]));
        }
    }

    /// The writer was told of an error, or died: what was not closed is in doubt.
    pub(crate) fn doubt_unclosed(&mut self) {
        self.fall_back(Layer::Closed);
        self.forget_intent();
    }

    /// Power was lost somewhere: what was not synced is in doubt. A writer that is still there will be told at its
    /// fsync if it matters.
    pub(crate) fn doubt_unsynced(&mut self) {
        self.fall_back(Layer::Synced);
    }

    fn fall_back(&mut self, to: Layer) {
        let to = to as usize;
        self.each(0, u64::MAX, |extent| {
            for below in 0..to {
                extent.layers[below] = extent.layers[to].clone();
            }
        });
        for below in 0..to {
            self.lengths[below] = self.lengths[to].clone();
        }
    }

    /// Another writer takes over: its fsync covers only what it does itself.
    pub(crate) fn forget_intent(&mut self) {
        self.each(0, u64::MAX, |extent| extent.intent = None);
        self.length_intent = None;
    }

    /// Ranges worth reading: all that was ever written, and the edges of holes.
    pub(crate) fn regions(&self) -> Vec<(u64, u64)> {
        let longest = self.lengths.iter().flatten().max().copied().unwrap_or(0);
        let mut regions = Vec::new();
        for (start, extent) in self.extents.range(..longest) {
            let end = extent.end.min(longest);
            let hole = extent.layers[2].len() == 1 && extent.layers[2].contains(&0);
            if hole && end - start > 2 * EDGE_BYTES {
                regions.push((*start, start + EDGE_BYTES));
                regions.push((end - EDGE_BYTES, end));
            } else {
                regions.push((*start, end));
            }
        }
        // A little beyond the end, to learn where it is.
        regions.push((longest.saturating_sub(EDGE_BYTES), longest + EDGE_BYTES));
        regions.dedup_by(|next, last| {
            let touch = last.1 == next.0;
            if touch {
                last.1 = next.1;
            }
            touch
        });
        regions
    }

    /// Checks bytes that were read at `offset` when `wanted` were asked for.
    pub(crate) fn check(&self, layer: Layer, offset: u64, wanted: u64, found: &[u8]) -> Result<(), String> {
        let count = found.len() as u64;
        let lengths = &self.lengths[layer as usize];
        if !lengths.iter().any(|length| length.saturating_sub(offset).min(wanted) == count) {
            return Err(format!(
                "{count} of {wanted} bytes at {offset} were read, but its length is of {lengths:?}"
            ));
        }
        let end = offset + count;
        for (start, extent) in self.extents.range(..end) {
            let (from, to) = (offset.max(*start), end.min(extent.end));
            let candidates = &extent.layers[layer as usize];
            let mut at = from;
            while at < to {
                let next = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(to);
                let bytes = &found[(at - offset) as usize..(next - offset) as usize];
                if !candidates.iter().any(|id| matches(*id, at, bytes)) {
                    return Err(self.describe(at, next, candidates, bytes));
                }
                at = next;
            }
        }
        Ok(())
    }

    /// Bytes were read, and [`Content::check`] found them possible: nothing else is any more.
    pub(crate) fn narrow(&mut self, offset: u64, wanted: u64, found: &[u8]) {
        let live = Layer::Live as usize;
        let (count, end) = (found.len() as u64, offset + found.len() as u64);
        self.lengths[live].retain(|length| length.saturating_sub(offset).min(wanted) == count);
        let open = self.extents.range(..end).filter(|(_, extent)| extent.layers[live].len() > 1);
        let open = open.map(|(start, extent)| (offset.max(*start), end.min(extent.end)));
        for (from, to) in open.collect::<Vec<_>>() {
            let mut at = from;
            while at < to {
                let next = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(to);
                let bytes = &found[(at - offset) as usize..(next - offset) as usize];
                self.split(at);
                self.split(next);
                let sector = self.extents.range_mut(at..next);
                sector.for_each(|(_, extent)| extent.layers[live].retain(|id| matches(*id, at, bytes)));
                at = next;
            }
        }
    }

    fn describe(&self, from: u64, to: u64, candidates: &BTreeSet<WriteId>, found: &[u8]) -> String {
        let known: BTreeSet<WriteId> =
            self.extents.values().flat_map(|extent| extent.layers.iter().flatten().copied()).collect();
        // Runs of bytes that look alike, for the reader of a failure.
        let mut runs: Vec<(u64, Vec<WriteId>)> = Vec::new();
        for (at, byte) in (from..to).zip(found) {
            let guess = known.iter().copied().filter(|id| matches(*id, at, &[*byte])).collect::<Vec<_>>();
            match runs.last() {
                Some((_, last)) if guess.iter().any(|id| last.contains(id)) => {}
                _ => runs.push((at, guess)),
            }
        }
        runs.truncate(8);
        format!("bytes {from}..{to} are none of writes {candidates:?}; they look like {runs:?}")
    }
}

fn matches(id: WriteId, offset: u64, bytes: &[u8]) -> bool {
    let mut expected = vec![0; bytes.len()];
    fill(id, offset, &mut expected);
    expected == bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(parts: &[(WriteId, u64, u64)]) -> Vec<u8> {
        let mut all = Vec::new();
        for (id, from, to) in parts {
            let mut part = vec![0; (to - from) as usize];
            fill(*id, *from, &mut part);
            all.extend(part);
        }
        all
    }

    #[test]
    fn what_was_written_last_is_expected() {
        let mut file = Content::new();
        file.write(100, 1000, 1, true);
        file.write(500, 100, 2, true);
        let found = bytes(&[(0, 0, 100), (1, 100, 500), (2, 500, 600), (1, 600, 1100)]);
        file.check(Layer::Live, 0, 5000, &found).unwrap();
        assert!(file.check(Layer::Live, 0, 5000, &found[..1000]).is_err());
        assert!(file.check(Layer::Live, 0, 1100, &bytes(&[(1, 0, 1100)])).is_err());
    }

    #[test]
    fn of_what_a_dead_writer_wrote_across_the_end_a_longer_length_shows_the_part_before_it() {
        let mut file = Content::new();
        file.cut(700, true);
        file.synced();
        file.write(100, 1000, 1, true);
        file.doubt_unclosed();
        file.cut(1100, true);
        let found = bytes(&[(0, 0, 100), (1, 100, 700), (0, 700, 1100)]);
        file.check(Layer::Live, 0, 5000, &found).unwrap();
        let torn = bytes(&[(0, 0, 100), (1, 100, 701), (0, 701, 1100)]);
        assert!(file.check(Layer::Live, 0, 5000, &torn).is_err());
    }

    #[test]
    fn a_failed_flush_leaves_old_or_new_in_each_sector() {
        let mut file = Content::new();
        file.write(0, 1024, 1, true);
        file.flushed();
        file.write(0, 1024, 2, true);
        assert!(file.is_certain());
        file.doubt_unclosed();
        assert!(!file.is_certain());
        file.check(Layer::Live, 0, 1024, &bytes(&[(1, 0, 512), (2, 512, 1024)])).unwrap();
        assert!(file.check(Layer::Live, 0, 1024, &bytes(&[(1, 0, 256), (2, 256, 1024)])).is_err());
    }

    #[test]
    fn what_a_reader_found_when_replicas_were_compared_is_found_by_all_others() {
        let mut file = Content::new();
        file.write(0, 1024, 1, true);
        file.flushed();
        file.write(0, 2048, 2, true);
        file.doubt_unclosed();
        let mixed = bytes(&[(1, 0, 512), (2, 512, 1024)]);
        file.check(Layer::Live, 0, 4096, &mixed).unwrap();
        file.narrow(0, 4096, &mixed);
        assert_eq!(file.length(), Some(1024));
        assert!(!file.was_certain());
        file.check(Layer::Live, 0, 4096, &mixed).unwrap();
        assert!(file.check(Layer::Live, 0, 4096, &bytes(&[(2, 0, 1024)])).is_err());
        assert!(file.check(Layer::Live, 0, 4096, &bytes(&[(1, 0, 512), (2, 512, 2048)])).is_err());
        file.doubt_unsynced();
        file.check(Layer::Live, 0, 4096, &bytes(&[(2, 0, 2048)])).unwrap();
    }

    #[test]
    fn a_writer_that_dies_may_leave_the_part_of_a_write_before_a_seam() {
        let mut file = Content::new();
        file.write(SEAM_BYTES - 100, 300, 1, true);
        assert_eq!(file.length(), Some(SEAM_BYTES + 200));
        file.doubt_unclosed();
        let half = bytes(&[(1, SEAM_BYTES - 100, SEAM_BYTES)]);
        file.check(Layer::Live, SEAM_BYTES - 100, 300, &half).unwrap();
        assert!(file.check(Layer::Live, SEAM_BYTES - 100, 300, &half[..50]).is_err());
    }

    #[test]
    fn a_fsync_that_succeeds_makes_everything_certain_again() {
        let mut file = Content::new();
        file.write(0, 600, 1, true);
        file.doubt_unsynced();
        assert!(!file.is_certain());
        file.synced();
        assert!(file.is_certain() && file.is_durable());
        file.cut(100, true);
        assert!(file.is_certain() && !file.is_durable());
        file.cut(600, true);
        file.check(Layer::Live, 0, 600, &bytes(&[(1, 0, 100), (0, 100, 600)])).unwrap();
    }
}
