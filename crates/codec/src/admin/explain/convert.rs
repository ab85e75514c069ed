//! Explanations to and from protobuf.

use super::{
    ChunkGroup, CopyStage, ExplainTarget, ExplainedCopy, ExplainedPart, ExplainedPlace, ExplainedReplica,
    Explanation, GROUPS_MAX, Hindrance, PARTS_MAX, RANGES_MAX, Role, ServerAbsence, Worth,
};
use crate::admin::ObstacleKind;
use crate::admin::removal::HOLDER_BYTES_MAX;
use crate::common::{labels, list, maybe, need, part, text, within};
use crate::control::LABELS_MAX;
use crate::limits::{LABEL_BYTES_MAX, MEMBERS_MAX, PATH_BYTES_MAX, TEXT_BYTES_MAX};
use crate::{Malformed, proto};
use types::{ChunkIndex, InodeId, REPLICAS_MAX};

impl From<&ExplainTarget> for proto::ExplainQuery {
    fn from(v: &ExplainTarget) -> Self {
        Self { target: Some((&v.target).into()), parent: v.parent.map_or(0, |parent| parent.0) }
    }
}

impl TryFrom<proto::ExplainQuery> for ExplainTarget {
    type Error = Malformed;
    fn try_from(p: proto::ExplainQuery) -> Result<Self, Malformed> {
        Ok(Self {
            target: part(p.target, "file to explain")?,
            parent: Some(InodeId(p.parent)).filter(|parent| parent.0 != 0),
        })
    }
}

impl From<&Explanation> for proto::Explanation {
    fn from(v: &Explanation) -> Self {
        Self {
            path: v.path.clone(),
            attributes: Some((&v.attributes).into()),
            class: v.class.clone(),
            levels: v.levels,
            above: v.above.clone(),
            parts: v.parts.iter().map(Into::into).collect(),
            spread: v.spread.clone(),
            chunks: v.chunks,
            groups: v.groups.iter().map(Into::into).collect(),
            left_out: v.left_out,
        }
    }
}

impl TryFrom<proto::Explanation> for Explanation {
    type Error = Malformed;
    fn try_from(p: proto::Explanation) -> Result<Self, Malformed> {
        within(p.path.len(), PATH_BYTES_MAX, "path of a file")?;
        Ok(Self {
            path: p.path,
            attributes: part(p.attributes, "attributes of a file")?,
            class: text(p.class, LABEL_BYTES_MAX, "name of a class")?,
            levels: p.levels,
            above: text(p.above, LABEL_BYTES_MAX, "name of a class")?,
            parts: list(p.parts, PARTS_MAX, "parts of a class")?,
            spread: text(p.spread, LABEL_BYTES_MAX, "spread of a class")?,
            chunks: p.chunks,
            groups: list(p.groups, GROUPS_MAX, "groups of chunks")?,
            left_out: p.left_out,
        })
    }
}

impl From<&ExplainedPart> for proto::ExplainedPart {
    fn from(v: &ExplainedPart) -> Self {
        let unmet = v.unmet.iter().map(Into::into).collect();
        Self { name: v.name.clone(), wants: v.wants.clone(), unmet }
    }
}

impl TryFrom<proto::ExplainedPart> for ExplainedPart {
    type Error = Malformed;
    fn try_from(p: proto::ExplainedPart) -> Result<Self, Malformed> {
        Ok(Self {
            name: text(p.name, LABEL_BYTES_MAX, "part of a class")?,
            wants: text(p.wants, TEXT_BYTES_MAX, "expression")?,
            unmet: list(p.unmet, REPLICAS_MAX, "unmet replicas")?,
        })
    }
}

