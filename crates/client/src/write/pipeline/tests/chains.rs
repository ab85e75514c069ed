//! Chains with members that lost something.

use super::*;

#[test]
fn an_fsync_fails_when_power_took_what_was_written_on_every_replica() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    world.boots = [1, 1];
    let sync = pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert_eq!(pipeline.sync_outcome(sync), None);
    assert_eq!(lost(&mut pipeline), [Status::LostTail]);
    let sync = pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert_eq!((pipeline.sync_outcome(sync), lost(&mut pipeline)), (Some(Ok(())), Vec::new()));
    assert!(!pipeline.is_unsynced() && world.stable == world.data, "what is left of it");
}

#[test]
fn an_fsync_fails_when_the_replica_that_held_everything_was_made_anew_from_one_that_lost_it() {
    for written_after in [false, true] {
        let (mut world, mut pipeline) = (World::default(), pipeline());
        write(&mut pipeline, &world, 0, b"hello");
        pipeline.want_flush();
        world.run(&mut pipeline, &mut std::iter::empty());
        (world.boots[0], world.made[1]) = (1, 1);
        if written_after {
            write(&mut pipeline, &world, 5, b" world");
        }
        let sync = pipeline.want_sync();
        world.run(&mut pipeline, &mut std::iter::empty());
        assert_eq!((pipeline.sync_outcome(sync), lost(&mut pipeline)), (None, vec![Status::LostTail]));
    }
}

#[test]
fn an_fsync_goes_on_with_a_replica_that_was_made_anew_while_another_holds_everything() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    world.made[1] = 1;
    let sync = pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert_eq!((pipeline.sync_outcome(sync), lost(&mut pipeline)), (Some(Ok(())), Vec::new()));
    assert!(world.left_out.is_empty() && !pipeline.is_unsynced());
}

#[test]
fn an_fsync_goes_on_without_a_replica_that_lost_what_others_hold() {
    for written_after in [false, true] {
        let (mut world, mut pipeline) = (World::default(), pipeline());
        write(&mut pipeline, &world, 0, b"hello");
        pipeline.want_flush();
        world.run(&mut pipeline, &mut std::iter::empty());
        world.boots[1] += 1;
        if written_after {
            // Durable with its own frame, but not what was written before it.
            write(&mut pipeline, &world, 5, b" world");
        }
        let sync = pipeline.want_sync();
        world.run(&mut pipeline, &mut std::iter::empty());
        assert!(pipeline.sync_outcome(sync) == Some(Ok(())) && !pipeline.is_unsynced());
        assert_eq!(lost(&mut pipeline), []);
        assert_eq!(world.left_out, BTreeSet::from([DiskId([2; 16])]), "readers are not sent there");
    }
}

/// A pipeline that has given up what the servers have and the master never heard of, and the chunk. `synced`: by a frame that was durable.
fn given_up(world: &mut World, synced: bool) -> (Pipeline, ChunkId) {
    let mut pipeline = pipeline();
    write(&mut pipeline, world, 0, b"hello");
    if synced {
        pipeline.want_sync();
    } else {
        pipeline.want_flush();
    }
    let mut actions = Vec::new();
    for _ in 0..2 {
        actions.clear();
        pipeline.decide(world.moment(), &mut actions);
        pipeline.handle(world.carry_out(&actions[0], false), Instant(world.now));
    }
    let chunks = world.data.keys().copied().collect::<Vec<_>>();
    assert_eq!(!world.stable.is_empty(), synced);
    pipeline.fail(Status::TimedOut);
    assert_eq!((chunks.len(), lost(&mut pipeline)), (1, vec![Status::TimedOut]));
    (pipeline, chunks[0])
}

#[test]
fn a_chunk_with_bytes_that_were_given_up_does_not_enter_the_map() {
    for case in 0..8 {
        let (synced, again, truncated) = (case & 1 != 0, case & 2 != 0, case & 4 != 0);
        let mut world = World::default();
        let (mut pipeline, given_up) = given_up(&mut world, synced);
        if again {
            let sync = pipeline.want_sync();
            world.run(&mut pipeline, &mut std::iter::empty());
            assert_eq!(pipeline.sync_outcome(sync), Some(Ok(())), "{case}");
            assert!(world.map.is_empty(), "{case}: nothing of the file is left");
        }
        if truncated {
            // The file was empty as far as the master knows, so nothing was cut, and the generation stays.
            pipeline.edited(TruncateGeneration(world.generation), |_| true);
        }
        write(&mut pipeline, &world, 100, b"world");
        let sync = pipeline.want_sync();
        world.run(&mut pipeline, &mut std::iter::empty());
        assert_eq!(pipeline.sync_outcome(sync), Some(Ok(())), "{case}");
        let (chunk, _) = world.map[&ChunkIndex(0)];
        assert_ne!(given_up, chunk, "{case}");
        assert_eq!(&world.content()[..5], [0; 5], "{case}");
    }
}

/// A minute later as well as at once, and whether the chunk was ever granted or not.
#[test]
fn answers_to_what_was_given_up_are_not_heard_by_what_comes_later() {
    let late = [Err(Status::TryAgain), Err(Status::TimedOut), Err(Status::NoSpace), Ok(())];
    for (granted, late) in [false, true].into_iter().flat_map(|granted| late.map(|late| (granted, late))) {
        let (mut world, mut pipeline) = (World::default(), pipeline());
        if granted {
            write(&mut pipeline, &world, 0, b"hello");
            pipeline.want_flush();
            world.run(&mut pipeline, &mut std::iter::empty());
        }
        write(&mut pipeline, &world, 0, b"there");
        pipeline.want_flush();
        let moment = |world: &World| Moment { session: SessionId(10), ..world.moment() };
        let first = asked(&mut pipeline, moment(&world)).unwrap();
        pipeline.fail(Status::TimedOut);
        assert_eq!(lost(&mut pipeline), [Status::TimedOut]);
        write(&mut pipeline, &world, 0, b"again");
        let stamp = pipeline.want_flush();
        let second = asked(&mut pipeline, moment(&world)).unwrap();
        assert_ne!(first, second, "what comes later asks for itself");
        let result = late.map(|()| (world.grant(ChunkIndex(0), None), None));
        pipeline.handle(Event::Granted { index: ChunkIndex(0), serial: first, result }, Instant(world.now));
        assert_eq!(asked(&mut pipeline, moment(&world)), None, "it waits for its own answer");
        world.now += Duration::from_secs(50);
        let result = Err(Status::TryAgain);
        pipeline.handle(Event::Granted { index: ChunkIndex(0), serial: second, result }, Instant(world.now));
        world.now += Duration::from_secs(50);
        world.run(&mut pipeline, &mut std::iter::once(true));
        assert!(pipeline.is_flushed(stamp) && world.content() == b"again", "{granted} {late:?}");
        assert_eq!(lost(&mut pipeline), []);
    }
}
