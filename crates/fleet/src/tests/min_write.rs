//! Nobody writes to fewer replicas than may acknowledge a write.

use super::*;

impl World {
    fn report_unreachable(&mut self, n: u64, grant: &GrantParts, at: usize) -> Result<GrantParts, Status> {
        self.grant_after(n, Some(hop(grant, None, at)))
    }

    fn damage(&mut self, slot: ChunkSlot, disk: DiskId) {
        let chunk = self.map[&slot].chunk;
        self.tell(Event::Damaged { disk, slot: Some(slot), chunk });
    }
}

#[test]
fn it_follows_from_the_goal() {
    let of = |goal| World::with_goal(1, goal).fleet.min_write();
    assert_eq!([1, 2, 3, 4, 9].map(of), [1, 1, 2, 2, 2]);
}

#[test]
fn at_goal_one_and_two_the_last_replica_goes_on_alone() {
    for goal in [1, 2] {
        let mut world = World::with_goal(2, goal);
        let (_, grant) = world.file(1);
        assert_eq!(grant.chain.len(), goal);
        for at in 1..goal {
            world.disconnect(machine_of(&grant, at));
        }
        let alone = world.grant(1).unwrap();
        assert_eq!(alone.chain, grant.chain[..1]);
        assert_eq!(world.report_unreachable(1, &alone, 0).unwrap().chain, alone.chain);
    }
}

#[test]
fn at_goal_three_a_grant_waits_for_the_second_replica_and_the_others_stay_current() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    world.disconnect(machine_of(&grant, 2));
    let two = world.grant(1).unwrap();
    assert_eq!(two.chain, grant.chain[..2]);
    assert!(world.write(&two, 2));
    world.disconnect(machine_of(&grant, 1));
    assert_eq!(world.grant(1), Err(Status::TryAgain));
    assert_eq!(world.fleet.version(slot), Some(two.version), "nobody was left behind");
    assert!(world.fleet.summary().held_back > 0);
    world.connect(machine_of(&grant, 1));
    let again = world.grant(1).unwrap();
    assert_eq!(again.chain.len(), 2, "it is as good as before");
    assert!(world.write(&again, 3));
}

#[test]
fn a_member_lost_in_the_middle_of_a_raise_leaves_the_chain_as_it_was() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    world.disconnect(machine_of(&grant, 2));
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    let (stays, goes) = (machine_of(&grant, 0), machine_of(&grant, 1));
    world.obey(stays, None);
    world.hear(stays);
    world.disconnect(goes);
    assert_eq!(world.grants[&ticket], Err(Status::TryAgain));
    world.log_all();
    assert_eq!(world.fleet.version(slot), Some(grant.version), "nothing is recorded for one replica");
    world.connect(goes);
    let granted = world.grant(1).unwrap();
    assert_eq!(granted.chain.len(), 2);
    assert!(granted.version.counter > grant.version.counter + 1, "who took the first version is raised too");
}

#[test]
fn a_raise_that_failed_for_want_of_members_is_not_repeated_with_fewer_before_healing_gives_the_others_up() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    let (stays, goes) = (machine_of(&grant, 0), machine_of(&grant, 1));
    world.disconnect(machine_of(&grant, 2));
    world.advance(120_000);
    world.want((inode(1), ZERO), SESSION, None);
    world.obey(stays, None);
    world.hear(stays);
    world.disconnect(goes);
    for _ in 0..9 {
        world.advance(1_000);
        world.settle();
    }
    assert_eq!(world.fleet.version(slot), Some(grant.version), "it may come back");
    world.advance(2_000);
    world.settle();
    assert!(world.fleet.version(slot) > Some(grant.version), "readers are not refused for ever");
    assert_eq!(world.fleet.locations(slot).len(), 1);
}

/// A file whose chain broke, and which nobody comes to write: its three replicas have been ordered to take a version, and the
/// first has.
fn compared_by_itself() -> (World, ChunkSlot, GrantParts) {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    world.write_upto(&grant, 2, 1);
    while (0..3).any(|n| world.hear(n)) {}
    world.advance(10_000);
    let stays = machine_of(&grant, 0);
    assert!(world.obey(stays, None) && world.hear(stays));
    (world, slot, grant)
}

