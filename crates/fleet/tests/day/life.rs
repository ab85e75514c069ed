//! What happens in a day: servers and disks come and go, operators change labels, classes and the class of files, mark disks and take
//! marks back, and somebody writes.
//!
//! Nothing that is destroyed takes the last good replica of a chunk along: else nobody could tell a loss by an order from one by fate.

use crate::books::Count;
use crate::classes::{Class, EDITED_FROM, FIRST, LAYOUTS, Wish};
use crate::cluster::{Cluster, chunk_id, disk_id, server_id};
use crate::world::{Task, World};
use fleet::{Event, HeldFor, Removing, Ticket};
use types::{ChunkIndex, ChunkSlot, ClassId, Generation, Holder, InodeId, InodeRef, SessionId, Stage};

const MINUTE_MS: u64 = 60_000;
/// Sites of the servers.
const SITES: u8 = 5;
/// Files that are given another class, or are archived, at a time.
const FILES: u64 = 200;

/// What happens again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server is away for less than a minute.
    Blink,
    /// For minutes.
    Away,
    /// Several are, from the same moment on.
    Together,
    /// A disk serves nothing for minutes, and then all that it held.
    Pull,
    /// A disk is lost.
    LoseDisk,
    /// A server is lost with all its disks.
    LoseServer,
    Maintenance,
    Mark,
    DiskLabel,
    ServerLabel,
    EditClass,
    FileClass,
    FileStage,
    Write,
}

/// How often in an hour.
const KINDS: [(Kind, f64); 14] = [
    (Kind::Blink, 6.0),
    (Kind::Away, 0.8),
    (Kind::Together, 0.25),
    (Kind::Pull, 1.5),
    (Kind::LoseDisk, 1.0),
    (Kind::LoseServer, 0.08),
    (Kind::Maintenance, 0.4),
    (Kind::Mark, 0.5),
    (Kind::DiskLabel, 2.0),
    (Kind::ServerLabel, 0.3),
    (Kind::EditClass, 1.0),
    (Kind::FileClass, 6.0),
    (Kind::FileStage, 4.0),
    (Kind::Write, 1_800.0),
];

/// Something that happens, or follows from what happened.
#[derive(Clone, Debug)]
pub(crate) enum Life {
    /// The next one of its kind.
    Next(Kind),
    ServerBack {
        server: u16,
        link: u32,
    },
    DiskBack(u16),
    MaintenanceOver(u16),
    /// A disk is to go: one that is lost, or one that is well.
    Mark(u16),
    Keep(u16),
    Forget(u16),
    ForgetServer(u16),
    NewDisk(u16),
    NewServer,
    /// An edit is taken back.
    TakeBack(u16, Box<Class>),
}

impl World {
    /// Servers, disks and chunks at the beginning of the day.
    pub(crate) fn build(&mut self) {
        self.cluster.classes = FIRST.iter().map(|(keep, by_site, _)| Class::new(keep, *by_site)).collect();
        let classes: Vec<u16> = (0..self.plan.chunks).map(|_| self.draw_class()).collect();
        for class in classes {
            // Many files are small, and many chunks full.
            let bytes = if self.dice.below(10) < 7 {
                self.dice.between(64, 8 << 10) << 10
            } else {
                self.plan.full_bytes
            };
            self.cluster.add_chunk(bytes as u32, class);
        }
        let wanted =
            |slot: u32| u64::from(self.cluster.chunk(slot).bytes) * self.cluster.wish(slot).goal() as u64;
        let bytes: u64 = (0..self.plan.chunks).map(wanted).sum();
        let mean = bytes / (u64::from(self.plan.servers) * u64::from(self.plan.disks_per_server));
        for server in 0..self.plan.servers {
            self.cluster.add_server((server % u16::from(SITES)) as u8);
            for disk in 0..self.plan.disks_per_server {
                let total = mean * self.dice.pick(&[17u64, 20, 26]) / 10;
                self.cluster.add_disk(server, total, disk % 2 == 0);
            }
        }
        // Whoever filled it was up.
        self.cluster.servers.iter_mut().for_each(|server| server.up = true);
        (0..self.plan.chunks).for_each(|slot| self.fill(slot));
    }

