//! Records of the changelog as bytes (`docs/format/record.md`).
//!
//! # Invariants
//! 1. A record that was encoded is decoded to an equal record by this and every later release.
//! 2. A record of an unknown operation is refused: a state machine that skipped it would go astray.

use crate::class::{class_id, labels_in, labels_out, mark_in, mark_out};
use crate::common::{
    cluster, disk, list, maybe, name, part, rename_mode, rename_mode_code, server, term, text, version,
    within, xattr_mode, xattr_mode_code, xattr_name, xattr_value,
};
use crate::health::code_in;
use crate::limits::{
    ADDRESS_BYTES_MAX, BOUNDARIES_MAX, DIRTY_CHUNKS_MAX, INODES_MAX, LABEL_BYTES_MAX, MEMBERS_MAX,
    PATH_BYTES_MAX, RECORD_BYTES_MAX,
};
use crate::{Malformed, proto};
use prost::Message as _;
use proto::record::Op as P;
use types::{
    ChunkId, ChunkIndex, HoldId, LogIndex, Op, Origin, RaisedChunk, Record, Sequence, SessionId, TaskId,
    Timestamp, TruncateGeneration,
};

/// Appends the bytes of a record.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    let encoded = proto::Record {
        term: record.term.0,
        index: record.index.0,
        at: record.at.to_bits(),
        origin: record.origin.as_ref().map(Into::into),
        op: Some((&record.op).into()),
    };
    out.reserve(encoded.encoded_len());
    encoded.encode(out).expect("a vector grows as needed");
}

/// Reads and checks a record.
pub fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
    within(bytes.len(), RECORD_BYTES_MAX, "length of a record")?;
    let p = proto::Record::decode(bytes)?;
    Ok(Record {
        term: term(p.term)?,
        index: LogIndex(p.index),
        at: Timestamp::from_bits(p.at),
        origin: maybe(p.origin)?,
        op: part(p.op, "operation")?,
    })
}

impl From<&Origin> for proto::Origin {
    fn from(v: &Origin) -> Self {
        Self { session: v.session.0, sequence: v.sequence.0, answered_below: v.answered_below.0 }
    }
}

impl TryFrom<proto::Origin> for Origin {
    type Error = Malformed;
    fn try_from(p: proto::Origin) -> Result<Self, Malformed> {
        Ok(Self {
            session: SessionId(p.session),
            sequence: Sequence(p.sequence),
            answered_below: Sequence(p.answered_below),
        })
    }
}

impl From<&RaisedChunk> for proto::RaisedChunk {
    fn from(v: &RaisedChunk) -> Self {
        Self { index: v.index.0, chunk: v.chunk.0, version: v.version.to_u64() }
    }
}

impl TryFrom<proto::RaisedChunk> for RaisedChunk {
    type Error = Malformed;
    fn try_from(p: proto::RaisedChunk) -> Result<Self, Malformed> {
        Ok(Self { index: ChunkIndex(p.index), chunk: ChunkId(p.chunk), version: version(p.version)? })
    }
}

