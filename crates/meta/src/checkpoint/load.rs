//! Loading: every item is checked against what is there already, and the whole at the end.
//!
//! # Invariants
//! 1. Whatever the bytes are, the result is a state that `apply` could have made, or an error.
//! 2. Memory grows with the bytes read, not with what they claim.

use crate::api::{KnownDisk, KnownServer, LoadError};
use crate::chunks::Chunk;
use crate::directories::Child;
use crate::inodes::Inode;
use crate::sessions::{Answer, NAME_BYTES_MAX, Session};
use crate::slab::NONE;
use crate::state::{Meta, Position};
use crate::trash::Entry;
use crate::xattrs;
use codec::Malformed;
use codec::checkpoint::{self as pieces, Piece, Splitter};
use std::collections::BTreeMap;
use types::{
    ClassId, DirCursor, FILE_BYTES_MAX, FileKind, HOLDS_MAX, HealthCode, Hold, HoldCause, Holder, InodeId,
    InodeRef, LIMITS_MAX, LINKS_MAX, LimitScope, Mute, SEQUENCES_AHEAD_MAX, SYMLINK_BYTES_MAX, SessionId,
    TRASH_PATH_BYTES_MAX, TaskWork,
};

impl From<Malformed> for LoadError {
    fn from(error: Malformed) -> Self {
        Self::Malformed { what: error.what }
    }
}

/// The order of the sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    #[default]
    Nothing,
    Header,
    Inodes,
    Tables,
    Chunks,
    Xattrs,
    Sessions,
    Disks,
    Servers,
    Classes,
    Tasks,
    Trash,
    Mutes,
    Limits,
    Holds,
    End,
}

/// Builds a [`Meta`] from a checkpoint's bytes, cut anywhere.
#[derive(Debug, Default)]
pub struct Loader {
    splitter: Splitter,
    builder: Builder,
}

#[derive(Debug, Default)]
struct Builder {
    section: Section,
    meta: Meta,
    /// By inode slot: names of a file, subdirectories of a directory.
    found: Vec<u32>,
    /// The table whose entries come now, and its last cursor.
    table: Option<(pieces::Table, u64)>,
    /// Directories and the entries that lead to them: their tables may come later.
    named: Vec<(u32, u32)>,
    session_last: SessionId,
    end: Option<pieces::End>,
}

impl Loader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let builder = &mut self.builder;
        self.splitter.feed(bytes, |piece| builder.take(piece))
    }

    /// After the last byte: checks the whole against itself, its own digest, and the one that is expected.
    pub fn finish(self, expected: Option<[u8; 16]>) -> Result<Meta, LoadError> {
        let Some(end) = self.builder.end.filter(|_| self.splitter.is_at_end()) else {
            return Err(LoadError::Malformed { what: "the end is missing" });
        };
        let meta = self.builder.finish(&end)?;
        let digest = meta.digest();
        if digest != end.digest || expected.is_some_and(|expected| expected != digest) {
            return Err(LoadError::Digest);
        }
        Ok(meta)
    }
}

/// No counter comes near this in the life of a cluster; above it, adding to one could overflow.
const COUNTED_MAX: u64 = 1 << 62;

fn require(holds: bool, what: &'static str) -> Result<(), LoadError> {
    if holds { Ok(()) } else { Err(LoadError::Inconsistent { what }) }
}

impl Builder {
    fn enter(&mut self, section: Section) -> Result<(), LoadError> {
        let repeats = !matches!(section, Section::Header | Section::End);
        let in_order = section > self.section || (repeats && section == self.section);
        let begins = (section == Section::Header) == (self.section == Section::Nothing);
        require(in_order && begins, "sections are out of order")?;
        self.section = section;
        Ok(())
    }

