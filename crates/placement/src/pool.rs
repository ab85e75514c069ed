//! All disks, with their labels and their room, in an order for each condition that a policy in use has.
//!
//! A disk is *open* while it may take new chunks. What a closed one holds is judged as well, so it keeps its labels.
//!
//! # Invariants
//! 1. An open disk is in the order of each condition that holds for it, and in no other; a closed one is in none.
//! 2. A condition is kept while a policy in use has it. `any` always is, and is the first.
//! 3. A change of a disk costs as much as there are conditions; a change of a condition, as there are disks.
//!
//! Fullness is the percentage of the disk in use plus two points per write in progress, so that a new
//! empty disk takes more than its share without taking everything.
//!
//! # Elsewhere
//! Choosing among them: `assignment`. When a disk is open: `fleet`.

mod labels;
mod order;

use crate::{Condition, Policy};
pub(crate) use labels::KeyNumber;
use labels::{LabelSets, SetNumber};
use order::{BUCKETS, Order};
use std::collections::BTreeMap;
use types::{Labels, Spread};

/// Points of fullness per write in progress.
const WRITE_POINTS: u64 = 2;
/// Of a closed disk, and the most there is.
const FULL: u8 = BUCKETS as u8 - 1;

/// Room of an open disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the disk.
    pub total_bytes: u64,
    /// Bytes free.
    pub free_bytes: u64,
    /// Chunks being written first on it, and copies being made.
    pub writes: u32,
}

impl Room {
    fn fullness(&self) -> u8 {
        let used = u128::from(self.total_bytes.saturating_sub(self.free_bytes));
        let percent = (used * 100 / u128::from(self.total_bytes.max(1))) as u64;
        let points = percent + WRITE_POINTS * u64::from(self.writes);
        u8::try_from(points).unwrap_or(FULL).min(FULL)
    }
}

/// What is known of a disk.
#[derive(Clone, Copy, Debug)]
struct Disk {
    server: u16,
    set: SetNumber,
    fullness: u8,
    open: bool,
}

/// The number of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConditionNumber(u32);

#[derive(Clone, Debug)]
struct Asked {
    condition: Condition,
    policies: usize,
    /// By set of labels.
    holds: Vec<bool>,
    order: Order,
}

/// What replicas may not share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domains {
    Disks,
    Hosts,
    Values(KeyNumber),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Pool {
    disks: Vec<Option<Disk>>,
    sets: LabelSets,
    asked: Vec<Asked>,
    numbers: BTreeMap<Condition, ConditionNumber>,
    vacant: Vec<ConditionNumber>,
    /// Grows with each change of labels or conditions.
    revision: u64,
}

impl Default for Pool {
    fn default() -> Self {
        let any =
            Asked { condition: Condition::ANY, policies: 1, holds: Vec::new(), order: Order::default() };
        let numbers = BTreeMap::from([(Condition::ANY, Pool::ANY)]);
        Self {
            disks: Vec::new(),
            sets: LabelSets::default(),
            asked: vec![any],
            numbers,
            vacant: Vec::new(),
            revision: 0,
        }
    }
}

impl Pool {
    /// The condition `any`.
    pub(crate) const ANY: ConditionNumber = ConditionNumber(0);

    /// Grows with each change of what the pool is: disks, whose they are, labels, conditions; not of how full they are.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Adds a disk, closed, or changes whose it is and its labels (those of its server included). True: something is other
    /// than it was.
    pub fn set(&mut self, disk: u16, server: u16, labels: &Labels) -> bool {
        let index = usize::from(disk);
        if index >= self.disks.len() {
            self.disks.resize(index + 1, None);
        }
        let (set, is_new) = self.sets.enter(labels);
        if is_new {
            let sets = self.sets.len();
            for asked in &mut self.asked {
                asked.holds.resize(sets, false);
                asked.holds[set.0 as usize] = asked.policies > 0 && asked.condition.holds(labels);
            }
        }
        let old = self.disks[index];
        if let Some(old) = old {
            self.sets.leave(old.set);
        }
        let (fullness, open) = old.map_or((FULL, false), |old| (old.fullness, old.open));
        self.disks[index] = Some(Disk { server, set, fullness, open });
        self.sort(disk);
        let changed = old.is_none_or(|old| (old.server, old.set) != (server, set));
        self.revision += u64::from(changed);
        changed
    }

    /// The disk may take new chunks, and has so much room.
    pub fn open(&mut self, disk: u16, room: Room) {
        if let Some(known) = self.disks.get_mut(usize::from(disk)).and_then(Option::as_mut) {
            (known.fullness, known.open) = (room.fullness(), true);
            self.sort(disk);
        }
    }

    /// The disk takes no new chunks.
    pub fn close(&mut self, disk: u16) {
        if let Some(known) = self.disks.get_mut(usize::from(disk)).and_then(Option::as_mut) {
            (known.fullness, known.open) = (FULL, false);
            self.sort(disk);
        }
    }

    /// The disk is no more.
    pub fn remove(&mut self, disk: u16) {
        self.close(disk);
        self.revision += 1;
        if let Some(known) = self.disks.get_mut(usize::from(disk)).and_then(Option::take) {
            self.sets.leave(known.set);
        }
    }

    /// Keeps invariant 1 of a disk.
    fn sort(&mut self, disk: u16) {
        let Some(known) = self.disks[usize::from(disk)] else { return };
        for asked in &mut self.asked {
            if known.open && asked.holds[known.set.0 as usize] {
                asked.order.set(disk, known.fullness);
            } else {
                asked.order.remove(disk);
            }
        }
    }

