//! Limits of copying that operators set: copies at one time and bytes per second, of a server and between labels.
//!
//! A limit of a server holds for what it reads and, apart from that, for what it writes; one between labels for copies from
//! disks with the first to disks with the second. A copy begins when every limit that it is under has a place for it. The bytes
//! of a limit are shared out evenly among its copies, and a copy goes as fast as the least of its shares: its server is told with
//! the order, and again whenever that changes. What goes first within the limits is decided where copies are begun (`heal`).
//!
//! # Invariants
//! 1. The copies under a limit are counted when they begin and end, and anew when the limits change; nothing walks over chunks.
//! 2. The shares of a limit come to no more than it allows, but for the moment until servers hear of a change.
//! 3. A copy that may read from several sources is under the limits of all of them.
//!
//! # Elsewhere
//! Keeping to the pace: `chunkserver` (`pace`). Limits in the metadata: `meta`.

use crate::fleet::Fleet;
use crate::hosts::Hosts;
use crate::{Command, Order};
use placement::Condition;
use std::collections::BTreeMap;
use types::{CHUNK_BYTES, ChunkSlot, Limit, LimitScope, ServerId};

/// A limited copy gets at least so many bytes per second, if its limit has them: fewer copies that are done sooner.
const SHARE_MIN: u64 = 1 << 20;
/// Copies at one time under a limit that says nothing of them: more share the same bytes and serve nobody.
const SHARERS_MAX: usize = 8;
/// A limit that kept a copy back is told of for so long: some passes of healing.
const TOLD_MS: u64 = 2_000;

/// What a limit is about.
#[derive(Debug)]
enum About {
    Reads(ServerId),
    Writes(ServerId),
    Pair(Condition, Condition),
}

/// A limit, or one side of one.
#[derive(Debug)]
struct Entry {
    about: About,
    /// Which of the limits that were told it is.
    told: usize,
    /// Copies that it has places for.
    most: usize,
    bytes_per_s: Option<u64>,
    running: usize,
    /// When it last kept a copy back.
    refused_ms: Option<u64>,
}

impl Entry {
    fn has_place(&self) -> bool {
        self.running < self.most
    }

    /// What each of its copies gets.
    fn share(&self) -> Option<u64> {
        Some((self.bytes_per_s? / self.running.max(1) as u64).max(1))
    }
}

/// A copy that is under limits.
#[derive(Debug)]
struct Share {
    sources: Vec<u16>,
    to: u16,
    under: Vec<usize>,
    /// What its server was told; 0: nothing.
    told: u64,
    /// The least of that so far.
    slowest: u64,
}

/// A limit and what it does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitView {
    /// What it is about.
    pub scope: LimitScope,
    /// How much it allows.
    pub limit: Limit,
    /// Copies that it has places for at one time, of each side.
    pub places: usize,
    /// Copies under it; of a server: those that it reads, and those that it writes.
    pub running: (usize, usize),
    /// It keeps copies back.
    pub holds_up: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    told: Vec<(LimitScope, Limit)>,
    entries: Vec<Entry>,
    /// Copies that a server reads and writes at one time, where a limit says so.
    servers: BTreeMap<ServerId, usize>,
    shares: BTreeMap<ChunkSlot, Share>,
    /// Shares may be other than was told.
    stale: bool,
}

/// Places of a limit that gives `copies` of them, or leaves that to the number of its bytes.
fn places(limit: Limit, otherwise: usize) -> usize {
    let copies = limit.copies.map_or(otherwise, |copies| copies as usize);
    let shares = limit.bytes_per_s.map_or(usize::MAX, |rate| (rate / SHARE_MIN).max(1) as usize);
    copies.min(shares)
}

impl Limits {
    /// Takes all limits in place of those before. `default`: copies of a server without one.
    fn set(&mut self, told: Vec<(LimitScope, Limit)>, default: usize) {
        self.entries.clear();
        self.servers.clear();
        for (number, (scope, limit)) in told.iter().enumerate() {
            let bytes_per_s = limit.bytes_per_s;
            let mut add = |about: About, most: usize| {
                let (running, refused_ms) = (0, None);
                self.entries.push(Entry { about, told: number, most, bytes_per_s, running, refused_ms });
            };
            match scope {
                LimitScope::Server(server) => {
                    let most = places(*limit, default);
                    add(About::Reads(*server), most);
                    add(About::Writes(*server), most);
                    self.servers.insert(*server, most);
                }
                LimitScope::Pair { from, to } => {
                    // What was logged was read before; what cannot be read limits nothing.
                    let read = (Condition::parse(from.as_str()), Condition::parse(to.as_str()));
                    let (Ok(from), Ok(to)) = read else { continue };
                    add(About::Pair(from, to), places(*limit, SHARERS_MAX));
                }
            }
        }
        self.told = told;
    }