impl From<&ChunkGroup> for proto::ChunkGroup {
    fn from(v: &ChunkGroup) -> Self {
        let range =
            |(first, last): &(ChunkIndex, ChunkIndex)| proto::ChunkRange { first: first.0, last: last.0 };
        Self {
            ranges: v.ranges.iter().map(range).collect(),
            chunks: v.chunks,
            part: v.part.clone(),
            replicas: v.replicas.iter().map(Into::into).collect(),
            places: v.places.iter().map(Into::into).collect(),
            hindrance: v
                .hindrance
                .map(|one| proto::Hindrance { kind: one.kind as u32, wait_ms: one.wait_ms }),
            copy: v.copy.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<proto::ChunkGroup> for ChunkGroup {
    type Error = Malformed;
    fn try_from(p: proto::ChunkGroup) -> Result<Self, Malformed> {
        within(p.ranges.len(), RANGES_MAX, "ranges of chunks")?;
        let ranges = p.ranges.into_iter().map(|one| (ChunkIndex(one.first), ChunkIndex(one.last)));
        Ok(Self {
            ranges: ranges.collect(),
            chunks: p.chunks,
            part: text(p.part, LABEL_BYTES_MAX, "part of a class")?,
            replicas: list(p.replicas, MEMBERS_MAX, "replicas of a chunk")?,
            places: list(p.places, REPLICAS_MAX, "places of a chunk")?,
            hindrance: maybe(p.hindrance)?,
            copy: maybe(p.copy)?,
        })
    }
}

impl From<&ExplainedReplica> for proto::ExplainedReplica {
    fn from(v: &ExplainedReplica) -> Self {
        Self {
            disk: v.disk.clone(),
            labels: v.labels.clone(),
            worth: v.worth as u32,
            role: v.role as u32,
            away: v.away as u32,
            held_ms: v.held_ms,
            read_last: v.read_last,
        }
    }
}

impl TryFrom<proto::ExplainedReplica> for ExplainedReplica {
    type Error = Malformed;
    fn try_from(p: proto::ExplainedReplica) -> Result<Self, Malformed> {
        Ok(Self {
            disk: text(p.disk, HOLDER_BYTES_MAX, "name of a disk")?,
            labels: labels(p.labels, 2 * LABELS_MAX)?,
            worth: need(Worth::ALL.iter().copied().find(|one| *one as u32 == p.worth), "worth of a replica")?,
            role: need(Role::ALL.iter().copied().find(|one| *one as u32 == p.role), "role of a replica")?,
            away: match p.away {
                0 => ServerAbsence::Here,
                1 => ServerAbsence::Away,
                2 => ServerAbsence::Maintenance,
                _ => return Err(Malformed::new("absence of a server")),
            },
            held_ms: p.held_ms,
            read_last: p.read_last,
        })
    }
}

impl From<&ExplainedPlace> for proto::ExplainedPlace {
    fn from(v: &ExplainedPlace) -> Self {
        Self {
            condition: v.condition.clone(),
            lagging: v.lagging,
            disk: v.disk.clone(),
            held: v.held,
            off_label: v.off_label,
            off_spread: v.off_spread,
            lack_away: v.lack_away,
            lack_leaving: v.lack_leaving,
            lack_full: v.lack_full,
            lack_near: v.lack_near,
        }
    }
}

impl TryFrom<proto::ExplainedPlace> for ExplainedPlace {
    type Error = Malformed;
    fn try_from(p: proto::ExplainedPlace) -> Result<Self, Malformed> {
        Ok(Self {
            condition: text(p.condition, TEXT_BYTES_MAX, "expression")?,
            lagging: p.lagging,
            disk: text(p.disk, HOLDER_BYTES_MAX, "name of a disk")?,
            held: p.held,
            off_label: p.off_label,
            off_spread: p.off_spread,
            lack_away: p.lack_away,
            lack_leaving: p.lack_leaving,
            lack_full: p.lack_full,
            lack_near: p.lack_near,
        })
    }
}

impl TryFrom<proto::Hindrance> for Hindrance {
    type Error = Malformed;
    fn try_from(p: proto::Hindrance) -> Result<Self, Malformed> {
        let kind = ObstacleKind::ALL.iter().copied().find(|kind| *kind as u32 == p.kind);
        Ok(Self { kind: need(kind, "kind of an obstacle")?, wait_ms: p.wait_ms })
    }
}

impl From<&ExplainedCopy> for proto::ExplainedCopy {
    fn from(v: &ExplainedCopy) -> Self {
        let (from, to) = (v.from.clone(), v.to.clone());
        Self { from, to, stage: v.stage as u32, since_ms_ago: v.since_ms_ago }
    }
}

impl TryFrom<proto::ExplainedCopy> for ExplainedCopy {
    type Error = Malformed;
    fn try_from(p: proto::ExplainedCopy) -> Result<Self, Malformed> {
        let stage = CopyStage::ALL.iter().copied().find(|stage| *stage as u32 == p.stage);
        Ok(Self {
            from: text(p.from, HOLDER_BYTES_MAX, "name of a disk")?,
            to: text(p.to, HOLDER_BYTES_MAX, "name of a disk")?,
            stage: need(stage, "stage of a copy")?,
            since_ms_ago: p.since_ms_ago,
        })
    }
}
