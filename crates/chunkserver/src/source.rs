//! Replicas on other servers as a source: what their blocks are compared by, and their pages.
//!
//! Both come over the data plane. Pages come whole, with their checksums, verified by the server that sends them (so
//! that rot is found and told where it is) and again here.
//!
//! # Invariants
//! 1. Every answer has the version that is asked for: a source that was raised refuses, and the work ends.
//! 2. A block here that a source's record calls equal stays in a replica that is being made only after the source has read it: the write of its
//!    record may have been lost, and then it is the record of what was there before.
//! 3. [`Sources::held`] names verifiers only if one source gave all, under the same ones at each question for values.

use crate::chain::{Chain, Context, write_with_room};
use crate::disks::{Slot, on_disk};
use crate::orders::note;
use crate::pace::{Debt, Pace};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use store::{Disk, ReplicaState, StoreError};
use types::{
    BLOCK_BYTES, BLOCKS_PER_CHUNK, BlockRange, Capability, ChainSequence, ChunkId, LeaseEpoch, PAGE_BYTES,
    PAYLOAD_BYTES_MAX, ReplicaAddress, Rights, SessionId, Status, Term, Verifier, Version, Witness,
    ZERO_PAGE_CRC,
};
use wire::Kind;
use wire::message::{Message, Read, ReadAnswer, VALUES_MAX, Values, ValuesAnswer};

/// Blocks asked for at a time.
const PIECE_BLOCKS: u32 = PAYLOAD_BYTES_MAX / BLOCK_BYTES;
const PAGE: usize = PAGE_BYTES as usize;

/// Whole blocks of a source.
pub(crate) struct Piece {
    blocks: BlockRange,
    pages: Pages,
}

/// Replicas of one version, of which the first that answers is used.
pub(crate) struct Sources<'a> {
    context: &'a Context,
    /// The disk for which they are asked.
    slot: &'a Slot,
    capability: Capability,
    all: &'a [ReplicaAddress],
    /// How long one may take to answer.
    patience: Duration,
    /// The one that answered last.
    at: usize,
    /// The only one that gave an answer.
    one: Option<usize>,
    /// Under what that one answers.
    witness: Option<Witness>,
    /// Several gave answers, or one did not answer as the same all the time.
    mixed: bool,
    /// A complete replica here was named anew, since it was changed.
    changed: bool,
    /// What all blocks are compared by, of which the sources read every page.
    proved: Vec<[u8; 32]>,
    /// Of what is read at a pace.
    debt: Option<Debt>,
}

/// A question to a source.
#[derive(Clone, Copy)]
enum Question {
    /// Whole pages. `ordered`: after all writes that the source has taken.
    Pages { offset: u32, length: u32, ordered: bool },
    /// `proved`: the pages are read from the device first.
    Values { blocks: BlockRange, proved: bool },
    /// The checksum on record of a page, and that of its bytes.
    Recorded { page: u32 },
}

impl Question {
    fn blocks(blocks: BlockRange, ordered: bool) -> Self {
        Self::Pages { offset: blocks.first * BLOCK_BYTES, length: blocks.count * BLOCK_BYTES, ordered }
    }
}

/// Pages and their checksums; `None`: all of them read as zeroes.
pub(crate) type Pages = Option<(Bytes, Vec<u32>)>;

/// Its answer.
enum Answer {
    /// Of those read in order: the last write before.
    Pages(Pages, ChainSequence),
    Values(Vec<[u8; 32]>, Option<Witness>),
    Recorded([u32; 2]),
}

impl<'a> Sources<'a> {
    pub(crate) fn new(
        context: &'a Context,
        slot: &'a Slot,
        term: Term,
        chunk: ChunkId,
        version: Version,
        all: &'a [ReplicaAddress],
        patience: Duration,
    ) -> Self {
        let capability = Capability {
            session: SessionId(0),
            term,
            chunk,
            version,
            rights: Rights::Read,
            lease_epoch: LeaseEpoch(0),
            mac: Vec::new(),
        };
        Self::with(context, slot, capability, all, patience)
    }

    fn with(
        context: &'a Context,
        slot: &'a Slot,
        capability: Capability,
        all: &'a [ReplicaAddress],
        patience: Duration,
    ) -> Self {
        Self {
            context,
            slot,
            capability,
            all,
            patience,
            at: 0,
            one: None,
            witness: None,
            mixed: false,
            changed: false,
            proved: Vec::new(),
            debt: None,
        }
    }

