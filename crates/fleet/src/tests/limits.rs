//! Limits of copying: obeyed, changed live, taken away, and there again after a restart.

use super::*;

const MIB: u64 = 1 << 20;

fn of_server(n: u8) -> LimitScope {
    LimitScope::Server(server(n + 1))
}

fn pair(from: &str, to: &str) -> LimitScope {
    LimitScope::Pair { from: Expression::new(from).unwrap(), to: Expression::new(to).unwrap() }
}

fn copies(most: u32) -> Option<Limit> {
    Some(Limit { copies: Some(most), bytes_per_s: None })
}

fn bytes(most: u64) -> Option<Limit> {
    Some(Limit { copies: None, bytes_per_s: Some(most) })
}

/// Limits of all kinds, for events that come as they like.
pub(super) const AMOUNTS: [Option<Limit>; 4] = [
    None,
    Some(Limit { copies: Some(1), bytes_per_s: None }),
    Some(Limit { copies: None, bytes_per_s: Some(64 << 10) }),
    Some(Limit { copies: Some(2), bytes_per_s: Some(4 * MIB) }),
];

/// What they may be about.
pub(super) const SCOPES: usize = 4;

pub(super) fn scope(number: usize) -> LimitScope {
    match number {
        0 | 1 => of_server(number as u8),
        2 => pair("a", "any"),
        _ => pair("any", "!a"),
    }
}

/// A copy that was ordered and not made.
struct Ordered {
    chunk: ChunkId,
    from: DiskId,
    to: DiskId,
}

impl World {
    pub(super) fn tell_limits(&mut self) {
        let limits = self.limits.iter().map(|(scope, limit)| (scope.clone(), *limit)).collect();
        let mut out = Vec::new();
        self.fleet.handle(Event::Limits(limits), self.now_ms, &mut out);
        out.into_iter().for_each(|command| self.carry_out(command));
    }

    pub(super) fn limit(&mut self, scope: LimitScope, limit: Option<Limit>) {
        match limit {
            Some(limit) => drop(self.limits.insert(scope, limit)),
            None => drop(self.limits.remove(&scope)),
        }
        self.tell_limits();
    }

    /// Copies that servers were ordered to make and have not made.
    fn ordered(&self) -> Vec<Ordered> {
        let mut all = Vec::new();
        for machine in self.machines.iter().filter(|machine| machine.connected) {
            for (_, order) in &machine.inbox {
                if let Order::Copy { disk, chunk, sources, .. } = order {
                    all.push(Ordered { chunk: *chunk, from: sources[0].disk, to: *disk });
                }
            }
            let copying = machine.copying.iter();
            all.extend(copying.map(|one| Ordered { chunk: one.chunk, from: one.source, to: one.disk }));
        }
        all
    }

    /// How many of them a disk's server writes.
    fn written_by(&self, n: u8) -> usize {
        self.ordered().iter().filter(|one| one.to == disk(n + 1)).count()
    }

    fn between(&self, from: &[u8], to: &[u8]) -> usize {
        let is_in = |of: &[u8], one: DiskId| of.iter().any(|n| disk(n + 1) == one);
        self.ordered().iter().filter(|one| is_in(from, one.from) && is_in(to, one.to)).count()
    }

    /// Everything is done but copies, which are begun.
    fn prepare(&mut self) {
        for _ in 0..100 {
            for n in 0..self.machines.len() as u8 {
                while self.obey(n, None) {}
                while self.hear(n) {}
            }
            self.log_all();
            self.sync();
        }
    }

    /// Each server makes one copy more, and others are begun.
    fn round(&mut self) {
        self.prepare();
        for n in 0..self.machines.len() as u8 {
            self.finish_copy(n);
        }
        self.prepare();
        self.advance(500);
        self.prepare();
    }

    fn is_healed(&self) -> bool {
        let summary = self.fleet.summary();
        summary.endangered + summary.undergoal == 0 && self.ordered().is_empty()
    }

    /// What the copies under way may read in all, and how many there are; 0: as much as goes through.
    fn paces(&self) -> (u64, usize) {
        let ordered = self.ordered();
        let pace = |one: &Ordered| self.paces.get(&(one.to, one.chunk)).copied().unwrap_or(0);
        (ordered.iter().map(pace).sum(), ordered.len())
    }
}

/// Files with two replicas on three servers, of which one is lost, and limits that are there before.
fn lost(files: u64, limits: &[(LimitScope, Limit)]) -> World {
    let mut world = World::new(3);
    for (scope, limit) in limits {
        world.limit(scope.clone(), Some(*limit));
    }
    for file in 0..files {
        world.file(file);
    }
    // Raised by their copies, as those of a file that nobody writes any more.
    world.advance(60_000);
    world.disconnect(0);
    world.advance(10_001);
    world.prepare();
    world
}

#[test]
fn a_server_makes_as_many_copies_as_its_limit_says_and_a_change_acts_at_once() {
    let mut world = lost(40, &[(of_server(1), copies(1).unwrap())]);
    let mut most = [0, 0, 0];
    for _ in 0..4 {
        for n in 1..3u8 {
            most[usize::from(n)] = most[usize::from(n)].max(world.written_by(n));
        }
        world.round();
    }
    assert_eq!(most, [0, 1, 1], "the other one has nowhere else to read");
    assert!(
        world
            .fleet
            .limits(world.now_ms)
            .iter()
            .all(|view| view.holds_up && view.running.0 <= 1 && view.running.1 <= 1)
    );
    let waiting = world.fleet.summary().endangered;
    assert!(waiting > 10, "{waiting} are left");
    // A server reads as many as it writes, of the other one: both may have eight.
    world.limit(of_server(1), copies(8));
    world.limit(of_server(2), copies(8));
    world.prepare();
    let mut seen = 0;
    for _ in 0..3 {
        seen = seen.max(world.written_by(1));
        world.round();
    }
    assert!(seen > 4 && seen <= 8, "{seen} at a time");
    world.limit(of_server(1), None);
    world.limit(of_server(2), None);
    for _ in 0..100 {
        world.round();
        assert!(world.written_by(1) <= 8);
    }
    assert!(world.is_healed());
}

