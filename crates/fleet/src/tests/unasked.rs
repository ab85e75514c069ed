//! Raises that nobody asked for: they take nothing from a chunk that is well.

use super::*;
use crate::table::ReplicaState;

impl World {
    /// A raise that nobody waits for leaves nobody out who counts, and whose server answers, unless that lasted.
    pub(super) fn check_left_out(&self, chunk: ChunkId, members: &[DiskId]) {
        let Some((slot, mapped)) = self.map.iter().find(|(_, mapped)| mapped.chunk == chunk) else { return };
        let waits =
            |(ticket, place): (&Ticket, &_)| *place == mapped.place && !self.grants.contains_key(ticket);
        let is_old = self.now_ms >= self.begun_ms[&chunk] + self.options.heal_ms;
        // For a reader the raise is hurried that he finds, with all its rounds, and the next one.
        let is_read = self.read_ms.get(slot).is_some_and(|read_ms| self.now_ms < read_ms + 60_000);
        if is_old || is_read || self.cutting.values().any(|of| *of == chunk) || self.asked.iter().any(waits) {
            return;
        }
        for replica in self.fleet.table.replicas(*slot).sound() {
            let disk = self.fleet.hosts.disk(replica).id;
            let stay = |member: &&DiskId| {
                let number = self.fleet.hosts.disk_number(**member);
                number.is_some_and(|number| !self.fleet.table.is_leaving(number))
            };
            // It is to go, and the others are enough.
            let goes = self.fleet.table.is_leaving(replica)
                && members.iter().filter(stay).count() >= self.fleet.goal(*slot);
            let excused = goes || members.contains(&disk) || self.refused.contains(&(disk, chunk));
            assert!(
                excused,
                "{disk} counts, its server answers, and nobody waits: {chunk} goes on without it"
            );
        }
    }

    /// The metadata has another version of the chunk.
    pub(super) fn recorded(&mut self, chunk: ChunkId) {
        self.begun_ms.remove(&chunk);
        self.refused.retain(|(_, of)| *of != chunk);
    }
}

/// Two replicas are to be compared since their chain failed; nobody comes to write. The first answers at once, the other one is slow.
struct Slow {
    world: World,
    slot: ChunkSlot,
    grant: GrantParts,
    fast: u8,
    slow: u8,
}

fn compared() -> Slow {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    world.write_upto(&grant, 2, 1);
    while (0..2).any(|n| world.hear(n)) {}
    world.advance(10_000);
    assert!(world.fleet.raises.is_running(slot));
    let (fast, slow) = (machine_of(&grant, 0), machine_of(&grant, 1));
    Slow { world, slot, grant, fast, slow }
}

impl Slow {
    fn second(&mut self) {
        let world = &mut self.world;
        while world.obey(self.fast, None) | world.hear(self.fast) {}
        world.log_all();
        world.sync();
        world.advance(1_000);
    }

    fn seconds(&mut self, count: u64) {
        (0..count).for_each(|_| self.second());
    }

    fn is_as_it_was(&self) -> bool {
        let set = self.world.fleet.table.replicas(self.slot);
        self.world.fleet.version(self.slot) == Some(self.grant.version) && set.sound().count() == 2
    }

    /// All it did late is heard, and the rest done.
    fn catch_up(&mut self) {
        for _ in 0..70 {
            self.world.settle();
            self.world.advance(1_000);
        }
        self.world.settle();
        assert_eq!(self.world.fleet.locations(self.slot).len(), 2);
        assert_eq!(self.world.fleet.summary().copied, 0, "they are as good as before");
        self.world.check_twins();
    }
}

#[test]
fn a_member_that_is_slow_is_not_left_behind_while_nobody_waits() {
    for seconds in [4, 19, 25, 45] {
        let mut it = compared();
        it.seconds(seconds);
        assert!(it.is_as_it_was(), "after {seconds} s");
        it.catch_up();
        let once = it.world.fleet.version(it.slot).unwrap().counter == it.grant.version.counter + 1;
        assert_eq!(once, seconds < 20, "its answer counts although it is late");
    }
}

