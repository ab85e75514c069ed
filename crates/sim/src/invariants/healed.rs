//! Once nothing is broken any more, every chunk gets exactly as many replicas as it should have, without being asked
//! (`docs/protocol/healing.md`).

use crate::driver::{Stage, Violation};
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any pause between two tries of one chunk.
const HEALED_WITHIN: Duration = Duration::from_secs(1_200);
/// Longer than a replica counts as one that may come back: what is missing then stays so.
const MISSING_FOR: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until all chunks are at their goal, replicas that may differ are compared, and none is left that is not needed. Chunks that a loss of
/// power may have taken may be missing; `readable` judges each of them.
pub(crate) async fn wait(stage: &Stage) -> Result<(), Violation> {
    let mut last = String::new();
    let mut missing_since = None;
    let healed = async {
        loop {
            super::redundancy::check(stage)?;
            if let Some(status) = stage.cluster.status().await {
                let chunks = status.chunks;
                let here = status.disks.iter().filter(|disk| disk.state.is_some());
                let replicas: u64 = here.map(|disk| disk.chunks).sum();
                let short = chunks.endangered + chunks.undergoal + chunks.unknown;
                let needed = chunks.ok * u64::from(status.goal);
                // What is gone may have been unsettled before; there is nothing left to compare.
                let unsettled = chunks.unsettled.saturating_sub(chunks.missing);
                let waiting = short + chunks.overgoal + unsettled > 0;
                if !waiting && chunks.missing == 0 && replicas == needed {
                    stage.settled.set(stage.calm.get());
                    return Ok(());
                }
                if waiting || chunks.missing == 0 || !stage.oracle.borrow().may_have_lost_any() {
                    missing_since = None;
                } else if missing_since.get_or_insert_with(Instant::now).elapsed() >= MISSING_FOR
                    && replicas >= needed
                {
                    stage.settled.set(stage.calm.get());
                    return Ok(());
                }
                last = format!("{chunks:?}, {replicas} replicas");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let healed = tokio::time::timeout(HEALED_WITHIN, healed).await;
    healed
        .unwrap_or_else(|_| Err(stage.violation(format_args!("not healed within {HEALED_WITHIN:?}: {last}"))))
}
