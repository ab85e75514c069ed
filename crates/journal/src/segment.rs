//! Reading one segment: batch after batch, and what may lie behind the last good one.
//!
//! # Invariants
//! 1. A batch is taken whole or not at all.
//! 2. Memory is bounded by the size of the file, however the bytes look.

use crate::format::{
    ALIGN_BYTES, BATCH_HEADER_BYTES, BatchHeader, Binding, DATA_OFFSET, FoundStamp, RECORD_HEADER_BYTES,
    SECTOR_BYTES, Stamp, VERSION, decode_record, looks_like_batch, record_bytes, record_numbers,
};
use crate::{Entry, OpenError};
use env::File;
use std::io;
use types::{ClusterId, LogIndex, Term};

/// How much is read at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// Zeroes that are passed at once.
const ZEROES: [u8; 4096] = [0; 4096];

/// How far ahead the index of a record behind the last good batch may be: more than fit into a segment.
const TRACE_INDEXES_MAX: u64 = 1 << 26;
/// Checksums are computed over at most so many times the bytes that are looked through, since what looks
/// like a record may be up to a client.
const TRACE_EFFORT_MAX: u64 = 4;

/// The file of a segment.
pub(crate) fn segment_name(segment: u64) -> String {
    format!("segment-{segment:016x}")
}

/// The inverse of [`segment_name`].
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (segment_name(id) == name).then_some(id)
}

/// Reads the stamp of a segment and checks that it is the one its name says, of this cluster. `None`:
/// neither copy can be read.
pub(crate) fn read_stamp(
    name: &str,
    file: &dyn File,
    segment: u64,
    cluster: ClusterId,
) -> Result<Option<Stamp>, OpenError> {
    let mut bytes = [0; 2 * SECTOR_BYTES];
    let count = file.read_at(&mut bytes, 0)?;
    for copy in bytes[..count].chunks(SECTOR_BYTES) {
        let stamp = match Stamp::decode(copy) {
            FoundStamp::Valid(stamp) => stamp,
            FoundStamp::Newer(found) => {
                return Err(OpenError::Version { file: name.into(), found, known: VERSION });
            }
            FoundStamp::Invalid => continue,
        };
        let what = if stamp.cluster != cluster {
            format!("it is of cluster {}, and this is cluster {cluster}", stamp.cluster)
        } else if stamp.segment != segment {
            format!("its name should be {}", segment_name(stamp.segment))
        } else {
            return Ok(Some(stamp));
        };
        return Err(OpenError::Foreign { file: name.into(), what });
    }
    Ok(None)
}

/// A file, read through a buffer that moves forward.
pub(crate) struct Window<'f> {
    file: &'f dyn File,
    end: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl<'f> Window<'f> {
    pub(crate) fn new(file: &'f dyn File) -> io::Result<Self> {
        Ok(Self { file, end: file.len()?, buffer: Vec::new(), start: 0 })
    }

    /// At least `length` bytes from `offset` on; `None` if the file ends before.
    pub(crate) fn get(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        let left = self.end.saturating_sub(offset);
        if left < length as u64 {
            return Ok(None);
        }
        let end = self.start + self.buffer.len() as u64;
        if offset < self.start || offset + length as u64 > end {
            let wanted = length.max(WINDOW_BYTES.min(usize::try_from(left).unwrap_or(WINDOW_BYTES)));
            self.buffer.resize(wanted, 0);
            self.start = offset;
            let count = self.file.read_at(&mut self.buffer, offset)?;
            self.buffer.truncate(count);
            if count < length {
                return Ok(None);
            }
        }
        Ok(Some(&self.buffer[(offset - self.start) as usize..]))
    }
}

/// A batch whose header, checksums and indexes are right.
pub(crate) struct Batch<'w> {
    pub(crate) header: BatchHeader,
    /// The term of its last record.
    pub(crate) term: Term,
    binding: &'w Binding,
    records: &'w [u8],
}

/// What stands at a place where a batch may begin.
pub(crate) enum Found<'w> {
    Batch(Batch<'w>),
    /// A record in it has a lower term than the one before it.
    TermOrder(LogIndex),
    /// No batch, or one that is not whole.
    Nothing,
}

impl Batch<'_> {
    /// Bytes it takes in the segment.
    pub(crate) fn total_bytes(&self) -> u64 {
        BATCH_HEADER_BYTES as u64 + u64::from(self.header.bytes)
    }

    /// Gives its records in order.
    pub(crate) fn visit<E>(&self, mut visit: impl FnMut(Entry<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut rest = self.records;
        while let Some(record) = decode_record(self.binding, rest) {
            visit(Entry { term: record.term, index: record.index, bytes: record.body })?;
            rest = record.rest;
        }
        Ok(())
    }
}

/// Reads the header at `offset`, if one is there.
pub(crate) fn header_at(
    window: &mut Window<'_>,
    binding: &Binding,
    offset: u64,
) -> io::Result<Option<BatchHeader>> {
    let header = window.get(offset, BATCH_HEADER_BYTES)?.and_then(|b| BatchHeader::decode(binding, b));
    Ok(header)
}

