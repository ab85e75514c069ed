//! The soft side of sessions: leases, which inodes each one knows, and requests that wait.
//!
//! # Invariants
//! 1. A session is here exactly while it is in `meta`.
//! 2. An inode named by an answer to a session is in its set until the session forgets it, so that an
//!    unlinked file lives as long as somebody may have it open.
//! 3. After a start a session may know anything until it has reclaimed what it holds.
//!
//! # Elsewhere
//! The durable half (existence, name, answers given): `meta`.

use codec::session::AnswerMessage;
use fleet::Reader;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use placement::Condition;
use std::collections::BTreeMap;
use std::sync::Weak;
use types::{InodeId, Origin, REQUESTS_OPEN_MAX, SEQUENCES_AHEAD_MAX, Sequence, SessionId, Status};

/// A client's connection, as long as it lives.
pub(crate) struct Connection {
    /// The other end.
    pub(crate) peer: String,
}

/// Sends the answer to one request.
pub(crate) type Answerer = Box<dyn FnOnce(AnswerMessage) + Send>;

/// One session.
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) since_ms: u64,
    connection: Weak<Connection>,
    /// What is near its client, by the connection that it came over last.
    reader: Reader,
    heard_ms: u64,
    /// Whether it has told what it holds since the master started.
    reclaimed: bool,
    /// Inodes named to it, each with the last request that was answered so.
    known: HashMap<InodeId, Sequence, FixedState>,
    answered_below: Sequence,
    /// Requests that wait for the fleet or for an edit of the same inode.
    waiting: BTreeMap<Sequence, Answerer>,
}

impl Session {
    /// Where the client is connected from, if it is.
    pub(crate) fn peer(&self) -> Option<String> {
        self.connection.upgrade().map(|connection| connection.peer.clone())
    }

    fn may_know(&self, inode: InodeId) -> bool {
        !self.reclaimed || self.known.contains_key(&inode)
    }
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    all: BTreeMap<SessionId, Session>,
}

/// What to do with a request that came in.
pub(crate) enum Admission {
    /// Handle it.
    New(Answerer),
    /// The same request waits already; it will be answered where it was asked last.
    Waiting,
    /// Refuse it.
    Refused(Answerer, Status),
}

impl Sessions {
    /// A session of an earlier reign, found in `meta` at the start.
    pub(crate) fn found(&mut self, id: SessionId, name: String, now_ms: u64) {
        self.insert(id, name, now_ms, false);
    }

    /// A session opened now.
    pub(crate) fn opened(&mut self, id: SessionId, name: String, now_ms: u64) {
        self.insert(id, name, now_ms, true);
    }

    fn insert(&mut self, id: SessionId, name: String, now_ms: u64, reclaimed: bool) {
        let session = Session {
            name,
            since_ms: now_ms,
            connection: Weak::new(),
            reader: Reader::default(),
            heard_ms: now_ms,
            reclaimed,
            known: HashMap::default(),
            answered_below: Sequence(0),
            waiting: BTreeMap::new(),
        };
        self.all.insert(id, session);
    }

    /// Removes a session and gives back what still waited.
    pub(crate) fn remove(&mut self, id: SessionId) -> Vec<Answerer> {
        self.all.remove(&id).map(|s| s.waiting.into_values().collect()).unwrap_or_default()
    }

    /// Whether the session is open and has not said that it is done with this request.
    pub(crate) fn waits_for(&self, origin: Origin) -> bool {
        self.all.get(&origin.session).is_some_and(|session| origin.sequence >= session.answered_below)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.all.iter().map(|(id, session)| (*id, session))
    }

    /// The session's client came over this connection, and would rather read from the disks of a condition.
    pub(crate) fn connect(&mut self, id: SessionId, connection: Weak<Connection>, prefer: Option<Condition>) {
        if let Some(session) = self.all.get_mut(&id) {
            let peer = connection.upgrade().map_or_else(String::new, |connection| connection.peer.clone());
            session.reader = Reader::new(&peer, prefer);
            session.connection = connection;
        }
    }

    /// What is near the session's client.
    pub(crate) fn reader(&self, id: SessionId) -> Option<&Reader> {
        self.all.get(&id).map(|session| &session.reader)
    }

