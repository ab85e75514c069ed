//! Mutations that become a record at once.

use super::bystanders::Bystanders;
use super::{Answerer, Applied, Core};
use types::{
    FileKind, Generation, InodeId, InodeRef, Name, Op, Origin, RenameMode, Reply, Request, Sequence,
    SessionId, Status,
};

impl Core {
    /// Applies a mutation and answers it.
    pub(super) fn mutate(&mut self, origin: Origin, request: Request, answer: Answerer) {
        let session = origin.session;
        let applied = match request {
            Request::Create { parent, name, node, exclusive, grant } => {
                let inode = self.next_inode();
                let grant = grant && node.kind == FileKind::File;
                let bystanders = Bystanders::of(&self.meta, [parent]);
                let applied = self.log(Some(origin), Op::Create { parent, name, inode, node, exclusive });
                self.with_entry(origin, self.with_news(applied, bystanders), grant)
            }
            Request::Link { inode, parent, name } => {
                let bystanders = Bystanders::of(&self.meta, [parent]);
                let applied = self.log(Some(origin), Op::Link { inode, parent, name });
                self.with_entry(origin, self.with_news(applied, bystanders), false)
            }
            Request::Unlink { parent, name, unused } => {
                let (keep, last) = self.keep(origin, parent, &name, &unused);
                let bystanders = Bystanders::of(&self.meta, [parent]).and_named(&self.meta, parent, &name);
                let applied = self.log(Some(origin), Op::Unlink { parent, name, keep });
                self.forget_removed(session, &applied, last);
                self.with_news(applied, bystanders)
            }
            Request::RemoveDirectory { parent, name } => {
                let bystanders = Bystanders::of(&self.meta, [parent]);
                let applied = self.log(Some(origin), Op::RemoveDirectory { parent, name });
                self.with_news(applied, bystanders)
            }
            Request::Rename { from, from_name, to, to_name, mode, unused } => {
                let replaces = mode == RenameMode::Replace;
                let (keep, last) =
                    if replaces { self.keep(origin, to, &to_name, &unused) } else { (false, None) };
                let bystanders = Bystanders::of(&self.meta, [from, to])
                    .and_named(&self.meta, from, &from_name)
                    .and_named(&self.meta, to, &to_name);
                let op = Op::Rename { from, from_name, to, to_name, mode, keep };
                let applied = self.log(Some(origin), op);
                self.forget_removed(session, &applied, last);
                self.with_news(applied, bystanders)
            }
            Request::SetAttributes { inode, changes, caller } => {
                self.log(Some(origin), Op::SetAttributes { inode, changes, caller })
            }
            Request::SetXattr { inode, name, value, mode } => {
                let bystanders = Bystanders::of(&self.meta, [inode]);
                let applied = self.log(Some(origin), Op::SetXattr { inode, name, value, mode });
                self.with_news(applied, bystanders)
            }
            Request::RemoveXattr { inode, name } => {
                let bystanders = Bystanders::of(&self.meta, [inode]);
                let applied = self.log(Some(origin), Op::RemoveXattr { inode, name });
                self.with_news(applied, bystanders)
            }
            _ => Applied::refused(Status::Unsupported),
        };
        self.answer_applied(answer, applied);
    }

    /// The identity of the next new inode.
    pub(super) fn next_inode(&self) -> InodeRef {
        InodeRef { id: InodeId(self.meta.inode_highest().0 + 1), generation: Generation(self.term.0) }
    }

    /// Commits what was written. Chunks that the map lacks must have been granted for this place.
    pub(super) fn commit(&mut self, origin: Origin, request: Request, answer: Answerer) {
        let Request::Commit {
            inode,
            truncate_generation,
            length,
            modified,
            accessed,
            chunks,
            clear_privileges,
            durable,
        } = request
        else {
            return self.answer(answer, Err(Status::Unsupported));
        };
        // Under an older truncate generation the chunks are ignored, so they need no grant.
        let checked = match self.meta.attributes(inode) {
            Ok(now) if now.truncate_generation == truncate_generation => {
                chunks.iter().try_for_each(|dirty| match self.meta.chunk_at(inode, dirty.index)? {
                    Some(_) => Ok(()),
                    None if self.fleet.may_attach(inode, dirty.index, dirty.chunk, dirty.version) => Ok(()),
                    None => Err(Status::Io),
                })
            }
            Ok(_) => Ok(()),
            Err(status) => Err(status),
        };
        let now = match checked.and_then(|()| self.meta.attributes(inode)) {
            Ok(now) => now,
            Err(status) => return self.answer(answer, Err(status)),
        };
        let is_longer = now.truncate_generation == truncate_generation && length > now.length;
        let wrote = is_longer || modified.is_some() || !chunks.is_empty() || clear_privileges;
        if !wrote && accessed.is_none() && now.kind == FileKind::File {
            // An fsync of what nobody wrote waits for the records before it, and needs no room for one of its own.
            let reply = Ok(Reply::Attributes(now));
            let applied = Applied { reply, index: None, critical: durable, news: Vec::new() };
            return self.answer_applied(answer, applied);
        }
        let op = Op::Commit {
            inode,
            truncate_generation,
            length,
            modified,
            accessed,
            chunks,
            clear_privileges,
            durable,
        };
        let applied = self.log(Some(origin), op);
        self.answer_applied(answer, applied);
    }

    /// Adds what became of the bystanders.
    fn with_news(&self, applied: Applied, bystanders: Bystanders) -> Applied {
        Applied { news: bystanders.news(&self.meta), ..applied }
    }

    /// Adds location and grant to an entry that was made or found.
    fn with_entry(&mut self, origin: Origin, mut applied: Applied, grant: bool) -> Applied {
        if let Ok(Reply::Entry(entry)) = applied.reply {
            let grant = (grant && entry.created)
                .then(|| self.grant_at_once(origin.session, entry.attributes.inode))
                .flatten();
            applied.reply = Ok(self.entry(origin, entry.attributes, entry.created, grant));
        }
        applied
    }

    /// Whether the inode of a name that goes away is kept because somebody has it open; and the inode if
    /// the name is its last one. A client says of which inodes it knows that it does not use them: it may know another one under the
    /// name than there is, since others change names, too.
    fn keep(
        &self,
        origin: Origin,
        parent: InodeRef,
        name: &Name,
        unused: &[InodeId],
    ) -> (bool, Option<InodeId>) {
        match self.meta.lookup(parent, name) {
            Ok(target) => {
                let id = target.inode.id;
                // An answer that crossed this request may have opened it.
                let in_use = self.sessions.learns_now(origin, id)
                    || !unused.contains(&id) && self.sessions.may_know(origin.session, id);
                let keep = in_use || self.sessions.known_to_others(id, Some(origin.session));
                (keep, (target.links <= 1 && !in_use).then_some(id))
            }
            // The record will be refused, or has no target to replace.
            Err(_) => (false, None),
        }
    }

    /// The session removed the last name of an inode that it does not use: it knows it no longer.
    fn forget_removed(&mut self, session: SessionId, applied: &Applied, last: Option<InodeId>) {
        if let (Some(_), Some(inode)) = (applied.index, last) {
            self.sessions.forget(session, inode, Sequence(u64::MAX));
        }
    }
}
