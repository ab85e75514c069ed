//! A master is killed in the middle of a raise: what its successor makes of replicas that have the version, and of those that do not.

use super::*;
use crate::table::ReplicaState;

/// Everybody comes back to a new master, one after the other.
fn succeed(world: &mut World, order: &[u8]) {
    world.restart_master();
    for n in order {
        world.connect(*n);
    }
    world.log_all();
    world.sync();
}

fn pass(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.advance(1_000);
        world.settle();
    }
}

fn states(world: &World, slot: ChunkSlot) -> Vec<ReplicaState> {
    world.fleet.table.replicas(slot).iter().map(|one| one.state).collect()
}

/// A raise that nobody waits for is under way, and the first member has taken the version.
fn raised_in_part(servers: u8, goal: usize) -> (World, ChunkSlot, GrantParts) {
    let mut world = World::with_goal(servers, goal);
    let (slot, grant) = world.file(1);
    world.write_upto(&grant, 2, 1);
    while (0..servers).any(|n| world.hear(n)) {}
    world.advance(10_000);
    assert!(world.fleet.raises.is_running(slot));
    assert!(world.obey(machine_of(&grant, 0), None));
    (world, slot, grant)
}

/// The raise for mending reached the damaged one alone; the page was sound on the other.
#[test]
fn a_damaged_replica_that_took_a_version_alone_makes_no_sound_one_stale_at_a_new_reign() {
    for (servers, sound_first) in [(2, false), (2, true), (3, false), (3, true)] {
        let mut world = World::new(servers);
        let (slot, grant) = world.file(1);
        let (damaged, sound) = (machine_of(&grant, 0), machine_of(&grant, 1));
        world.rot(grant.chain[0].disk, grant.chunk, 1);
        while (0..servers).any(|n| world.hear(n)) {}
        world.advance(20_000);
        assert!(world.fleet.raises.is_running(slot), "the raise for mending");
        assert!(world.obey(damaged, None));
        let mut order: Vec<u8> = (0..servers).filter(|n| ![damaged, sound].contains(n)).collect();
        order.extend(if sound_first { [sound, damaged] } else { [damaged, sound] });
        succeed(&mut world, &order);
        pass(&mut world, 200);
        let set = world.fleet.table.replicas(slot);
        assert_eq!((set.sound().count(), set.len()), (2, 2), "{servers} servers");
        let pages = world.replicas.values().map(|one| one.damaged.len());
        assert_eq!(pages.sum::<usize>(), 0, "{servers} servers");
        assert_eq!(world.fleet.summary().copied, 0, "it was mended");
    }
}

#[test]
fn a_damaged_replica_that_took_a_version_waits_for_those_who_may_have_its_page() {
    for returns_after in [50, 90] {
        let mut world = World::new(2);
        let (slot, grant) = world.file(1);
        let (damaged, sound) = (machine_of(&grant, 0), machine_of(&grant, 1));
        world.rot(grant.chain[0].disk, grant.chunk, 1);
        while (0..2).any(|n| world.hear(n)) {}
        world.advance(20_000);
        assert!(world.obey(damaged, None));
        succeed(&mut world, &[damaged]);
        assert_eq!(world.grant(1), Err(Status::TryAgain), "its bad page would become the truth");
        pass(&mut world, returns_after);
        assert_eq!(world.fleet.version(slot) == Some(grant.version), returns_after < 60);
        world.connect(sound);
        pass(&mut world, 200);
        let lost = usize::from(returns_after > 60);
        assert_eq!(world.replicas.values().map(|one| one.damaged.len()).sum::<usize>(), lost);
        assert_eq!(world.replicas.len(), 2, "what was left behind is kept while nothing is sound");
    }
}

#[test]
fn a_damaged_replica_is_not_written_alone_after_a_start_while_others_are_awaited() {
    let mut world = World::new(2);
    let (_, grant) = world.file(1);
    world.rot(grant.chain[0].disk, grant.chunk, 1);
    succeed(&mut world, &[machine_of(&grant, 0)]);
    assert_eq!(world.grant(1), Err(Status::TryAgain));
    world.connect(machine_of(&grant, 1));
    assert_eq!(world.grant(1).unwrap().chain.len(), 2);
}

#[test]
fn replicas_of_the_last_granted_version_stay_current_at_a_new_reign() {
    for (servers, goal) in [(2, 2), (3, 2), (3, 3)] {
        for turn in 0..goal {
            let (mut world, slot, grant) = raised_in_part(servers, goal);
            let mut order: Vec<u8> = (0..goal).map(|at| machine_of(&grant, at)).collect();
            order.rotate_left(turn);
            order.extend((0..servers).filter(|n| grant.chain.iter().all(|one| one.disk != disk(n + 1))));
            succeed(&mut world, &order);
            assert!(!states(&world, slot).contains(&ReplicaState::Stale));
            world.settle();
            assert_eq!(world.fleet.locations(slot).len(), goal, "{servers} servers, {turn}");
            world.check_twins();
            assert_eq!(world.grant(1).unwrap().chain.len(), goal);
            assert_eq!(world.fleet.summary().copied, 0);
        }
    }
}

/// It alone had taken the version, and fails for good a moment after the start.
#[test]
fn the_loss_of_the_one_that_took_a_version_costs_nothing_that_was_acknowledged() {
    for (servers, goal) in [(2, 2), (3, 3)] {
        let (mut world, slot, grant) = raised_in_part(servers, goal);
        let order: Vec<u8> = (0..goal).map(|at| machine_of(&grant, at)).collect();
        succeed(&mut world, &order);
        world.disconnect(order[0]);
        pass(&mut world, 200);
        assert_eq!(world.fleet.locations(slot).len(), goal - 1);
        let granted = world.grant(1).unwrap();
        assert!(world.replicas[&(granted.chain[0].disk, grant.chunk)].content.contains(&1));
    }
}

