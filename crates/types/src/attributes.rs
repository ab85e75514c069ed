//! What stat(2) shows.

use crate::{InodeRef, Timestamp, TruncateGeneration};

/// The kind of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FileKind {
    File = 1,
    Directory = 2,
    Symlink = 3,
    Fifo = 4,
    Socket = 5,
    CharDevice = 6,
    BlockDevice = 7,
}

impl FileKind {
    /// The number in records and frames.
    pub fn code(self) -> u8 {
        self as u8
    }
    /// The inverse of [`FileKind::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::File,
            2 => Self::Directory,
            3 => Self::Symlink,
            4 => Self::Fifo,
            5 => Self::Socket,
            6 => Self::CharDevice,
            7 => Self::BlockDevice,
            _ => return None,
        })
    }
}

/// User and group that own an inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The attributes of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Which inode.
    pub inode: InodeRef,
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits, setuid, setgid, sticky: `0o7777` at most.
    pub mode: u16,
    /// Number of names; a directory counts itself, its name and its subdirectories.
    pub links: u32,
    /// Owner.
    pub owner: Owner,
    /// Device number (Linux `dev_t`) of a device node, else 0.
    pub device: u32,
    /// Bytes of a file, of a symlink's target; of a directory, its number of entries.
    pub length: u64,
    /// Chunks in the file's map: at most `chunks * 64 MiB` are allocated.
    pub chunks: u32,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of content or attributes.
    pub changed: Timestamp,
    /// Creation.
    pub created: Timestamp,
    /// Grows with each change of content or attributes; equal means nothing changed.
    pub change_counter: u64,
    /// See [`TruncateGeneration`].
    pub truncate_generation: TruncateGeneration,
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The time at which the request is applied.
    Now,
    /// This time.
    At(Timestamp),
}

/// What `SetAttributes` changes; `None` leaves a part as it is. The length is changed by `SetLength`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    /// Permission bits.
    pub mode: Option<u16>,
    /// Owner; also clears setuid and setgid of a file, as chown(2) does.
    pub uid: Option<u32>,
    /// Group; also clears setuid and setgid of a file.
    pub gid: Option<u32>,
    /// Access time.
    pub accessed: Option<SetTime>,
    /// Modification time.
    pub modified: Option<SetTime>,
    /// Clear setuid and setgid because content was written by somebody unprivileged.
    pub clear_privileges: bool,
}

/// Who asks, for the few rules that the kernel's own permission check leaves to the filesystem
/// (setgid is dropped by chmod of somebody outside the group).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// User id; 0 is privileged.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups; filled only where a rule needs them.
    pub groups: Vec<u32>,
}

impl Caller {
    /// Whether this is one of its groups.
    pub fn is_member_of(&self, group: u32) -> bool {
        self.gid == group || self.groups.contains(&group)
    }
}

/// Capacity and use, in usable bytes at the default number of replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsStat {
    /// Usable bytes in all.
    pub total_bytes: u64,
    /// Usable bytes free.
    pub free_bytes: u64,
    /// Inodes that exist.
    pub inodes: u64,
}