    fn take(&mut self, piece: Piece) -> Result<(), LoadError> {
        match piece {
            Piece::Header(header) => {
                self.enter(Section::Header)?;
                self.header(&header)
            }
            Piece::Inodes(inodes) => {
                self.enter(Section::Inodes)?;
                inodes.iter().try_for_each(|inode| self.inode(inode))
            }
            Piece::Tables(tables) => {
                self.enter(Section::Tables)?;
                tables.into_iter().try_for_each(|table| self.table(table))
            }
            Piece::Chunks(chunks) => {
                self.enter(Section::Chunks)?;
                chunks.iter().try_for_each(|chunk| self.chunk(chunk))
            }
            Piece::Xattrs(xattrs) => {
                self.enter(Section::Xattrs)?;
                xattrs.iter().try_for_each(|xattr| self.xattr(xattr))
            }
            Piece::Session(session) => {
                self.enter(Section::Sessions)?;
                self.session(session)
            }
            Piece::Disks(disks) => {
                self.enter(Section::Disks)?;
                disks.into_iter().try_for_each(|disk| self.disk(disk))
            }
            Piece::Servers(servers) => {
                self.enter(Section::Servers)?;
                servers.into_iter().try_for_each(|server| self.server(server))
            }
            Piece::Classes(classes) => {
                self.enter(Section::Classes)?;
                classes.into_iter().try_for_each(|class| self.class(class))
            }
            Piece::Tasks(tasks) => {
                self.enter(Section::Tasks)?;
                tasks.iter().try_for_each(|task| self.task(task))
            }
            Piece::Trash(trash) => {
                self.enter(Section::Trash)?;
                trash.into_iter().try_for_each(|trashed| self.trashed(trashed))
            }
            Piece::Mutes(mutes) => {
                self.enter(Section::Mutes)?;
                mutes.into_iter().try_for_each(|(code, mute)| self.mute(code, mute))
            }
            Piece::Limits(limits) => {
                self.enter(Section::Limits)?;
                limits.into_iter().try_for_each(|limit| self.limit(limit))
            }
            Piece::Holds(holds) => {
                self.enter(Section::Holds)?;
                holds.into_iter().try_for_each(|hold| self.hold(hold))
            }
            Piece::End(end) => {
                self.enter(Section::End)?;
                self.end = Some(end);
                Ok(())
            }
        }
    }

    fn header(&mut self, header: &pieces::Header) -> Result<(), LoadError> {
        let (found, known) = (header.format_version, pieces::FORMAT_VERSION);
        if found > known {
            return Err(LoadError::Version { found, known });
        }
        require(found > 0, "no format version")?;
        let counted = header.applied.0.max(header.inode_highest.0) <= COUNTED_MAX;
        require(counted, "a counter out of range")?;
        self.meta.position = Position {
            cluster: header.cluster,
            term: header.term,
            applied_term: header.applied_term,
            applied: header.applied,
            at: header.at,
        };
        self.meta.inodes.raise_highest(header.inode_highest);
        require(header.classes_given <= u32::from(u16::MAX) + 1, "a counter out of range")?;
        self.meta.classes.give(header.classes_given);
        Ok(())
    }

    fn inode(&mut self, item: &pieces::Inode) -> Result<(), LoadError> {
        let a = &item.attributes;
        let id = a.inode.id;
        require(id.0 != 0 && id <= self.meta.inode_highest(), "inode number out of range")?;
        require(self.meta.inodes.find_id(id).is_none(), "an inode comes twice")?;
        let is_directory = a.kind == FileKind::Directory;
        require(item.table == if is_directory { id.0 } else { 0 }, "entry table of an inode")?;
        let length_max = match a.kind {
            FileKind::File => FILE_BYTES_MAX,
            FileKind::Symlink => SYMLINK_BYTES_MAX as u64,
            _ => 0,
        };
        require(a.length <= length_max && a.chunks == 0, "length of an inode")?;
        let is_symlink = a.kind == FileKind::Symlink;
        let target_fits = if is_symlink {
            !item.target.is_empty() && item.target.len() as u64 == a.length && !item.target.contains(&0)
        } else {
            item.target.is_empty()
        };
        require(target_fits, "target of an inode")?;
        let is_device = matches!(a.kind, FileKind::CharDevice | FileKind::BlockDevice);
        require(is_device || a.device == 0, "device number of an inode")?;
        require(a.change_counter <= COUNTED_MAX, "a counter out of range")?;

        let mut inode = Inode::new(a.inode, a.kind, a.mode);
        inode.length = a.length;
        inode.accessed = a.accessed;
        inode.modified = a.modified;
        inode.changed = a.changed;
        inode.created = a.created;
        inode.change_counter = a.change_counter;
        inode.uid = a.owner.uid;
        inode.gid = a.owner.gid;
        inode.links = a.links;
        inode.truncate_generation = a.truncate_generation;
        inode.class = item.class.0;
        require(!item.archived || a.kind == FileKind::File, "something archived that is no file")?;
        inode.set_archived(item.archived);
        match a.kind {
            FileKind::CharDevice | FileKind::BlockDevice => inode.place.main = a.device,
            FileKind::Symlink => inode.place.main = self.meta.targets.insert(id, &item.target),
            _ => {}
        }
        let slot = self.meta.inodes.insert(inode);
        if slot as usize == self.found.len() {
            self.found.push(0);
        }
        Ok(())
    }

