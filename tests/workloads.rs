//! What people put on it: source trees, git, SQLite, tar, rsync, restic, large files; again after a restart.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A real source tree of at least 10,000 files: what cargo unpacked to build this.
fn source_tree() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"));
    let mut trees = Vec::new();
    let mut files = 0;
    let mut crates: Vec<PathBuf> = fs::read_dir(home.join("registry/src"))
        .unwrap()
        .flatten()
        .flat_map(|registry| fs::read_dir(registry.path()).unwrap().flatten())
        .map(|entry| entry.path())
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("windows"))
        .collect();
    crates.sort();
    for tree in crates {
        files += count_files(&tree);
        trees.push(tree);
        if files >= 10_000 {
            return trees;
        }
    }
    trees
}

fn count_files(path: &Path) -> usize {
    fs::read_dir(path)
        .unwrap()
        .flatten()
        .map(|entry| if entry.file_type().unwrap().is_dir() { count_files(&entry.path()) } else { 1 })
        .sum()
}

#[test]
fn a_source_tree_of_ten_thousand_files_is_the_same_again_also_after_a_restart() {
    let test = "a_source_tree_of_ten_thousand_files_is_the_same_again_also_after_a_restart";
    if !can_mount(test) || !has_program(test, "rsync") {
        return;
    }
    let mut demo = Demo::start();
    let trees = source_tree();
    let origin = tempfile::tempdir().unwrap();
    for tree in &trees {
        sh(origin.path(), &format!("cp -a '{}' .", tree.display()));
    }
    // Where less source is unpacked, a second copy makes up the number.
    if count_files(origin.path()) < 10_000 {
        sh(origin.path(), "mkdir second && cp -a $(ls | grep -v '^second$') second/");
    }
    assert!(count_files(origin.path()) >= 10_000);
    let from = origin.path().display().to_string();
    sh(&demo.mountpoint, &format!("cp -a {from} copy && diff -r {from} copy"));
    // tar and rsync take a part of it, all of it in a soak.
    let part =
        if soak() { ".".to_owned() } else { trees[0].file_name().unwrap().to_str().unwrap().to_owned() };
    sh(
        &demo.mountpoint,
        &format!(
            "tar -C copy -cf copy.tar ./{part} && mkdir untar && tar -C untar -xpf copy.tar && diff -r copy/{part} untar/{part}"
        ),
    );
    let rsync = format!("rsync -a --checksum {from}/{part}/ synced/");
    let again = format!("rsync -ani --checksum {from}/{part}/ synced/");
    sh(&demo.mountpoint, &format!("{rsync} && test -z \"$({again})\""));
    let list = "cd \"$0\"; find . -printf '%p %s %m %T@ %y %l\\n' | sort | sha256sum";
    let before = sh(&demo.mountpoint, &list.replace("$0", "copy"));
    demo.stop();
    demo.run(&[]);
    assert_eq!(sh(&demo.mountpoint, &list.replace("$0", "copy")), before);
    sh(&demo.mountpoint, &format!("diff -r {from} copy && rm -rf copy untar && test ! -e copy"));
}

#[test]
fn git_commits_and_its_fsck_finds_nothing() {
    let test = "git_commits_and_its_fsck_finds_nothing";
    if !can_mount(test) || !has_program(test, "git") {
        return;
    }
    let mut demo = Demo::start();
    let origin = tempfile::tempdir().unwrap();
    let script = "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b;";
    let trees = source_tree();
    sh(
        origin.path(),
        &format!(
            "{script} git init -q . && cp -r '{}' '{}' . && git add -A && git commit -qm first",
            trees[0].display(),
            trees[1].display()
        ),
    );
    let from = origin.path().display();
    sh(
        &demo.mountpoint,
        &format!(
            "{script} git clone -q {from} clone && cd clone && git fsck --full && echo x > new && git add new && git commit -qm second \
             && git gc -q && git fsck --full && test -z \"$(git status --porcelain)\""
        ),
    );
    let head = sh(&demo.path("clone"), "git rev-parse HEAD");
    demo.stop();
    demo.run(&[]);
    assert_eq!(sh(&demo.path("clone"), "git fsck --full && git rev-parse HEAD"), head);
}

