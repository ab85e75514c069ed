//! Which replicas still hold everything that was written and not synced, and which have lost some of it.
//!
//! A chain may go on with a replica that was not there when something was written: it was made from another one, and has what that one
//! had then. It is as good as the rest of the chain, but proves nothing. A replica whose disk lost power since it answered is not as good.
//!
//! # Invariants
//! 1. `whole` are the replicas (and boots) that took every unsynced write without a break. One that was made anew on the same disk is not
//!    among them.
//! 2. A replica that answered under two boots, or said so itself, is `lost`, until the disk answers with another one.

use std::collections::BTreeMap;
use types::{DiskId, Verifier};

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
    pub(super) fn new(verifiers: &[Verifier]) -> Self {
        let mut held = Self { whole: verifiers.to_vec(), disks: BTreeMap::new() };
        held.answered(verifiers);
        held
    }

    /// Another write, or a flush, was answered.
    pub(super) fn answered(&mut self, verifiers: &[Verifier]) {
        for verifier in verifiers {
            let seen = self.disks.entry(verifier.disk).or_default();
            match seen.first {
                Some(first) if first.made == verifier.made => seen.lost |= first.boot != verifier.boot,
                _ => *seen = Seen { first: Some(*verifier), lost: false },
            }
        }
        self.whole.retain(|one| verifiers.contains(one));
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

    /// Disk, boot, making.
    fn answer(members: &[(u8, u64, u64)]) -> Vec<Verifier> {
        let verifier = |(n, boot, made): &_| Verifier { disk: DiskId([*n; 16]), boot: *boot, made: *made };
        members.iter().map(verifier).collect()
    }

    #[test]
    fn a_member_that_joined_later_does_not_lag_and_one_that_lost_power_does() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.answered(&answer(&[(1, 1, 0), (3, 7, 0)]));
        assert!(!held.lags(DiskId([3; 16])), "it was copied from one that holds everything");
        assert_eq!(held.verifiers().collect::<Vec<_>>(), answer(&[(1, 1, 0)]));
        held.answered(&answer(&[(1, 1, 0), (3, 8, 0)]));
        assert!(held.lags(DiskId([3; 16])), "it lost what it took since");
        held.answered(&answer(&[(1, 2, 0)]));
        assert!(held.is_gone());
    }

    #[test]
    fn a_replica_that_was_made_anew_neither_holds_what_the_one_before_held_nor_lags() {
        let mut held = Held::new(&answer(&[(1, 1, 0), (2, 1, 0)]));
        held.answered(&answer(&[(1, 1, 0), (2, 1, 9)]));
        assert_eq!(held.verifiers().collect::<Vec<_>>(), answer(&[(1, 1, 0)]));
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
}
