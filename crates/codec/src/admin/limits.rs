//! Limits of healing and holds of what edits made dispensable, as operators see and change them.

use super::removal::HOLDER_BYTES_MAX;
use crate::common::{fit, list, part, text, within};
use crate::limits::TEXT_BYTES_MAX;
use crate::{Malformed, proto};
use types::{EXPRESSION_BYTES_MAX, HOLDS_MAX, HoldId, LIMITS_MAX, Limit};

/// What a limit is about, as an operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitTarget {
    /// A server's name or id.
    Server(String),
    /// Copies between disks with these labels.
    Pair {
        /// A condition on the disk that is read.
        from: String,
        /// A condition on the disk that is written.
        to: String,
    },
}

/// A limit and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    /// What it is about.
    pub target: LimitTarget,
    /// How much it allows.
    pub limit: Limit,
    /// Copies that it has places for at one time.
    pub places: u32,
    /// Copies under it; of a server: those that it reads.
    pub running: u32,
    /// Of a server: those that it writes.
    pub writing: u32,
    /// It keeps copies back.
    pub holds_up: bool,
}

/// A hold and what it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldStatus {
    /// Which.
    pub hold: HoldId,
    /// What was edited.
    pub what: String,
    /// What was wanted before.
    pub before: String,
    /// Since the edit.
    pub since_ms_ago: u64,
    /// Until it ends by itself.
    pub left_ms: u64,
    /// Replicas that it keeps.
    pub replicas: u64,
}

impl From<&LimitTarget> for proto::LimitTarget {
    fn from(v: &LimitTarget) -> Self {
        match v {
            LimitTarget::Server(server) => Self { server: server.clone(), ..Self::default() },
            LimitTarget::Pair { from, to } => {
                Self { server: String::new(), from: from.clone(), to: to.clone() }
            }
        }
    }
}

impl TryFrom<proto::LimitTarget> for LimitTarget {
    type Error = Malformed;
    fn try_from(p: proto::LimitTarget) -> Result<Self, Malformed> {
        let expression = |words: String| text(words, EXPRESSION_BYTES_MAX, "expression");
        Ok(match (p.server.is_empty(), p.from.is_empty() && p.to.is_empty()) {
            (false, true) => Self::Server(text(p.server, HOLDER_BYTES_MAX, "name of a server")?),
            (true, _) => Self::Pair { from: expression(p.from)?, to: expression(p.to)? },
            (false, false) => return Err(Malformed::new("what a limit is about")),
        })
    }
}

impl From<&LimitStatus> for proto::LimitStatus {
    fn from(v: &LimitStatus) -> Self {
        Self {
            target: Some((&v.target).into()),
            limit: Some((&v.limit).into()),
            places: v.places,
            running: v.running,
            writing: v.writing,
            holds_up: v.holds_up,
        }
    }
}

impl TryFrom<proto::LimitStatus> for LimitStatus {
    type Error = Malformed;
    fn try_from(p: proto::LimitStatus) -> Result<Self, Malformed> {
        Ok(Self {
            target: part(p.target, "what a limit is about")?,
            limit: part(p.limit, "limit")?,
            places: p.places,
            running: p.running,
            writing: p.writing,
            holds_up: p.holds_up,
        })
    }
}

impl From<&HoldStatus> for proto::HoldStatus {
    fn from(v: &HoldStatus) -> Self {
        Self {
            hold: v.hold.0,
            what: fit(&v.what, TEXT_BYTES_MAX),
            before: v.before.clone(),
            since_ms_ago: v.since_ms_ago,
            left_ms: v.left_ms,
            replicas: v.replicas,
        }
    }
}

impl TryFrom<proto::HoldStatus> for HoldStatus {
    type Error = Malformed;
    fn try_from(p: proto::HoldStatus) -> Result<Self, Malformed> {
        within(p.before.len(), 8 * TEXT_BYTES_MAX, "what was wanted before")?;
        Ok(Self {
            hold: HoldId(p.hold),
            what: text(p.what, TEXT_BYTES_MAX, "what was edited")?,
            before: p.before,
            since_ms_ago: p.since_ms_ago,
            left_ms: p.left_ms,
            replicas: p.replicas,
        })
    }
}

/// The limits of a status.
pub(super) fn limits(p: Vec<proto::LimitStatus>) -> Result<Vec<LimitStatus>, Malformed> {
    list(p, LIMITS_MAX, "limits")
}

/// The holds of a status.
pub(super) fn holds(p: Vec<proto::HoldStatus>) -> Result<Vec<HoldStatus>, Malformed> {
    list(p, HOLDS_MAX, "holds")
}
