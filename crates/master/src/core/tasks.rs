//! Tasks: large changes in small steps, between which everybody else is served.
//!
//! A task that gives a class to a tree walks it depth first: a directory before what is in it, so that what is made
//! meanwhile in a place where the walk has been inherits the new class. What is moved from a place where the walk has not been
//! to one where it has been keeps its class.
//!
//! # Invariants
//! 1. A step looks at no more than [`STEP_INODES_MAX`] inodes and makes at most one record.
//! 2. A walk remembers one place for each level of the tree, however large the tree is.
//! 3. What has left the tree is left alone.
//! 4. A task that a restart of the master interrupted begins anew; what has its class already is passed over.

use super::Core;
use super::classes::refuse;
use codec::admin::{Changed, FileTarget, RefusalKind, TaskStatus};
use rpc::admin::AdminError;
use std::collections::BTreeMap;
use types::{ClassId, ClassName, DirCursor, FileKind, InodeRef, Op, Status, TaskId, TaskWork};

/// Inodes of one step, and of its record.
const STEP_INODES_MAX: usize = 256;
/// Chunks of the files of one step, beyond the first file's: the fleet is told of each.
const STEP_CHUNKS_MAX: u64 = 4_096;

/// All tasks.
#[derive(Default)]
pub(super) struct Tasks {
    running: BTreeMap<TaskId, Running>,
    /// The one whose turn it was last.
    last: TaskId,
    /// A step could not be recorded: the next tick tries again.
    held_up: bool,
}

impl Tasks {
    /// Whether there is a step to be done now.
    pub(super) fn can_go_on(&self) -> bool {
        !self.running.is_empty() && !self.held_up
    }
}

pub(super) struct Running {
    work: TaskWork,
    /// The path that the operator gave.
    path: Vec<u8>,
    /// Directories from the root down, and where the walk goes on in each.
    pub(super) walk: Vec<(InodeRef, DirCursor)>,
    /// To be recorded.
    pub(super) found: Vec<InodeRef>,
    looked: u64,
    changed: u64,
    since_ms: u64,
}

impl Core {
    /// Takes up the tasks of the metadata.
    pub(super) fn take_up_tasks(&mut self) {
        let tasks: Vec<(TaskId, TaskWork)> = self.meta.tasks().map(|(task, work)| (task, *work)).collect();
        for (task, work) in tasks {
            self.take_up(task, work, Vec::new());
        }
    }

    fn take_up(&mut self, task: TaskId, work: TaskWork, path: Vec<u8>) {
        let running = self.walk(work, path);
        self.tasks.running.insert(task, running);
    }

    /// The beginning of a walk over a tree.
    pub(super) fn walk(&self, work: TaskWork, path: Vec<u8>) -> Running {
        let TaskWork::SetClass { root, .. } = work;
        let mut running = Running {
            work,
            path,
            walk: vec![(root, DirCursor(0))],
            found: Vec::new(),
            looked: 1,
            changed: 0,
            since_ms: self.now_ms(),
        };
        if self.meta.class_of(root).is_ok_and(|class| wants(work, class)) {
            running.found.push(root);
        }
        running
    }

    /// Gives a class to one inode, or begins a task for a tree.
    pub(super) fn give_class(
        &mut self,
        target: FileTarget,
        class: &ClassName,
        from: Option<&ClassName>,
        recursive: bool,
    ) -> Result<Changed, AdminError> {
        let id = self.find_class(class)?;
        let from_id = from.map(|from| self.find_class(from)).transpose()?;
        let (path, attributes) = self.find_file(target).map_err(AdminError::Refused)?;
        let inode = attributes.inode;
        let from_name = from.map(ToString::to_string).unwrap_or_default();
        if recursive && attributes.kind == FileKind::Directory {
            let work = TaskWork::SetClass { root: inode, class: id, from: from_id };
            match self.log(None, Op::BeginTask { work }).reply {
                Err(Status::TryAgain) => return Err(refuse(RefusalKind::TooMany, "tasks")),
                other => other.map_err(AdminError::Refused)?,
            };
            let task = TaskId(self.applied().0);
            tracing::info!(%task, %class, from = %from_name, inode = %inode.id, "a task gives a class to a tree");
            self.take_up(task, work, path);
            return Ok(Changed::Task(task));
        }
        let has = self.meta.class_of(inode).map_err(AdminError::Refused)?;
        if !wants(TaskWork::SetClass { root: inode, class: id, from: from_id }, has) {
            return Ok(Changed::Inodes(0));
        }
        self.hold_for_inodes(&[inode], id)?;
        self.log_change(Op::SetInodeClass { inodes: vec![inode], class: id })?;
        tracing::info!(%class, from = %from_name, inode = %inode.id, "an inode has another class");
        Ok(Changed::Inodes(1))
    }

