//! What mending must not cost: the last sound bytes of a page.

use super::*;
use crate::table::ReplicaState;

impl World {
    /// A second passes; each server carries out an order and says so, unless the test answers for it.
    fn second(&mut self, mut answer: impl FnMut(&Order) -> Option<Status>) {
        self.advance(1_000);
        for n in 0..self.machines.len() as u8 {
            let front = self.machines[usize::from(n)].inbox.front().map(|one| one.1.clone());
            self.obey(n, front.and_then(|what| answer(&what)));
            self.finish_copy(n);
            while self.hear(n) {}
        }
        self.log_all();
        self.sync();
    }

    fn seconds(&mut self, count: usize, mut answer: impl FnMut(&Order) -> Option<Status>) {
        for _ in 0..count {
            self.second(&mut answer);
        }
    }

    fn state(&self, slot: ChunkSlot, disk: DiskId) -> Option<ReplicaState> {
        let disk = self.fleet.hosts.disk_number(disk).unwrap();
        self.fleet.table.replicas(slot).state(disk)
    }

    fn is_mended(&self, slot: ChunkSlot, chunk: ChunkId, count: usize) -> bool {
        let set = self.fleet.table.replicas(slot);
        let sound: Vec<DiskId> = set.sound().map(|disk| self.fleet.hosts.disk(disk).id).collect();
        sound.len() == count && sound.iter().all(|disk| self.replicas[&(*disk, chunk)].damaged.is_empty())
    }
}

fn raises(what: &Order, of: DiskId) -> bool {
    matches!(what, Order::Raise { disk, .. } if *disk == of)
}

/// The raise that was to make the chunk quiet went on with the damaged one alone, whose bad page was sound on the other.
#[test]
fn a_sound_replica_that_does_not_answer_in_time_is_not_left_behind_for_a_damaged_one() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (sound, damaged) = (grant.chain[0].disk, grant.chain[1].disk);
    world.rot(damaged, grant.chunk, 1);
    world.seconds(60, |what| raises(what, sound).then_some(Status::TimedOut));
    assert_eq!(world.state(slot, sound), Some(ReplicaState::Current));
    world.seconds(200, |_| None);
    assert!(world.is_mended(slot, grant.chunk, 2));
}

/// It was away for longer than endangered chunks wait, and what was begun without it made it stale.
#[test]
fn a_sound_replica_that_is_away_for_a_moment_is_not_left_behind_for_a_damaged_one() {
    for servers in [2, 3] {
        let mut world = World::new(servers);
        let (slot, grant) = world.file(1);
        let (away, damaged) = (world.machine_at(&grant, 0), grant.chain[1].disk);
        world.rot(damaged, grant.chunk, 1);
        world.disconnect(away);
        world.seconds(40, |_| None);
        world.connect(away);
        world.seconds(200, |_| None);
        assert!(world.is_mended(slot, grant.chunk, 2), "{servers} servers");
    }
}

/// A page rotted unseen, and the other replica, which has it, was away for a moment: a raise, for a copy or for a writer of another page, left
/// that one behind before the first page was read. Nobody can tell whether its page is the same, so it stays where it is, for people.
#[test]
fn what_rotted_unseen_stays_damaged_and_the_replica_that_was_left_behind_is_kept() {
    for (servers, written) in [(3, false), (2, true), (3, true)] {
        let mut world = World::new(servers);
        let (slot, grant) = world.file(1);
        let (away, rotten) = (world.machine_at(&grant, 0), grant.chain[1].disk);
        world.replicas.get_mut(&(rotten, grant.chunk)).unwrap().damaged.insert(1);
        world.disconnect(away);
        if written {
            world.seconds(2, |_| None);
            let alone = world.grant(1).unwrap();
            assert!(world.write(&alone, 2));
        } else {
            world.seconds(100, |_| None);
        }
        let left = grant.chain[0].disk;
        assert_ne!(world.state(slot, left), Some(ReplicaState::Current));
        let old = world.replicas[&(left, grant.chunk)].clone();
        world.connect(away);
        world.seconds(400, |what| {
            let touched = match what {
                Order::Delete { disk, .. } | Order::Fill { disk, .. } | Order::Repair { disk, .. } => {
                    *disk == left
                }
                Order::Mend { sources, .. } => sources.iter().any(|source| source.disk == left),
                _ => false,
            };
            assert!(!touched, "{servers} servers, written {written}: {what:?}");
            None
        });
        assert_eq!(
            world.state(slot, rotten),
            Some(ReplicaState::Damaged),
            "{servers} servers, written {written}"
        );
        let kept = &world.replicas[&(left, grant.chunk)];
        assert_eq!((kept.version, &kept.content), (old.version, &old.content), "{servers} servers");
        // Who writes the page anew ends that.
        world.replicas.get_mut(&(rotten, grant.chunk)).unwrap().damaged.clear();
        world.seconds(400, |_| None);
        assert!(world.is_mended(slot, grant.chunk, 2), "{servers} servers, written {written}");
    }
}

