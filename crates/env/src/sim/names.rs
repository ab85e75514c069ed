//! The names on a simulated disk: what a process sees, and what a power cut would leave.
//!
//! # Invariants
//! 1. A change of a name is durable after the sync of a directory that it touches.
//! 2. A rename is atomic: a power cut never leaves both names or neither.
//! 3. Changes that touch the same name survive in order; others survive each on its own.

use super::rng::Rng;
use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Directory(u64),
}

/// The root directory.
pub(super) const ROOT: u64 = 0;

/// A name in a directory.
type Key = (u64, String);

/// All names at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    entries: BTreeMap<Key, Node>,
}

impl Tree {
    pub(super) fn get(&self, directory: u64, name: &str) -> Option<Node> {
        self.entries.get(&(directory, name.to_owned())).copied()
    }

    pub(super) fn list(&self, directory: u64) -> impl Iterator<Item = (&str, Node)> {
        self.entries
            .range((directory, String::new())..(directory + 1, String::new()))
            .map(|((_, name), node)| (name.as_str(), *node))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = Node> {
        self.entries.values().copied()
    }

    fn apply(&mut self, change: &NameChange) {
        for (key, node) in &change.0 {
            match node {
                Some(node) => self.entries.insert(key.clone(), *node),
                None => self.entries.remove(key),
            };
        }
    }

    /// Drops what no path leads to: a directory whose own name did not survive takes all below with it.
    fn drop_unreachable(&mut self) {
        let mut reachable = std::collections::BTreeSet::from([ROOT]);
        let mut queue = vec![ROOT];
        while let Some(directory) = queue.pop() {
            for (_, node) in self.list(directory) {
                if let Node::Directory(below) = node
                    && reachable.insert(below)
                {
                    queue.push(below);
                }
            }
        }
        self.entries.retain(|(directory, _), _| reachable.contains(directory));
    }
}

/// Names that get another meaning at one moment.
#[derive(Clone, Debug)]
pub(super) struct NameChange(pub(super) Vec<(Key, Option<Node>)>);

/// Live names, durable names, and the changes between.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) live: Tree,
    durable: Tree,
    pending: Vec<NameChange>,
}

impl Names {
    pub(super) fn change(&mut self, change: NameChange) {
        self.live.apply(&change);
        self.pending.push(change);
    }

    /// Nodes that some name, live or durable, stands for.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Node> {
        let pending = self.pending.iter().flat_map(|change| change.0.iter().filter_map(|(_, node)| *node));
        self.live.nodes().chain(self.durable.nodes()).chain(pending)
    }

    pub(super) fn sync(&mut self, directory: u64) {
        let groups = self.groups();
        let mut chosen = vec![false; self.pending.len()];
        for (number, change) in self.pending.iter().enumerate() {
            if change.0.iter().any(|((touched, _), _)| *touched == directory) {
                chosen[groups[number]] = true;
            }
        }
        let mut rest = Vec::new();
        for (number, change) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            if chosen[groups[number]] {
                self.durable.apply(&change);
            } else {
                rest.push(change);
            }
        }
        self.pending = rest;
    }

    /// All names are durable as they are.
    pub(super) fn sync_all(&mut self) {
        self.pending.clear();
        self.durable = self.live.clone();
    }

    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        let groups = self.groups();
        let pending = std::mem::take(&mut self.pending);
        let all = pending.len() as u64;
        // Nothing, everything, the first ones, or the first ones of each group.
        let manner = rng.below(4);
        let prefix = rng.below(all + 1);
        let mut prefixes: BTreeMap<usize, u64> = BTreeMap::new();
        for (number, change) in pending.iter().enumerate() {
            let limit = match manner {
                0 => 0,
                1 => all,
                2 => prefix,
                _ => *prefixes.entry(groups[number]).or_insert_with(|| rng.below(all + 1)),
            };
            if (number as u64) < limit {
                self.durable.apply(change);
            }
        }
        self.durable.drop_unreachable();
        self.live = self.durable.clone();
    }

    /// For each pending change, the number of the first one it hangs together with.
    fn groups(&self) -> Vec<usize> {
        let mut group: Vec<usize> = (0..self.pending.len()).collect();
        let mut last: BTreeMap<&Key, usize> = BTreeMap::new();
        for (number, change) in self.pending.iter().enumerate() {
            for (key, _) in &change.0 {
                if let Some(before) = last.insert(key, number) {
                    let (a, b) = (group[before], group[number]);
                    let (low, high) = (a.min(b), a.max(b));
                    for value in &mut group {
                        if *value == high {
                            *value = low;
                        }
                    }
                }
            }
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(directory: u64, name: &str, node: Option<Node>) -> NameChange {
        NameChange(vec![((directory, name.into()), node)])
    }

    fn rename(from: &str, to: &str, node: Node) -> NameChange {
        NameChange(vec![((ROOT, from.into()), None), ((ROOT, to.into()), Some(node))])
    }

    #[test]
    fn a_rename_leaves_one_of_both_names() {
        let (mut old, mut new) = (0, 0);
        for seed in 0..100 {
            let mut names = Names::default();
            names.change(set(ROOT, "new", Some(Node::File(1))));
            names.change(set(ROOT, "old", Some(Node::File(2))));
            names.sync(ROOT);
            names.change(rename("new", "old", Node::File(1)));
            names.lose_power(&mut Rng::new(seed));
            match (names.live.get(ROOT, "new"), names.live.get(ROOT, "old")) {
                (Some(Node::File(1)), Some(Node::File(2))) => old += 1,
                (None, Some(Node::File(1))) => new += 1,
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        assert!(old > 10 && new > 10);
    }

    #[test]
    fn unsynced_names_survive_or_not_and_synced_ones_do() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut names = Names::default();
            names.change(set(ROOT, "d", Some(Node::Directory(5))));
            names.change(set(5, "kept", Some(Node::File(1))));
            names.sync(5);
            names.sync(ROOT);
            names.change(set(5, "open", Some(Node::File(2))));
            names.lose_power(&mut Rng::new(seed));
            assert!(names.live.get(5, "kept").is_some());
            lost += usize::from(names.live.get(5, "open").is_none());
        }
        assert!((20..80).contains(&lost), "{lost}");
    }

    #[test]
    fn a_directory_whose_name_is_lost_takes_its_content_along() {
        for seed in 0..50 {
            let mut names = Names::default();
            names.change(set(ROOT, "d", Some(Node::Directory(5))));
            names.change(set(5, "f", Some(Node::File(1))));
            names.sync(5);
            names.lose_power(&mut Rng::new(seed));
            assert_eq!(names.live.get(ROOT, "d").is_some(), names.live.get(5, "f").is_some());
        }
    }
}
