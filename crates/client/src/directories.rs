//! Directories of which this client knows all names, so that "no such name" need not be asked for.
//!
//! A directory that this client made has no names; one that it listed to the end has those of the list. From then on
//! its own changes are added, and the directory's change counter tells whether they were the only ones.
//!
//! # Invariants
//! 1. `names` are the names at the change counter `counter`; the directory was seen at that counter when it was
//!    asked for at `at`. A change is put in only if it began at that counter.
//! 2. While an own change that was answered is not put in, nothing is said of the directory: a mount sees its own
//!    changes at once.
//! 3. At most [`NAMES_MAX`] names are kept, and [`NAMES_PER_DIRECTORY_MAX`] of one directory. What was not used longest goes.

use env::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use types::{Attributes, DirCursor, InodeRef, Name};

/// About 20 MiB of short names. A directory counts as one.
const NAMES_MAX: usize = 200_000;
/// Names of one directory.
const NAMES_PER_DIRECTORY_MAX: usize = 32_768;
/// Own changes that wait for one that began earlier.
const AHEAD_MAX: usize = 64;
/// Directories that are being listed at one time.
const BUILDING_MAX: usize = 64;

/// What a request of this client did to the names of one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The name is there now.
    Added(Name),
    /// It is not there any more.
    Removed(Name),
    /// Renamed within the directory.
    Moved(Name, Name),
    /// The names are the same.
    Kept,
}

/// One page of a listing.
pub(crate) struct Page {
    /// It begins after this entry.
    pub(crate) after: DirCursor,
    /// The cursor of its last entry.
    pub(crate) last: DirCursor,
    /// Nothing follows.
    pub(crate) end: bool,
    /// The directory's change counter.
    pub(crate) counter: u64,
    /// When it was asked for.
    pub(crate) at: Instant,
}

struct Listing {
    counter: u64,
    at: Instant,
    names: BTreeSet<Name>,
    /// Own changes by the counter at which they began, each with the counter after it.
    ahead: BTreeMap<u64, (u64, Instant, Change)>,
}

impl Listing {
    fn new(counter: u64, at: Instant, names: BTreeSet<Name>) -> Self {
        Self { counter, at, names, ahead: BTreeMap::new() }
    }

    fn put(&mut self, change: Change) {
        match change {
            Change::Added(name) => drop(self.names.insert(name)),
            Change::Removed(name) => drop(self.names.remove(&name)),
            Change::Moved(from, to) => {
                self.names.remove(&from);
                self.names.insert(to);
            }
            Change::Kept => {}
        }
    }

    fn catch_up(&mut self) {
        while let Some((after, at, change)) = self.ahead.remove(&self.counter) {
            self.put(change);
            self.counter = after;
            self.at = self.at.max(at);
        }
    }
}

/// A listing of which the end is not seen yet.
struct Building {
    last: DirCursor,
    counter: u64,
    names: BTreeSet<Name>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Directories {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Used since the other half was thrown away.
    young: BTreeMap<InodeRef, Listing>,
    /// Not used since then.
    old: BTreeMap<InodeRef, Listing>,
    /// Names that went into `young`.
    count: usize,
    building: BTreeMap<InodeRef, Building>,
}

impl Table {
    /// The listing, which counts as used now.
    fn get(&mut self, dir: InodeRef) -> Option<&mut Listing> {
        if let Some(listing) = self.old.remove(&dir) {
            self.insert(dir, listing);
        }
        self.young.get_mut(&dir)
    }

    fn insert(&mut self, dir: InodeRef, listing: Listing) {
        self.old.remove(&dir);
        self.count_names(1 + listing.names.len());
        self.young.insert(dir, listing);
    }

    fn count_names(&mut self, names: usize) {
        self.count += names;
        if self.count > NAMES_MAX / 2 {
            self.count = names;
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn remove(&mut self, dir: InodeRef) {
        self.young.remove(&dir);
        self.old.remove(&dir);
    }
}

impl Directories {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it is held")
    }

    /// This client made the directory just now: it is empty.
    pub(crate) fn made(&self, dir: &Attributes, at: Instant) {
        self.table().insert(dir.inode, Listing::new(dir.change_counter, at, BTreeSet::new()));
    }

    /// A page of a listing was answered. The last page of an unchanged directory makes it known.
    pub(crate) fn listed<'a>(&self, dir: InodeRef, page: Page, names: impl Iterator<Item = &'a Name>) {
        let mut table = self.table();
        let mut building = match table.building.remove(&dir) {
            _ if page.after == DirCursor(0) => {
                Building { last: page.after, counter: page.counter, names: BTreeSet::new() }
            }
            Some(building) => building,
            None => return,
        };
        if building.last != page.after || building.counter != page.counter {
            return;
        }
        building.names.extend(names.cloned());
        building.last = page.last;
        if building.names.len() > NAMES_PER_DIRECTORY_MAX {
            return;
        }
        if page.end {
            let known = table.get(dir).is_some_and(|listing| listing.counter > page.counter);
            if !known {
                let mut listing = Listing::new(page.counter, page.at, building.names);
                if let Some(before) = table.get(dir) {
                    listing.ahead = std::mem::take(&mut before.ahead).split_off(&page.counter);
                    listing.catch_up();
                }
                table.insert(dir, listing);
            }
        } else {
            if table.building.len() >= BUILDING_MAX {
                table.building.pop_first();
            }
            table.building.insert(dir, building);
        }
    }

    /// A request of this client, sent at `at`, found the directory at `before` and left it at `after`.
    pub(crate) fn changed(&self, dir: InodeRef, before: u64, after: u64, at: Instant, change: Change) {
        let mut table = self.table();
        let Some(listing) = table.get(dir) else { return };
        if after <= listing.counter {
            return;
        }
        if before < listing.counter {
            return table.remove(dir);
        }
        let adds = matches!(change, Change::Added(_) | Change::Moved(..));
        listing.ahead.insert(before, (after, at, change));
        listing.catch_up();
        if listing.ahead.len() > AHEAD_MAX || listing.names.len() > NAMES_PER_DIRECTORY_MAX {
            table.remove(dir);
        } else if adds {
            table.count_names(1);
        }
    }

    /// The directory was seen as it is known here, when it was asked for at `at`.
    pub(crate) fn seen(&self, dir: &Attributes, at: Instant) {
        if let Some(listing) = self.table().get(dir.inode)
            && listing.counter == dir.change_counter
        {
            listing.at = listing.at.max(at);
        }
    }

    /// Whether all names of the directory are known as of this change counter.
    pub(crate) fn is_known(&self, dir: InodeRef, counter: u64) -> bool {
        let known = |listing: &mut Listing| listing.ahead.is_empty() && listing.counter >= counter;
        self.table().get(dir).is_some_and(known)
    }

    /// Whether there was no such name at most `age` ago. False if that is not known.
    pub(crate) fn lacks(&self, dir: InodeRef, name: &Name, now: Instant, age: Duration) -> bool {
        let mut table = self.table();
        let Some(listing) = table.get(dir) else { return false };
        listing.ahead.is_empty() && now.since(listing.at) <= age && !listing.names.contains(name)
    }

    /// Nothing is known of the directory any more: what this client did to it is not known.
    pub(crate) fn forget(&self, dir: InodeRef) {
        let mut table = self.table();
        table.remove(dir);
        table.building.remove(&dir);
    }

    /// Nothing is known of any directory any more.
    pub(crate) fn clear(&self) {
        *self.table() = Table::default();
    }
}

#[cfg(test)]
mod tests;
