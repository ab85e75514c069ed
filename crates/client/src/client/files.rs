//! Open files: open, read, write, flush, fsync, fallocate, lseek.

use super::Client;
use crate::inodes::{Inode, wall};
use crate::losses::Call;
use crate::read;
use crate::shared::Open;
use crate::write::buffer::{ToDo, WINDOW_BYTES};
use crate::write::{append, engine, late};
use crate::{AllocateMode, FileHandle, OpenFlags, Opened, SeekWhat};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use types::{
    AttributeChanges, CHUNK_BYTES, Caller, ChunkIndex, FILE_BYTES_MAX, FileKind, InodeId, Reply, Request,
    SetTime, Status,
};

/// Chunks that lseek asks about at once.
const SEEK_COUNT: u32 = 512;
/// Tries to extend a file that others truncate.
const EXTEND_TRIES_MAX: u32 = 8;

/// How long pages of a mapping wait for room before they are taken beyond the bound.
const PAGES_WAIT: Duration = Duration::from_secs(1);

/// Where bytes go.
#[derive(Clone, Copy)]
enum Place {
    At(u64),
    End,
}

impl Client {
    /// Opens a file.
    pub async fn open(&self, inode: InodeId, flags: OpenFlags) -> Result<Opened, Status> {
        let inode = self.shared.inode(inode).await?;
        let opening = inode.opening.read().await;
        let reads = flags.read && !flags.truncate;
        let (known, asked) = self.for_open(&inode, reads).await?;
        match known.attributes.kind {
            FileKind::File => {}
            FileKind::Directory => return Err(Status::IsDirectory),
            _ => return Err(Status::Invalid),
        }
        let handle = self.shared.new_handle(&inode, flags);
        drop(opening);
        if flags.truncate && known.attributes.length > 0 {
            self.set_length(inode.reference.id, None, 0, false).await?;
        }
        let keep_cache = self.keep_cache(&inode);
        Ok(Opened { handle: handle.keep(), keep_cache, changed: asked && !keep_cache })
    }

    /// Whether pages that the kernel cached at an earlier open are still right.
    pub(super) fn keep_cache(&self, inode: &Inode) -> bool {
        let mut state = inode.state();
        let now = state.cached.map(|cached| cached.attributes.change_counter);
        let keep = now.is_some() && state.pages_at == now;
        if !keep {
            let told = state.cached.and_then(|cached| cached.at);
            state.locations.forget_before(told);
            self.shared.cache.changed(inode.reference.id, 0, u64::MAX);
        }
        state.pages_at = now;
        keep
    }

    /// Reads; fewer bytes than asked for only at the end of the file, or beyond 16 MiB. One contiguous
    /// piece of memory.
    pub async fn read(&self, handle: FileHandle, offset: u64, length: u32) -> Result<Bytes, Status> {
        let open = self.shared.handle(handle)?;
        if !open.flags.read {
            return Err(Status::Invalid);
        }
        read::read(&self.shared, &open, offset, length).await
    }

    /// Reads if everything is in memory.
    pub fn try_read(&self, handle: FileHandle, offset: u64, length: u32) -> Option<Result<Bytes, Status>> {
        match self.shared.handle(handle) {
            Ok(open) if open.flags.read => read::try_read(&self.shared, &open, offset, length).map(Ok),
            Ok(_) => Some(Err(Status::Invalid)),
            Err(status) => Some(Err(status)),
        }
    }

