//! Chunkservers: registration, reports, heartbeats, orders.
//!
//! *Counter logged first and the server killed before it stamps its disk: the disk comes back with a counter
//! that looks used. Stamped by the server alone: a copied disk cannot be told from the original.* So the
//! master hands out the counter, the server stamps its disks, and the heartbeat after that names the counters that
//! are on its disks; only those are logged (a disk that failed or is full may have kept the old one), and when that is
//! stable the fleet learns of the server.
//!
//! # Invariants
//! 1. A stamp's counter is never below the one in the metadata, unless the disk was copied or rolled back.
//! 2. The fleet hears of a disk only after the record of its registration is stable.
//! 3. Silence is judged by when messages came, not by when the core came to them.
//! 4. A disk is served by one link at a time; what a link says of other disks is ignored.

use super::{Core, Out};
use crate::config::{SERVER_LINKS_MAX, SERVER_SILENCE_MAX};
use codec::admin::{Severity, Warning};
use codec::control::{
    ChunkReport, Cut, DiskReport, Order, OrderKind, Refused, RefusedDisk, Register, Registered, ReplicaFlags,
    ToMaster, ToServer,
};
use fleet::{DiskInfo, DiskState, Event, OrderId, ReportedReplica, ServerInfo};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};
use types::{ChunkId, ChunkSlot, DiskId, Holder, ServerId, Status, Term};

/// Messages of one server that wait for its registration to be stable; a report of 2.5 million replicas fits.
const HELD_MESSAGES_MAX: usize = 256;
/// Messages that wait for room in a link, at most: what some thousand chunks need at once.
const UNSENT_MAX: usize = 1 << 16;

/// The master's name for one control link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// What happens on control links.
pub(crate) enum ServerMessage {
    /// A link came.
    Attached(Attached),
    /// The server says something.
    Says(ToMaster),
    /// The link has gone.
    Gone,
}

/// The core's side of a control link. Dropping it ends the link.
pub(crate) struct Attached {
    /// To the server.
    pub(crate) to: mpsc::Sender<ToServer>,
    /// The server's address.
    pub(crate) peer: String,
    /// When a message last came, kept true by whoever receives them.
    pub(crate) heard_ms: Arc<AtomicU64>,
    /// The other end of this notices that the link is dropped.
    pub(crate) _wanted: oneshot::Sender<()>,
}

/// All control links.
#[derive(Default)]
pub(super) struct Servers {
    links: BTreeMap<LinkId, ServerLink>,
    /// The link of each server that registered.
    current: BTreeMap<ServerId, LinkId>,
    /// What was last heard of each server, for status.
    pub(super) heard: BTreeMap<ServerId, Heard>,
    pub(super) disk_counts: BTreeMap<DiskId, DiskCounts>,
    /// Labels by the configuration of the disk's server.
    pub(super) disk_labels: BTreeMap<DiskId, Vec<String>>,
    /// Why disks of connected servers were not taken.
    pub(super) untaken: BTreeMap<ServerId, Vec<Warning>>,
}

/// What status shows of a server beside what the fleet knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) at_ms: u64,
    pub(super) version: String,
    /// By its configuration.
    pub(super) labels: Vec<String>,
    /// Its directories that it does not serve.
    pub(super) refused: Vec<RefusedDisk>,
}

/// What a disk's server has counted since it started, for status.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DiskCounts {
    pub(super) errors: u64,
    pub(super) pulled_bytes: u64,
}

impl DiskCounts {
    fn of(report: &DiskReport) -> Self {
        Self { errors: report.errors, pulled_bytes: report.pulled_bytes }
    }
}

impl Servers {
    /// The metadata know a server or a disk no longer.
    pub(super) fn forget(&mut self, holder: Holder) {
        match holder {
            Holder::Server(server) => drop(self.heard.remove(&server)),
            Holder::Disk(disk) => {
                self.disk_counts.remove(&disk);
                self.disk_labels.remove(&disk);
                for link in self.links.values_mut() {
                    if let State::Serving { disks, .. } = &mut link.state {
                        disks.remove(&disk);
                    }
                }
            }
        }
    }
}

struct ServerLink {
    end: Attached,
    state: State,
    /// What the link has no room for yet: after a loss of power thousands of chunks are to be raised.
    unsent: VecDeque<ToServer>,
}

enum State {
    /// Not a word so far.
    New,
    /// The counters were handed out; the next message says which disks are stamped.
    Stamping { info: ServerInfo, counters: Vec<(DiskId, u64)> },
    /// Counters logged; what comes waits with them.
    Logging { info: ServerInfo, held: usize },
    /// In service.
    Serving { server: ServerId, disks: BTreeSet<DiskId> },
}