    /// The limits that a copy from any of these disks to that one is under.
    fn under(&self, hosts: &Hosts, sources: &[u16], to: u16) -> Vec<usize> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let reads = |server: ServerId| sources.iter().any(|disk| hosts.server_of(*disk).id == server);
        let meets = |condition: &Condition| sources.iter().any(|disk| hosts.pool.meets(*disk, condition));
        let is_under = |entry: &Entry| match &entry.about {
            About::Reads(server) => reads(*server),
            About::Writes(server) => hosts.server_of(to).id == *server,
            About::Pair(from, there) => hosts.pool.meets(to, there) && meets(from),
        };
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| is_under(entry)).map(|(number, _)| number).collect()
    }

    fn have_place(&self, under: &[usize]) -> bool {
        under.iter().all(|number| self.entries[*number].has_place())
    }

    /// These kept a copy back, as far as they are full.
    fn refused(&mut self, under: &[usize], now_ms: u64) {
        for number in under {
            let entry = &mut self.entries[*number];
            if !entry.has_place() {
                entry.refused_ms = Some(now_ms);
            }
        }
    }

    fn begin(&mut self, slot: ChunkSlot, sources: Vec<u16>, to: u16, under: Vec<usize>) {
        for number in &under {
            self.entries[*number].running += 1;
        }
        self.stale |= !under.is_empty();
        self.shares.insert(slot, Share { sources, to, under, told: 0, slowest: u64::MAX });
    }

    fn end(&mut self, slot: ChunkSlot) {
        let Some(share) = self.shares.remove(&slot) else { return };
        for number in &share.under {
            self.entries[*number].running -= 1;
        }
        self.stale |= !share.under.is_empty();
    }

    /// Counts all copies anew.
    fn recount(&mut self, hosts: &Hosts) {
        let mut shares = std::mem::take(&mut self.shares);
        for share in shares.values_mut() {
            share.under = self.under(hosts, &share.sources, share.to);
            for number in &share.under {
                self.entries[*number].running += 1;
            }
        }
        (self.shares, self.stale) = (shares, true);
    }

    /// Bytes per second of a copy; 0: as many as go through.
    fn pace(&self, share: &Share) -> u64 {
        share.under.iter().filter_map(|number| self.entries[*number].share()).min().unwrap_or(0)
    }
}

impl Fleet {
    /// The metadata has these limits.
    pub(crate) fn limits_told(
        &mut self,
        limits: Vec<(LimitScope, Limit)>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        self.limits.set(limits, self.options.copies_per_server);
        self.limits.recount(&self.hosts);
        self.tell_paces(out);
        self.healing.wake();
        self.heal(now_ms, out);
    }

    /// Copies that a server may read at one time, and as many that it may write.
    pub(crate) fn copies_of(&self, server: u16) -> usize {
        let default = self.options.copies_per_server;
        if self.limits.servers.is_empty() {
            return default;
        }
        self.limits.servers.get(&self.hosts.servers[usize::from(server)].id).copied().unwrap_or(default)
    }

    /// Which conditions a disk must not meet for a copy from that one: their limits have no place.
    pub(crate) fn closed_to(&self, from: u16) -> Vec<&Condition> {
        let closed = self.limits.entries.iter().filter(|entry| !entry.has_place());
        let to = |entry| match entry {
            &Entry { about: About::Pair(ref of, ref to), .. } if self.hosts.pool.meets(from, of) => Some(to),
            _ => None,
        };
        closed.filter_map(to).collect()
    }

    /// Whether a copy may begin; if not, its limits are told to keep it back.
    pub(crate) fn limits_allow(&mut self, sources: &[u16], to: u16, now_ms: u64) -> bool {
        let under = self.limits.under(&self.hosts, sources, to);
        let allow = self.limits.have_place(&under);
        if !allow {
            self.limits.refused(&under, now_ms);
        }
        allow
    }

    /// A copy from this disk found no place because of limits between labels, or none of its server.
    pub(crate) fn kept_back(&mut self, from: u16, now_ms: u64) {
        let server = self.hosts.server_of(from).id;
        let concerned = |entry: &Entry| match &entry.about {
            About::Reads(of) => *of == server,
            // Which disk it would have been is not known.
            About::Writes(_) => true,
            About::Pair(from_where, _) => self.hosts.pool.meets(from, from_where),
        };
        let entries = self.limits.entries.iter().enumerate();
        let under: Vec<usize> =
            entries.filter(|(_, entry)| concerned(entry)).map(|(number, _)| number).collect();
        self.limits.refused(&under, now_ms);
    }

