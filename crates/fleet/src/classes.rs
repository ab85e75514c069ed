//! Storage classes as the fleet uses them: rules for new chunks and for those that exist.
//!
//! # Invariants
//! 1. Class 0 exists from the start: until it is told otherwise it wants [`FleetOptions::goal`] replicas anywhere.
//! 2. A chunk of a class that nobody told of is treated as one of class 0, but loses nothing.
//! 3. The table's goals are those of the classes' `keep`.
//!
//! # Elsewhere
//! Looking again at what exists when a class changes: `review`.

use crate::FleetOptions;
use crate::event::ClassPolicies;
use crate::fleet::Fleet;
use placement::{Held, Layout, Policy, Pool, Rule};
use types::{ChunkSlot, ClassId};

/// A class in use.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) create: Rule,
    pub(crate) keep: Rule,
    /// Fewest replicas that may acknowledge a write.
    pub(crate) min_write: usize,
}

impl Class {
    fn adopt(policies: &ClassPolicies, pool: &mut Pool) -> Self {
        Self {
            create: pool.adopt(&policies.create),
            keep: pool.adopt(&policies.keep),
            min_write: policies.min_write(),
        }
    }

    fn dismiss(self, pool: &mut Pool) {
        pool.dismiss(self.create);
        pool.dismiss(self.keep);
    }

    /// Replicas that it wants of a chunk.
    pub(crate) fn goal(&self) -> usize {
        self.keep.policy().layout.replicas()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Classes {
    default: Class,
    others: Vec<Option<Class>>,
}

impl Classes {
    pub(crate) fn new(options: &FleetOptions, pool: &mut Pool) -> Self {
        let policies = ClassPolicies::same(Policy::new(Layout::anywhere(options.goal)));
        Self { default: Class::adopt(&policies, pool), others: Vec::new() }
    }

    /// The class, or what stands in for it.
    pub(crate) fn get(&self, class: ClassId) -> &Class {
        self.known(class).unwrap_or(&self.default)
    }

    /// The class, if it was told.
    pub(crate) fn known(&self, class: ClassId) -> Option<&Class> {
        match usize::from(class.0).checked_sub(1) {
            None => Some(&self.default),
            Some(at) => self.others.get(at)?.as_ref(),
        }
    }

    /// What each class wants of chunks that exist.
    pub(crate) fn keeps(&self) -> impl Iterator<Item = (ClassId, Rule)> + '_ {
        let others = (1u16..).zip(&self.others);
        let others = others.filter_map(|(id, class)| Some((ClassId(id), class.as_ref()?.keep.clone())));
        std::iter::once((ClassId(0), self.default.keep.clone())).chain(others)
    }

    /// Sets what a class wants; `None`: it is no more.
    pub(crate) fn set(&mut self, class: ClassId, policies: Option<&ClassPolicies>, pool: &mut Pool) {
        let new = policies.map(|policies| Class::adopt(policies, pool));
        let old = match (usize::from(class.0).checked_sub(1), new) {
            (None, Some(new)) => Some(std::mem::replace(&mut self.default, new)),
            (None, None) => None,
            (Some(at), new) => {
                if at >= self.others.len() {
                    self.others.resize_with(at + 1, || None);
                }
                std::mem::replace(&mut self.others[at], new)
            }
        };
        if let Some(old) = old {
            old.dismiss(pool);
        }
    }
}

impl Fleet {
    /// The class of a chunk.
    pub(crate) fn class_of(&self, slot: ChunkSlot) -> &Class {
        self.classes.get(self.table.class(slot))
    }

    /// Replicas wanted of a chunk.
    pub(crate) fn goal(&self, slot: ChunkSlot) -> usize {
        self.class_of(slot).goal()
    }

    /// A class was made, edited or deleted.
    pub(crate) fn class_changed(&mut self, class: ClassId, policies: Option<&ClassPolicies>) {
        self.classes.set(class, policies, &mut self.hosts.pool);
        self.table.set_goal(class, self.classes.known(class).map(Class::goal));
        self.review.class(class, self.is_introduced());
    }

    /// A chunk has another class.
    pub(crate) fn chunk_class(&mut self, slot: ChunkSlot, class: ClassId, now_ms: u64) {
        self.table.set_class(slot, class);
        self.look_after_edit(slot, now_ms);
    }

    /// Replicas on these disks, as placement sees them.
    pub(crate) fn held(&self, disks: impl Iterator<Item = u16>) -> Vec<Held> {
        disks.map(|disk| Held { disk, leaving: self.table.is_leaving(disk), lagging: false }).collect()
    }
}
