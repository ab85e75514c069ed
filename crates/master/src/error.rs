//! Why a master did not start, and why it stopped.

use std::io;

/// Why a master did not start. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the data directory.
    #[error("the master's data directory is in use: {source}")]
    Locked {
        /// Names the process if it is known.
        source: io::Error,
    },
    /// The data directory could not be read or written.
    #[error("cannot {what} in the master's data directory")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What is there is not what a sound master left behind.
    #[error("the metadata is damaged: {what}. Nothing was changed. {remedy}")]
    Damaged {
        /// What is wrong.
        what: String,
        /// What the operator can do.
        remedy: &'static str,
    },
    /// The log is not sound.
    #[error("the changelog cannot be used")]
    Log(#[source] journal::OpenError),
    /// The address could not be taken.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// 2^24 starts have been made.
    #[error("all terms are used up")]
    TermsExhausted,
}

/// Why a running master ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fatal {
    /// The log could not be written or synced: what is in memory may be ahead of it, so nothing more is answered.
    #[error("the changelog could not be {what}: {reason}; the master stops and answers nothing more")]
    Log {
        /// Written or synced.
        what: &'static str,
        /// The error.
        reason: String,
    },
    /// A newer master reigns.
    #[error("a disk has seen term {seen}: a newer master reigns, this one stops")]
    Deposed {
        /// Its term.
        seen: types::Term,
    },
    /// The listening socket was lost.
    #[error("the master's port was lost: {reason}")]
    Listener {
        /// The error.
        reason: String,
    },
    /// The core ended by itself.
    #[error("the master's core ended unexpectedly")]
    Core,
}

/// An error and its causes as one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
