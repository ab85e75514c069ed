//! Attributes and times between the kernel's form and ours.

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use types::{Attributes, CHUNK_BYTES, FileKind, InodeId, SetTime, Timestamp};

/// What stat(2) calls the preferred size of an exchange.
const EXCHANGE_BYTES: u32 = 1 << 20;
/// The unit of `st_blocks`.
const STAT_BLOCK_BYTES: u64 = 512;
const PAGE: u64 = types::PAGE_BYTES as u64;

/// The kernel's form of our attributes.
pub(crate) fn to_kernel(attributes: &Attributes) -> FileAttr {
    let blocks = match attributes.kind {
        // What is mapped, as far as the length reaches: a sparse file shows fewer blocks than its length. Never
        // none while there is a length: what was not sent yet is not mapped, and tar(1) takes 0 for "all hole".
        FileKind::File => {
            let mapped = attributes.length.min(u64::from(attributes.chunks) * CHUNK_BYTES);
            mapped.max(attributes.length.min(1)).div_ceil(PAGE) * (PAGE / STAT_BLOCK_BYTES)
        }
        FileKind::Directory => PAGE / STAT_BLOCK_BYTES,
        _ => 0,
    };
    FileAttr {
        ino: INodeNo(attributes.inode.id.0),
        size: attributes.length,
        blocks,
        atime: to_system_time(attributes.accessed),
        mtime: to_system_time(attributes.modified),
        ctime: to_system_time(attributes.changed),
        crtime: to_system_time(attributes.created),
        kind: kind_to_kernel(attributes.kind),
        perm: attributes.mode,
        nlink: attributes.links,
        uid: attributes.owner.uid,
        gid: attributes.owner.gid,
        rdev: attributes.device,
        blksize: EXCHANGE_BYTES,
        flags: 0,
    }
}

/// What says no more than number and kind.
pub(crate) fn bare(inode: InodeId, kind: FileKind) -> FileAttr {
    FileAttr {
        ino: INodeNo(inode.0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: kind_to_kernel(kind),
        perm: 0,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: EXCHANGE_BYTES,
        flags: 0,
    }
}

/// The kernel's word for a kind of inode.
pub(crate) fn kind_to_kernel(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
    }
}

/// The kind that mknod(2) asks for by the type bits of a mode.
pub(crate) fn kind_of_mode(mode: u32) -> Option<FileKind> {
    Some(match mode & libc::S_IFMT {
        0 | libc::S_IFREG => FileKind::File,
        libc::S_IFIFO => FileKind::Fifo,
        libc::S_IFSOCK => FileKind::Socket,
        libc::S_IFCHR => FileKind::CharDevice,
        libc::S_IFBLK => FileKind::BlockDevice,
        _ => return None,
    })
}

fn to_system_time(time: Timestamp) -> SystemTime {
    let nanos = Duration::from_nanos(u64::from(time.nanos()));
    let seconds = Duration::from_secs(time.seconds().unsigned_abs());
    if time.seconds() >= 0 { UNIX_EPOCH + seconds + nanos } else { UNIX_EPOCH - seconds + nanos }
}

/// A time that utimensat(2) asks for.
pub(crate) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(from_request(time)),
    }
}

/// A time as fuser 0.18 hands it over: for one before 1970 it subtracts the nanoseconds too, which is undone here.
fn from_request(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp::new(after.as_secs().try_into().unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            Timestamp::new(-seconds, before.subsec_nanos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{InodeRef, Owner, TruncateGeneration};

    #[test]
    fn a_file_with_a_length_never_shows_zero_blocks() {
        let mut attributes = Attributes {
            inode: InodeRef::ROOT,
            kind: FileKind::File,
            mode: 0o644,
            links: 1,
            owner: Owner::default(),
            device: 0,
            length: 100_000,
            chunks: 0,
            accessed: Timestamp::default(),
            modified: Timestamp::default(),
            changed: Timestamp::default(),
            created: Timestamp::default(),
            change_counter: 0,
            truncate_generation: TruncateGeneration(0),
        };
        assert_eq!(to_kernel(&attributes).blocks, 8);
        attributes.chunks = 1;
        assert_eq!(to_kernel(&attributes).blocks, 25 * 8);
        attributes.length = 0;
        assert_eq!(to_kernel(&attributes).blocks, 0);
    }

    #[test]
    fn times_before_1970_keep_their_nanoseconds() {
        // fuser turns (-5 s, 7 ns) into 1970 minus 5.000000007 s.
        let given = UNIX_EPOCH - Duration::new(5, 7);
        assert_eq!(from_request(given), Timestamp::new(-5, 7));
        assert_eq!(
            to_system_time(Timestamp::new(-5, 7)),
            UNIX_EPOCH - Duration::from_secs(5) + Duration::from_nanos(7)
        );
        let late = Timestamp::new(5_000_000_000, 9);
        assert_eq!(from_request(to_system_time(late)), late);
    }
}
