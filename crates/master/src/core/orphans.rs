//! Inodes that have no name any longer but may be open somewhere.
//!
//! # Invariants
//! 1. An orphan is reaped only when no session can know it; after a start that is only after every session of
//!    the metadata has reclaimed what it holds, or has ended.

use super::Core;
use std::collections::BTreeSet;
use types::{InodeRef, Op};

/// Most inodes of one `Reap` record.
const REAP_INODES_MAX: usize = 256;
/// Chunks of the files of one record, beyond the first file's: the fleet is told of each.
const REAP_CHUNKS_MAX: u32 = 4_096;

/// All orphans, and those to be looked at.
pub(super) struct Orphans {
    all: BTreeSet<InodeRef>,
    look: BTreeSet<InodeRef>,
}

impl Orphans {
    pub(super) fn new(found: Vec<InodeRef>) -> Self {
        let all: BTreeSet<_> = found.into_iter().collect();
        Self { look: all.clone(), all }
    }

    pub(super) fn add(&mut self, inode: InodeRef) {
        self.all.insert(inode);
        self.look.insert(inode);
    }

    pub(super) fn gone(&mut self, inode: InodeRef) {
        self.all.remove(&inode);
        self.look.remove(&inode);
    }

    /// Somebody forgot this inode.
    pub(super) fn look_again(&mut self, inode: InodeRef) {
        if self.all.contains(&inode) {
            self.look.insert(inode);
        }
    }

    /// Somebody who may have known any of them has gone.
    pub(super) fn look_at_all(&mut self) {
        self.look = self.all.clone();
    }
}

impl Core {
    /// Frees orphans that nobody knows any longer.
    pub(super) fn reap_orphans(&mut self) {
        if self.orphans.look.is_empty() || !self.sessions.all_reclaimed() {
            return;
        }
        let mut inodes = Vec::new();
        let mut chunks = 0u32;
        while inodes.len() < REAP_INODES_MAX
            && chunks < REAP_CHUNKS_MAX
            && let Some(inode) = self.orphans.look.pop_first()
        {
            if !self.sessions.known_to_others(inode.id, None) {
                chunks = chunks.saturating_add(self.meta.attributes(inode).map_or(0, |now| now.chunks));
                inodes.push(inode);
            }
        }
        if inodes.is_empty() {
            return;
        }
        let applied = self.log(None, Op::Reap { inodes: inodes.clone() });
        if let Err(status) = applied.reply {
            tracing::warn!(%status, "orphans could not be freed now");
            self.orphans.look.extend(inodes);
        }
    }
}
