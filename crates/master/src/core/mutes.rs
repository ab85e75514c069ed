//! Mutes: kinds of trouble that operators know of.
//!
//! A mute ends by its time, when nothing has the code any more, and when more things have it than did: whoever muted one
//! server that is down did not mean the second one. A sticky one ends by its time alone. Right after a start, while servers
//! and disks have yet to come, nothing can be told from numbers, so none ends by them.
//!
//! # Invariants
//! 1. A mute hides nothing: what it concerns is judged, counted and sent as if it were not there.
//! 2. A mute that ended leaves the metadata; that it ended because of a number is told until the code is gone, or muted again.

use super::Core;
use super::health::Judged;
use super::labels::nearest;
use codec::admin::{Changed, MuteStatus, MuteWish, Refusal, RefusalKind};
use rpc::admin::AdminError;
use std::collections::BTreeMap;
use types::{HealthCode, Mute, Op, Timestamp};

/// How often mutes are compared with how things are: the judgement looks at all servers and disks.
const REVIEW_MS: u64 = 1_000;

/// What the master remembers beside the metadata.
#[derive(Debug, Default)]
pub(super) struct Mutes {
    /// Those that ended because of a number, and the number.
    grown: BTreeMap<HealthCode, (Mute, u64)>,
    reviewed_at_ms: u64,
}

/// Why a mute does not count any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Time,
    Gone,
    Grown,
}

/// Whether a mute ends now. `amount`: how many things have its code, if that can be told.
fn end(mute: &Mute, now: Timestamp, amount: Option<u64>) -> Option<End> {
    if mute.until.is_some_and(|until| until <= now) {
        return Some(End::Time);
    }
    match amount {
        _ if mute.sticky => None,
        Some(0) => Some(End::Gone),
        Some(amount) if amount > mute.amount => Some(End::Grown),
        _ => None,
    }
}

impl Core {
    /// How many things have each code.
    fn amounts(&self) -> BTreeMap<HealthCode, u64> {
        let servers = self.server_statuses(self.now_ms());
        let (disks, refused) = (self.disk_statuses(), self.refused_disks(&servers));
        let (chunks, free_bytes) = (self.chunk_counts(), self.fleet.space(types::ClassId(0)).free_bytes);
        let limits = self.limit_statuses();
        let of = Judged {
            servers: &servers,
            disks: &disks,
            refused: &refused,
            chunks,
            limits: &limits,
            free_bytes,
        };
        let mut amounts = BTreeMap::new();
        for one in self.judged(&of) {
            if let Some(code) = HealthCode::find(one.parts().0) {
                *amounts.entry(code).or_default() += one.amount;
            }
        }
        amounts
    }

    /// Mutes a code, or has it count again.
    pub(super) fn change_mute(&mut self, word: &str, wish: Option<MuteWish>) -> Result<Changed, AdminError> {
        let refuse = |kind, near: Option<&str>| {
            let (subject, why) = (word.to_owned(), String::new());
            Err(AdminError::NotDone(Refusal {
                kind,
                subject,
                why,
                near: near.unwrap_or_default().to_owned(),
            }))
        };
        let Some(code) = HealthCode::find(word) else {
            let all = HealthCode::ALL.iter().map(|code| code.word());
            let upper = word.to_ascii_uppercase().replace('-', "_");
            return refuse(RefusalKind::NoSuchCode, nearest(&upper, all));
        };
        let mute = match wish {
            None => None,
            Some(MuteWish { for_s, sticky, reason }) => {
                let amount = self.amounts().get(&code).copied().unwrap_or(0);
                if amount == 0 && !sticky {
                    return refuse(RefusalKind::NotRaised, None);
                }
                let (since, until) = (self.record_time(), for_s.map(|seconds| self.in_seconds(seconds)));
                Some(Box::new(Mute { since, until, amount, sticky, reason }))
            }
        };
        tracing::info!(%code, ?mute, "a mute was changed");
        self.log_change(Op::SetMute { code, mute })?;
        self.mutes.grown.remove(&code);
        Ok(Changed::Done)
    }

    /// Ends mutes that are over.
    pub(super) fn review_mutes(&mut self) {
        let now_ms = self.now_ms();
        let none = self.mutes.grown.is_empty() && self.meta.mutes().next().is_none();
        if none || now_ms < self.mutes.reviewed_at_ms + REVIEW_MS {
            return;
        }
        self.mutes.reviewed_at_ms = now_ms;
        let (now, settling) = (self.record_time(), self.fleet.summary().settling);
        let amounts = self.amounts();
        let amount = |code| amounts.get(&code).copied().unwrap_or(0);
        self.mutes.grown.retain(|code, (_, grown)| {
            *grown = amount(*code);
            *grown > 0
        });
        let over = |(code, mute): (HealthCode, &Mute)| {
            let known = (!settling).then(|| amount(code));
            Some((code, mute.clone(), end(mute, now, known)?))
        };
        let over: Vec<(HealthCode, Mute, End)> = self.meta.mutes().filter_map(over).collect();
        for (code, mute, why) in over {
            // A log without room is tried again at the next review.
            if self.log_change(Op::SetMute { code, mute: None }).is_err() {
                continue;
            }
            tracing::info!(%code, ?why, "a mute ended");
            if why == End::Grown {
                self.mutes.grown.insert(code, (mute, amount(code)));
            }
        }
    }

    /// Mutes that there are, and those that ended because of a number.
    pub(super) fn mute_statuses(&self) -> Vec<MuteStatus> {
        let now = self.record_time();
        let status = |code, mute: &Mute, grown_to| MuteStatus {
            code,
            since_ms_ago: since_ms(mute.since, now),
            left_ms: mute.until.map(|until| self.left_ms(until)),
            amount: mute.amount,
            sticky: mute.sticky,
            reason: mute.reason.clone(),
            grown_to,
        };
        let kept = self.meta.mutes().map(|(code, mute)| status(code, mute, None));
        let grown = &self.mutes.grown;
        let mut all: Vec<MuteStatus> =
            kept.chain(grown.iter().map(|(code, (mute, grown))| status(*code, mute, Some(*grown)))).collect();
        all.sort_by_key(|one| one.code);
        all
    }
}

/// From then until now.
fn since_ms(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.seconds().saturating_sub(then.seconds())).unwrap_or(0).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_ends_by_its_time_when_nothing_has_the_code_and_when_more_things_have_it() {
        let at = |seconds| Timestamp::new(seconds, 0);
        let mute = Mute { until: Some(at(100)), amount: 2, ..Mute::default() };
        assert_eq!(end(&mute, at(99), Some(2)), None);
        assert_eq!(end(&mute, at(99), Some(1)), None);
        assert_eq!(end(&mute, at(100), Some(2)), Some(End::Time));
        assert_eq!(end(&mute, at(99), Some(0)), Some(End::Gone));
        assert_eq!(end(&mute, at(99), Some(3)), Some(End::Grown));
        assert_eq!(end(&mute, at(99), None), None, "nothing can be told from numbers yet");
        let sticky = Mute { sticky: true, ..mute };
        for amount in [None, Some(0), Some(3)] {
            assert_eq!(end(&sticky, at(99), amount), None);
        }
        assert_eq!(end(&sticky, at(100), None), Some(End::Time));
    }
}
