//! What classes and labels promise about where replicas are, and that they never cost one that is needed.

use super::*;
use placement::{Condition, Layout, Policy};

impl World {
    pub(super) fn class_of(&self, inode: InodeRef) -> (ClassId, Stage) {
        self.files.get(&inode).copied().unwrap_or_default()
    }

    pub(super) fn is_told(&self, class: ClassId) -> bool {
        class == ClassId(0) || self.classes.contains_key(&class)
    }

    /// What a class asks for; one that nobody told of, as class 0.
    fn policies(&self, class: ClassId) -> ClassPolicies {
        let default = || ClassPolicies::same(Policy::new(Layout::anywhere(self.options.goal)));
        let told = self.classes.get(&class).or(self.classes.get(&ClassId(0)));
        told.cloned().unwrap_or_else(default)
    }

    pub(super) fn goal_of(&self, mapped: &Mapped) -> usize {
        self.policies(mapped.class).of_stage(mapped.stage).layout.replicas()
    }

    pub(super) fn min_write_of(&self, (class, stage): (ClassId, Stage)) -> usize {
        self.policies(class).min_write(stage)
    }

    /// At the start of a reign.
    pub(super) fn tell_policies(&mut self) {
        let classes = self.classes.clone().into_iter();
        let classes =
            classes.map(|(class, policies)| Event::ClassSet { class, policies: Box::new(policies) });
        let labels = self.labels.clone().into_iter();
        let labels = labels.map(|(disk, labels)| Event::DiskLabels { disk, labels });
        let mut out = Vec::new();
        for event in classes.chain(labels) {
            self.fleet.handle(event, self.now_ms, &mut out);
        }
        assert!(out.is_empty());
    }

    pub(super) fn set_policies(&mut self, class: u16, policies: ClassPolicies) {
        let before = self.classes.insert(ClassId(class), policies.clone());
        if let Some(before) = before.filter(|before| *before != policies) {
            self.hold(HeldFor::Class(ClassId(class), Box::new(before)));
        }
        self.tell(Event::ClassSet { class: ClassId(class), policies: Box::new(policies) });
    }

    pub(super) fn set_class(&mut self, class: u16, layout: &str, mode: Mode) {
        self.set_policies(class, ClassPolicies::same(policy(layout, mode)));
    }

    /// Layouts of `keep`, of `archive` and of `trash`.
    pub(super) fn set_stages(&mut self, class: u16, keep: &str, others: [Option<&str>; 2]) {
        let [archive, trash] = others.map(|layout| Some(policy(layout?, Mode::Standard)));
        let keep = ClassPolicies::same(policy(keep, Mode::Standard));
        self.set_policies(class, ClassPolicies { archive, trash, ..keep });
    }

    /// The class of a file and of its chunk.
    pub(super) fn set_file(&mut self, file: u64, class: u16) {
        let class = ClassId(class);
        self.files.entry(inode(file)).or_default().0 = class;
        let of_file = self.map.iter_mut().find(|(_, mapped)| mapped.place.0 == inode(file));
        if let Some((slot, mapped)) = of_file {
            let slot = *slot;
            let before = std::mem::replace(&mut mapped.class, class);
            if let Some(before) = self.classes.get(&before).cloned().filter(|_| before != class) {
                self.hold(HeldFor::Class(class, Box::new(before)));
            }
            self.tell(Event::ChunkClass { slot, class });
        }
    }

    /// The stage of a file and of its chunk.
    pub(super) fn set_stage(&mut self, file: u64, stage: Stage) {
        self.files.entry(inode(file)).or_default().1 = stage;
        let of_file = self.map.iter_mut().find(|(_, mapped)| mapped.place.0 == inode(file));
        if let Some((slot, mapped)) = of_file {
            let slot = *slot;
            mapped.stage = stage;
            self.tell(Event::ChunkStage { slot, stage });
        }
    }

    /// Labels of all disks of a machine.
    pub(super) fn label(&mut self, n: u8, text: &str) {
        for disk in self.machines[usize::from(n)].disks.clone() {
            self.label_disk(disk, text);
        }
    }

