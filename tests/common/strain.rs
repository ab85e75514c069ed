//! Processes that do all that a program may do to files, at random and in each other's way.
//!
//! Each process has a directory of its own, whose files it knows byte by byte, and one that all share, where most calls
//! meet something that another process has just done. An error is right if POSIX has it for a call that comes too late or
//! too early (each kind of call has its list); any other one ends the process.
//!
//! # Invariants
//! 1. What a process reads from a file of its own is what it wrote.
//! 2. At its end it leaves a list of its files and their bytes' hashes, outside of the mount, and how often each kind of call
//!    succeeded and was refused ([`counts_beside`]).

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use rustix::fs::{self as sys, AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags, SeekFrom};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest file.
const FILE_BYTES_MAX: u64 = 3 << 20;
/// Longest single write.
const WRITE_BYTES_MAX: u64 = 200_000;
/// Names in one directory, and directories below the shared one.
const NAMES: u64 = 12;
/// Own files of a process.
const OWN: u64 = 8;

/// How much one process does.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    Operations(u64),
    Time(Duration),
}

/// Numbers from a start.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A file of the process's own: what it holds.
struct Own {
    path: PathBuf,
    content: Vec<u8>,
}

struct Worker {
    own: PathBuf,
    shared: PathBuf,
    numbers: Numbers,
    files: Vec<Own>,
    counts: BTreeMap<&'static str, (u64, u64)>,
}

/// Where a process leaves its counts: lines of a kind of call, how often it succeeded, and how often it was refused.
pub fn counts_beside(list: &Path) -> PathBuf {
    list.with_extension("counts")
}

/// All kinds of calls. Each has to succeed sometimes, in one process or another: a call that is always refused tests nothing.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|(name, ..)| *name).chain(OWN_STEPS)
}

