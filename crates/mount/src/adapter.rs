//! The kernel's requests, each turned into one call of the client.
//!
//! Permission checks are the kernel's (`default_permissions`); what it leaves to the filesystem (setgid
//! directories, setuid and setgid dropped by writes and chown) the master does from what is sent here.

use crate::attributes::{kind_of_mode, set_time, to_kernel};
use crate::caller::{Asker, is_administrator, process_of, with_groups};
use crate::dispatch::Dispatch;
use crate::errno::errno;
use crate::flags::{
    drops_privileges, fopen_flags, handle_of, is_asynchronous, open_flags, opener_of, passes_cache,
    permission_bits, to_kernel_handle, wants_sync, without_privileges,
};
use crate::listing;
use crate::unasked::Unasked;
use client::{AllocateMode, Client, Known, SeekWhat};
use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::runtime::Handle as Runtime;
use types::{
    AttributeChanges, Caller, FileKind, InodeId, NodeSpec, Owner, PAYLOAD_BYTES_MAX, RenameMode, Status,
    XattrMode,
};

/// What statfs(2) counts in.
const STATFS_BLOCK_BYTES: u32 = 4096;
/// Requests that the kernel may have waiting here without being asked for by a sleeping process.
const BACKGROUND_MAX: u16 = 64;
/// Copying so much to the kernel takes longer than waking a thread that does it.
const LONG_ANSWER_BYTES: usize = 64 << 10;

/// The filesystem as fuser wants it.
pub(crate) struct Adapter {
    client: Arc<Client>,
    dispatch: Dispatch,
    unasked: Arc<Unasked>,
}

impl Adapter {
    pub(crate) fn new(client: Arc<Client>, runtime: Runtime, unasked: Arc<Unasked>) -> Self {
        Self { client, dispatch: Dispatch::new(runtime), unasked }
    }

    fn entry<F>(&self, request: &Request, reply: ReplyEntry, operation: F)
    where
        F: Future<Output = Result<Known, Status>> + Send + 'static,
    {
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(known) => {
                let attributes = &known.attributes;
                let generation = Generation(u64::from(attributes.inode.generation.0));
                reply.entry(&known.valid_for, &to_kernel(attributes), generation);
            }
            Err(status) => reply.error(errno(status)),
        });
    }

    fn attr<F>(&self, request: &Request, reply: ReplyAttr, operation: F)
    where
        F: Future<Output = Result<Known, Status>> + Send + 'static,
    {
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(known) => reply.attr(&known.valid_for, &to_kernel(&known.attributes)),
            Err(status) => reply.error(errno(status)),
        });
    }

    fn empty<F>(&self, request: &Request, reply: ReplyEmpty, operation: F)
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(()) => reply.ok(),
            Err(status) => reply.error(errno(status)),
        });
    }
}

fn inode(number: INodeNo) -> InodeId {
    InodeId(number.0)
}

fn node(request: &Request, kind: FileKind, mode: u16) -> NodeSpec {
    let owner = Owner { uid: request.uid(), gid: request.gid() };
    NodeSpec { kind, mode, owner, device: 0, target: Vec::new() }
}

/// Who waits for a read or a write.
fn asker(request: &Request, handle: FileHandle, flags: OpenFlags) -> Asker {
    match is_asynchronous(flags.0) {
        true => Asker::beginning(request.pid(), opener_of(handle)),
        false => request.pid().into(),
    }
}

/// Who opens a file, if that may be of interest later.
fn opener(request: &Request, flags: i32) -> u32 {
    if is_asynchronous(flags) { process_of(request.pid()).unwrap_or(0) } else { 0 }
}

