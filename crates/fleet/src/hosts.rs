//! Chunkservers and disks, under dense numbers.
//!
//! # Invariants
//! 1. A number, once given to a disk or a server, stays with it for the reign.
//! 2. Open in `pool` (of `placement`) are exactly the disks that may take a new chunk; one that is to go is none of them.
//! 3. A disk belongs to one server that is registered; a second one that shows it is not believed.
//! 4. A disk that is forgotten is in no server's list, nor is a forgotten server shown, until it is seen again.

use crate::event::{DiskInfo, DiskState, ReportedReplica, ServerInfo};
use crate::labels::ToldLabels;
use crate::marks::ToldMarks;
use crate::slot_set::SlotSet;
use placement::{Pool, Room};
use std::collections::BTreeMap;
use types::{CHUNK_BYTES, ChunkId, DiskId, ReadHints, ReplicaAddress, ServerId, Version};

/// Most disks of a reign; numbers above are not given.
const DISKS_MAX: usize = u16::MAX as usize - 1;
/// A disk with less room than the frames that one writer may have in flight counts as full.
pub(crate) const FULL_BELOW_BYTES: u64 = 16 << 20;
/// A disk of fewer than so many chunks takes new ones while this part of it is free.
const SMALL_PART: u64 = 16;
/// Most replicas of unknown chunks of one disk that are remembered by name; the rest is only counted.
const QUARANTINE_MAX: usize = 1 << 20;

/// A chunkserver.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) id: ServerId,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) labels: Vec<String>,
    /// Registered now.
    pub(crate) up: bool,
    /// When it registered or fell silent last; 0: not in this reign.
    pub(crate) since_ms: u64,
    /// It is in maintenance until then; 0: it is not.
    pub(crate) away_until_ms: u64,
    /// The metadata know it no longer.
    pub(crate) forgotten: bool,
    pub(crate) disks: Vec<u16>,
}

/// A disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) id: DiskId,
    pub(crate) server: u16,
    pub(crate) path: String,
    pub(crate) labels: Vec<String>,
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
    /// About how much was moved to it for balance since it told that, less what was moved away.
    pub(crate) moved_bytes: i64,
    /// The same of what is being moved.
    pub(crate) moving_bytes: i64,
    /// See [`DiskInfo::device`].
    pub(crate) device: u64,
    pub(crate) state: DiskState,
    /// Its server is registered with it and it has not failed.
    pub(crate) up: bool,
    /// It has told all its replicas since it came up.
    pub(crate) reported: bool,
    /// Known to the metadata at the start and not yet reported.
    pub(crate) awaited: bool,
    /// It has told all its replicas in this reign.
    pub(crate) told: bool,
    /// It is to go.
    pub(crate) leaving: bool,
    /// The metadata know it no longer.
    pub(crate) forgotten: bool,
    /// Fresh chunks being written and copies being made on it.
    pub(crate) writes: u32,
    /// Replicas in the chunk table.
    pub(crate) chunks: SlotSet,
    /// Replicas of chunks that nobody knows.
    pub(crate) quarantine: BTreeMap<ChunkId, Unknown>,
    /// Unknown replicas beyond [`QUARANTINE_MAX`].
    pub(crate) quarantine_unnamed: u64,
    /// Replicas of removed chunks whose deletion may be ordered.
    pub(crate) deletes: BTreeMap<ChunkId, Version>,
    /// Delete orders under way.
    pub(crate) deleting: usize,
}

impl Disk {
    /// It is up, can be written to, and is to stay.
    pub(crate) fn is_good(&self) -> bool {
        self.up && self.state == DiskState::Good && !self.leaving
    }

    /// What must be free for a new chunk.
    pub(crate) fn needed_bytes(&self) -> u64 {
        (self.total_bytes / SMALL_PART).clamp(FULL_BELOW_BYTES, CHUNK_BYTES)
    }

    /// It may take a new chunk: there is room for a whole one; on a small disk, for a part of one, since many chunks are small.
    pub(crate) fn takes_chunks(&self) -> bool {
        self.is_good() && self.free_bytes >= self.needed_bytes()
    }
}

