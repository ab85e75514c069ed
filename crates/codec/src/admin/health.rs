//! Mutes of health codes, as operators wish for them and see them.

use crate::common::text;
use crate::health::{code_in, reason_in};
use crate::limits::LABEL_BYTES_MAX;
use crate::{Malformed, proto};
use types::HealthCode;

/// A mute that an operator wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MuteWish {
    /// So many seconds at most; `None`: until something else ends it.
    pub for_s: Option<u64>,
    /// Also while nothing has this code, and with more than it concerns now.
    pub sticky: bool,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// A mute that there is, or that ended since it concerns more than it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuteStatus {
    /// What is muted.
    pub code: HealthCode,
    /// Since when.
    pub since_ms_ago: u64,
    /// For so long yet; `None`: until something else ends it.
    pub left_ms: Option<u64>,
    /// Things that it concerned when it was muted.
    pub amount: u64,
    /// Only time ends it, and operators do.
    pub sticky: bool,
    /// Why, for people; may be empty.
    pub reason: String,
    /// It ended, since it concerns so many things by now.
    pub grown_to: Option<u64>,
}

impl From<&MuteStatus> for proto::MuteStatus {
    fn from(v: &MuteStatus) -> Self {
        Self {
            code: v.code.to_string(),
            since_ms_ago: v.since_ms_ago,
            left_ms: v.left_ms,
            amount: v.amount,
            sticky: v.sticky,
            reason: v.reason.clone(),
            grown_to: v.grown_to.unwrap_or(0),
        }
    }
}

impl TryFrom<proto::MuteStatus> for MuteStatus {
    type Error = Malformed;
    fn try_from(p: proto::MuteStatus) -> Result<Self, Malformed> {
        Ok(Self {
            code: code_in(&p.code)?,
            since_ms_ago: p.since_ms_ago,
            left_ms: p.left_ms,
            amount: p.amount,
            sticky: p.sticky,
            reason: reason_in(p.reason)?,
            grown_to: Some(p.grown_to).filter(|grown| *grown > 0),
        })
    }
}

/// A change of a mute; the code is as the operator wrote it.
pub(crate) fn change_out(code: &str, mute: Option<&MuteWish>) -> proto::ChangeMute {
    let wish = |wish: &MuteWish| proto::MuteWish {
        for_s: wish.for_s.unwrap_or(0),
        sticky: wish.sticky,
        reason: wish.reason.clone(),
    };
    proto::ChangeMute { code: code.to_owned(), mute: mute.map(wish) }
}

/// The inverse of [`change_out`].
pub(crate) fn change_in(p: proto::ChangeMute) -> Result<(String, Option<MuteWish>), Malformed> {
    let wish = |p: proto::MuteWish| -> Result<MuteWish, Malformed> {
        let for_s = Some(p.for_s).filter(|seconds| *seconds > 0);
        Ok(MuteWish { for_s, sticky: p.sticky, reason: reason_in(p.reason)? })
    };
    Ok((text(p.code, LABEL_BYTES_MAX, "health code")?, p.mute.map(wish).transpose()?))
}
