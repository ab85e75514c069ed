//! Orders and numbers stay true through changes of disks, labels and policies.

use super::*;
use crate::{Layout, Policy};
use proptest::prelude::*;
use types::Label;

fn labels(text: &str) -> Labels {
    Labels::new(text.split_whitespace().map(|word| Label::new(word).unwrap())).unwrap()
}

fn room(used: u64, writes: u32) -> Room {
    Room { total_bytes: 100, free_bytes: 100 - used, writes }
}

fn walked(pool: &Pool, text: &str, start: u64) -> Vec<u16> {
    let condition = Condition::parse(text).unwrap();
    all(pool, pool.numbers[&condition], start)
}

fn all(pool: &Pool, condition: ConditionNumber, start: u64) -> Vec<u16> {
    let mut disks = Vec::new();
    pool.walk(condition, start, |disk| {
        disks.push(disk);
        false
    });
    disks
}

#[test]
fn a_change_of_labels_moves_a_disk_at_once_and_a_closed_disk_is_in_no_order() {
    let mut pool = Pool::default();
    let rule = pool.adopt(&Policy::new(Layout::parse("2*ssd,!ssd").unwrap()));
    for disk in 0..3 {
        pool.set(disk, disk, &labels(if disk == 0 { "ssd" } else { "" }));
        pool.open(disk, room(10 * u64::from(disk), 0));
    }
    assert_eq!((walked(&pool, "ssd", 0), walked(&pool, "!ssd", 0)), (vec![0], vec![1, 2]));
    assert!(
        pool.set(2, 2, &labels("ssd")) && !pool.set(2, 2, &labels("ssd")) && !pool.set(1, 1, &labels(""))
    );
    assert_eq!((walked(&pool, "ssd", 0), walked(&pool, "!ssd", 0)), (vec![0, 2], vec![1]));
    pool.close(0);
    pool.remove(1);
    assert_eq!((walked(&pool, "ssd", 0), walked(&pool, "any", 0)), (vec![2], vec![2]));
    pool.dismiss(rule);
    assert_eq!(pool.numbers.len(), 1, "nobody asks any more");
}

#[test]
fn a_disk_without_the_key_is_a_domain_of_its_server() {
    let mut pool = Pool::default();
    for (disk, server, text) in [(0, 0, "site=a"), (1, 1, "site=a"), (2, 2, "site=b"), (3, 3, ""), (4, 3, "")]
    {
        pool.set(disk, server, &labels(text));
    }
    let sites = pool.domains(&Spread::Label(Label::new("site").unwrap()));
    pool.set(5, 5, &labels("site=b x"));
    let domain = |disk| pool.domain(disk, sites);
    assert_eq!(domain(0), domain(1));
    assert_eq!(domain(2), domain(5));
    assert_eq!(domain(3), domain(4));
    assert!(domain(0) != domain(2) && domain(2) != domain(3) && domain(0) != domain(3));
}

/// A step of the life of a pool.
#[derive(Clone, Debug)]
enum Step {
    Set(u16, u16, usize),
    Open(u16, u64, u32),
    Close(u16),
    Remove(u16),
    Adopt(usize),
    Dismiss(usize),
}

const LABELS: [&str; 5] = ["", "a", "b", "a b", "a k=1"];
const LAYOUTS: [&str; 4] = ["a", "2*a,b&!k=1", "any,~b", "a|b"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..9u16, 0..4u16, 0..LABELS.len()).prop_map(|(disk, server, set)| Step::Set(disk, server, set)),
        (0..9u16, 0..=100u64, 0..70u32).prop_map(|(disk, used, writes)| Step::Open(disk, used, writes)),
        (0..9u16).prop_map(Step::Close),
        (0..9u16).prop_map(Step::Remove),
        (0..LAYOUTS.len()).prop_map(Step::Adopt),
        (0..8usize).prop_map(Step::Dismiss),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn each_open_disk_is_in_the_orders_of_its_labels_and_emptier_ones_come_first(
        steps in prop::collection::vec(step(), 1..60), start in any::<u64>(),
    ) {
        let mut pool = Pool::default();
        let mut model: BTreeMap<u16, (usize, Option<Room>)> = BTreeMap::new();
        let mut rules = Vec::new();
        for step in steps {
            match step {
                Step::Set(disk, server, set) => {
                    pool.set(disk, server, &labels(LABELS[set]));
                    model.entry(disk).or_insert((set, None)).0 = set;
                }
                Step::Open(disk, used, writes) => {
                    pool.open(disk, room(used, writes));
                    model.entry(disk).and_modify(|known| known.1 = Some(room(used, writes)));
                    if !model.contains_key(&disk) {
                        prop_assert_eq!(pool.fullness(disk), FULL);
                    }
                }
                Step::Close(disk) => {
                    pool.close(disk);
                    model.entry(disk).and_modify(|known| known.1 = None);
                }
                Step::Remove(disk) => {
                    pool.remove(disk);
                    model.remove(&disk);
                }
                Step::Adopt(layout) => rules.push(pool.adopt(&Policy::new(Layout::parse(LAYOUTS[layout]).unwrap()))),
                Step::Dismiss(at) if at < rules.len() => pool.dismiss(rules.swap_remove(at)),
                Step::Dismiss(_) => {}
            }
        }
        let asked: Vec<(Condition, ConditionNumber)> =
            pool.numbers.iter().map(|(condition, number)| (condition.clone(), *number)).collect();
        let in_use: std::collections::BTreeSet<&Condition> = rules.iter()
            .flat_map(|rule| rule.policy.layout.items()).map(|item| &item.condition).collect();
        prop_assert!(asked.iter().all(|(condition, _)| *condition == Condition::ANY || in_use.contains(condition)));
        prop_assert!(in_use.iter().all(|condition| pool.numbers.contains_key(condition)));
        for (condition, number) in asked {
            let mut walked = all(&pool, number, start);
            prop_assert!(walked.windows(2).all(|pair| pool.fullness(pair[0]) <= pool.fullness(pair[1])));
            walked.sort_unstable();
            let holds = |set: usize| condition.holds(&labels(LABELS[set]));
            let expected: Vec<u16> = model.iter()
                .filter(|(_, (set, room))| room.is_some() && holds(*set)).map(|(disk, _)| *disk).collect();
            prop_assert_eq!(walked, expected, "{}", condition);
            for (disk, (set, _)) in &model {
                prop_assert_eq!(pool.holds(number, *disk), holds(*set));
            }
        }
        for (disk, (_, room)) in &model {
            prop_assert_eq!(pool.fullness(*disk), room.map_or(FULL, |room| room.fullness()));
        }
    }
}
