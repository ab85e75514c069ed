//! Storage classes as the fleet uses them: rules for new chunks and for those that exist.
//!
//! # Invariants
//! 1. Class 0 exists from the start: until it is told otherwise it wants [`FleetOptions::goal`] replicas anywhere.
//! 2. A chunk of a class that nobody told of is treated as one of class 0, but loses nothing.
//! 3. The table's goals are those of the classes' rules for the stages.
//! 4. A class without a rule for a stage leaves chunks where the stage before wanted them.
//!
//! # Elsewhere
//! Looking again at what exists when a class changes: `review`.

use crate::FleetOptions;
use crate::event::ClassPolicies;
use crate::fleet::Fleet;
use placement::{Condition, Held, Layout, Policy, Pool, Rule};
use types::{ChunkSlot, ClassId, Stage};

/// A class in use.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) create: Rule,
    pub(crate) keep: Rule,
    archive: Option<Rule>,
    trash: Option<Rule>,
    /// Fewest replicas that may acknowledge a write, by the number of the stage.
    min_write: [usize; Stage::COUNT],
    /// Disks to read from only when nothing else is left.
    read_last: Option<Condition>,
}

impl Class {
    /// Takes its policies into use.
    pub(crate) fn adopt(policies: &ClassPolicies, pool: &mut Pool) -> Self {
        Self {
            create: pool.adopt(&policies.create),
            keep: pool.adopt(&policies.keep),
            archive: policies.archive.as_ref().map(|policy| pool.adopt(policy)),
            trash: policies.trash.as_ref().map(|policy| pool.adopt(policy)),
            min_write: std::array::from_fn(|number| policies.min_write(Stage::from_number(number))),
            read_last: policies.read_last.clone(),
        }
    }

    /// It is in use no longer.
    pub(crate) fn dismiss(self, pool: &mut Pool) {
        let all = [Some(self.create), Some(self.keep), self.archive, self.trash];
        all.into_iter().flatten().for_each(|rule| pool.dismiss(rule));
    }

    /// Where it wants chunks that exist.
    pub(crate) fn rule(&self, stage: Stage) -> &Rule {
        let archive = self.archive.as_ref().filter(|_| stage.archived);
        let trash = self.trash.as_ref().filter(|_| stage.trashed);
        trash.or(archive).unwrap_or(&self.keep)
    }

    /// Replicas that it wants of a chunk.
    pub(crate) fn goal(&self, stage: Stage) -> usize {
        self.rule(stage).policy().layout.replicas()
    }

    /// Whether it says anything of disks to be read last.
    pub(crate) fn spares_any(&self) -> bool {
        self.read_last.is_some()
    }

    /// Whether a disk is to be read only when nothing else is left.
    pub(crate) fn is_read_last(&self, disk: u16, pool: &Pool) -> bool {
        self.read_last.as_ref().is_some_and(|condition| pool.meets(disk, condition))
    }

    /// Fewest replicas that may acknowledge a write.
    pub(crate) fn min_write(&self, stage: Stage) -> usize {
        self.min_write[stage.number()]
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

    /// Where a chunk is wanted.
    pub(crate) fn rule(&self, slot: ChunkSlot) -> &Rule {
        self.class_of(slot).rule(self.table.stage(slot))
    }

    /// Replicas wanted of a chunk.
    pub(crate) fn goal(&self, slot: ChunkSlot) -> usize {
        self.class_of(slot).goal(self.table.stage(slot))
    }

    /// Fewest replicas of a chunk that may acknowledge a write.
    pub(crate) fn min_write_of(&self, slot: ChunkSlot) -> usize {
        self.class_of(slot).min_write(self.table.stage(slot))
    }

    /// A class was made, edited or deleted.
    pub(crate) fn class_changed(&mut self, class: ClassId, policies: Option<&ClassPolicies>) {
        self.classes.set(class, policies, &mut self.hosts.pool);
        let goals = self
            .classes
            .known(class)
            .map(|class| std::array::from_fn(|number| class.goal(Stage::from_number(number))));
        self.table.set_goals(class, goals);
        self.review.class(class, self.is_introduced());
        self.choose_again(|_| true);
    }

    /// A chunk has another class.
    pub(crate) fn chunk_class(&mut self, slot: ChunkSlot, class: ClassId) {
        self.table.set_class(slot, class);
        self.choose_again(|one| one == slot);
        self.look_after_edit(slot);
    }

    /// A chunk's file is in another stage.
    pub(crate) fn chunk_stage(&mut self, slot: ChunkSlot, stage: Stage) {
        let class = self.class_of(slot);
        let same = std::ptr::eq(class.rule(self.table.stage(slot)), class.rule(stage));
        if !same {
            self.review_now(slot);
        }
        self.table.set_stage(slot, stage);
        if !same {
            self.choose_again(|one| one == slot);
            self.look_again(slot);
        }
    }

    /// Replicas on these disks, as placement sees them.
    pub(crate) fn held(&self, disks: impl Iterator<Item = u16>) -> Vec<Held> {
        disks.map(|disk| Held { disk, leaving: self.table.is_leaving(disk), lagging: false }).collect()
    }
}
