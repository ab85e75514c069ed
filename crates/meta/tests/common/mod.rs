//! One setup for all tests: a namespace that is spoken to in short sentences and remembers its log.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use meta::{Effect, Loader, Meta, Outcome};
use types::{
    AttributeChanges, Attributes, Caller, ChunkId, ChunkIndex, ClassId, ClassName, ClusterId, DirCursor,
    DirtyChunk, Expression, FileKind, Generation, InodeId, InodeRef, Label, Labels, LogIndex, Name, NodeSpec,
    Op, Origin, Owner, RaisedChunk, Record, RenameMode, Reply, Sequence, SessionId, Status, StorageClass,
    Term, Timestamp, TruncateGeneration, Version,
};

pub const ROOT: InodeRef = InodeRef::ROOT;
pub const MIB: u64 = 1 << 20;

pub struct Fs {
    pub meta: Meta,
    pub log: Vec<Record>,
    pub effects: Vec<Effect>,
    pub next_inode: u64,
    pub changed: bool,
}

pub fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

pub fn root_caller() -> Caller {
    Caller::default()
}

pub fn chunk(index: u32, number: u64, version: u32) -> DirtyChunk {
    DirtyChunk { index: ChunkIndex(index), chunk: chunk_id(number), version: version_of(version) }
}

pub fn chunk_id(number: u64) -> ChunkId {
    ChunkId::new(Term(1), number).unwrap()
}

pub fn version_of(counter: u32) -> Version {
    Version { term: Term(1), counter }
}

pub fn raised(index: u32, number: u64, version: u32) -> RaisedChunk {
    RaisedChunk { index: ChunkIndex(index), chunk: chunk_id(number), version: version_of(version) }
}

pub fn labels(words: &str) -> Labels {
    Labels::new(words.split(' ').map(|word| Label::new(word).unwrap())).unwrap()
}

pub fn class(name: &str, keep: &str) -> StorageClass {
    StorageClass::new(ClassName::new(name).unwrap(), Expression::new(keep).unwrap())
}

impl Default for Fs {
    fn default() -> Self {
        let mut fs = Self::empty();
        fs.ok(Op::NewCluster { cluster: ClusterId([9; 16]) });
        fs.ok(Op::NewTerm { term: Term(1) });
        fs
    }
}

impl Fs {
    pub fn empty() -> Self {
        Self { meta: Meta::new(), log: Vec::new(), effects: Vec::new(), next_inode: 2, changed: false }
    }

    /// The time of the next record.
    pub fn now(&self) -> Timestamp {
        Timestamp::new(1_000_000 + self.log.len() as i64, 7)
    }

    pub fn outcome(&mut self, op: Op, origin: Option<Origin>) -> Outcome {
        let index = LogIndex(self.log.len() as u64 + 1);
        let record = Record { term: Term(1), index, at: self.now(), origin, op };
        let before = self.meta.digest();
        let outcome = self.meta.apply(&record);
        if outcome.changed {
            self.log.push(record);
        } else {
            assert_eq!(self.meta.digest(), before, "what is not logged leaves no trace");
            assert_eq!(outcome.effects, []);
        }
        assert!(outcome.changed || outcome.reply.is_err() || outcome.effects.is_empty());
        assert!(!(outcome.changed && outcome.reply.is_err()));
        self.effects = outcome.effects.clone();
        self.changed = outcome.changed;
        outcome
    }

    pub fn op(&mut self, op: Op) -> Result<Reply, Status> {
        self.outcome(op, None).reply
    }

    pub fn asked(&mut self, session: u64, sequence: u64, answered_below: u64, op: Op) -> Outcome {
        let origin = Origin {
            session: SessionId(session),
            sequence: Sequence(sequence),
            answered_below: Sequence(answered_below),
        };
        self.outcome(op, Some(origin))
    }

    pub fn ok(&mut self, op: Op) -> Reply {
        self.op(op).unwrap()
    }

    pub fn refused(&mut self, op: Op) -> Status {
        self.op(op).unwrap_err()
    }

    pub fn node(kind: FileKind, mode: u16) -> NodeSpec {
        let target = if kind == FileKind::Symlink { b"target".to_vec() } else { Vec::new() };
        NodeSpec { kind, mode, owner: Owner { uid: 10, gid: 20 }, device: 0, target }
    }

