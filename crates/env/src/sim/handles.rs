//! Directories and files of a simulated disk, as a process holds them.

use super::content::Change;
use super::disk::{Inode, PAGE_BYTES, SimDisk, State};
use super::faults::{Effort, Stray, Verdict, failure};
use super::names::{NameChange, Node};
use crate::path::{components, parent_and_name};
use crate::{Dir, DirEntry, EntryKind, File, Identity, OpenMode, Space};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

/// Longest file; keeps the sums of offsets and lengths within 64 bits.
const FILE_BYTES_MAX: u64 = 1 << 50;

/// The disk as one process sees it.
pub(super) struct SimDir {
    pub(super) disk: SimDisk,
    pub(super) epoch: u64,
}

fn live(disk: &SimDisk, epoch: u64) -> io::Result<MutexGuard<'_, State>> {
    let state = disk.lock();
    if state.epoch != epoch {
        return Err(io::Error::other(format!("{}: the process that opened this is gone", state.label)));
    }
    Ok(state)
}

impl SimDir {
    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        live(&self.disk, self.epoch)
    }
}

/// Removes one name, and all below it first.
fn remove_below(state: &mut State, directory: u64, name: &str, path: &str) -> io::Result<()> {
    let node = state.names.live.get(directory, name).ok_or(io::ErrorKind::NotFound)?;
    if let Node::Directory(below) = node {
        let names: Vec<String> = state.names.live.list(below).map(|(name, _)| name.to_owned()).collect();
        for name in names {
            remove_below(state, below, &name, path)?;
        }
    }
    state.effort(Effort::Write, path)?;
    state.names.change(NameChange(vec![((directory, name.to_owned()), None)]));
    if let Node::File(number) = node {
        state.inode(number)?.named = false;
        state.settle(number);
    }
    Ok(())
}

