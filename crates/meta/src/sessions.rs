//! Sessions and the answers that a client may still ask for again.
//!
//! A client that lost its connection sends its open requests once more. An answered mutation is not done
//! again: its first answer is kept until the client says that it has arrived.
//!
//! # Invariants
//! 1. A session keeps at most `SEQUENCES_AHEAD_MAX` answers: a request must lie in the window that begins
//!    with the lowest unanswered one.
//! 2. Answers change only with a logged record, so every replay has the same ones.

use crate::digest::{LongItem, Sum, Tag};
use std::collections::BTreeMap;
use types::{Attributes, Entry, Origin, Reply, SEQUENCES_AHEAD_MAX, Sequence, SessionId, Status};

/// Longest name of a client.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// The answer to a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Attributes(Attributes),
    Entry { attributes: Attributes, created: bool },
}

impl Answer {
    /// As the client sees it, before the master adds locations.
    pub(crate) fn to_reply(self) -> Reply {
        match self {
            Self::Done => Reply::Done,
            Self::Attributes(attributes) => Reply::Attributes(attributes),
            Self::Entry { attributes, created } => {
                Reply::Entry(Box::new(Entry { attributes, first: None, grant: None, created }))
            }
        }
    }

    fn encode(self, item: LongItem) -> LongItem {
        match self {
            Self::Done => item.u64(0),
            Self::Attributes(attributes) => encode_attributes(item.u64(1), &attributes),
            Self::Entry { attributes, created } => {
                encode_attributes(item.u64(2).u64(u64::from(created)), &attributes)
            }
        }
    }
}

fn encode_attributes(item: LongItem, a: &Attributes) -> LongItem {
    item.u64(a.inode.id.0)
        .u64(u64::from(a.inode.generation.0))
        .u64(u64::from(a.kind.code()))
        .u64(u64::from(a.mode))
        .u64(u64::from(a.links))
        .u64(u64::from(a.owner.uid))
        .u64(u64::from(a.owner.gid))
        .u64(u64::from(a.device))
        .u64(a.length)
        .u64(u64::from(a.chunks))
        .u64(a.accessed.to_bits())
        .u64(a.modified.to_bits())
        .u64(a.changed.to_bits())
        .u64(a.created.to_bits())
        .u64(a.change_counter)
        .u64(u64::from(a.truncate_generation.0))
}

/// One client's standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) answered_below: Sequence,
    pub(crate) answers: BTreeMap<Sequence, Answer>,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    sum: Sum,
}

fn hash_session(id: SessionId, session: &Session) -> u128 {
    LongItem::new(Tag::Session).u64(id.0).u64(session.answered_below.0).text(session.name.as_bytes()).hash()
}

fn hash_answer(id: SessionId, sequence: Sequence, answer: Answer) -> u128 {
    answer.encode(LongItem::new(Tag::Answer).u64(id.0).u64(sequence.0)).hash()
}

impl Sessions {
    pub(crate) fn contains(&self, id: SessionId) -> bool {
        self.sessions.contains_key(&id)
    }

    pub(crate) fn answer(&self, id: SessionId, sequence: Sequence) -> Option<Answer> {
        self.sessions.get(&id)?.answers.get(&sequence).copied()
    }

    /// Whether a request of this origin is to be carried out, or what it was answered.
    pub(crate) fn admit(&self, origin: Origin) -> Result<Option<Answer>, Status> {
        let session = self.sessions.get(&origin.session).ok_or(Status::NoSession)?;
        if let Some(answer) = session.answers.get(&origin.sequence) {
            return Ok(Some(*answer));
        }
        let low = session.answered_below.max(origin.answered_below);
        let window = low.0..low.0.saturating_add(SEQUENCES_AHEAD_MAX);
        if window.contains(&origin.sequence.0) { Ok(None) } else { Err(Status::Invalid) }
    }

    /// Keeps the answer to an admitted request and drops those that have arrived.
    pub(crate) fn keep(&mut self, origin: Origin, answer: Answer) {
        let id = origin.session;
        let session = self.sessions.get_mut(&id).expect("the request was admitted");
        if origin.answered_below > session.answered_below {
            self.sum.take(hash_session(id, session));
            session.answered_below = origin.answered_below;
            self.sum.add(hash_session(id, session));
            let open = session.answers.split_off(&origin.answered_below);
            for (sequence, arrived) in std::mem::replace(&mut session.answers, open) {
                self.sum.take(hash_answer(id, sequence, arrived));
            }
        }
        session.answers.insert(origin.sequence, answer);
        self.sum.add(hash_answer(id, origin.sequence, answer));
    }

    /// Takes in a session that is not there yet, with its answers.
    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        self.sum.add(hash_session(id, &session));
        for (sequence, answer) in &session.answers {
            self.sum.add(hash_answer(id, *sequence, *answer));
        }
        self.sessions.insert(id, session);
    }

    /// Forgets a session and its answers.
    pub(crate) fn remove(&mut self, id: SessionId) -> Result<(), Status> {
        let session = self.sessions.remove(&id).ok_or(Status::NoSession)?;
        self.sum.take(hash_session(id, &session));
        for (sequence, answer) in &session.answers {
            self.sum.take(hash_answer(id, *sequence, *answer));
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut again = Self::default();
        self.iter().for_each(|(id, session)| again.insert(id, session.clone()));
        again.sum
    }
}
