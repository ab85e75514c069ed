//! Bodies of the session's frames: SESSION_OPEN and REQUEST, and their answers (`docs/protocol/session.md`).
//!
//! # Invariants
//! 1. An answer carries either a refusal or exactly one reply.
//! 2. Session number 0 is nobody's: in SESSION_OPEN it asks for a new session.

mod reply;
mod request;

use crate::class::{maybe_expression, text_of};
use crate::common::{cluster, list, maybe, part, refusal, term, text, within};
use crate::limits::{LABEL_BYTES_MAX, NEWS_MAX};
use crate::{Malformed, Message, proto};
use prost::Message as _;
use types::{
    BODY_BYTES_MAX, ClusterId, Expression, LogIndex, LogPosition, News, Reply, Request, Sequence, SessionId,
    Status, Term,
};

/// Body of SESSION_OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOpen {
    /// The session to resume; `None` asks for a new one.
    pub session: Option<SessionId>,
    /// What a person calls this client: host name and mount point.
    pub name: String,
    /// The highest applied position that any answer carried; the master may have lost what is above.
    pub highest_answered: LogIndex,
    /// The term under which that answer came. Indexes above a lost tail are used again in a later term,
    /// so the index alone proves nothing.
    pub answered_term: Term,
    /// Labels of disks that this client would rather read from: a condition, as `placement` reads it.
    pub prefer: Option<Expression>,
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
    /// What else the request touched or found.
    pub news: Vec<News>,
}

/// Refuses a body longer than a frame may carry, before anything is allocated.
fn body(bytes: &[u8]) -> Result<&[u8], Malformed> {
    within(bytes.len(), BODY_BYTES_MAX as usize, "length of a body")?;
    Ok(bytes)
}

fn append(message: &impl prost::Message, out: &mut Vec<u8>) {
    out.reserve(message.encoded_len());
    message.encode(out).expect("a vector grows as needed");
}

impl Message for SessionOpen {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::SessionOpen {
            session: self.session.map_or(0, |s| s.0),
            name: self.name.clone(),
            highest_answered: self.highest_answered.0,
            answered_term: self.answered_term.0,
            prefer: text_of(self.prefer.as_ref()),
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let p = proto::SessionOpen::decode(body(bytes)?)?;
        Ok(Self {
            session: (p.session != 0).then_some(SessionId(p.session)),
            name: text(p.name, LABEL_BYTES_MAX, "name of a session")?,
            highest_answered: LogIndex(p.highest_answered),
            answered_term: term(p.answered_term)?,
            prefer: maybe_expression(&p.prefer)?,
        })
    }
}

impl Message for SessionOpenAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = match &self.0 {
            Ok(opened) => proto::SessionOpened {
                status: 0,
                session: opened.session.0,
                term: opened.term.0,
                cluster: opened.cluster.0.to_vec(),
                lease_ms: opened.lease_ms,
                position: Some((&opened.position).into()),
                lost_tail: opened.lost_tail,
            },
            Err(status) => proto::SessionOpened { status: status.code().into(), ..Default::default() },
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let p = proto::SessionOpened::decode(body(bytes)?)?;
        if let Some(status) = refusal(p.status)? {
            return Ok(Self(Err(status)));
        }
        if p.session == 0 {
            return Err(Malformed::new("session"));
        }
        Ok(Self(Ok(SessionOpened {
            session: SessionId(p.session),
            term: term(p.term)?,
            cluster: cluster(&p.cluster)?,
            lease_ms: p.lease_ms,
            position: part(p.position, "position of the log")?,
            lost_tail: p.lost_tail,
        })))
    }
}

impl Message for RequestMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::Request {
            sequence: self.sequence.0,
            answered_below: self.answered_below.0,
            request: Some((&self.request).into()),
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let p = proto::Request::decode(body(bytes)?)?;
        Ok(Self {
            sequence: Sequence(p.sequence),
            answered_below: Sequence(p.answered_below),
            request: part(p.request, "request")?,
        })
    }
}

impl Message for AnswerMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        let (status, reply) = match &self.outcome {
            Ok(reply) => (0, Some(reply.into())),
            Err(status) => (status.code().into(), None),
        };
        let news = self.news.iter().map(Into::into).collect();
        append(&proto::Answer { status, position: Some((&self.position).into()), news, reply }, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let p = proto::Answer::decode(body(bytes)?)?;
        let outcome = match refusal(p.status)? {
            Some(status) => Err(status),
            None => Ok(part(p.reply, "reply")?),
        };
        let news = list(p.news, NEWS_MAX, "news")?;
        Ok(Self { position: maybe(p.position)?.unwrap_or_default(), outcome, news })
    }
}
