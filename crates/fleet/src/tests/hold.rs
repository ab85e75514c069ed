//! What an edit makes dispensable stays for a while; what healing makes too many does not.

use super::classes::policy;
use super::*;

const HOLD_MS: u64 = 3_600_000;
/// Long enough for a few ticks.
const PART_MS: u64 = HOLD_MS / 64;

/// Servers 0 and 1 have `ssd`, the others `hdd`; class 1 is held for an hour.
fn given(servers: u8, layout: &str) -> (World, ChunkSlot) {
    let mut world = World::with_options(servers, FleetOptions::default());
    world.hold_ms = HOLD_MS;
    for n in 0..servers {
        world.label(n, if n < 2 { "ssd" } else { "hdd" });
    }
    world.set_class(1, layout, Mode::Standard);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    (world, slot)
}

impl World {
    /// Time passes in steps, and everything under way is done.
    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.end_holds();
            self.advance((end_ms - self.now_ms).min(10_000));
            self.settle();
        }
    }

    /// An edit is about to be made.
    pub(super) fn hold(&mut self, cause: HeldFor) {
        if self.hold_ms == 0 {
            return;
        }
        let known = self.holds.iter().find(|(_, (of, _))| *of == cause).map(|(hold, _)| *hold);
        let hold = known.unwrap_or_else(|| {
            self.held += 1;
            HoldId(self.held)
        });
        let until_ms = self.now_ms + self.hold_ms;
        self.holds.insert(hold, (cause.clone(), until_ms));
        self.tell(Event::Held { hold, cause, until_ms });
    }

    pub(super) fn tell_holds(&mut self) {
        for (hold, (cause, until_ms)) in self.holds.clone() {
            let event = Event::Held { hold, cause, until_ms };
            self.fleet.handle(event, self.now_ms, &mut Vec::new());
        }
    }

    fn end_holds(&mut self) {
        let over = |(_, (_, until_ms)): &(&HoldId, &(HeldFor, u64))| *until_ms <= self.now_ms;
        let over: Vec<HoldId> = self.holds.iter().filter(over).map(|(hold, _)| *hold).collect();
        for hold in over {
            self.end_hold(hold);
        }
    }

    fn end_hold(&mut self, hold: HoldId) {
        self.holds.remove(&hold).unwrap();
        self.tell(Event::HoldEnded { hold });
    }

    /// A new reign, and all servers register.
    fn start_anew(&mut self) {
        self.restart_master();
        for n in 0..self.machines.len() as u8 {
            self.connect(n);
        }
    }

    fn disks_of(&self, slot: ChunkSlot) -> BTreeSet<u8> {
        self.fleet.locations(slot).iter().map(|one| one.disk.0[0] - 1).collect()
    }

    fn done(&self) -> (u64, u64) {
        let summary = self.fleet.summary();
        (summary.copied, summary.removed)
    }
}

#[test]
fn an_edit_that_is_taken_back_within_the_hold_copies_nothing() {
    let (mut world, slot) = given(4, "3*any");
    let before = world.disks_of(slot);
    world.set_class(1, "2*any", Mode::Standard);
    world.pass(HOLD_MS - PART_MS);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), (before.clone(), 1));
    world.set_class(1, "3*any", Mode::Standard);
    world.pass(2 * HOLD_MS);
    assert_eq!((world.disks_of(slot), world.done()), (before, (0, 0)));
    assert_eq!(world.fleet.summary().held, 0);
}

#[test]
fn what_is_held_goes_when_its_time_is_over() {
    let (mut world, slot) = given(4, "3*any");
    world.set_class(1, "2*any", Mode::Standard);
    world.pass(HOLD_MS + 2 * PART_MS);
    assert_eq!((world.disks_of(slot).len(), world.done()), (2, (0, 1)));
    assert_eq!(world.fleet.summary().held, 0);
}

#[test]
fn what_was_held_and_is_good_no_longer_is_forgotten_with_its_hold() {
    let (mut world, slot) = given(4, "3*any");
    world.set_class(1, "2*any", Mode::Standard);
    world.pass(10_000);
    let explained = world.fleet.explain(&[slot], world.now_ms).remove(0);
    let held = explained.replicas.iter().find(|one| one.held_until_ms.is_some()).unwrap().disk;
    world.disconnect(held.0[0] - 1);
    let grant = world.grant(1).unwrap();
    assert!(world.write(&grant, 2) && !grant.chain.iter().any(|member| member.disk == held));
    world.settle();
    world.pass(HOLD_MS + 2 * PART_MS);
    assert_eq!((world.fleet.summary().held, world.disks_of(slot).len()), (0, 2));
}

