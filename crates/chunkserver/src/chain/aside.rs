//! What has its turn between two frames of a chain and is none: pieces that are read for a member that is being filled,
//! and what that member does with them.
//!
//! The rules are in `wire::chain::Filling`: a piece is read after all writes that this member has taken, and stored, with
//! what was taken since on top of it, before all that are taken later.

use super::strand::Job;
use super::{Chain, Inner, Phase, write_with_room};
use crate::data::{answer_read, read_verified, refuse_read};
use crate::source::{Piece, write_piece};
use link::Replier;
use std::sync::Arc;
use store::{Disk, ReadBack, StoreError};
use tokio::sync::oneshot;
use types::{BlockRange, ChainSequence, Status, Verifier, Version};
use wire::message::Read;

/// What a replica that is being filled needs next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// These blocks.
    Piece(BlockRange),
    /// Writes that its pieces hold and that are on their way to it.
    Writes,
    /// Nothing: it is to be made complete.
    Nothing,
}

impl Chain {
    /// Reads for a member that is being filled, after all writes that were taken so far. Refused if this member does not
    /// know what it took, or fails before.
    pub(crate) fn read_in_order(self: &Arc<Self>, read: Read, replier: Replier) {
        let mut unanswered = Unanswered(Some(replier));
        {
            let mut inner = self.lock();
            let serves = matches!(inner.phase, Phase::Serving) && inner.version == read.capability.version;
            let admitted = if serves { inner.member.read() } else { Err(Status::WrongVersion) };
            match admitted {
                Ok(taken) => {
                    let chain = Arc::clone(self);
                    inner.strand.push(Job::Aside(Box::new(move |disk| {
                        // It cannot wait: what comes after it in the order would wait, too.
                        if !unanswered.has_room() {
                            return unanswered.refuse(Status::TryAgain);
                        }
                        unanswered.answer(read_verified(disk, &read, &chain.context.events), taken);
                    })));
                }
                Err(status) => return unanswered.refuse(status),
            }
        }
        self.kick();
    }

    /// Whether the replica is being filled at this version.
    pub(crate) fn fills(&self, version: Version) -> bool {
        self.lock().filling(version).is_ok()
    }

    /// What it needs next. A piece is to be brought with [`Chain::land`], or given up with [`Chain::missed`].
    pub(crate) fn next_needed(&self, version: Version) -> Result<Next, Status> {
        let mut inner = self.lock();
        let taken = inner.member.taken();
        let filling = inner.filling(version)?;
        Ok(match filling.ask() {
            Some(blocks) => Next::Piece(blocks),
            None if filling.is_whole(taken) => Next::Nothing,
            None => Next::Writes,
        })
    }

    /// The piece that was asked for did not come.
    pub(crate) fn missed(&self, version: Version) {
        if let Ok(filling) = self.lock().filling(version) {
            filling.lost();
        }
    }

    /// Waits until a write is taken or nothing more will be.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Stores a piece that was read after this write.
    pub(crate) async fn land(
        self: &Arc<Self>,
        version: Version,
        piece: Piece,
        sequence: ChainSequence,
    ) -> Result<Result<(), StoreError>, Status> {
        let chunk = self.chunk;
        let done = {
            let mut inner = self.lock();
            let again = inner.filling(version)?.arrived(sequence);
            inner.aside(move |disk| {
                write_piece(disk, chunk, version, &piece)?;
                again.iter().try_for_each(|(offset, data)| {
                    let page_crcs = wire::crc::page_crcs(u64::from(*offset), data);
                    let write = store::Write {
                        chunk,
                        version,
                        offset: u64::from(*offset),
                        data,
                        page_crcs: &page_crcs,
                        block_values: &[],
                        create: false,
                    };
                    write_with_room(disk, &write)
                })
            })
        };
        self.kick();
        let landed = done.await.map_err(|_| Status::ChainBroken)?;
        if landed.is_ok()
            && let Ok(filling) = self.lock().filling(version)
        {
            filling.landed();
        }
        Ok(landed)
    }

    /// Makes the replica complete, with all writes that were taken so far on stable storage. Those that follow count on it.
    /// `others`: it has what they held.
    pub(crate) async fn complete(
        self: &Arc<Self>,
        version: Version,
        others: Vec<Verifier>,
    ) -> Result<Result<(), StoreError>, Status> {
        let chain = Arc::clone(self);
        let done = {
            let mut inner = self.lock();
            inner.filling(version)?;
            inner.aside(move |disk| {
                disk.complete(chain.chunk, version)?;
                let vouchers = &chain.context.vouchers;
                let verifier = disk.verifier(chain.chunk)?;
                vouchers.put(verifier, chain.chunk, others);
                let mut inner = chain.lock();
                inner.member.filled();
                inner.member.vouch(vouchers.of(verifier, chain.chunk));
                inner.filling = None;
                Ok(())
            })
        };
        self.kick();
        done.await.map_err(|_| Status::ChainBroken)
    }
}

/// Somebody who waits for a read, and is told if it is not done.
struct Unanswered(Option<Replier>);

impl Unanswered {
    fn has_room(&self) -> bool {
        self.0.as_ref().is_some_and(Replier::has_room)
    }

    fn answer(&mut self, result: Result<ReadBack, StoreError>, sequence: ChainSequence) {
        if let Some(replier) = self.0.take() {
            answer_read(replier, result, sequence);
        }
    }

    fn refuse(&mut self, status: Status) {
        if let Some(replier) = self.0.take() {
            refuse_read(replier, status);
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.refuse(Status::ChainBroken);
    }
}

impl Inner {
    /// What is here of the replica that is being filled at this version.
    fn filling(&mut self, version: Version) -> Result<&mut wire::chain::Filling, Status> {
        if !matches!(self.phase, Phase::Serving) || self.version != version {
            return Err(Status::WrongVersion);
        }
        if !self.member.is_open() {
            return Err(Status::ChainBroken);
        }
        self.filling.as_mut().ok_or(Status::NoChunk)
    }

    /// The sender is dropped if it is not done.
    fn aside<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Disk) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (tell, told) = oneshot::channel();
        self.strand.push(Job::Aside(Box::new(move |disk| {
            // Nobody waits any more if the one who asked was ended.
            let _ = tell.send(work(disk));
        })));
        told
    }
}
