//! Without a cluster: every kind of call waits, a signal ends it, and no process stays that SIGKILL does not end.
//!
//! Each call is made by processes of its own, all at the same time: some are ended by a signal, some catch it and are told EINTR.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hand.rs"]
mod hand;
#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/namespaces.rs"]
mod namespaces;
#[path = "common/replicas.rs"]
mod replicas;
#[path = "common/shell.rs"]
mod shell;

use common::*;
use hand::*;
use hosts::*;
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A file with content that no cache holds, open.
const STORED: &[&str] = &["open f D/f create+rw", "write f 1 300000", "fsync f", "drop-pages f"];
const CACHED: &[&str] = &["open f D/f create+rw", "write f 1 9000", "fsync f", "map m f shared 9000"];
const NAMED: &[&str] = &["open f D/f create+w", "close f"];
const DIRECTORY: &[&str] = &["mkdir D/d", "open d D r+directory", "fsync d"];
const ATTRIBUTE: &[&str] = &["open f D/f create+w", "close f", "setxattr D/f user.a b"];

/// What goes before, and what is called without a cluster: the last call waits. What a cache may answer for a moment is
/// asked until it waits.
const CALLS: [(&[&str], &str); 44] = [
    (STORED, "until open g D/f r"),
    (STORED, "until open g D/f w+trunc"),
    (&[], "open g D/new create+w"),
    (&[], "open g D/new create+excl+w"),
    (STORED, "until read f 0 4096"),
    (&["open f D/f create+rw+direct", "write f 1 300000", "fsync f"], "until read f 0 4096"),
    (&["open f D/f create+rw+dsync"], SYNCED),
    (&["open f D/f create+rw+sync+direct"], SYNCED),
    (&["open f D/f create+w+append+dsync"], SYNCED),
    (&["open f D/f create+rw"], "until write f 1 1048576"),
    (&["open f D/f create+w+append"], "until write f 1 1048576"),
    (CACHED, "pwrite f 3000 2 9000; fsync f"),
    (CACHED, "pwrite f 3000 2 9000; fdatasync f"),
    (CACHED, "pwrite f 3000 2 9000; close f"),
    (CACHED, "poke m 5000 7; msync m"),
    // What ends here closes its file while it ends; whether the thread that does it can still see the signal is a matter of
    // chance, so several.
    (CACHED, "pwrite f 3000 2 9000; pause"),
    (CACHED, "pwrite f 3000 2 9000; pause"),
    (CACHED, "pwrite f 3000 2 9000; pause"),
    (CACHED, "pwrite f 3000 2 9000; pause"),
    (STORED, "ftruncate f 100"),
    (STORED, "truncate D/f 100"),
    (STORED, "punch f 5000 90000"),
    (STORED, "until data f 0"),
    (STORED, "until stat D/f"),
    (&[], "until stat D/nobody"),
    (NAMED, "until access D/f"),
    (DIRECTORY, "until chdir D/d"),
    (DIRECTORY, "until list D"),
    (DIRECTORY, "rmdir D/d"),
    (&[], "mkdir D/d"),
    (&[], "symlink x D/l"),
    (&["symlink x D/l"], "until readlink D/l"),
    (&[], "fifo D/p"),
    (NAMED, "link D/f D/g"),
    (NAMED, "unlink D/f"),
    (NAMED, "rename D/f D/g"),
    (NAMED, "chmod D/f 600"),
    (NAMED, "chown D/f 7"),
    (NAMED, "utimens D/f 1000"),
    (&[], "until statfs D"),
    (NAMED, "setxattr D/f user.a b"),
    (ATTRIBUTE, "until getxattr D/f user.a"),
    (ATTRIBUTE, "until listxattr D/f"),
    (ATTRIBUTE, "removexattr D/f user.a"),
];
/// What is answered once bytes that were taken are synced, so a signal that is caught does not end it: the program would write them again.
const SYNCED: &str = "write f 1 4096";
/// Those that go through several steps of the kernel's, with a file to copy to.
const COPIES: [&str; 2] = ["until copy f t 4096", "until sendfile f t 4096"];
/// A page of a mapping: it has no error to give, so who catches the signal waits on once it has handled it.
const FAULT: (&[&str], &str) = (
    &["open f D/f create+rw", "write f 1 300000", "fsync f", "map m f private 300000", "drop-pages f"],
    "until peek m 100000",
);

