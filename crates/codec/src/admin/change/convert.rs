//! What operators change, to and from protobuf.

use super::{Change, Changed, ClassStatus, MarkWish, Refusal, RefusalKind, TASKS_MAX, TaskStatus, Unmet};
use crate::admin::removal::HOLDER_BYTES_MAX;
use crate::admin::trash;
use crate::admin::{FileTarget, health};
use crate::class::{class_id, class_name, labels_in, labels_out};
use crate::common::{list, maybe, need, part, text, within};
use crate::limits::{LABEL_BYTES_MAX, PATH_BYTES_MAX, TEXT_BYTES_MAX};
use crate::{Malformed, proto};
use types::{CLASSES_MAX, EXPRESSION_BYTES_MAX, HoldId, REPLICAS_MAX, TaskId};

/// Parts of a class that ask for replicas.
const PARTS: usize = 4;

impl From<&ClassStatus> for proto::ClassStatus {
    fn from(v: &ClassStatus) -> Self {
        Self {
            id: v.id.0.into(),
            class: Some((&v.class).into()),
            inodes: v.inodes,
            bytes: v.bytes,
            unmet: v.unmet.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::ClassStatus> for ClassStatus {
    type Error = Malformed;
    fn try_from(p: proto::ClassStatus) -> Result<Self, Malformed> {
        Ok(Self {
            id: class_id(p.id)?,
            class: part(p.class, "class")?,
            inodes: p.inodes,
            bytes: p.bytes,
            unmet: list(p.unmet, PARTS * REPLICAS_MAX, "what a class lacks")?,
        })
    }
}

impl From<&Unmet> for proto::Unmet {
    fn from(v: &Unmet) -> Self {
        Self {
            part: v.part.clone(),
            condition: v.condition.clone(),
            wanted: v.wanted,
            lacking: v.lacking,
            disks: v.disks,
            domains: v.domains,
        }
    }
}

impl TryFrom<proto::Unmet> for Unmet {
    type Error = Malformed;
    fn try_from(p: proto::Unmet) -> Result<Self, Malformed> {
        Ok(Self {
            part: text(p.part, LABEL_BYTES_MAX, "part of a class")?,
            condition: text(p.condition, EXPRESSION_BYTES_MAX, "condition of a class")?,
            wanted: p.wanted,
            lacking: p.lacking,
            disks: p.disks,
            domains: p.domains,
        })
    }
}

impl From<&TaskStatus> for proto::TaskStatus {
    fn from(v: &TaskStatus) -> Self {
        Self {
            task: v.task.0,
            what: v.what.clone(),
            path: v.path.clone(),
            looked: v.looked,
            changed: v.changed,
            total: v.total,
            since_ms_ago: v.since_ms_ago,
        }
    }
}

impl TryFrom<proto::TaskStatus> for TaskStatus {
    type Error = Malformed;
    fn try_from(p: proto::TaskStatus) -> Result<Self, Malformed> {
        within(p.path.len(), PATH_BYTES_MAX, "path of a task")?;
        Ok(Self {
            task: TaskId(p.task),
            what: text(p.what, TEXT_BYTES_MAX, "work of a task")?,
            path: p.path,
            looked: p.looked,
            changed: p.changed,
            total: p.total,
            since_ms_ago: p.since_ms_ago,
        })
    }
}

/// The classes of an answer.
pub fn classes(p: Vec<proto::ClassStatus>) -> Result<Vec<ClassStatus>, Malformed> {
    list(p, CLASSES_MAX, "classes")
}

/// The tasks of an answer.
pub fn tasks(p: Vec<proto::TaskStatus>) -> Result<Vec<TaskStatus>, Malformed> {
    list(p, TASKS_MAX, "tasks")
}

impl From<&Change> for proto::ChangeQuery {
    fn from(v: &Change) -> Self {
        use proto::change_query::Change as P;
        let change = match v {
            Change::PutClass { before, class, allow_unsatisfiable } => P::PutClass(proto::PutClass {
                before: before.as_deref().map(Into::into),
                class: Some((&**class).into()),
                allow_unsatisfiable: *allow_unsatisfiable,
            }),
            Change::DeleteClass(name) => P::DeleteClass(proto::DeleteClass { name: name.to_string() }),
            Change::GiveClass { target, class, from, recursive } => P::GiveClass(proto::GiveClass {
                target: Some(target.into()),
                class: class.to_string(),
                from: from.as_ref().map(ToString::to_string),
                recursive: *recursive,
            }),
            Change::SetLabels { holder, disk, add, remove, replace } => P::SetLabels(proto::ChangeLabels {
                holder: holder.clone(),
                disk: *disk,
                add: labels_out(add),
                remove: labels_out(remove),
                replace: *replace,
            }),
            Change::CancelTask(task) => P::CancelTask(proto::CancelTask { task: task.0 }),
            Change::SetMark { holder, disk, mark } => {
                use proto::change_mark::Mark as M;
                let mark = match mark {
                    MarkWish::Remove { drain_only, with } => {
                        M::Remove(proto::Remove { drain_only: *drain_only, with: with.clone() })
                    }
                    MarkWish::Keep => M::Keep(true),
                    MarkWish::Maintain { for_s } => M::MaintainS(for_s.unwrap_or(0)),
                    MarkWish::Maintained => M::Maintained(true),
                };
                P::SetMark(proto::ChangeMark { holder: holder.clone(), disk: *disk, mark: Some(mark) })
            }
            Change::ForgetServer(server) => P::ForgetServer(proto::ForgetServer { server: server.clone() }),
            Change::AddDisk { server, path, labels } => P::AddDisk(proto::AddServerDisk {
                server: server.clone(),
                path: path.clone(),
                labels: labels_out(labels),
            }),
            Change::RestoreTrash { wishes, overwrite } => P::RestoreTrash(proto::RestoreTrash {
                wishes: wishes.iter().map(Into::into).collect(),
                overwrite: *overwrite,
            }),
            Change::Mute { code, mute } => P::Mute(health::change_out(code, mute.as_ref())),
            Change::PurgeTrash(inodes) => {
                P::PurgeTrash(proto::PurgeTrash { inodes: inodes.iter().map(Into::into).collect() })
            }
            Change::SetLimit { target, limit, allow_unknown } => P::SetLimit(proto::ChangeLimit {
                target: Some(target.into()),
                limit: limit.as_ref().map(Into::into),
                allow_unknown: *allow_unknown,
            }),
            Change::EndHold(hold) => P::EndHold(proto::EndHold { hold: hold.0 }),
        };
        Self { change: Some(change) }
    }
}

impl TryFrom<proto::ChangeQuery> for Change {
    type Error = Malformed;
    fn try_from(p: proto::ChangeQuery) -> Result<Self, Malformed> {
        use proto::change_query::Change as P;
        Ok(match need(p.change, "change")? {
            P::PutClass(p) => Self::PutClass {
                before: p.before.map(|before| before.try_into().map(Box::new)).transpose()?,
                class: Box::new(part(p.class, "class")?),
                allow_unsatisfiable: p.allow_unsatisfiable,
            },
            P::DeleteClass(p) => Self::DeleteClass(class_name(&p.name)?),
            P::GiveClass(p) => Self::GiveClass {
                target: part::<_, FileTarget>(p.target, "file")?,
                class: class_name(&p.class)?,
                from: p.from.as_deref().map(class_name).transpose()?,
                recursive: p.recursive,
            },
            P::SetLabels(p) => Self::SetLabels {
                holder: text(p.holder, LABEL_BYTES_MAX + PATH_BYTES_MAX, "name of a server or disk")?,
                disk: p.disk,
                add: labels_in(&p.add)?,
                remove: labels_in(&p.remove)?,
                replace: p.replace,
            },
            P::CancelTask(p) => Self::CancelTask(TaskId(p.task)),
            P::SetMark(p) => {
                use proto::change_mark::Mark as M;
                let mark = match need(p.mark, "mark")? {
                    M::Remove(p) => MarkWish::Remove {
                        drain_only: p.drain_only,
                        with: text(p.with, HOLDER_BYTES_MAX, "name of a disk")?,
                    },
                    M::Keep(_) => MarkWish::Keep,
                    M::MaintainS(for_s) => MarkWish::Maintain { for_s: Some(for_s).filter(|s| *s > 0) },
                    M::Maintained(_) => MarkWish::Maintained,
                };
                let holder = text(p.holder, HOLDER_BYTES_MAX, "name of a server or disk")?;
                Self::SetMark { holder, disk: p.disk, mark }
            }
            P::ForgetServer(p) => Self::ForgetServer(text(p.server, HOLDER_BYTES_MAX, "name of a server")?),
            P::AddDisk(p) => Self::AddDisk {
                server: text(p.server, HOLDER_BYTES_MAX, "name of a server")?,
                path: text(p.path, PATH_BYTES_MAX, "path of a disk")?,
                labels: labels_in(&p.labels)?,
            },
            P::RestoreTrash(p) => {
                Self::RestoreTrash { wishes: trash::wishes(p.wishes)?, overwrite: p.overwrite }
            }
            P::Mute(p) => {
                let (code, mute) = health::change_in(p)?;
                Self::Mute { code, mute }
            }
            P::PurgeTrash(p) => Self::PurgeTrash(trash::purged(p.inodes)?),
            P::SetLimit(p) => Self::SetLimit {
                target: part(p.target, "what a limit is about")?,
                limit: maybe(p.limit)?,
                allow_unknown: p.allow_unknown,
            },
            P::EndHold(p) => Self::EndHold(HoldId(p.hold)),
        })
    }
}

impl From<&Changed> for proto::Changed {
    fn from(v: &Changed) -> Self {
        use proto::changed::What as P;
        let what = match v {
            Changed::Done => P::Done(true),
            Changed::Class(class) => P::Class(class.into()),
            Changed::Inodes(count) => P::Inodes(*count),
            Changed::Task(task) => P::Task(task.0),
            Changed::Disk(name) => P::Disk(name.clone()),
            Changed::Restored(refused) => {
                P::Restored(proto::Restored { refused: refused.iter().map(Into::into).collect() })
            }
            Changed::Labels { holder, before, after, unmet } => P::Labels(proto::LabelsChanged {
                holder: holder.clone(),
                before: labels_out(before),
                after: labels_out(after),
                unmet: unmet.iter().map(ToString::to_string).collect(),
            }),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<proto::Changed> for Changed {
    type Error = Malformed;
    fn try_from(p: proto::Changed) -> Result<Self, Malformed> {
        use proto::changed::What as P;
        Ok(match need(p.what, "what was changed")? {
            P::Done(_) => Self::Done,
            P::Class(class) => Self::Class(class.try_into()?),
            P::Inodes(count) => Self::Inodes(count),
            P::Task(task) => Self::Task(TaskId(task)),
            P::Restored(p) => Self::Restored(trash::unrestored(p.refused)?),
            P::Disk(name) => Self::Disk(text(name, HOLDER_BYTES_MAX, "name of a disk")?),
            P::Labels(p) => {
                within(p.unmet.len(), CLASSES_MAX, "classes")?;
                Self::Labels {
                    holder: text(p.holder, LABEL_BYTES_MAX + PATH_BYTES_MAX, "name of a server or disk")?,
                    before: labels_in(&p.before)?,
                    after: labels_in(&p.after)?,
                    unmet: p.unmet.iter().map(|name| class_name(name)).collect::<Result<_, _>>()?,
                }
            }
        })
    }
}

impl From<&Refusal> for proto::Refusal {
    fn from(v: &Refusal) -> Self {
        Self { kind: v.kind as u32, subject: v.subject.clone(), why: v.why.clone(), near: v.near.clone() }
    }
}

impl TryFrom<proto::Refusal> for Refusal {
    type Error = Malformed;
    fn try_from(p: proto::Refusal) -> Result<Self, Malformed> {
        let kind = RefusalKind::ALL.iter().copied().find(|kind| *kind as u32 == p.kind);
        Ok(Self {
            kind: need(kind, "kind of a refusal")?,
            subject: text(p.subject, 2 * TEXT_BYTES_MAX, "subject of a refusal")?,
            why: text(p.why, 2 * TEXT_BYTES_MAX, "reason of a refusal")?,
            near: text(p.near, TEXT_BYTES_MAX, "word that was meant")?,
        })
    }
}
