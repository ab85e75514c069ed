//! Conversions that records, session and data-plane messages share.
//!
//! Towards protobuf nothing can fail (`From<&T>`); from protobuf everything is checked (`TryFrom`).

use crate::limits::*;
use crate::{Malformed, proto};
use types::{
    AppendClaim, AttributeChanges, Attributes, Caller, Capability, ChunkId, ChunkIndex, ChunkLocation,
    ClusterId, DirtyChunk, DiskId, FailedHop, FileKind, Generation, InodeId, InodeRef, LeaseEpoch, LogIndex,
    LogPosition, Name, NodeSpec, Owner, ReadHints, RenameMode, ReplicaAddress, Rights, SYMLINK_BYTES_MAX,
    ServerId, SessionId, SetTime, Status, TERM_MAX, Term, Timestamp, TruncateGeneration, Verifier, Version,
    WriteGrant, XATTR_BYTES_MAX, XattrMode,
};

/// Permission bits, setuid, setgid, sticky.
const MODE_MAX: u32 = 0o7777;

/// A part that must be there.
pub(crate) fn need<T>(part: Option<T>, what: &'static str) -> Result<T, Malformed> {
    part.ok_or(Malformed::new(what))
}

/// An optional part, checked if it is there.
pub(crate) fn maybe<P, T: TryFrom<P, Error = Malformed>>(part: Option<P>) -> Result<Option<T>, Malformed> {
    part.map(T::try_from).transpose()
}

/// A part that must be there, checked.
pub(crate) fn part<P, T: TryFrom<P, Error = Malformed>>(
    part: Option<P>,
    what: &'static str,
) -> Result<T, Malformed> {
    T::try_from(need(part, what)?)
}

/// A list of at most `max`, each checked.
pub(crate) fn list<P, T: TryFrom<P, Error = Malformed>>(
    parts: Vec<P>,
    max: usize,
    what: &'static str,
) -> Result<Vec<T>, Malformed> {
    within(parts.len(), max, what)?;
    parts.into_iter().map(T::try_from).collect()
}

/// A number of things that has a maximum.
pub(crate) fn within(count: usize, max: usize, what: &'static str) -> Result<(), Malformed> {
    if count > max { Err(Malformed::new(what)) } else { Ok(()) }
}

/// A string of at most `max` bytes.
pub(crate) fn text(text: String, max: usize, what: &'static str) -> Result<String, Malformed> {
    within(text.len(), max, what)?;
    Ok(text)
}

/// As much of a text as [`text`] takes.
pub(crate) fn fit(text: &str, max: usize) -> String {
    const MORE: char = '…';
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max.saturating_sub(MORE.len_utf8())).rev().find(|at| text.is_char_boundary(*at));
    format!("{}{MORE}", &text[..end.unwrap_or(0)])
}

/// A directory entry's name.
pub(crate) fn name(bytes: Vec<u8>) -> Result<Name, Malformed> {
    Name::new(&bytes).map_err(|_| Malformed::new("name of a directory entry"))
}

/// The name of an extended attribute.
pub(crate) fn xattr_name(bytes: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    let bad = bytes.is_empty() || bytes.len() > XATTR_NAME_BYTES_MAX || bytes.contains(&0);
    if bad { Err(Malformed::new("name of an extended attribute")) } else { Ok(bytes) }
}

/// The value of an extended attribute.
pub(crate) fn xattr_value(bytes: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    within(bytes.len(), XATTR_BYTES_MAX, "value of an extended attribute")?;
    Ok(bytes)
}

/// The target of a symlink.
pub(crate) fn target(bytes: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    within(bytes.len(), SYMLINK_BYTES_MAX, "target of a symlink")?;
    Ok(bytes)
}

/// A term of 24 bits.
pub(crate) fn term(term: u32) -> Result<Term, Malformed> {
    if term > TERM_MAX { Err(Malformed::new("term")) } else { Ok(Term(term)) }
}

/// A packed version.
pub(crate) fn version(packed: u64) -> Result<Version, Malformed> {
    Version::from_u64(packed).ok_or(Malformed::new("version"))
}

/// A disk's id.
pub(crate) fn disk(bytes: &[u8]) -> Result<DiskId, Malformed> {
    DiskId::from_slice(bytes).ok_or(Malformed::new("disk id"))
}

/// A server's id.
pub(crate) fn server(bytes: &[u8]) -> Result<ServerId, Malformed> {
    ServerId::from_slice(bytes).ok_or(Malformed::new("server id"))
}

/// A cluster's id.
pub(crate) fn cluster(bytes: &[u8]) -> Result<ClusterId, Malformed> {
    ClusterId::from_slice(bytes).ok_or(Malformed::new("cluster id"))
}

