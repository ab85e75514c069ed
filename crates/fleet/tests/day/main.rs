//! A day of a large cluster against the real fleet: losses, returns, labels and classes that change.
//!
//! The fleet, with its queues of healing, holds, removal and balance, and the placement are the real ones, and are told what the master
//! tells them; servers are played (`orders`): an order takes its time by its bytes, some are refused and some hang. One thread, one seed,
//! a clock that jumps, no I/O. What really is on the disks is kept beside it (`cluster`), and what is right is worked out anew (`classes`, `why`).
//!
//! # What is checked
//! 1. After each event every chunk has a good replica somewhere: no order takes the last one. A delete order leaves as many as are
//!    wanted, where they are wanted, on disks that stay.
//! 2. Each copy that is ordered has a reason at that moment, and there are no more copies than `books` says. So a server that
//!    returns costs no copy of what is current.
//! 3. When nothing happens any more every class that can be met is met within the time of a hold and two hours, nothing is above its
//!    goal, no stale replica is left, and the fleet knows where everything is.
//!
//! # How large
//! Without more: an hour of 40 disks. `cargo xtask soak day`: 24 hours of 1,000 disks and 1,000,000 chunks from a fresh seed. `plan` has the
//! variables, and a violation tells the command that plays the same day again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod books;
mod classes;
mod cluster;
mod dice;
mod holds;
mod life;
mod orders;
mod peace;
mod plan;
mod report;
mod why;
mod world;

use plan::Plan;
use world::World;

/// Tells how a day that broke is played again.
struct Command(String);

impl Drop for Command {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the same day again: {}", self.0);
        }
    }
}

/// Until all disks have reported at the start.
const START_MS: u64 = 30_000;

/// Plays a day to its end.
fn play(plan: Plan) -> World {
    let _command = Command(plan.command());
    let (talks, end_ms) = (plan.talks, plan.end_ms());
    let mut world = World::new(plan);
    if talks {
        eprintln!("{}\n{}", world.plan.command(), report::HEAD);
    }
    world.play_until(START_MS);
    assert_eq!(world.fleet.summary().ok, u64::from(world.plan.chunks), "all is well at the beginning");
    world.begin_living();
    world.play_until(end_ms);
    world.make_peace();
    let rest_ms = world.come_to_rest();
    world.check_bound();
    world.check_all_met();
    if talks {
        world.tell_hour();
        eprintln!("all met {} s after the last event\n{}", rest_ms / 1_000, report::bound(&world.books));
    }
    assert_eq!(world.violations, 0, "promises were broken");
    world
}

#[test]
fn whatever_happens_in_a_day_nothing_is_lost_nor_copied_without_need_and_all_is_met_at_the_end() {
    let world = play(Plan::of_environment());
    let books = &world.books;
    assert!(books.copies_needed() > u64::from(world.plan.chunks) / 10, "hardly anything happened");
}

#[test]
fn the_same_seed_plays_the_same_day() {
    let trace = |seed| {
        let mut world = World::new(Plan::small(seed));
        world.play_until(START_MS);
        world.begin_living();
        world.play_until(1_200_000);
        assert_eq!(world.violations, 0, "promises were broken");
        world.trace
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
