//! What an edit would do is what it does.

use super::*;

impl World {
    /// All effects of an edit: replicas to add, to drop, lacking and amiss.
    fn effects(&self, edit: &Edit) -> [usize; 4] {
        let mut plan = self.fleet.plan_edit(edit);
        let mut sum = [0; 4];
        while let Some(found) = self.fleet.go_on_with_edit(&mut plan) {
            for (_, EditEffect { add, drop, lacking, amiss }) in found {
                sum = [sum[0] + add, sum[1] + drop, sum[2] + lacking, sum[3] + amiss];
            }
        }
        sum
    }

    fn done_so_far(&self) -> [usize; 2] {
        let summary = self.fleet.summary();
        [summary.copied as usize, summary.removed as usize]
    }
}

fn class(layout: &str, mode: Mode) -> Edit {
    let policy =
        placement::Policy { mode, ..placement::Policy::new(placement::Layout::parse(layout).unwrap()) };
    Edit::Class(ClassId(1), Box::new(ClassPolicies::same(policy)))
}

/// Two servers with `ssd`, two with `hdd`, three files of class 1 and one of another.
fn given(layout: &str) -> World {
    let mut world = World::new(4);
    for n in 0..4 {
        world.label(n, if n < 2 { "ssd" } else { "hdd" });
    }
    world.set_class(1, layout, Mode::Strict);
    for file in 1..4 {
        world.set_file(file, 1);
        world.file(file);
    }
    world.file(9);
    world
}

#[test]
fn an_edit_of_a_class_adds_and_drops_what_its_plan_says() {
    for (before, after, planned) in [
        ("2*ssd", "2*hdd", [6, 6, 0, 0]),
        ("2*ssd", "ssd,hdd", [3, 3, 0, 0]),
        ("2*any", "3*any", [3, 0, 0, 0]),
        ("3*any", "any", [0, 6, 0, 0]),
        ("2*ssd", "2*ssd,tape", [0, 0, 3, 0]),
        ("2*any", "2*any", [0, 0, 0, 0]),
    ] {
        let mut world = given(before);
        let edit = class(after, Mode::Strict);
        assert_eq!(world.effects(&edit), planned, "{before} -> {after}");
        assert_eq!(world.effects(&edit), planned, "a plan changes nothing");
        world.set_class(1, after, Mode::Strict);
        assert_eq!(world.effects(&edit), [0; 4], "what is to be done already is not the edit's");
        world.heal();
        assert_eq!(world.done_so_far(), planned[..2], "{before} -> {after}");
    }
}

#[test]
fn an_edit_of_labels_concerns_the_chunks_there_and_those_that_waited_for_the_label() {
    let mut world = given("2*ssd");
    let labels = |text: &str| Labels::new([Label::new(text).unwrap()]).unwrap();
    let edit = Edit::Labels(Holder::Disk(disk(2)), labels("hdd"));
    assert_eq!(world.effects(&edit), [0, 0, 0, 3], "no other disk has the label: they stay");
    world.label(1, "hdd");
    world.heal();
    assert_eq!(world.done_so_far(), [0, 0]);
    let edit = Edit::Labels(Holder::Disk(disk(3)), labels("ssd"));
    assert_eq!(world.effects(&edit), [3, 3, 0, 0]);
    world.label(2, "ssd");
    world.heal();
    assert_eq!(world.done_so_far(), [3, 3]);
}

#[test]
fn files_that_get_another_class_are_judged_by_it() {
    let mut world = given("2*ssd");
    world.set_class(2, "3*any", Mode::Strict);
    let mut plan = world.fleet.plan_edit(&Edit::Files);
    let slots: Vec<ChunkSlot> =
        world.map.iter().filter(|(_, one)| one.class == ClassId(1)).map(|(slot, _)| *slot).collect();
    for slot in slots {
        let effect = world.fleet.edit_effect(&mut plan, slot, ClassId(2));
        assert_eq!((effect.add, effect.drop), (1, 0));
    }
}

#[test]
fn copies_are_timed() {
    let mut world = given("2*any");
    assert_eq!(world.fleet.pace(), Pace { copies: 0, mean_ms: 0, at_once: 16 });
    world.set_class(1, "3*any", Mode::Strict);
    world.heal();
    let pace = world.fleet.pace();
    assert_eq!((pace.copies, pace.at_once), (3, 16));
    world.fleet.measure_copy(1_000, 5_000);
    assert!(world.fleet.pace().mean_ms >= 1_000, "{:?}", world.fleet.pace());
}
