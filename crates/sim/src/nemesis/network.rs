//! What goes wrong between hosts.

use super::{Nemesis, Undo};
use std::time::Duration;

impl Nemesis<'_> {
    pub(super) fn change_delays(&mut self) {
        let base = Duration::from_micros(self.chance.below(3_000));
        let jitter = Duration::from_micros(self.chance.below(30_000));
        self.stage.trace.note(format_args!("delays are {base:?} + {jitter:?}"));
        self.stage.cluster.world().net().set_default_delay(base, jitter);
    }

    pub(super) fn break_connections(&mut self) {
        let hosts = self.stage.cluster.all_hosts();
        let (one, other) = (self.chance.pick(&hosts).clone(), self.chance.pick(&hosts).clone());
        self.stage.trace.note(format_args!("connections between {one} and {other} break"));
        self.stage.cluster.world().net().kill_connections(&one, &other);
    }

    /// Two hosts that are not the same.
    fn pair(&mut self) -> (String, String) {
        let mut hosts = self.stage.cluster.all_hosts();
        let one = hosts.remove(self.chance.below(hosts.len() as u64) as usize);
        (one, self.chance.pick(&hosts).clone())
    }

    pub(super) fn delay_long(&mut self) {
        let (from, to) = self.pair();
        let base = Duration::from_millis(self.chance.below(1_500));
        let jitter = Duration::from_millis(self.chance.below(1_000));
        self.stage.trace.note(format_args!("from {from} to {to} it takes {base:?} + {jitter:?}"));
        self.stage.cluster.world().net().set_delay(&from, &to, base, jitter);
        self.undo_later(Undo::Delay(from, to));
    }

    pub(super) fn partition(&mut self) {
        let (one, other) = self.pair();
        let both = self.chance.percent(50);
        let mut ways = vec![(one.clone(), other.clone())];
        if both {
            ways.push((other, one));
        }
        self.block(ways);
    }

    pub(super) fn isolate(&mut self) {
        let mut hosts = self.stage.cluster.all_hosts();
        let one = hosts.remove(self.chance.below(hosts.len() as u64) as usize);
        let (speaks, hears) = *self.chance.pick(&[(false, false), (true, false), (false, true)]);
        let out = hosts.iter().filter(|_| !speaks).map(|other| (one.clone(), other.clone()));
        let back = hosts.iter().filter(|_| !hears).map(|other| (other.clone(), one.clone()));
        let ways = out.chain(back).collect();
        self.block(ways);
    }

    pub(super) fn stall(&mut self) {
        let (one, other) = self.pair();
        self.stage.trace.note(format_args!("{one} and {other} stall"));
        self.stage.cluster.world().net().partition(&one, &other);
        self.undo_later(Undo::Stall(one, other));
    }

    pub(super) fn silence(&mut self) {
        let (one, other) = self.pair();
        self.stage.trace.note(format_args!("connections between {one} and {other} fall silent"));
        self.stage.cluster.world().net().abandon_connections(&one, &other);
    }

    fn block(&mut self, ways: Vec<(String, String)>) {
        for (from, to) in &ways {
            self.stage.trace.note(format_args!("nothing gets from {from} to {to}"));
            self.stage.cluster.world().net().block(from, to);
        }
        self.undo_later(Undo::Ways(ways));
    }

    /// Opens ways again, but not those of a client that is no more.
    pub(super) fn unblock(&self, ways: &[(String, String)]) {
        let hosts = self.stage.cluster.all_hosts();
        for (from, to) in ways.iter().filter(|(from, to)| hosts.contains(from) && hosts.contains(to)) {
            self.stage.cluster.world().net().unblock(from, to);
        }
    }

    pub(super) fn jump_clock(&mut self) {
        let hosts = self.stage.cluster.all_hosts();
        let host = self.chance.pick(&hosts).clone();
        let by = Duration::from_secs(self.chance.below(3_601));
        let (ahead, behind) =
            if self.chance.percent(50) { (by, Duration::ZERO) } else { (Duration::ZERO, by) };
        self.stage.trace.note(format_args!("the clock of {host} is {ahead:?} ahead, {behind:?} behind"));
        self.stage.cluster.world().set_wall_offset(&host, ahead, behind);
    }
}
