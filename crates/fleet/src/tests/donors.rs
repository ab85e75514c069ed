//! Several members follow one donor: what becomes of them when it cannot be read.

use super::*;

/// A file's chunk with three replicas, whose servers were killed a moment after it was written and are back: all of the
/// chunk is to be compared. The disks are in the order of the chain.
struct Compared {
    world: World,
    slot: ChunkSlot,
    chunk: ChunkId,
    disks: Vec<DiskId>,
}

fn machine(disk: DiskId) -> u8 {
    disk.0[0] - 1
}

fn compared(memories: [Memory; 3]) -> Compared {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    let disks: Vec<DiskId> = grant.chain.iter().map(|one| one.disk).collect();
    disks.iter().for_each(|disk| world.kill(machine(*disk), false));
    for (disk, memory) in disks.iter().zip(memories) {
        world.replicas.get_mut(&(*disk, grant.chunk)).unwrap().memory = memory;
    }
    disks.iter().for_each(|disk| world.connect(machine(*disk)));
    Compared { world, slot, chunk: grant.chunk, disks }
}

impl Compared {
    fn cut_off(&mut self, at: usize) {
        self.world.machines[usize::from(machine(self.disks[at]))].cut_off = true;
    }

    /// Until both followers have their orders, of which none was carried out.
    fn begin(&mut self) {
        self.world.advance(10_000);
        let repairs = |world: &World| {
            let heads = world.machines.iter().filter_map(|one| one.inbox.front());
            heads.filter(|(_, what)| matches!(what, Order::Repair { .. })).count()
        };
        while repairs(&self.world) < 2 {
            for n in 0..3 {
                assert!(self.world.obey(n, None), "a member has no order");
            }
            while (0..3).any(|n| self.world.hear(n)) {}
        }
    }

    fn readable(&self) -> BTreeSet<DiskId> {
        self.world.fleet.locations(self.slot).iter().map(|one| one.disk).collect()
    }

    fn some(&self, at: impl IntoIterator<Item = usize>) -> BTreeSet<DiskId> {
        at.into_iter().map(|at| self.disks[at]).collect()
    }

    fn version_of(&self, at: usize) -> Version {
        self.world.replicas[&(self.disks[at], self.chunk)].version
    }
}

#[test]
fn a_donor_that_dies_takes_none_of_its_followers_with_it() {
    let mut it = compared([Memory::Marked; 3]);
    it.begin();
    it.world.disconnect(machine(it.disks[0]));
    it.world.settle();
    assert!(it.world.fleet.version(it.slot) > Some(it.version_of(0)), "it went on without the donor");
    assert_eq!(it.readable(), it.some([1, 2]));
    assert_eq!(it.world.grant(1).unwrap().chain.len(), 2, "as many as may acknowledge");
}

#[test]
fn a_donor_that_its_followers_cannot_read_follows_one_of_them() {
    let mut it = compared([Memory::Marked; 3]);
    it.cut_off(0);
    it.begin();
    it.world.settle();
    assert_eq!(it.readable(), it.some([0, 1, 2]));
    assert_eq!(it.world.grant(1).unwrap().chain.len(), 3);
}

/// Nobody else may be the donor, so that a third round would end as the second one did. The donor alone may not acknowledge
/// a write: they are waited for as long as for silent servers.
#[test]
fn followers_that_lost_power_and_cannot_read_the_donor_twice_are_left_behind_together_in_the_end() {
    let mut it = compared([Memory::Marked, Memory::PowerLost, Memory::PowerLost]);
    it.cut_off(0);
    let before = it.world.fleet.version(it.slot);
    it.begin();
    it.world.settle();
    let begun_ms = it.world.now_ms;
    while it.world.fleet.version(it.slot) == before {
        assert_eq!(it.world.fleet.table.replicas(it.slot).members().count(), 3, "nobody is left behind");
        it.world.advance(1_000);
        it.world.settle();
    }
    assert!(it.world.now_ms >= begun_ms + it.world.options.heal_ms);
    assert_eq!(it.readable(), it.some([0]));
}
