//! The state and the door: every event comes in through [`Fleet::handle`].

use crate::classes::Classes;
use crate::garbage::Garbage;
use crate::heal::Healing;
use crate::hold::Holds;
use crate::hops::Blames;
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::marks::Draining;
use crate::raise::Raises;
use crate::reserve::{FreshWanted, Reservations};
use crate::review::Review;
use crate::table::{ChunkTable, Health, ReplicaSet};
use crate::{Command, Event, FleetOptions, Order, OrderId};
use std::collections::BTreeMap;
use types::{ChunkId, ChunkIndex, ChunkSlot, ClassId, Stage, Term};

/// What an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The raise of the chunk in this slot.
    Raise(ChunkSlot),
    /// The same of one that did not wait for it: the replica may take this version all the same.
    Outlasted { slot: ChunkSlot, chunk: ChunkId, version: types::Version },
    /// Deleting a replica of a removed chunk.
    Delete(ChunkId, types::Version),
    /// Beginning a replica that joins the chain of the chunk in this slot.
    Fill(ChunkSlot),
    /// Making a replica of a chunk that has too few, or bringing one that joined to its end.
    Copy { slot: ChunkSlot, chunk: ChunkId, version: types::Version },
    /// Mending a damaged replica.
    Mend(ChunkSlot),
    /// Looking whether a replica is sound before another one of its chunk is removed.
    Verify(ChunkSlot),
    /// Removing a replica that is not needed.
    Remove(ChunkSlot),
    /// Closing a disk that is to go.
    Close,
}

/// An order that has not been answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenOrder {
    pub(crate) disk: u16,
    pub(crate) purpose: Purpose,
    pub(crate) sent_ms: u64,
}

impl OpenOrder {
    pub(crate) fn is_delete(&self) -> bool {
        matches!(self.purpose, Purpose::Delete(..))
    }
}

/// The soft half of the chunk table. See the crate's description.
pub struct Fleet {
    pub(crate) term: Term,
    pub(crate) options: FleetOptions,
    pub(crate) started_ms: u64,
    /// Waiting for known disks after the start is over; never goes back.
    settled: bool,
    /// How many disks the metadata knew at the start, once told.
    disks_known: Option<usize>,
    pub(crate) hosts: Hosts,
    pub(crate) classes: Classes,
    pub(crate) review: Review,
    pub(crate) table: ChunkTable,
    pub(crate) reservations: Reservations,
    pub(crate) raises: Raises,
    pub(crate) orders: BTreeMap<OrderId, OpenOrder>,
    pub(crate) garbage: Garbage,
    pub(crate) blames: Blames,
    pub(crate) healing: Healing,
    pub(crate) holds: Holds,
    pub(crate) limits: Limits,
    /// Disks that are to go.
    pub(crate) draining: BTreeMap<u16, Draining>,
    pub(crate) tie: u64,
    /// Grants and edits that were told to wait for more replicas.
    pub(crate) held_back: u64,
    last_order: u64,
}

impl Fleet {
    /// A fleet for one reign; it knows nothing yet.
    pub fn new(term: Term, options: FleetOptions, now_ms: u64) -> Self {
        let mut hosts = Hosts::default();
        let classes = Classes::new(&options, &mut hosts.pool);
        Self {
            term,
            options,
            started_ms: now_ms,
            settled: false,
            disks_known: None,
            table: ChunkTable::new(classes.get(ClassId(0)).goal(Stage::default())),
            hosts,
            classes,
            review: Review::default(),
            reservations: Reservations::default(),
            raises: Raises::default(),
            orders: BTreeMap::new(),
            garbage: Garbage::default(),
            blames: Blames::default(),
            healing: Healing::default(),
            holds: Holds::default(),
            limits: Limits::default(),
            draining: BTreeMap::new(),
            tie: 0,
            held_back: 0,
            last_order: 0,
        }
    }