    pub(super) fn cancel_task(&mut self, task: TaskId) -> Result<Changed, AdminError> {
        if !self.tasks.running.contains_key(&task) {
            return Err(refuse(RefusalKind::NoSuchTask, task));
        }
        self.log_change(Op::EndTask { task })?;
        self.tasks.running.remove(&task);
        tracing::info!(%task, "a task was cancelled");
        Ok(Changed::Done)
    }

    /// All tasks and how far they are.
    pub(super) fn task_statuses(&self) -> Vec<TaskStatus> {
        let now_ms = self.now_ms();
        let name =
            |class: ClassId| self.meta.class(class).map(|class| class.name.to_string()).unwrap_or_default();
        let status = |(task, running): (&TaskId, &Running)| {
            let TaskWork::SetClass { root, class, from } = running.work;
            let instead = from.map_or_else(String::new, |from| format!(" instead of {}", name(from)));
            let place = match &*running.path {
                [] => format!("inode {}", root.id),
                path => String::from_utf8_lossy(path).into_owned(),
            };
            // Of the whole tree it is known how much there is.
            let total = if root == InodeRef::ROOT { self.meta.counts().inodes } else { 0 };
            TaskStatus {
                task: *task,
                what: format!("class {}{instead} for {place} and all below", name(class)),
                path: running.path.clone(),
                looked: running.looked,
                changed: running.changed,
                total,
                since_ms_ago: now_ms.saturating_sub(running.since_ms),
            }
        };
        self.tasks.running.iter().map(status).collect()
    }

    /// A step now and then, also when others never stop asking, or the last one could not be recorded.
    pub(super) fn retry_tasks(&mut self) {
        self.tasks.held_up = false;
        self.task_step();
    }

    /// One step of the task whose turn it is.
    pub(super) fn task_step(&mut self) {
        let after = self.tasks.last;
        let mut next = self.tasks.running.range(TaskId(after.0 + 1)..).map(|(task, _)| *task);
        let turn = next.next().or_else(|| self.tasks.running.keys().next().copied());
        let Some(task) = turn else { return };
        self.tasks.last = task;
        let Some(mut running) = self.tasks.running.remove(&task) else { return };
        self.look_further(&mut running);
        let TaskWork::SetClass { class, .. } = running.work;
        let mut recorded = Ok(());
        if !running.found.is_empty() {
            let op = Op::SetInodeClass { inodes: running.found.clone(), class };
            recorded = match self.hold_for_inodes(&running.found, class) {
                Ok(()) => self.log(None, op).reply.map(|_| ()),
                // Most likely a log without room: it is tried again.
                Err(AdminError::Refused(status)) => Err(status),
                Err(_) => Err(Status::NoSpace),
            };
        }
        if recorded.is_ok() {
            running.changed += running.found.len() as u64;
            running.found.clear();
            if running.walk.is_empty() {
                recorded = self.log(None, Op::EndTask { task }).reply.map(|_| ());
                if recorded.is_ok() {
                    let (looked, changed) = (running.looked, running.changed);
                    tracing::info!(%task, looked, changed, "a task is done");
                    return;
                }
            }
        }
        self.tasks.running.insert(task, running);
        if let Err(status) = recorded {
            // Most likely the log has no room.
            tracing::warn!(%task, %status, "a task cannot go on now");
            self.tasks.held_up = true;
        }
    }

    /// Takes a step of a walk: what is to be changed is in `found`.
    pub(super) fn look_further(&self, running: &mut Running) {
        let TaskWork::SetClass { root, .. } = running.work;
        let (mut looked, mut chunks) = (0, 0);
        while looked < STEP_INODES_MAX && running.found.len() < STEP_INODES_MAX && chunks < STEP_CHUNKS_MAX {
            let Some((dir, after)) = running.walk.pop() else { return };
            if !self.meta.lies_within(dir, root) {
                continue;
            }
            let Ok(steps) = self.meta.steps(dir, after, STEP_INODES_MAX - looked) else { continue };
            let mut below = None;
            let mut last = None;
            for step in steps {
                looked += 1;
                last = Some(step.cursor);
                if wants(running.work, step.class) {
                    running.found.push(step.inode);
                    chunks += u64::from(step.chunks);
                }
                if step.directory {
                    below = Some(step.inode);
                }
                if below.is_some() || chunks >= STEP_CHUNKS_MAX {
                    break;
                }
            }
            // A directory with nothing more is done.
            running.walk.extend(last.map(|cursor| (dir, cursor)));
            running.walk.extend(below.map(|below| (below, DirCursor(0))));
        }
        running.looked += looked as u64;
    }
}

/// Whether an inode of this class is to get another.
pub(super) fn wants(work: TaskWork, has: ClassId) -> bool {
    let TaskWork::SetClass { class, from, .. } = work;
    has != class && from.is_none_or(|from| has == from)
}
