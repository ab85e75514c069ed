//! Opening, writing, reading, cutting, syncing and closing files.

use super::{Answer, Driver, HELD_MAX, Held, Violation, nothing};
use crate::cluster::Program;
use crate::invariants::synced;
use crate::oracle::content::{Layer, fill};
use crate::oracle::tree::{Change, FileId, Node, STATES_MAX};
use crate::trace::hash_of;
use client::{AllocateMode, FileHandle, OpenFlags};
use std::future::Future;
use types::{CHUNK_BYTES, FileKind, NodeSpec, Owner, Status};

const READ_WRITE: OpenFlags = OpenFlags { read: true, write: true, truncate: false };
const READ: OpenFlags = OpenFlags { read: true, write: false, truncate: false };
/// Most writes are below this.
const SMALL_OFFSET: u64 = 200_000;
/// Longest write.
const WRITE_BYTES_MAX: u64 = 150_000;

pub(super) fn node(kind: FileKind) -> NodeSpec {
    NodeSpec { kind, mode: 0o755, owner: Owner::default(), device: 0, target: Vec::new() }
}

/// Whether an edit surely took effect; `None`: it surely did not. Of a truncate or punch ENOSPC is a refusal, too.
fn took_effect<T>(edited: &Answer<T>) -> Option<bool> {
    match edited {
        Answer::Done(_) => Some(true),
        Answer::Refused(_) | Answer::Unknown(Status::NoSpace) => None,
        Answer::Unknown(_) | Answer::Died => Some(false),
    }
}

