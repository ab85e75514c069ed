//! Append locks: who may append to a file, and who waits for that.
//!
//! An append goes to the end of the file, so nobody else may move the end between the moment when a client learns the
//! length and the moment when its commit has recorded the new one. The order of steps is in `docs/protocol/session.md`,
//! *The append lock*.
//!
//! # Invariants
//! 1. A lock has at most one holder, and the holder is an open session.
//! 2. While other sessions may hold locks of which this master does not know yet, a truncate waits for a moment, and who wants
//!    a lock as long as for one that is silent. Then it is taken from them.
//! 3. A lock that is taken from a session that lives is taken by a record, which later masters know as well: who claims
//!    it without having heard of that record does not get it back.
//! 4. A lock whose holder's session ended, or that was not renewed for [`APPEND_LEASE`] while others wait, is given on only after what lies beyond the end of the file was punched, so
//!    that no frame of the one before can land.
//! 5. Whoever waits for a lock waits in its session too, so that what waits is bounded ([`Queue`]) and a session that ends takes
//!    its waiters along.

use super::queue::Queue;
use super::{Answerer, Core};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::{
    APPEND_LEASE, AppendClaim, Attributes, FileKind, InodeId, InodeRef, Op, Origin, Reply, Request,
    SessionId, Status,
};

/// After a start of the master a truncate waits so long for sessions that have not said which locks they hold. Clients that
/// live come back within that; for those that do not, nobody should wait until their lease ends. Who wants to append waits for
/// [`APPEND_LEASE`], as for anybody who is silent: a mount that was cut off for seconds keeps what it appended.
const UNNAMED_WAIT: Duration = Duration::from_secs(1);

/// All append locks that are held, waited for or forfeited.
#[derive(Default)]
pub(super) struct Appends {
    locks: BTreeMap<InodeId, Lock>,
    /// Of these, what sessions hold that were not heard since this master's start was taken away.
    taken_unheard: BTreeSet<InodeId>,
}

#[derive(Default)]
struct Lock {
    holder: Option<SessionId>,
    /// When the holder was given it or asked for it last.
    renewed_ms: u64,
    forfeited: bool,
    /// Appends, and truncates of others than the holder.
    waiting: Queue,
}

impl Lock {
    fn is_of_no_use(&self) -> bool {
        self.holder.is_none() && !self.forfeited && self.waiting.is_empty()
    }
}

impl Appends {
    /// Whether this session holds the lock.
    pub(super) fn is_held_by(&self, inode: InodeId, session: SessionId) -> bool {
        self.holder(inode) == Some(session)
    }

    fn holder(&self, inode: InodeId) -> Option<SessionId> {
        self.locks.get(&inode).and_then(|lock| lock.holder)
    }

    /// Whether the lock's last holder ended without giving it back.
    pub(super) fn is_forfeited(&self, inode: InodeId) -> bool {
        self.locks.get(&inode).is_some_and(|lock| lock.forfeited)
    }

    /// What lies beyond the end was punched: nothing of the last holder can land any more.
    pub(super) fn redeemed(&mut self, inode: InodeId, now_ms: u64) {
        if let Some(lock) = self.locks.get_mut(&inode) {
            (lock.forfeited, lock.renewed_ms) = (false, now_ms);
        }
    }

    /// Whether somebody waits for the lock.
    pub(super) fn is_wanted(&self, inode: InodeId) -> bool {
        self.locks.get(&inode).is_some_and(|lock| !lock.waiting.is_empty())
    }

    /// Whoever was given the lock does not get it after all.
    fn release(&mut self, inode: InodeId, session: SessionId) {
        if let Some(lock) = self.locks.get_mut(&inode) {
            lock.holder.take_if(|holder| *holder == session);
        }
    }

    /// The inode is no more; who waits is told when its turn comes.
    pub(super) fn gone(&mut self, inode: InodeId) {
        if let Some(lock) = self.locks.get_mut(&inode) {
            (lock.holder, lock.forfeited) = (None, false);
            if lock.is_of_no_use() {
                self.locks.remove(&inode);
            }
        }
    }
}

