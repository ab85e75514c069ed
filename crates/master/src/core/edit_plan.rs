//! What an edit of a class, of labels, or of the class of files would take, before it is made.
//!
//! The change is checked as if it were made, and refused for the same reasons. What it does to a chunk the fleet says.
//!
//! # Invariants
//! 1. Nothing is changed, and no step looks at more than a bounded part of the chunks (`looks`).

use super::Core;
use super::classes::{refuse, unmet};
use super::looks::{Look, STEP_CHUNKS_MAX};
use super::tasks::{Running, wants};
use codec::admin::{Change, EditPlan, RefusalKind};
use fleet::{ClassPolicies, Edit, EditEffect};
use rpc::admin::AdminError;
use tokio::sync::oneshot;
use types::{CHUNK_BYTES, ChunkIndex, ChunkSlot, ClassId, FileKind, InodeRef, Status, TaskWork};

/// Answers an operator who asks what a change would take.
pub(crate) type EditPlanAnswerer = oneshot::Sender<Result<EditPlan, AdminError>>;

/// Which chunks are looked at yet.
enum Left {
    /// Those that the fleet finds.
    Table,
    /// Those of files that are to have a class; a walk over the tree finds them.
    Files { class: ClassId, walk: Option<Box<Running>>, found: Vec<(InodeRef, ChunkIndex)> },
    /// None.
    Nothing,
}

/// A plan that is being made.
struct Planning {
    effects: fleet::EditPlan,
    left: Left,
    plan: EditPlan,
    answer: EditPlanAnswerer,
}

impl Look for Planning {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn step(mut self: Box<Self>, core: &Core) -> Option<Box<dyn Look>> {
        if self.look(core) {
            return Some(self);
        }
        // Whoever asked may have given up waiting.
        drop(self.answer.send(Ok(self.plan)));
        None
    }
}

impl Planning {
    /// Takes a step. False: there is nothing left.
    fn look(&mut self, core: &Core) -> bool {
        let Self { effects, left, plan, .. } = self;
        match left {
            Left::Nothing => false,
            Left::Table => match core.fleet.go_on_with_edit(effects) {
                Some(found) => {
                    found.iter().for_each(|(slot, effect)| core.count_effect(plan, *slot, effect));
                    true
                }
                None => false,
            },
            Left::Files { class, walk, found } => {
                let Some((inode, from)) = found.pop() else {
                    let Some(running) = walk else { return false };
                    core.look_further(running);
                    found.extend(running.found.drain(..).map(|inode| (inode, ChunkIndex(0))));
                    if running.walk.is_empty() {
                        *walk = None;
                    }
                    return true;
                };
                let views = core.meta.chunks_after(inode, from, STEP_CHUNKS_MAX).unwrap_or_default();
                for view in &views {
                    let effect = core.fleet.edit_effect(effects, view.slot, *class);
                    core.count_effect(plan, view.slot, &effect);
                }
                let last = views.last().filter(|_| views.len() == STEP_CHUNKS_MAX);
                let next = last.and_then(|last| last.index.0.checked_add(1));
                found.extend(next.map(|next| (inode, ChunkIndex(next))));
                true
            }
        }
    }
}

impl Core {
    /// Begins a plan; it is given when all chunks concerned were looked at.
    pub(super) fn edit_plan_wanted(&mut self, change: Change, answer: EditPlanAnswerer) {
        if self.looks.is_full() {
            return drop(answer.send(Err(refuse(RefusalKind::TooMany, "plans"))));
        }
        match self.begin_edit_plan(change) {
            Ok((edit, left, mut plan)) => {
                let pace = self.fleet.pace();
                (plan.timed, plan.copy_ms, plan.at_once) = (pace.copies, pace.mean_ms, pace.at_once);
                plan.hold_ms = u64::try_from(self.config.hold_surplus.as_millis()).unwrap_or(u64::MAX);
                let serves = |disk: &fleet::DiskView<'_>| disk.up && disk.removal.is_none();
                plan.room_bytes = self.fleet.disks().filter(serves).map(|disk| disk.free_bytes).sum();
                self.looks.begin(Planning { effects: self.fleet.plan_edit(&edit), left, plan, answer });
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn begin_edit_plan(&self, change: Change) -> Result<(Edit, Left, EditPlan), AdminError> {
        let mut plan = EditPlan::default();
        let mut lacks = |class: &types::StorageClass| plan.unmet = unmet(class, &mut self.fleet.prospect());
        let (edit, left) = match change {
            Change::PutClass { before, class, allow_unsatisfiable } => {
                let (id, class) = self.class_to_put(before.as_deref(), *class, allow_unsatisfiable)?;
                lacks(&class);
                let policies = ClassPolicies::of(&class).map_err(|_| AdminError::Refused(Status::Invalid))?;
                (Edit::Class(id, Box::new(policies)), before.map_or(Left::Nothing, |_| Left::Table))
            }
            Change::SetLabels { holder, disk, add, remove, replace } => {
                let (holder, _, after) = self.labels_to_set(&holder, disk, &add, &remove, replace)?;
                (Edit::Labels(holder, after), Left::Table)
            }
            Change::DeleteClass(name) => {
                // One that anything has is not deleted.
                self.find_class(&name)?;
                (Edit::Files, Left::Nothing)
            }
            Change::GiveClass { target, class, from, recursive } => {
                let id = self.find_class(&class)?;
                self.meta.class(id).into_iter().for_each(lacks);
                let from = from.map(|from| self.find_class(&from)).transpose()?;
                let (path, attributes) = self.find_file(target).map_err(AdminError::Refused)?;
                let root = attributes.inode;
                let work = TaskWork::SetClass { root, class: id, from };
                let has = self.meta.class_of(root).map_err(AdminError::Refused)?;
                let is_tree = recursive && attributes.kind == FileKind::Directory;
                let walk = is_tree.then(|| Box::new(self.walk(work, path)));
                let found =
                    if !is_tree && wants(work, has) { vec![(root, ChunkIndex(0))] } else { Vec::new() };
                (Edit::Files, Left::Files { class: id, walk, found })
            }
            _ => return Err(AdminError::Refused(Status::Unsupported)),
        };
        Ok((edit, left, plan))
    }

    fn count_effect(&self, plan: &mut EditPlan, slot: ChunkSlot, effect: &EditEffect) {
        if *effect == EditEffect::default() {
            return;
        }
        let found = self.meta.owner_of(slot).map(|(view, owner)| (view.index, owner.inode));
        let length =
            found.and_then(|(_, inode)| self.meta.attributes(inode).ok()).map_or(0, |file| file.length);
        let before = found.map_or(0, |(index, _)| u64::from(index.0) * CHUNK_BYTES);
        let bytes = length.saturating_sub(before).min(CHUNK_BYTES);
        let count = |number: usize| number as u64;
        plan.chunks += 1;
        plan.add += count(effect.add);
        plan.add_bytes += count(effect.add) * bytes;
        plan.drop += count(effect.drop);
        plan.drop_bytes += count(effect.drop) * bytes;
        plan.lacking += count(effect.lacking);
        plan.amiss += count(effect.amiss);
    }
}
