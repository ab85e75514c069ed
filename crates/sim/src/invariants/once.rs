//! A failed write or fsync is reported once to each open file: when nothing is broken any more, whoever asks a second
//! time is told of no error.

use types::Status;

/// Judges the second of two calls made while nothing is broken; the first may still report what happened before.
pub(crate) fn check(what: &str, second: Result<(), Status>) -> Result<(), String> {
    second.map_err(|status| format!("{what} fails for a second time although nothing is broken: {status:?}"))
}
