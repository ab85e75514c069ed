//! Truncate and punch: chunks at the edges are cut on their disks first, then the record is made. An append lock that was
//! forfeited is redeemed in the same way: what lies beyond the end of the file is punched.
//!
//! *A late length update after a truncate brings zeroes where an acknowledged write was; a late frame lands
//! beyond the new end.* So the boundary chunk's version is raised with the cut, by an order through the fleet,
//! and the record names that version.
//!
//! # Invariants
//! 1. One edit per inode runs at a time; edits, commits and grants of that inode wait behind it, in order.
//! 2. Each ready part is answered to the fleet by exactly one of logged and dropped: dropped as soon as another part could not be had, for
//!    its replicas may be away for long, and a chunk that is held is neither granted nor healed.
//! 3. An edit begins only if there is room for its record, which is kept for it: on a full disk it is refused before any replica is told.
//! 4. An edit of which a replica may have been told ends with its record, however long replicas are away and although its
//!    client has given up: what is cut already must not be lost in vain. But for a truncate that leaves nothing of its chunks: that
//!    goes first after [`EDIT_WAIT_MAX_MS`], and what waited is refused with `Io`. One whose chunks have no replica is refused
//!    with `TryAgain` after [`EDIT_WAIT_MAX_MS`], and one that every replica has refused, for a reason of its own disk, with that
//!    reason (`fleet`, `raise::refusal`). One whose file was removed meanwhile is refused with `Stale`.
//! 5. One that is refused with `NoSpace` has cut nothing on any replica that will ever be read. Of one refused with `Io` nobody knows.

use super::grants::Asked;
use super::queue::Queue;
use super::{Answerer, Applied, Core, Leaves, Out};
use fleet::{Event, Ticket};
use meta::{Boundary, Cut};
use std::collections::BTreeMap;
use types::{
    CHUNK_BYTES, ChunkIndex, InodeId, InodeRef, Op, Origin, RaisedChunk, Reply, Request, Status, Version,
};

/// How long an edit waits for a first replica of its boundary chunks, and keeps others waiting that do not need them.
const EDIT_WAIT_MAX_MS: u64 = 20_000;
/// Pause before a part that could not be had is asked for again, doubled up to the greatest: replicas may refuse at once, and
/// each time all of them raise the chunk.
const RETRY_MIN_MS: u64 = 100;
const RETRY_MAX_MS: u64 = 3_200;

/// Edits that wait for their boundary chunks, and what waits behind them ([`Queue`]).
#[derive(Default)]
pub(super) struct Edits {
    busy: BTreeMap<InodeId, Busy>,
}

struct Busy {
    edit: Edit,
    behind: Queue,
}

struct Edit {
    origin: Origin,
    request: Request,
    parts: Vec<Part>,
    /// A replica may have been told.
    begun: bool,
    deadline_ms: u64,
}

struct Part {
    boundary: Boundary,
    ticket: Ticket,
    state: PartState,
    /// When it may be asked for again, and the pause after that.
    retry_ms: u64,
    pause_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PartState {
    Asked,
    Retry,
    Ready(Version),
    /// It was ready while another one could not be had. It is asked for again when that one is ready.
    GivenBack,
}

impl Edit {
    /// Whether the request leaves nothing of the chunks that this edit waits for, whose replicas may be away for good.
    fn is_superseded_by(&self, request: &Request) -> bool {
        let Request::SetLength { length, .. } = request else { return false };
        let goes = |part: &Part| chunk_of(*length) <= part.boundary.view.index && length % CHUNK_BYTES == 0;
        self.parts.iter().all(goes)
    }
}

impl Busy {
    /// It was waited for long enough, and somebody behind it, who waits for that, leaves nothing of its chunks.
    fn is_superseded(&self, now_ms: u64, waits: impl Fn(Origin) -> bool) -> bool {
        let supersedes =
            |(origin, request): &(Origin, Request)| self.edit.is_superseded_by(request) && waits(*origin);
        self.edit.deadline_ms <= now_ms && self.behind.iter().any(supersedes)
    }
}

/// Tells the fleet that a ready part was not logged.
pub(super) fn dropped(ticket: Ticket) -> Event {
    Event::EditDropped { ticket }
}

/// The inode whose order a request keeps.
fn ordered_inode(request: &Request) -> Option<InodeRef> {
    match request {
        Request::SetLength { inode, .. }
        | Request::Punch { inode, .. }
        | Request::Commit { inode, .. }
        | Request::AppendLock { inode, .. }
        | Request::Grant { inode, .. } => Some(*inode),
        _ => None,
    }
}

impl Edits {
    /// Whether the holder of an append lock waits for an edit of that file, and can renew it no earlier.
    pub(super) fn hold_up(&self, inode: InodeId, holder: types::SessionId) -> bool {
        let renewal = |(origin, request): &(Origin, Request)| {
            origin.session == holder && matches!(request, Request::AppendLock { .. })
        };
        let busy = self.busy.get(&inode);
        busy.is_some_and(|busy| busy.edit.origin.session == holder || busy.behind.iter().any(renewal))
    }
}

impl Core {
    /// Runs an edit, a commit or a grant now, or after the edit of the same inode that runs.
    pub(super) fn ordered(&mut self, origin: Origin, request: Request, answer: Answerer) {
        let inode = ordered_inode(&request).expect("only requests with an order come here");
        match self.edits.busy.get_mut(&inode.id) {
            Some(busy) => {
                busy.behind.push((origin, request), &self.sessions);
                self.sessions.wait(origin.session, origin.sequence, answer);
            }
            None => self.run_ordered(origin, request, answer),
        }
    }

