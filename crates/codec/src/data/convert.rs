//! Plain values to protobuf and, checked, back.

use super::{
    FailedEdge, Flush, FlushAnswer, Hello, HelloAnswer, Read, ReadAnswer, Role, VALUES_MAX, Values,
    ValuesAnswer, Write, WriteAnswer, page_span,
};
use crate::{Malformed, Message, limits, proto};
use prost::Message as _;
use types::{
    BLOCKS_PER_CHUNK, BlockRange, Capability, ChainSequence, ChunkId, ClusterId, DiskId, LeaseEpoch,
    PAGE_BYTES, PAYLOAD_BYTES_MAX, REPLICAS_MAX, ReadHints, ReplicaAddress, Rights, ServerId, SessionId,
    Status, TERM_MAX, Term, Verifier, Version, Witness,
};

type Checked<T> = Result<T, Malformed>;

fn bad<T>(what: &'static str) -> Checked<T> {
    Err(Malformed::new(what))
}

fn status_code(result: Result<(), Status>) -> u32 {
    result.err().map_or(0, |status| u32::from(status.code()))
}

fn status(code: u32) -> Checked<Status> {
    u16::try_from(code).ok().and_then(Status::from_code).ok_or(Malformed::new("status"))
}

fn result(code: u32) -> Checked<Result<(), Status>> {
    if code == 0 { Ok(Ok(())) } else { status(code).map(Err) }
}

fn term(number: u32) -> Checked<Term> {
    if number <= TERM_MAX { Ok(Term(number)) } else { bad("term") }
}

fn disk(bytes: &[u8]) -> Checked<DiskId> {
    DiskId::from_slice(bytes).ok_or(Malformed::new("disk id"))
}

fn cluster(bytes: &[u8]) -> Checked<Option<ClusterId>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    ClusterId::from_slice(bytes).map(Some).ok_or(Malformed::new("cluster id"))
}

fn text(text: String, bytes_max: usize) -> Checked<String> {
    if text.len() <= bytes_max { Ok(text) } else { bad("text too long") }
}

fn capability_out(capability: &Capability) -> proto::Capability {
    proto::Capability {
        session: capability.session.0,
        term: capability.term.0,
        chunk: capability.chunk.0,
        version: capability.version.to_u64(),
        rights: match capability.rights {
            Rights::Read => 1,
            Rights::Write => 2,
        },
        lease_epoch: capability.lease_epoch.0,
        mac: capability.mac.clone(),
    }
}

fn capability_in(capability: Option<proto::Capability>) -> Checked<Capability> {
    let Some(capability) = capability else { return bad("no capability") };
    if capability.mac.len() > limits::MAC_BYTES_MAX {
        return bad("mac");
    }
    Ok(Capability {
        session: SessionId(capability.session),
        term: term(capability.term)?,
        chunk: ChunkId(capability.chunk),
        version: Version::from_u64(capability.version).ok_or(Malformed::new("version"))?,
        rights: match capability.rights {
            1 => Rights::Read,
            2 => Rights::Write,
            _ => return bad("rights"),
        },
        lease_epoch: LeaseEpoch(capability.lease_epoch),
        mac: capability.mac,
    })
}

fn members_out(members: &[ReplicaAddress]) -> Vec<proto::ReplicaAddress> {
    members
        .iter()
        .map(|member| proto::ReplicaAddress {
            server: member.server.0.to_vec(),
            disk: member.disk.0.to_vec(),
            address: member.address.clone(),
            // Chains are written, not read.
            ..Default::default()
        })
        .collect()
}

fn members_in(members: Vec<proto::ReplicaAddress>) -> Checked<Vec<ReplicaAddress>> {
    if members.len() >= REPLICAS_MAX {
        return bad("chain too long");
    }
    members
        .into_iter()
        .map(|member| {
            Ok(ReplicaAddress {
                server: ServerId::from_slice(&member.server).ok_or(Malformed::new("server id"))?,
                disk: disk(&member.disk)?,
                address: text(member.address, limits::ADDRESS_BYTES_MAX)?,
                hints: ReadHints::default(),
            })
        })
        .collect()
}

fn verifiers_out(verifiers: &[Verifier]) -> Vec<proto::Verifier> {
    verifiers.iter().map(proto::Verifier::from).collect()
}

fn verifiers_in(verifiers: &[proto::Verifier]) -> Checked<Vec<Verifier>> {
    if verifiers.len() > limits::MEMBERS_MAX {
        return bad("too many verifiers");
    }
    verifiers.iter().map(|v| Ok(Verifier { disk: disk(&v.disk)?, boot: v.boot, made: v.made })).collect()
}

fn witness_out(witness: &Witness) -> proto::Witness {
    proto::Witness { verifier: Some((&witness.verifier).into()), sources: verifiers_out(&witness.sources) }
}

fn witness_in(witness: &proto::Witness) -> Checked<Witness> {
    let [verifier] = verifiers_in(witness.verifier.as_slice())?[..] else { return bad("no verifier") };
    Ok(Witness { verifier, sources: verifiers_in(&witness.sources)? })
}

