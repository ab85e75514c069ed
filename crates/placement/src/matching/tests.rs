//! The matching is as large as any, and honours domains.

use super::*;
use proptest::prelude::*;

/// Labels as bits: replica `i` takes disks that have all bits of `needs[i]`.
struct Labelled<'a> {
    needs: &'a [u8],
    labels: &'a [u8],
}

impl Wanted for Labelled<'_> {
    fn replicas(&self) -> usize {
        self.needs.len()
    }
    fn accepts(&self, replica: usize, disk: &Candidate) -> bool {
        self.labels[usize::from(disk.disk)] & self.needs[replica] == self.needs[replica]
    }
}

fn candidate(disk: u16, domain: u32) -> Candidate {
    Candidate { disk, domain, total_bytes: 100, free_bytes: 100, writes: 0 }
}

/// The most replicas any choice can place, by trying all.
fn most(replica: usize, candidates: &[Candidate], wanted: &Labelled, taken: &mut Vec<u32>) -> usize {
    if replica == wanted.replicas() {
        return 0;
    }
    let mut best = most(replica + 1, candidates, wanted, taken);
    for candidate in candidates {
        if !taken.contains(&candidate.domain) && wanted.accepts(replica, candidate) {
            taken.push(candidate.domain);
            best = best.max(1 + most(replica + 1, candidates, wanted, taken));
            taken.pop();
        }
    }
    best
}

#[test]
fn a_greedy_choice_would_waste_the_only_disk_with_the_label() {
    // Replica 0 goes anywhere, replica 1 needs label 1, which the best disk alone has.
    let candidates = [candidate(0, 0), candidate(1, 1)];
    let choice = choose(&candidates, &Labelled { needs: &[0, 1], labels: &[1, 0] });
    assert_eq!(choice.disks, [Some(1), Some(0)]);
}

#[test]
fn two_disks_of_one_server_hold_one_replica_and_the_other_is_said_to_be_missing() {
    let candidates = [candidate(0, 7), candidate(1, 7)];
    let choice = choose(&candidates, &AnyDisk(2));
    assert_eq!((choice.found().collect::<Vec<_>>(), choice.missing()), (vec![0], 1));
    assert_eq!(choose(&[], &AnyDisk(2)).missing(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn as_many_replicas_are_placed_as_any_choice_could_place(
        disks in prop::collection::vec((0u32..5, 0u8..8), 0..8),
        needs in prop::collection::vec(0u8..8, 1..5),
    ) {
        let candidates: Vec<Candidate> =
            disks.iter().enumerate().map(|(n, (domain, _))| candidate(n as u16, *domain)).collect();
        let labels: Vec<u8> = disks.iter().map(|(_, labels)| *labels).collect();
        let wanted = Labelled { needs: &needs, labels: &labels };
        let choice = choose(&candidates, &wanted);
        prop_assert_eq!(choice.disks.len(), needs.len());
        prop_assert_eq!(choice.found().count(), most(0, &candidates, &wanted, &mut Vec::new()));
        let mut domains = Vec::new();
        for (replica, disk) in choice.disks.iter().enumerate() {
            let Some(disk) = disk else { continue };
            let chosen = &candidates[usize::from(*disk)];
            prop_assert!(wanted.accepts(replica, chosen));
            prop_assert!(!domains.contains(&chosen.domain), "two replicas in one domain");
            domains.push(chosen.domain);
        }
        prop_assert_eq!(choice, choose(&candidates, &wanted));
    }

    #[test]
    fn without_labels_the_first_domains_in_order_win(
        domains in prop::collection::vec(0u32..6, 1..12),
        replicas in 1usize..5,
    ) {
        let candidates: Vec<Candidate> =
            domains.iter().enumerate().map(|(n, domain)| candidate(n as u16, *domain)).collect();
        let mut first: Vec<u16> = Vec::new();
        for one in &candidates {
            if first.len() < replicas && !first.iter().any(|n| domains[usize::from(*n)] == one.domain) {
                first.push(one.disk);
            }
        }
        let mut chosen: Vec<u16> = choose(&candidates, &AnyDisk(replicas)).found().collect();
        chosen.sort_unstable();
        first.sort_unstable();
        prop_assert_eq!(chosen, first);
    }
}