    /// Renews the lease; false if there is no such session.
    pub(crate) fn touch(&mut self, id: SessionId, now_ms: u64) -> bool {
        let session = self.all.get_mut(&id);
        if let Some(session) = session {
            session.heard_ms = now_ms;
            return true;
        }
        false
    }

    /// Sessions that were silent for longer than the lease.
    pub(crate) fn expired(&self, now_ms: u64, lease_ms: u64) -> Vec<SessionId> {
        let late = |s: &Session| now_ms.saturating_sub(s.heard_ms) >= lease_ms;
        self.all.iter().filter(|(_, s)| late(s)).map(|(id, _)| *id).collect()
    }

    /// Checks a request against the session's window. A repeat of one that waits takes over its answer.
    pub(crate) fn admit(
        &mut self,
        id: SessionId,
        sequence: Sequence,
        answered_below: Sequence,
        answerer: Answerer,
    ) -> Admission {
        let Some(session) = self.all.get_mut(&id) else {
            return Admission::Refused(answerer, Status::NoSession);
        };
        session.answered_below = session.answered_below.max(answered_below);
        // Nobody waits for these any more: they are not to keep others out.
        session.waiting = session.waiting.split_off(&session.answered_below);
        if let Some(waiting) = session.waiting.get_mut(&sequence) {
            *waiting = answerer;
            return Admission::Waiting;
        }
        if sequence < session.answered_below {
            // The client has this answer: a frame that was long on its way must not take effect again.
            return Admission::Refused(answerer, Status::BadMessage);
        }
        let open = sequence.0 - session.answered_below.0;
        if open >= SEQUENCES_AHEAD_MAX || session.waiting.len() >= REQUESTS_OPEN_MAX {
            return Admission::Refused(answerer, Status::TryAgain);
        }
        Admission::New(answerer)
    }

    /// Keeps the way to answer a request that cannot be answered yet.
    pub(crate) fn wait(&mut self, id: SessionId, sequence: Sequence, answerer: Answerer) {
        if let Some(session) = self.all.get_mut(&id) {
            session.waiting.insert(sequence, answerer);
        }
    }

    /// Takes the way to answer a request that waited; `None` if the session has gone.
    pub(crate) fn take_waiting(&mut self, id: SessionId, sequence: Sequence) -> Option<Answerer> {
        self.all.get_mut(&id)?.waiting.remove(&sequence)
    }

    /// The answer to a request names the inode.
    pub(crate) fn learn(&mut self, origin: Origin, inode: InodeId) {
        if let Some(session) = self.all.get_mut(&origin.session) {
            let last = session.known.entry(inode).or_insert(origin.sequence);
            *last = origin.sequence.max(*last);
        }
    }

    /// Whether the session was told of the inode by an answer that it may not have had when it sent this request.
    pub(crate) fn learns_now(&self, origin: Origin, inode: InodeId) -> bool {
        let last = self.all.get(&origin.session).and_then(|session| session.known.get(&inode));
        last.is_some_and(|last| *last >= origin.answered_below)
    }

    /// The session no longer knows the inode, unless the answer to a request after `as_of` named it: that one may
    /// have crossed the message.
    pub(crate) fn forget(&mut self, id: SessionId, inode: InodeId, as_of: Sequence) {
        if let Some(session) = self.all.get_mut(&id)
            && session.known.get(&inode).is_some_and(|last| *last <= as_of)
        {
            session.known.remove(&inode);
        }
    }

    /// The session told all that it holds.
    pub(crate) fn reclaimed(&mut self, id: SessionId) {
        if let Some(session) = self.all.get_mut(&id) {
            session.reclaimed = true;
        }
    }

    /// Whether every session has told what it holds.
    pub(crate) fn all_reclaimed(&self) -> bool {
        self.all.values().all(|session| session.reclaimed)
    }

    /// Whether the session has told all it held when the master started, or was opened since.
    pub(crate) fn has_reclaimed(&self, id: SessionId) -> bool {
        self.all.get(&id).is_some_and(|session| session.reclaimed)
    }