impl ServerLink {
    fn heard_ms(&self) -> u64 {
        self.end.heard_ms.load(Ordering::Relaxed)
    }

    fn server(&self) -> Option<ServerId> {
        match &self.state {
            State::New => None,
            State::Stamping { info, .. } | State::Logging { info, .. } => Some(info.server),
            State::Serving { server, .. } => Some(*server),
        }
    }

    fn disks(&self) -> BTreeSet<DiskId> {
        match &self.state {
            State::New => BTreeSet::new(),
            State::Stamping { info, .. } | State::Logging { info, .. } => {
                info.disks.iter().map(|disk| disk.disk).collect()
            }
            State::Serving { disks, .. } => disks.clone(),
        }
    }
}

impl Core {
    /// Something happened on a control link.
    pub(super) fn server_message(&mut self, link: LinkId, message: ServerMessage) {
        match message {
            ServerMessage::Attached(end) => {
                if self.servers.links.len() >= SERVER_LINKS_MAX {
                    tracing::warn!(peer = %end.peer, "too many control links; one was closed");
                    return;
                }
                self.servers
                    .links
                    .insert(link, ServerLink { end, state: State::New, unsent: VecDeque::new() });
            }
            ServerMessage::Says(message) => self.server_says(link, message),
            ServerMessage::Gone => self.drop_link(link, "its control link ended"),
        }
    }

    fn server_says(&mut self, id: LinkId, message: ToMaster) {
        // A link that was closed from here may still have messages under way.
        let Some(link) = self.servers.links.get_mut(&id) else { return };
        let server = link.server();
        if let Some(heard) = server.and_then(|server| self.servers.heard.get_mut(&server)) {
            heard.at_ms = link.heard_ms();
        }
        match (&mut link.state, message) {
            (State::New, ToMaster::Register(register)) => self.register(id, register),
            (State::New, _) | (_, ToMaster::Register(_)) => {
                self.drop_link(id, "it registered out of turn");
            }
            (State::Stamping { .. }, message) => {
                self.log_registration(id, &message);
                self.hold_message(id, message);
            }
            (State::Logging { .. }, message) => self.hold_message(id, message),
            (State::Serving { .. }, message) => self.serve_message(id, message),
        }
    }

    /// Judges a registration and hands out the disks' new counters.
    fn register(&mut self, id: LinkId, register: Register) {
        let Register { server, name, address, cluster, labels, highest_term, disks, version, refused } =
            register;
        if let Some(theirs) = cluster
            && theirs != self.cluster
        {
            let reason = format!(
                "the disks of chunkserver {name} belong to cluster {theirs}, this master is of cluster {}; \
                 point it at the master of its cluster, or give it blank disks",
                self.cluster
            );
            return self.refuse(id, Status::WrongCluster, reason);
        }
        if highest_term > self.term {
            tracing::error!(%name, seen = %highest_term, own = %self.term, "a chunkserver has seen a newer master");
            self.stepped_down = Some(highest_term);
            return;
        }
        // The same server again: its old link is dead, only nobody has told us.
        if let Some(old) = self.servers.current.get(&server).copied() {
            self.drop_link(old, "it registered anew");
        }
        let mut counters = BTreeMap::new();
        let mut infos = Vec::new();
        let mut untaken = Vec::new();
        for disk in disks {
            if counters.contains_key(&disk.disk) {
                continue;
            }
            match self.judge_disk(&name, &disk) {
                Ok(counter) => {
                    counters.insert(disk.disk, counter);
                    self.servers.disk_counts.insert(disk.disk, DiskCounts::of(&disk));
                    self.servers.disk_labels.insert(disk.disk, disk.labels.clone());
                    infos.push(disk_info(disk));
                }
                Err(warning) => {
                    self.disk_not_added(server, &disk.path, &warning.message, &warning.next);
                    untaken.push(warning);
                }
            }
        }
        self.servers.untaken.insert(server, untaken);
        let heard = Heard { at_ms: self.now_ms(), version, labels: labels.clone(), refused };
        self.servers.heard.insert(server, heard);
        self.servers.current.insert(server, id);
        let counters: Vec<_> = counters.into_iter().collect();
        let answer = Registered {
            term: self.term,
            cluster: self.cluster,
            disks: counters.clone(),
            lease_ms: SERVER_SILENCE_MAX.as_millis() as u32,
        };
        let info = ServerInfo { server, name, address, labels, disks: infos };
        if let Some(link) = self.servers.links.get_mut(&id) {
            link.state = State::Stamping { info, counters };
        }
        self.out.push(Out::ToServer(id, ToServer::Registered(answer)));
    }

