//! Connections that carry frames: many requests in flight, deadlines, back-pressure, pools.
//!
//! The connecting side has a [`Link`] (or a [`Pool`] of them), the accepting side calls [`serve`]. Both speak
//! the frames of `docs/protocol/frames.md`.
//!
//! # Invariants
//! 1. Frames leave in the order in which they were given to a link, and arrive in that order.
//! 2. Every call ends: with its answer, at its deadline, or when the connection is lost.
//! 3. Bytes that are not a frame close the connection they came from and touch no other.
//! 4. Memory per connection is bounded: by the budget of calls in flight on the connecting side; by the requests in flight
//!    and the answers that wait to be sent on the accepting side, which stops reading at its limits, and whose makers
//!    of large answers wait. A request is in flight until its answer was sent.
//! 5. A connection whose other end is silent for [`LinkOptions::silence_max`] while somebody waits is lost.
//!
//! # Elsewhere
//! What a body or a payload means: `wire::message` and the roles. Who listens: `rpc`'s port.

mod call;
mod counters;
mod error;
mod pool;
mod queue;
mod read;
mod serve;
mod stream;

pub use call::{Link, LinkOptions, Pending};
pub use counters::{Counters, CountersSnapshot};
pub use error::{LinkError, Lost};
pub use pool::{Pool, PoolOptions};
pub use serve::{Incoming, Refused, Replier, ServeOptions, serve};
