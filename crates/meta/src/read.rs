//! What can be asked without changing anything.

use crate::api::{Boundary, ChunkOwner, ChunkView, ClassUse, Counts, Cut, KnownDisk, KnownServer, Step};
use crate::digest::Sum;
use crate::slab::NONE;
use crate::state::Meta;
use types::{
    Attributes, BODY_BYTES_MAX, ChunkId, ChunkIndex, ChunkSlot, ClassId, ClusterId, DirCursor,
    DirectoryEntry, DiskId, FileKind, HealthCode, Hold, HoldCause, HoldId, InodeId, InodeRef, Limit,
    LimitScope, LogIndex, Mute, Name, Reply, Sequence, ServerId, SessionId, Stage, Status, StorageClass,
    TaskId, TaskWork, Term, Timestamp,
};

/// More than the attributes and the cursor of an entry take in a frame.
const ENTRY_BYTES: usize = 224;
/// What a page of a directory may take, so that the answer around it still fits into a frame.
const PAGE_BYTES_MAX: u32 = BODY_BYTES_MAX - 4096;

impl Meta {
    /// Before the first record: no cluster, no root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds a name.
    pub fn lookup(&self, parent: InodeRef, name: &Name) -> Result<Attributes, Status> {
        let (_, child) = self.find_name(self.directory(parent)?, name).ok_or(Status::NotFound)?;
        Ok(self.attributes_at(child))
    }

    /// The parent of a directory; the root is its own.
    pub fn parent_of(&self, dir: InodeRef) -> Result<Attributes, Status> {
        let slot = self.directory(dir)?;
        let parent = self.inodes.get(slot).place.side;
        Ok(self.attributes_at(if parent == NONE { slot } else { parent }))
    }

    /// What stat(2) shows.
    pub fn attributes(&self, inode: InodeRef) -> Result<Attributes, Status> {
        Ok(self.attributes_at(self.inodes.find(inode)?))
    }

    /// An inode by its bare number, for a handle that outlived a restart.
    pub fn reopen(&self, inode: InodeId) -> Result<Attributes, Status> {
        Ok(self.attributes_at(self.inodes.find_id(inode).ok_or(Status::Stale)?))
    }

    /// The storage class of an inode.
    pub fn class_of(&self, inode: InodeRef) -> Result<ClassId, Status> {
        Ok(ClassId(self.inodes.get(self.inodes.find(inode)?).class))
    }

    /// In which part of its life an inode is.
    pub fn stage(&self, inode: InodeRef) -> Result<Stage, Status> {
        Ok(self.stage_of(self.inodes.get(self.inodes.find(inode)?)))
    }

    /// Whether the inode exists under this generation.
    pub fn exists(&self, inode: InodeRef) -> bool {
        self.inodes.find(inode).is_ok()
    }

    /// Target of a symlink.
    pub fn read_link(&self, inode: InodeRef) -> Result<Vec<u8>, Status> {
        let inode = self.inodes.get(self.inodes.find(inode)?);
        match inode.kind() {
            FileKind::Symlink => Ok(self.targets.get(inode.place.main).to_vec()),
            _ => Err(Status::Invalid),
        }
    }

    /// Entries after a cursor, as many as surely fit into `bytes_max` encoded bytes (one at least, if there
    /// is one), and whether nothing follows.
    pub fn read_directory(
        &self,
        dir: InodeRef,
        after: DirCursor,
        bytes_max: u32,
    ) -> Result<(Vec<DirectoryEntry>, bool), Status> {
        let table = self.table_of(self.directory(dir)?);
        let mut room = bytes_max.min(PAGE_BYTES_MAX) as usize;
        let mut entries = Vec::new();
        for entry in self.directories.after(table, after) {
            let bytes = ENTRY_BYTES + entry.name.len();
            if bytes > room && !entries.is_empty() {
                return Ok((entries, false));
            }
            room = room.saturating_sub(bytes);
            entries.push(DirectoryEntry {
                cursor: entry.cursor,
                name: Name::new(entry.name).expect("only checked names are stored"),
                attributes: self.attributes_at(entry.child),
            });
        }
        Ok((entries, true))
    }

    /// Value of an extended attribute.
    pub fn xattr(&self, inode: InodeRef, name: &[u8]) -> Result<Vec<u8>, Status> {
        self.inodes.find(inode)?;
        crate::xattrs::check_name(name)?;
        self.xattrs.get(inode.id, name).map(<[u8]>::to_vec).ok_or(Status::NoAttribute)
    }

