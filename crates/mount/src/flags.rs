//! Open flags and permission bits, from the kernel's words to the client's and back.

use client::OpenFlags as Flags;
use fuser::FopenFlags;

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

pub(crate) fn fopen_flags(flags: i32, keep_cache: bool) -> FopenFlags {
    let mut answer = FopenFlags::empty();
    if keep_cache {
        answer |= FopenFlags::FOPEN_KEEP_CACHE;
    }
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        // A reader's close has nothing to say.
        answer |= FopenFlags::FOPEN_NOFLUSH;
    }
    // The kernel would cut a cached append at a page's border in two, and take its bytes into the page where it
    // believes the end to be.
    if flags & (libc::O_DIRECT | libc::O_APPEND) != 0 {
        answer |= FopenFlags::FOPEN_DIRECT_IO;
    }
    answer
}

pub(crate) fn permission_bits(mode: u32, umask: u32) -> u16 {
    (mode & !umask & 0o7777) as u16
}
