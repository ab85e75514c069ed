//! One member of a write chain.
//!
//! A chain is the ordered list of replicas that one version of a chunk is written through. Clients send to
//! the head, which gives all writes one order; each member applies and forwards at the same time, and answers
//! when it and everything behind it has applied.

mod filling;
mod member;
mod table;

pub use filling::{Filling, PIECE_BYTES};
pub use member::{
    Admission, Answer, Closed, FlushInput, Member, Op, Origin, Refusal, SESSIONS_MAX, WRITES_IN_FLIGHT_MAX,
    WriteInput,
};
pub use table::WRITES_REMEMBERED_MAX;
