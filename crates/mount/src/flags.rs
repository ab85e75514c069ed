//! Open flags and permission bits, from the kernel's words to the client's and back.

use client::{FileHandle as Handle, OpenFlags as Flags};
use fuser::{FileHandle, FopenFlags, WriteFlags};

/// setuid and setgid.
const PRIVILEGES: u16 = SETUID | SETGID;
const SETUID: u16 = 0o4000;
const SETGID: u16 = 0o2000;
/// Without it setgid runs nothing as the group.
const GROUP_EXECUTES: u16 = 0o0010;

/// What a write by somebody unprivileged leaves of a mode. Where setgid runs nothing, a member of the file's group leaves it, as on a
/// local filesystem.
pub(crate) fn without_privileges(mode: u16, is_member: impl FnOnce() -> bool) -> u16 {
    let keeps_setgid = mode & (SETGID | GROUP_EXECUTES) == SETGID && is_member();
    mode & !(if keeps_setgid { SETUID } else { PRIVILEGES })
}

/// Beside the number of a handle, as the kernel knows it: the handle passes the page cache by. What it was opened with decides;
/// fcntl(2) changes nothing there.
const PAST_CACHE: u64 = 1 << 63;
/// Before it the process that opened the handle, if operations on it may outlive their threads. A process has a number of 22 bits at
/// most (PID_MAX_LIMIT).
const OPENER_SHIFT: u32 = 41;
const OPENER: u64 = (1 << 22) - 1;

/// The number under which the kernel gets a handle. `opener`: 0 if it is of no interest.
pub(crate) fn to_kernel_handle(handle: Handle, flags: i32, opener: u32) -> FileHandle {
    let past_cache = if opens_past_cache(flags) { PAST_CACHE } else { 0 };
    FileHandle(handle.0 | (u64::from(opener) & OPENER) << OPENER_SHIFT | past_cache)
}

/// The handle of the kernel's number.
pub(crate) fn handle_of(number: FileHandle) -> Handle {
    Handle(number.0 & ((1 << OPENER_SHIFT) - 1))
}

/// The process that opened it, or 0.
pub(crate) fn opener_of(number: FileHandle) -> u32 {
    (number.0 >> OPENER_SHIFT & OPENER) as u32
}

/// Whether reads and writes through the handle may go on when the thread that began them has ended.
pub(crate) fn is_asynchronous(flags: i32) -> bool {
    flags & libc::O_DIRECT != 0
}

/// Whether what is written through the handle never enters the page cache, as long as it is not mapped.
pub(crate) fn passes_cache(number: FileHandle) -> bool {
    number.0 & PAST_CACHE != 0
}

/// The kernel would cut a cached append at a page's border in two, and take its bytes into the page where it believes the end to be.
fn opens_past_cache(flags: i32) -> bool {
    flags & (libc::O_DIRECT | libc::O_APPEND) != 0
}

pub(crate) fn open_flags(flags: i32) -> Flags {
    let mode = flags & libc::O_ACCMODE;
    Flags {
        read: mode != libc::O_WRONLY,
        write: mode != libc::O_RDONLY,
        truncate: flags & libc::O_TRUNC != 0,
    }
}

/// O_SYNC and O_DSYNC: every write is followed by an fsync before it is answered.
pub(crate) fn wants_sync(flags: i32) -> bool {
    flags & libc::O_DSYNC != 0
}

/// Whether setuid and setgid go before this write. The kernel says so of what passes its cache by, whatever the mode is; `mode` is
/// the one that the kernel may use, too, if it is known. Of other writes it has dropped them itself, and looked no closer.
pub(crate) fn drops_privileges(flags: WriteFlags, mode: impl FnOnce() -> Option<u16>) -> bool {
    flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID) && mode().is_none_or(|mode| mode & PRIVILEGES != 0)
}

pub(crate) fn fopen_flags(flags: i32, keep_cache: bool) -> FopenFlags {
    let mut answer = FopenFlags::empty();
    if keep_cache {
        answer |= FopenFlags::FOPEN_KEEP_CACHE;
    }
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        // A reader's close has nothing to say.
        answer |= FopenFlags::FOPEN_NOFLUSH;
    }
    if opens_past_cache(flags) {
        answer |= FopenFlags::FOPEN_DIRECT_IO;
    }
    answer
}

pub(crate) fn permission_bits(mode: u32, umask: u32) -> u16 {
    (mode & !umask & 0o7777) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_number_of_a_handle_tells_all_three() {
        let last = Handle((1 << OPENER_SHIFT) - 1);
        let plain = to_kernel_handle(last, 0, 0);
        assert_eq!((handle_of(plain), opener_of(plain), passes_cache(plain)), (last, 0, false));
        let direct = to_kernel_handle(last, libc::O_DIRECT, 4_194_303);
        assert_eq!((handle_of(direct), opener_of(direct), passes_cache(direct)), (last, 4_194_303, true));
    }

    #[test]
    fn setgid_that_runs_nothing_stays_with_a_member_of_the_group() {
        for (mode, of_member, of_other) in [
            (0o2767, 0o2767, 0o0767),
            (0o2777, 0o0777, 0o0777),
            (0o6767, 0o2767, 0o0767),
            (0o4767, 0o0767, 0o0767),
        ] {
            assert_eq!(without_privileges(mode, || true), of_member, "{mode:o}");
            assert_eq!(without_privileges(mode, || false), of_other, "{mode:o}");
        }
    }

    #[test]
    fn a_write_that_passes_the_cache_by_asks_for_nothing_where_there_is_nothing_to_drop() {
        let told = WriteFlags::FUSE_WRITE_KILL_SUIDGID;
        assert!(!drops_privileges(told, || Some(0o777)), "it is like any other write");
        for mode in [Some(0o4755), Some(0o2755), None] {
            assert!(drops_privileges(told, || mode));
            assert!(!drops_privileges(WriteFlags::empty(), || mode));
        }
    }
}
