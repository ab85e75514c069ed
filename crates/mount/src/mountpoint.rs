//! mount(2), umount(2) and what may be mounted where. The table of mounts itself: `env::mounted`.
//!
//! # Invariants
//! 1. A mount is only ever detached after looking that it is one of ours.
//! 2. Detaching is lazy: it never waits for those who still use it.

use crate::MountOptions;
use env::{FILESYSTEM, mounted};
use rustix::mount::{MountFlags, UnmountFlags};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long files that were closed may be in use, and how often that is looked at.
const RELEASE_MAX: Duration = Duration::from_secs(2);
const RELEASE_POLL: Duration = Duration::from_millis(10);

/// Whether a muskox mount is the topmost at this very path.
pub fn is_ours(mountpoint: &Path) -> io::Result<bool> {
    let last = mounted()?.into_iter().rev().find(|m| m.mountpoint == mountpoint);
    Ok(last.is_some_and(|m| m.filesystem == FILESYSTEM))
}

/// Detaches a muskox mount at `mountpoint` whose process is dead. A living one, or another filesystem, is left alone.
pub fn detach_dead(mountpoint: &Path) -> io::Result<()> {
    // A dead FUSE mount answers ENOTCONN to anything; the kernel may still answer stat from its cache,
    // so a directory is opened. ECONNABORTED: it died while it was asked.
    let dead = || {
        let error = std::fs::read_dir(mountpoint).err().and_then(|error| error.raw_os_error());
        matches!(error, Some(libc::ENOTCONN | libc::ECONNABORTED))
    };
    // Several may lie on top of one another.
    while dead() && is_ours(mountpoint)? {
        detach(mountpoint)?;
    }
    Ok(())
}

/// Lazily detaches what is mounted at `mountpoint`, as root or by `fusermount3`.
pub(crate) fn detach(mountpoint: &Path) -> io::Result<()> {
    match rustix::mount::unmount(mountpoint, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::PERM) => {
            let status =
                std::process::Command::new("fusermount3").arg("-uz").arg("--").arg(mountpoint).status()?;
            if status.success() { Ok(()) } else { Err(io::Error::other("fusermount3 -uz failed")) }
        }
        Err(error) => Err(error.into()),
    }
}

/// Why a mountpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MountpointError {
    /// It does not exist.
    #[error("the mountpoint {path} does not exist")]
    Missing {
        /// The path as given.
        path: String,
    },
    /// It is not a directory.
    #[error("the mountpoint {path} is not a directory")]
    NotDirectory {
        /// The path.
        path: String,
    },
    /// Something is mounted there.
    #[error("{filesystem} ({origin}) is mounted at {path} already")]
    Busy {
        /// The path.
        path: String,
        /// Type of what is there.
        filesystem: String,
        /// Its source.
        origin: String,
    },
    /// mount(2) or fusermount3 failed.
    #[error("cannot mount at {path}: {source}")]
    Failed {
        /// The path.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl MountpointError {
    /// The next step.
    pub fn next(&self) -> String {
        match self {
            Self::Missing { path } => format!("mkdir -p {path}"),
            Self::NotDirectory { .. } => "name an empty directory".to_owned(),
            Self::Busy { path, .. } => format!("umount {path}   or name another directory"),
            Self::Failed { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "modprobe fuse   and see that /dev/fuse exists; as a user other than root: apt install fuse3"
                    .to_owned()
            }
            Self::Failed { .. } => "run as root, or install fusermount3: apt install fuse3".to_owned(),
        }
    }
}

/// Checks the mountpoint, after a dead mount of ours was detached from it; returns its real path.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf, MountpointError> {
    let shown = path.display().to_string();
    let failed = |source| MountpointError::Failed { path: shown.clone(), source };
    let absolute = std::path::absolute(path).map_err(failed)?;
    detach_dead(&absolute).map_err(failed)?;
    let real = match absolute.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(MountpointError::Missing { path: shown });
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(MountpointError::NotDirectory { path: shown });
        }
        Err(error) => return Err(failed(error)),
    };
    if !real.is_dir() {
        return Err(MountpointError::NotDirectory { path: shown });
    }
    let there = mounted().map_err(failed)?.into_iter().rev().find(|m| m.mountpoint == real);
    match there {
        Some(m) if m.filesystem.starts_with("fuse") => {
            Err(MountpointError::Busy { path: shown, filesystem: m.filesystem, origin: m.source })
        }
        _ => Ok(real),
    }
}

/// As root: opens `/dev/fuse` and mounts it; the session is served on the returned descriptor.
pub(crate) fn mount_as_root(
    path: &Path,
    source: &str,
    flags: MountFlags,
    private: bool,
) -> io::Result<OwnedFd> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let other = if private { "" } else { ",allow_other" };
    let data = format!(
        "fd={},rootmode=40000,user_id={uid},group_id={gid},default_permissions{other}",
        device.as_raw_fd()
    );
    let data = std::ffi::CString::new(data).expect("numbers and words hold no NUL");
    let target = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    rustix::mount::mount(source, &target, FILESYSTEM, flags, Some(data.as_c_str()))?;
    Ok(device.into())
}

/// Gives a muskox mount other flags, such as read-only. `ResourceBusy`: files are open for writing.
pub fn remount(mountpoint: &Path, options: &MountOptions) -> io::Result<()> {
    let path = std::fs::canonicalize(mountpoint)?;
    if !is_ours(&path)? {
        return Err(io::Error::other("no muskox is mounted there"));
    }
    let begun = Instant::now();
    loop {
        // Of the options in words the kernel takes none again.
        match rustix::mount::mount_remount(&path, options.flags.bits(), c"") {
            // A file that was just closed is in use until its release was answered.
            Err(rustix::io::Errno::BUSY) if begun.elapsed() < RELEASE_MAX => std::thread::sleep(RELEASE_POLL),
            done => return Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_directory_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        detach_dead(dir.path()).unwrap();
        assert!(!is_ours(dir.path()).unwrap());
        assert!(matches!(prepare(&dir.path().join("absent")), Err(MountpointError::Missing { .. })));
        std::fs::write(dir.path().join("file"), b"x").unwrap();
        assert!(matches!(prepare(&dir.path().join("file")), Err(MountpointError::NotDirectory { .. })));
        let below = prepare(&dir.path().join("file/below"));
        assert!(matches!(below, Err(MountpointError::NotDirectory { .. })), "{below:?}");
        assert!(prepare(dir.path()).is_ok());
    }
}
