//! Bodies of the session's frames: SESSION_OPEN and REQUEST, and their answers.

use crate::{Malformed, Message};
use types::{ClusterId, LogIndex, LogPosition, Reply, Request, Sequence, SessionId, Status, Term};

/// Body of SESSION_OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOpen {
    /// The session to resume; `None` asks for a new one.
    pub session: Option<SessionId>,
    /// What a person calls this client: host name and mount point.
    pub name: String,
    /// The highest applied position that any answer carried; the master may have lost what is above.
    pub highest_answered: LogIndex,
}

/// Body of the answer to SESSION_OPEN when the session is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOpened {
    /// The session, new if the one asked for is unknown.
    pub session: SessionId,
    /// The master's term.
    pub term: Term,
    /// The cluster.
    pub cluster: ClusterId,
    /// The session ends when the master heard nothing for this long.
    pub lease_ms: u32,
    /// Where the log stands.
    pub position: LogPosition,
    /// The log is shorter than `highest_answered`: acknowledged operations are gone, drop all caches.
    pub lost_tail: bool,
}

/// The answer to SESSION_OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOpenAnswer(pub Result<SessionOpened, Status>);

/// Body of REQUEST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMessage {
    /// The request's number within its session.
    pub sequence: Sequence,
    /// Every answer below this number has arrived.
    pub answered_below: Sequence,
    /// What is asked.
    pub request: Request,
}

/// Body of the answer to REQUEST. The frame's request id says to which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerMessage {
    /// Where the log stood when the answer was made.
    pub position: LogPosition,
    /// The answer or the refusal.
    pub outcome: Result<Reply, Status>,
}

macro_rules! later { ($($name:ident)*) => {$(
    impl Message for $name {
        fn encode(&self, out: &mut Vec<u8>) {
            let _ = out;
            unimplemented!()
        }
        fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
            let _ = bytes;
            unimplemented!()
        }
    }
)*}}
later!(SessionOpen SessionOpenAnswer RequestMessage AnswerMessage);