    fn draw_class(&mut self) -> u16 {
        let mut drawn = self.dice.below(FIRST.iter().map(|(.., part)| part).sum());
        let is_it = |(.., part): &(&str, bool, u64)| match drawn.checked_sub(*part) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        };
        FIRST.iter().position(is_it).unwrap_or_default() as u16
    }

    /// Each replica goes to the emptier one of two disks that may have it.
    fn fill(&mut self, slot: u32) {
        let version = self.cluster.chunk(slot).version;
        let disks = self.cluster.disks.len() as u64;
        let mut domains = Vec::new();
        for number in 0..self.cluster.wish(slot).goal() {
            let mut found: Option<u16> = None;
            let mut tries = 0;
            while tries < 2 || found.is_none() {
                tries += 1;
                let disk = self.dice.below(disks) as u16;
                let (domain, is_ssd) = self.cluster.place(slot, disk);
                if self.cluster.wish(slot).accepts(number, is_ssd)
                    && !domains.contains(&domain)
                    && found.is_none_or(|other| self.cluster.share(disk, 0) < self.cluster.share(other, 0))
                {
                    found = Some(disk);
                }
            }
            let disk = found.unwrap_or_default();
            domains.push(self.cluster.place(slot, disk).0);
            self.cluster.put(slot, disk, version, false);
        }
    }

    /// From now on things happen.
    pub(crate) fn begin_living(&mut self) {
        for (kind, _) in KINDS {
            self.put_off_next(kind);
        }
    }

    fn put_off_next(&mut self, kind: Kind) {
        let often = KINDS.iter().find(|(one, _)| *one == kind).map_or(1.0, |(_, often)| *often);
        let after_ms = self.dice.wait_ms(often * self.plan.haste as f64);
        self.put_off(after_ms.max(1), Task::Life(Life::Next(kind)));
    }

    fn in_minutes(&mut self, from: u64, end: u64, life: Life) {
        let after_ms = self.dice.between(from * MINUTE_MS, end * MINUTE_MS) / self.pace();
        self.put_off(after_ms, Task::Life(life));
    }

    /// What operators do is done so much sooner in a day of haste.
    fn pace(&self) -> u64 {
        self.plan.haste.min(4)
    }

    pub(crate) fn live(&mut self, life: Life) {
        match life {
            Life::Next(_) | Life::NewDisk(_) | Life::NewServer | Life::TakeBack(..) | Life::Keep(_)
                if self.calm => {}
            Life::Next(kind) => {
                self.happen(kind);
                self.put_off_next(kind);
            }
            Life::ServerBack { server, link } => {
                let one = &self.cluster.servers[usize::from(server)];
                if !one.dead && !one.up && one.link == link {
                    self.server_back(server);
                }
            }
            Life::DiskBack(disk) => self.disk_back(disk),
            Life::MaintenanceOver(server) => self.end_maintenance(server),
            Life::Mark(disk) => self.mark(disk),
            Life::Keep(disk) => self.keep(disk),
            Life::Forget(disk) => self.forget(disk),
            Life::ForgetServer(server) => self.forget_server(server),
            Life::NewDisk(server) => self.new_disk(server),
            Life::NewServer => self.new_server(),
            Life::TakeBack(class, before) => self.edit_class(class, *before),
        }
    }

    fn a_server(&mut self) -> Option<u16> {
        let is_well = |one: &crate::cluster::Server| one.up && one.known_up && one.away_until_ms == 0;
        let servers = &self.cluster.servers;
        let silent = servers.iter().filter(|one| !one.up && !one.dead).count();
        if silent * 8 > servers.len() {
            return None;
        }
        let well: Vec<u16> =
            (0..servers.len() as u16).filter(|n| is_well(&servers[usize::from(*n)])).collect();
        Some(self.dice.pick(&well))
    }

    fn a_disk(&mut self) -> Option<u16> {
        let is_well = |disk: &u16| {
            let one = self.cluster.disk(*disk);
            self.cluster.serves(*disk) && self.cluster.server_of(*disk).known_up && one.told && !one.marked
        };
        let well: Vec<u16> = (0..self.cluster.disks.len() as u16).filter(is_well).collect();
        (!well.is_empty()).then(|| self.dice.pick(&well))
    }

    fn happen(&mut self, kind: Kind) {
        match kind {
            Kind::Blink => {
                let for_ms = self.dice.between(1_000, 50_000);
                self.a_server().into_iter().for_each(|server| self.fall_silent(server, for_ms));
            }
            Kind::Away => {
                let for_ms = self.dice.between(90_000, 40 * MINUTE_MS / self.pace());
                self.a_server().into_iter().for_each(|server| self.fall_silent(server, for_ms));
            }
            Kind::Together => {
                let for_ms = self.dice.between(MINUTE_MS, 12 * MINUTE_MS);
                for _ in 0..2 + self.cluster.servers.len() / 50 {
                    let more_ms = self.dice.below(20_000);
                    self.a_server().into_iter().for_each(|server| self.fall_silent(server, for_ms + more_ms));
                }
            }
            Kind::Pull => {
                let Some(disk) = self.a_disk() else { return };
                self.cluster.disk_mut(disk).failed = true;
                self.disk_fails(disk);
                self.in_minutes(1, 30, Life::DiskBack(disk));
            }
            Kind::LoseDisk => {
                let Some(disk) = self.a_disk().filter(|disk| !self.cluster.takes_a_last_one(&[*disk])) else {
                    return;
                };
                self.cluster.disk_mut(disk).dead = true;
                self.disk_fails(disk);
                self.in_minutes(10, 30, Life::Mark(disk));
                self.in_minutes(20, 60, Life::NewDisk(self.cluster.disk(disk).server));
            }
            Kind::LoseServer => self.lose_server(),
            Kind::Maintenance => self.maintain(),
            Kind::Mark => {
                let marked = self.cluster.disks.iter().filter(|one| one.marked && !one.forgotten).count();
                let few = (marked + 1) * 20 <= self.cluster.disks.len();
                let Some(disk) = self.a_disk().filter(|_| few) else { return };
                self.mark(disk);
                if self.dice.below(4) == 0 {
                    self.in_minutes(1, 10, Life::Keep(disk));
                }
            }
            Kind::DiskLabel => self.label_a_disk(),
            Kind::ServerLabel => self.label_a_server(),
            Kind::EditClass => {
                let class = self.dice.between(EDITED_FROM.into(), FIRST.len() as u64) as u16;
                let before = self.cluster.classes[usize::from(class)].clone();
                let (keep, by_site) = (self.dice.pick(&LAYOUTS), self.dice.below(3) == 0);
                let mut other = |text| (self.dice.below(2) == 0).then(|| Wish::new(text, by_site));
                let (archive, trash) = (other("2*hdd"), other("2*any"));
                self.edit_class(class, Class { archive, trash, ..Class::new(keep, by_site) });
                if self.dice.below(2) == 0 {
                    self.in_minutes(2, 50, Life::TakeBack(class, Box::new(before)));
                }
            }
            Kind::FileClass => {
                let class = self.dice.below(FIRST.len() as u64) as u16;
                let slots = self.some_files();
                self.change(&slots, |cluster| {
                    slots.iter().for_each(|slot| cluster.chunks[*slot as usize].class = class);
                });
                for slot in slots {
                    self.tell(Event::ChunkClass { slot: ChunkSlot(slot), class: ClassId(class) });
                }
                self.books.add(Count::FileEdits, 1);
            }
            Kind::FileStage => {
                let stage = Stage::from_number(self.dice.below(Stage::COUNT as u64) as usize);
                let slots = self.some_files();
                self.change(&slots, |cluster| {
                    slots.iter().for_each(|slot| cluster.chunks[*slot as usize].stage = stage);
                });
                for slot in slots {
                    self.tell(Event::ChunkStage { slot: ChunkSlot(slot), stage });
                }
                self.books.add(Count::FileEdits, 1);
            }
            Kind::Write => self.write(),
        }
    }

    fn some_files(&mut self) -> Vec<u32> {
        let count = FILES.min(u64::from(self.plan.chunks) / 100);
        let mut slots: Vec<u32> =
            (0..count).map(|_| self.dice.below(self.plan.chunks.into()) as u32).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    fn fall_silent(&mut self, server: u16, for_ms: u64) {
        self.books.add(Count::Losses, 1);
        self.cluster.servers[usize::from(server)].up = false;
        self.cut_link(server);
        let link = self.cluster.servers[usize::from(server)].link;
        let noticed_ms = self.dice.below(5_000);
        self.put_off(noticed_ms, Task::Notice { server, link });
        self.put_off(for_ms, Task::Life(Life::ServerBack { server, link }));
    }

    pub(crate) fn server_back(&mut self, server: u16) {
        self.books.add(Count::Returns, 1);
        self.end_maintenance(server);
        self.register(server);
    }

    fn lose_server(&mut self) {
        let Some(server) = self.a_server() else { return };
        let disks = self.cluster.servers[usize::from(server)].disks.clone();
        if self.cluster.takes_a_last_one(&disks) {
            return;
        }
        disks.iter().for_each(|disk| self.cluster.disk_mut(*disk).dead = true);
        self.cluster.servers[usize::from(server)].dead = true;
        self.fall_silent(server, 1);
        self.in_minutes(20, 40, Life::ForgetServer(server));
        self.in_minutes(20, 60, Life::NewServer);
    }

    /// A disk serves nothing any more, and its server says so.
    fn disk_fails(&mut self, disk: u16) {
        self.books.add(Count::Losses, 1);
        self.book_all_lost(disk);
        let one = self.cluster.disk_mut(disk);
        (one.known_failed, one.told) = (true, false);
        self.cluster.recount_disk(disk);
        self.tell_disk(disk);
    }

    fn tell_disk(&mut self, disk: u16) {
        let server = self.cluster.disk(disk).server;
        let disks = self.info(server).disks.into_iter().filter(|one| one.disk == disk_id(disk)).collect();
        self.tell(Event::Heartbeat { server: server_id(server), disks });
    }

    pub(crate) fn disk_back(&mut self, disk: u16) {
        if self.cluster.disk(disk).dead || !self.cluster.disk(disk).failed {
            return;
        }
        self.books.add(Count::Returns, 1);
        self.cluster.disk_mut(disk).failed = false;
        self.cluster.recount_disk(disk);
        if self.cluster.serves(disk) {
            self.tell_disk(disk);
            let server = self.cluster.disk(disk).server;
            let link = self.cluster.servers[usize::from(server)].link;
            self.put_off(500, Task::Report { server, link, disk, from: 0 });
        }
    }

    fn maintain(&mut self) {
        let Some(server) = self.a_server() else { return };
        let until_ms = self.now_ms + self.dice.between(5 * MINUTE_MS, 25 * MINUTE_MS);
        self.cluster.servers[usize::from(server)].away_until_ms = until_ms;
        self.tell(Event::Maintenance { server: server_id(server), until_ms: Some(until_ms) });
        self.put_off(until_ms - self.now_ms, Task::Life(Life::MaintenanceOver(server)));
        // Some stay away for longer than was said.
        let for_ms = self.dice.between(2 * MINUTE_MS, (until_ms - self.now_ms) + 3 * MINUTE_MS);
        self.fall_silent(server, for_ms);
    }

    pub(crate) fn end_maintenance(&mut self, server: u16) {
        if std::mem::take(&mut self.cluster.servers[usize::from(server)].away_until_ms) > 0 {
            self.tell(Event::Maintenance { server: server_id(server), until_ms: None });
        }
    }

    pub(crate) fn mark(&mut self, disk: u16) {
        if self.cluster.disk(disk).marked || self.cluster.disk(disk).forgotten {
            return;
        }
        self.books.add(Count::Marks, 1);
        let counted = |slot: &&u32| {
            let chunk = self.cluster.chunk(**slot);
            chunk.on(disk).is_some_and(|one| chunk.is_good(one) && !one.lost)
        };
        let replicas = self.cluster.disk(disk).chunks.iter().filter(counted).count() as u64;
        self.books.add(Count::Marked, replicas);
        self.cluster.disk_mut(disk).marked = true;
        self.tell_mark(disk, Some(Removing { drain_only: false, with: None }));
    }

    fn keep(&mut self, disk: u16) {
        let one = self.cluster.disk_mut(disk);
        if !one.dead && !one.forgotten && std::mem::take(&mut one.marked) {
            self.books.add(Count::Crossing, self.flights.len() as u64);
            self.tell_mark(disk, None);
        }
    }

    /// The metadata forgets a disk that was closed, or was lost with its server.
    pub(crate) fn forget(&mut self, disk: u16) {
        let was_well = !self.cluster.disk(disk).known_failed;
        self.cluster.disk_mut(disk).forgotten = true;
        for slot in self.cluster.disk(disk).chunks.iter().copied().collect::<Vec<_>>() {
            self.cluster.take_away(slot, disk);
        }
        let server = self.cluster.disk(disk).server;
        self.cluster.servers[usize::from(server)].disks.retain(|one| *one != disk);
        self.tell(Event::Forgotten { holder: Holder::Disk(disk_id(disk)) });
        if was_well && !self.cluster.servers[usize::from(server)].dead {
            self.in_minutes(5, 30, Life::NewDisk(server));
        }
    }

    /// The same of a server, if the fleet does not say that something is only there.
    pub(crate) fn forget_server(&mut self, server: u16) {
        if self.fleet.only_on(server_id(server)) > 0 {
            return self.in_minutes(5, 6, Life::ForgetServer(server));
        }
        for disk in self.cluster.servers[usize::from(server)].disks.clone() {
            self.forget(disk);
        }
        self.tell(Event::Forgotten { holder: Holder::Server(server_id(server)) });
    }

    fn new_disk(&mut self, server: u16) {
        if self.cluster.servers[usize::from(server)].dead {
            return;
        }
        let disk = self.add_a_disk(server);
        self.tell_disk_labels(disk);
        if self.cluster.servers[usize::from(server)].up {
            self.register(server);
        }
    }

    /// As large as the first one, of the kind of which there are fewer.
    fn add_a_disk(&mut self, server: u16) -> u16 {
        let is_ssd = self.ssd_disks() * 2 < self.cluster.disks.iter().filter(|one| !one.dead).count();
        self.cluster.add_disk(server, self.cluster.disk(0).total, is_ssd)
    }

    fn ssd_disks(&self) -> usize {
        self.cluster.disks.iter().filter(|one| one.is_ssd && !one.dead).count()
    }

    fn new_server(&mut self) {
        let server = self.cluster.add_server(self.sites().0);
        for _ in 0..self.plan.disks_per_server {
            self.add_a_disk(server);
        }
        self.tell_labels(server);
        self.register(server);
        self.put_off(1, Task::Heartbeat(server));
    }

    /// The sites with the fewest and with the most servers.
    fn sites(&self) -> (u8, u8) {
        let count =
            |site: &u8| self.cluster.servers.iter().filter(|one| one.site == *site && !one.dead).count();
        let (fewest, most) = ((0..SITES).min_by_key(count), (0..SITES).max_by_key(count));
        (fewest.unwrap_or_default(), most.unwrap_or_default())
    }

    /// Something changes what is wanted of these chunks: replicas that are asked for come into the books.
    fn change(&mut self, slots: &[u32], how: impl FnOnce(&mut Cluster)) {
        let before: Vec<usize> = slots.iter().map(|slot| self.cluster.debt(*slot)).collect();
        how(&mut self.cluster);
        for (slot, before) in slots.iter().zip(before) {
            self.cluster.recount(*slot);
            let after = self.cluster.debt(*slot);
            let chunk = &mut self.cluster.chunks[*slot as usize];
            chunk.asked = (usize::from(chunk.asked) + after).saturating_sub(before) as u8;
            self.books.add(Count::Asked, after.saturating_sub(before) as u64);
        }
        self.books.add(Count::Crossing, self.flights.len() as u64);
    }

    fn edit_class(&mut self, class: u16, new: Class) {
        self.books.add(Count::ClassEdits, 1);
        let of_class = |slot: &u32| self.cluster.chunk(*slot).class == class;
        let slots: Vec<u32> = (0..self.cluster.chunks.len() as u32).filter(of_class).collect();
        let before = Box::new(self.cluster.classes[usize::from(class)].policies());
        self.hold(HeldFor::Class(ClassId(class), before));
        self.change(&slots, |cluster| cluster.classes[usize::from(class)] = new.clone());
        self.tell_class(class);
    }

    fn label_a_disk(&mut self) {
        let living = self.cluster.disks.iter().filter(|one| !one.dead).count();
        let to_ssd = self.ssd_disks() * 2 < living;
        let Some(disk) =
            (0..20).find_map(|_| self.a_disk().filter(|one| self.cluster.disk(*one).is_ssd != to_ssd))
        else {
            return;
        };
        self.books.add(Count::LabelEdits, 1);
        let slots: Vec<u32> = self.cluster.disk(disk).chunks.iter().copied().collect();
        self.hold(HeldFor::Labels(Holder::Disk(disk_id(disk)), self.labels_of_disk(disk)));
        self.change(&slots, |cluster| cluster.disk_mut(disk).is_ssd = to_ssd);
        self.tell_disk_labels(disk);
    }

    fn label_a_server(&mut self) {
        let (fewest, most) = self.sites();
        let is_one = |one: &&u16| {
            let server = &self.cluster.servers[usize::from(**one)];
            server.site == most && server.up
        };
        let all: Vec<u16> = (0..self.cluster.servers.len() as u16).collect();
        let Some(server) = all.iter().find(is_one).copied().filter(|_| fewest != most) else { return };
        self.books.add(Count::LabelEdits, 1);
        let disks = self.cluster.servers[usize::from(server)].disks.clone();
        let mut slots: Vec<u32> =
            disks.iter().flat_map(|disk| self.cluster.disk(*disk).chunks.iter().copied()).collect();
        slots.sort_unstable();
        slots.dedup();
        self.hold(HeldFor::Labels(Holder::Server(server_id(server)), self.labels_of_server(server)));
        self.change(&slots, |cluster| cluster.servers[usize::from(server)].site = fewest);
        self.tell_labels(server);
    }

    fn write(&mut self) {
        let slot = self.dice.below(self.plan.chunks.into()) as u32;
        self.last_ticket += 1;
        self.tell(Event::GrantWanted {
            ticket: Ticket(self.last_ticket),
            inode: InodeRef { id: InodeId(u64::from(slot) + 2), generation: Generation(1) },
            index: ChunkIndex(0),
            existing: Some((ChunkSlot(slot), chunk_id(slot))),
            class: ClassId(self.cluster.chunk(slot).class),
            session: SessionId::new(self.fleet.term(), 1).unwrap(),
            failed: None,
        });
    }
}
