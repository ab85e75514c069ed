//! Limits of healing, and holds of what edits make dispensable.

use super::{Context, Done};
use crate::api::Effect;
use crate::sessions::Answer;
use crate::state::Meta;
use types::{HOLDS_MAX, Hold, HoldCause, HoldId, Holder, LIMITS_MAX, Limit, LimitScope, Status, Timestamp};

const DONE: Result<Done, Status> = Ok(Done::Changed(Answer::Done));
const NOTHING: Result<Done, Status> = Ok(Done::Nothing(Answer::Done));

impl Meta {
    pub(super) fn set_limit(
        &mut self,
        scope: &LimitScope,
        limit: Option<Limit>,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let known = self.limits.get(scope);
        match limit {
            None if known.is_none() => return Err(Status::NotFound),
            None => drop(self.limits.remove(scope)),
            Some(limit) if !limit.in_range() => return Err(Status::Invalid),
            Some(limit) if known == Some(limit) => return NOTHING,
            Some(limit) => {
                if let LimitScope::Server(server) = scope {
                    self.servers.get(*server).ok_or(Status::NotFound)?;
                }
                if known.is_none() && self.limits.len() >= LIMITS_MAX {
                    return Err(Status::TooBig);
                }
                self.limits.set(scope.clone(), limit);
            }
        }
        cx.effects.push(Effect::LimitsSet);
        DONE
    }

    pub(super) fn hold(
        &mut self,
        cause: &HoldCause,
        until: Timestamp,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        match cause {
            HoldCause::Class { class, before } => {
                self.classes.get(*class).ok_or(Status::NotFound)?;
                if !before.in_range() {
                    return Err(Status::Invalid);
                }
            }
            HoldCause::Labels { holder: Holder::Server(server), .. } => {
                self.servers.get(*server).map(drop).ok_or(Status::NotFound)?;
            }
            HoldCause::Labels { holder: Holder::Disk(disk), .. } => {
                self.disks.get(*disk).map(drop).ok_or(Status::NotFound)?;
            }
        }
        let known = self.holds.find(cause).and_then(|id| Some((id, self.holds.get(id)?.until)));
        let id = match known {
            Some((_, lasts)) if lasts >= until => return NOTHING,
            Some((id, _)) => {
                self.holds.prolong(id, until);
                id
            }
            None => {
                while self.holds.len() >= HOLDS_MAX
                    && let Some(first) = self.holds.first_to_end()
                {
                    self.end_holds(&[first], cx);
                }
                let id = HoldId(cx.index.0);
                self.holds.set(id, Hold { cause: cause.clone(), since: cx.at, until });
                id
            }
        };
        cx.effects.push(Effect::Held { hold: id });
        DONE
    }

    pub(super) fn end_hold(&mut self, hold: HoldId, cx: &mut Context) -> Result<Done, Status> {
        self.holds.get(hold).ok_or(Status::NotFound)?;
        self.end_holds(&[hold], cx);
        DONE
    }

    /// These are over.
    pub(super) fn end_holds(&mut self, holds: &[HoldId], cx: &mut Context) {
        for hold in holds {
            self.holds.remove(*hold);
            cx.effects.push(Effect::HoldEnded { hold: *hold });
        }
    }
}
