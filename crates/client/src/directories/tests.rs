//! Whole directories against a model in which others change names too and answers overtake each other.

use super::*;
use proptest::prelude::*;
use types::{FileKind, Generation, InodeId, Owner, Timestamp, TruncateGeneration};

const AGE: Duration = Duration::from_secs(10);

fn dir() -> InodeRef {
    InodeRef { id: InodeId(7), generation: Generation(1) }
}

fn name(n: u8) -> Name {
    Name::new(&[b'a' + n]).expect("a name")
}

fn at(seconds: u64) -> Instant {
    Instant(Duration::from_secs(seconds))
}

fn attributes(counter: u64) -> Attributes {
    Attributes {
        inode: dir(),
        kind: FileKind::Directory,
        mode: 0o755,
        links: 2,
        owner: Owner { uid: 0, gid: 0 },
        device: 0,
        length: 0,
        chunks: 0,
        accessed: Timestamp::new(0, 0),
        modified: Timestamp::new(0, 0),
        changed: Timestamp::new(0, 0),
        created: Timestamp::new(0, 0),
        change_counter: counter,
        truncate_generation: TruncateGeneration(0),
    }
}

fn page(after: u64, last: u64, end: bool, counter: u64) -> Page {
    Page { after: DirCursor(after), last: DirCursor(last), end, counter, at: at(1) }
}

#[test]
fn a_new_directory_lacks_every_name_but_those_made_since() {
    let known = Directories::default();
    assert!(!known.lacks(dir(), &name(0), at(1), AGE));
    known.made(&attributes(1), at(1));
    assert!(known.lacks(dir(), &name(0), at(1), AGE));
    known.changed(dir(), 1, 2, at(2), Change::Added(name(0)));
    assert!(!known.lacks(dir(), &name(0), at(2), AGE));
    assert!(known.lacks(dir(), &name(1), at(2), AGE));
    known.changed(dir(), 2, 3, at(3), Change::Moved(name(0), name(1)));
    assert!(known.lacks(dir(), &name(0), at(3), AGE));
    assert!(!known.lacks(dir(), &name(1), at(3), AGE));
}

#[test]
fn what_is_known_grows_old_unless_the_directory_is_seen_unchanged() {
    let known = Directories::default();
    known.made(&attributes(1), at(0));
    assert!(!known.lacks(dir(), &name(0), at(11), AGE));
    known.seen(&attributes(1), at(11));
    assert!(known.lacks(dir(), &name(0), at(12), AGE));
    known.seen(&attributes(2), at(20));
    assert!(!known.lacks(dir(), &name(0), at(22), AGE), "somebody changed it");
}

#[test]
fn after_a_change_by_somebody_else_nothing_is_said_until_it_is_listed_again() {
    let known = Directories::default();
    known.made(&attributes(1), at(1));
    known.changed(dir(), 2, 3, at(1), Change::Added(name(0)));
    assert!(!known.lacks(dir(), &name(1), at(1), AGE));
    known.listed(dir(), page(0, 5, true, 3), [&name(0), &name(1)].into_iter());
    assert!(!known.lacks(dir(), &name(1), at(1), AGE));
    assert!(known.lacks(dir(), &name(2), at(1), AGE));
}

#[test]
fn a_listing_counts_only_if_it_is_whole_and_the_directory_did_not_change_meanwhile() {
    let known = Directories::default();
    known.listed(dir(), page(5, 9, true, 1), [&name(1)].into_iter());
    assert!(!known.lacks(dir(), &name(2), at(1), AGE), "its beginning was not seen");
    known.listed(dir(), page(0, 5, false, 1), [&name(0)].into_iter());
    assert!(!known.lacks(dir(), &name(2), at(1), AGE), "its end was not seen");
    known.listed(dir(), page(5, 9, true, 2), [&name(1)].into_iter());
    assert!(!known.lacks(dir(), &name(2), at(1), AGE), "it changed between the pages");
    known.listed(dir(), page(0, 5, false, 2), [&name(0)].into_iter());
    known.listed(dir(), page(5, 9, true, 2), [&name(1)].into_iter());
    assert!(known.lacks(dir(), &name(2), at(1), AGE));
    assert!(!known.lacks(dir(), &name(0), at(1), AGE));
}