#[test]
fn sqlite_keeps_a_thousand_transactions() {
    let test = "sqlite_keeps_a_thousand_transactions";
    if !can_mount(test) || !has_program(test, "sqlite3") {
        return;
    }
    let mut demo = Demo::start();
    let mut script = String::from("create table t(n integer primary key, s text);\n");
    for n in 0..1000 {
        script += &format!("begin; insert into t values({n}, hex(randomblob(50))); commit;\n");
    }
    fs::write(demo.data.join("script.sql"), script).unwrap();
    let file = demo.data.join("script.sql").display().to_string();
    sh(&demo.mountpoint, &format!("sqlite3 a.db < {file}"));
    let check = "sqlite3 a.db 'pragma integrity_check; select count(*), sum(n) from t'";
    assert_eq!(sh(&demo.mountpoint, check), "ok\n1000|499500\n");
    demo.kill_all();
    demo.run(&[]);
    assert_eq!(
        sh(&demo.mountpoint, check),
        "ok\n1000|499500\n",
        "every commit was fsynced before everything was killed"
    );
}

#[test]
fn restic_backs_up_checks_and_restores() {
    let test = "restic_backs_up_checks_and_restores";
    if !can_mount(test) || !has_program(test, "restic") {
        return;
    }
    let mut demo = Demo::start();
    let origin = tempfile::tempdir().unwrap();
    for tree in source_tree().iter().take(8) {
        sh(origin.path(), &format!("cp -a '{}' .", tree.display()));
    }
    fs::write(origin.path().join("large"), bytes(5, 20 << 20)).unwrap();
    let from = origin.path().display().to_string();
    let restic = format!(
        "export RESTIC_PASSWORD=x RESTIC_CACHE_DIR={}; restic -q -r repository",
        demo.data.join("cache").display()
    );
    sh(&demo.mountpoint, &format!("{restic} init && {restic} backup {from} && {restic} check --read-data"));
    demo.stop();
    demo.run(&[]);
    sh(
        &demo.mountpoint,
        &format!(
            "{restic} check && {restic} restore latest --target restored && diff -r {from} restored{from}"
        ),
    );
}

#[test]
fn a_large_file_is_the_same_by_its_hash_also_after_a_restart() {
    if !can_mount("a_large_file_is_the_same_by_its_hash_also_after_a_restart") {
        return;
    }
    let mut demo = Demo::start();
    let mebibytes: u64 = if soak() { 4096 } else { 640 };
    let mut hash = blake3::Hasher::new();
    let mut file = File::create(demo.path("large")).unwrap();
    for n in 0..mebibytes {
        let piece = bytes(n, 1 << 20);
        hash.update(&piece);
        file.write_all(&piece).unwrap();
    }
    file.sync_all().unwrap();
    drop(file);
    let expected = hash.finalize();
    let read = |path: &Path| {
        let mut hash = blake3::Hasher::new();
        let mut file = File::open(path).unwrap();
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece).unwrap() {
                0 => return hash.finalize(),
                n => hash.update(&piece[..n]),
            };
        }
    };
    assert_eq!(read(&demo.path("large")), expected);
    demo.stop();
    demo.run(&[]);
    assert_eq!(read(&demo.path("large")), expected);
}

