//! What readers of a chunk that is raised are told: also while an edit waits for another chunk of its own, and while replicas may differ.

use super::*;

/// Those of the replicas that a reader is told who serve him, and what they hold.
fn serving(world: &World, slot: ChunkSlot) -> Vec<Content> {
    let (version, locations) = world.fleet.readable(slot, world.now_ms).unwrap();
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

/// An edit that cuts write 5, for which only these work, for ten seconds.
fn cut_by(world: &mut World, slot: ChunkSlot, working: [u8; 2]) -> Ticket {
    let ticket = world.edit(slot, 5);
    for _ in 0..10 {
        for n in working {
            while world.obey(n, None) | world.hear(n) {}
        }
        world.advance(1_000);
    }
    ticket
}

/// One of three was left behind, and is the first that the next master hears of.
fn seen_by_the_next_master(mut world: World, slot: ChunkSlot, first: [u8; 3]) -> Vec<Content> {
    let mut seen = serving(&world, slot);
    world.restart_master();
    for n in first {
        world.connect(n);
        seen.extend(serving(&world, slot));
    }
    for _ in 0..100 {
        world.advance(1_000);
        world.settle();
        seen.extend(serving(&world, slot));
    }
    seen.dedup();
    seen
}

#[test]
fn what_the_next_master_may_not_find_again_is_not_read_before_its_record() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(5);
    let [one, two, behind] = [0, 1, 2].map(|at| machine_of(&grant, at));
    let ticket = cut_by(&mut world, slot, [one, two]);
    assert!(world.edits[&ticket].is_ok(), "two are cut and wait for the record");
    let (old, cut) = (Content::from([5]), Content::new());
    assert_eq!(seen_by_the_next_master(world, slot, [behind, one, two]), [old, cut]);

    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    let [one, two, behind] = [0, 1, 2].map(|at| machine_of(&grant, at));
    world.write_upto(&grant, 2, 2);
    world.want((inode(1), ZERO), SESSION, Some(hop(&grant, None, 2)));
    while [one, two].into_iter().any(|n| world.obey(n, None) | world.hear(n)) {}
    assert!(!world.unlogged.is_empty(), "only the record is missing");
    let (old, new) = (Content::from([1]), Content::from([1, 2]));
    assert_eq!(seen_by_the_next_master(world, slot, [behind, one, two]), [old, new]);
}

#[test]
fn what_a_disk_not_heard_of_since_the_start_may_undo_is_not_read_before_its_record() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(5);
    let [one, two, unheard] = [0, 1, 2].map(|at| machine_of(&grant, at));
    world.restart_master();
    world.connect(one);
    world.connect(two);
    let ticket = cut_by(&mut world, slot, [one, two]);
    assert!(world.edits[&ticket].is_ok(), "two are cut and wait for the record");
    assert!(world.fleet.may_have_more(slot, world.now_ms), "readers wait");
    let (old, cut) = (Content::from([5]), Content::new());
    assert_eq!(seen_by_the_next_master(world, slot, [unheard, one, two]), [old, cut]);
}

#[test]
fn who_waits_to_write_a_chunk_whose_cut_is_put_off_comes_back_behind_it() {
    let mut world = World::with_goal(3, 2);
    let (slot, grant) = world.file(5);
    world.disconnect(machine_of(&grant, 1));
    let mut asked = None;
    while asked.is_none_or(|(_, edit)| !world.edits.contains_key(&edit)) {
        world.advance(500);
        for n in 0..3 {
            while world.obey(n, None) | world.finish_copy(n) | world.hear(n) {}
        }
        if !world.unlogged.is_empty() && asked.is_none() {
            // Both come while the record of another raise is written, and share the next one.
            asked = Some((world.want((inode(5), ZERO), SESSION, None), world.edit(slot, 5)));
        }
        world.log_all();
        world.sync();
        assert!(world.now_ms < 1_000_000);
    }
    let (writer, edit) = asked.unwrap();
    assert!(!world.grants.contains_key(&writer), "it waits for the cut");
    world.tell(Event::EditDropped { ticket: edit });
    world.settle();
    assert_eq!(world.grants[&writer], Err(Status::TryAgain));
}

#[test]
fn who_is_told_of_some_replicas_only_knows_that_there_are_more() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(5);
    assert!(!world.fleet.may_have_more(slot, world.now_ms));
    world.edit(slot, 5);
    let [one, two, three] = [0, 1, 2].map(|at| machine_of(&grant, at));
    for n in [one, two, three] {
        world.obey(n, None);
    }
    world.hear(one);
    world.advance(3_001);
    for n in [two, three] {
        while world.hear(n) {}
    }
    assert_eq!(serving(&world, slot).len(), 3, "all took it, two after the raise was given up");
    let is_asked = |world: &World| !world.machines[usize::from(one)].inbox.is_empty();
    while !is_asked(&world) {
        world.advance(500);
        assert!(world.now_ms < 1_000_000);
    }
    world.obey(one, None);
    world.hear(one);
    assert_eq!(
        world.fleet.readable(slot, world.now_ms).unwrap().1.len(),
        2,
        "the first one has the next version"
    );
    assert!(world.fleet.may_have_more(slot, world.now_ms));
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
            assert_eq!(serving(&world, slot), std::slice::from_ref(&both), "one is chosen");
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
                let seen = serving(&world, slot);
                assert_eq!(seen, std::slice::from_ref(&both), "under the version that it has now");
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
