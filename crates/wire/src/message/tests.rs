//! Messages of the data plane, there and back, and malformed.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use types::{
    BLOCKS_PER_CHUNK, BlockRange, CHUNK_BYTES, Capability, ChainSequence, ChunkId, ClusterId, DiskId,
    LeaseEpoch, PAYLOAD_BYTES_MAX, ReplicaAddress, Rights, ServerId, SessionId, Status, Term, Verifier,
    Version, Witness,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sample_write() -> Write {
    Write {
        capability: Capability {
            session: SessionId(1 << 40 | 5),
            term: Term(1),
            chunk: ChunkId(1 << 40 | 9),
            version: Version { term: Term(1), counter: 2 },
            rights: Rights::Write,
            lease_epoch: LeaseEpoch(3),
            mac: vec![],
        },
        disk: DiskId([0xd1; 16]),
        write_id: 7,
        answered_below: 6,
        chain_sequence: ChainSequence(8),
        offset: 4094,
        length: 3,
        page_crcs: vec![0x0102_0304, 0x0506_0708],
        block_values: vec![],
        next: vec![ReplicaAddress {
            server: ServerId([0x51; 16]),
            disk: DiskId([0xd2; 16]),
            address: "h:1".into(),
            hints: Default::default(),
        }],
        create: true,
        durable: true,
        deadline_ms: 500,
    }
}

#[test]
fn a_write_looks_as_it_always_did() {
    assert_eq!(
        hex(&sample_write().to_bytes()),
        concat!(
            "0a1a0885808080802010011889808080802020828080801028023003",
            "1210d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
            "1807200628083",
            "0fe1f3803420804030201080706055229",
            "0a105151515151515151515151515151515112",
            "10d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d21a03683a31",
            "5801600168f403"
        )
    );
}

#[test]
fn a_read_looks_as_it_always_did() {
    let Write { capability, disk, .. } = sample_write();
    let capability = Capability { rights: Rights::Read, ..capability };
    let (offset, length) = (4 << 16, 4 << 16);
    let read = Read {
        capability,
        disk,
        offset,
        length,
        deadline_ms: 500,
        verified: true,
        ordered: true,
        recorded: true,
        doubted: true,
    };
    assert_eq!(
        hex(&read.to_bytes()),
        concat!(
            "0a1a0885808080802010011889808080802020828080801028013003",
            "1210d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
            "188080102080801028f4033001380140014801"
        )
    );
    let (result, chain_sequence) = (Ok(()), ChainSequence(9));
    let answer = ReadAnswer { result, page_crcs: vec![0x0102_0304], zeroes: false, chain_sequence };
    assert_eq!(hex(&answer.to_bytes()), "1204040302012009");
    let holes = ReadAnswer { page_crcs: vec![], zeroes: true, ..answer };
    assert_eq!(hex(&holes.to_bytes()), "18012009");
}

#[test]
fn a_hello_looks_as_it_always_did() {
    let hello = Hello {
        protocol_version: 1,
        role: Role::Client,
        cluster: Some(ClusterId([0xc1; 16])),
        term: Term(3),
        session: SessionId(9),
        name: "n".into(),
    };
    assert_eq!(hex(&hello.to_bytes()), "080110011a10c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c12003280932016e");
}

#[test]
fn a_write_that_makes_no_sense_is_refused() {
    let refuse = |change: &dyn Fn(&mut Write), what: &str| {
        let mut write = sample_write();
        change(&mut write);
        assert_eq!(Write::decode(&write.to_bytes()).map_err(|e| e.what), Err(what));
    };
    refuse(&|w| w.length = 0, "range");
    refuse(&|w| w.offset = CHUNK_BYTES as u32 - 2, "range");
    refuse(&|w| w.length = PAYLOAD_BYTES_MAX + 1, "range");
    refuse(&|w| w.page_crcs.truncate(1), "not one checksum for each touched page");
    refuse(&|w| w.block_values.push([0; 32]), "not one value for each whole block");
    refuse(&|w| w.write_id = 0, "write id");
    refuse(&|w| w.answered_below = 8, "write id");
    refuse(&|w| w.next = vec![w.next[0].clone(); 9], "chain too long");
    refuse(&|w| w.next[0].address = "a".repeat(10_000), "text too long");
    refuse(&|w| w.capability.version.term = Term(u32::MAX), "version");
}

