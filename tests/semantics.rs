//! What programs on one machine may rely on, promise by promise: docs/semantics.md names the tests of each paragraph.
//!
//! Between mounts: `two_mounts.rs`. Programs that people use: `workloads.rs`. Each case of POSIX: `posix.rs`.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hand.rs"]
mod hand;

use common::*;
use hand::Hand;
use rustix::fs::{
    CWD, Dir, FallocateFlags, FlockOperation, OFlags, SeekFrom, XattrFlags, fallocate, flock, seek, setxattr,
};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};
use rustix::process::{Gid, Uid};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PAGE: usize = 4096;
const CHUNK: u64 = 64 << 20;

fn file(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

#[test]
fn o_excl_lets_exactly_one_make_a_name() {
    if !can_mount("o_excl_lets_exactly_one_make_a_name") {
        return;
    }
    let demo = Demo::start();
    let made: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let demo = &demo;
                scope.spawn(move || {
                    (0..50).filter(|n| File::create_new(demo.path(&format!("f{n}"))).is_ok()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(made, 50);
}

#[test]
fn what_passes_the_cache_by_what_goes_through_it_and_what_is_mapped_are_the_same_bytes() {
    if !can_mount("what_passes_the_cache_by_what_goes_through_it_and_what_is_mapped_are_the_same_bytes") {
        return;
    }
    let demo = Demo::start();
    let path = demo.path("f");
    let cached = file(&path);
    cached.write_all_at(&bytes(1, 4 * PAGE), 0).unwrap();
    let direct = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(&path)
        .unwrap();
    let mut model = bytes(1, 4 * PAGE);
    let mut found = vec![0; 4 * PAGE];
    cached.read_exact_at(&mut found, 0).unwrap();
    // Aligned or not: nothing of this system wants alignment.
    for (n, (at, length)) in [(0, PAGE), (PAGE + 7, 100), (3 * PAGE - 1, PAGE)].into_iter().enumerate() {
        let data = bytes(10 + n as u64, length);
        direct.write_all_at(&data, at as u64).unwrap();
        model[at..at + length].copy_from_slice(&data);
        for reader in [&cached, &direct] {
            reader.read_exact_at(&mut found, 0).unwrap();
            assert!(found == model, "after the write at {at}");
        }
    }
    cached.write_all_at(b"through", 5).unwrap();
    model[5..12].copy_from_slice(b"through");
    direct.read_exact_at(&mut found, 0).unwrap();
    assert!(found == model);
    // Mapped: shared shows and is shown, private is for itself.
    let map = |flags| Mapping::new(&cached, 4 * PAGE, flags);
    let (mut shared, mut private) = (map(MapFlags::SHARED), map(MapFlags::PRIVATE));
    assert!(shared.bytes() == model && private.bytes() == model);
    shared.bytes()[2 * PAGE..2 * PAGE + 6].copy_from_slice(b"shared");
    model[2 * PAGE..2 * PAGE + 6].copy_from_slice(b"shared");
    private.bytes()[0..7].copy_from_slice(b"private");
    shared.sync();
    cached.read_exact_at(&mut found, 0).unwrap();
    assert!(found == model);
    cached.write_all_at(b"written", PAGE as u64).unwrap();
    model[PAGE..PAGE + 7].copy_from_slice(b"written");
    assert!(shared.bytes() == model);
    drop((shared, private));
    drop((cached, direct));
    assert!(fs::read(&path).unwrap() == model);
}

/// A mapped file.
struct Mapping {
    at: *mut std::ffi::c_void,
    length: usize,
}

#[allow(unsafe_code, reason = "memory is mapped")]
impl Mapping {
    fn new(file: &File, length: usize, flags: MapFlags) -> Self {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place.
        let at = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, flags, file, 0) }.unwrap();
        Self { at, length }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped until `self` is dropped; the file is not cut meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.at.cast(), self.length) }
    }

    fn sync(&self) {
        // SAFETY: the range is mapped.
        unsafe { rustix::mm::msync(self.at, self.length, MsyncFlags::SYNC) }.unwrap();
    }
}

