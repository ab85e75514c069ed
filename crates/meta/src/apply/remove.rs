//! Names and inodes that go.

use super::{Context, Done};
use crate::sessions::Answer;
use crate::state::Meta;
use types::{InodeRef, Name, Status};

impl Meta {
    pub(super) fn unlink(
        &mut self,
        parent: InodeRef,
        name: &Name,
        keep: bool,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let dir = self.directory(parent)?;
        let (entry, child) = self.find_name(dir, name).ok_or(Status::NotFound)?;
        if self.inodes.get(child).is_directory() {
            return Err(Status::IsDirectory);
        }
        self.directories.remove(entry, self.child(child).id);
        self.inodes.edit(dir, |dir| dir.touch_content(cx.at));
        self.drop_link(child, (dir, name), keep, cx.at, &mut cx.effects);
        Ok(Done::Changed(Answer::Done))
    }

    pub(super) fn remove_directory(
        &mut self,
        parent: InodeRef,
        name: &Name,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let dir = self.directory(parent)?;
        let (entry, child) = self.find_name(dir, name).ok_or(Status::NotFound)?;
        let victim = self.inodes.get(child);
        if !victim.is_directory() {
            return Err(Status::NotDirectory);
        }
        if self.directories.count(victim.place.main) > 0 {
            return Err(Status::NotEmpty);
        }
        self.directories.remove(entry, self.child(child).id);
        self.inodes.edit(dir, |dir| {
            dir.links -= 1;
            dir.touch_content(cx.at);
        });
        self.free(child, &mut cx.effects);
        Ok(Done::Changed(Answer::Done))
    }

    pub(super) fn reap(&mut self, inodes: &[InodeRef], cx: &mut Context) -> Result<Done, Status> {
        for inode in inodes {
            if let Ok(slot) = self.inodes.find(*inode)
                && self.orphans.contains(&inode.id)
            {
                self.free(slot, &mut cx.effects);
            }
        }
        if cx.effects.is_empty() {
            return Ok(Done::Nothing(Answer::Done));
        }
        Ok(Done::Changed(Answer::Done))
    }
}