/// How a process is ended.
const ENDS: [(Signal, bool); 4] =
    [(Signal::INT, false), (Signal::TERM, false), (Signal::KILL, false), (Signal::INT, true)];
/// Much less than the mount's limit of a minute.
const PROMPTLY: Duration = Duration::from_secs(20);
/// Who was asked to end in vain is asked again: the signal may have come between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// A process, the call it makes, and how it is ended.
struct Waiter {
    hand: Hand,
    /// All of them.
    calls: Vec<String>,
    signal: Signal,
    catches: bool,
    told: Option<Instant>,
    over: bool,
}

impl Waiter {
    fn new(directory: &Path, before: &[&str], call: &str, (signal, catches): (Signal, bool)) -> Self {
        let mut hand = Hand::start();
        let place = directory.display().to_string();
        let word = |word: &str| match word.strip_prefix('D') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{place}{rest}"),
            _ => word.to_owned(),
        };
        let placed = |call: &str| call.split(' ').map(word).collect::<Vec<_>>().join(" ");
        hand.ok(&placed("mkdir D"));
        before.iter().for_each(|call| drop(hand.ok(&placed(call))));
        if catches {
            hand.ok(&format!("catch {}", signal.as_raw()));
        }
        let calls = call.split("; ").map(placed).collect();
        Self { hand, calls, signal, catches, told: None, over: false }
    }

    fn name(&self) -> String {
        let how = if self.catches { "caught" } else { "not caught" };
        format!("{:?} {how} in {:?}", self.signal, self.calls)
    }

    /// Sends its signal, if it is time; looks whether it had the effect that it must have.
    fn end(&mut self) -> bool {
        if self.over {
            return true;
        }
        if self.told.is_none_or(|told| told.elapsed() > AGAIN) {
            self.hand.send(self.signal);
            self.told = Some(Instant::now());
        }
        if let Some(status) = self.hand.ended() {
            let right = !self.catches && status.signal() == Some(self.signal.as_raw());
            assert!(right, "{} has ended: {status}", self.name());
            self.over = true;
        } else if let Some(answer) = self.hand.answered() {
            assert!(self.catches, "{} goes on with {answer:?}", self.name());
            assert_eq!(answer, Err(Errno::INTR), "{}", self.name());
            self.over = true;
        }
        self.over
    }
}

/// All calls, each to be ended in each way.
fn waiters(hosts: &Hosts) -> Vec<Waiter> {
    let mut copies: Vec<Vec<&str>> = Vec::new();
    for _ in COPIES {
        copies.push(STORED.iter().copied().chain(["open t D/t create+rw"]).collect());
    }
    let copying = copies.iter().map(Vec::as_slice).zip(COPIES);
    let all: Vec<(&[&str], &str)> = CALLS.into_iter().chain([FAULT]).chain(copying).collect();
    let mut waiters = Vec::new();
    for (number, (before, call)) in all.into_iter().enumerate() {
        for (kind, end) in ENDS
            .into_iter()
            .enumerate()
            .filter(|(_, (_, catches))| !catches || ![FAULT.1, SYNCED].contains(&call))
        {
            let directory = hosts.path(&format!("d{number}-{kind}"));
            waiters.push(Waiter::new(&directory, before, call, end));
        }
    }
    waiters
}

