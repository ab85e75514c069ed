//! Data-plane frames: what a sender does before, and a receiver after, the bytes are on the wire.
//!
//! Whoever sends a WRITE computes the page CRCs; each receiver verifies them. A READ is answered with the CRCs that are
//! stored, and the reader verifies. A payload is neither copied nor put into the body.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use micro::{SIZES, content};
use std::hint::black_box;
use types::{
    Capability, ChainSequence, ChunkId, DiskId, LeaseEpoch, ReplicaAddress, Rights, ServerId, SessionId,
    Term, Version,
};
use wire::message::{Message, Read, ReadAnswer, Write};
use wire::{HEADER_BYTES, Header, Kind, crc, frame, value};

/// Within a chunk, at a block's edge.
const OFFSET: u32 = 8 << 20;
const DISK: DiskId = DiskId([0xd1; 16]);

fn capability(rights: Rights) -> Capability {
    let version = Version { term: Term(1), counter: 2 };
    Capability {
        session: SessionId(1 << 40 | 5),
        term: Term(1),
        chunk: ChunkId(1 << 40 | 9),
        version,
        rights,
        lease_epoch: LeaseEpoch(0),
        mac: Vec::new(),
    }
}

/// A write to a chain of two, its page CRCs not computed yet.
fn write(payload: &[u8]) -> Write {
    let next = ReplicaAddress {
        server: ServerId([0x51; 16]),
        disk: DiskId([0xd2; 16]),
        address: "10.0.0.2:9400".into(),
        hints: Default::default(),
    };
    Write {
        capability: capability(Rights::Write),
        disk: DISK,
        write_id: 7,
        answered_below: 6,
        chain_sequence: ChainSequence(0),
        offset: OFFSET,
        length: payload.len() as u32,
        page_crcs: Vec::new(),
        block_values: value::block_values(u64::from(OFFSET), payload),
        next: vec![next],
        create: false,
        durable: false,
        deadline_ms: 10_000,
    }
}

fn read(length: usize) -> Read {
    Read {
        capability: capability(Rights::Read),
        disk: DISK,
        offset: OFFSET,
        length: length as u32,
        deadline_ms: 10_000,
        verified: false,
        ordered: false,
        recorded: false,
        doubted: false,
    }
}

/// Header and body.
fn send(kind: Kind, answer: bool, message: &impl Message, payload: &[u8]) -> Bytes {
    frame::encode(kind, answer, 9, &message.to_bytes(), payload.len()).unwrap()
}

fn receive<M: Message>(head: &[u8]) -> M {
    let (header, body) = head.split_first_chunk::<HEADER_BYTES>().unwrap();
    let header = Header::decode(header).unwrap();
    header.check_body(body).unwrap();
    M::decode(body).unwrap()
}

/// `None`: the payload is not what was sent.
fn receive_write(head: &[u8], payload: &[u8]) -> Option<Write> {
    let write: Write = receive(head);
    crc::verify(u64::from(write.offset), payload, &write.page_crcs).then_some(write)
}

/// `None`: the payload is not what was sent.
fn receive_answer(head: &[u8], payload: &[u8]) -> Option<ReadAnswer> {
    let answer: ReadAnswer = receive(head);
    crc::verify(u64::from(OFFSET), payload, &answer.page_crcs).then_some(answer)
}

fn writes(criterion: &mut Criterion) {
    for (size, length) in SIZES {
        let payload = content(length);
        let mut message = write(&payload);
        let mut sent = || {
            message.page_crcs = crc::page_crcs(u64::from(OFFSET), black_box(&payload));
            send(Kind::Write, false, &message, &payload)
        };
        let head = sent();
        let mut group = criterion.benchmark_group(format!("wire, WRITE of {size}"));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("page CRCs and encode", |bench| bench.iter(&mut sent));
        group.bench_function("decode and verify", |bench| {
            bench.iter(|| receive_write(black_box(&head), black_box(&payload)));
        });
        group.finish();
        assert_eq!(receive_write(&head, &payload), Some(message));
        let mut damaged = payload;
        damaged[length / 2] ^= 1;
        assert_eq!(receive_write(&head, &damaged), None);
    }
}

fn reads(criterion: &mut Criterion) {
    for (size, length) in SIZES {
        let payload = content(length);
        let request = read(length);
        let ask = || send(Kind::Read, false, black_box(&request), &[]);
        let asked = ask();
        let answer = ReadAnswer {
            result: Ok(()),
            page_crcs: crc::page_crcs(u64::from(OFFSET), &payload),
            zeroes: false,
            chain_sequence: ChainSequence(0),
        };
        let reply = || send(Kind::Read, true, black_box(&answer), &payload);
        let replied = reply();
        let mut group = criterion.benchmark_group(format!("wire, READ of {size}"));
        group.bench_function("encode the request", |bench| bench.iter(ask));
        group.bench_function("decode the request", |bench| bench.iter(|| receive::<Read>(black_box(&asked))));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("encode the answer", |bench| bench.iter(reply));
        group.bench_function("decode the answer and verify", |bench| {
            bench.iter(|| receive_answer(black_box(&replied), black_box(&payload)));
        });
        group.finish();
        assert_eq!(receive::<Read>(&asked), request);
        assert_eq!(receive_answer(&replied, &payload), Some(answer));
        assert_eq!(receive_answer(&replied, &payload[1..]), None);
    }
}

criterion_group! { name = benches; config = micro::criterion(); targets = writes, reads }
criterion_main!(benches);
