//! Why a chunkserver did not start.

use codec::control::RefusedDisk;
use std::io;

/// Why a chunkserver did not start. A disk that cannot be opened is no reason; see `status`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the data directory.
    #[error("the chunkserver's data directory is in use: {source}")]
    Locked {
        /// Names the process if it is known.
        source: io::Error,
    },
    /// The data directory could not be read or written.
    #[error("cannot use the chunkserver's data directory: {source}")]
    Data {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file that says who this server is cannot be believed.
    #[error("the identity file of the chunkserver is damaged: {what}")]
    DamagedIdentity {
        /// What is wrong.
        what: &'static str,
    },
    /// The address could not be taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not one disk can be used.
    #[error("no disk can be used: {}", refused.iter().map(|disk| disk.reason.as_str()).collect::<Vec<_>>().join("; "))]
    NoDisk {
        /// What is wrong with each, and its next step.
        refused: Vec<RefusedDisk>,
    },
    /// Disks of two clusters in one server.
    #[error("disk {path} belongs to cluster {found}, the others to {wanted}")]
    TwoClusters {
        /// The disk that differs.
        path: String,
        /// Whose it is.
        found: types::ClusterId,
        /// Whose the others are.
        wanted: types::ClusterId,
    },
}

impl StartError {
    /// The next step.
    pub fn next(&self) -> String {
        match self {
            Self::Locked { .. } => "stop the other chunkserver, or name another directory with --data".to_owned(),
            Self::Data { .. } => "see that the chunkserver's user may write to it, and that it is not full".to_owned(),
            Self::DamagedIdentity { .. } => "restore `identity` in the chunkserver's data directory from a backup; \
                                             without one remove it, to start as a new server with the same disks"
                .to_owned(),
            Self::Listen { address, .. } => {
                format!("ss -tlnp   shows who listens on {address}; name another one with --listen")
            }
            Self::NoDisk { refused } => {
                let mut steps: Vec<&str> = refused.iter().map(|disk| disk.next.as_str()).collect();
                steps.dedup();
                steps.join("; ")
            }
            Self::TwoClusters { .. } => "serve the disks of one cluster only: leave out --disk of the other".to_owned(),
        }
    }
}
