//! Storage classes, labels, marks, limits, holds and tasks to and from protobuf, for records, checkpoints and operators.

use crate::common::{disk, need, part, server, within};
use crate::{Malformed, proto};
use types::{
    AgeBy, Archive, ClassId, ClassName, Expression, HoldCause, Holder, LABELS_MAX, Label, Labels, Limit,
    LimitScope, Mark, Mode, StorageClass, TaskWork, Timestamp,
};

/// The id of a class.
pub(crate) fn class_id(number: u32) -> Result<ClassId, Malformed> {
    u16::try_from(number).map(ClassId).map_err(|_| Malformed::new("class"))
}

/// The name of a class.
pub(crate) fn class_name(text: &str) -> Result<ClassName, Malformed> {
    ClassName::new(text).map_err(|_| Malformed::new("name of a class"))
}

fn expression(text: &str) -> Result<Expression, Malformed> {
    Expression::new(text).map_err(|_| Malformed::new("expression"))
}

/// An expression that may be absent.
pub(crate) fn maybe_expression(text: &str) -> Result<Option<Expression>, Malformed> {
    if text.is_empty() { Ok(None) } else { expression(text).map(Some) }
}

/// Its text; empty: it is absent.
pub(crate) fn text_of(expression: Option<&Expression>) -> String {
    expression.map(Expression::to_string).unwrap_or_default()
}

/// Labels as they are written.
pub(crate) fn labels_out(labels: &Labels) -> Vec<String> {
    labels.iter().map(Label::to_string).collect()
}

/// Labels, checked.
pub(crate) fn labels_in(labels: &[String]) -> Result<Labels, Malformed> {
    within(labels.len(), LABELS_MAX, "labels")?;
    let labels = labels.iter().map(|text| Label::new(text).map_err(|_| Malformed::new("label")));
    Labels::new(labels.collect::<Result<Vec<_>, _>>()?).map_err(|_| Malformed::new("labels"))
}

impl From<&StorageClass> for proto::StorageClass {
    fn from(v: &StorageClass) -> Self {
        Self {
            name: v.name.to_string(),
            create: text_of(v.create.as_ref()),
            keep: v.keep.to_string(),
            archive: v.archive.as_ref().map(Into::into),
            trash: text_of(v.trash.as_ref()),
            trash_keep_s: v.trash_keep_s,
            mode: v.mode.code(),
            spread: v.spread.to_string(),
            min_write: v.min_write.map_or(0, u32::from),
            read_last: text_of(v.read_last.as_ref()),
        }
    }
}

impl TryFrom<proto::StorageClass> for StorageClass {
    type Error = Malformed;
    fn try_from(p: proto::StorageClass) -> Result<Self, Malformed> {
        let min_write = u8::try_from(p.min_write).map_err(|_| Malformed::new("min-write of a class"))?;
        let class = Self {
            name: class_name(&p.name)?,
            create: maybe_expression(&p.create)?,
            keep: expression(&p.keep)?,
            archive: p.archive.map(Archive::try_from).transpose()?,
            trash: maybe_expression(&p.trash)?,
            trash_keep_s: p.trash_keep_s,
            mode: need(Mode::from_code(p.mode), "mode of a class")?,
            spread: p.spread.parse().map_err(|_| Malformed::new("spread of a class"))?,
            min_write: (min_write > 0).then_some(min_write),
            read_last: maybe_expression(&p.read_last)?,
        };
        if class.in_range() { Ok(class) } else { Err(Malformed::new("numbers of a class")) }
    }
}

impl From<&Archive> for proto::ClassArchive {
    fn from(v: &Archive) -> Self {
        Self {
            to: v.to.to_string(),
            after_s: v.after_s,
            by: v.by.code(),
            min_size: v.min_size,
            reversible: v.reversible,
        }
    }
}

impl TryFrom<proto::ClassArchive> for Archive {
    type Error = Malformed;
    fn try_from(p: proto::ClassArchive) -> Result<Self, Malformed> {
        Ok(Self {
            to: expression(&p.to)?,
            after_s: p.after_s,
            by: need(AgeBy::from_code(p.by), "time of an archive")?,
            min_size: p.min_size,
            reversible: p.reversible,
        })
    }
}

impl From<&Holder> for proto::Holder {
    fn from(v: &Holder) -> Self {
        use proto::holder::Holder as P;
        Self {
            holder: Some(match v {
                Holder::Server(server) => P::Server(server.0.to_vec()),
                Holder::Disk(disk) => P::Disk(disk.0.to_vec()),
            }),
        }
    }
}

impl TryFrom<proto::Holder> for Holder {
    type Error = Malformed;
    fn try_from(p: proto::Holder) -> Result<Self, Malformed> {
        use proto::holder::Holder as P;
        match need(p.holder, "server or disk")? {
            P::Server(id) => server(&id).map(Self::Server),
            P::Disk(id) => disk(&id).map(Self::Disk),
        }
    }
}

