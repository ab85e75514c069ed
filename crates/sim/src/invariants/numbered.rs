//! Ids, versions and log positions are never given twice: what had a number at one quiet moment has it at all later ones, and
//! nothing else ever has, whatever was killed or lost power in between.

use crate::cluster::Cluster;
use crate::quiet::Quiet;
use std::collections::BTreeMap;
use types::{ChunkId, ChunkIndex, FileKind, Generation, InodeId, LogIndex, Term, Timestamp, Version};

/// What was seen under each number. What is gone stays here.
#[derive(Default)]
pub(crate) struct Watch {
    /// By the part of a file that it was made for, with the highest version.
    chunks: BTreeMap<ChunkId, (Part, Version)>,
    /// By what never changes.
    inodes: BTreeMap<(InodeId, Generation), (FileKind, Timestamp)>,
    /// The state after a record.
    positions: BTreeMap<(Term, LogIndex), [u8; 16]>,
    /// The last record that was known to be on stable storage.
    stable: LogIndex,
}

type Part = (InodeId, Generation, ChunkIndex);

/// Compares everything that has a number with what had it before.
pub(super) async fn check(quiet: &Quiet, cluster: &Cluster, watch: &mut Watch) -> Result<(), String> {
    for (view, owner) in quiet.chunks() {
        let part = (owner.inode.id, owner.inode.generation, owner.index);
        let (first, highest) = watch.chunks.entry(view.chunk).or_insert((part, view.version));
        if *first != part {
            return Err(format!("chunk {} was of {first:?} and is of {part:?} now", view.chunk));
        }
        if view.version < *highest {
            return Err(format!("chunk {} was at {highest} and is at {} now", view.chunk, view.version));
        }
        *highest = view.version;
        let known = quiet.meta.attributes(owner.inode).map_err(|status| status.to_string())?;
        let now = (known.kind, known.created);
        let then = *watch.inodes.entry((owner.inode.id, owner.inode.generation)).or_insert(now);
        if then != now {
            return Err(format!("{:?} was {then:?} and is {now:?} now", owner.inode));
        }
    }
    let (term, index) = quiet.meta.applied();
    let digest = quiet.meta.digest();
    if *watch.positions.entry((term, index)).or_insert(digest) != digest {
        return Err(format!("the state after record {index} of term {} is another one than before", term.0));
    }
    let last = watch.positions.last_key_value().map_or(term, |((term, _), _)| *term);
    if index < watch.stable || term < last {
        let stable = watch.stable;
        return Err(format!(
            "record {stable} was stable in term {}, the log ends with {index} of {}",
            last.0, term.0
        ));
    }
    let status = cluster.status().await.ok_or("the master does not answer")?;
    watch.stable = status.position.stable;
    Ok(())
}
