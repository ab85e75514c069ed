//! Failures of the binary itself, in the form that all commands share.

pub(crate) use admin::{Exit, Failure};

/// Starts a failure with exit code 1; `next`, `exit` and `of` say more.
pub(crate) fn fail(code: &'static str, what: impl Into<String>) -> Failure {
    Failure::new(code, Exit::Failed, what, "muskox --help")
}