    fn table(&mut self, table: pieces::Table) -> Result<(), LoadError> {
        let dir = self.meta.inodes.find_id(InodeId(table.id));
        let dir = dir.filter(|slot| self.meta.inodes.get(*slot).is_directory());
        let Some(dir) = dir else { return require(false, "an entry table without its directory") };
        let mut last = 0;
        match &self.table {
            Some((before, cursor)) if before.id == table.id => {
                let same = before.refs == table.refs && before.cursor_last == table.cursor_last;
                require(same, "two parts of an entry table disagree")?;
                last = *cursor;
            }
            _ => {
                require(self.meta.table_of(dir) == NONE, "an entry table comes twice")?;
                require(table.refs == 1, "references to an entry table")?;
                require(table.cursor_last <= COUNTED_MAX, "a counter out of range")?;
                let slot = self.meta.directories.add_table(table.id, table.cursor_last);
                self.meta.inodes.place_mut(dir).main = slot;
            }
        }
        for entry in &table.entries {
            require(entry.cursor.0 > last && entry.cursor.0 <= table.cursor_last, "cursors of a table")?;
            last = entry.cursor.0;
            self.entry(dir, entry)?;
        }
        self.table = Some((pieces::Table { entries: Vec::new(), ..table }, last));
        Ok(())
    }

    fn entry(&mut self, dir: u32, entry: &pieces::Entry) -> Result<(), LoadError> {
        let table = self.meta.table_of(dir);
        require(self.meta.directories.find(table, &entry.name).is_none(), "a name comes twice")?;
        let Some(child) = self.meta.inodes.find_id(entry.inode) else {
            return require(false, "an entry without its inode");
        };
        if self.meta.inodes.get(child).is_directory() {
            require(entry.inode != InodeId::ROOT, "the root has a name")?;
            let parent = &mut self.meta.inodes.place_mut(child).side;
            require(*parent == NONE, "a directory has two names")?;
            *parent = dir;
            self.found[dir as usize] += 1;
        } else {
            self.found[child as usize] += 1;
        }
        let child = Child { slot: child, id: entry.inode };
        let at = self.meta.directories.insert_at(table, &entry.name, child, DirCursor(entry.cursor.0));
        if self.meta.inodes.get(child.slot).is_directory() {
            self.named.push((child.slot, at));
        }
        Ok(())
    }

    fn chunk(&mut self, item: &pieces::Chunk) -> Result<(), LoadError> {
        let owner = self.meta.inodes.find_id(item.owner);
        let owner = owner.filter(|slot| self.meta.inodes.get(*slot).kind() == FileKind::File);
        let Some(owner) = owner else { return require(false, "a chunk without its file") };
        let place = self.meta.inodes.get(owner).place;
        require(self.meta.maps.get(place, item.index).is_none(), "two chunks at one place")?;
        require(item.chunk.0 != 0 && self.meta.chunks.find(item.chunk).is_none(), "a chunk comes twice")?;
        require(item.refs == 1, "references to a chunk")?;
        self.meta.attach(owner, Chunk::new(item.chunk, item.version, item.owner, item.index));
        Ok(())
    }

