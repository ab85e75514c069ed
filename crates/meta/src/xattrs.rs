//! Extended attributes, beside the inodes because most have none.
//!
//! # Invariants
//! 1. Names have 1 to 255 bytes; names and values of one inode have at most `XATTRS_BYTES_MAX` bytes together.
//! 2. An inode without attributes is not in the table.

use crate::digest::{LongItem, Sum, Tag};
use std::collections::BTreeMap;
use types::{InodeId, NAME_BYTES_MAX, Status, XATTR_BYTES_MAX, XATTRS_BYTES_MAX};

/// The attributes of one inode.
pub(crate) type Set = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// All extended attributes.
#[derive(Debug, Default)]
pub(crate) struct Xattrs {
    sets: BTreeMap<InodeId, Set>,
    sum: Sum,
}

/// Prefixes that are served. ACLs (`system.`) come with their own rules.
const NAMESPACES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
/// The attribute that the kernel wants gone whenever setuid would be cleared.
const CAPABILITY: &[u8] = b"security.capability";

/// Whether an attribute of this name may exist.
pub(crate) fn check_name(name: &[u8]) -> Result<(), Status> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Status::NameTooLong);
    }
    let Some(prefix) = NAMESPACES.into_iter().find(|prefix| name.starts_with(prefix)) else {
        return Err(Status::Unsupported);
    };
    if name.len() == prefix.len() || name.contains(&0) { Err(Status::Invalid) } else { Ok(()) }
}

/// Whether the name is in the namespace that only files and directories have.
pub(crate) fn is_user(name: &[u8]) -> bool {
    name.starts_with(b"user.")
}

fn hash(owner: InodeId, name: &[u8], value: &[u8]) -> u128 {
    LongItem::new(Tag::Xattr).u64(owner.0).text(name).text(value).hash()
}

impl Xattrs {
    pub(crate) fn of(&self, owner: InodeId) -> Option<&Set> {
        self.sets.get(&owner)
    }
    pub(crate) fn get(&self, owner: InodeId, name: &[u8]) -> Option<&[u8]> {
        self.sets.get(&owner)?.get(name).map(|value| &**value)
    }

    /// Whether the value fits beside the other attributes.
    pub(crate) fn check_room(&self, owner: InodeId, name: &[u8], value: &[u8]) -> Result<(), Status> {
        if value.len() > XATTR_BYTES_MAX {
            return Err(Status::TooBig);
        }
        let others = self.sets.get(&owner).into_iter().flatten().filter(|(other, _)| ***other != *name);
        let used: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if used + name.len() + value.len() > XATTRS_BYTES_MAX { Err(Status::NoSpace) } else { Ok(()) }
    }

    pub(crate) fn set(&mut self, owner: InodeId, name: &[u8], value: &[u8]) {
        let old = self.sets.entry(owner).or_default().insert(name.into(), value.into());
        if let Some(old) = old {
            self.sum.take(hash(owner, name, &old));
        }
        self.sum.add(hash(owner, name, value));
    }

    /// Whether there was one.
    pub(crate) fn remove(&mut self, owner: InodeId, name: &[u8]) -> bool {
        let Some(set) = self.sets.get_mut(&owner) else { return false };
        let Some(old) = set.remove(name) else { return false };
        if set.is_empty() {
            self.sets.remove(&owner);
        }
        self.sum.take(hash(owner, name, &old));
        true
    }

    /// File capabilities do not survive a change of owner or of content by somebody unprivileged.
    pub(crate) fn remove_capability(&mut self, owner: InodeId) {
        self.remove(owner, CAPABILITY);
    }

    /// The inode is gone.
    pub(crate) fn remove_all(&mut self, owner: InodeId) {
        for (name, value) in self.sets.remove(&owner).into_iter().flatten() {
            self.sum.take(hash(owner, &name, &value));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (InodeId, &[u8], &[u8])> {
        self.sets.iter().flat_map(|(owner, set)| set.iter().map(|(name, value)| (*owner, &**name, &**value)))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(owner, name, value)| sum.add(hash(owner, name, value)));
        sum
    }
}
