//! What the removal of disks promises: chunks get replicas elsewhere before anything goes, *safe* is said only when it is true, and
//! servers in maintenance are left alone.

use super::*;

impl World {
    /// Marks or keeps a machine's disk.
    pub(super) fn mark(&mut self, n: u8, removing: Option<Removing>) {
        let disk = disk(n + 1);
        match removing {
            Some(removing) => drop(self.marks.insert(disk, removing)),
            None => drop(self.marks.remove(&disk)),
        }
        self.tell(Event::Removing { holder: Holder::Disk(disk), removing });
    }

    /// At the start of a reign.
    pub(super) fn tell_marks(&mut self) {
        let mut out = Vec::new();
        for (disk, removing) in self.marks.clone() {
            let event = Event::Removing { holder: Holder::Disk(disk), removing: Some(removing) };
            self.fleet.handle(event, self.now_ms, &mut out);
        }
        assert!(out.is_empty());
    }

    /// Every chunk has what it wants on disks that stay, by what is really on the disks.
    pub(super) fn check_safe(&self, disk: DiskId) {
        for mapped in self.map.values() {
            if !self.replicas.contains_key(&(disk, mapped.chunk)) {
                continue;
            }
            let good = self.replicas.iter().filter(|((on, of), one)| {
                *of == mapped.chunk
                    && !self.marks.contains_key(on)
                    && one.version >= mapped.version
                    && !one.filling
            });
            assert!(good.count() >= self.goal_of(mapped), "{disk} is not safe: {}", mapped.chunk);
        }
    }

    /// A server takes a disk out of service; its directory is taken away.
    pub(super) fn close(&mut self, disk: DiskId, replicas: u64) -> Result<(), Status> {
        let count = self.replicas.keys().filter(|(on, _)| *on == disk).count() as u64;
        if count > replicas {
            return Err(Status::Busy);
        }
        self.check_safe(disk);
        self.replicas.retain(|(on, _), _| *on != disk);
        self.machines.iter_mut().for_each(|one| one.disks.retain(|of| *of != disk));
        self.closed.insert(disk);
        Ok(())
    }

    /// The metadata forget a disk.
    pub(super) fn forget(&mut self, disk: DiskId) {
        self.marks.remove(&disk);
        self.tell(Event::Forgotten { holder: Holder::Disk(disk) });
    }

    fn removal_of(&self, n: u8) -> RemovalView {
        let view = self.fleet.disks().find(|view| view.disk == disk(n + 1)).expect("the disk is known");
        view.removal.expect("it is to go")
    }

    fn is_closed(&self, n: u8) -> bool {
        let shown = self.fleet.disks().any(|view| view.disk == disk(n + 1));
        let closed = self.closed.contains(&disk(n + 1));
        assert!(shown != closed, "a disk is shown until it is closed");
        closed
    }

    /// What is in the way of a machine's disk.
    fn in_the_way(&self, n: u8) -> Vec<Obstacle> {
        let found = self.fleet.obstacles(&[disk(n + 1)], 100, self.now_ms);
        assert_eq!(found.total, found.chunks.len() as u64);
        found.chunks.iter().map(|(_, _, obstacle)| *obstacle).collect()
    }

    fn holders_of(&self, slot: ChunkSlot) -> BTreeSet<u8> {
        self.fleet.locations(slot).iter().map(|one| one.disk.0[0] - 1).collect()
    }
}

const GO: Option<Removing> = Some(Removing { drain_only: false, with: None });
const DRAIN: Option<Removing> = Some(Removing { drain_only: true, with: None });

#[test]
fn a_disk_that_is_to_go_is_emptied_then_closed_and_loses_nothing() {
    let mut world = World::new(4);
    let files: Vec<(ChunkSlot, GrantParts)> = (0..20).map(|file| world.file(file)).collect();
    let held = files.iter().filter(|(slot, _)| world.holders_of(*slot).contains(&0)).count();
    assert!(held > 2 && held < 20);
    world.mark(0, GO);
    world.heal();
    assert!(world.is_closed(0));
    for (slot, _) in &files {
        assert_eq!(world.holders_of(*slot).len(), 2);
        assert!(!world.holders_of(*slot).contains(&0));
    }
    let summary = world.fleet.summary();
    assert_eq!((summary.ok, summary.copied, summary.removed), (20, held as u64, held as u64));
    world.check_twins();
}

