//! The term and the cluster in a small durable file, replaced as a whole.
//!
//! A new term must be stable before the first order given under it, and before any record of it.

use env::Dir;
use std::io;
use types::{ClusterId, Term};

/// What a master remembers beside its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign {
    /// The cluster.
    pub cluster: ClusterId,
    /// The highest term ever taken or seen.
    pub term: Term,
}

/// Reads it; `None` if it was never stored. A damaged file is an error (`InvalidData`), never `None`.
pub fn load(dir: &dyn Dir) -> io::Result<Option<Reign>> {
    let _ = dir;
    unimplemented!()
}

/// Stores it; durable when this returns.
pub fn store(dir: &dyn Dir, reign: Reign) -> io::Result<()> {
    let _ = (dir, reign);
    unimplemented!()
}
