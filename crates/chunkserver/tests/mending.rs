//! Damaged pages replaced by those of other replicas, in place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::{OrderKind, ReplicaFlags};
use common::*;
use env::{Effort, Fault, OpenMode};
use types::{BLOCK_BYTES, CHUNK_BYTES, Status, Version};

const LENGTH: usize = 3_000_000;
/// Each in another page.
const PLACES: [u64; 2] = [500_000, 2_000_000];

fn mend(world: &World, which: usize, version: Version, sources: &[usize]) -> OrderKind {
    OrderKind::Mend { disk: world.disk(which), chunk: CHUNK, version, sources: world.chain(sources) }
}

/// A chunk on two servers under a version that nobody writes.
async fn written(world: &World) -> Vec<u8> {
    let (chain, data) = (world.chain(&[0, 1]), pattern(1, LENGTH));
    let head = world.connect(0).await;
    for (n, piece) in data.chunks(1 << 20).enumerate() {
        let write = write_of(&chain, V1, n as u64 + 1, (n << 20) as u32, piece);
        assert_eq!(send(&head, &write, piece).await.result, Ok(()));
    }
    for n in 0..2 {
        assert_eq!(world.master.raise(n, world.disk(n as usize), V2).await.result, Ok(()));
    }
    data
}

fn rot(world: &World, n: usize, offset: u64) {
    let dir = world.sim_disk(n).dir();
    let path = world.sim_disk(n).paths("chunks/").into_iter().find(|path| path.len() > 20).unwrap();
    let file = dir.open(&path, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, offset).unwrap();
    file.write_at(&[byte[0] ^ 4], offset).unwrap();
}

/// Every byte of a server's replica, each page asked for alone, or where it cannot be read.
async fn read_all(world: &World, n: usize) -> Result<Vec<u8>, usize> {
    let link = world.connect(n).await;
    let mut found = Vec::new();
    while found.len() < LENGTH {
        let length = 4096.min(LENGTH - found.len());
        match read(&link, world.disk(n), V2, found.len() as u32, length as u32).await {
            Ok(page) => found.extend(page),
            Err(_) => return Err(found.len() / 4096),
        }
    }
    Ok(found)
}

#[test]
fn replicas_with_damage_in_different_places_mend_each_other() {
    simulated(async {
        let world = World::simulated(2).await;
        let data = written(&world).await;
        for (n, place) in [(0, PLACES[0]), (1, PLACES[1])] {
            rot(&world, n, place);
        }
        assert_eq!(read_all(&world, 0).await, Err(PLACES[0] as usize / 4096));
        assert_eq!(world.master.order(10, world.disk(0), mend(&world, 0, V2, &[1])).await.result, Ok(()));
        assert_eq!(read_all(&world, 0).await, Ok(data.clone()));
        assert_eq!(world.master.order(11, world.disk(1), mend(&world, 1, V2, &[0])).await.result, Ok(()));
        assert_eq!(read_all(&world, 1).await, Ok(data.clone()));
        for n in 0..2 {
            let verify = OrderKind::Verify { disk: world.disk(n), chunk: CHUNK, version: V2 };
            assert_eq!(world.master.order(20 + n as u64, world.disk(n), verify).await.result, Ok(()));
        }
    });
}

#[test]
fn a_page_that_is_sound_nowhere_stays_damaged_and_the_others_are_mended() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let data = written(&world).await;
        rot(&world, 0, PLACES[0]);
        rot(&world, 0, PLACES[1]);
        rot(&world, 1, PLACES[1] + 1);
        let done = world.master.order(10, world.disk(0), mend(&world, 0, V2, &[1])).await;
        assert_eq!(done.result, Err(Status::Corrupt));
        assert_eq!(read_all(&world, 0).await, Err(PLACES[1] as usize / 4096), "the first one is mended");
        world.kill(0).await;
        world.start(0).await;
        let flags = world.master.heard().reports[&world.disk(0)].last().unwrap().flags;
        assert!(flags.contains(ReplicaFlags::DAMAGED) && flags.is_complete(), "{flags:?}");
        let link = world.connect(0).await;
        let sound = read(&link, world.disk(0), V2, 1 << 20, 8192).await.unwrap();
        assert!(sound == data[1 << 20..(1 << 20) + 8192], "what is sound is still read");
    });
}

