//! Removal of disks and servers, to and from protobuf.

use super::{DiskRemoval, OBSTACLES_MAX, ObstacleKind, Removal, RemovalDisk, RemovalObstacle, RemovalTarget};
use crate::admin::STATUS_DISKS_MAX;
use crate::common::{list, maybe, need, text};
use crate::limits::{LABEL_BYTES_MAX, PATH_BYTES_MAX, TEXT_BYTES_MAX};
use crate::{Malformed, proto};
use types::{ChunkId, ChunkIndex, InodeId};

/// What people call a server or a disk.
pub(crate) const HOLDER_BYTES_MAX: usize = LABEL_BYTES_MAX + PATH_BYTES_MAX;

impl From<&DiskRemoval> for proto::DiskRemoval {
    fn from(v: &DiskRemoval) -> Self {
        Self {
            drain_only: v.drain_only,
            since_ms_ago: v.since_ms_ago,
            most: v.most,
            needed: v.needed,
            safe: v.safe,
        }
    }
}

impl TryFrom<proto::DiskRemoval> for DiskRemoval {
    type Error = Malformed;
    fn try_from(p: proto::DiskRemoval) -> Result<Self, Malformed> {
        Ok(Self {
            drain_only: p.drain_only,
            since_ms_ago: p.since_ms_ago,
            most: p.most,
            needed: p.needed,
            safe: p.safe,
        })
    }
}

impl From<&RemovalTarget> for proto::RemovalQuery {
    fn from(v: &RemovalTarget) -> Self {
        Self { holder: v.holder.clone(), disk: v.disk }
    }
}

impl TryFrom<proto::RemovalQuery> for RemovalTarget {
    type Error = Malformed;
    fn try_from(p: proto::RemovalQuery) -> Result<Self, Malformed> {
        Ok(Self { holder: text(p.holder, HOLDER_BYTES_MAX, "name of a server or disk")?, disk: p.disk })
    }
}

impl From<&Removal> for proto::Removal {
    fn from(v: &Removal) -> Self {
        Self {
            holder: v.holder.clone(),
            marked: v.marked,
            disks: v.disks.iter().map(Into::into).collect(),
            chunks: v.chunks,
            copies: v.copies,
            bytes: v.bytes,
            room_bytes: v.room_bytes,
            safe: v.safe,
            obstacles: v.obstacles.iter().map(Into::into).collect(),
            obstacles_total: v.obstacles_total,
            timed: v.timed,
            copy_ms: v.copy_ms,
            at_once: v.at_once,
        }
    }
}

impl TryFrom<proto::Removal> for Removal {
    type Error = Malformed;
    fn try_from(p: proto::Removal) -> Result<Self, Malformed> {
        Ok(Self {
            holder: text(p.holder, HOLDER_BYTES_MAX, "name of a server or disk")?,
            marked: p.marked,
            disks: list(p.disks, STATUS_DISKS_MAX, "disks")?,
            chunks: p.chunks,
            copies: p.copies,
            bytes: p.bytes,
            room_bytes: p.room_bytes,
            safe: p.safe,
            obstacles: list(p.obstacles, OBSTACLES_MAX, "obstacles")?,
            obstacles_total: p.obstacles_total,
            timed: p.timed,
            copy_ms: p.copy_ms,
            at_once: p.at_once,
        })
    }
}

impl From<&RemovalDisk> for proto::RemovalDisk {
    fn from(v: &RemovalDisk) -> Self {
        Self { name: v.name.clone(), chunks: v.chunks, removal: v.removal.as_ref().map(Into::into) }
    }
}

impl TryFrom<proto::RemovalDisk> for RemovalDisk {
    type Error = Malformed;
    fn try_from(p: proto::RemovalDisk) -> Result<Self, Malformed> {
        Ok(Self {
            name: text(p.name, HOLDER_BYTES_MAX, "name of a disk")?,
            chunks: p.chunks,
            removal: maybe(p.removal)?,
        })
    }
}

impl From<&RemovalObstacle> for proto::RemovalObstacle {
    fn from(v: &RemovalObstacle) -> Self {
        Self {
            chunk: v.chunk.0,
            inode: v.inode.map_or(0, |inode| inode.0),
            index: v.index.0,
            kind: v.kind as u32,
            wants: v.wants.clone(),
        }
    }
}

impl TryFrom<proto::RemovalObstacle> for RemovalObstacle {
    type Error = Malformed;
    fn try_from(p: proto::RemovalObstacle) -> Result<Self, Malformed> {
        let kind = ObstacleKind::ALL.iter().copied().find(|kind| *kind as u32 == p.kind);
        Ok(Self {
            chunk: ChunkId(p.chunk),
            inode: Some(InodeId(p.inode)).filter(|inode| inode.0 != 0),
            index: ChunkIndex(p.index),
            kind: need(kind, "kind of an obstacle")?,
            wants: text(p.wants, 2 * TEXT_BYTES_MAX, "what a class asks for")?,
        })
    }
}