fn disk_id() -> impl Strategy<Value = DiskId> {
    any::<[u8; 16]>().prop_map(DiskId)
}

fn result() -> impl Strategy<Value = Result<(), Status>> {
    prop_oneof![Just(Ok(())), (0..Status::ALL.len()).prop_map(|i| Err(Status::ALL[i]))]
}

fn edge() -> impl Strategy<Value = FailedEdge> {
    (proptest::option::of(disk_id()), disk_id(), 0..Status::ALL.len()).prop_map(|(from, to, i)| FailedEdge {
        from,
        to,
        status: Status::ALL[i],
    })
}

fn witness() -> impl Strategy<Value = Witness> {
    verifiers().prop_filter_map("nobody", |mut sources| Some(Witness { verifier: sources.pop()?, sources }))
}

fn verifiers() -> impl Strategy<Value = Vec<Verifier>> {
    vec((disk_id(), any::<[u64; 2]>()).prop_map(|(disk, [boot, made])| Verifier { disk, boot, made }), 0..9)
}

fn capability() -> impl Strategy<Value = Capability> {
    (
        any::<u64>(),
        0..1_u32 << 24,
        any::<u64>(),
        0..1_u32 << 24,
        any::<u32>(),
        any::<bool>(),
        vec(any::<u8>(), 0..33),
    )
        .prop_map(|(session, term, chunk, version_term, counter, write, mac)| Capability {
            session: SessionId(session),
            term: Term(term),
            chunk: ChunkId(chunk),
            version: Version { term: Term(version_term), counter },
            rights: if write { Rights::Write } else { Rights::Read },
            lease_epoch: LeaseEpoch(session ^ chunk),
            mac,
        })
}

fn members() -> impl Strategy<Value = Vec<ReplicaAddress>> {
    vec((any::<[u8; 16]>(), disk_id(), "[a-z]{0,20}:[0-9]{1,5}"), 0..9).prop_map(|members| {
        members
            .into_iter()
            .map(|(server, disk, address)| ReplicaAddress {
                server: ServerId(server),
                disk,
                address,
                hints: Default::default(),
            })
            .collect()
    })
}

fn write() -> impl Strategy<Value = Write> {
    let range = (0..CHUNK_BYTES as u32)
        .prop_flat_map(|offset| (Just(offset), 1..=PAYLOAD_BYTES_MAX.min(CHUNK_BYTES as u32 - offset)));
    (capability(), disk_id(), 1..u64::MAX, members(), range, any::<[bool; 3]>(), any::<u32>()).prop_map(
        |(capability, disk, write_id, next, (offset, length), flags, seed)| {
            let pages = types::pages_touched(u64::from(offset), u64::from(length)) as usize;
            let blocks = types::whole_blocks(u64::from(offset), u64::from(length)).1 as usize;
            Write {
                capability,
                disk,
                write_id,
                answered_below: write_id / 2,
                chain_sequence: ChainSequence(write_id ^ 1),
                offset,
                length,
                page_crcs: (0..pages as u32).map(|i| i ^ seed).collect(),
                block_values: if flags[0] { vec![[seed as u8; 32]; blocks] } else { Vec::new() },
                next,
                create: flags[1],
                durable: flags[2],
                deadline_ms: seed,
            }
        },
    )
}

fn check<T: Message + PartialEq + std::fmt::Debug>(message: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(&T::decode(&message.to_bytes()).unwrap(), message);
    Ok(())
}

/// Whatever a decoder accepts encodes to something it accepts again, with the same meaning.
fn feed<T: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = T::decode(bytes) {
        assert_eq!(T::decode(&message.to_bytes()).unwrap(), message);
    }
}

