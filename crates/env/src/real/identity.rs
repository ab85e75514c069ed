//! Filesystem type and boot identity of a directory, from /proc.
//!
//! The boot number must be the same after a mere restart of the process, also of a newer release, so
//! its hash is written out here (FNV-1a) and not taken from a library that may change it.

use super::mounts::mounted;
use crate::Identity;
use rustix::fs::{AtFlags, StatxFlags};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads the identity of the filesystem that holds `directory`.
pub(super) fn identity(directory: BorrowedFd<'_>) -> io::Result<Identity> {
    let fdinfo = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", directory.as_raw_fd()))?;
    let mount = mount_id(&fdinfo).ok_or_else(|| io::Error::other("/proc/self/fdinfo has no mnt_id"))?;
    let filesystem = mounted()?.into_iter().find(|m| m.id == mount).map(|m| m.filesystem);
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let device = rustix::fs::fstat(directory)?.st_dev;
    let mut hash = Fnv::default();
    hash.write(boot_id.trim().as_bytes());
    hash.write(&unique_mount_id(directory).unwrap_or(mount).to_le_bytes());
    hash.write(&device.to_le_bytes());
    Ok(Identity { filesystem: filesystem.unwrap_or_else(|| "unknown".to_owned()), boot: hash.0 })
}

/// The number of the mount, which no later mount has (Linux 6.8). The other one is given again to the next mount after an
/// unmount, so that a device that lost what was not written, and was mounted again, would look the same.
fn unique_mount_id(directory: BorrowedFd<'_>) -> Option<u64> {
    /// `STATX_MNT_ID_UNIQUE` of linux/stat.h.
    const UNIQUE: u32 = 0x4000;
    let wanted = StatxFlags::from_bits_retain(UNIQUE);
    let found = rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, wanted).ok()?;
    (found.stx_mask & UNIQUE != 0).then_some(found.stx_mnt_id)
}

/// The mount id in a file of /proc/self/fdinfo.
fn mount_id(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_that_of_the_mount_of_the_directory() {
        let proc = std::fs::File::open("/proc").unwrap();
        assert_eq!(identity(std::os::fd::AsFd::as_fd(&proc)).unwrap().filesystem, "proc");
        assert_eq!(mount_id("pos:\t0\nflags:\t02\nmnt_id:\t31\n"), Some(31));
    }

    #[test]
    fn a_device_that_was_mounted_again_is_not_what_it_was() {
        let place = tempfile::tempdir().unwrap();
        let command = |program: &str, arguments: &[&str]| {
            let path = place.path().to_str().unwrap();
            std::process::Command::new(program).args(arguments).arg(path).status().is_ok_and(|s| s.success())
        };
        let look =
            || identity(std::os::fd::AsFd::as_fd(&std::fs::File::open(place.path()).unwrap())).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3 {
            if !command("mount", &["-t", "tmpfs", "-o", "size=1m", "none"]) {
                eprintln!("NOT RUN: a_device_that_was_mounted_again_is_not_what_it_was needs root");
                return;
            }
            let (one, two) = (look(), look());
            assert!(command("umount", &[]));
            assert_eq!(one.boot, two.boot);
            assert!(seen.insert(one.boot), "as it was before");
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        let mut hash = Fnv::default();
        hash.write(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }
}
