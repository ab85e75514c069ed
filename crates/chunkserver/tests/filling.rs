//! A replica that is made while its chunk is written: what it holds, who counts on it, and what goes wrong on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::{OrderDone, OrderKind};
use common::*;
use env::OpenMode;
use link::Link;
use std::cell::{Cell, RefCell};
use std::time::Duration;
use types::{ReplicaAddress, Status, Version, Witness};
use wire::message::{Write, WriteAnswer};

const V3: Version = Version { term: TERM, counter: 3 };
/// What the tests write and compare: the end of the chunk, which is filled last.
const BYTES: usize = 1 << 20;
const BASE: u32 = (64 << 20) - BYTES as u32;

/// Writes without a pause, and remembers what it wrote.
struct Writer {
    link: Link,
    chain: Vec<ReplicaAddress>,
    version: Version,
    last: Cell<u64>,
    model: RefCell<Vec<u8>>,
}

impl Writer {
    async fn new(world: &World, members: &[usize], version: Version) -> Self {
        let chain = world.chain(members);
        let model = RefCell::new(vec![0; BYTES]);
        Self { link: world.connect(members[0]).await, chain, version, last: Cell::new(0), model }
    }

    /// The next write: anywhere, a few bytes or more than a block.
    async fn write(&self) -> WriteAnswer {
        let number = self.last.get() + 1;
        self.last.set(number);
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize;
        let length = if mixed & 7 == 0 { 100_000 } else { 1 + (mixed >> 8) % 9_000 };
        let offset = (mixed >> 24) % (BYTES - length);
        let data = pattern(number, length);
        self.model.borrow_mut()[offset..offset + length].copy_from_slice(&data);
        let write = write_of(&self.chain, self.version, number, BASE + offset as u32, &data);
        send(
            &self.link,
            &Write { create: self.version == V1, answered_below: number.saturating_sub(8), ..write },
            &data,
        )
        .await
    }

    async fn write_well(&self, count: usize) {
        for _ in 0..count {
            assert_eq!(self.write().await.result, Ok(()));
        }
    }

    async fn check(&self, world: &World, n: usize) {
        let link = world.connect(n).await;
        let found = read(&link, world.disk(n), self.version, BASE, (BYTES / 2) as u32).await.unwrap();
        assert!(found == self.model.borrow()[..BYTES / 2], "server {n} differs in the first half");
        let found =
            read(&link, world.disk(n), self.version, BASE + (BYTES / 2) as u32, (BYTES / 2) as u32).await;
        assert!(found.unwrap() == self.model.borrow()[BYTES / 2..], "server {n} differs in the second half");
    }
}

/// A chunk on servers 0 and 1 that was written at version 1 and raised to 2, and its writer under version 2.
async fn raised(world: &World) -> Writer {
    let mut writer = Writer::new(world, &[0, 1], V1).await;
    writer.write_well(40).await;
    for n in 0..2 {
        assert_eq!(world.master.raise(n, world.disk(n as usize), V2).await.result, Ok(()));
    }
    (writer.version, writer.chain) = (V2, world.chain(&[0, 1, 2]));
    writer.last.set(1_000);
    writer
}

async fn begin(world: &World, n: usize, version: Version) -> OrderDone {
    let what = OrderKind::Fill { disk: world.disk(n), chunk: CHUNK, version };
    world.master.order(50, world.disk(n), what).await
}

async fn feed(world: &World, n: usize, version: Version, sources: &[usize]) -> OrderDone {
    let sources = world.chain(sources);
    let what = OrderKind::Feed { disk: world.disk(n), chunk: CHUNK, version, sources };
    world.master.order(60, world.disk(n), what).await
}

#[test]
fn a_replica_is_filled_while_its_chunk_is_written_and_is_a_member_like_any_other_then() {
    filled_while_written(None);
}

#[test]
fn a_piece_that_comes_late_does_not_undo_what_was_written_meanwhile() {
    filled_while_written(Some(("cs0", "cs2")));
}

