//! Disks that fail in service: what is told of them, what goes on, and how they come back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::{DiskRefusal, ReplicaFlags};
use common::*;
use env::{Effort, Fault};
use types::Status;
use wire::message::Write;

fn fault(effort: Effort, path: &str, count: u64) -> Fault {
    Fault { path: path.into(), effort, skip: 0, count }
}

fn refusal(world: &World) -> Option<DiskRefusal> {
    world.master.heard().refused.first().map(|disk| disk.refusal)
}

#[test]
fn a_disk_that_cannot_be_written_is_given_up_and_comes_back_under_another_verifier() {
    simulated(async {
        let world = World::simulated(1).await;
        let (chain, link) = (world.chain(&[0]), world.connect(0).await);
        let data = pattern(1, 5_000);
        let first = send(&link, &write_of(&chain, V1, 1, 0, &data), &data).await;
        assert_eq!(first.result, Ok(()));
        let device = world.master.heard().boots[&world.disk(0)];
        world.sim_disk(0).inject(fault(Effort::Write, "", u64::MAX));
        assert_eq!(send(&link, &write_of(&chain, V1, 2, 0, &data), &data).await.result, Err(Status::Io));
        until("it is told failed", || refusal(&world) == Some(DiskRefusal::Failed)).await;
        let heartbeats = world.master.heard().heartbeats;
        until("it is told so again", || world.master.heard().heartbeats > heartbeats).await;
        assert_eq!(world.master.heard().boots[&world.disk(0)], device, "it is on the device that it was on");
        assert_ne!(device, 0);
        assert_eq!(
            read(&link, world.disk(0), V1, 0, 100).await,
            Err(Status::Io),
            "nothing is served from it"
        );
        world.master.heard().reports.clear();
        world.sim_disk(0).clear_faults();
        until("it has reported again", || world.master.heard().reports.contains_key(&world.disk(0))).await;
        until("no refusal is left", || world.master.heard().refused.is_empty()).await;
        assert!(read(&link, world.disk(0), V1, 0, 5_000).await.unwrap() == data);
        // What was answered before and not synced may be lost: whoever holds it to that is told.
        let held = flush(&link, &chain, V1, &verifiers(&first.witnesses)).await;
        assert_eq!(held.result, Err(Status::LostTail));
        assert_eq!(world.master.raise(1, world.disk(0), V2).await.result, Ok(()));
        let again = send(&link, &write_of(&chain, V2, 1, 0, &data), &data).await;
        assert_eq!(again.result, Ok(()));
        assert_ne!(again.witnesses, first.witnesses);
    });
}

#[test]
fn a_sector_that_cannot_be_read_damages_one_replica_and_not_the_disk() {
    simulated(async {
        let mut world = World::simulated(1).await;
        let (chain, link) = (world.chain(&[0]), world.connect(0).await);
        let data = pattern(1, 20_000);
        let write = Write { durable: true, ..write_of(&chain, V1, 1, 0, &data) };
        send(&link, &write, &data).await;
        world.servers[0].handle.take().unwrap().shutdown().await;
        world.sim_disk(0).set_resident(false);
        world.start(0).await;
        let link = world.connect(0).await;
        // The header is read first, then the pages: once together, once more by the judge, then each by itself.
        assert!(read(&link, world.disk(0), V1, 8_192, 4_096).await.is_ok());
        world.sim_disk(0).inject(fault(Effort::Read, "chunks", 3));
        assert_eq!(read(&link, world.disk(0), V1, 0, 4_096).await, Err(Status::Corrupt));
        until("the master is told", || !world.master.heard().damaged.is_empty()).await;
        assert_eq!(world.master.heard().damaged, [(world.disk(0), CHUNK)]);
        let heartbeats = world.master.heard().heartbeats;
        until("it was looked at", || world.master.heard().heartbeats > heartbeats + 4).await;
        assert_eq!(refusal(&world), None);
        assert!(read(&link, world.disk(0), V1, 8_192, 4_096).await.is_ok(), "the others are read");
    });
}