impl Dir for SimDir {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let (parents, name) = parent_and_name(path)?;
        let mut state = self.live()?;
        let directory = state.directory(&parents)?;
        let number = match (state.names.live.get(directory, name), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::Directory(_)), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(number)), _) => number,
            (None, OpenMode::Read | OpenMode::ReadWrite) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                state.effort(Effort::Write, path)?;
                let number = state.new_node();
                state.files.insert(number, Inode { named: true, ..Inode::default() });
                let key = (directory, name.to_owned());
                state.names.change(NameChange(vec![(key, Some(Node::File(number)))]));
                number
            }
        };
        let inode = state.inode(number)?;
        inode.handles += 1;
        path.clone_into(&mut inode.path);
        let told = AtomicU64::new(inode.losses);
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(SimFile { disk: self.disk.clone(), epoch: self.epoch, number, writable, told }))
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        let mut state = self.live()?;
        let mut at = super::names::ROOT;
        for part in components(path)? {
            at = match state.names.live.get(at, part) {
                Some(Node::Directory(below)) => below,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    state.effort(Effort::Write, path)?;
                    let number = state.new_node();
                    let key = (at, part.to_owned());
                    state.names.change(NameChange(vec![(key, Some(Node::Directory(number)))]));
                    number
                }
            };
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let mut state = self.live()?;
        let directory = state.directory(&components(path)?)?;
        state.effort(Effort::Read, path)?;
        let entry = |(name, node): (&str, Node)| DirEntry {
            name: name.to_owned(),
            kind: match node {
                Node::File(_) => EntryKind::File,
                Node::Directory(_) => EntryKind::Directory,
            },
        };
        Ok(state.names.live.list(directory).map(entry).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_parents, from_name), (to_parents, to_name)) =
            (parent_and_name(from)?, parent_and_name(to)?);
        let mut state = self.live()?;
        let (from_dir, to_dir) = (state.directory(&from_parents)?, state.directory(&to_parents)?);
        let node = state.names.live.get(from_dir, from_name).ok_or(io::ErrorKind::NotFound)?;
        let replaced = state.names.live.get(to_dir, to_name);
        match (node, replaced) {
            (Node::File(_), Some(Node::Directory(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Directory(_), Some(Node::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (Node::Directory(_), Some(Node::Directory(below)))
                if state.names.live.list(below).next().is_some() =>
            {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        state.effort(Effort::Write, from)?;
        if replaced == Some(node) {
            return Ok(());
        }
        state.names.change(NameChange(vec![
            ((from_dir, from_name.to_owned()), None),
            ((to_dir, to_name.to_owned()), Some(node)),
        ]));
        if let Some(Node::File(number)) = replaced {
            state.inode(number)?.named = false;
            state.settle(number);
        }
        if let Node::File(number) = node {
            to.clone_into(&mut state.inode(number)?.path);
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (parents, name) = parent_and_name(path)?;
        let mut state = self.live()?;
        let directory = state.directory(&parents)?;
        if let Some(Node::Directory(_)) = state.names.live.get(directory, name) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        remove_below(&mut state, directory, name, path)
    }

    fn remove_dir_all(&self, path: &str) -> io::Result<()> {
        let (parents, name) = parent_and_name(path)?;
        let mut state = self.live()?;
        let directory = state.directory(&parents)?;
        if let Some(Node::File(_)) = state.names.live.get(directory, name) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        remove_below(&mut state, directory, name, path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.live()?;
        let directory = state.directory(&components(path)?)?;
        state.effort(Effort::Sync, path)?;
        state.names.sync(directory);
        Ok(())
    }

    /// A file that cannot be written is no error here, as in kernels before 5.8: it tells itself.
    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.live()?;
        let numbers: Vec<u64> =
            state.files.iter().filter(|(_, inode)| inode.content.is_unsynced()).map(|(n, _)| *n).collect();
        for number in numbers {
            let path = state.inode(number)?.path.clone();
            let verdict = state.judge(Effort::Sync, &path);
            let inode = state.inode(number)?;
            match verdict {
                Verdict::Done => inode.content.sync(),
                Verdict::Fails => inode.lose_unsynced(),
                Verdict::Stops | Verdict::Stopped => {
                    return Err(failure(Effort::Sync, &path, &state.label));
                }
            }
        }
        state.effort(Effort::Sync, "")?;
        state.names.sync_all();
        Ok(())
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let (parents, name) = parent_and_name(path)?;
        let state = self.live()?;
        match state.directory(&parents) {
            Ok(directory) => Ok(state.names.live.get(directory, name).is_some()),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
                _ => Err(error),
            },
        }
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.live()?;
        let used = state.used_pages * PAGE_BYTES;
        Ok(Space { total_bytes: state.capacity_bytes, free_bytes: state.capacity_bytes.saturating_sub(used) })
    }

    fn identity(&self) -> io::Result<Identity> {
        let state = self.live()?;
        Ok(Identity { filesystem: state.filesystem().to_owned(), boot: state.boot() })
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn Send + Sync>> {
        parent_and_name(path)?;
        let mut state = self.live()?;
        if !state.locks.insert(path.to_owned()) {
            let message = format!("{} is in use by another process", state.label);
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        Ok(Box::new(SimLock { disk: self.disk.clone(), epoch: self.epoch, path: path.to_owned() }))
    }

    fn real_path(&self) -> Option<std::path::PathBuf> {
        None
    }
}

struct SimLock {
    disk: SimDisk,
    epoch: u64,
    path: String,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Ok(mut state) = live(&self.disk, self.epoch) {
            state.locks.remove(&self.path);
        }
    }
}

/// An open file.
struct SimFile {
    disk: SimDisk,
    epoch: u64,
    number: u64,
    writable: bool,
    /// The losses of the file that were told to this handle.
    told: AtomicU64,
}

impl SimFile {
    /// Runs `work` after the operation was counted; the path is the one the file has now.
    fn with<T>(&self, effort: Effort, work: impl FnOnce(&mut Inode) -> io::Result<T>) -> io::Result<T> {
        let mut state = live(&self.disk, self.epoch)?;
        let path = state.inode(self.number)?.path.clone();
        state.effort(effort, &path)?;
        work(state.inode(self.number)?)
    }

    /// Tells once that something was lost since the file was opened.
    fn tell_loss(&self, inode: &Inode) -> io::Result<()> {
        if self.told.swap(inode.losses, Ordering::Relaxed) == inode.losses {
            return Ok(());
        }
        Err(io::Error::other(format!("simulated loss of what was written to {:?}", inode.path)))
    }

    /// Applies a change if it fits.
    fn change(&self, change: Change, end: u64) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if end > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut state = live(&self.disk, self.epoch)?;
        let path = state.inode(self.number)?.path.clone();
        let (change, outcome) = match (state.judge(Effort::Write, &path), change) {
            (Verdict::Done, Change::Write { offset, data }) => {
                let offset = match state.stray(&path) {
                    None => offset,
                    Some(Stray::Lost) => return Ok(()),
                    Some(Stray::Misdirected(by)) => misdirected(offset, data.len(), by),
                };
                (Change::Write { offset, data }, Ok(()))
            }
            (Verdict::Done, change) => (change, Ok(())),
            (Verdict::Stops, Change::Write { offset, mut data }) => {
                data.truncate(state.torn_length(data.len()));
                (Change::Write { offset, data }, Err(failure(Effort::Write, &path, &state.label)))
            }
            (Verdict::Fails | Verdict::Stops | Verdict::Stopped, _) => {
                return Err(failure(Effort::Write, &path, &state.label));
            }
        };
        if state.inode(self.number)?.content.is_hindered(&change) {
            return Err(failure(Effort::Write, &path, &state.label));
        }
        let before = state.inode(self.number)?.content.live.page_count();
        let written = match &change {
            Change::Write { offset, data } if state.copies_on_write => {
                (offset + data.len() as u64).div_ceil(PAGE_BYTES) - offset / PAGE_BYTES
            }
            _ => 0,
        };
        let missing = match &change {
            Change::Write { offset, data } => {
                state.inode(self.number)?.content.live.pages_missing(*offset, data.len() as u64)
            }
            Change::Allocate { offset, length } => {
                state.inode(self.number)?.content.live.pages_missing(*offset, *length)
            }
            Change::SetLength { .. } | Change::Punch { .. } => 0,
        };
        state.reserve(missing.max(written))?;
        state.replaced_pages += written.saturating_sub(missing);
        let content = &mut state.inode(self.number)?.content;
        content.change(change);
        let after = content.live.page_count();
        state.used_pages = (state.used_pages + after).saturating_sub(before);
        outcome
    }
}

/// Where a write lands that is meant for another place; where it belongs if there is no such place.
fn misdirected(offset: u64, length: usize, by: i64) -> u64 {
    let there = offset.checked_add_signed(by);
    there.filter(|there| there.saturating_add(length as u64) <= FILE_BYTES_MAX).unwrap_or(offset)
}

fn end_of(offset: u64, length: u64) -> io::Result<u64> {
    offset.checked_add(length).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(Effort::Read, |inode| match inode.content.is_readable(offset, buffer.len() as u64) {
            true => Ok(inode.content.live.read(buffer, offset)),
            false => Err(io::Error::other("simulated unreadable sector")),
        })
    }

    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        if !live(&self.disk, self.epoch)?.resident() {
            return Ok(None);
        }
        self.read_at(buffer, offset).map(Some)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let end = end_of(offset, data.len() as u64)?;
        self.change(Change::Write { offset, data: data.to_vec() }, end)
    }

    fn sync_data(&self) -> io::Result<()> {
        super::workers::count_sync();
        let mut state = live(&self.disk, self.epoch)?;
        let path = state.inode(self.number)?.path.clone();
        let verdict = state.judge(Effort::Sync, &path);
        let inode = state.inode(self.number)?;
        match verdict {
            Verdict::Done => {
                inode.content.sync();
                return self.tell_loss(inode);
            }
            Verdict::Fails => {
                inode.lose_unsynced();
                self.told.store(inode.losses, Ordering::Relaxed);
            }
            Verdict::Stops | Verdict::Stopped => {}
        }
        Err(failure(Effort::Sync, &path, &state.label))
    }

    fn check_written(&self) -> io::Result<()> {
        let mut state = live(&self.disk, self.epoch)?;
        self.tell_loss(state.inode(self.number)?)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let from = self.len()?;
        self.change(Change::SetLength { from, to: length }, length)
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = live(&self.disk, self.epoch)?;
        Ok(state.inode(self.number)?.content.live.length())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        let mut state = live(&self.disk, self.epoch)?;
        Ok(state.inode(self.number)?.content.live.next_data(offset))
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        let mut state = live(&self.disk, self.epoch)?;
        Ok(state.inode(self.number)?.content.live.page_count() * PAGE_BYTES)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        self.change(Change::Allocate { offset, length }, end_of(offset, length)?)
    }

    fn punch_hole(&self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        self.change(Change::Punch { offset, length }, 0)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Ok(mut state) = live(&self.disk, self.epoch)
            && let Ok(inode) = state.inode(self.number)
        {
            inode.handles = inode.handles.saturating_sub(1);
            state.settle(self.number);
        }
    }
}
