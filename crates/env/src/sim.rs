//! A world of our own: disks in memory, a network between named hosts, and time, all from one seed.
//!
//! It is meant for one thread: a tokio `current_thread` runtime with paused time. Then the same seed
//! and the same program give the same run.
//!
//! # Invariants
//! 1. Nothing here reads the real clock, disk, network or random source.
//! 2. Each host, disk and the network draw their chances from generators of their own, so that adding
//!    one does not change what happens to the others.

mod clock;
mod content;
mod disk;
mod faults;
mod handles;
mod names;
mod net;
mod pipe;
mod rng;
mod workers;

pub use disk::SimDisk;
pub use faults::{Effort, Fault, Stray};
pub use net::SimNet;

use crate::{Env, Seed};
use clock::{HostClock, WorldTime};
use rng::Rng;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use workers::{Paces, SimWorkers};

/// The handle of a simulated world; clones share it.
#[derive(Clone)]
pub struct SimWorld {
    seed: u64,
    time: Arc<WorldTime>,
    net: SimNet,
    paces: Paces,
    hosts: Arc<Mutex<BTreeMap<String, Host>>>,
}

#[derive(Default)]
struct Host {
    wall_offset_ns: Arc<AtomicI64>,
    starts: u64,
}

impl SimWorld {
    /// A world without hosts.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            time: Arc::default(),
            net: SimNet::new(Rng::named(seed, "net")),
            paces: Paces::new(Rng::named(seed, "paces")),
            hosts: Arc::default(),
        }
    }

    /// The outside world of a process that starts on `host` now. A second call for the same host is a
    /// restarted process: the same clock and address, other random numbers.
    pub fn env(&self, host: &str) -> Env {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = hosts.entry(host.to_owned()).or_default();
        entry.starts += 1;
        let rng = Rng::named(self.seed, &format!("{host}#{}", entry.starts));
        Env {
            clock: Arc::new(HostClock {
                time: Arc::clone(&self.time),
                wall_offset_ns: Arc::clone(&entry.wall_offset_ns),
            }),
            net: Arc::new(self.net.host(host)),
            workers: Arc::new(SimWorkers { host: host.to_owned(), paces: self.paces.clone() }),
            seed: Arc::new(SimSeed(Mutex::new(rng))),
        }
    }

    /// The network between the hosts.
    pub fn net(&self) -> &SimNet {
        &self.net
    }

    /// A new, empty disk.
    pub fn disk(&self, label: &str) -> SimDisk {
        SimDisk::new(self.seed, label)
    }

    /// Each job of a host's queue takes up to `longest` from now on, as on a sick disk. Restarts do not help.
    pub fn slow_queue(&self, host: &str, queue: &str, longest: Duration) {
        self.paces.slow(host, queue, longest);
    }

    /// Some jobs of a host's queue that sync take up to `longest` from now on, and others overtake them in its other threads, as where
    /// one fdatasync lasts for seconds while the disk still reads.
    pub fn snag_queue(&self, host: &str, queue: &str, longest: Duration) {
        self.paces.snag(host, queue, longest);
    }

    /// A host's queue does nothing any more; what it is given waits.
    pub fn hang_queue(&self, host: &str, queue: &str) {
        self.paces.hang(host, queue);
    }

    /// Ends [`SimWorld::slow_queue`], [`SimWorld::snag_queue`] and [`SimWorld::hang_queue`].
    pub fn free_queue(&self, host: &str, queue: &str) {
        self.paces.go_on(host, queue);
    }

    /// Puts a host's wall clock ahead of the world's, or behind it. Its monotonic clock does not notice.
    pub fn set_wall_offset(&self, host: &str, ahead: Duration, behind: Duration) {
        let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = &hosts.entry(host.to_owned()).or_default().wall_offset_ns;
        offset.store(nanos(ahead).saturating_sub(nanos(behind)), Ordering::Relaxed);
    }
}

impl Env {
    /// A simulated world with one host, named `host`.
    pub fn simulated(seed: u64) -> (Self, SimWorld) {
        let world = SimWorld::new(seed);
        (world.env("host"), world)
    }
}

/// Random numbers from the world's seed.
struct SimSeed(Mutex<Rng>);

impl Seed for SimSeed {
    fn next_u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

#[cfg(test)]
mod tests;
