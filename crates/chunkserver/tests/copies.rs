//! A replica made from others: what it holds, and what becomes of it when something goes wrong on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::OrderKind;
use common::*;
use env::OpenMode;
use std::time::Duration;
use types::{ReplicaAddress, Status, Version, Witness};

const V3: Version = Version { term: TERM, counter: 3 };
/// Where chunk files keep the chunk of these tests.
const FOLDER: &str = "chunks";

fn copy(world: &World, to: usize, version: Version, sources: &[usize]) -> OrderKind {
    let sources: Vec<ReplicaAddress> = world.chain(sources);
    OrderKind::Copy { disk: world.disk(to), chunk: CHUNK, version, sources }
}

/// A chunk on servers 0 and 1 at version 2, with data at its beginning and far behind.
async fn written(world: &World) -> Vec<(u32, Vec<u8>)> {
    let chain = world.chain(&[0, 1]);
    let head = world.connect(0).await;
    let pieces = vec![(0, pattern(1, 300_000)), ((40 << 20) + 77, pattern(2, 5_000))];
    for (n, (offset, data)) in pieces.iter().enumerate() {
        let answer = send(&head, &write_of(&chain, V1, n as u64 + 1, *offset, data), data).await;
        assert_eq!(answer.result, Ok(()));
    }
    for n in 0..2 {
        assert_eq!(world.master.raise(n, world.disk(n as usize), V2).await.result, Ok(()));
    }
    pieces
}

async fn holds(world: &World, n: usize, version: Version, pieces: &[(u32, Vec<u8>)]) {
    let link = world.connect(n).await;
    for (offset, data) in pieces {
        let found = read(&link, world.disk(n), version, *offset, data.len() as u32).await.unwrap();
        assert!(found == *data, "server {n} at {offset}");
    }
    let hole = read(&link, world.disk(n), version, 20 << 20, 4096).await.unwrap();
    assert!(hole.iter().all(|byte| *byte == 0));
}

/// The file of the chunk on a server's disk.
fn chunk_file(world: &World, n: usize) -> Option<String> {
    let dir = world.sim_disk(n).dir();
    let mut path = FOLDER.to_owned();
    for _ in 0..2 {
        path = format!("{path}/{}", dir.list(&path).unwrap().first()?.name);
    }
    Some(path)
}

#[test]
fn a_copy_holds_what_the_source_holds_and_its_holes_cost_nothing() {
    simulated(async {
        let mut world = World::simulated(3).await;
        let pieces = written(&world).await;
        let done = world.master.order(10, world.disk(2), copy(&world, 2, V2, &[0, 1])).await;
        assert_eq!(done.result, Ok(()));
        holds(&world, 2, V2, &pieces).await;
        let file = world.sim_disk(2).dir().open(&chunk_file(&world, 2).unwrap(), OpenMode::Read).unwrap();
        assert!(file.allocated_bytes().unwrap() < 400_000, "{} bytes", file.allocated_bytes().unwrap());
        // Ordered again it is there already; and it survives a loss of power.
        assert_eq!(world.master.order(11, world.disk(2), copy(&world, 2, V2, &[0])).await.result, Ok(()));
        world.kill(2).await;
        world.sim_disk(2).power_cut();
        world.start(2).await;
        holds(&world, 2, V2, &pieces).await;
        let verify = OrderKind::Verify { disk: world.disk(2), chunk: CHUNK, version: V2 };
        assert_eq!(world.master.order(12, world.disk(2), verify).await.result, Ok(()));
    });
}

#[test]
fn a_copy_is_a_member_of_the_next_chain_like_any_other() {
    simulated(async {
        let world = World::simulated(3).await;
        written(&world).await;
        world.master.order(10, world.disk(2), copy(&world, 2, V2, &[1])).await;
        for n in [0, 2] {
            assert_eq!(world.master.raise(20 + n, world.disk(n as usize), V3).await.result, Ok(()));
        }
        let (chain, data) = (world.chain(&[0, 2]), pattern(5, 10_000));
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V3, 1, 4_000, &data), &data).await.result, Ok(()));
        holds(&world, 2, V3, &[(4_000, data)]).await;
    });
}

/// As what a replica answers, as a flush of it alone tells.
async fn witness(world: &World, n: usize) -> Witness {
    let flushed = flush(&world.connect(n).await, &world.chain(&[n]), V2, &[]).await;
    assert_eq!((flushed.result, flushed.witnesses.len()), (Ok(()), 1));
    flushed.witnesses.into_iter().next().unwrap()
}

