//! What others may ask of the fleet: locations, counts, servers, disks, space.

use crate::fleet::Fleet;
use crate::hosts::Disk;
use crate::table::Health;
use crate::{DiskState, DiskView, ServerView, Space, Summary};
use std::collections::BTreeMap;
use types::{ChunkId, ChunkIndex, ChunkSlot, ClassId, DiskId, InodeRef, ReplicaAddress, Stage, Version};

impl Fleet {
    /// Replicas of a chunk that may be read now, in the order of its chain, damaged ones last; one of them as long as they may differ.
    pub fn locations(&self, slot: ChunkSlot) -> Vec<ReplicaAddress> {
        let most = if self.table.is_unsettled(slot) { 1 } else { usize::MAX };
        self.table.replicas(slot).readable().take(most).map(|disk| self.hosts.address(disk)).collect()
    }

    /// Where a chunk can be read now, and under which version: that of the metadata; one that is about to be recorded, and that all replicas
    /// there are hold with the same bytes; or, if no replica is known to have the metadata's any more, one that a raise gave to a replica and
    /// that is not recorded. It was granted to nobody, so that replica has all that was acknowledged. As long as one that was left behind, or
    /// that nobody has heard of, may be all that the next master hears of, what is about to be recorded is not read.
    pub fn readable(&self, slot: ChunkSlot, now_ms: u64) -> Option<(Version, Vec<ReplicaAddress>)> {
        let recorded = self.table.version(slot)?;
        if !self.may_refuse_readers(slot) {
            return Some((recorded, self.locations(slot)));
        }
        let set = self.table.replicas(slot);
        let known = |disk: u16| self.raises.version_on(slot, disk);
        if let Some((version, members)) = self.raises.made_equal(slot) {
            let is_unheard = members.len() < self.goal(slot) && self.awaits_disks(now_ms);
            let is_all = set.may_be_current().all(|disk| members.contains(&disk)) && !is_unheard;
            let is_told = |disk: &u16| is_all || known(*disk).is_some_and(|version| version <= recorded);
            // Who stayed behind may lack what readers have seen of one that did not.
            let most = if !is_all && self.table.is_unsettled(slot) { 1 } else { usize::MAX };
            let told = set.readable().take(most).filter(is_told).map(|disk| self.hosts.address(disk));
            return Some((if is_all { version } else { recorded }, told.collect()));
        }
        if self.table.is_unsettled(slot) {
            // All are sent to the same one, also if that refuses them until it and the others are equal.
            let version = set.readable().next().and_then(known).unwrap_or_default().max(recorded);
            return Some((version, self.locations(slot)));
        }
        // Those that take a version now, or are made equal, are read when they are.
        let ahead = set.readable().filter_map(known).min().filter(|version| *version > recorded);
        let Some(version) = ahead else { return Some((recorded, self.locations(slot))) };
        let of_it = set.readable().filter(|disk| known(*disk) == Some(version));
        Some((version, of_it.map(|disk| self.hosts.address(disk)).collect()))
    }

    /// Whether replicas that are not among those told by [`Fleet::readable`] may be soon, or be compared with these: who finds a page damaged
    /// there had better wait.
    pub fn may_have_more(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let set = self.table.replicas(slot);
        let most = if self.table.is_unsettled(slot) { 1 } else { usize::MAX };
        let readable: Vec<u16> = set.readable().take(most).collect();
        let told = self.readable(slot, now_ms).map_or(0, |(_, told)| told.len());
        set.doubtful().next().is_some()
            || told < readable.len()
            || self.may_be_bettered(slot, &readable, now_ms)
    }

    /// The disks among [`Fleet::locations`] on which pages of the chunk are damaged.
    pub fn damaged_on(&self, slot: ChunkSlot) -> Vec<DiskId> {
        self.table.replicas(slot).damaged().map(|disk| self.hosts.disk(disk).id).collect()
    }

    /// The version of a chunk as the metadata has it.
    pub fn version(&self, slot: ChunkSlot) -> Option<Version> {
        self.table.version(slot)
    }

    /// Whether a commit may put this chunk, which no map has, at this place: it is reserved for it, or
    /// was granted by an earlier term. The master asks before it logs a commit; what was released here
    /// is being deleted and must not enter a map.
    pub fn may_attach(&self, inode: InodeRef, index: ChunkIndex, chunk: ChunkId, version: Version) -> bool {
        if chunk.term() == self.term {
            version == self.first_version() && self.reservations.allows(inode, index, chunk)
        } else {
            chunk.term() < self.term && version.term < self.term && !self.garbage.is_going(chunk)
        }
    }

