//! Replicas that lost power: what they lack is taken from those that did not, and waited for as long as there may be some.

use super::*;

/// Two replicas of a file. The second one's machine lost power, and with it write 2, which was acknowledged; the first one's
/// process was killed, or the servers cannot reach each other.
struct Lost {
    world: World,
    slot: ChunkSlot,
    chunk: ChunkId,
    kept: DiskId,
    lost: DiskId,
}

fn machine(disk: DiskId) -> u8 {
    disk.0[0] - 1
}

fn lost() -> Lost {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    assert!(world.write(&grant, 2));
    let (kept, lost) = (grant.chain[0].disk, grant.chain[1].disk);
    world.kill(machine(lost), false);
    let replica = world.replicas.get_mut(&(lost, grant.chunk)).unwrap();
    replica.memory = Memory::PowerLost;
    replica.content.remove(&2);
    Lost { world, slot, chunk: grant.chunk, kept, lost }
}

impl Lost {
    fn readable(&self) -> Vec<DiskId> {
        self.world.fleet.locations(self.slot).iter().map(|one| one.disk).collect()
    }

    fn has_the_write(&self, disk: DiskId) -> bool {
        self.world.replicas[&(disk, self.chunk)].content.contains(&2)
    }
}

/// The other one has the write and cannot be read by it.
#[test]
fn nobody_follows_a_member_that_lost_power_while_another_did_not() {
    let mut it = lost();
    it.world.machines[usize::from(machine(it.kept))].cut_off = true;
    it.world.connect(machine(it.lost));
    it.world.settle();
    let next = it.world.grant(1).unwrap();
    assert_eq!(next.chain.iter().map(|one| one.disk).collect::<Vec<_>>(), [it.kept]);
    assert!(it.has_the_write(it.kept));
    assert_eq!(it.readable(), [it.kept], "the other is stale");
}

#[test]
fn a_replica_that_lost_power_is_neither_read_nor_written_while_a_better_one_may_return() {
    let mut it = lost();
    it.world.kill(machine(it.kept), false);
    it.world.connect(machine(it.lost));
    for _ in 0..5 {
        it.world.advance(9_000);
        it.world.settle();
        assert_eq!(it.readable(), []);
        assert_eq!(it.world.grant(1), Err(Status::TryAgain));
    }
    it.world.connect(machine(it.kept));
    it.world.advance(20_000);
    it.world.settle();
    assert_eq!(it.world.grant(1).unwrap().chain.len(), 2);
    assert!(it.has_the_write(it.kept) && it.has_the_write(it.lost));
}

#[test]
fn a_replica_that_lost_power_is_all_there_is_when_no_other_returns_in_time() {
    let mut it = lost();
    it.world.kill(machine(it.kept), false);
    it.world.connect(machine(it.lost));
    for _ in 0..9 {
        it.world.advance(9_000);
        it.world.settle();
    }
    assert_eq!(it.readable(), [it.lost]);
    // What it lacks is gone: that is a loss which the world has to be told of.
    it.world.map.get_mut(&it.slot).unwrap().content.remove(&2);
    it.world.replicas.get_mut(&(it.kept, it.chunk)).unwrap().content.remove(&2);
    assert!(it.world.grant(1).is_ok());
}

#[test]
fn if_all_lost_power_nobody_is_waited_for() {
    let mut it = lost();
    it.world.kill(machine(it.kept), false);
    it.world.replicas.get_mut(&(it.kept, it.chunk)).unwrap().memory = Memory::PowerLost;
    it.world.connect(machine(it.lost));
    it.world.connect(machine(it.kept));
    it.world.settle();
    it.world.advance(1_000);
    it.world.settle();
    assert_eq!(it.readable().len(), 2);
    assert_eq!(it.has_the_write(it.lost), it.has_the_write(it.kept));
}

/// It answers the master, and not the order.
#[test]
fn a_raise_fails_rather_than_leave_behind_the_only_one_that_did_not_lose_power() {
    let mut it = lost();
    it.world.connect(machine(it.lost));
    for _ in 0..100 {
        it.world.hear(machine(it.lost));
    }
    let ticket = it.world.want((inode(1), ZERO), SESSION, None);
    for _ in 0..20 {
        it.world.advance(1_000);
        for _ in 0..10 {
            it.world.obey(machine(it.lost), None);
            it.world.hear(machine(it.lost));
        }
        it.world.log_all();
        it.world.sync();
    }
    assert_eq!(it.world.grants[&ticket], Err(Status::TryAgain));
    it.world.settle();
    it.world.advance(10_000);
    it.world.settle();
    assert!(it.world.grant(1).is_ok());
    assert!(it.has_the_write(it.kept) && it.has_the_write(it.lost));
}

/// The commit comes after the loss of power, also to a master that was started anew meanwhile.
#[test]
fn a_replica_that_lost_power_before_its_chunk_was_in_a_map_is_as_doubtful() {
    for restart in [false, true] {
        let mut world = World::new(2);
        let grant = world.grant(1).unwrap();
        assert!(grant.fresh && world.write(&grant, 1) && world.write(&grant, 2));
        let (kept, lost) = (grant.chain[0].disk, grant.chain[1].disk);
        world.settle();
        world.kill(machine(lost), false);
        let replica = world.replicas.get_mut(&(lost, grant.chunk)).unwrap();
        (replica.memory, replica.marked) = (Memory::PowerLost, true);
        replica.content.remove(&2);
        world.kill(machine(kept), false);
        if restart {
            world.restart_master();
        }
        world.connect(machine(lost));
        world.settle();
        let slot = world.commit((inode(1), ZERO), grant.chunk, grant.version).unwrap();
        world.settle();
        assert_eq!(world.fleet.locations(slot), [], "restart: {restart}");
        world.connect(machine(kept));
        world.heal();
        assert!(world.replicas.values().all(|replica| replica.content.contains(&2)), "restart: {restart}");
    }
}
