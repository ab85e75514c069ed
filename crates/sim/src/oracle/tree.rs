//! What a directory tree may look like: all states that the answers so far allow.
//!
//! # Invariants
//! 1. An operation that succeeded happened, one that was refused did not, one that failed may have.
//! 2. After the master lost power the tree is as it was at some moment since the last barrier, on a way to a state that
//!    all answers allowed: what an answer ruled out does not come back.

use std::collections::{BTreeMap, BTreeSet};
use types::{RenameMode, Status};

/// An inode of the oracle.
pub(crate) type FileId = usize;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// A directory.
    Directory,
    /// A file.
    File(FileId),
}

/// One state: paths below the tree's root, `dir/name` at the deepest.
pub(crate) type Snapshot = BTreeMap<String, Node>;

/// A change of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// O_CREAT | O_EXCL.
    Create(String, FileId),
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String, RenameMode),
    Link(String, String),
}

/// Beyond so many possible states the driver stops changing a tree until they were looked at.
pub(crate) const STATES_MAX: usize = 64;

fn parent_is_there(state: &Snapshot, path: &str) -> Result<(), Status> {
    match path.split_once('/').map(|(dir, _)| state.get(dir)) {
        None | Some(Some(Node::Directory)) => Ok(()),
        Some(Some(Node::File(_))) => Err(Status::NotDirectory),
        Some(None) => Err(Status::NotFound),
    }
}

fn find(state: &Snapshot, path: &str) -> Result<Node, Status> {
    parent_is_there(state, path)?;
    state.get(path).copied().ok_or(Status::NotFound)
}

fn below<'a>(state: &'a Snapshot, dir: &str) -> impl Iterator<Item = (&'a String, &'a Node)> {
    let prefix = format!("{dir}/");
    state.iter().filter(move |(path, _)| path.starts_with(&prefix))
}

fn moved(state: &mut Snapshot, from: &str, to: &str) {
    let prefix = format!("{from}/");
    let paths: Vec<String> =
        state.keys().filter(|path| *path == from || path.starts_with(&prefix)).cloned().collect();
    for path in paths {
        let node = state.remove(&path).expect("the path was just seen");
        state.insert(format!("{to}{}", &path[from.len()..]), node);
    }
}

/// The state after a change, or why it is refused.
pub(crate) fn apply(state: &Snapshot, change: &Change) -> Result<Snapshot, Status> {
    let mut state = state.clone();
    match change {
        Change::Create(path, _) | Change::Mkdir(path) => {
            if find(&state, path) != Err(Status::NotFound) || parent_is_there(&state, path).is_err() {
                parent_is_there(&state, path)?;
                return Err(Status::Exists);
            }
            let node = if let Change::Create(_, file) = change { Node::File(*file) } else { Node::Directory };
            state.insert(path.clone(), node);
        }
        Change::Rmdir(path) => {
            if let Node::File(_) = find(&state, path)? {
                return Err(Status::NotDirectory);
            }
            if below(&state, path).next().is_some() {
                return Err(Status::NotEmpty);
            }
            state.remove(path);
        }
        Change::Unlink(path) => {
            if find(&state, path)? == Node::Directory {
                return Err(Status::IsDirectory);
            }
            state.remove(path);
        }
        Change::Link(from, to) => {
            let node = find(&state, from)?;
            parent_is_there(&state, to)?;
            if state.contains_key(to) {
                return Err(Status::Exists);
            }
            if node == Node::Directory {
                return Err(Status::NotPermitted);
            }
            state.insert(to.clone(), node);
        }
        Change::Rename(from, to, mode) => return rename(state, from, to, *mode),
    }
    Ok(state)
}

fn rename(mut state: Snapshot, from: &str, to: &str, mode: RenameMode) -> Result<Snapshot, Status> {
    parent_is_there(&state, from)?;
    parent_is_there(&state, to)?;
    let node = find(&state, from)?;
    let target = state.get(to).copied();
    match (mode, target) {
        (RenameMode::NoReplace, Some(_)) => return Err(Status::Exists),
        (RenameMode::Exchange, None) => return Err(Status::NotFound),
        (RenameMode::Exchange, Some(_)) => {
            moved(&mut state, to, "\0");
            moved(&mut state, from, to);
            moved(&mut state, "\0", from);
            return Ok(state);
        }
        (RenameMode::NoReplace | RenameMode::Replace, None) => {}
        (RenameMode::Replace, Some(target)) => {
            if target == node && (from == to || node != Node::Directory) {
                return Ok(state);
            }
            match (node, target) {
                (Node::Directory, Node::File(_)) => return Err(Status::NotDirectory),
                (Node::File(_), Node::Directory) => return Err(Status::IsDirectory),
                (Node::Directory, Node::Directory) if below(&state, to).next().is_some() => {
                    return Err(Status::NotEmpty);
                }
                _ => {
                    state.remove(to);
                }
            }
        }
    }
    moved(&mut state, from, to);
    Ok(state)
}

/// The states that a tree may be in.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Each with its past since the last barrier, itself included: what may be found after the master lost power.
    possible: BTreeMap<Snapshot, BTreeSet<Snapshot>>,
    /// Changes asked for, and how many of them were answered or given up.
    begun: u64,
    ended: u64,
}

impl Tree {
    /// An empty directory that is on stable storage.
    pub(crate) fn new() -> Self {
        Self { possible: stable([Snapshot::new()]), begun: 0, ended: 0 }
    }

    /// Possible states.
    pub(crate) fn possible(&self) -> impl ExactSizeIterator<Item = &Snapshot> {
        self.possible.keys()
    }

    /// The state, if there is only one.
    pub(crate) fn certain(&self) -> Option<&Snapshot> {
        if self.possible.len() == 1 { self.possible().next() } else { None }
    }

