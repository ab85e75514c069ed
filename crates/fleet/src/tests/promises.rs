//! The fleet's promises, one test each.

use super::*;

#[test]
fn two_writers_of_a_fresh_part_share_one_reservation() {
    let mut world = World::new(3);
    let place = (inode(1), ZERO);
    let one = world.want(place, SessionId(1), None);
    let two = world.want(place, SessionId(2), None);
    assert_eq!(world.grants[&one], world.grants[&two]);
    let grant = world.grants[&one].clone().unwrap();
    assert!(grant.fresh && grant.chain.len() == 2);
    assert_eq!(grant.version, Version { term: Term(5), counter: 1 });
    // One leaves, the other still holds it; the last one leaving releases it.
    world.tell(Event::SessionGone { session: SessionId(1) });
    assert!(world.fleet.may_attach(inode(1), ZERO, grant.chunk, grant.version));
    assert!(world.write(&grant, 3));
    world.tell(Event::SessionGone { session: SessionId(2) });
    assert!(!world.fleet.may_attach(inode(1), ZERO, grant.chunk, grant.version));
    world.settle();
    assert!(world.replicas.is_empty(), "what was written for it is deleted");
    assert_eq!(world.fleet.summary().reserved, 0);
}

#[test]
fn a_committed_chunk_goes_on_with_the_chain_it_was_written_through() {
    let mut world = World::new(3);
    let (slot, fresh) = world.file(1);
    assert_eq!(world.fleet.locations(slot), fresh.chain);
    let again = world.grant(1).unwrap();
    assert_eq!((again.fresh, again.version, again.chain), (false, fresh.version, fresh.chain));
    assert_eq!(world.fleet.summary().ok, 1);
    assert_eq!(world.fleet.summary().reserved, 0);
}

#[test]
fn a_fresh_chain_that_fails_is_reserved_anew_on_other_disks() {
    let mut world = World::new(3);
    let grant = world.grant(1).unwrap();
    let next = world.grant_after(1, Some(hop(&grant, Some(0), 1))).unwrap();
    assert_ne!(next.chunk, grant.chunk);
    assert!(next.chain.iter().all(|one| one.disk != grant.chain[1].disk));
    assert_eq!(next.chain.len(), 2);
    assert!(!world.fleet.may_attach(inode(1), ZERO, grant.chunk, grant.version));
}

#[test]
fn with_two_servers_a_fresh_chain_is_turned_round_before_it_is_shortened() {
    let mut world = World::new(2);
    let grant = world.grant(1).unwrap();
    let turned = world.grant_after(1, Some(hop(&grant, Some(0), 1))).unwrap();
    assert_eq!(turned.chain.len(), 2);
    assert_eq!(turned.chain[0], grant.chain[1]);
    let short = world.grant_after(1, Some(hop(&turned, Some(0), 1))).unwrap();
    assert!(!short.chain.is_empty());
}

#[test]
fn a_replaced_reservation_may_still_be_committed_by_another_who_shares_it() {
    let mut world = World::new(3);
    let place = (inode(1), ZERO);
    let ticket = world.want(place, SessionId(1), None);
    let old = world.grants[&ticket].clone().unwrap();
    world.want(place, SessionId(2), None);
    assert!(world.write(&old, 1));
    let ticket = world.want(place, SessionId(1), Some(hop(&old, None, 0)));
    let new = world.grants[&ticket].clone().unwrap();
    assert_ne!(new.chunk, old.chunk);
    let slot = world.commit(place, old.chunk, old.version).unwrap();
    assert_eq!(world.fleet.locations(slot), old.chain);
    let ticket = world.want(place, SessionId(1), Some(hop(&new, None, 0)));
    world.settle();
    assert_eq!(world.grants[&ticket].clone().unwrap().chunk, old.chunk, "the map decides");
}

#[test]
fn a_truncate_voids_reservations_in_its_range_and_their_replicas_go_when_it_is_stable() {
    let mut world = World::new(2);
    let grant = world.grant(1).unwrap();
    world.write(&grant, 1);
    world.log.0 += 1;
    let index = world.log;
    world.gone.insert(grant.chunk, index);
    world.tell(Event::RangeCut { inode: inode(1), first: ZERO, last: ChunkIndex(9), index, editor: None });
    assert!(!world.fleet.may_attach(inode(1), ZERO, grant.chunk, grant.version));
    assert!(world.deletes.is_empty());
    world.settle();
    assert!(world.replicas.is_empty());
    assert_ne!(world.grant(1).unwrap().chunk, grant.chunk);
}

