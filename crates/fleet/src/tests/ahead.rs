//! Replicas with a version above the metadata's, of which the raise fails.

use super::*;

/// A server that was away comes back with a version that the metadata does not have, and the raise that is to record it fails as well.
fn with_a_replica_ahead(servers: u8) -> (World, ChunkSlot, GrantParts) {
    let mut world = World::new(servers);
    let (slot, grant) = world.file(1);
    let (one, ahead) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    world.want((inode(1), ZERO), SESSION, Some(hop(&grant, Some(0), 1)));
    world.obey(ahead, None);
    world.disconnect(ahead);
    world.obey(one, Some(Status::Io));
    while world.hear(one) {}
    assert_eq!(world.fleet.raises.len(), 0);
    world.connect(ahead);
    assert_eq!(world.fleet.raises.len(), 1);
    for n in [one, ahead] {
        world.obey(n, Some(Status::Io));
        while world.hear(n) {}
    }
    assert_eq!(world.fleet.raises.len(), 0);
    (world, slot, grant)
}

#[test]
fn a_replica_ahead_is_taken_up_also_after_the_raise_for_it_failed() {
    let (mut world, slot, _) = with_a_replica_ahead(3);
    world.heal();
    assert_eq!((world.fleet.locations(slot).len(), world.fleet.summary().copied), (2, 0));
}

/// Its disk told of it and will not tell again: it counted as away for ever.
#[test]
fn a_replica_ahead_that_cannot_follow_is_removed_like_any_other_that_was_left_behind() {
    let (mut world, slot, grant) = with_a_replica_ahead(3);
    let left = grant.chain[1].disk;
    for _ in 0..200 {
        world.advance(1_000);
        for n in 0..3 {
            let front = world.machines[usize::from(n)].inbox.front().map(|one| one.1.clone());
            let fails = matches!(front, Some(Order::Raise { disk, .. }) if disk == left);
            world.obey(n, fails.then_some(Status::Io));
            world.finish_copy(n);
            while world.hear(n) {}
        }
        world.log_all();
        world.sync();
    }
    world.heal();
    assert_eq!((world.fleet.locations(slot).len(), world.replicas.len()), (2, 2));
}
