//! What really is on the disks, whoever knows it, and what the master was told of servers and disks.
//!
//! # Invariants
//! 1. `Disk::chunks`, `Disk::used` and the replicas of the chunks agree.
//! 2. `Tally` counts each chunk by its good replicas: those that exist anywhere, and those that can be reached.

use crate::classes::{Class, Place, Wish};
use std::collections::BTreeSet;
use types::{ChunkId, DiskId, ServerId, Stage, Term, Version};

/// Replicas that are told apart in a tally; more count as so many.
pub(crate) const MOST: usize = 9;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Replica {
    pub(crate) disk: u16,
    pub(crate) version: Version,
    /// It takes writes and lacks what was there before.
    pub(crate) filling: bool,
    /// An order to delete it is on its way.
    pub(crate) going: bool,
    /// Its loss is in the books.
    pub(crate) lost: bool,
}

pub(crate) struct Chunk {
    pub(crate) bytes: u32,
    pub(crate) version: Version,
    pub(crate) class: u16,
    pub(crate) stage: Stage,
    pub(crate) replicas: Vec<Replica>,
    /// Replicas that edits asked for and that are not there yet.
    pub(crate) asked: u8,
    existing: u8,
    reachable: u8,
    goal: u8,
}

impl Chunk {
    /// Complete, and of the version on record or above.
    pub(crate) fn is_good(&self, replica: &Replica) -> bool {
        !replica.filling && replica.version >= self.version
    }

    pub(crate) fn on(&self, disk: u16) -> Option<&Replica> {
        self.replicas.iter().find(|one| one.disk == disk)
    }

    pub(crate) fn on_mut(&mut self, disk: u16) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|one| one.disk == disk)
    }
}

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) server: u16,
    pub(crate) total: u64,
    pub(crate) used: u64,
    /// Bytes of copies that are on their way to it.
    pub(crate) coming: u64,
    pub(crate) is_ssd: bool,
    /// It is lost for good, or closed.
    pub(crate) dead: bool,
    /// It serves nothing now.
    pub(crate) failed: bool,
    /// It is to go.
    pub(crate) marked: bool,
    /// Its bytes are moved one after the other.
    pub(crate) busy_ms: u64,
    pub(crate) chunks: BTreeSet<u32>,
    /// The master was told that it failed, and not since that it is well and what it holds.
    pub(crate) known_failed: bool,
    /// The master was told all that is on it since its server registered.
    pub(crate) told: bool,
    /// The master knows it no longer.
    pub(crate) forgotten: bool,
}

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) up: bool,
    /// It does not come back.
    pub(crate) dead: bool,
    /// Grows with each link that breaks: what was under way over it is lost.
    pub(crate) link: u32,
    pub(crate) site: u8,
    pub(crate) disks: Vec<u16>,
    /// The master takes it for registered, or for silent, since then.
    pub(crate) known_up: bool,
    pub(crate) since_ms: u64,
    /// In maintenance until then.
    pub(crate) away_until_ms: u64,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) existing: [u64; MOST + 1],
    pub(crate) reachable: [u64; MOST + 1],
    /// Chunks with fewer that can be reached than their class wants.
    pub(crate) under: u64,
}

impl Tally {
    fn count(&mut self, chunk: &Chunk, more: bool) {
        let change = |count: &mut u64| if more { *count += 1 } else { *count -= 1 };
        change(&mut self.existing[usize::from(chunk.existing)]);
        change(&mut self.reachable[usize::from(chunk.reachable)]);
        if chunk.reachable < chunk.goal {
            change(&mut self.under);
        }
    }
}

#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) classes: Vec<Class>,
    pub(crate) tally: Tally,
}

pub(crate) fn server_id(number: u16) -> ServerId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(number + 1).to_be_bytes());
    ServerId(bytes)
}

pub(crate) fn disk_id(number: u16) -> DiskId {
    let mut bytes = [0xD; 16];
    bytes[..2].copy_from_slice(&(number + 1).to_be_bytes());
    DiskId(bytes)
}

pub(crate) fn disk_number(id: DiskId) -> u16 {
    u16::from_be_bytes([id.0[0], id.0[1]]) - 1
}

/// Chunks are older than the reign of the day.
pub(crate) const BEFORE: Term = Term(1);

pub(crate) fn chunk_id(slot: u32) -> ChunkId {
    ChunkId::new(BEFORE, u64::from(slot) + 1).unwrap()
}

pub(crate) fn slot_of(chunk: ChunkId) -> u32 {
    (chunk.counter() - 1) as u32
}

impl Cluster {
    pub(crate) fn chunk(&self, slot: u32) -> &Chunk {
        &self.chunks[slot as usize]
    }

    pub(crate) fn disk(&self, disk: u16) -> &Disk {
        &self.disks[usize::from(disk)]
    }

    pub(crate) fn disk_mut(&mut self, disk: u16) -> &mut Disk {
        &mut self.disks[usize::from(disk)]
    }

    pub(crate) fn server_of(&self, disk: u16) -> &Server {
        &self.servers[usize::from(self.disk(disk).server)]
    }

    pub(crate) fn wish(&self, slot: u32) -> &Wish {
        let chunk = self.chunk(slot);
        self.classes[usize::from(chunk.class)].wish(chunk.stage)
    }

    /// It serves at this moment.
    pub(crate) fn serves(&self, disk: u16) -> bool {
        let one = self.disk(disk);
        !one.dead && !one.failed && self.server_of(disk).up
    }

