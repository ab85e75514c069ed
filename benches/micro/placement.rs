//! Choosing disks for one chunk among 10,000, and judging the replicas of one.
//!
//! Clusters of three shapes: many servers; one server, where the second replica that is looked for does not exist; two sites, one of
//! which is emptier, so that all its disks come before the first one of the other.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use placement::{Held, Layout, Policy, Pool, Room, Rule, Use};
use std::hint::black_box;
use types::{Label, Labels, Mode, Spread};

const DISKS: u16 = 10_000;

fn room(disk: u16, used_percent: u64) -> Room {
    let total_bytes = 4 << 40;
    let free_bytes = total_bytes - total_bytes * used_percent / 100 - ((u64::from(disk) % 97) << 30);
    Room { total_bytes, free_bytes, writes: 0 }
}

/// Disks that are all open, `per_server` on each server; every fourth is an ssd.
fn pool(per_server: u16) -> Pool {
    let mut pool = Pool::default();
    for disk in 0..DISKS {
        let at_home = disk < DISKS / 2;
        let words =
            [if disk % 4 == 0 { "ssd" } else { "hdd" }, if at_home { "site=home" } else { "site=work" }];
        let labels = Labels::new(words.map(|word| Label::new(word).unwrap())).unwrap();
        pool.set(disk, disk / per_server, &labels);
        pool.open(disk, room(disk, if at_home { 20 } else { 40 }));
    }
    pool
}

fn rule(pool: &mut Pool, layout: &str, spread: Spread) -> Rule {
    let layout = Layout::parse(layout).unwrap();
    pool.adopt(&Policy { layout, spread, mode: Mode::Standard, min_write: None })
}

fn choices(c: &mut Criterion) {
    let mut group = c.benchmark_group("placement of one chunk among 10,000 disks");
    let site = Spread::Label(Label::new("site").unwrap());
    let cases = [
        ("2*any", 10, "2*any", Spread::Host, 2),
        ("2*ssd,hdd,~ssd&site=work", 10, "2*ssd,hdd,~ssd&site=work", Spread::Host, 3),
        ("9*ssd", 10, "9*ssd", Spread::Host, 9),
        ("2*any on one server", DISKS, "2*any", Spread::Host, 1),
        ("2*ssd over two sites", 10, "2*ssd", site, 2),
    ];
    for (name, per_server, layout, spread, expected) in cases {
        let mut pool = pool(per_server);
        let rule = rule(&mut pool, layout, spread);
        let mut number = 0;
        let mut choose = || {
            number += 1;
            pool.assign(&rule, &[], number, |_| Use::Yes).new_disks().count()
        };
        assert_eq!(choose(), expected);
        group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| black_box(choose())));
    }
    group.finish();
}

fn judgements(c: &mut Criterion) {
    let mut pool = pool(10);
    let rule = rule(&mut pool, "2*ssd", Spread::Host);
    let held = |disk| Held { disk, leaving: false, lagging: false };
    let replicas = [held(0), held(401), held(800)];
    assert_eq!(pool.judge(&rule, &replicas).surplus, [401]);
    c.bench_function("placement: judging three replicas of a chunk", |b| {
        b.iter(|| pool.judge(&rule, black_box(&replicas)));
    });
}

fn changes(c: &mut Criterion) {
    let mut pool = pool(10);
    let rules: Vec<Rule> =
        (0..10).map(|n| rule(&mut pool, &format!("2*any&!l{n},ssd|l{n}"), Spread::Host)).collect();
    assert_eq!(rules.len(), 10);
    let mut used = 0;
    c.bench_function("placement: a disk of 10,000 gets fuller, with 20 conditions in use", |b| {
        b.iter(|| {
            used = (used + 1) % 60;
            pool.open(black_box(4_000), room(4_000, used));
        });
    });
}

criterion_group! {
    name = benches;
    config = micro::criterion();
    targets = choices, judgements, changes
}
criterion_main!(benches);
