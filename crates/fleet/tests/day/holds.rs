//! Holds, as the master tells them: before each edit what was wanted until then; the same thing that was wanted again lasts longer.

use crate::world::{Task, World};
use fleet::{Event, HeldFor};
use std::collections::BTreeMap;
use types::HoldId;

/// Holds that are not over.
#[derive(Default)]
pub(crate) struct Holds {
    last: u64,
    all: BTreeMap<HoldId, (HeldFor, u64)>,
}

impl World {
    /// An edit is about to be made; this was wanted before it.
    pub(crate) fn hold(&mut self, cause: HeldFor) {
        let known = self.holds.all.iter().find(|(_, (of, _))| *of == cause).map(|(hold, _)| *hold);
        let hold = known.unwrap_or_else(|| {
            self.holds.last += 1;
            HoldId(self.holds.last)
        });
        let until_ms = self.now_ms + self.plan.hold_ms;
        self.holds.all.insert(hold, (cause.clone(), until_ms));
        self.tell(Event::Held { hold, cause, until_ms });
        self.put_off(self.plan.hold_ms, Task::HoldEnds(hold));
    }

    /// It is, unless it was made to last longer.
    pub(crate) fn end_hold(&mut self, hold: HoldId) {
        if self.holds.all.get(&hold).is_some_and(|(_, until_ms)| *until_ms <= self.now_ms) {
            self.holds.all.remove(&hold);
            self.tell(Event::HoldEnded { hold });
        }
    }
}