impl From<&Op> for P {
    fn from(op: &Op) -> Self {
        match op {
            Op::NewCluster { cluster } => {
                Self::NewCluster(proto::OpNewCluster { cluster: cluster.0.to_vec() })
            }
            Op::NewTerm { term } => Self::NewTerm(proto::OpNewTerm { term: term.0 }),
            Op::OpenSession { session, name } => {
                Self::OpenSession(proto::OpOpenSession { session: session.0, name: name.clone() })
            }
            Op::CloseSession { session } => Self::CloseSession(proto::OpCloseSession { session: session.0 }),
            Op::Create { parent, name, inode, node, exclusive } => Self::Create(proto::OpCreate {
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
                inode: Some(inode.into()),
                node: Some(node.into()),
                exclusive: *exclusive,
            }),
            Op::Link { inode, parent, name } => Self::Link(proto::OpLink {
                inode: Some(inode.into()),
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
            }),
            Op::Unlink { parent, name, keep } => Self::Unlink(proto::OpUnlink {
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
                keep: *keep,
            }),
            Op::RemoveDirectory { parent, name } => Self::RemoveDirectory(proto::OpRemoveDirectory {
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
            }),
            Op::Rename { from, from_name, to, to_name, mode, keep } => Self::Rename(proto::OpRename {
                from: Some(from.into()),
                from_name: from_name.as_bytes().to_vec(),
                to: Some(to.into()),
                to_name: to_name.as_bytes().to_vec(),
                mode: rename_mode_code(*mode),
                keep: *keep,
            }),
            Op::SetAttributes { inode, changes, caller } => Self::SetAttributes(proto::OpSetAttributes {
                inode: Some(inode.into()),
                changes: Some(changes.into()),
                caller: Some(caller.into()),
            }),
            Op::SetLength { inode, length, clear_privileges, boundary } => {
                Self::SetLength(proto::OpSetLength {
                    inode: Some(inode.into()),
                    length: *length,
                    clear_privileges: *clear_privileges,
                    boundary: boundary.as_ref().map(Into::into),
                })
            }
            Op::Punch { inode, offset, length, boundaries } => Self::Punch(proto::OpPunch {
                inode: Some(inode.into()),
                offset: *offset,
                length: *length,
                boundaries: boundaries.iter().map(Into::into).collect(),
            }),
            Op::ForfeitAppends { inode } => {
                Self::ForfeitAppends(proto::OpForfeitAppends { inode: Some(inode.into()) })
            }
            Op::SetXattr { inode, name, value, mode } => Self::SetXattr(proto::OpSetXattr {
                inode: Some(inode.into()),
                name: name.clone(),
                value: value.clone(),
                mode: xattr_mode_code(*mode),
            }),
            Op::RemoveXattr { inode, name } => {
                Self::RemoveXattr(proto::OpRemoveXattr { inode: Some(inode.into()), name: name.clone() })
            }
            Op::Commit {
                inode,
                truncate_generation,
                length,
                modified,
                accessed,
                chunks,
                clear_privileges,
                durable,
            } => Self::Commit(proto::OpCommit {
                inode: Some(inode.into()),
                truncate_generation: truncate_generation.0,
                length: *length,
                modified: modified.map(Timestamp::to_bits),
                accessed: accessed.map(Timestamp::to_bits),
                chunks: chunks.iter().map(Into::into).collect(),
                clear_privileges: *clear_privileges,
                durable: *durable,
            }),
            Op::Raise { chunk, version, members } => Self::Raise(proto::OpRaise {
                chunk: chunk.0,
                version: version.to_u64(),
                members: members.iter().map(|d| d.0.to_vec()).collect(),
            }),
            Op::Reap { inodes } => {
                Self::Reap(proto::OpReap { inodes: inodes.iter().map(Into::into).collect() })
            }
            Op::RegisterDisk { server, disk, registrations, path } => {
                Self::RegisterDisk(proto::OpRegisterDisk {
                    server: server.0.to_vec(),
                    disk: disk.0.to_vec(),
                    registrations: *registrations,
                    path: path.clone(),
                })
            }
            Op::SetClass { class, definition } => Self::SetClass(proto::OpSetClass {
                class: class.0.into(),
                definition: Some((&**definition).into()),
            }),
            Op::DeleteClass { class } => Self::DeleteClass(proto::OpDeleteClass { class: class.0.into() }),
            Op::SetInodeClass { inodes, class } => Self::SetInodeClass(proto::OpSetInodeClass {
                inodes: inodes.iter().map(Into::into).collect(),
                class: class.0.into(),
            }),
            Op::PurgeTrash { inodes } => {
                Self::PurgeTrash(proto::OpPurgeTrash { inodes: inodes.iter().map(Into::into).collect() })
            }
            Op::RestoreTrash { inode, parent, name, replace, keep } => {
                Self::RestoreTrash(proto::OpRestoreTrash {
                    inode: Some(inode.into()),
                    parent: Some(parent.into()),
                    name: name.as_bytes().to_vec(),
                    replace: *replace,
                    keep: *keep,
                })
            }
            Op::Archive { inodes } => {
                Self::Archive(proto::OpArchive { inodes: inodes.iter().map(Into::into).collect() })
            }
            Op::BeginTask { work } => Self::BeginTask(proto::OpBeginTask { work: Some(work.into()) }),
            Op::EndTask { task } => Self::EndTask(proto::OpEndTask { task: task.0 }),
            Op::RegisterServer { server, name, address } => Self::RegisterServer(proto::OpRegisterServer {
                server: server.0.to_vec(),
                name: name.clone(),
                address: address.clone(),
            }),
            Op::SetLabels { holder, labels } => Self::SetLabels(proto::OpSetLabels {
                holder: Some(holder.into()),
                labels: labels_out(labels),
            }),
            Op::SetMark { holder, mark } => {
                Self::SetMark(proto::OpSetMark { holder: Some(holder.into()), mark: mark_out(*mark) })
            }
            Op::Forget { holder } => Self::Forget(proto::OpForget { holder: Some(holder.into()) }),
            Op::SetMute { code, mute } => Self::SetMute(proto::OpSetMute {
                code: code.to_string(),
                mute: mute.as_deref().map(Into::into),
            }),
            Op::SetLimit { scope, limit } => Self::SetLimit(proto::OpSetLimit {
                scope: Some(scope.into()),
                limit: limit.as_ref().map(Into::into),
            }),
            Op::Hold { cause, until } => {
                Self::Hold(proto::OpHold { cause: Some(cause.into()), until: until.to_bits() })
            }
            Op::EndHold { hold } => Self::EndHold(proto::OpEndHold { hold: hold.0 }),
        }
    }
}