    /// Writes all of `data` at `offset` into the buffer. A write that is given up half way has written a beginning
    /// of `data`.
    pub async fn write(&self, handle: FileHandle, offset: u64, data: &[u8]) -> Result<(), Status> {
        let open = self.writable(handle)?;
        check_range(offset, data.len())?;
        let _shared = open.inode.gate.read().await;
        let mut at = offset;
        for piece in data.chunks(WINDOW_BYTES as usize) {
            self.wait_for_room(&open, piece.len() as u64).await?;
            self.put(&open, Place::At(at), piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Writes pages of a mapping, up to a window of them, which the kernel wants to be rid of. Until they are taken no process that has
    /// the file mapped or open can end, and no signal reaches one that tries; so they wait for room for a moment only, as others do,
    /// and then go beyond the bound. Only a cluster that stores nothing lets it come to that. There is a bound for them as well,
    /// where they wait for as long as others.
    pub async fn write_pages(&self, handle: FileHandle, offset: u64, data: &[u8]) -> Result<(), Status> {
        let open = self.writable(handle)?;
        check_range(offset, data.len())?;
        let _shared = open.inode.gate.read().await;
        let bytes = data.len() as u64;
        loop {
            match tokio::time::timeout(PAGES_WAIT, self.wait_for_room(&open, bytes)).await {
                Ok(room) => break room?,
                Err(_) if self.shared.budget.exceed(bytes) => break,
                Err(_) => {}
            }
        }
        self.put(&open, Place::At(offset), data).map(drop)
    }

    /// Writes all of `data` at the end of the file, behind what every other mount has appended, and says where it
    /// begins. One that is given up half way has appended a beginning of `data`.
    pub async fn append(&self, handle: FileHandle, data: &[u8]) -> Result<u64, Status> {
        let open = self.writable(handle)?;
        let _inside = append::enter(&self.shared, &open.inode).await?;
        let _shared = open.inode.gate.read().await;
        let mut first = None;
        for piece in data.chunks(WINDOW_BYTES as usize) {
            self.wait_for_room(&open, piece.len() as u64).await?;
            let at = self.put(&open, Place::End, piece)?;
            first.get_or_insert(at);
        }
        Ok(first.unwrap_or_else(|| open.inode.state().length()))
    }

    /// Writes if there is room in the buffer and nobody has to be asked.
    pub fn try_write(&self, handle: FileHandle, offset: u64, data: &[u8]) -> Option<Result<(), Status>> {
        Some(self.try_put(handle, Place::At(offset), data)?.map(|_| ()))
    }

    /// Appends if there is room in the buffer and the right to append is here. See [`Client::append`].
    pub fn try_append(&self, handle: FileHandle, data: &[u8]) -> Option<Result<u64, Status>> {
        self.try_put(handle, Place::End, data)
    }

    fn try_put(&self, handle: FileHandle, place: Place, data: &[u8]) -> Option<Result<u64, Status>> {
        let open = match self.writable(handle) {
            Ok(open) => open,
            Err(status) => return Some(Err(status)),
        };
        let _shared = open.inode.gate.try_read().ok()?;
        let bytes = data.len() as u64;
        if !has_room(&open.inode, bytes, self.shared.budget.limit_per_file()) {
            return None;
        }
        let _inside = match place {
            Place::End => Some(append::try_enter(&open.inode, self.shared.now())?),
            Place::At(_) => None,
        };
        self.shared.budget.try_take(bytes).then(|| self.put(&open, place, data))
    }

    fn writable(&self, handle: FileHandle) -> Result<Arc<Open>, Status> {
        self.shared
            .handle(handle)
            .and_then(|open| if open.flags.write { Ok(open) } else { Err(Status::Invalid) })
    }

    /// Waits for room in the file's share and in the whole, and takes it.
    async fn wait_for_room(&self, open: &Open, bytes: u64) -> Result<(), Status> {
        let inode = &open.inode;
        loop {
            let progress = inode.progress.next();
            if has_room(inode, bytes, self.shared.budget.limit_per_file()) {
                break;
            }
            {
                let mut state = inode.state();
                open.report(&mut state, Call::Write)?;
                self.shared.writer(&mut state).want_flush();
                engine::wake(&self.shared, inode, &mut state);
            }
            progress.await;
        }
        self.shared.budget.take(bytes).await;
        Ok(())
    }

    /// Puts bytes, for which room was taken, into the file's buffer, and says where.
    fn put(&self, open: &Open, place: Place, data: &[u8]) -> Result<u64, Status> {
        let shared = &self.shared;
        let mut state = open.inode.state();
        let at = match place {
            Place::At(offset) => Ok(offset),
            Place::End if state.appends.is_held() => Ok(state.length()),
            // The session went, and the lock with it, while the append waited for room.
            Place::End => Err(Status::Io),
        };
        let reported = open
            .report(&mut state, Call::Write)
            .and(at)
            .and_then(|at| check_range(at, data.len()).map(|()| at));
        let at = reported.inspect_err(|_| shared.budget.give(data.len() as u64))?;
        let pipeline = shared.writer(&mut state);
        let before = pipeline.buffer().bytes();
        let to_do = pipeline.write(at, data, shared.now(), wall(&shared.env));
        let grown = pipeline.buffer().bytes() - before;
        shared.budget.give(data.len() as u64 - grown);
        engine::apply_effects(shared, &open.inode, &mut state);
        match to_do {
            ToDo::Nothing => {}
            ToDo::Later => late::wake(shared, &open.inode),
            ToDo::Now => engine::wake(shared, &open.inode, &mut state),
        }
        Ok(at)
    }

    /// close(2): every replica has the data, and the master knows length, time and chunks. Nothing is to be done
    /// for a handle that cannot write, and it is told of no loss: nobody looks at a reader's close.
    pub async fn flush(&self, handle: FileHandle) -> Result<(), Status> {
        let open = self.shared.handle(handle)?;
        if !open.flags.write {
            return Ok(());
        }
        let settled = self.shared.settle(&open.inode, Some(&open)).await;
        append::hurry(&open.inode);
        settled
    }

    /// fsync(2) and fdatasync(2).
    pub async fn fsync(&self, handle: FileHandle) -> Result<(), Status> {
        let open = self.shared.handle(handle)?;
        self.shared.sync(&open.inode, Some(&open)).await
    }

    /// The last reference to a handle is gone. Never fails; what was written goes on in the background.
    pub fn release(&self, handle: FileHandle) {
        self.shared.remove_handle(handle);
    }

    /// fallocate(2).
    pub async fn allocate(
        &self,
        handle: FileHandle,
        mode: AllocateMode,
        offset: u64,
        length: u64,
    ) -> Result<(), Status> {
        let open = self.shared.handle(handle)?;
        let end =
            offset.checked_add(length).filter(|end| *end <= FILE_BYTES_MAX).ok_or(Status::FileTooBig)?;
        if length == 0 || !open.flags.write {
            return Err(Status::Invalid);
        }
        match mode {
            AllocateMode::KeepSize => self.touch(&open.inode).await,
            AllocateMode::Extend => {
                let grows = open.inode.state().length() < end;
                if grows {
                    self.extend(&open.inode, end).await?;
                }
                // A commit of earlier writes would set their time again.
                let is_told = grows && !open.inode.state().is_dirty();
                if is_told { Ok(()) } else { self.touch(&open.inode).await }
            }
            AllocateMode::PunchHole | AllocateMode::ZeroRange { keep_size: true } => {
                self.punch(&open.inode, offset, length).await
            }
            AllocateMode::ZeroRange { keep_size: false } => {
                self.punch(&open.inode, offset, length).await?;
                self.extend(&open.inode, end).await
            }
        }
    }

    /// The file counts as written, although no byte of it is.
    async fn touch(&self, inode: &Inode) -> Result<(), Status> {
        let modified = Some(SetTime::At(wall(&self.shared.env)));
        let changes = AttributeChanges { modified, ..AttributeChanges::default() };
        self.set_attributes(inode.reference.id, changes, Caller::default()).await.map(drop)
    }

    async fn punch(&self, inode: &Arc<Inode>, offset: u64, length: u64) -> Result<(), Status> {
        let request = Request::Punch { inode: inode.reference, offset, length };
        let gone = move |index: ChunkIndex| {
            let start = u64::from(index.0) * CHUNK_BYTES;
            offset <= start && start + CHUNK_BYTES <= offset + length
        };
        self.edit(Arc::clone(inode), request, gone).await.map(|_| ())
    }

    /// Makes the file at least so long, without cutting what others append meanwhile.
    async fn extend(&self, inode: &Arc<Inode>, length: u64) -> Result<(), Status> {
        let mut known = self.fresh(inode).await?;
        for _ in 0..EXTEND_TRIES_MAX {
            if inode.state().length() >= length {
                return Ok(());
            }
            let request = Request::Commit {
                inode: inode.reference,
                truncate_generation: known.attributes.truncate_generation,
                length,
                modified: Some(wall(&self.shared.env)),
                accessed: None,
                chunks: Vec::new(),
                clear_privileges: false,
                durable: false,
            };
            known = self.shared.told(inode, request).await?;
        }
        if inode.state().length() >= length { Ok(()) } else { Err(Status::TryAgain) }
    }

    /// lseek(2) with SEEK_DATA or SEEK_HOLE; `None`: nothing there (ENXIO).
    pub async fn seek(&self, handle: FileHandle, offset: u64, what: SeekWhat) -> Result<Option<u64>, Status> {
        let open = self.shared.handle(handle)?;
        let inode = &open.inode;
        // Unsent writes are no part of the map yet. Their errors are reported elsewhere.
        let _ = self.shared.settle(inode, None).await;
        let length = self.fresh(inode).await?.attributes.length;
        if offset >= length {
            return Ok(None);
        }
        let last = chunk_index(length - 1);
        let mut first = chunk_index(offset);
        loop {
            let count = SEEK_COUNT.min((last - first).saturating_add(1));
            let request = Request::Locate { inode: inode.reference, first: ChunkIndex(first), count };
            let Reply::Locations(found) = self.shared.session.call(request).await? else {
                return Err(Status::BadMessage);
            };
            for index in first..first + count {
                let data = found.iter().any(|location| location.index.0 == index);
                if data == (what == SeekWhat::Data) {
                    return Ok(Some(offset.max(u64::from(index) * CHUNK_BYTES)));
                }
            }
            if last - first < count {
                return Ok((what == SeekWhat::Hole).then_some(length));
            }
            first += count;
        }
    }
}

fn chunk_index(offset: u64) -> u32 {
    u32::try_from(offset / CHUNK_BYTES).unwrap_or(u32::MAX)
}

fn check_range(offset: u64, length: usize) -> Result<(), Status> {
    let end = offset.checked_add(length as u64).filter(|end| *end <= FILE_BYTES_MAX);
    end.map(|_| ()).ok_or(Status::FileTooBig)
}

fn has_room(inode: &Inode, bytes: u64, limit: u64) -> bool {
    let state = inode.state();
    let held = state.writer.as_ref().map_or(0, |writer| writer.pipeline.buffer().bytes());
    held == 0 || held + bytes <= limit
}
