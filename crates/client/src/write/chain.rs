//! What a file's writer knows of one chunk: its grant, what flies under it, what is not yet durable.
//!
//! # Invariants
//! 1. A frame sent again under the same version keeps its write id, so that the head drops the repeat. No
//!    other frame of this client ever has it: a writer that is forgotten and made anew goes on above.
//! 2. `held` names the disks (and boots) that have taken every unsynced write without a break; when none
//!    is left, an fsync of this chunk cannot succeed until that was reported (`docs/semantics.md`), and it does not succeed while the
//!    chain has a member that lost some of them ([`Chunk::laggard`]): readers would be sent there.

use super::buffer::{ExtentId, Stamp};
use super::held::Held;
use super::orders::Action;
use env::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use types::{ChunkId, ChunkIndex, DirtyChunk, DiskId, FailedHop, Verifier, Version, Witness, WriteGrant};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The right to write, if it is good.
    pub(crate) grant: Option<Arc<WriteGrant>>,
    /// The last grant, good or not: names chunk and version.
    pub(crate) last: Option<Arc<WriteGrant>>,
    /// The serial number of the request for a grant that is on its way. Answers to others are not heard: what they were for was given up.
    pub(crate) asking: Option<u64>,
    /// A commit was refused: see [`Chunk::wants_grant`].
    pub(crate) refresh: bool,
    /// To be named with the next request for a grant.
    pub(crate) failed: Option<FailedHop>,
    /// The file's map has the chunk, as far as this client was told.
    pub(crate) attached: bool,
    /// Somebody else truncated the file since the last grant: another chunk may stand in its place.
    pub(crate) maybe_cut: bool,
    /// That happened while a grant was asked for: the answer may be older.
    pub(crate) cut_while_asking: bool,
    /// Every replica of the granted chain exists: frames need not create them.
    pub(crate) born: bool,
    /// In flight under the last grant.
    pub(crate) flying: BTreeSet<ExtentId>,
    /// The one among them that is durable; nothing else is sent meanwhile.
    pub(crate) durable_flying: Option<ExtentId>,
    /// The connection broke once since the last good answer; the frames were sent again as they were.
    pub(crate) link_retried: bool,
    /// The oldest write that every replica has, but maybe not on stable storage.
    pub(crate) unsynced: Option<Stamp>,
    /// The serial number of the flush on its way, and the oldest write it covers.
    flushing: Option<(u64, Stamp)>,
    /// On stable storage, but no durable commit has named it.
    pub(crate) synced_unnamed: bool,
    held: Option<Held>,
    write_ids: BTreeMap<ExtentId, u64>,
    trouble_since: Option<Instant>,
    tries: u32,
    /// Not asked again before this moment.
    pub(crate) retry_at: Option<Instant>,
}

impl Chunk {
    /// The chunk last granted.
    pub(crate) fn id(&self) -> Option<ChunkId> {
        self.last.as_ref().map(|grant| grant.capability.chunk)
    }

    fn version(&self) -> Option<Version> {
        self.last.as_ref().map(|grant| grant.capability.version)
    }

    /// As a commit names it.
    pub(crate) fn as_dirty(&self) -> Option<DirtyChunk> {
        let grant = self.last.as_ref()?;
        Some(DirtyChunk {
            index: grant.index,
            chunk: grant.capability.chunk,
            version: grant.capability.version,
        })
    }

    /// Takes a new grant in.
    pub(crate) fn granted(&mut self, grant: WriteGrant) {
        let same =
            self.id() == Some(grant.capability.chunk) && self.version() == Some(grant.capability.version);
        if !same {
            self.write_ids.clear();
            self.born = false;
            self.held.iter_mut().for_each(Held::raised);
        }
        if self.id() != Some(grant.capability.chunk) {
            self.forget_sync();
        }
        self.attached = !grant.fresh;
        self.flying.clear();
        self.durable_flying = None;
        self.failed = None;
        self.refresh = false;
        self.link_retried = false;
        let grant = Arc::new(grant);
        self.last = Some(Arc::clone(&grant));
        self.maybe_cut = std::mem::take(&mut self.cut_while_asking);
        self.grant = Some(grant).filter(|_| !self.maybe_cut);
    }