    /// The reign it serves.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Takes in one event; what is to be done is appended to `out`. `now_ms` never goes back.
    pub fn handle(&mut self, event: Event, now_ms: u64, out: &mut Vec<Command>) {
        match event {
            Event::KnownDisks(disks) => {
                self.disks_known = Some(disks.len());
                for (server, disk) in disks {
                    let Some(server) = self.hosts.add_server(server) else { continue };
                    let Some(disk) = self.hosts.add_disk(disk, server) else { continue };
                    let entry = self.hosts.disk_mut(disk);
                    entry.awaited = !entry.reported;
                    self.weigh_server(server);
                    self.weigh(disk, now_ms);
                }
                self.settle(now_ms, out);
            }
            Event::ServerRegistered(info) => self.server_registered(&info, now_ms, out),
            Event::ServerGone { server } => self.server_gone(server, now_ms, out),
            Event::Heartbeat { server, disks } => self.heartbeat(server, &disks, now_ms, out),
            Event::Reported { disk, replicas, last } => self.reported(disk, &replicas, last, now_ms, out),
            Event::ReplicaBorn { disk, slot, chunk, version } => {
                self.replica_born(disk, slot, chunk, version, now_ms, out);
            }
            Event::Damaged { disk, slot, chunk } => self.damaged(disk, slot, chunk),
            Event::Unsettled { disk, slot, chunk, version } => {
                self.unsettled(disk, slot, chunk, version, now_ms);
            }
            Event::ChunkBorn { slot, chunk, version, class } => {
                self.chunk_born(slot, chunk, version, class, now_ms, out);
            }
            Event::ChunkGone { slot, chunk, version, index } => {
                self.chunk_left(slot, chunk, version, index, now_ms, out);
            }
            Event::ChunkClass { slot, class } => self.chunk_class(slot, class),
            Event::ChunkStage { slot, stage } => self.chunk_stage(slot, stage),
            Event::ClassSet { class, policies } => self.class_changed(class, Some(&policies)),
            Event::ClassGone { class } => self.class_changed(class, None),
            Event::ServerLabels { server, labels } => self.server_labels(server, labels),
            Event::DiskLabels { disk, labels } => self.disk_labels(disk, labels),
            Event::Removing { holder, removing } => self.removing(holder, removing, now_ms),
            Event::Maintenance { server, until_ms } => self.maintenance(server, until_ms),
            Event::Held { hold, cause, until_ms } => self.hold_told(hold, cause, until_ms),
            Event::HoldEnded { hold } => self.hold_ended(hold),
            Event::Limits(limits) => self.limits_told(limits, now_ms, out),
            Event::Forgotten { holder } => self.forgotten(holder, now_ms, out),
            Event::ChunkVersion { slot, chunk, version } => self.version_applied(slot, chunk, version),
            Event::Stable { index } => self.stable(index, now_ms, out),
            Event::InodeGone { inode, index } => {
                let all = (ChunkIndex(0), ChunkIndex(u32::MAX));
                self.void_places(inode, all, None, index, now_ms, out);
            }
            Event::RangeCut { inode, first, last, index, editor } => {
                self.void_places(inode, (first, last), editor, index, now_ms, out);
            }
            Event::GrantWanted { ticket, inode, index, existing, class, session, failed } => match existing {
                None => {
                    let wanted = FreshWanted { ticket, inode, index, class, session, failed };
                    self.grant_fresh(&wanted, now_ms, out);
                }
                Some((slot, chunk)) => {
                    self.forget_place(inode, index);
                    self.grant_existing(ticket, slot, chunk, session, failed.as_ref(), now_ms, out);
                }
            },
            Event::ReadWanted { slot } => self.read_wanted(slot, now_ms),
            Event::EditWanted { ticket, slot, chunk, cuts } => {
                self.edit_wanted(ticket, slot, chunk, cuts, now_ms, out);
            }
            Event::EditLogged { ticket } => self.edit_logged(ticket, now_ms, out),
            Event::EditDropped { ticket } => self.edit_dropped(ticket, out),
            Event::OrderDone { order, status, unsettled } => {
                self.order_done(order, status, unsettled, now_ms, out);
            }
            Event::Logged { raise, result } => self.raise_logged(raise, result, now_ms, out),
            Event::SessionGone { session } => {
                self.blames.forget(session);
                self.session_gone(session, now_ms, out);
            }
            Event::Tick => {
                self.settle(now_ms, out);
                self.raise_deadlines(now_ms, out);
                self.delete_rested(now_ms, out);
                self.resend_deletes(now_ms, out);
                self.forget_unknown(now_ms, out);
                self.copy_deadlines(now_ms);
                self.mending_deadlines(now_ms);
                self.removal_deadlines(now_ms);
                self.go_on_reviewing();
                self.release_holds();
                self.heal(now_ms, out);
                self.close_drained(now_ms, out);
            }
        }
    }