#[test]
fn an_edit_that_cuts_nothing_still_voids_what_another_session_wrote_and_did_not_commit() {
    let mut world = World::new(2);
    let own = world.grant(1).unwrap();
    let edit = |world: &mut World, editor| {
        let (last, index) = (ChunkIndex(u32::MAX), world.log);
        world.tell(Event::RangeCut { inode: inode(1), first: ZERO, last, index, editor: Some(editor) });
    };
    let other = SessionId(SESSION.0 + 1);
    edit(&mut world, SESSION);
    assert!(world.fleet.may_attach(inode(1), ZERO, own.chunk, own.version), "its own");
    world.gone.insert(own.chunk, world.log);
    edit(&mut world, other);
    assert!(!world.fleet.may_attach(inode(1), ZERO, own.chunk, own.version), "another's");
    let place = (inode(1), ZERO);
    let shared = world.grant(1).unwrap();
    let ticket = world.want(place, other, None);
    assert_eq!(world.grants[&ticket].clone().unwrap().chunk, shared.chunk);
    world.gone.insert(shared.chunk, world.log);
    edit(&mut world, SESSION);
    assert!(!world.fleet.may_attach(inode(1), ZERO, shared.chunk, shared.version), "not its alone");
}

#[test]
fn one_server_gets_one_replica_and_the_chunk_is_endangered() {
    let mut world = World::new(1);
    let (_, grant) = world.file(1);
    assert_eq!(grant.chain.len(), 1);
    assert_eq!(world.fleet.summary().endangered, 1);
}

#[test]
fn without_disks_a_fresh_grant_says_try_again_and_with_full_ones_no_space() {
    let mut world = World::new(0);
    assert_eq!(world.grant(1), Err(Status::TryAgain));
    let mut world = World::new(1);
    let mut full = world.info(0).disks;
    full[0].free_bytes = 1 << 20;
    let unknown = vec![DiskInfo { total_bytes: 0, free_bytes: 0, ..full[0].clone() }];
    world.tell(Event::Heartbeat { server: server(1), disks: unknown });
    assert_eq!(world.grant(1), Err(Status::TryAgain), "nobody has looked at it yet");
    world.tell(Event::Heartbeat { server: server(1), disks: full });
    assert_eq!(world.grant(1), Err(Status::NoSpace));
}

#[test]
fn right_after_the_start_a_grant_waits_for_the_second_server() {
    let mut world = World::cold(2, FleetOptions::default());
    world.tell(Event::KnownDisks(Vec::new()));
    world.connect(0);
    assert_eq!(world.grant(1), Err(Status::TryAgain));
    world.connect(1);
    assert_eq!(world.grant(1).unwrap().chain.len(), 2);
    let mut alone = World::cold(1, FleetOptions::default());
    alone.tell(Event::KnownDisks(Vec::new()));
    alone.connect(0);
    alone.advance(3_000);
    assert_eq!(alone.grant(1).unwrap().chain.len(), 1);
}

#[test]
fn a_server_that_went_and_came_back_makes_the_next_grant_raise_first() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let away = machine_of(&grant, 1);
    world.disconnect(away);
    assert_eq!(world.fleet.locations(slot).len(), 1);
    assert_eq!(world.fleet.summary().endangered, 1);
    world.connect(away);
    assert_eq!(world.fleet.locations(slot).len(), 2);
    let next = world.grant(1).unwrap();
    assert!(next.version > grant.version && next.chain.len() == 2);
    assert_eq!(world.grant(1).unwrap().version, next.version, "raised once");
    assert!(!world.write(&grant, 9), "the old chain is void");
}

#[test]
fn a_replica_that_missed_a_raise_is_stale_and_never_read() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let away = machine_of(&grant, 1);
    world.disconnect(away);
    let alone = world.grant(1).unwrap();
    assert_eq!(alone.chain.len(), 1);
    assert!(world.write(&alone, 2));
    world.connect(away);
    assert_eq!(world.fleet.locations(slot), alone.chain);
    assert_eq!(world.fleet.summary().endangered, 1);
    assert!(world.replicas.len() == 2, "it is kept");
}

