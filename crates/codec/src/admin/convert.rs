//! Operators' messages to and from protobuf.

use super::{
    CLIENTS_MAX, ChunkCounts, ClientStatus, ClusterStatus, DiskStatus, FileChunk, FileInfoReply, FileReplica,
    FileTarget, HopCounts, Maintenance, NOTES_MAX, RefusedDiskStatus, SERVERS_MAX, STATUS_DISKS_MAX,
    ServerState, ServerStatus, Severity, Warning, WorkStatus,
};
use crate::common::{
    cluster, disk, fit, labels, list, maybe, need, part, server, term, text, version, within,
};
use crate::control::{LABELS_MAX, disk_state};
use crate::limits::{
    ADDRESS_BYTES_MAX, FILE_INFO_CHUNKS_MAX, LABEL_BYTES_MAX, MEMBERS_MAX, PATH_BYTES_MAX, TEXT_BYTES_MAX,
};
use crate::{Malformed, proto};
use types::{ChunkId, ChunkIndex, HealthCode, InodeId, SessionId, Stage};

impl From<&ClusterStatus> for proto::ClusterStatus {
    fn from(v: &ClusterStatus) -> Self {
        Self {
            cluster: v.cluster.0.to_vec(),
            name: v.name.clone(),
            version: v.version.clone(),
            term: v.term.0,
            uptime_ms: v.uptime_ms,
            master_name: v.master_name.clone(),
            master_address: v.master_address.clone(),
            position: Some((&v.position).into()),
            files: v.files,
            directories: v.directories,
            mapped_chunks: v.mapped_chunks,
            checkpoint_age_ms: v.checkpoint_age_ms,
            servers: v.servers.iter().map(Into::into).collect(),
            disks: v.disks.iter().map(Into::into).collect(),
            chunks: Some((&v.chunks).into()),
            clients: v.clients.iter().map(Into::into).collect(),
            work: v.work.iter().map(Into::into).collect(),
            insecure: v.insecure,
            warnings: v.warnings.iter().map(Into::into).collect(),
            usable_total_bytes: v.usable_total_bytes,
            usable_free_bytes: v.usable_free_bytes,
            goal: v.goal,
            requests: v.requests,
            refused_disks: v.refused_disks.iter().map(Into::into).collect(),
            min_write: v.min_write,
            hops: Some((&v.hops).into()),
            trash: Some((&v.trash).into()),
            mutes: v.mutes.iter().map(Into::into).collect(),
            limits: v.limits.iter().map(Into::into).collect(),
            holds: v.holds.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::ClusterStatus> for ClusterStatus {
    type Error = Malformed;
    fn try_from(p: proto::ClusterStatus) -> Result<Self, Malformed> {
        Ok(Self {
            cluster: cluster(&p.cluster)?,
            name: text(p.name, LABEL_BYTES_MAX, "name of a cluster")?,
            version: text(p.version, LABEL_BYTES_MAX, "release")?,
            term: term(p.term)?,
            uptime_ms: p.uptime_ms,
            master_name: text(p.master_name, LABEL_BYTES_MAX, "name of a master")?,
            master_address: text(p.master_address, ADDRESS_BYTES_MAX, "address")?,
            position: maybe(p.position)?.unwrap_or_default(),
            files: p.files,
            directories: p.directories,
            mapped_chunks: p.mapped_chunks,
            checkpoint_age_ms: p.checkpoint_age_ms,
            servers: list(p.servers, SERVERS_MAX, "servers")?,
            disks: list(p.disks, STATUS_DISKS_MAX, "disks")?,
            chunks: part(p.chunks, "counts of chunks")?,
            clients: list(p.clients, CLIENTS_MAX, "clients")?,
            work: list(p.work, NOTES_MAX, "work")?,
            insecure: p.insecure,
            warnings: list(p.warnings, NOTES_MAX, "warnings")?,
            usable_total_bytes: p.usable_total_bytes,
            usable_free_bytes: p.usable_free_bytes,
            goal: p.goal,
            requests: p.requests,
            refused_disks: list(p.refused_disks, STATUS_DISKS_MAX, "refused disks")?,
            min_write: p.min_write,
            hops: p.hops.unwrap_or_default().into(),
            trash: p.trash.unwrap_or_default().into(),
            mutes: list(p.mutes, HealthCode::ALL.len(), "mutes")?,
            limits: super::limits::limits(p.limits)?,
            holds: super::limits::holds(p.holds)?,
        })
    }
}

impl From<&RefusedDiskStatus> for proto::RefusedDiskStatus {
    fn from(v: &RefusedDiskStatus) -> Self {
        Self { server: v.server.0.to_vec(), disk: Some((&v.disk).into()) }
    }
}

impl TryFrom<proto::RefusedDiskStatus> for RefusedDiskStatus {
    type Error = Malformed;
    fn try_from(p: proto::RefusedDiskStatus) -> Result<Self, Malformed> {
        Ok(Self { server: server(&p.server)?, disk: part(p.disk, "a refused disk")? })
    }
}

impl From<&ServerStatus> for proto::ServerStatus {
    fn from(v: &ServerStatus) -> Self {
        Self {
            server: v.server.0.to_vec(),
            name: v.name.clone(),
            address: v.address.clone(),
            state: v.state as u32,
            heard_ms_ago: v.heard_ms_ago,
            labels: v.labels.clone(),
            version: v.version.clone(),
            removing: v.removing,
            maintenance: v.maintenance.map(|one| proto::ServerMaintenance { left_ms: one.left_ms }),
        }
    }
}

impl TryFrom<proto::ServerStatus> for ServerStatus {
    type Error = Malformed;
    fn try_from(p: proto::ServerStatus) -> Result<Self, Malformed> {
        Ok(Self {
            server: server(&p.server)?,
            name: text(p.name, LABEL_BYTES_MAX, "name of a server")?,
            address: text(p.address, ADDRESS_BYTES_MAX, "address")?,
            state: match p.state {
                1 => ServerState::Up,
                2 => ServerState::Down,
                _ => return Err(Malformed::new("state of a server")),
            },
            heard_ms_ago: p.heard_ms_ago,
            labels: labels(p.labels, LABELS_MAX)?,
            version: text(p.version, LABEL_BYTES_MAX, "release")?,
            removing: p.removing,
            maintenance: p.maintenance.map(|one| Maintenance { left_ms: one.left_ms }),
        })
    }
}

impl From<&DiskStatus> for proto::DiskStatus {
    fn from(v: &DiskStatus) -> Self {
        Self {
            disk: v.disk.0.to_vec(),
            server: v.server.0.to_vec(),
            path: v.path.clone(),
            labels: v.labels.clone(),
            state: v.state.map_or(0, |s| s as u32),
            total_bytes: v.total_bytes,
            free_bytes: v.free_bytes,
            chunks: v.chunks,
            errors: v.errors,
            pulled_bytes: v.pulled_bytes,
            reported: v.reported,
            removal: v.removal.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<proto::DiskStatus> for DiskStatus {
    type Error = Malformed;
    fn try_from(p: proto::DiskStatus) -> Result<Self, Malformed> {
        Ok(Self {
            disk: disk(&p.disk)?,
            server: server(&p.server)?,
            path: text(p.path, PATH_BYTES_MAX, "path of a disk")?,
            labels: labels(p.labels, LABELS_MAX)?,
            state: if p.state == 0 { None } else { Some(disk_state(p.state)?) },
            total_bytes: p.total_bytes,
            free_bytes: p.free_bytes,
            chunks: p.chunks,
            errors: p.errors,
            pulled_bytes: p.pulled_bytes,
            reported: p.reported,
            removal: maybe(p.removal)?,
        })
    }
}

impl From<&HopCounts> for proto::HopCounts {
    fn from(v: &HopCounts) -> Self {
        Self {
            reported: v.reported,
            ignored: v.ignored,
            far_left_out: v.far_left_out,
            near_left_out: v.near_left_out,
            denied: v.denied,
            spared: v.spared,
            held_back: v.held_back,
        }
    }
}

impl From<proto::HopCounts> for HopCounts {
    fn from(p: proto::HopCounts) -> Self {
        Self {
            reported: p.reported,
            ignored: p.ignored,
            far_left_out: p.far_left_out,
            near_left_out: p.near_left_out,
            denied: p.denied,
            spared: p.spared,
            held_back: p.held_back,
        }
    }
}

impl From<&ChunkCounts> for proto::ChunkCounts {
    fn from(v: &ChunkCounts) -> Self {
        Self {
            ok: v.ok,
            undergoal: v.undergoal,
            endangered: v.endangered,
            missing: v.missing,
            overgoal: v.overgoal,
            unknown: v.unknown,
            quarantined: v.quarantined,
            deleting: v.deleting,
            settling: v.settling,
            unsettled: v.unsettled,
            damaged: v.damaged,
            leaving: v.leaving,
            held: v.held,
        }
    }
}

impl TryFrom<proto::ChunkCounts> for ChunkCounts {
    type Error = Malformed;
    fn try_from(p: proto::ChunkCounts) -> Result<Self, Malformed> {
        Ok(Self {
            ok: p.ok,
            undergoal: p.undergoal,
            endangered: p.endangered,
            missing: p.missing,
            overgoal: p.overgoal,
            unknown: p.unknown,
            quarantined: p.quarantined,
            deleting: p.deleting,
            settling: p.settling,
            unsettled: p.unsettled,
            damaged: p.damaged,
            leaving: p.leaving,
            held: p.held,
        })
    }
}

impl From<&ClientStatus> for proto::ClientStatus {
    fn from(v: &ClientStatus) -> Self {
        Self {
            name: v.name.clone(),
            session: v.session.0,
            address: v.address.clone(),
            since_ms_ago: v.since_ms_ago,
            connected: v.connected,
        }
    }
}

impl TryFrom<proto::ClientStatus> for ClientStatus {
    type Error = Malformed;
    fn try_from(p: proto::ClientStatus) -> Result<Self, Malformed> {
        Ok(Self {
            name: text(p.name, LABEL_BYTES_MAX, "name of a session")?,
            session: SessionId(p.session),
            address: text(p.address, ADDRESS_BYTES_MAX, "address")?,
            since_ms_ago: p.since_ms_ago,
            connected: p.connected,
        })
    }
}

impl From<&WorkStatus> for proto::WorkStatus {
    fn from(v: &WorkStatus) -> Self {
        Self { what: v.what.clone(), done: v.done, total: v.total }
    }
}

impl TryFrom<proto::WorkStatus> for WorkStatus {
    type Error = Malformed;
    fn try_from(p: proto::WorkStatus) -> Result<Self, Malformed> {
        Ok(Self { what: text(p.what, TEXT_BYTES_MAX, "name of work")?, done: p.done, total: p.total })
    }
}

impl From<&Warning> for proto::Warning {
    fn from(v: &Warning) -> Self {
        Self {
            code: fit(&v.code, LABEL_BYTES_MAX),
            severity: v.severity as u32,
            message: fit(&v.message, TEXT_BYTES_MAX),
            next: fit(&v.next, TEXT_BYTES_MAX),
            amount: v.amount,
        }
    }
}

impl TryFrom<proto::Warning> for Warning {
    type Error = Malformed;
    fn try_from(p: proto::Warning) -> Result<Self, Malformed> {
        Ok(Self {
            code: text(p.code, LABEL_BYTES_MAX, "code of a warning")?,
            severity: match p.severity {
                1 => Severity::Note,
                2 => Severity::Warning,
                3 => Severity::Critical,
                _ => return Err(Malformed::new("severity of a warning")),
            },
            message: text(p.message, TEXT_BYTES_MAX, "text of a warning")?,
            next: text(p.next, TEXT_BYTES_MAX, "next step of a warning")?,
            amount: p.amount,
        })
    }
}

impl From<&FileTarget> for proto::FileInfoQuery {
    fn from(v: &FileTarget) -> Self {
        use proto::file_info_query::Target;
        Self {
            target: Some(match v {
                FileTarget::Path(path) => Target::Path(path.clone()),
                FileTarget::Inode(inode) => Target::Inode(inode.0),
            }),
        }
    }
}

impl TryFrom<proto::FileInfoQuery> for FileTarget {
    type Error = Malformed;
    fn try_from(p: proto::FileInfoQuery) -> Result<Self, Malformed> {
        use proto::file_info_query::Target;
        match need(p.target, "file to describe")? {
            Target::Path(path) => {
                within(path.len(), PATH_BYTES_MAX, "path of a file")?;
                Ok(Self::Path(path))
            }
            Target::Inode(inode) => Ok(Self::Inode(InodeId(inode))),
        }
    }
}

impl From<&FileInfoReply> for proto::AdminFileInfo {
    fn from(v: &FileInfoReply) -> Self {
        Self {
            path: v.path.clone(),
            attributes: Some((&v.attributes).into()),
            class: v.class.clone(),
            goal: v.goal,
            chunks: v.chunks.iter().map(Into::into).collect(),
            archived: v.stage.archived,
            trashed: v.stage.trashed,
        }
    }
}

impl TryFrom<proto::AdminFileInfo> for FileInfoReply {
    type Error = Malformed;
    fn try_from(p: proto::AdminFileInfo) -> Result<Self, Malformed> {
        within(p.path.len(), PATH_BYTES_MAX, "path of a file")?;
        Ok(Self {
            path: p.path,
            attributes: part(p.attributes, "attributes of a file")?,
            class: text(p.class, LABEL_BYTES_MAX, "name of a class")?,
            goal: p.goal,
            chunks: list(p.chunks, FILE_INFO_CHUNKS_MAX, "chunks of a file")?,
            stage: Stage { archived: p.archived, trashed: p.trashed },
        })
    }
}

impl From<&FileChunk> for proto::AdminChunk {
    fn from(v: &FileChunk) -> Self {
        Self {
            index: v.index.0,
            chunk: v.chunk.0,
            version: v.version.to_u64(),
            replicas: v.replicas.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::AdminChunk> for FileChunk {
    type Error = Malformed;
    fn try_from(p: proto::AdminChunk) -> Result<Self, Malformed> {
        Ok(Self {
            index: ChunkIndex(p.index),
            chunk: ChunkId(p.chunk),
            version: version(p.version)?,
            replicas: list(p.replicas, MEMBERS_MAX, "replicas of a chunk")?,
        })
    }
}

impl From<&FileReplica> for proto::AdminReplica {
    fn from(v: &FileReplica) -> Self {
        Self {
            server: v.server.0.to_vec(),
            server_name: v.server_name.clone(),
            disk: v.disk.0.to_vec(),
            disk_path: v.disk_path.clone(),
            address: v.address.clone(),
            labels: v.labels.clone(),
            damaged: v.damaged,
        }
    }
}

impl TryFrom<proto::AdminReplica> for FileReplica {
    type Error = Malformed;
    fn try_from(p: proto::AdminReplica) -> Result<Self, Malformed> {
        Ok(Self {
            server: server(&p.server)?,
            server_name: text(p.server_name, LABEL_BYTES_MAX, "name of a server")?,
            disk: disk(&p.disk)?,
            disk_path: text(p.disk_path, PATH_BYTES_MAX, "path of a disk")?,
            address: text(p.address, ADDRESS_BYTES_MAX, "address")?,
            labels: labels(p.labels, 2 * LABELS_MAX)?,
            damaged: p.damaged,
        })
    }
}
