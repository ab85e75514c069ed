//! What is missing is named, and what fits is what brute force finds.

use crate::{Layout, Policy, Pool, Rule};
use proptest::prelude::*;
use types::{Label, Labels, Mode, Spread};

fn labels(text: &str) -> Labels {
    Labels::new(text.split_whitespace().map(|word| Label::new(word).unwrap())).unwrap()
}

/// Disks by number: their server and labels.
fn pool(disks: &[(u16, &str)]) -> Pool {
    let mut pool = Pool::default();
    for (number, (server, text)) in (0u16..).zip(disks) {
        pool.set(number, *server, &labels(text));
    }
    pool
}

fn rule(pool: &mut Pool, layout: &str, mode: Mode) -> Rule {
    pool.adopt(&Policy { mode, ..Policy::new(Layout::parse(layout).unwrap()) })
}

#[test]
fn what_is_missing_is_named() {
    let mut pool = pool(&[(0, "ssd"), (0, "ssd"), (1, "hdd"), (2, "backup")]);
    let told = |pool: &mut Pool, layout: &str, away: &[u16]| -> Vec<(String, usize, usize, usize, usize)> {
        let rule = rule(pool, layout, Mode::Standard);
        let unmet = pool.unmet(&rule, |disk| !away.contains(&disk));
        unmet
            .into_iter()
            .map(|item| (item.condition.to_string(), item.wanted, item.lacking, item.disks, item.domains))
            .collect()
    };
    assert_eq!(told(&mut pool, "ssd,hdd,~backup", &[]), []);
    assert_eq!(told(&mut pool, "2*ssd,hdd", &[]), [("ssd".into(), 2, 1, 2, 1)]);
    assert_eq!(told(&mut pool, "2*any,~backup", &[3]), [("backup".into(), 1, 1, 0, 0)]);
    assert_eq!(told(&mut pool, "4*any", &[0]), [("any".into(), 4, 1, 3, 3)]);
    // The counted replica gets the only disk; the lagging one is told to be missing.
    assert_eq!(told(&mut pool, "hdd,~hdd", &[]), [("hdd".into(), 1, 1, 1, 1)]);
}

#[test]
fn usable_bytes_are_those_of_the_scarcest_label() {
    let mut pool = pool(&[(0, "ssd"), (0, "hdd"), (1, "ssd"), (1, "hdd"), (2, "hdd")]);
    let bytes = |disk: u16| [10, 100, 20, 100, 50][usize::from(disk)];
    let mut usable = |layout: &str, mode| {
        let rule = rule(&mut pool, layout, mode);
        pool.usable(&rule, bytes)
    };
    assert_eq!(usable("2*ssd", Mode::Standard), 10);
    assert_eq!(usable("ssd,hdd", Mode::Standard), 30);
    assert_eq!(usable("2*hdd", Mode::Standard), 125);
    assert_eq!(usable("2*any", Mode::Standard), 140);
    // There is no third server with ssd: the third replica is anywhere, or done without.
    assert_eq!(usable("3*ssd", Mode::Standard), 10);
    assert_eq!(usable("tape", Mode::Strict), 0);
    assert_eq!(usable("tape", Mode::Standard), 280);
    assert_eq!(usable("4*any", Mode::Standard), 50);
}

#[test]
fn disks_of_one_host_can_be_domains() {
    let mut pool = pool(&[(0, ""), (0, ""), (0, "")]);
    let policy = Policy { spread: Spread::Disk, ..Policy::new(Layout::anywhere(2)) };
    let rule = pool.adopt(&policy);
    assert!(pool.unmet(&rule, |_| true).is_empty());
    assert_eq!(pool.usable(&rule, |_| 30), 45);
}

/// Whether `left` files can be stored one after the other, by trying all places for each.
fn fits(left: u64, slots: &[&str], disks: &[(u16, &str)], room: &mut Vec<u64>) -> bool {
    fn place(
        slots: &[&str],
        disks: &[(u16, &str)],
        used: &mut Vec<u16>,
        room: &mut Vec<u64>,
        then: &mut dyn FnMut(&mut Vec<u64>) -> bool,
    ) -> bool {
        let Some((slot, rest)) = slots.split_first() else { return then(room) };
        for (at, (server, text)) in disks.iter().enumerate() {
            if room[at] > 0 && !used.contains(server) && (*slot == "any" || labels(text).has(slot)) {
                used.push(*server);
                room[at] -= 1;
                let found = place(rest, disks, used, room, then);
                used.pop();
                room[at] += 1;
                if found {
                    return true;
                }
            }
        }
        false
    }
    left == 0 || place(slots, disks, &mut Vec::new(), room, &mut |room| fits(left - 1, slots, disks, room))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn usable_bytes_are_what_brute_force_can_store(
        disks in prop::collection::vec((0u16..3, 0usize..4, 0u64..4), 1..5),
        slots in prop::collection::vec(0usize..3, 1..3),
    ) {
        let disks_and_room: Vec<((u16, &str), u64)> = disks.iter()
            .map(|(server, set, room)| ((*server, ["", "a", "b", "a b"][*set]), *room)).collect();
        let (disks, room): (Vec<_>, Vec<_>) = disks_and_room.into_iter().unzip();
        let slots: Vec<&str> = slots.iter().map(|slot| ["any", "a", "b"][*slot]).collect();
        let mut pool = pool(&disks);
        let rule = rule(&mut pool, &slots.join(","), Mode::Strict);
        prop_assume!(pool.unmet(&rule, |disk| room[usize::from(disk)] > 0).is_empty());
        let whole = (0..=12).rev().find(|count| fits(*count, &slots, &disks, &mut room.clone())).unwrap();
        let told = pool.usable(&rule, |disk| room[usize::from(disk)]);
        // With fractions a little more can fit than with whole files.
        prop_assert!(told >= whole && told <= whole + 1, "{told} told, {whole} fit");
    }
}
