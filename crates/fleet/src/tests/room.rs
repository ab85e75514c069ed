//! What a writer whose disks are full is promised.

use super::*;

impl World {
    /// Every disk of these machines has so many bytes free, by heartbeat.
    fn set_free(&mut self, machines: impl IntoIterator<Item = u8>, free_bytes: u64) {
        for n in machines {
            let mut disks = self.info(n).disks;
            disks.iter_mut().for_each(|disk| disk.free_bytes = free_bytes);
            let server = self.machines[usize::from(n)].id;
            self.tell(Event::Heartbeat { server, disks });
        }
    }

    /// A member of the chain has no room.
    fn no_room(&mut self, grant: &GrantParts, at: usize) -> Result<GrantParts, Status> {
        let hop = FailedHop {
            chunk: grant.chunk,
            version: grant.version,
            from: None,
            to: grant.chain[at].disk,
            status: Status::NoSpace,
        };
        self.grant_after(1, Some(hop))
    }
}

#[test]
fn a_writer_whose_disks_are_all_full_goes_on_elsewhere_without_an_error() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let full: Vec<u8> = grant.chain.iter().map(|member| member.disk.0[0] - 1).collect();
    world.set_free(full, 1 << 20);
    let alone = world.no_room(&grant, 0).unwrap();
    assert_eq!(alone.chain, grant.chain[1..]);
    assert_eq!(world.no_room(&alone, 0), Err(Status::TryAgain), "it is being copied");
    let next = world.grant(1).unwrap();
    assert_eq!((next.chain.len(), next.chunk), (2, grant.chunk));
    let at = next.chain.iter().position(|member| *member == alone.chain[0]).unwrap();
    let last = world.no_room(&next, at).unwrap();
    assert!(last.chain.iter().all(|member| !grant.chain.contains(member)), "{last:?}");
    assert!(world.write(&last, 7));
    let found = &world.replicas[&(last.chain[0].disk, grant.chunk)];
    assert_eq!(found.content, Content::from([1, 7]), "what was written before is there");
    assert!(world.fleet.locations(slot).len() == 1);
}

#[test]
fn a_copy_for_a_writer_without_room_is_not_ended_by_that_writers_next_try() {
    let mut world = World::new(2);
    let (_, grant) = world.file(1);
    world.disconnect(grant.chain[1].disk.0[0] - 1);
    let alone = world.grant(1).unwrap();
    let (full, other) = (grant.chain[0].disk.0[0] - 1, grant.chain[1].disk.0[0] - 1);
    world.set_free([full], 1 << 20);
    world.connect(other);
    let hop = FailedHop {
        chunk: alone.chunk,
        version: alone.version,
        from: None,
        to: alone.chain[0].disk,
        status: Status::NoSpace,
    };
    let first = world.want((inode(1), ZERO), SESSION, Some(hop));
    while world.obey(full, None) {}
    while world.hear(full) {}
    world.log_all();
    world.sync();
    assert!(world.machines[usize::from(other)].inbox.iter().any(|one| matches!(one.1, Order::Copy { .. })));
    let second = world.want((inode(1), ZERO), SESSION, None);
    assert_eq!(world.grants[&first], Err(Status::TryAgain));
    assert_eq!(world.grants[&second], Err(Status::TryAgain));
    world.settle();
    assert_eq!(world.grant(1).unwrap().chain.len(), 2);
}

#[test]
fn without_room_anywhere_the_writer_is_told_and_the_last_replica_stays_in_use() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    world.set_free(0..3, 1 << 20);
    let alone = world.no_room(&grant, 1).unwrap();
    assert_eq!(world.no_room(&alone, 0), Err(Status::NoSpace));
    assert_eq!(world.fleet.locations(slot), alone.chain, "it is read as before");
    assert_eq!(world.grant(1).unwrap().chain, alone.chain, "what needs no room can be written");
    assert_eq!(world.grant(2), Err(Status::NoSpace), "a new chunk finds none either");
    world.set_free(0..3, 1 << 40);
    world.heal();
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert_eq!(world.grant(2).unwrap().chain.len(), 2);
}

#[test]
fn a_disk_that_had_no_room_gets_no_new_chunk_before_it_says_otherwise() {
    let mut world = World::new(2);
    let grant = world.grant(1).unwrap();
    let other = world.no_room(&grant, 0).unwrap();
    assert!(other.fresh && other.chain == grant.chain[1..]);
    assert_eq!(world.grant(2).unwrap().chain, grant.chain[1..]);
    world.set_free(0..2, 1 << 40);
    assert_eq!(world.grant(3).unwrap().chain.len(), 2);
}

#[test]
fn a_mount_that_made_more_empty_files_than_may_be_reserved_writes_on() {
    let mut world = World::new(2);
    let (first, last) = (inode(1), inode(70_000));
    for n in 1..70_000 {
        let ticket = world.want((inode(n), ZERO), SESSION, None);
        assert!(world.grants[&ticket].is_ok(), "file {n}");
    }
    // The newest has its place, and the first, which made room, is made anew when it is written.
    for file in [last, first] {
        let ticket = world.want((file, ZERO), SESSION, None);
        let grant = world.grants[&ticket].clone().unwrap();
        assert!(grant.fresh && world.write(&grant, 1));
        world.commit((file, ZERO), grant.chunk, grant.version).unwrap();
    }
}

#[test]
fn a_removed_chunk_rests_before_it_is_deleted_but_not_on_a_disk_that_needs_the_room() {
    for pressed in [false, true] {
        let mut world = World::with_options(2, FleetOptions::default());
        let (slot, _) = world.file(1);
        if pressed {
            world.set_free([0], CHUNK_BYTES);
        }
        world.remove(slot);
        world.settle();
        assert_eq!(world.deletes.len(), if pressed { 2 } else { 0 });
        world.advance(1_000);
        world.settle();
        assert_eq!(world.deletes.len(), 2);
    }
}
