//! The different sets of labels that disks have, by number, so that what a condition says is asked once for each set.
//!
//! # Invariants
//! 1. Equal sets have one number; a number is given anew only when no disk has the set any more.
//! 2. Each set in use knows its failure domain for each key that replicas are spread over.

use std::collections::BTreeMap;
use types::{Label, Labels};

/// The number of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetNumber(pub(super) u32);

/// The number of a key that replicas are spread over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyNumber(u32);

#[derive(Clone, Debug, Default)]
struct Set {
    labels: Labels,
    disks: usize,
    /// By key: the number of its value here.
    values: Vec<Option<u32>>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelSets {
    sets: Vec<Set>,
    numbers: BTreeMap<Labels, SetNumber>,
    vacant: Vec<SetNumber>,
    keys: Vec<Label>,
    values: BTreeMap<String, u32>,
}

impl LabelSets {
    /// A disk more has this set. True: its number was not in use.
    pub(super) fn enter(&mut self, labels: &Labels) -> (SetNumber, bool) {
        if let Some(number) = self.numbers.get(labels) {
            self.sets[number.0 as usize].disks += 1;
            return (*number, false);
        }
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.sets.push(Set::default());
            SetNumber(self.sets.len() as u32 - 1)
        });
        let values = (0..self.keys.len()).map(|key| self.value(key, labels)).collect();
        self.sets[number.0 as usize] = Set { labels: labels.clone(), disks: 1, values };
        self.numbers.insert(labels.clone(), number);
        (number, true)
    }

    /// A disk less has it.
    pub(super) fn leave(&mut self, number: SetNumber) {
        let set = &mut self.sets[number.0 as usize];
        set.disks -= 1;
        if set.disks == 0 {
            self.numbers.remove(&set.labels);
            *set = Set::default();
            self.vacant.push(number);
        }
    }

    /// The number of a key, from now on known of all sets.
    pub(super) fn key(&mut self, key: &Label) -> KeyNumber {
        if let Some(known) = self.keys.iter().position(|one| one == key) {
            return KeyNumber(known as u32);
        }
        let number = self.keys.len();
        self.keys.push(key.clone());
        for at in 0..self.sets.len() {
            let labels = self.sets[at].labels.clone();
            let value = self.value(number, &labels);
            self.sets[at].values.push(value);
        }
        KeyNumber(number as u32)
    }

    /// A number for what the key stands for in these labels; equal values have equal numbers.
    fn value(&mut self, key: usize, labels: &Labels) -> Option<u32> {
        let value = labels.value_of(self.keys[key].as_str())?;
        let next = self.values.len() as u32;
        Some(*self.values.entry(value.to_owned()).or_insert(next))
    }

    /// The number of the key's value in a set.
    pub(super) fn value_in(&self, set: SetNumber, key: KeyNumber) -> Option<u32> {
        self.sets[set.0 as usize].values.get(key.0 as usize).copied().flatten()
    }

    pub(super) fn labels(&self, set: SetNumber) -> &Labels {
        &self.sets[set.0 as usize].labels
    }

    /// Numbers given so far, those that are vacant included.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }
}
