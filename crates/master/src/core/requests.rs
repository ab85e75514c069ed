//! Requests of sessions: admission, repeats, and all that is answered without a record.

use super::bystanders::Bystanders;
use super::{Answerer, Applied, Core, Out};
use codec::limits::{FILE_INFO_CHUNKS_MAX, LOCATIONS_MAX};
use codec::session::RequestMessage;
use fleet::Event;
use meta::ChunkView;
use types::{
    Attributes, BODY_BYTES_MAX, ChunkIndex, ChunkLocation, ClassId, Entry, FileInfo, FileKind, FsStat,
    InodeRef, Op, Origin, ReplicaAddress, Reply, Request, SessionId, Status, WriteGrant,
};

/// What a directory answer may take of a frame's body; the rest is room for the message around it.
const DIRECTORY_BYTES_MAX: u32 = BODY_BYTES_MAX - (16 << 10);

impl Core {
    /// A client asks. A mutation that was done already is answered with its first answer.
    pub(super) fn request(&mut self, session: SessionId, message: RequestMessage, answer: Answerer) {
        let RequestMessage { sequence, answered_below, request } = message;
        self.requests += 1;
        let now_ms = self.now_ms();
        self.sessions.touch(session, now_ms);
        let answer = match self.sessions.admit(session, sequence, answered_below, answer) {
            super::sessions::Admission::New(answer) => answer,
            super::sessions::Admission::Waiting => return,
            super::sessions::Admission::Refused(answer, status) => return self.answer(answer, Err(status)),
        };
        let origin = Origin { session, sequence, answered_below };
        if request.is_mutation()
            && let Some(reply) = self.meta.answered(session, sequence)
        {
            return self.repeat(origin, reply, answer);
        }
        match request {
            Request::AppendLock { inode, held } => self.append_lock(origin, inode, held, answer),
            Request::AppendUnlock { inode, forfeit } => {
                self.append_unlock(session, inode.id, forfeit);
                self.answer(answer, Ok(Reply::Done));
            }
            Request::SetLength { inode, .. } => self.set_length(origin, request, inode.id, answer),
            Request::Grant { .. } | Request::Punch { .. } | Request::Commit { .. } => {
                self.ordered(origin, request, answer)
            }
            Request::Barrier => {
                self.leave_when_stable(self.applied(), Out::Answer(answer, Ok(Reply::Done), Vec::new()));
            }
            Request::Goodbye => self.close_session(session, Some(answer)),
            request if request.is_mutation() => self.mutate(origin, request, answer),
            request => {
                let dir = match &request {
                    Request::Lookup { parent, .. } => Some(*parent),
                    Request::ReadDirectory { dir, .. } => Some(*dir),
                    _ => None,
                };
                let news = Bystanders::of(&self.meta, dir).news(&self.meta);
                let outcome = self.read(origin, request);
                self.out.push(Out::Answer(answer, outcome, news));
            }
        }
    }

    /// The first answer again. Its record may not be stable yet, so it waits as the first one did.
    fn repeat(&mut self, origin: Origin, reply: Reply, answer: Answerer) {
        let reply = match reply {
            Reply::Entry(entry) => self.entry(origin, entry.attributes, entry.created, None),
            other => other,
        };
        let applied = Applied { reply: Ok(reply), index: None, critical: true, news: Vec::new() };
        self.answer_applied(answer, applied);
    }

    fn read(&mut self, origin: Origin, request: Request) -> Result<Reply, Status> {
        Ok(match request {
            Request::Lookup { parent, name } => {
                let attributes = self.meta.lookup(parent, &name)?;
                self.entry(origin, attributes, false, None)
            }
            Request::LookupParent { dir } => {
                let attributes = self.meta.parent_of(dir)?;
                self.entry(origin, attributes, false, None)
            }
            Request::GetAttributes { inode } => {
                // An open that relies on an entry of a directory page asks so: it counts as knowing the inode.
                let attributes = self.meta.attributes(inode)?;
                self.sessions.learn(origin, inode.id);
                Reply::Attributes(attributes)
            }
            Request::ReadLink { inode } => Reply::Target(self.meta.read_link(inode)?),
            Request::ReadDirectory { dir, after, bytes_max } => {
                let bytes_max = bytes_max.min(DIRECTORY_BYTES_MAX);
                let (entries, end) = self.meta.read_directory(dir, after, bytes_max)?;
                for entry in &entries {
                    self.sessions.learn(origin, entry.attributes.inode.id);
                }
                Reply::Directory { entries, end, parent: self.meta.parent_of(dir)?.inode.id }
            }
            Request::GetXattr { inode, name } => Reply::Xattr(self.meta.xattr(inode, &name)?),
            Request::ListXattrs { inode } => Reply::XattrNames(self.meta.xattrs(inode)?),
            Request::StatFs => Reply::FsStat(self.stat_fs()),
            Request::Locate { inode, first, count } => {
                let count = count.min(LOCATIONS_MAX as u32);
                let views = self.meta.chunks(inode, first, count)?;
                for slot in views.iter().map(|view| view.slot) {
                    if self.fleet.may_refuse_readers(slot) {
                        self.tell(Event::ReadWanted { slot });
                    }
                }
                let location = |view| self.location_for(origin.session, inode, view);
                Reply::Locations(views.into_iter().map(location).collect())
            }
            Request::FileInfo { inode } => Reply::FileInfo(Box::new(self.file_info(inode)?)),
            Request::Reopen { inode } => {
                let attributes = self.meta.reopen(inode)?;
                self.sessions.learn(origin, attributes.inode.id);
                Reply::Attributes(attributes)
            }
            Request::Reclaim { inodes, appending, last } => {
                for claim in appending {
                    self.reclaim_append_lock(origin.session, claim);
                }
                self.reclaim(origin, inodes, last)
            }
            Request::Forget { inodes, as_of } => {
                for inode in inodes {
                    self.sessions.forget(origin.session, inode.id, as_of);
                    self.orphans.look_again(inode);
                }
                Reply::Done
            }
            Request::KeepAlive => Reply::Done,
            _ => return Err(Status::Unsupported),
        })
    }

