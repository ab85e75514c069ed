//! How long a choice takes among 10,000 disks: `cargo run -p placement --example choose_among_many`.
#![allow(clippy::print_stdout, reason = "an example that measures")]
#![allow(clippy::disallowed_methods, reason = "an example that measures")]

use placement::{AnyDisk, Candidate, Candidates};
use std::time::Instant;

fn main() {
    for (name, disks_per_server) in [("10 disks per server", 10u32), ("one server only", 10_000)] {
        let mut candidates = Candidates::default();
        for disk in 0..10_000u16 {
            let domain = u32::from(disk) / disks_per_server;
            let free_bytes = (4 << 40) - ((u64::from(disk) % 97) << 34);
            candidates.set(Candidate { disk, domain, total_bytes: 4 << 40, free_bytes, writes: 0 });
        }
        let rounds = 2_000u64;
        let start = Instant::now();
        let placed: usize =
            (0..rounds).map(|tie| candidates.choose(&AnyDisk(2), tie, |_| false).found().count()).sum();
        let each = start.elapsed() / rounds as u32;
        println!("{name}: {each:?} per choice, {placed} replicas placed");
    }
}