    /// A policy more has this condition.
    pub(crate) fn ask(&mut self, condition: &Condition) -> ConditionNumber {
        if let Some(number) = self.numbers.get(condition).copied() {
            self.asked[number.0 as usize].policies += 1;
            return number;
        }
        self.revision += 1;
        let holds = self.hold(condition);
        let mut order = Order::default();
        for (number, disk) in self.known() {
            if disk.open && holds[disk.set.0 as usize] {
                order.set(number, disk.fullness);
            }
        }
        let asked = Asked { condition: condition.clone(), policies: 1, holds, order };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.asked[number.0 as usize] = asked;
                number
            }
            None => {
                self.asked.push(asked);
                ConditionNumber(self.asked.len() as u32 - 1)
            }
        };
        self.numbers.insert(condition.clone(), number);
        number
    }

    /// For which sets of labels a condition holds.
    fn hold(&self, condition: &Condition) -> Vec<bool> {
        let sets = (0..self.sets.len() as u32).map(SetNumber);
        sets.map(|set| condition.holds(self.sets.labels(set))).collect()
    }

    /// A policy less has it.
    pub(crate) fn forget(&mut self, number: ConditionNumber) {
        let sets = self.sets.len();
        let asked = &mut self.asked[number.0 as usize];
        asked.policies -= 1;
        if asked.policies == 0 {
            self.revision += 1;
            self.numbers.remove(&asked.condition);
            (asked.holds, asked.order) = (vec![false; sets], Order::default());
            self.vacant.push(number);
        }
    }

    /// Domains of a spread.
    pub(crate) fn domains(&mut self, spread: &Spread) -> Domains {
        match spread {
            Spread::Disk => Domains::Disks,
            Spread::Host => Domains::Hosts,
            Spread::Label(key) => Domains::Values(self.sets.key(key)),
        }
    }

    /// The failure domain of a disk; a disk that is not known is one of its own.
    pub(crate) fn domain(&self, disk: u16, domains: Domains) -> u64 {
        let own = u64::from(disk) << 2;
        let Some(known) = self.get(disk) else { return own };
        let host = u64::from(known.server) << 2 | 1;
        match domains {
            Domains::Disks => own,
            Domains::Hosts => host,
            Domains::Values(key) => {
                self.sets.value_in(known.set, key).map_or(host, |value| u64::from(value) << 2 | 2)
            }
        }
    }

    /// Whether the condition holds for the disk.
    pub(crate) fn holds(&self, condition: ConditionNumber, disk: u16) -> bool {
        self.get(disk).is_some_and(|known| self.asked[condition.0 as usize].holds[known.set.0 as usize])
    }

    /// Whether a condition holds for the disk, be it in use or not.
    pub fn meets(&self, disk: u16, condition: &Condition) -> bool {
        self.get(disk).is_some_and(|known| condition.holds(self.sets.labels(known.set)))
    }

    /// How full a disk is; a closed one is full.
    pub(crate) fn fullness(&self, disk: u16) -> u8 {
        self.get(disk).map_or(FULL, |known| known.fullness)
    }

    /// Shows open disks for which a condition holds, best first, until that is enough.
    pub(crate) fn walk(&self, condition: ConditionNumber, start: u64, is_enough: impl FnMut(u16) -> bool) {
        self.asked[condition.0 as usize].order.walk(start, is_enough);
    }

    /// All disks.
    pub(crate) fn disks(&self) -> impl Iterator<Item = u16> + '_ {
        self.known().map(|(number, _)| number)
    }

    pub(crate) fn condition(&self, number: ConditionNumber) -> &Condition {
        &self.asked[number.0 as usize].condition
    }

    fn known(&self) -> impl Iterator<Item = (u16, &Disk)> {
        (0u16..).zip(&self.disks).filter_map(|(number, disk)| Some((number, disk.as_ref()?)))
    }

    fn get(&self, disk: u16) -> Option<&Disk> {
        self.disks.get(usize::from(disk))?.as_ref()
    }
}

/// A policy as the pool has it, to choose and to judge by. Taken from [`Pool::adopt`], given back to [`Pool::dismiss`].
#[derive(Clone, Debug)]
pub struct Rule {
    /// Wanted replicas, those that lag at the end.
    pub(crate) slots: Vec<(ConditionNumber, bool)>,
    pub(crate) domains: Domains,
    pub(crate) policy: Policy,
}

impl Rule {
    /// What it was made of.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

impl Pool {
    /// Which disks the wanted replica of this place wants: places are those of the slots of an assignment.
    pub fn condition_at(&self, rule: &Rule, place: usize) -> Option<&Condition> {
        rule.slots.get(place).map(|(condition, _)| self.condition(*condition))
    }

    /// Whether a disk has the labels that this place wants.
    pub fn holds_at(&self, rule: &Rule, place: usize, disk: u16) -> bool {
        rule.slots.get(place).is_some_and(|(condition, _)| self.holds(*condition, disk))
    }

    /// Takes a policy into use.
    pub fn adopt(&mut self, policy: &Policy) -> Rule {
        let mut slots = Vec::new();
        for lagging in [false, true] {
            for item in policy.layout.items().iter().filter(|item| item.lagging == lagging) {
                let number = self.ask(&item.condition);
                slots.extend(std::iter::repeat_n((number, lagging), item.count));
            }
        }
        Rule { slots, domains: self.domains(&policy.spread), policy: policy.clone() }
    }

    /// The policy is no longer in use.
    pub fn dismiss(&mut self, rule: Rule) {
        let mut slots = rule.slots;
        slots.dedup();
        for (condition, _) in slots {
            self.forget(condition);
        }
    }
}

#[cfg(test)]
mod tests;