/// Every call waits, and each process ends as its signal wants it.
fn check_signals(mut waiters: Vec<Waiter>) {
    // What these leave unsent goes into the mount's memory, which others are about to fill.
    for waiter in &mut waiters {
        let (_, first) = waiter.calls.split_last().unwrap();
        first.iter().for_each(|call| drop(waiter.hand.ok(call)));
    }
    waiters.iter_mut().for_each(|waiter| waiter.hand.tell(waiter.calls.last().unwrap()));
    let mut awake: Vec<usize> = (0..waiters.len()).collect();
    let until = Instant::now() + PROMPTLY;
    while !awake.is_empty() {
        let names = || awake.iter().map(|at| waiters[*at].name()).collect::<Vec<_>>();
        assert!(Instant::now() < until, "do not wait for the cluster: {:#?}", names());
        awake.retain(|at| !waiters[*at].hand.waits());
        std::thread::sleep(Duration::from_millis(20));
    }
    let until = Instant::now() + PROMPTLY;
    while waiters.iter_mut().map(Waiter::end).filter(|over| !over).count() > 0 {
        let left = || waiters.iter().filter(|waiter| !waiter.over).map(Waiter::name).collect::<Vec<_>>();
        assert!(Instant::now() < until, "were not ended: {:#?}", left());
        std::thread::sleep(Duration::from_millis(20));
    }
    // Those that caught it go on, with what they have open and unsent; SIGKILL ends them, too.
    waiters.iter().for_each(|waiter| waiter.hand.send(Signal::KILL));
    let until = Instant::now() + PROMPTLY;
    while waiters.iter_mut().filter_map(|waiter| waiter.hand.ended()).count() < waiters.len() {
        let stay = waiters.iter().filter(|waiter| is_alive(waiter.hand.pid()));
        let stay = || stay.map(Waiter::name).collect::<Vec<_>>();
        assert!(Instant::now() < until, "SIGKILL does not end: {:#?}", stay());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The mount goes on.
fn check_after(hosts: &Hosts) {
    fs::write(hosts.path("after"), "after").unwrap();
    assert_eq!(fs::read_to_string(hosts.path("after")).unwrap(), "after");
    assert_eq!(fs::read_to_string(hosts.path("before")).unwrap(), "before");
}

const SERVERS: [&str; 4] = ["cs1", "cs2", "cs3", "master"];

#[test]
fn no_call_to_a_cluster_that_was_killed_keeps_a_process_from_its_signals() {
    if !can_mount("no_call_to_a_cluster_that_was_killed_keeps_a_process_from_its_signals") {
        return;
    }
    let mut hosts = Hosts::start();
    fs::write(hosts.path("before"), "before").unwrap();
    let waiters = waiters(&hosts);
    SERVERS.iter().for_each(|name| hosts.kill(name));
    check_signals(waiters);
    hosts.start_all();
    check_after(&hosts);
}

#[test]
fn no_call_to_a_cluster_that_was_stopped_keeps_a_process_from_its_signals() {
    if !can_mount("no_call_to_a_cluster_that_was_stopped_keeps_a_process_from_its_signals") {
        return;
    }
    let hosts = Hosts::start();
    fs::write(hosts.path("before"), "before").unwrap();
    let waiters = waiters(&hosts);
    SERVERS.iter().for_each(|name| hosts.send(name, Signal::STOP));
    check_signals(waiters);
    SERVERS.iter().for_each(|name| hosts.send(name, Signal::CONT));
    hosts.wait_whole();
    check_after(&hosts);
}

fn send_all(hosts: &Hosts, signal: Signal) {
    SERVERS.iter().for_each(|name| hosts.send(name, signal));
}

/// A process whose call will wait, and one that will be ended while it does.
struct Looker(Waiter);

impl Looker {
    fn new(hosts: &Hosts) -> Self {
        Self(Waiter::new(&hosts.path("looker"), &[], "until stat D/nobody", ENDS[0]))
    }

    /// The mount looks at all that wait, and ends one of them: those that waited before were looked at, too.
    fn look(mut self) {
        self.0.hand.tell(self.0.calls.last().unwrap());
        wait_within(PROMPTLY, "it waits", || self.0.hand.waits());
        wait_within(PROMPTLY, "it is ended", || self.0.end());
    }
}

/// More than a mount takes into its buffer, in the pages of one mapping.
const MAPPED: usize = 64 << 20;
const PAGE: usize = 4096;

#[test]
fn however_much_is_unsent_in_a_mapping_a_signal_ends_the_process_and_nothing_is_lost() {
    if !can_mount("however_much_is_unsent_in_a_mapping_a_signal_ends_the_process_and_nothing_is_lost") {
        return;
    }
    let hosts = Hosts::start();
    let ways = [("pause", Signal::KILL), ("fsync f", Signal::KILL), ("msync m", Signal::INT)];
    let path = |number: usize| hosts.path(&format!("f{number}"));
    let mut hands: Vec<Hand> = (0..ways.len()).map(|_| Hand::start()).collect();
    for (number, hand) in hands.iter_mut().enumerate() {
        hand.ok(&format!("open f {} create+rw", path(number).display()));
        hand.ok(&format!("write f {number} {MAPPED}"));
        hand.ok("fsync f");
        hand.ok(&format!("map m f shared {MAPPED}"));
    }
    // Not every page that was written stays in the kernel's cache, and none can be read without a cluster.
    hands.iter_mut().for_each(|hand| drop(hand.ok("peek-pages m")));
    send_all(&hosts, Signal::STOP);
    hands.iter_mut().for_each(|hand| hand.tell("poke-pages m 7"));
    for hand in &mut hands {
        assert_eq!(hand.answer(), Some(Ok(String::new())));
    }
    for (hand, (call, signal)) in hands.iter_mut().zip(ways) {
        hand.tell(call);
        wait_within(PROMPTLY, call, || hand.waits());
        hand.send(signal);
        let ends = format!("{signal:?} ends it in {call:?}");
        wait_within(PROMPTLY, &ends, || hand.ended().is_some());
    }
    send_all(&hosts, Signal::CONT);
    hosts.wait_whole();
    for (number, way) in ways.iter().enumerate() {
        let mut content = bytes(number as u64, MAPPED);
        content.iter_mut().step_by(PAGE).for_each(|first| *first = 7);
        assert!(fs::read(path(number)).unwrap() == content, "{way:?}");
    }
}

#[test]
fn a_read_that_outlives_the_thread_that_began_it_ends_with_the_process_alone() {
    if !can_mount("a_read_that_outlives_the_thread_that_began_it_ends_with_the_process_alone") {
        return;
    }
    let mut hosts = Hosts::start();
    let path = hosts.path("f");
    fs::write(&path, bytes(1, 300_000)).unwrap();
    // So that no byte of it is in memory.
    hosts.kill("mount");
    hosts.start_one("mount");
    let looker = Looker::new(&hosts);
    let mut hands = [Hand::start(), Hand::start()];
    hands.iter_mut().for_each(|hand| drop(hand.ok(&format!("open f {} r+direct", path.display()))));
    send_all(&hosts, Signal::STOP);
    for hand in &mut hands {
        hand.ok("begin-read f 4096 8192");
        hand.tell("end-read");
        wait_within(PROMPTLY, "it waits", || hand.waits());
    }
    let [lives, dies] = &mut hands;
    dies.send(Signal::KILL);
    wait_within(PROMPTLY, "SIGKILL ends it", || dies.ended().is_some());
    looker.look();
    assert_eq!(lives.answered(), None);
    send_all(&hosts, Signal::CONT);
    assert_eq!(lives.answer(), Some(Ok("8192".to_owned())));
}

#[test]
fn a_synced_write_that_is_tried_again_after_a_signal_is_there_once() {
    if !can_mount("a_synced_write_that_is_tried_again_after_a_signal_is_there_once") {
        return;
    }
    let hosts = Hosts::start();
    let looker = Looker::new(&hosts);
    let ways = ["append+dsync", "append+sync", "append+dsync+direct", "dsync", "sync+direct"];
    let mut hands: Vec<Hand> = ways.iter().map(|_| Hand::start()).collect();
    for (hand, way) in hands.iter_mut().zip(ways) {
        hand.ok(&format!("catch {}", Signal::INT.as_raw()));
        hand.ok(&format!("open f {} create+w+{way}", hosts.path(way).display()));
        hand.ok("write f 1 4096");
    }
    send_all(&hosts, Signal::STOP);
    for (hand, way) in hands.iter_mut().zip(ways) {
        hand.tell("write f 2 4096");
        wait_within(PROMPTLY, way, || hand.waits());
        hand.send(Signal::INT);
    }
    looker.look();
    send_all(&hosts, Signal::CONT);
    for (hand, way) in hands.iter_mut().zip(ways) {
        let again = match hand.answer().unwrap() {
            Err(Errno::INTR) => hand.call("write f 2 4096"),
            answer => answer,
        };
        assert_eq!(again, Ok("4096".to_owned()), "{way}");
        assert_eq!(hand.ok("caught"), "1", "{way}");
        let content = fs::read(hosts.path(way)).unwrap();
        assert!(content == [bytes(1, 4096), bytes(2, 4096)].concat(), "{way}: {} bytes", content.len());
    }
}
