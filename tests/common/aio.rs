//! One read that goes on without the thread that began it, as databases make them.

#![allow(unsafe_code, reason = "no safe binding of these calls exists")]
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use rustix::io::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;

/// Where the kernel puts what has ended: as many as one.
const EVENTS: libc::c_long = 1;

/// What the kernel tells of a request that has ended.
#[repr(C)]
#[derive(Default)]
struct Event {
    data: u64,
    request: u64,
    result: i64,
    result2: i64,
}

/// A read that was begun.
pub(super) struct Begun {
    context: libc::c_ulong,
    /// Where its bytes go; it is mapped until the process ends, since the kernel may write to it until then.
    _room: &'static mut [u8],
}

fn said(done: libc::c_long) -> rustix::io::Result<libc::c_long> {
    match done {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()),
        done => Ok(done),
    }
}

/// Begins a read on a thread that ends then.
pub(super) fn begin_read(file: &File, at: i64, length: usize) -> rustix::io::Result<Begun> {
    let mut context: libc::c_ulong = 0;
    // SAFETY: the number outlives the call.
    said(unsafe { libc::syscall(libc::SYS_io_setup, EVENTS, &raw mut context) })?;
    let room = vec![0; length].leak();
    // SAFETY: all zeroes are a valid iocb.
    let mut request: libc::iocb = unsafe { std::mem::zeroed() };
    // IOCB_CMD_PREAD is 0.
    request.aio_fildes = file.as_raw_fd().cast_unsigned();
    (request.aio_buf, request.aio_nbytes) = (room.as_mut_ptr() as u64, length as u64);
    request.aio_offset = at;
    let submit = || {
        let mut requests = [&raw mut request];
        // SAFETY: the request outlives the call, and its room the process.
        said(unsafe { libc::syscall(libc::SYS_io_submit, context, EVENTS, requests.as_mut_ptr()) })
    };
    std::thread::scope(|scope| scope.spawn(submit).join().unwrap())?;
    Ok(Begun { context, _room: room })
}

/// Waits for its end, and tells how many bytes it read.
pub(super) fn end(begun: &Begun) -> rustix::io::Result<i64> {
    let mut event = Event::default();
    let none = ptr::null_mut::<libc::timespec>();
    let (context, room) = (begun.context, &raw mut event);
    // SAFETY: there is room for one event, which outlives the call.
    said(unsafe { libc::syscall(libc::SYS_io_getevents, context, EVENTS, EVENTS, room, none) })?;
    match i32::try_from(event.result) {
        Ok(error) if error < 0 => Err(Errno::from_raw_os_error(-error)),
        _ => Ok(event.result),
    }
}
