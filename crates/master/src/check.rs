//! Whether the metadata of a master that does not run is whole: every checkpoint and all of the log are read, each
//! checkpoint is compared with what the one before it and the log give, and the state is checked for contradictions.
//!
//! # Invariants
//! 1. Nothing is changed, also where a start would cut a torn tail or set a damaged checkpoint aside.

use crate::checkpoint::{BuildError, load_one, replay_entry};
use crate::config::{CHECKPOINT_FOLDER, LOG_FOLDER};
use crate::error::chain;
use crate::folder::Folder;
use crate::term::TermFile;
use env::{Dir, Seed};
use journal::Needed;
use journal::checkpoint::{Reader, list};
use meta::{Counts, Finding, Meta};
use std::sync::Arc;
use types::{ClusterId, LogIndex, Term};

/// What was found.
#[derive(Debug)]
pub struct Checked {
    /// The cluster.
    pub cluster: ClusterId,
    /// The highest reign begun here.
    pub term: Term,
    /// The last record.
    pub last: LogIndex,
    /// Records that were replayed.
    pub replayed: u64,
    /// The digest of the state after the last record.
    pub digest: [u8; 16],
    /// What the state holds.
    pub counts: Counts,
    /// The checkpoints by their last record, oldest first, and what is wrong with them.
    pub checkpoints: Vec<(LogIndex, Option<String>)>,
    /// Where the state contradicts itself.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.checkpoints.iter().all(|(_, wrong)| wrong.is_none())
    }
}

/// Checks a master's data directory. Blocks.
pub fn check(data: &Arc<dyn Dir>, seed: Arc<dyn Seed>) -> Result<Checked, BuildError> {
    let _lock = data.lock("lock").map_err(|source| BuildError::Busy { source })?;
    let terms = TermFile::read(data.as_ref())?.ok_or(BuildError::Absent)?;
    for folder in [CHECKPOINT_FOLDER, LOG_FOLDER] {
        if !data.exists(folder)? {
            return Err(BuildError::Log(format!("the folder {folder} is gone")));
        }
    }
    let checkpoint_folder = Folder::make(data, CHECKPOINT_FOLDER)?;
    let mut indexes = list(checkpoint_folder.as_ref())?;
    indexes.reverse();
    let mut checkpoints = Vec::new();
    // From the oldest checkpoint that can be read, for the log goes back to it.
    let mut meta: Option<Meta> = None;
    let mut options = journal::Options::new(terms.cluster, seed);
    let first = LogIndex(indexes.first().map_or(1, |oldest| oldest.0 + 1));
    let stable = terms.beginnings.last().map_or(LogIndex(0), |beginning| beginning.found);
    options.needed = Needed { first, last: stable.max(indexes.last().copied().unwrap_or_default()) };
    let log_folder = Folder::make(data, LOG_FOLDER)?;
    let found =
        journal::inspect(log_folder.as_ref(), &options).map_err(|error| BuildError::Log(chain(&error)))?;
    let log = journal::Reader::open(log_folder, terms.cluster)?;
    let mut replayed = 0;
    let mut advance = |meta: &mut Meta, to: LogIndex| {
        let from = LogIndex(meta.applied().1.0 + 1);
        log.replay(from, to, |entry| {
            replayed += 1;
            replay_entry(meta, entry).map(drop)
        })
    };
    for index in indexes {
        let opened = Reader::open(checkpoint_folder.as_ref(), terms.cluster, index);
        let loaded = opened
            .map_err(|error| chain(&error))
            .and_then(|mut reader| load_one(&mut reader).map_err(|error| chain(&*error)));
        let wrong = match (loaded, &mut meta) {
            (Err(why), _) => Some(why),
            (Ok(state), None) => {
                meta = Some(state);
                None
            }
            (Ok(state), Some(before)) => {
                advance(before, index)?;
                (before.digest() != state.digest())
                    .then(|| "it differs from what the checkpoint before it and the log give".to_owned())
            }
        };
        checkpoints.push((index, wrong));
    }
    let mut meta = meta.unwrap_or_default();
    advance(&mut meta, found.last)?;
    Ok(Checked {
        cluster: terms.cluster,
        term: terms.term,
        last: meta.applied().1,
        replayed,
        digest: meta.digest(),
        counts: meta.counts(),
        checkpoints,
        findings: meta.check(),
    })
}
