//! Holds of what edits make dispensable: made with the edit, told to the fleet, ended by time or by an operator.
//!
//! # Invariants
//! 1. A hold is in the log before the edit that it is for, so that no master knows the edit alone.
//! 2. What the fleet knows of holds is what the metadata has; it learns of them from records, and at the start.
//! 3. A hold whose time is over leaves the metadata by itself, also if that was while no master ran.

use super::Core;
use super::classes::refuse;
use codec::admin::{Changed, HoldStatus, RefusalKind};
use fleet::{ClassPolicies, Event, HeldFor};
use rpc::admin::AdminError;
use std::collections::BTreeSet;
use types::{ClassId, Hold, HoldCause, HoldId, Holder, InodeRef, Labels, Op, Status};

/// A hold that ends sooner than a new one would by less than this part of it serves as well: many edits of one kind make one
/// record at a time.
const SPARED_PART: u64 = 64;

impl Core {
    /// All holds, to the fleet.
    pub(super) fn introduce_holds(&mut self) {
        let holds: Vec<HoldId> = self.meta.holds().map(|(hold, _)| hold).collect();
        holds.into_iter().for_each(|hold| self.tell_hold(hold));
    }

    /// Tells the fleet of a hold as it is now.
    pub(super) fn tell_hold(&mut self, hold: HoldId) {
        let Some(Hold { cause, until, .. }) = self.meta.held(hold).cloned() else { return };
        let cause = match cause {
            HoldCause::Class { class, before } => match ClassPolicies::of(&before) {
                Ok(policies) => HeldFor::Class(class, Box::new(policies)),
                Err(error) => {
                    tracing::error!(%hold, %error, "what was wanted before an edit cannot be read");
                    return;
                }
            },
            HoldCause::Labels { holder, before } => HeldFor::Labels(holder, before),
        };
        let until_ms = self.now_ms().saturating_add(self.left_ms(until));
        self.tell(Event::Held { hold, cause, until_ms });
    }

    /// A class is about to be edited.
    pub(super) fn hold_for_class(&mut self, class: ClassId) -> Result<(), AdminError> {
        let Some(before) = self.meta.class(class).cloned() else { return Ok(()) };
        self.hold_cause(HoldCause::Class { class, before: Box::new(before) })
    }

    /// Some inodes are about to get a class.
    pub(super) fn hold_for_inodes(&mut self, inodes: &[InodeRef], class: ClassId) -> Result<(), AdminError> {
        let old = inodes.iter().filter_map(|inode| self.meta.class_of(*inode).ok());
        let old: BTreeSet<ClassId> = old.filter(|old| *old != class).collect();
        for old in old {
            let Some(before) = self.meta.class(old).cloned() else { continue };
            self.hold_cause(HoldCause::Class { class, before: Box::new(before) })?;
        }
        Ok(())
    }

    /// A server or a disk is about to get other labels.
    pub(super) fn hold_for_labels(&mut self, holder: Holder, before: Labels) -> Result<(), AdminError> {
        self.hold_cause(HoldCause::Labels { holder, before })
    }

    fn hold_cause(&mut self, cause: HoldCause) -> Result<(), AdminError> {
        let seconds = self.config.hold_surplus.as_secs();
        if seconds == 0 {
            return Ok(());
        }
        let known = self.meta.hold_for(&cause).and_then(|hold| self.meta.held(hold));
        let enough_ms = (seconds - seconds / SPARED_PART).saturating_mul(1_000);
        if known.is_some_and(|known| self.left_ms(known.until) > enough_ms) {
            return Ok(());
        }
        self.log_change(Op::Hold { cause, until: self.in_seconds(seconds) })
    }

    /// Ends holds whose time is over.
    pub(super) fn end_holds(&mut self) {
        let over = self.meta.holds().filter(|(_, hold)| self.left_ms(hold.until) == 0);
        let over: Vec<HoldId> = over.map(|(hold, _)| hold).collect();
        for hold in over {
            // A log without room is tried again at the next tick.
            if self.log_change(Op::EndHold { hold }).is_ok() {
                tracing::info!(%hold, "what an edit made dispensable is held no longer");
            }
        }
    }

    /// Ends a hold before its time.
    pub(super) fn end_hold(&mut self, hold: HoldId) -> Result<Changed, AdminError> {
        match self.log_change(Op::EndHold { hold }) {
            Err(AdminError::Refused(Status::NotFound)) => return Err(refuse(RefusalKind::NoSuchHold, hold)),
            other => other?,
        }
        tracing::info!(%hold, "a hold was ended");
        Ok(Changed::Done)
    }

    /// All holds and what they keep.
    pub(super) fn hold_statuses(&self) -> Vec<HoldStatus> {
        let replicas = self.fleet.held_by();
        let now = self.record_time();
        let status = |(id, hold): (HoldId, &Hold)| {
            let (what, before) = match &hold.cause {
                HoldCause::Class { class, before } => {
                    let name = self.meta.class(*class).map_or_else(String::new, |now| now.name.to_string());
                    let asked = ["keep", "archive", "trash"].into_iter();
                    let parts = super::classes::parts(before);
                    let part = |part: &str| {
                        let found = parts.iter().find(|(one, _)| *one == part)?;
                        Some(format!("{part} {}", found.1?))
                    };
                    let was = if before.name.as_str() == name {
                        String::new()
                    } else {
                        format!("{}: ", before.name)
                    };
                    let asked: Vec<String> = asked.filter_map(part).collect();
                    (format!("class {name}"), format!("{was}{}", asked.join("; ")))
                }
                HoldCause::Labels { holder, before } => {
                    let noun = if matches!(holder, Holder::Server(_)) { "server" } else { "disk" };
                    let labels = if before.is_empty() { "no labels".to_owned() } else { before.to_string() };
                    (format!("{noun} {}", self.name_of(*holder)), labels)
                }
            };
            let since_s = now.seconds().saturating_sub(hold.since.seconds());
            HoldStatus {
                hold: id,
                what,
                before,
                since_ms_ago: u64::try_from(since_s).unwrap_or(0).saturating_mul(1_000),
                left_ms: self.left_ms(hold.until),
                replicas: replicas.get(&id).copied().unwrap_or(0),
            }
        };
        self.meta.holds().map(status).collect()
    }
}