#[test]
fn only_chunks_on_the_disk_are_touched() {
    let mut world = World::new(4);
    for file in 0..20 {
        world.file(file);
    }
    let others: Vec<ChunkId> = world
        .map
        .iter()
        .filter(|(slot, _)| !world.holders_of(**slot).contains(&0))
        .map(|(_, mapped)| mapped.chunk)
        .collect();
    world.mark(0, GO);
    world.heal();
    assert!(world.is_closed(0) && !others.is_empty());
    assert!(others.iter().all(|chunk| !world.minted.contains_key(chunk)), "another chunk was raised");
}

#[test]
fn until_the_copy_is_there_the_replica_is_read_and_written_and_nothing_is_safe() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let (stays, goes) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    world.mark(goes, GO);
    world.advance(0);
    assert_eq!(world.holders_of(slot), BTreeSet::from([stays, goes]));
    assert!(!world.removal_of(goes).safe);
    assert_eq!((world.removal_of(goes).needed, world.fleet.summary().leaving), (1, 1));
    // Somebody comes to write before the copy is made.
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    while !world.grants.contains_key(&ticket) {
        for n in 0..3 {
            world.obey(n, None);
            world.hear(n);
        }
        world.log_all();
        world.sync();
    }
    let written = world.grants[&ticket].clone().unwrap();
    assert!(written.chain.iter().any(|one| one.disk == disk(goes + 1)), "it gets the writes");
    assert!(world.write(&written, 9));
    assert!(!world.removal_of(goes).safe);
    world.heal();
    assert!(world.is_closed(goes));
    assert_eq!(world.holders_of(slot).len(), 2);
    let next = world.grant(1).unwrap();
    let content = &world.replicas[&(next.chain[0].disk, next.chunk)].content;
    assert_eq!(*content, Content::from([1, 9]));
}

#[test]
fn a_disk_that_is_to_go_takes_no_new_chunk() {
    let mut world = World::new(3);
    world.mark(0, DRAIN);
    for file in 0..10 {
        let (_, grant) = world.file(file);
        assert!(grant.chain.iter().all(|one| one.disk != disk(1)));
    }
    world.mark(0, None);
    let chains = (10..30).map(|file| world.file(file).1.chain);
    assert!(chains.into_iter().flatten().any(|one| one.disk == disk(1)), "it is used again once it stays");
}

#[test]
fn endangered_chunks_and_those_under_their_goal_come_before_those_of_a_disk_that_is_to_go() {
    let mut world = World::with_options(6, FleetOptions { copies_per_server: 1, ..FleetOptions::default() });
    world.set_class(1, "3*any", Mode::Standard);
    // The file whose only other replica goes with a server, one of three of which one does, and one on the marked disk.
    let mut found = BTreeMap::new();
    for file in 0..200 {
        world.set_file(file, (file % 2) as u16);
        let (slot, _) = world.file(file);
        let holders = world.holders_of(slot);
        let kind = match (holders.contains(&4), holders.contains(&5), holders.len()) {
            (true, false, 2) => Health::Endangered,
            (true, false, 3) => Health::Undergoal,
            (false, true, 2) => Health::Leaving,
            _ => continue,
        };
        found.entry(kind as u8).or_insert(world.map[&slot].chunk);
    }
    assert_eq!(found.len(), 3);
    let keep: BTreeSet<ChunkId> = found.values().copied().collect();
    let rest: Vec<ChunkSlot> =
        world.map.iter().filter(|(_, one)| !keep.contains(&one.chunk)).map(|(slot, _)| *slot).collect();
    for slot in rest {
        world.remove(slot);
    }
    world.settle();
    world.mark(5, DRAIN);
    world.disconnect(4);
    // In one go, so that all three are due: the raises that copies begin with show the order.
    world.now_ms += 120_000;
    let mut out = Vec::new();
    world.fleet.handle(Event::Tick, world.now_ms, &mut out);
    let raised: Vec<ChunkId> = out
        .iter()
        .filter_map(|command| match command {
            Command::Order { what: Order::Raise { chunk, .. }, .. } => Some(*chunk),
            _ => None,
        })
        .collect();
    let mut order: Vec<ChunkId> = raised.clone();
    order.dedup();
    let wanted: Vec<ChunkId> =
        [Health::Endangered, Health::Undergoal, Health::Leaving].map(|kind| found[&(kind as u8)]).to_vec();
    assert_eq!(order, wanted);
}