#[test]
fn a_version_taken_by_one_of_two_waits_at_a_new_reign_for_the_other() {
    for returns_after in [50, 90] {
        let (mut world, slot, grant) = raised_in_part(2, 2);
        succeed(&mut world, &[machine_of(&grant, 0)]);
        pass(&mut world, returns_after);
        let alone = returns_after > 60;
        assert_eq!(world.fleet.version(slot) > Some(grant.version), alone, "somebody may read it by then");
        world.connect(machine_of(&grant, 1));
        world.settle();
        assert_eq!(states(&world, slot).contains(&ReplicaState::Stale), alone);
    }
}

#[test]
fn who_comes_to_write_at_a_new_reign_does_not_wait_for_a_silent_server() {
    let (mut world, _, grant) = raised_in_part(2, 2);
    succeed(&mut world, &[machine_of(&grant, 0)]);
    assert_eq!(world.grant(1).unwrap().chain, grant.chain[..1]);
}

/// A truncate of which the dead master alone knew, cut on one replica and not on the other. The client repeats it, or writes, or is
/// dead, too.
#[test]
fn a_cut_that_a_dead_master_made_on_one_replica_is_on_all_or_on_none() {
    for (cut_first, next) in
        [(0, "edit"), (0, "write"), (0, "nothing"), (1, "edit"), (1, "write"), (1, "nothing")]
    {
        let mut world = World::new(2);
        let (slot, grant) = world.file(1);
        assert!(world.write(&grant, 2));
        world.edit(slot, 1);
        let cut = machine_of(&grant, cut_first);
        assert!(world.obey(cut, None));
        assert!(!world.replicas[&(grant.chain[cut_first].disk, grant.chunk)].content.contains(&1));
        succeed(&mut world, &[cut, 1 - cut]);
        match next {
            "edit" => {
                let ticket = world.edit(slot, 1);
                world.settle();
                let version = world.edits[&ticket].unwrap();
                world.record_edit(slot, 1, ticket, version);
            }
            "write" => assert!(world.grant(1).is_ok_and(|grant| world.write(&grant, 3))),
            _ => {}
        }
        world.settle();
        pass(&mut world, 5);
        assert_eq!(world.fleet.locations(slot).len(), 2);
        world.check_twins();
        assert!(world.replicas.values().all(|one| one.content.contains(&2)), "{next}: it was acknowledged");
    }
}

/// Metadata restored from an old copy: what it calls its version was written on under higher ones since.
#[test]
fn of_an_earlier_reign_the_highest_version_is_followed_whatever_its_replica_remembers() {
    for cut_off in [false, true] {
        let mut world = World::new(2);
        let (slot, grant) = world.file(1);
        let (ahead, other) = (grant.chain[1].disk, grant.chain[0].disk);
        let replica = world.replicas.get_mut(&(ahead, grant.chunk)).unwrap();
        replica.version.counter += 7;
        replica.memory = Memory::Marked;
        replica.content.insert(9);
        world.map.get_mut(&slot).unwrap().perhaps.insert(9);
        world.machines[usize::from(machine_of(&grant, 1))].cut_off = cut_off;
        succeed(&mut world, &[machine_of(&grant, 0), machine_of(&grant, 1)]);
        pass(&mut world, if cut_off { 400 } else { 5 });
        assert!(world.replicas[&(ahead, grant.chunk)].content.contains(&9));
        assert!(cut_off || world.replicas[&(other, grant.chunk)].content.contains(&9));
    }
}

/// It was not the raise of this reign alone that failed: there was one of a dead master before it.
#[test]
fn a_server_that_registers_anew_soon_after_the_start_makes_nobody_stale_who_is_awaited() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (ahead, other) = (machine_of(&grant, 0), machine_of(&grant, 1));
    world.edit(slot, 5);
    world.obey(ahead, None);
    world.disconnect(other);
    world.restart_master();
    world.connect(ahead);
    // Somebody comes to write, who does not wait; the disk fails once.
    world.want((inode(1), ZERO), SESSION, None);
    world.obey(ahead, None);
    world.disconnect(ahead);
    world.connect(ahead);
    world.advance(1_000);
    world.settle();
    let stale = |world: &World| {
        let set = world.fleet.table.replicas(slot);
        set.iter().any(|one| matches!(one.state, ReplicaState::Stale | ReplicaState::StaleAbsent))
    };
    world.connect(other);
    assert!(!stale(&world), "the other one has all that was acknowledged, too");
    world.heal();
    assert_eq!(world.fleet.summary().copied, 0);
    world.check_twins();
}

/// The disk is at the cut of a dead master when the next one comes, which hears of the version before.
#[test]
fn a_raise_that_finds_an_unfinished_one_of_a_dead_master_compares_all() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    world.write_upto(&grant, 5, 2);
    let slow = machine_of(&grant, 0);
    world.edit(slot, 5);
    world.begin_late(slow);
    succeed(&mut world, &[0, 1]);
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    assert!(world.obey(slow, None), "the order waits for the one before, which nobody hears of");
    world.settle();
    assert!(world.grants[&ticket].is_ok());
    assert!(world.machines.iter().all(|machine| machine.late.is_empty()));
    world.check_twins();
}