#[test]
fn members_lost_while_nobody_waits_are_not_left_behind_by_the_one_that_remains() {
    let (mut world, slot, grant) = compared_by_itself();
    for at in [1, 2] {
        world.disconnect(machine_of(&grant, at));
    }
    for _ in 0..9 {
        world.settle();
        assert_eq!(world.fleet.version(slot), Some(grant.version), "one alone is not recorded");
        world.advance(1_000);
    }
    for at in [1, 2] {
        world.connect(machine_of(&grant, at));
    }
    world.settle();
    assert_eq!(world.grant(1).unwrap().chain.len(), 3);
    assert_eq!(world.fleet.summary().copying, 0, "they are as good as before");
}

#[test]
fn members_that_do_not_answer_while_nobody_waits_are_not_left_behind_before_they_are_given_up() {
    let (mut world, slot, grant) = compared_by_itself();
    let begun_ms = world.now_ms;
    // Their servers keep in touch, and carry out nothing.
    while world.fleet.version(slot) == Some(grant.version) {
        world.advance(1_000);
        world.obey(machine_of(&grant, 0), None);
        while world.hear(machine_of(&grant, 0)) {}
        world.log_all();
        world.sync();
    }
    assert!(world.now_ms >= begun_ms + world.options.heal_ms);
    assert_eq!(world.fleet.locations(slot).len(), 1, "somebody may read it");
}

#[test]
fn the_first_to_return_from_a_raise_that_nobody_finished_waits_for_the_others() {
    let (mut world, slot, grant) = compared_by_itself();
    for at in [1, 2, 0] {
        world.disconnect(machine_of(&grant, at));
    }
    world.connect(machine_of(&grant, 0));
    for _ in 0..9 {
        world.advance(1_000);
        world.settle();
        assert_eq!(world.fleet.version(slot), Some(grant.version), "one alone is not recorded");
    }
    for at in [1, 2] {
        world.connect(machine_of(&grant, at));
    }
    world.settle();
    assert_eq!(world.grant(1).unwrap().chain.len(), 3);
    assert_eq!(world.fleet.summary().copying, 0);
}

#[test]
fn a_raise_that_ends_with_too_few_grants_nobody_who_came_meanwhile() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    world.disconnect(machine_of(&grant, 2));
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    for n in [machine_of(&grant, 0), machine_of(&grant, 1)] {
        world.obey(n, None);
        world.hear(n);
    }
    // All have answered; one is lost before the record is stable.
    world.disconnect(machine_of(&grant, 1));
    world.log_all();
    world.sync();
    assert_eq!(world.grants[&ticket], Err(Status::TryAgain));
    assert!(world.fleet.version(slot) > Some(grant.version), "both have it");
    world.connect(machine_of(&grant, 1));
    assert_eq!(world.grant(1).unwrap().chain.len(), 2);
}

#[test]
fn no_report_leaves_fewer_than_may_acknowledge() {
    let mut world = World::with_goal(3, 3);
    let (_, grant) = world.file(1);
    let two = world.report_unreachable(1, &grant, 0).unwrap();
    assert_eq!(two.chain, grant.chain[1..]);
    let same = world.report_unreachable(1, &two, 0).unwrap();
    assert_eq!(same.chain, two.chain);
    let failed = world.break_hop(&same, 0, 1);
    let turned = world.grant_after(1, Some(failed)).unwrap();
    assert_eq!(turned.chain.len(), 2, "members that accuse each other both stay");
    assert_eq!(turned.chain[0], same.chain[1], "and are reached on another way");
    assert_eq!(world.fleet.summary().hops.spared, 2);
}

#[test]
fn a_replica_that_is_filled_does_not_count() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    // Two are lost for good; the third server of the three takes a copy while one remains.
    let mut world = {
        world.disconnect(machine_of(&grant, 1));
        world
    };
    world.disconnect(machine_of(&grant, 2));
    world.heal();
    assert_eq!(world.fleet.locations(slot).len(), 1);
    assert_eq!(world.grant(1), Err(Status::TryAgain));
    world.connect(machine_of(&grant, 1));
    world.advance(60_000);
    // A copy is under way: whoever wants to write neither ends it nor joins it.
    let copying = world.fleet.summary().copying;
    for _ in 0..3 {
        assert!(world.grant(1).is_ok() || world.fleet.summary().copying >= copying);
    }
    world.heal();
    assert!(world.fleet.locations(slot).len() >= 2);
    assert!(world.grant(1).unwrap().chain.len() >= 2);
}

