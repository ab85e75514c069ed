//! The registry of disks: the counter in each disk's stamp, by which a rolled-back or cloned disk is known, and what
//! operators said of it.

use crate::api::KnownDisk;
use crate::digest::{Item, LongItem, Sum, Tag, labels_and_mark};
use std::collections::BTreeMap;
use types::{DiskId, Mark};

/// All disks that ever registered and were not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    disks: BTreeMap<DiskId, KnownDisk>,
    sum: Sum,
}

/// A disk of which nothing but its registration is known is one item, as it was before there was more to know.
fn sum_of(disk: DiskId, known: &KnownDisk) -> Sum {
    let mut sum = Sum::default();
    sum.add(Item::<48>::new(Tag::Disk).raw(&disk.0).raw(&known.server.0).u64(known.registrations).hash());
    if !known.path.is_empty() || !known.labels.is_empty() || known.mark != Mark::None {
        let item = LongItem::new(Tag::DiskDetails).text(&disk.0).text(known.path.as_bytes());
        sum.add(labels_and_mark(item, &known.labels, known.mark).hash());
    }
    sum
}

impl Disks {
    pub(crate) fn get(&self, disk: DiskId) -> Option<&KnownDisk> {
        self.disks.get(&disk)
    }
    pub(crate) fn set(&mut self, disk: DiskId, known: KnownDisk) {
        self.sum.merge(sum_of(disk, &known));
        if let Some(old) = self.disks.insert(disk, known) {
            self.sum.split(sum_of(disk, &old));
        }
    }
    pub(crate) fn remove(&mut self, disk: DiskId) {
        if let Some(gone) = self.disks.remove(&disk) {
            self.sum.split(sum_of(disk, &gone));
        }
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DiskId, &KnownDisk)> {
        self.disks.iter().map(|(disk, known)| (*disk, known))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(disk, known)| sum.merge(sum_of(disk, known)));
        sum
    }
}