    pub(super) fn label_disk(&mut self, disk: DiskId, text: &str) {
        let labels = Labels::new(text.split_whitespace().map(|word| Label::new(word).unwrap())).unwrap();
        let before = self.labels.insert(disk, labels.clone()).unwrap_or_default();
        if before != labels {
            self.hold(HeldFor::Labels(Holder::Disk(disk), before));
        }
        self.tell(Event::DiskLabels { disk, labels });
    }

    /// Nothing is under way: no chunk waits for a disk that would be better and could be had.
    pub(super) fn check_places(&mut self) {
        for (slot, mapped) in self.map.clone() {
            if self.is_told(mapped.class) && self.fleet.table.health(slot) == Some(Health::Ok) {
                assert_eq!(self.fleet.destination(slot, None), None, "{slot} could be on a better disk");
            }
        }
    }

    /// The numbers of the machines that hold a chunk.
    fn holders(&self, slot: ChunkSlot) -> Vec<u8> {
        let mut disks: Vec<u8> = self.fleet.locations(slot).iter().map(|one| one.disk.0[0] - 1).collect();
        disks.sort_unstable();
        disks
    }

    fn unmet(&self, layout: &str) -> Vec<placement::Unmet> {
        self.fleet.prospect().unmet(&policy(layout, Mode::Strict))
    }

    fn moved(&self) -> (u64, u64) {
        let summary = self.fleet.summary();
        (summary.copied, summary.removed)
    }
}

pub(super) fn policy(layout: &str, mode: Mode) -> Policy {
    Policy { mode, ..Policy::new(Layout::parse(layout).unwrap()) }
}

/// Servers 0 and 1 have `ssd`, the others `hdd`.
fn two_kinds(servers: u8) -> World {
    let mut world = World::new(servers);
    for n in 0..servers {
        world.label(n, if n < 2 { "ssd" } else { "hdd" });
    }
    world
}

#[test]
fn a_class_of_the_metadata_is_read_with_all_its_parts() {
    let name = ClassName::new("hot").unwrap();
    let expression = |text| Expression::new(text).unwrap();
    let class = StorageClass {
        create: Some(expression("2*ssd")),
        archive: Some(Archive {
            to: expression("3*hdd"),
            after_s: 1,
            by: AgeBy::Changed,
            min_size: 0,
            reversible: true,
        }),
        trash: Some(expression("hdd")),
        mode: Mode::Strict,
        spread: Spread::Disk,
        min_write: Some(2),
        read_last: Some(expression("usb|site=far")),
        ..StorageClass::new(name.clone(), expression("ssd,2*hdd"))
    };
    let read = ClassPolicies::of(&class).unwrap();
    let parts = |layout| Policy { spread: Spread::Disk, min_write: Some(2), ..policy(layout, Mode::Strict) };
    let (archive, trash) = (Some(parts("3*hdd")), Some(parts("hdd")));
    let read_last = Some(Condition::parse("usb|site=far").unwrap());
    let (create, keep) = (parts("2*ssd"), parts("ssd,2*hdd"));
    let wanted = ClassPolicies { create, keep, archive, trash, read_last };
    assert_eq!(read, wanted);
    assert_eq!((read.min_write(Stage::default()), read.min_write(TRASHED)), (2, 1));
    let plain = ClassPolicies::of(&StorageClass::new(name.clone(), expression("3*any"))).unwrap();
    assert_eq!((plain.min_write(Stage::default()), plain.create), (2, plain.keep.clone()));
    assert!(ClassPolicies::of(&StorageClass::new(name, expression("2*ssd,"))).is_err());
}

const ARCHIVED: Stage = Stage { archived: true, trashed: false };
const TRASHED: Stage = Stage { archived: false, trashed: true };
const BOTH: Stage = Stage { archived: true, trashed: true };

/// Two replicas on ssd, archived as two on hdd, deleted as one on hdd.
fn with_stages(archive: bool, trash: bool) -> (World, ChunkSlot) {
    let mut world = two_kinds(4);
    let keep = policy("2*ssd", Mode::Standard);
    let archive = archive.then(|| policy("2*hdd", Mode::Standard));
    let trash = trash.then(|| policy("hdd", Mode::Standard));
    world.set_policies(1, ClassPolicies { archive, trash, ..ClassPolicies::same(keep) });
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    (world, slot)
}

