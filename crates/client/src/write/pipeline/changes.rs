//! Changes of a file's attributes that wait for its next commit.
//!
//! Programs that unpack or copy set times, owner and mode of each file before they close it. While a file has writes that
//! the master was not told of, such a change waits with them, and both are told at once. What has a rule that only
//! the master knows (setuid and setgid, its clock) does not wait.
//!
//! # Invariants
//! 1. What waits is shown, and leaves with the next commit or after [`WAIT_MAX`], also when writes are given up.
//! 2. One request is under way at a time, and no commit leaves before its answer but the one that left with it.

use super::super::buffer::Stamp;
use super::{Action, COMMIT_TRIES_MAX, Effect, Modified, Pipeline, earliest, is_final};
use env::Instant;
use std::time::Duration;
use types::{AttributeChanges, Attributes, Caller, FileKind, SetTime, Status, Timestamp};

/// As long as stored bytes wait for a commit.
const WAIT_MAX: Duration = Duration::from_secs(1);
const PRIVILEGES: u16 = 0o6000;

/// Changes that were not answered.
#[derive(Clone, Debug)]
struct Changes {
    what: AttributeChanges,
    caller: Caller,
    /// The first of them, and when it was made, by both clocks.
    first: Stamp,
    since: Instant,
    changed: Timestamp,
}

/// See the module. Boxed: most files have none.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    waiting: Option<Box<Changes>>,
    sent: Option<(u64, Box<Changes>)>,
}

/// Whether it makes no difference if a change of a file with these attributes comes together with others, and later.
pub(crate) fn may_wait(attributes: &Attributes, change: &AttributeChanges) -> bool {
    let is_exact = |time: Option<SetTime>| !matches!(time, Some(SetTime::Now));
    attributes.kind == FileKind::File
        && attributes.links > 0
        && (attributes.mode | change.mode.unwrap_or(0)) & PRIVILEGES == 0
        && !change.clear_privileges
        && is_exact(change.accessed)
        && is_exact(change.modified)
}

impl Changes {
    /// Both, as one request; `later` counts where both say something.
    fn and(self, later: Self) -> Self {
        let (old, new) = (self.what, later.what);
        let what = AttributeChanges {
            mode: new.mode.or(old.mode),
            uid: new.uid.or(old.uid),
            gid: new.gid.or(old.gid),
            accessed: new.accessed.or(old.accessed),
            modified: new.modified.or(old.modified),
            clear_privileges: false,
        };
        Self { what, caller: later.caller, changed: later.changed, ..self }
    }

    fn show(&self, attributes: &mut Attributes) {
        let what = &self.what;
        attributes.mode = what.mode.unwrap_or(attributes.mode);
        attributes.owner.uid = what.uid.unwrap_or(attributes.owner.uid);
        attributes.owner.gid = what.gid.unwrap_or(attributes.owner.gid);
        if let Some(SetTime::At(time)) = what.accessed {
            attributes.accessed = time;
        }
        if let Some(SetTime::At(time)) = what.modified {
            attributes.modified = time;
        }
        attributes.changed = attributes.changed.max(self.changed);
    }
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_none() && self.sent.is_none()
    }

    /// An answer is waited for.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent.is_some()
    }

    /// The oldest change that was not answered.
    pub(crate) fn oldest(&self) -> Option<Stamp> {
        let sent = self.sent.as_ref().map(|(_, changes)| changes);
        sent.or(self.waiting.as_ref()).map(|changes| changes.first)
    }

    /// When what waits is to leave at the latest.
    fn due(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|changes| changes.since + WAIT_MAX)
    }

    fn add(&mut self, changes: Changes) {
        let all = match self.waiting.take() {
            Some(before) => before.and(changes),
            None => changes,
        };
        self.waiting = Some(Box::new(all));
    }

    /// The file was written after them: its time is no longer the one that was set.
    pub(crate) fn written(&mut self) {
        let sent = self.sent.as_mut().map(|(_, changes)| changes);
        sent.into_iter().chain(&mut self.waiting).for_each(|changes| changes.what.modified = None);
    }

    /// What is to be sent, under this number.
    fn send(&mut self, serial: u64) -> Option<(AttributeChanges, Caller)> {
        if self.sent.is_some() {
            return None;
        }
        let (_, changes) = self.sent.insert((serial, self.waiting.take()?));
        Some((changes.what, changes.caller.clone()))
    }

    /// What was sent under this number was answered. `again`: it is to be sent once more.
    fn answered(&mut self, serial: u64, again: bool) {
        if let Some((_, before)) = self.sent.take_if(|(sent, _)| *sent == serial)
            && again
        {
            let later = self.waiting.take();
            self.add(*before);
            later.into_iter().for_each(|later| self.add(*later));
        }
    }

    /// The file is no more.
    pub(crate) fn clear(&mut self) {
        self.waiting = None;
    }

    /// Puts them into what is shown.
    pub(crate) fn show(&self, attributes: &mut Attributes) {
        let sent = self.sent.as_ref().map(|(_, changes)| changes);
        sent.into_iter().chain(&self.waiting).for_each(|changes| changes.show(attributes));
    }
}

impl Pipeline {
    /// Takes a change of attributes in that may wait ([`may_wait`]), if a commit is to come.
    pub(crate) fn change(
        &mut self,
        what: AttributeChanges,
        caller: &Caller,
        now: Instant,
        wall: Timestamp,
    ) -> bool {
        if self.buffer.is_empty() {
            return false;
        }
        self.stamp += 1;
        if let Some(SetTime::At(time)) = what.modified {
            self.modified = Some(Modified { stamp: self.stamp, time, changed: wall });
        }
        self.changes.add(Changes {
            what,
            caller: caller.clone(),
            first: self.stamp,
            since: now,
            changed: wall,
        });
        true
    }

    /// Sends what waits for a commit without one, if none is to come, none may come soon, or an fsync waits: its commit
    /// is to be on stable storage after them.
    pub(super) fn decide_changes(
        &mut self,
        now: Instant,
        wake: &mut Option<Instant>,
        actions: &mut Vec<Action>,
    ) {
        let Some(due) = self.changes.due() else { return };
        if self.buffer.is_empty() || !self.syncs.is_empty() || now >= due {
            self.send_changes(actions);
        } else {
            earliest(wake, Some(due));
        }
    }

    pub(super) fn send_changes(&mut self, actions: &mut Vec<Action>) {
        if let Some((changes, caller)) = self.changes.send(self.last_serial + 1) {
            self.last_serial += 1;
            actions.push(Action::Attributes { serial: self.last_serial, changes, caller });
        }
    }

    /// Takes the answer in.
    pub(super) fn changed(&mut self, serial: u64, result: Result<Attributes, Status>) {
        let again = result.is_err_and(|status| !is_final(status) && status != Status::TimedOut)
            && self.commit_tries + 1 < COMMIT_TRIES_MAX;
        self.changes.answered(serial, again);
        match result {
            Ok(attributes) => {
                self.effects.push(Effect::Attributes(attributes));
                if self.buffer.is_empty() && self.commit.is_none() && self.changes.is_empty() {
                    // There is no commit to tell the time again.
                    self.modified = None;
                }
            }
            Err(_) if again => self.commit_tries += 1,
            Err(status) => self.fail(status),
        }
    }
}
