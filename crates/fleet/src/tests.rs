//! A small world around the fleet: disks that hold versions and content, a master that logs, and checks
//! after every event.

mod ahead;
mod balance;
mod classes;
mod donors;
mod doubtful;
mod edit;
mod explain;
mod filling;
mod healing;
mod hold;
mod hops;
mod limits;
mod listing;
mod machines;
mod mending;
mod metadata;
mod min_write;
mod nearness;
mod promises;
mod random;
mod readers;
mod refusal;
mod reigns;
mod removal;
mod room;
mod torn;
mod unasked;

use crate::table::Health;
use crate::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::*;

/// What a replica holds: the numbers of the writes in it. A cut of range `r` removes the numbers with
/// `number % 8 == r`, so doing it twice is doing it once.
type Content = BTreeSet<u64>;

#[derive(Clone, Debug, Default)]
struct Replica {
    version: Version,
    content: Content,
    /// Writes that a member behind may lack, and all taken; both until a write under a later version.
    touched: Content,
    recent: Content,
    memory: Memory,
    /// The chain failed here.
    failed: bool,
    /// What its header says.
    marked: bool,
    /// Its process was started anew and waits for a raise.
    asleep: bool,
    /// It takes writes and lacks what was there before.
    filling: bool,
    /// Pages that do not match their checksums.
    damaged: BTreeSet<u64>,
    /// Pages that do not since its process was killed: others are to be asked for them.
    torn: BTreeSet<u64>,
    /// Those of them whose checksum is still the one that other replicas have.
    recorded: BTreeSet<u64>,
    /// Pages that got a new checksum because no other replica was known to have them.
    kept: BTreeSet<u64>,
}

/// The block that a write is in.
fn block_of(write: u64) -> u32 {
    (write % u64::from(BLOCKS_PER_CHUNK)) as u32
}

#[derive(Default)]
struct Machine {
    id: ServerId,
    connected: bool,
    disks: Vec<DiskId>,
    inbox: VecDeque<(OrderId, Order)>,
    outbox: VecDeque<Event>,
    copying: VecDeque<Copying>,
    /// Raises that a disk is at although the link that brought them is gone.
    late: VecDeque<Order>,
    /// Other servers cannot reach it; the master can.
    cut_off: bool,
}

/// A copy that was begun: half of the content was read.
struct Copying {
    /// `None`: the link over which it was ordered is gone.
    order: Option<OrderId>,
    disk: DiskId,
    source: DiskId,
    chunk: ChunkId,
    version: Version,
    half: Content,
    /// It is fed while it takes writes.
    fed: bool,
}

/// A chunk as the metadata has it.
#[derive(Clone, Debug)]
struct Mapped {
    chunk: ChunkId,
    version: Version,
    place: (InodeRef, ChunkIndex),
    class: ClassId,
    stage: Stage,
    /// Writes acknowledged and not cut.
    content: Content,
    /// Writes that nobody acknowledged and somebody may have.
    perhaps: Content,
    /// Ranges that an edit without success may have cut.
    perhaps_cut: BTreeSet<u64>,
}

