//! What goes wrong with disks.

use super::{Nemesis, Undo};
use crate::cluster::{Cluster, DISKS, Place, SERVERS};
use crate::invariants::rot::rot;
use env::{Effort, Fault, Stray};
use std::time::Duration;
use tokio::time::Instant;
use types::CHUNK_BYTES;

/// Longest delay of one job on a slow disk.
const SLOW_MAX_MS: u64 = 1_500;
/// Longest sync where a disk snags: longer than a server takes to find a new master and to tell it what it has.
const SNAG_MAX_MS: u64 = 8_000;
/// How long a disk snags at most: some edits.
const SNAGS_MS: u64 = 40_000;
/// Room that a full disk still has, in bytes, at most.
const ROOM_MAX: u64 = 1 << 20;
/// Where most of what is written lies in a chunk.
const BUSY_BYTES: u64 = 200_000;
const PAGE_BYTES: i64 = 4096;
/// By how many pages a write misses its place, at most.
const MISSED_PAGES_MAX: u64 = 16;
/// Bits that flip at one time, at most.
const FLIPS_MAX: u64 = 8;
/// Where chunk files are (`docs/format/disk.md`).
const CHUNKS: &str = "chunks/";
/// The master's queue that writes the changelog.
const LOG_QUEUE: &str = "log";

impl Nemesis<'_> {
    /// Host and queue of some disk, or of the changelog.
    fn some_queue(&mut self) -> (String, String) {
        let number = self.chance.below((SERVERS * DISKS) as u64 + 1) as usize;
        let hosts = self.stage.cluster.hosts();
        // The master is the first of the hosts.
        match number.checked_sub(1) {
            None => (hosts[0].clone(), LOG_QUEUE.to_owned()),
            Some(disk) => (hosts[1 + disk / DISKS].clone(), format!("disk-{}", disk % DISKS)),
        }
    }

    pub(super) fn slow(&mut self) {
        let (host, queue) = self.some_queue();
        let longest = Duration::from_millis(self.chance.within(1, SLOW_MAX_MS));
        self.stage.trace.note(format_args!("{queue} of {host} takes up to {longest:?}"));
        self.stage.cluster.world().slow_queue(&host, &queue, longest);
        self.undo_later(Undo::Queue(host, queue));
    }

    pub(super) fn snag(&mut self) {
        let (host, queue) = self.some_queue();
        self.snag_one(host, queue);
    }

    /// About half of the disks.
    pub(super) fn snag_all(&mut self) {
        for place in Cluster::places() {
            if self.chance.percent(50) {
                let host = self.stage.cluster.hosts()[1 + place.server].clone();
                self.snag_one(host, format!("disk-{}", place.disk));
            }
        }
    }

    fn snag_one(&mut self, host: String, queue: String) {
        // The changelog has one thread: nothing overtakes there.
        if queue == LOG_QUEUE {
            return;
        }
        let longest = Duration::from_millis(self.chance.within(1_000, SNAG_MAX_MS));
        self.stage.trace.note(format_args!("{queue} of {host} takes up to {longest:?} over some syncs"));
        self.stage.cluster.world().snag_queue(&host, &queue, longest);
        let until = Instant::now() + Duration::from_millis(self.chance.within(SNAG_MAX_MS, SNAGS_MS));
        self.lasting.push((until, Undo::Queue(host, queue)));
    }

    pub(super) fn hang(&mut self) {
        let (host, queue) = self.some_queue();
        self.stage.trace.note(format_args!("{queue} of {host} hangs"));
        self.stage.cluster.world().hang_queue(&host, &queue);
        self.undo_later(Undo::Queue(host, queue));
    }

    /// A disk of the servers, or the master's, runs full, with or without some room left.
    pub(super) fn fill_up(&mut self) {
        let number = self.chance.below((SERVERS * DISKS) as u64 + 1) as usize;
        let (role, disk) = match number.checked_sub(1) {
            None => (SERVERS, self.stage.cluster.master_disk()),
            Some(number) => {
                let place = Place { server: number / DISKS, disk: number % DISKS };
                (place.server, self.stage.cluster.disk(place))
            }
        };
        let room = if self.chance.percent(50) { 0 } else { self.chance.below(ROOM_MAX) };
        self.stage.trace.note(format_args!("a disk of role {role} has {room} bytes left"));
        disk.set_capacity(disk.used_bytes() + room);
        // Journals are written anew in what was allocated for them, which such filesystems are no place for.
        disk.set_copies_on_write(role < SERVERS && room % 4 == 3);
        if role == SERVERS {
            self.stage.master_is_full.set(true);
        }
        self.undo_later(Undo::Room(role, disk));
    }

    /// Some operations of the suspect fail, now and then or all of them.
    pub(super) fn fail(&mut self) {
        let Some(suspect) = self.stage.suspect.get() else { return };
        let effort = *self.chance.pick(&[Effort::Read, Effort::Write, Effort::Sync]);
        let path = if self.chance.percent(70) { CHUNKS } else { "" };
        let skip = self.chance.below(6);
        let count = if self.chance.percent(20) { u64::MAX } else { self.chance.within(1, 3) };
        self.stage
            .trace
            .note(format_args!("{effort:?} fails {count} times after {skip} on {path:?} of {suspect}"));
        let disk = self.stage.cluster.disk(suspect);
        disk.inject(Fault { path: path.to_owned(), effort, skip, count });
        self.undo_later(Undo::Faults(disk));
    }

    /// Bits of one chunk file of the suspect flip, or sectors of it become unreadable: among its data, its header or its checksums.
    pub(super) fn flip(&mut self) {
        let Some(suspect) = self.stage.suspect.get() else { return };
        let disk = self.stage.cluster.disk(suspect);
        let files = disk.paths(CHUNKS);
        if files.is_empty() {
            return;
        }
        let path = self.chance.pick(&files).clone();
        for _ in 0..self.chance.within(1, FLIPS_MAX) {
            let offset = match self.chance.below(4) {
                0 => CHUNK_BYTES - 1 - self.chance.below(BUSY_BYTES),
                1 => CHUNK_BYTES + self.chance.below(4 * PAGE_BYTES.unsigned_abs()),
                _ => self.chance.below(BUSY_BYTES),
            };
            let bit = self.chance.below(8) as u32;
            rot(self.stage, (&disk, suspect), &path, offset, bit);
            if bit == 0 && self.chance.percent(50) {
                self.undo_later(Undo::Sectors(disk.clone()));
            }
        }
    }

    /// One of the suspect's next writes to a chunk file goes astray. Only one at a time: data and checksum of the same
    /// write, both lost, are nowhere missed.
    pub(super) fn lead_astray(&mut self) {
        let Some(suspect) = self.stage.suspect.get() else { return };
        let disk = self.stage.cluster.disk(suspect);
        let pages = self.chance.within(1, MISSED_PAGES_MAX).cast_signed();
        let stray = match self.chance.below(4) {
            0 => Stray::Misdirected(-pages * PAGE_BYTES),
            1 => Stray::Misdirected(pages * PAGE_BYTES),
            _ => Stray::Lost,
        };
        let skip = self.chance.below(10);
        if disk.is_astray() {
            return;
        }
        self.stage.trace.note(format_args!("a write goes astray on {suspect} after {skip}: {stray:?}"));
        disk.lead_astray(CHUNKS, skip, stray);
    }

    /// Whether a role has a disk without room.
    pub(super) fn is_full(&self, role: usize) -> bool {
        self.lasting.iter().any(|(_, undo)| matches!(undo, Undo::Room(of, _) if *of == role))
    }
}