impl Driver<'_> {
    pub(super) async fn open(&mut self, program: &Program) -> Result<(), Violation> {
        if self.held.len() == HELD_MAX {
            return self.close(program).await;
        }
        let free = {
            let oracle = self.stage.oracle.borrow();
            let free = oracle.free_files(self.tree).into_iter();
            free.filter(|(_, file)| !oracle.is_read(*file)).collect::<Vec<_>>()
        };
        if free.is_empty() || self.chance.percent(40) {
            return self.create(program).await;
        }
        let (path, file) = self.chance.pick(&free).clone();
        let tree = self.tree;
        // Nobody else takes it meanwhile.
        self.stage.oracle.borrow_mut().file(file).held = true;
        let client = &program.client;
        let call = async {
            let (parent, name) = self.parent(client, tree, &path).await?;
            let known = client.lookup(parent, name).await?;
            let inode = known.attributes.inode.id;
            Ok((inode, client.open(inode, READ_WRITE).await?.handle))
        };
        let answer =
            self.ask(program, format_args!("open {tree}/{path}"), |(i, _)| i.to_string(), call).await;
        let mut oracle = self.stage.oracle.borrow_mut();
        oracle.file(file).held = false;
        match answer? {
            Answer::Done((inode, handle)) => {
                let expected = oracle.file(file).inode;
                if expected != Some(inode) && oracle.trees[tree].certain().is_some() {
                    return Err(self.stage.violation(format_args!("{path} is {inode}, not {expected:?}")));
                }
                oracle.hold(file, program.incarnation);
                drop(oracle);
                self.held.push(Held { file, handle, inode });
                Ok(())
            }
            Answer::Refused(status) if self.stage.calm.get() => {
                Err(self.stage.violation(format_args!("open {path}: {status:?}")))
            }
            Answer::Refused(_) | Answer::Unknown(_) | Answer::Died => Ok(()),
        }
    }

    async fn create(&mut self, program: &Program) -> Result<(), Violation> {
        let tree = self.tree;
        let (path, file, cuts) = {
            let path = self.some_path();
            let mut oracle = self.stage.oracle.borrow_mut();
            if oracle.trees[tree].possible().len() >= STATES_MAX {
                return Ok(());
            }
            (path, oracle.new_file(), oracle.master_cuts)
        };
        let change = Change::Create(path.clone(), file);
        let client = &program.client;
        let call = async {
            let (parent, name) = self.parent(client, tree, &path).await?;
            client.create(parent, name, node(FileKind::File), true, READ_WRITE).await
        };
        let what = format_args!("create {tree}/{path}");
        let shown = |created: &client::Created| created.known.attributes.inode.id.to_string();
        let answer = self.ask(program, what, shown, call).await?;
        let created = self.changed(&change, cuts, &answer)?;
        if let (Answer::Done(created), Some(())) = (answer, created) {
            let inode = created.known.attributes.inode.id;
            let mut oracle = self.stage.oracle.borrow_mut();
            oracle.file(file).inode = Some(inode);
            oracle.hold(file, program.incarnation);
            drop(oracle);
            self.held.push(Held { file, handle: created.opened.handle, inode });
        }
        Ok(())
    }

    /// One of the open files that can be used.
    pub(super) fn some_held(&mut self) -> Option<usize> {
        let goes_on = self.stage.faults.go_on();
        let oracle = self.stage.oracle.borrow();
        let usable: Vec<usize> = (0..self.held.len())
            .filter(|at| oracle.files.get(&self.held[*at].file).is_some_and(|file| goes_on || !file.doubtful))
            .collect();
        drop(oracle);
        if usable.is_empty() { None } else { Some(*self.chance.pick(&usable)) }
    }

    /// Something went wrong with a file: its writer knows nothing of what was not closed.
    fn doubt(&self, file: FileId) {
        let mut oracle = self.stage.oracle.borrow_mut();
        let state = oracle.file(file);
        state.content.doubt_unclosed();
        state.doubtful = true;
    }

    fn some_offset(&mut self) -> u64 {
        match self.chance.below(100) {
            0..80 => self.chance.below(SMALL_OFFSET),
            80..90 => self.chance.below(SMALL_OFFSET / 4096) * 4096,
            90..98 => CHUNK_BYTES - self.chance.below(100_000),
            _ => 2 * CHUNK_BYTES - self.chance.below(100_000),
        }
    }

    pub(super) async fn write(&mut self, program: &Program) -> Result<(), Violation> {
        let Some(at) = self.some_held() else { return self.open(program).await };
        let (file, handle) = (self.held[at].file, self.held[at].handle);
        let offset = self.some_offset();
        self.write_at(program, file, handle, offset).await
    }

    pub(super) async fn write_at(
        &mut self,
        program: &Program,
        file: FileId,
        handle: FileHandle,
        offset: u64,
    ) -> Result<(), Violation> {
        let length = match self.chance.below(3) {
            0 => self.chance.within(1, 300),
            1 => self.chance.within(1, 8) * 4096,
            _ => self.chance.within(1, WRITE_BYTES_MAX),
        };
        let id = self.stage.oracle.borrow_mut().new_write();
        let mut data = vec![0; length as usize];
        fill(id, offset, &mut data);
        let what = format_args!("write {id} to file {file} at {offset}, {length} bytes");
        let answer = self.ask(program, what, nothing, program.client.write(handle, offset, &data)).await?;
        let sure = matches!(answer, Answer::Done(()));
        self.stage.oracle.borrow_mut().file(file).content.write(offset, length, id, sure);
        self.file_changed(file, &answer)
    }

    /// After an operation on a file whose effect was noted.
    fn file_changed<T>(&self, file: FileId, answer: &Answer<T>) -> Result<(), Violation> {
        match answer {
            Answer::Done(_) | Answer::Died => {}
            Answer::Unknown(_) => self.doubt(file),
            Answer::Refused(status) if self.stage.calm.get() => {
                return Err(self.stage.violation(format_args!("refused for no reason: {status:?}")));
            }
            Answer::Refused(_) => self.doubt(file),
        }
        Ok(())
    }

    /// Says meanwhile that it edits.
    async fn editing<T>(&self, edit: impl Future<Output = T>) -> T {
        let number = self.stage.edits.get() + 1;
        self.stage.edits.set(number);
        self.stage.editing.set(Some((self.number, number)));
        let done = edit.await;
        if self.stage.editing.get() == Some((self.number, number)) {
            self.stage.editing.set(None);
        }
        done
    }

    pub(super) async fn truncate(&mut self, program: &Program) -> Result<(), Violation> {
        let Some(at) = self.some_held() else { return self.open(program).await };
        let Held { file, inode, handle, .. } = self.held[at];
        let length = if self.chance.percent(20) { 0 } else { self.some_offset() };
        let what = format_args!("truncate file {file} to {length}");
        let call = program.client.set_length(inode, Some(handle), length, false);
        let shown = |known: &client::Known| known.attributes.length.to_string();
        let answer = self.editing(Box::pin(self.ask(program, what, shown, call))).await?;
        if let Some(sure) = took_effect(&answer) {
            self.stage.oracle.borrow_mut().file(file).content.cut(length, sure);
        }
        if let Answer::Done(known) = &answer
            && known.attributes.length != length
        {
            let found = known.attributes.length;
            return Err(self.stage.violation(format_args!("truncated to {length}, answered {found}")));
        }
        self.file_changed(file, &answer)
    }

    pub(super) async fn punch(&mut self, program: &Program) -> Result<(), Violation> {
        let Some(at) = self.some_held() else { return self.open(program).await };
        let (file, handle) = (self.held[at].file, self.held[at].handle);
        let (offset, length) = (self.some_offset(), self.chance.within(1, WRITE_BYTES_MAX));
        let what = format_args!("punch file {file} at {offset}, {length} bytes");
        let call = program.client.allocate(handle, AllocateMode::PunchHole, offset, length);
        let answer = self.editing(Box::pin(self.ask(program, what, nothing, call))).await?;
        if let Some(sure) = took_effect(&answer) {
            self.stage.oracle.borrow_mut().file(file).content.punch(offset, offset + length, sure);
        }
        self.file_changed(file, &answer)
    }

    pub(super) async fn read(&mut self, program: &Program) -> Result<(), Violation> {
        let Some(at) = self.some_held() else { return self.open(program).await };
        let (file, handle) = (self.held[at].file, self.held[at].handle);
        let (offset, length) = (self.some_offset(), self.chance.within(1, WRITE_BYTES_MAX));
        // While things break a write may have been lost before its writer was told.
        let layer = if self.stage.calm.get() { Layer::Live } else { Layer::Closed };
        self.read_at(program, file, handle, offset, length, layer).await.map(|_| ())
    }

    /// Reads and compares. False: it failed.
    pub(super) async fn read_at(
        &self,
        program: &Program,
        file: FileId,
        handle: FileHandle,
        offset: u64,
        length: u64,
        layer: Layer,
    ) -> Result<bool, Violation> {
        let what = format_args!("read file {file} at {offset}, {length} bytes");
        let call = program.client.read(handle, offset, length as u32);
        let shown = |bytes: &bytes::Bytes| format!("{} bytes {:016x}", bytes.len(), hash_of(bytes));
        match self.ask_in_doubt(program, what, shown, call).await? {
            Answer::Done(bytes) => {
                let mut oracle = self.stage.oracle.borrow_mut();
                let Some(state) = oracle.files.get_mut(&file) else { return Ok(true) };
                if let Err(reason) = state.content.check(layer, offset, length, &bytes) {
                    return Err(self.stage.violation(format_args!("file {file}: {reason}")));
                }
                if self.stage.settled.get() {
                    state.content.narrow(offset, length, &bytes);
                }
                Ok(true)
            }
            Answer::Refused(status) | Answer::Unknown(status)
                if self.stage.calm.get() && self.is_readable(file) =>
            {
                Err(self.stage.violation(format_args!("file {file} cannot be read: {status:?}")))
            }
            // What was never synced may be gone altogether; then it is not made up.
            Answer::Refused(_) | Answer::Unknown(_) | Answer::Died => Ok(false),
        }
    }

    /// Whether reading it must succeed when nothing is broken. What replicas differ in is sometimes read only once they are compared.
    fn is_readable(&self, file: FileId) -> bool {
        let oracle = self.stage.oracle.borrow();
        let Some(state) = oracle.files.get(&file) else { return false };
        let lost = || state.inode.is_some_and(|inode| self.stage.lost.borrow().contains(&inode));
        if self.stage.settled.get() { !lost() } else { state.content.is_certain() }
    }

    pub(super) async fn fsync(&mut self, program: &Program) -> Result<(), Violation> {
        let Some(at) = self.some_held() else { return self.open(program).await };
        let Held { file, handle, inode } = self.held[at];
        let what = format_args!("fsync file {file}");
        let answer = self.ask(program, what, nothing, program.client.fsync(handle)).await?;
        if let Answer::Done(()) = answer {
            let mut oracle = self.stage.oracle.borrow_mut();
            let content = &mut oracle.file(file).content;
            content.synced();
            synced::check(self.stage, inode, content)
                .map_err(|reason| self.stage.violation(format_args!("fsync of file {file}: {reason}")))?;
        }
        self.file_changed(file, &answer)
    }

    pub(super) async fn flush(&mut self, program: &Program) -> Result<(), Violation> {
        let Some(at) = self.some_held() else { return self.open(program).await };
        self.flush_one(program, at).await
    }

    pub(super) async fn flush_one(&mut self, program: &Program, at: usize) -> Result<(), Violation> {
        let (file, handle) = (self.held[at].file, self.held[at].handle);
        let what = format_args!("flush file {file}");
        let answer = self.ask(program, what, nothing, program.client.flush(handle)).await?;
        if let Answer::Done(()) = answer {
            self.stage.oracle.borrow_mut().file(file).content.flushed();
        }
        self.file_changed(file, &answer)
    }

    pub(super) async fn close(&mut self, program: &Program) -> Result<(), Violation> {
        if self.held.is_empty() {
            return Ok(());
        }
        let at = self.chance.below(self.held.len() as u64) as usize;
        self.flush_one(program, at).await?;
        let held = self.held.remove(at);
        program.client.release(held.handle);
        program.client.forget(held.inode, 1);
        if let Some(state) = self.stage.oracle.borrow_mut().files.get_mut(&held.file) {
            state.held = false;
        }
        Ok(())
    }

    /// Closes everything.
    pub(crate) async fn close_all(&mut self, program: &Program) -> Result<(), Violation> {
        while !self.held.is_empty() {
            self.close(program).await?;
        }
        Ok(())
    }

    /// Reads a file of the other client's that is closed.
    pub(super) async fn read_other(&mut self, program: &Program) -> Result<(), Violation> {
        let tree = (self.tree + 1) % crate::oracle::TREES;
        let free = self.stage.oracle.borrow().free_files(tree);
        if free.is_empty() {
            return Ok(());
        }
        let (path, file) = self.chance.pick(&free).clone();
        let before = {
            let mut oracle = self.stage.oracle.borrow_mut();
            oracle.file(file).readers += 1;
            oracle.trees[tree].still().map(|(moment, state)| (moment, state.clone()))
        };
        let ranges: Vec<(u64, u64)> = (0..self.chance.within(1, 3))
            .map(|_| (self.some_offset(), self.chance.within(1, WRITE_BYTES_MAX)))
            .collect();
        let result = self.read_file(program, tree, &path, file, &ranges).await;
        let mut oracle = self.stage.oracle.borrow_mut();
        oracle.file(file).readers -= 1;
        let after = oracle.trees[tree].still().map(|(moment, state)| (moment, state.clone()));
        let same = before.is_some() && before == after;
        match result? {
            // Its owner may have renamed it, or a directory above it.
            Some(status) if same && self.stage.calm.get() => {
                Err(self.stage.violation(format_args!("{path} cannot be opened: {status:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Opens, reads ranges, compares and closes. A status: it could not be opened.
    pub(super) async fn read_file(
        &self,
        program: &Program,
        tree: usize,
        path: &str,
        file: FileId,
        ranges: &[(u64, u64)],
    ) -> Result<Option<Status>, Violation> {
        let client = &program.client;
        let call = async {
            let (parent, name) = self.parent(client, tree, path).await?;
            let inode = client.lookup(parent, name).await?.attributes.inode.id;
            Ok((inode, client.open(inode, READ).await?.handle))
        };
        let what = format_args!("open {tree}/{path} for reading");
        let (inode, handle) = match self.ask(program, what, |(i, _)| i.to_string(), call).await? {
            Answer::Done(opened) => opened,
            Answer::Refused(status) | Answer::Unknown(status) => return Ok(Some(status)),
            Answer::Died => return Ok(None),
        };
        let expected = self.stage.oracle.borrow().files.get(&file).and_then(|state| state.inode);
        let mut outcome = Ok(true);
        if expected == Some(inode) {
            for (offset, length) in ranges {
                outcome = self.read_at(program, file, handle, *offset, *length, Layer::Live).await;
                if !matches!(outcome, Ok(true)) {
                    break;
                }
            }
        }
        client.release(handle);
        client.forget(inode, 1);
        outcome.map(|_| None)
    }

    /// The path's file in every possible state.
    pub(super) fn named(&self, path: &str) -> Vec<FileId> {
        let oracle = self.stage.oracle.borrow();
        let states = oracle.trees[self.tree].possible();
        states
            .filter_map(|state| match state.get(path) {
                Some(Node::File(file)) => Some(*file),
                _ => None,
            })
            .collect()
    }
}
