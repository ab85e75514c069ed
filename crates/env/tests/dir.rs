//! What every directory promises: the same tests on a real disk and on a simulated one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use env::{Dir, EntryKind, OpenMode, RealDir, SimDisk};
use std::io::ErrorKind;
use std::sync::Arc;

/// Runs a test on both kinds of directories.
fn on_both(test: impl Fn(Arc<dyn Dir>)) {
    let folder = tempfile::tempdir().unwrap();
    test(RealDir::open(folder.path()).unwrap());
    test(SimDisk::new(1, "disk").dir());
}

fn names(dir: &dyn Dir, path: &str) -> Vec<String> {
    let mut names: Vec<_> = dir.list(path).unwrap().into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_back_with_zeroes_in_between() {
    on_both(|dir| {
        let file = dir.open("f", OpenMode::CreateNew).unwrap();
        assert!(file.is_empty().unwrap());
        file.write_at(b"hello", 10_000).unwrap();
        assert_eq!(file.len().unwrap(), 10_005);
        let mut buffer = [0xEE; 20];
        assert_eq!(file.read_at(&mut buffer, 9_995).unwrap(), 10);
        assert_eq!(&buffer[..10], b"\0\0\0\0\0hello");
        assert_eq!(file.read_at(&mut buffer, 10_005).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
        file.sync_data().unwrap();
        let again = dir.open("f", OpenMode::Read).unwrap();
        assert_eq!(again.read_resident_at(&mut buffer[..5], 10_000).unwrap(), Some(5));
        assert_eq!(again.read_resident_at(&mut buffer, 10_000).unwrap(), Some(5), "short at the end only");
        assert!(again.write_at(b"x", 0).is_err());
    });
}

#[test]
fn everything_can_be_synced_at_once_and_no_file_tells_of_a_loss() {
    on_both(|dir| {
        let file = dir.open("f", OpenMode::CreateNew).unwrap();
        file.check_written().unwrap();
        file.write_at(&[1; 100_000], 10_000).unwrap();
        dir.sync_all().unwrap();
        file.check_written().unwrap();
    });
}

#[test]
fn open_modes_are_kept_apart() {
    on_both(|dir| {
        let kind = |mode| dir.open("f", mode).map(drop).map_err(|e| e.kind());
        assert_eq!(kind(OpenMode::Read), Err(ErrorKind::NotFound));
        assert_eq!(kind(OpenMode::ReadWrite), Err(ErrorKind::NotFound));
        assert_eq!(kind(OpenMode::Create), Ok(()));
        assert_eq!(kind(OpenMode::Create), Ok(()));
        assert_eq!(kind(OpenMode::CreateNew), Err(ErrorKind::AlreadyExists));
        assert_eq!(kind(OpenMode::ReadWrite), Ok(()));
        assert_eq!(
            dir.open("missing/f", OpenMode::Create).map(drop).map_err(|e| e.kind()),
            Err(ErrorKind::NotFound)
        );
    });
}

#[test]
fn lengths_shrink_and_grow_with_zeroes() {
    on_both(|dir| {
        let file = dir.open("f", OpenMode::Create).unwrap();
        file.write_at(&[7; 9000], 0).unwrap();
        file.set_len(100).unwrap();
        file.set_len(5000).unwrap();
        let mut buffer = [1; 6000];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 5000);
        assert!(buffer[..100].iter().all(|b| *b == 7) && buffer[100..5000].iter().all(|b| *b == 0));
    });
}

#[test]
fn room_is_reserved_and_given_back() {
    on_both(|dir| {
        let file = dir.open("f", OpenMode::Create).unwrap();
        file.allocate(0, 1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 1 << 20);
        assert!(file.allocated_bytes().unwrap() >= 1 << 20);
        file.write_at(&[7; 64 << 10], 0).unwrap();
        file.punch_hole(4096, 1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 1 << 20, "punching never changes the length");
        let mut buffer = [1; 8192];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8192);
        assert!(buffer[..4096].iter().all(|b| *b == 7) && buffer[4096..].iter().all(|b| *b == 0));
        file.sync_data().unwrap();
        assert!(file.allocated_bytes().unwrap() < 64 << 10);
        file.allocate(0, 0).unwrap();
        file.punch_hole(0, 0).unwrap();
    });
}

#[test]
fn directories_are_made_listed_and_removed() {
    on_both(|dir| {
        dir.create_dir_all("a/b/c").unwrap();
        dir.create_dir_all("a/b").unwrap();
        dir.open("a/f", OpenMode::Create).unwrap();
        dir.open("a/b/g", OpenMode::Create).unwrap();
        let entries = dir.list("a").unwrap();
        assert!(entries.iter().any(|e| e.name == "b" && e.kind == EntryKind::Directory));
        assert!(entries.iter().any(|e| e.name == "f" && e.kind == EntryKind::File));
        assert_eq!(names(&*dir, ""), ["a"]);
        dir.sync_dir("a/b").unwrap();
        dir.sync_dir("").unwrap();
        assert!(dir.exists("a/b/g").unwrap() && !dir.exists("a/x").unwrap() && !dir.exists("x/y").unwrap());
        assert!(dir.create_dir_all("a/f").is_err(), "a file is in the way");
        assert!(dir.remove("a/b").is_err(), "remove is for files");
        dir.remove_dir_all("a").unwrap();
        assert!(names(&*dir, "").is_empty());
        assert_eq!(dir.list("a").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(dir.remove("a").unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn renames_replace_files_and_open_files_live_on() {
    on_both(|dir| {
        dir.create_dir_all("d").unwrap();
        let old = dir.open("old", OpenMode::Create).unwrap();
        old.write_at(b"old", 0).unwrap();
        let new = dir.open("new", OpenMode::Create).unwrap();
        new.write_at(b"new", 0).unwrap();
        dir.rename("new", "old").unwrap();
        dir.rename("old", "d/final").unwrap();
        assert_eq!(names(&*dir, "d"), ["final"]);
        let mut buffer = [0; 3];
        dir.open("d/final", OpenMode::Read).unwrap().read_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"new");
        old.read_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"old", "replaced, but open");
        dir.remove("d/final").unwrap();
        new.read_at(&mut buffer, 0).unwrap();
        assert_eq!(&buffer, b"new", "removed, but open");
        assert_eq!(dir.rename("none", "x").unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_directory_is_taken_by_one_holder_at_a_time() {
    on_both(|dir| {
        let lock = dir.lock("lock").unwrap();
        let error = dir.lock("lock").map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        if dir.real_path().is_some() {
            let pid = std::process::id().to_string();
            assert!(error.to_string().contains(&pid), "{error} names {pid}");
        }
        drop(lock);
        dir.lock("lock").map(drop).unwrap();
    });
}

#[test]
fn paths_cannot_leave_the_directory() {
    on_both(|dir| {
        for path in ["../x", "/etc/passwd", "a/../../x", ""] {
            assert_eq!(
                dir.open(path, OpenMode::Create).map(drop).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{path:?}"
            );
        }
        assert!(dir.list("..").is_err() && dir.remove_dir_all("").is_err());
    });
}

#[test]
fn space_and_identity_are_told() {
    on_both(|dir| {
        let space = dir.space().unwrap();
        assert!(space.total_bytes > 0 && space.free_bytes <= space.total_bytes);
        let identity = dir.identity().unwrap();
        assert!(!identity.filesystem.is_empty() && identity.filesystem != "unknown");
        assert_eq!(dir.identity().unwrap(), identity);
    });
}
