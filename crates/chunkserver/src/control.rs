//! Following the masters: one link to each, made again when it breaks.
//!
//! All of it runs on the control runtime, so that heartbeats go on and orders are taken while the data runtime is
//! busy.
//!
//! A link registers this server, reports its replicas, then carries heartbeats, events and orders. A master of a
//! lower term than the highest seen, or of another cluster, is not followed.
//!
//! A disk that was told failed, because it hung, and answers again is reported anew: the master forgot its replicas. So is one that was blank
//! when the link was made, and whose stamp took long.

use crate::chain::Context;
use crate::config::HEARTBEAT_INTERVAL;
use crate::disks::{Disks, Refusal, Slot, on_disk};
use crate::events::{Concern, EventQueue};
use crate::orders::Orders;
use crate::standing::Standing;
use crate::tasks::Tasks;
use crate::turns::{Alive, Tie};
use crate::upkeep;
use codec::control::{
    BornReplica, ChunkReport, DiskState, OrderKind, REPORT_ENTRIES_MAX, RefusedDisk, Register, Registered,
    ReplicaFlags, ReportedChunk, ToMaster, ToServer,
};
use env::{Env, Instant, Queue};
use rpc::control::ServerEnd;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use store::{InventoryEntry, ReplicaState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use types::DiskId;

/// Pause before a link is made again, doubled up to the second.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A master that does not answer the registration for so long is left.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A master from which nothing comes for so long is left: five heartbeats.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Events are told in one message for so long: nobody waits for them, and each message costs as much as a request.
const TELL_PAUSE: Duration = Duration::from_millis(20);
/// How long a disk may take to store its counter before the others go on without it.
const DISK_MAX: Duration = Duration::from_secs(10);
/// Heartbeats without an answer whose times are remembered.
const UNANSWERED_MAX: usize = 16;

/// What the control plane needs.
pub(crate) struct Control {
    pub(crate) env: Env,
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    /// What others are told.
    pub(crate) address: String,
    pub(crate) standing: Arc<Standing>,
    pub(crate) disks: Arc<Disks>,
    pub(crate) context: Arc<Context>,
    pub(crate) orders: Arc<Orders>,
    /// On the control runtime.
    pub(crate) tasks: Arc<Tasks>,
    /// For the identity file.
    pub(crate) queue: Arc<dyn Queue>,
}

/// What was sent with heartbeats.
#[derive(Default)]
struct Told {
    /// Times of those that were not answered.
    unanswered: VecDeque<Instant>,
    /// Disks that failed, or were blank.
    unread: BTreeSet<DiskId>,
}

/// Why a link ended.
enum Left {
    /// Shown to the operator in the log.
    Broken(String),
    /// A disk came into service: the server registers anew, with it.
    DiskCame,
}

impl Control {
    /// Follows one master for ever.
    pub(crate) async fn follow(self: Arc<Self>, master: String) {
        let mut pause = RETRY_MIN;
        let mut said = String::new();
        loop {
            let began = tokio::time::Instant::now();
            let reason = match self.attach(&master).await {
                Left::Broken(reason) => reason,
                Left::DiskCame => continue,
            };
            if began.elapsed() > RETRY_MAX {
                pause = RETRY_MIN;
                said.clear();
            }
            // The same reason once: a master may be away for long.
            if reason != said {
                tracing::warn!(master, reason, "not registered with a master; trying again");
                said = reason;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn attach(self: &Arc<Self>, master: &str) -> Left {
        let link = match rpc::control::connect(&self.env, master).await {
            Ok(link) => link,
            Err(error) => return Left::Broken(error.to_string()),
        };
        // Before the report, so that nothing is missed in between.
        let events = self.context.events.subscribe();
        let mut came = self.disks.came();
        let left = match self.register(link).await {
            Ok((link, registered)) => self.attached(link, &registered, &events, &mut came).await,
            Err(left) => left,
        };
        self.context.events.unsubscribe(&events);
        left
    }

    async fn register(&self, mut link: ServerEnd) -> Result<(ServerEnd, Registered), Left> {
        self.look_at_disks().await;
        let sent = self.env.clock.now();
        let register = ToMaster::Register(Register {
            server: self.standing.server(),
            name: self.name.clone(),
            address: self.address.clone(),
            cluster: self.standing.cluster(),
            labels: self.labels.clone(),
            highest_term: self.standing.highest_term(),
            disks: self.disks.reports(sent),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            refused: self.disks.refused(sent),
        });
        send(&link.tx, register).await?;
        let answer = tokio::time::timeout(ANSWER_MAX, link.rx.recv()).await;
        let registered = match answer.map_err(|_| Left::Broken("no answer to the registration".into()))? {
            Some(ToServer::Registered(registered)) => registered,
            Some(ToServer::Refused(refused)) => {
                return Err(Left::Broken(format!("refused: {}: {}", refused.status, refused.reason)));
            }
            Some(ToServer::Order(_) | ToServer::HeartbeatAck { .. } | ToServer::AddDisk { .. }) => {
                return Err(Left::Broken("an order before the registration was answered".into()));
            }
            None => return Err(Left::Broken("the link ended before the registration was answered".into())),
        };
        let (standing, cluster, term) = (Arc::clone(&self.standing), registered.cluster, registered.term);
        let adopted = self.queue.call(move || standing.adopt(cluster, term)).await;
        match adopted {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Left::Broken(error.to_string())),
            Err(error) => return Err(Left::Broken(error.to_string())),
        }
        self.stamp_disks(&registered).await;
        // Of disks that were blank until now nothing is known yet.
        self.look_at_disks().await;
        let lease =
            Some(Duration::from_millis(u64::from(registered.lease_ms))).filter(|lease| !lease.is_zero());
        self.standing.registered(term, lease, sent);
        tracing::info!(master = link.peer, %term, %cluster, "registered");
        Ok((link, registered))
    }

    /// Room on the disks, as far as they answer at once.
    async fn look_at_disks(&self) {
        let now = self.env.clock.now();
        let looks: Vec<_> = self.disks.all().into_iter().filter_map(|slot| slot.probe(now)).collect();
        let all = async {
            for look in looks {
                // A lost look shows as a hung disk.
                let _ = look.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), all).await;
    }

    /// Stores the counters; a disk that hangs does not hold up the others.
    async fn stamp_disks(&self, registered: &Registered) {
        let mut disks = JoinSet::new();
        for slot in self.disks.all() {
            let counter = registered.disks.iter().find(|(disk, _)| Some(*disk) == slot.id());
            let cluster = registered.cluster;
            let counter = counter.map(|(_, counter)| *counter);
            disks.spawn(async move {
                let done = tokio::time::timeout(DISK_MAX, slot.register(cluster, counter)).await;
                if done.is_err() {
                    tracing::error!(path = slot.config.path, "a disk does not store its registration");
                }
            });
        }
        while disks.join_next().await.is_some() {}
    }

    async fn attached(
        self: &Arc<Self>,
        link: ServerEnd,
        registered: &Registered,
        events: &Arc<EventQueue>,
        came: &mut watch::Receiver<u64>,
    ) -> Left {
        let ServerEnd { tx, mut rx, .. } = link;
        let mut told = Told::default();
        // First the room, then the reports: a disk that has reported is given chunks.
        if let Err(left) = self.heartbeat(&tx, &mut told).await {
            return left;
        }
        let mut reports = JoinSet::new();
        for slot in self.disks.all() {
            if let (Some(disk), true) = (slot.id(), slot.disk().is_some()) {
                slot.turns.reported();
                reports.spawn(report(slot, disk, tx.clone()));
            }
        }
        let (_alive, tie) = Alive::new();
        let mut heartbeat = tokio::time::interval(HEARTBEAT_INTERVAL);
        heartbeat.reset();
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut heard = tokio::time::Instant::now();
        // When events may be told again; they wait for that.
        let (mut tell_at, mut gathering) = (heard, false);
        loop {
            let outcome = tokio::select! {
                biased;
                message = rx.recv() => {
                    heard = tokio::time::Instant::now();
                    self.message(message, registered, &mut told, &tie, events, &tx).await
                }
                () = events.arrived.notified(), if !gathering => {
                    gathering = true;
                    Ok(())
                }
                () = tokio::time::sleep_until(tell_at), if gathering => {
                    (tell_at, gathering) = (tokio::time::Instant::now() + TELL_PAUSE, false);
                    tell(events, &tx).await
                }
                Ok(()) = came.changed() => Err(Left::DiskCame),
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Left::Broken("nothing comes from it".into());
                    }
                    let well = self.heartbeat(&tx, &mut told).await;
                    well.map(|well| {
                        for disk in well {
                            if let Some(slot) = self.disks.get(disk) {
                                slot.turns.reported();
                                reports.spawn(report(slot, disk, tx.clone()));
                            }
                        }
                    })
                }
                Some(_) = reports.join_next() => Ok(()),
            };
            if let Err(left) = outcome {
                return left;
            }
        }
    }

    /// Looks after a disk, also while it is not served.
    pub(crate) fn look_after(&self, slot: Arc<Slot>) {
        let (disks, chains) = (Arc::clone(&self.disks), Arc::clone(&self.orders.chains));
        let (standing, clock) = (Arc::clone(&self.standing), Arc::clone(&self.env.clock));
        let context = Arc::clone(&self.context);
        self.tasks.spawn(upkeep::look_after(slot, disks, chains, standing, context, clock));
    }

    /// Takes a disk into service that an operator adds. If it is, masters see it when the links register anew.
    async fn add_disk(&self, path: String, tx: &mpsc::Sender<ToMaster>) {
        match self.disks.add(&path, self.standing.cluster()).await {
            Ok((slot, is_new)) => {
                if is_new {
                    self.look_after(slot);
                }
                self.disks.tell_anew();
            }
            Err(Refusal { refusal, reason, next }) => {
                tracing::warn!(path, reason, next, "a disk was not added");
                let refused = RefusedDisk { path, labels: Vec::new(), refusal, reason, next };
                let _ = send(tx, ToMaster::DiskNotAdded(refused)).await;
            }
        }
    }

    /// Sends one; which disks it says to be well that were told failed before, or were blank.
    async fn heartbeat(&self, tx: &mpsc::Sender<ToMaster>, told: &mut Told) -> Result<Vec<DiskId>, Left> {
        let now = self.env.clock.now();
        if told.unanswered.len() >= UNANSWERED_MAX {
            told.unanswered.pop_front();
        }
        told.unanswered.push_back(now);
        let (disks, refused) = (self.disks.reports(now), self.disks.refused(now));
        let is_blank = |disk: DiskId| self.disks.get(disk).is_some_and(|slot| slot.is_blank());
        let unread = disks.iter().filter(|disk| disk.state == DiskState::Failed || is_blank(disk.disk));
        let unread: BTreeSet<DiskId> = unread.map(|disk| disk.disk).collect();
        send(tx, ToMaster::Heartbeat { disks, refused }).await?;
        let before = std::mem::replace(&mut told.unread, unread);
        Ok(before.difference(&told.unread).copied().collect())
    }

    async fn message(
        self: &Arc<Self>,
        message: Option<ToServer>,
        registered: &Registered,
        told: &mut Told,
        tie: &Tie,
        events: &Arc<EventQueue>,
        tx: &mpsc::Sender<ToMaster>,
    ) -> Result<(), Left> {
        match message {
            Some(ToServer::Order(order)) => {
                if let OrderKind::Pace { disk, chunk, bytes_per_s } = order.what {
                    let done = self.orders.pace(order.order, disk, chunk, bytes_per_s);
                    return send(tx, ToMaster::OrderDone(done)).await;
                }
                let (orders, events, tx) = (Arc::clone(&self.orders), Arc::clone(events), tx.clone());
                let claim = match orders.claim(&order, tie) {
                    Ok(claim) => claim,
                    Err(refused) => return send(&tx, ToMaster::OrderDone(refused)).await,
                };
                // Not a task of this link: an order that was begun is carried out also if the link breaks. It waits for its turn
                // there, since the link has more to bring than orders.
                self.tasks.spawn(async move {
                    let closes = matches!(order.what, OrderKind::Close { .. });
                    let done = orders.carry_out(order, &claim).await;
                    let is_refused = done.result.is_err();
                    // A replica is not told of after its deletion. If the link broke, the next one begins with a report of all.
                    if !tx.is_closed() {
                        let _ = tell_born(events.take_born(), &tx).await;
                        // Nor does a raise end before the master knows what it met.
                        let _ = tell_damaged(events.take_damaged(), &tx).await;
                    }
                    let _ = send(&tx, ToMaster::OrderDone(done)).await;
                    drop(claim);
                    if closes && is_refused {
                        orders.disks.tell_anew();
                    }
                });
                Ok(())
            }
            Some(ToServer::AddDisk { path }) => {
                let (control, tx) = (Arc::clone(self), tx.clone());
                self.tasks.spawn(async move { control.add_disk(path, &tx).await });
                Ok(())
            }
            Some(ToServer::HeartbeatAck { term }) => {
                if let Some(sent) = told.unanswered.pop_front() {
                    self.standing.heard(term, sent);
                }
                if term == registered.term {
                    Ok(())
                } else {
                    Err(Left::Broken(format!("it is at term {term} now")))
                }
            }
            Some(ToServer::Refused(refused)) => {
                Err(Left::Broken(format!("refused: {}: {}", refused.status, refused.reason)))
            }
            Some(ToServer::Registered(_)) => Err(Left::Broken("registered twice".into())),
            None => Err(Left::Broken("the link ended".into())),
        }
    }
}

async fn send(tx: &mpsc::Sender<ToMaster>, message: ToMaster) -> Result<(), Left> {
    match tokio::time::timeout(SILENCE_MAX, tx.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Left::Broken("the link ended".into())),
        Err(_) => Err(Left::Broken("it takes no messages".into())),
    }
}