#[allow(unsafe_code, reason = "memory is mapped")]
impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody has the bytes any more.
        unsafe { rustix::mm::munmap(self.at, self.length) }.unwrap();
    }
}

#[test]
fn every_mode_of_fallocate_does_what_it_says_or_is_refused() {
    if !can_mount("every_mode_of_fallocate_does_what_it_says_or_is_refused") {
        return;
    }
    let demo = Demo::start();
    let file = file(&demo.path("f"));
    let mut model = bytes(1, 100_000);
    file.write_all_at(&model, 0).unwrap();
    let (keep, punch, zero) =
        (FallocateFlags::KEEP_SIZE, FallocateFlags::PUNCH_HOLE, FallocateFlags::ZERO_RANGE);
    let check = |model: &[u8], what: &str| {
        assert_eq!(file.metadata().unwrap().len(), model.len() as u64, "{what}");
        let mut found = vec![1; model.len()];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == model, "{what}");
    };
    let allocate = |flags: FallocateFlags, offset, length| {
        let times = || {
            let of = file.metadata().unwrap();
            ((of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec()))
        };
        let before = times();
        std::thread::sleep(Duration::from_millis(10));
        fallocate(&file, flags, offset, length).unwrap();
        let after = times();
        assert!(after.0 > before.0 && after.1 > before.1, "{flags:?}: {before:?}, {after:?}");
    };
    allocate(keep, 50_000, 200_000);
    allocate(FallocateFlags::empty(), 0, 5_000);
    check(&model, "room beyond the end, and the length stays");
    allocate(FallocateFlags::empty(), 90_000, 20_000);
    model.resize(110_000, 0);
    check(&model, "longer");
    allocate(punch | keep, 5_000, 60_001);
    model[5_000..65_001].fill(0);
    check(&model, "a hole");
    allocate(zero | keep, 65_000, 100_000);
    model[65_000..].fill(0);
    check(&model, "zeroes, and the length stays");
    allocate(zero, 109_000, 3_000);
    model.resize(112_000, 0);
    check(&model, "zeroes, longer");
    for refused in [FallocateFlags::COLLAPSE_RANGE, FallocateFlags::INSERT_RANGE, punch] {
        assert_eq!(fallocate(&file, refused, 0, PAGE as u64), Err(Errno::OPNOTSUPP), "{refused:?}");
    }
    check(&model, "what was refused changed nothing");
}

#[test]
fn holes_are_found_at_the_grain_of_chunks() {
    if !can_mount("holes_are_found_at_the_grain_of_chunks") {
        return;
    }
    let demo = Demo::start();
    let file = file(&demo.path("f"));
    file.write_all_at(b"first", 10).unwrap();
    file.write_all_at(b"third", 2 * CHUNK + 100).unwrap();
    let end = 2 * CHUNK + 105;
    let at = |from| seek(&file, from);
    assert_eq!(at(SeekFrom::Data(0)), Ok(0));
    assert_eq!(at(SeekFrom::Hole(0)), Ok(CHUNK));
    assert_eq!(at(SeekFrom::Data(CHUNK)), Ok(2 * CHUNK));
    assert_eq!(at(SeekFrom::Hole(2 * CHUNK + 3)), Ok(end), "the end is a hole");
    assert_eq!(at(SeekFrom::Data(end)), Err(Errno::NXIO));
    assert_eq!(at(SeekFrom::Hole(end)), Err(Errno::NXIO));
}

#[test]
fn reading_does_not_change_the_access_time_and_setting_it_does() {
    if !can_mount("reading_does_not_change_the_access_time_and_setting_it_does") {
        return;
    }
    let demo = Demo::start();
    fs::write(demo.path("f"), "content").unwrap();
    sh(
        &demo.mountpoint,
        "touch -a -d '2001-02-03 04:05:06.789 UTC' f; mkdir d; touch -a -d '2001-02-03 UTC' d",
    );
    let times = || {
        ["f", "d"].map(|name| fs::metadata(demo.path(name)).unwrap()).map(|of| (of.atime(), of.atime_nsec()))
    };
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = table.lines().find(|line| line.contains(demo.mountpoint.to_str().unwrap())).unwrap();
    assert!(mount.contains(",noatime"), "{mount}");
    let before = times();
    assert_eq!(before[0], (981_173_106, 789_000_000));
    fs::read(demo.path("f")).unwrap();
    fs::read_dir(demo.path("d")).unwrap().count();
    assert_eq!(times(), before);
    // Nor does a write, which changes the other two.
    let old = fs::metadata(demo.path("f")).unwrap();
    fs::write(demo.path("f"), "more").unwrap();
    let new = fs::metadata(demo.path("f")).unwrap();
    assert_eq!(times(), before);
    assert!(
        new.modified().unwrap() > old.modified().unwrap()
            && (new.ctime(), new.ctime_nsec()) > (old.ctime(), old.ctime_nsec())
    );
}

