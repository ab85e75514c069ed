//! The outside world as it is: Linux files, TCP, threads and clocks.

mod clock;
mod dir;
mod file;
mod identity;
mod mounts;
mod net;
mod seed;
mod workers;

pub use dir::RealDir;
pub use mounts::{FILESYSTEM, Mounted, mounted};

use crate::Env;
use std::sync::Arc;

impl Env {
    /// The real world. Directories are opened with [`RealDir::open`].
    pub fn real() -> Self {
        Self {
            clock: Arc::new(clock::RealClock),
            net: Arc::new(net::RealNet),
            workers: Arc::new(workers::RealWorkers),
            seed: Arc::new(seed::RealSeed),
        }
    }
}
