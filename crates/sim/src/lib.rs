//! A whole cluster on one thread from one seed, with an oracle that knows what must be true.
//!
//! One master, three chunkservers with two disks each and two clients run their real code on a simulated
//! network, simulated disks and simulated time. From the seed both clients draw operations, and a nemesis
//! draws what breaks; then the faults stop, and everything is looked at.
//!
//! # Invariants
//! 1. The same seed gives the same events at the same simulated times ([`Report::trace`]).
//! 2. What a client is told is compared with every state that the oracle holds possible (`oracle`).
//!
//! 3. After each round everything is held against `invariants`.
//!
//! # Elsewhere
//! Simulated disks, network and time: `env`.

mod chance;
mod cluster;
mod driver;
mod invariants;
mod losses;
mod nemesis;
mod oracle;
mod panics;
mod quiet;
mod run;
mod steady;
#[cfg(test)]
mod tests;
mod trace;

pub use cluster::Cluster;
pub use nemesis::Faults;
pub use run::{Plan, Report};
pub use steady::Steady;