/// So many replicas are left, one of them damaged, and the others have been away for long.
fn world_given_up(goal: usize, left: usize) -> World {
    let mut world = World::with_goal(goal as u8, goal);
    let (slot, grant) = world.file(1);
    for at in left..goal {
        world.disconnect(machine_of(&grant, at));
    }
    world.rot(grant.chain[0].disk, grant.chunk, 7);
    world.damage(slot, grant.chain[0].disk);
    world.advance(world.options.heal_ms + 1_000);
    world.settle();
    world
}

#[test]
fn a_damaged_replica_does_not_count_while_a_sound_one_may_return() {
    for (goal, enough) in [(2, 1), (3, 2)] {
        let mut world = World::with_goal(3, goal);
        let (slot, grant) = world.file(1);
        for at in enough..goal {
            world.disconnect(machine_of(&grant, at));
        }
        let (head, chunk) = (grant.chain[0].disk, grant.chunk);
        world.rot(head, chunk, 7);
        world.damage(slot, head);
        assert_eq!(world.grant(1), Err(Status::TryAgain), "goal {goal}");
        let edit = world.edit(slot, 1);
        assert_eq!(world.edits[&edit], Err(Status::TryAgain));
        let mut given_up = world_given_up(goal, enough);
        assert_eq!(given_up.grant(1).unwrap().chain.len(), enough, "it is all there is");
        // Nobody was left behind for a writer: those that come back mend it, and all is well.
        for at in enough..goal {
            world.connect(machine_of(&grant, at));
        }
        world.heal();
        assert_eq!(world.grant(1).unwrap().chain.len(), goal);
    }
}

#[test]
fn who_is_healed_from_one_replica_is_not_disturbed_by_those_who_wait() {
    let mut world = World::with_goal(4, 3);
    let (slot, grant) = world.file(1);
    let spare = (0..4).find(|n| grant.chain.iter().all(|one| one.disk != disk(n + 1))).unwrap();
    world.disconnect(machine_of(&grant, 1));
    world.advance(120_000);
    world.disconnect(machine_of(&grant, 2));
    world.disconnect(spare);
    world.connect(spare);
    for _ in 0..40 {
        let ticket = world.want((inode(1), ZERO), SESSION, None);
        world.settle();
        let _ = &world.grants[&ticket];
        world.advance(1_000);
    }
    world.settle();
    assert!(world.fleet.locations(slot).len() >= 2, "a copy was made although somebody asked all the time");
    assert!(world.grant(1).unwrap().chain.len() >= 2);
}

#[test]
fn a_fresh_chunk_is_not_begun_on_fewer_disks() {
    let mut world = World::with_goal(1, 3);
    assert_eq!(world.grant(1), Err(Status::TryAgain), "a second server may come");
    let mut world = World::with_goal(2, 3);
    let grant = world.grant(1).unwrap();
    assert_eq!(grant.chain.len(), 2);
    for at in [0, 1, 0, 1] {
        let now = world.grant(1).unwrap();
        let next = world.grant_after(1, Some(hop(&now, None, at))).unwrap();
        assert_eq!(next.chain.len(), 2, "whoever is accused");
    }
    let mut full = world.info(0).disks;
    full[0].free_bytes = 1 << 20;
    world.tell(Event::Heartbeat { server: server(1), disks: full });
    assert_eq!(world.grant(2), Err(Status::NoSpace), "there are enough servers, and one is full");
}

#[test]
fn a_full_disk_that_cannot_be_left_out_is_replaced_and_the_writer_told_if_there_is_none() {
    let mut world = World::with_goal(4, 3);
    let (_, grant) = world.file(1);
    let no_room = |world: &mut World, grant: &GrantParts, at| {
        let status = Status::NoSpace;
        world.grant_after(1, Some(FailedHop { status, ..hop(grant, None, at) }))
    };
    let two = no_room(&mut world, &grant, 0).unwrap();
    assert_eq!(two.chain, grant.chain[1..]);
    let next = no_room(&mut world, &two, 0);
    assert_eq!(next, Err(Status::TryAgain), "it is copied to the fourth");
    let three = world.grant(1).unwrap();
    assert_eq!(three.chain.len(), 3);
    let mut world = World::with_goal(2, 3);
    let (_, grant) = world.file(1);
    assert_eq!(no_room(&mut world, &grant, 0), Err(Status::NoSpace));
}

