//! The table of `policy`, case by case.

use super::{held, policy, pool};
use crate::{Assignment, Held, Policy, Pool, Use, Verdict};
use types::{Label, Mode, Spread};

const MODES: [Mode; 3] = [Mode::Strict, Mode::Standard, Mode::Loose];

fn assign(pool: &mut Pool, policy: &Policy, replicas: &[Held], busy: &[u16], full: &[u16]) -> Assignment {
    let rule = pool.adopt(policy);
    pool.assign(&rule, replicas, 3, |disk| match disk {
        _ if full.contains(&disk) => Use::No,
        _ if busy.contains(&disk) => Use::Busy,
        _ => Use::Yes,
    })
}

fn sorted(answer: &Assignment) -> Vec<u16> {
    let mut disks: Vec<u16> = answer.new_disks().collect();
    disks.sort_unstable();
    disks
}

#[test]
fn busy_disks_are_waited_for_but_not_by_loose() {
    for (mode, verdict, disks) in [
        (Mode::Strict, Verdict::Wait, &[0][..]),
        (Mode::Standard, Verdict::Wait, &[0]),
        (Mode::Loose, Verdict::Placed, &[0, 2]),
    ] {
        let mut pool = pool(&[(0, "ssd"), (1, "ssd"), (2, "hdd")]);
        let answer = assign(&mut pool, &policy("2*ssd", mode), &[], &[1], &[]);
        assert_eq!((answer.verdict, &sorted(&answer)[..]), (verdict, disks), "{mode:?}");
    }
}

#[test]
fn full_disks_are_replaced_by_others_but_not_by_strict() {
    for (mode, verdict, disks) in [
        (Mode::Strict, Verdict::NoSpace, &[][..]),
        (Mode::Standard, Verdict::Placed, &[2, 3]),
        (Mode::Loose, Verdict::Placed, &[2, 3]),
    ] {
        let mut pool = pool(&[(0, "ssd"), (1, "ssd"), (2, "hdd"), (3, "hdd")]);
        let answer = assign(&mut pool, &policy("2*ssd", mode), &[], &[], &[0, 1]);
        assert_eq!((answer.verdict, &sorted(&answer)[..]), (verdict, disks), "{mode:?}");
    }
}

#[test]
fn strict_writes_fewer_replicas_as_long_as_they_may_acknowledge() {
    let mut pool = pool(&[(0, "ssd"), (1, "hdd"), (2, "hdd")]);
    let one = assign(&mut pool, &policy("2*ssd", Mode::Strict), &[], &[], &[]);
    assert_eq!((one.verdict, sorted(&one), one.missing()), (Verdict::Placed, vec![0], 1));
    let two = Policy { min_write: Some(2), ..policy("2*ssd", Mode::Strict) };
    assert_eq!(assign(&mut pool, &two, &[], &[], &[]).verdict, Verdict::NoSpace);
    assert_eq!(assign(&mut pool, &policy("3*ssd", Mode::Strict), &[], &[], &[]).verdict, Verdict::NoSpace);
}

#[test]
fn any_disk_that_is_busy_is_waited_for_in_every_mode_when_there_is_no_other() {
    for mode in MODES {
        let mut pool = pool(&[(0, ""), (1, "")]);
        let answer = assign(&mut pool, &policy("2*any", mode), &[], &[1], &[]);
        assert_eq!(answer.verdict, Verdict::Wait, "{mode:?}");
    }
}

#[test]
fn a_second_replica_on_a_host_is_for_loose_alone() {
    for (mode, count) in [(Mode::Strict, 1), (Mode::Standard, 1), (Mode::Loose, 2)] {
        let mut pool = pool(&[(0, ""), (0, ""), (0, "")]);
        let answer = assign(&mut pool, &policy("2*any", mode), &[], &[], &[]);
        let given_up = answer.slots.iter().flat_map(|slot| slot.filled).filter(|one| one.off_spread).count();
        assert_eq!((answer.new_disks().count(), given_up), (count, count - 1), "{mode:?}");
        // Also when the first exists.
        assert_eq!(
            assign(&mut pool, &policy("2*any", mode), &[held(0)], &[], &[]).new_disks().count(),
            count - 1
        );
    }
}

#[test]
fn a_second_replica_at_a_site_is_on_another_host_and_not_for_strict() {
    for (mode, count) in [(Mode::Strict, 1), (Mode::Standard, 2), (Mode::Loose, 3)] {
        let mut pool = pool(&[(0, "site=a"), (0, "site=a"), (1, "site=a")]);
        let spread = Spread::Label(Label::new("site").unwrap());
        let answer = assign(&mut pool, &Policy { spread, ..policy("3*any", mode) }, &[], &[], &[]);
        assert_eq!(answer.new_disks().count(), count, "{mode:?}");
        if count == 2 {
            assert!(sorted(&answer).contains(&2), "one on each host: {answer:?}");
        }
    }
}

#[test]
fn the_failure_domain_goes_before_the_label() {
    let mut pool = pool(&[(0, "ssd"), (0, "ssd"), (1, "hdd")]);
    let answer = assign(&mut pool, &policy("2*ssd", Mode::Standard), &[], &[], &[]);
    assert_eq!(answer.new_disks().filter(|disk| *disk == 2).count(), 1, "{answer:?}");
    // Two that exist on one host are taken apart, too.
    let answer = assign(&mut pool, &policy("2*ssd", Mode::Standard), &[held(0), held(1)], &[], &[]);
    assert_eq!(sorted(&answer), [2]);
    let answer = assign(&mut pool, &policy("2*ssd", Mode::Strict), &[held(0), held(1)], &[], &[]);
    assert_eq!((sorted(&answer), answer.missing()), (vec![], 0));
}

#[test]
fn sites_are_spread_over_before_hosts() {
    let mut pool = pool(&[(0, "site=a"), (1, "site=a"), (2, "site=b"), (3, "site=b")]);
    for number in 0..20 {
        let spread = Spread::Label(Label::new("site").unwrap());
        let rule = pool.adopt(&Policy { spread, ..policy("2*any", Mode::Standard) });
        let answer = pool.assign(&rule, &[], number, |_| Use::Yes);
        let at_a = answer.new_disks().filter(|disk| *disk < 2).count();
        assert_eq!((answer.new_disks().count(), at_a), (2, 1));
    }
}