/// Tells of replicas that first writes and copies made.
async fn tell_born(born: Vec<BornReplica>, tx: &mpsc::Sender<ToMaster>) -> Result<(), Left> {
    for born in born.chunks(REPORT_ENTRIES_MAX) {
        send(tx, ToMaster::Born(born.to_vec())).await?;
    }
    Ok(())
}

async fn tell_damaged(damaged: Vec<Concern>, tx: &mpsc::Sender<ToMaster>) -> Result<(), Left> {
    for Concern { disk, chunk, version } in damaged {
        send(tx, ToMaster::Damaged { disk, chunk, version }).await?;
    }
    Ok(())
}

/// Tells what happened to replicas.
async fn tell(events: &EventQueue, tx: &mpsc::Sender<ToMaster>) -> Result<(), Left> {
    let waiting = events.take();
    if waiting.overflowed {
        return Err(Left::Broken("too much happened to be told: the replicas are reported anew".into()));
    }
    tell_born(waiting.born, tx).await?;
    tell_damaged(waiting.damaged, tx).await?;
    for unsettled in waiting.unsettled {
        let (disk, chunk, version) = (unsettled.disk, unsettled.chunk, unsettled.version);
        send(tx, ToMaster::Unsettled { disk, chunk, version }).await?;
    }
    Ok(())
}

