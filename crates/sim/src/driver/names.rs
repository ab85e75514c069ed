//! Changing names, listing directories, making it all durable.

use super::files::node;
use super::{Answer, Driver, Violation, nothing};
use crate::cluster::Program;
use crate::oracle::tree::{Change, Node, STATES_MAX, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use types::{DirCursor, FileKind, InodeId, RenameMode, Status};

const DIRECTORIES: &[&str] = &["d0", "d1", "d2"];
const FILES: &[&str] = &["f0", "f1", "f2", "f3", "f4"];
/// Bytes of one page of a directory: small, so that there are several.
const PAGE_BYTES: u32 = 4096;

impl Driver<'_> {
    /// A path for a file, in a directory that may not exist; rarely a directory's name.
    pub(super) fn some_path(&mut self) -> String {
        let name =
            if self.chance.percent(3) { *self.chance.pick(DIRECTORIES) } else { *self.chance.pick(FILES) };
        if self.chance.percent(50) {
            return name.to_owned();
        }
        format!("{}/{name}", self.chance.pick(DIRECTORIES))
    }

    fn some_change(&mut self) -> Change {
        let dir = (*self.chance.pick(DIRECTORIES)).to_owned();
        let mode = match self.chance.below(4) {
            0 => RenameMode::NoReplace,
            1 => RenameMode::Exchange,
            _ => RenameMode::Replace,
        };
        match self.chance.below(100) {
            0..25 => Change::Mkdir(dir),
            25..32 => Change::Rmdir(dir),
            32..40 => Change::Rename(dir, (*self.chance.pick(DIRECTORIES)).to_owned(), mode),
            40..65 => Change::Rename(self.some_path(), self.some_path(), mode),
            65..80 => Change::Link(self.some_path(), self.some_path()),
            _ => Change::Unlink(self.some_path()),
        }
    }

    /// Whether a change would take a file from under a reader, or a directory into itself.
    fn is_unfair(&self, change: &Change) -> bool {
        let (from, to) = match change {
            Change::Create(path, _) | Change::Mkdir(path) | Change::Rmdir(path) | Change::Unlink(path) => {
                (path, path)
            }
            Change::Rename(from, to, _) | Change::Link(from, to) => (from, to),
        };
        let oracle = self.stage.oracle.borrow();
        let read = |path: &str| self.named(path).iter().any(|file| oracle.is_read(*file));
        let nested = !from.contains('/')
            && (to.starts_with(&format!("{from}/")) || (to.contains('/') && self.may_be_directory(from)));
        let other_way = !to.contains('/') && from.contains('/') && self.may_be_directory(to);
        read(from) || read(to) || nested || other_way
    }

    fn may_be_directory(&self, path: &str) -> bool {
        let oracle = self.stage.oracle.borrow();
        oracle.trees[self.tree].possible().any(|state| state.get(path) == Some(&Node::Directory))
    }

    pub(super) async fn change_names(&mut self, program: &Program) -> Result<(), Violation> {
        let change = self.some_change();
        let too_many = self.stage.oracle.borrow().trees[self.tree].possible().len() >= STATES_MAX;
        if too_many || self.is_unfair(&change) {
            return Ok(());
        }
        self.do_change(program, &change).await
    }

    pub(super) async fn do_change(&mut self, program: &Program, change: &Change) -> Result<(), Violation> {
        let cuts = self.stage.oracle.borrow().master_cuts;
        let what = format_args!("tree {}: {change:?}", self.tree);
        self.stage.oracle.borrow_mut().trees[self.tree].begin();
        let answer = self.ask(program, what, nothing, self.call_change(program, change)).await;
        self.stage.oracle.borrow_mut().trees[self.tree].end();
        let answer = answer?;
        self.changed(change, cuts, &answer).map(|_| ())
    }

    async fn call_change(&self, program: &Program, change: &Change) -> Result<(), Status> {
        let (client, tree) = (&program.client, self.tree);
        match change {
            Change::Create(path, _) => {
                let (parent, name) = self.parent(client, tree, path).await?;
                let known = client.make(parent, name, node(FileKind::File)).await?;
                client.forget(known.attributes.inode.id, 1);
            }
            Change::Mkdir(path) => {
                let (parent, name) = self.parent(client, tree, path).await?;
                let known = client.make(parent, name, node(FileKind::Directory)).await?;
                client.forget(known.attributes.inode.id, 1);
            }
            Change::Rmdir(path) => {
                let (parent, name) = self.parent(client, tree, path).await?;
                client.remove_directory(parent, name).await?;
            }
            Change::Unlink(path) => {
                let (parent, name) = self.parent(client, tree, path).await?;
                client.unlink(parent, name).await?;
            }
            Change::Rename(from, to, mode) => {
                let (from_dir, from_name) = self.parent(client, tree, from).await?;
                let (to_dir, to_name) = self.parent(client, tree, to).await?;
                client.rename(from_dir, from_name, to_dir, to_name, *mode).await?;
            }
            Change::Link(from, to) => {
                let (from_dir, from_name) = self.parent(client, tree, from).await?;
                let inode = client.lookup(from_dir, from_name).await?.attributes.inode.id;
                let linked = async {
                    let (to_dir, to_name) = self.parent(client, tree, to).await?;
                    client.link(inode, to_dir, to_name).await
                };
                let linked = linked.await;
                client.forget(inode, 1 + u64::from(linked.is_ok()));
                linked?;
            }
        }
        Ok(())
    }

    /// Tells the oracle. `Some`: the change surely happened.
    pub(super) fn changed<T>(
        &self,
        change: &Change,
        cuts_before: u64,
        answer: &Answer<T>,
    ) -> Result<Option<()>, Violation> {
        let mut oracle = self.stage.oracle.borrow_mut();
        let cut = oracle.master_cuts != cuts_before;
        let tree = &mut oracle.trees[self.tree];
        let outcome = match answer {
            Answer::Unknown(_) | Answer::Died => {
                tree.unknown(change);
                return Ok(None);
            }
            // Answered before or after the master lost its memory: nobody knows.
            Answer::Done(_) | Answer::Refused(_) if cut => {
                tree.unknown(change);
                return Ok(matches!(answer, Answer::Done(_)).then_some(()));
            }
            Answer::Done(_) => Ok(()),
            Answer::Refused(status) => Err(*status),
        };
        tree.answered(change, outcome).map_err(|reason| self.stage.violation(reason))?;
        Ok(outcome.is_ok().then_some(()))
    }

    /// Reads the whole tree, and learns which of the possible states it is in.
    pub(super) async fn list(&mut self, program: &Program) -> Result<(), Violation> {
        let cuts = self.stage.oracle.borrow().master_cuts;
        let tree = self.tree;
        let what = format_args!("list tree {tree}");
        let answer = self.ask(program, what, |found| format!("{found:?}"), self.walk(program, tree)).await?;
        match answer {
            Answer::Done(found) if self.stage.oracle.borrow().master_cuts == cuts => self.seen(tree, &found),
            Answer::Refused(status) if self.stage.calm.get() => {
                Err(self.stage.violation(format_args!("listing was refused: {status:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Compares a tree that was read with its possible states.
    pub(super) fn seen(&self, tree: usize, found: &Found) -> Result<(), Violation> {
        let oracle = &mut *self.stage.oracle.borrow_mut();
        let files = &oracle.files;
        let fits = |state: &Snapshot| {
            let inode_fits = |node: &Node, inode: InodeId| match node {
                Node::File(file) => {
                    files.get(file).is_some_and(|known| known.inode.is_none_or(|known| known == inode))
                }
                Node::Directory => true,
            };
            state.len() == found.len()
                && state.iter().all(|(path, node)| {
                    found.get(path).is_some_and(|(kind, inode)| {
                        (*kind == FileKind::Directory) == (*node == Node::Directory)
                            && inode_fits(node, *inode)
                    })
                })
        };
        // An inode that is known as one file is not another one whose making was never answered, unless its number was given again.
        let known: BTreeSet<InodeId> = files.values().filter_map(|known| known.inode).collect();
        let is_new = |node: &Node| matches!(node, Node::File(file) if files.get(file).is_some_and(|known| known.inode.is_none()));
        let likely = |state: &Snapshot| {
            let is_another = |(path, node): (&String, &Node)| {
                is_new(node) && found.get(path).is_some_and(|(_, inode)| known.contains(inode))
            };
            fits(state) && !state.iter().any(is_another)
        };
        let is_likely = oracle.trees[tree].possible().any(likely);
        let state = oracle.trees[tree]
            .seen(|state| if is_likely { likely(state) } else { fits(state) })
            .map_err(|reason| self.stage.violation(format_args!("tree {tree} is {found:?}, {reason}")))?;
        for (path, node) in state {
            if let Node::File(file) = node
                && let Some(state) = oracle.files.get_mut(file)
            {
                state.inode = found.get(path).map(|(_, inode)| *inode);
            }
        }
        Ok(())
    }

    /// All paths of a tree with kind and inode.
    pub(super) async fn walk(&self, program: &Program, tree: usize) -> Result<Found, Status> {
        let mut found = Found::new();
        let mut directories = vec![(String::new(), self.roots[tree])];
        while let Some((prefix, dir)) = directories.pop() {
            let mut after = DirCursor(0);
            loop {
                let page = program.client.read_directory(dir, after, PAGE_BYTES).await?;
                for entry in &page.entries {
                    let path = format!("{prefix}{}", entry.name);
                    let (kind, inode) = (entry.attributes.kind, entry.attributes.inode.id);
                    if kind == FileKind::Directory {
                        directories.push((format!("{path}/"), inode));
                    }
                    found.insert(path, (kind, inode));
                    after = entry.cursor;
                }
                if page.end || page.entries.is_empty() {
                    break;
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn barrier(&mut self, program: &Program) -> Result<(), Violation> {
        let cuts = self.stage.oracle.borrow().master_cuts;
        let what = format_args!("barrier");
        let call = program.client.fsync_directory(self.roots[self.tree]);
        if let Answer::Done(()) = self.ask(program, what, nothing, call).await? {
            let mut oracle = self.stage.oracle.borrow_mut();
            if oracle.master_cuts == cuts {
                oracle.trees[self.tree].synced();
            }
        }
        Ok(())
    }

    pub(super) async fn sync_all(&mut self, program: &Program) -> Result<(), Violation> {
        let cuts = self.stage.oracle.borrow().master_cuts;
        let what = format_args!("sync all");
        match self.ask(program, what, nothing, program.client.sync_all()).await? {
            Answer::Done(()) => {
                let mut oracle = self.stage.oracle.borrow_mut();
                oracle.client_synced(program.incarnation);
                if oracle.master_cuts == cuts {
                    oracle.trees[self.tree].synced();
                }
            }
            Answer::Refused(status) => {
                return Err(self.stage.violation(format_args!("syncing was refused: {status:?}")));
            }
            Answer::Unknown(_) => self.stage.oracle.borrow_mut().client_sync_failed(program.incarnation),
            Answer::Died => {}
        }
        Ok(())
    }
}

/// Paths with kind and inode.
pub(crate) type Found = BTreeMap<String, (FileKind, InodeId)>;
