//! Why a copy is ordered, by what the master had been told: the times that it waits and what a class wants are worked out anew here,
//! from `docs/protocol/healing.md`. A copy without a reason, and an order that leaves a chunk with too little, are violations.

use crate::books::{Cause, Count};
use crate::classes::Place;
use crate::cluster::{Chunk, Replica, chunk_id, disk_number, slot_of};
use crate::world::World;
use fleet::Order;
use types::{ChunkId, DiskId, Version};

/// What the master may take a good replica for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Here,
    /// Away, and to be waited for.
    Awaited,
    Lost,
}

impl World {
    /// Whether another server fell silent at about the same time.
    fn fell_silent_together(&self, server: u16) -> bool {
        let servers = &self.cluster.servers;
        let is_silent = |number: usize| !servers[number].known_up && servers[number].away_until_ms == 0;
        let at = servers[usize::from(server)].since_ms;
        let near = |number: &usize| servers[*number].since_ms.abs_diff(at) <= self.plan.options.heal_ms;
        is_silent(usize::from(server))
            && (0..servers.len()).filter(|n| is_silent(*n)).filter(near).count() > 1
    }

    /// `endangered`: its chunk has one replica that can be reached.
    fn presence(&self, replica: &Replica, endangered: bool) -> Presence {
        let (disk, server) = (self.cluster.disk(replica.disk), self.cluster.server_of(replica.disk));
        let options = &self.plan.options;
        let wait_ms = match () {
            () if disk.known_failed => return Presence::Lost,
            () if server.known_up && disk.told => return Presence::Here,
            () if server.known_up => options.heal_ms,
            () if self.fell_silent_together(disk.server) => options.heal_together_ms,
            () if endangered => options.heal_endangered_ms,
            () => options.heal_ms,
        };
        let until_ms = (server.since_ms + wait_ms).max(server.away_until_ms);
        if self.now_ms < until_ms { Presence::Awaited } else { Presence::Lost }
    }

    /// Whether the chunk has one replica that the master can reach.
    pub(crate) fn is_endangered(&self, chunk: &Chunk) -> bool {
        let is_here =
            |one: &&Replica| chunk.is_good(one) && !one.going && self.presence(one, false) == Presence::Here;
        chunk.replicas.iter().filter(is_here).count() <= 1
    }

    /// Whether a replica is one that the master counts on, be it away for a while.
    pub(crate) fn counts(&self, chunk: &Chunk, replica: &Replica, endangered: bool) -> bool {
        let is_good = chunk.is_good(replica) && !replica.going;
        is_good
            && !self.cluster.disk(replica.disk).marked
            && self.presence(replica, endangered) != Presence::Lost
    }

    /// Why the chunk is copied to this disk now.
    pub(crate) fn why(&self, slot: u32, to: u16) -> Result<Cause, String> {
        let (chunk, wish) = (self.cluster.chunk(slot), self.cluster.wish(slot));
        let endangered = self.is_endangered(chunk);
        let others =
            || chunk.replicas.iter().filter(|one| one.disk != to && chunk.is_good(one) && !one.going);
        let counting = others().filter(|one| self.counts(chunk, one, endangered)).count();
        if counting < wish.goal() {
            let on_marked = |one: &&Replica| {
                self.cluster.disk(one.disk).marked && self.presence(one, endangered) != Presence::Lost
            };
            return Ok(match () {
                () if counting + others().filter(on_marked).count() >= wish.goal() => Cause::Marked,
                () if chunk.asked > 0 => Cause::Asked,
                () => Cause::Lost,
            });
        }
        let counts = |one: &&Replica| self.counts(chunk, one, endangered);
        let disks: Vec<u16> = others().filter(counts).map(|one| one.disk).collect();
        let places = |disks: &mut dyn Iterator<Item = u16>| -> Vec<Place> {
            disks.map(|disk| self.cluster.place(slot, disk)).collect()
        };
        let now = places(&mut disks.iter().copied());
        let then = places(&mut disks.iter().copied().chain([to]));
        if wish.met(&then) > wish.met(&now) || wish.apart(&then) > wish.apart(&now) {
            return Ok(Cause::Misplaced);
        }
        let bytes = i64::from(chunk.bytes);
        let taker = self.cluster.share(to, bytes);
        let gives = |giver: &&u16| {
            let rest = places(&mut disks.iter().copied().filter(|disk| disk != *giver).chain([to]));
            wish.met(&rest) == wish.goal() && taker < self.cluster.share(**giver, 0)
        };
        if disks.iter().any(|giver| gives(&giver)) {
            return Ok(Cause::Balance);
        }
        Err(format!(
            "a needless copy of {} to disk {to} (ssd {}, {} of a million used): it wants {wish:?}, and has {}",
            chunk_id(slot),
            self.cluster.disk(to).is_ssd,
            self.cluster.share(to, 0),
            self.describe(slot)
        ))
    }