    /// Fewest replicas of class 0 that may acknowledge a write.
    pub fn min_write(&self) -> usize {
        self.classes.get(ClassId(0)).min_write(Stage::default())
    }

    /// Counts, kept current: nothing is walked.
    pub fn summary(&self) -> Summary {
        let count = |health| self.table.count(health);
        let none = count(Health::Missing);
        let settling = !self.settled();
        let mut summary = Summary {
            ok: count(Health::Ok),
            undergoal: count(Health::Undergoal),
            endangered: count(Health::Endangered),
            missing: if settling { 0 } else { none },
            overgoal: count(Health::Overgoal),
            held: self.holds.len(),
            leaving: count(Health::Leaving),
            misplaced: self.healing.misplaced(),
            reviewing: !self.review.is_over(),
            unknown: if settling { none } else { 0 },
            settling,
            quarantined: self.hosts.quarantined(),
            deleting: self.garbage.replicas(),
            reserved: self.reservations.len() as u64,
            raising: self.raises.len() as u64,
            copying: self.healing.copying() as u64,
            copied: self.healing.copied,
            removed: self.healing.removed,
            hops: self.blames.counts,
            held_back: self.held_back,
            unsettled: self.healing.unsettled(),
            damaged: self.healing.damaged(),
            chunks: 0,
        };
        let some = summary.ok + summary.undergoal + summary.endangered + summary.overgoal + summary.leaving;
        summary.chunks = some + none;
        summary
    }

    /// All servers seen in this reign or known to the metadata.
    pub fn servers(&self) -> impl Iterator<Item = ServerView<'_>> {
        self.hosts.servers.iter().filter(|server| !server.forgotten).map(|server| ServerView {
            server: server.id,
            name: &server.name,
            address: &server.address,
            labels: &server.labels,
            up: server.up,
        })
    }

    /// How many of these disks share each device.
    fn sharers(&self, counts: impl Fn(&Disk) -> bool) -> BTreeMap<u64, u64> {
        let mut sharers = BTreeMap::new();
        for disk in self.hosts.disks.iter().filter(|disk| counts(disk) && disk.device != 0) {
            *sharers.entry(disk.device).or_insert(0) += 1;
        }
        sharers
    }

    /// All disks seen in this reign or known to the metadata. Disks on one device each have their part of its bytes.
    pub fn disks(&self) -> impl Iterator<Item = DiskView<'_>> {
        let sharers = self.sharers(|_| true);
        let part = move |disk: &Disk, bytes: u64| bytes / sharers.get(&disk.device).copied().unwrap_or(1);
        let known = (0u16..).zip(&self.hosts.disks).filter(|(_, disk)| !disk.forgotten);
        known.map(move |(number, disk)| DiskView {
            disk: disk.id,
            server: self.hosts.servers[usize::from(disk.server)].id,
            path: &disk.path,
            labels: &disk.labels,
            total_bytes: part(disk, disk.total_bytes),
            free_bytes: part(disk, disk.free_bytes),
            state: disk.state,
            up: disk.up,
            reported: disk.reported,
            replicas: disk.chunks.len(),
            quarantined: disk.quarantine.len() as u64 + disk.quarantine_unnamed,
            removal: self.removal(number),
        })
    }

    /// Bytes of files that fit by what a class wants of chunks, as far as there are disks for it at all.
    pub fn space(&self, class: ClassId) -> Space {
        let sharers = self.sharers(|disk| disk.up);
        let part = |disk: &Disk, bytes: u64| bytes / sharers.get(&disk.device).copied().unwrap_or(1);
        let rule = &self.classes.get(class).keep;
        let sum = |bytes: &dyn Fn(&Disk) -> u64| {
            let of_disk = |number| {
                Some(self.hosts.disk(number)).filter(|disk| disk.up && !disk.leaving).map_or(0, bytes)
            };
            self.hosts.pool.usable(rule, of_disk)
        };
        let free = |disk: &Disk| if disk.state == DiskState::Good { part(disk, disk.free_bytes) } else { 0 };
        Space { total_bytes: sum(&|disk| part(disk, disk.total_bytes)), free_bytes: sum(&free) }
    }

    /// When [`crate::Event::Tick`] next has something to do, if nothing else happens before.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let settle = (!self.settled()).then_some(self.started_ms + self.options.settle_ms);
        let deletes = self.orders.values().filter(|order| order.is_delete());
        let resend = deletes.map(|order| order.sent_ms + self.options.delete_timeout_ms).min();
        [settle, resend, self.raises.next_deadline_ms()].into_iter().flatten().min()
    }
}
