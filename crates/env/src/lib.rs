//! Clock, disk, net, workers and seed: what a role needs of the outside world, real and simulated.
//!
//! Everything non-deterministic that our code touches passes through one [`Env`], so a whole cluster
//! can run on one thread from one seed. Real or simulated is chosen at run time; there is no cargo feature.
//!
//! # Invariants
//! 1. A simulated [`Env`] never reads the real clock, disk, network or random source.
//! 2. Nothing here knows what the bytes mean.
//!
//! # Elsewhere
//! Timers are `tokio::time` (paused in a simulation). Frames on a stream: `link`.

pub mod buffer;
mod clock;
mod disk;
mod net;
mod path;
mod real;
mod runtime;
mod seed;
mod sim;
mod workers;

pub use clock::{Clock, Instant};
pub use disk::{Dir, DirEntry, EntryKind, File, Identity, OpenMode, Space};
pub use net::{BoxFuture, Listener, Net, SimulatedStream, Stream};
pub use real::{FILESYSTEM, Mounted, RealDir, mounted};
pub use runtime::{Runtime, Task};
pub use seed::Seed;
pub use sim::{Effort, Fault, SimDisk, SimNet, SimWorld, Stray};
pub use workers::{Queue, Workers};

use std::sync::Arc;

/// The outside world of one process.
#[derive(Clone)]
pub struct Env {
    /// Wall clock and monotonic clock.
    pub clock: Arc<dyn Clock>,
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// Threads for blocking work, and runtimes with threads of their own.
    pub workers: Arc<dyn Workers>,
    /// Randomness.
    pub seed: Arc<dyn Seed>,
}
