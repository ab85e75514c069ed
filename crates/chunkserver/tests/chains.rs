//! Writing through chains by frames, reading back, flushing, and what happens when a member is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::time::Duration;
use types::{ChainSequence, Status, Verifier};
use wire::message::FailedEdge;

async fn writes_and_reads(world: &World, members: &[usize]) {
    let chain = world.chain(members);
    let head = world.connect(members[0]).await;
    let pieces = [(0_u32, 5_000_usize), (4_000, 200), (100_001, 65_536), (1 << 20, 1 << 20)];
    let mut whole = vec![0; 3 << 20];
    let mut held = Vec::new();
    for (n, (offset, length)) in pieces.into_iter().enumerate() {
        let data = pattern(n as u64, length);
        let answer = send(&head, &write_of(&chain, V1, n as u64 + 1, offset, &data), &data).await;
        assert_eq!((answer.result, answer.failed), (Ok(()), None));
        assert_eq!(answer.chain_sequence, ChainSequence(n as u64 + 1));
        let disks: Vec<_> = answer.witnesses.iter().map(|witness| witness.verifier.disk).collect();
        assert_eq!(disks, chain.iter().map(|member| member.disk).collect::<Vec<_>>());
        held = verifiers(&answer.witnesses);
        whole[offset as usize..offset as usize + length].copy_from_slice(&data);
    }
    let flushed = flush(&head, &chain, V1, &held).await;
    assert_eq!((flushed.result, verifiers(&flushed.witnesses)), (Ok(()), held));
    for (n, member) in members.iter().zip(&chain) {
        let link = world.connect(*n).await;
        for (offset, length) in
            [(0, 1 << 20), (100, 10), (99_999, 70_000), (1 << 20, 1 << 20), (2 << 20, 4096)]
        {
            let found = read(&link, member.disk, V1, offset, length).await.unwrap();
            assert!(found == whole[offset as usize..(offset + length) as usize], "server {n} at {offset}");
        }
    }
    until("every member is told to the master", || world.master.heard().born.len() == members.len()).await;
}

#[test]
fn what_is_written_through_a_chain_is_read_from_every_member() {
    for members in [&[0][..], &[1, 0], &[2, 0, 1]] {
        simulated(async {
            let world = World::simulated(3).await;
            writes_and_reads(&world, members).await;
        });
    }
}

#[test]
fn the_same_over_real_sockets_and_directories() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::real(3).await;
        writes_and_reads(&world, &[1, 2, 0]).await;
        for server in &mut world.servers {
            server.handle.take().unwrap().shutdown().await;
        }
    });
}

#[test]
fn a_durable_write_survives_a_loss_of_power_on_all_members() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let chain = world.chain(&[0, 1]);
        let data = pattern(1, 10_000);
        let write = wire::message::Write { durable: true, ..write_of(&chain, V1, 1, 77, &data) };
        assert_eq!(send(&world.connect(0).await, &write, &data).await.result, Ok(()));
        for n in 0..2 {
            world.kill(n).await;
            world.sim_disk(n).power_cut();
            world.start(n).await;
            let link = world.connect(n).await;
            assert!(read(&link, world.disk(n), V1, 77, 10_000).await.unwrap() == data);
        }
    });
}

#[test]
fn a_flush_after_a_loss_of_power_says_so() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let chain = world.chain(&[0, 1]);
        let data = pattern(1, 100);
        let write = wire::message::Write { durable: true, ..write_of(&chain, V1, 1, 0, &data) };
        let held = verifiers(&send(&world.connect(0).await, &write, &data).await.witnesses);
        world.kill(1).await;
        world.sim_disk(1).power_cut();
        world.start(1).await;
        let flushed = flush(&world.connect(0).await, &chain, V1, &held).await;
        assert_eq!(flushed.result, Err(Status::LostTail));
        let (from, to) = (Some(chain[0].disk), chain[1].disk);
        assert_eq!(flushed.failed, Some(FailedEdge { from, to, status: Status::LostTail }));
    });
}

#[test]
fn after_a_kill_a_flush_still_covers_what_was_answered_and_writes_wait_for_a_raise() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let chain = world.chain(&[0, 1]);
        let data = pattern(1, 100);
        let held = verifiers(
            &send(&world.connect(0).await, &write_of(&chain, V1, 1, 0, &data), &data).await.witnesses,
        );
        for n in 0..2 {
            world.kill(n).await;
            world.start(n).await;
        }
        let head = world.connect(0).await;
        assert_eq!(flush(&head, &chain, V1, &held).await.result, Ok(()));
        let refused = send(&head, &write_of(&chain, V1, 2, 200, &data), &data).await;
        assert_eq!(refused.result, Err(Status::Gap));
        for n in 0..2 {
            assert_eq!(world.master.raise(n, world.disk(n as usize), V2).await.result, Ok(()));
        }
        assert_eq!(send(&head, &write_of(&chain, V2, 1, 200, &data), &data).await.result, Ok(()));
    });
}

#[test]
fn a_repeated_write_is_answered_and_not_applied_again() {
    simulated(async {
        let world = World::simulated(2).await;
        let chain = world.chain(&[0, 1]);
        let (one, two) = (world.connect(0).await, world.connect(0).await);
        let (old, new) = (pattern(1, 500), pattern(2, 500));
        let first = write_of(&chain, V1, 1, 0, &old);
        let answer = send(&one, &first, &old).await;
        send(&one, &write_of(&chain, V1, 2, 0, &new), &new).await;
        assert_eq!(send(&two, &first, &old).await, answer);
        for n in 0..2 {
            assert!(read(&world.connect(n).await, world.disk(n), V1, 0, 500).await.unwrap() == new);
        }
    });
}

