//! POSIX, case by case: the cases of pjdfstest on a mount.
//!
//! All pass, but those in `posix/skipped.txt`, which says why they cannot be run.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Fewer mean that the program was built without some.
const CASES_MIN: usize = 393;

fn path_with_muskox() -> std::ffi::OsString {
    let own = Path::new(env!("CARGO_BIN_EXE_muskox")).parent().unwrap().to_path_buf();
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&others))).unwrap()
}

#[test]
fn every_case_of_pjdfstest_passes_but_those_that_cannot_be_run() {
    let test = "every_case_of_pjdfstest_passes_but_those_that_cannot_be_run";
    if !can_mount(test) || !has_program(test, "pjdfstest") || !rustix::process::getuid().is_root() {
        return;
    }
    let demo = Demo::start();
    // Its cases run as other users, too.
    for directory in [demo.mountpoint.parent().unwrap(), &demo.mountpoint] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/posix");
    let run = Command::new(find_program("pjdfstest").unwrap())
        .args(["-c", &format!("{files}/pjdfstest.toml"), "-v"])
        // mount(8) remounts with libfuse's help, if it is installed: that looks for `muskox`.
        .env("PATH", path_with_muskox())
        .arg("-p")
        .arg(&demo.mountpoint)
        .arg("-s")
        .arg(other.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    let named = |outcome: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_suffix(outcome)?.split_whitespace().next());
        lines.map(str::to_owned).collect()
    };
    let (passed, skipped) = (named(" ok"), named(" skipped"));
    let list = fs::read_to_string(format!("{files}/skipped.txt")).unwrap();
    let known = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let known: BTreeSet<String> = known.map(|(case, _)| case.to_owned()).collect();
    assert!(
        named(" FAILED").is_empty() && run.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(skipped, known);
    assert!(passed.len() >= CASES_MIN, "{} cases", passed.len());
}
