//! The one place where a [`Status`] becomes an `errno`.

use fuser::Errno;
use types::Status;

/// What the kernel is told.
pub(crate) fn errno(status: Status) -> Errno {
    match status {
        Status::NotFound => Errno::ENOENT,
        Status::Exists => Errno::EEXIST,
        Status::NotDirectory => Errno::ENOTDIR,
        Status::IsDirectory => Errno::EISDIR,
        Status::NotEmpty => Errno::ENOTEMPTY,
        Status::Stale => Errno::from_i32(libc::ESTALE),
        Status::NoSpace => Errno::ENOSPC,
        Status::NameTooLong => Errno::ENAMETOOLONG,
        Status::Invalid => Errno::EINVAL,
        Status::NotPermitted => Errno::EPERM,
        Status::AccessDenied => Errno::EACCES,
        Status::ReadOnly => Errno::EROFS,
        Status::TooManyLinks => Errno::from_i32(libc::EMLINK),
        Status::NoAttribute => Errno::from_i32(libc::ENODATA),
        Status::TooBig => Errno::from_i32(libc::E2BIG),
        Status::FileTooBig => Errno::from_i32(libc::EFBIG),
        Status::Busy => Errno::from_i32(libc::EBUSY),
        Status::Quota => Errno::from_i32(libc::EDQUOT),
        Status::TryAgain => Errno::EAGAIN,
        Status::Unsupported => Errno::from_i32(libc::EOPNOTSUPP),
        Status::Interrupted => Errno::EINTR,
        // What a program can do about these is the same: nothing but report it.
        Status::Io
        | Status::WrongVersion
        | Status::WrongTerm
        | Status::TimedOut
        | Status::Corrupt
        | Status::NoChunk
        | Status::NoSession
        | Status::ChainBroken
        | Status::BadMessage
        | Status::WrongCluster
        | Status::Gap
        | Status::LostTail => Errno::EIO,
    }
}