#[test]
fn a_copy_answers_for_the_replicas_that_it_comes_from_until_its_own_disk_loses_power() {
    simulated(async {
        let mut world = World::simulated(4).await;
        written(&world).await;
        let first = witness(&world, 1).await;
        assert_eq!(first.sources, []);
        for (to, from) in [(2, 1), (3, 2)] {
            let done =
                world.master.order(to, world.disk(to as usize), copy(&world, to as usize, V2, &[from])).await;
            assert_eq!(done.result, Ok(()));
        }
        let (second, third) = (witness(&world, 2).await, witness(&world, 3).await);
        assert_eq!(second.sources, [first.verifier]);
        assert_eq!(third.sources, [second.verifier, first.verifier]);
        world.kill(3).await;
        world.sim_disk(3).power_cut();
        world.start(3).await;
        let afterwards = witness(&world, 3).await;
        assert_eq!(afterwards.sources, []);
        assert_ne!(afterwards.verifier, third.verifier);
        // Made anew of one that lost power, it answers for that one as it is now.
        world.kill(2).await;
        world.sim_disk(2).power_cut();
        world.start(2).await;
        let delete = OrderKind::Delete { disk: world.disk(3), chunk: CHUNK, version: V2, unknown: false };
        assert_eq!(world.master.order(10, world.disk(3), delete).await.result, Ok(()));
        assert_eq!(world.master.order(11, world.disk(3), copy(&world, 3, V2, &[2])).await.result, Ok(()));
        let again = witness(&world, 3).await;
        assert_eq!(again.sources, [witness(&world, 2).await.verifier]);
        assert_ne!(again.sources[0], second.verifier);
    });
}

#[test]
fn a_copy_that_came_from_two_sources_answers_for_neither() {
    simulated(async {
        let world = World::simulated(3).await;
        let pieces = written(&world).await;
        let file = chunk_file(&world, 0).unwrap();
        world
            .sim_disk(0)
            .dir()
            .open(&file, OpenMode::ReadWrite)
            .unwrap()
            .write_at(b"rot", (40 << 20) + 100)
            .unwrap();
        let both = world.master.order(12, world.disk(2), copy(&world, 2, V2, &[0, 1])).await;
        assert_eq!(both.result, Ok(()));
        holds(&world, 2, V2, &pieces).await;
        assert_eq!(witness(&world, 2).await.sources, []);
    });
}

#[test]
fn a_source_that_was_raised_ends_the_copy_and_nothing_is_left() {
    simulated(async {
        let world = World::simulated(3).await;
        written(&world).await;
        for n in 0..2 {
            world.master.raise(20 + n, world.disk(n as usize), V3).await;
        }
        let done = world.master.order(10, world.disk(2), copy(&world, 2, V2, &[0, 1])).await;
        assert_eq!(done.result, Err(Status::WrongVersion));
        assert_eq!(chunk_file(&world, 2), None);
    });
}

#[test]
fn a_source_that_is_rotten_is_reported_and_another_one_is_used() {
    simulated(async {
        let world = World::simulated(3).await;
        let pieces = written(&world).await;
        let file = chunk_file(&world, 0).unwrap();
        world.sim_disk(0).dir().open(&file, OpenMode::ReadWrite).unwrap().write_at(b"rot", 200_000).unwrap();
        let only = world.master.order(10, world.disk(2), copy(&world, 2, V2, &[0])).await;
        assert!(only.result.is_err());
        assert_eq!(chunk_file(&world, 2), None, "no page of it is copied");
        until("the damage is told", || !world.master.heard().damaged.is_empty()).await;
        assert_eq!(world.master.heard().damaged, [(world.disk(0), CHUNK)]);
        let verify = OrderKind::Verify { disk: world.disk(0), chunk: CHUNK, version: V2 };
        assert!(world.master.order(11, world.disk(0), verify).await.result.is_err());
        let both = world.master.order(12, world.disk(2), copy(&world, 2, V2, &[0, 1])).await;
        assert_eq!(both.result, Ok(()));
        holds(&world, 2, V2, &pieces).await;
    });
}

#[test]
fn a_copy_replaces_a_stale_replica_and_never_a_newer_one() {
    simulated(async {
        let world = World::simulated(3).await;
        let pieces = written(&world).await;
        world.master.raise(20, world.disk(0), V3).await;
        let back = world.master.order(10, world.disk(0), copy(&world, 0, V2, &[1])).await;
        assert_eq!(back.result, Err(Status::WrongVersion));
        holds(&world, 0, V3, &pieces).await;
        let on = world.master.order(11, world.disk(1), copy(&world, 1, V3, &[0])).await;
        assert_eq!(on.result, Ok(()));
        holds(&world, 1, V3, &pieces).await;
        assert_eq!(world.sim_disk(1).dir().list("deleted").unwrap().len(), 0, "it was made the new one");
    });
}

