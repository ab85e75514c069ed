//! What healing promises, one test each.

use super::*;

impl World {
    /// Time passes, and everything under way is done, until nothing is being healed any more.
    pub(super) fn heal(&mut self) {
        for _ in 0..200 {
            self.advance(30_000);
            self.settle();
        }
    }

    pub(super) fn machine_at(&self, grant: &GrantParts, at: usize) -> u8 {
        grant.chain[at].disk.0[0] - 1
    }

    /// Whether any order is on its way to any server.
    pub(super) fn is_busy(&self) -> bool {
        self.machines.iter().any(|one| !one.inbox.is_empty() || !one.copying.is_empty())
    }

    fn fail_disk(&mut self, n: u8) {
        let mut disks = self.info(n).disks;
        disks.iter_mut().for_each(|disk| disk.state = DiskState::Failed);
        let server = self.machines[usize::from(n)].id;
        self.tell(Event::Heartbeat { server, disks });
    }
}

#[test]
fn a_chunk_that_lost_a_server_gets_another_replica_after_the_hold_off() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let lost = world.machine_at(&grant, 1);
    world.disconnect(lost);
    world.advance(9_500);
    assert!(!world.is_busy());
    world.advance(500);
    assert!(world.is_busy());
    world.settle();
    let holders: Vec<DiskId> = world.fleet.locations(slot).iter().map(|one| one.disk).collect();
    assert_eq!(holders.len(), 2);
    assert!(!holders.contains(&disk(lost + 1)));
    assert_eq!((world.fleet.summary().ok, world.fleet.summary().copied), (1, 1));
    assert_eq!(world.replicas[&(holders[1], grant.chunk)].content, Content::from([1]));
    let next = world.grant(1).unwrap();
    assert_eq!(next.chain.len(), 2);
    assert!(world.write(&next, 7), "the new replica is a member like any other");
}

#[test]
fn the_replica_that_comes_back_after_a_copy_is_stale() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let lost = world.machine_at(&grant, 1);
    world.disconnect(lost);
    world.advance(10_000);
    world.settle();
    world.connect(lost);
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert!(world.fleet.locations(slot).iter().all(|one| one.disk != disk(lost + 1)));
}

#[test]
fn a_server_that_returns_in_time_is_not_replaced() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let lost = world.machine_at(&grant, 0);
    world.disconnect(lost);
    world.advance(9_000);
    world.connect(lost);
    world.heal();
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert_eq!(world.fleet.summary().copied, 0);
    assert_eq!(world.minted.get(&grant.chunk), None, "nobody was disturbed");
}

#[test]
fn with_two_replicas_left_a_silent_server_is_waited_for_longer() {
    let mut world = World::with_goal(4, 3);
    let (slot, grant) = world.file(1);
    world.disconnect(world.machine_at(&grant, 2));
    world.advance(59_500);
    assert!(!world.is_busy());
    world.advance(500);
    world.settle();
    assert_eq!(world.fleet.locations(slot).len(), 3);
}

