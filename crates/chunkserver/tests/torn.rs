//! Pages that do not match their checksums after a kill are taken from another replica, page by page.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::OrderKind;
use common::*;
use env::OpenMode;
use types::{BlockRange, Memory, PAGE_BYTES, Status, Version};

const LENGTH: usize = 300_000;
const PAGE: usize = PAGE_BYTES as usize;

/// A chunk on two servers that were killed a moment after it was written; then these pages of each rot.
async fn killed(world: &mut World, pages: [&[usize]; 2]) -> Vec<u8> {
    let (chain, data) = (world.chain(&[0, 1]), pattern(1, LENGTH));
    let head = world.connect(0).await;
    assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
    drop(head);
    for (n, pages) in pages.into_iter().enumerate() {
        world.kill(n).await;
        for page in pages {
            rot(world, n, *page, 4 << n);
        }
    }
    for n in 0..2 {
        world.start(n).await;
    }
    data
}

fn rot(world: &World, n: usize, page: usize, bits: u8) {
    let dir = world.sim_disk(n).dir();
    let path = world.sim_disk(n).paths("chunks/").into_iter().find(|path| path.len() > 20).unwrap();
    let file = dir.open(&path, OpenMode::ReadWrite).unwrap();
    let (mut byte, at) = ([0], (page * PAGE + 77) as u64);
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ bits], at).unwrap();
}

async fn raised(world: &World, order: u64, version: Version) {
    raised_by(world, order, version, &[Memory::Torn, Memory::Torn]).await;
}

async fn raised_by(world: &World, order: u64, version: Version, memories: &[Memory]) {
    for (n, memory) in memories.iter().enumerate() {
        let done = world.master.raise(order + n as u64, world.disk(n), version).await;
        assert_eq!((done.result, done.unsettled.memory), (Ok(()), *memory));
    }
}

/// The order to the first server, if the second one may be followed, or has lost power.
fn mend_torn(world: &World, version: Version, power_lost: bool) -> OrderKind {
    let (sources, doubted) = if power_lost { (vec![], vec![1]) } else { (vec![1], vec![]) };
    let (sources, doubted) = (world.chain(&sources), world.chain(&doubted));
    OrderKind::MendTorn { disk: world.disk(0), chunk: CHUNK, version, sources, doubted }
}

/// What a master orders when both have the version: the first is mended, the other follows it.
async fn settle(world: &World, order: u64, version: Version) {
    let first = mend_torn(world, version, false);
    assert_eq!(world.master.order(order, world.disk(0), first).await.result, Ok(()));
    for (order, n, source) in [(order + 1, 1, Some(0)), (order + 2, 0, None)] {
        let source = source.map(|source: usize| world.chain(&[source]).remove(0));
        let blocks = vec![BlockRange::ALL];
        let what = OrderKind::Repair { disk: world.disk(n), chunk: CHUNK, version, source, blocks };
        assert_eq!(world.master.order(order, world.disk(n), what).await.result, Ok(()));
    }
}

async fn read_all(world: &World, n: usize, version: Version) -> Vec<u8> {
    read(&world.connect(n).await, world.disk(n), version, 0, LENGTH as u32).await.unwrap()
}

#[test]
fn pages_that_are_torn_in_different_places_are_all_had_again() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let data = killed(&mut world, [&[3, 40], &[7, 41]]).await;
        for (n, page) in [(0, 3), (1, 7)] {
            let torn = read(&world.connect(n).await, world.disk(n), V1, page * PAGE_BYTES, 10).await;
            assert_eq!(torn, Err(Status::TryAgain), "it is waited for, and neither read nor called damaged");
        }
        raised(&world, 1, V2).await;
        settle(&world, 10, V2).await;
        for n in 0..2 {
            assert!(read_all(&world, n, V2).await == data, "server {n}");
            let verify = OrderKind::Verify { disk: world.disk(n), chunk: CHUNK, version: V2 };
            assert_eq!(world.master.order(20 + n as u64, world.disk(n), verify).await.result, Ok(()));
        }
        assert_eq!(world.master.heard().damaged, []);
    });
}