#[test]
fn a_piece_that_is_ahead_of_the_writes_is_not_taken_for_all() {
    filled_while_written(Some(("cs1", "cs2")));
}

/// `slow`: whose messages to whom take their time.
fn filled_while_written(slow: Option<(&str, &str)>) {
    simulated(async {
        let mut world = World::simulated(3).await;
        if let (Some(sim), Some((from, to))) = (&world.sim, slow) {
            sim.net().set_delay(from, to, Duration::from_millis(5), Duration::ZERO);
        }
        let writer = raised(&world).await;
        assert_eq!(begin(&world, 2, V2).await.result, Ok(()));
        let (disk, ended) = (world.disk(2), Cell::new(false));
        let writing = async {
            while !ended.get() {
                let told =
                    world.master.heard().born.iter().any(|born| (born.disk, born.version) == (disk, V2));
                let (one, two, three, answer) =
                    tokio::join!(writer.write(), writer.write(), writer.write(), writer.write());
                assert!([one, two, three].iter().all(|one| one.result.is_ok()));
                assert_eq!(answer.result, Ok(()));
                let named = answer.witnesses.iter().any(|witness| witness.verifier.disk == disk);
                assert!(named || !told, "complete, and nobody may count on it");
            }
        };
        let feeding = async {
            assert_eq!(feed(&world, 2, V2, &[0, 1]).await.result, Ok(()));
            ended.set(true);
        };
        tokio::join!(writing, feeding);
        let during = writer.last.get() - 1_000;
        assert!(during > 100, "only {during} writes came while it was filled");
        writer.write_well(10).await;
        for n in 0..3 {
            writer.check(&world, n).await;
        }
        let verify = OrderKind::Verify { disk, chunk: CHUNK, version: V2 };
        assert_eq!(world.master.order(70, disk, verify).await.result, Ok(()));
        assert_eq!(begin(&world, 2, V2).await.result, Ok(()), "a late repeat disturbs nobody");
        writer.write_well(10).await;
        // What it was filled with is on stable storage, and it is raised like any other.
        let synced = flush(&writer.link, &writer.chain, V2, &[]).await;
        assert_eq!(synced.result, Ok(()));
        let own = verifiers(&synced.witnesses);
        // It answers for the member that it was filled from, also when that one is gone.
        let alone = flush(&world.connect(2).await, &world.chain(&[2]), V2, &own[..2]).await;
        let expected = Witness { verifier: own[2], sources: vec![own[0]] };
        assert_eq!((alone.result, alone.witnesses), (Ok(()), vec![expected]));
        world.kill(2).await;
        world.sim_disk(2).power_cut();
        world.start(2).await;
        writer.check(&world, 2).await;
        assert_eq!(world.master.raise(80, disk, V3).await.result, Ok(()));
    });
}

#[test]
fn nobody_counts_on_a_replica_that_is_being_filled_nor_reads_nor_raises_it() {
    simulated(async {
        let world = World::simulated(3).await;
        let writer = raised(&world).await;
        assert_eq!(begin(&world, 2, V2).await.result, Ok(()));
        let answer = writer.write().await;
        assert_eq!((answer.result, answer.witnesses.len()), (Ok(()), 2));
        assert_eq!(begin(&world, 2, V2).await.result, Ok(()), "the order may arrive twice");
        writer.write_well(3).await;
        let link = world.connect(2).await;
        assert_eq!(read(&link, world.disk(2), V2, 0, 100).await, Err(Status::NoChunk));
        let verify = OrderKind::Verify { disk: world.disk(2), chunk: CHUNK, version: V2 };
        assert!(world.master.order(70, world.disk(2), verify).await.result.is_err());
        assert!(world.master.raise(80, world.disk(2), V3).await.result.is_err());
    });
}