#[test]
fn what_was_fsynced_is_exact_after_every_process_is_killed_at_once() {
    if !can_mount("what_was_fsynced_is_exact_after_every_process_is_killed_at_once") {
        return;
    }
    let mut demo = Demo::start();
    for round in 0..2u64 {
        let dir = demo.path(&format!("round{round}"));
        fs::create_dir(&dir).unwrap();
        for n in 0..40u64 {
            let file = File::create(dir.join(format!("f{n}"))).unwrap();
            file.write_all_at(&bytes(n, 10_000 + 7_000 * n as usize), 0).unwrap();
            file.sync_all().unwrap();
        }
        let big = File::create(dir.join("big")).unwrap();
        big.write_all_at(&bytes(99, 70 << 20), 0).unwrap();
        big.sync_data().unwrap();
        // Overwrites in place, synced too.
        big.write_all_at(&bytes(100, 5_000), (64 << 20) - 2_500).unwrap();
        big.sync_data().unwrap();
        File::open(&dir).unwrap().sync_all().unwrap();
        // And a writer that is killed in the middle of it.
        let unsynced = File::create(dir.join("unsynced")).unwrap();
        unsynced.write_all_at(&bytes(3, 3 << 20), 0).unwrap();
        demo.kill_all();
        drop((big, unsynced));
        demo.run(&[]);
        for n in 0..40u64 {
            assert_eq!(
                fs::read(dir.join(format!("f{n}"))).unwrap(),
                bytes(n, 10_000 + 7_000 * n as usize),
                "f{n}"
            );
        }
        let mut expected = bytes(99, 70 << 20);
        expected[(64 << 20) - 2_500..(64 << 20) + 2_500].copy_from_slice(&bytes(100, 5_000));
        assert_eq!(blake3::hash(&fs::read(dir.join("big")).unwrap()), blake3::hash(&expected));
    }
}

#[test]
fn the_namespace_behaves_like_a_local_filesystem() {
    if !can_mount("the_namespace_behaves_like_a_local_filesystem") {
        return;
    }
    let demo = Demo::start();
    let at = |name: &str| demo.path(name);
    // Hard links, symlinks, special files.
    fs::write(at("a"), "one").unwrap();
    fs::hard_link(at("a"), at("b")).unwrap();
    fs::write(at("b"), "two").unwrap();
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "two");
    assert_eq!(fs::metadata(at("a")).unwrap().nlink(), 2);
    symlink("a", at("l")).unwrap();
    assert_eq!(fs::read_to_string(at("l")).unwrap(), "two");
    sh(&demo.mountpoint, "mkfifo p && test -p p");
    let _socket = std::os::unix::net::UnixListener::bind(at("s")).unwrap();
    if rustix::process::getuid().is_root() {
        sh(&demo.mountpoint, "mknod c c 1 3 && test -c c && echo x > c && test ! -s c");
        sh(
            &demo.mountpoint,
            "mkdir g && chgrp 1234 g && chmod 2775 g && touch g/f && mkdir g/d && test $(stat -c %g g/f) = 1234 && test $(stat -c %a g/d | cut -c1) = 2",
        );
    }
    // Rename: over an existing file, with both flags.
    fs::write(at("x"), "x").unwrap();
    fs::write(at("y"), "y").unwrap();
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    assert_eq!(
        renameat_with(CWD, at("x"), CWD, at("y"), RenameFlags::NOREPLACE),
        Err(rustix::io::Errno::EXIST)
    );
    renameat_with(CWD, at("x"), CWD, at("y"), RenameFlags::EXCHANGE).unwrap();
    assert_eq!(
        (fs::read_to_string(at("x")).unwrap(), fs::read_to_string(at("y")).unwrap()),
        ("y".into(), "x".into())
    );
    fs::rename(at("x"), at("y")).unwrap();
    assert_eq!(fs::read_to_string(at("y")).unwrap(), "y");
    assert!(!at("x").exists());
    // Open and unlinked.
    let mut open = File::options().read(true).write(true).create_new(true).open(at("gone")).unwrap();
    fs::remove_file(at("gone")).unwrap();
    open.write_all(b"still here").unwrap();
    let mut back = [0; 10];
    open.read_exact_at(&mut back, 0).unwrap();
    assert_eq!(&back, b"still here");
    assert_eq!(open.metadata().unwrap().nlink(), 0);
    // Sparse, far out; truncate and extend reads zeroes.
    let sparse =
        File::options().read(true).write(true).create(true).truncate(false).open(at("sparse")).unwrap();
    sparse.write_all_at(b"end", 16 << 40).unwrap();
    assert_eq!(sparse.metadata().unwrap().len(), (16 << 40) + 3);
    sparse.read_exact_at(&mut back, 8 << 40).unwrap();
    assert_eq!(back, [0; 10]);
    let cut = File::options().read(true).write(true).create(true).truncate(false).open(at("cut")).unwrap();
    cut.write_all_at(&[7; 10_000], 0).unwrap();
    cut.set_len(5_001).unwrap();
    cut.set_len(10_000).unwrap();
    let all = fs::read(at("cut")).unwrap();
    assert!(all[..5_001].iter().all(|b| *b == 7) && all[5_001..].iter().all(|b| *b == 0));
    // Times, modes, names of any bytes, extended attributes.
    sh(
        &demo.mountpoint,
        "touch -d '2300-01-02 03:04:05.123456789 UTC' t && test \"$(TZ=UTC stat -c %y t)\" = '2300-01-02 03:04:05.123456789 +0000'",
    );
    sh(
        &demo.mountpoint,
        "touch -d '1960-01-02 03:04:05.25 UTC' t && test \"$(TZ=UTC stat -c %y t | cut -c1-22)\" = '1960-01-02 03:04:05.25'",
    );
    fs::set_permissions(at("t"), fs::Permissions::from_mode(0o4711)).unwrap();
    assert_eq!(fs::metadata(at("t")).unwrap().mode() & 0o7777, 0o4711);
    use std::os::unix::ffi::OsStrExt;
    let name: Vec<u8> = (1..=255u8).map(|b| if b == b'/' { 1 } else { b }).collect();
    let odd = demo.mountpoint.join(std::ffi::OsStr::from_bytes(&name));
    fs::write(&odd, "odd").unwrap();
    assert_eq!(fs::read_to_string(&odd).unwrap(), "odd");
    rustix::fs::setxattr(at("t"), "user.colour", b"blue", rustix::fs::XattrFlags::CREATE).unwrap();
    let mut value = [0; 16];
    let length = rustix::fs::getxattr(at("t"), "user.colour", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"blue");
    assert_eq!(
        rustix::fs::setxattr(at("t"), "user.colour", b"x", rustix::fs::XattrFlags::CREATE),
        Err(rustix::io::Errno::EXIST)
    );
    rustix::fs::removexattr(at("t"), "user.colour").unwrap();
    let acl = "system.posix_acl_access";
    assert_eq!(rustix::fs::getxattr(at("t"), acl, &mut value[..]), Err(rustix::io::Errno::OPNOTSUPP));
    assert_eq!(rustix::fs::getxattr(at("t"), "user.colour", &mut value[..]), Err(rustix::io::Errno::NODATA));
    // Errors of directories.
    fs::create_dir_all(at("d/e")).unwrap();
    assert_eq!(fs::remove_dir(at("d")).unwrap_err().raw_os_error(), Some(39));
    assert_eq!(fs::rename(at("d"), at("d/e/f")).unwrap_err().raw_os_error(), Some(22));
    assert_eq!(fs::metadata(at("d")).unwrap().nlink(), 3);
    let space = rustix::fs::statvfs(&demo.mountpoint).unwrap();
    assert!(space.f_blocks > 0 && space.f_bavail > 0 && space.f_bavail <= space.f_blocks);
    assert_eq!(space.f_namemax, 255);
}