    /// A chunk for people.
    pub(crate) fn describe(&self, slot: u32) -> String {
        let chunk = self.cluster.chunk(slot);
        let endangered = self.is_endangered(chunk);
        let one = |replica: &Replica| {
            let disk = self.cluster.disk(replica.disk);
            format!(
                "\n  disk {} of server {} (ssd {}, marked {}, dead {}, failed {}): {} {:?} filling {} going {} used {}",
                replica.disk,
                disk.server,
                disk.is_ssd,
                disk.marked,
                disk.dead,
                disk.failed,
                replica.version,
                self.presence(replica, endangered),
                replica.filling,
                replica.going,
                self.cluster.share(replica.disk, 0),
            )
        };
        let replicas: String = chunk.replicas.iter().map(one).collect();
        format!("version {} class {} stage {:?}:{replicas}", chunk.version, chunk.class, chunk.stage)
    }

    /// A replica is about to be deleted: as many good ones as are wanted stay, on disks that stay, and they are as the class wants them as
    /// far as they were with it.
    pub(crate) fn check_delete(&self, disk: DiskId, chunk: ChunkId, version: Version) -> Result<(), String> {
        let (victim, slot) = (disk_number(disk), slot_of(chunk));
        let of = self.cluster.chunk(slot);
        let Some(replica) = of.on(victim) else { return Ok(()) };
        if version > of.version {
            return Err(format!(
                "{chunk} is deleted at {version}, which it has not yet: {}",
                self.describe(slot)
            ));
        }
        let staying = self.staying(slot, victim);
        let wish = self.cluster.wish(slot);
        if staying.len() < wish.goal() {
            return Err(format!(
                "one too many of {chunk} is deleted, on disk {victim}: {}",
                self.describe(slot)
            ));
        }
        if !of.is_good(replica) || self.cluster.disk(victim).marked {
            return Ok(());
        }
        let place = |disk: u16| self.cluster.place(slot, disk);
        let rest: Vec<Place> = staying.iter().map(|disk| place(*disk)).collect();
        let all: Vec<Place> = staying.iter().copied().chain([victim]).map(place).collect();
        if wish.met(&rest) < wish.met(&all) {
            let what = self.describe(slot);
            return Err(format!(
                "the replica of {chunk} on disk {victim} goes, where {wish:?} wants it: {what}"
            ));
        }
        Ok(())
    }

    /// Disks with good replicas of a chunk that stay, another one left out.
    fn staying(&self, slot: u32, without: u16) -> Vec<u16> {
        let chunk = self.cluster.chunk(slot);
        let stays = |one: &&Replica| {
            let on = self.cluster.disk(one.disk);
            one.disk != without && chunk.is_good(one) && !one.going && !on.known_failed && !on.marked
        };
        chunk.replicas.iter().filter(stays).map(|one| one.disk).collect()
    }

    /// A disk is about to be closed: everything on it is elsewhere, as often as it is wanted.
    pub(crate) fn check_close(&self, disk: u16) -> Result<(), String> {
        if !self.cluster.disk(disk).marked {
            return Err(format!("disk {disk} is closed and was to stay"));
        }
        let is_needed = |slot: &&u32| self.staying(**slot, disk).len() < self.cluster.wish(**slot).goal();
        match self.cluster.disk(disk).chunks.iter().find(is_needed) {
            None => Ok(()),
            Some(slot) => Err(format!(
                "disk {disk} is closed while {} needs it: {}",
                chunk_id(*slot),
                self.describe(*slot)
            )),
        }
    }

