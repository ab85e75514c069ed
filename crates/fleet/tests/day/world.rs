//! The played world: a clock that jumps from one thing that is due to the next, and the real fleet in the middle of it.
//!
//! # Invariants
//! 1. The same plan gives the same day: what is due at the same moment comes in the order in which it was put off.
//! 2. After each event every chunk has a good replica that exists somewhere. Who destroys disks sees to it that it is not he who takes
//!    the last one (`life`), so it would have been an order.

use crate::books::{Books, Count, Flight};
use crate::cluster::{Cluster, disk_id, disk_number, server_id, slot_of};
use crate::dice::Dice;
use crate::holds::Holds;
use crate::life::{Kind, Life};
use crate::plan::Plan;
use fleet::{
    Command, DiskInfo, DiskState, Event, Fleet, Order, OrderId, RaiseTicket, ReportedReplica, ServerInfo,
};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use types::{ChunkSlot, HoldId, Holder, Label, Labels, Term, Version};

/// As often as the master does it at least.
const TICK_MS: u64 = 200;
const HEARTBEAT_MS: u64 = 2_000;
/// From a server to the master and back.
pub(crate) const HOP_MS: u64 = 1;
/// Until a record is stable.
const LOG_MS: u64 = 3;
/// Replicas in one message of a report.
const REPORTED_MAX: usize = 1_000;
const TERM: Term = Term(2);
/// So many are told in full.
const VIOLATIONS_TOLD: u64 = 10;

/// Something that is due.
pub(crate) enum Task {
    Tick,
    Heartbeat(u16),
    /// A server carries out an order, if the link over which it came is still the same.
    Obey {
        server: u16,
        link: u32,
        order: OrderId,
        what: Box<Order>,
        fails: bool,
    },
    /// The master hears a server.
    Hear {
        server: u16,
        link: u32,
        event: Box<Event>,
    },
    /// The master applies the record of a raise.
    Record {
        raise: RaiseTicket,
        slot: u32,
        version: Version,
        members: Vec<u16>,
    },
    Stable(RaiseTicket),
    /// The master notices that a link is broken.
    Notice {
        server: u16,
        link: u32,
    },
    /// The next part of a disk's report, from this chunk on.
    Report {
        server: u16,
        link: u32,
        disk: u16,
        from: u32,
    },
    /// A silent server is not waited for any longer.
    Ripe {
        server: u16,
        since_ms: u64,
        endangered: bool,
    },
    /// The time of a hold is over, if nothing prolonged it.
    HoldEnds(HoldId),
    Hour,
    Life(Life),
}

struct Due {
    at_ms: u64,
    number: u64,
    task: Task,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ms, other.number).cmp(&(self.at_ms, self.number))
    }
}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Due {}

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) fleet: Fleet,
    pub(crate) now_ms: u64,
    pub(crate) cluster: Cluster,
    pub(crate) books: Books,
    /// Copies that are under way.
    pub(crate) flights: BTreeMap<OrderId, Flight>,
    pub(crate) holds: Holds,
    /// When the last order for a replica is carried out: the next one comes after it.
    pub(crate) turns: BTreeMap<(u16, u32), u64>,
    /// Nothing happens any more, and nothing fails.
    pub(crate) calm: bool,
    pub(crate) begun: std::time::Instant,
    pub(crate) last_ticket: u64,
    due: BinaryHeap<Due>,
    number: u64,
    out: Vec<Command>,
    told: Books,
    /// A number that two equal days share.
    pub(crate) trace: u64,
    /// Promises that were broken.
    pub(crate) violations: u64,
}

