//! Whether the state agrees with itself: every reference followed once, every count made anew.
//!
//! The state machine keeps these by construction, so a finding means a bug in it, or memory or a file that
//! changed under it. One walk over all tables, with two numbers of memory for each inode.

use crate::state::Meta;
use std::fmt;
use types::{ChunkId, ChunkIndex, FileKind, InodeId};

/// Most findings that are gathered; a broken table would bring one for each of its entries.
const FINDINGS_MAX: usize = 1000;

/// Something that contradicts something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Finding {
    /// The digest that was kept current is not that of the content.
    Digest,
    /// `links` is not the number of names; of a directory, not 2 and its subdirectories.
    Links { inode: InodeId, says: u32, found: u32 },
    /// No path from the root leads to a directory.
    Unreachable { inode: InodeId },
    /// A directory has more than one name, or its `..` is not where its name is.
    Parent { inode: InodeId },
    /// An inode without a name is neither among the orphans nor in the trash, or in both, or one with a name is.
    Orphan { inode: InodeId },
    /// A file's map refers to a chunk that says to be elsewhere.
    Owner { inode: InodeId, index: ChunkIndex, chunk: ChunkId },
    /// A chunk that no file's map refers to, or not as often as it says.
    References { chunk: ChunkId, says: u32, found: u32 },
    /// A version of a reign that has not begun.
    Version { chunk: ChunkId },
    /// An inode number above the highest that was ever given.
    Number { inode: InodeId },
    /// Something is in the trash that is no file.
    Trash { inode: InodeId },
    /// An extended attribute of an inode that does not exist.
    Attribute { inode: InodeId },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Digest => write!(f, "the digest is not that of the content"),
            Self::Links { inode, says, found } => {
                write!(f, "inode {inode} counts {says} links, and has {found}")
            }
            Self::Unreachable { inode } => write!(f, "directory {inode} cannot be reached from the root"),
            Self::Parent { inode } => write!(f, "directory {inode} is not where its `..` leads"),
            Self::Orphan { inode } => write!(f, "inode {inode} is wrongly held to have a name, or none"),
            Self::Owner { inode, index, chunk } => {
                write!(f, "chunk {chunk} at place {index} of inode {inode} says to be elsewhere")
            }
            Self::References { chunk, says, found } => {
                write!(f, "chunk {chunk} counts {says} references, and has {found}")
            }
            Self::Version { chunk } => write!(f, "chunk {chunk} has a version of a reign yet to come"),
            Self::Number { inode } => write!(f, "inode {inode} is above the highest number given"),
            Self::Trash { inode } => write!(f, "inode {inode} is in the trash, and no file"),
            Self::Attribute { inode } => write!(f, "there are attributes of inode {inode}, which is gone"),
        }
    }
}

/// What the walk gathers about an inode: names that lead to it, subdirectories in it.
#[derive(Clone, Copy, Default)]
struct Seen {
    names: u32,
    directories: u32,
}

/// The first findings.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, finding: Finding) {
        if self.0.len() < FINDINGS_MAX {
            self.0.push(finding);
        }
    }
}

impl Meta {
    /// Looks at everything once; the first [`FINDINGS_MAX`] contradictions, none if all is well.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        if self.digest() != self.recomputed_digest() {
            findings.add(Finding::Digest);
        }
        self.check_names(&mut findings);
        self.check_chunks(&mut findings);
        for (inode, _) in self.trash.iter() {
            let slot = self.inodes.find_id(inode);
            if slot.is_none_or(|slot| self.inodes.get(slot).kind() != FileKind::File) {
                findings.add(Finding::Trash { inode });
            }
        }
        for (inode, _, _) in self.xattrs.iter() {
            if self.inodes.find_id(inode).is_none() {
                findings.add(Finding::Attribute { inode });
            }
        }
        findings.0
    }

    fn check_names(&self, findings: &mut Findings) {
        let slots = self.inodes.iter().map(|(slot, _)| slot as usize + 1).max().unwrap_or(0);
        let mut seen = vec![Seen::default(); slots];
        // A walk down from the root: what it does not come to has names only below itself.
        let mut pending: Vec<u32> = self
            .inodes
            .find_id(InodeId::ROOT)
            .into_iter()
            .inspect(|root| seen[*root as usize].names = 1)
            .collect();
        while let Some(dir) = pending.pop() {
            for entry in self.directories.after(self.table_of(dir), types::DirCursor(0)) {
                seen[entry.child as usize].names += 1;
                let child = self.inodes.get(entry.child);
                if !child.is_directory() {
                    continue;
                }
                seen[dir as usize].directories += 1;
                let called = self.directories.name_of(self.table_of(entry.child));
                let elsewhere = child.place.side != dir || called != Some(entry.name);
                if elsewhere || seen[entry.child as usize].names > 1 {
                    findings.add(Finding::Parent { inode: InodeId(child.id) });
                } else {
                    pending.push(entry.child);
                }
            }
        }
        for (slot, inode) in self.inodes.iter() {
            let (id, seen) = (InodeId(inode.id), seen[slot as usize]);
            if id > self.inodes.highest() {
                findings.add(Finding::Number { inode: id });
            }
            let named = seen.names > 0;
            if inode.is_directory() && !named {
                findings.add(Finding::Unreachable { inode: id });
                continue;
            }
            let found = if inode.is_directory() { 2 + seen.directories } else { seen.names };
            if inode.links != found {
                findings.add(Finding::Links { inode: id, says: inode.links, found });
            }
            let held = u8::from(self.orphans.contains(&id)) + u8::from(self.trash.contains(id));
            if held != u8::from(!named) {
                findings.add(Finding::Orphan { inode: id });
            }
        }
    }

    fn check_chunks(&self, findings: &mut Findings) {
        let slots = self.chunks.iter().map(|(slot, _)| slot.0 as usize + 1).max().unwrap_or(0);
        let mut references = vec![0u32; slots];
        for (_, inode) in self.inodes.iter().filter(|(_, inode)| inode.kind() == FileKind::File) {
            for (index, slot) in self.maps.range(inode.place, 0..=u32::MAX) {
                let Some(chunk) = self.chunks.get(slot) else {
                    let (inode, chunk) = (InodeId(inode.id), ChunkId(0));
                    findings.add(Finding::Owner { inode, index, chunk });
                    continue;
                };
                references[slot.0 as usize] += 1;
                if (chunk.owner, chunk.index) != (InodeId(inode.id), index) {
                    findings.add(Finding::Owner { inode: InodeId(inode.id), index, chunk: chunk.id });
                }
            }
        }
        for (slot, chunk) in self.chunks.iter() {
            let found = references[slot.0 as usize];
            if found != chunk.refs {
                findings.add(Finding::References { chunk: chunk.id, says: chunk.refs, found });
            }
            if chunk.version().term > self.position.term || chunk.id.term() > self.position.term {
                findings.add(Finding::Version { chunk: chunk.id });
            }
        }
    }
}

#[cfg(test)]
mod tests;
