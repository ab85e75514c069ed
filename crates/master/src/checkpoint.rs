//! Building a checkpoint beside the running master: the last one plus the log up to an index.
//!
//! The function runs in a process of its own (`muskox checkpoint-build`), so that the master's memory and
//! its one thread are left alone; in tests and in the simulator it runs on a queue in line.
//!
//! # Invariants
//! 1. The log is only read, and only up to an index that is on stable storage.
//! 2. The builder reports the digest of what it wrote; the master compares it with its own at that index.

use crate::config::{CHECKPOINT_FOLDER, CHECKPOINT_QUEUE, LOG_FOLDER};
use crate::folder::Folder;
use crate::term::{TermFile, TermFileError};
use env::{BoxFuture, Dir, Queue, Seed, Workers};
use journal::checkpoint::{Header, Reader, Writer, load_newest};
use journal::{Entry, Journal, ReplayError};
use meta::{Loader, Meta};
use std::error::Error;
use std::io;
use std::sync::Arc;
use types::{ClusterId, LogIndex};

/// A checkpoint that was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// The last record in it.
    pub index: LogIndex,
    /// The digest of the state.
    pub digest: [u8; 16],
}

/// Builds checkpoints for a running master.
pub trait Checkpointer: Send + Sync {
    /// Builds the checkpoint of the state after record `upto`, as [`build`] does. An error is a sentence.
    fn build(&self, upto: LogIndex) -> BoxFuture<'static, Result<Built, String>>;
}

/// Why a checkpoint could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Files could not be read or written.
    #[error("cannot read or write the master's data directory")]
    Io(#[from] io::Error),
    /// No master ever ran here.
    #[error("there is no metadata here")]
    Absent,
    /// The term file is damaged.
    #[error("{0}")]
    Term(String),
    /// A master runs on it.
    #[error("a master runs on this directory")]
    Busy {
        /// What the system says.
        source: io::Error,
    },
    /// A start would be refused for what the log is.
    #[error("the log cannot be used: {0}")]
    Log(String),
    /// There is a later checkpoint.
    #[error("a checkpoint of record {newest} exists already")]
    Outdated {
        /// Its index.
        newest: LogIndex,
    },
    /// The log could not be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A record could not be understood.
    #[error("record {index} cannot be understood: {source}")]
    Record {
        /// Which.
        index: LogIndex,
        /// What is wrong.
        source: codec::Malformed,
    },
}

impl From<TermFileError> for BuildError {
    fn from(error: TermFileError) -> Self {
        match error {
            TermFileError::Io(source) => Self::Io(source),
            damaged => Self::Term(damaged.to_string()),
        }
    }
}

/// Builds the checkpoint of the state after record `upto` in a master's data directory. Blocks.
pub fn build(data: &Arc<dyn Dir>, upto: LogIndex) -> Result<Built, BuildError> {
    let (cluster, newest, meta) = load_upto(data, upto)?;
    if newest < upto {
        let (term, index) = meta.applied();
        let folder = Folder::make(data, CHECKPOINT_FOLDER)?;
        let mut writer = Writer::create(folder, Header { cluster, term, index })?;
        meta.write_checkpoint(&mut |piece| writer.piece(piece))?;
        writer.finish(meta.digest())?;
    }
    Ok(Built { index: upto, digest: meta.digest() })
}

/// The state after record `upto`, as the newest checkpoint and the log tell it. Blocks.
pub fn replay(data: &Arc<dyn Dir>, upto: LogIndex) -> Result<Meta, BuildError> {
    load_upto(data, upto).map(|(_, _, meta)| meta)
}

/// The state that a start from these files would find. Nobody appends to them; a torn tail of the log is cut, `seed` salts a
/// segment that may be made for it. Blocks.
pub fn recovered(data: &Arc<dyn Dir>, seed: Arc<dyn Seed>) -> Result<Meta, BuildError> {
    let terms = TermFile::read(data.as_ref())?.ok_or(BuildError::Absent)?;
    let options = journal::Options::new(terms.cluster, seed);
    let opened = Journal::open(Folder::make(data, LOG_FOLDER)?, options);
    let (_, found) = opened.map_err(|error| BuildError::Io(io::Error::other(error)))?;
    replay(data, found.last)
}

/// The cluster, the record of the newest checkpoint, and the state after `upto`.
fn load_upto(data: &Arc<dyn Dir>, upto: LogIndex) -> Result<(ClusterId, LogIndex, Meta), BuildError> {
    let terms = TermFile::read(data.as_ref())?.ok_or(BuildError::Absent)?;
    let folder = Folder::make(data, CHECKPOINT_FOLDER)?;
    let mut meta = load(folder.as_ref(), terms.cluster)?.checkpoint.unzip().1.unwrap_or_default();
    let newest = meta.applied().1;
    if newest > upto {
        return Err(BuildError::Outdated { newest });
    }
    if newest < upto {
        let log = journal::Reader::open(Folder::make(data, LOG_FOLDER)?, terms.cluster)?;
        log.replay(LogIndex(newest.0 + 1), upto, |entry| replay_entry(&mut meta, entry).map(drop))?;
    }
    Ok((terms.cluster, newest, meta))
}

/// Loads the newest usable checkpoint.
pub(crate) fn load(folder: &dyn Dir, cluster: ClusterId) -> io::Result<journal::checkpoint::Loaded<Meta>> {
    load_newest(folder, cluster, load_one)
}

pub(crate) fn load_one(reader: &mut Reader) -> Result<Meta, Box<dyn Error + Send + Sync>> {
    let mut loader = Loader::new();
    let digest = reader.read::<Box<dyn Error + Send + Sync>>(|piece| Ok(loader.feed(piece)?))?;
    let meta = loader.finish(Some(digest))?;
    let header = reader.header();
    if meta.applied() != (header.term, header.index) {
        return Err("its header names another record than its content".into());
    }
    Ok(meta)
}

/// Applies a record read back from the log; answers its bytes' length.
pub(crate) fn replay_entry(meta: &mut Meta, entry: Entry<'_>) -> Result<u64, BuildError> {
    let record = codec::record::decode(entry.bytes)
        .map_err(|source| BuildError::Record { index: entry.index, source })?;
    // A refusal is an ordinary outcome and changes nothing.
    let _ = meta.replay(&record);
    Ok(entry.bytes.len() as u64)
}

/// Builds in this process, on a queue of its own.
pub struct InLine {
    data: Arc<dyn Dir>,
    queue: Arc<dyn Queue>,
}

impl InLine {
    /// For a master's data directory.
    pub fn new(data: Arc<dyn Dir>, workers: &dyn Workers) -> Self {
        Self { data, queue: workers.queue(CHECKPOINT_QUEUE, 1) }
    }
}

impl Checkpointer for InLine {
    fn build(&self, upto: LogIndex) -> BoxFuture<'static, Result<Built, String>> {
        let (data, queue) = (Arc::clone(&self.data), Arc::clone(&self.queue));
        Box::pin(async move {
            match queue.call(move || build(&data, upto)).await {
                Ok(Ok(built)) => Ok(built),
                Ok(Err(error)) => Err(crate::error::chain(&error)),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}
