//! Attributes, extended attributes, and what a file is made of.

use super::Client;
use crate::inodes::{Inode, wall};
use crate::read;
use crate::write::engine;
use crate::write::pipeline::may_wait;
use crate::{FileHandle, Known};
use std::sync::Arc;
use std::time::Duration;
use types::{
    AttributeChanges, CHUNK_BYTES, Caller, ChunkIndex, FILE_BYTES_MAX, FileInfo, FsStat, InodeId, Reply,
    Request, Status, XattrMode,
};

impl Client {
    /// Attributes, from the cache or the master.
    pub async fn attributes(&self, inode: InodeId) -> Result<Known, Status> {
        let inode = self.shared.inode(inode).await?;
        self.shared.attributes(&inode, self.shared.options.attribute_ttl).await
    }

    /// Attributes if they need not be asked for.
    pub fn try_attributes(&self, inode: InodeId) -> Option<Known> {
        let inode = self.shared.inodes.get(inode)?;
        self.shared.cached(&inode, self.shared.options.attribute_ttl)
    }

    /// chmod, chown, utimens.
    pub async fn set_attributes(
        &self,
        inode: InodeId,
        changes: AttributeChanges,
        caller: Caller,
    ) -> Result<Known, Status> {
        let inode = self.shared.inode(inode).await?;
        if let Some(known) = self.change_with_commit(&inode, changes, &caller) {
            return Ok(known);
        }
        let has_changes =
            |inode: &Inode| inode.state().writer.as_ref().is_some_and(|writer| writer.pipeline.has_changes());
        if changes.modified.is_some() || has_changes(&inode) {
            // A commit that came later would set the time of the last write again. Lost writes are
            // reported to the handles that made them.
            let _ = self.shared.settle(&inode, None).await;
        }
        let request = Request::SetAttributes { inode: inode.reference, changes, caller };
        self.shared.told(&inode, request).await
    }

    /// Lets a change of a file's attributes wait for the commit of what was written to it before, if it may.
    fn change_with_commit(&self, inode: &Inode, changes: AttributeChanges, caller: &Caller) -> Option<Known> {
        let shared = &self.shared;
        let now = shared.now();
        let mut state = inode.state();
        let cached = state.cached?;
        let old = cached.at.map(|at| now.since(at)).filter(|old| *old <= shared.options.attribute_ttl)?;
        let before = state.shown(cached.attributes);
        let pipeline = &mut state.writer.as_mut()?.pipeline;
        if !may_wait(&before, &changes) || !pipeline.change(changes, caller, now, wall(&shared.env)) {
            return None;
        }
        let attributes = state.shown(cached.attributes);
        Some(Known { attributes, valid_for: shared.options.attribute_ttl.saturating_sub(old) })
    }

    /// truncate, ftruncate. Goes on to its end even if the caller gives up. What a handle is open on is cut under the generation that it was
    /// opened with: a master that lost power may have given the number to another file since.
    pub async fn set_length(
        &self,
        inode: InodeId,
        handle: Option<FileHandle>,
        length: u64,
        clear_privileges: bool,
    ) -> Result<Known, Status> {
        if length > FILE_BYTES_MAX {
            return Err(Status::FileTooBig);
        }
        let inode = match handle {
            Some(handle) => Arc::clone(&self.shared.handle(handle)?.inode),
            None => self.shared.inode(inode).await?,
        };
        let request = Request::SetLength { inode: inode.reference, length, clear_privileges };
        self.edit(inode, request, move |index| u64::from(index.0) * CHUNK_BYTES >= length).await
    }

    /// Changes the map of a file: what is unsent is stored first, then the master edits the map, then what
    /// was known of the chunks is forgotten. `removed`: chunks that are wholly gone.
    pub(super) async fn edit(
        &self,
        inode: Arc<Inode>,
        request: Request,
        removed: impl Fn(ChunkIndex) -> bool + Send + 'static,
    ) -> Result<Known, Status> {
        let shared = Arc::clone(&self.shared);
        let task = self.shared.runtime.spawn(async move {
            let _alone = inode.gate.write().await;
            // Lost writes are reported to the handles that made them.
            let _ = shared.settle(&inode, None).await;
            let edited = shared.told(&inode, request).await;
            // Also if it failed: it may have been done all the same, or be done yet.
            let mut state = inode.state();
            state.locations.clear();
            match &edited {
                Ok(known) => {
                    if let Some(writer) = &mut state.writer {
                        writer.pipeline.edited(known.attributes.truncate_generation, removed);
                        engine::apply_effects(&shared, &inode, &mut state);
                    }
                }
                Err(_) => state.outdate(),
            }
            shared.cache.changed(inode.reference.id, 0, u64::MAX);
            edited
        });
        task.await.unwrap_or(Err(Status::Io))
    }