/// A replica of a chunk that nobody knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unknown {
    pub(crate) seen: ReportedReplica,
    /// When it was first told.
    pub(crate) since_ms: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    pub(crate) servers: Vec<Server>,
    pub(crate) disks: Vec<Disk>,
    server_numbers: BTreeMap<ServerId, u16>,
    disk_numbers: BTreeMap<DiskId, u16>,
    pub(crate) pool: Pool,
    pub(crate) told: ToldLabels,
    pub(crate) marks: ToldMarks,
    /// Entries of all disks' `quarantine`.
    quarantine_named: usize,
}

impl Hosts {
    pub(crate) fn server_number(&self, server: ServerId) -> Option<u16> {
        self.server_numbers.get(&server).copied()
    }

    pub(crate) fn disk_number(&self, disk: DiskId) -> Option<u16> {
        self.disk_numbers.get(&disk).copied()
    }

    pub(crate) fn disk(&self, disk: u16) -> &Disk {
        &self.disks[usize::from(disk)]
    }

    pub(crate) fn disk_mut(&mut self, disk: u16) -> &mut Disk {
        &mut self.disks[usize::from(disk)]
    }

    pub(crate) fn is_up(&self, disk: u16) -> bool {
        self.disk(disk).up
    }

    pub(crate) fn server_of(&self, disk: u16) -> &Server {
        &self.servers[usize::from(self.disk(disk).server)]
    }

    pub(crate) fn address(&self, disk: u16) -> ReplicaAddress {
        let server = self.server_of(disk);
        let (id, address) = (self.disk(disk).id, server.address.clone());
        ReplicaAddress { server: server.id, disk: id, address, hints: ReadHints::default() }
    }

    /// The number of a server, given now if need be. `None`: no numbers are left.
    pub(crate) fn add_server(&mut self, id: ServerId) -> Option<u16> {
        if let Some(number) = self.server_number(id) {
            self.servers[usize::from(number)].forgotten = false;
            return Some(number);
        }
        let number = u16::try_from(self.servers.len()).ok()?;
        self.servers.push(Server { id, ..Server::default() });
        self.server_numbers.insert(id, number);
        Some(number)
    }

    /// The number of a disk, given now if need be, belonging to this server from now on. `None`: no
    /// numbers are left, or another registered server serves a disk of this identity.
    pub(crate) fn add_disk(&mut self, id: DiskId, server: u16) -> Option<u16> {
        if let Some(number) = self.disk_number(id) {
            let owner = self.disk(number).server;
            if std::mem::take(&mut self.disk_mut(number).forgotten) {
                self.servers[usize::from(owner)].disks.push(number);
            }
            if owner != server {
                if self.disk(number).up {
                    return None;
                }
                self.servers[usize::from(owner)].disks.retain(|disk| *disk != number);
                self.servers[usize::from(server)].disks.push(number);
                self.disk_mut(number).server = server;
            }
            return Some(number);
        }
        if self.disks.len() >= DISKS_MAX {
            return None;
        }
        let number = self.disks.len() as u16;
        self.disks.push(Disk { id, server, ..Disk::default() });
        self.disk_numbers.insert(id, number);
        self.servers[usize::from(server)].disks.push(number);
        Some(number)
    }

    /// The metadata know a disk no longer; nothing is up or known on it.
    pub(crate) fn forget_disk(&mut self, number: u16) {
        let disk = &mut self.disks[usize::from(number)];
        (disk.forgotten, disk.awaited, disk.told) = (true, false, false);
        self.servers[usize::from(disk.server)].disks.retain(|one| *one != number);
        self.pool.remove(number);
    }

    /// Notes what a server says about itself as it registers.
    pub(crate) fn describe_server(&mut self, number: u16, info: &ServerInfo, now_ms: u64) {
        let server = &mut self.servers[usize::from(number)];
        server.name.clone_from(&info.name);
        server.address.clone_from(&info.address);
        server.labels.clone_from(&info.labels);
        (server.up, server.since_ms) = (true, now_ms);
    }

