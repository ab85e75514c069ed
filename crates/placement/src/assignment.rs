//! Which disks a chunk should be on: replicas that exist and new ones, given to what a policy asks for.
//!
//! Taking the best disk for one replica after the other can waste the only disk that another one accepts, so all are chosen
//! together. One choice is better than another if, in this order:
//! 1. more of the replicas that are counted have a disk in a failure domain of their own;
//! 2. more of them have one with the right labels;
//! 3. more of the lagging ones have one;
//! 4. fewer new replicas have to be made;
//! 5. the disks are emptier and less busy.
//!
//! # Invariants
//! 1. No two replicas are on one disk. No two share a failure domain unless the answer says so of one of them.
//! 2. No choice is better by the first three of the list; with what exists and what the caller says of the disks.
//! 3. The same disks, rule, replicas and number give the same answer.
//! 4. A replica on a disk that is being emptied fills nothing.
//!
//! # Elsewhere
//! What a mode does without: `policy`. The method: `cheapest`.

use crate::cheapest::{Edge, Row, cheapest};
use crate::pool::{ConditionNumber, Domains};
use crate::{Pool, Rule};
use std::cell::Cell;
use types::Mode;

/// A replica that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where.
    pub disk: u16,
    /// Its disk is being emptied.
    pub leaving: bool,
    /// It lags.
    pub lagging: bool,
}

/// What the caller says of an open disk at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Take it.
    Yes,
    /// It would do, but has enough work now.
    Busy,
    /// Not for this chunk.
    No,
}

/// The disk of one wanted replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The disk.
    pub disk: u16,
    /// The replica exists.
    pub held: bool,
    /// The disk has not the labels that are wanted.
    pub off_label: bool,
    /// Another one is in the same failure domain.
    pub off_spread: bool,
}

/// One wanted replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// It lags, so it is not counted.
    pub lagging: bool,
    /// `None`: it has to wait, or cannot be had.
    pub filled: Option<Filled>,
}

/// What to do with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go ahead with what is filled: as many as can be had, and enough to be written.
    Placed,
    /// Better disks are busy: ask again soon.
    Wait,
    /// Too few disks have room, so that the chunk could not be written.
    NoSpace,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Wanted replicas in the order of the layout, those that lag at the end.
    pub slots: Vec<Slot>,
    /// What to do.
    pub verdict: Verdict,
}

impl Assignment {
    /// Disks on which replicas are to be made that are counted.
    pub fn new_disks(&self) -> impl Iterator<Item = u16> + '_ {
        let counted = self.slots.iter().filter(|slot| !slot.lagging);
        counted.filter_map(|slot| slot.filled).filter(|filled| !filled.held).map(|filled| filled.disk)
    }

    /// Counted replicas without a disk.
    pub fn missing(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.lagging && slot.filled.is_none()).count()
    }
}

// Each step is more than all below it can add up to for nine replicas.
const PER_POINT: i64 = 1_000;
const NEW: i64 = 10_000_000;
const LAGGING_UNFILLED: i64 = 1_000_000_000;
const OFF_LABEL: i64 = 100_000_000_000;
const UNFILLED: i64 = 10_000_000_000_000;
const _: () = assert!(9 * 128 * PER_POINT < NEW && 10 * NEW < LAGGING_UNFILLED);
const _: () = assert!(10 * LAGGING_UNFILLED < OFF_LABEL && 10 * OFF_LABEL < UNFILLED);

/// What new replicas may be made of in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Making {
    Nothing,
    OnLabel,
    AnyLabel,
}

impl Pool {
    /// Chooses disks for what a rule asks for and does not have. `may` is asked of open disks that hold no replica; `number` decides
    /// between equal ones.
    pub fn assign(&self, rule: &Rule, held: &[Held], number: u64, may: impl Fn(u16) -> Use) -> Assignment {
        let mode = rule.policy.mode;
        let some_busy = Cell::new(false);
        let may_new = |disk: u16| {
            let answer = may(disk);
            some_busy.set(some_busy.get() || answer == Use::Busy);
            answer == Use::Yes
        };
        let off_label = if mode == Mode::Strict { Making::OnLabel } else { Making::AnyLabel };
        let mut work = Work::new(self, rule, held, spread_bits(number));
        work.fill(rule.domains, off_label, &may_new);
        let mut waits = false;
        if some_busy.get() && work.some_are_amiss() {
            let mut patient = Work::new(self, rule, held, work.number);
            patient.fill(rule.domains, off_label, &|disk| may(disk) != Use::No);
            let more = |better: usize, now: usize| better > now;
            waits = more(patient.on_label(), work.on_label()) && mode != Mode::Loose
                || more(patient.filled(), work.filled());
        }
        if waits && mode != Mode::Loose {
            work.drop_new_off_label();
        }
        if matches!(rule.domains, Domains::Values(_)) {
            let hosts = if waits || mode == Mode::Strict { Making::Nothing } else { Making::AnyLabel };
            work.fill(Domains::Hosts, hosts, &may_new);
        }
        let last = if mode == Mode::Loose && !waits { Making::AnyLabel } else { Making::Nothing };
        work.fill(Domains::Disks, last, &may_new);
        let verdict = if waits {
            Verdict::Wait
        } else if work.filled() < rule.policy.min_write() {
            Verdict::NoSpace
        } else {
            Verdict::Placed
        };
        Assignment { slots: work.slots, verdict }
    }

    /// What the replicas that exist fill, without making any.
    pub fn fill_with_held(&self, rule: &Rule, held: &[Held]) -> Vec<Slot> {
        let mut work = Work::new(self, rule, held, 0);
        let levels = [rule.domains, Domains::Hosts, Domains::Disks];
        for level in levels {
            work.fill(level, Making::Nothing, &|_| false);
        }
        work.slots
    }
}

