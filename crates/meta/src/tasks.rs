//! Tasks under way. How far they are is the master's: after a start they begin anew.

use crate::digest::{Item, Sum, Tag};
use std::collections::BTreeMap;
use types::{ClassId, TaskId, TaskWork};

/// All tasks that have begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    tasks: BTreeMap<TaskId, TaskWork>,
    sum: Sum,
}

fn hash(task: TaskId, work: &TaskWork) -> u128 {
    let TaskWork::SetClass { root, class, from } = work;
    Item::<40>::new(Tag::Task)
        .u64(task.0)
        .u64(root.id.0)
        .u32(root.generation.0)
        .u16(class.0)
        .u8(u8::from(from.is_some()))
        .u16(from.unwrap_or_default().0)
        .hash()
}

impl Tasks {
    pub(crate) fn insert(&mut self, task: TaskId, work: TaskWork) {
        self.sum.add(hash(task, &work));
        self.tasks.insert(task, work);
    }
    pub(crate) fn remove(&mut self, task: TaskId) -> bool {
        let gone = self.tasks.remove(&task);
        gone.inspect(|work| self.sum.take(hash(task, work))).is_some()
    }
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }
    pub(crate) fn contains(&self, task: TaskId) -> bool {
        self.tasks.contains_key(&task)
    }
    /// Whether a task gives this class or looks for it.
    pub(crate) fn use_class(&self, id: ClassId) -> bool {
        self.tasks.values().any(|TaskWork::SetClass { class, from, .. }| *class == id || *from == Some(id))
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskId, &TaskWork)> {
        self.tasks.iter().map(|(task, work)| (*task, work))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(task, work)| sum.add(hash(task, work)));
        sum
    }
}