struct World {
    fleet: Fleet,
    options: FleetOptions,
    now_ms: u64,
    machines: Vec<Machine>,
    replicas: BTreeMap<(DiskId, ChunkId), Replica>,
    map: BTreeMap<ChunkSlot, Mapped>,
    /// When somebody last wanted to read.
    read_ms: BTreeMap<ChunkSlot, u64>,
    gone: BTreeMap<ChunkId, LogIndex>,
    log: LogIndex,
    stable: LogIndex,
    unlogged: Vec<(RaiseTicket, ChunkId, Version)>,
    waiting_stable: Vec<(LogIndex, Event)>,
    last_ticket: u64,
    grants: BTreeMap<Ticket, Result<GrantParts, Status>>,
    edits: BTreeMap<Ticket, Result<Version, Status>>,
    /// Who asked for a grant of which place, and who wants which chunk cut.
    asked: BTreeMap<Ticket, (InodeRef, ChunkIndex)>,
    cutting: BTreeMap<Ticket, ChunkId>,
    /// Since the version was recorded: when the first member was ordered, and whose disk failed.
    begun_ms: BTreeMap<ChunkId, u64>,
    refused: BTreeSet<(DiskId, ChunkId)>,
    /// What was granted for a version, ever.
    chains: BTreeMap<(ChunkId, Version), Vec<ReplicaAddress>>,
    /// Versions ordered per chunk.
    minted: BTreeMap<ChunkId, Version>,
    ordered: BTreeSet<(ChunkId, Version, DiskId)>,
    deletes: Vec<(DiskId, ChunkId)>,
    /// Where something was written under which version.
    written: BTreeSet<(DiskId, ChunkId, Version)>,
    /// A replica takes an order only if it has exactly the version the order starts from.
    strict: bool,
    /// What the metadata has of classes, of labels, and of the class of files.
    classes: BTreeMap<ClassId, ClassPolicies>,
    labels: BTreeMap<DiskId, Labels>,
    files: BTreeMap<InodeRef, (ClassId, Stage)>,
    /// Servers have several disks, and two of them may hold one chunk.
    crowded: bool,
    /// Disks that are to go by the metadata, and those that are gone.
    marks: BTreeMap<DiskId, Removing>,
    closed: BTreeSet<DiskId>,
    /// How long edits hold, what the metadata has of that, and how many holds there were.
    hold_ms: u64,
    holds: BTreeMap<HoldId, (HeldFor, u64)>,
    held: u64,
    /// What the metadata has of limits.
    limits: BTreeMap<LimitScope, Limit>,
    /// What was told last of how fast copies may go.
    paces: BTreeMap<(DiskId, ChunkId), u64>,
}

fn server(n: u8) -> ServerId {
    ServerId([n; 16])
}
fn disk(n: u8) -> DiskId {
    DiskId([n; 16])
}
fn inode(n: u64) -> InodeRef {
    InodeRef { id: InodeId(n), generation: Generation(1) }
}
const SESSION: SessionId = SessionId(77);
const ZERO: ChunkIndex = ChunkIndex(0);

/// A client's report that a member of the chain, or the client itself, could not reach another one.
fn hop(grant: &GrantParts, from: Option<usize>, to: usize) -> FailedHop {
    FailedHop {
        chunk: grant.chunk,
        version: grant.version,
        from: from.map(|at| grant.chain[at].disk),
        to: grant.chain[to].disk,
        status: Status::TimedOut,
    }
}

fn machine_of(grant: &GrantParts, at: usize) -> u8 {
    grant.chain[at].disk.0[0] - 1
}

impl World {
    /// Servers with one disk each, registered and reported.
    fn new(servers: u8) -> Self {
        Self::with_goal(servers, FleetOptions::default().goal)
    }

    fn with_goal(servers: u8, goal: usize) -> Self {
        Self::with_options(servers, FleetOptions { goal, delete_after_ms: 0, ..FleetOptions::default() })
    }

    fn with_options(servers: u8, options: FleetOptions) -> Self {
        let mut world = Self::cold(servers, FleetOptions { grace_ms: 0, ..options });
        world.tell(Event::KnownDisks(Vec::new()));
        for n in 0..servers {
            world.connect(n);
        }
        world
    }

