//! What the append side and the log thread share: segments, readiness, failure.
//!
//! # Invariants
//! 1. A segment gets its name only after its stamp is durable, and the name is durable before the
//!    first record goes in. So a file named as a segment always has a readable stamp.
//! 2. Segments are recycled oldest first, one durable rename at a time: no power cut leaves a gap.
//! 3. Once poisoned, always poisoned.

use crate::format::{Binding, FoundStamp, SECTOR_BYTES, Stamp};
use crate::segment::segment_name;
use crate::{Options, SealedSegment};
use env::{Dir, File, OpenMode};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use types::LogIndex;

/// Files kept for reuse; more are removed.
const SPARES_MAX: usize = 2;
/// Piece in which a new file is filled with zeroes.
const ZERO_PIECE_BYTES: usize = 1 << 20;

/// A segment that is ready to take its first record.
pub(crate) struct Ready {
    pub(crate) segment: u64,
    pub(crate) binding: Binding,
    pub(crate) file: Arc<dyn File>,
    pub(crate) bytes: u64,
}

/// A segment that holds records from `first` on, or is about to; none if the next one begins there too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) segment: u64,
    pub(crate) first: LogIndex,
}

pub(crate) struct State {
    /// Files with writes that no sync covers yet, in the order of their records.
    pub(crate) unsynced: Vec<Arc<dyn File>>,
    /// Oldest first; the last one is being written.
    pub(crate) segments: VecDeque<Span>,
    pub(crate) ready: VecDeque<Ready>,
    pub(crate) spares: Vec<String>,
    /// The number of the next segment to be made.
    pub(crate) next_segment: u64,
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) dir: Arc<dyn Dir>,
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    /// The last record written.
    pub(crate) written: AtomicU64,
    /// The last record known durable.
    pub(crate) stable: AtomicU64,
    failure: OnceLock<String>,
    /// One sync at a time.
    syncing: Mutex<()>,
    /// One change of the set of files at a time.
    files: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half done under these locks: each holds plain values.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(dir: Arc<dyn Dir>, options: Options, state: State, last: LogIndex) -> Self {
        Self {
            dir,
            options,
            state: Mutex::new(state),
            written: AtomicU64::new(last.0),
            stable: AtomicU64::new(last.0),
            failure: OnceLock::new(),
            syncing: Mutex::new(()),
            files: Mutex::new(()),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn stable(&self) -> LogIndex {
        LogIndex(self.stable.load(Ordering::Acquire))
    }

    pub(crate) fn written(&self) -> LogIndex {
        LogIndex(self.written.load(Ordering::Acquire))
    }

    /// Fails if a write or a sync failed before.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.failure.get() {
            None => Ok(()),
            Some(what) => Err(io::Error::other(format!("the log failed before: {what}"))),
        }
    }

    pub(crate) fn poison(&self, error: &io::Error) {
        let _ = self.failure.set(error.to_string());
    }

    pub(crate) fn sync(&self) -> io::Result<LogIndex> {
        let _one = lock(&self.syncing);
        self.check()?;
        let (files, written) = {
            let mut state = self.state();
            (std::mem::take(&mut state.unsynced), self.written())
        };
        // In order: a later segment is never durable before an earlier one is.
        for file in files {
            if let Err(error) = file.sync_data() {
                self.poison(&error);
                return Err(error);
            }
        }
        self.stable.store(written.0, Ordering::Release);
        Ok(written)
    }

    /// Makes a segment ready if none is.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        if !self.state().ready.is_empty() {
            return Ok(());
        }
        let _files = lock(&self.files);
        let (segment, spare) = {
            let mut state = self.state();
            if !state.ready.is_empty() {
                return Ok(());
            }
            (state.next_segment, state.spares.pop())
        };
        let ready = make_ready(&*self.dir, &self.options, segment, spare)?;
        let mut state = self.state();
        state.next_segment = segment + 1;
        state.ready.push_back(ready);
        Ok(())
    }

    pub(crate) fn truncate_before(&self, index: LogIndex) -> io::Result<()> {
        let _files = lock(&self.files);
        loop {
            let (segment, keep) = {
                let state = self.state();
                // A segment is no longer needed when the next one begins at or below the index.
                match (state.segments.front(), state.segments.get(1)) {
                    (Some(oldest), Some(next)) if next.first <= index => {
                        (oldest.segment, state.spares.len() < SPARES_MAX)
                    }
                    _ => return Ok(()),
                }
            };
            let spare = spare_name(segment);
            if keep {
                self.dir.rename(&segment_name(segment), &spare)?;
            } else {
                self.dir.remove(&segment_name(segment))?;
            }
            self.dir.sync_dir("")?;
            let mut state = self.state();
            state.segments.pop_front();
            if keep {
                state.spares.push(spare);
            }
        }
    }

    pub(crate) fn sealed(&self) -> Vec<SealedSegment> {
        let state = self.state();
        let segments = state.segments.iter();
        segments
            .clone()
            .zip(segments.skip(1))
            .filter(|(span, next)| span.first < next.first)
            .map(|(span, next)| SealedSegment {
                name: segment_name(span.segment),
                first: span.first,
                last: LogIndex(next.first.0 - 1),
            })
            .collect()
    }
}