#[test]
fn grants_wait_for_the_stable_record() {
    let mut world = World::new(2);
    let (_, grant) = world.file(1);
    world.disconnect(machine_of(&grant, 1));
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    let other = world.want((inode(1), ZERO), SessionId(5), None);
    let head = machine_of(&grant, 0);
    while world.obey(head, None) | world.hear(head) {}
    world.log_all();
    assert!(!world.grants.contains_key(&ticket), "applied is not stable");
    world.sync();
    assert!(world.grants[&ticket].is_ok());
    assert_eq!(world.grants[&ticket], world.grants[&other], "who asked meanwhile joined");
}

#[test]
fn a_member_that_does_not_answer_is_left_behind_and_the_rest_is_raised_once_more() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (head, tail) = (machine_of(&grant, 0), machine_of(&grant, 1));
    world.disconnect(tail);
    world.connect(tail);
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    world.obey(tail, None); // It takes the version, but its answer is never heard.
    while world.obey(head, None) | world.hear(head) {}
    world.now_ms += 3_000;
    world.tell(Event::Tick);
    while world.obey(head, None) | world.hear(head) {}
    world.log_all();
    world.sync();
    let granted = world.grants[&ticket].clone().unwrap();
    assert_eq!(granted.version.counter, grant.version.counter + 2);
    assert_eq!(granted.chain.len(), 1);
    world.settle(); // Its answer comes too late to matter.
    world.disconnect(tail);
    world.connect(tail);
    assert_eq!(world.fleet.locations(slot), granted.chain, "what took the first version is stale");
}

#[test]
fn a_replica_lost_while_its_disk_reported_during_a_raise_is_not_waited_for() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let (head, tail) = (machine_of(&grant, 0), machine_of(&grant, 1));
    world.disconnect(tail);
    world.connect(tail);
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    // It takes the version and says so; then its machine loses the replica and tells what is left.
    world.obey(tail, None);
    world.hear(tail);
    world.disconnect(tail);
    world.replicas.remove(&(disk(tail + 1), grant.chunk));
    world.connect(tail);
    while world.obey(head, None) | world.hear(head) {}
    world.log_all();
    world.sync();
    assert_eq!(world.grants[&ticket].clone().unwrap().chain, grant.chain[..1]);
    let known = world.fleet.table.replicas(slot);
    assert_eq!(known.len(), 1, "{:?}: nobody says any more that it is there", &known[..]);
    // So healing does not wait either.
    world.advance(10_000);
    world.settle();
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn a_replica_told_by_its_disk_during_a_raise_is_still_a_member() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let (head, tail) = (machine_of(&grant, 0), machine_of(&grant, 1));
    world.disconnect(tail);
    world.connect(tail);
    world.want((inode(1), ZERO), SESSION, None);
    world.obey(tail, None);
    world.hear(tail);
    world.disconnect(tail);
    world.connect(tail);
    while world.obey(head, None) | world.hear(head) {}
    world.log_all();
    world.sync();
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn a_raise_that_nobody_answers_changes_nothing_and_the_next_one_succeeds() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    world.disconnect(0);
    world.connect(0);
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    world.obey(0, None);
    world.obey(1, None);
    world.advance(3_000);
    assert_eq!(world.grants[&ticket], Err(Status::TryAgain));
    assert_eq!(world.fleet.version(slot), Some(grant.version));
    assert_eq!(world.fleet.locations(slot).len(), 2);
    world.settle();
    let next = world.grant(1).unwrap();
    assert_eq!(next.chain.len(), 2);
    assert!(next.version.counter > grant.version.counter + 1, "the version that failed is not minted again");
}

#[test]
fn a_raise_that_nobody_answered_in_time_is_repeated_without_being_asked() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    world.want((inode(1), ZERO), SESSION, None);
    world.disconnect(0);
    world.connect(0);
    let ticket = world.want((inode(1), ZERO), SESSION, None);
    world.obey(0, None);
    world.obey(1, None);
    world.advance(3_000);
    assert_eq!(world.grants[&ticket], Err(Status::TryAgain));
    world.settle();
    assert_eq!(
        world.fleet.version(slot),
        Some(grant.version),
        "readers would be refused by what took the next one"
    );
    world.advance(2_000);
    world.settle();
    assert!(world.fleet.version(slot).unwrap().counter > grant.version.counter + 1);
    assert_eq!(world.fleet.locations(slot).len(), 2);
    world.check_twins();
}

