//! Which faults a run may have, and how often each is drawn.
//!
//! # Invariants
//! 1. What destroys stored bytes ([`Faults::BadDisk`], [`Faults::Rot`]) strikes one disk of one server, the *suspect*, and in
//!    such a run no other server is stopped or cut off. So each chunk keeps a good replica elsewhere (the fault atlas of
//!    TigerBeetle), and any loss is a bug.
//! 2. The server of the suspect is killed and loses power like any other: what of it does not match its checksums
//!    afterwards, torn or rotten, is had from the other replicas.
//! 3. Everything else may strike everybody at the same time: it takes away nothing that was synced.

use crate::chance::Chance;
use std::fmt;
use std::str::FromStr;

/// Which faults a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// None but delays that differ from message to message.
    Delays,
    /// Connections break, processes are killed and started again.
    Kills,
    /// Machines lose power too.
    PowerCuts,
    /// Partitions, one-way too; connections that stall, fall silent or break; long delays.
    Network,
    /// Disks and the changelog become slow, or hang.
    SlowDisks,
    /// Disks of all roles run full for a while.
    FullDisks,
    /// Reads, writes and syncs of the suspect fail.
    BadDisk,
    /// The suspect's bits rot, and its writes are lost or land elsewhere.
    Rot,
    /// A master and a client die together in the middle of an edit, while disks take seconds over some syncs.
    Edits,
    /// Clients lose touch with the master for longer than they wait, in the middle of something, and go on with the files of which they had to give
    /// something up.
    GivenUp,
    /// All that destroys nothing, but for what `Edits` and `GivenUp` add.
    Everything,
}

impl Faults {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Delays,
        Self::Kills,
        Self::PowerCuts,
        Self::Network,
        Self::SlowDisks,
        Self::FullDisks,
        Self::BadDisk,
        Self::Rot,
        Self::Edits,
        Self::GivenUp,
        Self::Everything,
    ];

    /// Those of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        match seed % 14 {
            0 => Self::Delays,
            1 => Self::Kills,
            2 | 3 => Self::PowerCuts,
            4 | 5 => Self::Network,
            6 => Self::SlowDisks,
            7 => Self::FullDisks,
            8 => Self::BadDisk,
            9 => Self::Rot,
            12 => Self::Edits,
            13 => Self::GivenUp,
            _ => Self::Everything,
        }
    }

    /// Whether stored bytes are destroyed, on the suspect alone.
    pub(crate) fn destroy(self) -> bool {
        matches!(self, Self::BadDisk | Self::Rot)
    }

    /// Whether clients go on with files of which they were told that something was lost.
    pub(crate) fn go_on(self) -> bool {
        self == Self::GivenUp
    }

    /// Whether power is lost, everywhere at the same time too.
    pub(crate) fn cut_power(self) -> bool {
        matches!(self, Self::PowerCuts | Self::Everything)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|faults| faults.to_string() == name);
        known.ok_or_else(|| format!("{name} is none of {:?}", Self::ALL))
    }
}

/// One thing that may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, this time.
    Nothing,
    /// Other delays between all hosts.
    Delays,
    /// Connections between two hosts break.
    Break,
    /// No fault: the master builds a checkpoint.
    Checkpoint,
    /// Processes or machines stop and start again.
    Strike,
    /// Long delays from one host to another.
    LongDelay,
    /// Two hosts are cut off from each other, or one from the other.
    Partition,
    /// One host is cut off from all others, or they from it.
    Isolate,
    /// What two hosts send each other stalls; then their connections break.
    Stall,
    /// The connections of two hosts fall silent for ever.
    Silence,
    /// A wall clock jumps.
    Clock,
    /// A disk or the changelog becomes slow.
    Slow,
    /// A disk takes seconds over some syncs, while what does not sync overtakes them.
    Snag,
    /// The master and a client that edits a file are killed at the same time.
    Pair,
    /// A disk or the changelog hangs.
    Hang,
    /// A disk runs full.
    Full,
    /// Operations of the suspect fail.
    Fail,
    /// Bits of the suspect flip.
    Flip,
    /// A write of the suspect goes astray.
    Stray,
}

/// What is drawn, and how often.
#[derive(Clone, Debug)]
pub(super) struct Menu(Vec<(u64, Kind)>);

/// By how much a seed changes the weight of each kind: some do not happen, and some happen most of the time.
const FACTORS: [u64; 4] = [0, 1, 1, 6];