    /// Pages are read at this pace.
    pub(crate) fn at_pace(self, pace: Option<&Arc<Pace>>) -> Self {
        Self { debt: pace.map(|pace| Debt::new(Arc::clone(pace))), ..self }
    }

    /// Waits until the next pages may be read.
    pub(crate) async fn pay(&mut self) {
        if let Some(debt) = &mut self.debt {
            debt.pay().await;
        }
    }

    /// Pages of the first source that has them, when they may be read.
    async fn paid_pages(&mut self, blocks: BlockRange) -> Result<Answer, Status> {
        self.pay().await;
        self.ask_all(Question::blocks(blocks, false)).await
    }

    /// Asks under what the source answers. To be done before the first block is read, unless values are asked for anyway, and after the
    /// last one.
    pub(crate) async fn ask_witness(&mut self) {
        let first = BlockRange { first: 0, count: 1 };
        self.mixed |= self.ask_all(Question::Values { blocks: first, proved: false }).await.is_err();
    }

    /// The verifiers under which all that was read was held, if that is known. See [`crate::vouchers`].
    pub(crate) fn held(&mut self) -> Vec<Verifier> {
        let witness = self.witness.take().filter(|_| !self.mixed);
        witness.map_or(Vec::new(), |Witness { verifier, mut sources }| {
            sources.insert(0, verifier);
            sources
        })
    }

    fn answered(&mut self, answer: &Answer) {
        let at = self.at % self.all.len();
        self.mixed |= *self.one.get_or_insert(at) != at;
        if let (Answer::Pages(Some((data, _)), _), Some(debt)) = (answer, &mut self.debt) {
            debt.add(data.len() as u64);
        }
        if let Answer::Values(_, witness) = answer {
            self.mixed |= witness.is_none();
            self.mixed |= self.witness.is_some() && self.witness != *witness;
            self.witness.clone_from(witness);
        }
    }

    /// A complete replica here is about to be changed: its writers must not take it any more for the one that it was.
    pub(crate) async fn change(&mut self, slot: &Arc<Slot>, chain: &Arc<Chain>) -> Result<(), Status> {
        if !self.changed {
            let (chunk, version) = (self.capability.chunk, self.capability.version);
            let renewed = on_disk(slot, move |disk| disk.renew(chunk, version)).await;
            done(self.context, chain, version, renewed)?;
            self.changed = true;
        }
        Ok(())
    }

    /// For whom a complete replica here answers now that it is what the source is. `None`: it was that already.
    pub(crate) async fn answers_for(&mut self) -> Option<Vec<Verifier>> {
        if !self.changed {
            return None;
        }
        self.ask_witness().await;
        Some(self.held())
    }

    /// Makes the blocks of a replica here, complete or filling, what they are at the source: those that differ are
    /// read and written. The chain of the replica is closed. A piece is written while the next one is read.
    pub(crate) async fn follow(
        &mut self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        state: ReplicaState,
        blocks: &[BlockRange],
    ) -> Result<(), Status> {
        self.follow_but(slot, chain, state, blocks, None).await.map_err(at_fault)
    }

    /// The same for a complete replica, but for blocks of which the source has pages that do not match their checksums:
    /// these are left as they are, and named.
    pub(crate) async fn follow_sound(
        &mut self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        blocks: &[BlockRange],
    ) -> Result<Vec<BlockRange>, Status> {
        let mut unsound = Vec::new();
        self.follow_but(slot, chain, ReplicaState::Complete, blocks, Some(&mut unsound)).await?;
        Ok(unsound)
    }

    async fn follow_but(
        &mut self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        state: ReplicaState,
        blocks: &[BlockRange],
        mut unsound: Option<&mut Vec<BlockRange>>,
    ) -> Result<(), Status> {
        let mut waiting: Option<Piece> = None;
        // What is left to be looked at, the next one last.
        let mut left: Vec<BlockRange> = blocks.iter().rev().copied().collect();
        while let Some(range) = left.pop() {
            let count = range.count.min(VALUES_MAX);
            let looked = BlockRange { first: range.first, count };
            if range.count > count {
                left.push(BlockRange { first: range.first + count, count: range.count - count });
            }
            let runs = match (self.differing(slot, chain, state, looked).await, unsound.as_mut()) {
                (Err(Status::Corrupt), Some(unsound)) => {
                    match count / 2 {
                        0 => unsound.push(looked),
                        half => {
                            left.push(BlockRange { first: looked.first + half, count: count - half });
                            left.push(BlockRange { first: looked.first, count: half });
                        }
                    }
                    continue;
                }
                (runs, _) => runs?,
            };
            for blocks in runs {
                if state == ReplicaState::Complete && waiting.is_some() {
                    self.change(slot, chain).await?;
                }
                let write = write(self.context, slot, chain, self.capability.version, waiting.take());
                let (written, pages) = tokio::join!(write, self.paid_pages(blocks));
                written?;
                match (pages, unsound.as_mut()) {
                    (Err(Status::Corrupt), Some(unsound)) => unsound.push(blocks),
                    (Ok(Answer::Pages(pages, _)), _) => waiting = Some(Piece { blocks, pages }),
                    (Ok(_), _) => return Err(Status::BadMessage),
                    (Err(status), _) => return Err(status),
                }
            }
        }
        if state == ReplicaState::Complete && waiting.is_some() {
            self.change(slot, chain).await?;
        }
        write(self.context, slot, chain, self.capability.version, waiting).await
    }

