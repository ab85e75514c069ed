//! New nodes and further names.

use super::{Context, Done};
use crate::inodes::{Inode, MODE_MASK};
use crate::sessions::Answer;
use crate::state::Meta;
use types::{FileKind, InodeRef, LINKS_MAX, Name, NodeSpec, SYMLINK_BYTES_MAX, Status};

const SETGID: u16 = 0o2000;
/// Numbers are given in order from 1, so none comes near this.
const INODE_ID_MAX: u64 = 1 << 62;

fn check_node(node: &NodeSpec) -> Result<(), Status> {
    let target_fits = match node.kind {
        FileKind::Symlink if node.target.is_empty() => return Err(Status::NotFound),
        FileKind::Symlink if node.target.len() > SYMLINK_BYTES_MAX => return Err(Status::NameTooLong),
        FileKind::Symlink => !node.target.contains(&0),
        _ => node.target.is_empty(),
    };
    if target_fits && node.mode <= MODE_MASK { Ok(()) } else { Err(Status::Invalid) }
}

impl Meta {
    pub(super) fn create(
        &mut self,
        parent: InodeRef,
        name: &Name,
        inode: InodeRef,
        node: &NodeSpec,
        exclusive: bool,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let dir = self.directory(parent)?;
        if let Some((_, child)) = self.find_name(dir, name) {
            return match self.inodes.get(child).kind() {
                FileKind::File if !exclusive && node.kind == FileKind::File => {
                    Ok(Done::Nothing(Answer::Entry { attributes: self.attributes_at(child), created: false }))
                }
                FileKind::Directory if !exclusive && node.kind == FileKind::File => Err(Status::IsDirectory),
                _ => Err(Status::Exists),
            };
        }
        check_node(node)?;
        if inode.id.0 == 0 || inode.id.0 > INODE_ID_MAX || self.inodes.find_id(inode.id).is_some() {
            return Err(Status::Invalid);
        }
        let is_directory = node.kind == FileKind::Directory;
        let above = *self.inodes.get(dir);
        if is_directory && above.links >= LINKS_MAX {
            return Err(Status::TooManyLinks);
        }

        let mut new = Inode::new(inode, node.kind, node.mode);
        new.links = if is_directory { 2 } else { 1 };
        (new.uid, new.gid) = (node.owner.uid, node.owner.gid);
        if above.mode() & SETGID != 0 {
            new.gid = above.gid;
            if is_directory {
                new.set_mode(node.mode | SETGID);
            }
        }
        if matches!(node.kind, FileKind::CharDevice | FileKind::BlockDevice) {
            new.place.main = node.device;
        }
        new.class = above.class;
        new.length = node.target.len() as u64;
        (new.accessed, new.modified, new.changed, new.created) = (cx.at, cx.at, cx.at, cx.at);
        let slot = self.make_inode(new, dir, &node.target);
        let entry = self.directories.insert(above.place.main, name.as_bytes(), self.child(slot));
        self.named_by(slot, entry);
        self.inodes.edit(dir, |above| {
            above.links += u32::from(is_directory);
            above.touch_content(cx.at);
        });
        Ok(Done::Changed(Answer::Entry { attributes: self.attributes_at(slot), created: true }))
    }

    pub(super) fn link(
        &mut self,
        inode: InodeRef,
        parent: InodeRef,
        name: &Name,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        let slot = self.inodes.find(inode)?;
        let dir = self.directory(parent)?;
        if self.find_name(dir, name).is_some() {
            return Err(Status::Exists);
        }
        let known = self.inodes.get(slot);
        if known.is_directory() {
            return Err(Status::NotPermitted);
        }
        if known.links == 0 {
            return Err(Status::NotFound);
        }
        if known.links >= LINKS_MAX {
            return Err(Status::TooManyLinks);
        }
        self.directories.insert(self.table_of(dir), name.as_bytes(), self.child(slot));
        self.inodes.edit(slot, |inode| {
            inode.links += 1;
            inode.touch(cx.at);
        });
        self.inodes.edit(dir, |dir| dir.touch_content(cx.at));
        Ok(Done::Changed(Answer::Entry { attributes: self.attributes_at(slot), created: true }))
    }
}
