//! What is true: a plain in-memory tree and what each file may contain, kept by nobody's real code.
//!
//! Two trees exist, one for each client to change; both clients read both. A failed or timed-out operation is
//! *unknown*, never *failed*: the oracle keeps every state that the answers allow.
//!
//! # Elsewhere
//! One file: `content`. One tree: `tree`. The file to which everybody appends: `log`. What is asked: `driver`.

pub(crate) mod content;
pub(crate) mod log;
pub(crate) mod tree;

use content::Content;
use std::collections::{BTreeMap, BTreeSet};
use tree::{FileId, Node, Snapshot, Tree};
use types::InodeId;

/// Trees; each has one client that changes it during a round.
pub(crate) const TREES: usize = 2;

/// One file.
pub(crate) struct FileState {
    pub(crate) content: Content,
    /// Its number, once it was told.
    pub(crate) inode: Option<InodeId>,
    /// A client has it open for writing.
    pub(crate) held: bool,
    /// The other client reads it.
    pub(crate) readers: usize,
    /// An operation on it is of unknown outcome: nobody touches it until it was looked at.
    pub(crate) doubtful: bool,
    /// Power was lost while it was open or not synced: a chunk of it may be gone.
    at_risk: bool,
    /// The incarnation whose fsync covers what the content's intent says, also after the file was closed: a loss that
    /// nobody saw is told to the next handle.
    writer: Option<u64>,
}

/// See the module.
pub(crate) struct Oracle {
    pub(crate) trees: [Tree; TREES],
    pub(crate) files: BTreeMap<FileId, FileState>,
    /// The file to which all clients append.
    pub(crate) log: log::Log,
    /// Power was lost since the log was begun.
    log_at_risk: bool,
    next_file: FileId,
    next_write: content::WriteId,
    /// Losses of power of the master so far.
    pub(crate) master_cuts: u64,
}

impl Oracle {
    /// Empty trees on stable storage.
    pub(crate) fn new() -> Self {
        let trees = std::array::from_fn(|_| Tree::new());
        Self {
            trees,
            files: BTreeMap::new(),
            log: log::Log::default(),
            log_at_risk: false,
            next_file: 0,
            next_write: 0,
            master_cuts: 0,
        }
    }

    /// A file that may come to be.
    pub(crate) fn new_file(&mut self) -> FileId {
        self.next_file += 1;
        let state = FileState {
            content: Content::new(),
            inode: None,
            held: false,
            readers: 0,
            doubtful: false,
            at_risk: false,
            writer: None,
        };
        self.files.insert(self.next_file, state);
        self.next_file
    }

    /// A number for a write.
    pub(crate) fn new_write(&mut self) -> content::WriteId {
        self.next_write += 1;
        self.next_write
    }

    /// A file that exists in the oracle.
    pub(crate) fn file(&mut self, file: FileId) -> &mut FileState {
        self.files.get_mut(&file).expect("files are dropped only when no state and no handle names them")
    }

    /// A client opens a file for writing.
    pub(crate) fn hold(&mut self, file: FileId, incarnation: u64) {
        let state = self.file(file);
        state.held = true;
        if state.writer != Some(incarnation) {
            state.content.forget_intent();
            state.writer = Some(incarnation);
        }
    }

    /// The files of a tree that everybody agrees on, with their paths.
    pub(crate) fn free_files(&self, tree: usize) -> Vec<(String, FileId)> {
        let Some(state) = self.trees[tree].certain() else { return Vec::new() };
        let files = state.iter().filter_map(|(path, node)| match node {
            Node::File(file) => Some((path.clone(), *file)),
            Node::Directory => None,
        });
        files
            .filter(|(_, file)| {
                self.files.get(file).is_some_and(|f| !f.held && !f.doubtful && f.inode.is_some())
            })
            .collect()
    }

    /// Whether a file of the other client's is being read right now.
    pub(crate) fn is_read(&self, file: FileId) -> bool {
        self.files.get(&file).is_some_and(|state| state.readers > 0)
    }

    /// A client died: what it had not closed is in doubt.
    pub(crate) fn client_died(&mut self, incarnation: u64) {
        self.log.failed(incarnation);
        for state in self.files.values_mut().filter(|state| state.writer == Some(incarnation)) {
            state.content.doubt_unclosed();
            state.held = false;
            state.writer = None;
        }
    }

    /// A client's syncfs succeeded.
    pub(crate) fn client_synced(&mut self, incarnation: u64) {
        self.log.synced(incarnation);
        for state in self.files.values_mut().filter(|state| state.writer == Some(incarnation)) {
            state.content.synced();
        }
    }

    /// A client's syncfs failed: some of its files lost writes, it is not said which.
    pub(crate) fn client_sync_failed(&mut self, incarnation: u64) {
        self.log.failed(incarnation);
        for state in self.files.values_mut().filter(|state| state.writer == Some(incarnation)) {
            state.content.doubt_unclosed();
        }
    }

    /// Machines lost power; `master`: its machine was among them.
    pub(crate) fn power_cut(&mut self, master: bool) {
        self.log.power_cut();
        self.log_at_risk = true;
        for state in self.files.values_mut() {
            state.at_risk |= state.held || !state.content.is_durable();
            state.content.doubt_unsynced();
        }
        if master {
            self.master_cuts += 1;
            self.trees.iter_mut().for_each(Tree::rolled_back);
        }
    }

    /// Files of which several contents were possible before they were looked at.
    pub(crate) fn uncertain_files(&self) -> BTreeSet<FileId> {
        let files = self.files.iter().filter(|(_, state)| !state.content.was_certain());
        files.map(|(file, _)| *file).collect()
    }

    /// A new log is begun.
    pub(crate) fn new_log(&mut self) {
        self.log = log::Log::default();
        self.log_at_risk = false;
    }

    /// Whether a loss of power may have taken a chunk of this file. What is in no tree is the log.
    pub(crate) fn may_have_lost(&self, inode: InodeId) -> bool {
        match self.files.values().find(|state| state.inode == Some(inode)) {
            Some(state) => state.at_risk && !state.content.was_certain(),
            None => self.log_may_have_lost(),
        }
    }

    fn log_may_have_lost(&self) -> bool {
        self.log_at_risk && !self.log.is_certain()
    }

    /// Whether a loss of power may have taken a chunk of any file.
    pub(crate) fn may_have_lost_any(&self) -> bool {
        let mut files = self.files.values();
        self.log_may_have_lost() || files.any(|state| state.at_risk && !state.content.was_certain())
    }

    /// Files that are on stable storage to the last byte, and that nobody writes.
    pub(crate) fn durable_inodes(&self) -> impl Iterator<Item = InodeId> + '_ {
        let files = self.files.values().filter(|state| !state.held && state.content.is_durable());
        files.filter_map(|state| state.inode)
    }

    /// Drops files that no possible state names and nobody holds.
    pub(crate) fn collect(&mut self) {
        let named: Vec<FileId> = self
            .trees
            .iter()
            .flat_map(Tree::possible)
            .flat_map(Snapshot::values)
            .filter_map(|node| match node {
                Node::File(file) => Some(*file),
                Node::Directory => None,
            })
            .collect();
        self.files.retain(|file, state| state.held || named.contains(file));
    }
}