#[test]
fn the_first_grant_of_a_reign_raises_into_its_term() {
    let mut world = World::new(2);
    let (_, old) = world.file(1);
    world.restart_master();
    world.connect(0);
    world.connect(1);
    let next = world.grant(1).unwrap();
    assert_eq!(next.version, Version { term: Term(6), counter: 1 });
    assert!(!world.write(&old, 4));
}

#[test]
fn a_version_taken_but_never_recorded_is_followed_by_a_new_one_after_a_restart() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    world.disconnect(0);
    world.connect(0);
    world.want((inode(1), ZERO), SESSION, None);
    world.obey(0, None);
    world.restart_master();
    world.connect(0);
    world.connect(1);
    world.settle();
    assert_eq!(world.fleet.version(slot), Some(Version { term: Term(6), counter: 1 }));
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert!(world.replicas[&(disk(1), grant.chunk)].version.term == Term(6) && world.grant(1).is_ok());
}

#[test]
fn chunks_are_unknown_and_not_missing_until_known_disks_have_reported() {
    let mut world = World::new(2);
    world.file(1);
    world.restart_master();
    assert_eq!((world.fleet.summary().unknown, world.fleet.summary().missing), (1, 0));
    world.connect(0);
    world.connect(1);
    assert_eq!((world.fleet.summary().unknown, world.fleet.summary().ok), (0, 1));
    world.restart_master();
    world.advance(30_000);
    assert_eq!((world.fleet.summary().unknown, world.fleet.summary().missing), (0, 1));
}

#[test]
fn a_removed_chunk_is_deleted_when_the_record_is_stable_also_on_a_disk_that_was_away() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let away = machine_of(&grant, 1);
    world.disconnect(away);
    let chunk = world.remove(slot);
    world.obey(0, None);
    assert!(world.deletes.is_empty(), "not before the record is stable");
    world.settle();
    assert_eq!(world.deletes, [(grant.chain[0].disk, chunk)]);
    assert_eq!(world.fleet.summary().deleting, 1);
    world.connect(away);
    world.settle();
    assert!(world.replicas.is_empty());
    assert_eq!(world.fleet.summary().deleting, 0);
}

#[test]
fn nothing_is_deleted_while_settling_and_unknown_chunks_stay_for_an_hour() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    world.replicas.insert((grant.chain[0].disk, ChunkId(99)), Replica::default());
    world.restart_master();
    world.connect(machine_of(&grant, 0));
    world.remove(slot);
    world.settle();
    assert!(world.deletes.is_empty());
    assert_eq!(world.fleet.summary().quarantined, 1);
    world.connect(machine_of(&grant, 1));
    world.settle();
    assert_eq!(world.replicas.len(), 1, "the unknown chunk stays");
    world.advance(3_599_000);
    world.settle();
    assert_eq!(world.replicas.len(), 1);
    world.advance(10_000);
    world.settle();
    assert!(world.replicas.is_empty());
    let known = Version { term: Term(5), counter: 1 };
    assert!(!world.fleet.may_attach(inode(1), ZERO, ChunkId(99), known), "it is on its way out");
    assert_eq!(world.fleet.summary().quarantined, 0);
}

#[test]
fn a_delete_order_without_answer_is_sent_again() {
    let mut world = World::new(1);
    let (slot, _) = world.file(1);
    world.remove(slot);
    world.sync();
    assert_eq!(world.machines[0].inbox.len(), 1);
    world.machines[0].inbox.clear();
    world.advance(30_000);
    world.settle();
    assert!(world.replicas.is_empty());
}

#[test]
fn a_report_about_an_outdated_version_changes_nothing() {
    let mut world = World::new(2);
    let (_, grant) = world.file(1);
    let next = world.grant_after(1, Some(hop(&grant, None, 0))).unwrap();
    let again = world.grant_after(1, Some(hop(&grant, None, 1))).unwrap();
    assert_eq!(again, next);
}

#[test]
fn an_edit_cuts_every_replica_before_its_record_and_voids_the_chain() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let ticket = world.edit(slot, 1);
    world.settle();
    let version = world.edits[&ticket].unwrap();
    assert!(world.replicas.values().all(|replica| replica.content.is_empty()));
    let waiting = world.want((inode(1), ZERO), SESSION, None);
    assert!(!world.grants.contains_key(&waiting), "grants wait for the edit's record");
    world.record_edit(slot, 1, ticket, version);
    world.settle();
    let next = world.grants[&waiting].clone().unwrap();
    assert_eq!((next.version, next.chain), (version, grant.chain.clone()));
    assert!(!world.write(&grant, 8), "frames of the old version are refused");
}

