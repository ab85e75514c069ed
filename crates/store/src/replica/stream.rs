//! Writes in a row leave for the device while the next ones come.
//!
//! The kernel begins to write back after 30 s or when a tenth of the memory is dirty, so a file that is written in one go and
//! synced at its end would wait for the device once, with all of its bytes. PostgreSQL (`checkpoint_flush_after`) and
//! RocksDB (`bytes_per_sync`) do the same for the same reason. What is not written in a row stays: pages that are
//! written again and again are better written back once.
//!
//! Having 8 MiB leave takes up to 32 ms (a device whose queue is full makes the kernel wait), so it is done by whoever has written,
//! after he has let go of the chunk's lock. The file may be cut, closed or deleted by then: the handle is kept, nothing is read or written
//! through it, and what is not there any more does not leave.

use env::File;
use std::ops::Range;
use std::sync::Arc;

/// So much of a row leaves at a time: few requests for the device, and few extents for the filesystem.
const STEP_BYTES: u64 = 8 << 20;

/// The writes in a row of one replica.
#[derive(Default)]
pub(super) struct Stream {
    /// Bytes from here on have not been sent to the device.
    from: u64,
    /// The end of the last write.
    end: u64,
    /// What is to leave.
    row: Option<Range<u64>>,
}

/// A row that is to leave, of a file that may be gone by then.
pub(crate) struct Row {
    pub(super) file: Arc<dyn File>,
    pub(super) range: Range<u64>,
}

impl Row {
    /// Has it leave. No lock is held.
    pub(crate) fn leave(self) {
        self.file.start_writing(self.range.start, self.range.end - self.range.start);
    }
}

impl Stream {
    /// A range was written.
    pub(super) fn wrote(&mut self, offset: u64, length: u64) {
        if offset != self.end {
            self.from = offset;
        }
        self.end = offset + length;
        if self.end - self.from < STEP_BYTES {
            return;
        }
        // One that nobody took, since its write failed, stays behind: it leaves with the next sync.
        self.row = Some(self.from..self.end);
        self.from = self.end;
    }

    /// What is to leave now.
    pub(super) fn take_row(&mut self) -> Option<Range<u64>> {
        self.row.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn wrote(stream: &mut Stream, offset: u64, length: u64) -> Option<Range<u64>> {
        stream.wrote(offset, length);
        stream.take_row()
    }

    #[test]
    fn what_is_written_in_a_row_leaves_in_steps_and_each_byte_once() {
        let mut stream = Stream::default();
        let left: Vec<Range<u64>> = (0..20).filter_map(|at| wrote(&mut stream, at * MIB, MIB)).collect();
        assert_eq!(left, [0..8 * MIB, 8 * MIB..16 * MIB]);
    }

    #[test]
    fn a_row_that_breaks_begins_anew() {
        let mut stream = Stream::default();
        assert!((0..7).all(|at| wrote(&mut stream, at * MIB, MIB).is_none()));
        // The same page again and again never leaves by itself.
        assert!((0..10_000).all(|_| wrote(&mut stream, 40 * MIB, 4096).is_none()));
        assert_eq!(wrote(&mut stream, 16 * MIB, 8 * MIB), Some(16 * MIB..24 * MIB));
    }
}
