//! The trash: what operators see of deleted files, how they bring them back, and how the others go in the end.
//!
//! # Invariants
//! 1. A tick purges no more than [`PURGED_MAX`] files; what was purged goes the way of all orphans, which is bounded too.
//! 2. What may be looked at again is decided by the metadata alone: a file goes by its own record.
//! 3. A restore makes the directories that are missing so that nobody but the owner of the file can enter them.

use super::Core;
use codec::admin::{
    Changed, RestoreWish, Severity, TRASH_PAGE_MAX, TrashEntry, TrashPage, TrashStatus, Unrestored, Warning,
};
use rpc::admin::AdminError;
use types::{FileKind, InodeId, InodeRef, Name, NodeSpec, Op, Reply, Status, TRASH_PATH_BYTES_MAX};

/// Files whose time is over that leave the trash at one tick.
const PURGED_MAX: usize = 256;
/// Bytes of paths in one answer, roughly.
const PAGE_BYTES_MAX: usize = 4 << 20;
const _: () =
    assert!(TRASH_PAGE_MAX * 512 + PAGE_BYTES_MAX + TRASH_PATH_BYTES_MAX < rpc::admin::ANSWER_BYTES_MAX);

impl Core {
    /// Deleted files above a number.
    pub(super) fn trash_page(&self, after: InodeId) -> TrashPage {
        let name = |class| self.meta.class(class).map(|class| class.name.to_string()).unwrap_or_default();
        let mut entries = Vec::new();
        let (mut bytes, mut end) = (0, true);
        for one in self.meta.trash_after(after, TRASH_PAGE_MAX + 1) {
            if entries.len() == TRASH_PAGE_MAX || bytes > PAGE_BYTES_MAX {
                end = false;
                break;
            }
            bytes += one.path.len();
            let class = name(one.class);
            let meta::Trashed { attributes, path, deleted, until, .. } = one;
            entries.push(TrashEntry { attributes, class, path, deleted, until });
        }
        TrashPage { entries, end, now: self.record_time() }
    }

    /// How much is in the trash.
    pub(super) fn trash_status(&self) -> TrashStatus {
        let meta::TrashUse { files, bytes, next } = self.meta.trash_use();
        TrashStatus { files, bytes, next_ms: next.map(|next| self.left_ms(next)) }
    }

    /// Deleted files that take more than there is left for new ones.
    pub(super) fn trash_warning(&self, free_bytes: u64) -> Option<Warning> {
        let meta::TrashUse { files, bytes, .. } = self.meta.trash_use();
        (bytes > free_bytes).then(|| Warning {
            code: "TRASH_LARGE".into(),
            severity: Severity::Note,
            message: format!("{files} deleted files are kept, of {bytes} bytes; {free_bytes} bytes are free"),
            next: "muskox trash ls   (muskox trash purge --older 1d gives their room back)".into(),
            amount: 1,
        })
    }

    /// Brings deleted files back.
    pub(super) fn restore_trash(&mut self, wishes: &[RestoreWish], overwrite: bool) -> Changed {
        let mut refused = Vec::new();
        for (wish, at) in wishes.iter().zip(0..) {
            if let Err(status) = self.restore(wish.inode, &wish.path, overwrite) {
                refused.push(Unrestored { wish: at, status });
            }
        }
        tracing::info!(
            files = wishes.len() - refused.len(),
            refused = refused.len(),
            "deleted files were restored"
        );
        Changed::Restored(refused)
    }

    fn restore(&mut self, inode: InodeRef, path: &[u8], overwrite: bool) -> Result<(), Status> {
        let entry = self.meta.trash_entry(inode).ok_or(Status::NotFound)?;
        // Of a path that was cut off nobody knows where it begins.
        let path = path.strip_prefix(b"/").ok_or(Status::Invalid)?;
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let mut names = parts.map(Name::new).collect::<Result<Vec<_>, _>>()?;
        let name = names.pop().ok_or(Status::Invalid)?;
        let mut parent = InodeRef::ROOT;
        for name in &names {
            parent = match self.meta.lookup(parent, name) {
                Ok(found) if found.kind == FileKind::Directory => found.inode,
                Ok(_) => return Err(Status::NotDirectory),
                Err(Status::NotFound) => self.make_directory(parent, name, entry.attributes.owner)?,
                Err(status) => return Err(status),
            };
        }
        let replaced = self.meta.lookup(parent, &name).ok().filter(|_| overwrite);
        let keep = replaced.is_some_and(|old| self.sessions.known_to_others(old.inode.id, None));
        let op = Op::RestoreTrash { inode, parent, name, replace: overwrite, keep };
        self.log(None, op).reply.map(|_| ())
    }

    /// Makes a directory on the way to a file that comes back. What its mode was is not known any more: nobody but the owner
    /// of the file may enter it.
    fn make_directory(
        &mut self,
        parent: InodeRef,
        name: &Name,
        owner: types::Owner,
    ) -> Result<InodeRef, Status> {
        let inode = self.next_inode();
        let (kind, mode, device, target) = (FileKind::Directory, 0o700, 0, Vec::new());
        let node = NodeSpec { kind, mode, owner, device, target };
        let op = Op::Create { parent, name: name.clone(), inode, node, exclusive: true };
        match self.log(None, op).reply? {
            Reply::Entry(entry) => Ok(entry.attributes.inode),
            _ => Err(Status::Io),
        }
    }

    /// Has deleted files leave for good.
    pub(super) fn purge_trash(&mut self, inodes: Vec<InodeRef>) -> Result<Changed, AdminError> {
        let before = self.meta.trash_use().files;
        self.log_change(Op::PurgeTrash { inodes })?;
        let purged = before - self.meta.trash_use().files;
        tracing::info!(files = purged, "deleted files were purged");
        Ok(Changed::Inodes(purged))
    }

    /// What is kept no longer leaves.
    pub(super) fn expire_trash(&mut self) {
        let now = self.record_time();
        let inodes = self.meta.trash_due(now, PURGED_MAX);
        if inodes.is_empty() {
            return;
        }
        let files = inodes.len();
        match self.log(None, Op::PurgeTrash { inodes }).reply {
            Ok(_) => tracing::debug!(files, "deleted files are kept no longer"),
            // Most likely the log has no room; the next tick tries again.
            Err(status) => tracing::warn!(%status, "deleted files cannot leave the trash now"),
        }
    }
}