#[test]
fn nothing_goes_between_the_end_of_a_hold_and_the_look_at_what_another_one_wants() {
    let (mut world, slot) = given(5, "4*any");
    for layout in ["3*any", "2*any"] {
        world.set_class(1, layout, Mode::Standard);
        world.pass(10_000);
    }
    let held = |world: &World| {
        let all = world.fleet.held_by().into_iter();
        all.filter(|(_, replicas)| *replicas > 0).collect::<Vec<(HoldId, u64)>>()
    };
    let [(first, 1), (second, 1)] = held(&world)[..] else { panic!("{:?}", held(&world)) };
    world.end_hold(second);
    world.fleet.look_again(slot);
    assert!(!world.fleet.has_surplus(slot));
    world.pass(10_000);
    assert_eq!((world.disks_of(slot).len(), held(&world)), (4, vec![(first, 2)]));
}

#[test]
fn what_moves_by_an_edit_leaves_its_old_replicas_held_and_a_way_back() {
    let (mut world, slot) = given(4, "2*ssd");
    world.set_class(1, "2*hdd", Mode::Standard);
    world.pass(HOLD_MS / 4);
    assert_eq!(
        (world.disks_of(slot), world.done()),
        ([0, 1, 2, 3].into(), (2, 0)),
        "both are there, both were kept"
    );
    let explained = world.fleet.explain(&[slot], world.now_ms).remove(0);
    let held =
        explained.replicas.iter().filter(|one| one.held_until_ms.is_some() && one.role == Role::Surplus);
    assert_eq!(held.count(), 2);
    assert!(matches!(explained.hindrance, Some((Obstacle::Held, Some(_)))), "{explained:?}");
    // Back again, and then the other way for good.
    world.set_class(1, "2*ssd", Mode::Standard);
    world.pass(HOLD_MS / 4);
    assert_eq!(world.done(), (2, 0));
    world.pass(HOLD_MS);
    assert_eq!((world.disks_of(slot), world.done()), ([0, 1].into(), (2, 2)));
}

#[test]
fn a_label_and_another_class_of_a_file_hold_as_well() {
    let (mut world, slot) = given(4, "2*ssd");
    world.label(1, "hdd");
    world.label(2, "ssd");
    world.pass(HOLD_MS / 4);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([0, 1, 2].into(), 1));
    world.pass(HOLD_MS);
    assert_eq!(world.disks_of(slot), [0, 2].into());
    world.set_class(2, "any", Mode::Standard);
    world.set_file(1, 2);
    world.pass(HOLD_MS / 4);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([0, 2].into(), 1));
    world.set_file(1, 1);
    world.pass(HOLD_MS);
    assert_eq!((world.disks_of(slot), world.done()), ([0, 2].into(), (1, 1)));
}

#[test]
fn what_healing_makes_too_many_is_not_held_whatever_was_edited() {
    let (mut world, slot) = given(8, "3*any");
    world.set_class(1, "2*any", Mode::Standard);
    world.pass(10_000);
    let held: BTreeSet<u8> = {
        let explained = world.fleet.explain(&[slot], world.now_ms).remove(0);
        let held = explained.replicas.iter().filter(|one| one.held_until_ms.is_some());
        held.map(|one| one.disk.0[0] - 1).collect()
    };
    assert_eq!(held.len(), 1);
    // Both others are lost, and what is made instead is under a version that nobody writes: the held one counts.
    let lost: Vec<u8> = world.disks_of(slot).difference(&held).copied().collect();
    for n in &lost {
        world.disconnect(*n);
    }
    world.pass(HOLD_MS / 4);
    assert_eq!((world.disks_of(slot).len(), world.done().0), (2, 1));
    let made = world.disks_of(slot).difference(&held).copied().next().unwrap();
    world.disconnect(made);
    world.pass(HOLD_MS / 8);
    let again = world.disks_of(slot).difference(&held).copied().next().unwrap();
    world.disconnect(again);
    world.pass(HOLD_MS / 8);
    assert_eq!((world.disks_of(slot).len(), world.done().0), (2, 3));
    // Both come back with all that there is: two are wanted besides the one that is held.
    for n in [made, again] {
        world.connect(n);
    }
    world.pass(HOLD_MS / 8);
    let now = world.disks_of(slot);
    assert!(now.is_superset(&held), "{now:?}");
    assert_eq!((now.len(), world.done().1), (3, 1));
    world.pass(HOLD_MS);
    assert_eq!(world.disks_of(slot).len(), 2);
}