#[test]
fn nothing_is_mended_of_or_from_another_version() {
    simulated(async {
        let world = World::simulated(2).await;
        written(&world).await;
        rot(&world, 0, PLACES[0]);
        let v3 = Version { counter: 3, ..V2 };
        let done = world.master.order(10, world.disk(0), mend(&world, 0, v3, &[1])).await;
        assert_eq!(done.result, Err(Status::WrongVersion));
        world.master.raise(20, world.disk(1), v3).await;
        let done = world.master.order(11, world.disk(0), mend(&world, 0, V2, &[1])).await;
        assert_eq!(done.result, Err(Status::WrongVersion));
        assert_eq!(read_all(&world, 0).await, Err(PLACES[0] as usize / 4096));
    });
}

/// It has the very page, with the checksum that is on record in the damaged one. That does not prove that nobody wrote it since.
#[test]
fn a_replica_of_a_lower_version_is_no_source_whatever_is_on_record() {
    simulated(async {
        let world = World::simulated(2).await;
        written(&world).await;
        let v3 = Version { counter: 3, ..V2 };
        assert_eq!(world.master.raise(20, world.disk(0), v3).await.result, Ok(()));
        rot(&world, 0, PLACES[0]);
        let done = world.master.order(30, world.disk(0), mend(&world, 0, v3, &[1])).await;
        assert!(done.result.is_err());
        let link = world.connect(0).await;
        let page = PLACES[0] as u32 / 4096 * 4096;
        assert_eq!(read(&link, world.disk(0), v3, page, 4096).await.unwrap_err(), Status::Corrupt);
    });
}

#[test]
fn damage_after_a_mending_is_told_again_although_the_version_is_the_same() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let data = written(&world).await;
        let told = |world: &World| {
            world.master.heard().damaged.iter().filter(|(disk, _)| *disk == world.disk(0)).count()
        };
        world.sim_disk(0).set_resident(false);
        for round in 1..=2 {
            rot(&world, 0, PLACES[0]);
            let link = world.connect(0).await;
            let found = read(&link, world.disk(0), V2, PLACES[0] as u32, 100).await;
            assert_eq!(found, Err(Status::Corrupt));
            until("the damage is told", || told(&world) == round).await;
            let order = mend(&world, 0, V2, &[1]);
            assert_eq!(world.master.order(10 + round as u64, world.disk(0), order).await.result, Ok(()));
        }
        world.sim_disk(0).set_resident(true);
        assert_eq!(read_all(&world, 0).await, Ok(data));
        world.kill(0).await;
    });
}

/// The sector is worn out: what is written to it is lost. Another replica, with rot of its own, needs the other pages.
#[test]
fn a_replica_whose_disk_loses_what_was_to_mend_it_is_still_a_source() {
    simulated(async {
        let world = World::simulated(2).await;
        let data = written(&world).await;
        for (n, place) in [(0, PLACES[0]), (1, PLACES[1])] {
            rot(&world, n, place);
        }
        let fault = Fault { path: "chunks".to_owned(), effort: Effort::Sync, skip: 0, count: 1 };
        world.sim_disk(0).inject(fault);
        for number in [10, 11] {
            let done = world.master.order(number, world.disk(0), mend(&world, 0, V2, &[1])).await;
            assert_eq!(done.result, Err(Status::Io), "also when it shows them in its memory");
        }
        assert_eq!(world.master.order(12, world.disk(1), mend(&world, 1, V2, &[0])).await.result, Ok(()));
        assert_eq!(read_all(&world, 1).await, Ok(data));
    });
}

#[test]
fn a_part_of_the_record_table_that_cannot_be_read_keeps_no_other_page_from_being_mended() {
    simulated(async {
        let mut world = World::simulated(2).await;
        written(&world).await;
        world.kill(0).await;
        world.start(0).await;
        rot(&world, 0, PLACES[0]);
        let path = world.sim_disk(0).paths("chunks/").into_iter().find(|path| path.len() > 20).unwrap();
        // The checksums of what begins with block 31.
        world.sim_disk(0).spoil(&path, CHUNK_BYTES + 4096).unwrap();
        world.kill(0).await;
        world.start(0).await;
        let done = world.master.order(10, world.disk(0), mend(&world, 0, V2, &[1])).await;
        assert_eq!(done.result, Err(Status::Io));
        let without = 31 * BLOCK_BYTES as usize / 4096;
        assert_eq!(read_all(&world, 0).await, Err(without), "all before it is sound");
        world.sim_disk(0).unspoil();
        assert_eq!(world.master.order(11, world.disk(0), mend(&world, 0, V2, &[1])).await.result, Ok(()));
    });
}
