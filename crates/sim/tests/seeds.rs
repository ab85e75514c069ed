//! Fixed seeds in CI, and one again on request.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sim::Plan;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..12 {
        assert_eq!(Plan::new(seed).run().unwrap(), Plan::new(seed).run().unwrap(), "seed {seed}");
    }
}

fn plan(seed: u64) -> Plan {
    let faults = std::env::var("MUSKOX_SIM_FAULTS").ok().map(|name| name.parse().unwrap());
    let plan = Plan::new(seed);
    let goal = variable("MUSKOX_SIM_GOAL").map_or(plan.goal, |goal| goal as usize);
    Plan { faults: faults.unwrap_or(plan.faults), goal, ..plan }
}

/// `MUSKOX_SIM_SEED=N` shows that run event by event, `MUSKOX_SIM_FAULTS` says with which faults, `MUSKOX_SIM_GOAL` with how many replicas; with `RUST_LOG` what the roles say, too.
#[test]
fn replay() {
    if let Some(seed) = variable("MUSKOX_SIM_SEED") {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr).init();
        let report = Plan { aloud: true, ..plan(seed) }.run();
        eprintln!("{:?}", report.unwrap_or_else(|broken| panic!("{broken}")));
    }
}

/// Two of three have to acknowledge: whoever writes waits while two servers are away.
#[test]
fn promises_hold_with_three_replicas() {
    for seed in 500..518 {
        Plan { goal: 3, ..Plan::new(seed) }.run().unwrap();
    }
}

/// `MUSKOX_SIM_FIRST` and `MUSKOX_SIM_SEEDS` choose others, `MUSKOX_SIM_FAULTS` other faults.
#[test]
fn promises_hold_for_every_seed() {
    let count = variable("MUSKOX_SIM_SEEDS").unwrap_or(72);
    let first = variable("MUSKOX_SIM_FIRST").unwrap_or(1);
    let seeds = first..first + count;
    let failures: Vec<String> = seeds.filter_map(|seed| plan(seed).run().err()).collect();
    for failure in &failures {
        eprintln!("{}", failure.lines().next().unwrap_or_default());
    }
    assert!(failures.is_empty(), "{} of {count} seeds failed; the first: {}", failures.len(), failures[0]);
}
