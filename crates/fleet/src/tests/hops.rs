//! Who is left out when a hop fails, by interleaving.

use super::*;

impl World {
    /// The chain breaks between two members, and both notice; what the client then reports.
    pub(super) fn break_hop(&mut self, grant: &GrantParts, from: usize, to: usize) -> FailedHop {
        for at in [from, to] {
            if let Some(replica) = self.replicas.get_mut(&(grant.chain[at].disk, grant.chunk)) {
                replica.failed = true;
            }
        }
        hop(grant, Some(from), to)
    }

    /// Both ends of the hop notice that it broke, and the client reports it.
    fn report_broken(&mut self, n: u64, grant: &GrantParts, from: usize, to: usize) -> GrantParts {
        let hop = self.break_hop(grant, from, to);
        self.grant_after(n, Some(hop)).unwrap()
    }

    fn counts(&self) -> HopCounts {
        self.fleet.summary().hops
    }
}

fn without(grant: &GrantParts, at: usize) -> Vec<ReplicaAddress> {
    let mut chain = grant.chain.clone();
    chain.remove(at);
    chain
}

#[test]
fn the_far_end_is_dropped_at_the_first_report_when_a_client_cannot_reach_it() {
    let mut world = World::new(2);
    let (slot, grant) = world.file(1);
    let next = world.grant_after(1, Some(hop(&grant, None, 0))).unwrap();
    assert_eq!(next.chain, grant.chain[1..]);
    assert_eq!(world.fleet.locations(slot), next.chain);
    let last = world.grant_after(1, Some(hop(&next, None, 0))).unwrap();
    assert_eq!(last.chain, next.chain, "the last current replica is never dropped");
    assert_eq!(world.counts(), HopCounts { reported: 2, far_left_out: 1, spared: 1, ..HopCounts::default() });
}

#[test]
fn of_three_the_far_end_is_dropped_at_the_first_report_of_a_hop_that_did_fail() {
    let mut world = World::with_goal(3, 3);
    let (_, grant) = world.file(1);
    let next = world.report_broken(1, &grant, 0, 1);
    assert_eq!(next.chain, without(&grant, 1));
    assert_eq!((world.counts().far_left_out, world.counts().denied), (1, 0));
}

#[test]
fn nobody_is_dropped_when_both_ends_deny_that_the_hop_failed() {
    let mut world = World::with_goal(3, 3);
    let (slot, grant) = world.file(1);
    for _ in 0..3 {
        let now = world.grant(1).unwrap();
        // A client says so of every hop, one after the other, and the members know nothing of it.
        for (from, to) in [(0, 1), (1, 2), (0, 2)] {
            let Ok(next) = world.grant_after(1, Some(hop(&now, Some(from), to))) else { panic!("waits") };
            assert_eq!(next.chain, grant.chain, "all are still members, in the same order");
        }
    }
    assert_eq!(world.fleet.locations(slot).len(), 3);
    // Only the first report of each round is about the present version.
    assert_eq!(world.counts(), HopCounts { reported: 3, denied: 3, ..HopCounts::default() });
    // And nothing of it is held against anybody afterwards.
    let now = world.grant(1).unwrap();
    let next = world.report_broken(1, &now, 0, 1);
    assert_eq!(next.chain, without(&now, 1), "the near end did not blame two different ones");
}

#[test]
fn what_the_far_end_says_counts_when_the_near_end_denies() {
    let mut world = World::with_goal(3, 3);
    let (_, grant) = world.file(1);
    let key = (grant.chain[1].disk, grant.chunk);
    world.replicas.get_mut(&key).unwrap().failed = true;
    let next = world.grant_after(1, Some(hop(&grant, Some(0), 1))).unwrap();
    assert_eq!(next.chain, without(&grant, 1));
}

#[test]
fn a_near_end_that_forgot_what_it_took_cannot_deny() {
    let mut world = World::with_goal(3, 3);
    let (_, grant) = world.file(1);
    let near = machine_of(&grant, 0);
    world.kill(near, true);
    world.connect(near);
    let now = world.grant(1).unwrap();
    assert_eq!(now.chain.len(), 3);
    let head = now.chain.iter().position(|one| one.disk == grant.chain[0].disk).unwrap();
    let far = (head + 1) % 3;
    world.kill(near, true);
    let hop = hop(&now, Some(head), far);
    world.connect(near);
    let next = world.grant_after(1, Some(hop)).unwrap();
    assert_eq!(next.chain.len(), 2);
    assert!(next.chain.iter().all(|one| one.disk != now.chain[far].disk));
}

