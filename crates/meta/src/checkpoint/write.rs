//! Writing: a walk over the tables, a bounded piece at a time.

use crate::api::{KnownDisk, KnownServer};
use crate::sessions::{Answer, Session};
use crate::state::Meta;
use codec::checkpoint::{self as pieces, Piece};
use std::io;
use types::{
    ClassId, DirCursor, EXPRESSION_BYTES_MAX, FileKind, Hold, HoldCause, InodeId, Labels, SessionId,
};

/// A piece is handed over once it holds about this much.
const PIECE_BYTES: usize = 64 << 10;
/// More than the fixed part of any item takes.
const ITEM_BYTES: usize = 32;
const INODE_BYTES: usize = 128;
/// Five expressions and some numbers.
const CLASS_BYTES: usize = 5 * EXPRESSION_BYTES_MAX + 8 * ITEM_BYTES;

type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Gathers items of one section into pieces.
struct Batch<'a, 'b, T> {
    sink: &'a mut Sink<'b>,
    wrap: fn(Vec<T>) -> Piece,
    items: Vec<T>,
    bytes: usize,
}

impl<'a, 'b, T> Batch<'a, 'b, T> {
    fn new(sink: &'a mut Sink<'b>, wrap: fn(Vec<T>) -> Piece) -> Self {
        Self { sink, wrap, items: Vec::new(), bytes: 0 }
    }

    fn push(&mut self, item: T, bytes: usize) -> io::Result<()> {
        self.items.push(item);
        self.bytes += bytes;
        if self.bytes >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes = 0;
        if self.items.is_empty() {
            return Ok(());
        }
        send(self.sink, (self.wrap)(std::mem::take(&mut self.items)))
    }
}

fn send(sink: &mut Sink<'_>, piece: Piece) -> io::Result<()> {
    let mut bytes = Vec::new();
    piece.encode(&mut bytes);
    sink(&bytes)
}

impl Meta {
    /// Writes the state in pieces of at most 256 KiB and a few bytes.
    pub fn write_checkpoint(&self, sink: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let position = &self.position;
        let header = pieces::Header {
            format_version: pieces::FORMAT_VERSION,
            cluster: position.cluster,
            term: position.term,
            applied_term: position.applied_term,
            applied: position.applied,
            at: position.at,
            inode_highest: self.inode_highest(),
            classes_given: self.classes.given(),
        };
        send(sink, Piece::Header(header))?;
        self.write_inodes(sink)?;
        self.write_tables(sink)?;
        self.write_chunks(sink)?;
        self.write_xattrs(sink)?;
        for (id, session) in self.sessions.iter() {
            send(sink, Piece::Session(session_piece(id, session)))?;
        }
        self.write_hosts(sink)?;
        self.write_classes(sink)?;
        self.write_trash(sink)?;
        self.write_mutes(sink)?;
        self.write_limits(sink)?;
        let counts = self.counts();
        let (inodes, entries, chunks) = (counts.inodes, counts.entries, counts.chunks);
        send(sink, Piece::End(pieces::End { digest: self.digest(), inodes, entries, chunks }))
    }

    fn write_inodes(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut batch = Batch::new(sink, Piece::Inodes);
        for (_, inode) in self.inodes.iter() {
            let target = match inode.kind() {
                FileKind::Symlink => self.targets.get(inode.place.main).to_vec(),
                _ => Vec::new(),
            };
            let bytes = INODE_BYTES + target.len();
            let attributes = inode.attributes(inode.length, 0);
            let (class, table) = (ClassId(inode.class), inode.table_id());
            let archived = inode.is_archived();
            batch.push(pieces::Inode { attributes, class, table, target, archived }, bytes)?;
        }
        batch.flush()
    }

    fn write_tables(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut batch = Batch::new(sink, Piece::Tables);
        for table in self.directories.tables() {
            let (id, refs, cursor_last) = (table.id, table.refs, table.cursor_last);
            let mut entries = Vec::new();
            let mut bytes = ITEM_BYTES;
            for entry in self.directories.after(table.slot, DirCursor(0)) {
                let inode = InodeId(self.inodes.get(entry.child).id);
                bytes += ITEM_BYTES + entry.name.len();
                entries.push(pieces::Entry { cursor: entry.cursor, inode, name: entry.name.to_vec() });
                if bytes >= PIECE_BYTES {
                    let entries = std::mem::take(&mut entries);
                    batch.push(pieces::Table { id, refs, cursor_last, entries }, bytes)?;
                    bytes = ITEM_BYTES;
                }
            }
            batch.push(pieces::Table { id, refs, cursor_last, entries }, bytes)?;
        }
        batch.flush()
    }

