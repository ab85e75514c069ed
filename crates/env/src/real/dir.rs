//! A real directory, held open, so that it stays the same one when something is mounted over its path.

use super::{file::RealFile, identity};
use crate::path::{components, parent_and_name};
use crate::{Dir, DirEntry, EntryKind, File, Identity, OpenMode, Space};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE_MODE: Mode = Mode::from_raw_mode(0o640);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o750);
/// Deepest tree that `remove_dir_all` follows; what we make ourselves is far flatter.
const DEPTH_MAX: usize = 64;

/// A directory of the system as the root of relative paths.
pub struct RealDir {
    root: OwnedFd,
    path: PathBuf,
}

impl RealDir {
    /// Opens an existing directory.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Arc<dyn Dir>> {
        let path = path.as_ref();
        let root = rustix::fs::openat(CWD, path, directory_flags(), Mode::empty())
            .map_err(|error| with_path(error, "cannot open the directory", &path.display()))?;
        let path = std::path::absolute(path)?;
        Ok(Arc::new(Self { root, path }))
    }

    /// Makes a directory and those above it, then opens it.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Arc<dyn Dir>> {
        std::fs::create_dir_all(path.as_ref())?;
        Self::open(path)
    }

    fn directory(&self, path: &str) -> io::Result<OwnedFd> {
        components(path)?;
        let path = if path.is_empty() { "." } else { path };
        Ok(rustix::fs::openat(&self.root, path, directory_flags(), Mode::empty())?)
    }
}

/// A lock. A child that is just being started has the file, too, until it runs its program: closing it here would not free it.
struct Locked(std::fs::File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Dir for RealDir {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        parent_and_name(path)?;
        let flags = match mode {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::ReadWrite => OFlags::RDWR,
            OpenMode::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            OpenMode::Create => OFlags::RDWR | OFlags::CREATE,
        };
        let file =
            rustix::fs::openat(&self.root, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, FILE_MODE)?;
        Ok(Arc::new(RealFile { file: file.into() }))
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        let mut so_far = String::with_capacity(path.len());
        for part in components(path)? {
            if !so_far.is_empty() {
                so_far.push('/');
            }
            so_far.push_str(part);
            match rustix::fs::mkdirat(&self.root, &so_far, DIRECTORY_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // A plain file of that name is an error, as a directory that vanished meanwhile is.
        self.directory(path).map(drop)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        list(self.directory(path)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        parent_and_name(from)?;
        parent_and_name(to)?;
        Ok(rustix::fs::renameat(&self.root, from, &self.root, to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        parent_and_name(path)?;
        Ok(rustix::fs::unlinkat(&self.root, path, AtFlags::empty())?)
    }

    fn remove_dir_all(&self, path: &str) -> io::Result<()> {
        parent_and_name(path)?;
        remove_below(&self.directory(path)?, DEPTH_MAX)?;
        Ok(rustix::fs::unlinkat(&self.root, path, AtFlags::REMOVEDIR)?)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.directory(path)?)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        parent_and_name(path)?;
        match rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn check_place(&self) -> io::Result<()> {
        let ours = rustix::fs::fstat(&self.root)?;
        let shown = self.path.display();
        let there = match rustix::fs::stat(&self.path) {
            Ok(there) => there,
            Err(error) => return Err(with_path(error, "the directory is no longer at", &shown)),
        };
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino) {
            let message = format!("another directory is at {shown} than the one that was opened there");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        if rustix::fs::fstatvfs(&self.root)?.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
            return Err(io::Error::new(
                io::ErrorKind::ReadOnlyFilesystem,
                format!("{shown} is mounted read-only"),
            ));
        }
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::fstatvfs(&self.root)?;
        Ok(Space {
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn identity(&self) -> io::Result<Identity> {
        identity::identity(self.root.as_fd())
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn Send + Sync>> {
        parent_and_name(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = std::fs::File::from(rustix::fs::openat(&self.root, path, flags, FILE_MODE)?);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                let mut holder = String::new();
                let _ = file.take(32).read_to_string(&mut holder);
                let holder = match holder.trim().parse::<u32>() {
                    Ok(pid) => format!("the process with pid {pid}"),
                    Err(_) => "another process".to_owned(),
                };
                let message = format!("{} is in use by {holder}", self.path.display());
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            Err(error) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Box::new(Locked(file)))
    }

    fn real_path(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn with_path(error: Errno, what: &str, path: &dyn std::fmt::Display) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("{what} {path}: {error}"))
}

fn list(directory: OwnedFd) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Some filesystems do not tell the kind in a listing.
            FileType::Unknown => match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            },
            kind => kind,
        };
        entries.push(DirEntry {
            // Our own names are plain ASCII; a stranger's name is shown as well as it can be.
            name: name.to_string_lossy().into_owned(),
            kind: match kind {
                FileType::RegularFile => EntryKind::File,
                FileType::Directory => EntryKind::Directory,
                _ => EntryKind::Other,
            },
        });
    }
    Ok(entries)
}

/// Removes everything in a directory, never following a link.
fn remove_below(directory: &OwnedFd, depth: usize) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(|| io::Error::other("the tree is too deep"))?;
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                let below =
                    rustix::fs::openat(directory, name, directory_flags() | OFlags::NOFOLLOW, Mode::empty())?;
                remove_below(&below, depth)?;
                rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