#[test]
fn what_can_go_nowhere_stays_and_the_reason_is_told() {
    let mut world = World::new(2);
    let (slot, _) = world.file(1);
    world.mark(1, GO);
    world.heal();
    assert_eq!(world.in_the_way(1), [Obstacle::NoDisk]);
    assert_eq!(world.holders_of(slot), BTreeSet::from([0, 1]), "nothing goes");
    assert!(!world.removal_of(1).safe && !world.is_closed(1));
    assert_eq!(world.fleet.summary().copied, 0);
    world.mark(1, None);
    world.heal();
    assert_eq!((world.fleet.summary().ok, world.fleet.summary().leaving), (1, 0));
    assert!(world.deletes.is_empty());
}

#[test]
fn a_disk_with_the_last_replica_stays_while_the_other_is_away() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (away, goes) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    world.disconnect(away);
    world.mark(goes, GO);
    world.heal();
    assert_eq!(world.holders_of(slot), BTreeSet::from([goes]));
    assert!(!world.removal_of(goes).safe && !world.is_closed(goes));
    world.disconnect(goes);
    assert_eq!(world.in_the_way(goes), [Obstacle::NoReplica]);
    assert_eq!(world.fleet.only_on(server(goes + 1)), 1, "its server is not to be forgotten");
}

#[test]
fn marks_hold_at_once_in_a_new_reign_and_a_disk_that_has_not_told_is_not_safe() {
    let mut world = World::new(4);
    let (slot, grant) = world.file(1);
    let goes = world.machine_at(&grant, 1);
    world.mark(goes, GO);
    world.restart_master();
    for n in (0..4).filter(|n| *n != goes) {
        world.connect(n);
    }
    world.now_ms += world.options.settle_ms;
    world.advance(0);
    assert!(!world.removal_of(goes).safe, "nobody knows what is on it");
    let (_, fresh) = world.file(2);
    assert!(fresh.chain.iter().all(|one| one.disk != disk(goes + 1)));
    world.connect(goes);
    assert!(!world.removal_of(goes).safe);
    world.heal();
    assert!(world.is_closed(goes));
    assert_eq!(world.holders_of(slot).len(), 2);
}

#[test]
fn a_disk_that_never_came_is_safe_when_every_chunk_has_what_it_wants() {
    let mut world = World::new(4);
    let (slot, grant) = world.file(1);
    let goes = world.machine_at(&grant, 1);
    world.restart_master();
    for n in (0..4).filter(|n| *n != goes) {
        world.connect(n);
    }
    world.mark(goes, GO);
    world.now_ms += world.options.settle_ms;
    world.advance(0);
    assert!(!world.removal_of(goes).safe);
    world.heal();
    assert!(world.removal_of(goes).safe, "healed from the other one");
    assert_eq!((world.holders_of(slot).len(), world.fleet.only_on(server(goes + 1))), (2, 0));
    assert!(!world.is_closed(goes), "there is nobody to close it");
    let holder = Holder::Disk(disk(goes + 1));
    world.tell(Event::Forgotten { holder });
    assert!(world.fleet.disks().all(|view| view.disk != disk(goes + 1)));
}

#[test]
fn a_chunk_that_is_written_without_a_pause_does_not_keep_the_disk() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let goes = world.machine_at(&grant, 1);
    world.mark(goes, GO);
    let mut written = Content::from([1]);
    for number in 10..200 {
        let grant = world.grant(1).unwrap();
        assert!(world.write(&grant, number));
        written.insert(number);
        world.advance(1_000);
        world.settle();
        if world.closed.contains(&disk(goes + 1)) {
            break;
        }
    }
    assert!(world.is_closed(goes));
    assert_eq!(world.map[&slot].content, written);
    for at in world.fleet.locations(slot) {
        assert_eq!(world.replicas[&(at.disk, grant.chunk)].content, written);
    }
}

#[test]
fn a_fresh_chunk_keeps_the_disk_that_it_is_written_to() {
    let mut world = World::new(2);
    let grant = world.grant(1).unwrap();
    assert!(world.write(&grant, 1));
    let goes = world.machine_at(&grant, 1);
    world.mark(goes, GO);
    // The disk has told nobody of it: its server refuses.
    let outbox = std::mem::take(&mut world.machines[usize::from(goes)].outbox);
    world.advance(0);
    world.settle();
    world.advance(5_000);
    world.settle();
    assert!(!world.is_closed(goes));
    world.machines[usize::from(goes)].outbox = outbox;
    world.settle();
    assert_eq!(world.in_the_way(goes), [Obstacle::BeingMade]);
    assert!(!world.removal_of(goes).safe);
    let slot = world.commit((inode(1), ZERO), grant.chunk, grant.version).unwrap();
    world.heal();
    assert_eq!(world.in_the_way(goes), [Obstacle::NoDisk]);
    assert_eq!(world.holders_of(slot).len(), 2);
}

