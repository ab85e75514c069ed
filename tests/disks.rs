//! Disks that are full, fail, hang or come back, with real processes on small filesystems of their own.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/loops.rs"]
mod loops;
use common::*;
use loops::*;
use std::fs::{self, File};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// A writer without room is told within this time; it does not wait for its timeout of a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Writes a file and fsyncs it.
fn store(demo: &Demo, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(demo.path(name))?;
    file.write_all(content)?;
    file.sync_all()
}

fn is_full(result: &io::Result<()>) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(libc::ENOSPC))
}

/// Servers that hold the first chunk of a file.
fn holders(demo: &Demo, name: &str) -> Vec<String> {
    let info = demo.ask(&["file", "info", "--json", demo.path(name).to_str().unwrap()]);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let replicas = info["chunks"][0]["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| replica["serverName"].as_str().unwrap().to_owned()).collect()
}

/// The disk at a place below the demo's data, as `status` shows it.
fn disk(demo: &Demo, place: &str) -> serde_json::Value {
    let status = demo.status();
    let disks = status["disks"].as_array().unwrap();
    disks.iter().find(|disk| disk["path"].as_str().unwrap().ends_with(place)).cloned().unwrap_or_default()
}

/// Why the disk at a place is not of full use.
fn trouble(demo: &Demo, place: &str) -> Option<String> {
    let status = demo.status();
    let refused = status["refusedDisks"].as_array().unwrap();
    let refused = refused.iter().find(|disk| disk["path"].as_str().unwrap().ends_with(place))?;
    Some(refused["state"].as_str().unwrap().to_owned())
}

fn is_healed(demo: &Demo, chunks: u64) -> bool {
    let counts = demo.status()["chunks"].clone();
    let count = |what: &str| counts[what].as_u64().unwrap();
    count("ok") == chunks && count("endangered") + count("undergoal") + count("missing") == 0
}

/// Files that are written, rewritten and read all the time by two threads, none of which may see an error.
struct Load {
    ends: std::sync::Arc<std::sync::atomic::AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Duration>>,
}

impl Load {
    /// `files` are there and do not change.
    fn begin(demo: &Demo, files: &[(String, Vec<u8>)]) -> Self {
        let ends = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_over = {
            let ends = ends.clone();
            move || ends.load(std::sync::atomic::Ordering::Relaxed)
        };
        let root = demo.mountpoint.clone();
        let (over, dir) = (is_over.clone(), root.clone());
        let writer = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            for n in 0u64.. {
                if over() {
                    break;
                }
                let (path, begun) = (dir.join(format!("load{}", n % 6)), Instant::now());
                let content = bytes(n, 300_000);
                let mut file =
                    fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).unwrap();
                file.write_all(&content).unwrap_or_else(|error| panic!("write {n}: {error}"));
                file.sync_all().unwrap_or_else(|error| panic!("fsync {n}: {error}"));
                drop(file);
                longest = longest.max(begun.elapsed());
                assert!(fs::read(&path).unwrap() == content, "what was fsynced by write {n}");
            }
            longest
        });
        let files = files.to_vec();
        let reader = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !is_over() {
                for (name, content) in &files {
                    let begun = Instant::now();
                    let found = fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
                    longest = longest.max(begun.elapsed());
                    assert!(found == *content, "{name}");
                }
            }
            longest
        });
        Self { ends, threads: vec![writer, reader] }
    }

    /// The longest write with its fsync, and the longest read of a file.
    fn end(self) -> [Duration; 2] {
        self.ends.store(true, std::sync::atomic::Ordering::Relaxed);
        let longest: Vec<_> = self.threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        longest.try_into().unwrap()
    }
}

/// Three servers with one disk each, of which the first's is a filesystem of its own, and files on them.
fn three(mib: u64) -> (Cluster, Vec<(String, Vec<u8>)>) {
    let cluster = Cluster::start(&["--chunkservers", "3", "--disks", "1"], &[("cs1/d1", mib)]);
    let files: Vec<_> = (0..12).map(|n| (format!("f{n}"), bytes(n, 400_000 + 1_000 * n as usize))).collect();
    for (name, content) in &files {
        store(&cluster.demo, name, content).unwrap();
    }
    (cluster, files)
}