/// A mark; nothing for none.
pub(crate) fn mark_out(mark: Mark) -> Option<proto::Mark> {
    use proto::mark::Mark as P;
    let mark = match mark {
        Mark::None => return None,
        Mark::Removing { drain_only, with } => {
            let with = with.map(|disk| disk.0.to_vec()).unwrap_or_default();
            P::Removing(proto::Removing { drain_only, with })
        }
        Mark::Maintenance { until } => {
            P::Maintenance(proto::Maintenance { until: until.map(Timestamp::to_bits) })
        }
    };
    Some(proto::Mark { mark: Some(mark) })
}

/// The inverse of [`mark_out`].
pub(crate) fn mark_in(mark: Option<proto::Mark>) -> Result<Mark, Malformed> {
    use proto::mark::Mark as P;
    let Some(mark) = mark else { return Ok(Mark::None) };
    Ok(match need(mark.mark, "mark")? {
        P::Removing(removing) => {
            let with = Some(&removing.with).filter(|id| !id.is_empty()).map(|id| disk(id)).transpose()?;
            Mark::Removing { drain_only: removing.drain_only, with }
        }
        P::Maintenance(away) => Mark::Maintenance { until: away.until.map(Timestamp::from_bits) },
    })
}

impl From<&LimitScope> for proto::LimitScope {
    fn from(v: &LimitScope) -> Self {
        use proto::limit_scope::Scope as P;
        let scope = match v {
            LimitScope::Server(server) => P::Server(server.0.to_vec()),
            LimitScope::Pair { from, to } => {
                P::Pair(proto::LimitPair { from: from.to_string(), to: to.to_string() })
            }
        };
        Self { scope: Some(scope) }
    }
}

impl TryFrom<proto::LimitScope> for LimitScope {
    type Error = Malformed;
    fn try_from(p: proto::LimitScope) -> Result<Self, Malformed> {
        use proto::limit_scope::Scope as P;
        match need(p.scope, "what a limit is about")? {
            P::Server(id) => server(&id).map(Self::Server),
            P::Pair(pair) => Ok(Self::Pair { from: expression(&pair.from)?, to: expression(&pair.to)? }),
        }
    }
}

impl From<&Limit> for proto::Limit {
    fn from(v: &Limit) -> Self {
        Self { copies: v.copies.unwrap_or(0), bytes_per_s: v.bytes_per_s.unwrap_or(0) }
    }
}

impl TryFrom<proto::Limit> for Limit {
    type Error = Malformed;
    fn try_from(p: proto::Limit) -> Result<Self, Malformed> {
        let limit = Self {
            copies: Some(p.copies).filter(|copies| *copies > 0),
            bytes_per_s: Some(p.bytes_per_s).filter(|rate| *rate > 0),
        };
        if limit.in_range() { Ok(limit) } else { Err(Malformed::new("numbers of a limit")) }
    }
}

impl From<&HoldCause> for proto::HoldCause {
    fn from(v: &HoldCause) -> Self {
        use proto::hold_cause::Cause as P;
        let cause = match v {
            HoldCause::Class { class, before } => {
                P::Class(proto::HeldClass { class: class.0.into(), before: Some((&**before).into()) })
            }
            HoldCause::Labels { holder, before } => {
                P::Labels(proto::HeldLabels { holder: Some(holder.into()), before: labels_out(before) })
            }
        };
        Self { cause: Some(cause) }
    }
}

impl TryFrom<proto::HoldCause> for HoldCause {
    type Error = Malformed;
    fn try_from(p: proto::HoldCause) -> Result<Self, Malformed> {
        use proto::hold_cause::Cause as P;
        Ok(match need(p.cause, "cause of a hold")? {
            P::Class(p) => Self::Class {
                class: class_id(p.class)?,
                before: Box::new(part(p.before, "class before an edit")?),
            },
            P::Labels(p) => {
                Self::Labels { holder: part(p.holder, "server or disk")?, before: labels_in(&p.before)? }
            }
        })
    }
}

impl From<&TaskWork> for proto::TaskWork {
    fn from(v: &TaskWork) -> Self {
        use proto::task_work::Work as P;
        let TaskWork::SetClass { root, class, from } = v;
        Self {
            work: Some(P::SetClass(proto::SetClassTask {
                root: Some(root.into()),
                class: class.0.into(),
                from: from.map(|from| from.0.into()),
            })),
        }
    }
}

impl TryFrom<proto::TaskWork> for TaskWork {
    type Error = Malformed;
    fn try_from(p: proto::TaskWork) -> Result<Self, Malformed> {
        use proto::task_work::Work as P;
        let P::SetClass(work) = need(p.work, "work of a task")?;
        Ok(Self::SetClass {
            root: part(work.root, "directory of a task")?,
            class: class_id(work.class)?,
            from: work.from.map(class_id).transpose()?,
        })
    }
}
