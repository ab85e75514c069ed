//! What bad input gets: a clear error with the next step, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs `muskox` to its end, at most 20 s.
fn fails(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new("timeout");
    command.arg("20").arg(MUSKOX).args(arguments).env_remove("MUSKOX_MASTER").env_remove("MUSKOX_CONFIG");
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8_lossy(&stderr).into_owned())
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn configuration_and_arguments_are_refused_with_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("muskox.toml");
    fs::write(&file, "[master]\nlistn = \"127.0.0.1:0\"\n").unwrap();
    let (code, text) = fails(&["--config", path(&file), "master"]);
    assert!(
        code == 2 && text.contains("`listn`") && text.contains("`listen`") && text.contains("next:"),
        "{text}"
    );
    let (code, text) = fails(&["--config", "/absent/muskox.toml", "config", "check"]);
    assert!(code == 2 && text.contains("/absent/muskox.toml"), "{text}");
    let (code, text) = fails(&["master", "--listen", "0.0.0.0:0", "--data", path(&dir.path().join("m"))]);
    assert!(code == 6 && text.contains("insecure") && text.contains("next:"), "{text}");
    let (code, text) = fails(&["chunkserver", "--master", "127.0.0.1:1"]);
    assert!(code == 2 && text.contains("--disk"), "{text}");
    let (code, text) = fails(&["mount", "127.0.0.1:1", "/absent/mountpoint"]);
    assert!(code == 1 && text.contains("mkdir -p /absent/mountpoint"), "{text}");
    let (code, text) = fails(&["mount", "127.0.0.1:1", path(dir.path()), "-o", "tiemout=3"]);
    assert!(code == 2 && text.contains("tiemout"), "{text}");
}

/// A process that ends with the test.
struct Stopped(std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes connections and says `words` on each, or nothing, for as long as the test runs.
fn another_service(words: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(words);
            kept.push(stream);
        }
    });
    address
}

#[test]
fn an_address_where_no_master_answers_ends_every_command_in_time_with_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let silent = another_service(b"");
    let ssh = another_service(b"SSH-2.0-OpenSSH_9.9\r\n");
    for address in ["127.0.0.1:1", &silent, &ssh] {
        for command in [&["status"][..], &["file", "info", "/a"]] {
            let begun = Instant::now();
            let (code, text) = fails(&[command, &["--master", address]].concat());
            assert!(
                matches!(code, 1 | 7) && text.contains(address) && text.contains("next:"),
                "{code} {text}"
            );
            // Five seconds, and the start of the process on a busy machine.
            assert!(begun.elapsed() < Duration::from_secs(10), "{command:?} {address}");
        }
        let (code, text) = fails(&["mount", address, path(dir.path()), "-o", "mount-timeout=2"]);
        assert!(code == 7 && text.contains(address) && text.contains("mount-timeout"), "{code} {text}");
    }
}

#[test]
fn an_address_of_a_chunkserver_is_told_from_a_masters() {
    let demo = Demo::start_with(&["--no-mount", "--chunkservers", "1"]);
    let dir = tempfile::tempdir().unwrap();
    let json = demo.json();
    let server = json["processes"].as_array().unwrap().iter().find(|p| p["name"] == "cs1").unwrap();
    let address = server["address"].as_str().unwrap();
    let (code, text) = fails(&["status", "--master", address]);
    assert!(matches!(code, 1 | 7) && text.contains("next:"), "{code} {text}");
    let (code, text) = fails(&["mount", address, path(dir.path())]);
    assert!(code == 7 && text.contains("a chunkserver or another service"), "{code} {text}");
}

#[test]
fn the_demo_hides_no_files_and_says_what_it_cannot_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
    let data = dir.path().with_extension("data");
    let (code, text) = fails(&["demo", "--data", path(&data), "--mountpoint", path(dir.path())]);
    assert!(
        code == 6 && text.contains("not empty") && text.contains("--mountpoint OTHER_DIR"),
        "{code} {text}"
    );
    let _ = fs::remove_dir_all(&data);
    let demo = Demo::start_with(&["--no-mount", "--chunkservers", "1"]);
    let (code, text) = fails(&["demo", "kill", "cs9", "--data", path(&demo.data)]);
    assert!(code == 5 && text.contains("there are master, cs1\n  next: muskox demo kill"), "{code} {text}");
    let (code, text) = fails(&["demo", "start", "cs1", "--data", path(&demo.data)]);
    assert!(
        code == 5 && text.contains("running already") && text.contains("next: muskox demo kill cs1"),
        "{text}"
    );
}

