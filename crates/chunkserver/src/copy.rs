//! A replica made from others, for a chunk that nobody writes.
//!
//! The order of steps is in `docs/protocol/healing.md`. Whole pages come over the data plane with their checksums,
//! verified by the server that sends them (so that rot is found and told where it is) and again here.
//!
//! # Invariants
//! 1. What is here of the chunk is not served meanwhile: its chain is closed, and the new replica says *filling*.
//! 2. Every page has the version that was ordered: a source that was raised refuses, and the copy ends.
//! 3. A copy that ends early leaves nothing behind, or, if the process stops, a replica that says *filling*.

use crate::chain::{Chain, write_with_room};
use crate::config::ORDER_WAIT_MAX;
use crate::disks::{Slot, on_disk};
use crate::orders::{Orders, note};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use store::{FillStart, StoreError};
use types::{
    CHUNK_BYTES, Capability, ChunkId, LeaseEpoch, PAGE_BYTES, PAYLOAD_BYTES_MAX, ReplicaAddress, Rights,
    SessionId, Status, Term, Version, ZERO_PAGE_CRC,
};
use wire::Kind;
use wire::message::{Message, Read, ReadAnswer};

/// Bytes asked for at a time.
const PIECE_BYTES: u32 = PAYLOAD_BYTES_MAX;
/// How long a source may take to answer.
const READ_WAIT_MAX: Duration = Duration::from_secs(10);
const PAGE: usize = PAGE_BYTES as usize;

/// Whole pages of a source.
struct Piece {
    offset: u64,
    data: Bytes,
    crcs: Vec<u32>,
}

/// Where pages come from.
struct Sources<'a> {
    orders: &'a Orders,
    capability: Capability,
    all: &'a [ReplicaAddress],
    /// The one that answered last.
    at: usize,
}

impl Orders {
    /// Makes a complete, durable replica of this version, or leaves nothing.
    pub(crate) async fn copy(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        term: Term,
        version: Version,
        sources: &[ReplicaAddress],
    ) -> Result<(), Status> {
        if tokio::time::timeout(ORDER_WAIT_MAX, chain.close(Status::NoChunk)).await.is_err() {
            return Err(Status::TimedOut);
        }
        let capability = Capability {
            session: SessionId(0),
            term,
            chunk: chain.chunk,
            version,
            rights: Rights::Read,
            lease_epoch: LeaseEpoch(0),
            mac: Vec::new(),
        };
        let sources = Sources { orders: self, capability, all: sources, at: 0 };
        let result = self.fill(slot, chain, version, sources).await;
        if result.is_ok() {
            // Also for a master that did not order it: the link may be another one by now.
            self.context.events.born(chain.disk, chain.chunk, version);
        }
        // The next frame reads the header of what is there now.
        chain.leave();
        self.chains.forget(chain);
        result
    }

    async fn fill(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        version: Version,
        sources: Sources<'_>,
    ) -> Result<(), Status> {
        let (chunk, now_s) = (chain.chunk, u64::try_from(self.clock.wall().0).unwrap_or(0));
        let begun = on_disk(slot, move |disk| disk.begin_filling(chunk, version, now_s)).await;
        if self.done(chain, version, begun)? == FillStart::Complete {
            return Ok(());
        }
        let mut result = self.pour(slot, chain, version, sources).await;
        if result.is_ok() {
            let completed = on_disk(slot, move |disk| disk.complete(chunk, version)).await;
            result = self.done(chain, version, completed);
        }
        if result.is_err() {
            let discarded = on_disk(slot, move |disk| disk.discard_filling(chunk)).await;
            // What cannot be discarded says *filling*, and is told so with the next report.
            let _ = self.done(chain, version, discarded);
        }
        result
    }

