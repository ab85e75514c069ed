//! Fresh chunks: grants for parts of a file whose map has no chunk yet.
//!
//! Nothing is logged for them. The fleet mints an id, chooses disks and remembers the reservation; the
//! first write creates the replicas, and the commit that tells the file's length puts the chunk into the
//! map (`docs/decisions/0004-fresh-chunks.md`).
//!
//! # Invariants
//! 1. A place (inode, index) has at most one live reservation; all sessions that ask share it.
//! 2. A chunk id is minted once: the counter only grows and the term is part of the id.
//! 3. A reservation goes when its chunk is born, when all its sessions are gone, or when its range is cut
//!    or its inode freed; what was written for it is deleted then, unless the chunk was born.
//! 4. A fresh chain has at least as many members as may acknowledge a write.
//! 5. There are never more than fit: a further one takes the place of the one that is reserved longest, of a file that was
//!    made and not written. If somebody was about to commit it, that is refused, and done again with another one.
//! 6. A reservation that failed and was replaced may still be committed by another session that shares it.

use crate::fleet::Fleet;
use crate::{Command, GrantParts, ReportedReplica, Ticket};
use placement::Use;
use std::collections::{BTreeMap, BTreeSet};
use types::{ChunkId, ChunkIndex, ClassId, FailedHop, InodeRef, LogIndex, SessionId, Stage, Status, Version};

/// Most reservations at one time.
const RESERVATIONS_MAX: usize = 1 << 20;
/// Most reservations of one session: far above what its write buffers can fill.
const SESSION_RESERVATIONS_MAX: usize = 1 << 16;

/// A member of a fresh chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshMember {
    pub(crate) disk: u16,
    /// The disk went away since and has not shown the replica again.
    pub(crate) lost: bool,
    /// What its disk said of it when it came back.
    pub(crate) told: Option<ReportedReplica>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reservation {
    inode: InodeRef,
    index: ChunkIndex,
    pub(crate) members: Vec<FreshMember>,
    sessions: Vec<SessionId>,
    /// More than one session could write to it, one after the other or together.
    shared: bool,
    /// A chain of it failed: its replicas may differ.
    pub(crate) unsettled: bool,
    /// The hops that failed in the reservations of this place before this one.
    failed: FailedHops,
}

/// Hops of one place: who (`None`: the client) could not reach whom.
#[derive(Clone, Debug, Default)]
struct FailedHops(Vec<(Option<u16>, u16)>);

impl FailedHops {
    fn add(&mut self, from: Option<u16>, to: u16) {
        self.0.retain(|hop| *hop != (from, to));
        self.0.push((from, to));
    }

    /// The disks to do without, the last one accused at the end: the far ends, but of hops whose near end blames everybody
    /// that one.
    fn at_fault(&self) -> Vec<u16> {
        let mut disks = Vec::new();
        for (from, to) in &self.0 {
            let blames_everybody =
                from.is_some() && self.0.iter().any(|(near, far)| near == from && far != to);
            let at_fault = from.filter(|_| blames_everybody).unwrap_or(*to);
            disks.retain(|disk| *disk != at_fault);
            disks.push(at_fault);
        }
        disks
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    by_chunk: BTreeMap<ChunkId, Reservation>,
    /// The one that is handed out, by place.
    live: BTreeMap<(InodeRef, ChunkIndex), ChunkId>,
    /// All, replaced ones included, by place.
    places: BTreeSet<(InodeRef, ChunkIndex, ChunkId)>,
    by_session: BTreeMap<SessionId, BTreeSet<ChunkId>>,
    minted: u64,
}

impl Reservations {
    pub(crate) fn len(&self) -> usize {
        self.by_chunk.len()
    }
    pub(crate) fn get(&self, chunk: ChunkId) -> Option<&Reservation> {
        self.by_chunk.get(&chunk)
    }
    pub(crate) fn get_mut(&mut self, chunk: ChunkId) -> Option<&mut Reservation> {
        self.by_chunk.get_mut(&chunk)
    }
    /// Those that a disk has told of, so that somebody has begun to write them.
    pub(crate) fn written_on(&self, disk: u16) -> impl Iterator<Item = ChunkId> + '_ {
        let written = move |member: &FreshMember| member.disk == disk && member.told.is_some();
        let on_disk = move |one: &&Reservation| one.members.iter().any(written);
        self.by_chunk.iter().filter(move |(_, one)| on_disk(one)).map(|(chunk, _)| *chunk)
    }
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Reservation> {
        self.by_chunk.values_mut()
    }
    /// Whether a session's commit may put this chunk at this place.
    pub(crate) fn allows(&self, inode: InodeRef, index: ChunkIndex, chunk: ChunkId) -> bool {
        self.get(chunk).is_some_and(|one| one.inode == inode && one.index == index)
    }

    fn share(&mut self, chunk: ChunkId, session: SessionId) {
        if let Some(reservation) = self.by_chunk.get_mut(&chunk) {
            if !reservation.sessions.contains(&session) {
                reservation.shared |= !reservation.sessions.is_empty();
                reservation.sessions.push(session);
            }
            self.by_session.entry(session).or_default().insert(chunk);
        }
    }