/// Reports what one disk holds, in pieces. Without its last piece a report counts for nothing.
async fn report(slot: Arc<Slot>, disk: DiskId, tx: mpsc::Sender<ToMaster>) {
    let listed = on_disk(&slot, |disk| {
        let mut entries = Vec::new();
        disk.inventory(&mut |entry| entries.push(reported(&entry))).map(|()| entries)
    })
    .await;
    let entries = match listed {
        Ok(Ok(entries)) => entries,
        Ok(Err(error)) => {
            slot.count_error();
            return tracing::error!(%disk, %error, "the replicas of a disk cannot be listed");
        }
        Err(error) => return tracing::error!(%disk, %error, "the replicas of a disk cannot be listed"),
    };
    let pieces = entries.len().div_ceil(REPORT_ENTRIES_MAX).max(1);
    for piece in 0..pieces {
        let from = piece * REPORT_ENTRIES_MAX;
        let to = (from + REPORT_ENTRIES_MAX).min(entries.len());
        let report = ChunkReport { disk, entries: entries[from..to].to_vec(), last: piece + 1 == pieces };
        if send(&tx, ToMaster::Report(report)).await.is_err() {
            return; // The link is gone, and with it the report.
        }
    }
}

fn reported(entry: &InventoryEntry) -> ReportedChunk {
    let mut flags = match entry.state {
        ReplicaState::Complete => ReplicaFlags::COMPLETE,
        ReplicaState::Filling => ReplicaFlags::FILLING,
        ReplicaState::Lagging => ReplicaFlags::LAGGING,
    };
    let conditions = [
        (entry.bad, ReplicaFlags::BAD),
        (entry.damaged, ReplicaFlags::DAMAGED),
        (entry.marked, ReplicaFlags::MARKED),
        (entry.torn, ReplicaFlags::TORN),
        (entry.power_lost, ReplicaFlags::POWER_LOST),
    ];
    for (is, flag) in conditions {
        if is {
            flags = flags.with(flag);
        }
    }
    ReportedChunk { chunk: entry.chunk, version: entry.version, flags }
}