    fn run_ordered(&mut self, origin: Origin, request: Request, answer: Answerer) {
        match request {
            Request::Grant { inode, index, failed } => self.grant(origin, inode, index, failed, answer),
            Request::SetLength { inode, length, .. } => {
                self.begin_edit(origin, request, inode, Cut::Length(length), answer);
            }
            Request::Punch { inode, offset, length } => {
                self.begin_edit(origin, request, inode, Cut::Range { offset, length }, answer);
            }
            // It waited, and the lock went elsewhere meanwhile.
            Request::AppendLock { inode, held } if !self.appends.is_held_by(inode.id, origin.session) => {
                self.append_lock(origin, inode, held, answer);
            }
            Request::AppendLock { inode, .. } if self.appends.is_forfeited(inode.id) => {
                let (offset, length) = self.beyond_the_end(inode);
                self.begin_edit(origin, request, inode, Cut::Range { offset, length }, answer);
            }
            Request::AppendLock { inode, .. } => self.append_locked(inode, answer),
            request => self.commit(origin, request, answer),
        }
    }

    fn begin_edit(&mut self, origin: Origin, request: Request, inode: InodeRef, cut: Cut, answer: Answerer) {
        let boundaries = match self.meta.cut_boundaries(inode, cut) {
            Ok(boundaries) => boundaries,
            Err(status) => return self.answer(answer, Err(status)),
        };
        if boundaries.is_empty() {
            let applied = self.log_edit(Leaves::Reserve, origin, &request, Vec::new());
            return self.answer_applied(answer, applied);
        }
        if let Err(status) = self.log.promise() {
            return self.answer(answer, Err(status));
        }
        self.sessions.wait(origin.session, origin.sequence, answer);
        let parts = boundaries
            .into_iter()
            .map(|boundary| Part {
                boundary,
                ticket: Ticket(0),
                state: PartState::Retry,
                retry_ms: 0,
                pause_ms: RETRY_MIN_MS,
            })
            .collect();
        let deadline_ms = self.now_ms() + EDIT_WAIT_MAX_MS;
        let edit = Edit { origin, request, parts, begun: false, deadline_ms };
        self.edits.busy.insert(inode.id, Busy { edit, behind: Queue::default() });
        self.ask_parts(inode.id);
    }

    /// Asks the fleet for each part that is not asked for yet, and whose pause is over.
    fn ask_parts(&mut self, inode: InodeId) {
        let now_ms = self.now_ms();
        let Some(busy) = self.edits.busy.get_mut(&inode) else { return };
        let mut events = Vec::new();
        let awaited = |part: &Part| matches!(part.state, PartState::Asked | PartState::Retry);
        let some_awaited = busy.edit.parts.iter().any(awaited);
        for (part, state) in busy.edit.parts.iter_mut().enumerate() {
            let is_due = match state.state {
                PartState::Retry => now_ms >= state.retry_ms,
                PartState::GivenBack => !some_awaited,
                PartState::Asked | PartState::Ready(_) => false,
            };
            if !is_due {
                continue;
            }
            self.ticket += 1;
            let ticket = Ticket(self.ticket);
            state.state = PartState::Asked;
            state.ticket = ticket;
            self.asked.insert(ticket, Asked::Edit { inode, part });
            let Boundary { view, from, to } = state.boundary;
            busy.edit.begun |= !self.fleet.locations(view.slot).is_empty();
            let cuts = vec![fleet::Cut { from: from.into(), to: to.into() }];
            events.push(Event::EditWanted { ticket, slot: view.slot, chunk: view.chunk, cuts });
        }
        for event in events {
            self.tell(event);
        }
    }