#[test]
fn a_chunk_goes_where_the_stage_of_its_file_wants_it_and_comes_back() {
    let (mut world, slot) = with_stages(true, true);
    world.heal();
    assert_eq!(world.holders(slot), [0, 1]);
    world.set_stage(1, ARCHIVED);
    world.heal();
    assert_eq!((world.holders(slot), world.moved()), (vec![2, 3], (2, 2)));
    for stage in [BOTH, TRASHED] {
        world.set_stage(1, stage);
        world.heal();
        assert_eq!((world.holders(slot).len(), world.moved()), (1, (2, 3)));
        assert!(world.holders(slot)[0] >= 2);
    }
    world.restart_master();
    (0..4).for_each(|n| world.connect(n));
    world.heal();
    assert_eq!(world.holders(slot).len(), 1, "also after a restart of the master");
    world.set_stage(1, Stage::default());
    world.heal();
    assert_eq!(world.holders(slot), [0, 1]);
    let next = world.grant(1).unwrap();
    assert!(world.write(&next, 9));
}

#[test]
fn a_class_that_says_nothing_of_a_stage_leaves_chunks_where_they_are() {
    let (mut world, slot) = with_stages(true, false);
    for (stage, holders) in [(TRASHED, [0, 1]), (BOTH, [2, 3]), (ARCHIVED, [2, 3]), (TRASHED, [0, 1])] {
        world.set_stage(1, stage);
        world.heal();
        assert_eq!(world.holders(slot), holders, "{stage:?}");
    }
    let (mut world, slot) = with_stages(false, false);
    world.set_stage(1, BOTH);
    world.heal();
    assert_eq!((world.holders(slot), world.moved()), (vec![0, 1], (0, 0)));
    // An edit of the class finds what is in the stage.
    let keep = ClassPolicies::same(policy("2*ssd", Mode::Standard));
    world.set_policies(1, ClassPolicies { trash: Some(policy("hdd", Mode::Standard)), ..keep });
    world.heal();
    assert!(world.holders(slot).len() == 1 && world.holders(slot)[0] >= 2);
}

#[test]
fn a_chunk_with_few_replicas_in_its_stage_can_be_written_by_who_has_it_open() {
    let mut world = two_kinds(5);
    let keep = ClassPolicies::same(policy("2*ssd,hdd", Mode::Standard));
    world.set_policies(1, ClassPolicies { trash: Some(policy("hdd", Mode::Standard)), ..keep });
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    world.heal();
    assert_eq!(world.holders(slot).len(), 3);
    world.set_stage(1, TRASHED);
    world.heal();
    assert_eq!(world.holders(slot).len(), 1);
    let next = world.grant(1).unwrap();
    assert!(world.write(&next, 9));
}

#[test]
fn a_chunk_is_made_where_create_says_and_moves_to_where_keep_says() {
    let mut world = two_kinds(4);
    let (create, keep) = (policy("2*ssd", Mode::Standard), policy("2*hdd", Mode::Standard));
    world.set_policies(1, ClassPolicies { create, ..ClassPolicies::same(keep) });
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    assert_eq!(world.holders(slot), [0, 1]);
    assert_eq!((world.fleet.summary().misplaced, world.fleet.summary().ok), (1, 1));
    world.heal();
    assert_eq!((world.holders(slot), world.moved()), (vec![2, 3], (2, 2)));
    assert_eq!(world.fleet.summary().misplaced, 0);
    let next = world.grant(1).unwrap();
    assert!(world.write(&next, 9));
}

#[test]
fn an_edit_of_the_number_makes_replicas_and_takes_them_away() {
    let mut world = World::new(4);
    world.set_class(1, "2*any", Mode::Standard);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    let (other, _) = world.file(2);
    world.set_class(1, "3*any", Mode::Standard);
    world.heal();
    assert_eq!((world.holders(slot).len(), world.holders(other).len()), (3, 2));
    world.set_class(1, "any", Mode::Standard);
    world.heal();
    assert_eq!((world.holders(slot).len(), world.holders(other).len()), (1, 2));
    assert_eq!(world.moved(), (1, 2));
}

