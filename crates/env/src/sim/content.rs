//! The content of one simulated file: what a reader sees, and what a power cut would leave.
//!
//! # Invariants
//! 1. After a sync, the durable content equals the live one.
//! 2. A power cut leaves each 512-byte sector as it was at some moment since the last sync, each on its own;
//!    the length too is one that the file had. A filesystem's own log keeps shrinking and punching in order:
//!    bytes that were cut off or punched do not come back if the file's length says that the cut happened.

use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const PAGE_BYTES: u64 = 4096;
/// What a device writes as a whole.
const SECTOR_BYTES: u64 = 512;

type Page = [u8; PAGE_BYTES as usize];

/// Bytes with holes.
#[derive(Clone, Debug, Default)]
pub(super) struct Sparse {
    pages: BTreeMap<u64, Arc<Page>>,
    length: u64,
}

impl Sparse {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn page_count(&self) -> u64 {
        self.pages.len() as u64
    }

    /// The first place at or after this one that is in a page.
    pub(super) fn next_data(&self, offset: u64) -> Option<u64> {
        let (page, _) = self.pages.range(offset / PAGE_BYTES..).next()?;
        Some(offset.max(page * PAGE_BYTES)).filter(|at| *at < self.length)
    }

    /// Bytes up to the end; fewer than asked for only there.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let count = (self.length.saturating_sub(offset)).min(buffer.len() as u64) as usize;
        for (page, within, range) in pieces(offset, count, PAGE_BYTES) {
            let target = &mut buffer[range.clone()];
            match self.pages.get(&page) {
                Some(bytes) => target.copy_from_slice(&bytes[within..within + range.len()]),
                None => target.fill(0),
            }
        }
        count
    }

    /// Pages that a write there would add.
    pub(super) fn pages_missing(&self, offset: u64, length: u64) -> u64 {
        if length == 0 {
            return 0;
        }
        let (first, last) = (offset / PAGE_BYTES, (offset + length - 1) / PAGE_BYTES);
        (last - first + 1) - self.pages.range(first..=last).count() as u64
    }

    /// Writes and grows.
    fn write(&mut self, offset: u64, data: &[u8]) {
        self.write_within(offset, data);
        if !data.is_empty() {
            self.length = self.length.max(offset + data.len() as u64);
        }
    }

    fn write_within(&mut self, offset: u64, data: &[u8]) {
        for (page, within, range) in pieces(offset, data.len(), PAGE_BYTES) {
            let bytes = self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE_BYTES as usize]));
            Arc::make_mut(bytes)[within..within + range.len()].copy_from_slice(&data[range]);
        }
    }

    fn set_length(&mut self, length: u64) {
        if length < self.length {
            self.erase(length, self.length.next_multiple_of(PAGE_BYTES) - length);
        }
        self.length = length;
    }

    /// Makes a range read as zeroes and frees the pages wholly inside it.
    fn erase(&mut self, offset: u64, length: u64) {
        let end = offset.saturating_add(length);
        let first_whole = offset.div_ceil(PAGE_BYTES);
        let end_whole = end / PAGE_BYTES;
        for edge in [offset / PAGE_BYTES, end_whole] {
            if let Some(bytes) = self.pages.get_mut(&edge) {
                let start = edge * PAGE_BYTES;
                let from = offset.max(start).min(start + PAGE_BYTES) - start;
                let to = end.max(start).min(start + PAGE_BYTES) - start;
                if from < to {
                    Arc::make_mut(bytes)[from as usize..to as usize].fill(0);
                }
            }
        }
        if first_whole < end_whole {
            let inside: Vec<u64> = self.pages.range(first_whole..end_whole).map(|(page, _)| *page).collect();
            for page in inside {
                self.pages.remove(&page);
            }
        }
    }

    fn allocate(&mut self, offset: u64, length: u64) {
        let zeroes: Arc<Page> = Arc::new([0; PAGE_BYTES as usize]);
        for page in offset / PAGE_BYTES..(offset + length).div_ceil(PAGE_BYTES) {
            self.pages.entry(page).or_insert_with(|| Arc::clone(&zeroes));
        }
        self.length = self.length.max(offset + length);
    }
}

/// Cuts a range into units: (unit, offset within it, range of the data).
fn pieces(
    offset: u64,
    count: usize,
    unit_bytes: u64,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0usize;
    std::iter::from_fn(move || {
        if done == count {
            return None;
        }
        let at = offset + done as u64;
        let within = at % unit_bytes;
        let here = ((unit_bytes - within) as usize).min(count - done);
        let range = done..done + here;
        done += here;
        Some((at / unit_bytes, within as usize, range))
    })
}

/// One change since the last sync.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLength { from: u64, to: u64 },
    Punch { offset: u64, length: u64 },
    Allocate { offset: u64, length: u64 },
}

impl Change {
    fn apply(&self, content: &mut Sparse) {
        match self {
            Self::Write { offset, data } => content.write(*offset, data),
            Self::SetLength { to, .. } => content.set_length(*to),
            Self::Punch { offset, length } => {
                let end = offset.saturating_add(*length).min(content.length);
                content.erase(*offset, end.saturating_sub(*offset));
            }
            Self::Allocate { offset, length } => content.allocate(*offset, *length),
        }
    }

    /// Whether it erases bytes of a sector.
    fn erases(&self, sector: u64) -> bool {
        let (start, end) = (sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
        match self {
            Self::SetLength { from, to } => to < from && end > *to,
            Self::Punch { offset, length } => start < offset.saturating_add(*length) && end > *offset,
            Self::Write { .. } | Self::Allocate { .. } => false,
        }
    }
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) live: Sparse,
    durable: Sparse,
    pending: Vec<Change>,
    /// Pages that the device cannot read until all of one is written.
    unreadable: BTreeSet<u64>,
}

