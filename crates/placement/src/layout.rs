//! A layout: how many replicas are wanted and what disks each of them accepts (`2*ssd,~backup`).
//!
//! # Invariants
//! 1. A layout asks for 1 to [`types::REPLICAS_MAX`] replicas in all, of which at least one does not lag.
//! 2. Two items of a layout differ in more than their count: `ssd,ssd` is `2*ssd`. The first of them keeps its place.
//! 3. What is printed and read again is the same value, and never longer than what was read first.
//!
//! # Elsewhere
//! Reading one: `parse`.

use crate::Condition;
use std::fmt;
use types::REPLICAS_MAX;

/// So many replicas of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// How many.
    pub count: usize,
    /// Brought up to date behind the writers' backs: never in a chain, never counted.
    pub lagging: bool,
    /// Which disks will do.
    pub condition: Condition,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout(Vec<Item>);

/// Why items are no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// More than [`REPLICAS_MAX`] in all, or an item without any.
    #[error("{replicas} replicas are asked for; it can be 1 to {REPLICAS_MAX} in all")]
    Replicas {
        /// How many.
        replicas: usize,
    },
    /// Only lagging ones.
    #[error("at least one replica must not lag (~)")]
    AllLag,
}

impl Layout {
    /// Puts items together.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Result<Self, LayoutError> {
        let mut joined: Vec<Item> = Vec::new();
        let mut replicas = 0usize;
        for item in items {
            replicas = replicas.saturating_add(item.count);
            if item.count == 0 || replicas > REPLICAS_MAX {
                return Err(LayoutError::Replicas { replicas });
            }
            let is_alike = |one: &&mut Item| one.lagging == item.lagging && one.condition == item.condition;
            match joined.iter_mut().find(is_alike) {
                Some(alike) => alike.count += item.count,
                None => joined.push(item),
            }
        }
        match joined.iter().all(|item| item.lagging) {
            true if joined.is_empty() => Err(LayoutError::Replicas { replicas }),
            true => Err(LayoutError::AllLag),
            false => Ok(Self(joined)),
        }
    }

    /// So many replicas, anywhere; never less than one and never more than there can be.
    pub fn anywhere(replicas: usize) -> Self {
        let count = replicas.clamp(1, REPLICAS_MAX);
        Self(vec![Item { count, lagging: false, condition: Condition::ANY }])
    }

    /// The items, in the order in which they were given.
    pub fn items(&self) -> &[Item] {
        &self.0
    }

    /// Replicas that do not lag: the goal.
    pub fn replicas(&self) -> usize {
        self.0.iter().filter(|item| !item.lagging).map(|item| item.count).sum()
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.lagging { "~" } else { "" })?;
        if self.count != 1 {
            write!(f, "{}*", self.count)?;
        }
        self.condition.fmt(f)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
