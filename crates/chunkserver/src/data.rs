//! The data plane's door: connections, admission, reads.

use crate::chain::{Arrived, Budget, Context, What};
use crate::chains::Chains;
use crate::config::CONNECTION_BYTES_MAX;
use crate::disks::{Disks, Slot};
use crate::events::Events;
use crate::standing::Standing;
use bytes::Bytes;
use codec::session::SessionOpenAnswer;
use env::Stream;
use link::{Counters, Incoming, Refused, Replier, ServeOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Disk, ReadBack, ReplicaState, StoreError};
use types::{BLOCK_BYTES, ChainSequence, DiskId, PAGE_BYTES, PAYLOAD_BYTES_MAX, Rights, Status, Witness};
use wire::chain::Refusal;
use wire::frame::PROTOCOL_VERSION;
use wire::message::{
    FailedEdge, Flush, FlushAnswer, Hello, HelloAnswer, Message, Read, ReadAnswer, Role, Values,
    ValuesAnswer, Write, WriteAnswer,
};
use wire::{Frame, Kind};

/// What frames need.
pub(crate) struct DataPlane {
    pub(crate) standing: Arc<Standing>,
    pub(crate) disks: Arc<Disks>,
    pub(crate) chains: Arc<Chains>,
    pub(crate) context: Arc<Context>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) name: String,
}

impl DataPlane {
    /// Serves one connection until it ends.
    pub(crate) async fn serve(self: Arc<Self>, stream: Stream, peer: String) {
        let options = ServeOptions { in_flight_bytes_max: CONNECTION_BYTES_MAX, ..ServeOptions::default() };
        let counters = Arc::clone(&self.counters);
        let incoming = Incoming { stream, first: Bytes::new(), peer };
        let of_server = AtomicBool::new(false);
        let accept = |hello: &Hello| {
            of_server.store(hello.role == Role::Chunkserver, Ordering::Relaxed);
            let cluster = self.standing.cluster();
            if let (Some(ours), Some(theirs)) = (cluster, hello.cluster)
                && ours != theirs
            {
                let message = format!("{} belongs to cluster {ours}, not to {theirs}", self.name);
                return Err(Refused { status: Status::WrongCluster, message });
            }
            let answer = HelloAnswer {
                protocol_version: PROTOCOL_VERSION,
                result: Ok(()),
                cluster,
                term: self.standing.highest_term(),
                message: String::new(),
            };
            let plane = Arc::clone(&self);
            Ok((answer, move |frame, replier| plane.frame(frame, replier)))
        };
        link::serve(incoming, options, &counters, accept).await;
        if of_server.into_inner() {
            self.chains.lost_before();
        }
    }

    fn frame(&self, frame: Frame, replier: Replier) {
        match frame.kind {
            Kind::Write => self.write(frame, replier),
            Kind::Read => self.read(frame, replier),
            Kind::Flush => self.flush(frame, replier),
            Kind::Values => self.values(frame, replier),
            // A client that takes this for a master.
            Kind::SessionOpen => {
                let answer = SessionOpenAnswer(Err(Status::Unsupported));
                replier.answer(&codec::Message::to_bytes(&answer), Bytes::new());
            }
            Kind::Hello | Kind::Ping | Kind::Request | Kind::Recall => {
                // Not for a chunkserver. There is no answer that the sender would understand but none.
                tracing::debug!(kind = ?frame.kind, "a frame for somebody else");
            }
        }
    }

    fn write(&self, frame: Frame, replier: Replier) {
        let refuse = |replier: Replier, write_id, refusal: Refusal| {
            let (result, failed) = (Err(refusal.status), refusal.failed);
            let (chain_sequence, witnesses) = (ChainSequence(0), Vec::new());
            let answer = WriteAnswer { result, write_id, chain_sequence, witnesses, failed };
            replier.answer(&answer.to_bytes(), Bytes::new());
        };
        let write = match Write::decode(&frame.body) {
            Ok(write) if write.length as usize == frame.payload.len() => write,
            Ok(_) | Err(_) => return refuse(replier, 0, plain(Status::BadMessage)),
        };
        let (write_id, disk) = (write.write_id, write.disk);
        if write.capability.rights != Rights::Write {
            return refuse(replier, write_id, plain(Status::AccessDenied));
        }
        if let Err(status) = self.standing.admit_write(write.capability.term) {
            return refuse(replier, write_id, plain(status));
        }
        let slot = match self.slot(disk) {
            Ok(slot) => slot,
            Err(status) => return refuse(replier, write_id, at(disk, status)),
        };
        // Only at the head, before the write has a place in the order: to refuse a forwarded one breaks the chain.
        let budget = if write.chain_sequence == ChainSequence(0) {
            match self.budget.spend(frame.payload.len()) {
                Some(spent) => Some(spent),
                None => return refuse(replier, write_id, plain(Status::TryAgain)),
            }
        } else {
            None
        };
        let what = What::Write(Box::new(write), frame.payload);
        self.chains.arrive(&slot, disk, Arrived::new(what, replier, budget));
    }

