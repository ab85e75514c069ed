//! Members of a chain that may differ are told of, and made equal.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::OrderKind;
use common::*;
use env::{OpenMode, SimDisk};
use std::time::Duration;
use types::{BlockRange, Memory, Status, Version};

const BLOCK: u32 = types::BLOCK_BYTES;

/// A write that the first of two members applied and the second did not.
async fn broken(world: &World) -> (Vec<u8>, Vec<u8>) {
    let chain = world.chain(&[0, 1]);
    let head = world.connect(0).await;
    let (old, new) = (pattern(1, 200_000), pattern(2, 5_000));
    assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &old), &old).await.result, Ok(()));
    fail_next_write(world, 1);
    let answer = send(&head, &write_of(&chain, V1, 2, BLOCK + 100, &new), &new).await;
    assert_eq!(answer.result, Err(Status::Io));
    let mut expected = old.clone();
    expected[BLOCK as usize + 100..][..new.len()].copy_from_slice(&new);
    (old, expected)
}

fn repair(world: &World, n: usize, version: Version, source: Option<usize>) -> OrderKind {
    OrderKind::Repair {
        disk: world.disk(n),
        chunk: CHUNK,
        version,
        source: source.map(|source| world.chain(&[source]).remove(0)),
        blocks: vec![BlockRange::ALL],
    }
}

fn rot(world: &World, n: usize, page: u64) {
    let dir = world.sim_disk(n).dir();
    let path = world.sim_disk(n).paths("chunks/").into_iter().find(|path| path.len() > 20).unwrap();
    let file = dir.open(&path, OpenMode::ReadWrite).unwrap();
    let (mut byte, at) = ([0], page * u64::from(types::PAGE_BYTES) + 77);
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 8], at).unwrap();
}

#[test]
fn a_chain_that_failed_half_way_is_told_without_a_question_and_also_after_a_restart() {
    simulated(async {
        let mut world = World::simulated(2).await;
        broken(&world).await;
        let told = (world.disk(0), V1);
        until("the master hears of it", || world.master.heard().unsettled.contains(&told)).await;
        assert_eq!(world.master.heard().unsettled, [told], "told once, by who has more");
        world.kill(0).await;
        world.start(0).await;
        let reported = world.master.heard().reports[&world.disk(0)].clone();
        assert!(reported.iter().any(|one| one.flags.contains(codec::control::ReplicaFlags::MARKED)));
        let done = world.master.raise(1, world.disk(0), V2).await;
        assert_eq!((done.result, done.unsettled.memory), (Ok(()), Memory::Marked));
    });
}

#[test]
fn a_member_behind_tells_when_the_one_before_it_is_gone() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let chain = world.chain(&[0, 1]);
        let data = pattern(1, 100);
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        assert_eq!(world.master.heard().unsettled, []);
        world.kill(0).await;
        let told = (world.disk(1), V1);
        until("the master hears of it", || world.master.heard().unsettled.contains(&told)).await;
        let done = world.master.raise(1, world.disk(1), V2).await;
        assert!(done.unsettled.failed, "it lost the one before it");
    });
}

#[test]
fn a_repair_moves_what_differs_and_both_forget_that_they_did() {
    simulated(async {
        let world = World::simulated(2).await;
        let (old, new) = broken(&world).await;
        for n in 0..2 {
            let done = world.master.raise(n, world.disk(n as usize), V2).await;
            assert_eq!(done.result, Ok(()));
            let touched = if n == 0 { vec![BlockRange { first: 1, count: 1 }] } else { Vec::new() };
            assert_eq!((done.unsettled.touched, done.unsettled.memory), (touched, Memory::Kept));
        }
        let length = old.len() as u32;
        assert!(read(&world.connect(1).await, world.disk(1), V2, 0, length).await.unwrap() == old);
        let other = world.master.order(5, world.disk(1), repair(&world, 1, V1, Some(0))).await;
        assert_eq!(other.result, Err(Status::WrongVersion));
        for (order, n, source) in [(6, 1, Some(0)), (7, 0, None)] {
            let done = world.master.order(order, world.disk(n), repair(&world, n, V2, source)).await;
            assert_eq!(done.result, Ok(()));
        }
        for n in 0..2 {
            let found = read(&world.connect(n).await, world.disk(n), V2, 0, length).await.unwrap();
            assert!(found == new, "server {n}");
            let v3 = Version { counter: 3, ..V2 };
            let done = world.master.raise(10 + n as u64, world.disk(n), v3).await;
            assert_eq!(done.unsettled.touched, [], "there is nothing left to settle");
            assert!(!done.unsettled.failed, "nor to judge");
        }
    });
}

