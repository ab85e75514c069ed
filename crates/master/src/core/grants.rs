//! Write grants: asked of the fleet, answered when it has decided.

use super::{Core, edits};
use fleet::{Event, GrantParts, Ticket};
use types::{
    Capability, ChunkIndex, FailedHop, InodeId, InodeRef, LeaseEpoch, Origin, Reply, Rights, SessionId,
    Status, WriteGrant,
};

/// A question to the fleet.
pub(super) enum Asked {
    /// A client waits for a grant.
    Grant { origin: Origin, inode: InodeRef, index: ChunkIndex },
    /// A part of an edit of this inode.
    Edit { inode: InodeId, part: usize },
}

impl Core {
    /// A client asks to write a part of a file. Its answer waits in the session.
    pub(super) fn grant(
        &mut self,
        origin: Origin,
        inode: InodeRef,
        index: ChunkIndex,
        failed: Option<FailedHop>,
        answer: super::Answerer,
    ) {
        // What is written under it could not be committed, and the grant itself may take a record.
        if !self.log.takes_changes() {
            return self.answer(answer, Err(Status::NoSpace));
        }
        match self.grant_event(origin.session, inode, index, failed) {
            Ok((ticket, event)) => {
                self.sessions.wait(origin.session, origin.sequence, answer);
                self.asked.insert(ticket, Asked::Grant { origin, inode, index });
                self.tell(event);
            }
            Err(status) => self.answer(answer, Err(status)),
        }
    }

    fn grant_event(
        &mut self,
        session: SessionId,
        inode: InodeRef,
        index: ChunkIndex,
        failed: Option<FailedHop>,
    ) -> Result<(Ticket, Event), Status> {
        let existing = self.meta.chunk_at(inode, index)?.map(|view| (view.slot, view.chunk));
        let class = self.meta.class_of(inode)?;
        let ticket = self.next_ticket();
        Ok((ticket, Event::GrantWanted { ticket, inode, index, existing, class, session, failed }))
    }

    /// The grant of a new file's first chunk, if it can be given at once; else the client asks when it writes.
    pub(super) fn grant_at_once(&mut self, session: SessionId, inode: InodeRef) -> Option<WriteGrant> {
        let index = ChunkIndex(0);
        let (wanted, event) = self.grant_event(session, inode, index, None).ok()?;
        let mut commands = Vec::new();
        let now_ms = self.now_ms();
        self.fleet.handle(event, now_ms, &mut commands);
        let mut granted = None;
        for command in commands {
            match command {
                fleet::Command::Granted { ticket, grant } if ticket == wanted => granted = grant.ok(),
                other => self.commands.push(other),
            }
        }
        granted.map(|parts| self.write_grant(session, inode, index, parts))
    }

    /// The fleet has decided.
    pub(super) fn granted(&mut self, ticket: Ticket, grant: Result<GrantParts, Status>) {
        // An unknown ticket is one that `grant_at_once` did not wait for.
        let Some(Asked::Grant { origin, inode, index }) = self.asked.remove(&ticket) else { return };
        let Some(answer) = self.sessions.take_waiting(origin.session, origin.sequence) else { return };
        let outcome =
            grant.map(|parts| Reply::Grant(Box::new(self.write_grant(origin.session, inode, index, parts))));
        self.answer(answer, outcome);
    }

    fn write_grant(
        &self,
        session: SessionId,
        inode: InodeRef,
        index: ChunkIndex,
        parts: GrantParts,
    ) -> WriteGrant {
        let mut chain = parts.chain;
        // What was written is often read next.
        self.hint(session, inode, &mut chain);
        let capability = Capability {
            session,
            term: self.term,
            chunk: parts.chunk,
            version: parts.version,
            rights: Rights::Write,
            lease_epoch: LeaseEpoch(0),
            mac: Vec::new(),
        };
        WriteGrant { inode, index, chain, capability, fresh: parts.fresh }
    }

    /// What the fleet says of a part of an edit.
    pub(super) fn edit_ready(&mut self, ticket: Ticket, version: Result<types::Version, Status>) {
        match self.asked.remove(&ticket) {
            Some(Asked::Edit { inode, part }) => self.edit_part_ready(inode, part, version),
            // The edit was given up meanwhile.
            _ if version.is_ok() => self.tell(edits::dropped(ticket)),
            _ => {}
        }
    }
}