/// After a disk went: nobody saw an error, the replicas are made again on the others, and when the disk is well it is
/// taken again without a restart.
fn goes_and_comes_back(expected: &str, go: impl FnOnce(&Loop), come_back: impl FnOnce(&Loop)) {
    let (cluster, files) = three(1_500);
    let (demo, place) = (&cluster.demo, "cs1/d1");
    assert!(disk(demo, place)["chunks"].as_u64().unwrap() > 0);
    let load = Load::begin(demo, &files);
    go(&cluster.loops[0]);
    wait_until("it is shown why the disk is not served", || {
        trouble(demo, place).as_deref() == Some(expected)
    });
    assert_eq!(disk(demo, place)["state"], "failed");
    let chunks = || demo.status()["chunks"]["mapped"].as_u64().unwrap();
    wait_within(Duration::from_secs(90), "everything has two replicas on the others", || {
        files.iter().all(|(name, _)| {
            let holders = holders(demo, name);
            holders.len() == 2 && !holders.contains(&"cs1".to_owned())
        })
    });
    let [writing, reading] = load.end();
    assert!(
        writing < Duration::from_secs(30) && reading < Duration::from_secs(15),
        "{writing:?} {reading:?}"
    );
    come_back(&cluster.loops[0]);
    wait_within(Duration::from_secs(90), "the disk is taken again", || {
        trouble(demo, place).is_none() && disk(demo, place)["state"] == "ok"
    });
    wait_within(Duration::from_secs(90), "all is well", || is_healed(demo, chunks()));
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
    let fresh: Vec<_> = (0..12).map(|n| (format!("g{n}"), bytes(100 + n, 100_000))).collect();
    for (name, content) in &fresh {
        store(demo, name, content).unwrap();
    }
    assert!(
        fresh.iter().any(|(name, _)| holders(demo, name).contains(&"cs1".to_owned())),
        "it is used again"
    );
}

#[test]
fn a_disk_whose_files_return_eio_is_given_up_healed_from_the_others_and_taken_again() {
    if can_loop("a_disk_whose_files_return_eio_is_given_up_healed_from_the_others_and_taken_again") {
        goes_and_comes_back("failed", Loop::shut_down, |disk| {
            disk.pull();
            disk.mount_again();
        });
    }
}

#[test]
fn a_disk_that_is_pulled_is_given_up_and_the_empty_directory_below_it_is_not_taken_for_a_new_one() {
    if can_loop(
        "a_disk_that_is_pulled_is_given_up_and_the_empty_directory_below_it_is_not_taken_for_a_new_one",
    ) {
        goes_and_comes_back("blank", Loop::pull, |disk| {
            assert!(fs::read_dir(&disk.mountpoint).unwrap().next().is_none(), "nothing was made there");
            disk.mount_again();
        });
    }
}

#[test]
fn a_disk_whose_directory_is_renamed_away_is_given_up_and_taken_again_when_it_is_back() {
    if !can_mount("a_disk_whose_directory_is_renamed_away_is_given_up_and_taken_again_when_it_is_back") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "1"]);
    let files: Vec<_> = (0..12).map(|n| (format!("f{n}"), bytes(n, 100_000))).collect();
    for (name, content) in &files {
        store(&demo, name, content).unwrap();
    }
    let (at, away) = (demo.data.join("cs1/d1"), demo.data.join("cs1/away"));
    let load = Load::begin(&demo, &files);
    fs::rename(&at, &away).unwrap();
    wait_until("it is shown as absent", || trouble(&demo, "cs1/d1").as_deref() == Some("absent"));
    wait_within(Duration::from_secs(90), "everything has two replicas on the others", || {
        files.iter().all(|(name, _)| {
            let holders = holders(&demo, name);
            holders.len() == 2 && !holders.contains(&"cs1".to_owned())
        })
    });
    assert!(!at.exists(), "it is not made anew");
    load.end();
    fs::rename(&away, &at).unwrap();
    wait_until("it is taken again", || {
        trouble(&demo, "cs1/d1").is_none() && disk(&demo, "cs1/d1")["state"] == "ok"
    });
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
}