#[test]
fn the_edge_to_a_killed_member_is_named() {
    for killed in [1, 2] {
        simulated(async {
            let mut world = World::simulated(3).await;
            let chain = world.chain(&[0, 1, 2]);
            let head = world.connect(0).await;
            let data = pattern(1, 100);
            assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
            world.kill(killed).await;
            let answer = send(&head, &write_of(&chain, V1, 2, 0, &data), &data).await;
            let edge = FailedEdge {
                from: Some(chain[killed - 1].disk),
                to: chain[killed].disk,
                status: Status::ChainBroken,
            };
            assert_eq!((answer.result, answer.failed), (Err(Status::ChainBroken), Some(edge)));
            // Until the version is raised the member stays failed.
            let answer = send(&head, &write_of(&chain, V1, 3, 0, &data), &data).await;
            assert_eq!(answer.failed, Some(edge));
            // The survivors go on without it.
            let left: Vec<usize> = (0..3).filter(|n| *n != killed).collect();
            for n in &left {
                assert_eq!(world.master.raise(*n as u64, world.disk(*n), V2).await.result, Ok(()));
            }
            let chain = world.chain(&left);
            assert_eq!(send(&head, &write_of(&chain, V2, 1, 0, &data), &data).await.result, Ok(()));
        });
    }
}

#[test]
fn the_hop_nearest_to_a_cut_off_member_speaks_first() {
    simulated(async {
        let world = World::simulated(3).await;
        let chain = world.chain(&[0, 1, 2]);
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await;
        world.sim.as_ref().unwrap().net().partition("cs1", "cs2");
        let began = tokio::time::Instant::now();
        let answer = send(&head, &write_of(&chain, V1, 2, 0, &data), &data).await;
        let edge = FailedEdge { from: Some(chain[1].disk), to: chain[2].disk, status: Status::TimedOut };
        assert_eq!(answer.failed, Some(edge));
        assert!(began.elapsed() < Duration::from_secs(4), "before the client's patience ended");
    });
}

#[test]
fn a_disk_that_fails_is_named_and_the_members_before_it_keep_what_they_have() {
    simulated(async {
        let world = World::simulated(2).await;
        let chain = world.chain(&[0, 1]);
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await;
        world.sim_disk(1).inject(env::Fault {
            path: "chunks".into(),
            effort: env::Effort::Write,
            skip: 0,
            count: u64::MAX,
        });
        let answer = send(&head, &write_of(&chain, V1, 2, 0, &data), &data).await;
        let edge = FailedEdge { from: Some(chain[0].disk), to: chain[1].disk, status: Status::Io };
        assert_eq!((answer.result, answer.failed), (Err(Status::Io), Some(edge)));
        let done = world.master.raise(1, world.disk(0), V2).await;
        assert_eq!((done.result, done.applied), (Ok(()), ChainSequence(2)));
        assert_eq!(done.unsettled.touched, [types::BlockRange { first: 0, count: 1 }]);
        assert!(done.unsettled.failed, "it was told of the failure");
    });
}

#[test]
fn many_writers_of_one_chunk_leave_equal_replicas() {
    simulated(async {
        let world = World::simulated(3).await;
        let chain = world.chain(&[0, 1, 2]);
        let mut writers = tokio::task::JoinSet::new();
        for session in 1..=4_u64 {
            let (link, chain) = (world.connect(0).await, chain.clone());
            writers.spawn(async move {
                for write_id in 1..=20 {
                    let data = pattern(session * 100 + write_id, 3_000);
                    let mut write = write_of(&chain, V1, write_id, (write_id as u32 % 5) * 2_500, &data);
                    write.capability = capability(session, V1);
                    assert_eq!(send(&link, &write, &data).await.result, Ok(()));
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        let first = read(&world.connect(0).await, chain[0].disk, V1, 0, 20_000).await.unwrap();
        for (n, member) in chain.iter().enumerate() {
            let found = read(&world.connect(n).await, member.disk, V1, 0, 20_000).await.unwrap();
            assert!(found == first, "server {n}");
        }
        assert_eq!(world.master.heard().born.len(), 3, "told once each");
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        simulated(async {
            let world = World::simulated(3).await;
            let began = tokio::time::Instant::now();
            writes_and_reads(&world, &[2, 1, 0]).await;
            (began.elapsed(), world.disk(0), world.sim_disk(0).writes())
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn verifiers_stay_over_a_restart_of_the_process() {
    simulated(async {
        let mut world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let data = pattern(1, 100);
        let held = verifiers(
            &send(&world.connect(0).await, &write_of(&chain, V1, 1, 0, &data), &data).await.witnesses,
        );
        world.servers[0].handle.take().unwrap().shutdown().await;
        world.start(0).await;
        let flushed = flush(&world.connect(0).await, &chain, V1, &held).await;
        assert_eq!(verifiers(&flushed.witnesses), held);
        let [Verifier { disk, .. }] = held[..] else { panic!("one member") };
        assert_eq!(disk, world.disk(0));
    });
}

#[test]
fn replicas_made_one_after_the_other_are_told_together() {
    simulated(async {
        let world = World::simulated(1).await;
        let (chain, link) = (world.chain(&[0]), world.connect(0).await);
        let data = pattern(1, 100);
        let begun = tokio::time::Instant::now();
        for n in 1..=300 {
            let mut write = write_of(&chain, V1, 1, 0, &data);
            write.capability.chunk = types::ChunkId(n);
            assert_eq!(send(&link, &write, &data).await.result, Ok(()));
        }
        until("all are told", || world.master.heard().born.len() == 300).await;
        let pauses = begun.elapsed().as_millis() / 20;
        let messages = u128::from(world.master.heard().born_messages);
        assert!(messages <= pauses + 2 && messages < 300, "{messages} messages in {pauses} pauses");
    });
}
