//! Health codes and mutes to and from protobuf, for records, checkpoints and operators.

use crate::common::{need, text};
use crate::{Malformed, proto};
use types::{HealthCode, MUTE_REASON_BYTES_MAX, Mute, Timestamp};

/// A code by its word.
pub(crate) fn code_in(word: &str) -> Result<HealthCode, Malformed> {
    need(HealthCode::find(word), "health code")
}

/// Why something is muted.
pub(crate) fn reason_in(reason: String) -> Result<String, Malformed> {
    text(reason, MUTE_REASON_BYTES_MAX, "reason of a mute")
}

impl From<&Mute> for proto::Mute {
    fn from(v: &Mute) -> Self {
        Self {
            since: v.since.to_bits(),
            until: v.until.map(Timestamp::to_bits),
            amount: v.amount,
            sticky: v.sticky,
            reason: v.reason.clone(),
        }
    }
}

impl TryFrom<proto::Mute> for Mute {
    type Error = Malformed;
    fn try_from(p: proto::Mute) -> Result<Self, Malformed> {
        Ok(Self {
            since: Timestamp::from_bits(p.since),
            until: p.until.map(Timestamp::from_bits),
            amount: p.amount,
            sticky: p.sticky,
            reason: reason_in(p.reason)?,
        })
    }
}
