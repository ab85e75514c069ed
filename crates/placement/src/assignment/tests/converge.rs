//! Many choices one after the other: disks fill evenly, and what is moved comes to rest.

use super::{LABELS, labels, policy};
use crate::{Held, Layout, Policy, Pool, Room, Use};
use proptest::prelude::*;
use types::{Label, Mode, Spread};

const CHUNK: u64 = 64 << 20;

/// Disks with a server and so many chunks of room and of use, filled until `percent` of all is used.
fn fill(disks: &[(u16, u64, u64)], layout: &str, percent: u64) -> Vec<f64> {
    let mut pool = Pool::default();
    let mut used: Vec<u64> = disks.iter().map(|disk| disk.2).collect();
    let room = |disk: usize, used: u64| Room {
        total_bytes: disks[disk].1 * CHUNK,
        free_bytes: (disks[disk].1 - used) * CHUNK,
        writes: 0,
    };
    for (number, disk) in (0u16..).zip(disks) {
        pool.set(number, disk.0, &labels(""));
        pool.open(number, room(usize::from(number), disk.2));
    }
    let rule = pool.adopt(&policy(layout, Mode::Standard));
    let total: u64 = disks.iter().map(|disk| disk.1).sum();
    let mut number = 0;
    while used.iter().sum::<u64>() * 100 < total * percent {
        number += 1;
        let answer = pool.assign(&rule, &[], number, |_| Use::Yes);
        assert_eq!(answer.missing(), 0, "{used:?}");
        for disk in answer.new_disks() {
            used[usize::from(disk)] += 1;
            pool.open(disk, room(usize::from(disk), used[usize::from(disk)]));
            if used[usize::from(disk)] == disks[usize::from(disk)].1 {
                pool.close(disk);
            }
        }
    }
    used.iter().zip(disks).map(|(used, disk)| 100.0 * *used as f64 / disk.1 as f64).collect()
}

fn width(percents: &[f64]) -> f64 {
    let fold = |start: f64, choose: fn(f64, f64) -> f64| percents.iter().copied().fold(start, choose);
    fold(0.0, f64::max) - fold(100.0, f64::min)
}

#[test]
fn unequal_disks_are_equally_full_at_ninety_percent() {
    // One replica over 1:2:4; two over three servers with 1:1:2:2:4:4, so spread that all can be filled.
    let one = fill(&[(0, 400, 0), (1, 800, 0), (2, 1600, 0)], "any", 90);
    assert!(width(&one) < 3.0, "{one:?}");
    let pairs = [(0, 400, 0), (0, 1600, 0), (1, 800, 0), (1, 1600, 0), (2, 400, 0), (2, 800, 0)];
    let two = fill(&pairs, "2*any", 90);
    assert!(width(&two) < 3.0, "{two:?}");
}

#[test]
fn disks_that_begin_unequally_full_meet_and_the_fullest_waits() {
    let disks = [(0, 4000, 0), (1, 1000, 900), (2, 500, 100), (3, 2000, 0), (4, 3000, 1500), (5, 1500, 200)];
    let percents = fill(&disks, "2*any", 80);
    assert!((percents[1] - 90.0).abs() < 0.1, "{percents:?}");
    let others: Vec<f64> =
        percents.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, one)| *one).collect();
    assert!(width(&others) < 3.0, "{percents:?}");
}

#[test]
fn a_new_empty_disk_does_not_take_every_chunk_that_is_being_written() {
    let mut pool = Pool::default();
    let mut writes = [0u32; 4];
    let room = |disk: u16, writes| Room {
        total_bytes: 1000 * CHUNK,
        free_bytes: if disk == 3 { 1000 } else { 960 } * CHUNK,
        writes,
    };
    for disk in 0..4 {
        pool.set(disk, disk, &labels(""));
        pool.open(disk, room(disk, 0));
    }
    let rule = pool.adopt(&policy("any", Mode::Standard));
    for number in 0..40 {
        for disk in pool.assign(&rule, &[], number, |_| Use::Yes).new_disks() {
            writes[usize::from(disk)] += 1;
            pool.open(disk, room(disk, writes[usize::from(disk)]));
        }
    }
    assert!(writes.iter().all(|count| *count > 0) && writes[3] > 10, "{writes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn healing_step_by_step_comes_to_rest(
        disks in prop::collection::vec((0u16..4, 0usize..6, 0u64..=100, any::<bool>()), 1..8),
        layout in 0usize..5,
        spread in 0usize..3,
        mode in 0usize..3,
    ) {
        let layouts = ["2*any", "2*a", "a,b", "a,any,b", "2*!a,a|b"];
        let spread = [Spread::Disk, Spread::Host, Spread::Label(Label::new("site").unwrap())][spread].clone();
        let mode = [Mode::Strict, Mode::Standard, Mode::Loose][mode];
        let mut pool = Pool::default();
        let mut on: Vec<u16> = Vec::new();
        for (disk, (server, set, free_bytes, has)) in (0u16..).zip(&disks) {
            pool.set(disk, *server, &labels(LABELS[*set]));
            pool.open(disk, Room { total_bytes: 100, free_bytes: *free_bytes, writes: 0 });
            if *has {
                on.push(disk);
            }
        }
        let rule = pool.adopt(&Policy { spread, mode, ..Policy::new(Layout::parse(layouts[layout]).unwrap()) });
        let goal = rule.policy().layout.replicas();
        let mut copies = 0;
        for number in 0.. {
            let held: Vec<Held> = on.iter().map(|disk| Held { disk: *disk, leaving: false, lagging: false }).collect();
            let judged = pool.judge(&rule, &held);
            if let Some(first) = judged.surplus.first() {
                on.retain(|disk| disk != first);
                prop_assert!(on.len() >= goal);
                continue;
            }
            // One copy at a time, as a fleet with little time would.
            let Some(new) = pool.assign(&rule, &held, number, |_| Use::Yes).new_disks().next() else { break };
            on.push(new);
            copies += 1;
            prop_assert!(copies <= 2 * goal, "copies for ever: {on:?}");
        }
    }
}