    /// Blocks of a source that is being written, and the last write before they were read.
    pub(crate) async fn piece_in_order(
        &mut self,
        blocks: BlockRange,
    ) -> Result<(Piece, ChainSequence), Status> {
        match self.ask(Question::blocks(blocks, true)).await? {
            Answer::Pages(pages, sequence) => Ok((Piece { blocks, pages }, sequence)),
            _ => Err(Status::BadMessage),
        }
    }

    /// The runs of blocks that differ. `Corrupt`: the source cannot tell of all.
    async fn differing(
        &mut self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        state: ReplicaState,
        blocks: BlockRange,
    ) -> Result<Vec<BlockRange>, Status> {
        let (chunk, version) = (self.capability.chunk, self.capability.version);
        let range = blocks.first..blocks.first + blocks.count;
        let ours = on_disk(slot, move |disk| disk.sound_block_values(chunk, version, range, state));
        let (ours, theirs) = tokio::join!(ours, self.values(blocks));
        let (ours, mut theirs) = (done(self.context, chain, version, ours)?, theirs?);
        let is_equal = |theirs: &[[u8; 32]], block: &u32| {
            let n = (block - blocks.first) as usize;
            Some(theirs[n]) == ours[n]
        };
        let all = blocks.first..blocks.first + blocks.count;
        if state == ReplicaState::Filling && self.proved.is_empty() {
            // Blocks that differ are read, and proved by that.
            for (first, count) in runs(all.clone().filter(|block| is_equal(&theirs, block)), blocks.count) {
                let run = BlockRange { first, count };
                let proved = self.ask_values(run, true).await?;
                let at = (run.first - blocks.first) as usize;
                theirs[at..at + proved.len()].copy_from_slice(&proved);
            }
        }
        let at_once = |debt: &Debt| debt.at_once(PAYLOAD_BYTES_MAX.into()) / u64::from(BLOCK_BYTES);
        let most = self.debt.as_ref().map_or(PIECE_BLOCKS, |debt| at_once(debt).max(1) as u32);
        // What is not sound here is replaced.
        let differing = runs(all.filter(|block| !is_equal(&theirs, block)), most).into_iter();
        Ok(differing.map(|(first, count)| BlockRange { first, count }).collect())
    }

    /// What blocks are compared by. `proved`: by their pages, not by the records alone, which may be older.
    async fn ask_values(&mut self, blocks: BlockRange, proved: bool) -> Result<Vec<[u8; 32]>, Status> {
        match self.ask_all(Question::Values { blocks, proved }).await? {
            Answer::Values(values, _) if values.len() == blocks.count as usize => Ok(values),
            _ => Err(Status::BadMessage),
        }
    }

    /// What blocks are compared by, if that was not asked for before.
    async fn values(&mut self, blocks: BlockRange) -> Result<Vec<[u8; 32]>, Status> {
        let range = blocks.first as usize..(blocks.first + blocks.count) as usize;
        match self.proved.get(range) {
            Some(values) => Ok(values.to_vec()),
            None => self.ask_values(blocks, false).await,
        }
    }

    /// Has every page read from the device of a source. `Corrupt`: one is sound on none of them.
    pub(crate) async fn prove_all(&mut self) -> Result<(), Status> {
        for first in (0..BLOCKS_PER_CHUNK).step_by(PIECE_BLOCKS as usize) {
            let blocks = BlockRange { first, count: PIECE_BLOCKS.min(BLOCKS_PER_CHUNK - first) };
            let values = self.ask_values(blocks, true).await?;
            self.proved.extend(values);
        }
        Ok(())
    }