#[test]
fn a_disk_that_is_remounted_read_only_is_read_and_takes_nothing_until_it_is_writable() {
    if !can_loop("a_disk_that_is_remounted_read_only_is_read_and_takes_nothing_until_it_is_writable") {
        return;
    }
    let (cluster, files) = three(1_500);
    let demo = &cluster.demo;
    let load = Load::begin(demo, &files);
    // Refused while files are open for writing; the kernel does the same to a filesystem that it found damaged.
    let mut triggers =
        fs::read_dir("/sys/fs/ext4").unwrap().flatten().map(|entry| entry.path().join("trigger_fs_error"));
    let device = ok({
        let mut findmnt = std::process::Command::new("findmnt");
        findmnt.args(["-no", "SOURCE"]).arg(&cluster.loops[0].mountpoint);
        findmnt
    });
    let device = text(&device).trim().trim_start_matches("/dev/").to_owned();
    cluster.loops[0].remount("errors=remount-ro");
    let trigger = triggers.find(|path| path.to_str().unwrap().contains(&device)).unwrap();
    fs::write(trigger, "a test").unwrap();
    wait_until("it is shown as read-only or failed", || trouble(demo, "cs1/d1").is_some());
    let [writing, _] = load.end();
    assert!(writing < Duration::from_secs(30), "{writing:?}");
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
        store(demo, name, content).unwrap();
    }
}

#[test]
fn a_disk_that_hangs_is_shown_costs_nobody_an_error_and_comes_back_by_itself() {
    if !can_loop("a_disk_that_hangs_is_shown_costs_nobody_an_error_and_comes_back_by_itself")
        || !has_program("a_disk_that_hangs", "fsfreeze")
    {
        return;
    }
    let (cluster, files) = three(1_500);
    let demo = &cluster.demo;
    let load = Load::begin(demo, &files);
    cluster.loops[0].freeze();
    wait_until("it is shown as hanging", || trouble(demo, "cs1/d1").as_deref() == Some("hanging"));
    let servers = demo.status()["servers"].as_array().unwrap().clone();
    assert!(servers.iter().all(|server| server["state"] == "up"), "{servers:?}");
    wait_within(Duration::from_secs(60), "it counts as failed", || disk(demo, "cs1/d1")["state"] == "failed");
    wait_within(Duration::from_secs(90), "everything has two replicas on the others", || {
        files.iter().all(|(name, _)| !holders(demo, name).contains(&"cs1".to_owned()))
    });
    let [writing, reading] = load.end();
    eprintln!("longest: write {writing:?}, read {reading:?}");
    // A writer of its chunks waits until it counts as failed, after 30 s.
    assert!(writing < Duration::from_secs(60) && reading < Duration::from_secs(5), "{writing:?} {reading:?}");
    cluster.loops[0].thaw();
    wait_until("it is back", || trouble(demo, "cs1/d1").is_none() && disk(demo, "cs1/d1")["state"] == "ok");
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
}

#[test]
fn a_chunkserver_that_is_stopped_costs_a_reader_a_fraction_of_a_second() {
    if !can_mount("a_chunkserver_that_is_stopped_costs_a_reader_a_fraction_of_a_second") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "1"]);
    let files: Vec<_> = (0..24).map(|n| (format!("f{n}"), bytes(n, 900_000))).collect();
    for (name, content) in &files {
        store(&demo, name, content).unwrap();
    }
    let data = demo.data.to_str().unwrap();
    // A mount that has read nothing.
    demo.ask(&["demo", "kill", "mount", "--data", data]);
    demo.ask(&["demo", "start", "mount", "--data", data]);
    for (name, content) in &files[..4] {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
    signal(demo.pid("cs1"), rustix::process::Signal::STOP);
    let mut longest = Duration::ZERO;
    for (name, content) in &files[4..] {
        let begun = Instant::now();
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
        longest = longest.max(begun.elapsed());
    }
    signal(demo.pid("cs1"), rustix::process::Signal::CONT);
    eprintln!("longest read {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[test]
fn a_chunkserver_that_may_have_no_more_files_open_goes_on_and_blames_no_disk() {
    if !can_mount("a_chunkserver_that_may_have_no_more_files_open_goes_on_and_blames_no_disk") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "2", "--disks", "1"]);
    let files: Vec<_> = (0..200).map(|n| (format!("f{n}"), bytes(n, 5_000))).collect();
    let pid = rustix::process::Pid::from_raw(demo.pid("cs1"));
    let open = || fs::read_dir(format!("/proc/{}/fd", demo.pid("cs1"))).unwrap().count() as u64;
    for (name, content) in &files[..100] {
        store(&demo, name, content).unwrap();
    }
    let before = open();
    assert!(before > 100, "{before} files are open");
    let few = rustix::process::Rlimit { current: Some(before), maximum: Some(before) };
    rustix::process::prlimit(pid, rustix::process::Resource::Nofile, few).unwrap();
    for (name, content) in &files[100..] {
        store(&demo, name, content).unwrap();
    }
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
    assert_eq!(trouble(&demo, "cs1/d1"), None);
    assert_eq!(disk(&demo, "cs1/d1")["state"], "ok");
    // A chain that could not reach its other member for want of a socket has gone on without it.
    wait_within(Duration::from_secs(90), "all have two replicas", || is_healed(&demo, 200));
}