    fn xattr(&mut self, item: &pieces::Xattr) -> Result<(), LoadError> {
        let xattrs = &mut self.meta.xattrs;
        let Some(owner) = self.meta.inodes.find_id(item.inode) else {
            return require(false, "an attribute without its inode");
        };
        let kind = self.meta.inodes.get(owner).kind();
        let carries_user = matches!(kind, FileKind::File | FileKind::Directory);
        require(carries_user || !xattrs::is_user(&item.name), "an attribute of the wrong inode")?;
        require(xattrs::check_name(&item.name).is_ok(), "name of an attribute")?;
        require(xattrs.get(item.inode, &item.name).is_none(), "an attribute comes twice")?;
        let fits = xattrs.check_room(item.inode, &item.name, &item.value);
        require(fits.is_ok(), "attributes are too large")?;
        xattrs.set(item.inode, &item.name, &item.value);
        Ok(())
    }

    fn session(&mut self, item: pieces::Session) -> Result<(), LoadError> {
        require(item.session > self.session_last, "sessions are out of order")?;
        self.session_last = item.session;
        require(item.name.len() <= NAME_BYTES_MAX, "name of a session")?;
        let low = item.answered_below.0;
        let high = low.saturating_add(SEQUENCES_AHEAD_MAX);
        let mut answers = BTreeMap::new();
        for (sequence, answer) in item.answers {
            let answer = match answer {
                pieces::Answer::Done => Answer::Done,
                pieces::Answer::Attributes(attributes) => Answer::Attributes(attributes),
                pieces::Answer::Entry { attributes, created } => Answer::Entry { attributes, created },
            };
            require((low..high).contains(&sequence.0), "an answer outside of its session's window")?;
            require(answers.insert(sequence, answer).is_none(), "an answer comes twice")?;
        }
        let session = Session { name: item.name, answered_below: item.answered_below, answers };
        self.meta.sessions.insert(item.session, session);
        Ok(())
    }

    fn disk(&mut self, item: pieces::Disk) -> Result<(), LoadError> {
        require(self.meta.disks.get(item.disk).is_none(), "a disk comes twice")?;
        let pieces::Disk { disk, server, registrations, path, labels, mark } = item;
        self.meta.disks.set(disk, KnownDisk { server, registrations, path, labels, mark });
        Ok(())
    }

    fn server(&mut self, item: pieces::Server) -> Result<(), LoadError> {
        require(self.meta.servers.get(item.server).is_none(), "a server comes twice")?;
        let pieces::Server { server, name, address, labels, mark } = item;
        self.meta.servers.set(server, KnownServer { name, address, labels, mark });
        Ok(())
    }

    fn class(&mut self, item: pieces::Class) -> Result<(), LoadError> {
        let classes = &mut self.meta.classes;
        require(u32::from(item.class.0) < classes.given(), "id of a class")?;
        require(classes.get(item.class).is_none(), "a class comes twice")?;
        require(classes.find(item.definition.name.as_str()).is_none(), "two classes with one name")?;
        classes.set(item.class, item.definition);
        Ok(())
    }

    fn task(&mut self, item: &pieces::Task) -> Result<(), LoadError> {
        let position = self.meta.position.applied;
        require(item.task.0 <= position.0 && !self.meta.tasks.contains(item.task), "id of a task")?;
        let TaskWork::SetClass { class, from, .. } = item.work;
        let known = |class| self.meta.classes.get(class).is_some();
        require(known(class) && from.is_none_or(known), "a task without its class")?;
        self.meta.tasks.insert(item.task, item.work);
        Ok(())
    }

    fn mute(&mut self, code: HealthCode, mute: Mute) -> Result<(), LoadError> {
        require(self.meta.mutes.get(code).is_none(), "a mute comes twice")?;
        self.meta.mutes.set(code, Some(mute));
        Ok(())
    }

    fn trashed(&mut self, item: pieces::Trashed) -> Result<(), LoadError> {
        let file = self.meta.inodes.find_id(item.inode).map(|slot| self.meta.inodes.get(slot));
        let file = file.filter(|file| file.kind() == FileKind::File && file.links == 0);
        let Some(bytes) = file.map(|file| file.length) else {
            return require(false, "something in the trash that is no deleted file");
        };
        require(!self.meta.trash.contains(item.inode), "a deleted file comes twice")?;
        let fits =
            !item.path.is_empty() && item.path.len() <= TRASH_PATH_BYTES_MAX && !item.path.contains(&0);
        require(fits, "path of a deleted file")?;
        let pieces::Trashed { inode, path, deleted, until } = item;
        self.meta.trash.insert(inode, Entry { path: path.into_boxed_slice(), deleted, until, bytes });
        Ok(())
    }