#[test]
fn an_edit_that_is_dropped_is_recorded_as_a_plain_raise() {
    let mut world = World::new(2);
    let (slot, _) = world.file(1);
    let ticket = world.edit(slot, 1);
    world.settle();
    let version = world.edits[&ticket].unwrap();
    world.tell(Event::EditDropped { ticket });
    world.settle();
    assert_eq!(world.fleet.version(slot), Some(version));
    assert_eq!(world.grant(1).unwrap().version, version);
}

#[test]
fn cuts_that_reached_only_some_replicas_are_repeated_before_the_next_grant() {
    let mut world = World::new(2);
    let (slot, _) = world.file(1);
    let ticket = world.edit(slot, 1);
    world.obey(0, None); // One is cut, its answer is lost; the other never gets the order.
    world.machines[0].outbox.clear();
    world.machines[1].inbox.clear();
    world.advance(3_000);
    assert_eq!(world.edits[&ticket], Err(Status::TryAgain));
    let grant = world.grant(1).unwrap();
    assert_eq!(grant.chain.len(), 2);
    assert!(world.replicas.values().all(|replica| replica.content.is_empty()));
}

#[test]
fn edits_of_one_chunk_follow_each_other() {
    let mut world = World::new(2);
    let (slot, _) = world.file(1);
    let one = world.edit(slot, 1);
    let two = world.edit(slot, 2);
    world.settle();
    let first = world.edits[&one].unwrap();
    assert!(!world.edits.contains_key(&two));
    world.record_edit(slot, 1, one, first);
    world.settle();
    assert!(world.edits[&two].unwrap() > first);
}

#[test]
fn a_chunk_removed_in_the_middle_of_its_raise_answers_everybody_and_is_deleted() {
    let mut world = World::new(2);
    let (slot, _) = world.file(1);
    world.disconnect(0);
    world.connect(0);
    let grant = world.want((inode(1), ZERO), SESSION, None);
    let edit = world.edit(slot, 3);
    world.obey(0, None);
    world.remove(slot);
    assert_eq!(world.grants[&grant], Err(Status::TryAgain));
    assert_eq!(world.edits[&edit], Err(Status::TryAgain));
    world.settle();
    assert!(world.replicas.is_empty(), "also the replica that took the higher version");
}

#[test]
fn replicas_damaged_in_different_places_are_read_and_mend_each_other_also_after_a_restart() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let (first, second) = (grant.chain[0].clone(), grant.chain[1].clone());
    world.rot(first.disk, grant.chunk, 1);
    while (0..2).any(|n| world.hear(n)) {}
    assert_eq!(world.fleet.locations(slot), [second.clone(), first.clone()], "the sound one first");
    assert_eq!(world.fleet.summary().endangered, 1);
    world.rot(second.disk, grant.chunk, 2);
    while (0..2).any(|n| world.hear(n)) {}
    assert_eq!(world.fleet.locations(slot).len(), 2);
    world.restart_master();
    world.connect(0);
    world.connect(1);
    assert_eq!(world.fleet.locations(slot).len(), 2, "every page is somewhere");
    world.heal();
    assert!(world.replicas.values().all(|replica| replica.damaged.is_empty()));
    assert_eq!((world.fleet.summary().ok, world.fleet.summary().copied), (1, 0));
}

#[test]
fn a_page_that_is_sound_nowhere_costs_nobody_the_others() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    for member in &grant.chain {
        world.rot(member.disk, grant.chunk, 7);
    }
    world.heal();
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert_eq!((world.fleet.summary().endangered, world.fleet.summary().missing), (1, 0));
}

#[test]
fn a_chunk_of_an_earlier_term_is_attached_with_the_replicas_told_before() {
    let mut world = World::new(2);
    let grant = world.grant(1).unwrap();
    world.write(&grant, 1);
    world.restart_master();
    world.connect(0);
    world.connect(1);
    assert_eq!(world.fleet.summary().quarantined, 2);
    let slot = world.commit((inode(1), ZERO), grant.chunk, grant.version).unwrap();
    assert_eq!(world.fleet.locations(slot).len(), 1, "they are compared before both are read");
    assert_eq!(world.fleet.summary().quarantined, 0);
    world.heal();
    assert_eq!(world.fleet.locations(slot).len(), 2);
    assert_eq!(world.grant(1).unwrap().version.term, Term(6));
}

