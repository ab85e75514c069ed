//! The append side of the log.
//!
//! # Invariants
//! 1. A batch is one write, from a buffer that its records were encoded into.
//! 2. The stable index in a batch header was durable before the batch was written.

use crate::format::{BATCH_HEADER_BYTES, BatchHeader, DATA_OFFSET, encode_record, record_bytes};
use crate::reader::replay_segments;
use crate::recovery::{Current, Recovered, recover};
use crate::shared::{Shared, Span};
use crate::{Entry, OpenError, Options, Recovery, ReplayError, Syncer};
use env::Dir;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::{LogIndex, Term};

/// Smallest and largest segments that can be asked for.
const SEGMENT_BYTES_MIN: u64 = 4 << 10;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// A batch buffer that grew beyond this is given back after use.
const BUFFER_KEPT_BYTES: usize = 4 << 20;

/// The log, opened for appending. One owner appends; [`Syncer`] is for the log thread.
pub struct Journal {
    shared: Arc<Shared>,
    current: Current,
    last: (Term, LogIndex),
    /// The highest stable index that a batch of this opening says.
    said: LogIndex,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens the log in `dir`, or begins a new one. Everything that is recovered is durable afterwards.
    /// The caller sees to it that no other process appends ([`Dir::lock`]).
    pub fn open(dir: Arc<dyn Dir>, options: Options) -> Result<(Self, Recovery), OpenError> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&options.segment_bytes) {
            return Err(OpenError::Options { what: "a segment has 4 KiB to 1 GiB" });
        }
        if options.after.1.0 > u64::MAX / 2 {
            return Err(OpenError::Options { what: "the index to begin after is out of range" });
        }
        let Recovered { current, state, recovery } = recover(&dir, &options)?;
        let journal = Self {
            shared: Arc::new(Shared::new(dir, options, state, recovery.last)),
            current,
            last: (recovery.term, recovery.last),
            said: LogIndex(0),
            buffer: Vec::new(),
        };
        Ok((journal, recovery))
    }

    /// Gives all records from `from` to the last one to `visit`, in order. `from` may be one past the last.
    pub fn replay<E: From<ReplayError>>(
        &self,
        from: LogIndex,
        visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let spans: Vec<Span> = self.shared.state().segments.iter().copied().collect();
        let (dir, cluster) = (&*self.shared.dir, self.shared.options.cluster);
        replay_segments(dir, cluster, &spans, from, self.last.1, visit)
    }

    /// Appends records, numbered without a gap, in one write. They survive a kill when this returns, and
    /// loss of power after the next [`Syncer::sync`]. After an error every later call fails: the caller's
    /// state is ahead of its log, so it must stop.
    ///
    /// Records that together are larger than a segment go out in several writes.
    pub fn append(&mut self, entries: &[Entry<'_>]) -> io::Result<()> {
        self.shared.check()?;
        let result = self.try_append(entries);
        if let Err(error) = &result {
            self.shared.poison(error);
        }
        result
    }

    /// Whether records of so many bytes in all can be appended without asking the disk for room.
    pub fn has_room(&self, entries: usize, bytes: usize) -> bool {
        let needed = BATCH_HEADER_BYTES.saturating_add(entries.saturating_mul(record_bytes(1)));
        let needed = needed.saturating_add(bytes) as u64;
        needed <= self.current.bytes - self.current.offset
            || self.shared.state().ready.front().is_some_and(|ready| needed <= ready.bytes - DATA_OFFSET)
    }

    /// The last record appended.
    pub fn last(&self) -> (Term, LogIndex) {
        self.last
    }

    /// The last record known to be on stable storage.
    pub fn stable(&self) -> LogIndex {
        self.shared.stable()
    }

    /// If everything is on stable storage, says so in the log, unless it says so already: without it, damage to the last
    /// records would pass for a torn write of them. To be called while nothing is appended for a moment.
    pub fn note_stable(&mut self) -> io::Result<()> {
        self.shared.check()?;
        let stable = self.shared.stable();
        let room = self.current.bytes - self.current.offset;
        // A segment begins with a record, from which its place in the log is known.
        let begun = self.current.offset > DATA_OFFSET;
        if stable != self.last.1 || stable <= self.said || !begun || room < BATCH_HEADER_BYTES as u64 {
            return Ok(());
        }
        self.buffer.clear();
        self.buffer.resize(BATCH_HEADER_BYTES, 0);
        let header = BatchHeader { first: LogIndex(stable.0 + 1), stable, bytes: 0, count: 0 };
        let result = self.write_buffer(&header);
        if let Err(error) = &result {
            self.shared.poison(error);
        }
        result
    }

    /// The handle for the log thread.
    pub fn syncer(&self) -> Arc<Syncer> {
        Arc::new(Syncer::new(Arc::clone(&self.shared)))
    }

    fn try_append(&mut self, entries: &[Entry<'_>]) -> io::Result<()> {
        self.check_numbers(entries)?;
        let mut rest = entries;
        while !rest.is_empty() {
            let left = self.current.bytes - self.current.offset;
            let count = if batch_bytes(rest) <= left {
                rest.len()
            } else if self.current.offset > DATA_OFFSET {
                self.rotate()?;
                continue;
            } else {
                fitting(rest, left)
            };
            if count == 0 {
                let message = format!("record {} is larger than a segment", rest[0].index);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            self.write_batch(&rest[..count])?;
            rest = &rest[count..];
        }
        Ok(())
    }

    fn check_numbers(&self, entries: &[Entry<'_>]) -> io::Result<()> {
        let (mut term, mut index) = self.last;
        for entry in entries {
            if entry.index.0 != index.0 + 1 || entry.term < term {
                let message = format!(
                    "record {} of term {} cannot follow record {index} of term {term}",
                    entry.index, entry.term
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            (term, index) = (entry.term, entry.index);
        }
        Ok(())
    }

    /// Goes on in the next segment.
    fn rotate(&mut self) -> io::Result<()> {
        self.shared.prepare()?;
        let mut state = self.shared.state();
        let ready = state.ready.pop_front().ok_or_else(|| io::Error::other("no segment is ready"))?;
        state.segments.push_back(Span { segment: ready.segment, first: LogIndex(self.last.1.0 + 1) });
        drop(state);
        self.current = Current::begin(ready);
        Ok(())
    }

    fn write_batch(&mut self, entries: &[Entry<'_>]) -> io::Result<()> {
        let binding = &self.current.binding;
        let (first, last) = (entries[0].index, entries[entries.len() - 1]);
        self.buffer.clear();
        self.buffer.resize(BATCH_HEADER_BYTES, 0);
        for entry in entries {
            encode_record(binding, entry.term, entry.index, entry.bytes, &mut self.buffer);
        }
        let records = self.buffer.len() - BATCH_HEADER_BYTES;
        let header = BatchHeader {
            first,
            stable: self.shared.stable(),
            bytes: u32::try_from(records).expect("a batch fits in a segment of at most 1 GiB"),
            count: u32::try_from(entries.len()).expect("a batch fits in a segment of at most 1 GiB"),
        };
        self.write_buffer(&header)?;
        let current = &self.current;
        self.last = (last.term, last.index);
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        let mut state = self.shared.state();
        if !state.unsynced.last().is_some_and(|file| Arc::ptr_eq(file, &current.file)) {
            state.unsynced.push(Arc::clone(&current.file));
        }
        self.shared.written.store(last.index.0, Ordering::Release);
        Ok(())
    }

    /// Writes the batch in the buffer, under this header.
    fn write_buffer(&mut self, header: &BatchHeader) -> io::Result<()> {
        let current = &mut self.current;
        header.encode_into(&current.binding, &mut self.buffer);
        current.file.write_at(&self.buffer, current.offset)?;
        current.offset += self.buffer.len() as u64;
        self.said = self.said.max(header.stable);
        Ok(())
    }
}

fn batch_bytes(entries: &[Entry<'_>]) -> u64 {
    let records: u64 = entries.iter().map(|entry| record_bytes(entry.bytes.len()) as u64).sum();
    BATCH_HEADER_BYTES as u64 + records
}

/// How many of the first entries fit into one batch of at most `bytes`.
fn fitting(entries: &[Entry<'_>], bytes: u64) -> usize {
    let mut total = BATCH_HEADER_BYTES as u64;
    entries
        .iter()
        .take_while(|entry| {
            total += record_bytes(entry.bytes.len()) as u64;
            total <= bytes
        })
        .count()
}