#[test]
fn a_disk_that_is_to_go_and_one_without_room_give_up_what_they_hold() {
    for without_room in [false, true] {
        let (mut world, slot) = given(4, "2*ssd");
        world.set_class(1, "2*hdd", Mode::Standard);
        world.pass(10_000);
        assert_eq!(world.disks_of(slot).len(), 4);
        if without_room {
            let mut disks = world.info(0).disks;
            disks[0].free_bytes = CHUNK_BYTES;
            world.tell(Event::Heartbeat { server: server(1), disks });
        } else {
            world.mark(0, Some(Removing { drain_only: true, with: None }));
        }
        world.pass(10_000);
        assert_eq!(world.disks_of(slot), [1, 2, 3].into(), "{without_room}");
        assert_eq!(world.fleet.summary().held, 1);
    }
}

#[test]
fn another_edit_moves_what_it_concerns_while_something_is_held() {
    let (mut world, slot) = given(6, "2*ssd");
    for n in 4..6 {
        world.label(n, "nvme");
    }
    world.set_class(1, "2*hdd", Mode::Standard);
    world.pass(10_000);
    world.set_class(1, "2*nvme", Mode::Standard);
    world.pass(10_000);
    assert!(world.disks_of(slot).is_superset(&[4, 5].into()), "{:?}", world.disks_of(slot));
    world.pass(2 * HOLD_MS);
    assert_eq!((world.disks_of(slot), world.done()), ([4, 5].into(), (4, 4)));
}

#[test]
fn what_comes_into_another_stage_before_the_look_is_held_only_where_the_edit_wants_less() {
    let (mut world, slot) = given(4, "2*ssd");
    world.set_stages(1, "2*ssd", [Some("2*hdd"), None]);
    world.pass(10_000);
    // An edit that makes nothing dispensable, and no tick after it.
    world.label(0, "ssd other");
    world.set_stage(1, Stage { archived: true, trashed: false });
    world.pass(10_000);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([2, 3].into(), 0));
    world.set_stages(1, "2*ssd", [Some("hdd"), None]);
    world.set_stage(1, Stage::default());
    world.pass(10_000);
    assert_eq!((world.disks_of(slot).len(), world.fleet.summary().held), (3, 1));
    assert!(world.disks_of(slot).is_superset(&[0, 1].into()));
}

#[test]
fn labels_that_a_registration_tells_again_are_no_edit() {
    let (mut world, slot) = given(4, "2*ssd");
    world.set_stages(1, "2*ssd", [Some("2*hdd"), None]);
    world.set_stage(1, Stage { archived: true, trashed: false });
    world.pass(HOLD_MS * 2);
    assert_eq!(world.disks_of(slot), [2, 3].into());
    world.restart_master();
    world.set_stage(1, Stage::default());
    for n in 0..4 {
        world.label(n, if n < 2 { "ssd" } else { "hdd" });
        world.connect(n);
    }
    world.pass(60_000);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([0, 1].into(), 0));
}

#[test]
fn a_chunk_that_is_born_before_the_look_is_not_held() {
    let (mut world, _) = given(4, "2*ssd");
    world.label(0, "ssd other");
    let three = ClassPolicies::same(policy("3*any", Mode::Standard));
    world.set_policies(
        1,
        ClassPolicies { create: three.keep.clone(), keep: policy("2*any", Mode::Standard), ..three },
    );
    world.set_file(2, 1);
    let (slot, _) = world.file(2);
    world.pass(600_000);
    assert_eq!((world.disks_of(slot).len(), world.fleet.summary().held), (2, 0));
}

#[test]
fn nothing_goes_between_an_edit_and_the_look_at_its_chunks() {
    let (mut world, slot) = given(4, "3*any");
    world.set_class(1, "2*any", Mode::Standard);
    // Something else looks at the chunk first.
    world.fleet.look_again(slot);
    assert!(!world.fleet.has_surplus(slot));
    world.label(0, "ssd other");
    world.fleet.look_again(slot);
    assert!(!world.fleet.has_surplus(slot));
    world.pass(10_000);
    assert_eq!((world.disks_of(slot).len(), world.fleet.summary().held), (3, 1));
}

