//! A disk in memory that knows what is durable, loses power and fails on request.
//!
//! # Invariants
//! 1. [`SimDisk::kill`] (the process dies) loses nothing that was written; [`SimDisk::power_cut`] keeps
//!    what was synced, and of the rest what chance decides (`content.rs`, `names.rs`).
//! 2. After either, directories and files opened before fail: they belong to a process that is gone.
//! 3. The same seed and the same calls give the same disk.

use super::content::Content;
use super::faults::{Effort, Fault, Faults, Stray, Verdict, failure};
use super::handles::SimDir;
use super::names::{Names, Node};
use super::rng::Rng;
use crate::Dir;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk and all that can happen to it; clones share it.
#[derive(Clone)]
pub struct SimDisk {
    pub(super) state: Arc<Mutex<State>>,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) label: String,
    rng: Rng,
    /// Raised by kill and power cut: handles of an earlier epoch fail.
    pub(super) epoch: u64,
    boot: u64,
    filesystem: String,
    pub(super) names: Names,
    pub(super) files: BTreeMap<u64, Inode>,
    next_node: u64,
    pub(super) capacity_bytes: u64,
    pub(super) used_pages: u64,
    /// What is written anew takes room beside what it replaces.
    pub(super) copies_on_write: bool,
    /// What was replaced since the last sync, which takes room until then.
    pub(super) replaced_pages: u64,
    pub(super) locks: BTreeSet<String>,
    faults: Faults,
    resident: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) content: Content,
    /// Whether a live name leads to it.
    pub(super) named: bool,
    pub(super) handles: u32,
    /// How often what was not synced was lost for good.
    pub(super) losses: u64,
    /// The path it was last opened under, for faults.
    pub(super) path: String,
}

const CAPACITY_BYTES: u64 = 1 << 40;
pub(super) const PAGE_BYTES: u64 = 4096;

impl SimDisk {
    /// An empty disk. Its chances depend on seed and label only.
    pub fn new(seed: u64, label: &str) -> Self {
        let mut rng = Rng::named(seed, label);
        let boot = rng.next();
        Self {
            state: Arc::new(Mutex::new(State {
                label: label.to_owned(),
                rng,
                epoch: 0,
                boot,
                filesystem: "ext4".to_owned(),
                names: Names::default(),
                files: BTreeMap::new(),
                next_node: 1,
                capacity_bytes: CAPACITY_BYTES,
                used_pages: 0,
                copies_on_write: false,
                replaced_pages: 0,
                locks: BTreeSet::new(),
                faults: Faults::default(),
                resident: true,
            })),
        }
    }

    /// The disk as a process that starts now sees it.
    pub fn dir(&self) -> Arc<dyn Dir> {
        let epoch = self.lock().epoch;
        Arc::new(SimDir { disk: self.clone(), epoch })
    }

    /// A disk with the same content and state of its own, but nothing open: what is done to one is not done to the other.
    pub fn fork(&self) -> Self {
        let mut state = self.lock().clone();
        state.end_process();
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The process that used the disk is gone; the kernel still writes everything.
    pub fn kill(&self) {
        self.lock().end_process();
    }

    /// Power is lost: unsynced writes and names survive or not, writes torn at 512 bytes.
    pub fn power_cut(&self) {
        let state = &mut *self.lock();
        state.end_process();
        state.boot = state.rng.next();
        state.names.lose_power(&mut state.rng);
        for inode in state.files.values_mut() {
            inode.content.lose_power(&mut state.rng);
            inode.named = false;
        }
        for node in state.names.live.nodes() {
            if let Node::File(number) = node
                && let Some(inode) = state.files.get_mut(&number)
            {
                inode.named = true;
            }
        }
        state.collect();
    }

    /// Lets operations fail.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// After `skip` writes to files whose paths begin with `path`, the next one is acknowledged and goes astray.
    pub fn lead_astray(&self, path: &str, skip: u64, stray: Stray) {
        self.lock().faults.add_stray(path.to_owned(), skip, stray);
    }

    /// Whether a write is still to go astray.
    pub fn is_astray(&self) -> bool {
        self.lock().faults.is_astray()
    }

    /// Ends all faults, and what [`SimDisk::stop_after_writes`] asked for.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Changing operations so far: writes, lengths, names, syncs.
    pub fn writes(&self) -> u64 {
        self.lock().faults.efforts()
    }

    /// After `count` more changing operations every one fails and changes nothing, until the next
    /// [`SimDisk::kill`] or [`SimDisk::power_cut`]; the first to fail may be done in part if it is a write.
    pub fn stop_after_writes(&self, count: u64) {
        self.lock().faults.stop_after(count);
    }

    /// Sets how many bytes fit.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity_bytes = bytes;
    }

    /// Whether it overwrites nothing in place, as btrfs and ZFS: on a full disk not even what exists can be written anew. What is
    /// replaced takes room until the next sync.
    pub fn set_copies_on_write(&self, on: bool) {
        self.lock().copies_on_write = on;
    }

    /// Sets the type of the filesystem that the disk claims to have.
    pub fn set_filesystem(&self, filesystem: &str) {
        self.lock().filesystem = filesystem.to_owned();
    }

    /// Whether `read_resident_at` finds everything in memory (the default) or nothing.
    pub fn set_resident(&self, resident: bool) {
        self.lock().resident = resident;
    }