#[test]
fn a_failed_disk_is_replaced_at_once() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    world.advance(10_000);
    world.fail_disk(world.machine_at(&grant, 1));
    world.advance(0);
    world.settle();
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn servers_that_fall_silent_together_are_waited_for_much_longer() {
    let mut world = World::new(5);
    let (slot, grant) = world.file(1);
    world.disconnect(world.machine_at(&grant, 1));
    let other = (0..5).find(|n| grant.chain.iter().all(|one| one.disk != disk(n + 1))).unwrap();
    world.disconnect(other);
    world.advance(599_500);
    assert!(!world.is_busy());
    world.advance(500);
    world.settle();
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn endangered_chunks_come_first_and_a_server_makes_no_more_copies_than_it_may() {
    let mut world = World::with_goal(4, 3);
    for file in 0..20 {
        world.file(file);
    }
    world.advance(10_000);
    world.disconnect(0);
    world.advance(60_001);
    // So far apart that neither silence is taken for a broken link.
    world.disconnect(1);
    world.advance(60_001);
    let most = world.options.copies_per_server;
    for _ in 0..200 {
        for n in 0..4u8 {
            let copies = |order: &&(OrderId, Order)| matches!(order.1, Order::Copy { .. });
            let machine = &world.machines[usize::from(n)];
            assert!(machine.inbox.iter().filter(copies).count() + machine.copying.len() <= most);
            let (summary, copying) = (world.fleet.summary(), machine.copying.front());
            if summary.endangered > most as u64 && copying.is_some() {
                let slot = world.map.iter().find(|(_, one)| Some(one.chunk) == copying.map(|one| one.chunk));
                assert_eq!(world.fleet.locations(*slot.unwrap().0).len(), 1, "another came first");
            }
            world.obey(n, None);
            world.hear(n);
        }
        world.log_all();
        world.sync();
        for n in 0..4u8 {
            world.finish_copy(n);
            world.hear(n);
        }
        world.advance(500);
    }
    let summary = world.fleet.summary();
    assert_eq!((summary.endangered, summary.undergoal), (0, 20), "two servers are left for three replicas");
}

#[test]
fn a_copy_whose_last_block_was_read_before_a_grant_never_counts() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let (head, tail) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let spare = 3 - head - tail;
    world.disconnect(tail);
    world.advance(10_000);
    world.obey(head, None);
    world.hear(head);
    world.log_all();
    world.sync();
    world.obey(spare, None);
    world.finish_copy(spare);
    // It is complete on its disk; the master hears of it only after it has let somebody write, without it.
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    world.obey(head, None);
    world.hear(head);
    let waiting = std::mem::take(&mut world.machines[usize::from(spare)].outbox);
    world.obey(spare, Some(Status::Io));
    world.hear(spare);
    world.log_all();
    world.sync();
    let alone = world.grants[&ticket].clone().unwrap();
    assert!(world.write(&alone, 9));
    world.machines[usize::from(spare)].outbox.extend(waiting);
    while world.hear(spare) {}
    assert_eq!(world.fleet.locations(slot), alone.chain);
    world.disconnect(spare);
    world.connect(spare);
    assert_eq!(world.fleet.locations(slot), alone.chain, "nor does it when it is reported");
}

#[test]
fn a_copy_that_cannot_be_made_is_tried_again_after_a_while() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let (head, tail) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let spare = 3 - head - tail;
    world.disconnect(tail);
    world.advance(10_000);
    for _ in 0..3 {
        world.obey(head, None);
        world.hear(head);
        world.log_all();
        world.sync();
        world.obey(spare, Some(Status::NoSpace));
        world.hear(spare);
        assert!(!world.is_busy());
        world.advance(10_000);
    }
    world.settle();
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn a_chunk_whose_disk_comes_back_does_not_wait_out_the_pause_after_failures() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let (head, tail) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let spare = 3 - head - tail;
    world.disconnect(tail);
    world.advance(10_000);
    for _ in 0..6 {
        world.obey(head, None);
        world.hear(head);
        world.log_all();
        world.sync();
        world.obey(spare, Some(Status::Io));
        world.hear(spare);
        world.advance(32_000);
    }
    while world.obey(head, None) | world.hear(head) | world.obey(spare, Some(Status::Io)) | world.hear(spare)
    {
        world.log_all();
        world.sync();
    }
    world.advance(1_000);
    assert!(!world.is_busy(), "it waits for the next try");
    // The lost replica is stale by now: its disk returns and is brought up to date at once.
    world.connect(tail);
    world.advance(200);
    world.settle();
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn no_copy_begins_while_settling_nor_before_disks_that_were_never_heard_have_had_their_time() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let lost = world.machine_at(&grant, 1);
    world.disconnect(lost);
    world.restart_master();
    for n in (0..3).filter(|n| *n != lost) {
        world.connect(n);
    }
    world.advance(9_000);
    assert!(!world.is_busy());
    // Settled after 30 s; one replica left is healed 10 s after the start, which is over then.
    world.advance(21_000);
    world.settle();
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn what_a_server_missed_is_brought_to_it_however_many_wait_for_that() {
    const FILES: u64 = 30;
    let mut world = World::new(3);
    (0..FILES).for_each(|file| drop(world.file(file)));
    let places = |world: &World| -> Vec<Vec<DiskId>> {
        let sorted = |slot| {
            let mut disks: Vec<DiskId> = world.fleet.locations(slot).iter().map(|one| one.disk).collect();
            disks.sort();
            disks
        };
        world.map.keys().map(|slot| sorted(*slot)).collect()
    };
    let before = places(&world);
    let missed = before.iter().filter(|disks| disks.contains(&disk(1))).count();
    assert!(missed > 2 * world.options.copies_per_server, "{missed}");
    world.disconnect(0);
    for file in 0..FILES {
        let grant = world.grant(file).unwrap();
        assert!(world.write(&grant, 100 + file));
    }
    world.connect(0);
    world.heal();
    assert_eq!(places(&world), before, "nobody else was given all of a chunk meanwhile");
    assert_eq!(world.fleet.summary().copied, missed as u64);
}

