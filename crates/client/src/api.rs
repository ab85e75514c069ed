//! The plain values of the public interface.

use std::time::Duration;
use types::{Attributes, DirectoryEntry, Expression, InodeId};

/// How a client behaves. `Default` fills everything but the masters.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// `host:port` of the master and of those that may become it; tried in turn.
    pub masters: Vec<String>,
    /// What a person calls this client: host name and mount point.
    pub name: String,
    /// Bytes of writes that are not yet stored and committed, over all files. At least 4 MiB. See [`crate::Client::write_pages`] for
    /// what goes beyond.
    pub write_buffer_bytes: u64,
    /// Bytes read ahead, over all files. At least 4 MiB.
    pub read_cache_bytes: u64,
    /// How long an operation waits for an absent cluster before it fails; `None`: for ever.
    pub timeout: Option<Duration>,
    /// How long [`crate::Client::connect`] waits for a master; `None`: as long as an operation.
    pub connect_timeout: Option<Duration>,
    /// How long attributes and locations may be used without asking again (there are no leases yet).
    pub attribute_ttl: Duration,
    /// Inodes that are kept although nothing is open; the kernel may know more. One takes some 1.5 KiB, twice as much if it was
    /// written.
    pub inodes_max: usize,
    /// How long a small write may wait for company before it is sent.
    pub write_delay: Duration,
    /// Labels of disks to read from rather than from others: a condition, as `placement` reads it.
    pub prefer: Option<Expression>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            masters: Vec::new(),
            name: String::new(),
            write_buffer_bytes: 48 << 20,
            read_cache_bytes: 64 << 20,
            timeout: Some(Duration::from_secs(60)),
            connect_timeout: None,
            attribute_ttl: Duration::from_secs(1),
            inodes_max: 24_576,
            write_delay: Duration::from_millis(50),
            prefer: None,
        }
    }
}

/// An open file or directory of this client. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileHandle(pub u64);

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// Cut to length 0 first.
    pub truncate: bool,
}

/// Attributes and how long they may be shown without asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// As the master told them, with this client's unsent writes applied.
    pub attributes: Attributes,
    /// The time-to-live to give to a kernel.
    pub valid_for: Duration,
}

/// A file that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// For read, write, flush, fsync and release.
    pub handle: FileHandle,
    /// Pages cached from an earlier open are still right.
    pub keep_cache: bool,
    /// The file may have changed since the kernel was told its attributes last.
    pub changed: bool,
}

/// A file that was created (or found) and opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its attributes; counts as one lookup.
    pub known: Known,
    /// The open handle.
    pub opened: Opened,
    /// It did not exist before.
    pub created: bool,
}

/// Some entries of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryPage {
    /// In the order of their cursors; `.` and `..` are not among them.
    pub entries: Vec<DirectoryEntry>,
    /// Nothing follows the last one.
    pub end: bool,
    /// Where `..` leads.
    pub parent: InodeId,
}

/// What fallocate(2) is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateMode {
    /// Make the file at least as long as the range's end.
    Extend,
    /// Reserve without changing the length. Nothing is reserved; it succeeds.
    KeepSize,
    /// Give the range back; it reads as zeroes and the length stays.
    PunchHole,
    /// The range reads as zeroes; `keep_size`: the length stays.
    ZeroRange {
        /// Do not extend.
        keep_size: bool,
    },
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekWhat {
    /// The next byte that may be other than a hole.
    Data,
    /// The next hole; the end of the file is one.
    Hole,
}