impl Core {
    /// A client wants to append, or to go on appending.
    pub(super) fn append_lock(&mut self, origin: Origin, inode: InodeRef, held: bool, answer: Answerer) {
        let kind = self.meta.attributes(inode).map(|attributes| attributes.kind);
        match kind {
            Ok(FileKind::File) => {}
            Ok(_) => return self.answer(answer, Err(Status::Invalid)),
            Err(status) => return self.answer(answer, Err(status)),
        }
        if self.appends.is_held_by(inode.id, origin.session) {
            return self.ordered(origin, Request::AppendLock { inode, held }, answer);
        }
        if held {
            return self.answer(answer, Err(Status::Busy));
        }
        self.wait_for_appends(origin, Request::AppendLock { inode, held }, inode.id, answer);
        self.pass_on(inode.id);
    }

    /// A client wants to change a file's length: not while another one may be appending.
    pub(super) fn set_length(&mut self, origin: Origin, request: Request, inode: InodeId, answer: Answerer) {
        match self.appends.holder(inode) {
            // Nobody else holds it, whoever is still to be heard.
            Some(holder) if holder == origin.session => self.ordered(origin, request, answer),
            None if self.may_go(origin.session, &request) => self.let_go(origin, request, answer),
            _ => self.wait_for_appends(origin, request, inode, answer),
        }
    }

    /// Whether a request may have its turn though other sessions may hold the lock without this master's knowledge.
    fn may_go(&self, session: SessionId, request: &Request) -> bool {
        let wait = if matches!(request, Request::SetLength { .. }) { UNNAMED_WAIT } else { APPEND_LEASE };
        let waited_ms = self.now_ms().saturating_sub(self.started_ms);
        waited_ms >= wait.as_millis() as u64 || self.sessions.others_reclaimed(session)
    }

    /// The request has its turn. Once for each file the lock is taken from sessions that were not heard yet.
    fn let_go(&mut self, origin: Origin, request: Request, answer: Answerer) {
        if let Request::SetLength { inode, .. } | Request::AppendLock { inode, .. } = request
            && !self.sessions.others_reclaimed(origin.session)
            && !self.appends.taken_unheard.contains(&inode.id)
        {
            if let Err(status) = self.log(None, Op::ForfeitAppends { inode }).reply {
                self.appends.release(inode.id, origin.session);
                return self.answer(answer, Err(status));
            }
            self.appends.taken_unheard.insert(inode.id);
            if let Some(lock) = self.appends.locks.get_mut(&inode.id) {
                lock.forfeited = true;
            }
        }
        self.ordered(origin, request, answer);
    }

    /// Lets a request wait until the lock is free.
    fn wait_for_appends(&mut self, origin: Origin, request: Request, inode: InodeId, answer: Answerer) {
        self.sessions.wait(origin.session, origin.sequence, answer);
        self.appends.locks.entry(inode).or_default().waiting.push((origin, request), &self.sessions);
    }

    /// A client is done with appending, or no longer wants to.
    pub(super) fn append_unlock(&mut self, session: SessionId, inode: InodeId, forfeit: bool) {
        let Some(lock) = self.appends.locks.get_mut(&inode) else { return };
        if lock.holder == Some(session) {
            // What an earlier holder left may not be punched yet.
            (lock.holder, lock.forfeited) = (None, lock.forfeited || forfeit);
        }
        let given_up = |(origin, request): &(Origin, Request)| {
            origin.session == session && matches!(request, Request::AppendLock { .. })
        };
        for (origin, _) in lock.waiting.take_all(given_up) {
            if let Some(answer) = self.sessions.take_waiting(origin.session, origin.sequence) {
                self.answer(answer, Err(Status::TryAgain));
            }
        }
        self.pass_on(inode);
    }

    /// After a new connection a client names the locks that it holds. That is believed after a start of the master only:
    /// one that was forfeited meanwhile must not come back, for another client may have appended since. Nor must one that
    /// an earlier master took away while this client could not be told.
    pub(super) fn reclaim_append_lock(&mut self, session: SessionId, claim: AppendClaim) {
        let AppendClaim { inode, forfeits } = claim;
        let Ok(attributes) = self.meta.attributes(inode) else { return };
        if self.sessions.has_reclaimed(session) {
            return;
        }
        if attributes.truncate_generation.forfeits() != forfeits {
            tracing::warn!(%session, inode = %inode.id, "appends under way are given up: others appended or truncated meanwhile");
            return;
        }
        let now_ms = self.now_ms();
        let lock = self.appends.locks.entry(inode.id).or_default();
        match lock.holder {
            None => (lock.holder, lock.renewed_ms) = (Some(session), now_ms),
            Some(holder) if holder == session => {}
            Some(holder) => tracing::error!(
                %session, %holder, inode = %inode.id,
                "an append lock was reclaimed that another session holds; this is a defect"
            ),
        }
    }