    /// The next counter for a disk's stamp, or why the disk is not taken.
    fn judge_disk(&self, name: &str, disk: &DiskReport) -> Result<u64, Warning> {
        let id = disk.disk;
        if self.servers.links.values().any(|link| link.disks().contains(&id)) {
            tracing::error!(disk = %id, path = %disk.path, server = %name, "a disk is connected twice");
            let first = self.fleet.disks().find(|view| view.disk == id);
            let holder =
                first.as_ref().and_then(|disk| self.fleet.servers().find(|one| one.server == disk.server));
            let first = first.map_or_else(String::new, |disk| {
                format!(" {}:{}", holder.map_or("", |server| server.name), disk.path)
            });
            return Err(Warning {
                code: format!("DISK_TWICE {id}"),
                severity: Severity::Warning,
                message: format!(
                    "two directories are disk {id}: the one at{first} is served, the one at {name}:{} is not",
                    disk.path
                ),
                next: "disconnect the copy, or empty it and have it stamped anew".into(),
                amount: 1,
            });
        }
        let recorded = self.meta.disk(id).map_or(0, |known| known.registrations);
        if disk.registrations < recorded {
            tracing::error!(
                disk = %id, path = %disk.path, server = %name, found = disk.registrations, recorded,
                "a disk was rolled back or copied"
            );
            return Err(Warning {
                code: format!("DISK_UNTRUSTED {id}"),
                severity: Severity::Warning,
                message: format!(
                    "disk {id} at {name}:{} was registered {} times by its own stamp, {recorded} times by the \
                     metadata: it was rolled back or copied and is not used",
                    disk.path, disk.registrations
                ),
                next: "bring back the disk as it was last; if no chunk is missing, empty it and have it stamped anew"
                    .into(),
                amount: 1,
            });
        }
        Ok(disk.registrations + 1)
    }

    fn refuse(&mut self, id: LinkId, status: Status, reason: String) {
        tracing::warn!(%reason, "a chunkserver was refused");
        let refused = Refused { status, reason, term: self.term };
        if let Some(link) = self.servers.links.remove(&id) {
            // The link closes behind it, so a full queue loses nothing that matters.
            let _ = link.end.to.try_send(ToServer::Refused(refused));
        }
    }

    /// The server has stamped its disks: the counters that it names go into the log.
    fn log_registration(&mut self, id: LinkId, message: &ToMaster) {
        let ToMaster::Heartbeat { disks: stamped, .. } = message else {
            return self.drop_link(id, "it does not say which disks it stamped");
        };
        let Some(link) = self.servers.links.get_mut(&id) else { return };
        let State::Stamping { info, counters } = &mut link.state else { return };
        let (mut info, counters) = (std::mem::take(info), std::mem::take(counters));
        // A new one that could not be stamped may have another id the next time. Why it is not served is told with the heartbeats. One
        // that has its stamp and no room for the counter stays: it may hold what is nowhere else.
        let is_none = |disk: &DiskInfo| {
            let has_failed =
                |one: &DiskReport| one.disk == disk.disk && one.state == codec::control::DiskState::Failed;
            self.meta.disk(disk.disk).is_none() && stamped.iter().any(has_failed)
        };
        let unstamped: Vec<DiskInfo> = info.disks.extract_if(.., |disk| is_none(disk)).collect();
        link.state = State::Logging { info: info.clone(), held: 0 };
        for disk in unstamped {
            self.disk_not_added(
                info.server,
                &disk.path,
                "it could not be stamped",
                "muskox status   (says why)",
            );
        }
        let is_stamped = |(disk, registrations): &(DiskId, u64)| {
            stamped.iter().any(|report| report.disk == *disk && report.registrations == *registrations)
        };
        if let Err(status) = self.record_registration(&info, counters.into_iter().filter(is_stamped)) {
            tracing::error!(server = %info.name, %status, "a registration could not be recorded");
            return self.drop_link(id, "its disks could not be recorded");
        }
        self.leave_when_stable(self.applied(), Out::Registered(id));
    }

    fn hold_message(&mut self, id: LinkId, message: ToMaster) {
        let Some(link) = self.servers.links.get_mut(&id) else { return };
        let State::Logging { held, .. } = &mut link.state else { return };
        *held += 1;
        if *held > HELD_MESSAGES_MAX {
            return self.drop_link(id, "it sends faster than its registration becomes stable");
        }
        self.leave_when_stable(self.applied(), Out::ServerSaid(id, message));
    }

