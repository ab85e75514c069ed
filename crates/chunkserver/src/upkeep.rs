//! What happens by itself: deadlines, room, marks, deleted replicas whose hold is over.

use crate::chain::{Chain, Context};
use crate::chains::Chains;
use crate::config::{DELETED_HOLD, DISK_RETRY_INTERVAL, PURGE_BELOW_BYTES};
use crate::disks::{Disks, Slot, on_disk};
use crate::standing::Standing;
use env::Clock;
use std::sync::Arc;
use std::time::Duration;
use store::Disk;
use tokio::time::Instant;

/// How exactly deadlines are kept.
const DEADLINE_TICK: Duration = Duration::from_millis(100);
/// How often the room on the disks is looked at.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// How often a disk's index and marks are brought up to date.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
/// In how many of these intervals deleted replicas are looked at once.
const PURGE_EVERY: u32 = 12;
/// Of a small disk this part is kept free of deleted replicas.
const PURGE_BELOW_PART: u64 = 20;

/// Fails operations that are not done in time. Asleep while there are none.
pub(crate) async fn keep_deadlines(context: Arc<Context>) {
    loop {
        context.activity.notified().await;
        loop {
            tokio::time::sleep(DEADLINE_TICK).await;
            let active: Vec<Arc<Chain>> = context
                .active
                .lock()
                .expect("nothing panics while it is held")
                .values()
                .map(Arc::clone)
                .collect();
            if active.is_empty() {
                break;
            }
            let now = Instant::now();
            for chain in active {
                chain.look_at_deadlines(now);
            }
        }
    }
}

/// Looks at the room on all disks.
pub(crate) async fn probe(disks: Arc<Disks>, clock: Arc<dyn Clock>) {
    loop {
        for slot in disks.all() {
            // Nobody waits for it: a look that does not come back shows as a hung disk.
            drop(slot.probe(clock.now()));
        }
        // What a burst of large frames took is given back when it is over.
        env::buffer::trim();
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

/// Looks after one disk; while it is not served, sees whether it can be.
pub(crate) async fn look_after(
    slot: Arc<Slot>,
    disks: Arc<Disks>,
    chains: Arc<Chains>,
    standing: Arc<Standing>,
    context: Arc<Context>,
    clock: Arc<dyn Clock>,
) {
    let mut round: u32 = 0;
    loop {
        if let Some(disk) = slot.failed() {
            // Whoever writes to it is told, and what it answered before is void.
            chains.leave_disk(disk).await;
            tokio::time::sleep(slot.pause()).await;
            disks.look_again(&slot, standing.cluster()).await;
            continue;
        }
        if slot.is_refused() {
            disks.look_again(&slot, standing.cluster()).await;
            tokio::time::sleep(DISK_RETRY_INTERVAL).await;
            continue;
        }
        tokio::time::sleep(CHECKPOINT_INTERVAL).await;
        let Some(disk) = slot.disk() else { continue };
        for (chunk, version) in disk.take_losses() {
            slot.count_error();
            context.events.damaged(disk.id(), chunk, version);
        }
        round = round.wrapping_add(1);
        let purge = round % PURGE_EVERY == 1;
        let now_s = u64::try_from(clock.wall().0).unwrap_or(0);
        let done = on_disk(&slot, move |disk| {
            disk.checkpoint()?;
            if purge { purge_now(disk, now_s) } else { Ok(()) }
        })
        .await;
        if let Ok(Err(error)) = done {
            slot.count_error();
            tracing::warn!(path = slot.config.path, %error, "a disk could not be looked after");
        }
    }
}

fn purge_now(disk: &Disk, now_s: u64) -> Result<(), store::StoreError> {
    let purged = disk.purge_deleted(now_s.saturating_sub(DELETED_HOLD.as_secs()))?;
    if purged.files > 0 {
        tracing::info!(disk = %disk.id(), ?purged, "deleted replicas were erased");
    }
    let wanted = PURGE_BELOW_BYTES.min(disk.space()?.total_bytes / PURGE_BELOW_PART);
    let purged = disk.purge_for_space(wanted)?;
    if purged.files > 0 {
        tracing::info!(disk = %disk.id(), ?purged, "deleted replicas were erased early to make room");
    }
    Ok(())
}
