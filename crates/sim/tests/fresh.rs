//! Seeds that nobody chose, for as long as is asked (`cargo xtask soak sim --hours N`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sim::Plan;
use std::io::Read;
use std::time::{Duration, Instant};

/// How often the count is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// From the operating system's randomness.
fn fresh_seed() -> u64 {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// Runs for `MUSKOX_SIM_FRESH` seconds, with `MUSKOX_SIM_FAULTS` for those faults alone. Every violation is told at once, with the command that replays it.
#[test]
fn promises_hold_for_seeds_that_nobody_chose() {
    let Ok(seconds) = std::env::var("MUSKOX_SIM_FRESH") else { return };
    let wanted = std::env::var("MUSKOX_SIM_FAULTS").ok().map(|name| name.parse().unwrap());
    let (begun, limit) = (Instant::now(), Duration::from_secs_f64(seconds.parse().unwrap()));
    let (mut rounds, mut broken, mut told) = (0_u64, Vec::new(), begun);
    while begun.elapsed() < limit {
        let seed = fresh_seed();
        rounds += 1;
        let goal = if rounds % 4 == 0 { 3 } else { 2 };
        let plan = Plan { goal, ..Plan::new(seed) };
        let faults = wanted.unwrap_or(plan.faults);
        if let Err(violation) = (Plan { faults, ..plan }).run() {
            eprintln!("{violation}");
            broken.push(seed);
        }
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            eprintln!("{rounds} fresh seeds, {} broken, the last {seed}", broken.len());
        }
    }
    eprintln!("{rounds} fresh seeds in {:?}, {} broken", begun.elapsed(), broken.len());
    assert!(rounds > 0 && broken.is_empty(), "{} of {rounds} seeds are broken: {broken:?}", broken.len());
}
