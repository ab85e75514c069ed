//! rename(2) and renameat2(2).

use super::{Context, Done};
use crate::sessions::Answer;
use crate::slab::NONE;
use crate::state::Meta;
use types::{InodeRef, LINKS_MAX, Name, RenameMode, Status};

impl Meta {
    pub(super) fn rename(
        &mut self,
        from: (InodeRef, &Name),
        to: (InodeRef, &Name),
        mode: RenameMode,
        keep: bool,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let from_dir = self.directory(from.0)?;
        let to_dir = self.directory(to.0)?;
        let source = self.find_name(from_dir, from.1).ok_or(Status::NotFound)?;
        let target = self.find_name(to_dir, to.1);
        match (mode, target) {
            (RenameMode::NoReplace, Some(_)) => return Err(Status::Exists),
            (RenameMode::Exchange, None) => return Err(Status::NotFound),
            (_, Some((_, inode))) if inode == source.1 => return Ok(Done::Nothing(Answer::Done)),
            _ => {}
        }
        let moves_directory = self.inodes.get(source.1).is_directory();
        if moves_directory && self.is_within(to_dir, source.1) {
            return Err(Status::Invalid);
        }
        match target {
            Some(target) if mode == RenameMode::Exchange => {
                self.exchange((from_dir, source), (to_dir, target), cx)?;
            }
            _ => self.check_target(moves_directory, target.map(|(_, inode)| inode)).and_then(|()| {
                self.move_entry(
                    Move { from_dir, source, to_dir, target, moves_directory, keep, name: to.1 },
                    cx,
                )
            })?,
        }
        self.inodes.edit(source.1, |inode| inode.touch(cx.at));
        self.inodes.edit(from_dir, |dir| dir.touch_content(cx.at));
        if to_dir != from_dir {
            self.inodes.edit(to_dir, |dir| dir.touch_content(cx.at));
        }
        Ok(Done::Changed(Answer::Done))
    }

    /// Whether `dir` is `above` or lies somewhere below it.
    pub(crate) fn is_within(&self, mut dir: u32, above: u32) -> bool {
        loop {
            if dir == above {
                return true;
            }
            dir = self.inodes.get(dir).place.side;
            if dir == NONE {
                return false;
            }
        }
    }

    /// Whether what is moved may replace the target.
    fn check_target(&self, moves_directory: bool, target: Option<u32>) -> Result<(), Status> {
        let Some(target) = target else { return Ok(()) };
        let target = self.inodes.get(target);
        match (moves_directory, target.is_directory()) {
            (true, false) => Err(Status::NotDirectory),
            (false, true) => Err(Status::IsDirectory),
            (true, true) if self.directories.count(target.place.main) > 0 => Err(Status::NotEmpty),
            _ => Ok(()),
        }
    }

    fn move_entry(&mut self, step: Move<'_>, cx: &mut Context) -> Result<(), Status> {
        let Move { from_dir, source, to_dir, target, moves_directory, keep, name } = step;
        let gains = moves_directory && target.is_none() && from_dir != to_dir;
        if gains && self.inodes.get(to_dir).links >= LINKS_MAX {
            return Err(Status::TooManyLinks);
        }
        let child = self.child(source.1);
        let entry = match target {
            Some((entry, inode)) => {
                self.directories.retarget(entry, self.child(inode).id, child);
                entry
            }
            None => self.directories.insert(self.table_of(to_dir), name.as_bytes(), child),
        };
        self.directories.remove(source.0, child.id);
        self.named_by(source.1, entry);
        if moves_directory {
            self.inodes.place_mut(source.1).side = to_dir;
            self.inodes.edit(from_dir, |dir| dir.links -= 1);
            self.inodes.edit(to_dir, |dir| dir.links += 1);
        }
        match target {
            Some((_, inode)) if moves_directory => {
                self.inodes.edit(to_dir, |dir| dir.links -= 1);
                self.free(inode, &mut cx.effects);
            }
            Some((_, inode)) => self.drop_link(inode, (to_dir, name), keep, cx.at, &mut cx.effects),
            None => {}
        }
        Ok(())
    }

    fn exchange(
        &mut self,
        (from_dir, source): (u32, (u32, u32)),
        (to_dir, target): (u32, (u32, u32)),
        cx: &mut Context,
    ) -> Result<(), Status> {
        let is_directory = |slot| self.inodes.get(slot).is_directory();
        let (first, second) = (is_directory(source.1), is_directory(target.1));
        if second && self.is_within(from_dir, target.1) {
            return Err(Status::Invalid);
        }
        let gainer = match (first, second) {
            (true, false) => Some((to_dir, from_dir)),
            (false, true) => Some((from_dir, to_dir)),
            _ => None,
        };
        let gainer = gainer.filter(|(gains, loses)| gains != loses);
        if gainer.is_some_and(|(gains, _)| self.inodes.get(gains).links >= LINKS_MAX) {
            return Err(Status::TooManyLinks);
        }
        let (here, there) = (self.child(source.1), self.child(target.1));
        self.directories.retarget(source.0, here.id, there);
        self.directories.retarget(target.0, there.id, here);
        self.named_by(source.1, target.0);
        self.named_by(target.1, source.0);
        if first {
            self.inodes.place_mut(source.1).side = to_dir;
        }
        if second {
            self.inodes.place_mut(target.1).side = from_dir;
        }
        if let Some((gains, loses)) = gainer {
            self.inodes.edit(gains, |dir| dir.links += 1);
            self.inodes.edit(loses, |dir| dir.links -= 1);
        }
        self.inodes.edit(target.1, |inode| inode.touch(cx.at));
        Ok(())
    }
}

/// A rename that is not an exchange; `source` and `target` are entry slot and inode slot.
struct Move<'a> {
    from_dir: u32,
    source: (u32, u32),
    to_dir: u32,
    target: Option<(u32, u32)>,
    moves_directory: bool,
    keep: bool,
    name: &'a Name,
}
