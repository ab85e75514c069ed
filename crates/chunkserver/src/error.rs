//! Why a chunkserver did not start.

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
    #[error(
        "the identity file of the chunkserver is damaged: {what}; next step: restore `identity` in its data \
         directory, or remove it to start as a new server with the same disks"
    )]
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
    #[error("no disk can be used: {}", errors.join("; "))]
    NoDisk {
        /// What is wrong with each, and its next step.
        errors: Vec<String>,
    },
    /// Disks of two clusters in one server.
    #[error(
        "disk {path} belongs to cluster {found}, the others to {wanted}; next step: serve one cluster only"
    )]
    TwoClusters {
        /// The disk that differs.
        path: String,
        /// Whose it is.
        found: types::ClusterId,
        /// Whose the others are.
        wanted: types::ClusterId,
    },
}
