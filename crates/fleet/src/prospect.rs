//! What policies could have of the disks there are, all servers being there: the one judgement of whether a class can be met.
//!
//! A server that is away counts as if it were there: it usually comes back, and that it is away is said elsewhere. A disk that has
//! failed, is read-only or is to go does not.

use crate::DiskState;
use crate::fleet::Fleet;
use placement::{Policy, Pool, Unmet};

/// The disks, apart from the fleet: what is tried here changes nothing.
#[derive(Clone, Debug)]
pub struct Prospect {
    pool: Pool,
    serves: Vec<bool>,
}

impl Fleet {
    /// The disks as they are now.
    pub fn prospect(&self) -> Prospect {
        let serves =
            |disk: &crate::hosts::Disk| !disk.forgotten && disk.state == DiskState::Good && !disk.leaving;
        let mut pool = self.hosts.pool.clone();
        // One that has not registered in this reign is known by the metadata.
        for (number, disk) in (0u16..).zip(&self.hosts.disks).filter(|(_, disk)| !disk.forgotten) {
            pool.set(number, disk.server, &self.hosts.labels(number));
        }
        Prospect { pool, serves: self.hosts.disks.iter().map(serves).collect() }
    }
}

impl Prospect {
    /// What a policy asks for and no disk can give, full or not. Empty: it can be met.
    pub fn unmet(&mut self, policy: &Policy) -> Vec<Unmet> {
        let rule = self.pool.adopt(policy);
        let serves = &self.serves;
        let unmet = self.pool.unmet(&rule, |disk| serves.get(usize::from(disk)).copied().unwrap_or(false));
        self.pool.dismiss(rule);
        unmet
    }
}
