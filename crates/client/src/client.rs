//! The public face: one method per operation of a filesystem.

use crate::{
    AllocateMode, ClientError, ClientOptions, Created, DirectoryPage, FileHandle, Known, OpenFlags, Opened,
    SeekWhat,
};
use bytes::Bytes;
use env::Env;
use std::sync::Arc;
use types::{
    AttributeChanges, Attributes, Caller, DirCursor, FileInfo, FsStat, InodeId, NodeSpec, RenameMode, Status,
    XattrMode,
};

/// A mounted filesystem without a kernel. Methods may be called from any task; the `try_` methods and
/// [`Client::forget`] from any thread, without a runtime.
pub struct Client {
    #[expect(dead_code, reason = "the bodies follow")]
    options: ClientOptions,
}

#[allow(clippy::unused_async, unused_variables, reason = "the bodies follow")]
impl Client {
    /// Opens a session with the first master that answers. Background tasks run on the current runtime.
    pub async fn connect(env: Env, options: ClientOptions) -> Result<Arc<Self>, ClientError> {
        unimplemented!()
    }

    // ---- names ----

    /// Finds a name. Counts as one lookup of the inode.
    pub async fn lookup(&self, parent: InodeId, name: &[u8]) -> Result<Known, Status> {
        unimplemented!()
    }
    /// The parent of a directory. Not counted as a lookup.
    pub async fn lookup_parent(&self, dir: InodeId) -> Result<Known, Status> {
        unimplemented!()
    }
    /// Counts one lookup of an inode that a directory page named (readdirplus).
    pub fn remember(&self, attributes: &Attributes) -> Known {
        unimplemented!()
    }
    /// The kernel dropped `lookups` references to an inode.
    pub fn forget(&self, inode: InodeId, lookups: u64) {
        unimplemented!()
    }
    /// Makes and opens a file. Not `exclusive`: an existing one is opened. Counts as one lookup.
    pub async fn create(
        &self,
        parent: InodeId,
        name: &[u8],
        node: NodeSpec,
        exclusive: bool,
        flags: OpenFlags,
    ) -> Result<Created, Status> {
        unimplemented!()
    }
    /// Makes a directory, symlink, device, fifo, socket or an empty file. Counts as one lookup.
    pub async fn make(&self, parent: InodeId, name: &[u8], node: NodeSpec) -> Result<Known, Status> {
        unimplemented!()
    }
    /// A further name. Counts as one lookup.
    pub async fn link(&self, inode: InodeId, parent: InodeId, name: &[u8]) -> Result<Known, Status> {
        unimplemented!()
    }
    /// Removes a name of anything but a directory.
    pub async fn unlink(&self, parent: InodeId, name: &[u8]) -> Result<(), Status> {
        unimplemented!()
    }
    /// Removes an empty directory.
    pub async fn remove_directory(&self, parent: InodeId, name: &[u8]) -> Result<(), Status> {
        unimplemented!()
    }
    /// Atomic rename.
    pub async fn rename(
        &self,
        from: InodeId,
        from_name: &[u8],
        to: InodeId,
        to_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), Status> {
        unimplemented!()
    }
    /// The target of a symlink.
    pub async fn read_link(&self, inode: InodeId) -> Result<Vec<u8>, Status> {
        unimplemented!()
    }
    /// Entries after a cursor, at most about `bytes_max` bytes of them. Not counted as lookups: call
    /// [`Client::remember`] for each entry that the kernel is given with its attributes.
    pub async fn read_directory(
        &self,
        dir: InodeId,
        after: DirCursor,
        bytes_max: u32,
    ) -> Result<DirectoryPage, Status> {
        unimplemented!()
    }
    /// Everything answered for this directory so far is on stable storage when it returns.
    pub async fn fsync_directory(&self, dir: InodeId) -> Result<(), Status> {
        unimplemented!()
    }

    // ---- attributes ----

