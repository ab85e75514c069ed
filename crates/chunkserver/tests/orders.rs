//! Terms, orders, disks that are blank, foreign, damaged or hung, and connections that speak nonsense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::{Cut, OrderKind, ReplicaFlags};
use common::*;
use env::{Env, OpenMode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{BlockRange, ChunkId, Status, Term, Version};
use wire::message::{FailedEdge, Write};

const V3: Version = Version { term: TERM, counter: 3 };

#[test]
fn a_raise_shuts_out_the_old_version_and_admits_the_new_one() {
    simulated(async {
        let world = World::simulated(2).await;
        let chain = world.chain(&[0, 1]);
        let head = world.connect(0).await;
        let (old, new) = (pattern(1, 300), pattern(2, 300));
        send(&head, &write_of(&chain, V1, 1, 0, &old), &old).await;
        for n in 0..2 {
            assert_eq!(world.master.raise(n, world.disk(n as usize), V2).await.result, Ok(()));
        }
        let late = send(&head, &write_of(&chain, V1, 2, 0, &new), &new).await;
        assert_eq!(late.result, Err(Status::WrongVersion));
        assert_eq!(read(&head, world.disk(0), V1, 0, 300).await, Err(Status::WrongVersion));
        assert_eq!(send(&head, &write_of(&chain, V2, 1, 300, &new), &new).await.result, Ok(()));
        assert!(read(&head, world.disk(0), V2, 0, 600).await.unwrap() == [old, new.clone()].concat());
        // A repeat of the order does not disturb the chain: its next write is the second.
        assert_eq!(world.master.raise(9, world.disk(0), V2).await.result, Ok(()));
        let answer = send(&head, &write_of(&chain, V2, 2, 0, &new), &new).await;
        assert_eq!((answer.result, answer.chain_sequence.0), (Ok(()), 2));
    });
}

#[test]
fn a_raise_cuts_what_must_read_as_zeroes() {
    simulated(async {
        let world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let head = world.connect(0).await;
        let data = pattern(1, 10_000);
        send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await;
        let what = OrderKind::Raise {
            disk: world.disk(0),
            chunk: CHUNK,
            from: V1,
            to: V2,
            cuts: vec![Cut { from: 5_000, to: 64 << 20 }],
        };
        assert_eq!(world.master.order(1, world.disk(0), what).await.result, Ok(()));
        let found = read(&head, world.disk(0), V2, 0, 10_000).await.unwrap();
        assert!(found[..5_000] == data[..5_000] && found[5_000..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn orders_about_what_is_not_there_are_refused_with_what_is() {
    simulated(async {
        let world = World::simulated(1).await;
        let (chain, disk) = (world.chain(&[0]), world.disk(0));
        assert_eq!(world.master.raise(1, disk, V2).await.result, Err(Status::NoChunk));
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        send(&head, &write_of(&chain, V2, 1, 0, &data), &data).await;
        let from = V3;
        let raise =
            OrderKind::Raise { disk, chunk: CHUNK, from, to: Version { counter: 9, ..V3 }, cuts: vec![] };
        let done = world.master.order(2, disk, raise).await;
        assert_eq!((done.result, done.found), (Err(Status::WrongVersion), Some(V2)));
        let delete = OrderKind::Delete { disk, chunk: CHUNK, version: V1, unknown: false };
        let done = world.master.order(3, disk, delete).await;
        assert_eq!((done.result, done.found), (Err(Status::WrongVersion), Some(V2)));
        assert!(read(&head, disk, V2, 0, 100).await.unwrap() == data);
        let old = world.master.order_of(
            Term(2),
            4,
            disk,
            OrderKind::Delete { disk, chunk: CHUNK, version: V2, unknown: false },
        );
        assert_eq!(old.await.result, Err(Status::WrongTerm));
    });
}

#[test]
fn a_deleted_replica_is_set_aside_and_its_frames_refused() {
    simulated(async {
        let world = World::simulated(1).await;
        let (chain, disk) = (world.chain(&[0]), world.disk(0));
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await;
        let delete = OrderKind::Delete { disk, chunk: CHUNK, version: V3, unknown: false };
        assert_eq!(world.master.order(1, disk, delete.clone()).await.result, Ok(()));
        assert_eq!(read(&head, disk, V1, 0, 100).await, Err(Status::NoChunk));
        let late = Write { create: false, ..write_of(&chain, V1, 2, 0, &data) };
        assert_eq!(send(&head, &late, &data).await.result, Err(Status::NoChunk));
        assert_eq!(world.master.order(2, disk, delete).await.result, Err(Status::NoChunk));
        assert_eq!(world.sim_disk(0).dir().list("deleted").unwrap().len(), 1);
        // It goes when its hold is over.
        tokio::time::sleep(Duration::from_secs(3_900)).await;
        assert_eq!(world.sim_disk(0).dir().list("deleted").unwrap().len(), 0);
    });
}

/// Somebody may have restored an old copy of the metadata.
#[test]
fn a_deleted_replica_of_an_unknown_chunk_is_kept_for_a_week() {
    simulated(async {
        let world = World::simulated(1).await;
        let (chain, disk) = (world.chain(&[0]), world.disk(0));
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await;
        let delete = OrderKind::Delete { disk, chunk: CHUNK, version: V1, unknown: true };
        assert_eq!(world.master.order(1, disk, delete).await.result, Ok(()));
        let kept = || world.sim_disk(0).dir().list("deleted").unwrap().len();
        tokio::time::sleep(Duration::from_secs(7 * 86_400 - 60)).await;
        assert_eq!(kept(), 1);
        tokio::time::sleep(Duration::from_secs(400)).await;
        assert_eq!(kept(), 0);
    });
}

#[test]
fn frames_of_another_term_or_without_the_right_are_refused() {
    simulated(async {
        let world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        let good = write_of(&chain, V1, 1, 0, &data);
        let with = |change: &dyn Fn(&mut Write)| {
            let mut write = good.clone();
            change(&mut write);
            write
        };
        let cases = [
            (with(&|w| w.capability.term = Term(2)), Status::WrongTerm),
            (with(&|w| w.capability.term = Term(4)), Status::TryAgain),
            (with(&|w| w.capability.rights = types::Rights::Read), Status::AccessDenied),
            (with(&|w| w.disk = types::DiskId([9; 16])), Status::NoChunk),
            (with(&|w| w.create = false), Status::NoChunk),
            (with(&|w| w.page_crcs[0] ^= 1), Status::Corrupt),
        ];
        for (write, status) in cases {
            let mut write = write;
            // A chunk of its own each, since a failed member stays failed.
            write.capability.chunk = ChunkId(CHUNK.0 + u64::from(status.code()));
            assert_eq!(send(&head, &write, &data).await.result, Err(status));
        }
        let short = send(&head, &good, &data[1..]).await;
        assert_eq!(short.result, Err(Status::BadMessage));
        assert_eq!(send(&head, &good, &data).await.result, Ok(()));
    });
}

#[test]
fn nothing_is_served_without_a_master_and_no_writes_when_its_lease_is_over() {
    simulated(async {
        let mut world = World::simulated(1).await;
        world.kill(0).await;
        world.master.heard().lease_ms = 10_000;
        world.start(0).await;
        let chain = world.chain(&[0]);
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        world.sim.as_ref().unwrap().net().partition("master", "cs0");
        tokio::time::sleep(Duration::from_secs(13)).await;
        let late = send(&head, &write_of(&chain, V1, 2, 0, &data), &data).await;
        assert_eq!(late.result, Err(Status::TryAgain));
        assert!(read(&head, world.disk(0), V1, 0, 100).await.is_ok());
        world.sim.as_ref().unwrap().net().heal();
        world.registered(0).await;
        until("the lease is renewed", || world.master.heard().registrations >= 3).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 2, 0, &data), &data).await.result, Ok(()));
    });
}

#[test]
fn a_new_term_shuts_out_the_old_one() {
    simulated(async {
        let mut world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let data = pattern(1, 100);
        let head = world.connect(0).await;
        send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await;
        world.master.heard().term = Term(4);
        until("the new term is seen", || world.servers[0].handle.as_ref().unwrap().status().term == Term(4))
            .await;
        let old = send(&head, &write_of(&chain, V1, 2, 0, &data), &data).await;
        assert_eq!(old.result, Err(Status::WrongTerm));
        // Also after a kill, and a master of the old term is not followed.
        world.kill(0).await;
        world.master.heard().term = Term(3);
        let (data, disk) = match &world.servers[0].storage {
            Storage::Simulated { data, disks } => (data.dir(), disks[0].dir()),
            Storage::Real { .. } => unreachable!("simulated"),
        };
        let disks = vec![chunkserver::DiskConfig::new(disk, "/disk0")];
        let config = chunkserver::Config::new("cs0:9422", data, disks, vec!["master:9421".into()]);
        let handle = chunkserver::Chunkserver::start(world.servers[0].env.clone(), config).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let status = handle.status();
        assert_eq!((status.term, status.registered), (Term(4), false));
    });
}

#[test]
fn a_restarted_server_reports_what_its_disks_hold() {
    simulated(async {
        let mut world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let head = world.connect(0).await;
        let data = pattern(1, 100);
        for n in 0..30 {
            let mut write = write_of(&chain, V1, 1, 0, &data);
            write.capability.chunk = ChunkId(CHUNK.0 + n);
            assert_eq!(send(&head, &write, &data).await.result, Ok(()));
        }
        let disk = world.disk(0);
        world.kill(0).await;
        world.start(0).await;
        assert_eq!(world.disk(0), disk);
        let heard = world.master.heard();
        let reported: Vec<_> =
            heard.reports[&disk].iter().map(|entry| (entry.chunk.0 - CHUNK.0, entry.version)).collect();
        assert_eq!(reported, (0..30).map(|n| (n, V1)).collect::<Vec<_>>());
    });
}

#[test]
fn a_foreign_directory_is_refused_with_its_error_and_the_other_disk_is_served() {
    simulated(async {
        let sim = env::SimWorld::new(7);
        let mut world = World::simulated(1).await;
        world.kill(0).await;
        let foreign = sim.disk("foreign");
        foreign.dir().open("somebody's.txt", OpenMode::CreateNew).unwrap();
        let Storage::Simulated { disks, .. } = &mut world.servers[0].storage else {
            unreachable!("simulated")
        };
        disks.insert(1, foreign.clone());
        world.start(0).await;
        let status = world.servers[0].handle.as_ref().unwrap().status();
        assert_eq!(status.disks[0].error, None);
        assert!(status.disks[1].error.as_ref().unwrap().contains("somebody's.txt"), "{status:?}");
        let chain = world.chain(&[0]);
        let data = pattern(1, 100);
        assert_eq!(
            send(&world.connect(0).await, &write_of(&chain, V1, 1, 0, &data), &data).await.result,
            Ok(())
        );
        assert_eq!(foreign.dir().list("").unwrap().len(), 1, "nothing was written there");
    });
}

#[test]
fn rot_is_found_by_a_read_from_the_device_and_told_once() {
    simulated(async {
        let mut world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let data = pattern(1, 20_000);
        let write = Write { durable: true, ..write_of(&chain, V1, 1, 0, &data) };
        send(&world.connect(0).await, &write, &data).await;
        world.servers[0].handle.take().unwrap().shutdown().await;
        let disk = world.sim_disk(0).clone();
        let path = chunk_file(&*disk.dir(), "chunks").unwrap();
        disk.flip_bit(&path, 9_000, 3).unwrap();
        disk.set_resident(false);
        world.start(0).await;
        let link = world.connect(0).await;
        assert!(read(&link, world.disk(0), V1, 0, 4_096).await.is_ok(), "another page");
        for _ in 0..2 {
            assert_eq!(read(&link, world.disk(0), V1, 8_192, 4_096).await, Err(Status::Corrupt));
        }
        until("the master is told", || !world.master.heard().damaged.is_empty()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.master.heard().damaged, [(world.disk(0), CHUNK)]);
    });
}

/// The first file below a directory.
fn chunk_file(dir: &dyn env::Dir, path: &str) -> Option<String> {
    for entry in dir.list(path).unwrap() {
        let below = format!("{path}/{}", entry.name);
        let found = match entry.kind {
            env::EntryKind::Directory => chunk_file(dir, &below),
            env::EntryKind::File | env::EntryKind::Other => Some(below),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn a_hung_disk_stops_only_its_own_chunks() {
    simulated(async {
        let mut world = World::simulated(1).await;
        world.kill(0).await;
        let (hung, waiting) = (Arc::new(AtomicBool::new(false)), Jobs::default());
        let sim = world.sim.clone().unwrap();
        let workers = Arc::new(Hanging::of("disk-0", &hung, &waiting));
        let server = &mut world.servers[0];
        server.env = Env { workers, ..server.env.clone() };
        let Storage::Simulated { disks, .. } = &mut server.storage else { unreachable!("simulated") };
        disks.push(sim.disk("second"));
        world.start(0).await;
        let second = world.servers[0].handle.as_ref().unwrap().status().disks[1].disk.unwrap();
        let (chain, link) = (world.chain(&[0]), world.connect(0).await);
        let data = pattern(1, 100);
        assert_eq!(send(&link, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));

        hung.store(true, Ordering::Relaxed);
        let stuck = send(&link, &write_of(&chain, V1, 2, 200, &data), &data).await;
        let edge = FailedEdge { from: None, to: world.disk(0), status: Status::TimedOut };
        assert_eq!((stuck.result, stuck.failed), (Err(Status::TimedOut), Some(edge)));
        let other = vec![world.master.heard().addresses[&second].clone()];
        let mut write = write_of(&other, V1, 1, 0, &data);
        write.capability.chunk = ChunkId(CHUNK.0 + 1);
        assert_eq!(send(&link, &write, &data).await.result, Ok(()));
        let done = world.master.raise(1, world.disk(0), V2).await;
        assert_eq!(done.result, Err(Status::TimedOut));
        until("it counts as hung", || world.servers[0].handle.as_ref().unwrap().status().disks[0].hung).await;

        hung.store(false, Ordering::Relaxed);
        let jobs = std::mem::take(&mut *waiting.lock().unwrap());
        jobs.into_iter().for_each(|job| job());
        assert_eq!(world.master.raise(2, world.disk(0), V2).await.result, Ok(()));
        assert_eq!(send(&link, &write_of(&chain, V2, 1, 0, &data), &data).await.result, Ok(()));
    });
}

#[test]
fn connections_that_speak_nonsense_harm_nobody() {
    simulated(async {
        let world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let link = world.connect(0).await;
        let data = pattern(1, 100);
        let hello =
            wire::frame::encode(wire::Kind::Hello, false, 0, &wire::message::Message::to_bytes(&hello()), 0);
        let hello = hello.unwrap();
        let cases: [Vec<u8>; 4] = [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            vec![0x55; 10_000],
            [b"MSKX".to_vec(), vec![0xff; 1_000]].concat(),
            [hello.to_vec(), vec![0xff; 1_000]].concat(),
        ];
        for (n, bytes) in cases.into_iter().enumerate() {
            let address = world.servers[0].handle.as_ref().unwrap().address().to_owned();
            let env::Stream::Simulated(mut raw) = world.client.net.connect(&address).await.unwrap() else {
                unreachable!("simulated")
            };
            let _ = raw.write_all(&bytes).await;
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(60), raw.read_to_end(&mut rest));
            assert!(closed.await.is_ok(), "it is closed");
            let write = write_of(&chain, V1, n as u64 + 1, 0, &data);
            assert_eq!(send(&link, &write, &data).await.result, Ok(()));
        }
        // Bodies that are not messages are answered, and the connection goes on.
        let garbage = bytes::Bytes::from_static(&[0xff; 50]);
        for kind in [wire::Kind::Write, wire::Kind::Read, wire::Kind::Flush] {
            let frame = link.call(kind, garbage.clone(), bytes::Bytes::new(), SOON).await.unwrap();
            assert!(!frame.body.is_empty());
        }
        assert!(read(&link, world.disk(0), V1, 0, 100).await.is_ok());
    });
}

#[test]
fn an_order_that_was_begun_is_carried_out_also_when_the_link_broke_and_its_repeat_changes_nothing() {
    simulated(async {
        let mut world = World::simulated(1).await;
        let chain = world.chain(&[0]);
        let data = pattern(1, 100);
        send(&world.connect(0).await, &write_of(&chain, V1, 1, 0, &data), &data).await;
        world.kill(0).await;
        let (hung, waiting) = (Arc::new(AtomicBool::new(false)), Jobs::default());
        let server = &mut world.servers[0];
        server.env.workers = Arc::new(Hanging::of("disk-0", &hung, &waiting));
        world.start(0).await;
        let (disk, net) = (world.disk(0), world.sim.clone().unwrap());
        hung.store(true, Ordering::Relaxed);
        let raise = OrderKind::Raise { disk, chunk: CHUNK, from: V1, to: V2, cuts: vec![] };
        let order = codec::control::Order { order: 1, term: TERM, what: raise };
        let link = world.master.heard().links.values().next().unwrap().clone();
        link.send(codec::control::ToServer::Order(order)).await.unwrap();
        until("the order waits for the disk", || !waiting.lock().unwrap().is_empty()).await;
        let registrations = world.master.heard().registrations;
        net.net().kill_connections("master", "cs0");
        hung.store(false, Ordering::Relaxed);
        let jobs = std::mem::take(&mut *waiting.lock().unwrap());
        jobs.into_iter().for_each(|job| job());
        until("it registers anew", || world.master.heard().registrations > registrations).await;
        world.registered(0).await;
        assert!(!world.master.heard().done.contains_key(&1), "its answer was lost with the link");
        // The same order, as a master repeats it.
        assert_eq!(world.master.raise(2, disk, V2).await.result, Ok(()));
        let found = read(&world.connect(0).await, disk, V2, 0, 100).await.unwrap();
        assert!(found[..] == data[..]);
    });
}

#[test]
fn who_raises_from_a_version_of_an_earlier_reign_without_knowing_it_is_told_that_all_may_differ() {
    let of = |term: u32, counter| Version { term: Term(term), counter };
    // The lowest version that is taken, and whether the master knows less than the replica has.
    for (from, to, touched) in [(V1, of(4, 1), true), (V2, of(4, 1), false), (V1, of(3, 3), false)] {
        simulated(async {
            let mut world = World::simulated(1).await;
            let (disk, data) = (world.disk(0), pattern(1, 100));
            let chain = world.chain(&[0]);
            let link = world.connect(0).await;
            assert_eq!(send(&link, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
            assert_eq!(world.master.raise(1, disk, V2).await.result, Ok(()));
            let raise = OrderKind::Raise { disk, chunk: CHUNK, from, to, cuts: vec![] };
            let done = world.master.order_of(to.term, 2, disk, raise).await;
            assert_eq!(done.result, Ok(()));
            assert_eq!(done.unsettled.touched == [BlockRange::ALL], touched, "{from} to {to}: {done:?}");
            // It tells so until all are equal, also over a restart.
            world.kill(0).await;
            world.start(0).await;
            world.registered(0).await;
            let marked = |world: &World| {
                let heard = world.master.heard();
                heard.reports.get(&disk).map(|told| told[0].flags.contains(ReplicaFlags::MARKED))
            };
            until("it is reported", || marked(&world).is_some()).await;
            if touched {
                assert_eq!(marked(&world), Some(true));
            }
        });
    }
}