#[test]
fn what_an_edit_made_dispensable_is_held_after_a_restart_of_the_master_too() {
    let (mut world, slot) = given(4, "2*ssd");
    world.set_class(1, "2*hdd", Mode::Standard);
    world.pass(HOLD_MS / 4);
    assert_eq!(world.fleet.summary().held, 2);
    world.start_anew();
    world.pass(HOLD_MS / 4);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([0, 1, 2, 3].into(), 2));
    // It is taken back, and nothing is copied.
    world.set_class(1, "2*ssd", Mode::Standard);
    world.pass(HOLD_MS / 4);
    assert_eq!(world.done(), (0, 0));
    world.start_anew();
    world.pass(2 * HOLD_MS);
    assert_eq!((world.disks_of(slot), world.done()), ([0, 1].into(), (0, 2)));
}

#[test]
fn a_disk_that_comes_long_after_the_restart_has_its_replicas_held_as_well() {
    for layout in ["3*any", "2*ssd,hdd"] {
        let (mut world, slot) = given(3, layout);
        world.set_class(1, "2*any", Mode::Standard);
        world.pass(10_000);
        let held = world.fleet.held_by();
        assert_eq!(held.values().sum::<u64>(), 1, "{held:?}");
        for late in 0..3 {
            world.restart_master();
            for n in (0..3).filter(|n| *n != late) {
                world.connect(n);
            }
            world.pass(120_000);
            world.connect(late);
            world.pass(60_000);
            assert_eq!((world.disks_of(slot).len(), world.fleet.summary().held), (3, 1), "{layout}, {late}");
        }
        world.pass(2 * HOLD_MS);
        assert_eq!(world.disks_of(slot).len(), 2);
    }
}

#[test]
fn a_hold_of_labels_is_kept_over_a_restart_by_what_they_were() {
    let (mut world, slot) = given(4, "2*ssd");
    world.label(2, "ssd");
    world.label(1, "hdd");
    world.pass(HOLD_MS / 4);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([0, 1, 2].into(), 1));
    world.start_anew();
    world.pass(HOLD_MS / 4);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([0, 1, 2].into(), 1));
    world.pass(2 * HOLD_MS);
    assert_eq!(world.disks_of(slot), [0, 2].into());
}

#[test]
fn a_hold_that_is_ended_lets_go_of_what_no_other_one_wants() {
    let (mut world, slot) = given(6, "2*ssd");
    for n in 4..6 {
        world.label(n, "nvme");
    }
    world.set_class(1, "2*hdd", Mode::Standard);
    world.pass(10_000);
    world.set_class(1, "2*nvme", Mode::Standard);
    world.pass(10_000);
    assert_eq!(world.disks_of(slot).len(), 6);
    let of_class: Vec<HoldId> =
        world.fleet.held_by().into_iter().filter(|one| one.1 == 2).map(|one| one.0).collect();
    world.end_hold(of_class[0]);
    world.pass(10_000);
    assert_eq!(world.disks_of(slot), [2, 3, 4, 5].into(), "what was wanted before the first edit goes");
    world.end_hold(of_class[1]);
    world.pass(10_000);
    assert_eq!((world.disks_of(slot), world.fleet.summary().held), ([4, 5].into(), 0));
}

#[test]
fn what_was_too_many_before_an_edit_is_not_held_by_it() {
    let (mut world, slot) = given(4, "3*any");
    // One comes back after another one was made in its place.
    let away = *world.disks_of(slot).first().unwrap();
    world.disconnect(away);
    world.pass(120_000);
    assert_eq!(world.disks_of(slot).len(), 3);
    world.connect(away);
    world.set_class(1, "2*any", Mode::Standard);
    world.pass(120_000);
    assert_eq!((world.disks_of(slot).len(), world.fleet.summary().held), (3, 1));
}

/// Found by the day of a large cluster (`tests/day`): what is held made up the number, and nobody waited.
#[test]
fn a_replica_that_is_where_it_should_be_is_waited_for_although_others_make_up_the_number() {
    let (mut world, slot) = given(4, "2*ssd");
    [2, 3].into_iter().for_each(|n| world.label(n, "ssd"));
    world.label(1, "hdd");
    world.pass(10_000);
    assert_eq!(
        (world.disks_of(slot).len(), world.done()),
        (3, (1, 0)),
        "one moved, and its old place is held"
    );
    world.disconnect(0);
    world.pass(world.options.heal_ms - 1_000);
    world.connect(0);
    world.pass(HOLD_MS / 4);
    assert_eq!(world.done(), (1, 0), "the server that returned costs a copy");
    world.disconnect(0);
    world.pass(world.options.heal_ms + 30_000);
    assert_eq!(world.done().0, 2, "one that does not return is replaced");
}
