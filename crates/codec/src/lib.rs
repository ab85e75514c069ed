//! Generated prost types of log records, session, data and control messages, and their checked conversion to `types`.
//!
//! Everything that leaves a process as protobuf passes here: plain Rust structs outside, generated
//! structs (in [`proto`]) inside, and a check at the door. The `.proto` files live in `proto/`.
//!
//! # Invariants
//! 1. What [`Message::decode`] lets through satisfies the vocabulary: names are names, ids have their
//!    sixteen bytes, terms fit, enumerations are known, lists are no longer than [`limits`] says.
//! 2. No input makes a decoder panic, and what it allocates is at most a small multiple of the input.
//! 3. Encoding and decoding give back an equal value. Field numbers are only ever added.
//!
//! # Elsewhere
//! The frame around a message: `wire`. Byte and field tables: `docs/protocol/`, `docs/format/`.

pub mod admin;
pub mod checkpoint;
mod class;
mod common;
pub mod control;
pub mod data;
mod health;
pub mod limits;
mod message;
pub mod record;
pub mod session;

pub use message::{Malformed, Message};

/// What prost generates from `proto/*.proto`.
#[allow(missing_docs, clippy::large_enum_variant, reason = "generated; described in the .proto files")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/muskox.v1.rs"));
}