    /// Sends an order to a disk's server.
    pub(crate) fn order(
        &mut self,
        disk: u16,
        purpose: Purpose,
        what: Order,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) -> OrderId {
        let order = self.number_order();
        self.orders.insert(order, OpenOrder { disk, purpose, sent_ms: now_ms });
        out.push(Command::Order { server: self.hosts.server_of(disk).id, order, term: self.term, what });
        order
    }

    /// The number of the next order.
    pub(crate) fn number_order(&mut self) -> OrderId {
        self.last_order += 1;
        OrderId(self.last_order)
    }

    /// Replaces a chunk's replicas; keeps health counts and the sets of the disks.
    pub(crate) fn put_replicas(&mut self, slot: ChunkSlot, new: &ReplicaSet) {
        let old = self.table.replicas(slot);
        for replica in old.iter().filter(|replica| new.state(replica.disk).is_none()) {
            self.hosts.disk_mut(replica.disk).chunks.remove(slot);
            self.holds.remove(replica.disk, slot);
        }
        for replica in new.iter().filter(|replica| old.state(replica.disk).is_none()) {
            self.hosts.disk_mut(replica.disk).chunks.insert(slot);
        }
        self.table.put(slot, new);
        let (health, surplus) = (self.table.health(slot), self.has_surplus(slot));
        let enough = matches!(health, Some(Health::Ok | Health::Overgoal));
        let misplaced = enough && self.is_misplaced(slot, new);
        self.healing.set_damaged(slot, new.damaged().chain(new.kept()).next().is_some());
        self.healing.classify(slot, health, surplus, misplaced);
        self.note_draining(slot, &old, new);
    }

    /// Whether known disks are still awaited after the start.
    pub(crate) fn is_settling(&self, now_ms: u64) -> bool {
        !self.settled && now_ms < self.started_ms + self.options.settle_ms
    }

    /// Whether it is so early after the start that a missing server is probably about to register: a
    /// grant with fewer replicas than wanted waits.
    pub(crate) fn in_grace(&self, now_ms: u64) -> bool {
        let all_known_are_here = self.settled && self.disks_known.is_some_and(|disks| disks > 0);
        now_ms < self.started_ms + self.options.grace_ms && !all_known_are_here
    }

    pub(crate) fn settled(&self) -> bool {
        self.settled
    }

    /// Whether the metadata's state was told, so that what is told of classes and labels now is an operator's edit.
    pub(crate) fn is_introduced(&self) -> bool {
        self.disks_known.is_some()
    }

    /// Ends the settling when all known disks have reported or the time is over.
    pub(crate) fn settle(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        if self.settled {
            return;
        }
        let all = self.disks_known.is_some() && self.hosts.disks.iter().all(|disk| !disk.awaited);
        if all || now_ms >= self.started_ms + self.options.settle_ms {
            self.settled = true;
            for disk in 0..self.hosts.disks.len() as u16 {
                self.pump_deletes(disk, now_ms, out);
            }
        }
    }
}
