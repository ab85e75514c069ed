//! Data-plane frames and the sans-I/O machine of a write chain.
//!
//! The bytes of a frame are described in `docs/protocol/frames.md`, the order of steps of a write in
//! `docs/protocol/data-plane.md`. Everything here is a plain function of its inputs.
//!
//! # Invariants
//! 1. No bytes make a decoder panic, allocate more than a frame may hold, or loop.
//! 2. A decoded message was checked as far as it can be without knowing the chunk: ranges lie in the chunk,
//!    there is a checksum for each touched page, chains are no longer than a chunk has replicas.
//! 3. What is encoded decodes to the same value.
//!
//! # Elsewhere
//! Sockets: `link`. Chunk files: `store`. Generated protobuf types: `codec`.

pub mod chain;
pub mod crc;
pub mod frame;
pub mod message;
pub mod value;

pub use frame::{Frame, FrameError, HEADER_BYTES, Header, Kind};
