//! chmod, chown, utimens, and extended attributes.

use super::{Context, Done};
use crate::inodes::MODE_MASK;
use crate::sessions::Answer;
use crate::state::Meta;
use crate::xattrs;
use types::{AttributeChanges, Caller, FileKind, InodeId, InodeRef, SetTime, Status, XattrMode};

const SETGID: u16 = 0o2000;

impl Meta {
    pub(super) fn set_attributes(
        &mut self,
        inode: InodeRef,
        changes: &AttributeChanges,
        caller: &Caller,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let slot = self.inodes.find(inode)?;
        if changes.mode.is_some_and(|mode| mode > MODE_MASK) {
            return Err(Status::Invalid);
        }
        if *changes == AttributeChanges::default() {
            return Ok(Done::Nothing(Answer::Attributes(self.attributes_at(slot))));
        }
        let is_directory = self.inodes.get(slot).is_directory();
        let chown = changes.uid.is_some() || changes.gid.is_some();
        let clears = (chown || changes.clear_privileges) && !is_directory;
        let time = |set: SetTime| match set {
            SetTime::Now => cx.at,
            SetTime::At(time) => time,
        };
        self.inodes.edit(slot, |inode| {
            inode.uid = changes.uid.unwrap_or(inode.uid);
            inode.gid = changes.gid.unwrap_or(inode.gid);
            match changes.mode {
                Some(mode) => {
                    let member = caller.uid == 0 || caller.is_member_of(inode.gid);
                    inode.set_mode(if member { mode } else { mode & !SETGID });
                }
                None if clears => inode.clear_privileges(),
                None => {}
            }
            inode.accessed = changes.accessed.map_or(inode.accessed, time);
            inode.modified = changes.modified.map_or(inode.modified, time);
            inode.touch(cx.at);
        });
        if clears {
            self.xattrs.remove_capability(inode.id);
        }
        if changes.accessed.is_some() || changes.modified.is_some() {
            self.tell_aging(slot, &mut cx.effects);
        }
        Ok(Done::Changed(Answer::Attributes(self.attributes_at(slot))))
    }

    /// Content was written or cut by somebody unprivileged.
    pub(super) fn clear_privileges(&mut self, file: u32) {
        self.inodes.edit(file, crate::inodes::Inode::clear_privileges);
        self.xattrs.remove_capability(InodeId(self.inodes.get(file).id));
    }

    fn check_xattr_write(&self, slot: u32, name: &[u8]) -> Result<(), Status> {
        xattrs::check_name(name)?;
        let carries_user = matches!(self.inodes.get(slot).kind(), FileKind::File | FileKind::Directory);
        if xattrs::is_user(name) && !carries_user { Err(Status::NotPermitted) } else { Ok(()) }
    }

    pub(super) fn set_xattr(
        &mut self,
        inode: InodeRef,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let slot = self.inodes.find(inode)?;
        self.check_xattr_write(slot, name)?;
        match (mode, self.xattrs.get(inode.id, name)) {
            (XattrMode::Create, Some(_)) => return Err(Status::Exists),
            (XattrMode::Replace, None) => return Err(Status::NoAttribute),
            _ => {}
        }
        self.xattrs.check_room(inode.id, name, value)?;
        self.xattrs.set(inode.id, name, value);
        self.inodes.edit(slot, |inode| inode.touch(cx.at));
        Ok(Done::Changed(Answer::Done))
    }

    pub(super) fn remove_xattr(
        &mut self,
        inode: InodeRef,
        name: &[u8],
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let slot = self.inodes.find(inode)?;
        self.check_xattr_write(slot, name)?;
        if !self.xattrs.remove(inode.id, name) {
            return Err(Status::NoAttribute);
        }
        self.inodes.edit(slot, |inode| inode.touch(cx.at));
        Ok(Done::Changed(Answer::Done))
    }
}