fn feed_all(bytes: &[u8]) {
    feed::<Hello>(bytes);
    feed::<HelloAnswer>(bytes);
    feed::<Write>(bytes);
    feed::<WriteAnswer>(bytes);
    feed::<Read>(bytes);
    feed::<ReadAnswer>(bytes);
    feed::<Flush>(bytes);
    feed::<FlushAnswer>(bytes);
    feed::<Values>(bytes);
    feed::<ValuesAnswer>(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writes_round_trip(message in write()) {
        check(&message)?;
    }

    #[test]
    fn flushes_round_trip(capability in capability(), disk in disk_id(), next in members(), held in verifiers(), n: u32) {
        check(&Flush { capability, disk, chain_sequence: ChainSequence(u64::from(n)), next, held, deadline_ms: n })?;
    }

    #[test]
    fn reads_round_trip(capability in capability(), disk in disk_id(), offset in 0..CHUNK_BYTES as u32, length in 1..=PAYLOAD_BYTES_MAX) {
        let (verified, ordered, recorded) = (length % 2 == 1, length % 4 > 1, length % 8 > 3);
        let doubted = length % 16 > 7;
        let message =
            Read { capability, disk, offset, length, deadline_ms: length, verified, ordered, recorded, doubted };
        let (from, to) = page_span(offset, length);
        let fits = to <= CHUNK_BYTES && to - from <= u64::from(PAYLOAD_BYTES_MAX);
        prop_assert_eq!(Read::decode(&message.to_bytes()).is_ok(), fits);
        if fits {
            check(&message)?;
        }
    }

    #[test]
    fn values_round_trip(capability in capability(), disk in disk_id(), first in 0..=BLOCKS_PER_CHUNK, count in 0..VALUES_MAX + 2, proved: bool, value: [u8; 32], refused in result(), witness in proptest::option::of(witness())) {
        let message = Values { capability, disk, blocks: BlockRange { first, count }, proved, deadline_ms: first };
        let fits = (1..=VALUES_MAX).contains(&count) && first + count <= BLOCKS_PER_CHUNK;
        prop_assert_eq!(Values::decode(&message.to_bytes()).is_ok(), fits);
        if fits {
            check(&message)?;
            let witness = witness.filter(|_| refused.is_ok());
            check(&ValuesAnswer { result: refused.map(|()| vec![value; count as usize]), witness })?;
        }
    }

    #[test]
    fn answers_round_trip(result in result(), id: u64, sequence: u64, witnesses in vec(witness(), 0..5), edge in edge(), crcs in vec(any::<u32>(), 0..=257)) {
        let failed = result.is_err().then_some(edge);
        check(&WriteAnswer { result, write_id: id, chain_sequence: ChainSequence(sequence), witnesses: witnesses.clone(), failed })?;
        check(&FlushAnswer { result, witnesses, failed })?;
        let page_crcs = if result.is_ok() { crcs } else { vec![] };
        check(&ReadAnswer { result, zeroes: page_crcs.is_empty(), page_crcs, chain_sequence: ChainSequence(sequence) })?;
    }

    #[test]
    fn hellos_round_trip(version: u32, cluster: Option<[u8; 16]>, term in 0..1_u32 << 24, session: u64, name in ".{0,60}", result in result()) {
        let cluster = cluster.map(ClusterId);
        check(&Hello { protocol_version: version, role: Role::Master, cluster, term: Term(term), session: SessionId(session), name: name.clone() })?;
        check(&HelloAnswer { protocol_version: version, result, cluster, term: Term(term), message: name })?;
    }

    #[test]
    fn random_bytes_never_harm_a_decoder(bytes in vec(any::<u8>(), 0..300)) {
        feed_all(&bytes);
    }

    #[test]
    fn damaged_messages_never_harm_a_decoder(message in write(), at: u16, value: u8, cut: u16) {
        let mut bytes = message.to_bytes().to_vec();
        let index = usize::from(at) % bytes.len();
        bytes[index] = value;
        feed_all(&bytes);
        bytes.truncate(usize::from(cut) % bytes.len());
        feed_all(&bytes);
    }
}
