//! Reading: unsent writes over windows fetched from the replicas that answer first.
//!
//! # Invariants
//! 1. The overlay of unsent writes is taken before a server is asked, so a byte on its way from the buffer
//!    to the replicas is in one of the two.
//! 2. Bytes that do not match their checksum are never returned.
//! 3. An answer is one contiguous piece of memory; if one window holds it, it is that window's memory.

pub(crate) mod ahead;
pub(crate) mod cache;
pub(crate) mod locate;
pub(crate) mod replica;

use crate::data;
use crate::inodes::Inode;
use crate::shared::{Open, Shared};
use crate::write::buffer::{WINDOW_BYTES, chunk_of};
use ahead::Plan;
use bytes::{Bytes, BytesMut};
use cache::Fetch;
use locate::LOCATE_COUNT;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use types::{CHUNK_BYTES, ChunkIndex, ChunkLocation, PAGE_BYTES, Reply, Request, Status};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// All replicas answered with wrong bytes, with fresh locations, this often: it will not get better.
const CORRUPT_ROUNDS_MAX: u32 = 2;
/// Longest single read; callers that ask for more get it in pieces.
pub(crate) const READ_BYTES_MAX: u32 = 16 << 20;

/// Reads, from memory or from servers.
pub(crate) async fn read(
    shared: &Arc<Shared>,
    open: &Open,
    offset: u64,
    length: u32,
) -> Result<Bytes, Status> {
    let inode = &open.inode;
    // The length may have grown on another mount; within the time-to-live it is believed.
    shared.attributes(inode, shared.options.attribute_ttl).await?;
    let (end, overlay) = {
        let state = inode.state();
        let end = clip(offset, length, state.length());
        let overlay = state.writer.as_ref().map(|w| w.pipeline.buffer().overlay(offset, end - offset));
        (end, overlay.unwrap_or_default())
    };
    if end == offset {
        return Ok(Bytes::new());
    }
    if let Some(bytes) = overlay.whole(offset, (end - offset) as usize) {
        return Ok(bytes);
    }
    let base = match plan(open, offset, end) {
        Plan::Exact => exact(shared, inode, offset, end).await?,
        Plan::Stream(ahead) => {
            for window in ahead {
                window_fetch(shared, inode, window);
            }
            through_windows(shared, inode, offset, end).await?
        }
    };
    if overlay.is_empty() {
        return Ok(base);
    }
    let mut bytes = BytesMut::from(&base[..]);
    overlay.apply(offset, &mut bytes);
    Ok(bytes.freeze())
}

/// Reads if everything is in memory. Never waits.
pub(crate) fn try_read(shared: &Arc<Shared>, open: &Open, offset: u64, length: u32) -> Option<Bytes> {
    let inode = &open.inode;
    shared.cached(inode, shared.options.attribute_ttl)?;
    let (end, overlay) = {
        let state = inode.state();
        let end = clip(offset, length, state.length());
        let overlay = state.writer.as_ref().map(|w| w.pipeline.buffer().overlay(offset, end - offset));
        (end, overlay.unwrap_or_default())
    };
    if end == offset {
        return Some(Bytes::new());
    }
    if let Some(bytes) = overlay.whole(offset, (end - offset) as usize) {
        return Some(bytes);
    }
    // What is mixed from both is left to the task.
    if !overlay.is_empty() {
        return None;
    }
    let now = shared.now();
    let mut pieces = Vec::with_capacity(2);
    for (window, range) in windows_of(offset, end) {
        let bytes = shared.cache.get(inode.reference.id, window, now)?.now()?.ok()?;
        pieces.push(bytes.get(range.clone()).map(|_| bytes.slice(range))?);
    }
    if let Plan::Stream(ahead) = plan(open, offset, end) {
        for window in ahead {
            window_fetch(shared, inode, window);
        }
    }
    Some(join(pieces))
}

fn plan(open: &Open, offset: u64, end: u64) -> Plan {
    let file_end = open.inode.state().length();
    open.ahead.lock().expect("nothing panics while it is held").read(offset, end - offset, file_end)
}

fn clip(offset: u64, length: u32, file_end: u64) -> u64 {
    offset.saturating_add(u64::from(length.min(READ_BYTES_MAX))).min(file_end).max(offset)
}

