//! The model: nodes by number, entries by name, links by counting.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::collections::BTreeMap;
use types::{
    AttributeChanges, CHUNK_BYTES, Caller, ChunkId, DirtyChunk, FileKind, InodeRef, Op, RaisedChunk, Record,
    RenameMode, Status, Timestamp, XattrMode,
};

/// Class 2 keeps deleted files for so long, and archives those that did not change for so long.
pub(crate) const TRASH_KEEP_S: u64 = 30;
pub(crate) const ARCHIVE_AFTER_S: u64 = 20;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: FileKind,
    pub(crate) mode: u16,
    pub(crate) class: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) size: u64,
    pub(crate) truncations: u32,
    pub(crate) entries: BTreeMap<String, u64>,
    pub(crate) chunks: BTreeMap<u32, (ChunkId, u32)>,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) archived: bool,
    /// Path and time of its deletion.
    pub(crate) trashed: Option<(String, Timestamp)>,
}

impl Node {
    pub(crate) fn length(&self) -> u64 {
        if self.kind == FileKind::Directory { self.entries.len() as u64 } else { self.size }
    }
    fn drop_privileges(&mut self) {
        self.mode &= !0o4000;
        if self.mode & 0o010 != 0 {
            self.mode &= !0o2000;
        }
        self.xattrs.remove(&b"security.capability"[..]);
    }
}

pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<u64, Node>,
}

type Result<T> = std::result::Result<T, Status>;

impl Tree {
    pub(crate) fn new(first: &Record) -> Self {
        let root = Node {
            kind: FileKind::Directory,
            mode: 0o755,
            class: 0,
            uid: 0,
            gid: 0,
            modified: first.at,
            changed: first.at,
            size: 0,
            truncations: 0,
            entries: BTreeMap::new(),
            chunks: BTreeMap::new(),
            xattrs: BTreeMap::new(),
            archived: false,
            trashed: None,
        };
        Self { nodes: BTreeMap::from([(1, root)]) }
    }

    fn names_of(&self, id: u64) -> u32 {
        let all = self.nodes.values().flat_map(|node| node.entries.values());
        all.filter(|child| **child == id).count() as u32
    }

    pub(crate) fn links(&self, id: u64) -> u32 {
        let node = &self.nodes[&id];
        if node.kind != FileKind::Directory {
            return self.names_of(id);
        }
        let is_directory = |child: &&u64| self.nodes[child].kind == FileKind::Directory;
        2 + node.entries.values().filter(is_directory).count() as u32
    }

    pub(crate) fn parent(&self, id: u64) -> Option<u64> {
        self.nodes.iter().find(|(_, node)| node.entries.values().any(|child| *child == id)).map(|(id, _)| *id)
    }

    fn is_below(&self, id: u64, above: u64) -> bool {
        id == above || self.parent(id).is_some_and(|parent| self.is_below(parent, above))
    }

    fn get(&self, inode: InodeRef) -> Result<u64> {
        let known = inode.generation.0 == 1 && self.nodes.contains_key(&inode.id.0);
        if known { Ok(inode.id.0) } else { Err(Status::Stale) }
    }

    fn directory(&self, inode: InodeRef) -> Result<u64> {
        let id = self.get(inode)?;
        if self.nodes[&id].kind == FileKind::Directory { Ok(id) } else { Err(Status::NotDirectory) }
    }

    fn file(&self, inode: InodeRef) -> Result<u64> {
        let id = self.get(inode)?;
        match self.nodes[&id].kind {
            FileKind::File => Ok(id),
            FileKind::Directory => Err(Status::IsDirectory),
            _ => Err(Status::Invalid),
        }
    }

    fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).unwrap()
    }

    fn child(&self, dir: u64, name: &str) -> Option<u64> {
        self.nodes[&dir].entries.get(name).copied()
    }

    fn is_directory(&self, id: u64) -> bool {
        self.nodes[&id].kind == FileKind::Directory
    }

    fn touch(&mut self, id: u64, at: Timestamp) {
        self.node(id).changed = at;
    }

    fn write(&mut self, id: u64, at: Timestamp) {
        (self.node(id).modified, self.node(id).changed) = (at, at);
    }

    /// The path of a name in a directory.
    fn path(&self, dir: u64, name: &str) -> String {
        let Some(above) = self.parent(dir) else { return format!("/{name}") };
        let own = self.nodes[&above].entries.iter().find(|(_, child)| **child == dir).unwrap().0;
        format!("{}/{name}", self.path(above, own))
    }

    /// Its name of a directory went from `id`.
    fn lost(&mut self, id: u64, (dir, name): (u64, &str), keep: bool, at: Timestamp) {
        self.touch(id, at);
        if self.names_of(id) > 0 {
            return;
        }
        let node = &self.nodes[&id];
        if node.kind == FileKind::File && node.class == 2 {
            self.node(id).trashed = Some((self.path(dir, name), at));
        } else if !keep || self.is_directory(id) {
            self.nodes.remove(&id);
        }
    }

    /// When a file is to be archived.
    pub(crate) fn due(&self, id: u64) -> Option<Timestamp> {
        let node = &self.nodes[&id];
        let ages = node.kind == FileKind::File && node.class == 2 && node.size > 0;
        let young = !node.archived && self.names_of(id) > 0;
        (ages && young).then(|| node.changed.after(ARCHIVE_AFTER_S))
    }

    /// The content changed.
    fn changed(&mut self, id: u64) {
        self.node(id).archived = false;
    }

    pub(crate) fn apply(&mut self, op: &Op, at: Timestamp) -> Result<()> {
        match op {
            Op::Create { parent, name, inode, node, exclusive } => {
                let dir = self.directory(*parent)?;
                if let Some(child) = self.child(dir, &name.to_string()) {
                    return match (self.nodes[&child].kind, node.kind) {
                        (FileKind::File, FileKind::File) if !exclusive => Ok(()),
                        (FileKind::Directory, FileKind::File) if !exclusive => Err(Status::IsDirectory),
                        _ => Err(Status::Exists),
                    };
                }
                let setgid = self.nodes[&dir].mode & 0o2000;
                let mut new = Node {
                    kind: node.kind,
                    mode: node.mode,
                    class: self.nodes[&dir].class,
                    uid: node.owner.uid,
                    gid: if setgid != 0 { self.nodes[&dir].gid } else { node.owner.gid },
                    modified: at,
                    changed: at,
                    size: node.target.len() as u64,
                    truncations: 0,
                    entries: BTreeMap::new(),
                    chunks: BTreeMap::new(),
                    xattrs: BTreeMap::new(),
                    archived: false,
                    trashed: None,
                };
                if node.kind == FileKind::Directory {
                    new.mode |= setgid;
                }
                self.nodes.insert(inode.id.0, new);
                self.node(dir).entries.insert(name.to_string(), inode.id.0);
                self.write(dir, at);
                Ok(())
            }
            Op::Link { inode, parent, name } => {
                let id = self.get(*inode)?;
                let dir = self.directory(*parent)?;
                if self.child(dir, &name.to_string()).is_some() {
                    return Err(Status::Exists);
                }
                if self.is_directory(id) {
                    return Err(Status::NotPermitted);
                }
                if self.names_of(id) == 0 {
                    return Err(Status::NotFound);
                }
                self.node(dir).entries.insert(name.to_string(), id);
                self.touch(id, at);
                self.write(dir, at);
                Ok(())
            }
            Op::Unlink { parent, name, keep } => {
                let dir = self.directory(*parent)?;
                let child = self.child(dir, &name.to_string()).ok_or(Status::NotFound)?;
                if self.is_directory(child) {
                    return Err(Status::IsDirectory);
                }
                self.node(dir).entries.remove(&name.to_string());
                self.write(dir, at);
                self.lost(child, (dir, &name.to_string()), *keep, at);
                Ok(())
            }
            Op::RemoveDirectory { parent, name } => {
                let dir = self.directory(*parent)?;
                let child = self.child(dir, &name.to_string()).ok_or(Status::NotFound)?;
                if !self.is_directory(child) {
                    return Err(Status::NotDirectory);
                }
                if !self.nodes[&child].entries.is_empty() {
                    return Err(Status::NotEmpty);
                }
                self.node(dir).entries.remove(&name.to_string());
                self.nodes.remove(&child);
                self.write(dir, at);
                Ok(())
            }
            Op::Rename { from, from_name, to, to_name, mode, keep } => {
                let from = (self.directory(*from)?, from_name.to_string());
                let to = (self.directory(*to)?, to_name.to_string());
                self.rename(from, to, *mode, *keep, at)
            }
            Op::SetAttributes { inode, changes, caller } => self.set_attributes(*inode, changes, caller, at),
            Op::SetLength { inode, length, clear_privileges, boundary } => {
                let id = self.file(*inode)?;
                if *length < self.nodes[&id].size {
                    self.cut(id, *length, u64::MAX, boundary.as_slice())?;
                } else if let Some(raised) = boundary {
                    // Cut beyond the end.
                    self.node(id).chunks.insert(raised.index.0, (raised.chunk, raised.version.counter));
                    self.node(id).truncations += 1;
                }
                self.write(id, at);
                self.changed(id);
                self.node(id).size = *length;
                if *clear_privileges {
                    self.node(id).drop_privileges();
                }
                Ok(())
            }
            Op::Punch { inode, offset, length, boundaries } => {
                let id = self.file(*inode)?;
                if *length == 0 {
                    return Err(Status::Invalid);
                }
                let reaches_end = offset + length >= self.nodes[&id].size;
                let end = if reaches_end {
                    (offset + length).div_ceil(CHUNK_BYTES) * CHUNK_BYTES
                } else {
                    offset + length
                };
                self.cut(id, *offset, end, boundaries)?;
                self.write(id, at);
                self.changed(id);
                Ok(())
            }
            Op::ForfeitAppends { inode } => {
                let id = self.file(*inode)?;
                self.node(id).truncations += 1 << 24;
                Ok(())
            }
            Op::SetXattr { inode, name, value, mode } => {
                let id = self.get(*inode)?;
                self.check_user(id, name)?;
                match (mode, self.nodes[&id].xattrs.contains_key(name)) {
                    (XattrMode::Create, true) => return Err(Status::Exists),
                    (XattrMode::Replace, false) => return Err(Status::NoAttribute),
                    _ => {}
                }
                self.node(id).xattrs.insert(name.clone(), value.clone());
                self.touch(id, at);
                Ok(())
            }
            Op::RemoveXattr { inode, name } => {
                let id = self.get(*inode)?;
                self.check_user(id, name)?;
                self.node(id).xattrs.remove(name).ok_or(Status::NoAttribute)?;
                self.touch(id, at);
                Ok(())
            }
            Op::Commit { inode, truncate_generation, length, chunks, .. } => {
                let id = self.file(*inode)?;
                let known = self.nodes[&id].truncations;
                let grows = truncate_generation.0 == known && *length > self.nodes[&id].size;
                if truncate_generation.0 == known {
                    self.take_chunks(id, chunks)?;
                }
                if grows {
                    self.node(id).size = *length;
                }
                if grows || !chunks.is_empty() {
                    self.changed(id);
                }
                if grows {
                    self.write(id, at);
                }
                Ok(())
            }
            Op::Reap { inodes } => {
                for inode in inodes {
                    if let Ok(id) = self.get(*inode)
                        && id != 1
                        && self.names_of(id) == 0
                        && self.nodes[&id].trashed.is_none()
                    {
                        self.nodes.remove(&id);
                    }
                }
                Ok(())
            }
            Op::SetInodeClass { inodes, class } => {
                for inode in inodes {
                    if let Ok(id) = self.get(*inode)
                        && self.nodes[&id].class != class.0
                    {
                        self.node(id).class = class.0;
                        self.node(id).archived = false;
                        self.node(id).archived = self.due(id).is_some_and(|due| due <= at);
                    }
                }
                Ok(())
            }
            Op::PurgeTrash { inodes } => {
                for inode in inodes {
                    if let Ok(id) = self.get(*inode) {
                        self.node(id).trashed = None;
                    }
                }
                Ok(())
            }
            Op::RestoreTrash { inode, parent, name, replace, keep } => {
                let id = self.get(*inode)?;
                self.nodes[&id].trashed.as_ref().ok_or(Status::NotFound)?;
                let dir = self.directory(*parent)?;
                let target = self.child(dir, &name.to_string());
                if target.is_some() && !replace {
                    return Err(Status::Exists);
                }
                if target.is_some_and(|target| self.is_directory(target)) {
                    return Err(Status::IsDirectory);
                }
                self.node(id).trashed = None;
                self.node(dir).entries.insert(name.to_string(), id);
                self.touch(id, at);
                self.write(dir, at);
                if let Some(target) = target {
                    self.lost(target, (dir, &name.to_string()), *keep, at);
                }
                Ok(())
            }
            Op::Archive { inodes } => {
                for inode in inodes {
                    if let Ok(id) = self.get(*inode)
                        && self.due(id).is_some_and(|due| due <= at)
                    {
                        self.node(id).archived = true;
                    }
                }
                Ok(())
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn rename(
        &mut self,
        from: (u64, String),
        to: (u64, String),
        mode: RenameMode,
        keep: bool,
        at: Timestamp,
    ) -> Result<()> {
        let source = self.child(from.0, &from.1).ok_or(Status::NotFound)?;
        let target = self.child(to.0, &to.1);
        match mode {
            RenameMode::NoReplace if target.is_some() => return Err(Status::Exists),
            RenameMode::Exchange if target.is_none() => return Err(Status::NotFound),
            _ if target == Some(source) => return Ok(()),
            _ => {}
        }
        if self.is_below(to.0, source) {
            return Err(Status::Invalid);
        }
        if let Some(target) = target {
            if mode == RenameMode::Exchange {
                if self.is_below(from.0, target) {
                    return Err(Status::Invalid);
                }
                self.node(from.0).entries.insert(from.1, target);
                self.node(to.0).entries.insert(to.1, source);
                self.touch(target, at);
            } else {
                match (self.is_directory(source), self.is_directory(target)) {
                    (true, false) => return Err(Status::NotDirectory),
                    (false, true) => return Err(Status::IsDirectory),
                    (true, true) if !self.nodes[&target].entries.is_empty() => return Err(Status::NotEmpty),
                    _ => {}
                }
                self.node(from.0).entries.remove(&from.1);
                self.node(to.0).entries.insert(to.1.clone(), source);
                self.lost(target, (to.0, &to.1), keep, at);
            }
        } else {
            self.node(from.0).entries.remove(&from.1);
            self.node(to.0).entries.insert(to.1, source);
        }
        self.touch(source, at);
        self.write(from.0, at);
        self.write(to.0, at);
        Ok(())
    }

    fn set_attributes(
        &mut self,
        inode: InodeRef,
        changes: &AttributeChanges,
        caller: &Caller,
        at: Timestamp,
    ) -> Result<()> {
        let id = self.get(inode)?;
        if *changes == AttributeChanges::default() {
            return Ok(());
        }
        let node = self.node(id);
        node.uid = changes.uid.unwrap_or(node.uid);
        node.gid = changes.gid.unwrap_or(node.gid);
        let chown = changes.uid.is_some() || changes.gid.is_some();
        if node.kind != FileKind::Directory && (chown || changes.clear_privileges) {
            node.drop_privileges();
        }
        if let Some(mode) = changes.mode {
            let member = caller.uid == 0 || caller.gid == node.gid || caller.groups.contains(&node.gid);
            node.mode = if member { mode } else { mode & !0o2000 };
        }
        node.changed = at;
        Ok(())
    }

    fn check_user(&self, id: u64, name: &[u8]) -> Result<()> {
        let carries = matches!(self.nodes[&id].kind, FileKind::File | FileKind::Directory);
        if name.starts_with(b"user.") && !carries { Err(Status::NotPermitted) } else { Ok(()) }
    }

    /// Erases a range of bytes; chunks that it covers in part must have been raised by one.
    fn cut(&mut self, id: u64, from: u64, to: u64, raised: &[RaisedChunk]) -> Result<()> {
        let node = self.node(id);
        let mut left = BTreeMap::new();
        for (index, (chunk, version)) in &node.chunks {
            let (first, end) = (u64::from(*index) * CHUNK_BYTES, (u64::from(*index) + 1) * CHUNK_BYTES);
            if end <= from || to <= first {
                left.insert(*index, (*chunk, *version));
            } else if first < from || to < end {
                let raised = raised.iter().find(|raised| raised.chunk == *chunk).ok_or(Status::TryAgain)?;
                left.insert(*index, (*chunk, raised.version.counter));
            }
        }
        node.chunks = left;
        node.truncations += 1;
        Ok(())
    }

    fn take_chunks(&mut self, id: u64, dirty: &[DirtyChunk]) -> Result<()> {
        let mut map = self.nodes[&id].chunks.clone();
        for chunk in dirty {
            match map.get(&chunk.index.0) {
                Some((known, version)) if *known != chunk.chunk || chunk.version.counter < *version => {
                    return Err(Status::Io);
                }
                Some(_) => {}
                None => {
                    let elsewhere = self.nodes.values().flat_map(|node| node.chunks.values());
                    let here = map.values();
                    if elsewhere.chain(here).any(|(known, _)| *known == chunk.chunk) {
                        return Err(Status::Io);
                    }
                }
            }
            map.insert(chunk.index.0, (chunk.chunk, chunk.version.counter));
        }
        self.node(id).chunks = map;
        Ok(())
    }
}
