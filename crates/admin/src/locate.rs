//! Which file an operator means: a path below a mount of this host, or a path in the cluster.
//!
//! A path that exists on this host and lies on a mounted MuskoxFS is asked for by inode number, which
//! the mount shares with the master; everything else that begins with `/` is a path from the cluster's root.

use crate::{Exit, Failure};
use env::{FILESYSTEM, Mounted};
use rpc::admin::FileTarget;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use types::InodeId;

/// What an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// What to ask the master.
    pub target: FileTarget,
    /// The mount the path lies on, if it does.
    pub mount: Option<Mounted>,
}

/// Finds out what `path` means. Blocks if a mount below it does.
pub fn locate(path: &Path) -> Result<Located, Failure> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(metadata) => find_mount(env::mounted().unwrap_or_default(), metadata.dev())
            .map(|mount| (mount, metadata.ino())),
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

/// The directory on the same mount that a file lies in, by this path. A directory's own is known to the master.
pub fn directory_of(path: &Path) -> Option<InodeId> {
    let found = std::fs::symlink_metadata(path).ok().filter(|found| !found.is_dir())?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let above = std::fs::metadata(parent).ok()?;
    (above.dev() == found.dev()).then(|| InodeId(above.ino()))
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The mount of ours with this device number.
fn find_mount(table: Vec<Mounted>, device: u64) -> Option<Mounted> {
    table.into_iter().find(|mount| mount.device == device && mount.filesystem == FILESYSTEM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn only_a_mount_of_ours_is_found_by_its_device_number() {
        let mount = |device, filesystem: &str| Mounted {
            id: device,
            device,
            mountpoint: PathBuf::from("/mnt"),
            filesystem: filesystem.to_owned(),
            source: "muskox:10.0.0.1:9421".to_owned(),
        };
        let table = vec![mount(2, "ext4"), mount(61, FILESYSTEM), mount(62, "fuse.sshfs")];
        assert_eq!(find_mount(table.clone(), 61), Some(table[1].clone()));
        assert_eq!(find_mount(table.clone(), 62), None);
        assert_eq!(find_mount(table, 7), None);
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
