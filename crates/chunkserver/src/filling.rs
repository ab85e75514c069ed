//! A replica made while its chunk is being written: as the last member of the chain.
//!
//! The order of steps is in `docs/protocol/filling.md`; which bytes are to be pulled, and what is written on top of them:
//! `wire::chain::Filling`.
//!
//! # Invariants
//! 1. The replica says *filling*, durably, before its first frame is answered, and until everything in it is durable.
//! 2. It takes every write of its version from the first one on. If it cannot, it is not filled any further.
//! 3. A piece that cannot be had costs the writers nothing: the order fails, and the member goes on taking writes until
//!    the master leaves it out.

use crate::chain::{Chain, Next};
use crate::config::ORDER_WAIT_MAX;
use crate::disks::{Slot, on_disk};
use crate::orders::Orders;
use crate::pace::Pace;
use crate::source::{Sources, done};
use std::sync::Arc;
use std::time::Duration;
use store::ReplicaState;
use types::{BlockRange, ChunkId, DiskId, ReplicaAddress, Status, Term, Version};
use wire::chain::{Closed, Origin};

/// How long a source may take to answer, and a write that it has taken to get here.
const SOURCE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often one piece is asked for, of all sources each time.
const TRIES_MAX: u32 = 4;
/// Pause before it is asked for again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

impl Orders {
    /// Begins an empty replica of this version; what is here of a lower one is set aside.
    pub(crate) async fn begin_filling(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        version: Version,
    ) -> Result<(), Status> {
        if chain.fills(version) || chain.open_version() == Some(version) {
            return Ok(()); // Repeated; writes of the version may be under way.
        }
        if tokio::time::timeout(ORDER_WAIT_MAX, chain.close(Status::NoChunk)).await.is_err() {
            return Err(Status::TimedOut);
        }
        let (chunk, now_s) = (chain.chunk, u64::try_from(self.clock.wall().0).unwrap_or(0));
        let begun = on_disk(slot, move |disk| {
            disk.begin_empty(chunk, version, now_s).and_then(|()| disk.verifier(chunk))
        });
        let result = done(&self.context, chain, version, begun.await);
        match &result {
            Ok(verifier) => chain.reopen(version, *verifier, Origin::Filling, Closed::default()),
            Err(_) => {
                chain.leave();
                self.chains.forget(chain);
                // What was here may still be.
                let entry = on_disk(slot, move |disk| disk.entry(chunk)).await;
                if let Ok(Ok(entry)) = entry
                    && entry.state == ReplicaState::Complete
                {
                    self.context.events.born(chain.disk, chunk, entry.version);
                }
            }
        }
        result.map(drop)
    }

    /// Pulls all of the chunk and makes the replica complete. Other orders for it are carried out meanwhile, and may end this.
    pub(crate) async fn feed(
        &self,
        disk: DiskId,
        chunk: ChunkId,
        term: Term,
        version: Version,
        sources: &[ReplicaAddress],
        pace: Option<&Arc<Pace>>,
    ) -> Result<(), Status> {
        let chain = self.chains.known(disk, chunk).ok_or(Status::NoChunk)?;
        let sources =
            Sources::new(&self.context, &chain.slot, term, chunk, version, sources, SOURCE_WAIT_MAX);
        let mut sources = sources.at_pace(pace);
        sources.ask_witness().await;
        loop {
            sources.pay().await;
            match chain.next_needed(version)? {
                Next::Piece(blocks) => self.bring(&chain, version, &mut sources, blocks).await?,
                Next::Writes => {
                    let moved = tokio::time::timeout(SOURCE_WAIT_MAX, chain.moved()).await;
                    moved.map_err(|_| Status::TimedOut)?;
                }
                Next::Nothing => {
                    sources.ask_witness().await;
                    let completed = chain.complete(version, sources.held()).await?;
                    done(&self.context, &chain, version, Ok(completed))?;
                    // Also for a master that did not order it: the link may be another one by now.
                    self.context.events.born(disk, chunk, version);
                    return Ok(());
                }
            }
        }
    }

    /// Pulls one piece and stores it. What sources refuse for the moment is asked for again a few times.
    async fn bring(
        &self,
        chain: &Arc<Chain>,
        version: Version,
        sources: &mut Sources<'_>,
        blocks: BlockRange,
    ) -> Result<(), Status> {
        let mut tries = 1;
        loop {
            match sources.piece_in_order(blocks).await {
                Ok((piece, sequence)) => {
                    let landed = chain.land(version, piece, sequence).await?;
                    return done(&self.context, chain, version, Ok(landed));
                }
                Err(status) if status == Status::WrongVersion || tries == TRIES_MAX => {
                    chain.missed(version);
                    return Err(status);
                }
                Err(_) => {
                    tries += 1;
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
        }
    }
}