impl TryFrom<P> for Op {
    type Error = Malformed;
    fn try_from(p: P) -> Result<Self, Malformed> {
        Ok(match p {
            P::NewCluster(p) => Self::NewCluster { cluster: cluster(&p.cluster)? },
            P::NewTerm(p) => Self::NewTerm { term: term(p.term)? },
            P::OpenSession(p) => Self::OpenSession {
                session: SessionId(p.session),
                name: text(p.name, LABEL_BYTES_MAX, "name of a session")?,
            },
            P::CloseSession(p) => Self::CloseSession { session: SessionId(p.session) },
            P::Create(p) => Self::Create {
                parent: part(p.parent, "parent")?,
                name: name(p.name)?,
                inode: part(p.inode, "inode")?,
                node: part(p.node, "node")?,
                exclusive: p.exclusive,
            },
            P::Link(p) => Self::Link {
                inode: part(p.inode, "inode")?,
                parent: part(p.parent, "parent")?,
                name: name(p.name)?,
            },
            P::Unlink(p) => {
                Self::Unlink { parent: part(p.parent, "parent")?, name: name(p.name)?, keep: p.keep }
            }
            P::RemoveDirectory(p) => {
                Self::RemoveDirectory { parent: part(p.parent, "parent")?, name: name(p.name)? }
            }
            P::Rename(p) => Self::Rename {
                from: part(p.from, "source directory")?,
                from_name: name(p.from_name)?,
                to: part(p.to, "target directory")?,
                to_name: name(p.to_name)?,
                mode: rename_mode(p.mode)?,
                keep: p.keep,
            },
            P::SetAttributes(p) => Self::SetAttributes {
                inode: part(p.inode, "inode")?,
                changes: part(p.changes, "changes of attributes")?,
                caller: part(p.caller, "caller")?,
            },
            P::SetLength(p) => Self::SetLength {
                inode: part(p.inode, "inode")?,
                length: p.length,
                clear_privileges: p.clear_privileges,
                boundary: maybe(p.boundary)?,
            },
            P::Punch(p) => Self::Punch {
                inode: part(p.inode, "inode")?,
                offset: p.offset,
                length: p.length,
                boundaries: list(p.boundaries, BOUNDARIES_MAX, "chunks cut by a punch")?,
            },
            P::ForfeitAppends(p) => Self::ForfeitAppends { inode: part(p.inode, "inode")? },
            P::SetXattr(p) => Self::SetXattr {
                inode: part(p.inode, "inode")?,
                name: xattr_name(p.name)?,
                value: xattr_value(p.value)?,
                mode: xattr_mode(p.mode)?,
            },
            P::RemoveXattr(p) => {
                Self::RemoveXattr { inode: part(p.inode, "inode")?, name: xattr_name(p.name)? }
            }
            P::Commit(p) => Self::Commit {
                inode: part(p.inode, "inode")?,
                truncate_generation: TruncateGeneration(p.truncate_generation),
                length: p.length,
                modified: p.modified.map(Timestamp::from_bits),
                accessed: p.accessed.map(Timestamp::from_bits),
                chunks: list(p.chunks, DIRTY_CHUNKS_MAX, "chunks of a commit")?,
                clear_privileges: p.clear_privileges,
                durable: p.durable,
            },
            P::Raise(p) => {
                within(p.members.len(), MEMBERS_MAX, "members of a raise")?;
                Self::Raise {
                    chunk: ChunkId(p.chunk),
                    version: version(p.version)?,
                    members: p.members.iter().map(|m| disk(m)).collect::<Result<_, _>>()?,
                }
            }
            P::Reap(p) => Self::Reap { inodes: list(p.inodes, INODES_MAX, "inodes to reap")? },
            P::RegisterDisk(p) => Self::RegisterDisk {
                server: server(&p.server)?,
                disk: disk(&p.disk)?,
                registrations: p.registrations,
                path: text(p.path, PATH_BYTES_MAX, "path of a disk")?,
            },
            P::SetClass(p) => Self::SetClass {
                class: class_id(p.class)?,
                definition: Box::new(part(p.definition, "definition of a class")?),
            },
            P::DeleteClass(p) => Self::DeleteClass { class: class_id(p.class)? },
            P::SetInodeClass(p) => Self::SetInodeClass {
                inodes: list(p.inodes, INODES_MAX, "inodes of a class")?,
                class: class_id(p.class)?,
            },
            P::PurgeTrash(p) => {
                Self::PurgeTrash { inodes: list(p.inodes, INODES_MAX, "inodes of the trash")? }
            }
            P::RestoreTrash(p) => Self::RestoreTrash {
                inode: part(p.inode, "inode")?,
                parent: part(p.parent, "parent")?,
                name: name(p.name)?,
                replace: p.replace,
                keep: p.keep,
            },
            P::Archive(p) => Self::Archive { inodes: list(p.inodes, INODES_MAX, "inodes to archive")? },
            P::BeginTask(p) => Self::BeginTask { work: part(p.work, "work of a task")? },
            P::EndTask(p) => Self::EndTask { task: TaskId(p.task) },
            P::RegisterServer(p) => Self::RegisterServer {
                server: server(&p.server)?,
                name: text(p.name, LABEL_BYTES_MAX, "name of a server")?,
                address: text(p.address, ADDRESS_BYTES_MAX, "address")?,
            },
            P::SetLabels(p) => {
                Self::SetLabels { holder: part(p.holder, "server or disk")?, labels: labels_in(&p.labels)? }
            }
            P::SetMark(p) => {
                Self::SetMark { holder: part(p.holder, "server or disk")?, mark: mark_in(p.mark)? }
            }
            P::Forget(p) => Self::Forget { holder: part(p.holder, "server or disk")? },
            P::SetMute(p) => Self::SetMute { code: code_in(&p.code)?, mute: maybe(p.mute)?.map(Box::new) },
            P::SetLimit(p) => {
                Self::SetLimit { scope: part(p.scope, "what a limit is about")?, limit: maybe(p.limit)? }
            }
            P::Hold(p) => {
                Self::Hold { cause: part(p.cause, "cause of a hold")?, until: Timestamp::from_bits(p.until) }
            }
            P::EndHold(p) => Self::EndHold { hold: HoldId(p.hold) },
        })
    }
}
