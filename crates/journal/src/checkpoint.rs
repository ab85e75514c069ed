//! The container file of a checkpoint: checked pieces between a header and a footer.
//!
//! # Invariants
//! 1. A file with the final name was complete and durable before it got that name.
//! 2. A reader gives out a piece only after its checksum was right; the footer says whether all came.
//!
//! # Elsewhere
//! What the pieces contain: `meta` and `codec`.

use env::Dir;
use std::error::Error;
use std::io;
use std::sync::Arc;
use types::{ClusterId, LogIndex, Term};

/// Largest piece.
pub const PIECE_BYTES_MAX: usize = 4 << 20;

/// Of which state a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster.
    pub cluster: ClusterId,
    /// Term of the last record that is in it.
    pub term: Term,
    /// The last record that is in it.
    pub index: LogIndex,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields mean")]
pub enum CheckpointError {
    #[error("{file} is damaged at byte {offset}: {what}")]
    Damaged { file: String, offset: u64, what: &'static str },
    #[error("{file} is of another cluster, {found}")]
    Foreign { file: String, found: ClusterId },
    #[error("{file} has format version {found}; this release reads versions up to {known}")]
    Version { file: String, found: u32, known: u32 },
    #[error("cannot read the checkpoint {file}")]
    Io { file: String, source: io::Error },
}

/// Writes one checkpoint. Dropped before [`Writer::finish`], it leaves none.
pub struct Writer {}

impl Writer {
    /// Begins a checkpoint in a temporary file.
    pub fn create(dir: Arc<dyn Dir>, header: Header) -> io::Result<Self> {
        let _ = (dir, header);
        unimplemented!()
    }

    /// Adds a piece of at most [`PIECE_BYTES_MAX`].
    pub fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _ = bytes;
        unimplemented!()
    }

    /// Ends the file, makes it durable and gives it its name.
    pub fn finish(self, digest: [u8; 16]) -> io::Result<()> {
        let _ = digest;
        unimplemented!()
    }
}

/// Reads one checkpoint.
pub struct Reader {}

impl Reader {
    /// Opens the checkpoint made at `index`; its header has been checked.
    pub fn open(dir: &dyn Dir, cluster: ClusterId, index: LogIndex) -> Result<Self, CheckpointError> {
        let _ = (dir, cluster, index);
        unimplemented!()
    }

    /// Of which state it is.
    pub fn header(&self) -> Header {
        unimplemented!()
    }

    /// Gives all pieces to `visit`, in order, and the digest after the last.
    pub fn read<E: From<CheckpointError>>(
        &mut self,
        visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<[u8; 16], E> {
        let _ = visit;
        unimplemented!()
    }
}

/// A checkpoint that was passed over.
#[derive(Debug)]
pub struct Bad {
    /// Its file.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// What came of looking for a usable checkpoint.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The newest usable checkpoint and what was made of it; `None` if there is none.
    pub checkpoint: Option<(Header, T)>,
    /// Newer ones that could not be used.
    pub bad: Vec<Bad>,
}

/// The indexes of the checkpoints in `dir`, newest first.
pub fn list(dir: &dyn Dir) -> io::Result<Vec<LogIndex>> {
    let _ = dir;
    unimplemented!()
}

/// Loads the newest checkpoint for which `load` succeeds, trying older ones after damage; those that
/// were passed over are told.
pub fn load_newest<T>(
    dir: &dyn Dir,
    cluster: ClusterId,
    load: impl FnMut(&mut Reader) -> Result<T, Box<dyn Error + Send + Sync>>,
) -> io::Result<Loaded<T>> {
    let _ = (dir, cluster, load);
    unimplemented!()
}

/// Removes all but the newest `keep` (at least two) and leftovers of unfinished ones. Answers the first
/// record that must stay in the log: the one after the oldest checkpoint kept, or 1 if there are fewer than two.
pub fn prune(dir: &dyn Dir, keep: usize) -> io::Result<LogIndex> {
    let _ = (dir, keep);
    unimplemented!()
}