#[test]
fn a_drained_disk_stays_and_is_empty() {
    let mut world = World::new(4);
    for file in 0..10 {
        world.file(file);
    }
    world.mark(2, DRAIN);
    world.heal();
    assert!(world.removal_of(2).safe && !world.is_closed(2));
    assert!(world.replicas.keys().all(|(on, _)| *on != disk(3)));
    let view = world.removal_of(2);
    assert!(view.most > 0 && view.needed == 0);
    // What a class asks for more makes it needed no less: it is empty.
    world.set_class(0, "3*any", Mode::Standard);
    world.heal();
    assert!(world.removal_of(2).safe);
    assert_eq!(world.fleet.summary().ok, 10);
}

#[test]
fn a_disk_is_not_closed_while_replicas_of_removed_chunks_rest_on_it() {
    let mut world = World::new(3);
    world.fleet.options.delete_after_ms = 1_000;
    let (slot, grant) = world.file(1);
    let goes = world.machine_at(&grant, 1);
    world.remove(slot);
    world.mark(goes, GO);
    world.advance(0);
    world.settle();
    assert!(world.replicas.contains_key(&(disk(goes + 1), grant.chunk)), "it rests");
    world.advance(100);
    world.settle();
    assert_eq!(world.fleet.draining[&u16::from(goes)].retry_ms, 0, "no server refused to close it");
    world.heal();
    assert!(world.is_closed(goes));
}

#[test]
fn safe_is_taken_back_when_a_class_asks_for_more_or_another_disk_fails() {
    let mut world = World::new(3);
    let (_, grant) = world.file(1);
    let goes = world.machine_at(&grant, 1);
    world.mark(goes, DRAIN);
    world.advance(0);
    // All but the deletion: so the disk holds a replica that nobody needs.
    while !world.removal_of(goes).safe {
        for n in 0..3 {
            world.obey(n, None);
            world.finish_copy(n);
            world.hear(n);
        }
        world.log_all();
        world.sync();
    }
    assert!(world.replicas.contains_key(&(disk(goes + 1), grant.chunk)));
    world.set_class(0, "3*any", Mode::Standard);
    assert!(!world.removal_of(goes).safe, "nobody has looked at the chunk again");
    world.advance(100);
    assert!(!world.removal_of(goes).safe);
    world.set_class(0, "2*any", Mode::Standard);
    world.advance(100);
    assert!(world.removal_of(goes).safe);
    world.disconnect(world.machine_at(&grant, 0));
    assert!(!world.removal_of(goes).safe);
}

#[test]
fn replicas_that_may_differ_keep_a_disk() {
    let mut world = World::new(4);
    let (_, grant) = world.file(1);
    let goes = world.machine_at(&grant, 1);
    world.mark(goes, DRAIN);
    world.advance(0);
    while !world.removal_of(goes).safe {
        for n in 0..4 {
            world.obey(n, None);
            world.finish_copy(n);
            world.hear(n);
        }
        world.log_all();
        world.sync();
    }
    let grant = world.grant(1).unwrap();
    if grant.chain.iter().any(|one| one.disk == disk(goes + 1)) {
        assert!(!world.write_upto(&grant, 5, 1));
        let head = world.machine_at(&grant, 0);
        world.hear(head);
        assert!(!world.removal_of(goes).safe);
        assert_eq!(world.in_the_way(goes), [Obstacle::Compared]);
    }
    world.heal();
    assert!(world.removal_of(goes).safe);
}

#[test]
fn a_server_that_goes_takes_all_its_disks_and_a_kept_one_is_used_again() {
    let mut world = World::new(4);
    for file in 0..10 {
        world.file(file);
    }
    let holder = Holder::Server(server(1));
    world.tell(Event::Removing { holder, removing: DRAIN });
    assert!(!world.removal_of(0).safe);
    world.heal();
    assert!(world.removal_of(0).safe);
    assert!(world.replicas.keys().all(|(on, _)| *on != disk(1)));
    world.tell(Event::Removing { holder, removing: None });
    let chains = (10..40).map(|file| world.file(file).1.chain);
    assert!(chains.into_iter().flatten().any(|one| one.disk == disk(1)));
}

