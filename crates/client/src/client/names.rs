//! Names and directories.

use super::Client;
use super::attributes::OPEN_TRUST;
use crate::directories::{Change, Page};
use crate::inodes::{Inode, Inodes, Leaving};
use crate::{Created, DirectoryPage, Known, OpenFlags, Opened};
use env::Instant;
use std::sync::Arc;
use tokio::sync::RwLockWriteGuard;
use types::{
    Attributes, DirCursor, Entry, FileKind, InodeId, InodeRef, Name, News, NodeSpec, RenameMode, Reply,
    Request, Status,
};

/// Most bytes of one directory page: it fits a frame with room to spare.
const PAGE_BYTES_MAX: u32 = 512 << 10;
/// Entries of a directory that is listed for the sake of names that are not there: they fit one page.
const LISTED_MAX: u64 = 256;

/// An inode that was found or made, with one lookup counted.
struct Found {
    inode: Arc<Inode>,
    known: Known,
}

/// What this client asked the master to do to the names of a directory.
struct Asked {
    at: Instant,
    news: Vec<News>,
}

/// A lookup that was counted for an answer, taken back if the operation is given up before it.
struct Lookup<'a> {
    client: &'a Client,
    inode: Option<InodeId>,
}

impl Lookup<'_> {
    fn keep(mut self) {
        self.inode = None;
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        if let Some(inode) = self.inode {
            self.client.forget(inode, 1);
        }
    }
}

impl Client {
    /// Sends a request about names, and takes in what its answer tells of other inodes.
    async fn ask(&self, request: Request) -> (Result<Reply, Status>, Asked) {
        let at = self.shared.now();
        let (outcome, news) = self.shared.session.call_with_news(request).await;
        self.shared.take_news(&news, at);
        (outcome, Asked { at, news })
    }

    /// The request may have changed the names of this directory.
    fn name_changed(&self, dir: InodeRef, asked: &Asked, change: Change) {
        match asked.news.iter().find(|news| news.attributes.inode == dir) {
            Some(News { attributes, before }) if *before < attributes.change_counter => {
                let after = attributes.change_counter;
                self.shared.directories.changed(dir, *before, after, asked.at, change);
            }
            Some(_) => {}
            None => {
                // A repeated answer, or none: what happened is not known.
                self.shared.directories.forget(dir);
                if let Some(inode) = self.shared.inodes.get(dir.id) {
                    inode.state().outdate();
                }
            }
        }
    }

    /// Counts a lookup of the inode of an entry.
    fn entered(&self, parent: InodeId, name: &Name, entry: &Entry, at: Instant, mutation: bool) -> Found {
        let shared = &self.shared;
        let inode = shared.inodes.enter(entry.attributes.inode);
        {
            let mut state = inode.state();
            state.lookups += 1;
            state.leaving = Leaving::No;
            state.found_at((parent, name.clone()));
            if mutation {
                state.changed_at = shared.session.answered();
            }
            if let Some(first) = entry.first.clone()
                && !state.is_dirty()
            {
                state.locations.put(first, at);
            }
        }
        let known = shared.take_in(&inode, entry.attributes, at);
        Found { inode, known }
    }

    /// Makes a name, and counts a lookup of its inode.
    async fn make_name(
        &self,
        dir: InodeRef,
        name: &Name,
        request: Request,
    ) -> Result<(Found, Entry), Status> {
        let (outcome, asked) = self.ask(request).await;
        self.name_changed(dir, &asked, Change::Added(name.clone()));
        let Reply::Entry(entry) = outcome? else { return Err(Status::BadMessage) };
        let found = self.entered(dir.id, name, &entry, asked.at, true);
        Ok((found, *entry))
    }

    /// Whether it is known without asking that a directory has no such name. False if in doubt.
    pub fn is_absent(&self, parent: InodeId, name: &[u8]) -> bool {
        let Some(dir) = self.shared.inodes.get(parent) else { return false };
        let Ok(name) = Name::new(name) else { return false };
        self.shared.directories.lacks(dir.reference, &name, self.shared.now(), OPEN_TRUST)
    }