    /// Whole pages of the first source on which all of them are sound.
    pub(crate) async fn pages(&mut self, offset: u32, length: u32) -> Result<Pages, Status> {
        match self.ask(Question::Pages { offset, length, ordered: false }).await? {
            Answer::Pages(pages, _) => Ok(pages),
            _ => Err(Status::BadMessage),
        }
    }

    /// Whole pages of the first source on which all of them match their checksums. `Corrupt`: there is none, and each was
    /// asked.
    pub(crate) async fn sound(&mut self, offset: u32, length: u32) -> Result<Pages, Status> {
        self.at = 0;
        match self.ask_all(Question::Pages { offset, length, ordered: false }).await? {
            Answer::Pages(pages, _) => Ok(pages),
            _ => Err(Status::BadMessage),
        }
    }

    /// A page of the first source that has it sound and with this checksum. `Corrupt`: none has, and each was asked.
    pub(crate) async fn sound_as(&self, page: u32, crc: u32) -> Result<Pages, Status> {
        for source in self.all {
            let (capability, all) = (self.capability.clone(), std::slice::from_ref(source));
            let mut one = Sources::with(self.context, self.slot, capability, all, self.patience);
            match one.sound(page * PAGE_BYTES, PAGE_BYTES).await {
                Ok(pages) if is_page(&pages, crc) => return Ok(pages),
                Ok(_) | Err(Status::Corrupt) => {}
                Err(status) => return Err(status),
            }
        }
        Err(Status::Corrupt)
    }

    /// The checksum that a page of the first source should have, in whatever condition it is, and that it has.
    pub(crate) async fn checksums(&mut self, page: u32) -> Result<[u32; 2], Status> {
        match self.ask(Question::Recorded { page }).await? {
            Answer::Recorded(crcs) => Ok(crcs),
            _ => Err(Status::BadMessage),
        }
    }

    /// `ChainBroken` says that it is the sources who failed, and not a disk here.
    async fn ask(&mut self, question: Question) -> Result<Answer, Status> {
        self.ask_all(question).await.map_err(at_fault)
    }

    /// Each source is tried, the last one twice.
    async fn ask_all(&mut self, question: Question) -> Result<Answer, Status> {
        let mut failure = Status::Corrupt;
        if self.all.is_empty() {
            return Err(failure);
        }
        for _ in 0..=self.all.len() {
            let source = &self.all[self.at % self.all.len()];
            let answered = tokio::time::timeout(self.patience, self.ask_one(source, question)).await;
            match answered.unwrap_or(Err(Status::TimedOut)) {
                Ok(answer) => {
                    self.answered(&answer);
                    return Ok(answer);
                }
                // It was raised: the chunk is not quiet any more.
                Err(Status::WrongVersion) => return Err(Status::WrongVersion),
                Err(status) => {
                    tracing::info!(disk = %source.disk, chunk = %self.capability.chunk, %status, "a source failed");
                    self.at += 1;
                    if status != Status::Corrupt {
                        failure = Status::ChainBroken;
                    }
                }
            }
        }
        Err(failure)
    }

    async fn ask_one(&self, source: &ReplicaAddress, question: Question) -> Result<Answer, Status> {
        let link = self.context.pool.get(&source.address).await.map_err(|error| error.status())?;
        let (capability, disk) = (self.capability.clone(), source.disk);
        let deadline_ms = self.patience.as_millis() as u32;
        let read = |offset, length| Read {
            capability: capability.clone(),
            disk,
            offset,
            length,
            deadline_ms,
            verified: true,
            ordered: false,
            recorded: false,
            doubted: false,
        };
        let page_of = |page| read(page * PAGE_BYTES, PAGE_BYTES);
        let (kind, body) = match question {
            Question::Pages { offset, length, ordered } => {
                (Kind::Read, Read { ordered, ..read(offset, length) }.to_bytes())
            }
            Question::Recorded { page } => (Kind::Read, Read { recorded: true, ..page_of(page) }.to_bytes()),
            Question::Values { blocks, proved } => {
                let values = Values { capability, disk, blocks, proved, deadline_ms };
                (Kind::Values, values.to_bytes())
            }
        };
        let frame = link.call(kind, body, Bytes::new(), self.patience).await;
        let frame = frame.map_err(|error| error.status())?;
        self.slot.count_pulled((frame.body.len() + frame.payload.len()) as u64);
        match question {
            Question::Values { .. } => {
                let answer = ValuesAnswer::decode(&frame.body).map_err(|_| Status::BadMessage)?;
                Ok(Answer::Values(answer.result?, answer.witness))
            }
            Question::Recorded { .. } => {
                let answer = ReadAnswer::decode(&frame.body).map_err(|_| Status::BadMessage)?;
                answer.result?;
                let crcs = answer.page_crcs.try_into().map_err(|_| Status::BadMessage)?;
                Ok(Answer::Recorded(crcs))
            }
            Question::Pages { length, .. } => {
                let answer = ReadAnswer::decode(&frame.body).map_err(|_| Status::BadMessage)?;
                answer.result?;
                if answer.zeroes {
                    return Ok(Answer::Pages(None, answer.chain_sequence));
                }
                let whole = frame.payload.len() == length as usize;
                if !whole || !wire::crc::verify(0, &frame.payload, &answer.page_crcs) {
                    return Err(Status::Corrupt);
                }
                Ok(Answer::Pages(Some((frame.payload, answer.page_crcs)), answer.chain_sequence))
            }
        }
    }
}