    /// Nobody has registered and nothing was told.
    fn cold(servers: u8, options: FleetOptions) -> Self {
        let machine = |n| Machine { id: server(n + 1), disks: vec![disk(n + 1)], ..Machine::default() };
        Self {
            fleet: Fleet::new(Term(5), options, 0),
            options,
            now_ms: 0,
            machines: (0..servers).map(machine).collect(),
            replicas: BTreeMap::new(),
            map: BTreeMap::new(),
            read_ms: BTreeMap::new(),
            gone: BTreeMap::new(),
            log: LogIndex(0),
            stable: LogIndex(0),
            unlogged: Vec::new(),
            waiting_stable: Vec::new(),
            last_ticket: 0,
            grants: BTreeMap::new(),
            edits: BTreeMap::new(),
            asked: BTreeMap::new(),
            cutting: BTreeMap::new(),
            begun_ms: BTreeMap::new(),
            refused: BTreeSet::new(),
            chains: BTreeMap::new(),
            minted: BTreeMap::new(),
            ordered: BTreeSet::new(),
            deletes: Vec::new(),
            written: BTreeSet::new(),
            strict: false,
            classes: BTreeMap::new(),
            labels: BTreeMap::new(),
            files: BTreeMap::new(),
            crowded: false,
            marks: BTreeMap::new(),
            closed: BTreeSet::new(),
            hold_ms: 0,
            holds: BTreeMap::new(),
            held: 0,
            limits: BTreeMap::new(),
            paces: BTreeMap::new(),
        }
    }