impl World {
    /// A cluster that was built and filled before, under a new master; all servers are there.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut world = Self {
            dice: Dice::new(plan.seed),
            fleet: Fleet::new(TERM, plan.options, 0),
            plan,
            now_ms: 0,
            cluster: Cluster::default(),
            books: Books::default(),
            flights: BTreeMap::new(),
            holds: Holds::default(),
            turns: BTreeMap::new(),
            calm: false,
            begun: std::time::Instant::now(),
            last_ticket: 0,
            due: BinaryHeap::new(),
            number: 0,
            out: Vec::new(),
            told: Books::default(),
            trace: 0,
            violations: 0,
        };
        world.build();
        world.introduce();
        world.put_off(0, Task::Tick);
        world.put_off(3_600_000, Task::Hour);
        world
    }

    fn introduce(&mut self) {
        for class in 0..self.cluster.classes.len() as u16 {
            self.tell_class(class);
        }
        for server in 0..self.cluster.servers.len() as u16 {
            self.tell_labels(server);
        }
        let disks = 0..self.cluster.disks.len() as u16;
        let known = disks.map(|disk| (server_id(self.cluster.disk(disk).server), disk_id(disk))).collect();
        self.tell(Event::KnownDisks(known));
        for slot in 0..self.cluster.chunks.len() as u32 {
            let chunk = self.cluster.chunk(slot);
            let (version, class) = (chunk.version, types::ClassId(chunk.class));
            let chunk = crate::cluster::chunk_id(slot);
            self.tell(Event::ChunkBorn { slot: ChunkSlot(slot), chunk, version, class });
        }
        for server in 0..self.cluster.servers.len() as u16 {
            self.register(server);
            let beat_ms = self.dice.below(HEARTBEAT_MS);
            self.put_off(beat_ms, Task::Heartbeat(server));
        }
    }

    pub(crate) fn put_off(&mut self, after_ms: u64, task: Task) {
        self.number += 1;
        self.due.push(Due { at_ms: self.now_ms + after_ms, number: self.number, task });
    }

    /// Plays until that moment.
    pub(crate) fn play_until(&mut self, end_ms: u64) {
        while self.due.peek().is_some_and(|due| due.at_ms <= end_ms) {
            let Some(Due { at_ms, task, .. }) = self.due.pop() else { return };
            let passed_ms = at_ms - self.now_ms;
            let under = self.cluster.tally.under;
            self.books.add(Count::UnderMs, if under > 0 { passed_ms } else { 0 });
            self.books.add(Count::UnderChunkMs, under * passed_ms);
            self.now_ms = at_ms;
            self.act(task);
            self.look_at_lowest();
        }
        self.now_ms = end_ms;
    }

    fn look_at_lowest(&mut self) {
        let first = |counts: &[u64]| counts.iter().position(|count| *count > 0).unwrap_or(0);
        let (existing, reachable) =
            (first(&self.cluster.tally.existing), first(&self.cluster.tally.reachable));
        assert!(existing > 0, "a chunk has lost its last good replica by an order");
        let lowest = &mut self.books.lowest;
        *lowest = (lowest.0.min(existing), lowest.1.min(reachable));
    }

    fn act(&mut self, task: Task) {
        match task {
            Task::Tick => {
                self.tell(Event::Tick);
                self.put_off(TICK_MS, Task::Tick);
            }
            Task::Heartbeat(server) => {
                let disks = self.info(server).disks;
                if self.cluster.servers[usize::from(server)].up {
                    self.tell(Event::Heartbeat { server: server_id(server), disks });
                }
                self.put_off(HEARTBEAT_MS, Task::Heartbeat(server));
            }
            Task::Obey { server, link, order, what, fails } => self.obey(server, link, order, *what, fails),
            Task::Hear { server, link, event } => {
                if self.is_linked(server, link) {
                    self.hear(*event);
                }
            }
            Task::Record { raise, slot, version, members } => self.record(raise, slot, version, &members),
            Task::Stable(raise) => self.tell(Event::Logged { raise, result: Ok(()) }),
            Task::Notice { server, link } => self.notice(server, link),
            Task::Report { server, link, disk, from } => self.report(server, link, disk, from),
            Task::Ripe { server, since_ms, endangered } => self.ripen(server, since_ms, endangered),
            Task::HoldEnds(hold) => self.end_hold(hold),
            Task::Hour => {
                self.tell_hour();
                self.put_off(3_600_000, Task::Hour);
            }
            Task::Life(life) => {
                if self.plan.watched.is_some() && !matches!(life, Life::Next(Kind::Write)) {
                    eprintln!("{} {life:?}", self.now_ms);
                }
                self.live(life);
            }
        }
    }

    /// The fleet takes in an event, and what it wants is begun.
    pub(crate) fn tell(&mut self, event: Event) {
        let mut out = std::mem::take(&mut self.out);
        self.fleet.handle(event, self.now_ms, &mut out);
        out.drain(..).for_each(|command| self.carry_out(command));
        self.out = out;
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Order { order, what, .. } => self.order(order, what),
            Command::LogRaise { raise, chunk, version, members } => {
                let members: Vec<u16> = members.into_iter().map(disk_number).collect();
                let slot = slot_of(chunk);
                let has =
                    |disk: &u16| self.cluster.chunk(slot).on(*disk).is_some_and(|one| one.version == version);
                assert!(
                    !members.is_empty() && members.iter().all(has),
                    "{chunk}: recorded before it is taken"
                );
                self.put_off(0, Task::Record { raise, slot, version, members });
            }
            Command::Granted { grant, .. } => {
                if let Ok(grant) = grant {
                    self.books.add(Count::Writes, 1);
                    assert_eq!(
                        grant.version,
                        self.cluster.chunk(slot_of(grant.chunk)).version,
                        "granted too early"
                    );
                }
            }
            Command::Closed { disk } => {
                let disk = disk_number(disk);
                assert!(self.cluster.disk(disk).dead, "forgotten before it is closed");
                self.put_off(LOG_MS, Task::Life(Life::Forget(disk)));
            }
            Command::EditReady { .. } => panic!("nobody cuts anything"),
            Command::StepDown { .. } => panic!("nobody has seen a higher term"),
        }
    }

    /// The version of a raise is on record: who is none of its members is stale.
    fn record(&mut self, raise: RaiseTicket, slot: u32, version: Version, members: &[u16]) {
        self.books.add(Count::Raises, 1);
        let chunk = self.cluster.chunk(slot);
        let endangered = self.is_endangered(chunk);
        let is_stale = |one: &&crate::cluster::Replica| {
            !members.contains(&one.disk)
                && !one.lost
                && self.counts(chunk, one, endangered)
                && one.version < version
        };
        let stale = chunk.replicas.iter().filter(is_stale).count() as u64;
        self.books.add(Count::Stale, stale);
        self.cluster.chunks[slot as usize].version = version;
        self.cluster.recount(slot);
        self.watch(slot, || format!("{version} is on record, of {members:?}"));
        self.tell(Event::ChunkVersion {
            slot: ChunkSlot(slot),
            chunk: crate::cluster::chunk_id(slot),
            version,
        });
        self.put_off(LOG_MS, Task::Stable(raise));
    }

    /// A promise is broken. The day goes on, and is failed at its end: one may be all there is, or one of many.
    pub(crate) fn violated(&mut self, how: String) {
        if self.violations < VIOLATIONS_TOLD {
            eprintln!("violation at {} ms: {how}", self.now_ms);
        }
        self.violations += 1;
    }

    pub(crate) fn check_bound(&mut self) {
        self.books.check().unwrap_or_else(|why| self.violated(why));
    }

    /// Tells what becomes of the chunk that is watched.
    pub(crate) fn watch(&self, slot: u32, what: impl FnOnce() -> String) {
        if self.plan.watched == Some(slot) {
            eprintln!("{} {}", self.now_ms, what());
        }
    }

    pub(crate) fn is_linked(&self, server: u16, link: u32) -> bool {
        let one = &self.cluster.servers[usize::from(server)];
        one.up && one.link == link
    }

    /// What a server says of itself and its disks.
    pub(crate) fn info(&self, server: u16) -> ServerInfo {
        let of_disk = |number: &u16| {
            let disk = self.cluster.disk(*number);
            let state = if disk.dead || disk.failed { DiskState::Failed } else { DiskState::Good };
            let (total_bytes, free_bytes) = (disk.total, disk.total.saturating_sub(disk.used));
            DiskInfo { disk: disk_id(*number), total_bytes, free_bytes, state, ..DiskInfo::default() }
        };
        let disks = self.cluster.servers[usize::from(server)].disks.iter();
        ServerInfo {
            server: server_id(server),
            address: format!("s{server}:1"),
            disks: disks.filter(|disk| !self.cluster.disk(**disk).forgotten).map(of_disk).collect(),
            ..ServerInfo::default()
        }
    }

    /// A server's link breaks: what was under way over it is lost.
    pub(crate) fn cut_link(&mut self, server: u16) {
        let one = &mut self.cluster.servers[usize::from(server)];
        one.link += 1;
        for disk in one.disks.clone() {
            let chunks: Vec<u32> = self.cluster.disk(disk).chunks.iter().copied().collect();
            for slot in chunks {
                if let Some(replica) = self.cluster.chunks[slot as usize].on_mut(disk) {
                    replica.going = false;
                }
                self.cluster.recount(slot);
            }
        }
        self.turns.retain(|(disk, _), _| self.cluster.disks[usize::from(*disk)].server != server);
    }

    /// A server comes, or comes back.
    pub(crate) fn register(&mut self, server: u16) {
        self.cut_link(server);
        let now_ms = self.now_ms;
        let one = &mut self.cluster.servers[usize::from(server)];
        (one.up, one.known_up, one.since_ms) = (true, true, now_ms);
        let (link, disks) = (one.link, one.disks.clone());
        for disk in &disks {
            self.cluster.recount_disk(*disk);
            let one = self.cluster.disk_mut(*disk);
            one.told = false;
            one.known_failed = one.failed || one.dead;
            if one.known_failed {
                self.book_all_lost(*disk);
            }
        }
        self.books.add(Count::Crossing, self.flights.len() as u64);
        self.tell(Event::ServerRegistered(self.info(server)));
        for disk in disks {
            if !self.cluster.disk(disk).dead && !self.cluster.disk(disk).failed {
                let after_ms = self.dice.between(100, 3_000);
                self.put_off(after_ms, Task::Report { server, link, disk, from: 0 });
            }
        }
    }

    fn notice(&mut self, server: u16, link: u32) {
        let now_ms = self.now_ms;
        let one = &mut self.cluster.servers[usize::from(server)];
        if one.up || one.link != link {
            return;
        }
        (one.known_up, one.since_ms) = (false, now_ms);
        self.tell(Event::ServerGone { server: server_id(server) });
        let options = self.plan.options;
        for (after_ms, endangered) in [(options.heal_endangered_ms, true), (options.heal_ms, false)] {
            self.put_off(after_ms, Task::Ripe { server, since_ms: now_ms, endangered });
        }
    }

    /// What is on a silent server is lost from now on, if it is not to be waited for longer.
    fn ripen(&mut self, server: u16, since_ms: u64, endangered: bool) {
        let one = &self.cluster.servers[usize::from(server)];
        if one.known_up || one.since_ms != since_ms {
            return;
        }
        let mut waits = false;
        for disk in one.disks.clone() {
            for slot in self.cluster.disk(disk).chunks.iter().copied().collect::<Vec<_>>() {
                let chunk = self.cluster.chunk(slot);
                let is_endangered = self.is_endangered(chunk);
                let Some(replica) = chunk.on(disk).filter(|one| chunk.is_good(one) && !one.lost) else {
                    continue;
                };
                if self.counts(chunk, replica, is_endangered) {
                    waits = true;
                } else {
                    self.book_lost(slot, disk);
                }
            }
        }
        if waits && !endangered {
            self.put_off(10_000, Task::Ripe { server, since_ms, endangered });
        }
    }

    fn report(&mut self, server: u16, link: u32, disk: u16, from: u32) {
        if !self.is_linked(server, link) || !self.cluster.serves(disk) {
            return;
        }
        let chunks = self.cluster.disk(disk).chunks.range(from..).take(REPORTED_MAX);
        let seen = |slot: &u32| {
            let replica = self.cluster.chunk(*slot).on(disk)?;
            let chunk = crate::cluster::chunk_id(*slot);
            let sound = ReportedReplica::sound(Some(ChunkSlot(*slot)), chunk, replica.version);
            Some(ReportedReplica { complete: !replica.filling, ..sound })
        };
        let replicas: Vec<ReportedReplica> = chunks.filter_map(seen).collect();
        let next = replicas.last().and_then(|last| last.slot).map_or(0, |slot| slot.0 + 1);
        let last = replicas.len() < REPORTED_MAX;
        let event = Box::new(Event::Reported { disk: disk_id(disk), replicas, last });
        self.put_off(HOP_MS, Task::Hear { server, link, event });
        if !last {
            self.put_off(20, Task::Report { server, link, disk, from: next });
        }
    }

    fn hear(&mut self, event: Event) {
        let reported = match &event {
            Event::Reported { disk, last: true, .. } => Some(disk_number(*disk)),
            _ => None,
        };
        // A disk that failed before its last words are heard is not believed.
        let reported = reported.filter(|disk| self.cluster.serves(*disk));
        self.tell(event);
        let Some(disk) = reported else { return };
        (self.cluster.disk_mut(disk).told, self.cluster.disk_mut(disk).known_failed) = (true, false);
        for slot in self.cluster.disk(disk).chunks.iter().copied().collect::<Vec<_>>() {
            if let Some(replica) = self.cluster.chunks[slot as usize].on_mut(disk) {
                replica.lost = false;
            }
        }
        self.books.add(Count::Crossing, self.flights.len() as u64);
    }

    pub(crate) fn tell_class(&mut self, class: u16) {
        let policies = Box::new(self.cluster.classes[usize::from(class)].policies());
        self.tell(Event::ClassSet { class: types::ClassId(class), policies });
    }

    /// Labels of a server and of its disks, as the metadata has them.
    pub(crate) fn tell_labels(&mut self, server: u16) {
        let labels = self.labels_of_server(server);
        self.tell(Event::ServerLabels { server: server_id(server), labels });
        let disks = self.cluster.servers[usize::from(server)].disks.clone();
        disks.into_iter().for_each(|disk| self.tell_disk_labels(disk));
    }

    pub(crate) fn tell_disk_labels(&mut self, disk: u16) {
        let labels = self.labels_of_disk(disk);
        self.tell(Event::DiskLabels { disk: disk_id(disk), labels });
    }

    pub(crate) fn labels_of_server(&self, server: u16) -> Labels {
        let site = format!("site=s{}", self.cluster.servers[usize::from(server)].site);
        Labels::new([Label::new(&site).unwrap()]).unwrap()
    }

    pub(crate) fn labels_of_disk(&self, disk: u16) -> Labels {
        let word = if self.cluster.disk(disk).is_ssd { "ssd" } else { "hdd" };
        Labels::new([Label::new(word).unwrap()]).unwrap()
    }

    pub(crate) fn tell_mark(&mut self, disk: u16, removing: Option<fleet::Removing>) {
        self.tell(Event::Removing { holder: Holder::Disk(disk_id(disk)), removing });
    }

    /// The line of an hour.
    pub(crate) fn tell_hour(&mut self) {
        self.check_bound();
        if self.plan.talks {
            let hour = self.books.since(&self.told);
            eprintln!("{}", crate::report::line(self, &hour));
        }
        self.told = self.books;
        self.books.lowest = (usize::MAX, usize::MAX);
    }
}