    /// A session has no more use for a chunk. True: nobody has.
    fn unshare(&mut self, chunk: ChunkId, session: SessionId) -> bool {
        if let Some(chunks) = self.by_session.get_mut(&session) {
            chunks.remove(&chunk);
            if chunks.is_empty() {
                self.by_session.remove(&session);
            }
        }
        self.by_chunk.get_mut(&chunk).is_some_and(|reservation| {
            reservation.sessions.retain(|one| *one != session);
            reservation.sessions.is_empty()
        })
    }

    fn remove(&mut self, chunk: ChunkId) -> Option<Reservation> {
        let reservation = self.by_chunk.remove(&chunk)?;
        for session in &reservation.sessions {
            if let Some(chunks) = self.by_session.get_mut(session) {
                chunks.remove(&chunk);
                if chunks.is_empty() {
                    self.by_session.remove(session);
                }
            }
        }
        self.places.remove(&(reservation.inode, reservation.index, chunk));
        let place = (reservation.inode, reservation.index);
        if self.live.get(&place) == Some(&chunk) {
            self.live.remove(&place);
        }
        Some(reservation)
    }
}

/// A question for a fresh chunk.
pub(crate) struct FreshWanted {
    pub(crate) ticket: Ticket,
    pub(crate) inode: InodeRef,
    pub(crate) index: ChunkIndex,
    pub(crate) class: ClassId,
    pub(crate) session: SessionId,
    pub(crate) failed: Option<FailedHop>,
}

impl Fleet {
    /// The version of a chunk's first replicas.
    pub(crate) fn first_version(&self) -> Version {
        Version { term: self.term, counter: 1 }
    }

    /// Answers with the place's reservation, or a new one if there is none or it failed.
    pub(crate) fn grant_fresh(&mut self, wanted: &FreshWanted, now_ms: u64, out: &mut Vec<Command>) {
        let grant = self.reserve(wanted, now_ms, out);
        out.push(Command::Granted { ticket: wanted.ticket, grant });
    }

    fn reserve(
        &mut self,
        wanted: &FreshWanted,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) -> Result<GrantParts, Status> {
        let place = (wanted.inode, wanted.index);
        let live = self.reservations.live.get(&place).copied();
        let failed = wanted.failed.as_ref().filter(|failed| Some(failed.chunk) == live);
        let mut hops = FailedHops::default();
        if let Some(chunk) = live {
            let Some(failed) = failed else {
                self.reservations.share(chunk, wanted.session);
                return self.fresh_parts(chunk).ok_or(Status::TryAgain);
            };
            // The reporter needs another chunk in any case: what it gave up must not come into a map. With too many reports nobody is
            // blamed.
            let is_heard = self.blames.admit(wanted.session, now_ms, self.options.blame_ms);
            let old = self.reservations.get(chunk);
            let members = old.map_or(&[][..], |old| &old.members);
            let member = |disk| {
                let number = self.hosts.disk_number(disk)?;
                members.iter().any(|member| member.disk == number).then_some(number)
            };
            let (from, to) = (failed.from.and_then(member), member(failed.to));
            hops = old.map(|old| old.failed.clone()).unwrap_or_default();
            let is_hop = |to: &u16| is_heard && from.is_some() == failed.from.is_some() && from != Some(*to);
            if let Some(to) = to.filter(is_hop) {
                hops.add(from, to);
            }
            if is_heard && failed.status == Status::NoSpace {
                self.hosts.out_of_room(failed.to);
            }
        }
        let disks = self.place_fresh(wanted.class, &hops, now_ms)?;
        let of_session = self.reservations.by_session.get(&wanted.session).map_or(0, BTreeSet::len);
        let longest = if of_session >= SESSION_RESERVATIONS_MAX {
            self.reservations.by_session.get(&wanted.session).and_then(|chunks| chunks.first().copied())
        } else if self.reservations.len() >= RESERVATIONS_MAX {
            self.reservations.by_chunk.keys().next().copied()
        } else {
            None
        };
        if let Some(longest) = longest {
            self.release(longest, LogIndex(0), now_ms, out);
        }
        self.reservations.minted += 1;
        let chunk = ChunkId::new(self.term, self.reservations.minted).ok_or(Status::NoSpace)?;
        if let Some(old) = live {
            // The reporter has given the old one up; others who share it may still commit it.
            self.reservations.live.remove(&place);
            if self.reservations.unshare(old, wanted.session) {
                self.release(old, LogIndex(0), now_ms, out);
            }
        }
        for disk in &disks {
            self.hosts.count_write(*disk, true);
        }
        let members = disks.into_iter().map(|disk| FreshMember { disk, lost: false, told: None }).collect();
        self.reservations.by_chunk.insert(
            chunk,
            Reservation {
                inode: wanted.inode,
                index: wanted.index,
                members,
                sessions: Vec::new(),
                shared: false,
                unsettled: false,
                failed: hops,
            },
        );
        self.reservations.live.insert(place, chunk);
        self.reservations.places.insert((place.0, place.1, chunk));
        self.reservations.share(chunk, wanted.session);
        self.fresh_parts(chunk).ok_or(Status::TryAgain)
    }

