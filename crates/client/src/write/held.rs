//! Which replicas still hold everything that was written and not synced, and which have lost some of it.
//!
//! A chain may go on with a replica that was not there when something was written: it was made from another one, and has what that one
//! had then. If that one held everything, so does the new one; if nobody remembers what it was made from, it is as good as the rest of the
//! chain, but proves nothing. A replica whose disk lost power since it answered is not as good.
//!
//! # Invariants
//! 1. `whole` are the replicas (and boots) in the last answer that took every unsynced write without a break, or were made from one that was
//!    `whole` until then. One that was made anew on the same disk is another replica.
//! 2. A replica that answered under two boots, or said so itself, is `lost`, until the disk answers with another one, or the version was
//!    raised: then it was made equal to the others, or left behind.

use std::collections::BTreeMap;
use types::{DiskId, Verifier, Witness};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    whole: Vec<Verifier>,
    disks: BTreeMap<DiskId, Seen>,
}

/// The replica on a disk.
#[derive(Debug, Default)]
struct Seen {
    /// Under what it answered first.
    first: Option<Verifier>,
    lost: bool,
}

impl Held {
    /// The first write was answered.
    pub(super) fn new(witnesses: &[Witness]) -> Self {
        let whole = witnesses.iter().map(|witness| witness.verifier).collect();
        let mut held = Self { whole, disks: BTreeMap::new() };
        held.answered(witnesses);
        held
    }

    /// Another write, or a flush, was answered.
    pub(super) fn answered(&mut self, witnesses: &[Witness]) {
        for Witness { verifier, .. } in witnesses {
            let seen = self.disks.entry(verifier.disk).or_default();
            match seen.first {
                Some(first) if first.made == verifier.made => seen.lost |= first.boot != verifier.boot,
                _ => *seen = Seen { first: Some(*verifier), lost: false },
            }
        }
        let is_whole = |witness: &&Witness| {
            std::iter::once(&witness.verifier).chain(&witness.sources).any(|one| self.whole.contains(one))
        };
        self.whole = witnesses.iter().filter(is_whole).map(|witness| witness.verifier).collect();
    }

    /// The members of the chain were compared: whoever is one still has what the others have.
    pub(super) fn raised(&mut self) {
        self.disks.clear();
    }

    /// The disk says itself that it lost something.
    pub(super) fn lost_by(&mut self, disk: DiskId) {
        self.whole.retain(|one| one.disk != disk);
        self.disks.entry(disk).or_default().lost = true;
    }

    /// Nobody holds everything any more.
    pub(super) fn is_gone(&self) -> bool {
        self.whole.is_empty()
    }

    /// Whether the disk lost something while others hold everything.
    pub(super) fn lags(&self, disk: DiskId) -> bool {
        !self.whole.is_empty() && self.disks.get(&disk).is_some_and(|seen| seen.lost)
    }

    /// Those that hold everything.
    pub(super) fn verifiers(&self) -> impl Iterator<Item = Verifier> + '_ {
        self.whole.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier((n, boot, made): (u8, u64, u64)) -> Verifier {
        Verifier { disk: DiskId([n; 16]), boot, made }
    }

    /// Disk, boot, making.
    fn answer(members: &[(u8, u64, u64)]) -> Vec<Witness> {
        members.iter().map(|one| Witness { verifier: verifier(*one), sources: Vec::new() }).collect()
    }

    /// The same of one that was made from another.
    fn copy(of: (u8, u64, u64), own: (u8, u64, u64)) -> Witness {
        Witness { verifier: verifier(own), sources: vec![verifier(of)] }
    }

    #[test]
    fn a_member_that_joined_later_does_not_lag_and_one_that_lost_power_does() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.answered(&answer(&[(1, 1, 0), (3, 7, 0)]));
        assert!(!held.lags(DiskId([3; 16])), "it was copied from one that holds everything");
        assert_eq!(held.verifiers().collect::<Vec<_>>(), [verifier((1, 1, 0))]);
        held.answered(&answer(&[(1, 1, 0), (3, 8, 0)]));
        assert!(held.lags(DiskId([3; 16])), "it lost what it took since");
        held.answered(&answer(&[(1, 2, 0)]));
        assert!(held.is_gone());
    }

    #[test]
    fn a_replica_that_was_made_anew_neither_holds_what_the_one_before_held_nor_lags() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.answered(&answer(&[(1, 1, 0), (2, 1, 9)]));
        assert_eq!(held.verifiers().collect::<Vec<_>>(), [verifier((1, 1, 0))]);
        assert!(!held.lags(DiskId([2; 16])));
        held.lost_by(DiskId([1; 16]));
        assert!(held.is_gone(), "what disk 2 has now may come from disk 1");
    }

    #[test]
    fn a_disk_that_lost_something_lags_until_its_replica_is_made_anew() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.lost_by(DiskId([2; 16]));
        held.answered(&answer(&[(1, 1, 0), (2, 2, 0)]));
        assert!(held.lags(DiskId([2; 16])));
        held.answered(&answer(&[(1, 1, 0), (2, 2, 9)]));
        assert!(!held.lags(DiskId([2; 16])));
    }

    #[test]
    fn what_was_made_from_one_that_holds_everything_holds_everything_too() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.answered(&[answer(&[(1, 1, 0)]).remove(0), copy((1, 1, 0), (3, 1, 5))]);
        held.answered(&[copy((1, 1, 0), (3, 1, 5))]);
        assert_eq!(held.verifiers().collect::<Vec<_>>(), [verifier((3, 1, 5))]);
        // That one lost power: what is made from it now, or from the first ones as they are now, proves nothing.
        held.answered(&[copy((3, 2, 5), (2, 1, 7)), copy((1, 2, 0), (4, 1, 7))]);
        assert!(held.is_gone());
    }

    #[test]
    fn one_that_was_made_from_what_had_lost_something_before_does_not_count() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.lost_by(DiskId([1; 16]));
        held.answered(&[copy((1, 1, 0), (3, 1, 5)), copy((1, 2, 0), (4, 1, 5))]);
        assert!(held.is_gone(), "nobody knows when it lost it");
    }

    #[test]
    fn who_lost_something_does_not_lag_any_more_after_a_raise_and_still_proves_nothing() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.answered(&answer(&[(1, 1, 0), (2, 2, 0)]));
        assert!(held.lags(DiskId([2; 16])));
        held.raised();
        held.answered(&answer(&[(1, 1, 0), (2, 2, 0)]));
        assert!(!held.lags(DiskId([2; 16])));
        assert_eq!(held.verifiers().collect::<Vec<_>>(), [verifier((1, 1, 0))]);
    }
}
