//! The namespace as a deterministic state machine.
//!
//! [`Meta::apply`] takes one record of the changelog and returns what the client is answered and what
//! the rest of the master must know. The live master, recovery, a follower, the process that takes
//! checkpoints and the simulator all run this one function. Time and fresh identities arrive inside
//! the record.
//!
//! # Invariants
//! 1. The same records give the same answers and the same digest, wherever and whenever they are applied.
//! 2. A refusal, a repeated request and an operation that has nothing to do leave the state untouched
//!    and must not be logged (`Outcome::changed` is false).
//! 3. The digest is the wrapping sum of the hashes of all entries and is kept current by each table's
//!    only ways to change.
//! 4. Slots (`ChunkSlot` and the internal ones) are a matter of this process: they influence neither an
//!    answer to a client nor the digest nor a checkpoint's meaning.
//! 5. A file's map takes memory for the chunks that exist and for nothing else.
//! 6. Every inode's class exists, and a class that an inode has cannot go. (Class 0 may be missing in what was written
//!    before there were classes.)
//!
//! # Elsewhere
//! Records as bytes: `codec`. The log: `journal`. Where replicas are: `fleet`. Permission checks of
//! mode bits, ACLs and the sticky bit: the client's kernel.

mod aging;
mod api;
mod apply;
mod check;
mod checkpoint;
mod chunks;
mod classes;
mod cursors;
mod digest;
mod directories;
mod disks;
mod holds;
mod index;
mod inodes;
mod limits;
mod maps;
mod mutes;
mod names;
mod paths;
mod read;
mod servers;
mod sessions;
mod slab;
mod state;
mod targets;
mod tasks;
mod trash;
mod usage;
mod xattrs;

pub use api::*;
pub use check::Finding;
pub use checkpoint::Loader;
pub use state::Meta;