    /// Finds a name. Counts as one lookup of the inode.
    pub async fn lookup(&self, parent: InodeId, name: &[u8]) -> Result<Known, Status> {
        let name = Name::new(name)?;
        let dir = self.shared.inode(parent).await?;
        if self.is_worth_listing(&dir) {
            dir.state().absent_at = None;
            self.list(dir.reference, DirCursor(0), PAGE_BYTES_MAX).await?;
        }
        if self.is_absent(parent, name.as_bytes()) {
            return Err(Status::NotFound);
        }
        let request = Request::Lookup { parent: dir.reference, name: name.clone() };
        let (outcome, asked) = self.ask(request).await;
        if outcome == Err(Status::NotFound) {
            dir.state().absent_at = Some(asked.at);
        }
        let Reply::Entry(entry) = outcome? else { return Err(Status::BadMessage) };
        let Found { inode, known } = self.entered(parent, &name, &entry, asked.at, false);
        inode.state().looked_up = Some(asked.at);
        Ok(known)
    }

    /// Whether this client has just asked for a name that is not in this small directory, and may do so again:
    /// a list of all names costs no more than the next question.
    fn is_worth_listing(&self, dir: &Inode) -> bool {
        let (now, age) = (self.shared.now(), self.shared.options.attribute_ttl);
        let state = dir.state();
        let again = state.absent_at.is_some_and(|at| now.since(at) <= age);
        let cached = state.cached.filter(|cached| again && cached.attributes.length <= LISTED_MAX);
        drop(state);
        cached.is_some_and(|cached| {
            !self.shared.directories.is_known(dir.reference, cached.attributes.change_counter)
        })
    }

    /// The parent of a directory. Not counted as a lookup.
    pub async fn lookup_parent(&self, dir: InodeId) -> Result<Known, Status> {
        let dir = self.shared.reference(dir).await?;
        match self.shared.session.call(Request::LookupParent { dir }).await? {
            Reply::Entry(entry) => {
                Ok(Known { attributes: entry.attributes, valid_for: self.shared.options.attribute_ttl })
            }
            _ => Err(Status::BadMessage),
        }
    }

    /// Counts one lookup of an inode that the kernel is told of by a directory page (readdirplus), which found it
    /// under this name, or as `.` or `..`.
    pub fn remember(&self, attributes: &Attributes, found_at: Option<(InodeId, &[u8])>) -> Known {
        let shared = &self.shared;
        let inode = shared.inodes.enter(attributes.inode);
        {
            let mut state = inode.state();
            state.lookups += 1;
            state.leaving = Leaving::No;
            if let Some((dir, name)) = found_at
                && let Ok(name) = Name::new(name)
            {
                state.found_at((dir, name));
            }
        }
        shared.take_in(&inode, *attributes, shared.now())
    }

    /// The kernel dropped `lookups` references to an inode.
    pub fn forget(&self, inode: InodeId, lookups: u64) {
        if let Some(inode) = self.shared.inodes.get(inode) {
            let none = {
                let mut state = inode.state();
                state.lookups = state.lookups.saturating_sub(lookups);
                state.lookups == 0
            };
            if none {
                self.shared.leave(&inode);
            }
        }
    }

