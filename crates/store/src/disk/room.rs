//! How much may be written before the device is asked again how much room it has.
//!
//! Asking is a system call for which the filesystem adds up what each processor counted: too much for every write.
//!
//! # Invariants
//! 1. Between two questions at most a small part of what was free is taken, counted with all that a write may take besides
//!    its data. So the reserve is not touched, also if several disks have one device.
//! 2. A write is refused for want of room only by an answer of this moment.
//!
//! What others write to the device is seen by the next question: by the look at every disk that each heartbeat begins with
//! (`chunkserver`), at the latest.

use std::sync::atomic::{AtomicU64, Ordering};

/// So much may be written without asking, however much is free.
const UNASKED_BYTES_MAX: u64 = 64 << 20;
/// And no more than this part of what is free.
const UNASKED_PART: u64 = 16;
/// What a write may take besides its data: pages that it covers in part, pages of records, the file, its folder, the activity log.
const BESIDES_BYTES: u64 = 32 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Room {
    unasked_bytes: AtomicU64,
}

impl Room {
    /// Takes room for a write of `bytes`. False: the device must be asked.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let less = |left: u64| left.checked_sub(bytes.saturating_add(BESIDES_BYTES));
        self.unasked_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// The device has so much, without the reserve.
    pub(super) fn is_free(&self, bytes: u64) {
        self.unasked_bytes.store((bytes / UNASKED_PART).min(UNASKED_BYTES_MAX), Ordering::Relaxed);
    }

    /// The next write asks.
    pub(super) fn forget(&self) {
        self.unasked_bytes.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_of_what_is_free_is_taken_unasked_and_nothing_of_a_disk_that_is_nearly_full() {
        let room = Room::default();
        assert!(!room.take(1), "nothing is known");
        for free in [1 << 20, 10 << 20, 1 << 30, 1 << 40_u64] {
            room.is_free(free);
            let taken = (0..).take_while(|_| room.take(4096)).count() as u64 * (4096 + BESIDES_BYTES);
            assert!(taken <= free / UNASKED_PART && taken <= UNASKED_BYTES_MAX, "{taken} of {free}");
            assert!(taken > (free / UNASKED_PART).min(UNASKED_BYTES_MAX) / 2, "{taken} of {free}");
        }
        room.is_free(8 << 20);
        assert!(!room.take(1 << 20));
        room.is_free(1 << 40);
        room.forget();
        assert!(!room.take(1));
    }
}
