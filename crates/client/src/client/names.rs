//! Names and directories.

use super::Client;
use crate::inodes::Inode;
use crate::{Created, DirectoryPage, Known, OpenFlags, Opened};
use std::sync::Arc;
use types::{
    Attributes, DirCursor, Entry, FileKind, InodeId, Name, NodeSpec, RenameMode, Reply, Request, Status,
};

/// Most bytes of one directory page: it fits a frame with room to spare.
const PAGE_BYTES_MAX: u32 = 512 << 10;

impl Client {
    /// Asks for an entry, and counts a lookup of its inode.
    async fn entry(
        &self,
        parent: InodeId,
        name: &Name,
        request: Request,
    ) -> Result<(Arc<Inode>, Known, Entry), Status> {
        let shared = &self.shared;
        let (at, epoch) = (shared.now(), shared.inodes.epoch());
        let mutation = request.is_mutation();
        let Reply::Entry(entry) = shared.session.call(request).await? else { return Err(Status::BadMessage) };
        let inode = shared.inodes.enter(entry.attributes.inode);
        {
            let mut state = inode.state();
            state.lookups += 1;
            state.leaving = false;
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
        let known = shared.take_in(&inode, entry.attributes, at, epoch);
        Ok((inode, known, *entry))
    }

    /// Attributes of a directory in which this client changed a name are asked for again.
    fn directory_changed(&self, dir: InodeId) {
        if let Some(inode) = self.shared.inodes.get(dir)
            && let Some(cached) = &mut inode.state().cached
        {
            cached.epoch = u64::MAX;
        }
    }

    /// Finds a name. Counts as one lookup of the inode.
    pub async fn lookup(&self, parent: InodeId, name: &[u8]) -> Result<Known, Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let request = Request::Lookup { parent: dir, name: name.clone() };
        let asked = self.shared.now();
        let (_, known, _) = self.entry(parent, &name, request).await?;
        if let Some(inode) = self.shared.inodes.get(known.attributes.inode.id) {
            inode.state().looked_up = Some(asked);
        }
        Ok(known)
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

    /// Counts one lookup of an inode that a directory page named (readdirplus).
    pub fn remember(&self, attributes: &Attributes) -> Known {
        let shared = &self.shared;
        let inode = shared.inodes.enter(attributes.inode);
        {
            let mut state = inode.state();
            state.lookups += 1;
            state.leaving = false;
        }
        shared.take_in(&inode, *attributes, shared.now(), shared.inodes.epoch())
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
        let (inode, mut known, entry) = self.entry(parent, &name, request).await?;
        if entry.attributes.kind != FileKind::File {
            self.forget(inode.reference.id, 1);
            let directory = entry.attributes.kind == FileKind::Directory;
            return Err(if directory { Status::IsDirectory } else { Status::Exists });
        }
        self.directory_changed(parent);
        let handle = self.shared.add_handle(&inode, flags);
        if let Some(grant) = entry.grant
            && grant.inode == inode.reference
        {
            self.shared.writer(&mut inode.state()).offer(grant);
        }
        if flags.truncate && !entry.created && known.attributes.length > 0 {
            match self.set_length(inode.reference.id, 0, false).await {
                Ok(now) => known = now,
                Err(status) => {
                    self.shared.remove_handle(handle);
                    self.forget(inode.reference.id, 1);
                    return Err(status);
                }
            }
        }
        let keep_cache = self.keep_cache(&inode);
        Ok(Created { known, opened: Opened { handle, keep_cache }, created: entry.created })
    }

    /// Makes a directory, symlink, device, fifo, socket or an empty file. Counts as one lookup.
    pub async fn make(&self, parent: InodeId, name: &[u8], node: NodeSpec) -> Result<Known, Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let request =
            Request::Create { parent: dir, name: name.clone(), node, exclusive: true, grant: false };
        let (_, known, _) = self.entry(parent, &name, request).await?;
        self.directory_changed(parent);
        Ok(known)
    }

    /// A further name. Counts as one lookup.
    pub async fn link(&self, inode: InodeId, parent: InodeId, name: &[u8]) -> Result<Known, Status> {
        let name = Name::new(name)?;
        let inode = self.shared.reference(inode).await?;
        let dir = self.shared.reference(parent).await?;
        let request = Request::Link { inode, parent: dir, name: name.clone() };
        let (_, known, _) = self.entry(parent, &name, request).await?;
        self.directory_changed(parent);
        Ok(known)
    }

    /// Removes a name of anything but a directory.
    pub async fn unlink(&self, parent: InodeId, name: &[u8]) -> Result<(), Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let in_use = self.shared.inodes.in_use(&(parent, name.clone()));
        let outcome = self.done(Request::Unlink { parent: dir, name, in_use }).await;
        self.shared.inodes.names_changed();
        outcome
    }

    /// Removes an empty directory.
    pub async fn remove_directory(&self, parent: InodeId, name: &[u8]) -> Result<(), Status> {
        let name = Name::new(name)?;
        let dir = self.shared.reference(parent).await?;
        let outcome = self.done(Request::RemoveDirectory { parent: dir, name }).await;
        self.shared.inodes.names_changed();
        outcome
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
        let request = Request::Rename {
            from: self.shared.reference(from).await?,
            from_name: from_name.clone(),
            to: self.shared.reference(to).await?,
            to_name: to_name.clone(),
            mode,
            in_use: self.shared.inodes.in_use(&(to, to_name.clone())),
        };
        let outcome = self.done(request).await;
        self.shared.inodes.names_changed();
        if outcome.is_ok() {
            self.shared.inodes.renamed(&(from, from_name), &(to, to_name), mode == RenameMode::Exchange);
        }
        outcome
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
    /// [`Client::remember`] for each entry that the kernel is given with its attributes.
    pub async fn read_directory(
        &self,
        dir: InodeId,
        after: DirCursor,
        bytes_max: u32,
    ) -> Result<DirectoryPage, Status> {
        let dir = self.shared.reference(dir).await?;
        let bytes_max = bytes_max.clamp(4096, PAGE_BYTES_MAX);
        match self.shared.session.call(Request::ReadDirectory { dir, after, bytes_max }).await? {
            Reply::Directory { mut entries, end } => {
                for entry in &mut entries {
                    if let Some(inode) = self.shared.inodes.get(entry.attributes.inode.id) {
                        entry.attributes = inode.state().shown(entry.attributes);
                    } else {
                        self.shared.inodes.glimpsed(entry.attributes.inode);
                    }
                }
                Ok(DirectoryPage { entries, end })
            }
            _ => Err(Status::BadMessage),
        }
    }

    /// Everything answered for this directory so far is on stable storage when it returns.
    pub async fn fsync_directory(&self, dir: InodeId) -> Result<(), Status> {
        self.shared.reference(dir).await?;
        self.done(Request::Barrier).await
    }
}
