//! Labels of servers and disks: those of the metadata, and until it has any, those that a server registered with.
//!
//! # Invariants
//! 1. The pool has each disk under the labels that count now, those of its server included.
//! 2. When they change, the chunks on the disk are looked at again; no others.

use crate::fleet::Fleet;
use crate::hosts::Hosts;
use std::collections::BTreeMap;
use types::{DiskId, Holder, Label, Labels, ServerId};

/// Labels by the metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToldLabels {
    servers: BTreeMap<ServerId, Labels>,
    disks: BTreeMap<DiskId, Labels>,
}

impl ToldLabels {
    /// These labels for a server or a disk.
    pub(crate) fn set(&mut self, holder: Holder, labels: Labels) {
        match holder {
            Holder::Server(server) => self.servers.insert(server, labels),
            Holder::Disk(disk) => self.disks.insert(disk, labels),
        };
    }

    /// The metadata know it no longer.
    pub(crate) fn forget_server(&mut self, server: ServerId) {
        self.servers.remove(&server);
    }

    /// The same of a disk.
    pub(crate) fn forget_disk(&mut self, disk: DiskId) {
        self.disks.remove(&disk);
    }
}

/// What a server says of itself is taken as far as it can be.
fn registered(words: &[String]) -> Labels {
    let mut labels = Labels::default();
    for label in words.iter().filter_map(|word| Label::new(word).ok()) {
        let _ = labels.insert(label);
    }
    labels
}

impl Hosts {
    /// Labels that count for a disk, those of its server included.
    pub(crate) fn labels(&self, number: u16) -> Labels {
        self.labels_by(&self.told, number)
    }

    /// Labels that would count for it, if the metadata had these.
    pub(crate) fn labels_by(&self, told: &ToldLabels, number: u16) -> Labels {
        let (disk, server) = (self.disk(number), self.server_of(number));
        let own = told.disks.get(&disk.id).cloned().unwrap_or_else(|| registered(&disk.labels));
        let of_server = told.servers.get(&server.id).cloned();
        own.over(&of_server.unwrap_or_else(|| registered(&server.labels)))
    }

    /// Disks whose labels change with those of a server or a disk, whose they are, and what they have then.
    pub(crate) fn labels_with(&self, holder: Holder, labels: &Labels) -> Vec<(u16, u16, Labels)> {
        let numbers = 0..self.disks.len() as u16;
        let concerned = numbers.filter(|number| match holder {
            Holder::Disk(disk) => self.disk(*number).id == disk,
            Holder::Server(server) => self.server_of(*number).id == server,
        });
        let then = |number: u16| {
            let (disk, server) = (self.disk(number), self.server_of(number));
            let own = || self.told.disks.get(&disk.id).cloned().unwrap_or_else(|| registered(&disk.labels));
            let above =
                || self.told.servers.get(&server.id).cloned().unwrap_or_else(|| registered(&server.labels));
            let all = match holder {
                Holder::Disk(_) => labels.over(&above()),
                Holder::Server(_) => own().over(labels),
            };
            (number, disk.server, all)
        };
        concerned.map(then).collect()
    }

    /// Keeps invariant 1 for a disk. True: something changed.
    pub(crate) fn relabel(&mut self, number: u16) -> bool {
        let (labels, server) = (self.labels(number), self.disk(number).server);
        self.pool.set(number, server, &labels)
    }
}

impl Fleet {
    /// The metadata has these labels for a server.
    pub(crate) fn server_labels(&mut self, server: ServerId, labels: Labels) {
        let told = self.hosts.told.servers.insert(server, labels.clone());
        let Some(number) = self.hosts.server_number(server) else { return };
        for disk in self.hosts.servers[usize::from(number)].disks.clone() {
            self.relabel(disk, told.as_ref() != Some(&labels));
        }
    }

    /// The metadata has these labels for a disk.
    pub(crate) fn disk_labels(&mut self, disk: DiskId, labels: Labels) {
        let told = self.hosts.told.disks.insert(disk, labels.clone());
        if let Some(number) = self.hosts.disk_number(disk) {
            self.relabel(number, told.as_ref() != Some(&labels));
        }
    }

    /// `edited`: other labels than the metadata had before.
    fn relabel(&mut self, disk: u16, edited: bool) {
        if self.hosts.relabel(disk) {
            self.review.disk(disk, edited && self.is_introduced());
            self.choose_again(|_| true);
            self.healing.wake();
        }
    }

    /// A disk has other labels, or another server.
    pub(crate) fn moved(&mut self, disk: u16) {
        self.review.disk(disk, false);
        self.healing.wake();
    }
}