#[test]
fn a_chunk_of_another_class_follows_that_class() {
    let mut world = two_kinds(4);
    world.set_class(1, "2*ssd", Mode::Standard);
    world.set_class(2, "hdd,ssd", Mode::Standard);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    assert_eq!(world.holders(slot), [0, 1]);
    world.set_file(1, 2);
    world.heal();
    let holders = world.holders(slot);
    assert!(holders.len() == 2 && holders[0] < 2 && holders[1] >= 2, "{holders:?}");
    assert_eq!(world.moved(), (1, 1), "one of them was right already");
}

#[test]
fn a_label_that_nobody_has_moves_and_drops_nothing() {
    let mut world = two_kinds(4);
    world.set_class(1, "2*ssd", Mode::Standard);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    for layout in ["2*sssd", "2*!any", "sssd,hddd"] {
        for mode in [Mode::Strict, Mode::Standard, Mode::Loose] {
            world.set_class(1, layout, mode);
            world.heal();
            assert_eq!((world.holders(slot), world.moved()), (vec![0, 1], (0, 0)), "{layout}");
            assert!(world.deletes.is_empty());
            let unmet = world.unmet(layout);
            assert_eq!(unmet.iter().map(|one| one.lacking).sum::<usize>(), 2, "{unmet:?}");
        }
    }
}

#[test]
fn a_disk_that_loses_its_label_keeps_its_replica_until_another_disk_has_the_label() {
    let mut world = two_kinds(4);
    world.set_class(1, "2*ssd", Mode::Strict);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    world.label(1, "hdd");
    world.heal();
    assert_eq!((world.holders(slot), world.moved()), (vec![0, 1], (0, 0)));
    assert_eq!(world.fleet.summary().misplaced, 1);
    world.label(3, "ssd");
    world.heal();
    assert_eq!((world.holders(slot), world.moved()), (vec![0, 3], (1, 1)));
}

#[test]
fn what_goes_is_what_the_class_can_do_without() {
    let mut world = two_kinds(4);
    world.set_class(1, "ssd,2*any", Mode::Standard);
    world.label(1, "hdd");
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    assert_eq!((world.holders(slot).len(), world.holders(slot)[0]), (3, 0));
    // The only ssd is the fullest disk by far.
    let mut disks = world.info(0).disks;
    disks[0].free_bytes = 1 << 30;
    world.tell(Event::Heartbeat { server: server(1), disks });
    world.set_class(1, "ssd", Mode::Standard);
    world.heal();
    assert_eq!(world.holders(slot), [0]);
}

#[test]
fn a_class_that_nobody_told_of_keeps_what_there_is() {
    let mut world = World::new(4);
    world.set_class(1, "3*any", Mode::Standard);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    world.set_file(1, 7);
    world.heal();
    assert_eq!((world.holders(slot).len(), world.moved()), (3, (0, 0)));
    world.set_class(7, "2*any", Mode::Standard);
    world.heal();
    assert_eq!((world.holders(slot).len(), world.moved()), (2, (0, 1)));
    world.classes.remove(&ClassId(7));
    world.tell(Event::ClassGone { class: ClassId(7) });
    world.set_class(0, "any", Mode::Standard);
    world.heal();
    assert_eq!(world.holders(slot).len(), 2, "also when the class is gone");
}

#[test]
fn a_class_that_nobody_told_of_keeps_what_is_current_but_not_what_is_stale() {
    let mut world = World::with_goal(3, 3);
    world.set_file(1, 7);
    let (slot, grant) = world.file(1);
    let away = machine_of(&grant, 2);
    world.disconnect(away);
    let next = world.grant(1).unwrap();
    assert!(world.write(&next, 9));
    world.set_class(0, "any", Mode::Standard);
    world.connect(away);
    world.heal();
    assert_eq!((world.holders(slot).len(), world.moved()), (2, (0, 1)));
    assert_eq!(world.replicas.len(), 2, "the stale one went");
}

