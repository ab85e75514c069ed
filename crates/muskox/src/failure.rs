//! Failures of the binary itself, in the form that all commands share.

pub(crate) use admin::{Exit, Failure};

/// What to do when the system refuses threads, signals or sockets.
pub(crate) const SYSTEM: &str = "see the limits of this user and the kernel's log: ulimit -a, dmesg";

/// Starts a failure with exit code 1 and its next step; `exit` and `of` say more.
pub(crate) fn fail(code: &'static str, what: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure::new(code, Exit::Failed, what, next)
}
