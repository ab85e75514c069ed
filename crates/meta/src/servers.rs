//! The registry of servers: what people call them, where they were reached last, their labels and marks.

use crate::api::KnownServer;
use crate::digest::{LongItem, Sum, Tag, labels_and_mark};
use std::collections::BTreeMap;
use types::ServerId;

/// All servers that ever registered and were not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    servers: BTreeMap<ServerId, KnownServer>,
    sum: Sum,
}

fn hash(server: ServerId, known: &KnownServer) -> u128 {
    let item =
        LongItem::new(Tag::Server).text(&server.0).text(known.name.as_bytes()).text(known.address.as_bytes());
    labels_and_mark(item, &known.labels, known.mark).hash()
}

impl Servers {
    pub(crate) fn get(&self, server: ServerId) -> Option<&KnownServer> {
        self.servers.get(&server)
    }
    pub(crate) fn set(&mut self, server: ServerId, known: KnownServer) {
        self.sum.add(hash(server, &known));
        if let Some(old) = self.servers.insert(server, known) {
            self.sum.take(hash(server, &old));
        }
    }
    pub(crate) fn remove(&mut self, server: ServerId) {
        if let Some(gone) = self.servers.remove(&server) {
            self.sum.take(hash(server, &gone));
        }
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ServerId, &KnownServer)> {
        self.servers.iter().map(|(server, known)| (*server, known))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(server, known)| sum.add(hash(server, known)));
        sum
    }
}