    fn limit(&mut self, item: pieces::Limited) -> Result<(), LoadError> {
        let limits = &mut self.meta.limits;
        require(limits.get(&item.scope).is_none() && limits.len() < LIMITS_MAX, "a limit comes twice")?;
        if let LimitScope::Server(server) = item.scope {
            require(self.meta.servers.get(server).is_some(), "a limit without its server")?;
        }
        limits.set(item.scope, item.limit);
        Ok(())
    }

    fn hold(&mut self, item: pieces::Held) -> Result<(), LoadError> {
        let (position, meta) = (self.meta.position.applied, &mut self.meta);
        require(item.hold.0 <= position.0 && meta.holds.get(item.hold).is_none(), "id of a hold")?;
        require(
            meta.holds.find(&item.cause).is_none() && meta.holds.len() < HOLDS_MAX,
            "a hold comes twice",
        )?;
        let known = match &item.cause {
            HoldCause::Class { class, .. } => meta.classes.get(*class).is_some(),
            HoldCause::Labels { holder: Holder::Server(server), .. } => meta.servers.get(*server).is_some(),
            HoldCause::Labels { holder: Holder::Disk(disk), .. } => meta.disks.get(*disk).is_some(),
        };
        require(known, "a hold without what it is of")?;
        let pieces::Held { hold, cause, since, until } = item;
        meta.holds.set(hold, Hold { cause, since, until });
        Ok(())
    }

    fn finish(mut self, end: &pieces::End) -> Result<Meta, LoadError> {
        let counts = self.meta.counts();
        let counted = (counts.inodes, counts.entries, counts.chunks) == (end.inodes, end.entries, end.chunks);
        require(counted, "items are missing")?;
        let root = self.meta.inodes.find(InodeRef::ROOT).ok();
        let root = root.filter(|slot| self.meta.inodes.get(*slot).is_directory());
        require(root.is_some() == self.meta.position.cluster.is_some(), "the root directory")?;
        require(root.is_some() || counts.inodes == 0, "inodes without a root directory")?;
        for (slot, inode) in self.meta.inodes.iter() {
            let found = self.found[slot as usize];
            if inode.is_directory() {
                require(inode.place.main != NONE, "a directory without its entry table")?;
                require(inode.links.checked_sub(2) == Some(found), "links of a directory")?;
                require(Some(slot) == root || inode.place.side != NONE, "a directory without a name")?;
            } else {
                require(inode.links == found, "links of an inode")?;
                if found == 0 && !self.meta.trash.contains(InodeId(inode.id)) {
                    self.meta.orphans.insert(InodeId(inode.id));
                }
            }
            require(inode.links <= LINKS_MAX, "too many links")?;
            let class = ClassId(inode.class);
            let has_class = class == ClassId::DEFAULT || self.meta.classes.get(class).is_some();
            require(has_class, "an inode without its class")?;
        }
        for (dir, entry) in std::mem::take(&mut self.named) {
            self.meta.named_by(dir, entry);
        }
        self.check_tree()?;
        Ok(self.meta)
    }

    /// Every directory's parents lead to the root.
    fn check_tree(&self) -> Result<(), LoadError> {
        const UNSEEN: u8 = 0;
        const ON_THE_WAY: u8 = 1;
        const ROOTED: u8 = 2;
        let inodes = &self.meta.inodes;
        let mut state = vec![UNSEEN; self.found.len()];
        let mut way = Vec::new();
        for (slot, inode) in inodes.iter() {
            if !inode.is_directory() {
                continue;
            }
            let mut at = slot;
            while at != NONE && state[at as usize] == UNSEEN {
                state[at as usize] = ON_THE_WAY;
                way.push(at);
                at = inodes.get(at).place.side;
            }
            require(at == NONE || state[at as usize] == ROOTED, "directories form a loop")?;
            way.drain(..).for_each(|slot| state[slot as usize] = ROOTED);
        }
        Ok(())
    }
}
