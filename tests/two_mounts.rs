//! One cluster mounted twice: what programs on two machines may rely on.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hand.rs"]
mod hand;

use common::*;
use hand::Hand;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Barrier;
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
fn what_is_appended_behind_another_mount_is_in_a_mapping_at_once_also_by_a_handle_that_appends_only_later() {
    let test = "what_is_appended_behind_another_mount_is_in_a_mapping_at_once_also_by_a_handle_that_appends_only_later";
    if !can_mount(test) {
        return;
    }
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    let (here, there) = (demo.path("f"), second.dir.join("f"));
    let mut model = bytes(1, 100);
    fs::write(&here, &model).unwrap();
    let [mut reader, mut writer] = std::array::from_fn(|_| Hand::start());
    reader.ok(&format!("open f {} rw", here.display()));
    reader.ok("map m f shared 4096");
    writer.ok(&format!("open early {} w+append", here.display()));
    writer.ok(&format!("open late {} w", here.display()));
    writer.ok("append late");
    for round in 0..8 {
        // The only page of the file is cached here, and this kernel is not told where the end is.
        let from = model.len();
        assert_eq!(reader.ok(&format!("peek m {}", from - 1)), model[from - 1].to_string());
        model.extend(bytes(10 + round, 250));
        append_to(&there).write_all(&model[from..]).unwrap();
        let handle = if round % 2 == 0 { "late" } else { "early" };
        writer.ok(&format!("write {handle} {} 200", 20 + round));
        model.extend(bytes(20 + round, 200));
        let mut shows = |at: usize| reader.ok(&format!("peek m {at}")) == model[at].to_string();
        wait_until("the mapping shows it", || (from..model.len()).all(&mut shows));
    }
    writer.ok("close late");
    writer.ok("close early");
    assert!(fs::read(&here).unwrap() == model && fs::read(&there).unwrap() == model);
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

#[test]
fn o_excl_lets_exactly_one_process_of_both_mounts_make_a_name() {
    if !can_mount("o_excl_lets_exactly_one_process_of_both_mounts_make_a_name") {
        return;
    }
    const NAMES: usize = 100;
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    let places = [&demo.mountpoint, &second.dir, &demo.mountpoint, &second.dir];
    let begin = Barrier::new(places.len());
    let race = |who: usize| -> Vec<std::io::Result<()>> {
        let make = |name: usize| {
            begin.wait();
            File::create_new(places[who].join(format!("f{name}")))?.write_all(&[b'0' + who as u8])
        };
        (0..NAMES).map(make).collect()
    };
    let outcomes: Vec<Vec<std::io::Result<()>>> = std::thread::scope(|scope| {
        let race = &race;
        let threads: Vec<_> = (0..places.len()).map(|who| scope.spawn(move || race(who))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for name in 0..NAMES {
        let made: Vec<usize> = (0..places.len()).filter(|who| outcomes[*who][name].is_ok()).collect();
        assert_eq!(made.len(), 1, "f{name} was made by {made:?}");
        for outcome in outcomes.iter().filter_map(|of| of[name].as_ref().err()) {
            assert_eq!(outcome.kind(), ErrorKind::AlreadyExists, "f{name}: {outcome}");
        }
        for place in &places[..2] {
            assert_eq!(fs::read(place.join(format!("f{name}"))).unwrap(), [b'0' + made[0] as u8], "f{name}");
        }
    }
}

/// Appends pieces of so many bytes by a process each, all at the same time: to which path, and from memory that begins how far
/// behind a page's border. Every piece must be there, whole and once.
fn append_pieces(length: usize, writers: &[(PathBuf, usize)]) {
    const EACH: u64 = 16;
    let mut hands: Vec<Hand> = writers.iter().map(|_| Hand::start()).collect();
    for (hand, (path, _)) in hands.iter_mut().zip(writers) {
        hand.ok(&format!("open f {} w+create+append", path.display()));
    }
    for (number, (hand, (_, behind))) in (0..).zip(hands.iter_mut().zip(writers)) {
        hand.tell(&format!("writes f {} {EACH} {length} {behind}", number * EACH));
    }
    hands.iter_mut().for_each(|hand| drop(hand.answer().unwrap().unwrap()));
    hands.iter_mut().for_each(|hand| drop(hand.ok("close f")));
    let pieces = 0..EACH * writers.len() as u64;
    let expected: BTreeSet<_> = pieces.map(|n| *blake3::hash(&bytes(n, length)).as_bytes()).collect();
    for (path, _) in writers {
        let content = fs::read(path).unwrap();
        assert_eq!(content.len(), expected.len() * length);
        let found = content.chunks(length).map(|piece| *blake3::hash(piece).as_bytes()).collect();
        assert!(expected == found, "pieces were cut in {}", path.display());
    }
}

#[test]
fn appends_of_a_mebibyte_by_several_processes_stay_in_one_piece() {
    if !can_mount("appends_of_a_mebibyte_by_several_processes_stay_in_one_piece") {
        return;
    }
    const MIB: usize = 1 << 20;
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    // Within one mount wherever their memory begins; between mounts if the kernel can make one request of them, of 256 pages.
    append_pieces(MIB, &[0, 16, 2048, 4095].map(|behind| (demo.path("one"), behind)));
    let of_both = |name: &str, behind: usize| {
        let paths = [demo.path(name), second.dir.join(name)];
        [0, 1, 0, 1].map(|which: usize| (paths[which].clone(), behind))
    };
    append_pieces(MIB, &of_both("aligned", 0));
    append_pieces(MIB - 4096, &of_both("anywhere", 16));
}

#[test]
fn what_is_written_through_a_shared_mapping_is_seen_by_the_other_mount_after_msync_or_close() {
    if !can_mount("what_is_written_through_a_shared_mapping_is_seen_by_the_other_mount_after_msync_or_close")
    {
        return;
    }
    let demo = Demo::start();
    let second = SecondMount::start(&demo);
    let mut model = bytes(1, 10_000);
    fs::write(demo.path("f"), &model).unwrap();
    let there = || fs::read(second.dir.join("f")).unwrap();
    assert!(there() == model);
    let [mut one, mut other] = std::array::from_fn(|_| Hand::start());
    for hand in [&mut one, &mut other] {
        hand.ok(&format!("open f {} rw", demo.path("f").display()));
        hand.ok("map m f shared 10000");
    }
    other.ok("map p f private 10000");
    let poke = |hand: &mut Hand, mapping: &str, at: usize, byte: u8| {
        hand.ok(&format!("poke {mapping} {at} {byte}"));
        byte
    };
    let peek = |hand: &mut Hand, mapping: &str, at: usize| hand.ok(&format!("peek {mapping} {at}"));
    let first = model.clone();
    let changed = |at: usize| first[at].wrapping_add(1);
    // Another process of this mount sees it at once, the other mount after msync.
    model[5000] = poke(&mut one, "m", 5000, changed(5000));
    assert_eq!(peek(&mut other, "m", 5000), model[5000].to_string());
    one.ok("msync m");
    assert!(there() == model, "after msync");
    // Also when nobody syncs: by the end of the mapping and a close.
    model[9999] = poke(&mut one, "m", 9999, changed(9999));
    one.ok("unmap m");
    one.ok("close f");
    assert!(there() == model, "after munmap and close");
    // What is private stays so, and goes on to show the rest.
    poke(&mut other, "p", 100, changed(100));
    assert_eq!(peek(&mut other, "p", 100), changed(100).to_string());
    assert_eq!(peek(&mut other, "p", 9999), model[9999].to_string());
    other.ok("msync p");
    other.ok("unmap p");
    other.ok("close f");
    assert!(there() == model && fs::read(demo.path("f")).unwrap() == model, "what was private was stored");
}