/// Numbers in order, as runs of neighbours, at most so many in one: each its first and their count.
pub(crate) fn runs(numbers: impl IntoIterator<Item = u32>, most: u32) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == number && *count < most => *count += 1,
            _ => runs.push((number, 1)),
        }
    }
    runs
}

/// Whether it is the one page that has this checksum.
fn is_page(pages: &Pages, crc: u32) -> bool {
    pages.as_ref().map_or(ZERO_PAGE_CRC, |(_, crcs)| crcs[0]) == crc
}

/// What is damaged at the source is no fault here.
fn at_fault(status: Status) -> Status {
    if status == Status::Corrupt { Status::ChainBroken } else { status }
}

async fn write(
    context: &Context,
    slot: &Arc<Slot>,
    chain: &Arc<Chain>,
    version: Version,
    piece: Option<Piece>,
) -> Result<(), Status> {
    let Some(piece) = piece else { return Ok(()) };
    let chunk = chain.chunk;
    let written = on_disk(slot, move |disk| write_piece(disk, chunk, version, &piece)).await;
    done(context, chain, version, written)
}

/// What the disk did, told and counted if it failed.
pub(crate) fn done<T>(
    context: &Context,
    chain: &Chain,
    version: Version,
    done: std::io::Result<Result<T, StoreError>>,
) -> Result<T, Status> {
    let done = done.map_err(|_| Status::Io)?;
    done.map_err(|error| {
        note(&context.events, &chain.slot, chain.disk, chain.chunk, Some(version), &error);
        error.status()
    })
}

/// Writes the pages that are not holes, each with the checksum it came with; the others become holes. What blocks are compared by is computed
/// here, of these very bytes: what a source told may be of others.
pub(crate) fn write_piece(
    disk: &Disk,
    chunk: ChunkId,
    version: Version,
    piece: &Piece,
) -> Result<(), StoreError> {
    let block = u64::from(BLOCK_BYTES);
    let start = u64::from(piece.blocks.first) * block;
    let Some((data, crcs)) = &piece.pages else {
        return disk.punch(chunk, version, &[(start, start + u64::from(piece.blocks.count) * block)]);
    };
    let page = |n: usize| &data[n * PAGE..(n + 1) * PAGE];
    let is_hole = |n: usize| crcs[n] == ZERO_PAGE_CRC && page(n).iter().all(|byte| *byte == 0);
    let holes: Vec<bool> = (0..crcs.len()).map(is_hole).collect();
    let mut first = 0;
    for run in holes.chunk_by(|one, other| one == other) {
        let (from, to) = (first * PAGE, (first + run.len()) * PAGE);
        let offset = start + from as u64;
        if run[0] {
            disk.punch(chunk, version, &[(offset, start + to as u64)])?;
        } else {
            let (whole, count) = types::whole_blocks(offset, (to - from) as u64);
            let at = |number: u64| (number * block - start) as usize;
            let value = |number: u64| store::block_value(number as usize, &data[at(number)..at(number + 1)]);
            let values: Vec<[u8; 32]> = (whole..whole + count).map(value).collect();
            let write = store::Write {
                chunk,
                version,
                offset,
                data: &data[from..to],
                page_crcs: &crcs[first..first + run.len()],
                block_values: &values,
                create: false,
            };
            write_with_room(disk, &write)?;
        }
        first += run.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_asked_for_together_up_to_a_frame() {
        assert_eq!(runs([], 3), []);
        assert_eq!(runs([3, 4, 5, 9], 3), [(3, 3), (9, 1)]);
        assert_eq!(runs(0..4, 3), [(0, 3), (3, 1)]);
    }
}
