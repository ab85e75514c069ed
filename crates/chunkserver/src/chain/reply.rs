//! Frames on their way in and answers on their way out.

use crate::config::{DEADLINE_DEFAULT, DEADLINE_MAX, HEAD_BYTES_MAX};
use bytes::Bytes;
use link::Replier;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use types::{Capability, ChainSequence, Version, Witness};
use wire::chain::Refusal;
use wire::message::{Flush, FlushAnswer, Message, Write, WriteAnswer};

/// Connections that wait for one operation: the first, and those of repeats.
pub(super) const JOINED_MAX: usize = 8;

/// A write or flush that was decoded and admitted by term.
pub(crate) struct Arrived {
    pub(crate) what: What,
    pub(crate) reply: Reply,
    /// When it is given up here.
    pub(crate) deadline: Instant,
}

/// What it asks.
pub(crate) enum What {
    Write(Box<Write>, Bytes),
    Flush(Box<Flush>),
}

/// How it ended.
#[derive(Clone)]
pub(crate) enum Outcome {
    Done { chain_sequence: ChainSequence, witnesses: Vec<Witness> },
    Refused(Refusal),
}

/// Where the answer goes.
pub(crate) struct Reply {
    replier: Replier,
    /// Of a write; `None`: a flush.
    write_id: Option<u64>,
    _budget: Option<Spent>,
}

impl What {
    pub(crate) fn capability(&self) -> &Capability {
        match self {
            Self::Write(write, _) => &write.capability,
            Self::Flush(flush) => &flush.capability,
        }
    }
}

impl Arrived {
    pub(crate) fn new(what: What, replier: Replier, budget: Option<Spent>) -> Self {
        let (write_id, deadline_ms) = match &what {
            What::Write(write, _) => (Some(write.write_id), write.deadline_ms),
            What::Flush(flush) => (None, flush.deadline_ms),
        };
        let deadline = Instant::now() + super::shorter(patience(deadline_ms));
        Self { what, reply: Reply { replier, write_id, _budget: budget }, deadline }
    }

    /// The version at which it may make the replica.
    pub(super) fn creates(&self) -> Option<Version> {
        match &self.what {
            What::Write(write, _) if write.create => Some(write.capability.version),
            What::Write(..) | What::Flush(_) => None,
        }
    }
}

/// The patience that a request states.
pub(crate) fn patience(deadline_ms: u32) -> Duration {
    if deadline_ms == 0 {
        return DEADLINE_DEFAULT;
    }
    Duration::from_millis(u64::from(deadline_ms)).min(DEADLINE_MAX)
}

impl Reply {
    pub(crate) fn answer(self, outcome: Outcome) {
        let (result, chain_sequence, witnesses, failed) = match outcome {
            Outcome::Done { chain_sequence, witnesses } => (Ok(()), chain_sequence, witnesses, None),
            Outcome::Refused(refusal) => (Err(refusal.status), ChainSequence(0), Vec::new(), refusal.failed),
        };
        let body = match self.write_id {
            Some(write_id) => WriteAnswer { result, write_id, chain_sequence, witnesses, failed }.to_bytes(),
            None => FlushAnswer { result, witnesses, failed }.to_bytes(),
        };
        self.replier.answer(&body, Bytes::new());
    }
}

/// Bytes of clients' writes that are not answered.
#[derive(Default)]
pub(crate) struct Budget {
    spent: AtomicUsize,
}

/// Given back when it is dropped.
pub(crate) struct Spent {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// `None` if it is used up.
    pub(crate) fn spend(self: &Arc<Self>, bytes: usize) -> Option<Spent> {
        let before = self.spent.fetch_add(bytes, Ordering::Relaxed);
        let spent = Spent { budget: Arc::clone(self), bytes };
        (before + bytes <= HEAD_BYTES_MAX).then_some(spent)
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        self.budget.spent.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