    /// The fleet answered for a part.
    pub(super) fn edit_part_ready(&mut self, inode: InodeId, part: usize, version: Result<Version, Status>) {
        let now_ms = self.now_ms();
        let busy = self.edits.busy.get_mut(&inode).expect("an asked part belongs to an edit that runs");
        let superseded = busy.is_superseded(now_ms, |origin| self.sessions.waits_for(origin));
        let part = &mut busy.edit.parts[part];
        match version {
            Ok(version) => part.state = PartState::Ready(version),
            Err(Status::TryAgain) if superseded => return self.end_edit(inode, Err(Status::Io)),
            Err(Status::TryAgain) => {
                part.state = PartState::Retry;
                part.retry_ms = now_ms + part.pause_ms;
                part.pause_ms = (part.pause_ms * 2).min(RETRY_MAX_MS);
            }
            Err(Status::NoSpace) if !self.is_uncut(inode) => return self.end_edit(inode, Err(Status::Io)),
            Err(status) => return self.end_edit(inode, Err(status)),
        }
        let parts = &mut busy.edit.parts;
        if parts.iter().all(|part| matches!(part.state, PartState::Ready(_))) {
            return self.end_edit(inode, Ok(()));
        }
        if parts.iter().any(|part| part.state == PartState::Retry) {
            let ready = parts.iter_mut().filter(|part| matches!(part.state, PartState::Ready(_)));
            let given_back: Vec<Ticket> = ready
                .map(|part| {
                    part.state = PartState::GivenBack;
                    part.ticket
                })
                .collect();
            for ticket in given_back {
                self.tell(dropped(ticket));
            }
        }
    }

    /// Whether a part that was refused, and of which the fleet knows that no replica made this cut since the version on record,
    /// is all there is: another part may be cut already, and so may this one under a version that was recorded meanwhile.
    fn is_uncut(&self, inode: InodeId) -> bool {
        let Some(busy) = self.edits.busy.get(&inode) else { return false };
        let file = ordered_inode(&busy.edit.request).expect("an edit names its inode");
        let is_as_before = |part: &Part| {
            let now = self.meta.chunk_at(file, part.boundary.view.index);
            now.is_ok_and(|now| now.is_some_and(|now| now.version == part.boundary.view.version))
        };
        busy.edit.parts.len() == 1 && busy.edit.parts.iter().all(is_as_before)
    }

    /// Asks again for parts that could not be had, and gives up edits of files that have gone, or that no
    /// replica was told of for too long.
    pub(super) fn retry_edits(&mut self) {
        let now_ms = self.now_ms();
        let inodes: Vec<InodeId> = self.edits.busy.keys().copied().collect();
        for inode in inodes {
            let Some(busy) = self.edits.busy.get(&inode) else { continue };
            let file = ordered_inode(&busy.edit.request).expect("an edit names its inode");
            if self.meta.attributes(file).is_err() {
                self.end_edit(inode, Err(Status::Stale));
            } else if !busy.edit.begun && busy.edit.deadline_ms <= now_ms {
                self.end_edit(inode, Err(Status::TryAgain));
            } else {
                self.ask_parts(inode);
            }
        }
    }

    /// Makes the record or refuses the edit; then what waited behind it has its turn.
    fn end_edit(&mut self, inode: InodeId, ready: Result<(), Status>) {
        let Busy { edit, behind } = self.edits.busy.remove(&inode).expect("the caller found it");
        let Edit { origin, request, parts, .. } = edit;
        self.log.redeem();
        let answer = self.sessions.take_waiting(origin.session, origin.sequence);
        let applied = match ready {
            Ok(()) => {
                let raised = parts.iter().filter_map(raised_chunk).collect();
                let applied = self.log_edit(Leaves::Promises, origin, &request, raised);
                if let Some(index) = applied.index {
                    for part in &parts {
                        self.leave_when_stable(index, Out::EditLogged(part.ticket));
                    }
                }
                applied
            }
            Err(status) => Applied::refused(status),
        };
        if applied.index.is_none() {
            for part in &parts {
                match part.state {
                    PartState::Ready(_) => self.tell(dropped(part.ticket)),
                    // Its answer finds no question and is dropped then.
                    PartState::Asked => drop(self.asked.remove(&part.ticket)),
                    PartState::Retry | PartState::GivenBack => {}
                }
            }
        }
        if let Some(answer) = answer {
            self.answer_applied(answer, applied);
        }
        self.run_behind(inode, behind);
    }

