//! Why a client could not be had at all. Single operations fail with [`types::Status`].

use types::Status;

/// Why [`crate::Client::connect`] failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The list of masters is empty.
    #[error("no master is named")]
    NoMaster,
    /// Nobody answered in time.
    #[error("no master among {masters} answered in time; the last one tried: {last}")]
    Unreachable {
        /// Addresses, joined by commas.
        masters: String,
        /// What the last attempt ran into.
        last: String,
    },
    /// A master answered and refused.
    #[error("the master at {address} refused: {status}: {message}")]
    Refused {
        /// Which one.
        address: String,
        /// Why.
        status: Status,
        /// In its words.
        message: String,
    },
}