/// Reads and checks the batch at `offset`, which must begin with record `next`; `term` is that of the
/// record before.
pub(crate) fn batch_at<'w>(
    window: &'w mut Window<'_>,
    binding: &'w Binding,
    offset: u64,
    next: LogIndex,
    term: Term,
) -> io::Result<Found<'w>> {
    let Some(header) = header_at(window, binding, offset)? else { return Ok(Found::Nothing) };
    if header.first != next {
        return Ok(Found::Nothing);
    }
    let bytes = header.bytes as usize;
    let Some(all) = window.get(offset, BATCH_HEADER_BYTES + bytes)? else { return Ok(Found::Nothing) };
    let records = &all[BATCH_HEADER_BYTES..BATCH_HEADER_BYTES + bytes];
    let mut rest = records;
    let mut last_term = term;
    for number in 0..u64::from(header.count) {
        let Some(record) = decode_record(binding, rest) else { return Ok(Found::Nothing) };
        let index = LogIndex(header.first.0 + number);
        if record.index != index {
            return Ok(Found::Nothing);
        }
        if record.term < last_term {
            return Ok(Found::TermOrder(index));
        }
        last_term = record.term;
        rest = record.rest;
    }
    if !rest.is_empty() {
        return Ok(Found::Nothing);
    }
    Ok(Found::Batch(Batch { header, term: last_term, binding, records }))
}

/// What lies behind the last good batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// A batch header or a record of this segment is there: something was written and is no longer whole.
    pub(crate) any: bool,
    /// The highest index that a batch header there says was durable.
    pub(crate) stable: LogIndex,
}

/// Looks through everything from `offset` on for batch headers, and for records from `next` on, of this
/// segment. When in doubt, there is something.
pub(crate) fn remains_after(
    window: &mut Window<'_>,
    binding: &Binding,
    mut offset: u64,
    next: LogIndex,
) -> io::Result<Remains> {
    let mut remains = Remains::default();
    let mut effort = window.end.saturating_sub(offset).saturating_mul(TRACE_EFFORT_MAX);
    while let Some(bytes) = window.get(offset, RECORD_HEADER_BYTES)? {
        let skipped = headers_of_zeroes(bytes);
        if skipped > 0 && next > LogIndex(0) {
            offset += skipped;
            continue;
        }
        if looks_like_batch(bytes) {
            if let Some(header) = header_at(window, binding, offset)? {
                remains.any = true;
                remains.stable = remains.stable.max(header.stable);
            }
        } else if !remains.any {
            let (length, index) = record_numbers(bytes);
            if index >= next
                && index.0 - next.0 < TRACE_INDEXES_MAX
                && let Some(record) = window.get(offset, record_bytes(length))?
            {
                remains.any = match effort.checked_sub(length as u64) {
                    Some(left) => {
                        effort = left;
                        decode_record(binding, record).is_some()
                    }
                    None => true,
                };
            }
        }
        offset += ALIGN_BYTES as u64;
    }
    Ok(remains)
}

/// How many bytes to go on to pass places where the header of a record would be all zeroes, thus of index 0. Most of a
/// segment was never written.
fn headers_of_zeroes(bytes: &[u8]) -> u64 {
    let zeroes = bytes.chunks_exact(ZEROES.len()).take_while(|chunk| *chunk == ZEROES).count() * ZEROES.len();
    let places = (zeroes + ALIGN_BYTES).saturating_sub(RECORD_HEADER_BYTES) / ALIGN_BYTES;
    (places * ALIGN_BYTES) as u64
}

/// The header at the place of the first batch, if the segment holds one.
pub(crate) fn first_header(file: &dyn File, binding: &Binding) -> io::Result<Option<BatchHeader>> {
    let mut bytes = [0; BATCH_HEADER_BYTES];
    let count = file.read_at(&mut bytes, DATA_OFFSET)?;
    Ok(BatchHeader::decode(binding, &bytes[..count]))
}

/// What a segment holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// The index after its last good record.
    pub(crate) next: LogIndex,
    /// The term of its last good record, or of the one before the segment.
    pub(crate) term: Term,
    /// Where its last good batch ends.
    pub(crate) end: u64,
    /// The highest index that any batch header in it says was durable.
    pub(crate) stable: LogIndex,
    /// Something of this segment lies behind the last good batch.
    pub(crate) remains: bool,
}

/// Reads a whole segment whose first record is `next`.
pub(crate) fn scan(
    name: &str,
    file: &dyn File,
    binding: &Binding,
    next: LogIndex,
    term: Term,
) -> Result<Scan, OpenError> {
    let mut window = Window::new(file)?;
    let mut scan = Scan { next, term, end: DATA_OFFSET, stable: LogIndex(0), remains: false };
    loop {
        match batch_at(&mut window, binding, scan.end, scan.next, scan.term)? {
            Found::Batch(batch) => {
                scan.next = batch.header.next();
                scan.term = batch.term;
                scan.stable = scan.stable.max(batch.header.stable);
                scan.end += batch.total_bytes();
            }
            Found::TermOrder(index) => {
                return Err(OpenError::TermOrder { file: name.into(), offset: scan.end, index });
            }
            Found::Nothing => break,
        }
    }
    let remains = remains_after(&mut window, binding, scan.end, scan.next)?;
    scan.stable = scan.stable.max(remains.stable);
    scan.remains = remains.any;
    Ok(scan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_of_zeroes_are_passed() {
        for zeroes in (0..3 * ZEROES.len()).step_by(ALIGN_BYTES) {
            let mut bytes = vec![0; zeroes];
            bytes.extend([1; 64]);
            let passed = headers_of_zeroes(&bytes) as usize;
            assert!(passed.is_multiple_of(ALIGN_BYTES));
            assert!(
                passed == 0 || passed - ALIGN_BYTES + RECORD_HEADER_BYTES <= zeroes,
                "{zeroes}: {passed}"
            );
            assert!(
                zeroes < ZEROES.len() || passed + ZEROES.len() + RECORD_HEADER_BYTES > zeroes,
                "{zeroes}"
            );
        }
    }
}
