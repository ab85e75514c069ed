//! Housekeeping: telling the master which inodes are forgotten, and keeping the table of inodes small.
//!
//! # Invariants
//! 1. An inode is told as forgotten only when every request that was open when it was forgotten has been
//!    answered and none of them named it again; what later requests learn is protected by their number.
//! 2. Soon after there are more inodes than [`crate::ClientOptions::inodes_max`], those that were not asked about for a second and are not open are
//!    let go, whatever the kernel counts: it may ask again by number. Unsynced writes are synced before. If there are twice as many, as
//!    when a large directory is listed, those that were asked about lately go, too.

use crate::inodes::Inode;
use crate::shared::Shared;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinSet;
use types::{InodeRef, Request, Sequence, SessionId};

/// Inodes of one Forget.
const FORGET_MAX: usize = 32_768;
/// How often there is a look at what is to be done.
const INTERVAL: Duration = Duration::from_secs(1);
/// Inodes that are let go at one time; each may have to be synced.
const LEAVING_MAX: usize = 256;

/// Inodes that were forgotten while requests were open.
struct Forgotten {
    session: Option<SessionId>,
    as_of: Sequence,
    inodes: Vec<InodeRef>,
}

/// Tells the master what is forgotten, until the client is gone.
pub(crate) async fn forget(shared: Weak<Shared>) {
    let mut waiting: Option<Forgotten> = None;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.session.is_closed() {
            return;
        }
        loop {
            if let Some(forgotten) = waiting.take() {
                let (session, _) = shared.session.last_request();
                if session == forgotten.session {
                    if !shared.session.is_answered_up_to(forgotten.as_of) {
                        waiting = Some(forgotten);
                        break;
                    }
                    let Forgotten { mut inodes, as_of, .. } = forgotten;
                    inodes.retain(|inode| shared.inodes.get(inode.id).is_none());
                    let request = Request::Forget { inodes: inodes.clone(), as_of };
                    if !inodes.is_empty() && !shared.session.tell(request).await {
                        waiting = Some(Forgotten { session, as_of, inodes });
                        break;
                    }
                }
            }
            let inodes = shared.inodes.take_forgotten(FORGET_MAX);
            if inodes.is_empty() {
                break;
            }
            let (session, as_of) = shared.session.last_request();
            waiting = Some(Forgotten { session, as_of, inodes });
        }
    }
}

/// Keeps the table of inodes small, until the client is gone.
pub(crate) async fn trim(shared: Weak<Shared>) {
    let Some(crowded) = shared.upgrade().map(|shared| shared.inodes.crowded()) else { return };
    let mut after = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = crowded.notified() => {}
        }
        let Some(shared) = shared.upgrade() else { return };
        if shared.session.is_closed() {
            return;
        }
        for inode in shared.inodes.take_lingering(LEAVING_MAX, shared.now()) {
            shared.leave(&inode);
        }
        let (mut surplus, is_crowded) = shared.inodes.surplus();
        while surplus > 0 {
            let is_idle = |inode: &Inode| shared.is_idle(inode, is_crowded);
            let (looked_at, idle) = shared.inodes.walk(after, LEAVING_MAX, is_idle);
            after = looked_at;
            surplus = surplus.saturating_sub(LEAVING_MAX);
            let mut leaving: JoinSet<()> = JoinSet::new();
            for inode in idle {
                let shared = Arc::clone(&shared);
                leaving.spawn(async move { shared.let_go(&inode).await });
            }
            leaving.join_all().await;
        }
    }
}