    /// The registration is stable.
    pub(super) fn registered(&mut self, id: LinkId) {
        let Some(link) = self.servers.links.get_mut(&id) else { return };
        let disks = link.disks();
        let State::Logging { info, .. } = &mut link.state else { return };
        let info = std::mem::take(info);
        tracing::info!(server = %info.name, address = %info.address, disks = disks.len(), peer = %link.end.peer, "a chunkserver registered");
        link.state = State::Serving { server: info.server, disks };
        // Those that it registered with are of its configuration.
        self.tell_labels(Holder::Server(info.server));
        info.disks.iter().for_each(|disk| self.tell_labels(Holder::Disk(disk.disk)));
        for disk in &info.disks {
            self.disk_registered(info.server, disk.disk, &disk.path);
        }
        self.ask_for_additions(info.server);
        self.tell(Event::ServerRegistered(info));
    }

    /// A message of a server in service.
    pub(super) fn serve_message(&mut self, id: LinkId, message: ToMaster) {
        let Some(link) = self.servers.links.get(&id) else { return };
        let State::Serving { server, disks } = &link.state else { return };
        let server = *server;
        let owns = |disk: &DiskId| disks.contains(disk);
        match message {
            ToMaster::Register(_) => self.drop_link(id, "it registered out of turn"),
            ToMaster::Report(ChunkReport { disk, entries, last }) => {
                if owns(&disk) {
                    let replicas = entries
                        .into_iter()
                        .map(|entry| ReportedReplica {
                            slot: self.slot(entry.chunk),
                            chunk: entry.chunk,
                            version: entry.version,
                            complete: entry.flags.is_complete(),
                            damaged: entry.flags.contains(ReplicaFlags::DAMAGED),
                            marked: entry.flags.contains(ReplicaFlags::MARKED),
                            power_lost: entry
                                .flags
                                .contains(ReplicaFlags::MARKED.with(ReplicaFlags::POWER_LOST)),
                            torn: entry.flags.contains(ReplicaFlags::TORN),
                        })
                        .collect();
                    self.tell(Event::Reported { disk, replicas, last });
                }
            }
            ToMaster::Heartbeat { disks: reports, refused } => {
                if let Some(heard) = self.servers.heard.get_mut(&server) {
                    heard.refused = refused;
                }
                let owned: Vec<_> = reports.into_iter().filter(|report| owns(&report.disk)).collect();
                for report in &owned {
                    self.servers.disk_counts.insert(report.disk, DiskCounts::of(report));
                }
                let disks = owned.into_iter().map(disk_info).collect();
                self.tell(Event::Heartbeat { server, disks });
            }
            ToMaster::Born(replicas) => {
                let born: Vec<_> = replicas.into_iter().filter(|replica| owns(&replica.disk)).collect();
                for replica in born {
                    let slot = self.slot(replica.chunk);
                    self.tell(Event::ReplicaBorn {
                        disk: replica.disk,
                        slot,
                        chunk: replica.chunk,
                        version: replica.version,
                    });
                }
            }
            ToMaster::DiskNotAdded(refused) => {
                self.disk_not_added(server, &refused.path, &refused.reason, &refused.next);
            }
            ToMaster::OrderDone(done) => {
                let codec::control::OrderDone { order, result: status, unsettled, .. } = done;
                self.tell(Event::OrderDone { order: OrderId(order), status, unsettled });
            }
            ToMaster::Unsettled { disk, chunk, version } => {
                if owns(&disk) {
                    let slot = self.slot(chunk);
                    self.tell(Event::Unsettled { disk, slot, chunk, version });
                }
            }
            ToMaster::Damaged { disk, chunk, version } => {
                if owns(&disk) {
                    tracing::warn!(%disk, %chunk, %version, "a replica is damaged");
                    let slot = self.slot(chunk);
                    self.tell(Event::Damaged { disk, slot, chunk });
                }
            }
        }
    }

    pub(super) fn slot(&self, chunk: ChunkId) -> Option<ChunkSlot> {
        self.meta.find_chunk(chunk).map(|(view, _)| view.slot)
    }

    /// Sends the fleet's order after this batch's write. A server that is not there loses it.
    pub(super) fn send_order(&mut self, server: ServerId, order: OrderId, term: Term, what: fleet::Order) {
        let Some(link) = self.servers.current.get(&server) else { return };
        let order = Order { order: order.0, term, what: order_kind(what) };
        self.out.push(Out::ToServer(*link, ToServer::Order(order)));
    }

