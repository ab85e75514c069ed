//! What a policy could have if every disk had room: whether a class can be met, what is missing, and how much fits.
//!
//! For people and for `df`, not for the choice of a disk: all disks are looked at.

use crate::cheapest::{Edge, Row, cheapest};
use crate::pool::ConditionNumber;
use crate::usable::usable;
use crate::{Condition, Pool, Rule};
use std::collections::BTreeMap;
use types::Mode;

/// Replicas of one item of a layout that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Which disks they want.
    pub condition: Condition,
    /// Whether they lag.
    pub lagging: bool,
    /// How many the layout asks for.
    pub wanted: usize,
    /// How many of them have no disk.
    pub lacking: usize,
    /// Disks for which the condition holds.
    pub disks: usize,
    /// Failure domains that these are in.
    pub domains: usize,
}

impl Pool {
    /// What a rule asks for and the disks that serve cannot give, full or not. Empty: it can be met.
    pub fn unmet(&self, rule: &Rule, serves: impl Fn(u16) -> bool) -> Vec<Unmet> {
        let given = self.possible(rule, &rule.slots, &serves);
        let mut unmet: Vec<Unmet> = Vec::new();
        let mut previous = None;
        for (slot, given) in rule.slots.iter().zip(given) {
            if previous != Some(*slot) {
                let having: Vec<u16> =
                    self.disks().filter(|disk| serves(*disk) && self.holds(slot.0, *disk)).collect();
                let mut domains: Vec<u64> =
                    having.iter().map(|disk| self.domain(*disk, rule.domains)).collect();
                domains.sort_unstable();
                domains.dedup();
                unmet.push(Unmet {
                    condition: self.condition(slot.0).clone(),
                    lagging: slot.1,
                    wanted: 0,
                    lacking: 0,
                    disks: having.len(),
                    domains: domains.len(),
                });
                previous = Some(*slot);
            }
            if let Some(last) = unmet.last_mut() {
                last.wanted += 1;
                last.lacking += usize::from(!given);
            }
        }
        unmet.retain(|item| item.lacking > 0);
        unmet
    }

    /// Bytes of files that can be stored as a rule asks for, on disks with so many bytes. What no disk can take at all is done
    /// without, or is anywhere, as the mode says; replicas that lag are not counted: they hold no writer up.
    ///
    /// `x` bytes fit if for each part of the wanted replicas, all domains together have room for `x` of each, where one domain
    /// takes at most one replica of a thing (Hall's theorem, with fractions). So it is the least over all parts, of which
    /// there are at most 511.
    pub fn usable(&self, rule: &Rule, bytes: impl Fn(u16) -> u64) -> u64 {
        let serves = |disk: u16| bytes(disk) > 0;
        let mut slots: Vec<_> = rule.slots.iter().copied().filter(|(_, lagging)| !lagging).collect();
        if rule.policy.mode != Mode::Strict {
            let given = self.possible(rule, &slots, &serves);
            for (slot, _) in slots.iter_mut().zip(given).filter(|(_, given)| !given) {
                slot.0 = Self::ANY;
            }
        }
        let given = self.possible(rule, &slots, &serves);
        let mut kinds: Vec<(ConditionNumber, usize)> = Vec::new();
        for (slot, _) in slots.iter().zip(given).filter(|(_, given)| *given) {
            match kinds.iter_mut().find(|(condition, _)| *condition == slot.0) {
                Some((_, count)) => *count += 1,
                None => kinds.push((slot.0, 1)),
            }
        }
        // Bytes of each domain by the kinds that its disks will do for.
        let mut rooms: BTreeMap<u64, BTreeMap<usize, u64>> = BTreeMap::new();
        for disk in self.disks() {
            let kind_bits = kinds.iter().enumerate();
            let mask: usize =
                kind_bits.map(|(bit, (condition, _))| usize::from(self.holds(*condition, disk)) << bit).sum();
            let room = rooms.entry(self.domain(disk, rule.domains)).or_default().entry(mask).or_insert(0u64);
            *room = room.saturating_add(bytes(disk));
        }
        let parts = 1..1usize << kinds.len();
        let least = parts.map(|part| {
            let in_part = |room: &BTreeMap<usize, u64>| {
                let having = room.iter().filter(|(mask, _)| *mask & part != 0);
                having.fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes))
            };
            let capacities: Vec<u64> = rooms.values().map(in_part).collect();
            let counts = kinds.iter().enumerate().filter(|(bit, _)| part >> bit & 1 == 1);
            usable(&capacities, counts.map(|(_, (_, count))| count).sum())
        });
        least.min().unwrap_or(0)
    }

    /// Which of these replicas can all have a disk at the same time, those that count before those that lag.
    fn possible(
        &self,
        rule: &Rule,
        slots: &[(ConditionNumber, bool)],
        serves: &dyn Fn(u16) -> bool,
    ) -> Vec<bool> {
        let unfilled = |lagging| if lagging { 1 } else { 1 + slots.len() as i64 };
        let mut rows: Vec<Row> = Vec::with_capacity(slots.len());
        for (at, (condition, lagging)) in slots.iter().enumerate() {
            let edges = match slots[..at].iter().position(|(one, _)| one == condition) {
                Some(alike) => rows[alike].edges.clone(),
                None => self.some_domains(rule, *condition, slots.len(), serves),
            };
            rows.push(Row { edges, unfilled: unfilled(*lagging) });
        }
        cheapest(&rows).iter().map(Option::is_some).collect()
    }

    fn some_domains(
        &self,
        rule: &Rule,
        condition: ConditionNumber,
        most: usize,
        serves: &dyn Fn(u16) -> bool,
    ) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::new();
        for disk in self.disks().filter(|disk| self.holds(condition, *disk) && serves(*disk)) {
            let domain = self.domain(disk, rule.domains);
            if edges.iter().all(|edge| edge.domain != domain) {
                edges.push(Edge { domain, disk, cost: 0 });
            }
            if edges.len() == most {
                break;
            }
        }
        edges
    }
}

#[cfg(test)]
mod tests;