#[test]
fn memory_is_bounded_and_what_was_used_last_stays() {
    let known = Directories::default();
    let numbered = |n: usize| InodeRef { id: InodeId(n as u64), generation: Generation(1) };
    for n in 0..NAMES_MAX * 2 {
        known.made(&Attributes { inode: numbered(n), ..attributes(1) }, at(1));
        assert!(n < 10 || known.lacks(numbered(9), &name(0), at(1), AGE));
    }
    let table = known.table();
    assert!(table.young.len() + table.old.len() <= NAMES_MAX);
}

/// The directory as the master has it.
#[derive(Default)]
struct Model {
    names: BTreeSet<Name>,
    counter: u64,
    /// The names at each moment.
    history: Vec<(u64, BTreeSet<Name>)>,
}

impl Model {
    fn apply(&mut self, change: &Change, now: u64) -> (u64, u64) {
        let before = self.counter;
        match change {
            Change::Added(name) => drop(self.names.insert(name.clone())),
            Change::Removed(name) => drop(self.names.remove(name)),
            Change::Moved(from, to) => {
                self.names.remove(from);
                self.names.insert(to.clone());
            }
            Change::Kept => {}
        }
        self.counter += 1;
        self.history.push((now, self.names.clone()));
        (before, self.counter)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Own(Change),
    Other(Change),
    /// One of the own changes that are under way is answered.
    Answer(usize),
    /// Or its answer is lost.
    Lose(usize),
    List,
    See,
}

fn change() -> impl Strategy<Value = Change> {
    let names = 0..4_u8;
    prop_oneof![
        3 => names.clone().prop_map(|n| Change::Added(name(n))),
        2 => names.clone().prop_map(|n| Change::Removed(name(n))),
        1 => (names.clone(), names).prop_map(|(a, b)| Change::Moved(name(a), name(b))),
        1 => Just(Change::Kept),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => change().prop_map(Step::Own),
        1 => change().prop_map(Step::Other),
        5 => (0..4_usize).prop_map(Step::Answer),
        1 => (0..4_usize).prop_map(Step::Lose),
        1 => Just(Step::List),
        1 => Just(Step::See),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_name_that_is_said_to_be_absent_was_absent_lately_and_after_all_own_answered_changes(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let known = Directories::default();
        let mut model = Model::default();
        model.history.push((0, BTreeSet::new()));
        known.made(&attributes(0), at(0));
        let mut under_way = Vec::new();
        let mut answered = 0;
        for (now, step) in (1_u64..).zip(steps) {
            model.history.push((now, model.names.clone()));
            match step {
                Step::Own(change) => {
                    let (before, after) = model.apply(&change, now);
                    under_way.push((now, before, after, change));
                }
                Step::Other(change) => drop(model.apply(&change, now)),
                Step::Answer(n) if !under_way.is_empty() => {
                    let (sent, before, after, change) = under_way.remove(n % under_way.len());
                    known.changed(dir(), before, after, at(sent), change);
                    answered = answered.max(sent);
                }
                Step::Lose(n) if !under_way.is_empty() => {
                    drop(under_way.remove(n % under_way.len()));
                    known.forget(dir());
                }
                Step::List => known.listed(
                    dir(),
                    Page { at: at(now), ..page(0, 9, true, model.counter) },
                    model.names.iter(),
                ),
                Step::See => known.seen(&attributes(model.counter), at(now)),
                Step::Answer(_) | Step::Lose(_) => {}
            }
            for n in 0..4 {
                if known.lacks(dir(), &name(n), at(now), AGE) {
                    let since = now.saturating_sub(AGE.as_secs()).max(answered);
                    let lately = model.history.iter().filter(|(at, _)| *at >= since);
                    prop_assert!(lately.into_iter().any(|(_, names)| !names.contains(&name(n))));
                }
            }
        }
    }
}