/// Its disk takes no headers, so it cannot follow; what is bad on the other one, and nobody has met, is bad on it, too.
#[test]
fn a_damaged_replica_that_cannot_follow_is_kept_until_another_one_was_read_whole() {
    for servers in [2, 3] {
        let mut world = World::new(servers);
        let (slot, grant) = world.file(1);
        let (left, other) = (grant.chain[0].disk, grant.chain[1].disk);
        for one in [left, other] {
            world.replicas.get_mut(&(one, grant.chunk)).unwrap().damaged.insert(2);
        }
        world.rot(left, grant.chunk, 1);
        let old = world.replicas[&(left, grant.chunk)].clone();
        let mut read = false;
        world.seconds(600, |what| {
            read |= matches!(what, Order::Mend { disk, .. } if *disk == other);
            let touched = matches!(what, Order::Delete { disk, .. } | Order::Copy { disk, .. }
                | Order::Fill { disk, .. } if *disk == left);
            assert!(!touched, "{servers} servers: {what:?}");
            raises(what, left).then_some(Status::Io)
        });
        assert!(read, "{servers} servers");
        assert_eq!(world.state(slot, left), Some(ReplicaState::Kept), "{servers} servers");
        let kept = &world.replicas[&(left, grant.chunk)];
        assert_eq!((kept.version, &kept.content), (old.version, &old.content), "{servers} servers");
    }
}

#[test]
fn a_damaged_replica_that_was_left_behind_goes_when_another_one_is_whole() {
    for (servers, restarted) in [(2, false), (3, false), (3, true)] {
        let mut world = World::new(servers);
        let (slot, grant) = world.file(1);
        let left = grant.chain[0].disk;
        world.rot(left, grant.chunk, 1);
        if restarted {
            world.seconds(3, |what| match what {
                Order::Mend { .. } => Some(Status::TimedOut),
                _ => raises(what, left).then_some(Status::Io),
            });
            assert_eq!(world.state(slot, left), Some(ReplicaState::Kept));
            world.disconnect(world.machine_at(&grant, 0));
            world.connect(world.machine_at(&grant, 0));
            assert_eq!(world.state(slot, left), Some(ReplicaState::Kept));
        }
        world.seconds(600, |what| raises(what, left).then_some(Status::Io));
        assert!(world.is_mended(slot, grant.chunk, 2), "{servers} servers");
        let replica = world.replicas.get(&(left, grant.chunk));
        assert!(replica.is_none_or(|one| one.damaged.is_empty()), "{servers} servers");
    }
}

/// Two sound replicas are as many as wanted, so there is no copy to which mending should yield.
#[test]
fn a_damaged_replica_too_many_is_mended_although_its_chunk_is_written_again_and_again() {
    let mut world = World::new(4);
    let (slot, grant) = world.file(1);
    let third = (1..=4).map(disk).find(|one| grant.chain.iter().all(|member| member.disk != *one)).unwrap();
    let copy = world.replicas[&(grant.chain[0].disk, grant.chunk)].clone();
    world.replicas.insert((third, grant.chunk), copy);
    world.connect(third.0[0] - 1);
    assert_eq!(world.grant(1).unwrap().chain.len(), 3);
    world.rot(third, grant.chunk, 1);
    world.second(|_| None);
    assert!(world.grant(1).is_ok(), "who writes is back before it is mended");
    world.seconds(300, |what| {
        assert!(!matches!(what, Order::Copy { .. }));
        None
    });
    assert!(world.is_mended(slot, grant.chunk, 2));
    assert!(world.replicas.iter().all(|(_, replica)| replica.damaged.is_empty()));
}

/// What its disk cannot read is told each time that it is tried; it says nothing of the other one, which is being read whole.
#[test]
fn damage_that_is_told_of_a_hopeless_replica_does_not_spoil_the_proof_of_another_one() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    // Its server has its turn after the other one's, so that there is a moment between the order to that and the answer.
    let hopeless = grant.chain[0].disk.max(grant.chain[1].disk);
    world.rot(hopeless, grant.chunk, 1);
    for _ in 0..100 {
        let mut told = false;
        world.second(|what| match what {
            Order::Mend { disk, .. } if *disk == hopeless => Some(Status::Io),
            Order::Mend { .. } => {
                told = true;
                None
            }
            _ => None,
        });
        if told || world.is_mended(slot, grant.chunk, 2) {
            continue;
        }
        let (slot, chunk) = (Some(slot), grant.chunk);
        world.tell(Event::Damaged { disk: hopeless, slot, chunk });
    }
    assert!(world.is_mended(slot, grant.chunk, 2));
}