/// Each of the two has a bad page that nobody has met, and has the other one's.
#[test]
fn a_stale_replica_with_rot_of_its_own_is_set_aside_only_for_a_source_that_has_every_page() {
    simulated(async {
        let world = World::simulated(3).await;
        let pieces = written(&world).await;
        assert_eq!(world.master.raise(20, world.disk(0), V3).await.result, Ok(()));
        let copied = world.master.order(10, world.disk(2), copy(&world, 2, V3, &[0])).await;
        assert_eq!(copied.result, Ok(()));
        let rot = |n: usize, at: u64| {
            let file = chunk_file(&world, n).unwrap();
            world.sim_disk(n).dir().open(&file, OpenMode::ReadWrite).unwrap().write_at(b"rot", at).unwrap();
        };
        rot(0, 200_000);
        rot(1, 5_000);
        let refused = world.master.order(11, world.disk(1), copy(&world, 1, V3, &[0])).await;
        assert_eq!(refused.result, Err(Status::Corrupt));
        assert_eq!(world.sim_disk(1).dir().list("deleted").unwrap().len(), 0);
        let link = world.connect(1).await;
        let page = read(&link, world.disk(1), V2, 200_000, 3).await.unwrap();
        assert_eq!(page, pieces[0].1[200_000..200_003], "it is there under its own version");
        let done = world.master.order(12, world.disk(1), copy(&world, 1, V3, &[0, 2])).await;
        assert_eq!(done.result, Ok(()));
        assert_eq!(world.sim_disk(1).dir().list("deleted").unwrap().len(), 1, "it is kept for its hold");
        holds(&world, 1, V3, &pieces).await;
    });
}

#[test]
fn of_a_stale_replica_only_the_blocks_that_differ_are_moved() {
    simulated(async {
        let world = World::simulated(3).await;
        let mut pieces = written(&world).await;
        world.master.raise(20, world.disk(0), V3).await;
        let (chain, data) = (world.chain(&[0]), pattern(9, 100));
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V3, 1, 130_000, &data), &data).await.result, Ok(()));
        pieces[0].1[130_000..130_100].copy_from_slice(&data);
        let on = world.master.order(11, world.disk(1), copy(&world, 1, V3, &[0])).await;
        assert_eq!(on.result, Ok(()));
        holds(&world, 1, V3, &pieces).await;
        let heartbeats = world.master.heard().heartbeats;
        until("all servers told", || world.master.heard().heartbeats > heartbeats + 4).await;
        let pulled = world.master.heard().pulled[&world.disk(1)];
        assert!(
            (65_536..131_072).contains(&pulled),
            "one block, and what all are compared by: {pulled} bytes"
        );
    });
}

/// The bytes are new and the record is the old one, which the stale replica has as well: it must not pass for what the source holds.
#[test]
fn a_record_that_is_older_than_its_bytes_makes_no_stale_replica_current() {
    const TABLE: u64 = types::CHUNK_BYTES;
    simulated(async {
        let mut world = World::simulated(2).await;
        written(&world).await;
        world.master.raise(20, world.disk(0), V3).await;
        let chain = world.chain(&[0]);
        let head = world.connect(0).await;
        let file = chunk_file(&world, 0).unwrap();
        let open = |world: &World| world.sim_disk(0).dir().open(&file, OpenMode::ReadWrite).unwrap();
        let mut records = vec![0; 4096];
        open(&world).read_at(&mut records, TABLE + 4096).unwrap();
        let (block, data) = (39 * types::BLOCK_BYTES, pattern(9, 65_536));
        assert_eq!(send(&head, &write_of(&chain, V3, 1, block, &data), &data).await.result, Ok(()));
        assert_eq!(flush(&head, &chain, V3, &[]).await.result, Ok(()));
        drop(head);
        // Until the log of what is not synced knows of it no longer.
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.kill(0).await;
        let mut now = vec![0; 4096];
        open(&world).read_at(&mut now, TABLE + 4096).unwrap();
        assert_ne!(records, now, "this is where the record is");
        open(&world).write_at(&records, TABLE + 4096).unwrap();
        open(&world).sync_data().unwrap();
        world.start(0).await;
        let copied = world.master.order(10, world.disk(1), copy(&world, 1, V3, &[0])).await;
        assert_eq!(copied.result, Err(Status::Corrupt));
        let link = world.connect(1).await;
        assert!(read(&link, world.disk(1), V2, block, 4096).await.is_ok(), "it stays what it was");
        assert!(read(&link, world.disk(1), V3, block, 4096).await.is_err());
    });
}