    /// After a new connection a session tells what it holds; it is told what is gone.
    fn reclaim(&mut self, origin: Origin, inodes: Vec<InodeRef>, last: bool) -> Reply {
        let mut gone = Vec::new();
        for inode in inodes {
            if self.meta.exists(inode) {
                self.sessions.learn(origin, inode.id);
            } else {
                gone.push(inode);
            }
        }
        if last {
            self.sessions.reclaimed(origin.session);
            self.retry_appends();
        }
        Reply::Gone(gone)
    }

    /// An entry with what a client needs next; the session knows the inode from now on.
    pub(super) fn entry(
        &mut self,
        origin: Origin,
        attributes: Attributes,
        created: bool,
        grant: Option<WriteGrant>,
    ) -> Reply {
        self.sessions.learn(origin, attributes.inode.id);
        let has_chunks = attributes.kind == FileKind::File && attributes.chunks > 0;
        let first = has_chunks
            .then(|| self.meta.chunk_at(attributes.inode, ChunkIndex(0)).ok().flatten())
            .flatten()
            .map(|view| self.location_for(origin.session, attributes.inode, view));
        Reply::Entry(Box::new(Entry { attributes, first, grant, created }))
    }

    /// Says of replicas of a file which of them the session's client had better read first, and which last.
    pub(super) fn hint(&self, session: SessionId, inode: InodeRef, replicas: &mut [ReplicaAddress]) {
        if let (Some(reader), Ok(class)) = (self.sessions.reader(session), self.meta.class_of(inode)) {
            self.fleet.hint(class, reader, replicas);
        }
    }

    /// Where a chunk of a file is, with hints for the session's client.
    fn location_for(&self, session: SessionId, inode: InodeRef, view: ChunkView) -> ChunkLocation {
        let mut location = self.location(view);
        self.hint(session, inode, &mut location.replicas);
        location
    }

    fn location(&self, view: ChunkView) -> ChunkLocation {
        let now_ms = self.now_ms();
        let readable = self.fleet.readable(view.slot, now_ms);
        let (version, replicas) = readable.unwrap_or((view.version, Vec::new()));
        ChunkLocation {
            index: view.index,
            chunk: view.chunk,
            version,
            replicas,
            more: self.fleet.may_have_more(view.slot, now_ms),
        }
    }

    fn stat_fs(&self) -> FsStat {
        let space = self.fleet.space(ClassId(0));
        FsStat {
            total_bytes: space.total_bytes,
            free_bytes: space.free_bytes,
            inodes: self.meta.counts().inodes,
        }
    }

    /// Everything about a file's chunks.
    pub(super) fn file_info(&self, inode: InodeRef) -> Result<FileInfo, Status> {
        let attributes = self.meta.attributes(inode)?;
        let mut chunks = Vec::new();
        if attributes.kind == FileKind::File {
            if attributes.chunks as usize > FILE_INFO_CHUNKS_MAX {
                return Err(Status::TooBig);
            }
            let views = self.meta.chunks(inode, ChunkIndex(0), u32::MAX)?;
            let shown = |view: ChunkView| {
                let recorded = self.fleet.version(view.slot).unwrap_or(view.version);
                let replicas = self.fleet.locations(view.slot);
                ChunkLocation { version: recorded, replicas, ..self.location(view) }
            };
            chunks = views.into_iter().map(shown).collect();
        }
        Ok(FileInfo { attributes, class: self.class_name(inode)?, goal: self.goal_of(inode)?, chunks })
    }

    /// Ends a session by a record; the client's answer, if one waits, leaves when it is stable.
    pub(super) fn close_session(&mut self, session: SessionId, answer: Option<Answerer>) {
        let applied = self.log(None, Op::CloseSession { session });
        if applied.index.is_some() {
            for waiting in self.sessions.remove(session) {
                self.answer(waiting, Err(Status::NoSession));
            }
            self.forfeit_append_locks(session);
            self.orphans.look_at_all();
            self.tell(fleet::Event::SessionGone { session });
        }
        if let Some(answer) = answer {
            self.answer_applied(answer, Applied { reply: applied.reply.map(|_| Reply::Done), ..applied });
        }
    }
}