    /// Makes and opens a file. Not `exclusive`: an existing one is opened. Counts as one lookup.
    pub async fn create(
        &self,
        parent: InodeId,
        name: &[u8],
        node: NodeSpec,
        exclusive: bool,
        flags: OpenFlags,
    ) -> Result<Created, Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let grant = flags.write && node.kind == FileKind::File;
        let request = Request::Create { parent: dir, name: name.clone(), node, exclusive, grant };
        let (Found { inode, mut known }, entry) = self.make_name(dir, &name, request).await?;
        let lookup = Lookup { client: self, inode: Some(inode.reference.id) };
        if entry.attributes.kind != FileKind::File {
            let directory = entry.attributes.kind == FileKind::Directory;
            return Err(if directory { Status::IsDirectory } else { Status::Exists });
        }
        let handle = self.shared.new_handle(&inode, flags);
        if let Some(grant) = entry.grant
            && grant.inode == inode.reference
        {
            self.shared.writer(&mut inode.state()).offer(grant);
        }
        if flags.truncate && !entry.created && known.attributes.length > 0 {
            known = self.set_length(inode.reference.id, None, 0, false).await?;
        }
        let keep_cache = self.keep_cache(&inode);
        lookup.keep();
        let opened = Opened { handle: handle.keep(), keep_cache, changed: false };
        Ok(Created { known, opened, created: entry.created })
    }

    /// Makes a directory, symlink, device, fifo, socket or an empty file. Counts as one lookup.
    pub async fn make(&self, parent: InodeId, name: &[u8], node: NodeSpec) -> Result<Known, Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let request =
            Request::Create { parent: dir, name: name.clone(), node, exclusive: true, grant: false };
        let at = self.shared.now();
        let (Found { known, .. }, entry) = self.make_name(dir, &name, request).await?;
        if entry.created && entry.attributes.kind == FileKind::Directory {
            self.shared.directories.made(&entry.attributes, at);
        }
        Ok(known)
    }

    /// A further name. Counts as one lookup.
    pub async fn link(&self, inode: InodeId, parent: InodeId, name: &[u8]) -> Result<Known, Status> {
        let name = Name::new(name)?;
        let inode = self.shared.reference(inode).await?;
        let dir = self.shared.reference(parent).await?;
        let request = Request::Link { inode, parent: dir, name: name.clone() };
        let (Found { known, .. }, _) = self.make_name(dir, &name, request).await?;
        Ok(known)
    }

    /// Removes a name of anything but a directory.
    pub async fn unlink(&self, parent: InodeId, name: &[u8]) -> Result<(), Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let victims = self.shared.inodes.found_at(&(parent, name.clone()));
        let _closed = close_to_opens(&victims).await;
        let unused = Inodes::unused(&victims);
        self.remove_name(dir, &name, Request::Unlink { parent: dir, name: name.clone(), unused }).await
    }

    /// Removes an empty directory.
    pub async fn remove_directory(&self, parent: InodeId, name: &[u8]) -> Result<(), Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let request = Request::RemoveDirectory { parent: dir, name: name.clone() };
        self.remove_name(dir, &name, request).await?;
        self.shared.inodes.lost_name(&(parent, name));
        Ok(())
    }

    async fn remove_name(&self, dir: InodeRef, name: &Name, request: Request) -> Result<(), Status> {
        self.shared.inodes.outdate(&(dir.id, name.clone()));
        let (outcome, asked) = self.ask(request).await;
        self.name_changed(dir, &asked, Change::Removed(name.clone()));
        outcome.map(drop)
    }

    /// Atomic rename.
    pub async fn rename(
        &self,
        from: InodeId,
        from_name: &[u8],
        to: InodeId,
        to_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), Status> {
        let (from_name, to_name) = (Name::new(from_name)?, Name::new(to_name)?);
        let (from_dir, to_dir) = (self.shared.reference(from).await?, self.shared.reference(to).await?);
        let (from_place, to_place) = ((from, from_name.clone()), (to, to_name.clone()));
        let inodes = &self.shared.inodes;
        let victims = inodes.found_at(&to_place);
        let _closed = close_to_opens(&victims).await;
        let request = Request::Rename {
            from: from_dir,
            from_name: from_name.clone(),
            to: to_dir,
            to_name: to_name.clone(),
            mode,
            unused: Inodes::unused(&victims),
        };
        inodes.outdate(&from_place);
        inodes.outdate(&to_place);
        let (outcome, asked) = self.ask(request).await;
        let exchange = mode == RenameMode::Exchange;
        if exchange {
            self.name_changed(from_dir, &asked, Change::Kept);
            self.name_changed(to_dir, &asked, Change::Kept);
        } else if from_dir == to_dir {
            self.name_changed(from_dir, &asked, Change::Moved(from_name, to_name));
        } else {
            self.name_changed(from_dir, &asked, Change::Removed(from_name));
            self.name_changed(to_dir, &asked, Change::Added(to_name));
        }
        if outcome.is_ok() {
            if !exchange {
                inodes.lost_name(&to_place);
            }
            inodes.renamed(&from_place, &to_place, exchange);
        }
        outcome.map(drop)
    }

    /// The target of a symlink.
    pub async fn read_link(&self, inode: InodeId) -> Result<Vec<u8>, Status> {
        let inode = self.shared.reference(inode).await?;
        match self.shared.session.call(Request::ReadLink { inode }).await? {
            Reply::Target(target) => Ok(target),
            _ => Err(Status::BadMessage),
        }
    }

    /// Entries after a cursor, at most about `bytes_max` bytes of them. Not counted as lookups: call
    /// [`Client::remember`] for each entry that the kernel is given with its attributes. A directory that was removed is not
    /// found, as in Linux, where libraries take that for its end.
    pub async fn read_directory(
        &self,
        dir: InodeId,
        after: DirCursor,
        bytes_max: u32,
    ) -> Result<DirectoryPage, Status> {
        let inode = self.shared.inode(dir).await?;
        let at = self.shared.now();
        match self.list(inode.reference, after, bytes_max).await {
            Err(Status::Stale) if Inodes::removed_directory(&inode, at) => Err(Status::NotFound),
            listed => listed,
        }
    }

    async fn list(&self, dir: InodeRef, after: DirCursor, bytes_max: u32) -> Result<DirectoryPage, Status> {
        let bytes_max = bytes_max.clamp(4096, PAGE_BYTES_MAX);
        let (outcome, asked) = self.ask(Request::ReadDirectory { dir, after, bytes_max }).await;
        match outcome? {
            Reply::Directory { mut entries, end, parent } => {
                if let Some(news) = asked.news.iter().find(|news| news.attributes.inode == dir) {
                    let page = Page {
                        after,
                        last: entries.last().map_or(after, |entry| entry.cursor),
                        end,
                        counter: news.attributes.change_counter,
                        at: asked.at,
                    };
                    if let Some(inode) = self.shared.inodes.get(dir.id).filter(|_| end) {
                        inode.state().listed_to = Some((page.last, page.counter));
                    }
                    self.shared.directories.listed(dir, page, entries.iter().map(|entry| &entry.name));
                }
                for entry in &mut entries {
                    if let Some(inode) = self.shared.inodes.get(entry.attributes.inode.id) {
                        entry.attributes = inode.state().shown(entry.attributes);
                    } else {
                        self.shared.inodes.glimpsed(entry.attributes.inode);
                    }
                }
                Ok(DirectoryPage { entries, end, parent })
            }
            _ => Err(Status::BadMessage),
        }
    }

    /// Whether it is known without asking that nothing follows an entry of a directory, to which it was just listed. False
    /// if in doubt.
    pub fn is_end(&self, dir: InodeId, after: DirCursor) -> bool {
        let Some(dir) = self.shared.inodes.get(dir) else { return false };
        let Some(known) = self.shared.cached(&dir, self.shared.options.attribute_ttl) else { return false };
        dir.state().listed_to == Some((after, known.attributes.change_counter))
    }

    /// Everything answered for this directory so far is on stable storage when it returns.
    pub async fn fsync_directory(&self, dir: InodeId) -> Result<(), Status> {
        self.shared.reference(dir).await?;
        self.done(Request::Barrier).await
    }
}

/// Until the guards are dropped no open of these inodes begins; one that waits asks the master anew.
async fn close_to_opens(inodes: &[Arc<Inode>]) -> Vec<RwLockWriteGuard<'_, ()>> {
    let mut closed = Vec::with_capacity(inodes.len());
    for inode in inodes {
        closed.push(inode.opening.write().await);
        inode.state().looked_up = None;
    }
    closed
}
