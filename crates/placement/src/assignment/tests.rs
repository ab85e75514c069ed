//! The choice is as good as any, by brute force on small cases and by what people expect on others.

mod converge;
mod modes;

use super::*;
use crate::{Layout, Policy, Room};
use proptest::prelude::*;
use types::{Label, Labels, Spread};

pub(super) fn labels(text: &str) -> Labels {
    Labels::new(text.split_whitespace().map(|word| Label::new(word).unwrap())).unwrap()
}

pub(super) fn held(disk: u16) -> Held {
    Held { disk, leaving: false, lagging: false }
}

/// Open disks by number: their server and labels; all half empty.
pub(super) fn pool(disks: &[(u16, &str)]) -> Pool {
    let mut pool = Pool::default();
    for (number, (server, text)) in (0u16..).zip(disks) {
        pool.set(number, *server, &labels(text));
        pool.open(number, Room { total_bytes: 100, free_bytes: 50, writes: 0 });
    }
    pool
}

pub(super) fn policy(layout: &str, mode: Mode) -> Policy {
    Policy { mode, ..Policy::new(Layout::parse(layout).unwrap()) }
}

/// What new replicas are made, in the order of the layout.
fn chosen(pool: &mut Pool, layout: &str, replicas: &[Held]) -> Vec<u16> {
    let rule = pool.adopt(&policy(layout, Mode::Standard));
    pool.assign(&rule, replicas, 7, |_| Use::Yes).new_disks().collect()
}

#[test]
fn a_greedy_choice_would_waste_the_only_disk_with_the_label() {
    let mut pool = pool(&[(0, "a"), (1, "")]);
    pool.open(0, Room { total_bytes: 100, free_bytes: 100, writes: 0 });
    assert_eq!(chosen(&mut pool, "any,a", &[]), [1, 0]);
    assert_eq!(chosen(&mut pool, "a,any", &[]), [0, 1]);
}

#[test]
fn a_replica_that_exists_is_used_for_what_nobody_else_can_be() {
    // Disk 0 could be any replica; the new one is to be where `b` is not wasted.
    let mut pool = pool(&[(0, "a b"), (1, "a"), (2, "b")]);
    assert_eq!(chosen(&mut pool, "a,b", &[held(0), held(1)]), [0u16; 0]);
    assert_eq!(chosen(&mut pool, "a,b,any", &[held(0)]).len(), 2);
    assert_eq!(chosen(&mut pool, "b,b", &[held(0)]), [2]);
}

#[test]
fn a_better_label_is_chosen_although_enough_replicas_exist() {
    let mut pool = pool(&[(0, "hdd"), (1, "hdd"), (0, "ssd"), (1, "ssd")]);
    let mut disks = chosen(&mut pool, "2*ssd", &[held(0), held(1)]);
    disks.sort_unstable();
    assert_eq!(disks, [2, 3], "on the same hosts, to take the place of those that exist");
    assert_eq!(chosen(&mut pool, "2*ssd", &[held(2), held(0)]), [3]);
}

#[test]
fn a_disk_that_is_emptied_makes_room_for_another_one_of_its_host() {
    let mut pool = pool(&[(0, ""), (0, ""), (1, "")]);
    let leaving = Held { leaving: true, ..held(0) };
    assert_eq!(chosen(&mut pool, "2*any", &[leaving, held(2)]), [1]);
}

#[test]
fn a_lagging_replica_gets_its_disk_only_if_no_counted_one_needs_it() {
    let mut pool = pool(&[(0, ""), (1, ""), (2, "backup")]);
    pool.open(2, Room { total_bytes: 100, free_bytes: 100, writes: 0 });
    let rule = pool.adopt(&policy("2*any,~backup", Mode::Standard));
    let three = pool.assign(&rule, &[], 0, |_| Use::Yes);
    assert_eq!(three.slots[2].filled.map(|filled| filled.disk), Some(2), "kept for it, though the emptiest");
    let two = pool.assign(&rule, &[], 0, |disk| if disk == 0 { Use::No } else { Use::Yes });
    assert_eq!((two.missing(), two.slots[2].filled), (0, None));
}

/// The best that any choice can reach: counted replicas placed in domains of their own, then those with their labels,
/// then lagging ones placed, then new ones (the fewer, the better).
type Worth = (usize, usize, usize, std::cmp::Reverse<usize>);

