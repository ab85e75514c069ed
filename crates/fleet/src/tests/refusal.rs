//! Edits that every replica refuses for a reason of its own disk: they end, and leave nothing behind that differs.

use super::*;

/// The master asks for the edit every three seconds. What it is told, each time, and the holders.
fn refused(why: &[Status], seconds: u64, away: bool) -> (World, ChunkSlot, Vec<Status>) {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let holders: Vec<u8> = (0..2).map(|n| world.machine_at(&grant, n)).collect();
    let mut told = Vec::new();
    if away {
        world.disconnect(holders[1]);
    }
    for _ in 0..seconds / 3 {
        let ticket = world.edit(slot, 5);
        for _ in 0..3 {
            let refuse = |world: &mut World, n: usize| world.obey(holders[n], Some(why[n % why.len()]));
            while (0..2).any(|n| refuse(&mut world, n)) | (0..2).any(|n| world.hear(holders[n])) {}
            world.log_all();
            world.sync();
            world.advance(1_000);
        }
        if let Some(Err(status)) = world.edits.get(&ticket) {
            told.push(*status);
        }
    }
    (world, slot, told)
}

#[test]
fn an_edit_that_every_replica_refuses_for_good_ends_with_their_reason() {
    for (why, says) in [
        (&[Status::Io][..], Status::Io),
        (&[Status::Corrupt, Status::Io], Status::Io),
        (&[Status::NoSpace, Status::Io], Status::NoSpace),
    ] {
        let (world, slot, told) = refused(why, 90, false);
        assert_eq!(told[..19], [Status::TryAgain; 19], "{why:?}: for a minute it may pass");
        assert_eq!(told.last(), Some(&says), "{why:?}: {told:?}");
        assert_eq!(world.fleet.locations(slot).len(), 2, "readers have what they had");
    }
}

#[test]
fn an_edit_waits_for_a_replica_that_may_come_back() {
    let (_, _, told) = refused(&[Status::Io], 180, true);
    assert!(!told.is_empty() && told.iter().all(|status| *status == Status::TryAgain), "{told:?}");
}

#[test]
fn an_edit_waits_for_replicas_that_give_no_reason_of_their_own() {
    let (_, _, told) = refused(&[Status::Io, Status::TryAgain], 180, false);
    assert!(!told.is_empty() && told.iter().all(|status| *status == Status::TryAgain), "{told:?}");
}

/// One of them cut before it failed; and no disk can make the cut later either.
#[test]
fn after_an_edit_that_ended_the_chunk_is_written_without_its_cuts_and_all_of_it_was_compared() {
    let (mut world, slot, told) = refused(&[Status::Io], 90, false);
    assert_eq!(told.last(), Some(&Status::Io));
    let recorded = world.fleet.version(slot).unwrap();
    let of_chunk = world.replicas.values_mut().next().unwrap();
    of_chunk.content.clear();
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    for machine in &world.machines {
        for (_, order) in &machine.inbox {
            assert!(matches!(order, Order::Raise { cuts, .. } if cuts.is_empty()), "{order:?}");
        }
    }
    world.map.get_mut(&slot).unwrap().perhaps_cut.extend(0..8);
    world.settle();
    assert!(world.grants[&ticket].is_ok() && world.fleet.version(slot).unwrap() > recorded);
    world.check_twins();
}

/// They refused for a moment after a server had been away for long.
#[test]
fn an_edit_does_not_end_with_the_first_refusal() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let holders: Vec<u8> = (0..2).map(|n| world.machine_at(&grant, n)).collect();
    let first = world.edit(slot, 5);
    for n in &holders {
        world.obey(*n, Some(Status::TryAgain));
        while world.hear(*n) {}
    }
    assert_eq!(world.edits[&first], Err(Status::TryAgain));
    world.disconnect(holders[1]);
    world.advance(50_000);
    world.connect(holders[1]);
    world.advance(50_000);
    for n in &holders {
        world.machines[usize::from(*n)].inbox.clear();
    }
    world.settle();
    let ticket = world.edit(slot, 5);
    for n in &holders {
        while world.obey(*n, Some(Status::Io)) | world.hear(*n) {}
    }
    assert_ne!(world.edits.get(&ticket), Some(&Err(Status::Io)));
}