#[test]
fn a_chunk_removed_while_it_is_copied_leaves_nothing_behind() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    world.disconnect(world.machine_at(&grant, 1));
    world.advance(10_000);
    let (head, tail) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    world.obey(head, None);
    world.hear(head);
    world.log_all();
    world.sync();
    world.obey(3 - head - tail, None);
    world.remove(slot);
    world.settle();
    world.connect(tail);
    world.settle();
    world.heal();
    assert!(world.replicas.is_empty(), "{:?}", world.replicas);
    assert_eq!(world.fleet.summary().copying, 0);
}

#[test]
fn a_stale_replica_goes_when_enough_others_have_said_that_they_are_good() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let lost = world.machine_at(&grant, 1);
    world.disconnect(lost);
    world.advance(10_000);
    world.settle();
    world.connect(lost);
    world.advance(500);
    let verifies = world.machines.iter().flat_map(|one| &one.inbox);
    let verified = verifies.filter(|(_, what)| matches!(what, Order::Verify { .. })).count();
    assert_eq!((verified, world.deletes.len()), (2, 0), "both are asked before anything is deleted");
    world.settle();
    assert_eq!(world.deletes, [(disk(lost + 1), grant.chunk)]);
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert_eq!(world.replicas.len(), 2);
}

#[test]
fn a_stale_replica_stays_while_one_of_the_others_is_in_doubt() {
    let mut world = World::new(3);
    let (_, grant) = world.file(1);
    let lost = world.machine_at(&grant, 1);
    world.disconnect(lost);
    world.advance(10_000);
    world.settle();
    world.connect(lost);
    world.advance(500);
    let head = world.machine_at(&grant, 0);
    world.obey(head, Some(Status::Io));
    world.settle();
    assert!(world.deletes.is_empty());
    world.heal();
    assert_eq!(world.deletes.len(), 1, "later, when it is well");
}

#[test]
fn a_replica_too_many_goes_without_a_writer_losing_its_chain() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let (head, tail) = (world.machine_at(&grant, 0), world.machine_at(&grant, 1));
    let spare = 3 - head - tail;
    // A third replica of the chunk's version turns up (one that took a raise and was not heard).
    let copy = world.replicas[&(disk(head + 1), grant.chunk)].clone();
    world.replicas.insert((disk(spare + 1), grant.chunk), copy);
    world.disconnect(spare);
    world.connect(spare);
    assert_eq!(world.fleet.summary().overgoal, 1);
    let next = world.grant(1).unwrap();
    assert!(world.write(&next, 8), "all three are written");
    world.heal();
    assert_eq!((world.fleet.summary().overgoal, world.fleet.summary().ok), (0, 1));
    assert_eq!((world.replicas.len(), world.fleet.locations(slot).len()), (2, 2));
    let after = world.grant(1).unwrap();
    assert!(world.write(&after, 9));
}