#[test]
fn a_replica_that_was_being_filled_when_its_server_stopped_is_begun_anew() {
    simulated(async {
        let mut world = World::simulated(3).await;
        let mut writer = raised(&world).await;
        begin(&world, 2, V2).await;
        writer.write_well(20).await;
        world.kill(2).await;
        world.start(2).await;
        let reported = world.master.heard().reports[&world.disk(2)].clone();
        assert!(reported.iter().all(|replica| !replica.flags.is_complete()), "{reported:?}");
        let refused = writer.write().await;
        assert_eq!(refused.failed.map(|edge| edge.to), Some(world.disk(2)));
        assert!(feed(&world, 2, V2, &[0]).await.result.is_err(), "it missed what came meanwhile");
        for n in 0..2 {
            assert_eq!(world.master.raise(20 + n, world.disk(n as usize), V3).await.result, Ok(()));
        }
        assert_eq!(begin(&world, 2, V3).await.result, Ok(()));
        writer.version = V3;
        writer.write_well(5).await;
        let done = async { assert_eq!(feed(&world, 2, V3, &[0, 1]).await.result, Ok(())) };
        tokio::join!(done, writer.write_well(30));
        writer.check(&world, 2).await;
    });
}

#[test]
fn a_replica_is_begun_right_after_a_copy_of_the_chunk_was_overtaken() {
    simulated(async {
        let world = World::simulated(3).await;
        let writer = raised(&world).await;
        let (disk, sources) = (world.disk(2), world.chain(&[0]));
        // The source hangs in the middle of the copy.
        let sim = world.sim.as_ref().unwrap();
        sim.net().set_delay("cs0", "cs2", Duration::from_millis(20), Duration::ZERO);
        let copy = OrderKind::Copy { disk, chunk: CHUNK, version: V1, sources };
        let overtaken = async {
            assert_eq!(world.master.order(10, disk, copy).await.result, Err(Status::WrongVersion));
        };
        let begun = async {
            until("the copy is under way", || !world.sim_disk(2).paths("chunks/").is_empty()).await;
            assert_eq!(begin(&world, 2, V2).await.result, Ok(()));
        };
        tokio::join!(overtaken, begun);
        assert_eq!(writer.write().await.result, Ok(()));
        assert_eq!(feed(&world, 2, V2, &[1]).await.result, Ok(()));
    });
}

#[test]
fn a_source_with_rot_costs_the_writer_nothing_and_another_one_is_used() {
    simulated(async {
        let world = World::simulated(3).await;
        let writer = raised(&world).await;
        begin(&world, 2, V2).await;
        let (dir, path) = (world.sim_disk(0).dir(), world.sim_disk(0).paths("chunks/").pop().unwrap());
        let good = pattern(3, 4_096);
        let write = write_of(&writer.chain, V2, 1, 491_520, &good);
        assert_eq!(send(&writer.link, &write, &good).await.result, Ok(()));
        dir.open(&path, OpenMode::ReadWrite).unwrap().write_at(b"rot", 492_000).unwrap();
        let failed = async { assert!(feed(&world, 2, V2, &[0]).await.result.is_err()) };
        let elsewhere = async {
            for number in 2..200 {
                let data = pattern(number, 4_096);
                let write = write_of(&writer.chain, V2, number, 4_096 * (number as u32 % 8), &data);
                assert_eq!(send(&writer.link, &write, &data).await.result, Ok(()));
            }
        };
        tokio::join!(failed, elsewhere);
        assert_eq!(feed(&world, 2, V2, &[0, 1]).await.result, Ok(()));
        let link = world.connect(2).await;
        let found = read(&link, world.disk(2), V2, 491_520, 4_096).await.unwrap();
        assert!(found == good);
    });
}

#[test]
fn a_raise_of_the_others_ends_the_filling() {
    simulated(async {
        let world = World::simulated(3).await;
        let writer = raised(&world).await;
        begin(&world, 2, V2).await;
        writer.write_well(3).await;
        for n in 0..2 {
            world.master.raise(20 + n, world.disk(n as usize), V3).await;
        }
        assert_eq!(feed(&world, 2, V2, &[0, 1]).await.result, Err(Status::WrongVersion));
        let link = world.connect(2).await;
        assert_eq!(read(&link, world.disk(2), V2, 0, 100).await, Err(Status::NoChunk));
    });
}
