//! A directory on one device, and the files in it.
//!
//! Paths are relative, `/`-separated, built from numbers and constant words only; the empty path is the
//! directory itself. Calls block: roles
//! run them through [`crate::Workers`], never on a data runtime (but for `read_resident_at`).

use std::io;
use std::sync::Arc;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Existing, read only.
    Read,
    /// Existing, read and write.
    ReadWrite,
    /// New, read and write; `AlreadyExists` if it is there.
    CreateNew,
    /// Read and write, made if absent.
    Create,
}

/// What a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: EntryKind,
}

/// Room on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes free to us.
    pub free_bytes: u64,
}

/// What tells one mounted filesystem from another, and one boot from the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Type of the filesystem: `ext4`, `xfs`, `vfat`...
    pub filesystem: String,
    /// Changes when the kernel boots or the filesystem is mounted anew: unsynced writes are safe as
    /// long as it stays the same.
    pub boot: u64,
}

/// A directory on one device, as the root of relative paths.
pub trait Dir: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Makes a directory and those above it.
    fn create_dir_all(&self, path: &str) -> io::Result<()>;
    /// Lists a directory, in any order.
    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>>;
    /// Atomically renames, replacing a file at `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes a directory and all in it (an index that is rebuilt).
    fn remove_dir_all(&self, path: &str) -> io::Result<()>;
    /// Makes the entries of a directory durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Writes everything of its filesystem to the device, files and names (syncfs). Which file could not be written, each
    /// open one tells ([`File::check_written`]); a volatile cache of the device is flushed by the next `sync_data`.
    fn sync_all(&self) -> io::Result<()>;
    /// Whether something is there.
    fn exists(&self, path: &str) -> io::Result<bool>;
    /// Whether the path by which it was opened still leads to it, and it may be written (`ReadOnlyFilesystem`). Looks
    /// at names and flags only.
    fn check_place(&self) -> io::Result<()> {
        Ok(())
    }
    /// Room on the device.
    fn space(&self) -> io::Result<Space>;
    /// Filesystem and boot.
    fn identity(&self) -> io::Result<Identity>;
    /// Takes the directory for this process; an error names the pid of the holder if known. Held until dropped.
    fn lock(&self, path: &str) -> io::Result<Box<dyn Send + Sync>>;
    /// The real path, for messages and for libraries that open files themselves; `None` if simulated.
    fn real_path(&self) -> Option<std::path::PathBuf>;
}

/// An open file. Positions are explicit; all methods may be called from any thread.
pub trait File: Send + Sync {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Reads without waiting for the device; `None` if not everything is in the page cache.
    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>>;
    /// Writes all of `data`.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;
    /// Has what was written of a range leave for the device, without waiting for it. A hint: what fails is told by the
    /// next `sync_data`, as ever.
    fn start_writing(&self, _offset: u64, _length: u64) {}
    /// Makes written data durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Waits until what is on its way to the device is there, and tells, once for each opening, that some of what was written
    /// is lost. Begins to write nothing.
    fn check_written(&self) -> io::Result<()>;
    /// Sets the length.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the length is 0.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Where the next bytes are, at or after an offset, that are not in a hole; they may be zeroes. `None`: holes up to the end. A
    /// filesystem that cannot tell names the offset itself.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>>;
    /// Bytes allocated on the device.
    fn allocated_bytes(&self) -> io::Result<u64>;
    /// Reserves room and grows the file to `offset + length`; what is new reads as zeroes.
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()>;
    /// Gives room back; the range reads as zeroes, the length stays.
    fn punch_hole(&self, offset: u64, length: u64) -> io::Result<()>;
}