    /// Names of all extended attributes.
    pub fn xattrs(&self, inode: InodeRef) -> Result<Vec<Vec<u8>>, Status> {
        self.inodes.find(inode)?;
        Ok(self.xattrs.of(inode.id).into_iter().flatten().map(|(name, _)| name.to_vec()).collect())
    }

    /// The chunk at one place of a file; `None` is a hole.
    pub fn chunk_at(&self, inode: InodeRef, index: ChunkIndex) -> Result<Option<ChunkView>, Status> {
        let place = self.inodes.get(self.file(inode)?).place;
        Ok(self.maps.get(place, index).map(|slot| self.view(slot)))
    }

    /// Chunks whose index is in `first .. first + count`, in order; holes are left out.
    pub fn chunks(&self, inode: InodeRef, first: ChunkIndex, count: u32) -> Result<Vec<ChunkView>, Status> {
        let place = self.inodes.get(self.file(inode)?).place;
        let Some(more) = count.checked_sub(1) else { return Ok(Vec::new()) };
        let range = first.0..=first.0.saturating_add(more);
        Ok(self.maps.range(place, range).map(|(_, slot)| self.view(slot)).collect())
    }

    /// At most so many chunks from an index on, in order.
    pub fn chunks_after(
        &self,
        inode: InodeRef,
        first: ChunkIndex,
        most: usize,
    ) -> Result<Vec<ChunkView>, Status> {
        let place = self.inodes.get(self.file(inode)?).place;
        Ok(self.maps.range(place, first.0..=u32::MAX).take(most).map(|(_, slot)| self.view(slot)).collect())
    }

    /// A chunk by its id.
    pub fn find_chunk(&self, chunk: ChunkId) -> Option<(ChunkView, ChunkOwner)> {
        self.chunks.find(chunk).map(|slot| self.view_and_owner(slot))
    }

    /// Whose the chunk in a slot is.
    pub fn owner_of(&self, slot: ChunkSlot) -> Option<(ChunkView, ChunkOwner)> {
        self.chunks.get(slot).map(|_| self.view_and_owner(slot))
    }

