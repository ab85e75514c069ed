//! POSIX, case by case: the cases of pjdfstest on a mount.
//!
//! All pass, but those in `posix/skipped.txt`, which says why they cannot be run.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Fewer mean that the program was built without some.
const CASES_MIN: usize = 397;

/// Runs a program where mount(8) finds us as its helper: in the place of libfuse's, in a table of mounts of its own. Without
/// that one mount(8) needs none.
const WITH_HELPER: &str = r#"[ ! -e /sbin/mount.fuse ] || mount --bind "$0" /sbin/mount.fuse && exec "$@""#;

const CASES: &str = "every_case_of_pjdfstest_passes_but_those_that_cannot_be_run";

#[test]
fn a_test_whose_program_is_not_installed_says_that_it_was_not_run_and_passes() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CASES]).env("PATH", "").env("CARGO_HOME", "/nowhere");
    let run = ok(command);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains(&format!("NOT RUN: {CASES} needs ")), "{said}");
}

#[test]
fn every_case_of_pjdfstest_passes_but_those_that_cannot_be_run() {
    if !can_mount(CASES) || !has_program(CASES, "pjdfstest") || !is_root(CASES) {
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
    let config = fs::read_to_string(format!("{files}/pjdfstest.toml")).unwrap();
    let remounting = other.path().join("remounting.toml");
    fs::write(&remounting, config.replace("allow_remount = false", "allow_remount = true")).unwrap();
    let run = |config: &Path, pattern: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", WITH_HELPER, MUSKOX]);
        command.arg(find_program("pjdfstest").unwrap()).arg("-c").arg(config).arg("-v");
        command.arg("-p").arg(&demo.mountpoint).arg("-s").arg(other.path());
        let run = command.args((!pattern.is_empty()).then_some(pattern)).output().unwrap();
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{text}\n{}", String::from_utf8_lossy(&run.stderr));
        let named = |outcome: &str| -> BTreeSet<String> {
            let lines = text.lines().filter_map(|line| line.strip_suffix(outcome)?.split_whitespace().next());
            lines.map(str::to_owned).collect()
        };
        assert!(named(" FAILED").is_empty(), "{text}");
        (named(" ok"), named(" skipped"))
    };
    // By themselves: other cases leave files open for writing in the program, which forbids read-only.
    let (mut passed, none) = run(&remounting, "erofs");
    assert!(none.is_empty(), "{none:?}");
    let (more, mut skipped) = run(Path::new(&format!("{files}/pjdfstest.toml")), "");
    skipped.retain(|case| !passed.contains(case));
    passed.extend(more);
    let list = fs::read_to_string(format!("{files}/skipped.txt")).unwrap();
    let known = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let known: BTreeSet<String> = known.map(|(case, _)| case.to_owned()).collect();
    assert_eq!(skipped, known);
    // The table of docs/posix.md.
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let group = |case: &'_ String| case.split("::").next().unwrap_or_default().len();
    passed.iter().for_each(|case| groups.entry(&case[..group(case)]).or_default().0 += 1);
    skipped.iter().for_each(|case| groups.entry(&case[..group(case)]).or_default().1 += 1);
    groups
        .iter()
        .for_each(|(name, (passed, skipped))| println!("| {name} | {} | {passed} |", passed + skipped));
    assert!(passed.len() >= CASES_MIN, "{} cases", passed.len());
}
