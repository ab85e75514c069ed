//! Plain values to protobuf and, checked, back.

use super::{
    Answer, Chunk, Class, Disk, End, Entry, Header, Held, Inode, Limited, Piece, Server, Session, Table,
    Task, Trashed, Xattr,
};
use crate::class::{class_id, labels_in, labels_out, mark_in, mark_out};
use crate::common::{part, text};
use crate::health::code_in;
use crate::limits::{ADDRESS_BYTES_MAX, LABEL_BYTES_MAX, PATH_BYTES_MAX};
use crate::proto::checkpoint_piece::Content;
use crate::{Malformed, proto};
use types::{
    ChunkId, ChunkIndex, ClusterId, DirCursor, DiskId, HealthCode, HoldId, InodeId, LogIndex, Mute, Name,
    SEQUENCES_AHEAD_MAX, Sequence, ServerId, SessionId, TERM_MAX, TaskId, Term, Timestamp, Version,
};

type Checked<T> = Result<T, Malformed>;

const DONE: u32 = 1;
const ATTRIBUTES: u32 = 2;
const ENTRY_FOUND: u32 = 3;
const ENTRY_MADE: u32 = 4;

fn all<P, T>(items: Vec<P>, convert: impl FnMut(P) -> Checked<T>) -> Checked<Vec<T>> {
    items.into_iter().map(convert).collect()
}

fn term(number: u32) -> Checked<Term> {
    if number <= TERM_MAX { Ok(Term(number)) } else { Err(Malformed::new("term")) }
}

fn time(bits: u64) -> Checked<Timestamp> {
    let time = Timestamp::from_bits(bits);
    if time.to_bits() == bits { Ok(time) } else { Err(Malformed::new("time")) }
}

fn attributes(part: Option<proto::Attributes>) -> Checked<types::Attributes> {
    part.ok_or(Malformed::new("attributes"))?.try_into()
}

impl From<Piece> for Content {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Header(header) => Self::Header(header_out(&header)),
            Piece::Inodes(inodes) => {
                let inodes = inodes.into_iter().map(inode_out).collect();
                Self::Inodes(proto::CheckpointInodes { inodes })
            }
            Piece::Tables(tables) => {
                let tables = tables.into_iter().map(table_out).collect();
                Self::Tables(proto::CheckpointTables { tables })
            }
            Piece::Chunks(chunks) => {
                let chunks = chunks.into_iter().map(chunk_out).collect();
                Self::Chunks(proto::CheckpointChunks { chunks })
            }
            Piece::Xattrs(xattrs) => {
                let xattrs = xattrs.into_iter().map(xattr_out).collect();
                Self::Xattrs(proto::CheckpointXattrs { xattrs })
            }
            Piece::Session(session) => Self::Session(session_out(session)),
            Piece::Disks(disks) => {
                let disks = disks.into_iter().map(disk_out).collect();
                Self::Disks(proto::CheckpointDisks { disks })
            }
            Piece::Servers(servers) => {
                let servers = servers.into_iter().map(server_out).collect();
                Self::Servers(proto::CheckpointServers { servers })
            }
            Piece::Classes(classes) => {
                let classes = classes.iter().map(class_out).collect();
                Self::Classes(proto::CheckpointClasses { classes })
            }
            Piece::Tasks(tasks) => {
                let tasks = tasks.iter().map(task_out).collect();
                Self::Tasks(proto::CheckpointTasks { tasks })
            }
            Piece::Trash(trash) => {
                let trashed = trash.into_iter().map(trashed_out).collect();
                Self::Trash(proto::CheckpointTrash { trashed })
            }
            Piece::Mutes(mutes) => {
                let mute = |(code, mute): &(HealthCode, Mute)| proto::CheckpointMute {
                    code: code.to_string(),
                    mute: Some(mute.into()),
                };
                Self::Mutes(proto::CheckpointMutes { mutes: mutes.iter().map(mute).collect() })
            }
            Piece::Limits(limits) => {
                let limits = limits.iter().map(limited_out).collect();
                Self::Limits(proto::CheckpointLimits { limits })
            }
            Piece::Holds(holds) => {
                let holds = holds.iter().map(held_out).collect();
                Self::Holds(proto::CheckpointHolds { holds })
            }
            Piece::End(end) => Self::End(proto::CheckpointEnd {
                digest: end.digest.to_vec(),
                inodes: end.inodes,
                entries: end.entries,
                chunks: end.chunks,
            }),
        }
    }
}