fn witnesses_in(witnesses: &[proto::Witness]) -> Checked<Vec<Witness>> {
    if witnesses.len() > limits::MEMBERS_MAX {
        return bad("too many witnesses");
    }
    witnesses.iter().map(witness_in).collect()
}

fn edge_out(edge: &FailedEdge) -> proto::FailedEdge {
    proto::FailedEdge {
        from: edge.from.map_or(Vec::new(), |disk| disk.0.to_vec()),
        to: edge.to.0.to_vec(),
        status: u32::from(edge.status.code()),
    }
}

fn edge_in(edge: &proto::FailedEdge) -> Checked<FailedEdge> {
    Ok(FailedEdge {
        from: if edge.from.is_empty() { None } else { Some(disk(&edge.from)?) },
        to: disk(&edge.to)?,
        status: status(edge.status)?,
    })
}

fn crcs_out(crcs: &[u32]) -> Vec<u8> {
    crcs.iter().flat_map(|crc| crc.to_le_bytes()).collect()
}

fn crcs_in(bytes: &[u8]) -> Checked<Vec<u32>> {
    let (crcs, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || crcs.len() > (PAYLOAD_BYTES_MAX / PAGE_BYTES) as usize + 1 {
        return bad("page checksums");
    }
    Ok(crcs.iter().map(|crc| u32::from_le_bytes(*crc)).collect())
}

/// A failed answer says why, and a good one names no edge.
fn outcome(
    code: u32,
    failed: Option<proto::FailedEdge>,
) -> Checked<(Result<(), Status>, Option<FailedEdge>)> {
    let result = result(code)?;
    let failed = failed.as_ref().map(edge_in).transpose()?;
    if result.is_ok() && failed.is_some() { bad("success with a failed edge") } else { Ok((result, failed)) }
}

impl Message for Hello {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::Hello {
            protocol_version: self.protocol_version,
            role: self.role as u32,
            cluster: self.cluster.map_or(Vec::new(), |id| id.0.to_vec()),
            term: self.term.0,
            session: self.session.0,
            name: self.name.clone(),
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::Hello::decode(bytes)?;
        Ok(Self {
            protocol_version: message.protocol_version,
            role: match message.role {
                1 => Role::Client,
                2 => Role::Chunkserver,
                3 => Role::Master,
                4 => Role::Admin,
                _ => return bad("role"),
            },
            cluster: cluster(&message.cluster)?,
            term: term(message.term)?,
            session: SessionId(message.session),
            name: text(message.name, limits::LABEL_BYTES_MAX)?,
        })
    }
}

impl Message for HelloAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::HelloAnswer {
            protocol_version: self.protocol_version,
            status: status_code(self.result),
            cluster: self.cluster.map_or(Vec::new(), |id| id.0.to_vec()),
            term: self.term.0,
            message: self.message.clone(),
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::HelloAnswer::decode(bytes)?;
        Ok(Self {
            protocol_version: message.protocol_version,
            result: result(message.status)?,
            cluster: cluster(&message.cluster)?,
            term: term(message.term)?,
            message: text(message.message, limits::TEXT_BYTES_MAX)?,
        })
    }
}

impl Message for Write {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::Write {
            capability: Some(capability_out(&self.capability)),
            disk: self.disk.0.to_vec(),
            write_id: self.write_id,
            answered_below: self.answered_below,
            chain_sequence: self.chain_sequence.0,
            offset: self.offset,
            length: self.length,
            page_crcs: crcs_out(&self.page_crcs),
            block_values: self.block_values.concat(),
            next: members_out(&self.next),
            create: self.create,
            durable: self.durable,
            deadline_ms: self.deadline_ms,
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::Write::decode(bytes)?;
        let (offset, length) = (u64::from(message.offset), u64::from(message.length));
        if !types::in_chunk(offset, length) || message.length > PAYLOAD_BYTES_MAX {
            return bad("range");
        }
        let page_crcs = crcs_in(&message.page_crcs)?;
        if page_crcs.len() as u64 != types::pages_touched(offset, length) {
            return bad("not one checksum for each touched page");
        }
        let (block_values, rest) = message.block_values.as_chunks::<32>();
        let (_, blocks) = types::whole_blocks(offset, length);
        if !rest.is_empty() || (!block_values.is_empty() && block_values.len() as u64 != blocks) {
            return bad("not one value for each whole block");
        }
        if message.write_id == 0 || message.answered_below > message.write_id {
            return bad("write id");
        }
        Ok(Self {
            capability: capability_in(message.capability)?,
            disk: disk(&message.disk)?,
            write_id: message.write_id,
            answered_below: message.answered_below,
            chain_sequence: ChainSequence(message.chain_sequence),
            offset: message.offset,
            length: message.length,
            page_crcs,
            block_values: block_values.to_vec(),
            next: members_in(message.next)?,
            create: message.create,
            durable: message.durable,
            deadline_ms: message.deadline_ms,
        })
    }
}

