//! Appending: the file's end is learnt and moved under a lock that the master gives to one client at a time.
//!
//! One task per file asks for the lock, keeps it while it is of use, and gives it back when somebody waits for it,
//! when the file is closed, or when nothing is left to commit. Steps: `docs/protocol/session.md`, *The append lock*.
//!
//! # Invariants
//! 1. Bytes are appended only while the lock is held, and it is given back only after all of them are committed.
//! 2. At most one task per file talks to the master about its lock, so an unlock never overtakes a lock.
//! 3. A lock that went with its session, or to another client because this one was silent, takes along what was not
//!    committed under it: that is reported as lost. Every grant to write is followed by a look whether the lock is
//!    still held, since a grant asked for after the loss would let old bytes land on another client's ([`confirm`]).

use crate::inodes::{Inode, Inodes};
use crate::shared::Shared;
use env::Instant;
use std::sync::Arc;
use std::time::Duration;
use types::{APPEND_LEASE, Reply, Request, Status};

/// How often the holder asks whether somebody waits: so long others wait for a file that is appended to all the time.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often it is renewed while the last appends are stored.
const RENEW_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Not held, and nobody here wants it.
    #[default]
    Free,
    /// The master was asked. `renewed`: the session or the connection is another one since, so it must be asked again.
    Asked { renewed: bool },
    /// Held.
    Held,
    /// Held, and no more appends are let in.
    Ending,
    /// The session that held it is no more, the master gave it to another, or it is being given back.
    Lost,
}

/// What this client knows of a file's append lock.
#[derive(Debug, Default)]
pub(crate) struct Appends {
    phase: Phase,
    /// Appends that were let in and have not ended.
    inside: u32,
    /// Something that was written while it was held was given up; frames of it may still be on their way.
    gave_up: bool,
    /// How often it had been taken from anybody when it was asked for last: what a claim of it rests on.
    forfeits: u8,
    /// Until then nobody else can have been given it.
    good_until: Option<Instant>,
    /// How often the master was asked, and the last time that it refused.
    asked: u64,
    refused: Option<(u64, Status)>,
}

impl Appends {
    /// Whether an append that was let in may go on.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held | Phase::Ending)
    }

    /// Whether an append may be let in.
    fn lets_in(&self, now: Instant) -> bool {
        self.phase == Phase::Held && self.good_until.is_some_and(|until| now < until)
    }

    /// What another master is told of it, if it is held.
    pub(crate) fn claim(&self) -> Option<u8> {
        self.is_held().then_some(self.forfeits)
    }

    /// The master said *held* to a question of this moment. Says whether appends were let in until now.
    fn renewed(&mut self, asked: Instant, now: Instant, forfeits: u8) -> bool {
        self.forfeits = forfeits;
        let was_good = self.lets_in(now);
        self.good_until = self.good_until.max(Some(asked + APPEND_LEASE));
        was_good
    }

    /// The connection is a new one. What was asked over the old one may have been answered by a master that does not
    /// know of it any more.
    pub(crate) fn reconnected(&mut self) {
        if let Phase::Asked { renewed } = &mut self.phase {
            *renewed = true;
        }
    }

    /// Something that was written was given up.
    pub(crate) fn gave_up(&mut self) {
        self.gave_up |= self.is_held();
    }

    /// Whether a task is at work for it.
    pub(crate) fn is_busy(&self) -> bool {
        self.phase != Phase::Free
    }

    /// The session is another one, or the master denies the lock. Says whether it was held until now.
    pub(crate) fn ended(&mut self) -> bool {
        match self.phase {
            Phase::Free | Phase::Lost => false,
            Phase::Asked { .. } => {
                self.phase = Phase::Asked { renewed: true };
                false
            }
            Phase::Held | Phase::Ending => {
                self.phase = Phase::Lost;
                true
            }
        }
    }
}

/// An append that was let in; the lock stays until it is dropped.
pub(crate) struct Inside<'a> {
    inode: &'a Inode,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let is_awaited = {
            let appends = &mut self.inode.state().appends;
            appends.inside -= 1;
            appends.inside == 0 && appends.phase != Phase::Held
        };
        // As long as it is held nobody waits for those inside, and a ring wakes everybody who waits for the file.
        if is_awaited {
            self.inode.progress.ring();
        }
    }
}

/// Waits for the lock.
pub(crate) async fn enter<'a>(shared: &Arc<Shared>, inode: &'a Arc<Inode>) -> Result<Inside<'a>, Status> {
    let mut waits_for = None;
    loop {
        let progress = inode.progress.next();
        {
            let mut state = inode.state();
            let appends = &mut state.appends;
            if let Some((ask, status)) = appends.refused
                && waits_for == Some(ask)
            {
                return Err(status);
            }
            match appends.phase {
                Phase::Held if appends.lets_in(shared.now()) => {
                    appends.inside += 1;
                    return Ok(Inside { inode });
                }
                Phase::Free => {
                    appends.phase = Phase::Asked { renewed: false };
                    appends.asked += 1;
                    waits_for = Some(appends.asked);
                    shared.runtime.spawn(hold(Arc::clone(shared), Arc::clone(inode)));
                }
                Phase::Asked { .. } => waits_for = Some(appends.asked),
                Phase::Held | Phase::Ending | Phase::Lost => {}
            }
        }
        progress.await;
    }
}