    /// Every server that could take a copy has enough: so their limits keep copies back.
    pub(crate) fn all_kept_back(&mut self, now_ms: u64) {
        let all: Vec<usize> = (0..self.limits.entries.len()).collect();
        self.limits.refused(&all, now_ms);
    }

    /// A copy begins.
    pub(crate) fn limit_begins(&mut self, slot: ChunkSlot, sources: Vec<u16>, to: u16) {
        let under = self.limits.under(&self.hosts, &sources, to);
        self.limits.begin(slot, sources, to, under);
    }

    /// A copy ended.
    pub(crate) fn limit_ends(&mut self, slot: ChunkSlot) {
        self.limits.end(slot);
    }

    /// Whether a disk may be read for a copy that was begun: all limits that it would bring are counted.
    pub(crate) fn is_counted(&self, slot: ChunkSlot, source: u16) -> bool {
        let Some(share) = self.limits.shares.get(&slot) else { return true };
        let under = self.limits.under(&self.hosts, &[source], share.to);
        under.iter().all(|number| share.under.contains(number))
    }

    /// An order for a copy was given: its pace follows.
    pub(crate) fn pace_copy(&mut self, slot: ChunkSlot, out: &mut Vec<Command>) {
        let Some(share) = self.limits.shares.get_mut(&slot) else { return };
        // A new order goes as fast as it can until it is told.
        share.told = 0;
        if !share.under.is_empty() {
            self.limits.stale = true;
            self.tell_paces(out);
        }
    }

    /// Tells the servers of copies that are to go faster or slower.
    pub(crate) fn tell_paces(&mut self, out: &mut Vec<Command>) {
        if !std::mem::take(&mut self.limits.stale) {
            return;
        }
        let limits = &self.limits;
        let other = limits.shares.iter().filter(|(_, share)| limits.pace(share) != share.told);
        let other: Vec<(ChunkSlot, u64)> = other.map(|(slot, share)| (*slot, limits.pace(share))).collect();
        for (slot, bytes_per_s) in other {
            let (Some(chunk), true) = (self.table.chunk(slot), self.is_ordered(slot)) else { continue };
            let Some(share) = self.limits.shares.get_mut(&slot) else { continue };
            share.told = bytes_per_s;
            share.slowest = share.slowest.min(if bytes_per_s == 0 { u64::MAX } else { bytes_per_s });
            let to = share.to;
            let what = Order::Pace { disk: self.hosts.disk(to).id, chunk, bytes_per_s };
            let (order, server) = (self.number_order(), self.hosts.server_of(to).id);
            out.push(Command::Order { server, order, term: self.term, what });
        }
    }

    /// How much longer a copy may take for its pace: twice what a whole chunk does.
    pub(crate) fn paced_ms(&self, slot: ChunkSlot) -> u64 {
        let slowest = self.limits.shares.get(&slot).map_or(u64::MAX, |share| share.slowest);
        if slowest == u64::MAX { 0 } else { 2_000 * CHUNK_BYTES / slowest }
    }

    /// Whether limits have no place now for a copy from any of these disks to any of those.
    pub(crate) fn limits_are_full(&self, sources: &[u16], to: &[u16]) -> bool {
        let is_full =
            |from: u16, to: u16| !self.limits.have_place(&self.limits.under(&self.hosts, &[from], to));
        !self.limits.entries.is_empty() && sources.iter().all(|from| to.iter().all(|to| is_full(*from, *to)))
    }

    /// Whether all copies are counted, each under its limits, and nothing else is.
    #[cfg(test)]
    pub(crate) fn limits_are_counted(&self) -> bool {
        let Limits { entries, shares, .. } = &self.limits;
        let under = |number| shares.values().filter(|share| share.under.contains(&number)).count();
        shares.len() == self.healing.copying()
            && shares.keys().all(|slot| self.is_copied(*slot))
            && entries.iter().enumerate().all(|(number, entry)| entry.running == under(number))
    }

    /// All limits and what they do.
    pub fn limits(&self, now_ms: u64) -> Vec<LimitView> {
        let view = |(number, (scope, limit)): (usize, &(LimitScope, Limit))| {
            let entries = || self.limits.entries.iter().filter(move |entry| entry.told == number);
            let mut running = entries().map(|entry| entry.running);
            let running = (running.next().unwrap_or(0), running.next().unwrap_or(0));
            let of_late = |at_ms: u64| now_ms <= at_ms.saturating_add(TOLD_MS);
            LimitView {
                scope: scope.clone(),
                limit: *limit,
                places: entries().map(|entry| entry.most).next().unwrap_or(0),
                running,
                holds_up: entries().any(|entry| entry.refused_ms.is_some_and(of_late)),
            }
        };
        self.limits.told.iter().enumerate().map(view).collect()
    }
}
