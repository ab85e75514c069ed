//! Reads from servers, with locations that are asked for anew until replicas answer.

use super::locate::LOCATE_COUNT;
use super::parts::{Parts, Piece};
use crate::inodes::Inode;
use crate::shared::Shared;
use crate::write::buffer::chunk_of;
use std::sync::Arc;
use std::time::Duration;
use types::{CHUNK_BYTES, ChunkIndex, ChunkLocation, Reply, Request, Status};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// All replicas answered with wrong bytes, with fresh locations, this often: it will not get better.
const WRONG_ROUNDS_MAX: u32 = 2;

/// What is wanted of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Every byte, with one try.
    AllAtOnce,
    /// Every byte, however often it takes.
    All,
    /// As much as the first try that reads anything gives.
    Some,
}

/// Reads a range that lies in one window, trying replicas and fresh locations until whoever waits gives up.
pub(crate) async fn fetch(
    shared: &Shared,
    inode: &Inode,
    offset: u64,
    length: u32,
    want: Want,
) -> Result<Piece, Status> {
    let index = chunk_of(offset);
    let mut parts = Parts::new((offset % CHUNK_BYTES) as u32, length);
    let (mut rounds, mut wrong_rounds) = (0_u32, 0_u32);
    loop {
        let anew = rounds > 0 || want == Want::AllAtOnce;
        match locate(shared, inode, index, anew).await? {
            None => parts.fill_with_zeroes(),
            Some(location) => wrong_rounds += u32::from(parts.ask(shared, location).await),
        }
        if parts.has_all() || (want == Want::Some && parts.has_some()) {
            return Ok(parts.into_piece());
        }
        rounds += 1;
        if want == Want::AllAtOnce || wrong_rounds >= WRONG_ROUNDS_MAX {
            tracing::error!(inode = %inode.reference.id, offset, length, "no replica can be read");
            return Err(Status::Io);
        }
        // A replica that moved on to another version is found again at once.
        if rounds > 1 {
            let delay = RETRY_FIRST.saturating_mul(1 << (rounds - 2).min(8)).min(RETRY_MAX);
            tokio::time::sleep(delay).await;
        }
    }
}

/// Asks where the first chunk is, unless that is known.
pub(crate) async fn locate_first(shared: &Shared, inode: &Inode) -> Result<(), Status> {
    locate(shared, inode, ChunkIndex(0), false).await.map(drop)
}

/// Where a chunk is; `None` is a hole.
async fn locate(
    shared: &Shared,
    inode: &Inode,
    index: ChunkIndex,
    anew: bool,
) -> Result<Option<Arc<ChunkLocation>>, Status> {
    let at = shared.now();
    let serial = {
        let state = inode.state();
        if !anew && let Some(known) = state.locations.get(index, at, shared.options.attribute_ttl) {
            return Ok(known);
        }
        state.locations.serial()
    };
    let request = Request::Locate { inode: inode.reference, first: index, count: LOCATE_COUNT };
    let Reply::Locations(answer) = shared.session.call(request).await? else {
        return Err(Status::BadMessage);
    };
    Ok(inode.state().locations.answered(index, LOCATE_COUNT, answer, at, serial))
}