    /// Notes what a disk says about itself. True: it is under other labels than before, or belongs to another server.
    pub(crate) fn describe_disk(&mut self, number: u16, info: &DiskInfo) -> bool {
        let disk = self.disk_mut(number);
        disk.path.clone_from(&info.path);
        disk.labels.clone_from(&info.labels);
        disk.total_bytes = info.total_bytes;
        disk.free_bytes = info.free_bytes;
        disk.moved_bytes = 0;
        disk.device = info.device;
        disk.state = info.state;
        let changed = self.relabel(number);
        self.consider(number);
        changed
    }

    /// Keeps invariant 2 after any change of a disk.
    pub(crate) fn consider(&mut self, number: u16) {
        let disk = &self.disks[usize::from(number)];
        if disk.takes_chunks() {
            let (total_bytes, free_bytes, writes) = (disk.total_bytes, disk.free_bytes, disk.writes);
            self.pool.open(number, Room { total_bytes, free_bytes, writes });
        } else {
            self.pool.close(number);
        }
    }

    /// One more or one less chunk being written or copied to a disk.
    pub(crate) fn count_write(&mut self, number: u16, more: bool) {
        let disk = self.disk_mut(number);
        disk.writes = if more { disk.writes + 1 } else { disk.writes.saturating_sub(1) };
        self.consider(number);
    }

    /// A disk holds a replica of a chunk that nobody knows.
    pub(crate) fn quarantine(&mut self, number: u16, seen: &ReportedReplica, now_ms: u64) {
        let (disk, chunk) = (&mut self.disks[usize::from(number)], seen.chunk);
        if disk.quarantine.len() < QUARANTINE_MAX {
            let since_ms = disk.quarantine.get(&chunk).map_or(now_ms, |known| known.since_ms);
            let new = disk.quarantine.insert(chunk, Unknown { seen: *seen, since_ms }).is_none();
            self.quarantine_named += usize::from(new);
        } else if !disk.quarantine.contains_key(&chunk) {
            disk.quarantine_unnamed += 1;
        }
    }

    /// The chunk is known now: gives back where it was found.
    pub(crate) fn unquarantine(&mut self, chunk: ChunkId) -> Vec<(u16, ReportedReplica)> {
        if self.quarantine_named == 0 {
            return Vec::new();
        }
        let found: Vec<_> = (0u16..)
            .zip(&mut self.disks)
            .filter_map(|(number, disk)| Some((number, disk.quarantine.remove(&chunk)?.seen)))
            .collect();
        self.quarantine_named -= found.len();
        found
    }

    /// A replica was not to be deleted: its version is above what was ever given. It is counted, and left to people.
    pub(crate) fn keep_for_people(&mut self, number: u16) {
        self.disk_mut(number).quarantine_unnamed += 1;
    }

    /// At most so many chunks that nobody has known since `before_ms`; they are no longer counted.
    pub(crate) fn take_unknown(
        &mut self,
        number: u16,
        before_ms: u64,
        most: usize,
    ) -> Vec<(ChunkId, Version)> {
        let disk = &mut self.disks[usize::from(number)];
        let ripe = disk.quarantine.iter().filter(|(_, known)| known.since_ms < before_ms);
        let taken: Vec<_> = ripe.take(most).map(|(chunk, known)| (*chunk, known.seen.version)).collect();
        for (chunk, _) in &taken {
            disk.quarantine.remove(chunk);
        }
        self.quarantine_named -= taken.len();
        taken
    }

    /// The disk is gone or tells everything anew.
    pub(crate) fn clear_quarantine(&mut self, number: u16) {
        let disk = &mut self.disks[usize::from(number)];
        self.quarantine_named -= disk.quarantine.len();
        disk.quarantine.clear();
        disk.quarantine_unnamed = 0;
    }

    /// Replicas of unknown chunks on all disks.
    pub(crate) fn quarantined(&self) -> u64 {
        self.disks.iter().map(|disk| disk.quarantine.len() as u64 + disk.quarantine_unnamed).sum()
    }
}