#[test]
fn a_page_that_is_torn_everywhere_keeps_the_bytes_of_the_first_and_the_others_follow() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let mut data = killed(&mut world, [&[3, 9], &[9]]).await;
        raised(&world, 1, V2).await;
        settle(&world, 10, V2).await;
        data[9 * PAGE + 77] ^= 4;
        for n in 0..2 {
            assert!(read_all(&world, n, V2).await == data, "server {n}");
        }
    });
}

/// A second write of whole pages, 7 and 8, that only the first server has; then pages 7 and 3 of it rot.
#[test]
fn of_a_server_that_lost_power_a_page_is_taken_if_it_is_the_one_on_record() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let (chain, mut data) = (world.chain(&[0, 1]), pattern(1, LENGTH));
        let newer = pattern(2, 2 * PAGE);
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        fail_next_write(&world, 1);
        let write = write_of(&chain, V1, 2, 7 * PAGE_BYTES, &newer);
        assert_eq!(send(&head, &write, &newer).await.result, Err(Status::Io));
        drop(head);
        for n in 0..2 {
            world.kill(n).await;
        }
        for page in [3, 7] {
            rot(&world, 0, page, 4);
        }
        for n in 0..2 {
            world.start(n).await;
        }
        raised_by(&world, 1, V2, &[Memory::Torn, Memory::Marked]).await;
        let order = mend_torn(&world, V2, true);
        assert_eq!(world.master.order(10, world.disk(0), order).await.result, Ok(()));
        data[7 * PAGE..9 * PAGE].copy_from_slice(&newer);
        data[7 * PAGE + 77] ^= 4;
        assert!(
            read_all(&world, 0, V2).await == data,
            "an older page is not taken, and one that is equal is"
        );
    });
}

#[test]
fn a_server_that_lost_power_is_asked_before_a_torn_page_is_kept() {
    simulated(async {
        let mut world = World::simulated(2).await;
        killed(&mut world, [&[3], &[]]).await;
        raised_by(&world, 1, V2, &[Memory::Torn, Memory::Marked]).await;
        let order = mend_torn(&world, V2, true);
        world.kill(1).await;
        assert_eq!(world.master.order(10, world.disk(0), order).await.result, Err(Status::ChainBroken));
    });
}

#[test]
fn no_torn_page_is_kept_before_every_source_was_asked_also_after_another_kill() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let data = killed(&mut world, [&[3], &[7]]).await;
        raised(&world, 1, V2).await;
        let order = mend_torn(&world, V2, false);
        world.kill(1).await;
        let done = world.master.order(10, world.disk(0), order).await;
        assert_eq!(done.result, Err(Status::ChainBroken));
        world.kill(0).await;
        for n in 0..2 {
            world.start(n).await;
        }
        let v3 = Version { counter: 3, ..V2 };
        raised(&world, 20, v3).await;
        settle(&world, 30, v3).await;
        for n in 0..2 {
            assert!(read_all(&world, n, v3).await == data, "server {n}");
        }
    });
}

#[test]
fn of_a_version_that_nobody_writes_torn_pages_are_mended_like_others() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let data = killed(&mut world, [&[3], &[]]).await;
        for n in 0..2 {
            assert_eq!(world.master.raise(n, world.disk(n as usize), V2).await.result, Ok(()));
        }
        let mend =
            OrderKind::Mend { disk: world.disk(0), chunk: CHUNK, version: V2, sources: world.chain(&[1]) };
        assert_eq!(world.master.order(10, world.disk(0), mend).await.result, Ok(()));
        assert!(read_all(&world, 0, V2).await == data);
        let verify = OrderKind::Verify { disk: world.disk(0), chunk: CHUNK, version: V2 };
        assert_eq!(world.master.order(11, world.disk(0), verify).await.result, Ok(()));
    });
}