impl TryFrom<Content> for Piece {
    type Error = Malformed;
    fn try_from(content: Content) -> Checked<Self> {
        Ok(match content {
            Content::Header(header) => Self::Header(header_in(&header)?),
            Content::Inodes(part) => Self::Inodes(all(part.inodes, inode_in)?),
            Content::Tables(part) => Self::Tables(all(part.tables, table_in)?),
            Content::Chunks(part) => Self::Chunks(all(part.chunks, chunk_in)?),
            Content::Xattrs(part) => Self::Xattrs(part.xattrs.into_iter().map(xattr_in).collect()),
            Content::Session(session) => Self::Session(session_in(session)?),
            Content::Disks(part) => Self::Disks(all(part.disks, disk_in)?),
            Content::Servers(part) => Self::Servers(all(part.servers, server_in)?),
            Content::Classes(part) => Self::Classes(all(part.classes, class_in)?),
            Content::Tasks(part) => Self::Tasks(all(part.tasks, task_in)?),
            Content::Trash(part) => Self::Trash(all(part.trashed, trashed_in)?),
            Content::Mutes(p) => {
                Self::Mutes(all(p.mutes, |item| Ok((code_in(&item.code)?, part(item.mute, "mute")?)))?)
            }
            Content::Limits(part) => Self::Limits(all(part.limits, limited_in)?),
            Content::Holds(part) => Self::Holds(all(part.holds, held_in)?),
            Content::End(end) => Self::End(End {
                digest: end.digest.try_into().map_err(|_| Malformed::new("digest"))?,
                inodes: end.inodes,
                entries: end.entries,
                chunks: end.chunks,
            }),
        })
    }
}

fn header_out(header: &Header) -> proto::CheckpointHeader {
    proto::CheckpointHeader {
        format_version: header.format_version,
        cluster: header.cluster.map(|cluster| cluster.0.to_vec()).unwrap_or_default(),
        term: header.term.0,
        applied_term: header.applied_term.0,
        applied: header.applied.0,
        at: header.at.to_bits(),
        inode_highest: header.inode_highest.0,
        classes_given: header.classes_given,
    }
}

fn header_in(header: &proto::CheckpointHeader) -> Checked<Header> {
    let cluster = match &*header.cluster {
        [] => None,
        bytes => Some(ClusterId::from_slice(bytes).ok_or(Malformed::new("cluster id"))?),
    };
    Ok(Header {
        format_version: header.format_version,
        cluster,
        term: term(header.term)?,
        applied_term: term(header.applied_term)?,
        applied: LogIndex(header.applied),
        at: time(header.at)?,
        inode_highest: InodeId(header.inode_highest),
        classes_given: header.classes_given,
    })
}

fn inode_out(inode: Inode) -> proto::CheckpointInode {
    proto::CheckpointInode {
        attributes: Some((&inode.attributes).into()),
        class: u32::from(inode.class.0),
        table: inode.table,
        target: inode.target,
        archived: inode.archived,
    }
}

fn inode_in(inode: proto::CheckpointInode) -> Checked<Inode> {
    Ok(Inode {
        attributes: attributes(inode.attributes)?,
        class: class_id(inode.class)?,
        table: inode.table,
        target: inode.target,
        archived: inode.archived,
    })
}

fn table_out(table: Table) -> proto::CheckpointTable {
    let entry = |entry: Entry| proto::CheckpointEntry {
        cursor: entry.cursor.0,
        inode: entry.inode.0,
        name: entry.name,
    };
    proto::CheckpointTable {
        id: table.id,
        refs: table.refs,
        cursor_last: table.cursor_last,
        entries: table.entries.into_iter().map(entry).collect(),
    }
}

fn table_in(table: proto::CheckpointTable) -> Checked<Table> {
    let entry = |entry: proto::CheckpointEntry| {
        Name::check(&entry.name).map_err(|_| Malformed::new("name"))?;
        Ok(Entry { cursor: DirCursor(entry.cursor), inode: InodeId(entry.inode), name: entry.name })
    };
    Ok(Table {
        id: table.id,
        refs: table.refs,
        cursor_last: table.cursor_last,
        entries: all(table.entries, entry)?,
    })
}

fn chunk_out(chunk: Chunk) -> proto::CheckpointChunk {
    proto::CheckpointChunk {
        chunk: chunk.chunk.0,
        version: chunk.version.to_u64(),
        owner: chunk.owner.0,
        index: chunk.index.0,
        refs: chunk.refs,
    }
}

fn chunk_in(chunk: proto::CheckpointChunk) -> Checked<Chunk> {
    Ok(Chunk {
        chunk: ChunkId(chunk.chunk),
        version: Version::from_u64(chunk.version).ok_or(Malformed::new("version"))?,
        owner: InodeId(chunk.owner),
        index: ChunkIndex(chunk.index),
        refs: chunk.refs,
    })
}

fn xattr_out(xattr: Xattr) -> proto::CheckpointXattr {
    proto::CheckpointXattr { inode: xattr.inode.0, name: xattr.name, value: xattr.value }
}

fn xattr_in(xattr: proto::CheckpointXattr) -> Xattr {
    Xattr { inode: InodeId(xattr.inode), name: xattr.name, value: xattr.value }
}

fn session_out(session: Session) -> proto::CheckpointSession {
    let answer = |(sequence, answer): (Sequence, Answer)| {
        let (kind, attributes) = match answer {
            Answer::Done => (DONE, None),
            Answer::Attributes(attributes) => (ATTRIBUTES, Some(attributes)),
            Answer::Entry { attributes, created: false } => (ENTRY_FOUND, Some(attributes)),
            Answer::Entry { attributes, created: true } => (ENTRY_MADE, Some(attributes)),
        };
        let attributes = attributes.map(|attributes| (&attributes).into());
        proto::CheckpointAnswer { sequence: sequence.0, kind, attributes }
    };
    proto::CheckpointSession {
        session: session.session.0,
        name: session.name,
        answered_below: session.answered_below.0,
        answers: session.answers.into_iter().map(answer).collect(),
    }
}

