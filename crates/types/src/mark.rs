//! Marks: what an operator is about to do with a server or a disk.

use crate::{DiskId, ServerId, Timestamp};
use std::fmt;

/// A server or a disk: what labels and marks are given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A server, and what it has its disks inherit.
    Server(ServerId),
    /// One disk.
    Disk(DiskId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => write!(f, "server {server}"),
            Self::Disk(disk) => write!(f, "disk {disk}"),
        }
    }
}

/// What is meant to happen to a server or a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Nothing.
    #[default]
    None,
    /// It goes: its chunks get replicas elsewhere, and it takes no new ones.
    Removing {
        /// It stays in the lists when it is empty.
        drain_only: bool,
        /// The disk that takes its place: what it holds goes there rather than elsewhere.
        with: Option<DiskId>,
    },
    /// It is away on purpose: what it holds is not copied elsewhere meanwhile.
    Maintenance {
        /// Until then; `None`: until the mark is taken away.
        until: Option<Timestamp>,
    },
}