impl Menu {
    pub(super) fn new(faults: Faults, chance: &mut Chance) -> Self {
        let base: &[(u64, Kind)] = match faults {
            Faults::Delays => return Self(vec![(25, Kind::Delays), (75, Kind::Nothing)]),
            Faults::Kills | Faults::PowerCuts => {
                return Self(vec![
                    (25, Kind::Delays),
                    (15, Kind::Break),
                    (5, Kind::Checkpoint),
                    (55, Kind::Strike),
                ]);
            }
            Faults::Network => &[
                (10, Kind::Delays),
                (15, Kind::LongDelay),
                (15, Kind::Break),
                (25, Kind::Partition),
                (10, Kind::Isolate),
                (15, Kind::Stall),
                (10, Kind::Silence),
                (10, Kind::Strike),
                (5, Kind::Checkpoint),
                (5, Kind::Clock),
            ],
            Faults::SlowDisks => &[
                (30, Kind::Slow),
                (25, Kind::Hang),
                (10, Kind::Delays),
                (5, Kind::Break),
                (15, Kind::Strike),
                (5, Kind::Checkpoint),
                (5, Kind::Clock),
            ],
            Faults::FullDisks => &[
                (50, Kind::Full),
                (10, Kind::Delays),
                (10, Kind::Break),
                (20, Kind::Strike),
                (10, Kind::Checkpoint),
            ],
            Faults::BadDisk => &[
                (60, Kind::Fail),
                (10, Kind::Delays),
                (20, Kind::Strike),
                (5, Kind::Checkpoint),
                (5, Kind::Clock),
            ],
            Faults::Rot => &[
                (35, Kind::Flip),
                (35, Kind::Stray),
                (10, Kind::Delays),
                (15, Kind::Strike),
                (5, Kind::Checkpoint),
            ],
            Faults::Edits => &[
                (30, Kind::Pair),
                (30, Kind::Snag),
                (15, Kind::Strike),
                (10, Kind::Delays),
                (5, Kind::Break),
                (5, Kind::Slow),
                (5, Kind::Checkpoint),
            ],
            Faults::GivenUp => &[
                (40, Kind::Delays),
                (10, Kind::Break),
                (10, Kind::Partition),
                (10, Kind::Hang),
                (10, Kind::Silence),
                (10, Kind::Strike),
                (10, Kind::Checkpoint),
            ],
            Faults::Everything => &[
                (10, Kind::Delays),
                (10, Kind::LongDelay),
                (10, Kind::Break),
                (10, Kind::Partition),
                (5, Kind::Isolate),
                (10, Kind::Stall),
                (5, Kind::Silence),
                (30, Kind::Strike),
                (10, Kind::Slow),
                (10, Kind::Hang),
                (10, Kind::Full),
                (5, Kind::Checkpoint),
                (5, Kind::Clock),
            ],
        };
        let mut drawn: Vec<(u64, Kind)> =
            base.iter().map(|(weight, kind)| (weight * *chance.pick(&FACTORS), *kind)).collect();
        // Never nothing at all.
        drawn.push((1, base[0].1));
        drawn.retain(|(weight, _)| *weight > 0);
        Self(drawn)
    }

    /// The next one.
    pub(super) fn draw(&self, chance: &mut Chance) -> Kind {
        let mut left = chance.below(self.0.iter().map(|(weight, _)| weight).sum());
        for (weight, kind) in &self.0 {
            if left < *weight {
                return *kind;
            }
            left -= weight;
        }
        Kind::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_run_has_a_name_that_is_read_back_and_seeds_that_draw_it() {
        for faults in Faults::ALL {
            assert_eq!(faults.to_string().parse(), Ok(faults));
            assert!((0..14).any(|seed| Faults::of(seed) == faults), "{faults}");
        }
        assert!("Nonsense".parse::<Faults>().is_err());
    }

    #[test]
    fn what_destroys_is_drawn_only_where_a_suspect_is() {
        for (faults, seed) in
            Faults::ALL.into_iter().flat_map(|faults| (0..50).map(move |seed| (faults, seed)))
        {
            let mut chance = Chance::named(seed, "menu");
            let menu = Menu::new(faults, &mut chance);
            for _ in 0..100 {
                let kind = menu.draw(&mut chance);
                let destroys = matches!(kind, Kind::Fail | Kind::Flip | Kind::Stray);
                assert!(!destroys || faults.destroy(), "{faults} {kind:?}");
                let spreads = matches!(kind, Kind::Partition | Kind::Isolate | Kind::Stall | Kind::Silence);
                assert!(!spreads || !faults.destroy(), "{faults} {kind:?}");
            }
        }
    }
}
