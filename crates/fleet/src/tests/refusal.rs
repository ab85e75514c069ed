//! Edits that every replica refuses for a reason of its own disk: they end, and leave nothing behind that differs, nor a chunk that
//! cannot be healed.

use super::*;

/// Which of the two holders is away.
#[derive(Clone, Copy, PartialEq)]
enum Away {
    Nobody,
    Silent,
    InMaintenance,
}

/// The master asks for the edit every three seconds. What it is told, each time, and the holders.
fn refused(why: &[Status], seconds: u64, away: Away) -> (World, ChunkSlot, Vec<Status>) {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let holders: Vec<u8> = (0..2).map(|n| world.machine_at(&grant, n)).collect();
    let mut told = Vec::new();
    if away == Away::InMaintenance {
        world.tell(Event::Maintenance { server: server(holders[1] + 1), until_ms: Some(u64::MAX) });
    }
    if away != Away::Nobody {
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
        (&[Status::NoSpace], Status::NoSpace),
        // One that says nothing of room may have cut some of it.
        (&[Status::NoSpace, Status::Io], Status::Io),
    ] {
        let (world, slot, told) = refused(why, 90, Away::Nobody);
        assert_eq!(told[..19], [Status::TryAgain; 19], "{why:?}: for a minute it may pass");
        assert_eq!(told.last(), Some(&says), "{why:?}: {told:?}");
        assert_eq!(world.fleet.locations(slot).len(), 2, "readers have what they had");
    }
}

#[test]
fn an_edit_waits_for_a_replica_that_may_come_back() {
    for (away, seconds) in [(Away::Silent, 66), (Away::InMaintenance, 7_200)] {
        let (_, _, told) = refused(&[Status::Io], seconds, away);
        assert!(!told.is_empty() && told.iter().all(|status| *status == Status::TryAgain), "{told:?}");
    }
}

#[test]
fn an_edit_that_the_last_replica_refuses_ends_when_healing_waits_for_no_other() {
    let (_, _, told) = refused(&[Status::Io], 90, Away::Silent);
    assert_eq!(told.last(), Some(&Status::Io), "{told:?}");
}

/// One replica refuses each cut; the server of the other one dies, after it made the cut or before. The master asks for the edit
/// `again` as soon as it was refused. How many copies were ordered in three minutes, and what it was told; then that server is back.
fn healed(why: Status, made_cut: bool, again: bool) -> (World, ChunkSlot, u64, Vec<Status>) {
    let mut world = World::with_goal(3, 2);
    let (slot, grant) = world.file(1);
    let (stays, dies) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let mut ticket = world.edit(slot, 5);
    if made_cut {
        world.obey(dies, None);
        world.hear(dies);
    }
    world.disconnect(dies);
    let (mut copies, mut told) = (0, Vec::new());
    for _ in 0..180 {
        for n in 0..3u8 {
            while let Some((_, what)) = world.machines[usize::from(n)].inbox.front().cloned() {
                let fail = matches!(&what, Order::Raise { cuts, .. } if !cuts.is_empty() && n == stays);
                copies += u64::from(matches!(what, Order::Copy { .. }));
                world.obey(n, fail.then_some(why));
            }
            while world.finish_copy(n) | world.hear(n) {}
        }
        if let Some(Err(status)) = world.edits.get(&ticket) {
            told.push(*status);
            if again {
                ticket = world.edit(slot, 5);
            }
        }
        world.log_all();
        world.sync();
        world.advance(1_000);
    }
    world.connect(dies);
    (world, slot, copies, told)
}

#[test]
fn a_chunk_whose_cut_is_refused_is_healed_and_who_made_it_and_returns_is_stale() {
    for (why, made_cut) in [(Status::Io, true), (Status::Io, false), (Status::NoSpace, true)] {
        let (mut world, slot, copies, _) = healed(why, made_cut, false);
        assert!(copies > 0, "{why:?} {made_cut}: it has one replica for good");
        world.settle();
        assert_eq!(world.fleet.locations(slot).len(), 2, "{why:?} {made_cut}");
        world.check_twins();
    }
}

#[test]
fn an_edit_that_is_asked_for_again_as_soon_as_it_was_refused_does_not_keep_its_chunk_from_being_healed() {
    let (world, _, copies, told) = healed(Status::NoSpace, false, true);
    assert!(copies > 0, "it has one replica for good: {told:?}");
    assert!(told.contains(&Status::Io), "nobody knows whether the other one cut before it died: {told:?}");
    assert!(world.edits.values().any(Result::is_ok), "the replica that was made carries it out: {told:?}");
}