/// A cluster's id that may be unknown: no bytes.
pub(crate) fn optional_cluster(bytes: &[u8]) -> Result<Option<ClusterId>, Malformed> {
    if bytes.is_empty() { Ok(None) } else { cluster(bytes).map(Some) }
}

/// Labels: at most `max`, each short.
pub(crate) fn labels(labels: Vec<String>, max: usize) -> Result<Vec<String>, Malformed> {
    within(labels.len(), max, "labels")?;
    labels.into_iter().map(|l| text(l, LABEL_BYTES_MAX, "label")).collect()
}

/// The status of a refusal. A number of a later release counts as an I/O error, since it is one to
/// whoever does not know better; 0 is no refusal.
pub(crate) fn refusal(code: u32) -> Result<Option<Status>, Malformed> {
    if code == 0 {
        return Ok(None);
    }
    let code = u16::try_from(code).map_err(|_| Malformed::new("status"))?;
    Ok(Some(Status::from_code(code).unwrap_or(Status::Io)))
}

/// The number of a rename mode.
pub(crate) fn rename_mode_code(mode: RenameMode) -> u32 {
    match mode {
        RenameMode::Replace => 1,
        RenameMode::NoReplace => 2,
        RenameMode::Exchange => 3,
    }
}

/// The inverse of [`rename_mode_code`].
pub(crate) fn rename_mode(code: u32) -> Result<RenameMode, Malformed> {
    match code {
        1 => Ok(RenameMode::Replace),
        2 => Ok(RenameMode::NoReplace),
        3 => Ok(RenameMode::Exchange),
        _ => Err(Malformed::new("mode of a rename")),
    }
}

/// The number of an xattr mode.
pub(crate) fn xattr_mode_code(mode: XattrMode) -> u32 {
    match mode {
        XattrMode::Set => 1,
        XattrMode::Create => 2,
        XattrMode::Replace => 3,
    }
}

/// The inverse of [`xattr_mode_code`].
pub(crate) fn xattr_mode(code: u32) -> Result<XattrMode, Malformed> {
    match code {
        1 => Ok(XattrMode::Set),
        2 => Ok(XattrMode::Create),
        3 => Ok(XattrMode::Replace),
        _ => Err(Malformed::new("mode of an extended attribute")),
    }
}

fn kind(code: u32) -> Result<FileKind, Malformed> {
    u8::try_from(code).ok().and_then(FileKind::from_code).ok_or(Malformed::new("kind of an inode"))
}

fn permissions(mode: u32) -> Result<u16, Malformed> {
    match u16::try_from(mode) {
        Ok(bits) if mode <= MODE_MAX => Ok(bits),
        _ => Err(Malformed::new("permission bits")),
    }
}

impl From<&InodeRef> for proto::InodeRef {
    fn from(v: &InodeRef) -> Self {
        Self { id: v.id.0, generation: v.generation.0 }
    }
}

impl From<&AppendClaim> for proto::AppendClaim {
    fn from(v: &AppendClaim) -> Self {
        Self { inode: Some((&v.inode).into()), forfeits: v.forfeits.into() }
    }
}
impl TryFrom<proto::AppendClaim> for AppendClaim {
    type Error = Malformed;
    fn try_from(p: proto::AppendClaim) -> Result<Self, Malformed> {
        let forfeits = u8::try_from(p.forfeits).map_err(|_| Malformed::new("forfeits of an append lock"))?;
        Ok(Self { inode: part(p.inode, "inode")?, forfeits })
    }
}
impl TryFrom<proto::InodeRef> for InodeRef {
    type Error = Malformed;
    fn try_from(p: proto::InodeRef) -> Result<Self, Malformed> {
        Ok(Self { id: InodeId(p.id), generation: Generation(p.generation) })
    }
}

impl From<&Attributes> for proto::Attributes {
    fn from(v: &Attributes) -> Self {
        Self {
            inode: Some((&v.inode).into()),
            kind: v.kind.code().into(),
            mode: v.mode.into(),
            links: v.links,
            uid: v.owner.uid,
            gid: v.owner.gid,
            device: v.device,
            length: v.length,
            chunks: v.chunks,
            accessed: v.accessed.to_bits(),
            modified: v.modified.to_bits(),
            changed: v.changed.to_bits(),
            created: v.created.to_bits(),
            change_counter: v.change_counter,
            truncate_generation: v.truncate_generation.0,
        }
    }
}

