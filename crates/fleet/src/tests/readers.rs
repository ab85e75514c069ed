//! What readers of a chunk that is raised are told: also while an edit waits for another chunk of its own, and while replicas may differ.

use super::*;

/// Those of the replicas that a reader is told who serve him, and what they hold.
fn serving(world: &World, slot: ChunkSlot) -> Vec<Content> {
    let (version, locations) = world.fleet.readable(slot).unwrap();
    let chunk = world.map[&slot].chunk;
    let told = locations.iter().map(|one| &world.replicas[&(one.disk, chunk)]);
    told.filter(|one| one.version == version).map(|one| one.content.clone()).collect()
}

/// Files of which each has an edit that is not recorded; write 5 is in what it cuts.
fn held(files: u64) -> (World, Vec<(ChunkSlot, Ticket)>) {
    let mut world = World::with_goal(3, 2);
    let slots: Vec<_> = (0..files).map(|n| world.file(8 * n + 5).0).collect();
    let held: Vec<_> = slots.into_iter().map(|slot| (slot, world.edit(slot, 5))).collect();
    world.settle();
    assert!(held.iter().all(|(_, ticket)| world.edits[ticket].is_ok()));
    (world, held)
}

#[test]
fn a_chunk_whose_edit_waits_is_read_as_it_was_cut_however_long_that_takes() {
    let (mut world, held) = held(1);
    let (slot, ticket) = held[0];
    for second in 0..600 {
        world.read(slot);
        assert_eq!(serving(&world, slot), [Content::new(), Content::new()], "after {second} s");
        world.advance(1_000);
        world.settle();
    }
    let version = world.edits[&ticket].unwrap();
    world.record_edit(slot, 5, ticket, version);
    world.settle();
    assert_eq!(serving(&world, slot).len(), 2);
}

#[test]
fn a_master_that_is_started_anew_does_not_take_back_a_cut_that_was_read() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let (mut world, held) = held(1);
        let slot = held[0].0;
        assert_eq!(serving(&world, slot), [Content::new(), Content::new()]);
        world.restart_master();
        for n in order {
            world.connect(n);
            let seen = serving(&world, slot);
            assert!(seen.iter().all(Content::is_empty), "{seen:?}");
        }
        for _ in 0..200 {
            world.advance(1_000);
            world.settle();
        }
        assert_eq!(serving(&world, slot), [Content::new(), Content::new()]);
    }
}

/// Between the last answer and the stable record.
#[test]
fn members_that_are_equal_are_read_before_the_record_is_made() {
    let mut world = World::with_goal(2, 2);
    let (slot, grant) = world.file(1);
    world.write_upto(&grant, 2, 1);
    world.want((inode(1), ZERO), SESSION, Some(hop(&grant, Some(0), 1)));
    while (0..2).any(|n| world.obey(n, None) | world.hear(n)) {}
    assert!(!world.unlogged.is_empty(), "only the record is missing");
    let both = Content::from([1, 2]);
    assert_eq!(serving(&world, slot), [both.clone(), both]);
}

#[test]
fn edits_that_wait_keep_no_other_chunk_from_being_compared_and_no_failed_raise_from_being_repeated() {
    let (mut world, held) = held(crate::heal::RAISES_MAX as u64);
    let (compared, grant) = world.file(2_001);
    world.write_upto(&grant, 2_002, 1);
    let (repeated, _) = world.file(2_003);
    world.edit(repeated, 4);
    for n in 0..3 {
        while world.obey(n, Some(Status::TryAgain)) | world.hear(n) {}
    }
    let before = world.fleet.version(repeated);
    for _ in 0..100 {
        world.advance(1_000);
        world.settle();
    }
    assert_eq!(world.fleet.summary().raising, held.len() as u64, "they wait yet");
    assert!(!world.fleet.table.is_unsettled(compared), "it is compared");
    assert_ne!(world.fleet.version(repeated), before, "it is repeated");
}

/// Two replicas of which the first alone has write 2, which somebody reads, and a raise that makes them equal, or fails because the second
/// one refuses, and is repeated.
#[test]
fn reads_of_a_chunk_whose_replicas_differ_do_not_go_back() {
    for turn in [[0, 1], [1, 0]] {
        for fails in [false, true] {
            let mut world = World::with_goal(2, 2);
            let (slot, grant) = world.file(1);
            world.write_upto(&grant, 2, 1);
            while (0..2).any(|n| world.hear(n)) {}
            let both = Content::from([1, 2]);
            assert_eq!(serving(&world, slot), [both.clone()], "one is chosen");
            world.advance(10_000);
            assert!(world.fleet.raises.is_running(slot), "nobody waits for it");
            for at in turn {
                let n = machine_of(&grant, at);
                world.obey(n, (fails && at == 1).then_some(Status::TryAgain));
                while world.hear(n) {}
                let seen = serving(&world, slot);
                assert!(seen.iter().all(|one| *one == both), "{turn:?} {fails:?}: {seen:?}");
            }
            assert_eq!(world.fleet.raises.is_running(slot), !fails);
            if fails {
                assert_eq!(serving(&world, slot), [both.clone()], "under the version that it has now");
            }
            for _ in 0..100 {
                world.settle();
                let seen = serving(&world, slot);
                assert!(
                    !seen.is_empty() && seen.iter().all(|one| *one == both),
                    "{turn:?} {fails:?}: {seen:?}"
                );
                world.advance(1_000);
            }
            assert_eq!(serving(&world, slot).len(), 2);
        }
    }
}
