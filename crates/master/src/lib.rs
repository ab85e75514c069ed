//! The master role: owns the namespace and decides where replicas live.
//!
//! One task, the core, owns `meta`, `fleet` and `journal`; sessions, chunkservers and operators send it
//! messages. It drains them in batches, applies what they ask, writes the successful records in one write
//! and only then lets the answers leave (`docs/protocol/master-loop.md`).
//!
//! # Invariants
//! 1. Nothing leaves, not even a read, before the records it rests on are written; what is critical leaves
//!    after they are on stable storage.
//! 2. A term is taken at every start and is stable before anything else happens.
//! 3. After a failed write or sync of the log the role ends; it never answers again.
//! 4. Every record that is logged was accepted by `meta.apply`; a refusal is never logged.
//! 5. No replica is erased before the record that allows it is stable.
//!
//! # Elsewhere
//! What a record means: `meta`. Who may write what through which chain: `fleet`. Bytes of the log: `journal`.

pub mod check;
pub mod checkpoint;
mod config;
mod core;
mod error;
mod folder;
mod handle;
mod port;
mod predefined;
mod recover;
mod term;

pub use checkpoint::Checkpointer;
pub use config::{Ack, Config, LOG_SEGMENT_BYTES_MIN, SESSIONS_MAX};
pub use error::{Fatal, StartError};
pub use handle::{Master, MasterHandle};
