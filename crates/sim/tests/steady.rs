//! A writer that never pauses while its chunk gets a replica back: fixed seeds in CI, and one again on request.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sim::Steady;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn steady(seed: u64) -> Steady {
    Steady { seed, aloud: false }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(steady(3).run().unwrap(), steady(3).run().unwrap());
}

/// `MUSKOX_SIM_STEADY=N` shows that run event by event; with `RUST_LOG` what the roles say, too.
#[test]
fn replay() {
    if let Some(seed) = variable("MUSKOX_SIM_STEADY") {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr).init();
        let report = Steady { aloud: true, ..steady(seed) }.run();
        eprintln!("{}", report.map_or_else(|broken| broken, |report| format!("{report:?}")));
    }
}

/// `MUSKOX_SIM_FIRST` and `MUSKOX_SIM_SEEDS` choose others.
#[test]
fn a_chunk_gets_its_replica_back_while_it_is_written_without_a_pause() {
    let (first, count) =
        (variable("MUSKOX_SIM_FIRST").unwrap_or(1), variable("MUSKOX_SIM_SEEDS").unwrap_or(20));
    let failures: Vec<String> = (first..first + count).filter_map(|seed| steady(seed).run().err()).collect();
    for failure in &failures {
        eprintln!("{}", failure.lines().next().unwrap_or_default());
    }
    assert!(failures.is_empty(), "{} of {count} seeds failed; the first: {}", failures.len(), failures[0]);
}
