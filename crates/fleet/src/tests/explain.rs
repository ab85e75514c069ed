//! What is said of a chunk: where it is, where it should be, and what is in the way.

use super::*;

impl World {
    fn explained(&self, slot: ChunkSlot) -> Explained {
        self.fleet.explain(&[slot], self.now_ms).remove(0)
    }

    /// Where the replica is to be that it wants and has not.
    fn not_held(&self, slot: ChunkSlot) -> At {
        let places = self.explained(slot).places;
        places.into_iter().map(|place| place.at).find(|at| !matches!(at, At::Held { .. })).unwrap()
    }

    /// What is in the way of a chunk, and how long yet.
    fn hindrance(&self, slot: ChunkSlot) -> Option<(Obstacle, Option<u64>)> {
        let (obstacle, until_ms) = self.explained(slot).hindrance?;
        Some((obstacle, until_ms.map(|until| until.saturating_sub(self.now_ms))))
    }
}

fn roles(explained: &Explained) -> Vec<(DiskId, Worth, Role)> {
    explained.replicas.iter().map(|one| (one.disk, one.worth, one.role)).collect()
}

/// Two servers with `ssd`, two with `hdd`, and a file of class 1.
fn given(layout: &str) -> (World, ChunkSlot) {
    let mut world = World::new(4);
    for n in 0..4 {
        world.label(n, if n < 2 { "ssd" } else { "hdd" });
    }
    world.set_class(1, layout, Mode::Strict);
    world.set_file(1, 1);
    let (slot, _) = world.file(1);
    (world, slot)
}

#[test]
fn a_chunk_that_is_well_is_where_its_class_wants_it_and_nothing_is_in_the_way() {
    let (world, slot) = given("ssd,hdd");
    let explained = world.explained(slot);
    assert_eq!((explained.hindrance, explained.copy), (None, None));
    assert!(roles(&explained).iter().all(|one| (one.1, one.2) == (Worth::Good, Role::Fits)), "{explained:?}");
    let wants: Vec<String> = explained.places.iter().map(|one| one.condition.to_string()).collect();
    assert_eq!(wants, ["ssd", "hdd"]);
    for (place, disks) in explained.places.iter().zip([[disk(1), disk(2)], [disk(3), disk(4)]]) {
        let At::Held { disk, off_label: false, off_spread: false } = place.at else { panic!("{place:?}") };
        assert!(disks.contains(&disk), "{place:?}");
    }
}

#[test]
fn a_label_that_no_disk_has_and_disks_that_cannot_take_more_are_told_apart() {
    let (mut world, slot) = given("2*ssd");
    world.set_class(1, "2*ssd,tape", Mode::Strict);
    assert_eq!(world.not_held(slot), At::Nowhere(Lack::default()), "no disk has the label");
    assert_eq!(world.hindrance(slot), Some((Obstacle::NoDisk, None)));
    // Both disks with it have a replica; a third server with the label is away, another has a disk that is to go.
    world.set_class(1, "3*ssd", Mode::Strict);
    assert_eq!(world.not_held(slot), At::Nowhere(Lack::default()));
    world.label(2, "ssd");
    world.disconnect(2);
    assert_eq!(world.not_held(slot), At::Nowhere(Lack { away: 1, ..Lack::default() }));
    world.connect(2);
    world.mark(2, Some(Removing { drain_only: false, with: None }));
    assert_eq!(world.not_held(slot), At::Nowhere(Lack { leaving: 1, ..Lack::default() }));
    world.mark(2, None);
    assert_eq!(world.not_held(slot), At::Free(disk(3)));
}

#[test]
fn a_replica_on_a_server_that_fell_silent_is_waited_for_and_it_is_said_how_long() {
    let (mut world, slot) = given("2*any");
    let goes = world.fleet.locations(slot)[0].disk.0[0] - 1;
    world.disconnect(goes);
    let left = world.options.heal_endangered_ms;
    assert_eq!(world.hindrance(slot), Some((Obstacle::Awaited, Some(left))));
    let away = world.explained(slot).replicas.into_iter().find(|one| one.disk == disk(goes + 1));
    assert_eq!(away.map(|one| (one.worth, one.role)), Some((Worth::Away, Role::None)));
    world.advance(left / 2);
    assert_eq!(world.hindrance(slot), Some((Obstacle::Awaited, Some(left - left / 2))));
    world.connect(goes);
    assert_eq!(world.hindrance(slot), None);
}

#[test]
fn a_chunk_in_the_wrong_place_says_what_stands_in_and_where_it_goes() {
    let (mut world, slot) = given("ssd,hdd");
    let before = world.explained(slot);
    world.set_class(1, "2*hdd", Mode::Strict);
    let explained = world.explained(slot);
    let At::Free(to) = world.not_held(slot) else { panic!("{explained:?}") };
    assert!(to == disk(3) || to == disk(4));
    assert!(before.replicas.iter().all(|one| one.disk != to), "it has none of it");
    assert_eq!(world.hindrance(slot), Some((Obstacle::Waiting, None)), "it was not looked at yet");
    let roles: Vec<Role> = explained.replicas.iter().map(|one| one.role).collect();
    assert!(roles.contains(&Role::StandsIn) && roles.contains(&Role::Fits), "{roles:?}");
    world.heal();
    assert_eq!(world.hindrance(slot), None);
}

#[test]
fn a_copy_says_from_where_to_where_and_since_when() {
    let (mut world, slot) = given("2*any");
    world.set_class(1, "3*any", Mode::Strict);
    world.advance(100);
    world.obey(0, None);
    let copy = world.explained(slot).copy.expect("it was begun");
    assert_eq!(world.hindrance(slot), Some((Obstacle::Copying, None)));
    assert!(world.fleet.locations(slot).iter().any(|one| one.disk == copy.from));
    assert!(world.fleet.locations(slot).iter().all(|one| one.disk != copy.to));
    world.heal();
    assert_eq!((world.explained(slot).copy, world.hindrance(slot)), (None, None));
}
