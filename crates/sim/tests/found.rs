//! Seeds that once found something, each under a sentence on what it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sim::Plan;

fn holds(seed: u64) {
    Plan::new(seed).run().unwrap();
}

/// One of two replicas had lost unsynced writes with its power; fsync succeeded by the other, and readers were
/// sent to the first.
#[test]
fn an_fsync_leaves_no_replica_in_the_chain_that_lost_what_it_covers() {
    holds(11);
    holds(275);
}