#[test]
fn a_write_by_another_user_drops_setuid() {
    let test = "a_write_by_another_user_drops_setuid";
    if !can_mount(test) || !is_root(test) || !has_program(test, "setpriv") {
        return;
    }
    let demo = Demo::start();
    // The way to the mountpoint must be open to the other user.
    for dir in demo.mountpoint.ancestors().take(2) {
        let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o755));
    }
    let direct = "dd if=/dev/zero of=direct bs=4096 count=1 oflag=direct conv=notrunc status=none";
    let both = "dd if=/dev/zero of=both bs=4096 count=1 oflag=direct,sync conv=notrunc status=none";
    let page = "dd if=/dev/zero of=page bs=4096 count=1 conv=notrunc status=none";
    let ways = [
        ("written", "echo more >> written"),
        ("cut", ": > cut"),
        ("direct", direct),
        ("both", both),
        ("page", page),
    ];
    // Again: what is known of a file that had neither bit does not keep them.
    for (name, how) in ways.into_iter().chain(ways) {
        fs::write(demo.path(name), "content").unwrap();
        fs::set_permissions(demo.path(name), fs::Permissions::from_mode(0o6777)).unwrap();
        sh(&demo.mountpoint, &format!("setpriv --reuid 1000 --regid 1000 --clear-groups bash -c '{how}'"));
        assert_eq!(fs::metadata(demo.path(name)).unwrap().mode() & 0o7777, 0o777, "{name}");
    }
}

