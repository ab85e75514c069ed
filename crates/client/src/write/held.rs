//! Which disks still hold everything that was written and not synced, and which have lost some of it.
//!
//! A chain may go on with a member that was not there when something was written: it was copied from one that
//! was, and is as good as that one. A member whose disk lost power since it answered is not.
//!
//! # Invariants
//! 1. `whole` are the disks (and boots) that took every unsynced write without a break.
//! 2. A disk that answered under two boots, or said so itself, is among `lost`.

use std::collections::BTreeSet;
use types::{DiskId, Verifier};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    whole: Vec<Verifier>,
    /// Under which boot each disk answered first.
    seen: Vec<Verifier>,
    lost: BTreeSet<DiskId>,
}

impl Held {
    /// The first write was answered.
    pub(super) fn new(verifiers: &[Verifier]) -> Self {
        Self { whole: verifiers.to_vec(), seen: verifiers.to_vec(), lost: BTreeSet::new() }
    }

    /// Another write, or a flush, was answered.
    pub(super) fn answered(&mut self, verifiers: &[Verifier]) {
        for verifier in verifiers {
            match self.seen.iter().find(|seen| seen.disk == verifier.disk) {
                None => self.seen.push(*verifier),
                Some(seen) if seen.boot == verifier.boot => {}
                Some(_) => drop(self.lost.insert(verifier.disk)),
            }
        }
        self.whole.retain(|one| verifiers.contains(one));
    }

    /// The disk says itself that it lost something.
    pub(super) fn lost_by(&mut self, disk: DiskId) {
        self.whole.retain(|one| one.disk != disk);
        self.lost.insert(disk);
    }

    /// No disk holds everything any more.
    pub(super) fn is_gone(&self) -> bool {
        self.whole.is_empty()
    }

    /// Whether the disk lost something while others hold everything.
    pub(super) fn lags(&self, disk: DiskId) -> bool {
        !self.whole.is_empty() && self.lost.contains(&disk)
    }

    /// The disks that hold everything.
    pub(super) fn verifiers(&self) -> impl Iterator<Item = Verifier> + '_ {
        self.whole.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(disks: &[(u8, u64)]) -> Vec<Verifier> {
        disks.iter().map(|(n, boot)| Verifier { disk: DiskId([*n; 16]), boot: *boot }).collect()
    }

    #[test]
    fn a_member_that_joined_later_does_not_lag_and_one_that_lost_power_does() {
        let mut held = Held::new(&answer(&[(1, 1), (2, 1)]));
        held.answered(&answer(&[(1, 1), (3, 7)]));
        assert!(!held.lags(DiskId([3; 16])), "it was copied from one that holds everything");
        assert_eq!(held.verifiers().collect::<Vec<_>>(), answer(&[(1, 1)]));
        held.answered(&answer(&[(1, 1), (3, 8)]));
        assert!(held.lags(DiskId([3; 16])), "it lost what it took since");
        held.answered(&answer(&[(1, 2)]));
        assert!(held.is_gone());
    }
}