    /// The value of an extended attribute.
    pub async fn get_xattr(&self, inode: InodeId, name: &[u8]) -> Result<Vec<u8>, Status> {
        let inode = self.shared.reference(inode).await?;
        match self.shared.session.call(Request::GetXattr { inode, name: name.to_vec() }).await? {
            Reply::Xattr(value) => Ok(value),
            _ => Err(Status::BadMessage),
        }
    }

    /// Names of extended attributes.
    pub async fn list_xattrs(&self, inode: InodeId) -> Result<Vec<Vec<u8>>, Status> {
        let inode = self.shared.reference(inode).await?;
        match self.shared.session.call(Request::ListXattrs { inode }).await? {
            Reply::XattrNames(names) => Ok(names),
            _ => Err(Status::BadMessage),
        }
    }

    /// Sets an extended attribute.
    pub async fn set_xattr(
        &self,
        inode: InodeId,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Status> {
        let inode = self.shared.inode(inode).await?;
        let (name, value) = (name.to_vec(), value.to_vec());
        self.xattr_changed(&inode, Request::SetXattr { inode: inode.reference, name, value, mode }).await
    }

    /// Removes an extended attribute.
    pub async fn remove_xattr(&self, inode: InodeId, name: &[u8]) -> Result<(), Status> {
        let inode = self.shared.inode(inode).await?;
        let name = name.to_vec();
        self.xattr_changed(&inode, Request::RemoveXattr { inode: inode.reference, name }).await
    }

    async fn xattr_changed(&self, inode: &Inode, request: Request) -> Result<(), Status> {
        let at = self.shared.now();
        let (outcome, news) = self.shared.session.call_with_news(request).await;
        if news.is_empty() {
            // A repeated answer, or none: it may be changed.
            inode.state().outdate();
        }
        self.shared.take_news(&news, at);
        outcome.map(drop)
    }

    /// Capacity and use.
    pub async fn stat_fs(&self) -> Result<FsStat, Status> {
        match self.shared.session.call(Request::StatFs).await? {
            Reply::FsStat(stat) => Ok(stat),
            _ => Err(Status::BadMessage),
        }
    }

    /// Chunks, versions and replicas of a file; what is unsent is stored first.
    pub async fn file_info(&self, inode: InodeId) -> Result<FileInfo, Status> {
        let inode = self.shared.inode(inode).await?;
        self.shared.settle(&inode, None).await?;
        match self.shared.session.call(Request::FileInfo { inode: inode.reference }).await? {
            Reply::FileInfo(info) => Ok(*info),
            _ => Err(Status::BadMessage),
        }
    }

    /// Attributes that were asked for just now.
    pub(super) async fn fresh(&self, inode: &Inode) -> Result<Known, Status> {
        self.shared.told(inode, Request::GetAttributes { inode: inode.reference }).await
    }

    /// Attributes that an open may rest on: those of the lookup that belongs to it, once, or fresh ones. Any
    /// other answer may be older than another mount's close. True: the master was asked, so the kernel does not know yet.
    /// `reads`: it is asked at the same time where the file begins.
    pub(super) async fn for_open(&self, inode: &Inode, reads: bool) -> Result<(Known, bool), Status> {
        let (looked_up, has_data) = {
            let mut state = inode.state();
            let length = state.cached.map_or(0, |cached| cached.attributes.length);
            (state.looked_up.take(), length > 0)
        };
        if looked_up.is_some_and(|at| self.shared.now().since(at) <= OPEN_TRUST) {
            return self.shared.attributes(inode, OPEN_TRUST).await.map(|known| (known, false));
        }
        let located = async {
            if reads && has_data {
                // Whoever reads asks again, and is told why not.
                let _ = read::locate_first(&self.shared, inode).await;
            }
        };
        let (known, ()) = tokio::join!(self.fresh(inode), located);
        Ok((known?, true))
    }
}

/// A lookup answered so shortly before an open is part of it, and a name that was not there so shortly before is
/// not there.
pub(super) const OPEN_TRUST: Duration = Duration::from_millis(50);
