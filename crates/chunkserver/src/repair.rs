//! A replica made equal to another one of its version, for the raise that found that they may differ.
//!
//! The order of steps is in `docs/protocol/grants.md`, *Settling*. The version was granted to nobody yet, so nothing is
//! read or written of either replica meanwhile.
//!
//! # Invariants
//! 1. The chain is closed while blocks are changed, and takes frames again only when all of them are durable.
//! 2. A page that the source has not sound is no reason to fail: it stays as it is here. Where writes may be missing, it must be
//!    the one whose checksum the source has on record, or finds.
//! 3. A repair that ends early leaves a replica that says *marked*, to be compared again.
//! 4. A replica that is changed answers under another verifier from before the first change: the source may have lost what was acknowledged here
//!    and never synced. It answers for that of the source, as a copy does ([`crate::vouchers`]).

use crate::chain::Chain;
use crate::config::ORDER_WAIT_MAX;
use crate::disks::{Slot, on_disk};
use crate::orders::Orders;
use crate::source::{Sources, done};
use std::sync::Arc;
use std::time::Duration;
use types::{BlockRange, PAGE_BYTES, PAGES_PER_BLOCK, ReplicaAddress, Status, Term, Version};
use wire::chain::{Closed, Origin};

/// How long the source may take to answer, twice: writers wait for it.
const SOURCE_WAIT_MAX: Duration = Duration::from_secs(3);

impl Orders {
    /// Makes these blocks what they are at the source. Without a source this replica is the one that others follow.
    pub(crate) async fn repair(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        term: Term,
        version: Version,
        source: Option<ReplicaAddress>,
        blocks: &[BlockRange],
    ) -> Result<(), Status> {
        let chunk = chain.chunk;
        let Some(source) = source else {
            let cleared = on_disk(slot, move |disk| disk.clear_marked(chunk, version)).await;
            done(&self.context, chain, version, cleared)?;
            if chain.open_version() == Some(version) {
                chain.settled();
            }
            return Ok(());
        };
        if tokio::time::timeout(ORDER_WAIT_MAX, chain.close(Status::WrongVersion)).await.is_err() {
            return Err(Status::TimedOut);
        }
        let marked = on_disk(slot, move |disk| disk.mark(chunk, version)).await;
        let mut result = done(&self.context, chain, version, marked);
        let all = [source];
        let mut sources = Sources::new(&self.context, slot, term, chunk, version, &all, SOURCE_WAIT_MAX);
        if result.is_ok() {
            result = match sources.follow_sound(slot, chain, blocks).await {
                Ok(unsound) => self.follow_pages(slot, chain, version, &mut sources, &unsound).await,
                Err(status) => Err(status),
            };
        }
        if result.is_ok() {
            let (context, others) = (Arc::clone(&self.context), sources.answers_for().await);
            let synced = on_disk(slot, move |disk| {
                disk.sync(chunk, version)?;
                disk.clear_marked(chunk, version)?;
                let verifier = disk.verifier(chunk)?;
                if let Some(others) = others {
                    context.vouchers.put(verifier, chunk, others);
                }
                Ok(verifier)
            });
            match done(&self.context, chain, version, synced.await) {
                Ok(verifier) => {
                    chain.reopen(version, verifier, Origin::Beginning, Closed::default());
                    return Ok(());
                }
                Err(status) => result = Err(status),
            }
        }
        chain.leave();
        self.chains.forget(chain);
        result
    }

    /// Blocks of which the source has pages that do not match their checksums: page by page what it has is taken, and what it
    /// has not stays as it is. The source is mended from here later.
    async fn follow_pages(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        version: Version,
        sources: &mut Sources<'_>,
        blocks: &[BlockRange],
    ) -> Result<(), Status> {
        if blocks.is_empty() {
            return Ok(());
        }
        let (replica, chunk) = ((chain.disk, chain.chunk), chain.chunk);
        let entry = on_disk(slot, move |disk| disk.entry(chunk)).await;
        let power_lost = done(&self.context, chain, version, entry)?.power_lost;
        for range in blocks {
            for page in range.first * PAGES_PER_BLOCK..(range.first + range.count) * PAGES_PER_BLOCK {
                match sources.sound(page * PAGE_BYTES, PAGE_BYTES).await {
                    Ok(pages) => {
                        sources.change(slot, chain).await?;
                        self.replace(slot, replica, version, (page, 1), pages).await?;
                    }
                    // What is here may be older than what rotted there: that is not to be taken for it.
                    Err(Status::Corrupt) if power_lost => {
                        let there = sources.checksums(page).await?;
                        let here = on_disk(slot, move |disk| disk.checksums(chunk, version, page)).await;
                        let [recorded, found] = done(&self.context, chain, version, here)?;
                        // Either its bytes rotted there, or the checksum.
                        if recorded != found || !there.contains(&found) {
                            return Err(Status::ChainBroken);
                        }
                    }
                    Err(Status::Corrupt) => {}
                    Err(status) => return Err(status),
                }
            }
        }
        Ok(())
    }
}
