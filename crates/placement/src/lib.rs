//! Which disks should hold a chunk: what a storage class asks for, matched with failure domains.
//!
//! Pure and without memory of its own beyond the disks it is told: the same disks, wishes and tie-break
//! number give the same choice.
//!
//! # Invariants
//! 1. Two replicas of one chunk never share a failure domain while a choice exists in which they need not.
//! 2. As many replicas are placed as any choice could place; what cannot be placed is said.
//! 3. Among the choices that place as many, the emptiest and least busy disks win.
//! 4. A policy that cannot be met takes nothing away.
//!
//! # Elsewhere
//! What is on the disks and who writes: `fleet`. Classes by name: `meta`.

mod assignment;
mod cheapest;
mod condition;
mod judgement;
mod layout;
mod parse;
mod policy;
mod pool;
mod possible;
mod usable;

pub use assignment::{Assignment, Filled, Held, Slot, Use, Verdict};
pub use condition::Condition;
pub use judgement::Judgement;
pub use layout::{Item, Layout, LayoutError};
pub use parse::{Found, NESTING_MAX, ParseError, Problem, UnknownLabel, nearest, unknown_labels};
pub use policy::Policy;
pub use pool::{Pool, Room, Rule};
pub use possible::Unmet;