impl Content {
    /// Makes the page of a byte unreadable.
    pub(super) fn spoil(&mut self, offset: u64) {
        self.unreadable.insert(offset / PAGE_BYTES);
    }

    pub(super) fn unspoil(&mut self) {
        self.unreadable.clear();
    }

    pub(super) fn is_readable(&self, offset: u64, length: u64) -> bool {
        let end = offset.saturating_add(length).div_ceil(PAGE_BYTES);
        length == 0 || self.unreadable.range(offset / PAGE_BYTES..end).next().is_none()
    }

    /// Whether a change has the old bytes of an unreadable page to be read first. Whole ones are written anew.
    pub(super) fn is_hindered(&mut self, change: &Change) -> bool {
        let (from, to) = match change {
            Change::Write { offset, data } => (*offset, offset + data.len() as u64),
            Change::Punch { offset, length } => (*offset, offset.saturating_add(*length)),
            Change::SetLength { from, to } => (*to, *from),
            Change::Allocate { .. } => return false,
        };
        self.unreadable.retain(|page| page * PAGE_BYTES < from || (page + 1) * PAGE_BYTES > to);
        !self.is_readable(from, to.saturating_sub(from))
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// fdatasync: what is live is durable.
    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write { offset, data } => {
                    for (page, _, _) in pieces(offset, data.len(), PAGE_BYTES) {
                        match self.live.pages.get(&page) {
                            Some(bytes) => self.durable.pages.insert(page, Arc::clone(bytes)),
                            None => self.durable.pages.remove(&page),
                        };
                    }
                    self.durable.length = self.live.length;
                }
                _ => self.durable = self.live.clone(),
            }
        }
    }

    /// Whether a power cut may take something.
    pub(super) fn is_unsynced(&self) -> bool {
        !self.pending.is_empty()
    }

    /// An fdatasync that failed: the kernel shows the data still, but forgot to write it.
    pub(super) fn forget_unsynced(&mut self) {
        self.pending.clear();
    }

    /// Rot: changes bytes in place, durable and live alike.
    pub(super) fn rot(&mut self, offset: u64, change: impl Fn(u8) -> u8) {
        for content in [&mut self.live, &mut self.durable] {
            let mut byte = [0];
            if content.read(&mut byte, offset) == 1 {
                content.write_within(offset, &[change(byte[0])]);
            }
        }
    }

    /// Leaves what is on the device after power was lost.
    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.durable = survivors(&self.durable, &pending, rng);
        }
        self.live = self.durable.clone();
    }
}

/// How much of what was not synced survives a power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Survival {
    Nothing,
    Everything,
    /// The first changes, the last of them torn.
    Prefix,
    /// Each sector as of a moment of its own.
    Sectors,
}

fn survivors(durable: &Sparse, pending: &[Change], rng: &mut Rng) -> Sparse {
    let all = pending.len();
    let survival = match rng.below(6) {
        0 => Survival::Nothing,
        1 => Survival::Everything,
        2 | 3 => Survival::Prefix,
        _ => Survival::Sectors,
    };
    // Changes below `logged` are in the filesystem's own log: lengths and erased ranges.
    let logged = match survival {
        Survival::Nothing => 0,
        Survival::Everything => all,
        Survival::Prefix | Survival::Sectors => rng.below(all as u64 + 1) as usize,
    };
    let mut moments: BTreeMap<u64, usize> = BTreeMap::new();
    let mut image = durable.clone();
    let mut length = durable.length;
    for (number, change) in pending.iter().enumerate() {
        if let Change::Write { offset, data } = change {
            for (sector, within, range) in pieces(*offset, data.len(), SECTOR_BYTES) {
                let moment = *moments
                    .entry(sector)
                    .or_insert_with(|| moment_of(sector, pending, survival, logged, rng));
                if number < moment {
                    image.write_within(sector * SECTOR_BYTES + within as u64, &data[range]);
                }
            }
            if number < logged && !data.is_empty() {
                length = length.max(offset + data.len() as u64);
            }
        } else if number < logged {
            image.length = length;
            change.apply(&mut image);
            length = image.length;
        }
    }
    truncate(&mut image, length);
    image
}

/// Drops what lies at or beyond `length`, whatever the length said before.
fn truncate(image: &mut Sparse, length: u64) {
    let beyond = length.div_ceil(PAGE_BYTES);
    drop(image.pages.split_off(&beyond));
    let within = (length % PAGE_BYTES) as usize;
    if within != 0
        && let Some(bytes) = image.pages.get_mut(&(length / PAGE_BYTES))
    {
        Arc::make_mut(bytes)[within..].fill(0);
    }
    image.length = length;
}

/// How many of the changes had reached a sector.
fn moment_of(sector: u64, pending: &[Change], survival: Survival, logged: usize, rng: &mut Rng) -> usize {
    let floor = pending[..logged].iter().rposition(|c| c.erases(sector)).map_or(0, |number| number + 1);
    let ceiling = pending[logged..]
        .iter()
        .position(|c| c.erases(sector))
        .map_or(pending.len(), |number| logged + number);
    match survival {
        Survival::Nothing => 0,
        Survival::Everything => pending.len(),
        Survival::Prefix => (logged + usize::from(rng.coin())).min(ceiling),
        Survival::Sectors => floor + rng.below((ceiling - floor) as u64 + 1) as usize,
    }
}

#[cfg(test)]
mod tests;