#[test]
fn a_chunkserver_serves_what_it_can_and_status_shows_the_rest_until_it_comes() {
    let demo = Demo::start_with(&["--no-mount", "--chunkservers", "1"]);
    let dir = tempfile::tempdir().unwrap();
    let (good, later, foreign) =
        (dir.path().join("good"), dir.path().join("later"), dir.path().join("foreign"));
    fs::create_dir_all(&good).unwrap();
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "mine").unwrap();
    let master = demo.json()["master"].as_str().unwrap().to_owned();
    let serve = |disks: &[&Path]| {
        let mut command = Command::new(MUSKOX);
        command.args(["chunkserver", "--format", "--name", "extra", "--listen", "127.0.0.1:0"]);
        command.args(["--master", &master, "--data", path(&dir.path().join("cs"))]);
        for disk in disks {
            command.args(["--disk", path(disk)]);
        }
        Stopped(command.stderr(std::process::Stdio::null()).spawn().unwrap())
    };
    // Stamps a disk that is away when the server starts again.
    fs::create_dir_all(&later).unwrap();
    let server = serve(&[&good, &later]);
    let served = |path: &Path| {
        let status = demo.status();
        let disks = status["disks"].as_array().unwrap().clone();
        disks.iter().any(|disk| {
            disk["path"] == path.to_str().unwrap() && disk["reported"] == true && disk["state"] == "ok"
        })
    };
    wait_until("both disks are served", || served(&good) && served(&later));
    drop(server);
    fs::rename(&later, dir.path().join("aside")).unwrap();
    let _server = serve(&[&good, &later, &foreign]);
    let refused = || {
        let status = demo.status();
        let list = status["refusedDisks"].as_array().unwrap().clone();
        let mut states: Vec<_> = list
            .iter()
            .map(|disk| {
                assert!(
                    !disk["reason"].as_str().unwrap().is_empty()
                        && !disk["next"].as_str().unwrap().is_empty()
                );
                disk["state"].as_str().unwrap().to_owned()
            })
            .collect();
        states.sort();
        states
    };
    wait_until("two are refused", || refused() == ["absent", "foreign"] && served(&good));
    let text = common::text(&demo.muskox(&["status"]).output().unwrap());
    assert!(text.contains("DISK_NOT_SERVED") && text.contains("mount its device"), "{text}");
    fs::rename(dir.path().join("aside"), &later).unwrap();
    wait_until("the disk that came is served", || refused() == ["foreign"] && served(&later));
}

#[test]
fn blank_and_foreign_disks_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (blank, foreign) = (dir.path().join("blank"), dir.path().join("foreign"));
    fs::create_dir_all(&blank).unwrap();
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "mine").unwrap();
    let data = dir.path().join("cs");
    let serve = |disk: &Path, format: bool| {
        let mut words =
            vec!["chunkserver", "--listen", "127.0.0.1:0", "--master", "127.0.0.1:1", "--data", path(&data)];
        words.extend(["--disk", path(disk)]);
        words.extend(format.then_some("--format"));
        fails(&words)
    };
    let (code, text) = serve(&blank, false);
    assert!(code == 1 && text.contains("blank") && text.contains("--format"), "{text}");
    assert!(fs::read_dir(&blank).unwrap().next().is_none(), "nothing was written to it");
    let (code, text) = serve(&foreign, true);
    assert!(code == 1 && text.contains("letter.txt"), "{text}");
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
    let (code, text) = serve(&dir.path().join("absent"), true);
    assert!(code == 1 && text.contains("absent") && text.contains("next:"), "{text}");
}

#[test]
fn a_fat_disk_is_refused_with_the_mkfs_line() {
    let test = "a_fat_disk_is_refused_with_the_mkfs_line";
    if !is_root(test) || !has_program(test, "mkfs.vfat") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (image, disk) = (dir.path().join("image"), dir.path().join("disk"));
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("sh")
        .arg("-c")
        .arg(format!("mkfs.vfat {0} >/dev/null && mount -o loop {0} {1}", path(&image), path(&disk)))
        .status()
        .unwrap();
    if !runs(mounted.success(), test, "a FAT filesystem, which cannot be mounted here") {
        return;
    }
    let data = dir.path().join("cs");
    let words = [
        "chunkserver",
        "--format",
        "--listen",
        "127.0.0.1:0",
        "--master",
        "127.0.0.1:1",
        "--data",
        path(&data),
    ];
    // The refusal comes when the disk is to be stamped or at once; either way nothing is served from it.
    let (code, text) = fails(&[&words[..], &["--disk", path(&disk)]].concat());
    sh(dir.path(), "umount -l disk");
    assert!(code == 1 && text.contains("mkfs"), "{code} {text}");
}