/// Lets a process open no further file; what it has open stays.
fn no_more_files(pid: i32) -> rustix::process::Rlimit {
    let is_open = |fd: &u64| fs::symlink_metadata(format!("/proc/{pid}/fd/{fd}")).is_ok();
    // Numbers are given from below.
    let current = (0..).find(|fd| !is_open(fd));
    let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit_files(pid, rustix::process::Rlimit { current, maximum: before.maximum });
    before
}

fn limit_files(pid: i32, limit: rustix::process::Rlimit) {
    let pid = rustix::process::Pid::from_raw(pid);
    rustix::process::prlimit(pid, rustix::process::Resource::Nofile, limit).unwrap();
}

#[test]
fn a_master_that_may_have_no_more_files_open_refuses_what_needs_one_and_loses_nothing() {
    if !can_mount("a_master_that_may_have_no_more_files_open_refuses_what_needs_one_and_loses_nothing") {
        return;
    }
    let mut demo = Demo::start_with(&["--chunkservers", "2", "--disks", "1"]);
    let files: Vec<_> = (0..20).map(|n| (format!("f{n}"), bytes(n, 50_000))).collect();
    let value = bytes(2, 60_000);
    let stored = |demo: &Demo, some: &[(String, Vec<u8>)]| {
        some.iter().for_each(|(name, content)| store(demo, name, content).unwrap());
    };
    stored(&demo, &files[..10]);
    let pid = demo.pid("master");
    let before = no_more_files(pid);
    // Sessions go on; whoever comes anew is told, or waits.
    stored(&demo, &files[10..]);
    let begun = Instant::now();
    let asked = demo.muskox(&["status", "--json"]).output().unwrap();
    assert!(!asked.status.success() && !asked.stderr.is_empty(), "{asked:?}");
    assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
    // The log cannot go on in a further segment. Each change carries much to it.
    let change = |n: u32| {
        let path = demo.path(&format!("x{n}"));
        File::create(&path)?;
        rustix::fs::setxattr(&path, "user.n", &value, rustix::fs::XattrFlags::empty())
            .map_err(io::Error::from)
    };
    let mut done = 0;
    let refused = loop {
        match change(done) {
            Ok(()) => done += 1,
            refused => break refused,
        }
        assert!(done < 10_000, "the log found files to open");
    };
    assert!(is_full(&refused), "{refused:?} after {done}");
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
    assert_eq!((is_alive(pid), demo.pid("master")), (true, pid));
    limit_files(pid, before);
    wait_until("changes are taken again", || change(done).is_ok());
    File::open(&demo.mountpoint).unwrap().sync_all().unwrap();
    demo.kill_all();
    demo.run(&["--chunkservers", "2", "--disks", "1"]);
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
    for n in 0..=done {
        let mut found = vec![0; value.len()];
        let length = rustix::fs::getxattr(demo.path(&format!("x{n}")), "user.n", &mut found[..]).unwrap();
        assert!(length == value.len() && found == value, "x{n}");
    }
}