    fn write_chunks(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut batch = Batch::new(sink, Piece::Chunks);
        for (_, chunk) in self.chunks.iter() {
            let item = pieces::Chunk {
                chunk: chunk.id,
                version: chunk.version(),
                owner: chunk.owner,
                index: chunk.index,
                refs: chunk.refs,
            };
            batch.push(item, 2 * ITEM_BYTES)?;
        }
        batch.flush()
    }

    fn write_hosts(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut disks = Batch::new(sink, Piece::Disks);
        for (disk, known) in self.disks.iter() {
            let KnownDisk { server, registrations, path, labels, mark } = known.clone();
            let bytes = 4 * ITEM_BYTES + path.len() + label_bytes(&labels);
            disks.push(pieces::Disk { disk, server, registrations, path, labels, mark }, bytes)?;
        }
        disks.flush()?;
        let mut servers = Batch::new(sink, Piece::Servers);
        for (server, known) in self.servers.iter() {
            let KnownServer { name, address, labels, mark } = known.clone();
            let bytes = 4 * ITEM_BYTES + name.len() + address.len() + label_bytes(&labels);
            servers.push(pieces::Server { server, name, address, labels, mark }, bytes)?;
        }
        servers.flush()
    }

    fn write_classes(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut classes = Batch::new(sink, Piece::Classes);
        for (class, definition) in self.classes.iter() {
            classes.push(pieces::Class { class, definition: definition.clone() }, CLASS_BYTES)?;
        }
        classes.flush()?;
        let mut tasks = Batch::new(sink, Piece::Tasks);
        for (task, work) in self.tasks.iter() {
            tasks.push(pieces::Task { task, work: *work }, 2 * ITEM_BYTES)?;
        }
        tasks.flush()
    }

    fn write_trash(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut batch = Batch::new(sink, Piece::Trash);
        for (inode, entry) in self.trash.iter() {
            let (path, deleted, until) = (entry.path.to_vec(), entry.deleted, entry.until);
            let bytes = ITEM_BYTES + path.len();
            batch.push(pieces::Trashed { inode, path, deleted, until }, bytes)?;
        }
        batch.flush()
    }

    fn write_mutes(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut batch = Batch::new(sink, Piece::Mutes);
        for (code, mute) in self.mutes.iter() {
            batch.push((code, mute.clone()), 3 * ITEM_BYTES + mute.reason.len())?;
        }
        batch.flush()
    }

    fn write_limits(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut limits = Batch::new(sink, Piece::Limits);
        for (scope, limit) in self.limits.iter() {
            let scope = scope.clone();
            limits.push(pieces::Limited { scope, limit }, 2 * EXPRESSION_BYTES_MAX + 2 * ITEM_BYTES)?;
        }
        limits.flush()?;
        let mut holds = Batch::new(sink, Piece::Holds);
        for (hold, known) in self.holds.iter() {
            let Hold { cause, since, until } = known.clone();
            let bytes = match &cause {
                HoldCause::Class { .. } => CLASS_BYTES,
                HoldCause::Labels { before, .. } => label_bytes(before),
            };
            holds.push(pieces::Held { hold, cause, since, until }, 4 * ITEM_BYTES + bytes)?;
        }
        holds.flush()
    }

    fn write_xattrs(&self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut batch = Batch::new(sink, Piece::Xattrs);
        for (inode, name, value) in self.xattrs.iter() {
            let item = pieces::Xattr { inode, name: name.to_vec(), value: value.to_vec() };
            batch.push(item, ITEM_BYTES + name.len() + value.len())?;
        }
        batch.flush()
    }
}

/// More than labels take.
fn label_bytes(labels: &Labels) -> usize {
    labels.iter().map(|label| label.as_str().len() + 2).sum()
}

fn session_piece(id: SessionId, session: &Session) -> pieces::Session {
    let answer = |answer: Answer| match answer {
        Answer::Done => pieces::Answer::Done,
        Answer::Attributes(attributes) => pieces::Answer::Attributes(attributes),
        Answer::Entry { attributes, created } => pieces::Answer::Entry { attributes, created },
    };
    pieces::Session {
        session: id,
        name: session.name.clone(),
        answered_below: session.answered_below,
        answers: session.answers.iter().map(|(sequence, kept)| (*sequence, answer(*kept))).collect(),
    }
}
