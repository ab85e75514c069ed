//! Storage classes, who has them, and the tasks that give them to whole trees.

use super::{Context, Done};
use crate::api::Effect;
use crate::sessions::Answer;
use crate::state::Meta;
use types::{ClassId, FileKind, InodeRef, Status, StorageClass, TASKS_MAX, TaskId, TaskWork};

const DONE: Result<Done, Status> = Ok(Done::Changed(Answer::Done));
const NOTHING: Result<Done, Status> = Ok(Done::Nothing(Answer::Done));

impl Meta {
    pub(super) fn set_class(
        &mut self,
        class: ClassId,
        definition: &StorageClass,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        self.classes.check(class, definition)?;
        if self.classes.get(class) == Some(definition) {
            return NOTHING;
        }
        self.classes.set(class, definition.clone());
        cx.effects.push(Effect::ClassSet { class });
        DONE
    }

    pub(super) fn delete_class(&mut self, class: ClassId, cx: &mut Context) -> Result<Done, Status> {
        self.classes.get(class).ok_or(Status::NotFound)?;
        if class == ClassId::DEFAULT {
            return Err(Status::NotPermitted);
        }
        if self.inodes.usage(class).inodes > 0 || self.tasks.use_class(class) {
            return Err(Status::Busy);
        }
        self.classes.remove(class);
        self.end_holds(&self.holds.of_class(class), cx);
        cx.effects.push(Effect::ClassGone { class });
        DONE
    }

    pub(super) fn set_inode_class(
        &mut self,
        inodes: &[InodeRef],
        class: ClassId,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        self.classes.get(class).ok_or(Status::NotFound)?;
        let mut changed = false;
        for inode in inodes {
            let Ok(slot) = self.inodes.find(*inode) else { continue };
            if self.inodes.get(slot).class == class.0 {
                continue;
            }
            changed = true;
            self.inodes.edit(slot, |inode| inode.class = class.0);
            let inode = self.inodes.get(slot);
            if inode.kind() == FileKind::File {
                let chunks = self.maps.range(inode.place, 0..=u32::MAX);
                cx.effects.extend(chunks.map(|(_, slot)| Effect::ChunkClass { slot, class }));
                self.age_by_new_class(slot, cx);
            }
        }
        if changed { DONE } else { NOTHING }
    }

    /// Whether a file is archived is for its new class to say.
    fn age_by_new_class(&mut self, file: u32, cx: &mut Context) {
        let was = self.inodes.get(file).is_archived();
        self.inodes.edit(file, |inode| inode.set_archived(false));
        let is_due = self.due_at(self.inodes.get(file)).is_some_and(|due| due <= cx.at);
        self.inodes.edit(file, |inode| inode.set_archived(is_due));
        if was != is_due {
            self.tell_stage(file, &mut cx.effects);
        }
        self.tell_aging(file, &mut cx.effects);
    }

    pub(super) fn archive(&mut self, inodes: &[InodeRef], cx: &mut Context) -> Result<Done, Status> {
        let mut changed = false;
        for inode in inodes {
            let Ok(slot) = self.inodes.find(*inode) else { continue };
            if self.due_at(self.inodes.get(slot)).is_some_and(|due| due <= cx.at) {
                self.inodes.edit(slot, |inode| inode.set_archived(true));
                self.tell_stage(slot, &mut cx.effects);
                changed = true;
            }
        }
        if changed { DONE } else { NOTHING }
    }

    pub(super) fn begin_task(&mut self, work: TaskWork, cx: &Context) -> Result<Done, Status> {
        let TaskWork::SetClass { root, class, from } = work;
        self.directory(root)?;
        self.classes.get(class).ok_or(Status::NotFound)?;
        if let Some(from) = from {
            self.classes.get(from).ok_or(Status::NotFound)?;
        }
        if self.tasks.len() >= TASKS_MAX {
            return Err(Status::TryAgain);
        }
        self.tasks.insert(TaskId(cx.index.0), work);
        DONE
    }

    pub(super) fn end_task(&mut self, task: TaskId) -> Result<Done, Status> {
        if self.tasks.remove(task) { DONE } else { Err(Status::NotFound) }
    }
}
