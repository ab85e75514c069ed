//! Reading: unsent writes over windows fetched from the replicas that answer first.
//!
//! # Invariants
//! 1. The overlay of unsent writes is taken before a server is asked, so a byte on its way from the buffer
//!    to the replicas is in one of the two.
//! 2. Bytes that do not match their checksum are never returned.
//! 3. An answer is one contiguous piece of memory; if one window holds it, it is that window's memory.
//! 4. An answer is as long as the file and the request allow, or an error: to a kernel that caches pages a shorter one
//!    means that the file ends there. A kernel asks for the pages of a failed request one by one, so that a program gets
//!    the good ones before a bad one.

pub(crate) mod ahead;
pub(crate) mod cache;
mod fetch;
pub(crate) mod locate;
pub(crate) mod parts;
pub(crate) mod patience;
pub(crate) mod replica;

use crate::inodes::Inode;
use crate::shared::{Open, Shared};
use crate::write::buffer::WINDOW_BYTES;
use ahead::Plan;
use bytes::{Bytes, BytesMut};
use cache::Fetch;
pub(crate) use fetch::locate_first;
use fetch::{Want, fetch};
use parts::Piece;
use patience::{GivenUp, Patience};
use std::ops::Range;
use std::sync::Arc;
use types::{PAGE_BYTES, Status};

/// Longest single read; callers that ask for more get it in pieces.
pub(crate) const READ_BYTES_MAX: u32 = 16 << 20;

/// Reads, from memory or from servers.
pub(crate) async fn read(
    shared: &Arc<Shared>,
    open: &Open,
    offset: u64,
    length: u32,
) -> Result<Bytes, Status> {
    let range = range_of(offset, length);
    let limit = shared.options.timeout;
    let (began, inode) = (shared.now(), &open.inode);
    let patience = Patience::new(limit, inode.state().given_up.as_ref(), &range, began);
    let outcome = patience.wait(read_patiently(shared, open, range.clone(), patience)).await;
    let now = shared.now();
    let took_limit = limit.is_some_and(|limit| now.since(began) >= limit);
    if outcome.is_err() && (took_limit || patience.once) {
        if !patience.once {
            tracing::error!(inode = %inode.reference.id, offset, length, "a read was given up at the mount's limit");
        }
        GivenUp::note(&mut inode.state().given_up, range, now, patience.once);
    }
    outcome
}

async fn read_patiently(
    shared: &Arc<Shared>,
    open: &Open,
    range: Range<u64>,
    patience: Patience,
) -> Result<Bytes, Status> {
    let (inode, offset) = (&open.inode, range.start);
    // The length may have grown on another mount; within the time-to-live it is believed.
    shared.attributes(inode, shared.options.attribute_ttl).await?;
    let (end, overlay) = {
        let state = inode.state();
        let end = clip(&range, state.length());
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
        // Its one try is for these bytes alone.
        _ if patience.once => exact(shared, inode, offset, end, Want::AllAtOnce).await?,
        Plan::Exact => exact(shared, inode, offset, end, Want::All).await?,
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
        let end = clip(&range_of(offset, length), state.length());
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
    let (mut pieces, mut used) = (Vec::with_capacity(2), Vec::with_capacity(2));
    for (window, range) in windows_of(offset, end) {
        let fetch = shared.cache.get(inode.reference.id, window, now)?;
        pieces.push(fetch.now()?.ok()?.get(range.clone())?);
        used.push((window, range.len(), fetch));
    }
    for (window, length, fetch) in used {
        shared.cache.handed_out(inode.reference.id, window, &fetch, length);
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

/// What a request covers.
fn range_of(offset: u64, length: u32) -> Range<u64> {
    offset..offset.saturating_add(u64::from(length.min(READ_BYTES_MAX)))
}

fn clip(range: &Range<u64>, file_end: u64) -> u64 {
    range.end.min(file_end).max(range.start)
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

async fn exact(shared: &Shared, inode: &Inode, offset: u64, end: u64, want: Want) -> Result<Bytes, Status> {
    let mut pieces = Vec::with_capacity(1);
    for (window, range) in windows_of(offset, end) {
        pieces.push(within(shared, inode, window, range, want).await?);
    }
    Ok(join(pieces))
}

/// All of a part of a window, from servers.
async fn within(
    shared: &Shared,
    inode: &Inode,
    window: u64,
    range: Range<usize>,
    want: Want,
) -> Result<Bytes, Status> {
    let at = window * WINDOW_BYTES + range.start as u64;
    let piece = fetch(shared, inode, at, range.len() as u32, want).await?;
    Ok(piece.get(0..range.len()).expect("a fetch that wants everything ends with all or an error"))
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
        // The file may have grown since the window was fetched, and a fetch that was begun for an earlier read may end
        // before this one's patience does: then the range is fetched for this read alone.
        let fetched = fetch_of_window.outcome().await.ok().filter(|piece| range.end <= piece.len());
        shared.cache.handed_out(inode.reference.id, window, &fetch_of_window, range.len());
        let parts = match fetched {
            Some(piece) => piece.parts(range),
            None => vec![Err(range)],
        };
        for part in parts {
            pieces.push(match part {
                Ok(bytes) => bytes,
                Err(gap) => within(shared, inode, window, gap, Want::All).await?,
            });
        }
    }
    Ok(join(pieces))
}

/// The window from the cache, on its way, or asked for by a new task.
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
            0 => Ok(Piece::default()),
            length => {
                let patience = Patience::new(shared.options.timeout, None, &(start..end), now);
                patience.wait(fetch(&shared, &inode, start, length as u32, Want::Some)).await
            }
        };
        fetched.finish(outcome);
    });
    started
}
