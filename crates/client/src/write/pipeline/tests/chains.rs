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

#[test]
fn a_chunk_with_bytes_that_were_given_up_does_not_enter_the_map() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    // The servers have it, and the master never hears of it.
    let mut actions = Vec::new();
    for _ in 0..2 {
        actions.clear();
        pipeline.decide(world.moment(), &mut actions);
        pipeline.handle(world.carry_out(&actions[0], false), Instant(world.now));
    }
    let given_up = world.data.keys().copied().collect::<Vec<_>>();
    pipeline.fail(Status::TimedOut);
    assert_eq!((given_up.len(), lost(&mut pipeline)), (1, vec![Status::TimedOut]));
    write(&mut pipeline, &world, 100, b"world");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    let (chunk, _) = world.map[&ChunkIndex(0)];
    assert!(!given_up.contains(&chunk));
    assert_eq!(&world.content()[..5], [0; 5]);
}

#[test]
fn an_answer_to_what_was_given_up_takes_no_patience_from_what_comes_later() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    write(&mut pipeline, &world, 0, b"there");
    pipeline.want_flush();
    let mut actions = Vec::new();
    pipeline.decide(Moment { session: SessionId(10), ..world.moment() }, &mut actions);
    assert!(matches!(&actions[..], [Action::Grant { .. }]));
    pipeline.fail(Status::TimedOut);
    assert_eq!(lost(&mut pipeline), [Status::TimedOut]);
    let late = Event::Granted { index: ChunkIndex(0), result: Err(Status::TryAgain) };
    pipeline.handle(late, Instant(world.now));
    world.now += Duration::from_secs(3600);
    write(&mut pipeline, &world, 0, b"again");
    let stamp = pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::once(true));
    assert!(pipeline.is_flushed(stamp) && world.content() == b"again");
    assert_eq!(lost(&mut pipeline), []);
}