    /// Whether every session other than `but` has told what it holds.
    pub(crate) fn others_reclaimed(&self, but: SessionId) -> bool {
        self.all.iter().all(|(id, session)| *id == but || session.reclaimed)
    }

    /// Whether the session may have the inode open.
    pub(crate) fn may_know(&self, id: SessionId, inode: InodeId) -> bool {
        self.all.get(&id).is_some_and(|session| session.may_know(inode))
    }

    /// Whether a session other than `but` may have the inode open.
    pub(crate) fn known_to_others(&self, inode: InodeId, but: Option<SessionId>) -> bool {
        self.all.iter().any(|(id, session)| Some(*id) != but && session.may_know(inode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody() -> Answerer {
        Box::new(|_| {})
    }

    #[test]
    fn requests_that_nobody_waits_for_any_more_take_no_room() {
        let (mut sessions, id) = (Sessions::default(), SessionId(1));
        sessions.opened(id, "a".into(), 0);
        for n in 1..=REQUESTS_OPEN_MAX as u64 + 1 {
            let admitted = sessions.admit(id, Sequence(n), Sequence(n), nobody());
            assert!(matches!(admitted, Admission::New(_)), "{n}");
            sessions.wait(id, Sequence(n), nobody());
        }
        assert!(sessions.take_waiting(id, Sequence(1)).is_none());
    }

    #[test]
    fn until_it_has_reclaimed_a_found_session_may_hold_anything() {
        let mut sessions = Sessions::default();
        sessions.found(SessionId(1), "a".into(), 0);
        assert!(sessions.known_to_others(InodeId(9), None));
        assert!(!sessions.known_to_others(InodeId(9), Some(SessionId(1))));
        assert!(!sessions.all_reclaimed());
        sessions.reclaimed(SessionId(1));
        assert!(sessions.all_reclaimed());
        assert!(!sessions.known_to_others(InodeId(9), None));
        let origin = |n| Origin { session: SessionId(1), sequence: Sequence(n), answered_below: Sequence(1) };
        sessions.learn(origin(4), InodeId(9));
        sessions.learn(origin(3), InodeId(9));
        assert!(sessions.known_to_others(InodeId(9), None));
        sessions.forget(SessionId(1), InodeId(9), Sequence(3));
        assert!(sessions.known_to_others(InodeId(9), None), "the answer to 4 may have crossed it");
        sessions.forget(SessionId(1), InodeId(9), Sequence(4));
        assert!(!sessions.known_to_others(InodeId(9), None));
    }

    #[test]
    fn a_request_is_admitted_once_and_within_the_window() {
        let mut sessions = Sessions::default();
        let id = SessionId(1);
        let admit = |sessions: &mut Sessions, sequence, below| match sessions.admit(
            id,
            Sequence(sequence),
            Sequence(below),
            nobody(),
        ) {
            Admission::New(_) => "new".to_string(),
            Admission::Waiting => "waiting".to_string(),
            Admission::Refused(_, status) => status.to_string(),
        };
        assert_eq!(admit(&mut sessions, 1, 1), Status::NoSession.to_string());
        sessions.opened(id, "a".into(), 0);
        assert_eq!(admit(&mut sessions, 1, 1), "new");
        sessions.wait(id, Sequence(1), nobody());
        assert_eq!(admit(&mut sessions, 1, 1), "waiting");
        assert_eq!(admit(&mut sessions, SEQUENCES_AHEAD_MAX, 1), "new");
        assert_eq!(admit(&mut sessions, SEQUENCES_AHEAD_MAX + 1, 1), Status::TryAgain.to_string());
        assert!(sessions.take_waiting(id, Sequence(1)).is_some());
        assert!(sessions.take_waiting(id, Sequence(1)).is_none());
        assert_eq!(admit(&mut sessions, 4, 5), Status::BadMessage.to_string());
    }

    #[test]
    fn a_silent_session_expires_and_a_heard_one_does_not() {
        let mut sessions = Sessions::default();
        sessions.opened(SessionId(1), "a".into(), 0);
        sessions.opened(SessionId(2), "b".into(), 0);
        assert!(sessions.touch(SessionId(2), 50));
        assert_eq!(sessions.expired(60, 60), [SessionId(1)]);
    }
}