#[test]
fn a_mount_that_may_have_no_more_files_open_waits_for_one() {
    if !can_mount("a_mount_that_may_have_no_more_files_open_waits_for_one") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "2", "--disks", "1"]);
    let content = bytes(1, 300_000);
    let pid = demo.pid("mount");
    // It has no connection to a chunkserver so far.
    let before = no_more_files(pid);
    let ended = std::thread::scope(|scope| {
        let writer = scope.spawn(|| store(&demo, "f", &content));
        std::thread::sleep(Duration::from_secs(3));
        let ended = writer.is_finished();
        // What needs no chunkserver is done.
        fs::create_dir(demo.path("d")).unwrap();
        limit_files(pid, before);
        let begun = Instant::now();
        writer.join().unwrap().unwrap();
        assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
        ended
    });
    assert!(!ended, "it found a file to open");
    assert!(is_alive(pid));
    assert!(fs::read(demo.path("f")).unwrap() == content);
    wait_within(Duration::from_secs(90), "it has two replicas", || is_healed(&demo, 1));
}

#[test]
fn a_command_that_may_have_few_files_open_does_its_work_or_says_why_not() {
    let demo = Demo::prepared();
    for files in 3..40 {
        let mut command = std::process::Command::new("bash");
        let script = format!("ulimit -n {files}; exec {MUSKOX} status --json --master 127.0.0.1:1");
        command.env("HOME", demo.data.parent().unwrap()).arg("-c").arg(script);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && !said.is_empty() && !said.contains("panicked"),
            "{files}: {said}"
        );
    }
}

#[test]
fn full_disks_give_enospc_lose_nothing_acknowledged_and_freed_room_is_used_again() {
    let name = "full_disks_give_enospc_lose_nothing_acknowledged_and_freed_room_is_used_again";
    if !can_loop(name) {
        return;
    }
    let cluster =
        Cluster::start(&["--chunkservers", "2", "--disks", "1"], &[("cs1/d1", 300), ("cs2/d1", 300)]);
    let demo = &cluster.demo;
    let content = |n: u64| bytes(n, 16 << 20);
    let fill = |from: u64| {
        for n in from.. {
            assert!(n < from + 100, "the disks never became full");
            let begun = Instant::now();
            let result = store(demo, &format!("f{n}"), &content(n));
            if result.is_err() {
                assert!(is_full(&result), "{result:?}");
                assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
                return n;
            }
        }
        unreachable!("the range has no end");
    };
    let stored = fill(0);
    assert!(stored >= 8, "only {stored} files had room");
    for n in 0..stored {
        assert!(fs::read(demo.path(&format!("f{n}"))).unwrap() == content(n), "f{n}");
    }
    // A file that is there has no room to grow either, beyond what is kept for that.
    let mut grown = fs::OpenOptions::new().append(true).open(demo.path("f0")).unwrap();
    let mut result = Ok(());
    for n in 0..20 {
        result = grown.write_all(&content(1000 + n)).and_then(|()| grown.sync_all());
        if result.is_err() {
            break;
        }
    }
    assert!(is_full(&result), "{result:?}");
    drop(grown);
    assert!(fs::read(demo.path("f0")).unwrap().starts_with(&content(0)));
    for n in 0..stored / 2 {
        fs::remove_file(demo.path(&format!("f{n}"))).unwrap();
    }
    let free = || demo.status()["disks"][0]["freeBytes"].as_u64().unwrap();
    wait_until("the room of the removed files is shown as free", || free() > 64 << 20);
    let again = fill(1_000_000);
    assert!(again > 1_000_001, "freed room was not used again");
    for n in (stored / 2..stored).chain(1_000_000..again) {
        assert!(fs::read(demo.path(&format!("f{n}"))).unwrap() == content(n), "f{n}");
    }
}

