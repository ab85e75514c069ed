//! The way to the member behind.

use super::reply::What;
use super::{Chain, Effects, Inner};
use bytes::Bytes;
use link::{Link, LinkError};
use std::sync::Arc;
use tokio::time::Instant;
use types::{ChainSequence, Status, Witness};
use wire::Kind;
use wire::chain::{Answer, Op, Refusal};
use wire::message::{Flush, FlushAnswer, Message, Write, WriteAnswer};

/// The connection to the member behind.
pub(super) enum Hop {
    Idle,
    /// To this address.
    Connecting(String),
    Up(Link),
}

/// A frame for the member behind.
pub(super) struct Outgoing {
    op: Op,
    kind: Kind,
    body: Bytes,
    payload: Bytes,
    address: String,
    deadline: Instant,
}

impl Outgoing {
    /// The frame as the member behind is to see it; `None` at the tail.
    pub(super) fn new(op: Op, what: &What, sequence: ChainSequence, deadline: Instant) -> Option<Self> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let deadline_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX).max(1);
        let (kind, body, payload, address) = match what {
            What::Write(write, payload) => {
                let (next, rest) = write.next.split_first()?;
                let forwarded = Write {
                    disk: next.disk,
                    next: rest.to_vec(),
                    chain_sequence: sequence,
                    deadline_ms,
                    ..(**write).clone()
                };
                (Kind::Write, forwarded.to_bytes(), payload.clone(), next.address.clone())
            }
            What::Flush(flush) => {
                let (next, rest) = flush.next.split_first()?;
                let forwarded = Flush {
                    disk: next.disk,
                    next: rest.to_vec(),
                    chain_sequence: sequence,
                    deadline_ms,
                    ..(**flush).clone()
                };
                (Kind::Flush, forwarded.to_bytes(), Bytes::new(), next.address.clone())
            }
        };
        Some(Self { op, kind, body, payload, address, deadline })
    }
}

impl Inner {
    /// Notices that the connection is gone before anything new is taken: what waits on it has failed, and if
    /// nothing waits, the next frame may begin a new one.
    pub(super) fn look_behind(&mut self, out: &mut Vec<Answer>) {
        if let Hop::Up(link) = &self.hop
            && let Some(error) = link.lost()
        {
            self.hop = Hop::Idle;
            self.member.lost_behind(error.status(), out);
        }
    }

    fn send(&mut self, link: &Link, outgoing: Outgoing, effects: &mut Effects) {
        let Outgoing { op, kind, body, payload, deadline, .. } = outgoing;
        match link.send(kind, body, payload) {
            Ok(pending) => effects.waits.push((op, pending, deadline)),
            Err(error) => {
                let mut out = Vec::new();
                self.member.answered(op, Err(Refusal { status: error.status(), failed: None }), &mut out);
                self.settle(out, effects);
            }
        }
    }
}

impl Chain {
    pub(super) fn send_behind(&self, inner: &mut Inner, outgoing: Outgoing, effects: &mut Effects) {
        if matches!(inner.hop, Hop::Idle) {
            inner.hop = match self.context.pool.get_now(&outgoing.address) {
                Some(link) => Hop::Up(link),
                None => {
                    effects.connect = Some((outgoing.address.clone(), outgoing.deadline));
                    Hop::Connecting(outgoing.address.clone())
                }
            };
        }
        match &inner.hop {
            Hop::Up(link) => {
                let link = link.clone();
                inner.send(&link, outgoing, effects);
            }
            Hop::Idle | Hop::Connecting(_) => inner.outgoing.push_back(outgoing),
        }
    }

    /// The connection stands, or could not be made.
    pub(super) fn connected(self: &Arc<Self>, address: &str, result: Result<Link, LinkError>) {
        let mut effects = Effects::default();
        {
            let mut inner = self.lock();
            let inner = &mut *inner;
            if !matches!(&inner.hop, Hop::Connecting(wanted) if wanted == address) {
                return; // Closed meanwhile.
            }
            match result {
                Ok(link) => {
                    inner.hop = Hop::Up(link.clone());
                    while let Some(outgoing) = inner.outgoing.pop_front() {
                        // What was given up meanwhile, and so all after it, goes nowhere.
                        if inner.waiting.contains_key(&outgoing.op) {
                            inner.send(&link, outgoing, &mut effects);
                        }
                    }
                }
                Err(error) => {
                    inner.hop = Hop::Idle;
                    let first = inner.outgoing.front().map(|outgoing| outgoing.op);
                    inner.outgoing.clear();
                    if let Some(op) = first {
                        let refusal = Refusal { status: error.status(), failed: None };
                        let mut out = Vec::new();
                        inner.member.answered(op, Err(refusal), &mut out);
                        inner.settle(out, &mut effects);
                    }
                }
            }
        }
        self.finish(effects);
    }

    /// The member behind answered, or not.
    pub(super) fn answered(self: &Arc<Self>, op: Op, result: Result<Vec<Witness>, Refusal>) {
        let mut effects = Effects::default();
        {
            let mut inner = self.lock();
            let mut out = Vec::new();
            inner.member.answered(op, result, &mut out);
            inner.settle(out, &mut effects);
        }
        self.finish(effects);
    }
}

/// What the member behind said.
pub(super) fn interpret(answer: Result<wire::Frame, LinkError>) -> Result<Vec<Witness>, Refusal> {
    let refused = |status| Refusal { status, failed: None };
    let frame = answer.map_err(|error| refused(error.status()))?;
    let malformed = |_| refused(Status::BadMessage);
    let (result, witnesses, failed) = match frame.kind {
        Kind::Write => {
            let answer = WriteAnswer::decode(&frame.body).map_err(malformed)?;
            (answer.result, answer.witnesses, answer.failed)
        }
        Kind::Flush => {
            let answer = FlushAnswer::decode(&frame.body).map_err(malformed)?;
            (answer.result, answer.witnesses, answer.failed)
        }
        _ => return Err(refused(Status::BadMessage)),
    };
    match result {
        Ok(()) => Ok(witnesses),
        Err(status) => Err(Refusal { status, failed }),
    }
}
