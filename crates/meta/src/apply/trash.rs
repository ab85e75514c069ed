//! Out of the trash: back to a name, or away for good.

use super::{Context, Done};
use crate::api::Effect;
use crate::sessions::Answer;
use crate::state::Meta;
use types::{InodeRef, Name, Status};

impl Meta {
    pub(super) fn purge_trash(&mut self, inodes: &[InodeRef], cx: &mut Context) -> Result<Done, Status> {
        for inode in inodes {
            if self.inodes.find(*inode).is_ok() && self.trash.remove(inode.id) {
                self.orphans.insert(inode.id);
                cx.effects.push(Effect::Orphaned { inode: *inode });
            }
        }
        if cx.effects.is_empty() {
            return Ok(Done::Nothing(Answer::Done));
        }
        Ok(Done::Changed(Answer::Done))
    }

    pub(super) fn restore_trash(
        &mut self,
        inode: InodeRef,
        (parent, name): (InodeRef, &Name),
        replace: bool,
        keep: bool,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let file = self.inodes.find(inode)?;
        if !self.trash.contains(inode.id) {
            return Err(Status::NotFound);
        }
        let dir = self.directory(parent)?;
        let target = self.find_name(dir, name);
        match target {
            Some(_) if !replace => return Err(Status::Exists),
            Some((_, other)) if self.inodes.get(other).is_directory() => return Err(Status::IsDirectory),
            _ => {}
        }
        self.trash.remove(inode.id);
        let child = self.child(file);
        match target {
            Some((entry, other)) => self.directories.retarget(entry, self.child(other).id, child),
            None => drop(self.directories.insert(self.table_of(dir), name.as_bytes(), child)),
        }
        self.inodes.edit(file, |inode| {
            inode.links = 1;
            inode.touch(cx.at);
        });
        self.inodes.edit(dir, |dir| dir.touch_content(cx.at));
        self.tell_stage(file, &mut cx.effects);
        self.tell_aging(file, &mut cx.effects);
        if let Some((_, other)) = target {
            self.drop_link(other, (dir, name), keep, cx.at, &mut cx.effects);
        }
        Ok(Done::Changed(Answer::Done))
    }
}