#[test]
fn an_edit_that_is_taken_back_in_time_costs_no_replica() {
    let mut world = World::new(3);
    world.set_class(1, "3*any", Mode::Standard);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    world.set_class(1, "2*any", Mode::Standard);
    let is_asked = |world: &World| {
        let mut orders = world.machines.iter().flat_map(|one| &one.inbox);
        orders.any(|(_, what)| matches!(what, Order::Verify { .. }))
    };
    for _ in 0..100 {
        if is_asked(&world) {
            break;
        }
        world.advance(1_000);
        if !is_asked(&world) {
            world.settle();
        }
    }
    assert!(is_asked(&world), "one is about to go");
    world.set_class(1, "3*any", Mode::Standard);
    world.settle();
    world.heal();
    assert_eq!((world.holders(slot).len(), world.moved()), (3, (0, 0)));
    assert!(world.deletes.is_empty());
}

#[test]
fn chunks_that_lack_replicas_come_before_those_that_are_misplaced() {
    let mut world = two_kinds(5);
    world.set_class(1, "2*ssd", Mode::Standard);
    world.set_class(2, "2*hdd", Mode::Standard);
    for file in 1..=20 {
        world.set_file(file, if file == 20 { 2 } else { 1 });
        world.file(file);
    }
    world.set_class(1, "2*hdd", Mode::Standard);
    let short = world.map.iter().find(|(_, one)| one.place.0 == inode(20)).map(|(slot, _)| *slot).unwrap();
    let chunk = world.map[&short].chunk;
    // Longer than a fresh chunk is left alone, and than a silent server is waited for.
    world.disconnect(world.holders(short)[0]);
    world.now_ms += 30_000;
    world.advance(0);
    world.advance(0);
    let orders = world.machines.iter().flat_map(|one| &one.inbox).map(|(_, what)| what);
    let chunks: Vec<ChunkId> = orders
        .filter_map(|what| match what {
            Order::Raise { chunk, .. } => Some(*chunk),
            _ => None,
        })
        .collect();
    assert!(chunks.contains(&chunk), "there was time for eight copies: {chunks:?}");
    assert!(chunks.iter().any(|one| *one != chunk), "the others follow: {chunks:?}");
    world.heal();
    assert!(world.map.keys().all(|slot| world.holders(*slot).iter().all(|n| *n >= 2)));
}

/// Servers with two disks each: number `n` has disks `n + 1` and `n + 101`.
pub(super) fn crowded(servers: u8) -> World {
    let mut world = World::cold(servers, FleetOptions { grace_ms: 0, ..FleetOptions::default() });
    world.crowded = true;
    world.tell(Event::KnownDisks(Vec::new()));
    for n in 0..servers {
        world.machines[usize::from(n)].disks.push(disk(n + 101));
        world.connect(n);
    }
    world
}

#[test]
fn replicas_move_to_the_other_disks_of_their_hosts() {
    let mut world = crowded(2);
    for n in 0..2 {
        world.label_disk(disk(n + 1), "hdd");
        world.label_disk(disk(n + 101), "ssd");
    }
    world.set_class(1, "2*hdd", Mode::Strict);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    assert_eq!(world.holders(slot), [0, 1]);
    world.set_class(1, "2*ssd", Mode::Strict);
    world.heal();
    assert_eq!((world.holders(slot), world.moved()), (vec![100, 101], (2, 2)));
    let next = world.grant(1).unwrap();
    assert!(world.write(&next, 9));
}

#[test]
fn a_class_may_be_content_with_the_disks_of_one_host() {
    let mut world = crowded(1);
    world.set_policies(
        1,
        ClassPolicies::same(Policy { spread: Spread::Disk, ..policy("2*any", Mode::Strict) }),
    );
    world.set_class(2, "2*any", Mode::Loose);
    for class in 1..3 {
        world.set_file(class, class as u16);
        let (slot, _) = world.file(class);
        assert_eq!(world.holders(slot), [0, 100]);
    }
    let (slot, _) = world.file(9);
    assert_eq!(world.holders(slot).len(), 1, "the class without a name is not");
    world.heal();
    assert_eq!(world.moved(), (0, 0));
}

