//! What settling promises of torn pages: one keeps its bytes only if no other replica may have it sound.

use super::*;

/// A file's chunk whose two servers were killed a moment after it was written, with a torn page on each, in another place.
fn killed(goal: usize) -> (World, ChunkSlot, Vec<u8>) {
    let mut world = World::with_goal(3, goal);
    let (slot, grant) = world.file(1);
    let holders: Vec<u8> = (0..goal).map(|n| world.machine_at(&grant, n)).collect();
    for n in &holders {
        world.kill(*n, false);
        let replica = world.replicas.get_mut(&(disk(n + 1), grant.chunk)).unwrap();
        replica.marked = true;
        replica.torn = [u64::from(*n)].into();
    }
    (world, slot, holders)
}

fn kept(world: &World) -> usize {
    world.replicas.values().map(|replica| replica.kept.len()).sum()
}

#[test]
fn replicas_with_torn_pages_in_different_places_have_them_from_each_other() {
    let (mut world, slot, holders) = killed(2);
    for n in holders {
        world.connect(n);
    }
    assert_eq!(world.fleet.locations(slot).len(), 1, "they may differ");
    assert!(world.fleet.may_have_more(slot, world.now_ms), "a reader of a damaged page had better wait");
    world.heal();
    assert!(!world.fleet.may_have_more(slot, world.now_ms));
    assert!(world.replicas.values().all(|replica| replica.torn.is_empty() && !replica.marked));
    assert_eq!((kept(&world), world.fleet.locations(slot).len()), (0, 2));
    assert_eq!(world.fleet.summary().unsettled, 0);
}

#[test]
fn a_writer_does_not_make_a_torn_page_of_the_first_server_to_return_win() {
    let (mut world, _, holders) = killed(2);
    world.connect(holders[0]);
    assert_eq!(world.grant(1), Err(Status::TryAgain));
    world.connect(holders[1]);
    let grant = world.grant(1).unwrap();
    assert_eq!((kept(&world), grant.chain.len()), (0, 2));
}

#[test]
fn a_torn_page_waits_for_other_replicas_and_then_keeps_its_bytes() {
    let (mut world, _, holders) = killed(2);
    world.connect(holders[0]);
    let heal_ms = world.options.heal_ms;
    world.advance(heal_ms - 100);
    assert_eq!(world.grant(1), Err(Status::TryAgain));
    assert_eq!(kept(&world), 0);
    world.advance(200);
    let grant = world.grant(1).unwrap();
    assert_eq!((kept(&world), grant.chain.len()), (1, 1));
}

#[test]
fn the_only_replica_there_is_does_not_wait_to_be_settled() {
    let (mut world, slot, holders) = killed(1);
    world.connect(holders[0]);
    world.advance(1_000);
    world.settle();
    assert!(!world.fleet.may_have_more(slot, world.now_ms));
    assert_eq!((kept(&world), world.fleet.locations(slot).len()), (1, 1));
    assert!(world.replicas.values().all(|replica| replica.torn.is_empty()));
}

#[test]
fn a_member_that_cannot_ask_the_others_for_its_torn_pages_does_not_keep_them() {
    let (mut world, _, holders) = killed(2);
    for n in &holders {
        world.connect(*n);
    }
    world.advance(1_000);
    // The first member has the order and the connection between the two is broken, once.
    let mut refused = 0;
    for _ in 0..200 {
        for n in 0..3 {
            let inbox = world.machines[usize::from(n)].inbox.front();
            let fail = matches!(inbox, Some((_, Order::MendTorn { .. }))) && refused == 0;
            refused += usize::from(fail);
            world.obey(n, fail.then_some(Status::ChainBroken));
            world.hear(n);
        }
        world.log_all();
        world.sync();
    }
    assert_eq!((refused, kept(&world)), (1, 0));
    world.heal();
    assert_eq!((kept(&world), world.fleet.summary().unsettled), (0, 0));
    assert!(world.replicas.values().all(|replica| replica.torn.is_empty()));
}

/// It could not reach one of them while they were stopped.
#[test]
fn a_writer_that_blames_a_server_does_not_have_its_sound_pages_left_behind() {
    let (mut world, slot, holders) = killed(2);
    for n in &holders {
        world.connect(*n);
    }
    let (chunk, version) = (world.map[&slot].chunk, world.map[&slot].version);
    let hop = FailedHop { chunk, version, from: None, to: disk(holders[1] + 1), status: Status::TimedOut };
    assert_eq!(world.fleet.summary().unsettled, 1, "no raise has been made");
    let ticket = world.want((inode(1), ZERO), SESSION, Some(hop));
    world.settle();
    let grant = world.grants[&ticket].clone().unwrap();
    assert_eq!((kept(&world), grant.chain.len()), (0, 2));
}

/// It may have the page as it was before writes that it lost.
#[test]
fn of_a_member_that_lost_power_only_a_page_is_taken_that_the_donor_has_on_record() {
    for recorded in [false, true] {
        let (mut world, _, holders) = killed(2);
        let lost = disk(holders[1] + 1);
        for ((on, _), replica) in &mut world.replicas {
            if *on == lost {
                (replica.torn, replica.memory) = (BTreeSet::new(), Memory::PowerLost);
            } else if recorded {
                replica.recorded = replica.torn.clone();
            }
        }
        for n in holders {
            world.connect(n);
        }
        world.heal();
        assert_eq!(kept(&world), usize::from(!recorded));
    }
}