#[test]
fn tar_keeps_data_that_was_written_just_before() {
    if !can_mount("tar_keeps_data_that_was_written_just_before") {
        return;
    }
    let demo = Demo::start();
    let content = bytes(4, 100_000);
    let file = File::create(demo.path("fresh")).unwrap();
    file.write_all_at(&content, 0).unwrap();
    assert!(file.metadata().unwrap().blocks() > 0);
    let out = demo.data.join("out.tar").display().to_string();
    sh(
        &demo.mountpoint,
        &format!("tar -cSf {out} fresh && mv fresh before && tar -xf {out} && cmp before fresh"),
    );
}

#[test]
fn a_directory_of_many_entries_is_listed_whole_while_it_changes() {
    if !can_mount("a_directory_of_many_entries_is_listed_whole_while_it_changes") {
        return;
    }
    let demo = Demo::start();
    let count: u64 = if soak() { 1_000_000 } else { 5_000 };
    let dir = demo.path("many");
    fs::create_dir(&dir).unwrap();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let dir = &dir;
            scope.spawn(move || {
                for n in (part..count).step_by(4) {
                    File::create_new(dir.join(format!("f{n:07}"))).unwrap();
                }
            });
        }
    });
    let mut listing = fs::read_dir(&dir).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..5_000 {
        let name = listing.next().unwrap().unwrap().file_name().into_string().unwrap();
        assert!(seen.insert(name.clone()), "{name} came twice");
        if n % 3 == 0 {
            fs::remove_file(dir.join(&name)).unwrap();
            File::create_new(dir.join(format!("new{n}"))).unwrap();
        }
    }
    for entry in listing {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(seen.insert(name.clone()), "{name} came twice");
    }
    for n in 0..count {
        assert!(seen.contains(&format!("f{n:07}")), "f{n:07} was there all the time or until it was seen");
    }
    for process in ["master", "mount"] {
        let status = fs::read_to_string(format!("/proc/{}/status", demo.pid(process))).unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        println!("{process} with {count} entries in one directory: {peak}");
    }
}

/// fsx with every kind of operation that it knows.
struct Fsx {
    program: String,
    artifacts: String,
}

/// Each has a weight in `workloads/fsx.toml`.
const FSX_OPERATIONS: [&str; 14] = [
    "close/open",
    "msync(MS_INVALIDATE)",
    "mapread",
    "mapwrite",
    "read",
    "write",
    "truncate",
    "fsync",
    "fdatasync",
    "posix_fallocate",
    "punch_hole",
    "sendfile",
    "posix_fadvise",
    "copy_file_range",
];

impl Fsx {
    fn new(demo: &Demo) -> Self {
        let program = find_program("fsx").unwrap().display().to_string();
        Self { program, artifacts: demo.data.display().to_string() }
    }

    /// A line for the shell. A file of `kib` KiB, operations of up to a quarter of that and of 4 MiB.
    fn line(&self, name: &str, seed: u64, operations: u64, kib: u64) -> String {
        let config = format!("{}/{name}.toml", self.artifacts);
        let weights =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/workloads/fsx.toml"));
        let sizes = format!("flen = {}\nopsize.max = {}\n", kib << 10, (kib << 8).min(4 << 20));
        fs::write(&config, sizes + &weights.unwrap()).unwrap();
        let Self { program, artifacts } = self;
        format!(
            "{{ {program} -v -N {operations} -S {seed} -f {config} -P {artifacts} {name} 2>{artifacts}/{name}.said \
             || {{ tail -50 {artifacts}/{name}.said; exit 1; }}; }}"
        )
    }

