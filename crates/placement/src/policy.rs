//! A policy: what a storage class asks for of the chunks at one stage of their life.
//!
//! # What [`Mode`] decides
//! | | strict | standard | loose |
//! | --- | --- | --- | --- |
//! | disks with the label are busy | wait | wait | any disk |
//! | disks with the label are full, or there are none | do without | any disk | any disk |
//! | no further value of the label that replicas are spread over | do without | another host | another host |
//! | no further host | do without | do without | another disk of a host |
//!
//! Strict and standard do not put a second replica on a host when hosts were asked for: it would cost its room and outlive
//! nothing that the first one does not, and a server that is away for an hour would double what the others hold. Loose does:
//! who says it wants the number of replicas above all. Two replicas are never on one disk.
//!
//! Where both cannot be had, the failure domain goes before the label: a label is about speed and cost, a domain about losing
//! data. To do without is not to lose: what exists stays, and a chunk is written with as many replicas as there are,
//! if they are at least `min_write`.

use crate::Layout;
use types::{Mode, Spread};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Policy {
    /// How many replicas on which disks.
    pub layout: Layout,
    /// What they may not share.
    pub spread: Spread,
    /// What to do without.
    pub mode: Mode,
    /// Fewest replicas that may acknowledge a write, if it was said.
    pub min_write: Option<usize>,
}

impl Policy {
    /// This layout, and all else as it is when nothing is said.
    pub fn new(layout: Layout) -> Self {
        Self { layout, spread: Spread::default(), mode: Mode::default(), min_write: None }
    }

    /// Fewest replicas that may acknowledge a write: as said, else one of one or two replicas and two of more; never more
    /// than the replicas that do not lag.
    pub fn min_write(&self) -> usize {
        let replicas = self.layout.replicas();
        self.min_write.unwrap_or(if replicas <= 2 { 1 } else { 2 }).clamp(1, replicas)
    }
}