    /// The link of a server that is registered.
    pub(super) fn link_in_service(&self, server: ServerId) -> Option<LinkId> {
        let link = self.servers.current.get(&server)?;
        let is_serving = |link: &ServerLink| matches!(link.state, State::Serving { .. });
        self.servers.links.get(link).filter(|link| is_serving(link)).map(|_| *link)
    }

    pub(super) fn send_to_server(&mut self, id: LinkId, message: ToServer) {
        let Some(link) = self.servers.links.get_mut(&id) else { return };
        link.unsent.push_back(message);
        self.send_unsent_to(id);
    }

    /// Sends what did not fit before.
    pub(super) fn send_unsent(&mut self) {
        let waiting = self.servers.links.iter().filter(|(_, link)| !link.unsent.is_empty());
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.send_unsent_to(id);
        }
    }

    fn send_unsent_to(&mut self, id: LinkId) {
        let Some(link) = self.servers.links.get_mut(&id) else { return };
        while let Some(message) = link.unsent.pop_front() {
            match link.end.to.try_send(message) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    return self.drop_link(id, "its control link ended");
                }
                Err(mpsc::error::TrySendError::Full(message)) => {
                    link.unsent.push_front(message);
                    if link.unsent.len() > UNSENT_MAX {
                        self.drop_link(id, "it does not read its orders");
                    }
                    return;
                }
            }
        }
    }

    /// Drops links that were silent for too long.
    pub(super) fn drop_silent_servers(&mut self) {
        let limit = SERVER_SILENCE_MAX.as_millis() as u64;
        let now_ms = self.now_ms();
        let silent = |link: &ServerLink| now_ms.saturating_sub(link.heard_ms()) >= limit;
        let ids: Vec<_> =
            self.servers.links.iter().filter(|(_, link)| silent(link)).map(|(id, _)| *id).collect();
        for id in ids {
            self.drop_link(id, "it was silent for too long");
        }
    }

    fn drop_link(&mut self, id: LinkId, why: &'static str) {
        let Some(link) = self.servers.links.remove(&id) else { return };
        let Some(server) = link.server() else { return };
        tracing::warn!(%server, peer = %link.end.peer, why, "a chunkserver is gone");
        if self.servers.current.get(&server) == Some(&id) {
            self.servers.current.remove(&server);
            self.servers.untaken.remove(&server);
            self.tell(Event::ServerGone { server });
        }
    }
}

fn disk_info(report: DiskReport) -> DiskInfo {
    let state = match report.state {
        codec::control::DiskState::Good => DiskState::Good,
        codec::control::DiskState::ReadOnly => DiskState::ReadOnly,
        codec::control::DiskState::Failed => DiskState::Failed,
    };
    DiskInfo {
        disk: report.disk,
        path: report.path,
        labels: report.labels,
        total_bytes: report.total_bytes,
        free_bytes: report.free_bytes,
        // Boot of the kernel and mount in one number: the same for directories of one mounted device.
        device: report.boot,
        state,
    }
}

fn order_kind(order: fleet::Order) -> OrderKind {
    match order {
        fleet::Order::Raise { disk, chunk, from, to, cuts } => {
            // The bytes of a chunk are counted in 27 bits.
            let small = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
            let cuts = cuts.into_iter().map(|cut| Cut { from: small(cut.from), to: small(cut.to) }).collect();
            OrderKind::Raise { disk, chunk, from, to, cuts }
        }
        fleet::Order::Delete { disk, chunk, version, unknown } => {
            OrderKind::Delete { disk, chunk, version, unknown }
        }
        fleet::Order::Copy { disk, chunk, version, sources } => {
            OrderKind::Copy { disk, chunk, version, sources }
        }
        fleet::Order::Repair { disk, chunk, version, source, blocks } => {
            OrderKind::Repair { disk, chunk, version, source, blocks }
        }
        fleet::Order::Pace { disk, chunk, bytes_per_s } => OrderKind::Pace { disk, chunk, bytes_per_s },
        fleet::Order::Fill { disk, chunk, version } => OrderKind::Fill { disk, chunk, version },
        fleet::Order::Feed { disk, chunk, version, sources } => {
            OrderKind::Feed { disk, chunk, version, sources }
        }
        fleet::Order::MendTorn { disk, chunk, version, sources, doubted } => {
            OrderKind::MendTorn { disk, chunk, version, sources, doubted }
        }
        fleet::Order::Mend { disk, chunk, version, sources } => {
            OrderKind::Mend { disk, chunk, version, sources }
        }
        fleet::Order::Close { disk, replicas } => OrderKind::Close { disk, replicas },
        fleet::Order::Verify { disk, chunk, version } => OrderKind::Verify { disk, chunk, version },
    }
}