/// The windows of a range, with the part of each.
fn windows_of(offset: u64, end: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    (offset / WINDOW_BYTES..end.div_ceil(WINDOW_BYTES)).map(move |window| {
        let start = window * WINDOW_BYTES;
        let from = offset.max(start) - start;
        let to = end.min(start + WINDOW_BYTES) - start;
        (window, from as usize..to as usize)
    })
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        joined.extend_from_slice(&piece);
    }
    joined.freeze()
}

async fn exact(shared: &Arc<Shared>, inode: &Arc<Inode>, offset: u64, end: u64) -> Result<Bytes, Status> {
    let mut pieces = Vec::with_capacity(1);
    for (window, range) in windows_of(offset, end) {
        let at = window * WINDOW_BYTES + range.start as u64;
        pieces.push(fetch(shared, inode, at, range.len() as u32).await?);
    }
    Ok(join(pieces))
}

async fn through_windows(
    shared: &Arc<Shared>,
    inode: &Arc<Inode>,
    offset: u64,
    end: u64,
) -> Result<Bytes, Status> {
    let fetches: Vec<_> = windows_of(offset, end)
        .map(|(window, range)| (window, range, window_fetch(shared, inode, window)))
        .collect();
    let mut pieces = Vec::with_capacity(fetches.len());
    for (window, range, fetch_of_window) in fetches {
        let bytes = fetch_of_window.outcome().await?;
        if range.end <= bytes.len() {
            pieces.push(bytes.slice(range));
        } else {
            // The file grew since the window was fetched.
            let at = window * WINDOW_BYTES + range.start as u64;
            pieces.push(fetch(shared, inode, at, range.len() as u32).await?);
        }
    }
    Ok(join(pieces))
}

/// The window from the cache, on its way, or asked for now by a task of its own.
fn window_fetch(shared: &Arc<Shared>, inode: &Arc<Inode>, window: u64) -> Arc<Fetch> {
    let now = shared.now();
    if let Some(found) = shared.cache.get(inode.reference.id, window, now) {
        return found;
    }
    let started = shared.cache.start(inode.reference.id, window, now);
    let (shared, inode, fetched) = (Arc::clone(shared), Arc::clone(inode), Arc::clone(&started));
    let runtime = shared.runtime.clone();
    runtime.spawn(async move {
        let start = window * WINDOW_BYTES;
        let end = inode.state().length().next_multiple_of(u64::from(PAGE_BYTES)).min(start + WINDOW_BYTES);
        let outcome = match end.saturating_sub(start) {
            0 => Ok(Bytes::new()),
            length => fetch(&shared, &inode, start, length as u32).await,
        };
        fetched.finish(outcome);
    });
    started
}

/// Reads a range that lies in one window from servers, trying replicas and fresh locations for as long as
/// the options allow.
async fn fetch(shared: &Shared, inode: &Inode, offset: u64, length: u32) -> Result<Bytes, Status> {
    let (began, index) = (shared.now(), chunk_of(offset));
    let (mut rounds, mut corrupt_rounds) = (0_u32, 0_u32);
    loop {
        let location = locate(shared, inode, index, rounds > 0).await?;
        let Some(location) = location else { return Ok(data::zeroes(length as usize)) };
        if !location.replicas.is_empty() {
            let (epoch, at) = (shared.session.epoch(), (offset % CHUNK_BYTES) as u32);
            let (env, pool) = (&shared.env, &shared.pool);
            match data::read(env, pool, &shared.replicas, epoch, &location, at, length).await {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => corrupt_rounds += u32::from(failure.corrupt == failure.asked),
            }
        }
        rounds += 1;
        let late = shared.options.timeout.is_some_and(|timeout| shared.now().since(began) >= timeout);
        if late || corrupt_rounds >= CORRUPT_ROUNDS_MAX {
            tracing::error!(chunk = %location.chunk, inode = %inode.reference.id, "no replica can be read");
            return Err(Status::Io);
        }
        // A replica that moved on to another version is found again at once.
        if rounds > 1 {
            let delay = RETRY_FIRST.saturating_mul(1 << (rounds - 2).min(8)).min(RETRY_MAX);
            tokio::time::sleep(delay).await;
        }
    }
}

/// Where a chunk is; `None` is a hole.
pub(crate) async fn locate(
    shared: &Shared,
    inode: &Inode,
    index: ChunkIndex,
    anew: bool,
) -> Result<Option<ChunkLocation>, Status> {
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