#[test]
fn copies_between_labels_are_counted_whichever_servers_they_are_on_and_others_go_on() {
    let mut world = World::new(6);
    for n in 0..6 {
        world.label(n, if n < 3 { "site=a" } else { "site=b" });
    }
    world.set_class(1, "site=a,site=b", Mode::Standard);
    for file in 0..30 {
        world.set_file(file, 1);
        world.file(file);
    }
    world.limit(pair("site=a", "site=b"), copies(2));
    world.advance(60_000);
    // Both sides lose something: what site=a lost can be had from site=b alone, and the other way round.
    world.disconnect(0);
    world.advance(60_001);
    world.disconnect(5);
    world.advance(60_001);
    let (mut there, mut back) = (0, 0);
    for _ in 0..300 {
        there = there.max(world.between(&[0, 1, 2], &[3, 4, 5]));
        back = back.max(world.between(&[3, 4, 5], &[0, 1, 2]));
        world.round();
    }
    assert!(world.is_healed());
    assert_eq!(there, 2, "from site=a to site=b");
    assert!(back > 2, "the way back has no limit: {back}");
}

#[test]
fn the_bytes_of_a_limit_are_shared_out_and_told_again_when_they_change() {
    let mut world =
        lost(40, &[(of_server(1), bytes(8 * MIB).unwrap()), (of_server(2), bytes(8 * MIB).unwrap())]);
    let is_shared = |world: &World, rate: u64| {
        for n in 1..3u8 {
            let on_it = world.ordered().into_iter().filter(|one| one.to == disk(n + 1));
            let paces: Vec<u64> = on_it.map(|one| world.paces[&(one.to, one.chunk)]).collect();
            assert!(!paces.contains(&0) && paces.iter().sum::<u64>() <= rate, "{paces:?}");
        }
    };
    for _ in 0..3 {
        world.round();
        is_shared(&world, 8 * MIB);
    }
    assert!(world.paces().1 > 2);
    for n in 1..3 {
        world.limit(of_server(n), bytes(4 * MIB));
    }
    world.prepare();
    is_shared(&world, 4 * MIB);
    for n in 1..3 {
        world.limit(of_server(n), None);
    }
    assert_eq!(world.paces().0, 0, "nothing limits them any more");
    for _ in 0..100 {
        world.round();
    }
    assert!(world.is_healed());
}

#[test]
fn few_bytes_make_few_copies_and_a_slow_copy_is_waited_for() {
    let mut world = lost(10, &[(pair("any", "any"), bytes(64 << 10).unwrap())]);
    assert_eq!(world.paces(), (64 << 10, 1));
    // A whole chunk takes a quarter of an hour.
    world.advance(1_100_000);
    assert_eq!(world.paces().1, 1, "it was not given up");
    let begun = world.ordered()[0].chunk;
    world.advance(2_000_000);
    assert!(world.ordered().iter().all(|one| one.chunk != begun) || world.fleet.summary().copying <= 1);
}

#[test]
fn an_endangered_chunk_is_served_first_within_a_limit() {
    let mut world = World::with_goal(4, 3);
    world.limit(pair("any", "any"), copies(1));
    for file in 0..20 {
        world.file(file);
    }
    world.advance(10_000);
    world.disconnect(0);
    world.advance(60_001);
    world.disconnect(1);
    world.advance(60_001);
    for _ in 0..400 {
        let ordered = world.ordered();
        assert!(ordered.len() <= 1);
        // The first one was begun before the second server was lost.
        if let Some(one) = ordered.first().filter(|_| world.fleet.summary().endangered > 1) {
            let slot = world.map.iter().find(|(_, mapped)| mapped.chunk == one.chunk).unwrap().0;
            let held = world.fleet.locations(*slot).len();
            assert!(held == 1 || world.fleet.summary().copied == 0, "another one came first");
        }
        world.round();
    }
    assert_eq!(world.fleet.summary().endangered, 0);
}

#[test]
fn a_limit_is_there_again_after_a_restart_and_explains_what_waits() {
    let mut world = lost(40, &[(pair("any", "any"), copies(1).unwrap())]);
    world.round();
    world.restart_master();
    for n in 1..3 {
        world.connect(n);
    }
    world.advance(60_000);
    let mut waited = false;
    for _ in 0..50 {
        world.round();
        assert!(world.ordered().len() <= 1);
        let slots: Vec<ChunkSlot> = world.map.keys().copied().collect();
        for slot in slots {
            let explained = world.fleet.explain(&[slot], world.now_ms).remove(0);
            waited |= matches!(explained.hindrance, Some((Obstacle::Limited, _)));
        }
    }
    assert!(waited, "nobody was told of the limit");
    world.limit(pair("any", "any"), None);
    for _ in 0..100 {
        world.round();
    }
    assert!(world.is_healed());
}