/// Of three replicas one took a version, and the two others went away: it holds all that was acknowledged.
#[test]
fn a_replica_that_took_a_version_alone_is_read_under_it_while_the_others_may_come_back() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    let (stays, slow, slower) = (machine_of(&grant, 0), machine_of(&grant, 1), machine_of(&grant, 2));
    let ticket = world.edit(slot, 5);
    world.obey(stays, None);
    world.hear(stays);
    for n in [slow, slower] {
        world.disconnect(n);
    }
    assert_eq!(world.edits[&ticket], Err(Status::TryAgain));
    for _ in 0..60 {
        world.advance(1_000);
        world.settle();
        let (version, locations) = world.fleet.readable(slot, world.now_ms).unwrap();
        assert_eq!(locations.len(), 1);
        assert_eq!(version, world.replicas[&(locations[0].disk, grant.chunk)].version, "it would refuse");
        assert_eq!(world.fleet.version(slot), Some(grant.version), "nothing is recorded with one of three");
    }
}

/// Its disk was busy for longer than a raise waits; and somebody reads all the time, which is no reason to go on with too few.
#[test]
fn a_replica_that_took_a_version_late_and_alone_is_read_and_raised_in_the_end() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    let (stays, slow, slower) = (machine_of(&grant, 0), machine_of(&grant, 1), machine_of(&grant, 2));
    let ticket = world.edit(slot, 5);
    for n in [slow, slower] {
        world.disconnect(n);
    }
    world.advance(3_500);
    assert_eq!(world.edits[&ticket], Err(Status::TryAgain));
    world.obey(stays, None);
    world.hear(stays);
    let mut recorded_after = 0;
    while world.fleet.version(slot) == Some(grant.version) {
        world.read(slot);
        let (version, locations) = world.fleet.readable(slot, world.now_ms).unwrap();
        assert_eq!(locations.len(), 1);
        assert_eq!(version, world.replicas[&(locations[0].disk, grant.chunk)].version, "it would refuse");
        world.advance(1_000);
        world.settle();
        recorded_after += 1;
        assert!(recorded_after < 1_000, "it is never recorded");
    }
    assert!(recorded_after > 500, "two servers that fell silent together are waited for");
}

impl World {
    /// Whoever is named to readers now has the version that they are told.
    fn check_readable(&self, slot: ChunkSlot) {
        let chunk = self.map[&slot].chunk;
        let (version, locations) = self.fleet.readable(slot, self.now_ms).unwrap();
        let serves = |one: &ReplicaAddress| self.replicas[&(one.disk, chunk)].version == version;
        assert!(locations.iter().any(serves), "all refuse: {version}, {locations:?}");
    }
}

/// They took the version, cannot be made equal, and are left behind for it one after the other.
#[test]
fn replicas_that_cannot_reach_each_other_are_read_under_the_version_that_they_took() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    world.write_upto(&grant, 2, 1);
    world.machines.iter_mut().for_each(|machine| machine.cut_off = true);
    for _ in 0..40 {
        world.want((inode(1), ZERO), SESSION, None);
        for _ in 0..3 {
            world.settle();
            if world.fleet.raises.len() == 0 {
                world.check_readable(slot);
            }
            world.advance(1_000);
        }
    }
}

/// Its answer comes while the others are raised once more, and these fall away.
#[test]
fn a_replica_that_took_a_version_late_is_read_also_when_the_raise_goes_on() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    let (one, other, late) = (machine_of(&grant, 0), machine_of(&grant, 1), machine_of(&grant, 2));
    world.edit(slot, 5);
    for n in [one, other] {
        world.obey(n, None);
        world.hear(n);
    }
    world.advance(3_500);
    assert!(world.fleet.raises.is_running(slot), "it goes on with two");
    world.obey(late, None);
    world.hear(late);
    for n in [one, other] {
        world.disconnect(n);
    }
    for _ in 0..60 {
        world.advance(1_000);
        world.settle();
        world.check_readable(slot);
    }
}