    /// Flips one bit of a file, durably.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u32) -> io::Result<()> {
        self.rot(path, offset, |byte| byte ^ (1 << (bit % 8)))
    }

    /// Makes the page (4,096 bytes) of a byte unreadable, until all of it is written.
    pub fn spoil(&self, path: &str, offset: u64) -> io::Result<()> {
        let mut state = self.lock();
        let number = state.find_file(path)?;
        state.inode(number)?.content.spoil(offset);
        Ok(())
    }

    /// All sectors can be read again.
    pub fn unspoil(&self) {
        for inode in self.lock().files.values_mut() {
            inode.content.unspoil();
        }
    }

    /// Replaces bytes of a file in place, durably and behind its user's back.
    pub fn overwrite(&self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        for (number, value) in data.iter().enumerate() {
            self.rot(path, offset + number as u64, |_| *value)?;
        }
        Ok(())
    }

    fn rot(&self, path: &str, offset: u64, change: impl Fn(u8) -> u8) -> io::Result<()> {
        let mut state = self.lock();
        let number = state.find_file(path)?;
        state.inode(number)?.content.rot(offset, change);
        Ok(())
    }

    /// What files take up.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_pages * PAGE_BYTES
    }

    /// The paths of all files below a directory (with its `/`), sorted.
    pub fn paths(&self, below: &str) -> Vec<String> {
        let state = self.lock();
        let mut found = Vec::new();
        let mut directories = vec![(super::names::ROOT, String::new())];
        while let Some((directory, prefix)) = directories.pop() {
            for (name, node) in state.names.live.list(directory) {
                match node {
                    Node::File(_) => found.push(format!("{prefix}{name}")),
                    Node::Directory(below) => directories.push((below, format!("{prefix}{name}/"))),
                }
            }
        }
        found.retain(|path| path.starts_with(below));
        found.sort_unstable();
        found
    }

    /// All bytes of a file.
    pub fn contents(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        let number = state.find_file(path)?;
        let live = &state.inode(number)?.content.live;
        let mut bytes = vec![0; live.length() as usize];
        live.read(&mut bytes, 0);
        Ok(bytes)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panics with a disk in its hands has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inode {
    /// It could not be written: the kernel shows it still, and tells each handle once.
    pub(super) fn lose_unsynced(&mut self) {
        self.content.forget_unsynced();
        self.losses += 1;
    }
}

impl State {
    fn end_process(&mut self) {
        self.epoch += 1;
        self.replaced_pages = 0;
        self.locks.clear();
        self.faults.restart();
        for inode in self.files.values_mut() {
            inode.handles = 0;
        }
        self.collect();
    }

    /// Counts an operation and tells what becomes of it.
    pub(super) fn judge(&mut self, effort: Effort, path: &str) -> Verdict {
        if effort == Effort::Sync {
            self.replaced_pages = 0;
        }
        self.faults.judge(effort, path)
    }

    /// What a write that did not fail does in truth.
    pub(super) fn stray(&mut self, path: &str) -> Option<Stray> {
        self.faults.stray(path)
    }

    /// Counts an operation that is done whole or not at all.
    pub(super) fn effort(&mut self, effort: Effort, path: &str) -> io::Result<()> {
        match self.judge(effort, path) {
            Verdict::Done => Ok(()),
            Verdict::Fails | Verdict::Stops | Verdict::Stopped => Err(failure(effort, path, &self.label)),
        }
    }

    /// How much of a write is done when the process stops in it.
    pub(super) fn torn_length(&mut self, length: usize) -> usize {
        self.rng.below(length as u64 + 1) as usize
    }

    pub(super) fn new_node(&mut self) -> u64 {
        self.next_node += 1;
        self.next_node
    }

    pub(super) fn inode(&mut self, number: u64) -> io::Result<&mut Inode> {
        self.files.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find_file(&self, path: &str) -> io::Result<u64> {
        let (parents, name) = crate::path::parent_and_name(path)?;
        let directory = self.directory(&parents)?;
        match self.names.live.get(directory, name) {
            Some(Node::File(number)) => Ok(number),
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Follows directories from the root.
    pub(super) fn directory(&self, parts: &[&str]) -> io::Result<u64> {
        let mut at = super::names::ROOT;
        for part in parts {
            at = match self.names.live.get(at, part) {
                Some(Node::Directory(below)) => below,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            };
        }
        Ok(at)
    }

    /// Refuses what would no longer fit.
    pub(super) fn reserve(&self, pages: u64) -> io::Result<()> {
        if (self.used_pages + self.replaced_pages + pages) * PAGE_BYTES > self.capacity_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// A file lost its name or its last handle.
    pub(super) fn settle(&mut self, number: u64) {
        if let Some(inode) = self.files.get(&number)
            && !inode.named
            && inode.handles == 0
        {
            self.used_pages = self.used_pages.saturating_sub(inode.content.live.page_count());
        }
    }

    /// Forgets files that nothing can bring back and counts the pages of the others.
    fn collect(&mut self) {
        let kept: BTreeSet<u64> = self
            .names
            .nodes()
            .filter_map(|node| match node {
                Node::File(number) => Some(number),
                Node::Directory(_) => None,
            })
            .collect();
        self.files.retain(|number, inode| inode.handles > 0 || kept.contains(number));
        self.used_pages = self
            .files
            .values()
            .filter(|inode| inode.named || inode.handles > 0)
            .map(|inode| inode.content.live.page_count())
            .sum();
    }

    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    pub(super) fn filesystem(&self) -> &str {
        &self.filesystem
    }

    pub(super) fn resident(&self) -> bool {
        self.resident
    }
}
