//! Control messages to and from protobuf.

use super::{
    BornReplica, CUTS_MAX, ChunkReport, Cut, DISKS_MAX, DiskRefusal, DiskReport, DiskState, LABELS_MAX,
    Order, OrderDone, OrderKind, REPORT_ENTRIES_MAX, Refused, RefusedDisk, Register, Registered,
    ReplicaFlags, ReportedChunk, TOUCHED_MAX, ToMaster, ToServer,
};
use crate::common::{
    cluster, disk, labels, list, need, optional_cluster, refusal, server, term, text, version, within,
};
use crate::limits::{ADDRESS_BYTES_MAX, LABEL_BYTES_MAX, PATH_BYTES_MAX, TEXT_BYTES_MAX};
use crate::{Malformed, Message, proto};
use prost::Message as _;
use types::{
    BLOCKS_PER_CHUNK, BlockRange, CHUNK_BYTES, ChainSequence, ChunkId, DiskId, Memory, REPLICAS_MAX,
    ReplicaAddress, Unsettled,
};

/// Largest control message: a full report needs 200 KiB.
const CONTROL_BYTES_MAX: usize = 4 << 20;

macro_rules! message {
    ($($plain:ident)*) => {$(
        impl Message for $plain {
            fn encode(&self, out: &mut Vec<u8>) {
                let message = proto::$plain::from(self);
                out.reserve(message.encoded_len());
                message.encode(out).expect("a vector grows as needed");
            }
            fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
                within(bytes.len(), CONTROL_BYTES_MAX, "length of a control message")?;
                proto::$plain::decode(bytes)?.try_into()
            }
        }
    )*};
}
message!(ToMaster ToServer);