#[test]
fn nothing_is_removed_below_the_goal() {
    let mut world = World::new(2);
    let (_, grant) = world.file(1);
    let away = world.machine_at(&grant, 1);
    world.disconnect(away);
    let alone = world.grant(1).unwrap();
    assert!(world.write(&alone, 2));
    world.connect(away);
    world.settle();
    assert!(world.deletes.is_empty());
    // The stale one is in the way of the only copy there can be, and is replaced by it.
    world.heal();
    assert!(world.deletes.is_empty());
    assert_eq!(world.fleet.summary().ok, 1);
}

#[test]
fn a_stale_replica_has_its_turn_again_when_copies_elsewhere_fail() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let lost = world.machine_at(&grant, 0);
    let other = (0..3).find(|n| grant.chain.iter().all(|one| one.disk != disk(n + 1))).unwrap();
    let heal = |world: &mut World| {
        for _ in 0..20 {
            world.advance(30_000);
            while world.is_busy() {
                for n in 0..3 {
                    let copies =
                        matches!(world.machines[usize::from(n)].inbox.front(), Some((_, Order::Copy { .. })));
                    world.obey(n, (copies && n == other).then_some(Status::Io));
                    world.finish_copy(n);
                    world.hear(n);
                }
                world.log_all();
                world.sync();
            }
            world.settle();
        }
    };
    world.disconnect(lost);
    heal(&mut world);
    assert_eq!(world.fleet.locations(slot).len(), 1, "nobody takes a copy");
    world.connect(lost);
    heal(&mut world);
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn only_so_many_replicas_are_mended_at_a_time_and_all_in_the_end() {
    let mut world = World::new(3);
    for file in 0..40 {
        let (_, grant) = world.file(file);
        world.rot(grant.chain[0].disk, grant.chunk, 1);
    }
    let under_way = |world: &World| {
        let inboxes = world.machines.iter().flat_map(|one| &one.inbox);
        inboxes.filter(|(_, order)| matches!(order, Order::Mend { .. })).count()
    };
    let mut most = 0;
    for _ in 0..60 {
        world.advance(1_000);
        for n in 0..3 {
            while world.hear(n) {}
            // Everything is carried out but these, which pile up as far as they may.
            let is_other = |one: &(OrderId, Order)| !matches!(one.1, Order::Mend { .. });
            while let Some(at) = world.machines[usize::from(n)].inbox.iter().position(is_other) {
                let inbox = &mut world.machines[usize::from(n)].inbox;
                let other = inbox.remove(at).unwrap();
                inbox.push_front(other);
                world.obey(n, None);
            }
            world.finish_copy(n);
        }
        world.log_all();
        world.sync();
        most = most.max(under_way(&world));
    }
    assert_eq!(most, 16);
    world.heal();
    assert!(world.replicas.values().all(|replica| replica.damaged.is_empty()));
}

/// After a loss of power every chunk that was written lately is to be compared: in turn, so that orders fit into a link and
/// who asks for a chunk does not wait behind all others.
#[test]
fn many_chunks_to_be_compared_are_raised_some_at_a_time_and_all() {
    let mut world = World::new(2);
    let files: Vec<_> = (1..=160).map(|n| world.file(n)).collect();
    for (slot, grant) in &files {
        let (disk, chunk, version) = (grant.chain[0].disk, grant.chunk, grant.version);
        world.replicas.get_mut(&(disk, chunk)).unwrap().marked = true;
        world.tell(Event::Unsettled { disk, slot: Some(*slot), chunk, version });
    }
    for _ in 0..20 {
        world.advance(world.fleet.options.quiet_ms);
        let running = world.fleet.raises.len();
        assert!(running <= crate::heal::RAISES_MAX, "{running} at once");
        world.settle();
    }
    assert_eq!(world.fleet.healing.unsettled(), 0);
}

