//! Limits of healing, as operators set them.

use crate::digest::{LongItem, Sum, Tag};
use std::collections::BTreeMap;
use types::{Limit, LimitScope};

/// All limits.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    limits: BTreeMap<LimitScope, Limit>,
    sum: Sum,
}

fn hash(scope: &LimitScope, limit: Limit) -> u128 {
    let item = LongItem::new(Tag::Limit);
    let item = match scope {
        LimitScope::Server(server) => item.u64(0).text(&server.0),
        LimitScope::Pair { from, to } => {
            item.u64(1).text(from.as_str().as_bytes()).text(to.as_str().as_bytes())
        }
    };
    item.u64(limit.copies.map_or(0, u64::from)).u64(limit.bytes_per_s.unwrap_or(0)).hash()
}

impl Limits {
    pub(crate) fn get(&self, scope: &LimitScope) -> Option<Limit> {
        self.limits.get(scope).copied()
    }
    pub(crate) fn set(&mut self, scope: LimitScope, limit: Limit) {
        self.remove(&scope);
        self.sum.add(hash(&scope, limit));
        self.limits.insert(scope, limit);
    }
    pub(crate) fn remove(&mut self, scope: &LimitScope) -> bool {
        let gone = self.limits.remove(scope);
        gone.inspect(|limit| self.sum.take(hash(scope, *limit))).is_some()
    }
    pub(crate) fn len(&self) -> usize {
        self.limits.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&LimitScope, Limit)> {
        self.limits.iter().map(|(scope, limit)| (scope, *limit))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(scope, limit)| sum.add(hash(scope, limit)));
        sum
    }
}