    /// From a file's end to the end of that chunk: where the frames of a writer that is no more could land. Of an inode
    /// that is gone anything; it is refused by what follows.
    fn beyond_the_end(&self, inode: InodeRef) -> (u64, u64) {
        let end = self.meta.attributes(inode).map_or(0, |now| now.length);
        (end, CHUNK_BYTES - end % CHUNK_BYTES)
    }

    fn run_behind(&mut self, inode: InodeId, mut behind: Queue) {
        while let Some((origin, request)) = behind.remove(0) {
            let Some(answer) = self.sessions.take_waiting(origin.session, origin.sequence) else { continue };
            self.run_ordered(origin, request, answer);
            if let Some(busy) = self.edits.busy.get_mut(&inode) {
                // What came meanwhile comes after those that waited.
                for later in std::mem::replace(&mut busy.behind, behind).take_all(|_| true) {
                    busy.behind.push(later, &self.sessions);
                }
                return;
            }
        }
    }

    /// Logs the edit. Reservations of fresh chunks in the cut range are void with it; if it changed nothing of what
    /// the map has, only those that others wrote to: their bytes must not show up in what was just answered to be
    /// zeroes.
    fn log_edit(
        &mut self,
        leaves: Leaves,
        origin: Origin,
        request: &Request,
        raised: Vec<RaisedChunk>,
    ) -> Applied {
        let inode = ordered_inode(request).expect("an edit names its inode");
        let known = self.meta.attributes(inode);
        let before = known.map(|a| a.truncate_generation);
        let (op, first, last) = match request {
            Request::Punch { offset, length, .. } => {
                let op = Op::Punch { inode, offset: *offset, length: *length, boundaries: raised };
                (op, chunk_of(*offset), chunk_of(offset.saturating_add(length.saturating_sub(1))))
            }
            Request::SetLength { length, clear_privileges, .. } => {
                let boundary = raised.first().copied();
                let op =
                    Op::SetLength { inode, length: *length, clear_privileges: *clear_privileges, boundary };
                let old = known.map_or(*length, |a| a.length);
                (op, chunk_of(old.min(*length)), ChunkIndex(u32::MAX))
            }
            Request::AppendLock { .. } => {
                let (offset, length) = self.beyond_the_end(inode);
                let op = Op::Punch { inode, offset, length, boundaries: raised };
                (op, chunk_of(offset), ChunkIndex(u32::MAX))
            }
            _ => unreachable!("only SetLength, Punch and AppendLock are edits"),
        };
        // A record in the name of a session that has ended, or has given the request up, would be refused.
        let recorded = (request.is_mutation() && self.sessions.waits_for(origin)).then_some(origin);
        let mut applied = self.log_leaving(leaves, recorded, op);
        if let Ok(Reply::Attributes(after)) = &applied.reply
            && let Some(index) = applied.index
        {
            let editor = (before == Ok(after.truncate_generation)).then_some(origin.session);
            self.tell(Event::RangeCut { inode, first, last, index, editor });
            if matches!(request, Request::AppendLock { .. }) {
                let now_ms = self.now_ms();
                self.appends.redeemed(inode.id, now_ms);
                let wanted = self.appends.is_wanted(inode.id);
                let held = self.appends.is_held_by(inode.id, origin.session);
                let locked = Reply::AppendLock { attributes: *after, wanted };
                applied.reply = if held { Ok(locked) } else { Err(Status::Busy) };
            }
        }
        applied
    }
}

fn raised_chunk(part: &Part) -> Option<RaisedChunk> {
    let PartState::Ready(version) = part.state else { return None };
    Some(RaisedChunk { index: part.boundary.view.index, chunk: part.boundary.view.chunk, version })
}

fn chunk_of(offset: u64) -> ChunkIndex {
    ChunkIndex(u32::try_from(offset / CHUNK_BYTES).unwrap_or(u32::MAX))
}