/// What it acknowledged before may not be in what it took from the source.
#[test]
fn a_member_that_was_changed_answers_under_another_verifier_and_for_its_source_and_an_equal_one_as_before() {
    simulated(async {
        let world = World::simulated(2).await;
        broken(&world).await;
        let mut seen = Vec::new();
        for (first, version) in [(10, V2), (20, Version { counter: 3, ..V2 })] {
            for (order, n) in [(first, 0), (first + 1, 1)] {
                assert_eq!(world.master.raise(order, world.disk(n), version).await.result, Ok(()));
            }
            let before = flush(&world.connect(0).await, &world.chain(&[0, 1]), version, &[]).await;
            let order = repair(&world, 1, version, Some(0));
            assert_eq!(world.master.order(first + 2, world.disk(1), order).await.result, Ok(()));
            let after = flush(&world.connect(0).await, &world.chain(&[0, 1]), version, &[]).await;
            assert_eq!((before.result, after.result), (Ok(()), Ok(())));
            seen.extend([before.witnesses, after.witnesses]);
        }
        let [first, changed, raised, equal] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(first[0], changed[0], "the source is the same");
        assert_ne!(first[1].verifier, changed[1].verifier);
        assert_eq!(changed[1].sources, [first[0].verifier]);
        assert_eq!((raised, equal), (changed, changed), "nothing differed the second time");
    });
}

#[test]
fn a_hole_of_the_source_is_a_hole_afterwards() {
    simulated(async {
        let world = World::simulated(2).await;
        let (chain, data) = (world.chain(&[1]), pattern(3, 3 * BLOCK as usize));
        let tail = world.connect(1).await;
        assert_eq!(send(&tail, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        let (chain, less) = (world.chain(&[0]), pattern(4, 100));
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 1, 2 * BLOCK, &less), &less).await.result, Ok(()));
        let done = world.master.order(6, world.disk(1), repair(&world, 1, V1, Some(0))).await;
        assert_eq!(done.result, Ok(()));
        let found = read(&tail, world.disk(1), V1, 0, 3 * BLOCK).await.unwrap();
        let mut expected = vec![0; 3 * BLOCK as usize];
        expected[2 * BLOCK as usize..][..100].copy_from_slice(&less);
        assert!(found == expected);
    });
}

/// The source has nothing better; it takes the page from the follower later.
#[test]
fn a_page_that_rotted_at_the_source_stays_as_it_is_at_the_follower() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let (chain, data) = (world.chain(&[0, 1]), pattern(1, 300_000));
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        drop(head);
        // Synced long ago: what does not match now has rotted.
        for n in 0..2 {
            assert_eq!(world.master.raise(1 + n as u64, world.disk(n), V2).await.result, Ok(()));
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        for n in 0..2 {
            world.kill(n).await;
        }
        for (n, page) in [(0, 3), (0, 40), (1, 20)] {
            rot(&world, n, page);
        }
        for n in 0..2 {
            world.start(n).await;
        }
        let v3 = Version { counter: 3, ..V2 };
        for n in 0..2 {
            let done = world.master.raise(3 + n as u64, world.disk(n), v3).await;
            assert_eq!((done.result, done.unsettled.memory), (Ok(()), Memory::Forgot));
        }
        let done = world.master.order(5, world.disk(1), repair(&world, 1, v3, Some(0))).await;
        assert_eq!(done.result, Ok(()));
        let follower = world.connect(1).await;
        assert!(read(&follower, world.disk(1), v3, 0, data.len() as u32).await.unwrap() == data);
    });
}

