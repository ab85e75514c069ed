//! Writes in a row leave for the device while the next ones come.
//!
//! The kernel begins to write back after 30 s or when a tenth of the memory is dirty, so a file that is written in one go and
//! synced at its end would wait for the device once, with all of its bytes. PostgreSQL (`checkpoint_flush_after`) and
//! RocksDB (`bytes_per_sync`) do the same for the same reason. What is not written in a row stays: pages that are
//! written again and again are better written back once.

use std::ops::Range;

/// So much of a row leaves at a time: few requests for the device, and few extents for the filesystem.
const STEP_BYTES: u64 = 8 << 20;

/// The writes in a row of one replica.
#[derive(Default)]
pub(super) struct Stream {
    /// Bytes from here on have not been sent to the device.
    from: u64,
    /// The end of the last write.
    end: u64,
}

impl Stream {
    /// A range was written; which one is to leave now.
    pub(super) fn wrote(&mut self, offset: u64, length: u64) -> Option<Range<u64>> {
        if offset != self.end {
            self.from = offset;
        }
        self.end = offset + length;
        if self.end - self.from < STEP_BYTES {
            return None;
        }
        let range = self.from..self.end;
        self.from = self.end;
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_is_written_in_a_row_leaves_in_steps_and_each_byte_once() {
        let mut stream = Stream::default();
        let left: Vec<Range<u64>> = (0..20).filter_map(|at| stream.wrote(at * MIB, MIB)).collect();
        assert_eq!(left, [0..8 * MIB, 8 * MIB..16 * MIB]);
    }

    #[test]
    fn a_row_that_breaks_begins_anew() {
        let mut stream = Stream::default();
        assert!((0..7).all(|at| stream.wrote(at * MIB, MIB).is_none()));
        // The same page again and again never leaves by itself.
        assert!((0..10_000).all(|_| stream.wrote(40 * MIB, 4096).is_none()));
        assert_eq!(stream.wrote(16 * MIB, 8 * MIB), Some(16 * MIB..24 * MIB));
    }
}
