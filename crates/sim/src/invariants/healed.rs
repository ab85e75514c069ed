//! Once nothing is broken any more, every chunk gets as many replicas as it should have, without being asked
//! (`docs/protocol/healing.md`).

use crate::driver::{Stage, Violation};
use std::time::Duration;

/// Longer than any pause between two tries of one chunk.
const HEALED_WITHIN: Duration = Duration::from_secs(1_200);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until all chunks are at their goal.
pub(crate) async fn wait(stage: &Stage) -> Result<(), Violation> {
    let mut last = String::new();
    let healed = async {
        loop {
            if let Some(status) = stage.cluster.status().await {
                let chunks = status.chunks;
                if chunks.endangered + chunks.undergoal + chunks.unknown == 0 {
                    return;
                }
                last = format!("{chunks:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let healed = tokio::time::timeout(HEALED_WITHIN, healed).await;
    healed.map_err(|_| stage.violation(format_args!("not healed within {HEALED_WITHIN:?}: {last}")))
}