#[test]
fn a_file_on_full_disks_goes_on_growing_where_there_is_room() {
    if !can_loop("a_file_on_full_disks_goes_on_growing_where_there_is_room") {
        return;
    }
    let places = [("cs1/d1", 400), ("cs2/d1", 400), ("cs3/d1", 400), ("cs4/d1", 400)];
    let cluster = Cluster::start(&["--chunkservers", "4", "--disks", "1"], &places);
    let demo = &cluster.demo;
    let (first, more) = (bytes(1, 1 << 20), bytes(2, 24 << 20));
    store(demo, "f", &first).unwrap();
    let before = holders(demo, "f");
    assert_eq!(before.len(), 2);
    for one in &cluster.loops {
        if before.iter().any(|name| one.mountpoint.to_str().unwrap().contains(name)) {
            one.fill_up_to(2 << 20);
        }
    }
    let mut file = fs::OpenOptions::new().append(true).open(demo.path("f")).unwrap();
    file.write_all(&more).unwrap();
    file.sync_all().unwrap();
    drop(file);
    assert!(fs::read(demo.path("f")).unwrap() == [first, more].concat());
    wait_within(Duration::from_secs(90), "both replicas are where there is room", || {
        let now = holders(demo, "f");
        now.len() == 2 && now.iter().all(|name| !before.contains(name))
    });
}

#[test]
fn on_the_masters_full_disk_changes_fail_with_enospc_reads_go_on_and_room_helps_at_once() {
    if !can_loop("on_the_masters_full_disk_changes_fail_with_enospc_reads_go_on_and_room_helps_at_once") {
        return;
    }
    let cluster = Cluster::start(&["--chunkservers", "2", "--disks", "1"], &[("master", 400)]);
    let demo = &cluster.demo;
    let content = bytes(1, 3 << 20);
    for name in ["f", "cut", "punched"] {
        store(demo, name, &content).unwrap();
    }
    let segments = || fs::read_dir(demo.data.join("master/log")).unwrap().count();
    wait_until("the next segment is ready", || segments() >= 2);
    cluster.loops[0].fill_up_to(2 << 20);
    // Each change carries much to the log.
    let value = bytes(2, 60_000);
    let change = |n: u32| {
        let path = demo.path(&format!("x{n}"));
        File::create(&path)?;
        rustix::fs::setxattr(&path, "user.n", &value, rustix::fs::XattrFlags::empty())
            .map_err(io::Error::from)
    };
    let mut done = 0;
    let result = loop {
        let result = change(done);
        if result.is_err() {
            break result;
        }
        done += 1;
        assert!(done < 10_000, "the log never found its disk full");
    };
    assert!(is_full(&result), "{result:?}");
    assert!(done > 1_000, "only {done} changes had room");
    let codes = || -> Vec<String> {
        let warnings = demo.status()["warnings"].as_array().unwrap().clone();
        warnings.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
    };
    assert!(codes().contains(&"LOG_FULL".to_owned()), "{:?}", codes());
    assert!(fs::read(demo.path("f")).unwrap() == content);
    assert_eq!(fs::metadata(demo.path("x0")).unwrap().len(), 0);
    let small = |n: u32| File::create(demo.path(&format!("y{n}")));
    assert!((0..50_000).any(|n| small(n).is_err()), "small changes were never refused");
    // What is refused changes nothing, and takes no room from what must go on.
    let open = |name: &str| fs::OpenOptions::new().write(true).open(demo.path(name)).unwrap();
    let cut = || open("cut").set_len(1_000_001);
    let punch = || {
        let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(open("punched"), flags, 1_000_100, 500_000).map_err(io::Error::from)
    };
    for refused in (0..200).flat_map(|_| [cut(), punch()]) {
        assert!(is_full(&refused), "{refused:?}");
    }
    let restart = |name: &str| {
        demo.ask(&["demo", "kill", name, "--data", demo.data.to_str().unwrap()]);
        demo.ask(&["demo", "start", name, "--data", demo.data.to_str().unwrap()]);
    };
    restart("mount");
    for name in ["cut", "punched"] {
        assert!(fs::read(demo.path(name)).unwrap() == content, "{name}");
    }
    // Not a byte is left, and the master starts all the same.
    cluster.loops[0].fill_up_to(0);
    restart("master");
    File::open(demo.path("f")).unwrap().sync_all().unwrap();
    restart("cs1");
    restart("cs2");
    wait_until("chunkservers that come back are taken and read from", || {
        demo.status()["chunks"]["missing"] == 0 && fs::read(demo.path("f")).is_ok_and(|read| read == content)
    });
    let begun = Instant::now();
    let written = store(demo, "g", &content);
    // A small record may still have found room; what is acknowledged is there.
    assert!(written.is_ok() || is_full(&written), "{written:?}");
    assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
    cluster.loops[0].make_room();
    wait_until("changes are taken again", || change(done).is_ok());
    wait_until("the warning is gone", || !codes().contains(&"LOG_FULL".to_owned()));
    store(demo, "h", &content).unwrap();
    assert!(fs::read(demo.path("h")).unwrap() == content);
    cut().unwrap();
    punch().unwrap();
    assert!(fs::read(demo.path("cut")).unwrap() == content[..1_000_001]);
    let punched = [&content[..1_000_100], &[0; 500_000], &content[1_500_100..]].concat();
    assert!(fs::read(demo.path("punched")).unwrap() == punched);
    let mut read = vec![0; value.len()];
    for n in [0, done / 2, done - 1] {
        let path = demo.path(&format!("x{n}"));
        let length = rustix::fs::getxattr(&path, "user.n", &mut read[..]).unwrap();
        assert!(read[..length] == value, "x{n}");
    }
}