impl TryFrom<proto::Attributes> for Attributes {
    type Error = Malformed;
    fn try_from(p: proto::Attributes) -> Result<Self, Malformed> {
        Ok(Self {
            inode: part(p.inode, "inode of attributes")?,
            kind: kind(p.kind)?,
            mode: permissions(p.mode)?,
            links: p.links,
            owner: Owner { uid: p.uid, gid: p.gid },
            device: p.device,
            length: p.length,
            chunks: p.chunks,
            accessed: Timestamp::from_bits(p.accessed),
            modified: Timestamp::from_bits(p.modified),
            changed: Timestamp::from_bits(p.changed),
            created: Timestamp::from_bits(p.created),
            change_counter: p.change_counter,
            truncate_generation: TruncateGeneration(p.truncate_generation),
        })
    }
}

impl From<&SetTime> for proto::SetTime {
    fn from(v: &SetTime) -> Self {
        use proto::set_time::Time;
        Self {
            time: Some(match v {
                SetTime::Now => Time::Now(true),
                SetTime::At(at) => Time::At(at.to_bits()),
            }),
        }
    }
}

impl TryFrom<proto::SetTime> for SetTime {
    type Error = Malformed;
    fn try_from(p: proto::SetTime) -> Result<Self, Malformed> {
        use proto::set_time::Time;
        match p.time {
            Some(Time::Now(true)) => Ok(Self::Now),
            Some(Time::At(bits)) => Ok(Self::At(Timestamp::from_bits(bits))),
            Some(Time::Now(false)) | None => Err(Malformed::new("time to set")),
        }
    }
}

impl From<&AttributeChanges> for proto::AttributeChanges {
    fn from(v: &AttributeChanges) -> Self {
        Self {
            mode: v.mode.map(u32::from),
            uid: v.uid,
            gid: v.gid,
            accessed: v.accessed.as_ref().map(Into::into),
            modified: v.modified.as_ref().map(Into::into),
            clear_privileges: v.clear_privileges,
        }
    }
}

impl TryFrom<proto::AttributeChanges> for AttributeChanges {
    type Error = Malformed;
    fn try_from(p: proto::AttributeChanges) -> Result<Self, Malformed> {
        Ok(Self {
            mode: p.mode.map(permissions).transpose()?,
            uid: p.uid,
            gid: p.gid,
            accessed: maybe(p.accessed)?,
            modified: maybe(p.modified)?,
            clear_privileges: p.clear_privileges,
        })
    }
}

impl From<&Caller> for proto::Caller {
    fn from(v: &Caller) -> Self {
        Self { uid: v.uid, gid: v.gid, groups: v.groups.clone() }
    }
}

impl TryFrom<proto::Caller> for Caller {
    type Error = Malformed;
    fn try_from(p: proto::Caller) -> Result<Self, Malformed> {
        within(p.groups.len(), GROUPS_MAX, "groups of a caller")?;
        Ok(Self { uid: p.uid, gid: p.gid, groups: p.groups })
    }
}

impl From<&NodeSpec> for proto::NodeSpec {
    fn from(v: &NodeSpec) -> Self {
        Self {
            kind: v.kind.code().into(),
            mode: v.mode.into(),
            uid: v.owner.uid,
            gid: v.owner.gid,
            device: v.device,
            target: v.target.clone(),
        }
    }
}

impl TryFrom<proto::NodeSpec> for NodeSpec {
    type Error = Malformed;
    fn try_from(p: proto::NodeSpec) -> Result<Self, Malformed> {
        Ok(Self {
            kind: kind(p.kind)?,
            mode: permissions(p.mode)?,
            owner: Owner { uid: p.uid, gid: p.gid },
            device: p.device,
            target: target(p.target)?,
        })
    }
}

impl From<&DirtyChunk> for proto::DirtyChunk {
    fn from(v: &DirtyChunk) -> Self {
        Self { index: v.index.0, chunk: v.chunk.0, version: v.version.to_u64() }
    }
}

impl TryFrom<proto::DirtyChunk> for DirtyChunk {
    type Error = Malformed;
    fn try_from(p: proto::DirtyChunk) -> Result<Self, Malformed> {
        Ok(Self { index: ChunkIndex(p.index), chunk: ChunkId(p.chunk), version: version(p.version)? })
    }
}

impl From<&ReplicaAddress> for proto::ReplicaAddress {
    fn from(v: &ReplicaAddress) -> Self {
        let ReadHints { same_host, preferred, read_last } = v.hints;
        let (server, disk, address) = (v.server.0.to_vec(), v.disk.0.to_vec(), v.address.clone());
        Self { server, disk, address, same_host, preferred, read_last }
    }
}

impl TryFrom<proto::ReplicaAddress> for ReplicaAddress {
    type Error = Malformed;
    fn try_from(p: proto::ReplicaAddress) -> Result<Self, Malformed> {
        Ok(Self {
            server: server(&p.server)?,
            disk: disk(&p.disk)?,
            address: text(p.address, ADDRESS_BYTES_MAX, "address")?,
            hints: ReadHints { same_host: p.same_host, preferred: p.preferred, read_last: p.read_last },
        })
    }
}