#[test]
fn the_word_of_a_near_end_that_knows_is_enough_and_the_far_end_is_not_waited_for() {
    let mut world = World::with_goal(3, 3);
    let (_, grant) = world.file(1);
    let failed = world.break_hop(&grant, 0, 1);
    let ticket = world.want((inode(1), ZERO), SESSION, Some(failed));
    // The accused one hangs; no time passes.
    let others = [machine_of(&grant, 0), machine_of(&grant, 2)];
    for _ in 0..2 {
        for n in others {
            while world.obey(n, None) | world.hear(n) {}
        }
    }
    world.log_all();
    world.sync();
    let granted = world.grants[&ticket].clone().unwrap();
    assert_eq!(granted.chain, without(&grant, 1));
    assert_eq!(granted.version.counter, grant.version.counter + 2, "the accused one may have the first");
}

#[test]
fn an_accuser_that_does_not_answer_the_master_is_left_behind_and_not_the_accused() {
    let mut world = World::with_goal(3, 3);
    let (_, grant) = world.file(1);
    let failed = world.break_hop(&grant, 0, 1);
    let ticket = world.want((inode(1), ZERO), SESSION, Some(failed));
    let others = [machine_of(&grant, 1), machine_of(&grant, 2)];
    let work = |world: &mut World| {
        for n in others {
            while world.obey(n, None) | world.hear(n) {}
        }
    };
    work(&mut world);
    world.advance(3_000);
    work(&mut world);
    world.log_all();
    world.sync();
    assert_eq!(world.grants[&ticket].clone().unwrap().chain, without(&grant, 0));
    assert_eq!((world.counts().far_left_out, world.counts().near_left_out), (0, 0));
}

#[test]
fn a_chain_does_not_shrink_to_one_by_the_word_of_the_one_that_would_remain() {
    let mut world = World::new(2);
    let (_, grant) = world.file(1);
    let turned = world.report_broken(1, &grant, 0, 1);
    assert_eq!(turned.chain, [grant.chain[1].clone(), grant.chain[0].clone()]);
    assert_eq!(world.counts().spared, 1);
    // Now the other one cannot reach the first either: the hop is broken by the word of both.
    let short = world.report_broken(1, &turned, 0, 1);
    assert_eq!(short.chain, turned.chain[..1]);
}

#[test]
fn an_accused_replica_that_does_not_answer_the_master_is_left_behind() {
    let mut world = World::new(2);
    let (_, grant) = world.file(1);
    let failed = world.break_hop(&grant, 0, 1);
    let ticket = world.want((inode(1), ZERO), SESSION, Some(failed));
    let head = machine_of(&grant, 0);
    while world.obey(head, None) | world.hear(head) {}
    world.now_ms += 3_000;
    world.tell(Event::Tick);
    while world.obey(head, None) | world.hear(head) {}
    world.log_all();
    world.sync();
    assert_eq!(world.grants[&ticket].clone().unwrap().chain, grant.chain[..1]);
}

/// Two files with the same head and different tails.
fn two_with_one_head(world: &mut World) -> [(u64, GrantParts); 2] {
    let files: Vec<(u64, GrantParts)> = (1..40).map(|n| (n, world.file(n).1)).collect();
    let one = files[0].clone();
    let other = |(_, grant): &&(u64, GrantParts)| {
        grant.chain[0].disk == one.1.chain[0].disk && grant.chain[1].disk != one.1.chain[1].disk
    };
    let two = files.iter().find(other).unwrap().clone();
    [one, two]
}

#[test]
fn a_near_end_that_blames_two_different_ones_within_a_minute_is_dropped_itself() {
    let mut world = World::new(3);
    let [(one, first), (two, second)] = two_with_one_head(&mut world);
    assert_eq!(world.report_broken(one, &first, 0, 1).chain.len(), 2);
    world.advance(59_000);
    let short = world.report_broken(two, &second, 0, 1);
    assert_eq!(short.chain, second.chain[1..]);
    assert_eq!(world.counts().near_left_out, 1);
}

#[test]
fn a_near_end_that_blames_two_different_ones_in_more_than_a_minute_is_not_dropped() {
    let mut world = World::new(3);
    let [(one, first), (two, second)] = two_with_one_head(&mut world);
    world.report_broken(one, &first, 0, 1);
    world.advance(60_000);
    assert_eq!(world.report_broken(two, &second, 0, 1).chain.len(), 2);
    assert_eq!(world.counts().near_left_out, 0);
}

#[test]
fn reports_that_both_ends_deny_do_not_make_a_near_end_blame_everybody() {
    let mut world = World::new(3);
    let [(one, first), (two, second)] = two_with_one_head(&mut world);
    // A client lies about the first hop; the second one does fail.
    world.grant_after(one, Some(hop(&first, Some(0), 1))).unwrap();
    assert_eq!(world.report_broken(two, &second, 0, 1).chain.len(), 2);
    assert_eq!((world.counts().denied, world.counts().near_left_out), (1, 0));
}