    /// A copy is ordered.
    pub(crate) fn check_copy(&mut self, what: &Order) -> Cause {
        let (Order::Copy { disk, chunk, version, .. } | Order::Feed { disk, chunk, version, .. }) = what
        else {
            unreachable!("{what:?} is no copy");
        };
        let (to, slot) = (disk_number(*disk), slot_of(*chunk));
        assert_eq!(*version, self.cluster.chunk(slot).version, "a copy of another version than is on record");
        assert!(!self.cluster.disk(to).marked, "{chunk} is copied to disk {to}, which is to go");
        let cause = self.why(slot, to).unwrap_or_else(|needless| {
            self.violated(needless);
            Cause::Lost
        });
        self.note_lost(slot);
        cause
    }

    /// Replicas of the chunk that are not waited for any longer come into the books, if they are not there.
    fn note_lost(&mut self, slot: u32) {
        let chunk = self.cluster.chunk(slot);
        let endangered = self.is_endangered(chunk);
        let is_lost = |one: &&Replica| {
            !one.lost && chunk.is_good(one) && !one.going && self.presence(one, endangered) == Presence::Lost
        };
        let lost: Vec<u16> = chunk.replicas.iter().filter(is_lost).map(|one| one.disk).collect();
        lost.into_iter().for_each(|disk| self.book_lost(slot, disk));
    }

    /// All good replicas of a disk that failed do.
    pub(crate) fn book_all_lost(&mut self, disk: u16) {
        for slot in self.cluster.disk(disk).chunks.iter().copied().collect::<Vec<_>>() {
            let chunk = self.cluster.chunk(slot);
            if chunk.on(disk).is_some_and(|one| chunk.is_good(one) && !one.lost) {
                self.book_lost(slot, disk);
            }
        }
    }

    /// The same of one.
    pub(crate) fn book_lost(&mut self, slot: u32, disk: u16) {
        if let Some(replica) = self.cluster.chunks[slot as usize].on_mut(disk) {
            replica.lost = true;
            self.books.add(Count::Lost, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    /// A small cluster in which all is well, a chunk of it, and the fullest disk without a replica of it.
    fn well() -> (World, u32, u16) {
        let mut world = World::new(Plan::small(3));
        world.play_until(30_000);
        let is_plain = |slot: &u32| world.cluster.chunk(*slot).class == 0;
        let slot = (0..5_000).find(is_plain).unwrap();
        let others = (0..world.cluster.disks.len() as u16)
            .filter(|disk| world.cluster.chunk(slot).on(*disk).is_none());
        let to = others.max_by_key(|disk| world.cluster.share(*disk, 0)).unwrap();
        (world, slot, to)
    }

    #[test]
    fn a_copy_of_what_is_well_is_needless_and_of_what_lost_a_replica_is_not() {
        let (mut world, slot, to) = well();
        assert!(world.why(slot, to).is_err_and(|why| why.contains("a needless copy")));
        let lost = world.cluster.chunk(slot).replicas[0].disk;
        world.cluster.disk_mut(lost).known_failed = true;
        assert_eq!(world.why(slot, to), Ok(Cause::Lost));
    }

    #[test]
    fn a_replica_on_a_silent_server_is_waited_for() {
        let (mut world, slot, to) = well();
        let away = world.cluster.chunk(slot).replicas[0].disk;
        let (server, now_ms) = (world.cluster.disk(away).server, world.now_ms);
        let silent = &mut world.cluster.servers[usize::from(server)];
        (silent.known_up, silent.since_ms) = (false, now_ms);
        world.now_ms += world.plan.options.heal_endangered_ms - 1;
        assert!(world.why(slot, to).is_err());
        world.now_ms += 1;
        assert_eq!(world.why(slot, to), Ok(Cause::Lost));
    }

    #[test]
    fn a_delete_order_that_leaves_too_few_is_noticed() {
        let (world, slot, _) = well();
        let chunk = world.cluster.chunk(slot);
        let disk = crate::cluster::disk_id(chunk.replicas[0].disk);
        let checked = world.check_delete(disk, chunk_id(slot), chunk.version);
        assert!(checked.is_err_and(|why| why.contains("one too many")));
    }
}