    /// Attributes, from the cache or the master.
    pub async fn attributes(&self, inode: InodeId) -> Result<Known, Status> {
        unimplemented!()
    }
    /// Attributes if they need not be asked for.
    pub fn try_attributes(&self, inode: InodeId) -> Option<Known> {
        unimplemented!()
    }
    /// chmod, chown, utimens.
    pub async fn set_attributes(
        &self,
        inode: InodeId,
        changes: AttributeChanges,
        caller: Caller,
    ) -> Result<Known, Status> {
        unimplemented!()
    }
    /// truncate, ftruncate.
    pub async fn set_length(
        &self,
        inode: InodeId,
        length: u64,
        clear_privileges: bool,
    ) -> Result<Known, Status> {
        unimplemented!()
    }
    /// The value of an extended attribute.
    pub async fn get_xattr(&self, inode: InodeId, name: &[u8]) -> Result<Vec<u8>, Status> {
        unimplemented!()
    }
    /// Names of extended attributes.
    pub async fn list_xattrs(&self, inode: InodeId) -> Result<Vec<Vec<u8>>, Status> {
        unimplemented!()
    }
    /// Sets an extended attribute.
    pub async fn set_xattr(
        &self,
        inode: InodeId,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Status> {
        unimplemented!()
    }
    /// Removes an extended attribute.
    pub async fn remove_xattr(&self, inode: InodeId, name: &[u8]) -> Result<(), Status> {
        unimplemented!()
    }
    /// Capacity and use.
    pub async fn stat_fs(&self) -> Result<FsStat, Status> {
        unimplemented!()
    }
    /// Chunks, versions and replicas of a file.
    pub async fn file_info(&self, inode: InodeId) -> Result<FileInfo, Status> {
        unimplemented!()
    }

    // ---- open files ----

    /// Opens a file.
    pub async fn open(&self, inode: InodeId, flags: OpenFlags) -> Result<Opened, Status> {
        unimplemented!()
    }
    /// Reads; fewer bytes than asked for only at the end of the file. One contiguous piece of memory.
    pub async fn read(&self, handle: FileHandle, offset: u64, length: u32) -> Result<Bytes, Status> {
        unimplemented!()
    }
    /// Reads if everything is in memory.
    pub fn try_read(&self, handle: FileHandle, offset: u64, length: u32) -> Option<Result<Bytes, Status>> {
        unimplemented!()
    }
    /// Writes all of `data` at `offset` (at the end, if the handle appends) into the buffer.
    pub async fn write(&self, handle: FileHandle, offset: u64, data: &[u8]) -> Result<(), Status> {
        unimplemented!()
    }
    /// Writes if there is room in the buffer and nobody has to be asked.
    pub fn try_write(&self, handle: FileHandle, offset: u64, data: &[u8]) -> Option<Result<(), Status>> {
        unimplemented!()
    }
    /// close(2): every replica has the data, and the master knows length, time and chunks.
    pub async fn flush(&self, handle: FileHandle) -> Result<(), Status> {
        unimplemented!()
    }
    /// fsync(2) and fdatasync(2).
    pub async fn fsync(&self, handle: FileHandle) -> Result<(), Status> {
        unimplemented!()
    }
    /// The last reference to a handle is gone. Never fails; what was written goes on in the background.
    pub fn release(&self, handle: FileHandle) {
        unimplemented!()
    }
    /// fallocate(2).
    pub async fn allocate(
        &self,
        handle: FileHandle,
        mode: AllocateMode,
        offset: u64,
        length: u64,
    ) -> Result<(), Status> {
        unimplemented!()
    }
    /// lseek(2) with SEEK_DATA or SEEK_HOLE; `None`: nothing there (ENXIO).
    pub async fn seek(&self, handle: FileHandle, offset: u64, what: SeekWhat) -> Result<Option<u64>, Status> {
        unimplemented!()
    }

    // ---- all of it ----

    /// syncfs(2): everything written and answered so far is on stable storage.
    pub async fn sync_all(&self) -> Result<(), Status> {
        unimplemented!()
    }
    /// Stores what is unsent, ends the session and all background tasks.
    pub async fn close(&self) -> Result<(), Status> {
        unimplemented!()
    }
}