/// Works below `mount` as process `number`, then writes the list of its files to `list`.
pub fn work(mount: &Path, number: u64, seed: u64, amount: Amount, list: &Path) {
    let own = mount.join(format!("own{number}"));
    let shared = mount.join("shared");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::create_dir_all(&shared).unwrap();
    let numbers = Numbers(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let mut worker = Worker { own, shared, numbers, files: Vec::new(), counts: BTreeMap::new() };
    let begun = Instant::now();
    let mut done = 0;
    while match amount {
        Amount::Operations(most) => done < most,
        Amount::Time(time) => begun.elapsed() < time,
    } {
        worker.step();
        done += 1;
    }
    worker.files.iter().for_each(|own| own.check());
    let mut lines = String::new();
    for own in &worker.files {
        lines.push_str(&format!("{} {}\n", own.path.display(), blake3::hash(&own.content)));
    }
    std::fs::write(list, lines).unwrap();
    let counts = worker.counts.iter().map(|(what, (ok, no))| format!("{what} {ok} {no}\n"));
    std::fs::write(counts_beside(list), counts.collect::<String>()).unwrap();
}

impl Own {
    fn check(&self) {
        let found =
            std::fs::read(&self.path).unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        assert!(found == self.content, "{} has other bytes than were written", self.path.display());
    }
}

type Done = rustix::io::Result<()>;
type Call = fn(&mut Worker) -> Done;
/// What is done, what the call may say to somebody who comes too late or too early or meets a pipe or a loop of symbolic links, and the
/// call. Directories have names of their own, so that none is where a file is wanted. Some stand there twice, so that they
/// succeed often enough.
const CALLS: [(&str, &[Errno], Call); 28] = [
    ("create", &[Errno::NOENT, Errno::LOOP, Errno::SPIPE], Worker::create),
    ("create", &[Errno::NOENT, Errno::LOOP, Errno::SPIPE], Worker::create),
    ("exclusive", &[Errno::NOENT, Errno::EXIST], Worker::exclusive),
    ("write", &[Errno::NOENT, Errno::LOOP, Errno::SPIPE], Worker::write),
    ("append", &[Errno::NOENT, Errno::LOOP, Errno::NXIO, Errno::AGAIN, Errno::PIPE], Worker::append),
    ("read", &[Errno::NOENT, Errno::LOOP, Errno::SPIPE], Worker::read),
    ("truncate", &[Errno::NOENT, Errno::LOOP, Errno::NXIO, Errno::INVAL], Worker::truncate),
    ("allocate", &[Errno::NOENT, Errno::LOOP, Errno::SPIPE], Worker::allocate),
    ("seek", &[Errno::NOENT, Errno::LOOP, Errno::SPIPE, Errno::NXIO], Worker::seek),
    ("copy", &[Errno::NOENT, Errno::LOOP, Errno::INVAL], Worker::copy),
    ("copy", &[Errno::NOENT, Errno::LOOP, Errno::INVAL], Worker::copy),
    ("mkdir", &[Errno::NOENT, Errno::EXIST], Worker::mkdir),
    ("mkdir", &[Errno::NOENT, Errno::EXIST], Worker::mkdir),
    ("rmdir", &[Errno::NOENT, Errno::NOTEMPTY], Worker::rmdir),
    ("rmdir", &[Errno::NOENT, Errno::NOTEMPTY], Worker::rmdir),
    ("unlink", &[Errno::NOENT], Worker::unlink),
    ("unlinked", &[], Worker::unlinked),
    ("link", &[Errno::NOENT, Errno::EXIST], Worker::link),
    ("symlink", &[Errno::NOENT, Errno::EXIST], Worker::symlink),
    ("node", &[Errno::NOENT, Errno::EXIST], Worker::node),
    ("rename", &[Errno::NOENT, Errno::EXIST, Errno::NOTEMPTY, Errno::INVAL], Worker::rename),
    ("exchange", &[Errno::NOENT], Worker::exchange),
    ("attributes", &[Errno::NOENT, Errno::LOOP], Worker::attributes),
    ("xattr", &[Errno::NOENT, Errno::LOOP, Errno::NODATA, Errno::PERM], Worker::xattr),
    ("list", &[Errno::NOENT], Worker::list),
    ("lock", &[Errno::NOENT, Errno::LOOP, Errno::AGAIN], Worker::lock),
    ("direct-write", &[Errno::NOENT, Errno::LOOP, Errno::INVAL], Worker::direct_write),
    ("direct-read", &[Errno::NOENT, Errno::LOOP, Errno::INVAL], Worker::direct_read),
];

/// What a process does to files of its own.
const OWN_STEPS: [&str; 12] = [
    "own-write",
    "own-append",
    "own-truncate",
    "own-punch",
    "own-rename",
    "own-sync",
    "own-replace",
    "own-map",
    "own-map-sync",
    "own-direct",
    "own-direct-read",
    "own-read",
];

impl Worker {
    fn step(&mut self) {
        if self.numbers.below(3) == 0 {
            return self.own_step();
        }
        let (name, expected, call) = CALLS[self.numbers.below(CALLS.len() as u64) as usize];
        let count = match call(self) {
            Ok(()) => (1, 0),
            Err(error) if expected.contains(&error) => (0, 1),
            Err(error) => panic!("{name}: {error}"),
        };
        let counted = self.counts.entry(name).or_default();
        (counted.0, counted.1) = (counted.0 + count.0, counted.1 + count.1);
    }

    /// A directory that all share, or one in it.
    fn directory(&mut self) -> PathBuf {
        // Mostly where others are, too, so that calls meet something.
        match self.numbers.below(8) {
            0..=4 => self.shared.clone(),
            _ => self.subdirectory(),
        }
    }

    /// A directory in the one that all share.
    fn subdirectory(&mut self) -> PathBuf {
        let (one, other) = (self.numbers.below(NAMES / 2), self.numbers.below(NAMES / 4));
        match self.numbers.below(3) {
            0 => self.shared.join(format!("d{one}/d{other}")),
            _ => self.shared.join(format!("d{one}")),
        }
    }

    fn name(&mut self) -> PathBuf {
        let directory = self.directory();
        directory.join(format!("f{}", self.numbers.below(NAMES)))
    }

    fn open(&mut self, flags: OFlags) -> rustix::io::Result<File> {
        let name = self.name();
        sys::open(name, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::from_raw_mode(0o644))
            .map(File::from)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.numbers.below(WRITE_BYTES_MAX) + 1;
        let first = self.numbers.below(251) as u8;
        (0..length).map(|at| first.wrapping_add((at % 251) as u8)).collect()
    }

    fn create(&mut self) -> Done {
        let bytes = self.bytes();
        let file = self.open(OFlags::CREATE | OFlags::RDWR | OFlags::TRUNC)?;
        said(file.write_all_at(&bytes, 0))
    }

    fn exclusive(&mut self) -> Done {
        self.open(OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY).map(drop)
    }

    fn write(&mut self) -> Done {
        let (bytes, at) = (self.bytes(), self.numbers.below(FILE_BYTES_MAX));
        let sync = self.numbers.below(8) == 0;
        let file = self.open(OFlags::RDWR)?;
        said(file.write_all_at(&bytes, at))?;
        if sync { sys::fdatasync(&file) } else { Ok(()) }
    }

    fn append(&mut self) -> Done {
        let bytes = self.bytes();
        let mut file = self.open(OFlags::WRONLY | OFlags::APPEND)?;
        if sys::fstat(&file)?.st_size as u64 > FILE_BYTES_MAX {
            return sys::ftruncate(&file, 0);
        }
        said(file.write_all(&bytes))
    }

    fn read(&mut self) -> Done {
        let at = self.numbers.below(FILE_BYTES_MAX);
        let mut buffer = vec![0; 100_000];
        let file = self.open(OFlags::RDONLY)?;
        said(file.read_at(&mut buffer, at).map(drop))
    }

    fn truncate(&mut self) -> Done {
        let length = self.numbers.below(FILE_BYTES_MAX);
        let file = self.open(OFlags::WRONLY)?;
        sys::ftruncate(&file, length)
    }

    fn allocate(&mut self) -> Done {
        let (at, length) = (self.numbers.below(FILE_BYTES_MAX), self.numbers.below(WRITE_BYTES_MAX) + 1);
        let flags = match self.numbers.below(4) {
            0 => FallocateFlags::empty(),
            1 => FallocateFlags::KEEP_SIZE,
            2 => FallocateFlags::ZERO_RANGE,
            _ => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        };
        let file = self.open(OFlags::RDWR)?;
        sys::fallocate(&file, flags, at, length)
    }

    fn seek(&mut self) -> Done {
        let at = self.numbers.below(WRITE_BYTES_MAX);
        let file = self.open(OFlags::RDONLY)?;
        let data = sys::seek(&file, SeekFrom::Data(at))?;
        assert!(data >= at);
        sys::seek(&file, SeekFrom::Hole(data)).map(drop)
    }

    fn copy(&mut self) -> Done {
        let at = self.numbers.below(FILE_BYTES_MAX);
        let from = self.open(OFlags::RDONLY)?;
        let to = self.open(OFlags::RDWR)?;
        sys::copy_file_range(&from, None, &to, Some(&mut { at }), 100_000).map(drop)
    }

    fn mkdir(&mut self) -> Done {
        let directory = self.subdirectory();
        sys::mkdir(directory, Mode::from_raw_mode(0o755))
    }

    fn rmdir(&mut self) -> Done {
        let directory = self.subdirectory();
        sys::rmdir(directory)
    }

    fn unlink(&mut self) -> Done {
        let name = self.name();
        sys::unlink(name)
    }

    /// A file that is open goes on without a name.
    fn unlinked(&mut self) -> Done {
        let (name, bytes) = (self.own.join("unnamed"), self.bytes());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        let file = File::from(sys::open(&name, flags, Mode::from_raw_mode(0o600))?);
        sys::unlink(&name)?;
        said(file.write_all_at(&bytes, 5))?;
        let mut found = vec![0; bytes.len()];
        said(file.read_exact_at(&mut found, 5))?;
        assert!(found == bytes, "a file without a name has other bytes");
        assert_eq!(sys::fstat(&file)?.st_nlink, 0);
        Ok(())
    }

    fn link(&mut self) -> Done {
        let (from, to) = (self.name(), self.name());
        sys::link(from, to)
    }

    fn symlink(&mut self) -> Done {
        let (target, name) = (self.name(), self.name());
        sys::symlink(target, name)
    }

    fn node(&mut self) -> Done {
        let name = self.name();
        sys::mknodat(CWD, name, sys::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
    }

    fn rename(&mut self) -> Done {
        let (from, to) = match self.numbers.below(4) {
            0 => (self.subdirectory(), self.subdirectory()),
            _ => (self.name(), self.name()),
        };
        match self.numbers.below(3) {
            0 => sys::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE),
            _ => sys::rename(from, to),
        }
    }

    fn exchange(&mut self) -> Done {
        let (from, to) = (self.name(), self.name());
        sys::renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE)
    }

    fn attributes(&mut self) -> Done {
        let name = self.name();
        match self.numbers.below(3) {
            0 => sys::chmod(name, Mode::from_raw_mode(0o600 + self.numbers.below(0o200) as u32)),
            1 => {
                let group = Some(rustix::process::Gid::from_raw(self.numbers.below(5) as u32));
                sys::chownat(CWD, name, None, group, AtFlags::SYMLINK_NOFOLLOW)
            }
            _ => {
                let time = sys::Timespec { tv_sec: self.numbers.below(1 << 30) as i64, tv_nsec: 7 };
                let times = sys::Timestamps { last_access: time, last_modification: time };
                sys::utimensat(CWD, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    fn xattr(&mut self) -> Done {
        let (name, which) = (self.name(), self.numbers.below(4));
        let attribute = format!("user.a{which}");
        let file = sys::open(&name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        let mut buffer = [0u8; 4096];
        match self.numbers.below(4) {
            0 | 1 => {
                let value = vec![which as u8; self.numbers.below(500) as usize];
                // Pipes have none.
                sys::fsetxattr(&file, attribute, &value, sys::XattrFlags::empty())
            }
            2 => sys::fremovexattr(&file, attribute),
            _ => sys::flistxattr(&file, &mut buffer[..]).map(drop),
        }
    }

    fn list(&mut self) -> Done {
        let directory = self.directory();
        let entries = said(std::fs::read_dir(directory))?;
        let mut names: Vec<_> = Vec::new();
        for entry in entries {
            let entry = said(entry)?;
            match sys::lstat(entry.path()) {
                Ok(_) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
            names.push(entry.file_name());
        }
        Ok(())
    }

    fn direct_write(&mut self) -> Done {
        let (bytes, at) = (self.bytes(), self.numbers.below(FILE_BYTES_MAX));
        let file = self.open(OFlags::RDWR | OFlags::DIRECT)?;
        said(file.write_all_at(&bytes, at))
    }

    fn direct_read(&mut self) -> Done {
        let at = self.numbers.below(FILE_BYTES_MAX);
        let mut buffer = vec![0; 100_000];
        let file = self.open(OFlags::RDONLY | OFlags::DIRECT)?;
        said(file.read_at(&mut buffer, at).map(drop))
    }

    fn lock(&mut self) -> Done {
        let file = self.open(OFlags::RDWR)?;
        sys::flock(&file, sys::FlockOperation::NonBlockingLockExclusive)?;
        sys::flock(&file, sys::FlockOperation::Unlock)
    }

    /// A change of a file of the process's own, done to the file and to what is remembered of it. No error is right.
    fn own_step(&mut self) {
        if (self.files.len() as u64) < OWN {
            let path = self.own.join(format!("f{}", self.files.len()));
            File::create(&path).unwrap();
            self.files.push(Own { path, content: Vec::new() });
        }
        let what = OWN_STEPS[self.numbers.below(OWN_STEPS.len() as u64) as usize];
        let bytes = self.bytes();
        let (at, length) = (self.numbers.below(FILE_BYTES_MAX), self.numbers.below(FILE_BYTES_MAX));
        let spare = self.own.join(format!("g{length}"));
        let which = self.numbers.below(self.files.len() as u64) as usize;
        let own = &mut self.files[which];
        let file = || File::options().read(true).write(true).open(&own.path).unwrap();
        let direct = || {
            let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
            File::from(sys::open(&own.path, flags, Mode::empty()).unwrap())
        };
        match what {
            "own-write" => {
                file().write_all_at(&bytes, at).unwrap();
                overwrite(&mut own.content, &bytes, at as usize);
            }
            "own-append" => {
                File::options().append(true).open(&own.path).unwrap().write_all(&bytes).unwrap();
                own.content.extend_from_slice(&bytes);
            }
            "own-truncate" => {
                file().set_len(length).unwrap();
                own.content.resize(length as usize, 0);
            }
            "own-punch" => {
                let end = (at as usize + bytes.len()).min(own.content.len());
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                sys::fallocate(file(), flags, at, bytes.len() as u64).unwrap();
                if (at as usize) < end {
                    own.content[at as usize..end].fill(0);
                }
            }
            "own-rename" => {
                std::fs::rename(&own.path, &spare).unwrap();
                own.path = spare;
            }
            "own-sync" => {
                let file = file();
                file.write_all_at(&bytes, at).unwrap();
                overwrite(&mut own.content, &bytes, at as usize);
                file.sync_all().unwrap();
            }
            "own-replace" => {
                std::fs::write(&own.path, &bytes).unwrap();
                own.content = bytes;
            }
            "own-map" | "own-map-sync" => {
                let end = (at as usize + bytes.len()).min(own.content.len());
                if at as usize >= end {
                    return;
                }
                let bytes = &bytes[..end - at as usize];
                write_mapped(&file(), own.content.len(), at as usize, bytes, what == "own-map-sync");
                overwrite(&mut own.content, bytes, at as usize);
            }
            "own-direct" => {
                direct().write_all_at(&bytes, at).unwrap();
                overwrite(&mut own.content, &bytes, at as usize);
            }
            "own-direct-read" => {
                let mut found = vec![0; own.content.len()];
                direct().read_exact_at(&mut found, 0).unwrap();
                assert!(found == own.content, "{} has other bytes, read past the cache", own.path.display());
            }
            _ => own.check(),
        }
        if own.content.len() as u64 > 2 * FILE_BYTES_MAX {
            own.content.clear();
            File::create(&own.path).unwrap();
        }
        self.counts.entry(what).or_default().0 += 1;
    }
}

/// Writes through a shared mapping of the whole file, which nobody else may cut meanwhile.
#[allow(unsafe_code, reason = "memory is mapped")]
fn write_mapped(file: &File, length: usize, at: usize, bytes: &[u8], sync: bool) {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses the place; it is used below the file's length, as long as it is mapped.
    unsafe {
        let map = rustix::mm::mmap(std::ptr::null_mut(), length, access, MapFlags::SHARED, file, 0).unwrap();
        std::slice::from_raw_parts_mut(map.cast::<u8>(), length)[at..at + bytes.len()].copy_from_slice(bytes);
        if sync {
            rustix::mm::msync(map, length, MsyncFlags::SYNC).unwrap();
        }
        rustix::mm::munmap(map, length).unwrap();
    }
}

fn overwrite(content: &mut Vec<u8>, bytes: &[u8], at: usize) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

/// An error as its number.
fn said<T>(result: std::io::Result<T>) -> rustix::io::Result<T> {
    result.map_err(|error| Errno::from_io_error(&error).unwrap_or_else(|| panic!("{error}")))
}
