//! The tonic services behind a typed trait that also has an in-memory carrier.
//!
//! Roles see typed messages of `codec` and never tonic: a chunkserver holds one end of a
//! [`control::ControlLink`], the master the other; operators hold an [`admin::AdminApi`].
//! [`port::serve`] answers a role's one TCP port.
//!
//! # Invariants
//! 1. Every queue is bounded; a slow reader slows its writer through the carrier's flow control.
//! 2. A message that fails codec's checks ends the link that brought it, and nothing else.
//! 3. On a simulated stream no tonic runs: the plain carrier of [`carrier`] takes its place, so a
//!    simulation stays deterministic.
//! 4. Dropping the future of [`port::serve`] cuts every connection of the port, as a crash would.
//!
//! # Elsewhere
//! What the messages say: `codec::control`, `codec::admin`, `docs/protocol/control.md`. Frames: `link`.

pub mod admin;
mod carrier;
mod channel;
pub mod control;
pub mod port;
#[cfg(test)]
mod testing;

/// What tonic generates from `proto/services.proto`.
#[allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/muskox.v1.rs"));
}
