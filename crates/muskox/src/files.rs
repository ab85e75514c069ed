//! How many files and sockets this process may have open.

use crate::failure::{Failure, fail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as it may go and returns it. The limit that shells set (1,024) is for programs that use
/// select(2); a chunkserver keeps hundreds of files open per disk.
pub(crate) fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// A command needs about ten; with fewer the runtime ends it without a word that helps.
const FILES_MIN: u64 = 32;

/// Raises the limit, and refuses one with which nothing can be done.
pub(crate) fn enough() -> Result<(), Failure> {
    let limit = raise_limit();
    if limit >= FILES_MIN {
        return Ok(());
    }
    let what = format!("this process may have {limit} files open, and needs {FILES_MIN} at least");
    Err(fail("E0109", what, "raise the limit: ulimit -Hn, or LimitNOFILE= of the service"))
}
