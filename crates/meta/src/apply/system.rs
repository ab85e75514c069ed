//! Operations of the master itself: cluster, terms, sessions, versions.

use super::{Context, Done};
use crate::api::Effect;
use crate::inodes::Inode;
use crate::sessions::{Answer, NAME_BYTES_MAX, Session};
use crate::slab::NONE;
use crate::state::Meta;
use std::collections::BTreeMap;
use types::{ChunkId, ClusterId, FileKind, InodeRef, Sequence, SessionId, Status, TERM_MAX, Term, Version};

const DONE: Result<Done, Status> = Ok(Done::Changed(Answer::Done));

impl Meta {
    pub(super) fn new_cluster(&mut self, cluster: ClusterId, cx: &Context) -> Result<Done, Status> {
        if self.position.cluster.is_some() {
            return Err(Status::Exists);
        }
        let mut root = Inode::new(InodeRef::ROOT, FileKind::Directory, 0o755);
        root.links = 2;
        (root.accessed, root.modified, root.changed, root.created) = (cx.at, cx.at, cx.at, cx.at);
        self.make_inode(root, NONE, &[]);
        self.position.cluster = Some(cluster);
        DONE
    }

    pub(super) fn new_term(&mut self, term: Term) -> Result<Done, Status> {
        if term <= self.position.term || term.0 > TERM_MAX {
            return Err(Status::WrongTerm);
        }
        self.position.term = term;
        DONE
    }

    pub(super) fn open_session(&mut self, id: SessionId, name: &str) -> Result<Done, Status> {
        if id.0 == 0 {
            return Err(Status::Invalid);
        }
        if self.sessions.contains(id) {
            return Err(Status::Exists);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(Status::NameTooLong);
        }
        let answers = BTreeMap::new();
        self.sessions.insert(id, Session { name: name.into(), answered_below: Sequence(0), answers });
        DONE
    }

    pub(super) fn close_session(&mut self, id: SessionId) -> Result<Done, Status> {
        self.sessions.remove(id)?;
        DONE
    }

    pub(super) fn raise(
        &mut self,
        chunk: ChunkId,
        version: Version,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let slot = self.chunks.find(chunk).ok_or(Status::NoChunk)?;
        if version <= self.chunks.at(slot).version() || version.term > cx.term {
            return Err(Status::WrongVersion);
        }
        self.chunks.set_version(slot, version);
        cx.effects.push(Effect::ChunkVersion { slot, chunk, version });
        DONE
    }
}
