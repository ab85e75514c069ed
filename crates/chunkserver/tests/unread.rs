//! A peer that asks for much and reads nothing. In a process of its own, since its memory is looked at.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use env::Workers;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use types::{Capability, Rights};
use wire::message::{Message, Read, ReadAnswer};
use wire::{HEADER_BYTES, Header, Kind, frame};

const MIB: usize = 1 << 20;
/// Fewer than a connection may have in flight.
const READS: u64 = 600;
/// What may wait (`ServeOptions::unsent_bytes_max`, 64 MiB) and as much again for everything else.
const HELD_MAX: usize = 128 * MIB;

/// Memory of this process.
fn held() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

async fn next(stream: &mut TcpStream) -> (Header, Vec<u8>) {
    let mut bytes = [0; HEADER_BYTES];
    stream.read_exact(&mut bytes).await.unwrap();
    let header = Header::decode(&bytes).unwrap();
    let mut rest = vec![0; (header.body_bytes + header.payload_bytes) as usize];
    stream.read_exact(&mut rest).await.unwrap();
    (header, rest)
}

/// Memory is looked at for one test at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A server with a chunk of 1 MiB, and a peer that has said HELLO.
async fn stage(workers: Option<Arc<dyn Workers>>) -> (World, Vec<u8>, TcpStream) {
    let mut world = World::real(0).await;
    let storage =
        Storage::Real { data: tempfile::tempdir().unwrap(), disks: vec![tempfile::tempdir().unwrap()] };
    let mut env = world.client.clone();
    env.workers = workers.unwrap_or(env.workers);
    let listen = "127.0.0.1:0".to_owned();
    world.servers.push(Server { name: "cs0".into(), env, listen, storage, handle: None });
    world.start(0).await;
    let (chain, data) = (world.chain(&[0]), pattern(1, MIB));
    let link = world.connect(0).await;
    assert_eq!(send(&link, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
    assert!(read(&link, world.disk(0), V1, 0, MIB as u32).await.unwrap() == data);
    let mut peer = TcpStream::connect(world.servers[0].handle.as_ref().unwrap().address()).await.unwrap();
    peer.write_all(&frame::encode(Kind::Hello, false, 0, &hello().to_bytes(), 0).unwrap()).await.unwrap();
    assert_eq!(next(&mut peer).await.0.kind, Kind::Hello);
    (world, data, peer)
}

async fn ask(world: &World, peer: &mut TcpStream, doubted: impl Fn(u64) -> bool) {
    for id in 1..=READS {
        let read = Read {
            capability: Capability { rights: Rights::Read, ..capability(1, V1) },
            disk: world.disk(0),
            offset: 0,
            length: MIB as u32,
            deadline_ms: 60_000,
            verified: false,
            ordered: false,
            recorded: false,
            doubted: doubted(id),
        };
        peer.write_all(&frame::encode(Kind::Read, false, id, &read.to_bytes(), 0).unwrap()).await.unwrap();
    }
}

/// All answers come, once somebody reads them; nobody else is held up before.
async fn little_is_held(world: &World, data: &[u8], peer: &mut TcpStream, before: usize) {
    let mut most = 0;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        most = most.max(held().saturating_sub(before));
    }
    assert!(most < HELD_MAX, "{} MiB are held", most / MIB);
    assert!(read(&world.connect(0).await, world.disk(0), V1, 0, 4096).await.unwrap() == data[..4096]);
    let mut answered = Vec::new();
    while answered.len() < READS as usize {
        let (header, rest) = next(peer).await;
        let (body, payload) = rest.split_at(header.body_bytes as usize);
        assert_eq!((ReadAnswer::decode(body).unwrap().result, payload == data), (Ok(()), true));
        answered.push(header.id);
    }
    answered.sort_unstable();
    assert!(answered.into_iter().eq(1..=READS));
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answers_fills_no_memory_and_gets_them_when_it_does() {
    let _alone = ALONE.lock().await;
    let (world, data, mut peer) = stage(None).await;
    let before = held();
    // Resident pages are read where the request comes, doubted ones by the disk's threads.
    ask(&world, &mut peer, |id| id % 2 == 0).await;
    little_is_held(&world, &data, &mut peer, before).await;
}

#[tokio::test]
async fn nothing_is_read_from_a_disk_before_there_is_room_for_the_answer() {
    let _alone = ALONE.lock().await;
    let (hung, waiting) = (Arc::new(AtomicBool::new(false)), Jobs::default());
    let workers = Arc::new(Hanging::of("disk-0", &hung, &waiting));
    let (world, data, mut peer) = stage(Some(workers)).await;
    hung.store(true, Ordering::Relaxed);
    let before = held();
    ask(&world, &mut peer, |_| true).await;
    until("all have come", || waiting.lock().unwrap().len() >= READS as usize).await;
    hung.store(false, Ordering::Relaxed);
    let jobs = std::mem::take(&mut *waiting.lock().unwrap());
    jobs.into_iter().for_each(|job| job());
    little_is_held(&world, &data, &mut peer, before).await;
}
