//! From an inode back to its path: each directory knows the entry that leads to it.

use crate::slab::NONE;
use crate::state::Meta;
use types::{Name, TRASH_PATH_BYTES_MAX};

impl Meta {
    /// A directory has this entry from now on; of anything else nothing is to be remembered.
    pub(crate) fn named_by(&mut self, child: u32, entry: u32) {
        if self.inodes.get(child).is_directory() {
            self.directories.set_named_by(self.table_of(child), entry);
        }
    }

    /// The path of a name in a directory, from the root. Of a path that is too long the end, without a slash before it.
    pub(crate) fn path_of(&self, mut dir: u32, name: &Name) -> Box<[u8]> {
        let mut parts = vec![name.as_bytes()];
        let mut bytes = 1 + name.as_bytes().len();
        let mut begins_at_root = true;
        while self.inodes.get(dir).place.side != NONE {
            let name =
                self.directories.name_of(self.table_of(dir)).expect("a directory below the root has a name");
            bytes += 1 + name.len();
            if bytes > TRASH_PATH_BYTES_MAX {
                begins_at_root = false;
                break;
            }
            parts.push(name);
            dir = self.inodes.get(dir).place.side;
        }
        let mut path = Vec::with_capacity(bytes);
        for part in parts.into_iter().rev() {
            if begins_at_root || !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        path.into_boxed_slice()
    }
}