    pub(crate) fn add_server(&mut self, site: u8) -> u16 {
        self.servers.push(Server { site, ..Server::default() });
        self.servers.len() as u16 - 1
    }

    pub(crate) fn add_disk(&mut self, server: u16, total: u64, is_ssd: bool) -> u16 {
        let disk = self.disks.len() as u16;
        self.disks.push(Disk { server, total, is_ssd, ..Disk::default() });
        self.servers[usize::from(server)].disks.push(disk);
        disk
    }

    /// Adds a chunk without replicas.
    pub(crate) fn add_chunk(&mut self, bytes: u32, class: u16) -> u32 {
        let chunk = Chunk {
            bytes,
            version: Version { term: BEFORE, counter: 1 },
            class,
            stage: Stage::default(),
            replicas: Vec::new(),
            asked: 0,
            existing: 0,
            reachable: 0,
            goal: self.classes[usize::from(class)].keep.goal() as u8,
        };
        self.tally.count(&chunk, true);
        self.chunks.push(chunk);
        self.chunks.len() as u32 - 1
    }

    /// Keeps invariant 2 after any change of a chunk, of its class or of a disk that it is on.
    pub(crate) fn recount(&mut self, slot: u32) {
        let chunk = self.chunk(slot);
        let good = || chunk.replicas.iter().filter(|one| chunk.is_good(one) && !one.going);
        let existing = good().filter(|one| !self.disk(one.disk).dead).count().min(MOST) as u8;
        let reachable = good().filter(|one| self.serves(one.disk)).count().min(MOST) as u8;
        let goal = self.wish(slot).goal() as u8;
        let chunk = &mut self.chunks[slot as usize];
        if (chunk.existing, chunk.reachable, chunk.goal) != (existing, reachable, goal) {
            self.tally.count(chunk, false);
            (chunk.existing, chunk.reachable, chunk.goal) = (existing, reachable, goal);
            self.tally.count(chunk, true);
        }
    }

    /// The same of all chunks on a disk.
    pub(crate) fn recount_disk(&mut self, disk: u16) {
        let chunks = std::mem::take(&mut self.disk_mut(disk).chunks);
        chunks.iter().for_each(|slot| self.recount(*slot));
        self.disk_mut(disk).chunks = chunks;
    }

    /// A disk has a replica of this version now.
    pub(crate) fn put(&mut self, slot: u32, disk: u16, version: Version, filling: bool) {
        let bytes = u64::from(self.chunk(slot).bytes);
        let replica = Replica { disk, version, filling, going: false, lost: false };
        let chunk = &mut self.chunks[slot as usize];
        match chunk.on_mut(disk) {
            Some(old) => *old = Replica { going: old.going, ..replica },
            None => {
                chunk.replicas.push(replica);
                self.disk_mut(disk).used += bytes;
                self.disk_mut(disk).chunks.insert(slot);
            }
        }
        self.recount(slot);
    }

    /// A disk has no replica of the chunk any more.
    pub(crate) fn take_away(&mut self, slot: u32, disk: u16) {
        let chunk = &mut self.chunks[slot as usize];
        let bytes = u64::from(chunk.bytes);
        let before = chunk.replicas.len();
        chunk.replicas.retain(|one| one.disk != disk);
        assert_eq!(chunk.replicas.len() + 1, before, "there is none to take away");
        self.disk_mut(disk).used -= bytes;
        self.disk_mut(disk).chunks.remove(&slot);
        self.recount(slot);
    }

    /// Where a replica is, as the chunk's class looks at it.
    pub(crate) fn place(&self, slot: u32, disk: u16) -> Place {
        let one = self.disk(disk);
        let domain = if self.wish(slot).by_site { u16::from(self.server_of(disk).site) } else { one.server };
        (domain, one.is_ssd)
    }

    /// Replicas that the class wants of the chunk and has not, lost ones left out, whoever is away for a while.
    pub(crate) fn debt(&self, slot: u32) -> usize {
        let chunk = self.chunk(slot);
        let counts = |one: &&Replica| {
            let disk = self.disk(one.disk);
            chunk.is_good(one) && !one.going && !one.lost && !disk.known_failed && !disk.marked
        };
        let places: Vec<Place> =
            chunk.replicas.iter().filter(counts).map(|one| self.place(slot, one.disk)).collect();
        let wish = self.wish(slot);
        wish.goal() - wish.met(&places)
    }

    /// Whether what destroys these disks takes the last replica of some chunk. Of a chunk that is being raised those count that
    /// have the highest version: it may be recorded any moment.
    pub(crate) fn takes_a_last_one(&self, disks: &[u16]) -> bool {
        let is_last = |slot: &u32| {
            let there = || {
                let chunk = self.chunk(*slot);
                chunk.replicas.iter().filter(|one| !one.filling && !one.going && !self.disk(one.disk).dead)
            };
            let highest = there().map(|one| one.version).max();
            there().filter(|one| Some(one.version) == highest).all(|one| disks.contains(&one.disk))
        };
        disks.iter().any(|disk| self.disk(*disk).chunks.iter().any(&is_last))
    }

    /// Bytes on a disk and on their way to it, of a million.
    pub(crate) fn share(&self, disk: u16, more: i64) -> u64 {
        let one = self.disk(disk);
        let used = (one.used + one.coming).saturating_add_signed(more);
        (u128::from(used) * 1_000_000 / u128::from(one.total)) as u64
    }
}