    fn flush(&self, frame: Frame, replier: Replier) {
        let refuse = |replier: Replier, refusal: Refusal| {
            let answer =
                FlushAnswer { result: Err(refusal.status), witnesses: Vec::new(), failed: refusal.failed };
            replier.answer(&answer.to_bytes(), Bytes::new());
        };
        let Ok(flush) = Flush::decode(&frame.body) else {
            return refuse(replier, plain(Status::BadMessage));
        };
        let disk = flush.disk;
        if flush.capability.rights != Rights::Write {
            return refuse(replier, plain(Status::AccessDenied));
        }
        if let Err(status) = self.standing.admit_write(flush.capability.term) {
            return refuse(replier, plain(status));
        }
        match self.slot(disk) {
            Ok(slot) => {
                self.chains.arrive(&slot, disk, Arrived::new(What::Flush(Box::new(flush)), replier, None));
            }
            Err(status) => refuse(replier, at(disk, status)),
        }
    }

    fn slot(&self, disk: DiskId) -> Result<Arc<Slot>, Status> {
        let slot = self.disks.get(disk).ok_or(Status::NoChunk)?;
        if slot.disk().is_some() && !slot.is_stuck() { Ok(slot) } else { Err(Status::Io) }
    }

    fn read(&self, frame: Frame, replier: Replier) {
        let Ok(read) = Read::decode(&frame.body) else {
            return refuse_read(replier, Status::BadMessage);
        };
        if let Err(status) = self.standing.admit_read(read.capability.term) {
            return refuse_read(replier, status);
        }
        let slot = match self.slot(read.disk) {
            Ok(slot) => slot,
            Err(status) => return refuse_read(replier, status),
        };
        let Some(disk) = slot.disk() else { return refuse_read(replier, Status::Io) };
        let capability = &read.capability;
        if read.recorded {
            if slot.is_busy() {
                return refuse_read(replier, Status::TryAgain);
            }
            return slot.run(move || answer_recorded(replier, &disk, &read));
        }
        if read.ordered {
            return match self.chains.known(read.disk, read.capability.chunk) {
                // A full queue would fail the chain.
                Some(_) if slot.is_busy() => refuse_read(replier, Status::TryAgain),
                Some(chain) => chain.read_in_order(read, replier),
                None => refuse_read(replier, Status::Gap),
            };
        }
        // What is to be stored elsewhere is verified here, so that rot is found where it is; and what a client found
        // not to match.
        let (offset, length) = (u64::from(read.offset), read.length);
        let look = read.verified || read.doubted;
        if !look
            && replier.has_room()
            && let Some(result) = disk.read_resident(capability.chunk, capability.version, offset, length)
        {
            return answer_read(replier, result, ChainSequence(0));
        }
        if slot.is_busy() {
            return refuse_read(replier, Status::TryAgain);
        }
        read_on_disk(Arc::clone(&self.context), slot, disk, read, replier);
    }

    /// What blocks are compared by. Computing it reads the blocks from the device.
    fn values(&self, frame: Frame, replier: Replier) {
        let answer = |replier: Replier, result, witness| {
            replier.answer(&ValuesAnswer { result, witness }.to_bytes(), Bytes::new());
        };
        let refuse = |replier: Replier, status| answer(replier, Err(status), None);
        let Ok(values) = Values::decode(&frame.body) else {
            return refuse(replier, Status::BadMessage);
        };
        let slot = self.standing.admit_read(values.capability.term).and_then(|()| self.slot(values.disk));
        let slot = match slot {
            Ok(slot) => slot,
            Err(status) => return refuse(replier, status),
        };
        let Some(disk) = slot.disk() else { return refuse(replier, Status::Io) };
        if slot.is_busy() {
            return refuse(replier, Status::TryAgain);
        }
        let context = Arc::clone(&self.context);
        slot.run(move || {
            let (chunk, version) = (values.capability.chunk, values.capability.version);
            let blocks = values.blocks.first..values.blocks.first + values.blocks.count;
            let told = if values.proved {
                proved_values(&disk, &values, &context.events)
            } else {
                disk.block_values(chunk, version, blocks, ReplicaState::Complete)
            };
            let result = told.map_err(|error| {
                // What was read tells of that by itself, where it is so.
                if error.is_damage() && !values.proved {
                    context.events.damaged(disk.id(), chunk, version);
                }
                error.status()
            });
            let verifier = disk.verifier(chunk).ok().filter(|_| result.is_ok());
            let sources = |verifier| context.vouchers.of(verifier, chunk);
            answer(
                replier,
                result,
                verifier.map(|verifier| Witness { verifier, sources: sources(verifier) }),
            );
        });
    }
}

fn plain(status: Status) -> Refusal {
    Refusal { status, failed: None }
}

fn at(disk: DiskId, status: Status) -> Refusal {
    Refusal { status, failed: Some(FailedEdge { from: None, to: disk, status }) }
}

pub(crate) fn refuse_read(replier: Replier, status: Status) {
    let chain_sequence = ChainSequence(0);
    let answer = ReadAnswer { result: Err(status), page_crcs: Vec::new(), zeroes: false, chain_sequence };
    replier.answer(&answer.to_bytes(), Bytes::new());
}