impl From<&ToMaster> for proto::ToMaster {
    fn from(v: &ToMaster) -> Self {
        use proto::to_master::Message as P;
        let message = match v {
            ToMaster::Register(v) => P::Register(v.into()),
            ToMaster::Report(v) => P::Report(v.into()),
            ToMaster::Heartbeat { disks, refused } => P::Heartbeat(proto::Heartbeat {
                disks: disks.iter().map(Into::into).collect(),
                refused: refused.iter().map(Into::into).collect(),
            }),
            ToMaster::Born(replicas) => {
                P::Born(proto::BornReplicas { replicas: replicas.iter().map(Into::into).collect() })
            }
            ToMaster::OrderDone(v) => P::OrderDone(v.into()),
            ToMaster::Damaged { disk, chunk, version } => P::Damaged(proto::DamagedReplica {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
            }),
            ToMaster::Unsettled { disk, chunk, version } => P::Unsettled(proto::UnsettledReplica {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
            }),
            ToMaster::DiskNotAdded(v) => P::DiskNotAdded(v.into()),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<proto::ToMaster> for ToMaster {
    type Error = Malformed;
    fn try_from(p: proto::ToMaster) -> Result<Self, Malformed> {
        use proto::to_master::Message as P;
        Ok(match need(p.message, "kind of a control message")? {
            P::Register(p) => Self::Register(p.try_into()?),
            P::Report(p) => Self::Report(p.try_into()?),
            P::Heartbeat(p) => Self::Heartbeat {
                disks: list(p.disks, DISKS_MAX, "disks")?,
                refused: list(p.refused, DISKS_MAX, "refused disks")?,
            },
            P::Born(p) => Self::Born(list(p.replicas, REPORT_ENTRIES_MAX, "new replicas")?),
            P::OrderDone(p) => Self::OrderDone(p.try_into()?),
            P::Damaged(p) => {
                Self::Damaged { disk: disk(&p.disk)?, chunk: ChunkId(p.chunk), version: version(p.version)? }
            }
            P::Unsettled(p) => Self::Unsettled {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
            },
            P::DiskNotAdded(p) => Self::DiskNotAdded(p.try_into()?),
        })
    }
}

impl From<&ToServer> for proto::ToServer {
    fn from(v: &ToServer) -> Self {
        use proto::to_server::Message as P;
        let message = match v {
            ToServer::Registered(v) => P::Registered(v.into()),
            ToServer::Refused(v) => P::Refused(proto::RegisterRefused {
                status: v.status.code().into(),
                reason: v.reason.clone(),
                term: v.term.0,
            }),
            ToServer::Order(v) => P::Order(v.into()),
            ToServer::HeartbeatAck { term } => P::HeartbeatAck(proto::HeartbeatAck { term: term.0 }),
            ToServer::AddDisk { path } => P::AddDisk(proto::AddDisk { path: path.clone() }),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<proto::ToServer> for ToServer {
    type Error = Malformed;
    fn try_from(p: proto::ToServer) -> Result<Self, Malformed> {
        use proto::to_server::Message as P;
        Ok(match need(p.message, "kind of a control message")? {
            P::Registered(p) => Self::Registered(p.try_into()?),
            P::Refused(p) => Self::Refused(Refused {
                status: need(refusal(p.status)?, "status of a refusal")?,
                reason: text(p.reason, TEXT_BYTES_MAX, "reason of a refusal")?,
                term: term(p.term)?,
            }),
            P::Order(p) => Self::Order(p.try_into()?),
            P::HeartbeatAck(p) => Self::HeartbeatAck { term: term(p.term)? },
            P::AddDisk(p) => Self::AddDisk { path: text(p.path, PATH_BYTES_MAX, "path of a disk")? },
        })
    }
}

impl From<&Register> for proto::Register {
    fn from(v: &Register) -> Self {
        Self {
            server: v.server.0.to_vec(),
            name: v.name.clone(),
            address: v.address.clone(),
            cluster: v.cluster.map(|c| c.0.to_vec()).unwrap_or_default(),
            labels: v.labels.clone(),
            highest_term: v.highest_term.0,
            disks: v.disks.iter().map(Into::into).collect(),
            version: v.version.clone(),
            refused: v.refused.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::Register> for Register {
    type Error = Malformed;
    fn try_from(p: proto::Register) -> Result<Self, Malformed> {
        Ok(Self {
            server: server(&p.server)?,
            name: text(p.name, LABEL_BYTES_MAX, "name of a server")?,
            address: text(p.address, ADDRESS_BYTES_MAX, "address")?,
            cluster: optional_cluster(&p.cluster)?,
            labels: labels(p.labels, LABELS_MAX)?,
            highest_term: term(p.highest_term)?,
            disks: list(p.disks, DISKS_MAX, "disks")?,
            version: text(p.version, LABEL_BYTES_MAX, "release")?,
            refused: list(p.refused, DISKS_MAX, "refused disks")?,
        })
    }
}

/// The state of a disk by its number.
pub(crate) fn disk_state(code: u32) -> Result<DiskState, Malformed> {
    match code {
        1 => Ok(DiskState::Good),
        2 => Ok(DiskState::ReadOnly),
        3 => Ok(DiskState::Failed),
        _ => Err(Malformed::new("state of a disk")),
    }
}

impl From<&DiskReport> for proto::DiskReport {
    fn from(v: &DiskReport) -> Self {
        Self {
            disk: v.disk.0.to_vec(),
            path: v.path.clone(),
            labels: v.labels.clone(),
            total_bytes: v.total_bytes,
            free_bytes: v.free_bytes,
            registrations: v.registrations,
            boot: v.boot,
            state: v.state as u32,
            errors: v.errors,
            pulled_bytes: v.pulled_bytes,
        }
    }
}

impl TryFrom<proto::DiskReport> for DiskReport {
    type Error = Malformed;
    fn try_from(p: proto::DiskReport) -> Result<Self, Malformed> {
        Ok(Self {
            disk: disk(&p.disk)?,
            path: text(p.path, PATH_BYTES_MAX, "path of a disk")?,
            labels: labels(p.labels, LABELS_MAX)?,
            total_bytes: p.total_bytes,
            free_bytes: p.free_bytes,
            registrations: p.registrations,
            boot: p.boot,
            state: disk_state(p.state)?,
            errors: p.errors,
            pulled_bytes: p.pulled_bytes,
        })
    }
}

impl From<&RefusedDisk> for proto::RefusedDisk {
    fn from(v: &RefusedDisk) -> Self {
        Self {
            path: v.path.clone(),
            labels: v.labels.clone(),
            refusal: v.refusal as u32,
            reason: v.reason.clone(),
            next: v.next.clone(),
        }
    }
}

impl TryFrom<proto::RefusedDisk> for RefusedDisk {
    type Error = Malformed;
    fn try_from(p: proto::RefusedDisk) -> Result<Self, Malformed> {
        let refusal = DiskRefusal::ALL.into_iter().find(|refusal| *refusal as u32 == p.refusal);
        Ok(Self {
            path: text(p.path, PATH_BYTES_MAX, "path of a disk")?,
            labels: labels(p.labels, LABELS_MAX)?,
            refusal: need(refusal, "refusal of a disk")?,
            reason: text(p.reason, TEXT_BYTES_MAX, "reason of a refusal")?,
            next: text(p.next, TEXT_BYTES_MAX, "next step of a refusal")?,
        })
    }
}

impl From<&ChunkReport> for proto::ChunkReport {
    fn from(v: &ChunkReport) -> Self {
        Self {
            disk: v.disk.0.to_vec(),
            chunks: v.entries.iter().map(|e| e.chunk.0).collect(),
            versions: v.entries.iter().map(|e| e.version.to_u64()).collect(),
            flags: v.entries.iter().map(|e| e.flags.bits()).collect(),
            last: v.last,
        }
    }
}

impl TryFrom<proto::ChunkReport> for ChunkReport {
    type Error = Malformed;
    fn try_from(p: proto::ChunkReport) -> Result<Self, Malformed> {
        within(p.chunks.len(), REPORT_ENTRIES_MAX, "replicas of a report")?;
        if p.versions.len() != p.chunks.len() || p.flags.len() != p.chunks.len() {
            return Err(Malformed::new("lists of a report"));
        }
        let entries = p.chunks.iter().zip(&p.versions).zip(&p.flags).map(|((chunk, packed), flags)| {
            Ok(ReportedChunk {
                chunk: ChunkId(*chunk),
                version: version(*packed)?,
                flags: ReplicaFlags::from_bits(*flags),
            })
        });
        Ok(Self { disk: disk(&p.disk)?, entries: entries.collect::<Result<_, Malformed>>()?, last: p.last })
    }
}

impl From<&BornReplica> for proto::BornReplica {
    fn from(v: &BornReplica) -> Self {
        Self { disk: v.disk.0.to_vec(), chunk: v.chunk.0, version: v.version.to_u64() }
    }
}

impl TryFrom<proto::BornReplica> for BornReplica {
    type Error = Malformed;
    fn try_from(p: proto::BornReplica) -> Result<Self, Malformed> {
        Ok(Self { disk: disk(&p.disk)?, chunk: ChunkId(p.chunk), version: version(p.version)? })
    }
}

impl From<&OrderDone> for proto::OrderDone {
    fn from(v: &OrderDone) -> Self {
        Self {
            order: v.order,
            status: v.result.err().map_or(0, |s| s.code().into()),
            found: v.found.map(|f| f.to_u64()),
            applied: v.applied.0,
            touched: ranges(&v.unsettled.touched),
            recent: ranges(&v.unsettled.recent),
            memory: v.unsettled.memory as u32,
            failed: v.unsettled.failed,
        }
    }
}

impl TryFrom<proto::OrderDone> for OrderDone {
    type Error = Malformed;
    fn try_from(p: proto::OrderDone) -> Result<Self, Malformed> {
        Ok(Self {
            order: p.order,
            result: refusal(p.status)?.map_or(Ok(()), Err),
            found: p.found.map(version).transpose()?,
            applied: ChainSequence(p.applied),
            unsettled: Unsettled {
                touched: list(p.touched, TOUCHED_MAX, "touched blocks")?,
                recent: list(p.recent, TOUCHED_MAX, "blocks written last")?,
                memory: memory(p.memory)?,
                failed: p.failed,
            },
        })
    }
}

fn ranges(ranges: &[BlockRange]) -> Vec<proto::BlockRange> {
    ranges.iter().map(|range| proto::BlockRange { first: range.first, count: range.count }).collect()
}

fn memory(code: u32) -> Result<Memory, Malformed> {
    use Memory::{Forgot, Kept, Marked, PowerLost, PowerLostTorn, Torn};
    let all = [Kept, Forgot, Marked, Torn, PowerLost, PowerLostTorn];
    all.into_iter().find(|one| *one as u32 == code).ok_or(Malformed::new("memory of writes"))
}

impl TryFrom<proto::BlockRange> for BlockRange {
    type Error = Malformed;
    fn try_from(p: proto::BlockRange) -> Result<Self, Malformed> {
        match p.first.checked_add(p.count) {
            Some(end) if p.count > 0 && end <= BLOCKS_PER_CHUNK => {
                Ok(Self { first: p.first, count: p.count })
            }
            _ => Err(Malformed::new("range of blocks")),
        }
    }
}

impl From<&Registered> for proto::Registered {
    fn from(v: &Registered) -> Self {
        Self {
            term: v.term.0,
            cluster: v.cluster.0.to_vec(),
            disks: v
                .disks
                .iter()
                .map(|(disk, registrations)| proto::DiskRegistration {
                    disk: disk.0.to_vec(),
                    registrations: *registrations,
                })
                .collect(),
            lease_ms: v.lease_ms,
        }
    }
}

impl TryFrom<proto::Registered> for Registered {
    type Error = Malformed;
    fn try_from(p: proto::Registered) -> Result<Self, Malformed> {
        within(p.disks.len(), DISKS_MAX, "disks")?;
        let disks = p.disks.iter().map(|d| Ok((disk(&d.disk)?, d.registrations)));
        Ok(Self {
            term: term(p.term)?,
            cluster: cluster(&p.cluster)?,
            disks: disks.collect::<Result<Vec<(DiskId, u64)>, Malformed>>()?,
            lease_ms: p.lease_ms,
        })
    }
}

impl From<&Order> for proto::Order {
    fn from(v: &Order) -> Self {
        use proto::order::What;
        let what = match &v.what {
            OrderKind::Raise { disk, chunk, from, to, cuts } => What::Raise(proto::OrderRaise {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                from: from.to_u64(),
                to: to.to_u64(),
                cuts: cuts.iter().map(|c| proto::Cut { from: c.from, to: c.to }).collect(),
            }),
            OrderKind::Delete { disk, chunk, version, unknown } => What::Delete(proto::OrderDelete {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
                unknown: *unknown,
            }),
            OrderKind::Copy { disk, chunk, version, sources } => What::Copy(proto::OrderCopy {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
                sources: sources.iter().map(Into::into).collect(),
            }),
            OrderKind::Pace { disk, chunk, bytes_per_s } => What::Pace(proto::OrderPace {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                bytes_per_s: *bytes_per_s,
            }),
            OrderKind::Repair { disk, chunk, version, source, blocks } => What::Repair(proto::OrderRepair {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
                source: source.iter().map(Into::into).collect(),
                blocks: ranges(blocks),
            }),
            OrderKind::Fill { disk, chunk, version } => What::Fill(proto::OrderFill {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
            }),
            OrderKind::Feed { disk, chunk, version, sources } => What::Feed(proto::OrderFeed {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
                sources: sources.iter().map(Into::into).collect(),
            }),
            OrderKind::Mend { disk, chunk, version, sources } => What::Mend(proto::OrderMend {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
                sources: sources.iter().map(Into::into).collect(),
            }),
            OrderKind::MendTorn { disk, chunk, version, sources, doubted } => {
                What::MendTorn(proto::OrderMendTorn {
                    disk: disk.0.to_vec(),
                    chunk: chunk.0,
                    version: version.to_u64(),
                    sources: sources.iter().map(Into::into).collect(),
                    doubted: doubted.iter().map(Into::into).collect(),
                })
            }
            OrderKind::Close { disk, replicas } => {
                What::Close(proto::OrderClose { disk: disk.0.to_vec(), replicas: *replicas })
            }
            OrderKind::Verify { disk, chunk, version } => What::Verify(proto::OrderVerify {
                disk: disk.0.to_vec(),
                chunk: chunk.0,
                version: version.to_u64(),
            }),
        };
        Self { order: v.order, term: v.term.0, what: Some(what) }
    }
}

impl TryFrom<proto::Order> for Order {
    type Error = Malformed;
    fn try_from(p: proto::Order) -> Result<Self, Malformed> {
        use proto::order::What;
        let what = match need(p.what, "kind of an order")? {
            What::Raise(p) => OrderKind::Raise {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                from: version(p.from)?,
                to: version(p.to)?,
                cuts: list(p.cuts, CUTS_MAX, "cuts")?,
            },
            What::Delete(p) => OrderKind::Delete {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
                unknown: p.unknown,
            },
            What::Copy(p) => OrderKind::Copy {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
                sources: sources(p.sources)?,
            },
            What::Pace(p) => {
                OrderKind::Pace { disk: disk(&p.disk)?, chunk: ChunkId(p.chunk), bytes_per_s: p.bytes_per_s }
            }
            What::Fill(p) => OrderKind::Fill {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
            },
            What::Feed(p) => OrderKind::Feed {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
                sources: sources(p.sources)?,
            },
            What::Repair(p) => OrderKind::Repair {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
                source: list(p.source, 1, "sources of a repair")?.pop(),
                blocks: list(p.blocks, TOUCHED_MAX, "blocks to repair")?,
            },
            What::Mend(p) => OrderKind::Mend {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
                sources: list(p.sources, REPLICAS_MAX, "sources of damaged pages")?,
            },
            What::MendTorn(p) => OrderKind::MendTorn {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
                sources: list(p.sources, REPLICAS_MAX, "sources of torn pages")?,
                doubted: list(p.doubted, REPLICAS_MAX, "doubted sources of torn pages")?,
            },
            What::Close(p) => OrderKind::Close { disk: disk(&p.disk)?, replicas: p.replicas },
            What::Verify(p) => OrderKind::Verify {
                disk: disk(&p.disk)?,
                chunk: ChunkId(p.chunk),
                version: version(p.version)?,
            },
        };
        Ok(Self { order: p.order, term: term(p.term)?, what })
    }
}

fn sources(list_of: Vec<proto::ReplicaAddress>) -> Result<Vec<ReplicaAddress>, Malformed> {
    let sources = list(list_of, REPLICAS_MAX, "sources of a copy")?;
    if sources.is_empty() { Err(Malformed::new("a copy without a source")) } else { Ok(sources) }
}

impl TryFrom<proto::Cut> for Cut {
    type Error = Malformed;
    fn try_from(p: proto::Cut) -> Result<Self, Malformed> {
        if p.from < p.to && u64::from(p.to) <= CHUNK_BYTES {
            Ok(Self { from: p.from, to: p.to })
        } else {
            Err(Malformed::new("range to cut"))
        }
    }
}