#[test]
fn a_cloned_disk_and_an_old_copy_of_one_are_shown_and_never_read() {
    if !can_mount("a_cloned_disk_and_an_old_copy_of_one_are_shown_and_never_read") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "1"]);
    let data = demo.data.to_str().unwrap().to_owned();
    let names: Vec<String> = (0..8).map(|n| format!("f{n}")).collect();
    let write = |seed: u64| {
        for (n, name) in (0..).zip(&names) {
            store(&demo, name, &bytes(seed + n, 50_000)).unwrap();
        }
    };
    let check = |seed: u64| {
        for (n, name) in (0..).zip(&names) {
            assert!(fs::read(demo.path(name)).unwrap() == bytes(seed + n, 50_000), "{name}");
        }
    };
    let kill = |name: &str| demo.ask(&["demo", "kill", name, "--data", &data]);
    let start = |name: &str| demo.ask(&["demo", "start", name, "--data", &data]);
    let warning = |code: &str| -> Option<String> {
        let warnings = demo.status()["warnings"].as_array().unwrap().clone();
        let found = warnings.iter().find(|one| one["code"].as_str().unwrap().starts_with(code))?;
        Some(found["message"].as_str().unwrap().to_owned())
    };
    write(100);
    kill("cs2");
    sh(&demo.data, "mv cs2/d1 cs2/own; cp -a cs1/d1 cs2/d1");
    start("cs2");
    wait_until("the clone is shown", || warning("DISK_TWICE").is_some());
    let message = warning("DISK_TWICE").unwrap();
    assert!(message.contains("cs1/d1") && message.contains("cs2/d1"), "{message}");
    assert_eq!(disk(&demo, "cs1/d1")["state"], "ok");
    check(100);
    kill("cs2");
    sh(&demo.data, "rm -r cs2/d1; mv cs2/own cs2/d1");
    start("cs2");
    wait_until("the clone is forgotten", || warning("DISK_TWICE").is_none());
    wait_within(Duration::from_secs(90), "all is well", || is_healed(&demo, 8));
    // A disk as it was before its last registration, with other bytes under the same names.
    kill("cs1");
    sh(&demo.data, "cp -a cs1/d1 cs1/old");
    start("cs1");
    wait_until("it is back", || disk(&demo, "cs1/d1")["state"] == "ok");
    write(200);
    kill("cs1");
    sh(&demo.data, "mv cs1/d1 cs1/last; mv cs1/old cs1/d1");
    start("cs1");
    wait_until("the old copy is shown", || warning("DISK_UNTRUSTED").is_some());
    check(200);
    wait_within(Duration::from_secs(120), "everything has two replicas on the others", || {
        names.iter().all(|name| {
            let holders = holders(&demo, name);
            holders.len() == 2 && !holders.contains(&"cs1".to_owned())
        })
    });
    kill("cs1");
    sh(&demo.data, "mv cs1/d1 cs1/old; mv cs1/last cs1/d1");
    start("cs1");
    wait_until("the disk as it was last is taken", || {
        warning("DISK_UNTRUSTED").is_none() && disk(&demo, "cs1/d1")["state"] == "ok"
    });
    check(200);
}
