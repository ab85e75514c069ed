//! Hints for readers: the same host, labels that a client prefers, disks that a class wants read last.

use super::*;
use placement::{Condition, Layout, Policy};

fn condition(text: &str) -> Option<Condition> {
    Some(Condition::parse(text).unwrap())
}

/// A chunk on three machines, of a class that wants `read_last` so.
fn world(read_last: Option<&str>) -> (World, ChunkSlot) {
    let mut world = World::with_goal(3, 3);
    let keep = ClassPolicies::same(Policy::new(Layout::anywhere(3)));
    let read_last = read_last.and_then(condition);
    world.set_policies(1, ClassPolicies { read_last, ..keep });
    world.set_file(1, 1);
    let slot = world.file(1).0;
    (world, slot)
}

/// For which machines is said: the same host, preferred, read last.
fn says(same_host: &[u8], preferred: &[u8], read_last: &[u8]) -> [Vec<u8>; 3] {
    [same_host, preferred, read_last].map(<[u8]>::to_vec)
}

impl World {
    /// What a reader is told of the replicas of a chunk, all of which are told.
    fn hinted(&self, slot: ChunkSlot, class: u16, reader: &Reader) -> [Vec<u8>; 3] {
        let mut replicas = self.fleet.locations(slot);
        self.fleet.hint(ClassId(class), reader, &mut replicas);
        assert_eq!(replicas.len(), 3);
        let of = |is_so: fn(&ReadHints) -> bool| {
            let mut disks: Vec<u8> = replicas
                .iter()
                .filter(|replica| is_so(&replica.hints))
                .map(|replica| replica.disk.0[0] - 1)
                .collect();
            disks.sort_unstable();
            disks
        };
        [of(|hints| hints.same_host), of(|hints| hints.preferred), of(|hints| hints.read_last)]
    }
}

#[test]
fn the_replica_on_the_readers_host_is_told_whatever_the_ports_are() {
    let (world, slot) = world(None);
    assert_eq!(world.hinted(slot, 1, &Reader::default()), says(&[], &[], &[]));
    for peer in ["s1:40000", "[::ffff:s1]:40000", "s1"] {
        assert_eq!(world.hinted(slot, 1, &Reader::new(peer, None)), says(&[1], &[], &[]), "{peer}");
    }
    for peer in ["s:1", "s11:1", "[s1]:1"] {
        assert_eq!(world.hinted(slot, 1, &Reader::new(peer, None)), says(&[], &[], &[]), "{peer}");
    }
}

#[test]
fn labels_of_disks_and_of_their_servers_say_what_is_preferred_as_they_are_now() {
    let (mut world, slot) = world(None);
    let home = Reader::new("elsewhere:1", condition("site=home&!usb"));
    assert_eq!(world.hinted(slot, 1, &home), says(&[], &[], &[]));
    for n in [0, 1] {
        let labels = Labels::new([Label::new("site=home").unwrap()]).unwrap();
        world.tell(Event::ServerLabels { server: server(n + 1), labels });
    }
    world.label(1, "usb");
    assert_eq!(world.hinted(slot, 1, &home), says(&[], &[0], &[]));
    world.label(1, "ssd");
    world.label(2, "site=home");
    assert_eq!(world.hinted(slot, 1, &home), says(&[], &[0, 1, 2], &[]));
    world.label(0, "site=away");
    assert_eq!(world.hinted(slot, 1, &home), says(&[], &[1, 2], &[]), "the disk's own value counts");
}

#[test]
fn what_a_class_wants_read_last_is_told_of_its_chunks_alone_and_follows_its_edits() {
    let (mut world, slot) = world(Some("usb|site=far"));
    let reader = Reader::new("s0:7", condition("usb"));
    world.label(0, "usb");
    let labels = Labels::new([Label::new("site=far").unwrap()]).unwrap();
    world.tell(Event::ServerLabels { server: server(3), labels });
    assert_eq!(world.hinted(slot, 1, &reader), says(&[0], &[0], &[0, 2]));
    assert_eq!(world.hinted(slot, 1, &Reader::default()), says(&[], &[], &[0, 2]));
    assert_eq!(world.hinted(slot, 0, &reader), says(&[0], &[0], &[]), "another class says nothing of it");
    let explained = world.fleet.explain(&[slot], world.now_ms).remove(0);
    let said = explained.replicas.iter().filter(|replica| replica.read_last).map(|replica| replica.disk);
    assert_eq!(said.collect::<BTreeSet<_>>(), BTreeSet::from([disk(1), disk(3)]));
    world.set_policies(1, ClassPolicies::same(Policy::new(Layout::anywhere(3))));
    assert_eq!(world.hinted(slot, 1, &reader), says(&[0], &[0], &[]));
}
