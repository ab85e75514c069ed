//! Which disks should hold a chunk: a matching between wanted replicas and failure domains.
//!
//! Pure and without memory of its own beyond the disks it is told: the same disks, wishes and tie-break
//! number give the same choice.
//!
//! # Invariants
//! 1. Two replicas of one chunk never share a failure domain.
//! 2. As many replicas are placed as any choice could place; what cannot be placed is said.
//! 3. Among the choices that place as many, the emptiest and least busy disks win.
//!
//! # Elsewhere
//! What is on the disks and who writes: `fleet`.

mod candidates;
mod condition;
mod layout;
mod matching;
mod parse;
mod usable;

pub use candidates::{Candidate, Candidates};
pub use condition::Condition;
pub use layout::{Item, Layout, LayoutError};
pub use matching::{AnyDisk, Choice, Wanted, choose};
pub use parse::{
    Found, NESTING_MAX, ParseError, Problem, TEXT_BYTES_MAX, UnknownLabel, nearest, unknown_labels,
};
pub use usable::usable;