    /// What a run has done, by operation; and how many reads and writes went over a chunk's edge.
    fn done(&self, name: &str) -> (BTreeMap<&'static str, u64>, u64) {
        let (mut counts, mut over) = (BTreeMap::new(), 0);
        let said = fs::read_to_string(format!("{}/{name}.said", self.artifacts)).unwrap();
        for line in said.lines() {
            let words: Vec<&str> =
                line.split_whitespace().skip_while(|word| !word.ends_with(']')).skip(2).collect();
            let Some(what) = words.first() else { continue };
            let known =
                FSX_OPERATIONS.iter().filter(|name| what.starts_with(**name)).max_by_key(|name| name.len());
            known.into_iter().for_each(|name| *counts.entry(*name).or_default() += 1);
            let place = |word: &&str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
            let places: Vec<u64> = words.iter().filter_map(place).collect();
            let range = ["read", "write", "mapread", "mapwrite"].contains(what).then_some(places);
            over += range.is_some_and(|at| at[0] < FSX_EDGE && at[1] >= FSX_EDGE) as u64;
        }
        (counts, over)
    }
}

const FSX_EDGE: u64 = 64 << 20;

#[test]
fn fsx_finds_no_difference() {
    let test = "fsx_finds_no_difference";
    if !can_mount(test) || !has_program(test, "fsx") {
        return;
    }
    let demo = Demo::start();
    let fsx = Fsx::new(&demo);
    let operations = if soak() { 200_000 } else { 2_000 };
    let first = std::env::var("MUSKOX_FSX_SEED").map_or(1, |seed| seed.parse::<u64>().unwrap());
    let seeds = first..first + 5;
    let begin =
        |seed: u64| format!("{} & all+=\" $!\";", fsx.line(&format!("file{seed}"), seed, operations, 256));
    let lines: Vec<String> = seeds.clone().map(begin).collect();
    sh(&demo.mountpoint, &format!("all=''; {} for one in $all; do wait $one; done", lines.join(" ")));
    for seed in seeds {
        let (counts, _) = fsx.done(&format!("file{seed}"));
        assert_eq!(counts.len(), FSX_OPERATIONS.len(), "not every operation was done: {counts:?}");
        println!("fsx, seed {seed}: {counts:?}");
    }
}

#[test]
fn fsx_finds_no_difference_over_a_chunks_edge() {
    let test = "fsx_finds_no_difference_over_a_chunks_edge";
    if !can_mount(test) || !has_program(test, "fsx") {
        return;
    }
    let demo = Demo::start();
    let fsx = Fsx::new(&demo);
    let (seeds, operations) = if soak() { (3, 4_000) } else { (1, 250) };
    let first = std::env::var("MUSKOX_FSX_SEED").map_or(1, |seed| seed.parse::<u64>().unwrap());
    for seed in first..first + seeds {
        let name = format!("large{seed}");
        sh(&demo.mountpoint, &fsx.line(&name, seed, operations, (64 << 10) + 512));
        let (counts, over) = fsx.done(&name);
        assert!(over > 0, "nothing went over the edge: {counts:?}");
        println!("fsx, seed {seed}: {over} reads and writes over the edge; {counts:?}");
    }
}

#[test]
fn a_small_file_costs_the_master_two_requests() {
    let test = "a_small_file_costs_the_master_two_requests";
    if !can_mount(test) {
        return;
    }
    let demo = Demo::start();
    let requests = |demo: &Demo| demo.status()["metadata"]["requests"].as_u64().unwrap();
    let (files, house_keeping) = (500, 100);
    for dir in ["new", "full"] {
        let dir = demo.path(dir);
        fs::create_dir(&dir).unwrap();
        let before = requests(&demo);
        for n in 0..files {
            let mut file = File::create_new(dir.join(format!("f{n}"))).unwrap();
            file.write_all(&[7; 4096]).unwrap();
        }
        let each = requests(&demo) - before;
        assert!(each <= 2 * files + house_keeping, "{each} requests for {files} files");
    }
    let before = requests(&demo);
    for n in 0..files {
        fs::rename(demo.path(&format!("new/f{n}")), demo.path(&format!("full/g{n}"))).unwrap();
    }
    assert_eq!(fs::read_dir(demo.path("new")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(demo.path("full")).unwrap().count() as u64, 2 * files);
    let each = requests(&demo) - before;
    assert!(each <= 3 * files + house_keeping, "{each} requests to rename {files} files");
}
