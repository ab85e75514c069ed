//! Small ext4 filesystems in files, mounted over the disk directories of a demo: they fill up, are pulled, are frozen.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use super::common::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether filesystems can be made and mounted here; says loudly if not.
pub fn can_loop(test: &str) -> bool {
    let control = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/loop-control");
    can_mount(test)
        && is_root(test)
        && runs(control().is_ok(), test, "loop devices")
        && has_program(test, "mkfs.ext4")
}

/// A filesystem in a file.
pub struct Loop {
    pub mountpoint: PathBuf,
    image: PathBuf,
    _home: tempfile::TempDir,
}

impl Loop {
    /// Makes one of so many MiB and mounts it.
    pub fn mount(mountpoint: &Path, mib: u64) -> Self {
        std::fs::create_dir_all(mountpoint).unwrap();
        let home = tempfile::Builder::new().prefix("muskox-loop-").tempdir().unwrap();
        let image = home.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F", "-m", "0"]).arg(&image);
        ok(mkfs);
        let one = Self { mountpoint: mountpoint.to_owned(), image, _home: home };
        one.mount_again();
        one
    }

    /// Mounts it once more, after [`Loop::pull`].
    pub fn mount_again(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&self.image).arg(&self.mountpoint);
        ok(mount);
    }

    /// `umount -l`: the path shows what lies below, and whoever has files open keeps them.
    pub fn pull(&self) {
        let mut umount = Command::new("umount");
        umount.arg("-l").arg(&self.mountpoint);
        ok(umount);
    }

    /// Its machine loses power: it goes on from what its device was given so far. Nobody may have files open there.
    pub fn lose_power(&mut self) {
        let left = self.image.with_extension("left");
        let mut copy = Command::new("cp");
        copy.arg("--sparse=always").arg(&self.image).arg(&left);
        ok(copy);
        self.pull();
        std::fs::rename(&left, &self.image).unwrap();
        self.mount_again();
    }

    /// From now on the filesystem fails all that is asked of it with EIO, as when its device is gone.
    #[allow(unsafe_code, reason = "no safe call for this ioctl")]
    pub fn shut_down(&self) {
        const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
        const WITHOUT_LOG: u32 = 2;
        let root = std::fs::File::open(&self.mountpoint).unwrap();
        // SAFETY: the ioctl reads one u32 from the pointer, which outlives the call.
        let done =
            unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&root), EXT4_IOC_SHUTDOWN, &WITHOUT_LOG) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }

    /// Mounts it anew with other options: `ro`, `rw`.
    pub fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(&self.mountpoint);
        ok(mount);
    }

    /// Writes and syncs hang until [`Loop::thaw`].
    pub fn freeze(&self) {
        let mut freeze = Command::new("fsfreeze");
        freeze.arg("-f").arg(&self.mountpoint);
        ok(freeze);
    }

    /// Ends [`Loop::freeze`].
    pub fn thaw(&self) {
        let mut thaw = Command::new("fsfreeze");
        thaw.arg("-u").arg(&self.mountpoint);
        ok(thaw);
    }

    /// Leaves at most this much room to others.
    pub fn fill_up_to(&self, free_bytes: u64) {
        let stat = rustix::fs::statvfs(&self.mountpoint).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let path = self.mountpoint.join("filler");
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        let (filled, mut length) = (file.metadata().unwrap().len(), free.saturating_sub(free_bytes));
        let flags = rustix::fs::FallocateFlags::empty();
        // The filesystem needs some of the last blocks for itself.
        while length > 0 && rustix::fs::fallocate(&file, flags, filled, length).is_err() {
            length = length.saturating_sub(stat.f_frsize);
        }
        file.sync_all().unwrap();
    }

    /// Takes back [`Loop::fill_up_to`].
    pub fn make_room(&self) {
        std::fs::remove_file(self.mountpoint.join("filler")).unwrap();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            let _ = command.args(arguments).arg(&self.mountpoint).stderr(Stdio::null()).status();
        };
        run("fsfreeze", &["-u"]);
        run("umount", &["-l"]);
    }
}

/// A demo some of whose directories are filesystems of their own.
pub struct Cluster {
    pub demo: Demo,
    pub loops: Vec<Loop>,
}

impl Cluster {
    /// `places`: directories below the demo's data, with their MiB.
    pub fn start(arguments: &[&str], places: &[(&str, u64)]) -> Self {
        let mut demo = Demo::prepared();
        let loops = places.iter().map(|(place, mib)| Loop::mount(&demo.data.join(place), *mib)).collect();
        demo.run(arguments);
        Self { demo, loops }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for one in &self.loops {
            let _ = Command::new("fsfreeze").arg("-u").arg(&one.mountpoint).stderr(Stdio::null()).status();
        }
        self.demo.stop();
        self.loops.clear();
    }
}