#[test]
fn labels_by_the_metadata_count_and_those_of_a_registration_until_there_are_any() {
    let mut world = World::new(2);
    let mut info = world.info(1);
    info.labels = vec!["ssd".into(), "site=b".into(), "not a label".into()];
    world.machines[1].outbox.clear();
    world.tell(Event::ServerRegistered(info.clone()));
    world.set_class(1, "any,ssd", Mode::Strict);
    assert_eq!(world.unmet("any,ssd"), Vec::new());
    world.tell(Event::ServerLabels { server: server(2), labels: Labels::default() });
    assert_eq!(world.unmet("any,ssd").len(), 1);
    world.tell(Event::ServerRegistered(info));
    assert_eq!(world.unmet("any,ssd").len(), 1);
    world.label(0, "ssd");
    assert_eq!(world.unmet("any,ssd"), Vec::new());
}

#[test]
fn whether_a_class_can_be_met_is_judged_as_if_servers_that_are_away_were_there_and_disks_that_go_were_gone() {
    let mut world = two_kinds(4);
    assert_eq!(world.unmet("2*ssd,2*hdd"), Vec::new());
    world.disconnect(0);
    assert_eq!(world.unmet("2*ssd,2*hdd"), Vec::new());
    world.connect(0);
    world.mark(1, Some(Removing { drain_only: false, with: None }));
    let unmet = world.unmet("2*ssd,2*hdd");
    assert_eq!(
        unmet.iter().map(|one| (one.condition.to_string(), one.lacking)).collect::<Vec<_>>(),
        [("ssd".into(), 1)]
    );
    // A new reign that has heard of nobody knows the disks by the metadata.
    let mut fleet = Fleet::new(Term(6), FleetOptions::default(), 0);
    let labels = Labels::new([Label::new("ssd").unwrap()]).unwrap();
    let mut out = Vec::new();
    fleet.handle(Event::DiskLabels { disk: disk(1), labels }, 0, &mut out);
    fleet.handle(Event::KnownDisks(vec![(server(1), disk(1))]), 0, &mut out);
    assert_eq!(fleet.prospect().unmet(&policy("ssd", Mode::Strict)), Vec::new());
}

#[test]
fn an_edit_is_carried_through_in_parts_and_new_chunks_follow_it_at_once() {
    const CHUNKS: u32 = 3_500;
    let mut fleet = Fleet::new(Term(5), FleetOptions { goal: 1, ..FleetOptions::default() }, 0);
    let mut out = Vec::new();
    let version = Version { term: Term(4), counter: 1 };
    let chunk = |n: u32| ChunkId::new(Term(4), u64::from(n) + 1).unwrap();
    let of_disk =
        DiskInfo { disk: disk(1), total_bytes: 1 << 40, free_bytes: 1 << 39, ..DiskInfo::default() };
    let info = ServerInfo { server: server(1), disks: vec![of_disk], ..ServerInfo::default() };
    let mut born = |fleet: &mut Fleet, n: u32, class| {
        fleet.handle(Event::ChunkBorn { slot: ChunkSlot(n), chunk: chunk(n), version, class }, 0, &mut out);
    };
    for n in 0..CHUNKS {
        born(&mut fleet, n, ClassId((n % 7 == 0).into()));
    }
    let told = |n: u32| ReportedReplica::sound(Some(ChunkSlot(n)), chunk(n), version);
    let mut out = Vec::new();
    for event in [
        Event::KnownDisks(Vec::new()),
        Event::ServerRegistered(info),
        Event::Reported { disk: disk(1), replicas: (0..CHUNKS).map(told).collect(), last: true },
        Event::ClassSet {
            class: ClassId(0),
            policies: Box::new(ClassPolicies::same(policy("2*any", Mode::Standard))),
        },
    ] {
        fleet.handle(event, 0, &mut out);
    }
    assert_eq!((fleet.summary().ok, fleet.summary().endangered), (u64::from(CHUNKS), 0));
    let mut ticks = 0;
    while fleet.summary().reviewing {
        let before = fleet.summary().endangered;
        fleet.handle(Event::Tick, 1, &mut out);
        assert!(fleet.summary().endangered - before <= 1_000);
        ticks += 1;
    }
    let (counts, fresh) = fleet.table.recount();
    assert!(fresh && ticks >= 3, "{ticks} {counts:?}");
    assert_eq!(fleet.summary().endangered, u64::from(CHUNKS), "class 1 was not told: it is as class 0");
}