#[test]
fn a_member_that_answers_nothing_is_left_behind_when_that_has_lasted() {
    let mut it = compared();
    let begun_ms = it.world.now_ms;
    while it.is_as_it_was() {
        it.second();
        assert!(it.world.now_ms < begun_ms + 200_000, "readers are not refused for ever");
    }
    assert!(it.world.now_ms >= begun_ms + it.world.options.heal_ms);
    it.seconds(1);
    assert_eq!(it.world.fleet.locations(it.slot).len(), 1);
}

#[test]
fn a_writer_who_comes_meanwhile_is_served_as_soon_as_ever() {
    let mut it = compared();
    it.seconds(6);
    let place = (inode(1), ZERO);
    let ticket = it.world.want(place, SESSION, None);
    it.seconds(2);
    assert!(!it.world.grants.contains_key(&ticket));
    it.seconds(2);
    assert_eq!(it.world.grants[&ticket].clone().unwrap().chain, it.grant.chain[..1]);
}

#[test]
fn a_reader_who_comes_meanwhile_does_not_wait_longer_than_a_writer() {
    // Within the first raise; and in the pauses after raises that failed, which grow.
    for (seconds, most) in [(6, 4), (22, 6), (45, 6)] {
        let mut it = compared();
        it.seconds(seconds);
        assert!(it.is_as_it_was());
        assert!(it.world.fleet.may_refuse_readers(it.slot));
        let mut waited = 0;
        while it.is_as_it_was() {
            it.world.read(it.slot);
            it.second();
            waited += 1;
        }
        assert!((2..=most).contains(&waited), "after {seconds} s: {waited} s");
        assert_eq!(it.world.fleet.locations(it.slot).len(), 1);
    }
}

#[test]
fn a_raise_that_failed_often_is_repeated_soon_for_a_reader() {
    let waited = |reads: bool| {
        let mut it = compared();
        for _ in 0..35 {
            let both = [it.fast, it.slow];
            while both.iter().any(|n| it.world.obey(*n, Some(Status::TryAgain)) | it.world.hear(*n)) {}
            it.world.advance(1_000);
        }
        let mut seconds = 0;
        while it.is_as_it_was() {
            if reads {
                it.world.read(it.slot);
            }
            it.world.settle();
            it.world.advance(1_000);
            seconds += 1;
        }
        seconds
    };
    assert!(waited(false) > 10, "the pauses grow");
    assert!(waited(true) <= 3);
}

#[test]
fn who_comes_to_cut_meanwhile_is_served_as_soon_as_ever() {
    let mut it = compared();
    it.seconds(6);
    let ticket = it.world.edit(it.slot, 5);
    it.seconds(8);
    assert!(it.world.edits[&ticket].is_ok());
}

/// Copies, mending and removals wait for nothing that a failed disk could give.
#[test]
fn a_member_whose_own_disk_fails_is_not_waited_for() {
    let mut it = compared();
    it.world.obey(it.slow, Some(Status::Io));
    it.world.hear(it.slow);
    it.seconds(2);
    assert!(it.world.fleet.version(it.slot) > Some(it.grant.version));
    assert_eq!(it.world.fleet.locations(it.slot).len(), 1);
}

#[test]
fn a_member_whose_server_is_gone_is_not_waited_for_but_one_that_is_back_is() {
    for is_back in [false, true] {
        let mut it = compared();
        it.world.disconnect(it.slow);
        if is_back {
            it.world.register(it.slow);
        }
        it.seconds(2);
        let set = it.world.fleet.table.replicas(it.slot);
        let stale = set.iter().any(|one| one.state == ReplicaState::StaleAbsent);
        assert_eq!(stale, !is_back);
        if is_back {
            it.catch_up();
        }
    }
}
