//! What filling promises: a chunk that is written all the time gets its replica back, and nobody counts on it too early.

use super::*;

/// A file's chunk whose second replica was lost, a copy of which is under way, and a writer who has just come: the raise for
/// him has everything but the replica that is to join.
struct Scene {
    world: World,
    slot: ChunkSlot,
    head: u8,
    tail: u8,
    spare: u8,
    ticket: Ticket,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(3);
        let (slot, grant) = world.file(1);
        let (head, tail) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
        world.disconnect(tail);
        world.advance(10_000);
        let mut scene = Self { world, slot, head, tail, spare: 3 - head - tail, ticket: Ticket(0) };
        scene.raise();
        scene.world.log_all();
        scene.world.sync();
        // The copy is begun and does not end.
        scene.world.obey(scene.spare, None);
        scene.ticket = scene.world.want((inode(1), ZERO), SESSION, None);
        scene.raise();
        scene
    }

    fn raise(&mut self) {
        self.world.obey(self.head, None);
        self.world.hear(self.head);
    }

    /// The spare server carries out or refuses what it was ordered, and the rest is done up to the grant.
    fn join(&mut self, fail: Option<Status>) -> GrantParts {
        self.world.machines[usize::from(self.spare)].copying.clear();
        self.world.obey(self.spare, fail);
        self.world.hear(self.spare);
        self.granted()
    }

    fn granted(&mut self) -> GrantParts {
        self.world.log_all();
        self.world.sync();
        self.world.grants[&self.ticket].clone().unwrap()
    }

    fn read_from(&self) -> Vec<DiskId> {
        self.world.fleet.locations(self.slot).iter().map(|one| one.disk).collect()
    }

    fn spare_replica(&self) -> Replica {
        let chunk = self.world.map[&self.slot].chunk;
        self.world.replicas[&(disk(self.spare + 1), chunk)].clone()
    }
}

fn disks(grant: &GrantParts) -> Vec<DiskId> {
    grant.chain.iter().map(|one| one.disk).collect()
}

#[test]
fn a_copy_that_a_writer_overtakes_joins_the_chain_and_counts_when_it_has_everything() {
    let mut scene = Scene::new();
    assert!(!scene.world.grants.contains_key(&scene.ticket), "not before the replica takes writes");
    let grant = scene.join(None);
    assert_eq!(disks(&grant), [disk(scene.head + 1), disk(scene.spare + 1)]);
    assert!(scene.world.write(&grant, 9));
    assert_eq!(scene.read_from(), [disk(scene.head + 1)]);
    assert_eq!((scene.world.fleet.summary().endangered, scene.world.fleet.summary().copying), (1, 1));
    scene.world.settle();
    assert_eq!(scene.spare_replica().content, Content::from([1, 9]));
    assert_eq!(scene.read_from(), disks(&grant));
    assert_eq!((scene.world.fleet.summary().ok, scene.world.fleet.summary().copied), (1, 1));
    assert!(scene.world.write(&grant, 10), "the writer goes on under the same grant");
    assert_eq!(scene.world.grant(1).unwrap(), grant, "which others get, too");
}

#[test]
fn a_writer_who_comes_when_the_raise_for_a_copy_is_almost_over_gets_a_chain_with_the_replica() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let head = world.machine_at(&grant, 0);
    world.disconnect(world.machine_at(&grant, 1));
    world.advance(10_000);
    world.obey(head, None);
    world.hear(head);
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    world.settle();
    let next = world.grants[&ticket].clone().unwrap();
    assert_eq!(next.chain.len(), 2);
    assert_eq!(world.fleet.locations(slot), next.chain);
}

#[test]
fn a_replica_that_cannot_be_begun_holds_nobody_up() {
    let mut scene = Scene::new();
    let alone = scene.join(Some(Status::NoSpace));
    assert_eq!(disks(&alone), [disk(scene.head + 1)]);

    let mut scene = Scene::new();
    let begun_ms = scene.world.now_ms;
    scene.world.advance(scene.world.options.join_timeout_ms);
    let alone = scene.granted();
    assert_eq!(disks(&alone), [disk(scene.head + 1)]);
    assert!(scene.world.now_ms - begun_ms <= 2_000);

    let mut scene = Scene::new();
    scene.world.disconnect(scene.spare);
    assert_eq!(disks(&scene.granted()), [disk(scene.head + 1)]);
}

#[test]
fn a_replica_that_fails_while_it_is_filled_is_left_out_at_the_first_report() {
    let mut scene = Scene::new();
    let grant = scene.join(None);
    let failed = FailedHop {
        chunk: grant.chunk,
        version: grant.version,
        from: Some(disk(scene.head + 1)),
        to: disk(scene.spare + 1),
        status: Status::ChainBroken,
    };
    scene.ticket = scene.world.want((inode(1), ZERO), SESSION, Some(failed));
    scene.raise();
    let alone = scene.granted();
    assert_eq!(disks(&alone), [disk(scene.head + 1)]);
    assert!(scene.world.write(&alone, 9));
    scene.world.settle();
    assert_eq!(
        scene.read_from(),
        [disk(scene.head + 1)],
        "what it is fed under the old version is of no use"
    );
    scene.world.heal();
    assert_eq!(scene.read_from().len(), 2);
}