    pub fn create_op(&mut self, parent: InodeRef, text: &str, node: NodeSpec) -> (InodeRef, Op) {
        let inode = InodeRef { id: InodeId(self.next_inode), generation: Generation(1) };
        self.next_inode += 1;
        (inode, Op::Create { parent, name: name(text), inode, node, exclusive: true })
    }

    pub fn make(&mut self, parent: InodeRef, text: &str, kind: FileKind, mode: u16) -> InodeRef {
        let (inode, op) = self.create_op(parent, text, Self::node(kind, mode));
        self.ok(op);
        inode
    }

    pub fn mkdir(&mut self, parent: InodeRef, text: &str) -> InodeRef {
        self.make(parent, text, FileKind::Directory, 0o755)
    }

    pub fn file(&mut self, parent: InodeRef, text: &str) -> InodeRef {
        self.make(parent, text, FileKind::File, 0o644)
    }

    pub fn stat(&self, inode: InodeRef) -> Attributes {
        self.meta.attributes(inode).unwrap()
    }

    pub fn names(&self, dir: InodeRef) -> Vec<String> {
        let (entries, _) = self.meta.read_directory(dir, DirCursor(0), 1 << 20).unwrap();
        entries.iter().map(|entry| entry.name.to_string()).collect()
    }

    pub fn link(&mut self, inode: InodeRef, parent: InodeRef, text: &str) -> Result<Reply, Status> {
        self.op(Op::Link { inode, parent, name: name(text) })
    }

    pub fn unlink(&mut self, parent: InodeRef, text: &str) -> Result<Reply, Status> {
        self.op(Op::Unlink { parent, name: name(text), keep: false })
    }

    pub fn rmdir(&mut self, parent: InodeRef, text: &str) -> Result<Reply, Status> {
        self.op(Op::RemoveDirectory { parent, name: name(text) })
    }

    pub fn rename(&mut self, from: (InodeRef, &str), to: (InodeRef, &str)) -> Result<Reply, Status> {
        self.rename_as(from, to, RenameMode::Replace)
    }

    pub fn rename_as(
        &mut self,
        from: (InodeRef, &str),
        to: (InodeRef, &str),
        mode: RenameMode,
    ) -> Result<Reply, Status> {
        self.op(Op::Rename {
            from: from.0,
            from_name: name(from.1),
            to: to.0,
            to_name: name(to.1),
            mode,
            keep: false,
        })
    }

    pub fn set(&mut self, inode: InodeRef, changes: AttributeChanges, caller: Caller) -> Attributes {
        match self.ok(Op::SetAttributes { inode, changes, caller }) {
            Reply::Attributes(attributes) => attributes,
            other => panic!("not attributes: {other:?}"),
        }
    }

    pub fn commit_op(&self, inode: InodeRef, length: u64, chunks: &[DirtyChunk]) -> Op {
        let generation = self.meta.attributes(inode).map_or(TruncateGeneration(0), |a| a.truncate_generation);
        Op::Commit {
            inode,
            truncate_generation: generation,
            length,
            modified: None,
            accessed: None,
            chunks: chunks.to_vec(),
            clear_privileges: false,
            durable: false,
        }
    }

    pub fn commit(&mut self, inode: InodeRef, length: u64, chunks: &[DirtyChunk]) -> Result<Reply, Status> {
        self.op(self.commit_op(inode, length, chunks))
    }

    pub fn truncate(
        &mut self,
        inode: InodeRef,
        length: u64,
        boundary: Option<RaisedChunk>,
    ) -> Result<Reply, Status> {
        self.op(Op::SetLength { inode, length, clear_privileges: false, boundary })
    }

    /// Indexes and versions of a file's chunks.
    pub fn map(&self, inode: InodeRef) -> Vec<(u32, u64, u32)> {
        let chunks = self.meta.chunks(inode, ChunkIndex(0), u32::MAX).unwrap();
        chunks.iter().map(|view| (view.index.0, view.chunk.counter(), view.version.counter)).collect()
    }

    /// Makes a class.
    pub fn define(&mut self, name: &str, keep: &str) -> ClassId {
        let id = self.meta.next_class().unwrap();
        self.ok(Op::SetClass { class: id, definition: Box::new(class(name, keep)) });
        id
    }

    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let sink = &mut |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        self.meta.write_checkpoint(sink).unwrap();
        bytes
    }
}

pub fn load(bytes: &[u8]) -> Result<Meta, meta::LoadError> {
    let mut loader = Loader::new();
    for part in bytes.chunks(777) {
        loader.feed(part)?;
    }
    loader.finish(None)
}
