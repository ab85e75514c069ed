//! Storage classes by id, and the ids that were given.
//!
//! # Invariants
//! 1. An id is given once: in order, and not again when its class is gone. So what names a class by its id, and comes
//!    late, never means another one.
//! 2. Two classes have different names.
//! 3. A class changes only through functions here that keep the digest.

use crate::digest::{Item, LongItem, Sum, Tag};
use std::collections::BTreeMap;
use types::{CLASSES_MAX, ClassId, Expression, Status, StorageClass};

/// All classes.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    classes: BTreeMap<ClassId, StorageClass>,
    /// All ids below were given at some time.
    given: u32,
    sum: Sum,
}

fn hash(id: ClassId, class: &StorageClass) -> u128 {
    definition(LongItem::new(Tag::Class).u64(id.0.into()), class).hash()
}

/// Adds what a class asks for.
pub(crate) fn definition(item: LongItem, class: &StorageClass) -> LongItem {
    let text = |expression: Option<&Expression>| expression.map_or("", Expression::as_str).to_owned();
    let archive = class.archive.as_ref();
    item.text(class.name.as_str().as_bytes())
        .text(class.keep.as_str().as_bytes())
        .text(text(class.create.as_ref()).as_bytes())
        .text(text(archive.map(|archive| &archive.to)).as_bytes())
        .u64(archive.map_or(0, |archive| archive.after_s))
        .u64(archive.map_or(0, |archive| archive.by.code().into()))
        .u64(archive.map_or(0, |archive| archive.min_size))
        .u64(archive.map_or(0, |archive| archive.reversible.into()))
        .text(text(class.trash.as_ref()).as_bytes())
        .u64(class.trash_keep_s)
        .u64(class.mode.code().into())
        .text(class.spread.to_string().as_bytes())
        .u64(class.min_write.map_or(0, u64::from))
        .text(text(class.read_last.as_ref()).as_bytes())
}

fn hash_given(given: u32) -> u128 {
    Item::<8>::new(Tag::ClassesGiven).u32(given).hash()
}

impl Classes {
    pub(crate) fn get(&self, id: ClassId) -> Option<&StorageClass> {
        self.classes.get(&id)
    }

    pub(crate) fn find(&self, name: &str) -> Option<ClassId> {
        self.classes.iter().find(|(_, class)| class.name.as_str() == name).map(|(id, _)| *id)
    }

    /// The lowest id that was never given.
    pub(crate) fn next_id(&self) -> Option<ClassId> {
        u16::try_from(self.given).ok().map(ClassId)
    }

    pub(crate) fn given(&self) -> u32 {
        self.given
    }

    /// Whether a class may be made, or changed to this.
    pub(crate) fn check(&self, id: ClassId, class: &StorageClass) -> Result<(), Status> {
        match self.get(id) {
            None if u32::from(id.0) < self.given => return Err(Status::NotFound),
            None if self.classes.len() >= CLASSES_MAX => return Err(Status::TooBig),
            None if self.next_id() != Some(id) => return Err(Status::Invalid),
            Some(known) if id == ClassId::DEFAULT && known.name != class.name => {
                return Err(Status::NotPermitted);
            }
            _ => {}
        }
        match self.find(class.name.as_str()) {
            Some(other) if other != id => Err(Status::Exists),
            _ if class.in_range() => Ok(()),
            _ => Err(Status::Invalid),
        }
    }

    /// Puts in a class that was checked.
    pub(crate) fn set(&mut self, id: ClassId, class: StorageClass) {
        self.sum.add(hash(id, &class));
        if let Some(old) = self.classes.insert(id, class) {
            self.sum.take(hash(id, &old));
        }
        self.give(u32::from(id.0) + 1);
    }

    pub(crate) fn remove(&mut self, id: ClassId) -> Option<StorageClass> {
        let gone = self.classes.remove(&id)?;
        self.sum.take(hash(id, &gone));
        Some(gone)
    }

    /// All ids below are given.
    pub(crate) fn give(&mut self, given: u32) {
        if given > self.given {
            if self.given > 0 {
                self.sum.take(hash_given(self.given));
            }
            self.given = given;
            self.sum.add(hash_given(given));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClassId, &StorageClass)> {
        self.classes.iter().map(|(id, class)| (*id, class))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut again = Self::default();
        self.iter().for_each(|(id, class)| again.set(id, class.clone()));
        again.give(self.given);
        again.sum
    }
}
