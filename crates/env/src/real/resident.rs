//! Whether a range of a file is in the page cache.
//!
//! `cachestat` (Linux 6.5; older kernels say that there is none, and nothing counts as resident) counts the pages that are
//! there, those on their way from the device among them. A byte of each step is read with `RWF_NOWAIT`, which only succeeds
//! when its page has arrived.

use rustix::io::{Errno, ReadWriteFlags};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};

/// The same on every architecture of today.
const CACHESTAT: libc::c_long = 451;
const PAGE_BYTES: u64 = 4096;
/// XFS by its magic number.
const XFS: u64 = 0x5846_5342;
/// What a device is asked for in one piece, at least.
const STEP_BYTES: usize = 64 << 10;

#[repr(C)]
struct Range {
    offset: u64,
    length: u64,
}

#[repr(C)]
#[derive(Default)]
struct Cached {
    here: u64,
    dirty: u64,
    written_back: u64,
    evicted: u64,
    recently_evicted: u64,
}

pub(super) fn is_resident(file: impl AsFd, offset: u64, length: u32) -> bool {
    if length == 0 {
        return true;
    }
    // There who sends waits for who writes the same file.
    if rustix::fs::fstatfs(&file).is_ok_and(|of| of.f_type as u64 == XFS) {
        return false;
    }
    let end = offset + u64::from(length);
    let pages = end.div_ceil(PAGE_BYTES) - offset / PAGE_BYTES;
    count(&file, offset, u64::from(length)) == Some(pages)
        && (offset..end).step_by(STEP_BYTES).chain([end - 1]).all(|at| has_arrived(&file, at))
}

#[allow(unsafe_code, reason = "no safe binding of cachestat exists")]
fn count(file: impl AsFd, offset: u64, length: u64) -> Option<u64> {
    let (range, mut cached) = (Range { offset, length }, Cached::default());
    // SAFETY: the descriptor is open for the time of the call, and both structures are laid out as the system call wants them.
    let done =
        unsafe { libc::syscall(CACHESTAT, file.as_fd().as_raw_fd(), &raw const range, &raw mut cached, 0) };
    (done == 0).then_some(cached.here)
}

fn has_arrived(file: impl AsFd, at: u64) -> bool {
    let mut byte = [0];
    loop {
        match rustix::io::preadv2(&file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT) {
            Err(Errno::INTR) => {}
            read => return read == Ok(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    /// Where the kernel cannot tell, nothing is resident.
    #[test]
    fn what_was_written_is_resident_and_a_hole_and_the_end_are_not() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 200_000], 0).unwrap();
        file.write_all_at(&[7; 4096], 1 << 20).unwrap();
        let known = count(&file, 0, 1).is_some();
        assert_eq!(is_resident(&file, 0, 200_000), known);
        assert_eq!(is_resident(&file, 5_000, 100_001), known);
        assert!(!is_resident(&file, 0, 1 << 20), "there is a hole");
        assert!(!is_resident(&file, 1 << 20, 4097), "it ends before");
    }
}