#[test]
fn garbage_on_every_port_closes_that_connection_only() {
    if !can_mount("garbage_on_every_port_closes_that_connection_only") {
        return;
    }
    let demo = Demo::start();
    fs::write(demo.path("before"), bytes(1, 100_000)).unwrap();
    let mut oversized = b"MSKX".to_vec();
    oversized.extend([1, 0, 0, 0]);
    oversized.extend([0; 8]);
    oversized.extend(u32::MAX.to_le_bytes());
    oversized.extend(u32::MAX.to_le_bytes());
    oversized.extend([0; 8]);
    let inputs: Vec<Vec<u8>> = vec![
        bytes(7, 4096),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage after the preface".to_vec(),
        b"MSKX".to_vec(),
        oversized,
        [b"MSKX".to_vec(), bytes(8, 60)].concat(),
        Vec::new(),
    ];
    for process in demo.json()["processes"].as_array().unwrap() {
        let address = process["address"].as_str().unwrap();
        for input in inputs.iter().filter(|_| !address.is_empty()) {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
            let _ = stream.write_all(input);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // The server's end of it, within bounded time.
            let mut answer = Vec::new();
            if let Err(error) = stream.read_to_end(&mut answer) {
                assert_ne!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock,
                    "{address} keeps a broken connection open"
                );
            }
        }
    }
    assert_eq!(fs::read(demo.path("before")).unwrap(), bytes(1, 100_000));
    fs::write(demo.path("after"), "fine").unwrap();
    assert_eq!(demo.status()["chunks"]["ok"], 2);
}

/// Files of a folder by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
    files.sort();
    files
}

#[test]
fn a_damaged_changelog_is_refused_below_its_tail_and_an_index_is_rebuilt() {
    if !can_mount("a_damaged_changelog_is_refused_below_its_tail_and_an_index_is_rebuilt") {
        return;
    }
    let mut demo = Demo::start();
    for n in 0..50 {
        let file = fs::File::create(demo.path(&format!("f{n}"))).unwrap();
        file.write_all_at(&bytes(n, 5_000), 0).unwrap();
        file.sync_all().unwrap();
    }
    demo.stop();
    // Every index may go at any time.
    let mut removed = 0;
    for server in 1..=3 {
        for disk in 1..=2 {
            let disk = demo.data.join(format!("cs{server}/d{disk}"));
            for entry in fs::read_dir(disk).unwrap().flatten() {
                if entry.file_name().to_string_lossy().starts_with("index") {
                    fs::remove_dir_all(entry.path()).unwrap();
                    removed += 1;
                }
            }
        }
    }
    assert_eq!(removed, 6);
    demo.run(&[]);
    for n in 0..50 {
        assert_eq!(fs::read(demo.path(&format!("f{n}"))).unwrap(), bytes(n, 5_000));
    }
    wait_until("all chunks have both replicas again", || demo.status()["chunks"]["ok"] == 50);
    demo.stop();
    // One flipped byte far below what is known stable.
    let log = files(&demo.data.join("master/log")).into_iter().next().unwrap();
    let segment = fs::File::options().read(true).write(true).open(&log).unwrap();
    let mut byte = [0];
    segment.read_exact_at(&mut byte, 9_000).unwrap();
    segment.write_all_at(&[byte[0] ^ 0x10], 9_000).unwrap();
    let master = demo.data.join("master");
    let (code, text) = fails(&["master", "--listen", "127.0.0.1:0", "--data", path(&master)]);
    assert!(
        code == 1 && text.contains("damaged") && text.contains(path(log.file_name().unwrap().as_ref())),
        "{text}"
    );
    segment.write_all_at(&byte, 9_000).unwrap();
    demo.run(&[]);
    assert_eq!(fs::read(demo.path("f7")).unwrap(), bytes(7, 5_000));
}