    /// A session ended: what it held is forfeited.
    pub(super) fn forfeit_append_locks(&mut self, session: SessionId) {
        let held = |lock: &Lock| lock.holder == Some(session);
        let locks: Vec<InodeId> =
            self.appends.locks.iter().filter(|(_, lock)| held(lock)).map(|(inode, _)| *inode).collect();
        for inode in locks {
            let lock = self.appends.locks.get_mut(&inode).expect("it was found");
            (lock.holder, lock.forfeited) = (None, true);
        }
        self.retry_appends();
    }

    /// Takes locks from holders that were silent while others wait. One that there is no room to record stays where it is.
    pub(super) fn forfeit_silent_locks(&mut self) {
        let now_ms = self.now_ms();
        let silent = |(inode, lock): (&InodeId, &Lock)| {
            let late = now_ms.saturating_sub(lock.renewed_ms) >= APPEND_LEASE.as_millis() as u64;
            let holder = lock.holder.filter(|_| late && !lock.waiting.is_empty())?;
            (!self.edits.hold_up(*inode, holder)).then_some((*inode, holder))
        };
        let silent: Vec<_> = self.appends.locks.iter().filter_map(silent).collect();
        for (inode, holder) in silent {
            let Ok(Attributes { inode, .. }) = self.meta.reopen(inode) else { continue };
            if self.log(None, Op::ForfeitAppends { inode }).reply.is_err() {
                continue;
            }
            tracing::warn!(inode = %inode.id, %holder, "an append lock was not renewed and goes to who waits");
            let lock = self.appends.locks.get_mut(&inode.id).expect("it was found");
            (lock.holder, lock.forfeited) = (None, true);
        }
    }

    /// Gives away what became free by the passing of time, or because a session said what it holds.
    pub(super) fn retry_appends(&mut self) {
        if self.sessions.all_reclaimed() {
            self.appends.taken_unheard.clear();
        }
        let free = |lock: &Lock| lock.holder.is_none() && !lock.waiting.is_empty();
        let inodes: Vec<InodeId> =
            self.appends.locks.iter().filter(|(_, lock)| free(lock)).map(|(inode, _)| *inode).collect();
        for inode in inodes {
            self.pass_on(inode);
        }
    }

    /// A free lock goes to who waits longest of those that may go.
    fn pass_on(&mut self, inode: InodeId) {
        loop {
            let Some(lock) = self.appends.locks.get(&inode) else { return };
            if lock.is_of_no_use() {
                self.appends.locks.remove(&inode);
                return;
            }
            if lock.holder.is_some() {
                return;
            }
            let may_go = |(origin, request): &(Origin, Request)| self.may_go(origin.session, request);
            let Some(next) = lock.waiting.iter().position(may_go) else { return };
            let now_ms = self.now_ms();
            let lock = self.appends.locks.get_mut(&inode).expect("it was found");
            let (origin, request) = lock.waiting.remove(next).expect("it was found");
            // Who gave up, or was ended with its session, waits no longer.
            let Some(answer) = self.sessions.take_waiting(origin.session, origin.sequence) else { continue };
            if !self.sessions.waits_for(origin) {
                self.answer(answer, Err(Status::TryAgain));
                continue;
            }
            if matches!(request, Request::AppendLock { .. }) {
                (lock.holder, lock.renewed_ms) = (Some(origin.session), now_ms);
            }
            self.let_go(origin, request, answer);
        }
    }

    /// The lock is held, nothing else changes the file's end, and nothing of an earlier holder can land.
    pub(super) fn append_locked(&mut self, inode: InodeRef, answer: Answerer) {
        let locked = self
            .meta
            .attributes(inode)
            .map(|attributes| Reply::AppendLock { attributes, wanted: self.appends.is_wanted(inode.id) });
        let now_ms = self.now_ms();
        match self.appends.locks.get_mut(&inode.id) {
            Some(lock) if locked.is_ok() => lock.renewed_ms = now_ms,
            _ => self.appends.gone(inode.id),
        }
        self.answer(answer, locked);
    }
}
