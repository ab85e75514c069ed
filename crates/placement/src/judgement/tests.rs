//! Nothing needed goes, and what goes first is what is worst.

use crate::{Held, Judgement, Layout, Policy, Pool, Room};
use proptest::prelude::*;
use types::{Label, Labels, Mode, Spread};

fn labels(text: &str) -> Labels {
    Labels::new(text.split_whitespace().map(|word| Label::new(word).unwrap())).unwrap()
}

fn held(disk: u16) -> Held {
    Held { disk, leaving: false, lagging: false }
}

/// Disk `n` is as full as its number says in tens.
fn pool(disks: &[(u16, &str)]) -> Pool {
    let mut pool = Pool::default();
    for (number, (server, text)) in (0u16..).zip(disks) {
        pool.set(number, *server, &labels(text));
        let free_bytes = 100 - 10 * u64::from(number);
        pool.open(number, Room { total_bytes: 100, free_bytes, writes: 0 });
    }
    pool
}

fn judge(pool: &mut Pool, layout: &str, replicas: &[Held]) -> Judgement {
    let rule = pool.adopt(&Policy::new(Layout::parse(layout).unwrap()));
    pool.judge(&rule, replicas)
}

#[test]
fn a_replica_with_the_wrong_label_stands_in_until_there_are_enough() {
    let mut pool = pool(&[(0, "ssd"), (1, "ssd"), (2, "hdd"), (3, "hdd")]);
    let both = judge(&mut pool, "2*ssd", &[held(2), held(3)]);
    assert_eq!((both.stands_in.len(), both.open, both.surplus.len()), (2, 0, 0));
    let three = judge(&mut pool, "2*ssd", &[held(2), held(3), held(0)]);
    assert_eq!((three.fits, three.stands_in, three.surplus), (vec![0], vec![2], vec![3]));
    let all = judge(&mut pool, "2*ssd", &[held(2), held(3), held(0), held(1)]);
    assert_eq!((all.fits, all.surplus), (vec![0, 1], vec![3, 2]));
}

#[test]
fn a_label_that_nobody_has_drops_nothing() {
    let mut pool = pool(&[(0, "ssd"), (1, "ssd")]);
    let judged = judge(&mut pool, "2*sssd", &[held(0), held(1)]);
    assert_eq!((judged.stands_in.len(), judged.surplus.len(), judged.open), (2, 0, 0));
    let judged = judge(&mut pool, "2*!any", &[held(0), held(1)]);
    assert_eq!((judged.stands_in.len(), judged.surplus.len(), judged.open), (2, 0, 0));
}

#[test]
fn a_greedy_look_would_call_the_wrong_one_misplaced() {
    // The replica on disk 0 could be the first or the second of `a,any`; disk 1 has no label.
    let mut pool = pool(&[(0, "a"), (1, "")]);
    let judged = judge(&mut pool, "any,a", &[held(0), held(1)]);
    assert_eq!(judged.fits, [1, 0]);
}

#[test]
fn replicas_on_one_host_stand_in_for_each_other() {
    let mut pool = pool(&[(0, ""), (0, ""), (1, "")]);
    let two = judge(&mut pool, "2*any", &[held(0), held(1)]);
    assert_eq!((two.fits, two.stands_in, two.open), (vec![0], vec![1], 0));
    let three = judge(&mut pool, "2*any", &[held(0), held(1), held(2)]);
    assert_eq!((three.fits, three.surplus), (vec![0, 2], vec![1]));
}

#[test]
fn a_disk_that_is_emptied_fills_nothing_and_goes_first_but_not_before_the_others_are_there() {
    let mut pool = pool(&[(0, ""), (1, ""), (2, ""), (3, "")]);
    let leaving = Held { leaving: true, ..held(0) };
    let short = judge(&mut pool, "2*any", &[leaving, held(1)]);
    assert_eq!((short.open, short.leaving, short.surplus.len()), (1, vec![0], 0));
    let enough = judge(&mut pool, "2*any", &[leaving, held(1), held(2), held(3)]);
    assert_eq!((enough.open, enough.surplus), (0, vec![0, 3]));
}

#[test]
fn of_equal_ones_the_fullest_goes_first() {
    let mut pool = pool(&[(0, ""), (1, ""), (2, ""), (3, "")]);
    assert_eq!(judge(&mut pool, "any", &[held(1), held(3), held(0), held(2)]).surplus, [3, 2, 1]);
    pool.close(0);
    assert_eq!(judge(&mut pool, "any", &[held(1), held(3), held(0), held(2)]).surplus, [0, 3, 2]);
}

#[test]
fn a_lagging_replica_counts_for_nothing_else() {
    let mut pool = pool(&[(0, ""), (1, ""), (2, "backup")]);
    let lagging = Held { lagging: true, ..held(2) };
    let judged = judge(&mut pool, "2*any,~backup", &[held(0), lagging]);
    assert_eq!((judged.fits, judged.open), (vec![0, 2], 1));
    let judged = judge(&mut pool, "2*any", &[held(0), held(1), lagging]);
    assert_eq!((judged.fits, judged.surplus), (vec![0, 1], vec![2]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_remains_is_never_less_than_what_is_asked_for(
        disks in prop::collection::vec((0u16..4, 0usize..5), 1..8),
        replicas in prop::collection::vec((any::<bool>(), 0u8..4), 8),
        layout in 0usize..6,
        spread in 0usize..3,
        mode in 0usize..3,
    ) {
        let labels = ["", "a", "b", "a b", "site=x a"];
        let disks: Vec<(u16, &str)> = disks.into_iter().map(|(server, set)| (server, labels[set])).collect();
        let mut pool = pool(&disks);
        let layouts = ["any", "2*a", "a,b", "2*!any", "3*any,~b", "a&b,2*a|b"];
        let spread = [Spread::Disk, Spread::Host, Spread::Label(Label::new("site").unwrap())][spread].clone();
        let mode = [Mode::Strict, Mode::Standard, Mode::Loose][mode];
        let policy = Policy { spread, mode, ..Policy::new(Layout::parse(layouts[layout]).unwrap()) };
        let rule = pool.adopt(&policy);
        let held: Vec<Held> = (0u16..).zip(&disks).zip(&replicas).filter(|(_, (exists, _))| *exists)
            .map(|((disk, _), (_, kind))| Held { disk, leaving: *kind == 0, lagging: *kind == 1 }).collect();
        let judged = pool.judge(&rule, &held);
        let mut named: Vec<u16> = [&judged.fits, &judged.stands_in, &judged.surplus, &judged.leaving]
            .into_iter().flatten().copied().collect();
        named.sort_unstable();
        prop_assert_eq!(&named, &held.iter().map(|one| one.disk).collect::<Vec<_>>(), "each once");
        let counted = |one: &&Held| !one.leaving && !one.lagging;
        let remain = held.iter().filter(counted).filter(|one| !judged.surplus.contains(&one.disk)).count();
        let goal = policy.layout.replicas();
        prop_assert_eq!(remain, goal.min(held.iter().filter(counted).count()));
        prop_assert_eq!(judged.open, goal - remain);
        if judged.open > 0 {
            prop_assert!(judged.surplus.is_empty());
        }
        prop_assert_eq!(&judged, &pool.judge(&rule, &held));
        let only_counted = held.iter().all(|one| counted(&one)) && held.len() <= goal;
        if only_counted {
            let suits = pool.suits(&rule, held.iter().map(|one| one.disk));
            prop_assert_eq!(suits, judged.stands_in.is_empty());
        }
    }
}