#[test]
fn a_client_that_reports_without_end_is_given_another_version_or_chunk_and_blames_nobody_any_more() {
    let mut world = World::with_goal(3, 3);
    world.file(1);
    for _ in 0..crate::hops::REPORTS_MAX {
        let now = world.grant(1).unwrap();
        world.grant_after(1, Some(hop(&now, Some(0), 1))).unwrap();
    }
    let now = world.grant(1).unwrap();
    let same = world.report_broken(1, &now, 0, 1);
    assert_eq!(same.chain, now.chain);
    assert!(same.version > now.version, "what it sent before is not to come under the version it has now");
    assert_eq!(world.counts().ignored, 1);
    // Of fresh chunks, too: what was given up is in the one that it had.
    let fresh = world.grant(2).unwrap();
    let other = world.grant_after(2, Some(hop(&fresh, None, 0))).unwrap();
    assert!(other.fresh && other.chunk != fresh.chunk && other.chain.len() == 3);
    assert_eq!(world.counts().ignored, 2);
    let now = same;
    let ticket = world.want((inode(1), ZERO), SessionId(78), Some(hop(&now, None, 0)));
    world.settle();
    assert_eq!(world.grants[&ticket].clone().unwrap().chain.len(), 2, "others are heard");
}

#[test]
fn a_near_end_of_fresh_chains_that_reaches_nobody_is_not_left_alone_with_what_is_written() {
    let mut world = World::new(3);
    let grant = world.grant(1).unwrap();
    let near = grant.chain[0].disk;
    let mut next = world.grant_after(1, Some(hop(&grant, Some(0), 1))).unwrap();
    // As long as it is a member it reaches nobody.
    for _ in 0..3 {
        let Some(at) = next.chain.iter().position(|one| one.disk == near) else { break };
        assert_eq!(next.chain.len(), 2, "alone");
        next = world.grant_after(1, Some(hop(&next, Some(at), 1 - at))).unwrap();
    }
    assert_eq!(next.chain.len(), 2);
    assert!(next.chain.iter().all(|one| one.disk != near), "the other two hold it");
}

/// They rotted in different places while all servers were stopped: each has pages that only it has.
#[test]
fn nobody_is_left_out_for_a_failed_hop_while_a_replica_is_damaged() {
    for from in [None, Some(0)] {
        let mut world = World::new(2);
        let (slot, grant) = world.file(1);
        for member in &grant.chain {
            world.tell(Event::Damaged { disk: member.disk, slot: Some(slot), chunk: grant.chunk });
        }
        let failed = match from {
            None => hop(&grant, None, 1),
            Some(from) => world.break_hop(&grant, from, 1),
        };
        let next = world.grant_after(1, Some(failed)).unwrap();
        assert_eq!(next.chain.len(), 2, "{from:?}");
    }
}

/// What a reader is told of a chunk, and how many of those replicas serve it by what is on their disks.
fn serving(world: &World, slot: ChunkSlot, chunk: ChunkId) -> usize {
    let (version, locations) = world.fleet.readable(slot, world.now_ms).unwrap();
    locations.iter().filter(|one| world.replicas[&(one.disk, chunk)].version == version).count()
}

#[test]
fn who_was_left_out_and_takes_the_version_all_the_same_is_read_when_the_others_are_gone() {
    for answers in ["before", "between", "afterwards"] {
        let mut world = World::with_goal(3, 3);
        let (slot, grant) = world.file(1);
        let [first, near, far] = [0, 1, 2].map(|at| machine_of(&grant, at));
        world.write_upto(&grant, 2, 2);
        for n in 0..3 {
            while world.hear(n) {}
        }
        world.want((inode(1), ZERO), SESSION, Some(hop(&grant, Some(1), 2)));
        if answers == "before" {
            world.obey(far, None);
            world.hear(far);
        }
        for n in [near, first] {
            world.obey(n, None);
            world.hear(n);
            if answers == "between" {
                while world.obey(far, None) | world.hear(far) {}
            }
        }
        assert_eq!(world.fleet.raises.members(slot).len(), 2, "{answers}");
        assert_eq!(world.counts().far_left_out, 1, "{answers}");
        for n in [first, near] {
            world.disconnect(n);
        }
        while world.obey(far, None) | world.hear(far) {}
        for second in 0..700 {
            world.advance(1_000);
            world.settle();
            assert_eq!(serving(&world, slot, grant.chunk), 1, "answers {answers}: refused after {second} s");
        }
    }
}