#[test]
fn a_plan_names_what_has_to_be_copied_and_what_is_in_the_way() {
    let mut world = World::new(3);
    for file in 0..10 {
        world.file(file);
    }
    let on_first = world.replicas.keys().filter(|(on, _)| *on == disk(1)).count() as u64;
    let plan_of = |world: &World, disks: &[DiskId]| {
        let mut plan = world.fleet.plan(disks, 4);
        while !plan.is_over() {
            world.fleet.go_on_planning(&mut plan, 3);
        }
        plan
    };
    let plan = plan_of(&world, &[disk(1)]);
    assert_eq!((plan.chunks, plan.copies, plan.obstacles.total), (on_first, on_first, 0));
    // Without two of three disks one is left for two replicas.
    let plan = plan_of(&world, &[disk(1), disk(2)]);
    assert_eq!((plan.chunks, plan.obstacles.total, plan.obstacles.chunks.len()), (10, 10, 4));
    assert!(plan.obstacles.chunks.iter().all(|(_, _, obstacle)| *obstacle == Obstacle::NoDisk));
    assert!(!world.is_busy(), "a plan changes nothing");
}

#[test]
fn what_a_server_in_maintenance_holds_is_not_healed_before_its_end() {
    for until_ms in [300_000, u64::MAX] {
        let mut world = World::new(3);
        let (slot, grant) = world.file(1);
        let away = world.machine_at(&grant, 1);
        let server = server(away + 1);
        world.tell(Event::Maintenance { server, until_ms: Some(until_ms) });
        world.disconnect(away);
        world.advance(299_000);
        assert!(!world.is_busy(), "it was healed");
        world.advance(1_000);
        assert_eq!(world.is_busy(), until_ms == 300_000);
        world.tell(Event::Maintenance { server, until_ms: None });
        world.advance(60_000);
        world.heal();
        assert_eq!(world.holders_of(slot).len(), 2);
        assert!(!world.holders_of(slot).contains(&away));
    }
}

#[test]
fn a_server_in_maintenance_is_no_sign_of_a_broken_link() {
    let mut world = World::new(5);
    let (slot, grant) = world.file(1);
    let other = (0..5).find(|n| grant.chain.iter().all(|one| one.disk != disk(n + 1))).unwrap();
    world.tell(Event::Maintenance { server: server(other + 1), until_ms: Some(u64::MAX) });
    world.disconnect(other);
    world.disconnect(world.machine_at(&grant, 1));
    world.advance(10_000);
    world.settle();
    assert_eq!(world.holders_of(slot).len(), 2, "the other one is healed as if it were alone");
}

#[test]
fn what_a_disk_holds_goes_to_the_one_that_takes_its_place_and_comes_from_it() {
    let mut world = World::new(5);
    let (old, new) = (disk(5), disk(1));
    let slots: Vec<ChunkSlot> = (1..=12).map(|n| world.file(n).0).collect();
    let holders = |world: &World, slot: ChunkSlot| -> BTreeSet<DiskId> {
        world.fleet.locations(slot).iter().map(|one| one.disk).collect()
    };
    let before: Vec<_> = slots.iter().map(|slot| holders(&world, *slot)).collect();
    let moved = |before: &BTreeSet<DiskId>| before.contains(&old) && !before.contains(&new);
    assert!(before.iter().filter(|one| moved(one)).count() > 2, "{before:?}");
    world.mark(4, Some(Removing { drain_only: false, with: Some(new) }));
    let mut copies = 0;
    for _ in 0..600 {
        for n in 0..5 {
            let front = world.machines[usize::from(n)].inbox.front().map(|one| one.1.clone());
            if let Some(Order::Copy { disk, sources, .. }) = front
                && disk == new
            {
                assert_eq!(sources[0].disk, old, "what is near is read");
                copies += 1;
            }
            while world.obey(n, None) | world.finish_copy(n) | world.hear(n) {}
        }
        world.log_all();
        world.sync();
        world.advance(200);
    }
    assert!(copies > 0);
    assert!(world.is_closed(4));
    for (slot, before) in slots.into_iter().zip(before) {
        let after = holders(&world, slot);
        if moved(&before) {
            let wanted: BTreeSet<DiskId> =
                before.iter().map(|one| if *one == old { new } else { *one }).collect();
            assert_eq!(after, wanted);
        } else if !before.contains(&old) {
            assert_eq!(after, before, "it is left alone");
        }
    }
}

