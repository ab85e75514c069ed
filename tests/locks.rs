//! Locks between the processes of one mount: of ranges (fcntl) and of whole files (flock).

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hand.rs"]
mod hand;

use common::*;
use hand::*;
use rustix::io::Errno;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

/// So many processes, each with the same file open for reading and writing, as `f`.
fn hands<const N: usize>(demo: &Demo) -> [Hand; N] {
    std::array::from_fn(|_| {
        let mut hand = Hand::start();
        hand.ok(&format!("open f {} create+rw", demo.path("f").display()));
        hand
    })
}

/// Begins a call that has to wait.
fn waits(hand: &mut Hand, call: &str) {
    hand.tell(call);
    wait_until("it waits", || {
        assert_eq!(hand.answered(), None, "{call} has not waited");
        hand.waits()
    });
}

fn got(hand: &mut Hand) {
    hand.answer().unwrap().unwrap();
}

#[test]
fn a_range_that_one_process_has_locked_is_refused_to_others_or_waited_for() {
    if !can_mount("a_range_that_one_process_has_locked_is_refused_to_others_or_waited_for") {
        return;
    }
    let demo = Demo::start();
    let [mut one, mut two, mut three] = hands(&demo);
    one.ok("setlk f write 0 100");
    two.ok("setlk f read 100 50");
    three.ok("setlk f read 120 50");
    for kind in ["read", "write"] {
        assert_eq!(two.call(&format!("setlk f {kind} 99 1")), Err(Errno::AGAIN));
    }
    assert_eq!(three.call("setlk f write 100 10"), Err(Errno::AGAIN));
    // Who has it: of two that would do, the first.
    assert_eq!(three.ok("getlk f read 0 500"), format!("write {} 0 100", one.pid()));
    assert_eq!(three.ok("getlk f write 100 500"), format!("read {} 100 50", two.pid()));
    assert!(three.ok("getlk f read 100 500").starts_with("none"), "two may read");
    assert!(one.ok("getlk f write 0 100").starts_with("none"), "its own lock is in nobody's way");
    // Freed in part, and then in whole; each is given to who waits for it.
    waits(&mut two, "setlkw f write 50 10");
    waits(&mut three, "setlkw f read 0 10");
    one.ok("setlk f none 40 60");
    got(&mut two);
    assert_eq!(three.answered(), None);
    one.ok("setlk f none 0 0");
    got(&mut three);
    assert_eq!(one.call("setlk f write 0 10"), Err(Errno::AGAIN));
    // A process lets go of all its locks of a file with any close of it.
    two.ok(&format!("open again {} r", demo.path("f").display()));
    two.ok("close again");
    one.ok("setlk f write 50 10");
    // And when it ends.
    waits(&mut two, "setlkw f write 50 10");
    one.send(Signal::KILL);
    got(&mut two);
}

#[test]
fn who_waits_for_a_range_is_ended_by_signals_and_told_of_a_deadlock() {
    if !can_mount("who_waits_for_a_range_is_ended_by_signals_and_told_of_a_deadlock") {
        return;
    }
    let demo = Demo::start();
    let [mut one, mut two, mut three] = hands(&demo);
    one.ok("setlk f write 0 1");
    // Any signal that is caught, not only those that ask a program to end: that is how a lock is waited for with a limit.
    for caught in [Signal::ALARM, Signal::INT] {
        two.ok(&format!("catch {}", caught.as_raw()));
        waits(&mut two, "setlkw f write 0 1");
        two.send(caught);
        assert_eq!(two.answer(), Some(Err(Errno::INTR)));
    }
    assert_eq!(two.ok("caught"), "2");
    for not_caught in [Signal::TERM, Signal::KILL] {
        waits(&mut three, "setlkw f write 0 1");
        three.send(not_caught);
        assert_eq!(three.answer(), None);
        wait_until("it has ended", || three.ended().is_some());
        assert_eq!(three.ended().unwrap().signal(), Some(not_caught.as_raw()));
        [three] = hands(&demo);
    }
    // Nobody who was interrupted got it later.
    one.ok("setlk f none 0 1");
    three.ok("setlk f write 0 1");
    two.ok("setlk f write 1 1");
    waits(&mut two, "setlkw f write 0 1");
    assert_eq!(three.call("setlkw f write 1 1"), Err(Errno::DEADLK));
    three.ok("setlk f none 0 1");
    got(&mut two);
}

#[test]
fn a_file_that_one_process_has_locked_is_refused_to_others_or_waited_for() {
    if !can_mount("a_file_that_one_process_has_locked_is_refused_to_others_or_waited_for") {
        return;
    }
    let demo = Demo::start();
    let [mut one, mut two, mut three] = hands(&demo);
    one.ok("flock f shared");
    two.ok("flock f shared");
    assert_eq!(three.call("flock f try-exclusive"), Err(Errno::AGAIN));
    three.ok("flock f try-shared");
    three.ok("flock f none");
    waits(&mut three, "flock f exclusive");
    one.ok("flock f none");
    assert_eq!(three.answered(), None);
    two.send(Signal::KILL);
    got(&mut three);
    assert_eq!(one.call("flock f try-shared"), Err(Errno::AGAIN));
    // Interrupted waits.
    one.ok(&format!("catch {}", Signal::ALARM.as_raw()));
    waits(&mut one, "flock f shared");
    one.send(Signal::ALARM);
    assert_eq!(one.answer(), Some(Err(Errno::INTR)));
    waits(&mut one, "flock f shared");
    one.send(Signal::TERM);
    assert_eq!(one.answer(), None);
    // Both kinds of locks know nothing of each other, and the last close lets go.
    let [mut four] = hands(&demo);
    four.ok("setlk f write 0 0");
    waits(&mut four, "flock f exclusive");
    three.ok("close f");
    got(&mut four);
}
