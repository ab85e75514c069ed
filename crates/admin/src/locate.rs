//! Which file an operator means: a path below a mount of this host, or a path in the cluster.
//!
//! A path that exists on this host and lies on a mounted MuskoxFS is asked for by inode number, which
//! the mount shares with the master; everything else that begins with `/` is a path from the cluster's root.

use crate::{Exit, Failure};
use rpc::admin::FileTarget;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use types::InodeId;

/// The type that the kernel shows for our mounts.
const FILESYSTEM: &[u8] = b"fuse.muskox";

/// A mounted MuskoxFS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub mountpoint: PathBuf,
    /// What, as mount(8) shows it.
    pub source: String,
}

/// What an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// What to ask the master.
    pub target: FileTarget,
    /// The mount the path lies on, if it does.
    pub mount: Option<Mount>,
}

/// Finds out what `path` means. Blocks if a mount below it does.
pub fn locate(path: &Path) -> Result<Located, Failure> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(metadata) => {
            let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
            find_mount(&table, metadata.dev()).map(|mount| (mount, metadata.ino()))
        }
        Err(error) if absent(&error) => None,
        Err(error) => {
            let exit = match error.kind() {
                io::ErrorKind::PermissionDenied => Exit::Permission,
                _ => Exit::Failed,
            };
            let next = format!("stat {}", path.display());
            return Err(Failure::new("E0310", exit, format!("cannot look at {}", path.display()), next)
                .because(error));
        }
    };
    match found {
        Some((mount, inode)) => Ok(Located { target: FileTarget::Inode(InodeId(inode)), mount: Some(mount) }),
        None if path.is_absolute() => {
            Ok(Located { target: FileTarget::Path(path.as_os_str().as_bytes().to_vec()), mount: None })
        }
        None => Err(Failure::new(
            "E0311",
            Exit::NotFound,
            format!("{} is not on a mounted MuskoxFS", path.display()),
            format!("muskox file info /{}   (a path from the cluster's root)", path.display()),
        )),
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// All mounts of ours on this host, in the order of the table.
pub fn mounts() -> io::Result<Vec<Mount>> {
    let table = std::fs::read("/proc/self/mountinfo")?;
    Ok(entries(&table).map(|(_, mount)| mount).collect())
}

/// Finds the mount of ours with this device number in the text of `/proc/self/mountinfo`.
fn find_mount(table: &[u8], device: u64) -> Option<Mount> {
    entries(table).find(|(number, _)| *number == device).map(|(_, mount)| mount)
}

/// `36 35 98:0 /root /mountpoint options optional... - type source options`
fn entries(table: &[u8]) -> impl Iterator<Item = (u64, Mount)> + '_ {
    table.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(|b| *b == b' ');
        let device = std::str::from_utf8(fields.nth(2)?).ok()?;
        let (major, minor) = device.split_once(':')?;
        let mountpoint = fields.nth(1)?;
        let mut rest = fields.skip_while(|f| *f != b"-").skip(1);
        if rest.next()? != FILESYSTEM {
            return None;
        }
        let source = String::from_utf8_lossy(&unescape(rest.next()?)).into_owned();
        let mountpoint = PathBuf::from(std::ffi::OsString::from_vec(unescape(mountpoint)));
        Some((device_number(major.parse().ok()?, minor.parse().ok()?), Mount { mountpoint, source }))
    })
}

/// Linux's `makedev`, as stat(2) shows it in 64 bits.
fn device_number(major: u64, minor: u64) -> u64 {
    ((major & 0xffff_f000) << 32) | ((major & 0xfff) << 8) | ((minor & 0xffff_ff00) << 12) | (minor & 0xff)
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if first == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 8:2 / / rw - ext4 /dev/sda2 rw\n\
        90 22 0:61 / /home/ann/musk\\040ox rw,nosuid shared:5 - fuse.muskox 10.0.0.1:9421:/ rw\n\
        91 22 0:62 / /mnt/other rw - fuse.sshfs h:/ rw\nbroken line\n";

    #[test]
    fn a_mount_is_found_by_its_device_number() {
        let mount = find_mount(TABLE, device_number(0, 61)).expect("it is there");
        assert_eq!(mount.mountpoint, Path::new("/home/ann/musk ox"));
        assert_eq!(mount.source, "10.0.0.1:9421:/");
        assert_eq!(find_mount(TABLE, device_number(0, 62)), None);
        assert_eq!(find_mount(TABLE, device_number(8, 2)), None);
    }

    #[test]
    fn device_numbers_are_those_of_stat() {
        let root = std::fs::metadata("/proc").expect("linux").dev();
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("linux");
        let line = table.lines().find(|l| l.split(' ').nth(4) == Some("/proc")).expect("proc is mounted");
        let (major, minor) = line.split(' ').nth(2).and_then(|d| d.split_once(':')).expect("a device");
        assert_eq!(device_number(major.parse().expect("a number"), minor.parse().expect("a number")), root);
        assert_eq!(device_number(0x12345, 0xabcde), 0x1_2000_abc3_45de);
    }

    #[test]
    fn a_path_elsewhere_is_a_path_in_the_cluster_if_it_is_absolute() {
        for path in ["/etc", "/no/such/file"] {
            let located = locate(Path::new(path)).expect("absolute");
            assert_eq!(located.target, FileTarget::Path(path.as_bytes().to_vec()));
        }
        let failure = locate(Path::new("no-such-file-here")).expect_err("relative");
        assert_eq!((failure.code, failure.exit), ("E0311", Exit::NotFound));
    }
}