/// What a server does with a copy that it is to make.
#[derive(Clone, Copy, PartialEq)]
enum Copying {
    Makes,
    Fails,
    /// It is at it for ever.
    Hangs,
}

impl World {
    /// So many seconds, while servers do with copies of a chunk to a disk as is said. Copies ordered.
    fn copy_for(
        &mut self,
        seconds: u64,
        does: impl Fn(DiskId, ChunkId) -> Copying,
    ) -> BTreeMap<(DiskId, ChunkId), u64> {
        let mut copies = BTreeMap::new();
        for _ in 0..seconds * 10 {
            for n in 0..self.machines.len() as u8 {
                while let Some((_, what)) = self.machines[usize::from(n)].inbox.front().cloned() {
                    let Order::Copy { disk, chunk, .. } = what else {
                        self.obey(n, None);
                        continue;
                    };
                    *copies.entry((disk, chunk)).or_insert(0) += 1;
                    match does(disk, chunk) {
                        Copying::Makes => drop(self.obey(n, None)),
                        Copying::Fails => drop(self.obey(n, Some(Status::Io))),
                        Copying::Hangs => drop(self.machines[usize::from(n)].inbox.pop_front()),
                    }
                }
                while self.finish_copy(n) | self.hear(n) {}
            }
            self.log_all();
            self.sync();
            self.advance(100);
        }
        copies
    }
}

#[test]
fn a_chunk_whose_copy_to_the_replacement_fails_goes_to_another_disk() {
    for (is_endangered, does) in
        [(true, Copying::Fails), (false, Copying::Fails), (true, Copying::Hangs), (false, Copying::Hangs)]
    {
        let mut world = World::with_goal(4, 2);
        let (slot, grant) = world.file(1);
        let (old, other) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
        let mut rest = (0..4).filter(|n| *n != old && *n != other);
        let (new, spare) = (rest.next().unwrap(), rest.next().unwrap());
        world.mark(old, Some(Removing { drain_only: false, with: Some(disk(new + 1)) }));
        if is_endangered {
            world.disconnect(other);
        }
        // A copy that hangs is given up after ten minutes.
        let fails = |to| if to == disk(new + 1) { does } else { Copying::Makes };
        let copies = world.copy_for(700, |to, _| fails(to));
        assert!(copies.contains_key(&(disk(new + 1), grant.chunk)), "the replacement comes first");
        assert!(world.holders_of(slot).contains(&spare), "endangered: {is_endangered}, {copies:?}");
    }
}

#[test]
fn a_chunk_whose_only_disk_failed_once_goes_there_all_the_same() {
    let mut world = World::with_goal(3, 2);
    let (slot, grant) = world.file(1);
    let (old, other) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let new = (0..3).find(|n| *n != old && *n != other).unwrap();
    world.mark(old, Some(Removing { drain_only: false, with: Some(disk(new + 1)) }));
    world.copy_for(20, |_, _| Copying::Fails);
    world.copy_for(70, |_, _| Copying::Makes);
    assert!(world.holders_of(slot).contains(&new));
}

#[test]
fn an_endangered_chunk_does_not_wait_for_a_busy_replacement_and_others_do() {
    let (old, other, also_old, new) = (0, 1, 2, disk(4));
    for is_endangered in [true, false] {
        let mut world =
            World::with_options(5, FleetOptions { copies_per_server: 1, ..FleetOptions::default() });
        let files: Vec<_> = (1..=40).map(|n| world.file(n)).collect();
        let wanted = BTreeSet::from([old, other]);
        let concerned: BTreeSet<ChunkId> =
            (files.iter().filter(|(slot, _)| world.holders_of(*slot) == wanted))
                .map(|(_, grant)| grant.chunk)
                .collect();
        assert!(concerned.len() > 1);
        let hangs = |to, _| if to == new { Copying::Hangs } else { Copying::Makes };
        world.mark(also_old, Some(Removing { drain_only: false, with: Some(new) }));
        let begun = world.copy_for(1, hangs);
        assert!(begun.keys().any(|(to, _)| *to == new), "the replacement is busy: {begun:?}");
        world.mark(old, Some(Removing { drain_only: false, with: Some(new) }));
        if is_endangered {
            world.disconnect(other);
        }
        let copies = world.copy_for(120, hangs);
        let copied = copies.keys().filter(|(_, chunk)| concerned.contains(chunk)).count();
        assert_eq!(copied > 0, is_endangered, "{copies:?}");
    }
}