/// Reads on the disk's thread, once there is room for the answer: a peer that does not read its answers must not fill the
/// memory. It is looked at last, for while the disk is waited for the room is of use to others.
fn read_on_disk(context: Arc<Context>, slot: Arc<Slot>, disk: Arc<Disk>, read: Read, replier: Replier) {
    let slot_then = Arc::clone(&slot);
    slot.run(move || {
        if !replier.has_room() {
            let bytes = read.length as usize;
            return replier.when_room(bytes, move |replier| {
                read_on_disk(context, slot_then, disk, read, replier);
            });
        }
        let result = read_verified(&disk, &read, &context.events);
        if matches!(&result, Err(error) if error.status() == Status::Io) {
            slot_then.count_error();
        }
        answer_read(replier, result, ChainSequence(0));
    });
}

/// `sequence`: of a read in the chain's order, the last write before it.
pub(crate) fn answer_read(
    replier: Replier,
    result: Result<ReadBack, StoreError>,
    chain_sequence: ChainSequence,
) {
    match result {
        Ok(ReadBack { data, page_crcs, zeroes }) => {
            let answer = ReadAnswer { result: Ok(()), page_crcs, zeroes, chain_sequence };
            replier.answer(&answer.to_bytes(), data);
        }
        Err(error) => refuse_read(replier, error.status()),
    }
}

fn answer_recorded(replier: Replier, disk: &Disk, read: &Read) {
    let page = read.offset / PAGE_BYTES;
    match disk.checksums(read.capability.chunk, read.capability.version, page) {
        Ok(crcs) => {
            let (page_crcs, chain_sequence) = (crcs.to_vec(), ChainSequence(0));
            let answer = ReadAnswer { result: Ok(()), page_crcs, zeroes: false, chain_sequence };
            replier.answer(&answer.to_bytes(), Bytes::new());
        }
        Err(error) => refuse_read(replier, error.status()),
    }
}

/// What blocks are compared by, of their pages, which are read as if another server had asked for them; what is on record plays no part.
fn proved_values(disk: &Disk, values: &Values, events: &Events) -> Result<Vec<[u8; 32]>, StoreError> {
    let (first, end) = (values.blocks.first, values.blocks.first + values.blocks.count);
    let mut proved = Vec::with_capacity(values.blocks.count as usize);
    while first + (proved.len() as u32) < end {
        let block = first + proved.len() as u32;
        let length = PAYLOAD_BYTES_MAX.min((end - block) * BLOCK_BYTES);
        let read = Read {
            capability: values.capability.clone(),
            disk: values.disk,
            offset: block * BLOCK_BYTES,
            length,
            deadline_ms: values.deadline_ms,
            verified: true,
            ordered: false,
            recorded: false,
            doubted: false,
        };
        let back = read_verified(disk, &read, events)?;
        let numbers = block as usize..(block + length / BLOCK_BYTES) as usize;
        if back.zeroes {
            proved.extend(numbers.map(store::hole_value));
        } else {
            let data = back.data.chunks_exact(BLOCK_BYTES as usize);
            proved.extend(numbers.zip(data).map(|(number, data)| store::block_value(number, data)));
        }
    }
    Ok(proved)
}

/// Reads from the device, where rot shows first, and looks whether the pages match their checksums. What does
/// not is read again under the lock, which judges; a write may have been between data and checksum.
pub(crate) fn read_verified(disk: &Disk, read: &Read, events: &Events) -> Result<ReadBack, StoreError> {
    let (chunk, version) = (read.capability.chunk, read.capability.version);
    let offset = u64::from(read.offset);
    let result = disk.read(chunk, version, offset, read.length);
    match &result {
        Ok(back) if back.zeroes || wire::crc::verify(0, &back.data, &back.page_crcs) => return result,
        // What the device could not read may be one sector of it, which is judged as rot is; so is what rotted in the table.
        Ok(_) | Err(StoreError::Disk { .. } | StoreError::DamagedFile { .. }) => {}
        // Another server asks for pages that it lacks: this replica does not have them either.
        Err(StoreError::Torn { page, .. }) if read.verified => {
            return Err(StoreError::Damaged { chunk, page: *page });
        }
        Err(error) => {
            if error.is_damage() {
                events.damaged(disk.id(), chunk, version);
            }
            return result;
        }
    }
    let damaged = disk.verify(chunk, version, offset, u64::from(read.length)).inspect_err(|error| {
        // Not even its header can be read.
        if error.is_damage() || matches!(error, StoreError::Disk { .. }) {
            events.damaged(disk.id(), chunk, version);
        }
    })?;
    match damaged.first() {
        Some(page) => {
            tracing::warn!(disk = %disk.id(), %chunk, ?damaged, "pages of a replica do not match their checksums");
            events.damaged(disk.id(), chunk, version);
            Err(StoreError::Damaged { chunk, page: *page })
        }
        None => disk.read(chunk, version, offset, read.length),
    }
}