    /// The grant, if it may be used now; otherwise it is asked for, or waited for.
    pub(crate) fn usable_grant(
        &mut self,
        index: ChunkIndex,
        now: Instant,
        wake: &mut Option<Instant>,
        serial: &mut u64,
        actions: &mut Vec<Action>,
    ) -> Option<Arc<WriteGrant>> {
        if self.asking.is_some() {
            return None;
        }
        if let Some(at) = self.retry_at.filter(|at| now < *at) {
            earliest(wake, Some(at));
            return None;
        }
        if self.grant.is_none() {
            *serial += 1;
            (self.asking, self.cut_while_asking) = (Some(*serial), false);
            let (failed, known) = (self.failed.clone(), self.id());
            actions.push(Action::Grant { index, serial: *serial, failed, known });
        }
        self.grant.clone()
    }

    /// Nothing of this chunk waits for stable storage any more.
    pub(crate) fn forget_sync(&mut self) {
        (self.unsynced, self.flushing, self.synced_unnamed, self.held) = (None, None, false, None);
    }

    /// Whether the extent was sent under the present version before.
    pub(crate) fn was_sent(&self, extent: ExtentId) -> bool {
        self.write_ids.contains_key(&extent)
    }

    /// The write id of an extent under the present version, and the id below which all are answered.
    /// `last` is the highest one given so far.
    pub(crate) fn write_id(&mut self, extent: ExtentId, last: &mut u64) -> (u64, u64) {
        let id = *self.write_ids.entry(extent).or_insert_with(|| {
            *last += 1;
            *last
        });
        (id, self.write_ids.values().min().copied().unwrap_or(id))
    }

    /// Every replica has the extent.
    pub(crate) fn stored(&mut self, extent: ExtentId, stamp: Stamp, witnesses: &[Witness]) {
        self.flying.remove(&extent);
        self.write_ids.remove(&extent);
        // Empty maps keep memory.
        if self.flying.is_empty() && self.write_ids.is_empty() {
            (self.flying, self.write_ids) = Default::default();
        }
        self.born = true;
        self.calm();
        self.unsynced = Some(self.unsynced.map_or(stamp, |oldest| oldest.min(stamp)));
        match &mut self.held {
            None => self.held = Some(Held::new(witnesses)),
            Some(held) => held.answered(witnesses),
        }
        if self.durable_flying == Some(extent) {
            self.durable_flying = None;
            if self.laggard().is_none() {
                self.synced_unnamed = true;
                self.unsynced = None;
            }
        }
    }

    /// A member of the chain that lost writes which were not synced, although others hold them all. The chain must
    /// go on without it.
    pub(crate) fn laggard(&self) -> Option<DiskId> {
        let held = self.held.as_ref()?;
        self.last.as_ref()?.chain.iter().map(|member| member.disk).find(|disk| held.lags(*disk))
    }

    /// Whether some disk has held all unsynced writes without a break.
    pub(crate) fn is_held(&self) -> bool {
        self.held.as_ref().is_none_or(|held| !held.is_gone())
    }

    /// A disk (the head, if not named) lost what it had not synced; another may still hold everything.
    pub(crate) fn not_held_by(&mut self, disk: Option<DiskId>) {
        let head = self.last.as_ref().and_then(|grant| grant.chain.first()).map(|head| head.disk);
        if let (Some(held), Some(disk)) = (&mut self.held, disk.or(head)) {
            held.lost_by(disk);
        }
    }

    /// All writes before it are durable and nothing new came: what was held is of no more interest.
    pub(crate) fn forget_held_if_synced(&mut self) {
        if self.unsynced.is_none() && self.flushing.is_none() {
            self.held = None;
        }
    }

    /// For a FLUSH frame.
    pub(crate) fn start_flush(&mut self, serial: u64) -> Vec<Verifier> {
        self.flushing = self.unsynced.take().map(|stamp| (serial, stamp));
        self.held.iter().flat_map(Held::verifiers).collect()
    }

    /// Whether a flush is on its way.
    pub(crate) fn is_syncing(&self) -> bool {
        self.flushing.is_some()
    }

    /// Whether this flush is the one on its way.
    pub(crate) fn is_flushing(&self, serial: u64) -> bool {
        self.flushing.is_some_and(|(flushing, _)| flushing == serial)
    }