/// One has a page of its record table that its disk cannot read, the other one has rot that nobody has met: the first was taken for
/// hopeless, set aside for a copy of the second, and with it the only sound copy of a page.
#[test]
fn a_replica_that_cannot_be_mended_goes_only_after_another_one_was_read_whole() {
    for servers in [2, 3] {
        let mut world = World::new(servers);
        let (slot, grant) = world.file(1);
        let (hopeless, other) = (grant.chain[0].disk, grant.chain[1].disk);
        world.replicas.get_mut(&(other, grant.chunk)).unwrap().damaged.insert(2);
        world.rot(hopeless, grant.chunk, 1);
        for _ in 0..40 * 20 {
            world.advance(1_500);
            for n in 0..servers {
                let front = world.machines[usize::from(n)].inbox.front().map(|one| &one.1);
                let fails = matches!(front, Some(Order::Mend { disk, .. }) if *disk == hopeless);
                world.obey(n, fails.then_some(Status::Io));
                world.finish_copy(n);
                while world.hear(n) {}
            }
            world.log_all();
            world.sync();
        }
        let disks: Vec<DiskId> =
            world.fleet.table.replicas(slot).sound().map(|disk| world.fleet.hosts.disk(disk).id).collect();
        assert_eq!(disks.len(), 2, "{servers} servers");
        let damaged = |disk| world.replicas[&(disk, grant.chunk)].damaged.clone();
        assert!(disks.iter().all(|disk| damaged(*disk).is_empty()), "{servers} servers");
    }
}

/// What the first one lacks is on no other, so it stays damaged; what the second one lacks is on the first.
#[test]
fn a_replica_that_cannot_be_mended_does_not_keep_another_one_from_it() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (one, other) = (grant.chain[0].disk, grant.chain[1].disk);
    world.rot(one, grant.chunk, 1);
    world.rot(other, grant.chunk, 1);
    world.rot(other, grant.chunk, 2);
    for _ in 0..200 {
        world.advance(5_000);
        for n in 0..2 {
            world.obey(n, None);
            while world.hear(n) {}
        }
        world.log_all();
        world.sync();
    }
    assert_eq!(world.fleet.table.replicas(slot).damaged().count(), 2);
    let left = |disk| world.replicas[&(disk, grant.chunk)].damaged.iter().copied().collect::<Vec<_>>();
    assert_eq!((left(one), left(other)), (vec![1], vec![1]));
}

/// A writer asked for a grant while the other one was being read: the raise took the hopeless one for a member without damage.
#[test]
fn a_replica_that_cannot_be_mended_is_not_taken_for_sound_after_a_raise_meanwhile() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (hopeless, other) = (grant.chain[0].disk, grant.chain[1].disk);
    world.rot(hopeless, grant.chunk, 1);
    let mut met = false;
    for _ in 0..100 {
        world.advance(1_500);
        for n in 0..2 {
            let front = world.machines[usize::from(n)].inbox.front().map(|one| one.1.clone());
            let mends = |disk| matches!(&front, Some(Order::Mend { disk: of, .. }) if *of == disk);
            world.obey(n, mends(hopeless).then_some(Status::Io));
            if mends(other) && !met {
                met = true;
                world.want((inode(1), ZERO), SESSION, None);
            }
            world.finish_copy(n);
            while world.hear(n) {}
        }
        world.log_all();
        world.sync();
        let is_damaged = !world.replicas[&(hopeless, grant.chunk)].damaged.is_empty();
        let disk = world.fleet.hosts.disk_number(hopeless).unwrap();
        let state = world.fleet.table.replicas(slot).state(disk);
        assert!(!(met && is_damaged && state == Some(crate::table::ReplicaState::Current)));
    }
    assert!(met);
}