#[test]
fn a_replica_lost_before_its_chunk_was_committed_is_not_waited_for_on_a_disk_that_has_reported() {
    let mut world = World::new(2);
    let grant = world.grant(1).unwrap();
    assert!(world.write(&grant, 1));
    let away = machine_of(&grant, 1);
    world.disconnect(away);
    world.replicas.remove(&(grant.chain[1].disk, grant.chunk));
    world.connect(away);
    let slot = world.commit((inode(1), ZERO), grant.chunk, grant.version).unwrap();
    assert_eq!(world.fleet.locations(slot), grant.chain[..1]);
    assert_eq!(world.fleet.disks().map(|disk| disk.replicas).sum::<u64>(), 1, "it is on no other disk");
}

#[test]
fn a_failed_disk_is_absent_and_believed_again_by_its_next_report() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let at = machine_of(&grant, 0);
    let mut disks = world.info(at).disks;
    disks[0].state = DiskState::Failed;
    world.tell(Event::Heartbeat { server: server(at + 1), disks });
    assert_eq!(world.fleet.locations(slot), grant.chain[1..]);
    let disks = world.info(at).disks;
    world.tell(Event::Heartbeat { server: server(at + 1), disks });
    assert_eq!(world.fleet.locations(slot).len(), 1);
    world.connect(at);
    assert_eq!(world.fleet.locations(slot).len(), 2);
}

#[test]
fn a_replica_of_a_higher_term_stops_this_master() {
    let mut world = World::new(1);
    let version = Version { term: Term(9), counter: 1 };
    let seen = ReportedReplica {
        slot: None,
        chunk: ChunkId(5),
        version,
        complete: true,
        damaged: false,
        marked: false,
        power_lost: false,
        torn: false,
    };
    let mut out = Vec::new();
    world.fleet.handle(Event::Reported { disk: disk(1), replicas: vec![seen], last: false }, 0, &mut out);
    assert_eq!(out, [Command::StepDown { seen: Term(9) }]);
}

#[test]
fn a_disk_shown_by_two_servers_is_believed_of_the_first() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let mut thief = world.info(0);
    thief.server = server(9);
    world.tell(Event::ServerRegistered(thief));
    assert_eq!(world.fleet.locations(slot), grant.chain);
}

#[test]
fn usable_space_counts_what_two_replicas_on_different_servers_leave() {
    let world = World::new(3);
    assert_eq!(world.fleet.space(ClassId(0)), Space { total_bytes: 3 << 39, free_bytes: 3 << 38 });
    assert_eq!(World::new(1).fleet.space(ClassId(0)).total_bytes, 1 << 40);
}

#[test]
fn disks_on_one_device_share_its_bytes() {
    let mut world = World::new(3);
    for n in 0..3 {
        let mut info = world.info(n);
        for disk in &mut info.disks {
            disk.device = 7;
        }
        world.tell(Event::ServerRegistered(info));
    }
    let disks = world.fleet.disks().count() as u64;
    let raw = |world: &World| world.fleet.disks().map(|disk| disk.total_bytes).sum::<u64>();
    assert_eq!(raw(&world), (1 << 40) / disks * disks);
    world.disconnect(2);
    assert_eq!(raw(&world), (1 << 40) / disks * disks, "also when one of them is away");
    assert!(world.fleet.space(ClassId(0)).total_bytes <= 1 << 39);
}

#[test]
fn a_member_that_forgot_its_chain_is_raised_with_the_others_and_not_left_out() {
    let mut world = World::with_goal(4, 3);
    let (_, grant) = world.file(1);
    let mut next = grant.clone();
    // Nor is one that can take nothing for the moment, whoever says so.
    for (status, from) in [(Status::Gap, Some(0)), (Status::TryAgain, Some(0)), (Status::TryAgain, None)] {
        let version = next.version;
        let failed = FailedHop { status, ..hop(&next, from, 1) };
        next = world.grant_after(1, Some(failed)).unwrap();
        assert!(next.version > version);
        assert_eq!(next.chain, grant.chain);
    }
    let failed = world.break_hop(&next, 0, 1);
    let other = world.grant_after(1, Some(failed)).unwrap();
    assert_eq!(other.chain.len(), 2, "any other failure leaves the far end out");
}
