//! One cluster mounted twice: what programs on two machines may rely on.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Lines of each writer.
const LINES: usize = 300;

/// A further mount of a demo's cluster; killed and detached when dropped.
struct SecondMount {
    dir: PathBuf,
    child: Child,
}

impl SecondMount {
    fn start(demo: &Demo) -> Self {
        let dir = demo.data.parent().unwrap().join("second");
        fs::create_dir_all(&dir).unwrap();
        let master = demo.json()["master"].as_str().unwrap().to_owned();
        let mut command = demo.muskox(&["mount", &master]);
        let child = command.arg(&dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
        wait_until("it is mounted", || mounts().contains(dir.to_str().unwrap()));
        Self { dir, child }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for SecondMount {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = rustix::mount::unmount(&self.dir, rustix::mount::UnmountFlags::DETACH);
    }
}

fn append_to(path: &Path) -> File {
    OpenOptions::new().append(true).open(path).unwrap()
}

/// Appends lines of many lengths; `reopen`: as a shell's `>>` does.
fn append_lines(path: &Path, writer: usize, reopen: bool) {
    let mut file = append_to(path);
    for n in 0..LINES {
        if reopen {
            file = append_to(path);
        }
        let filler = "x".repeat((n * 37 + writer * 11) % 400);
        file.write_all(format!("{writer} {n} {filler}\n").as_bytes()).unwrap();
    }
}

/// How many lines of each writer there are; each must be whole, and those of one writer in order.
fn check_lines(text: &str) -> BTreeMap<usize, usize> {
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let mut number = || words.next().unwrap().parse::<usize>().unwrap_or_else(|_| panic!("{line:?}"));
        let (writer, n) = (number(), number());
        let filler = words.next().unwrap();
        assert_eq!(filler, "x".repeat((n * 37 + writer * 11) % 400), "line {n} of writer {writer}");
        let expected = next.entry(writer).or_default();
        assert_eq!(n, *expected, "writer {writer}");
        *expected += 1;
    }
    next
}

#[test]
fn appends_of_two_mounts_neither_overlap_nor_vanish() {
    if !can_mount("appends_of_two_mounts_neither_overlap_nor_vanish") {
        return;
    }
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    File::create_new(demo.path("log")).unwrap();
    let paths = [demo.path("log"), second.dir.join("log")];
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &paths[writer % 2];
            scope.spawn(move || append_lines(path, writer, writer < 2));
        }
    });
    for path in &paths {
        let counts = check_lines(&fs::read_to_string(path).unwrap());
        assert_eq!(counts, (0..4).map(|writer| (writer, LINES)).collect(), "{}", path.display());
    }
}

#[test]
fn a_file_that_one_mount_writes_all_the_time_is_read_by_the_other_without_an_error() {
    if !can_mount("a_file_that_one_mount_writes_all_the_time_is_read_by_the_other_without_an_error") {
        return;
    }
    const MIB: usize = 1 << 20;
    const LENGTH: usize = 16 * MIB;
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    fs::write(demo.path("f"), vec![1; LENGTH]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = OpenOptions::new().write(true).open(demo.path("f")).unwrap();
            for round in 2.. {
                for at in (0..LENGTH).step_by(MIB) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    file.write_all_at(&vec![round as u8 | 1; MIB], at as u64).unwrap();
                }
            }
        });
        let read = || -> std::io::Result<()> {
            let mut piece = vec![0; MIB];
            for _ in 0..40 {
                let mut file = File::open(second.dir.join("f"))?;
                for _ in 0..LENGTH / MIB {
                    file.read_exact(&mut piece)?;
                    let whole = |page: &[u8]| page[0] != 0 && page.iter().all(|byte| *byte == page[0]);
                    assert!(piece.chunks(4096).all(whole), "a page of two writes");
                }
            }
            Ok(())
        };
        let outcome = std::panic::catch_unwind(read);
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap().unwrap();
    });
}