/// What is on a server that lost power may be older than what rotted at the source: the checksum on record tells.
#[test]
fn a_follower_that_lost_power_keeps_a_page_only_if_it_is_the_one_that_rotted_at_the_source() {
    for older in [false, true] {
        simulated(async move {
            let mut world = World::simulated(2).await;
            let (chain, data) = (world.chain(&[0, 1]), pattern(1, 300_000));
            let head = world.connect(0).await;
            let durable = |write| wire::message::Write { durable: true, ..write };
            let write = durable(write_of(&chain, V1, 1, 0, &data));
            assert_eq!(send(&head, &write, &data).await.result, Ok(()));
            if older {
                let newer = pattern(2, types::PAGE_BYTES as usize);
                let write = write_of(&chain, V1, 2, 3 * types::PAGE_BYTES, &newer);
                fail_next_write(&world, 1);
                assert_eq!(send(&head, &write, &newer).await.result, Err(Status::Io));
                // Which makes all that it has durable.
                assert_eq!(world.master.raise(1, world.disk(0), V2).await.result, Ok(()));
            }
            drop(head);
            for n in 0..2 {
                world.kill(n).await;
            }
            world.sim_disk(1).power_cut();
            rot(&world, 0, 3);
            let v3 = Version { counter: 3, ..V2 };
            for (n, memory) in [(0, Memory::Marked), (1, Memory::PowerLost)] {
                world.start(n).await;
                for (order, version) in [(2, V2), (4, v3)] {
                    let done = world.master.raise(order + n as u64, world.disk(n), version).await;
                    assert_eq!((done.result, done.unsettled.memory), (Ok(()), memory));
                }
            }
            let done = world.master.order(6, world.disk(1), repair(&world, 1, v3, Some(0))).await;
            assert_eq!(done.result, if older { Err(Status::ChainBroken) } else { Ok(()) });
            if !older {
                let follower = world.connect(1).await;
                assert!(read(&follower, world.disk(1), v3, 0, data.len() as u32).await.unwrap() == data);
            }
        });
    }
}

/// The table page was not changed lately, so that nobody looked at it when its server returned.
#[test]
fn a_record_table_that_rotted_at_the_source_leaves_no_sound_follower_behind() {
    for at in (1024..4096).step_by(307) {
        unsound_source(
            move |disk, path| disk.flip_bit(path, types::CHUNK_BYTES + at, (at % 8) as u32).unwrap(),
            |_, _| {},
        );
    }
}

#[test]
fn record_tables_that_rotted_on_both_leave_no_sound_page_behind() {
    for at in (1024..4096).step_by(307) {
        let rot = move |by| {
            move |disk: &SimDisk, path: &str| disk.flip_bit(path, types::CHUNK_BYTES + at + by, 3).unwrap()
        };
        unsound_source(rot(0), rot(if at < 3900 { 100 } else { 0 }));
    }
}

/// Data and record tables, of the region that was changed lately and of the other one.
#[test]
fn a_page_that_the_source_cannot_read_leaves_no_sound_follower_behind() {
    let data = [0, 4096 * 73, 8 << 20, (8 << 20) + 4096 * 73];
    let tables = (1..8).map(|page| types::CHUNK_BYTES + page * 4096);
    for at in data.into_iter().chain(tables) {
        unsound_source(move |disk, path| disk.spoil(path, at).unwrap(), |_, _| {});
    }
}

/// Two replicas with all synced, then both servers are killed, one of them loses power, and the disks are damaged: the
/// follower is made equal and has all.
fn unsound_source(source: impl Fn(&SimDisk, &str) + 'static, follower: impl Fn(&SimDisk, &str) + 'static) {
    simulated(async move {
        let mut world = World::simulated(2).await;
        let (chain, data) = (world.chain(&[0, 1]), pattern(1, 300_000));
        let durable = |write| wire::message::Write { durable: true, ..write };
        let head = world.connect(0).await;
        let write = durable(write_of(&chain, V1, 1, 0, &data));
        assert_eq!(send(&head, &write, &data).await.result, Ok(()));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let write = durable(write_of(&chain, V1, 2, 8 << 20, &data));
        assert_eq!(send(&head, &write, &data).await.result, Ok(()));
        drop(head);
        for n in 0..2 {
            world.kill(n).await;
        }
        world.sim_disk(1).power_cut();
        let path = world.sim_disk(0).paths("chunks/").into_iter().find(|path| path.len() > 20).unwrap();
        source(world.sim_disk(0), &path);
        follower(world.sim_disk(1), &path);
        for (n, memory) in [(0, Memory::Marked), (1, Memory::PowerLost)] {
            world.start(n).await;
            let done = world.master.raise(1 + n as u64, world.disk(n), V2).await;
            assert_eq!((done.result, done.unsettled.memory), (Ok(()), memory));
        }
        let done = world.master.order(6, world.disk(1), repair(&world, 1, V2, Some(0))).await;
        assert_eq!(done.result, Ok(()));
        let follower = world.connect(1).await;
        for offset in [0, 8 << 20] {
            let found = read(&follower, world.disk(1), V2, offset, data.len() as u32).await.unwrap();
            assert!(found == data);
        }
    });
}