/// Tries all.
fn best(
    pool: &Pool,
    rule: &Rule,
    held: &[Held],
    disks: &[u16],
    at: usize,
    taken: &mut Vec<(u16, u64)>,
) -> Worth {
    let Some((condition, lagging)) = rule.slots.get(at).copied() else { return Worth::default() };
    let mut best_so_far = best(pool, rule, held, disks, at + 1, taken);
    for disk in disks {
        let domain = pool.domain(*disk, rule.domains);
        let on_label = pool.holds(condition, *disk);
        let existing = held.iter().find(|one| one.disk == *disk);
        let fits = existing.is_none_or(|one| !one.leaving && one.lagging == lagging);
        let may_be_off = !lagging && (existing.is_some() || rule.policy.mode != Mode::Strict);
        if !fits || taken.iter().any(|one| one.1 == domain) || !on_label && !may_be_off {
            continue;
        }
        taken.push((*disk, domain));
        let mut worth = best(pool, rule, held, disks, at + 1, taken);
        taken.pop();
        if lagging {
            worth.2 += 1;
        } else {
            worth.0 += 1;
            worth.1 += usize::from(on_label);
        }
        worth.3.0 += usize::from(existing.is_none());
        best_so_far = best_so_far.max(worth);
    }
    best_so_far
}

fn worth(answer: &Assignment) -> Worth {
    let mut worth = Worth::default();
    for slot in &answer.slots {
        let Some(filled) = slot.filled.filter(|filled| !filled.off_spread) else { continue };
        if slot.lagging {
            worth.2 += 1;
        } else {
            worth.0 += 1;
            worth.1 += usize::from(!filled.off_label);
        }
        worth.3.0 += usize::from(!filled.held);
    }
    worth
}

pub(super) const LABELS: [&str; 6] = ["", "a", "b", "a b", "site=x", "site=y a"];
const LAYOUTS: [&str; 8] = ["any", "2*any", "2*a", "a,b", "any,a,~b", "2*!a,a|b", "a&b,~a,any", "2*none"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_choice_is_better(
        disks in prop::collection::vec((0u16..4, 0usize..6, 0u64..=100, 0u8..6), 0..7),
        layout in 0usize..LAYOUTS.len(),
        spread in 0usize..3,
        mode in 0usize..3,
        number in any::<u64>(),
    ) {
        let mut pool = Pool::default();
        let mut replicas = Vec::new();
        for (disk, (server, set, free_bytes, kind)) in (0u16..).zip(&disks) {
            pool.set(disk, *server, &labels(LABELS[*set]));
            pool.open(disk, Room { total_bytes: 100, free_bytes: *free_bytes, writes: 0 });
            if *kind < 3 {
                replicas.push(Held { disk, leaving: *kind == 1, lagging: *kind == 2 });
            }
        }
        let spread = [Spread::Disk, Spread::Host, Spread::Label(Label::new("site").unwrap())][spread].clone();
        let mode = [Mode::Strict, Mode::Standard, Mode::Loose][mode];
        let rule = pool.adopt(&Policy { spread, ..policy(LAYOUTS[layout], mode) });
        let answer = pool.assign(&rule, &replicas, number, |_| Use::Yes);
        let all: Vec<u16> = (0..disks.len() as u16).collect();
        prop_assert_eq!(worth(&answer), best(&pool, &rule, &replicas, &all, 0, &mut Vec::new()));
        prop_assert_eq!(&answer, &pool.assign(&rule, &replicas, number, |_| Use::Yes), "the same input");

        let filled: Vec<Filled> = answer.slots.iter().flat_map(|slot| slot.filled).collect();
        let mut on: Vec<u16> = filled.iter().map(|filled| filled.disk).collect();
        on.sort_unstable();
        on.dedup();
        prop_assert_eq!(on.len(), filled.len(), "two replicas on one disk");
        let mut domains: Vec<u64> = filled.iter().filter(|filled| !filled.off_spread)
            .map(|filled| pool.domain(filled.disk, rule.domains)).collect();
        let spread_count = domains.len();
        domains.sort_unstable();
        domains.dedup();
        prop_assert_eq!(domains.len(), spread_count, "two replicas in one domain, and nothing said");
        for one in &filled {
            prop_assert_eq!(one.held, replicas.iter().any(|held| held.disk == one.disk && !held.leaving));
            let strict = mode == Mode::Strict && !one.held;
            prop_assert!(!strict || !one.off_label && !one.off_spread, "strict makes nothing elsewhere");
        }
        // A counted replica that exists is only left out if all are filled.
        let idle = replicas.iter().any(|one| !one.leaving && !one.lagging && !on.contains(&one.disk));
        prop_assert!(!idle || answer.missing() == 0);
    }
}