impl Message for WriteAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::WriteAnswer {
            status: status_code(self.result),
            write_id: self.write_id,
            chain_sequence: self.chain_sequence.0,
            witnesses: self.witnesses.iter().map(witness_out).collect(),
            failed: self.failed.as_ref().map(edge_out),
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::WriteAnswer::decode(bytes)?;
        let (result, failed) = outcome(message.status, message.failed)?;
        Ok(Self {
            result,
            write_id: message.write_id,
            chain_sequence: ChainSequence(message.chain_sequence),
            witnesses: witnesses_in(&message.witnesses)?,
            failed,
        })
    }
}

impl Message for Read {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::Read {
            capability: Some(capability_out(&self.capability)),
            disk: self.disk.0.to_vec(),
            offset: self.offset,
            length: self.length,
            deadline_ms: self.deadline_ms,
            verified: self.verified,
            ordered: self.ordered,
            recorded: self.recorded,
            doubted: self.doubted,
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::Read::decode(bytes)?;
        if !types::in_chunk(u64::from(message.offset), u64::from(message.length)) {
            return bad("range");
        }
        let (from, to) = page_span(message.offset, message.length);
        if to - from > u64::from(PAYLOAD_BYTES_MAX) {
            return bad("range too long for one payload");
        }
        Ok(Self {
            capability: capability_in(message.capability)?,
            disk: disk(&message.disk)?,
            offset: message.offset,
            length: message.length,
            deadline_ms: message.deadline_ms,
            verified: message.verified,
            ordered: message.ordered,
            recorded: message.recorded,
            doubted: message.doubted,
        })
    }
}

impl Message for ReadAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::ReadAnswer {
            status: status_code(self.result),
            page_crcs: crcs_out(&self.page_crcs),
            zeroes: self.zeroes,
            chain_sequence: self.chain_sequence.0,
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::ReadAnswer::decode(bytes)?;
        let (result, page_crcs) = (result(message.status)?, crcs_in(&message.page_crcs)?);
        if (message.zeroes || result.is_err()) && !page_crcs.is_empty() {
            return bad("checksums without pages");
        }
        let chain_sequence = ChainSequence(message.chain_sequence);
        Ok(Self { result, page_crcs, zeroes: message.zeroes, chain_sequence })
    }
}

impl Message for Flush {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::Flush {
            capability: Some(capability_out(&self.capability)),
            disk: self.disk.0.to_vec(),
            chain_sequence: self.chain_sequence.0,
            next: members_out(&self.next),
            held: verifiers_out(&self.held),
            deadline_ms: self.deadline_ms,
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::Flush::decode(bytes)?;
        Ok(Self {
            capability: capability_in(message.capability)?,
            disk: disk(&message.disk)?,
            chain_sequence: ChainSequence(message.chain_sequence),
            next: members_in(message.next)?,
            held: verifiers_in(&message.held)?,
            deadline_ms: message.deadline_ms,
        })
    }
}

impl Message for FlushAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::FlushAnswer {
            status: status_code(self.result),
            witnesses: self.witnesses.iter().map(witness_out).collect(),
            failed: self.failed.as_ref().map(edge_out),
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::FlushAnswer::decode(bytes)?;
        let (result, failed) = outcome(message.status, message.failed)?;
        Ok(Self { result, witnesses: witnesses_in(&message.witnesses)?, failed })
    }
}

impl Message for Values {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::Values {
            capability: Some(capability_out(&self.capability)),
            disk: self.disk.0.to_vec(),
            first: self.blocks.first,
            count: self.blocks.count,
            proved: self.proved,
            deadline_ms: self.deadline_ms,
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::Values::decode(bytes)?;
        let (first, count) = (message.first, message.count);
        if count == 0
            || count > VALUES_MAX
            || first.checked_add(count).is_none_or(|end| end > BLOCKS_PER_CHUNK)
        {
            return bad("range of blocks");
        }
        Ok(Self {
            capability: capability_in(message.capability)?,
            disk: disk(&message.disk)?,
            blocks: BlockRange { first, count },
            proved: message.proved,
            deadline_ms: message.deadline_ms,
        })
    }
}

impl Message for ValuesAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        let message = proto::ValuesAnswer {
            status: self.result.as_ref().err().map_or(0, |status| u32::from(status.code())),
            values: self.result.as_ref().map_or(Vec::new(), |values| values.concat()),
            witness: self.witness.as_ref().map(witness_out),
        };
        append(&message, out);
    }

    fn decode(bytes: &[u8]) -> Checked<Self> {
        let message = proto::ValuesAnswer::decode(bytes)?;
        let (values, rest) = message.values.as_chunks::<32>();
        if !rest.is_empty() || values.len() > VALUES_MAX as usize {
            return bad("values of blocks");
        }
        match result(message.status)? {
            Ok(()) => {
                let witness = message.witness.as_ref().map(witness_in).transpose()?;
                Ok(Self { result: Ok(values.to_vec()), witness })
            }
            Err(_) if !values.is_empty() || message.witness.is_some() => bad("values after a refusal"),
            Err(status) => Ok(Self { result: Err(status), witness: None }),
        }
    }
}

fn append(message: &impl prost::Message, out: &mut Vec<u8>) {
    message.encode(out).expect("a Vec grows");
}
