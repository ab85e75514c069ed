//! The registry of disks: the counter in each disk's stamp, by which a rolled-back or cloned disk is known.

use crate::api::DiskRegistration;
use crate::digest::{Item, Sum, Tag};
use std::collections::BTreeMap;
use types::DiskId;

/// All disks that ever registered.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    disks: BTreeMap<DiskId, DiskRegistration>,
    sum: Sum,
}

fn hash(disk: DiskId, entry: DiskRegistration) -> u128 {
    Item::<48>::new(Tag::Disk).raw(&disk.0).raw(&entry.server.0).u64(entry.registrations).hash()
}

impl Disks {
    pub(crate) fn get(&self, disk: DiskId) -> Option<DiskRegistration> {
        self.disks.get(&disk).copied()
    }
    pub(crate) fn set(&mut self, disk: DiskId, entry: DiskRegistration) {
        if let Some(old) = self.disks.insert(disk, entry) {
            self.sum.take(hash(disk, old));
        }
        self.sum.add(hash(disk, entry));
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DiskId, DiskRegistration)> {
        self.disks.iter().map(|(disk, entry)| (*disk, *entry))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(disk, entry)| sum.add(hash(disk, entry)));
        sum
    }
}
