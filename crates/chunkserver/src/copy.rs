//! A replica made from others, for a chunk that nobody writes.
//!
//! The order of steps is in `docs/protocol/healing.md`; how blocks are compared and read: `source`.
//!
//! # Invariants
//! 1. What is here of the chunk is not served meanwhile: its chain is closed, and the new replica says *filling*.
//! 2. Every page has the version that was ordered: a source that was raised refuses, and the copy ends.
//! 3. A copy that ends early leaves nothing behind, or, if the process stops or an older replica was used, one that
//!    says *filling*.
//! 4. What is here is changed or set aside only after a source has read every page of its own: a page that rotted at the sources, and
//!    nobody has met, may be here alone; and a source whose record is older than its bytes must not be taken to be equal to it.

use crate::chain::Chain;
use crate::config::ORDER_WAIT_MAX;
use crate::disks::{Slot, on_disk};
use crate::orders::Orders;
use crate::pace::Pace;
use crate::source::{Sources, done};
use std::sync::Arc;
use std::time::Duration;
use store::{FillStart, ReplicaState};
use types::{BlockRange, ReplicaAddress, Status, Term, Version};

/// How long a source may take to answer.
const SOURCE_WAIT_MAX: Duration = Duration::from_secs(10);

impl Orders {
    /// Makes a complete, durable replica of this version, or leaves nothing.
    pub(crate) async fn copy(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        term: Term,
        version: Version,
        sources: &[ReplicaAddress],
        pace: Option<&Arc<Pace>>,
    ) -> Result<(), Status> {
        if tokio::time::timeout(ORDER_WAIT_MAX, chain.close(Status::NoChunk)).await.is_err() {
            return Err(Status::TimedOut);
        }
        let sources = Sources::new(&self.context, slot, term, chain.chunk, version, sources, SOURCE_WAIT_MAX);
        let result = self.fill(slot, chain, version, sources.at_pace(pace)).await;
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
        mut sources: Sources<'_>,
    ) -> Result<(), Status> {
        let (chunk, now_s) = (chain.chunk, u64::try_from(self.clock.wall().0).unwrap_or(0));
        let begun = on_disk(slot, move |disk| disk.begin_filling_anew(chunk, version)).await;
        let begun = match done(&self.context, chain, version, begun)? {
            Some(begun) => begun,
            None => {
                sources.prove_all().await?;
                let begun = on_disk(slot, move |disk| disk.begin_filling(chunk, version, now_s)).await;
                done(&self.context, chain, version, begun)?
            }
        };
        if begun == FillStart::Complete {
            return Ok(());
        }
        let mut result = sources.follow(slot, chain, ReplicaState::Filling, &[BlockRange::ALL]).await;
        if result.is_ok() {
            sources.ask_witness().await;
            let (context, others) = (Arc::clone(&self.context), sources.held());
            let completed = on_disk(slot, move |disk| {
                disk.complete(chunk, version)?;
                context.vouchers.put(disk.verifier(chunk)?, chunk, others);
                Ok(())
            });
            result = done(&self.context, chain, version, completed.await);
        }
        // What was here before stays, filling, for the next time.
        if result.is_err() && begun == FillStart::Begun {
            let discarded = on_disk(slot, move |disk| disk.discard_filling(chunk)).await;
            // What cannot be discarded says *filling*, and is told so with the next report.
            let _ = done(&self.context, chain, version, discarded);
        }
        result
    }
}