/// Lets an append in if the lock is here.
pub(crate) fn try_enter(inode: &Inode, now: Instant) -> Option<Inside<'_>> {
    let mut state = inode.state();
    if !state.appends.lets_in(now) {
        return None;
    }
    state.appends.inside += 1;
    drop(state);
    Some(Inside { inode })
}

/// The file was closed by somebody: if nothing is left to commit, others need not wait.
pub(crate) fn hurry(inode: &Inode) {
    if inode.state().appends.phase == Phase::Held {
        inode.hurry.notify_one();
    }
}

async fn hold(shared: Arc<Shared>, inode: Arc<Inode>) {
    let outcome = keep(&shared, &inode).await;
    if let Err(status) = outcome {
        let mut state = inode.state();
        state.appends.refused = Some((state.appends.asked, status));
        drop(state);
        inode.progress.ring();
    }
    // Asked, held or lost: the master is to know that it is no longer wanted. Without an answer the session has
    // ended, and the lock with it.
    let forfeit = {
        let appends = &mut inode.state().appends;
        // Once the master may have given it on, it is not claimed any more.
        appends.phase = Phase::Lost;
        appends.gave_up
    };
    let _ = shared.session.call(Request::AppendUnlock { inode: inode.reference, forfeit }).await;
    let mut state = inode.state();
    (state.appends.phase, state.appends.gave_up) = (Phase::Free, false);
    drop(state);
    inode.progress.ring();
    shared.leave(&inode);
}

/// Gets the lock and keeps it as long as it is of use. At the end nothing that was appended is uncommitted.
async fn keep(shared: &Arc<Shared>, inode: &Arc<Inode>) -> Result<(), Status> {
    loop {
        ask(shared, inode, false).await?;
        let mut state = inode.state();
        match state.appends.phase {
            Phase::Asked { renewed: true } => state.appends.phase = Phase::Asked { renewed: false },
            // It took so long that the lock may be another's again.
            _ if state.appends.good_until.is_none_or(|until| shared.now() >= until) => {}
            _ => {
                state.appends.phase = Phase::Held;
                break;
            }
        }
    }
    inode.progress.ring();
    loop {
        tokio::select! {
            biased;
            () = inode.hurry.notified() => {}
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
        let (of_use, held) = {
            let state = inode.state();
            (state.appends.inside > 0 || state.is_dirty(), state.appends.is_held())
        };
        if !held || !of_use || confirm(shared, inode).await.unwrap_or(true) {
            break;
        }
    }
    close_the_door(shared, inode).await;
    let settled = async {
        // What could not be stored is reported by its handles; nothing of it is left.
        let _ = shared.settle(inode, None).await;
    };
    tokio::pin!(settled);
    loop {
        tokio::select! {
            biased;
            () = &mut settled => return Ok(()),
            () = tokio::time::sleep(RENEW_EVERY) => {
                // An answer that does not come ends with the appends, one way or the other.
                let _ = confirm(shared, inode).await;
            }
        }
    }
}

/// Lets no more appends in and waits for those inside.
async fn close_the_door(shared: &Arc<Shared>, inode: &Inode) {
    loop {
        let progress = inode.progress.next();
        {
            let mut state = inode.state();
            if state.appends.phase == Phase::Held {
                state.appends.phase = Phase::Ending;
            }
            if state.appends.inside == 0 {
                return;
            }
        }
        tokio::select! {
            biased;
            () = progress => {}
            () = tokio::time::sleep(RENEW_EVERY) => {
                let _ = confirm(shared, inode).await;
            }
        }
    }
}

/// Asks whether the lock is still held here, and whether somebody else wants it. If it is not, what was appended and
/// not committed is lost.
pub(crate) async fn confirm(shared: &Arc<Shared>, inode: &Inode) -> Result<bool, Status> {
    let confirmed = ask(shared, inode, true).await;
    if confirmed == Err(Status::Busy) {
        let lost = inode.state().appends.ended();
        if lost {
            tracing::warn!(inode = %inode.reference.id, "appends are lost: this mount was silent and another one went on");
            shared.lose(inode, Status::Io);
        }
    }
    confirmed
}

/// Asks for the lock.
async fn ask(shared: &Shared, inode: &Inode, held: bool) -> Result<bool, Status> {
    let at = shared.now();
    match shared.session.call(Request::AppendLock { inode: inode.reference, held }).await? {
        Reply::AppendLock { attributes, wanted } => {
            Inodes::told(inode, attributes, at);
            let forfeits = attributes.truncate_generation.forfeits();
            let was_good = inode.state().appends.renewed(at, shared.now(), forfeits);
            if held && !was_good {
                inode.progress.ring();
            }
            Ok(wanted)
        }
        _ => Err(Status::BadMessage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_are_let_in_as_long_as_the_lock_cannot_be_anothers() {
        let asked = Instant(Duration::from_secs(100));
        let mut appends = Appends { phase: Phase::Held, ..Appends::default() };
        assert!(!appends.lets_in(asked), "nobody was asked");
        assert!(!appends.renewed(asked, asked, 0));
        let last = asked + (APPEND_LEASE - Duration::from_nanos(1));
        assert!(appends.lets_in(last) && !appends.lets_in(asked + APPEND_LEASE));
        assert!(appends.renewed(last, last, 0), "who waits need not be told");
        assert!(appends.lets_in(asked + APPEND_LEASE));
        appends.phase = Phase::Ending;
        assert!(!appends.lets_in(last));
    }
}