#[test]
fn a_program_that_appends_and_reads_finds_what_the_other_mount_appended_in_between() {
    if !can_mount("a_program_that_appends_and_reads_finds_what_the_other_mount_appended_in_between") {
        return;
    }
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    fs::write(demo.path("log"), "one\n").unwrap();
    let mut here = OpenOptions::new().read(true).append(true).open(demo.path("log")).unwrap();
    let mut text = String::new();
    here.read_to_string(&mut text).unwrap();
    append_to(&second.dir.join("log")).write_all(b"two\n").unwrap();
    // This kernel believes that the file ends after "one".
    here.write_all(b"three\n").unwrap();
    wait_until("the whole file is seen", || {
        fs::read_to_string(demo.path("log")).unwrap() == "one\ntwo\nthree\n"
    });
    drop(here);
    assert_eq!(fs::read_to_string(second.dir.join("log")).unwrap(), "one\ntwo\nthree\n");
}

#[test]
fn a_mount_that_dies_while_it_appends_holds_up_the_other_one_for_seconds_only() {
    if !can_mount("a_mount_that_dies_while_it_appends_holds_up_the_other_one_for_seconds_only") {
        return;
    }
    let demo = Demo::start();
    let mut second = SecondMount::start(&demo);
    fs::write(demo.path("log"), "").unwrap();
    let mut there = append_to(&second.dir.join("log"));
    there.write_all(b"0 0 \n").unwrap();
    there.sync_all().unwrap();
    there.write_all(b"never stored").unwrap();
    second.kill();
    let mut here = append_to(&demo.path("log"));
    // Within the mount's limit, or it fails with EIO.
    here.write_all(b"1 0 xxxxxxxxxxx\n").unwrap();
    here.sync_all().unwrap();
    let text = fs::read_to_string(demo.path("log")).unwrap();
    assert!(
        ["0 0 \n1 0 xxxxxxxxxxx\n", "0 0 \nnever stored1 0 xxxxxxxxxxx\n"].contains(&text.as_str()),
        "{text:?}"
    );
}

#[test]
fn a_mount_that_was_stopped_does_not_write_over_what_another_one_appended() {
    if !can_mount("a_mount_that_was_stopped_does_not_write_over_what_another_one_appended") {
        return;
    }
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    fs::write(demo.path("log"), "first\n").unwrap();
    let mut there = append_to(&second.dir.join("log"));
    there.write_all(b"held back\n").unwrap();
    let pid = second.child.id().cast_signed();
    signal(pid, rustix::process::Signal::STOP);
    let mut here = append_to(&demo.path("log"));
    here.write_all(b"went on\n").unwrap();
    here.sync_all().unwrap();
    signal(pid, rustix::process::Signal::CONT);
    // It is given a copy of each descriptor, and closes it: what that reports nobody hears.
    assert!(std::process::Command::new("true").status().unwrap().success());
    let reported = there.sync_all();
    let seen = || fs::read_to_string(demo.path("log")).unwrap();
    match reported {
        Ok(()) => {
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while seen() != "first\nheld back\nwent on\n" && std::time::Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
            assert_eq!(seen(), "first\nheld back\nwent on\n");
        }
        Err(_) => assert_eq!(seen(), "first\nwent on\n"),
    }
    there.write_all(b"again\n").unwrap();
    there.sync_all().unwrap();
    assert!(seen().ends_with("went on\nagain\n"), "{:?}", seen());
}

#[test]
fn a_file_that_another_mount_closed_is_read_whole_at_the_next_open() {
    if !can_mount("a_file_that_another_mount_closed_is_read_whole_at_the_next_open") {
        return;
    }
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    let mut expected = String::new();
    for n in 0..50 {
        let line = format!("line {n}\n");
        expected += &line;
        if n % 2 == 0 {
            fs::write(second.dir.join("f"), &expected).unwrap();
        } else {
            let mut whole = OpenOptions::new().write(true).open(second.dir.join("f")).unwrap();
            whole.write_all(expected.as_bytes()).unwrap();
        }
        // Well within the time for which the kernel may show attributes.
        assert_eq!(fs::read_to_string(demo.path("f")).unwrap(), expected, "round {n}");
    }
}