/// A lock of the range on an open file, as another process would see it.
#[allow(unsafe_code, reason = "no safe binding of these locks exists")]
fn lock_range(file: &File, kind: libc::c_int, from: i64, length: i64) -> Result<(), Errno> {
    // SAFETY: all zeroes are a valid flock.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    (lock.l_start, lock.l_len) = (from, length);
    // SAFETY: the descriptor is open and the structure outlives the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if done == 0 { Ok(()) } else { Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()) }
}

#[test]
fn locks_hold_within_one_mount() {
    if !can_mount("locks_hold_within_one_mount") {
        return;
    }
    let demo = Demo::start();
    let (one, two) = (file(&demo.path("f")), file(&demo.path("f")));
    flock(&one, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(flock(&two, FlockOperation::NonBlockingLockShared), Err(Errno::AGAIN));
    // Another process, which waits until it is free.
    let mut waiting = Command::new("flock");
    let waiting = waiting.arg(demo.path("f")).args(["echo", "mine"]).stdout(Stdio::piped()).spawn().unwrap();
    flock(&one, FlockOperation::Unlock).unwrap();
    assert_eq!(text(&waiting.wait_with_output().unwrap()), "mine\n");
    flock(&two, FlockOperation::NonBlockingLockShared).unwrap();
    flock(&one, FlockOperation::NonBlockingLockShared).unwrap();
    drop(two);
    flock(&one, FlockOperation::NonBlockingLockExclusive).unwrap();
    // Ranges.
    let two = file(&demo.path("f"));
    lock_range(&one, libc::F_WRLCK, 0, 100).unwrap();
    lock_range(&two, libc::F_WRLCK, 100, 100).unwrap();
    assert_eq!(lock_range(&two, libc::F_RDLCK, 99, 1), Err(Errno::AGAIN));
    lock_range(&one, libc::F_UNLCK, 50, 50).unwrap();
    lock_range(&two, libc::F_RDLCK, 99, 1).unwrap();
    assert_eq!(lock_range(&two, libc::F_RDLCK, 49, 1), Err(Errno::AGAIN));
}

#[test]
fn a_directory_that_moved_knows_its_new_parent_and_links_count_names() {
    if !can_mount("a_directory_that_moved_knows_its_new_parent_and_links_count_names") {
        return;
    }
    let demo = Demo::start();
    let at = |name: &str| demo.path(name);
    let inode = |name: &str| fs::metadata(at(name)).unwrap().ino();
    let links = |name: &str| fs::metadata(at(name)).unwrap().nlink();
    fs::create_dir_all(at("a/d")).unwrap();
    fs::create_dir(at("b")).unwrap();
    fs::write(at("a/d/f"), "f").unwrap();
    assert_eq!((inode("a/d/.."), links("a"), links("b")), (inode("a"), 3, 2));
    fs::rename(at("a/d"), at("b/d")).unwrap();
    assert_eq!((inode("b/d/.."), links("a"), links("b")), (inode("b"), 2, 3));
    assert_eq!(inode("b/d/../.."), inode("."));
    // Two names of one file: a rename of one over the other does nothing, and each may go alone.
    fs::hard_link(at("b/d/f"), at("g")).unwrap();
    fs::rename(at("g"), at("b/d/f")).unwrap();
    assert_eq!((inode("g"), links("g")), (inode("b/d/f"), 2));
    fs::remove_file(at("b/d/f")).unwrap();
    assert_eq!((links("g"), fs::read_to_string(at("g")).unwrap()), (1, "f".into()));
    assert_eq!(fs::hard_link(at("a"), at("h")).unwrap_err().raw_os_error(), Some(libc::EPERM));
    assert_eq!(fs::rename(at("b"), at("b/d/x")).unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

/// What is left of a listing, in its order, and where each entry ends.
fn rest_of(listing: &mut Dir) -> Vec<(String, i64)> {
    let named = listing
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_str().unwrap().to_owned(), entry.offset()));
    named.filter(|(name, _)| name != "." && name != "..").collect()
}

#[test]
fn a_listing_names_what_stays_exactly_once_whatever_is_made_and_removed_meanwhile() {
    if !can_mount("a_listing_names_what_stays_exactly_once_whatever_is_made_and_removed_meanwhile") {
        return;
    }
    let demo = Demo::start();
    let at = |name: String| demo.path(&format!("d/{name}"));
    fs::create_dir(demo.path("d")).unwrap();
    // Mixed in whatever order the directory has.
    let (stay, go) = (3_000, 1_000);
    (0..stay).for_each(|n| drop(File::create_new(at(format!("{:02}-stays-{n}", n % 97))).unwrap()));
    (0..go).for_each(|n| drop(File::create_new(at(format!("{:02}-goes-{n}", n % 89))).unwrap()));
    let mut listing = Dir::read_from(File::open(demo.path("d")).unwrap()).unwrap();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut offsets = Vec::new();
    let (mut gone, mut made) = (0, 0);
    for entry in listing.by_ref() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap().to_owned();
        offsets.push((name.clone(), entry.offset()));
        *seen.entry(name).or_default() += 1;
        if offsets.len() % 4 == 0 && gone < go {
            fs::remove_file(at(format!("{:02}-goes-{gone}", gone % 89))).unwrap();
            drop(File::create_new(at(format!("{:02}-comes-{made}", made % 97))).unwrap());
            (gone, made) = (gone + 1, made + 1);
        }
    }
    assert!(gone > go / 2, "{gone} were removed meanwhile");
    assert!(seen.values().all(|count| *count == 1), "something is named twice");
    let stays = |name: &str| name.contains("-stays-");
    assert_eq!(seen.keys().filter(|name| stays(name)).count(), stay);
    // From a place within it on: the same, in the same order, as far as it is still there.
    let (_, place) = offsets[offsets.len() / 3];
    let behind = offsets[offsets.len() / 3 + 1..].iter().map(|(name, _)| name).filter(|name| stays(name));
    listing.seek(place).unwrap();
    let again = rest_of(&mut listing);
    assert!(again.iter().map(|(name, _)| name).filter(|name| stays(name)).eq(behind));
    // From the beginning: what is there now.
    listing.rewind();
    let mut now: Vec<String> = rest_of(&mut listing).into_iter().map(|(name, _)| name).collect();
    now.sort();
    let mut there: Vec<String> = fs::read_dir(demo.path("d"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!((now.len(), &now), (stay + go, &there));
}

/// What is left of a hand's listing from a place on.
fn from_place(hand: &mut Hand, place: &str) -> Vec<String> {
    hand.ok(&format!("seek d {place}"));
    let rest = hand.ok("next d 10000");
    rest.split(' ').map(|entry| entry.split_once('@').unwrap().0.to_owned()).collect()
}

#[test]
fn a_place_in_a_listing_stays_good_when_its_entry_goes_and_when_the_master_or_the_mount_begins_anew() {
    let test =
        "a_place_in_a_listing_stays_good_when_its_entry_goes_and_when_the_master_or_the_mount_begins_anew";
    if !can_mount(test) {
        return;
    }
    let demo = Demo::start();
    let at = |name: &str| demo.path(&format!("d/{name}"));
    fs::create_dir(demo.path("d")).unwrap();
    (0..2000).for_each(|n| drop(File::create_new(at(&format!("a-name-of-some-length-{n}"))).unwrap()));
    let listing = || {
        let mut hand = Hand::start();
        hand.ok(&format!("listing d {}", demo.path("d").display()));
        hand
    };
    let mut hand = listing();
    let begun = hand.ok("next d 700");
    let (last, place) = begun.split(' ').next_back().unwrap().split_once('@').unwrap();
    let mut rest = from_place(&mut hand, place);
    assert_eq!(rest.len(), 2002 - 700);
    // The entry at this place goes, the one behind it, one far behind it, and some before it.
    for name in [last, &rest[0].clone(), &rest[900].clone()] {
        fs::remove_file(at(name)).unwrap();
        rest.retain(|other| other != name);
    }
    let before: Vec<&str> = begun.split(' ').filter_map(|entry| entry.split('@').next()).collect();
    let before = before.iter().filter(|name| name.starts_with("a-name") && **name != last);
    before.take(100).for_each(|name| fs::remove_file(at(name)).unwrap());
    assert_eq!(from_place(&mut hand, place), rest, "after the entry has gone");
    let data = demo.data.to_str().unwrap();
    let restart = |name: &str| {
        demo.ask(&["demo", "kill", name, "--data", data]);
        demo.ask(&["demo", "start", name, "--data", data]);
    };
    restart("master");
    assert_eq!(from_place(&mut hand, place), rest, "after a restart of the master");
    drop(hand);
    restart("mount");
    wait_until("it is mounted again", || at(&rest[0]).exists());
    assert_eq!(from_place(&mut listing(), place), rest, "after a restart of the mount");
}

#[test]
fn an_open_directory_that_is_removed_or_replaced_is_empty_and_has_no_name() {
    if !can_mount("an_open_directory_that_is_removed_or_replaced_is_empty_and_has_no_name") {
        return;
    }
    let demo = Demo::start();
    sh(&demo.mountpoint, "mkdir removed replaced other; chmod 750 removed replaced");
    let open = |name: &str, flags: OFlags| {
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(demo.path(name)).unwrap()
    };
    let kept: Vec<File> = ["removed", "replaced"]
        .iter()
        .flat_map(|name| [open(name, OFlags::DIRECTORY), open(name, OFlags::PATH)])
        .collect();
    fs::remove_dir(demo.path("removed")).unwrap();
    fs::rename(demo.path("other"), demo.path("replaced")).unwrap();
    for wait in [0, 1_100] {
        // Also once what the kernel was told of attributes is outdated.
        std::thread::sleep(Duration::from_millis(wait));
        for dir in &kept {
            let known = dir.metadata().unwrap();
            assert_eq!((known.mode(), known.nlink()), (libc::S_IFDIR | 0o750, 0));
            let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
            assert_eq!(fs::read_dir(path).unwrap().count(), 0);
            let make = rustix::fs::openat(dir, "f", OFlags::CREATE | OFlags::RDWR, 0o600.into());
            assert_eq!(make.map(drop), Err(Errno::NOENT));
            let look = rustix::fs::statat(dir, "f", rustix::fs::AtFlags::empty());
            assert_eq!(look.map(drop), Err(Errno::NOENT));
        }
    }
    assert_eq!(fs::metadata(demo.path("replaced")).unwrap().nlink(), 2);
}

#[test]
fn an_open_pipe_that_is_unlinked_or_replaced_stays_until_it_is_closed() {
    if !can_mount("an_open_pipe_that_is_unlinked_or_replaced_stays_until_it_is_closed") {
        return;
    }
    let demo = Demo::start();
    let known = || demo.status()["metadata"]["files"].as_u64().unwrap();
    sh(&demo.mountpoint, "mkfifo unlinked replaced; touch file other");
    // The kernel opens pipes without a word to the mount.
    let pipes = ["unlinked", "replaced"].map(|name| file(&demo.path(name)));
    let before = known();
    fs::remove_file(demo.path("unlinked")).unwrap();
    fs::rename(demo.path("other"), demo.path("replaced")).unwrap();
    for pipe in &pipes {
        pipe.set_permissions(PermissionsExt::from_mode(0o640)).unwrap();
        let found = pipe.metadata().unwrap();
        assert_eq!((found.mode(), found.nlink()), (libc::S_IFIFO | 0o640, 0));
        assert_eq!(rustix::fs::flistxattr(pipe, &mut [0_u8; 16][..]), Ok(0));
        rustix::io::write(pipe, b"through").unwrap();
        let mut found = [0; 7];
        rustix::io::read(pipe, &mut found).unwrap();
        assert_eq!(&found, b"through");
    }
    assert_eq!(known(), before);
    drop(pipes);
    wait_until("they are gone with the last close", || known() == before - 2);
}

/// Runs on a thread of its own that is another user, in these groups, who may do nothing special.
fn as_somebody<T: Send>(groups: &[u32], work: impl FnOnce() -> T + Send) -> T {
    let groups: Vec<_> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let run = || {
        let somebody = Uid::from_raw(1000);
        rustix::thread::set_thread_groups(&groups).unwrap();
        rustix::thread::set_thread_res_gid(groups[0], groups[0], groups[0]).unwrap();
        rustix::thread::set_thread_res_uid(somebody, somebody, somebody).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// A page at a page's border, as a local filesystem wants it for O_DIRECT.
#[repr(align(4096))]
struct Page([u8; PAGE]);

/// What changes content or owner: its name, how the file is opened, and the call.
type Change = (&'static str, OFlags, fn(&File) -> rustix::io::Result<()>);

const CHANGES: [Change; 8] = [
    ("write", OFlags::empty(), |file| rustix::io::write(file, &Page([1; PAGE]).0).map(drop)),
    ("append", OFlags::APPEND, |file| rustix::io::write(file, &Page([1; PAGE]).0).map(drop)),
    ("direct", OFlags::DIRECT, |file| rustix::io::write(file, &Page([1; PAGE]).0).map(drop)),
    ("synced append", OFlags::APPEND.union(OFlags::DSYNC), |file| rustix::io::write(file, b"more").map(drop)),
    ("ftruncate", OFlags::empty(), |file| rustix::fs::ftruncate(file, 10)),
    ("fallocate", OFlags::empty(), |file| fallocate(file, FallocateFlags::empty(), 0, 10_000)),
    ("copy_file_range", OFlags::empty(), |file| {
        rustix::fs::copy_file_range(file, Some(&mut 0), file, Some(&mut 8192), 100).map(drop)
    }),
    ("fchown", OFlags::empty(), |file| rustix::fs::fchown(file, None, Some(Gid::from_raw(2000)))),
];

/// The modes that changes by somebody unprivileged leave of files that belong to the group 2000.
fn modes_left(dir: &Path, groups: &[u32]) -> Vec<(&'static str, u32, rustix::io::Result<()>, u32)> {
    let cases =
        CHANGES.iter().flat_map(|change| [0o2767, 0o2777, 0o4767, 0o6767, 0o6777].map(|mode| (change, mode)));
    let left = |((name, flags, call), mode): (&Change, u32)| {
        let path = dir.join(format!("{name}-{mode:o}-{}", groups.len()));
        fs::write(&path, Page([0; PAGE]).0).unwrap();
        std::os::unix::fs::chown(&path, Some(1000), Some(2000)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let mut open = OpenOptions::new();
        let file = open.read(true).write(true).custom_flags(flags.bits() as i32).open(&path).unwrap();
        let done = as_somebody(groups, || call(&file));
        (*name, mode, done, fs::metadata(&path).unwrap().mode() & 0o7777)
    };
    cases.map(left).collect()
}

#[test]
fn a_change_by_somebody_unprivileged_leaves_of_setuid_and_setgid_what_a_local_filesystem_leaves() {
    let test = "a_change_by_somebody_unprivileged_leaves_of_setuid_and_setgid_what_a_local_filesystem_leaves";
    if !can_mount(test) || !is_root(test) {
        return;
    }
    let demo = Demo::start();
    let local = demo.data.parent().unwrap().join("local");
    fs::create_dir(&local).unwrap();
    for groups in [&[2000][..], &[1000, 2000]] {
        let there = modes_left(&local, groups);
        assert!(there.contains(&("append", 0o2767, Ok(()), 0o2767)));
        assert_eq!(modes_left(&demo.mountpoint, groups), there, "a member of the group");
    }
    for (name, mode, done, left) in modes_left(&demo.mountpoint, &[1000]) {
        let expected = match name {
            "append" | "direct" | "synced append" => mode & 0o777,
            // Where setgid alone is set and runs nothing the kernel leaves it.
            _ if mode == 0o2767 => mode,
            _ => mode & 0o777,
        };
        assert_eq!((done, left), (Ok(()), expected), "{name} {mode:o} by anybody else");
    }
}

#[test]
fn trusted_attributes_are_there_for_administrators_alone() {
    let test = "trusted_attributes_are_there_for_administrators_alone";
    if !can_mount(test) || !is_root(test) {
        return;
    }
    let demo = Demo::start();
    let path = demo.path("f");
    fs::write(&path, "content").unwrap();
    sh(&demo.mountpoint, "chmod 666 f; chmod 755 . ..");
    let (secret, seen) = ("trusted.secret", "user.seen");
    let set = |name: &str| setxattr(&path, name, b"value", XattrFlags::empty());
    set(secret).unwrap();
    set(seen).unwrap();
    let names = || {
        let mut list = [0_u8; 256];
        let length = rustix::fs::listxattr(&path, &mut list[..]).unwrap();
        assert_eq!(rustix::fs::listxattr_query(&path), Ok(length));
        let names = list[..length].split_inclusive(|byte| *byte == 0);
        names.map(|name| String::from_utf8_lossy(&name[..name.len() - 1]).into_owned()).collect::<Vec<_>>()
    };
    let get = |name: &str| rustix::fs::getxattr(&path, name, &mut [0_u8; 16][..]);
    let mut all = names();
    all.sort();
    assert_eq!((all, get(secret)), (vec![secret.to_owned(), seen.to_owned()], Ok(5)));
    as_somebody(&[1000], || {
        assert_eq!(names(), [seen]);
        assert_eq!((get(seen), get(secret)), (Ok(5), Err(Errno::NODATA)));
        assert_eq!((set(seen), set(secret)), (Ok(()), Err(Errno::PERM)));
        assert_eq!(rustix::fs::removexattr(&path, secret), Err(Errno::PERM));
    });
}

#[test]
fn what_is_not_there_is_refused_and_what_has_a_limit_ends_at_it() {
    let test = "what_is_not_there_is_refused_and_what_has_a_limit_ends_at_it";
    if !can_mount(test) || !is_root(test) {
        return;
    }
    let demo = Demo::start();
    let path = demo.path("f");
    fs::write(&path, "content").unwrap();
    let unnamed = rustix::fs::open(&demo.mountpoint, OFlags::TMPFILE | OFlags::RDWR, 0o600.into());
    assert_eq!(unnamed.map(drop), Err(Errno::OPNOTSUPP));
    let whiteout = rustix::fs::RenameFlags::WHITEOUT;
    let renamed = rustix::fs::renameat_with(CWD, &path, CWD, demo.path("g"), whiteout);
    assert_eq!(renamed, Err(Errno::INVAL));
    let asked = rustix::fs::StatxFlags::ALL;
    let told = rustix::fs::statx(CWD, &path, rustix::fs::AtFlags::empty(), asked).unwrap().stx_mask;
    assert_eq!(told & rustix::fs::StatxFlags::BTIME.bits(), 0);
    // The longest file, and the kernel's end of a directory.
    let (long, longest) = (file(&demo.path("long")), 1_u64 << 58);
    long.set_len(longest).unwrap();
    assert_eq!(long.write_at(b"x", longest).unwrap_err().raw_os_error(), Some(libc::EFBIG));
    assert_eq!(long.set_len(longest + 1).unwrap_err().raw_os_error(), Some(libc::EFBIG));
    let directory = File::open(&demo.mountpoint).unwrap();
    assert_eq!(seek(&directory, SeekFrom::End(0)), Ok(directory.metadata().unwrap().len()));
    let set = |name: &str, value: &[u8]| setxattr(&path, name, value, XattrFlags::empty());
    // CAP_NET_RAW, permitted, as the kernel takes it from administrators.
    let capability = [[0, 0, 0, 2], [0, 32, 0, 0], [0; 4], [0; 4], [0; 4]].concat();
    assert_eq!(set("security.capability", &capability), Err(Errno::OPNOTSUPP));
    // All attributes of a file together.
    assert_eq!(set("user.one", &[1; 65_000]), Ok(()));
    assert_eq!(set("user.two", &[2; 65_000]), Err(Errno::NOSPC));
    assert_eq!(rustix::fs::getxattr(&path, "user.one", &mut vec![0; 65_536][..]), Ok(65_000));
    assert_eq!(set("user.one", b"short"), Ok(()));
    assert_eq!(set("user.two", &[2; 65_000]), Ok(()));
    // Times, from 1901 to 2446; what lies outside is the nearest end.
    let (first, last) = (-(1_i64 << 31), (0x3_8000_0000_i64) - 1);
    for (given, kept) in [
        ((first, 1), (first, 1)),
        ((-1, 999_999_999), (-1, 999_999_999)),
        ((last, 999_999_998), (last, 999_999_998)),
        ((first - 1, 0), (first, 0)),
        ((last + 1, 7), (last, 0)),
    ] {
        let time = rustix::fs::Timespec { tv_sec: given.0, tv_nsec: given.1 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, &path, &times, rustix::fs::AtFlags::empty()).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!(
            ((found.atime(), found.atime_nsec()), (found.mtime(), found.mtime_nsec())),
            (kept, kept),
            "{given:?}"
        );
    }
    // Without a name a file that is open with O_PATH alone is gone.
    let held = OpenOptions::new().read(true).custom_flags(OFlags::PATH.bits() as i32).open(&path).unwrap();
    assert_eq!(held.metadata().unwrap().nlink(), 1);
    fs::remove_file(&path).unwrap();
    assert_eq!(rustix::fs::fstat(&held).map(drop), Err(Errno::STALE));
}

/// A program that does something with a file of the mount, and ignores no signal, whoever runs this test.
fn program(demo: &Demo, script: &str) -> Child {
    let mut command = Command::new("bash");
    let script = format!("exec env --default-signal=INT {script}");
    command.current_dir("/").args(["-c", &script, "bash"]).arg(&demo.mountpoint);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn without_a_cluster_every_waiting_program_can_be_ended_also_one_that_catches_the_signal() {
    if !can_mount("without_a_cluster_every_waiting_program_can_be_ended_also_one_that_catches_the_signal") {
        return;
    }
    let demo = Demo::start();
    fs::write(demo.path("f"), bytes(1, 3 << 20)).unwrap();
    let data = demo.data.to_str().unwrap();
    for name in ["master", "cs1", "cs2", "cs3"] {
        demo.ask(&["demo", "kill", name, "--data", data]);
    }
    // dd catches SIGINT, to say how far it came.
    let scripts = [
        "cat $1/f",
        "dd if=$1/f of=/dev/null bs=1M iflag=direct",
        "dd if=/dev/zero of=$1/f bs=4096 count=1 conv=fsync,notrunc",
        "mkdir $1/d",
        "stat $1/nobody",
    ];
    let mut programs: Vec<Child> = scripts.iter().map(|script| program(&demo, script)).collect();
    let waits = |child: &Child| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        let name = stat.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        name.is_some_and(|(name, rest)| {
            !["bash", "env"].contains(&name) && rest.trim_start().starts_with(['S', 'D'])
        })
    };
    wait_until("all of them wait", || programs.iter().all(waits));
    for child in &programs {
        signal(child.id().cast_signed(), rustix::process::Signal::INT);
    }
    for (child, script) in programs.iter_mut().zip(scripts) {
        wait_within(Duration::from_secs(20), script, || child.try_wait().unwrap().is_some());
        assert!(!child.wait().unwrap().success(), "{script}");
    }
    let mut nothing = Vec::new();
    for name in ["master", "cs1", "cs2", "cs3"] {
        demo.ask(&["demo", "start", name, "--data", data]);
    }
    File::open(demo.path("f")).unwrap().read_to_end(&mut nothing).unwrap();
    assert_eq!(nothing.len(), 3 << 20, "and the mount goes on");
}