impl Filesystem for Adapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let _ = config.set_max_write(PAYLOAD_BYTES_MAX);
        let _ = config.set_max_background(BACKGROUND_MAX);
        // Only what fuser 0.18 parses. A flag that the kernel does not know is left out. Without KILLPRIV and
        // ATOMIC_O_TRUNC the kernel itself drops setuid and setgid when somebody unprivileged writes or cuts.
        for wanted in [
            InitFlags::FUSE_ASYNC_READ,
            InitFlags::FUSE_BIG_WRITES,
            InitFlags::FUSE_DONT_MASK,
            InitFlags::FUSE_AUTO_INVAL_DATA,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_MAX_PAGES,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
        ] {
            let _ = config.add_capabilities(wanted);
        }
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if self.client.is_absent(inode(parent), name.as_bytes()) {
            return reply.error(errno(Status::NotFound));
        }
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.entry(request, reply, async move {
            match name.as_slice() {
                b"." => client
                    .attributes(inode(parent))
                    .await
                    .map(|known| client.remember(&known.attributes, None)),
                b".." => client
                    .lookup_parent(inode(parent))
                    .await
                    .map(|known| client.remember(&known.attributes, None)),
                name => client.lookup(inode(parent), name).await,
            }
        });
    }

    fn forget(&self, _request: &Request, number: INodeNo, lookups: u64) {
        self.unasked.pages.forget(number);
        self.client.forget(inode(number), lookups);
    }

    fn getattr(&self, request: &Request, number: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.client.try_attributes(inode(number)) {
            Some(known) => reply.attr(&known.valid_for, &to_kernel(&known.attributes)),
            None => {
                let client = self.client.clone();
                self.attr(request, reply, async move { client.attributes(inode(number)).await });
            }
        }
    }

    fn setattr(
        &self,
        request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (client, id, handle) = (self.client.clone(), inode(number), handle.map(handle_of));
        let changes = AttributeChanges {
            mode: mode.map(|mode| (mode & 0o7777) as u16),
            uid,
            gid,
            accessed: accessed.map(set_time),
            modified: modified.map(set_time),
            clear_privileges: false,
        };
        // Only setgid has a rule that needs the caller's groups.
        let caller = match mode {
            Some(mode) if mode & libc::S_ISGID != 0 => {
                with_groups(request.uid(), request.gid(), request.pid())
            }
            _ => Caller { uid: request.uid(), gid: request.gid(), groups: Vec::new() },
        };
        let privileged = request.uid() == 0;
        self.attr(request, reply, async move {
            let mut known = None;
            if let Some(length) = size {
                known = Some(client.set_length(id, handle, length, !privileged).await?);
            }
            match known {
                Some(known) if changes == AttributeChanges::default() => Ok(known),
                _ => client.set_attributes(id, changes, caller).await,
            }
        });
    }

    fn readlink(&self, request: &Request, number: INodeNo, reply: ReplyData) {
        let client = self.client.clone();
        let operation = async move { client.read_link(inode(number)).await };
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(target) => reply.data(&target),
            Err(status) => reply.error(errno(status)),
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let Some(kind) = kind_of_mode(mode) else { return reply.error(Errno::EINVAL) };
        let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
        let mut spec = node(request, kind, permission_bits(mode, umask));
        spec.device = if is_device { device } else { 0 };
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.entry(request, reply, async move { client.make(inode(parent), &name, spec).await });
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let spec = node(request, FileKind::Directory, permission_bits(mode, umask));
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.entry(request, reply, async move { client.make(inode(parent), &name, spec).await });
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let mut spec = node(request, FileKind::Symlink, 0o777);
        spec.target = target.as_os_str().as_bytes().to_vec();
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.entry(request, reply, async move { client.make(inode(parent), &name, spec).await });
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.empty(request, reply, async move { client.unlink(inode(parent), &name).await });
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.empty(request, reply, async move { client.remove_directory(inode(parent), &name).await });
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mode = match flags {
            f if f.is_empty() => RenameMode::Replace,
            RenameFlags::RENAME_NOREPLACE => RenameMode::NoReplace,
            RenameFlags::RENAME_EXCHANGE => RenameMode::Exchange,
            _ => return reply.error(Errno::EINVAL),
        };
        let client = self.client.clone();
        let (from, to) = (name.as_bytes().to_vec(), new_name.as_bytes().to_vec());
        self.empty(request, reply, async move {
            client.rename(inode(parent), &from, inode(new_parent), &to, mode).await
        });
    }

    fn link(&self, request: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.entry(request, reply, async move { client.link(inode(number), inode(parent), &name).await });
    }

    fn open(&self, request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let client = self.client.clone();
        let operation = async move { client.open(inode(number), open_flags(flags.0)).await };
        let (unasked, opener) = (Arc::clone(&self.unasked), opener(request, flags.0));
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(opened) => {
                if opened.changed {
                    // Else the kernel reads up to the length that it was told last.
                    unasked.forget_attributes(number);
                }
                let handle = to_kernel_handle(opened.handle, flags.0, opener);
                reply.opened(handle, fopen_flags(flags.0, opened.keep_cache));
            }
            Err(status) => reply.error(errno(status)),
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let spec = node(request, FileKind::File, permission_bits(mode, umask));
        let (client, name, opener) = (self.client.clone(), name.as_bytes().to_vec(), opener(request, flags));
        let exclusive = flags & libc::O_EXCL != 0;
        let operation =
            async move { client.create(inode(parent), &name, spec, exclusive, open_flags(flags)).await };
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(created) => {
                let attributes = &created.known.attributes;
                reply.created(
                    &created.known.valid_for,
                    &to_kernel(attributes),
                    Generation(u64::from(attributes.inode.generation.0)),
                    to_kernel_handle(created.opened.handle, flags, opener),
                    fopen_flags(flags, created.opened.keep_cache),
                );
            }
            Err(status) => reply.error(errno(status)),
        });
    }

    fn read(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        // It may be for a page of a mapping, whatever the handle is.
        self.unasked.pages.may_be_kept(number, offset, u64::from(size));
        let (known, handle) = (handle, handle_of(handle));
        if let Some(outcome) = self.client.try_read(handle, offset, size) {
            return answer_data(outcome, reply);
        }
        let (client, dispatch) = (self.client.clone(), self.dispatch.clone());
        let operation = async move { client.read(handle, offset, size).await };
        self.dispatch.run(asker(request, known, flags), operation, move |outcome| match outcome {
            Ok(data) if data.len() >= LONG_ANSWER_BYTES => dispatch.answer(move || reply.data(&data)),
            outcome => answer_data(outcome, reply),
        });
    }

    fn write(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = data.len() as u32;
        let (unasked, dispatch) = (Arc::clone(&self.unasked), self.dispatch.clone());
        let of_mapping = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        if of_mapping || !passes_cache(handle) {
            unasked.pages.may_be_kept(number, offset, u64::from(written));
        }
        let (known, handle) = (handle, handle_of(handle));
        // The flags of now: fcntl(2) may have changed them since the open.
        let append = flags.0 & libc::O_APPEND != 0;
        let answer = move |outcome: Result<u64, Status>| match outcome {
            Ok(at) => {
                reply.written(written);
                if append {
                    unasked.appended(&dispatch, number, at.min(offset));
                }
            }
            Err(status) => reply.error(errno(status)),
        };
        let sync = wants_sync(flags.0);
        let kill = drops_privileges(write_flags, || {
            self.client.try_attributes(inode(number)).map(|known| known.attributes.mode)
        });
        let tried = if kill {
            None
        } else if append {
            self.client.try_append(handle, data)
        } else {
            self.client.try_write(handle, offset, data).map(|done| done.map(|()| offset))
        };
        let tried = match tried {
            Some(outcome) if !sync || outcome.is_err() => return answer(outcome),
            tried => tried,
        };
        let (asker, dispatch) = (asker(request, known, flags), self.dispatch.clone());
        let syncing = self.client.clone();
        let taken = move |outcome: Result<u64, Status>| match outcome {
            Ok(at) if sync => {
                let operation = async move { syncing.fsync(handle).await.map(|()| at) };
                dispatch.run(asker.committed(), operation, answer);
            }
            outcome => answer(outcome),
        };
        if let Some(outcome) = tried {
            return taken(outcome);
        }
        let (client, data) = (self.client.clone(), data.to_vec());
        let (uid, gid, pid) = (request.uid(), request.gid(), request.pid());
        let operation = async move {
            if kill {
                // The kernel leaves it to us here.
                let now = client.attributes(inode(number)).await?.attributes;
                let bare =
                    without_privileges(now.mode, || with_groups(uid, gid, pid).is_member_of(now.owner.gid));
                if bare != now.mode {
                    let changes = AttributeChanges { mode: Some(bare), ..AttributeChanges::default() };
                    client.set_attributes(inode(number), changes, Caller::default()).await?;
                }
            }
            if append {
                return client.append(handle, &data).await;
            }
            let written = if of_mapping {
                client.write_pages(handle, offset, &data).await
            } else {
                client.write(handle, offset, &data).await
            };
            written.map(|()| offset)
        };
        self.dispatch.run(asker, operation, taken);
    }

    fn flush(
        &self,
        request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let client = self.client.clone();
        self.empty(request, reply, async move { client.flush(handle_of(handle)).await });
    }

    fn release(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.client.release(handle_of(handle));
        reply.ok();
    }

    fn fsync(
        &self,
        request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let client = self.client.clone();
        self.empty(request, reply, async move { client.fsync(handle_of(handle)).await });
    }

    fn readdir(
        &self,
        request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        let operation = listing::read_page(self.client.clone(), inode(number), offset);
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(page) => listing::answer(page, reply),
            Err(status) => reply.error(errno(status)),
        });
    }

    fn readdirplus(
        &self,
        request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        let (client, dir) = (self.client.clone(), inode(number));
        let operation = listing::read_page(self.client.clone(), inode(number), offset);
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(page) => listing::answer_plus(page, &client, dir, reply),
            Err(status) => reply.error(errno(status)),
        });
    }

    fn fsyncdir(
        &self,
        request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let client = self.client.clone();
        self.empty(request, reply, async move { client.fsync_directory(inode(number)).await });
    }

    fn statfs(&self, request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        let client = self.client.clone();
        let operation = async move { client.stat_fs().await };
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(stat) => {
                let block = u64::from(STATFS_BLOCK_BYTES);
                let free = stat.free_bytes / block;
                // Inodes are limited by the master's memory only: there are always as many free again.
                let inodes_free = u64::from(u32::MAX);
                reply.statfs(
                    stat.total_bytes / block,
                    free,
                    free,
                    stat.inodes + inodes_free,
                    inodes_free,
                    STATFS_BLOCK_BYTES,
                    types::NAME_BYTES_MAX as u32,
                    STATFS_BLOCK_BYTES,
                );
            }
            Err(status) => reply.error(errno(status)),
        });
    }

    fn setxattr(
        &self,
        request: &Request,
        number: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        if name == "security.capability" {
            // They would have to go with the first write of anybody unprivileged.
            return reply.error(errno(Status::Unsupported));
        }
        let mode = match flags {
            0 => XattrMode::Set,
            libc::XATTR_CREATE => XattrMode::Create,
            libc::XATTR_REPLACE => XattrMode::Replace,
            _ => return reply.error(Errno::EINVAL),
        };
        let (client, name, value) = (self.client.clone(), name.as_bytes().to_vec(), value.to_vec());
        self.empty(request, reply, async move { client.set_xattr(inode(number), &name, &value, mode).await });
    }

    fn getxattr(&self, request: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if name == "security.capability" {
            // Asked before each write. File capabilities are not kept, see `setxattr`.
            return reply.error(errno(Status::NoAttribute));
        }
        if name.as_bytes().starts_with(b"system.") {
            // `ls -l` asks for the access list of each file, until it is told that there are none.
            return reply.error(errno(Status::Unsupported));
        }
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        let operation = async move { client.get_xattr(inode(number), &name).await };
        self.dispatch.run(request.pid(), operation, move |outcome| answer_sized(outcome, size, reply));
    }

    fn listxattr(&self, request: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let client = self.client.clone();
        let (uid, pid) = (request.uid(), request.pid());
        let operation = async move {
            let mut names = client.list_xattrs(inode(number)).await?;
            // What others can do to these the kernel decides itself, but not who learns of them.
            let is_trusted = |name: &Vec<u8>| name.starts_with(b"trusted.");
            if names.iter().any(is_trusted) && !is_administrator(uid, pid) {
                names.retain(|name| !is_trusted(name));
            }
            Ok(names.iter().flat_map(|name| name.iter().copied().chain([0])).collect::<Vec<u8>>())
        };
        self.dispatch.run(request.pid(), operation, move |outcome| answer_sized(outcome, size, reply));
    }

    fn removexattr(&self, request: &Request, number: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (client, name) = (self.client.clone(), name.as_bytes().to_vec());
        self.empty(request, reply, async move { client.remove_xattr(inode(number), &name).await });
    }

    fn fallocate(
        &self,
        request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
        let mode = match mode {
            0 => AllocateMode::Extend,
            KEEP => AllocateMode::KeepSize,
            m if m == KEEP | libc::FALLOC_FL_PUNCH_HOLE => AllocateMode::PunchHole,
            libc::FALLOC_FL_ZERO_RANGE => AllocateMode::ZeroRange { keep_size: false },
            m if m == KEEP | libc::FALLOC_FL_ZERO_RANGE => AllocateMode::ZeroRange { keep_size: true },
            _ => return reply.error(errno(Status::Unsupported)),
        };
        let client = self.client.clone();
        self.empty(
            request,
            reply,
            async move { client.allocate(handle_of(handle), mode, offset, length).await },
        );
    }

    fn lseek(
        &self,
        request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let what = match whence {
            libc::SEEK_DATA => SeekWhat::Data,
            libc::SEEK_HOLE => SeekWhat::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else { return reply.error(Errno::from_i32(libc::ENXIO)) };
        let client = self.client.clone();
        let operation = async move { client.seek(handle_of(handle), offset, what).await };
        self.dispatch.run(request.pid(), operation, move |outcome| match outcome {
            Ok(Some(place)) => reply.offset(place.cast_signed()),
            Ok(None) => reply.error(Errno::from_i32(libc::ENXIO)),
            Err(status) => reply.error(errno(status)),
        });
    }
}

fn answer_data(outcome: Result<bytes::Bytes, Status>, reply: ReplyData) {
    match outcome {
        Ok(data) => reply.data(&data),
        Err(status) => reply.error(errno(status)),
    }
}

fn answer_sized(outcome: Result<Vec<u8>, Status>, size: u32, reply: ReplyXattr) {
    match outcome {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::from_i32(libc::ERANGE)),
        Ok(value) => reply.data(&value),
        Err(status) => reply.error(errno(status)),
    }
}