    /// Disks for a fresh chunk. After a failure, disks other than those that failed. If that leaves too
    /// few, the first time all are tried again with the accused one as head (the accuser alone does not
    /// reduce a chain to itself), and after that what is left, if so few may acknowledge a write.
    fn place_fresh(&mut self, class: ClassId, failed: &FailedHops, now_ms: u64) -> Result<Vec<u16>, Status> {
        let avoid = &failed.at_fault()[..];
        self.tie += 1;
        let class = self.classes.get(class);
        let (fewest, goal) = (class.min_write(Stage::default()), class.create.policy().layout.replicas());
        let choose = |avoid: &[u16]| -> Vec<u16> {
            let may = |disk| if avoid.contains(&disk) { Use::No } else { Use::Yes };
            self.hosts.pool.assign(&class.create, &[], self.tie, may).new_disks().collect()
        };
        let mut disks = choose(avoid);
        if disks.len() < goal && !avoid.is_empty() {
            let mut all = choose(&[]);
            if all.len() > disks.len() && (failed.0.len() <= 1 || disks.len() < fewest) {
                if let Some(at) = all.iter().position(|disk| avoid.last() == Some(disk)) {
                    all[..=at].rotate_right(1);
                }
                disks = all;
            }
        }
        if disks.len() < goal && self.in_grace(now_ms) {
            return Err(Status::TryAgain);
        }
        if disks.len() >= fewest {
            return Ok(disks);
        }
        // A disk that nobody has looked at yet is not full.
        let known = |disk: &u16| self.hosts.is_up(*disk) && self.hosts.disk(*disk).total_bytes > 0;
        let serving = self.hosts.servers.iter().filter(|server| server.disks.iter().any(known));
        if serving.count() >= fewest && !self.is_settling(now_ms) {
            return Err(Status::NoSpace);
        }
        self.held_back += 1;
        Err(Status::TryAgain)
    }

    fn fresh_parts(&self, chunk: ChunkId) -> Option<GrantParts> {
        let reservation = self.reservations.get(chunk)?;
        let chain = reservation.members.iter().map(|member| self.hosts.address(member.disk)).collect();
        Some(GrantParts { chunk, version: self.first_version(), chain, fresh: true })
    }

    /// Ends a reservation whose chunk never entered a map; its replicas go once `index` is stable.
    pub(crate) fn release(&mut self, chunk: ChunkId, index: LogIndex, now_ms: u64, out: &mut Vec<Command>) {
        let Some(reservation) = self.reservations.remove(chunk) else { return };
        let holders: Vec<u16> = reservation.members.iter().map(|member| member.disk).collect();
        for disk in &holders {
            self.hosts.count_write(*disk, false);
        }
        let version = self.first_version();
        self.chunk_gone(chunk, version, holders, index, now_ms, out);
    }

    /// A commit put the chunk into a map: its members become replicas, which may differ if the second is true.
    pub(crate) fn take_reservation(&mut self, chunk: ChunkId) -> Option<(Vec<FreshMember>, bool)> {
        let reservation = self.reservations.remove(chunk)?;
        for member in &reservation.members {
            self.hosts.count_write(member.disk, false);
        }
        Some((reservation.members, reservation.unsettled))
    }

    /// The map has another chunk at this place: a reservation for it has lost.
    pub(crate) fn forget_place(&mut self, inode: InodeRef, index: ChunkIndex) {
        self.reservations.live.remove(&(inode, index));
    }

    /// The session ended.
    pub(crate) fn session_gone(&mut self, session: SessionId, now_ms: u64, out: &mut Vec<Command>) {
        let chunks = self.reservations.by_session.remove(&session).unwrap_or_default();
        for chunk in chunks {
            if self.reservations.unshare(chunk, session) {
                self.release(chunk, LogIndex(0), now_ms, out);
            }
        }
    }

    /// Parts `first..=last` of a file were cut: what is reserved there must not enter the map, unless only `editor`
    /// ever had it.
    pub(crate) fn void_places(
        &mut self,
        inode: InodeRef,
        range: (ChunkIndex, ChunkIndex),
        editor: Option<SessionId>,
        index: LogIndex,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        if range.0 > range.1 {
            return;
        }
        let places = (inode, range.0, ChunkId(0))..=(inode, range.1, ChunkId(u64::MAX));
        let chunks: Vec<ChunkId> = self.reservations.places.range(places).map(|place| place.2).collect();
        for chunk in chunks {
            let own = |one: &Reservation| {
                !one.shared && editor.is_some() && one.sessions.first().copied() == editor
            };
            if !self.reservations.get(chunk).is_some_and(own) {
                self.release(chunk, index, now_ms, out);
            }
        }
    }

    /// A disk went away: it may come back without what was written to it.
    pub(crate) fn lose_fresh(&mut self, disk: u16) {
        if self.hosts.disk(disk).writes == 0 {
            return;
        }
        for reservation in self.reservations.all_mut() {
            for member in reservation.members.iter_mut().filter(|member| member.disk == disk) {
                member.lost = true;
            }
        }
    }
}