    /// Piece by piece; the next is asked for while one is written.
    async fn pour(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        version: Version,
        mut sources: Sources<'_>,
    ) -> Result<(), Status> {
        let chunk = chain.chunk;
        let mut piece = sources.read(0).await?;
        for next in (1..=CHUNK_BYTES / u64::from(PIECE_BYTES)).map(|n| n * u64::from(PIECE_BYTES)) {
            let write = async {
                let Some(piece) = piece.take() else { return Ok(()) };
                let written = on_disk(slot, move |disk| write_piece(disk, chunk, version, &piece)).await;
                self.done(chain, version, written)
            };
            let read = async { if next < CHUNK_BYTES { sources.read(next).await } else { Ok(None) } };
            let (written, read) = tokio::join!(write, read);
            written?;
            piece = read?;
        }
        Ok(())
    }

    /// What the disk did, told and counted if it failed.
    fn done<T>(
        &self,
        chain: &Chain,
        version: Version,
        done: std::io::Result<Result<T, StoreError>>,
    ) -> Result<T, Status> {
        let done = done.map_err(|_| Status::Io)?;
        done.map_err(|error| {
            note(&self.context.events, &chain.slot, chain.disk, chain.chunk, Some(version), &error);
            error.status()
        })
    }
}

impl Sources<'_> {
    /// The pages from `offset` on; `None`: all of them read as zeroes. Each source is tried, the last one twice.
    async fn read(&mut self, offset: u64) -> Result<Option<Piece>, Status> {
        let mut failure = Status::Io;
        for _ in 0..=self.all.len() {
            let source = &self.all[self.at % self.all.len()];
            match self.read_from(source, offset).await {
                Ok(piece) => return Ok(piece),
                // It was raised: the chunk is not quiet any more.
                Err(Status::WrongVersion) => return Err(Status::WrongVersion),
                Err(status) => {
                    tracing::info!(disk = %source.disk, chunk = %self.capability.chunk, %status, "a source of a copy failed");
                    failure = status;
                    self.at += 1;
                }
            }
        }
        Err(failure)
    }

    async fn read_from(&self, source: &ReplicaAddress, offset: u64) -> Result<Option<Piece>, Status> {
        let read = Read {
            capability: self.capability.clone(),
            disk: source.disk,
            // Within a chunk, which is counted in 27 bits.
            offset: offset as u32,
            length: PIECE_BYTES,
            deadline_ms: READ_WAIT_MAX.as_millis() as u32,
            verified: true,
        };
        let answered = async {
            let link = self.orders.context.pool.get(&source.address).await?;
            link.call(Kind::Read, read.to_bytes(), Bytes::new(), READ_WAIT_MAX).await
        };
        let answered = tokio::time::timeout(READ_WAIT_MAX, answered).await.map_err(|_| Status::TimedOut)?;
        let frame = answered.map_err(|error| error.status())?;
        let answer = ReadAnswer::decode(&frame.body).map_err(|_| Status::BadMessage)?;
        answer.result?;
        if answer.zeroes {
            return Ok(None);
        }
        let whole = frame.payload.len() == PIECE_BYTES as usize;
        if !whole || !wire::crc::verify(0, &frame.payload, &answer.page_crcs) {
            return Err(Status::Corrupt);
        }
        Ok(Some(Piece { offset, data: frame.payload, crcs: answer.page_crcs }))
    }
}

/// Writes the pages that are not holes, each with the checksum it came with.
fn write_piece(
    disk: &store::Disk,
    chunk: ChunkId,
    version: Version,
    piece: &Piece,
) -> Result<(), StoreError> {
    let page = |n: usize| &piece.data[n * PAGE..(n + 1) * PAGE];
    let is_hole = |n: usize| piece.crcs[n] == ZERO_PAGE_CRC && page(n).iter().all(|byte| *byte == 0);
    let pages = piece.crcs.len();
    let mut first = 0;
    while first < pages {
        let end = (first..pages).find(|n| is_hole(*n)).unwrap_or(pages);
        if first < end {
            let write = store::Write {
                chunk,
                version,
                offset: piece.offset + (first * PAGE) as u64,
                data: &piece.data[first * PAGE..end * PAGE],
                page_crcs: &piece.crcs[first..end],
                block_values: &[],
                create: false,
            };
            write_with_room(disk, &write)?;
        }
        first = end + 1;
    }
    Ok(())
}
