//! A replica made equal to another one of its version, for the raise that found that they may differ.
//!
//! The order of steps is in `docs/protocol/grants.md`, *Settling*. The version was granted to nobody yet, so nothing is
//! read or written of either replica meanwhile.
//!
//! # Invariants
//! 1. The chain is closed while blocks are changed, and takes frames again only when all of them are durable.
//! 2. A repair that ends early leaves a replica that says *marked*, to be compared again.

use crate::chain::Chain;
use crate::config::ORDER_WAIT_MAX;
use crate::disks::{Slot, on_disk};
use crate::orders::Orders;
use crate::source::{Sources, done};
use std::sync::Arc;
use std::time::Duration;
use store::ReplicaState;
use types::{BlockRange, ReplicaAddress, Status, Term, Version};
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
        if result.is_ok() {
            let all = [source];
            let mut sources = Sources::new(&self.context, term, chunk, version, &all, SOURCE_WAIT_MAX);
            result = sources.follow(slot, chain, ReplicaState::Complete, blocks).await;
        }
        if result.is_ok() {
            let synced = on_disk(slot, move |disk| {
                disk.sync(chunk, version).and_then(|()| disk.clear_marked(chunk, version))
            });
            result = done(&self.context, chain, version, synced.await);
        }
        match result {
            Ok(()) => chain.reopen(version, Origin::Beginning, Closed::default()),
            Err(_) => {
                chain.leave();
                self.chains.forget(chain);
            }
        }
        result
    }
}
