//! Identities, units, geometry, labels, storage classes, attributes, requests, replies, records and status words.
//!
//! The vocabulary that every other crate speaks. Plain data: no I/O, no clock, no encoding.
//!
//! # Invariants
//! 1. An identity is a type of its own; two bare integers never stand side by side.
//! 2. A constructor that can be given bad input (a name, a term) checks it and says what is wrong.
//!
//! # Elsewhere
//! How these values look as bytes: `codec` and `docs/protocol/`, `docs/format/`.

mod attributes;
mod chain;
mod class;
mod geometry;
mod health;
mod hold;
mod ids;
mod label;
mod limit;
mod mark;
mod name;
mod record;
mod reply;
mod request;
mod stage;
mod status;
mod task;
mod time;
mod unsettled;

pub use attributes::*;
pub use chain::*;
pub use class::*;
pub use geometry::*;
pub use health::*;
pub use hold::*;
pub use ids::*;
pub use label::*;
pub use limit::*;
pub use mark::*;
pub use name::*;
pub use record::*;
pub use reply::*;
pub use request::*;
pub use stage::*;
pub use status::*;
pub use task::*;
pub use time::*;
pub use unsettled::*;