impl From<&ChunkLocation> for proto::ChunkLocation {
    fn from(v: &ChunkLocation) -> Self {
        Self {
            index: v.index.0,
            chunk: v.chunk.0,
            version: v.version.to_u64(),
            replicas: v.replicas.iter().map(Into::into).collect(),
            more: v.more,
        }
    }
}

impl TryFrom<proto::ChunkLocation> for ChunkLocation {
    type Error = Malformed;
    fn try_from(p: proto::ChunkLocation) -> Result<Self, Malformed> {
        Ok(Self {
            index: ChunkIndex(p.index),
            chunk: ChunkId(p.chunk),
            version: version(p.version)?,
            replicas: list(p.replicas, MEMBERS_MAX, "replicas of a chunk")?,
            more: p.more,
        })
    }
}

impl From<&Capability> for proto::Capability {
    fn from(v: &Capability) -> Self {
        Self {
            session: v.session.0,
            term: v.term.0,
            chunk: v.chunk.0,
            version: v.version.to_u64(),
            rights: match v.rights {
                Rights::Read => 1,
                Rights::Write => 2,
            },
            lease_epoch: v.lease_epoch.0,
            mac: v.mac.clone(),
        }
    }
}

impl TryFrom<proto::Capability> for Capability {
    type Error = Malformed;
    fn try_from(p: proto::Capability) -> Result<Self, Malformed> {
        within(p.mac.len(), MAC_BYTES_MAX, "mac of a capability")?;
        Ok(Self {
            session: SessionId(p.session),
            term: term(p.term)?,
            chunk: ChunkId(p.chunk),
            version: version(p.version)?,
            rights: match p.rights {
                1 => Rights::Read,
                2 => Rights::Write,
                _ => return Err(Malformed::new("rights of a capability")),
            },
            lease_epoch: LeaseEpoch(p.lease_epoch),
            mac: p.mac,
        })
    }
}

impl From<&WriteGrant> for proto::WriteGrant {
    fn from(v: &WriteGrant) -> Self {
        Self {
            inode: Some((&v.inode).into()),
            index: v.index.0,
            chain: v.chain.iter().map(Into::into).collect(),
            capability: Some((&v.capability).into()),
            fresh: v.fresh,
        }
    }
}

impl TryFrom<proto::WriteGrant> for WriteGrant {
    type Error = Malformed;
    fn try_from(p: proto::WriteGrant) -> Result<Self, Malformed> {
        Ok(Self {
            inode: part(p.inode, "inode of a grant")?,
            index: ChunkIndex(p.index),
            chain: list(p.chain, MEMBERS_MAX, "chain of a grant")?,
            capability: part(p.capability, "capability of a grant")?,
            fresh: p.fresh,
        })
    }
}

impl From<&FailedHop> for proto::FailedHop {
    fn from(v: &FailedHop) -> Self {
        Self {
            chunk: v.chunk.0,
            version: v.version.to_u64(),
            from: v.from.map(|d| d.0.to_vec()),
            to: v.to.0.to_vec(),
            status: v.status.code().into(),
        }
    }
}

impl TryFrom<proto::FailedHop> for FailedHop {
    type Error = Malformed;
    fn try_from(p: proto::FailedHop) -> Result<Self, Malformed> {
        Ok(Self {
            chunk: ChunkId(p.chunk),
            version: version(p.version)?,
            from: p.from.as_deref().map(disk).transpose()?,
            to: disk(&p.to)?,
            status: need(refusal(p.status)?, "status of a failed hop")?,
        })
    }
}

impl From<&Verifier> for proto::Verifier {
    fn from(v: &Verifier) -> Self {
        Self { disk: v.disk.0.to_vec(), boot: v.boot, made: v.made }
    }
}

impl TryFrom<proto::Verifier> for Verifier {
    type Error = Malformed;
    fn try_from(p: proto::Verifier) -> Result<Self, Malformed> {
        Ok(Self { disk: disk(&p.disk)?, boot: p.boot, made: p.made })
    }
}

impl From<&LogPosition> for proto::LogPosition {
    fn from(v: &LogPosition) -> Self {
        Self { applied: v.applied.0, stable: v.stable.0 }
    }
}

impl TryFrom<proto::LogPosition> for LogPosition {
    type Error = Malformed;
    fn try_from(p: proto::LogPosition) -> Result<Self, Malformed> {
        Ok(Self { applied: LogIndex(p.applied), stable: LogIndex(p.stable) })
    }
}