/// The first of the chain cut, and then its disk failed for some time; the other one never had the room.
#[test]
fn who_made_a_cut_that_was_refused_is_not_followed() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (cuts, refuses) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let content = |world: &World, n: u8| world.replicas[&(disk(n + 1), grant.chunk)].content.clone();
    let whole = content(&world, refuses);
    let mut told = Vec::new();
    let mut has_cut = false;
    for _ in 0..30 {
        let ticket = world.edit(slot, 1);
        for _ in 0..3 {
            while world.obey(refuses, Some(Status::NoSpace))
                | world.obey(cuts, Some(Status::Io).filter(|_| std::mem::replace(&mut has_cut, true)))
                | world.hear(refuses)
                | world.hear(cuts)
            {}
            world.log_all();
            world.sync();
            world.advance(1_000);
        }
        told.extend(world.edits.get(&ticket).and_then(|edited| edited.err()));
    }
    assert_eq!((told[0], told.last()), (Status::TryAgain, Some(&Status::Io)), "nobody knows: {told:?}");
    assert!(content(&world, cuts) != whole && content(&world, refuses) == whole);
    let granted = world.want((inode(1), ZERO), SESSION, None);
    world.settle();
    assert!(world.grants[&granted].is_ok(), "{:?}", world.grants[&granted]);
    for n in [cuts, refuses] {
        assert_eq!(content(&world, n), whole, "the refused cut was made");
    }
    world.check_twins();
}

/// What an edit of a chunk is told, asked again once a second, until it is not to try again; its only machine here has no room.
fn told_by_the_full(
    world: &mut World,
    slot: ChunkSlot,
    full: u8,
    range: u64,
    mut ticket: Ticket,
) -> Vec<Status> {
    let mut told = Vec::new();
    for _ in 0..200 {
        while world.obey(full, Some(Status::NoSpace)) | world.hear(full) {}
        world.log_all();
        world.sync();
        if let Some(Err(status)) = world.edits.get(&ticket) {
            told.push(*status);
            if *status != Status::TryAgain {
                break;
            }
            ticket = world.edit(slot, range);
        }
        world.advance(1_000);
    }
    told
}

/// The other one came back for the moment in which it cut.
#[test]
fn an_edit_that_was_begun_is_not_told_the_reason_of_an_earlier_one() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (full, flaps) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let content = |world: &World, n: u8| world.replicas[&(disk(n + 1), grant.chunk)].content.clone();
    let whole = content(&world, full);
    world.disconnect(flaps);
    let first = world.edit(slot, 7);
    let told = told_by_the_full(&mut world, slot, full, 7, first);
    assert_eq!(told.last(), Some(&Status::NoSpace));
    world.connect(flaps);
    while world.hear(flaps) {}
    let second = world.edit(slot, 1);
    let cuts = |order: &Order| matches!(order, Order::Raise { cuts, .. } if !cuts.is_empty());
    while let Some((_, order)) = world.machines[usize::from(flaps)].inbox.front().cloned() {
        world.obey(flaps, None);
        world.hear(flaps);
        if cuts(&order) {
            break;
        }
        while world.obey(full, None) | world.hear(full) {}
    }
    assert_ne!(content(&world, flaps), whole, "it cut");
    world.disconnect(flaps);
    let told = told_by_the_full(&mut world, slot, full, 1, second);
    assert!(told.len() > 1 && !told.contains(&Status::NoSpace), "it says that nothing was cut: {told:?}");
}

#[test]
fn an_edit_waits_for_replicas_that_give_no_reason_of_their_own() {
    let (_, _, told) = refused(&[Status::Io, Status::TryAgain], 180, Away::Nobody);
    assert!(!told.is_empty() && told.iter().all(|status| *status == Status::TryAgain), "{told:?}");
}

/// One of them cut before it failed; and no disk can make the cut later either.
#[test]
fn after_an_edit_that_ended_the_chunk_is_written_without_its_cuts_and_all_of_it_was_compared() {
    let (mut world, slot, told) = refused(&[Status::Io], 90, Away::Nobody);
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

/// The changelog has no room for the record of a raise: who wants to write is told; an edit, which has room of its own, comes again.
#[test]
fn an_edit_behind_a_raise_that_cannot_be_recorded_is_not_told_so() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let other = world.machine_at(&grant, 1);
    world.disconnect(other);
    world.connect(other);
    let writer = world.want((inode(1), ZERO), SESSION, None);
    let edit = world.edit(slot, 5);
    while (0..2).any(|n| world.obey(n, None)) | (0..2).any(|n| world.hear(n)) {}
    let (raise, ..) = world.unlogged.pop().unwrap();
    world.tell(Event::Logged { raise, result: Err(Status::NoSpace) });
    assert_eq!(world.grants[&writer], Err(Status::NoSpace));
    assert_eq!(world.edits[&edit], Err(Status::TryAgain));
    let edit = world.edit(slot, 5);
    world.settle();
    assert!(world.edits[&edit].is_ok());
}