#[test]
fn a_replica_that_cannot_be_settled_after_a_kill_is_told_and_comes_back_with_its_sector() {
    simulated(async {
        let mut world = World::simulated(1).await;
        let (chain, link) = (world.chain(&[0]), world.connect(0).await);
        let data = pattern(1, 20_000);
        let mut beside = Write { durable: true, ..write_of(&chain, V1, 1, 0, &data) };
        beside.capability.chunk = types::ChunkId(CHUNK.0 + 1);
        assert_eq!(send(&link, &beside, &data).await.result, Ok(()));
        assert_eq!(send(&link, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        world.kill(0).await;
        let files = world.sim_disk(0).paths("chunks/");
        let file = files.iter().find(|path| path.ends_with(&format!("{:016x}", CHUNK.0))).unwrap();
        world.sim_disk(0).spoil(file, types::CHUNK_BYTES).unwrap();
        world.start(0).await;
        let disk = world.disk(0);
        until("it is told", || refusal(&world) == Some(DiskRefusal::HeldBack)).await;
        assert!(world.master.heard().refused[0].reason.contains(file));
        let flags = || {
            let heard = world.master.heard();
            let found = heard.reports.get(&disk).and_then(|all| all.iter().find(|one| one.chunk == CHUNK));
            found.map(|entry| entry.flags)
        };
        assert!(flags().is_some_and(|flags| flags.contains(ReplicaFlags::BAD)), "{:?}", flags());
        let link = world.connect(0).await;
        assert_eq!(read(&link, disk, V1, 0, 4_096).await, Err(Status::Io));
        world.master.heard().reports.clear();
        world.sim_disk(0).unspoil();
        until("it is told anew", || {
            flags().is_some_and(|flags| flags.is_complete() && flags.contains(ReplicaFlags::MARKED))
        })
        .await;
        until("nothing is held back", || refusal(&world).is_none()).await;
        assert!(read(&world.connect(0).await, disk, V1, 0, 20_000).await.unwrap() == data);
    });
}

#[test]
fn a_failed_fsync_ends_its_replica_for_good_and_nothing_else() {
    simulated(async {
        let world = World::simulated(1).await;
        let (chain, link) = (world.chain(&[0]), world.connect(0).await);
        let data = pattern(1, 5_000);
        let first = send(&link, &write_of(&chain, V1, 1, 0, &data), &data).await;
        world.sim_disk(0).inject(fault(Effort::Sync, "chunks", 1));
        assert_eq!(flush(&link, &chain, V1, &verifiers(&first.witnesses)).await.result, Err(Status::Io));
        for _ in 0..2 {
            assert!(
                flush(&link, &chain, V1, &verifiers(&first.witnesses)).await.result.is_err(),
                "it stays an error"
            );
        }
        assert_eq!(world.master.raise(1, world.disk(0), V2).await.result, Err(Status::Io), "not by a raise");
        until("the master is told", || !world.master.heard().damaged.is_empty()).await;
        let mut other = write_of(&chain, V1, 1, 0, &data);
        other.capability.chunk = types::ChunkId(CHUNK.0 + 1);
        other.durable = true;
        assert_eq!(send(&link, &other, &data).await.result, Ok(()), "the disk goes on");
        assert_eq!(refusal(&world), None);
    });
}

#[test]
fn a_disk_that_keeps_failing_is_tried_again_ever_more_rarely() {
    simulated(async {
        let world = World::simulated(1).await;
        let (chain, link) = (world.chain(&[0]), world.connect(0).await);
        let data = pattern(1, 100);
        let begun = world.master.heard().registrations;
        let until_then = tokio::time::Instant::now() + std::time::Duration::from_secs(200);
        let mut write_id = 0;
        while tokio::time::Instant::now() < until_then {
            // It can be opened and fails at the first write each time.
            world.sim_disk(0).clear_faults();
            until("it serves", || refusal(&world).is_none()).await;
            world.sim_disk(0).inject(fault(Effort::Write, "", u64::MAX));
            write_id += 1;
            let _ = send(&link, &write_of(&chain, V1, write_id, 0, &data), &data).await;
            until("it failed", || refusal(&world).is_some()).await;
        }
        let returns = world.master.heard().registrations - begun;
        assert!((3..12).contains(&returns), "{returns}");
    });
}