    /// A change is asked for; from now on others may see it.
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
    }

    /// It was answered, or nobody waits for it any more.
    pub(crate) fn end(&mut self) {
        self.ended += 1;
    }

    /// A moment of the tree, if nobody is changing it: whoever sees the same moment twice knows that nothing happened in
    /// between.
    pub(crate) fn still(&self) -> Option<(u64, &Snapshot)> {
        let certain = self.certain().filter(|_| self.begun == self.ended);
        certain.map(|state| (self.begun, state))
    }

    /// The change was answered. An error is a sentence: no possible state allows the answer.
    pub(crate) fn answered(&mut self, change: &Change, outcome: Result<(), Status>) -> Result<(), String> {
        let mut fitting = BTreeMap::new();
        for (state, past) in &self.possible {
            match (apply(state, change), outcome) {
                (Ok(after), Ok(())) => add(&mut fitting, after, past),
                (Err(expected), Err(status)) if expected == status => add(&mut fitting, state.clone(), past),
                _ => {}
            }
        }
        if fitting.is_empty() {
            let expected: Vec<_> = self.possible().map(|state| apply(state, change).map(|_| ())).collect();
            return Err(format!("{change:?} was answered {outcome:?}, expected one of {expected:?}"));
        }
        self.possible = fitting;
        Ok(())
    }

    /// Nobody knows whether the change happened.
    pub(crate) fn unknown(&mut self, change: &Change) {
        let before = self.possible.clone();
        for (state, past) in &before {
            if let Ok(after) = apply(state, change) {
                add(&mut self.possible, after, past);
            }
        }
    }

    /// Everything answered so far is on stable storage.
    pub(crate) fn synced(&mut self) {
        self.possible = stable(self.possible().cloned());
    }

    /// The master lost power. What it finds in its log is on stable storage.
    pub(crate) fn rolled_back(&mut self) {
        self.possible = stable(self.possible.values().flatten().cloned());
    }

    /// The tree was looked at: `fits` says which states it may be. An error tells what was expected.
    pub(crate) fn seen(&mut self, fits: impl Fn(&Snapshot) -> bool) -> Result<&Snapshot, String> {
        if !self.possible().any(&fits) {
            return Err(format!("expected one of {:?}", self.possible().collect::<Vec<_>>()));
        }
        self.possible.retain(|state, _| fits(state));
        Ok(self.possible().next().expect("a state fits"))
    }
}

/// States that are on stable storage: losing power changes nothing.
fn stable(states: impl IntoIterator<Item = Snapshot>) -> BTreeMap<Snapshot, BTreeSet<Snapshot>> {
    states.into_iter().map(|state| (state.clone(), BTreeSet::from([state]))).collect()
}

/// One more possible state, reached by way of `past`.
fn add(possible: &mut BTreeMap<Snapshot, BTreeSet<Snapshot>>, state: Snapshot, past: &BTreeSet<Snapshot>) {
    let pasts = possible.entry(state.clone()).or_default();
    pasts.extend(past.iter().cloned());
    pasts.insert(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_change_may_have_happened_and_a_look_decides() {
        let mut tree = Tree::new();
        tree.answered(&Change::Mkdir("d".into()), Ok(())).unwrap();
        tree.synced();
        tree.unknown(&Change::Create("d/f".into(), 1));
        assert!(tree.certain().is_none());
        tree.seen(|state| state.contains_key("d/f")).unwrap();
        assert_eq!(tree.certain().unwrap().len(), 2);
        tree.rolled_back();
        assert_eq!(tree.possible().len(), 2);
    }

    #[test]
    fn what_an_answer_ruled_out_does_not_come_back_with_a_loss_of_power() {
        let mut tree = Tree::new();
        tree.unknown(&Change::Create("f".into(), 1));
        tree.answered(&Change::Create("f".into(), 2), Ok(())).unwrap();
        tree.rolled_back();
        let found: Vec<Option<Node>> = tree.possible().map(|state| state.get("f").copied()).collect();
        assert_eq!(found, [None, Some(Node::File(2))]);
    }

    #[test]
    fn a_tree_is_not_still_while_a_change_is_under_way() {
        let mut tree = Tree::new();
        let before = tree.still().map(|(moment, state)| (moment, state.clone()));
        assert!(before.is_some());
        tree.begin();
        assert!(tree.still().is_none());
        tree.answered(&Change::Mkdir("d".into()), Ok(())).unwrap();
        tree.end();
        assert_ne!(tree.still().map(|(moment, state)| (moment, state.clone())), before);
    }

    #[test]
    fn an_answer_that_no_state_allows_is_an_error() {
        let mut tree = Tree::new();
        tree.answered(&Change::Create("f".into(), 1), Ok(())).unwrap();
        assert!(tree.answered(&Change::Create("f".into(), 2), Ok(())).is_err());
        assert!(tree.answered(&Change::Unlink("f".into()), Err(Status::NotFound)).is_err());
        tree.answered(&Change::Create("f".into(), 2), Err(Status::Exists)).unwrap();
        let swap = Change::Rename("f".into(), "g".into(), RenameMode::Exchange);
        tree.answered(&swap, Err(Status::NotFound)).unwrap();
    }

    #[test]
    fn a_renamed_directory_takes_its_entries_along() {
        let mut tree = Tree::new();
        for change in [
            Change::Mkdir("d".into()),
            Change::Create("d/f".into(), 1),
            Change::Rename("d".into(), "e".into(), RenameMode::Replace),
        ] {
            tree.answered(&change, Ok(())).unwrap();
        }
        assert!(tree.certain().unwrap().contains_key("e/f"));
        tree.answered(&Change::Rmdir("e".into()), Err(Status::NotEmpty)).unwrap();
    }
}
