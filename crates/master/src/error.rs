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
    #[error("the metadata is damaged: {what}. What is damaged was left as it is")]
    Damaged {
        /// What is wrong.
        what: String,
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

impl StartError {
    /// The next step.
    pub fn next(&self) -> String {
        match self {
            Self::Locked { .. } => "stop the other master, or name another directory with --data".to_owned(),
            Self::Io { .. } | Self::Log(journal::OpenError::Io(_)) => {
                "see that the master's user may write there, that there is room (df -h), and the kernel's log (dmesg)"
                    .to_owned()
            }
            Self::Log(journal::OpenError::Version { .. }) => "run the release that wrote it, or a newer one".to_owned(),
            Self::Log(journal::OpenError::Foreign { file, .. }) => format!("mv {file} /var/tmp/   and start again"),
            Self::Damaged { .. } | Self::Log(_) => RESTORE.to_owned(),
            Self::Listen { address, .. } => {
                format!("ss -tlnp   shows who listens on {address}; name another one with --listen")
            }
            Self::TermsExhausted => "make a new cluster and copy the files to it".to_owned(),
        }
    }
}

/// The next step when the log or the checkpoints are not what a sound master left behind.
const RESTORE: &str =
    "keep the damaged data directory, put a backup of it in its place, and start the master again";

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

impl Fatal {
    /// The next step.
    pub fn next(&self) -> String {
        match self {
            Self::Log { .. } => {
                "see room and health of its disk (df -h, dmesg), then start the master again: what was answered is kept"
            }
            Self::Deposed { .. } => {
                "leave this master off if another one reigns; if not, its metadata is an old copy: put the newest one \
                 in its place"
            }
            Self::Listener { .. } | Self::Core => "start the master again, and keep its log to report what happened",
        }
        .to_owned()
    }
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
