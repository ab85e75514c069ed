//! What the replicas of a chunk are worth to a policy: which fit, which stand in, which may go.
//!
//! # Invariants
//! 1. Each replica is in one of the lists; lists and order depend on the replicas, the disks and the rule alone.
//! 2. Nothing may go while a counted replica is missing. What remains without those that may go is never less than what is
//!    asked for, wherever it is: a label that nobody has, or a policy that nobody can meet, drops nothing.
//! 3. What may go is named with what should go first: what is on a disk that is being emptied, then what has none of the labels
//!    asked for, then what is on the fullest disk.

use crate::{Held, Pool, Rule};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Replicas that are where they should be.
    pub fits: Vec<u16>,
    /// Replicas with wrong labels, or in a failure domain with another: kept until better ones exist.
    pub stands_in: Vec<u16>,
    /// Replicas that nobody needs, the first to go first.
    pub surplus: Vec<u16>,
    /// Replicas on disks that are being emptied, which are needed yet.
    pub leaving: Vec<u16>,
    /// Counted replicas that do not exist.
    pub open: usize,
}

impl Pool {
    /// Judges what exists.
    pub fn judge(&self, rule: &Rule, held: &[Held]) -> Judgement {
        let slots = self.fill_with_held(rule, held);
        let mut judgement = Judgement::default();
        for slot in &slots {
            match slot.filled {
                Some(filled) if filled.off_label || filled.off_spread => {
                    judgement.stands_in.push(filled.disk);
                }
                Some(filled) => judgement.fits.push(filled.disk),
                None if slot.lagging => {}
                None => judgement.open += 1,
            }
        }
        let is_needed =
            |one: &Held| judgement.fits.contains(&one.disk) || judgement.stands_in.contains(&one.disk);
        let mut rest: Vec<&Held> = held.iter().filter(|one| !is_needed(one)).collect();
        if judgement.open > 0 {
            // All that is counted fills something now, so these lag or are leaving.
            judgement.leaving = rest.iter().map(|one| one.disk).collect();
            return judgement;
        }
        let has_none = |disk| !rule.slots.iter().any(|(condition, _)| self.holds(*condition, disk));
        rest.sort_by_key(|one| {
            let last = (one.leaving, has_none(one.disk), self.fullness(one.disk));
            (std::cmp::Reverse(last), one.disk)
        });
        judgement.surplus = rest.iter().map(|one| one.disk).collect();
        judgement
    }
}

impl Pool {
    /// Whether counted replicas on these disks are all where they should be. Asked for every change of a chunk, so the
    /// common rule, any disk, is answered without a matching.
    pub fn suits(&self, rule: &Rule, disks: impl Iterator<Item = u16> + Clone) -> bool {
        if rule.slots.iter().all(|(condition, _)| *condition == Self::ANY) {
            let mut rest = disks;
            while let Some(disk) = rest.next() {
                let domain = self.domain(disk, rule.domains);
                if rest.clone().any(|other| self.domain(other, rule.domains) == domain) {
                    return false;
                }
            }
            return true;
        }
        let held: Vec<Held> = disks.map(|disk| Held { disk, leaving: false, lagging: false }).collect();
        let judgement = self.judge(rule, &held);
        judgement.stands_in.is_empty() && judgement.surplus.is_empty()
    }
}

#[cfg(test)]
mod tests;