fn session_in(session: proto::CheckpointSession) -> Checked<Session> {
    if session.answers.len() as u64 > SEQUENCES_AHEAD_MAX {
        return Err(Malformed::new("too many answers"));
    }
    let answer = |answer: proto::CheckpointAnswer| {
        let value = match answer.kind {
            DONE => Answer::Done,
            ATTRIBUTES => Answer::Attributes(attributes(answer.attributes)?),
            ENTRY_FOUND => Answer::Entry { attributes: attributes(answer.attributes)?, created: false },
            ENTRY_MADE => Answer::Entry { attributes: attributes(answer.attributes)?, created: true },
            _ => return Err(Malformed::new("answer of unknown kind")),
        };
        Ok((Sequence(answer.sequence), value))
    };
    Ok(Session {
        session: SessionId(session.session),
        name: session.name,
        answered_below: Sequence(session.answered_below),
        answers: all(session.answers, answer)?,
    })
}

fn disk_out(disk: Disk) -> proto::CheckpointDisk {
    proto::CheckpointDisk {
        disk: disk.disk.0.to_vec(),
        server: disk.server.0.to_vec(),
        registrations: disk.registrations,
        path: disk.path,
        labels: labels_out(&disk.labels),
        mark: mark_out(disk.mark),
    }
}

fn disk_in(disk: proto::CheckpointDisk) -> Checked<Disk> {
    Ok(Disk {
        disk: DiskId::from_slice(&disk.disk).ok_or(Malformed::new("disk id"))?,
        server: ServerId::from_slice(&disk.server).ok_or(Malformed::new("server id"))?,
        registrations: disk.registrations,
        path: text(disk.path, PATH_BYTES_MAX, "path of a disk")?,
        labels: labels_in(&disk.labels)?,
        mark: mark_in(disk.mark)?,
    })
}

fn server_out(server: Server) -> proto::CheckpointServer {
    proto::CheckpointServer {
        server: server.server.0.to_vec(),
        name: server.name,
        address: server.address,
        labels: labels_out(&server.labels),
        mark: mark_out(server.mark),
    }
}

fn server_in(server: proto::CheckpointServer) -> Checked<Server> {
    Ok(Server {
        server: ServerId::from_slice(&server.server).ok_or(Malformed::new("server id"))?,
        name: text(server.name, LABEL_BYTES_MAX, "name of a server")?,
        address: text(server.address, ADDRESS_BYTES_MAX, "address")?,
        labels: labels_in(&server.labels)?,
        mark: mark_in(server.mark)?,
    })
}

fn class_out(class: &Class) -> proto::CheckpointClass {
    proto::CheckpointClass { class: class.class.0.into(), definition: Some((&class.definition).into()) }
}

fn class_in(class: proto::CheckpointClass) -> Checked<Class> {
    Ok(Class { class: class_id(class.class)?, definition: part(class.definition, "definition of a class")? })
}

fn task_out(task: &Task) -> proto::CheckpointTask {
    proto::CheckpointTask { task: task.task.0, work: Some((&task.work).into()) }
}

fn task_in(task: proto::CheckpointTask) -> Checked<Task> {
    Ok(Task { task: TaskId(task.task), work: part(task.work, "work of a task")? })
}

fn trashed_out(trashed: Trashed) -> proto::CheckpointTrashed {
    proto::CheckpointTrashed {
        inode: trashed.inode.0,
        path: trashed.path,
        deleted: trashed.deleted.to_bits(),
        until: trashed.until.to_bits(),
    }
}

fn trashed_in(trashed: proto::CheckpointTrashed) -> Checked<Trashed> {
    Ok(Trashed {
        inode: InodeId(trashed.inode),
        path: trashed.path,
        deleted: time(trashed.deleted)?,
        until: time(trashed.until)?,
    })
}

fn limited_out(limited: &Limited) -> proto::CheckpointLimit {
    proto::CheckpointLimit { scope: Some((&limited.scope).into()), limit: Some((&limited.limit).into()) }
}

fn limited_in(limited: proto::CheckpointLimit) -> Checked<Limited> {
    Ok(Limited { scope: part(limited.scope, "what a limit is about")?, limit: part(limited.limit, "limit")? })
}

fn held_out(held: &Held) -> proto::CheckpointHold {
    proto::CheckpointHold {
        hold: held.hold.0,
        cause: Some((&held.cause).into()),
        since: held.since.to_bits(),
        until: held.until.to_bits(),
    }
}

fn held_in(held: proto::CheckpointHold) -> Checked<Held> {
    Ok(Held {
        hold: HoldId(held.hold),
        cause: part(held.cause, "cause of a hold")?,
        since: time(held.since)?,
        until: time(held.until)?,
    })
}