/// What the blocks of one source are compared by, as it remembers it, says nothing of the pages of another one.
#[test]
fn a_copy_from_two_sources_is_compared_by_the_bytes_that_it_holds() {
    const RECORDS: std::ops::Range<usize> = 4096..25 * 4096;
    let block = 40 << 20;
    simulated(async {
        let mut world = World::simulated(4).await;
        let mut pieces = written(&world).await;
        assert_eq!(world.master.order(10, world.disk(2), copy(&world, 2, V2, &[0])).await.result, Ok(()));
        for n in [0, 2] {
            assert_eq!(world.master.raise(20 + n, world.disk(n as usize), V3).await.result, Ok(()));
        }
        let file = chunk_file(&world, 2).unwrap();
        let open = |world: &World| world.sim_disk(2).dir().open(&file, OpenMode::ReadWrite).unwrap();
        let at = types::CHUNK_BYTES + RECORDS.start as u64;
        let mut records = vec![0; RECORDS.len()];
        open(&world).read_at(&mut records, at).unwrap();
        let (chain, data) = (world.chain(&[0, 2]), pattern(9, 65_536));
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V3, 1, block, &data), &data).await.result, Ok(()));
        assert_eq!(flush(&head, &chain, V3, &[]).await.result, Ok(()));
        drop(head);
        pieces[1] = (block, data);
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.kill(2).await;
        open(&world).write_at(&records, at).unwrap();
        open(&world).sync_data().unwrap();
        world.start(2).await;
        assert_eq!(world.master.order(11, world.disk(3), copy(&world, 3, V3, &[2, 0])).await.result, Ok(()));
        assert_eq!(world.master.order(12, world.disk(1), copy(&world, 1, V3, &[3])).await.result, Ok(()));
        holds(&world, 3, V3, &pieces).await;
        holds(&world, 1, V3, &pieces).await;
    });
}

#[test]
fn a_copy_cut_off_by_a_stop_is_reported_as_filling_and_not_read() {
    simulated(async {
        let mut world = World::simulated(3).await;
        written(&world).await;
        let (disk, what) = (world.disk(2), copy(&world, 2, V2, &[0, 1]));
        let server = world.master.heard().addresses[&disk].server;
        let link = world.master.heard().links[&server].clone();
        let order = codec::control::Order { order: 10, term: TERM, what };
        link.send(codec::control::ToServer::Order(order)).await.unwrap();
        until("its file is there", || chunk_file(&world, 2).is_some()).await;
        world.kill(2).await;
        world.start(2).await;
        let reported = world.master.heard().reports.get(&world.disk(2)).cloned().unwrap_or_default();
        assert!(reported.iter().all(|replica| !replica.flags.is_complete()), "{reported:?}");
        assert!(!world.master.heard().done.contains_key(&10));
        let link = world.connect(2).await;
        assert_eq!(read(&link, world.disk(2), V2, 0, 100).await, Err(Status::NoChunk));
        let again = world.master.order(11, world.disk(2), copy(&world, 2, V2, &[0])).await;
        assert_eq!(again.result, Ok(()));
    });
}

#[test]
fn a_replica_that_was_made_anew_answers_for_nothing_that_the_one_before_it_held() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let (chain, data) = (world.chain(&[0, 1]), pattern(1, 100));
        let head = world.connect(0).await;
        let held = verifiers(&send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.witnesses);
        // Server 1 is away while server 0 loses power, and what was not synced with it.
        world.kill(0).await;
        world.sim_disk(0).power_cut();
        world.start(0).await;
        let head = world.connect(0).await;
        let alone = world.chain(&[0]);
        let again = send(&head, &write_of(&alone, V1, 1, 0, b"less"), b"less").await;
        assert_eq!(again.result, Ok(()));
        assert_eq!(world.master.raise(20, world.disk(0), V2).await.result, Ok(()));
        assert_eq!(world.master.order(21, world.disk(1), copy(&world, 1, V2, &[0])).await.result, Ok(()));
        for restarted in [false, true] {
            if restarted {
                world.kill(1).await;
                world.start(1).await;
            }
            let tail = world.chain(&[1]);
            let flushed = flush(&world.connect(1).await, &tail, V2, &held).await;
            assert_eq!(flushed.result, Ok(()));
            let Witness { verifier, sources } = &flushed.witnesses[0];
            assert!(!held.contains(verifier), "{verifier:?} of {held:?}");
            assert!(sources.iter().all(|source| !held.contains(source)), "{sources:?} of {held:?}");
        }
    });
}