    fn read(&mut self, slot: ChunkSlot) {
        self.read_ms.insert(slot, self.now_ms);
        self.tell(Event::ReadWanted { slot });
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        let dropped = if let Event::EditDropped { ticket } = &event { Some(*ticket) } else { None };
        self.fleet.handle(event, self.now_ms, &mut out);
        for command in out {
            self.carry_out(command);
        }
        dropped.and_then(|ticket| self.cutting.remove(&ticket));
        self.check();
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Order { server, order, term, what } => {
                assert_eq!(term, self.fleet.term());
                self.check_order(&what);
                let machine = self.machines.iter_mut().find(|one| one.id == server).unwrap();
                if machine.connected {
                    machine.inbox.push_back((order, what));
                }
            }
            Command::LogRaise { raise, chunk, version, members } => {
                assert!(!members.is_empty(), "a raise without members");
                for member in &members {
                    assert_eq!(self.replicas[&(*member, chunk)].version, version, "logged before taken");
                }
                self.check_left_out(chunk, &members);
                self.unlogged.push((raise, chunk, version));
            }
            Command::Granted { ticket, grant } => {
                if let Ok(grant) = &grant {
                    self.check_grant(grant);
                }
                assert!(self.grants.insert(ticket, grant).is_none(), "answered twice");
            }
            Command::EditReady { ticket, version } => {
                if version.is_err() {
                    self.cutting.remove(&ticket);
                }
                assert!(self.edits.insert(ticket, version).is_none(), "answered twice");
            }
            Command::Closed { disk } => {
                assert!(self.closed.contains(&disk), "forgotten before it is closed");
                self.forget(disk);
            }
            Command::StepDown { .. } => panic!("nobody has seen a higher term"),
        }
    }

    fn check_order(&mut self, what: &Order) {
        match what {
            Order::Raise { disk, chunk, from, to, .. } => {
                self.begun_ms.entry(*chunk).or_insert(self.now_ms);
                assert!(from < to);
                let minted = self.minted.entry(*chunk).or_default();
                assert!(*to >= *minted, "{chunk}: {to} ordered after {minted}");
                *minted = *to;
                assert!(self.ordered.insert((*chunk, *to, *disk)), "{chunk} {to} minted twice");
                let mapped = self.map.values().find(|mapped| mapped.chunk == *chunk).unwrap();
                assert!(*to > mapped.version);
            }
            Order::Copy { disk, chunk, version, sources } => {
                let (slot, mapped) = self.map.iter().find(|(_, mapped)| mapped.chunk == *chunk).unwrap();
                assert_eq!(*version, mapped.version, "a copy of another version than the metadata's");
                let readable = self.fleet.locations(*slot);
                let limited = !self.limits.is_empty();
                assert!(!sources.is_empty() && sources.iter().all(|source| readable.contains(source)));
                assert!(limited || sources.len() == readable.len());
                let on_one = |source: &ReplicaAddress| source.server == self.server_of(*disk);
                assert!(self.crowded || !sources.iter().any(on_one), "on one host");
                assert!(!self.chains.contains_key(&(*chunk, *version)), "a copy of what may be written");
            }
            Order::Repair { chunk, version, .. } => {
                let mapped = self.map.values().find(|mapped| mapped.chunk == *chunk).unwrap();
                assert!(*version > mapped.version, "settled after it was recorded");
            }
            Order::Fill { chunk, version, disk } => {
                let (slot, mapped) = self.map.iter().find(|(_, mapped)| mapped.chunk == *chunk).unwrap();
                assert!(
                    *version > mapped.version && self.minted[chunk] == *version,
                    "begun after it was recorded"
                );
                let on_one = |one: &ReplicaAddress| one.server == self.server_of(*disk);
                assert!(self.crowded || !self.fleet.locations(*slot).iter().any(on_one), "on one host");
            }
            Order::Feed { disk, chunk, version, sources } => {
                let (slot, mapped) = self.map.iter().find(|(_, mapped)| mapped.chunk == *chunk).unwrap();
                assert_eq!(*version, mapped.version, "fed at another version than the metadata's");
                let current = self.fleet.locations(*slot);
                let limited = !self.limits.is_empty();
                assert!(!sources.is_empty() && sources.iter().all(|one| current.contains(one)));
                assert!(limited || sources.len() == current.len());
                let granted = self.chains.get(&(*chunk, *version));
                let written =
                    |chain: &Vec<ReplicaAddress>| chain.last().is_some_and(|last| last.disk == *disk);
                assert!(granted.is_none_or(written), "it does not take the writes");
            }
            Order::Mend { disk, chunk, version, sources } => {
                let (slot, mapped) = self.map.iter().find(|(_, mapped)| mapped.chunk == *chunk).unwrap();
                assert_eq!(*version, mapped.version, "mended under another version than the metadata's");
                assert_eq!(sources.len() + 1, self.fleet.locations(*slot).len());
                assert!(sources.iter().all(|source| source.disk != *disk));
                assert!(!self.chains.contains_key(&(*chunk, *version)), "mended what may be written");
            }
            Order::MendTorn { chunk, version, .. } => {
                assert!(!self.chains.contains_key(&(*chunk, *version)), "mended what may be written");
            }
            Order::Verify { .. } => {}
            Order::Pace { disk, chunk, bytes_per_s } => {
                self.paces.insert((*disk, *chunk), *bytes_per_s);
            }
            Order::Close { disk, .. } => {
                let goes = self.marks.get(disk).is_some_and(|mark| !mark.drain_only);
                assert!(goes, "it is to stay");
            }
            Order::Delete { disk, chunk, version, unknown } => {
                if let Some(mapped) = self.map.values().find(|mapped| mapped.chunk == *chunk) {
                    assert!(!*unknown && *version <= mapped.version);
                    let good = self.replicas.iter().filter(|((on, of), replica)| {
                        let stays = on != disk && !self.marks.contains_key(on);
                        stays && of == chunk && replica.version >= mapped.version && !replica.filling
                    });
                    assert!(good.count() >= self.goal_of(mapped), "one too many is deleted");
                }
                let index = self.gone.get(chunk).copied().unwrap_or_default();
                assert!(index <= self.stable, "deleted before the record is stable");
                self.deletes.push((*disk, *chunk));
            }
        }
    }

    fn server_of(&self, disk: DiskId) -> ServerId {
        self.machines.iter().find(|one| one.disks.contains(&disk)).unwrap().id
    }

    fn check_grant(&mut self, grant: &GrantParts) {
        assert!(!grant.chain.is_empty());
        let counts = |member: &&ReplicaAddress| {
            let replica = self.replicas.get(&(member.disk, grant.chunk));
            replica.map_or(grant.fresh, |replica| !replica.filling)
        };
        let of = self.map.values().find(|one| one.chunk == grant.chunk).map(|one| (one.class, one.stage));
        // A reservation keeps to what its file's class asked for when it was made.
        let unsure = grant.fresh && !self.classes.is_empty();
        let fewest = if unsure { 1 } else { self.min_write_of(of.unwrap_or_default()) };
        assert!(grant.chain.iter().filter(counts).count() >= fewest, "too few may acknowledge");
        let key = (grant.chunk, grant.version);
        let first_time = !self.chains.contains_key(&key);
        let first = self.chains.entry(key).or_insert_with(|| grant.chain.clone());
        assert_eq!(first, &grant.chain, "two chains for one version");
        let servers: BTreeSet<ServerId> = grant.chain.iter().map(|one| one.server).collect();
        assert!(self.crowded || servers.len() == grant.chain.len(), "two replicas on one server");
        let Some(mapped) = self.map.values().find(|mapped| mapped.chunk == grant.chunk) else {
            assert!(grant.fresh);
            return;
        };
        assert!(!grant.fresh);
        assert_eq!(mapped.version, grant.version, "granted before recorded");
        assert_eq!(grant.version.term, self.fleet.term(), "a chain of an earlier reign");
        for member in &grant.chain {
            let replica = &self.replicas[&(member.disk, grant.chunk)];
            assert_eq!(replica.version, grant.version, "members hold different versions");
            if replica.filling {
                assert!(
                    grant.chain.len() > 1 && grant.chain.last() == Some(member),
                    "only the last one is filled"
                );
                continue;
            }
            let head = &self.replicas[&(grant.chain[0].disk, grant.chunk)];
            // Under an open chain a write may be on its way, or have got stuck.
            let stuck = |one: &Replica| !one.touched.is_empty() || one.asleep;
            let moving = !first_time && (stuck(replica) || stuck(head));
            assert!(moving || replica.content == head.content, "members hold different bytes");
            let known: Content = mapped.content.union(&mapped.perhaps).copied().collect();
            assert!(replica.content.is_subset(&known), "cut bytes came back");
            for lost in mapped.content.difference(&replica.content) {
                assert!(mapped.perhaps_cut.contains(&(lost % 8)), "an acknowledged write is lost");
            }
        }
    }

    /// After every event.
    fn check(&self) {
        let (counts, fresh) = self.fleet.table.recount();
        assert!(fresh || !self.fleet.review.is_over(), "a chunk counts by what its class wanted before");
        let kept = Health::ALL.map(|health| self.fleet.table.count(health));
        assert_eq!(counts, kept, "health counts drifted");
        assert!(self.fleet.table.slots().eq(self.map.keys().copied()));
        assert!(self.fleet.limits_are_counted(), "the copies under a limit drifted");
        let mut of_disks = BTreeMap::new();
        for (slot, mapped) in &self.map {
            assert_eq!(self.fleet.version(*slot), Some(mapped.version));
            for location in self.fleet.locations(*slot) {
                let replica = self.replicas.get(&(location.disk, mapped.chunk));
                let version = replica.map(|replica| replica.version);
                assert!(version >= Some(mapped.version), "a stale replica is read");
                assert!(!replica.is_some_and(|replica| replica.filling), "one that is being filled is read");
            }
            let (version, locations) = self.fleet.readable(*slot, self.now_ms).unwrap();
            assert!(version >= mapped.version);
            for location in locations {
                let replica = &self.replicas[&(location.disk, mapped.chunk)];
                assert!(replica.version >= version && !replica.filling, "it refuses, or lacks something");
            }
            for replica in self.fleet.table.replicas(*slot).iter() {
                *of_disks.entry(replica.disk).or_insert(0u64) += 1;
            }
            let best = self.replicas.iter().filter(|((_, of), one)| *of == mapped.chunk && !one.filling);
            assert!(
                best.map(|(_, replica)| replica.version).max() >= Some(mapped.version),
                "no replica has the version of the metadata"
            );
        }
        for view in self.fleet.disks() {
            let number = self.fleet.hosts.disk_number(view.disk).unwrap();
            let counted = of_disks.get(&number).copied().unwrap_or(0);
            assert_eq!(view.replicas, counted, "the disk's set of chunks drifted");
            // What its server has not told yet is its server's to refuse, when the disk is to be closed.
            let told = |one: &&Machine| one.id == view.server && one.connected && one.outbox.is_empty();
            if view.removal.is_some_and(|removal| removal.safe) && self.machines.iter().any(|one| told(&one))
            {
                self.check_safe(view.disk);
            }
        }
    }

    fn info(&self, n: u8) -> ServerInfo {
        let machine = &self.machines[usize::from(n)];
        let of_disk = |id: &DiskId| DiskInfo {
            disk: *id,
            total_bytes: 1 << 40,
            free_bytes: 1 << 39,
            ..DiskInfo::default()
        };
        ServerInfo {
            server: machine.id,
            name: format!("s{n}"),
            address: format!("s{n}:1"),
            labels: Vec::new(),
            disks: machine.disks.iter().map(of_disk).collect(),
        }
    }

    /// Registers; its reports wait in its outbox.
    fn register(&mut self, n: u8) {
        let info = self.info(n);
        self.machines[usize::from(n)].connected = true;
        self.tell(Event::ServerRegistered(info));
        for disk in self.machines[usize::from(n)].disks.clone() {
            let seen = |((_, chunk), replica): (&(DiskId, ChunkId), &Replica)| ReportedReplica {
                slot: None,
                chunk: *chunk,
                version: replica.version,
                complete: !replica.filling,
                damaged: !replica.damaged.is_empty(),
                marked: replica.marked,
                power_lost: replica.memory.lost_power(),
                torn: !replica.torn.is_empty(),
            };
            let replicas: Vec<ReportedReplica> =
                self.replicas.iter().filter(|((on, _), _)| *on == disk).map(seen).collect();
            let half = replicas.len() / 2;
            let outbox = &mut self.machines[usize::from(n)].outbox;
            outbox.push_back(Event::Reported { disk, replicas: replicas[..half].to_vec(), last: false });
            outbox.push_back(Event::Reported { disk, replicas: replicas[half..].to_vec(), last: true });
        }
    }

    /// Registers and reports.
    fn connect(&mut self, n: u8) {
        self.register(n);
        while self.hear(n) {}
    }

    /// The master takes one message of a server.
    fn hear(&mut self, n: u8) -> bool {
        let Some(mut event) = self.machines[usize::from(n)].outbox.pop_front() else { return false };
        let slot_of =
            |chunk| self.map.iter().find(|(_, mapped)| mapped.chunk == chunk).map(|(slot, _)| *slot);
        match &mut event {
            Event::Reported { replicas, .. } => {
                for replica in replicas {
                    replica.slot = slot_of(replica.chunk);
                }
            }
            Event::ReplicaBorn { slot, chunk, .. }
            | Event::Unsettled { slot, chunk, .. }
            | Event::Damaged { slot, chunk, .. } => {
                *slot = slot_of(*chunk);
            }
            _ => {}
        }
        self.tell(event);
        true
    }

    /// Everything under way is done, in order.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut busy = false;
            for n in 0..self.machines.len() as u8 {
                busy |= self.finish_late(n);
                busy |= self.obey(n, None);
                busy |= self.finish_copy(n);
                busy |= self.hear(n);
            }
            busy |= !self.unlogged.is_empty() || !self.waiting_stable.is_empty();
            self.log_all();
            self.sync();
            busy |= self.machines.iter().any(|one| !one.inbox.is_empty() || !one.outbox.is_empty());
            if !busy {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn want(
        &mut self,
        place: (InodeRef, ChunkIndex),
        session: SessionId,
        failed: Option<FailedHop>,
    ) -> Ticket {
        let ticket = self.ticket();
        let existing =
            self.map.iter().find(|(_, one)| one.place == place).map(|(slot, one)| (*slot, one.chunk));
        let (inode, index) = place;
        let class = self.class_of(inode).0;
        self.asked.insert(ticket, place);
        self.tell(Event::GrantWanted { ticket, inode, index, existing, class, session, failed });
        ticket
    }

    /// A grant, with everything it needs done.
    fn grant(&mut self, n: u64) -> Result<GrantParts, Status> {
        self.grant_after(n, None)
    }

    fn grant_after(&mut self, n: u64, failed: Option<FailedHop>) -> Result<GrantParts, Status> {
        let ticket = self.want((inode(n), ZERO), SESSION, failed);
        self.settle();
        self.grants[&ticket].clone()
    }

    /// A client writes through a chain: all members or nobody acknowledges.
    fn write(&mut self, grant: &GrantParts, number: u64) -> bool {
        self.write_upto(grant, number, grant.chain.len())
    }

    /// A write that gets no further than to the first `members` of the chain.
    fn write_upto(&mut self, grant: &GrantParts, number: u64, members: usize) -> bool {
        for member in &grant.chain {
            let key = (member.disk, grant.chunk);
            if grant.fresh && !self.replicas.contains_key(&key) && !self.gone.contains_key(&grant.chunk) {
                self.replicas.insert(key, Replica { version: grant.version, ..Replica::default() });
                let (disk, chunk, version) = (member.disk, grant.chunk, grant.version);
                let born = Event::ReplicaBorn { disk, slot: None, chunk, version };
                let machine = self.machines.iter_mut().find(|one| one.disks.contains(&disk)).unwrap();
                if machine.connected {
                    machine.outbox.push_back(born);
                }
            }
        }
        let takes = |replica: Option<&Replica>| {
            replica.is_some_and(|one| one.version == grant.version && !one.asleep)
        };
        let mut takers = grant.chain.iter().take(members);
        if !takers.all(|member| takes(self.replicas.get(&(member.disk, grant.chunk)))) {
            return false;
        }
        let whole = members >= grant.chain.len();
        for (at, member) in grant.chain.iter().enumerate().take(members) {
            let replica = self.replicas.get_mut(&(member.disk, grant.chunk)).unwrap();
            // Nobody is granted a version before its members are equal.
            if !self.written.contains(&(member.disk, grant.chunk, grant.version)) {
                self.written.insert((member.disk, grant.chunk, grant.version));
                (replica.touched, replica.recent, replica.memory) = Default::default();
                replica.failed = false;
            }
            replica.content.insert(number);
            replica.recent.insert(number);
            if !whole && at + 1 < grant.chain.len() {
                replica.touched.insert(number);
                replica.failed = true;
            }
        }
        if !whole {
            if let Some(mapped) = self.map.values_mut().find(|mapped| mapped.chunk == grant.chunk) {
                mapped.perhaps.insert(number);
            }
            for member in &grant.chain[..members] {
                self.tell_unsettled(member.disk, grant.chunk);
            }
            return false;
        }
        if let Some(mapped) = self.map.values_mut().find(|mapped| mapped.chunk == grant.chunk) {
            mapped.content.insert(number);
        }
        true
    }

    /// A file with one chunk of two replicas and one write in it.
    fn file(&mut self, n: u64) -> (ChunkSlot, GrantParts) {
        let grant = self.grant(n).unwrap();
        assert!(grant.fresh && self.write(&grant, n));
        let slot = self.commit((inode(n), ZERO), grant.chunk, grant.version).unwrap();
        self.settle();
        (slot, grant)
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        self.tell(Event::Tick);
    }
}
