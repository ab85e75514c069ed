//! The end of a day: nothing happens any more, everybody comes back, and all classes must be met within a bounded time.

use crate::cluster::{Chunk, Replica, chunk_id};
use crate::life::Life;
use crate::world::{Task, World};
use std::collections::BTreeSet;
use types::{ChunkSlot, Stage};

/// Beyond the time for which replicas are held that an edit made dispensable: waiting for servers that fell silent together, copies that
/// hang, and what is left to be copied.
const MORE_MS: u64 = 2 * 3_600_000;
const STEP_MS: u64 = 5_000;
/// Chunks that are explained at a time.
const EXPLAINED: usize = 4_096;

impl World {
    /// Everybody who can come back does, and whoever is lost is forgotten.
    pub(crate) fn make_peace(&mut self) {
        self.calm = true;
        for server in 0..self.cluster.servers.len() as u16 {
            self.end_maintenance(server);
            let one = &self.cluster.servers[usize::from(server)];
            if !one.up && !one.dead {
                self.server_back(server);
            }
        }
        for disk in 0..self.cluster.disks.len() as u16 {
            self.disk_back(disk);
            if self.cluster.disk(disk).dead && !self.cluster.server_of(disk).dead {
                self.put_off(0, Task::Life(Life::Mark(disk)));
            }
        }
    }

    /// Time passes until nothing is left to do; gives back how long that took. What was begun to be filled and left out of its chain
    /// before the master knew of it is empty, and goes when its server registers anew.
    pub(crate) fn come_to_rest(&mut self) -> u64 {
        let begun_ms = self.now_ms;
        self.rest_from(begun_ms);
        let is_begun = |one: &&Replica| one.filling;
        let begun = self.cluster.chunks.iter().flat_map(|chunk| chunk.replicas.iter().filter(is_begun));
        let servers: BTreeSet<u16> = begun.map(|one| self.cluster.disk(one.disk).server).collect();
        servers.into_iter().for_each(|server| self.register(server));
        self.rest_from(begun_ms);
        assert_eq!(self.left_over(|_| true), 0, "{}", self.restless());
        self.now_ms - begun_ms
    }

    fn rest_from(&mut self, begun_ms: u64) {
        let until_ms = begun_ms + self.plan.hold_ms + MORE_MS;
        while !self.is_at_rest() {
            assert!(
                self.now_ms < until_ms,
                "it does not come to rest within {} s: {:?}, {} copies under way{}",
                (until_ms - begun_ms) / 1_000,
                self.fleet.summary(),
                self.flights.len(),
                self.restless()
            );
            self.play_until(self.now_ms + STEP_MS);
        }
    }

    fn is_at_rest(&self) -> bool {
        let now = self.fleet.summary();
        let waits = now.undergoal + now.endangered + now.missing + now.leaving;
        let has_more = now.overgoal + now.held + now.misplaced + now.deleting + now.quarantined;
        let works = now.copying + now.raising + now.unsettled + self.flights.len() as u64;
        let is_going = self.cluster.disks.iter().any(|disk| (disk.marked || disk.dead) && !disk.forgotten);
        waits + has_more + works == 0
            && !now.reviewing
            && !is_going
            && self.left_over(|one| !one.filling) == 0
    }

    /// Replicas of lower versions, and those that are about to be deleted.
    fn left_over(&self, counts: impl Fn(&Replica) -> bool) -> usize {
        let of = |chunk: &Chunk| {
            chunk.replicas.iter().filter(|one| counts(one) && (!chunk.is_good(one) || one.going)).count()
        };
        self.cluster.chunks.iter().map(of).sum()
    }

    /// Some of the chunks that are not as they should be.
    fn restless(&self) -> String {
        let slots: Vec<u32> = (0..self.cluster.chunks.len() as u32).collect();
        let is_well = |slot: &u32| {
            let chunk = self.cluster.chunk(*slot);
            let good = chunk.replicas.iter().filter(|one| chunk.is_good(one)).count();
            self.cluster.debt(*slot) == 0
                && good == self.cluster.wish(*slot).goal()
                && good == chunk.replicas.len()
        };
        let some = slots.iter().filter(|slot| !is_well(slot)).take(5);
        let one = |slot: &u32| {
            let explained = self.fleet.explain(&[ChunkSlot(*slot)], self.now_ms);
            format!("\n{}, {:?}\n{explained:?}", chunk_id(*slot), self.describe(*slot))
        };
        some.map(one).collect()
    }

    /// Every class that can be met is met, nothing is above its goal, and the fleet knows it.
    pub(crate) fn check_all_met(&self) {
        let mut prospect = self.fleet.prospect();
        let can_be_met: Vec<Vec<bool>> = (self.cluster.classes.iter())
            .map(|class| {
                let stages = (0..Stage::COUNT).map(Stage::from_number);
                stages.map(|stage| prospect.unmet(&class.wish(stage).policy()).is_empty()).collect()
            })
            .collect();
        for (slot, chunk) in self.cluster.chunks.iter().enumerate() {
            let slot = slot as u32;
            let goal = self.cluster.wish(slot).goal();
            let is_good = |one: &Replica| chunk.is_good(one) && self.cluster.serves(one.disk);
            let is_right = chunk.replicas.len() == goal && chunk.replicas.iter().all(is_good);
            assert!(is_right, "{} has not what it wants, {goal}: {}", chunk_id(slot), self.describe(slot));
            let can = can_be_met[usize::from(chunk.class)][chunk.stage.number()];
            assert!(
                !can || self.cluster.debt(slot) == 0,
                "{} is not where its class wants it, {:?}: {}",
                chunk_id(slot),
                self.cluster.wish(slot),
                self.describe(slot)
            );
        }
        let slots: Vec<ChunkSlot> = (0..self.cluster.chunks.len() as u32).map(ChunkSlot).collect();
        for part in slots.chunks(EXPLAINED) {
            for (slot, explained) in part.iter().zip(self.fleet.explain(part, self.now_ms)) {
                let told = explained.replicas.iter().map(|one| one.disk);
                let real = || {
                    self.cluster.chunk(slot.0).replicas.iter().map(|one| crate::cluster::disk_id(one.disk))
                };
                let same = told.clone().count() == real().count()
                    && told.into_iter().all(|disk| real().any(|one| one == disk));
                assert!(
                    same,
                    "the fleet takes {slot} to be elsewhere: {explained:?}, {}",
                    self.describe(slot.0)
                );
                assert_eq!(explained.hindrance, None, "{slot}: {}", self.describe(slot.0));
            }
        }
    }
}