#[test]
fn a_replica_that_cannot_be_fed_does_not_concern_the_writer() {
    let mut scene = Scene::new();
    let grant = scene.join(None);
    scene.world.obey(scene.spare, Some(Status::Io));
    scene.world.hear(scene.spare);
    assert!(scene.world.write(&grant, 9));
    assert_eq!(scene.read_from(), [disk(scene.head + 1)]);
    assert_eq!(scene.world.fleet.summary().copying, 0);
    scene.ticket = scene.world.want((inode(1), ZERO), SESSION, None);
    scene.raise();
    assert_eq!(disks(&scene.granted()), [disk(scene.head + 1)], "nobody else is given that chain");
    scene.world.heal();
    assert_eq!(scene.read_from().len(), 2, "tried again by and by");
}

#[test]
fn a_server_that_goes_away_while_it_is_filled_is_not_in_the_next_chain() {
    let mut scene = Scene::new();
    let grant = scene.join(None);
    assert!(scene.world.write(&grant, 9));
    scene.world.disconnect(scene.spare);
    scene.ticket = scene.world.want((inode(1), ZERO), SESSION, None);
    scene.raise();
    assert_eq!(disks(&scene.granted()), [disk(scene.head + 1)]);
    scene.world.connect(scene.spare);
    assert_eq!(scene.read_from(), [disk(scene.head + 1)]);
    assert!(scene.spare_replica().filling);
}

#[test]
fn what_a_disk_says_of_the_time_before_does_not_end_the_filling() {
    let mut scene = Scene::new();
    let grant = scene.join(None);
    let spare = disk(scene.spare + 1);
    let old = Version { counter: grant.version.counter - 1, ..grant.version };
    let (slot, chunk) = (Some(scene.slot), grant.chunk);
    let before = ReportedReplica::sound(slot, chunk, old);
    scene.world.tell(Event::Reported { disk: spare, replicas: vec![before], last: true });
    assert_eq!(scene.world.grant(1).unwrap(), grant);
    assert_eq!(scene.read_from(), disks(&grant));
}

#[test]
fn a_raise_for_another_reason_takes_the_replica_along_from_the_beginning() {
    let mut scene = Scene::new();
    let grant = scene.join(None);
    assert!(scene.world.write(&grant, 9));
    // Some of it was read under this version.
    scene.world.obey(scene.spare, None);
    let gap = FailedHop {
        chunk: grant.chunk,
        version: grant.version,
        from: None,
        to: disk(scene.head + 1),
        status: Status::Gap,
    };
    scene.ticket = scene.world.want((inode(1), ZERO), SESSION, Some(gap));
    scene.world.settle();
    let next = scene.world.grants[&scene.ticket].clone().unwrap();
    assert!(next.version > grant.version);
    assert_eq!(disks(&next), disks(&grant));
    assert_eq!(scene.read_from(), disks(&grant));
    assert_eq!(scene.spare_replica().content, Content::from([1, 9]));
}

#[test]
fn a_master_started_anew_believes_only_what_became_complete() {
    for complete in [false, true] {
        let mut scene = Scene::new();
        let grant = scene.join(None);
        assert!(scene.world.write(&grant, 9));
        scene.world.obey(scene.spare, None);
        if complete {
            // Nobody hears of it.
            scene.world.finish_copy(scene.spare);
        }
        let tail = scene.tail;
        scene.world.restart_master();
        (0..3).filter(|n| *n != tail).for_each(|n| scene.world.connect(n));
        assert_eq!(scene.read_from().len(), if complete { 2 } else { 1 });
        scene.world.finish_copy(scene.spare);
        scene.world.hear(scene.spare);
        assert_eq!(scene.read_from().len(), 2, "every answered write went through it");
    }
}

#[test]
fn a_chunk_that_is_written_without_a_pause_is_whole_again_while_it_is_written() {
    let mut world = World::new(3);
    let (slot, mut grant) = world.file(1);
    let lost = world.machine_at(&grant, 1);
    world.kill(lost, true);
    let (mut refused, mut number) = (0, 10);
    for _ in 0..80 {
        number += 1;
        if !world.write(&grant, number) {
            refused += 1;
            let failed = FailedHop {
                chunk: grant.chunk,
                version: grant.version,
                from: Some(grant.chain[0].disk),
                to: disk(lost + 1),
                status: Status::ChainBroken,
            };
            let ticket = world.want((inode(1), ZERO), SESSION, Some(failed));
            world.settle();
            grant = world.grants[&ticket].clone().unwrap();
            assert!(world.write(&grant, number), "no further pause than a raise");
        }
        world.advance(200);
        for n in 0..3 {
            world.obey(n, None);
            world.hear(n);
        }
    }
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert_eq!(world.fleet.summary().ok, 1);
    assert!(refused <= 3, "{refused} interruptions");
}

#[test]
fn who_asks_again_and_again_does_not_keep_a_chunk_from_being_healed() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    world.disconnect(world.machine_at(&grant, 1));
    for n in 0..10 {
        let grant = world.grant(1).unwrap();
        assert!(world.write(&grant, 100 + n));
        world.advance(4_000);
        world.settle();
    }
    assert_eq!(world.fleet.locations(slot).len(), 2);
}