    /// Every chunk, in order of slots: what `fleet` learns after a start.
    pub fn all_chunks(&self) -> impl Iterator<Item = (ChunkView, ChunkOwner)> + '_ {
        self.chunks.iter().map(|(slot, _)| self.view_and_owner(slot))
    }

    /// Which chunks an edit must cut on disk, with a raised version, before it can be logged.
    pub fn cut_boundaries(&self, inode: InodeRef, cut: Cut) -> Result<Vec<Boundary>, Status> {
        let file = self.file(inode)?;
        let plan = self.plan_cut(file, cut)?;
        if plan.cuts { Ok(plan.boundaries) } else { Ok(self.beyond_end(file).into_iter().collect()) }
    }

    /// The answer given to a request of a session, if it was a mutation that succeeded and the client has
    /// not confirmed the answer.
    pub fn answered(&self, session: SessionId, sequence: Sequence) -> Option<Reply> {
        self.sessions.answer(session, sequence).map(crate::sessions::Answer::to_reply)
    }

    /// Whether the session exists.
    pub fn has_session(&self, session: SessionId) -> bool {
        self.sessions.contains(session)
    }

    /// All sessions and their names, in order.
    pub fn sessions(&self) -> Vec<(SessionId, String)> {
        self.sessions.iter().map(|(id, session)| (id, session.name.clone())).collect()
    }

    /// Inodes without a name, in order: after a start they go once nobody reclaims them.
    pub fn orphans(&self) -> Vec<InodeRef> {
        let slot_of = |id: &InodeId| self.inodes.find_id(*id).expect("an orphan exists until it is reaped");
        self.orphans.iter().map(|id| self.inodes.get(slot_of(id)).reference()).collect()
    }

    /// A disk that registered at some time.
    pub fn disk(&self, disk: DiskId) -> Option<&KnownDisk> {
        self.disks.get(disk)
    }

    /// All disks that ever registered and were not forgotten, in order.
    pub fn disks(&self) -> impl Iterator<Item = (DiskId, &KnownDisk)> {
        self.disks.iter()
    }

    /// A server that registered at some time.
    pub fn server(&self, server: ServerId) -> Option<&KnownServer> {
        self.servers.get(server)
    }

    /// All servers that ever registered and were not forgotten, in order.
    pub fn servers(&self) -> impl Iterator<Item = (ServerId, &KnownServer)> {
        self.servers.iter()
    }

    /// A storage class.
    pub fn class(&self, class: ClassId) -> Option<&StorageClass> {
        self.classes.get(class)
    }

    /// The class with this name.
    pub fn find_class(&self, name: &str) -> Option<ClassId> {
        self.classes.find(name)
    }

    /// All classes, in order of their ids.
    pub fn classes(&self) -> impl Iterator<Item = (ClassId, &StorageClass)> {
        self.classes.iter()
    }

    /// The id of the next new class; `None` if all were given.
    pub fn next_class(&self) -> Option<ClassId> {
        self.classes.next_id()
    }

    /// How much has a class.
    pub fn class_use(&self, class: ClassId) -> ClassUse {
        self.inodes.usage(class)
    }

    /// All tasks under way, in order.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskId, &TaskWork)> {
        self.tasks.iter()
    }

    /// The mute of a health code.
    pub fn mute(&self, code: HealthCode) -> Option<&Mute> {
        self.mutes.get(code)
    }

    /// All mutes of health codes, in order of the codes.
    pub fn mutes(&self) -> impl Iterator<Item = (HealthCode, &Mute)> {
        self.mutes.iter()
    }

    /// All limits of healing.
    pub fn limits(&self) -> impl Iterator<Item = (&LimitScope, Limit)> {
        self.limits.iter()
    }

    /// A limit of healing.
    pub fn limit(&self, scope: &LimitScope) -> Option<Limit> {
        self.limits.get(scope)
    }

    /// All holds that have not ended, in the order in which they were made.
    pub fn holds(&self) -> impl Iterator<Item = (HoldId, &Hold)> {
        self.holds.iter()
    }

    /// A hold that has not ended.
    pub fn held(&self, hold: HoldId) -> Option<&Hold> {
        self.holds.get(hold)
    }

    /// The hold with this cause.
    pub fn hold_for(&self, cause: &HoldCause) -> Option<HoldId> {
        self.holds.find(cause)
    }

    /// Whether a directory is another one or lies below it.
    pub fn lies_within(&self, dir: InodeRef, above: InodeRef) -> bool {
        match (self.directory(dir), self.directory(above)) {
            (Ok(dir), Ok(above)) => self.is_within(dir, above),
            _ => false,
        }
    }

    /// At most `count` entries of a directory after a cursor.
    pub fn steps(&self, dir: InodeRef, after: DirCursor, count: usize) -> Result<Vec<Step>, Status> {
        let table = self.table_of(self.directory(dir)?);
        let step = |cursor, child: u32| {
            let inode = self.inodes.get(child);
            let chunks = if inode.kind() == FileKind::File { self.maps.count(inode.place) } else { 0 };
            let directory = inode.is_directory();
            Step { cursor, inode: inode.reference(), directory, class: ClassId(inode.class), chunks }
        };
        let entries = self.directories.after(table, after).take(count);
        Ok(entries.map(|entry| step(entry.cursor, entry.child)).collect())
    }

    /// The cluster, once it was made.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.position.cluster
    }

    /// The reign named by the last `NewTerm`.
    pub fn term(&self) -> Term {
        self.position.term
    }

    /// Term and index of the last record applied.
    pub fn applied(&self) -> (Term, LogIndex) {
        (self.position.applied_term, self.position.applied)
    }

    /// The time in the last record applied; the next record's may not be below.
    pub fn time(&self) -> Timestamp {
        self.position.at
    }

    /// The highest inode number ever given; the next new inode takes the one above.
    pub fn inode_highest(&self) -> InodeId {
        self.inodes.highest()
    }

    /// 128 bits over the whole state, kept current.
    pub fn digest(&self) -> [u8; 16] {
        let mut sum = Sum::default();
        sum.add(self.position_hash());
        sum.merge(self.inodes.sum());
        sum.merge(self.directories.sum());
        sum.merge(self.chunks.sum());
        sum.merge(self.targets.sum());
        sum.merge(self.xattrs.sum());
        sum.merge(self.sessions.sum());
        sum.merge(self.disks.sum());
        sum.merge(self.servers.sum());
        sum.merge(self.classes.sum());
        sum.merge(self.tasks.sum());
        sum.merge(self.trash.sum());
        sum.merge(self.mutes.sum());
        sum.merge(self.limits.sum());
        sum.merge(self.holds.sum());
        sum.to_bytes()
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        Counts {
            inodes: self.inodes.len() as u64,
            directories: self.directories.table_count() as u64,
            entries: self.directories.len() as u64,
            chunks: self.chunks.len() as u64,
            sessions: self.sessions.len() as u64,
            orphans: self.orphans.len() as u64,
        }
    }
}