/// A choice that is being made.
struct Work<'a> {
    pool: &'a Pool,
    rule: &'a Rule,
    held: &'a [Held],
    number: u64,
    slots: Vec<Slot>,
}

impl<'a> Work<'a> {
    fn new(pool: &'a Pool, rule: &'a Rule, held: &'a [Held], number: u64) -> Self {
        let slots = rule.slots.iter().map(|(_, lagging)| Slot { lagging: *lagging, filled: None }).collect();
        Self { pool, rule, held, number, slots }
    }

    fn counted(&self) -> impl Iterator<Item = Option<Filled>> + '_ {
        self.slots.iter().filter(|slot| !slot.lagging).map(|slot| slot.filled)
    }

    fn filled(&self) -> usize {
        self.counted().flatten().count()
    }

    fn on_label(&self) -> usize {
        self.counted().flatten().filter(|filled| !filled.off_label).count()
    }

    fn some_are_amiss(&self) -> bool {
        self.counted().any(|filled| filled.is_none_or(|filled| filled.off_label))
    }

    fn drop_new_off_label(&mut self) {
        for slot in &mut self.slots {
            slot.filled = slot.filled.filter(|filled| filled.held || !filled.off_label);
        }
    }

    fn is_taken(&self, disk: u16) -> bool {
        self.slots.iter().any(|slot| slot.filled.is_some_and(|filled| filled.disk == disk))
    }

    /// Fills what is open so that no two are in one of these domains.
    fn fill(&mut self, domains: Domains, making: Making, may: &dyn Fn(u16) -> bool) {
        let is_first = domains == self.rule.domains;
        let open: Vec<usize> = (0..self.slots.len())
            .filter(|at| self.slots[*at].filled.is_none() && (is_first || !self.slots[*at].lagging))
            .collect();
        if open.is_empty() {
            return;
        }
        let used: Vec<u64> = (self.slots.iter().flat_map(|slot| slot.filled))
            .map(|filled| self.pool.domain(filled.disk, domains))
            .collect();
        let mut walks: Vec<(ConditionNumber, Vec<Edge>)> = Vec::new();
        let mut new_disks = |condition: ConditionNumber| {
            if let Some((_, edges)) = walks.iter().find(|(walked, _)| *walked == condition) {
                return edges.clone();
            }
            let edges = self.candidates(condition, domains, &used, open.len(), may);
            walks.push((condition, edges.clone()));
            edges
        };
        let mut rows = Vec::with_capacity(open.len());
        for slot in &open {
            let (condition, lagging) = self.rule.slots[*slot];
            let mut edges = self.existing(*slot, domains, &used);
            if making != Making::Nothing {
                edges.extend(new_disks(condition));
            }
            if making == Making::AnyLabel && !lagging && condition != Pool::ANY {
                let others = new_disks(Pool::ANY).into_iter();
                edges.extend(others.map(|edge| Edge { cost: edge.cost + OFF_LABEL, ..edge }));
            }
            rows.push(Row { edges, unfilled: if lagging { LAGGING_UNFILLED } else { UNFILLED } });
        }
        for (slot, edge) in open.into_iter().zip(cheapest(&rows)) {
            self.slots[slot].filled = edge.map(|edge| Filled {
                disk: edge.disk,
                held: self.held.iter().any(|held| held.disk == edge.disk),
                off_label: !self.pool.holds(self.rule.slots[slot].0, edge.disk),
                off_spread: !is_first,
            });
        }
    }

    /// Replicas that exist and will do for a slot.
    fn existing(&self, slot: usize, domains: Domains, used: &[u64]) -> Vec<Edge> {
        let (condition, lagging) = self.rule.slots[slot];
        let held = self.held.iter().filter(|held| !held.leaving && held.lagging == lagging);
        let mut edges = Vec::new();
        for held in held.filter(|held| !self.is_taken(held.disk)) {
            let domain = self.pool.domain(held.disk, domains);
            let on_label = self.pool.holds(condition, held.disk);
            if used.contains(&domain) || lagging && !on_label {
                continue;
            }
            let cost = self.cost(held.disk) + if on_label { 0 } else { OFF_LABEL };
            edges.push(Edge { domain, disk: held.disk, cost });
        }
        edges
    }

    /// The best open disks for which a condition holds, of as many domains as can be needed.
    fn candidates(
        &self,
        condition: ConditionNumber,
        domains: Domains,
        used: &[u64],
        most: usize,
        may: &dyn Fn(u16) -> bool,
    ) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::with_capacity(most);
        // Most disks that are passed over are in the domain of the one before.
        let mut passed = None;
        self.pool.walk(condition, self.number, |disk| {
            let domain = self.pool.domain(disk, domains);
            if passed == Some(domain) {
                return false;
            }
            if used.contains(&domain) || edges.iter().any(|edge| edge.domain == domain) {
                passed = Some(domain);
            } else if !self.held.iter().any(|held| held.disk == disk) && may(disk) {
                edges.push(Edge { domain, disk, cost: NEW + self.cost(disk) });
            }
            edges.len() == most
        });
        edges
    }

    fn cost(&self, disk: u16) -> i64 {
        let noise = spread_bits(self.number ^ u64::from(disk)) % PER_POINT as u64;
        i64::from(self.pool.fullness(disk)) * PER_POINT + noise as i64
    }
}

/// Spreads consecutive numbers over all 64 bits (the finaliser of SplitMix64).
fn spread_bits(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