/// A file kept for reuse; the number only keeps names apart.
pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number:016x}")
}

/// Whether a spare file has room for all of a segment. It has its length before it has all its bytes, and after a loss of power it may have
/// any of them; but no stamp before all were stable.
fn is_whole(file: &dyn File, bytes: u64) -> io::Result<bool> {
    if file.len()? != bytes {
        return Ok(false);
    }
    let mut copies = [0; 2 * SECTOR_BYTES];
    let count = file.read_at(&mut copies, 0)?;
    let is_made = |copy| matches!(Stamp::decode(copy), FoundStamp::Valid(stamp) if stamp.bytes == bytes);
    Ok(copies[..count].chunks(SECTOR_BYTES).any(is_made))
}

/// Makes segment `segment` out of a spare file or a new one.
pub(crate) fn make_ready(
    dir: &dyn Dir,
    options: &Options,
    segment: u64,
    spare: Option<String>,
) -> io::Result<Ready> {
    let (name, file) = match spare {
        Some(name) => {
            let file = dir.open(&name, OpenMode::ReadWrite)?;
            (name, file)
        }
        None => {
            let name = spare_name(segment);
            let file = dir.open(&name, OpenMode::Create)?;
            (name, file)
        }
    };
    if !is_whole(&*file, options.segment_bytes)?
        && let Err(error) = fill_with_zeroes(&*file, options.segment_bytes)
    {
        // Usually no room is left; the half-made file would only take more of it.
        let _ = dir.remove(&name);
        return Err(error);
    }
    let salt = options.seed.next_u64();
    let stamp = Stamp { segment, salt, cluster: options.cluster, bytes: options.segment_bytes };
    let sector = stamp.encode();
    file.write_at(&[sector, sector].concat(), 0)?;
    file.sync_data()?;
    dir.rename(&name, &segment_name(segment))?;
    dir.sync_dir("")?;
    Ok(Ready { segment, binding: Binding::new(segment, salt), file, bytes: options.segment_bytes })
}

/// Writes the zeroes out, so that a later write changes no extent and its sync commits no filesystem log.
fn fill_with_zeroes(file: &dyn File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)?;
    file.allocate(0, bytes)?;
    write_zeroes(file, 0, bytes)?;
    file.sync_data()
}

/// Writes zeroes from `from` to `to`.
pub(crate) fn write_zeroes(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    let zeroes = vec![0; ZERO_PIECE_BYTES.min(usize::try_from(to - from).unwrap_or(ZERO_PIECE_BYTES))];
    let mut at = from;
    while at < to {
        let count = (to - at).min(zeroes.len() as u64);
        file.write_at(&zeroes[..count as usize], at)?;
        at += count;
    }
    Ok(())
}