    /// The oldest write that a loss of power could take.
    pub(crate) fn oldest_unsynced(&self) -> Option<Stamp> {
        match (self.unsynced, self.flushing) {
            (Some(a), Some((_, b))) => Some(a.min(b)),
            (a, b) => a.or(b.map(|(_, stamp)| stamp)),
        }
    }

    /// The grant is of no use any more, and answers to what flies are not waited for.
    pub(crate) fn void(&mut self) {
        self.grant = None;
        self.flying.clear();
        self.durable_flying = None;
        self.refresh = false;
        self.flush_failed();
    }

    /// What was to be written is given up: none of it is sent again, and what comes next has the whole patience again. What no disk
    /// holds any more was reported: what the replicas have instead can be synced.
    pub(crate) fn give_up(&mut self) {
        self.void();
        self.calm();
        self.asking = None;
        self.write_ids.clear();
        self.held.take_if(|held| held.is_gone());
    }

    /// This client changed the file's map. `removed`: this place of it was emptied; `others_cut`: others truncated the file before.
    pub(crate) fn edited(&mut self, removed: bool, others_cut: bool) {
        if removed {
            // What is on its way was granted before.
            self.forget_sync();
            self.asking = None;
        }
        self.grant = None;
        self.maybe_cut |= others_cut;
    }

    /// It is in no map, and what it has was given up, or its chain failed: whatever becomes of the file, another chunk is to be had in its
    /// place.
    pub(crate) fn wants_another(&self) -> bool {
        !self.attached && self.failed.is_some()
    }

    /// Somebody else truncated the file.
    pub(crate) fn cut(&mut self) {
        self.void();
        self.maybe_cut = true;
        self.cut_while_asking |= self.asking.is_some();
    }

    /// Whether a grant is wanted although nothing is queued: a commit was refused, or an fsync is to name a chunk that may be cut
    /// away. Named nevertheless it would be put into the file again, without a replica.
    pub(crate) fn wants_grant(&self, syncing: bool) -> bool {
        self.refresh || syncing && (self.synced_unnamed && self.maybe_cut || self.wants_another())
    }

    /// The flush failed: what it covered is unsynced as before.
    pub(crate) fn flush_failed(&mut self) {
        if let Some((_, stamp)) = self.flushing.take() {
            self.unsynced = Some(self.unsynced.map_or(stamp, |oldest| oldest.min(stamp)));
        }
    }

    /// The flush was answered; false if no member that answered had held everything. While there is a laggard,
    /// what was flushed stays unsynced.
    pub(crate) fn flushed(&mut self, witnesses: &[Witness]) -> bool {
        if let Some(held) = &mut self.held {
            held.answered(witnesses);
        }
        if self.laggard().is_some() {
            self.flush_failed();
            return true;
        }
        self.calm();
        self.flushing = None;
        self.synced_unnamed = true;
        let held = self.is_held();
        self.forget_held_if_synced();
        held
    }

    /// The chain works.
    fn calm(&mut self) {
        (self.trouble_since, self.tries, self.retry_at, self.link_retried) = (None, 0, None, false);
    }

    /// Something failed. The first time it is tried again at once. False: it has lasted for `timeout`.
    pub(crate) fn trouble(&mut self, now: Instant, timeout: Option<Duration>) -> bool {
        let since = *self.trouble_since.get_or_insert(now);
        self.tries = self.tries.saturating_add(1);
        if self.tries > 1 {
            let delay = RETRY_FIRST.saturating_mul(1 << (self.tries - 2).min(8)).min(RETRY_MAX);
            self.retry_at = Some(now + delay);
        }
        timeout.is_none_or(|timeout| now.since(since) < timeout)
    }

    /// Nothing would be lost by forgetting all about it.
    pub(crate) fn is_idle(&self) -> bool {
        self.flying.is_empty()
            && self.asking.is_none()
            && !self.refresh
            && self.unsynced.is_none()
            && self.flushing.is_none()
            && !self.synced_unnamed
            && self.failed.is_none()
    }
}

/// The earlier of what is there already and another moment to wake at.
pub(crate) fn earliest(wake: &mut Option<Instant>, at: Option<Instant>) {
    *wake = match (*wake, at) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}
