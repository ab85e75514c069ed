//! The chunkserver role: serves the disks of one host.
//!
//! Clients and peers send frames (`docs/protocol/data-plane.md`), which are carried out on `store`; masters
//! send orders over a control link (`docs/protocol/control.md`). Writes of one chunk pass through the
//! [`chain`] of that replica, which drives `wire::chain::Member`.
//!
//! Frames are served on the data runtime, masters on the control runtime, and whatever may wait for a disk runs on
//! that disk's threads.
//!
//! # Invariants
//! 1. No data-plane request is served before this process has registered at the highest term it knows, and
//!    no write when the master was not heard for one lease.
//! 2. A term is on stable storage before anything is done in its name; a lower one is refused ever after.
//! 3. Frames of one chunk version are applied in the chain's order, one at a time, and forwarded in it.
//! 4. While a replica is raised or deleted no frame of it is queued or running.
//! 5. A disk that hangs or fails holds up only requests for its own chunks.
//! 6. A copy is made of verified pages only, and says *filling* until all of it is on stable storage.
//! 7. A replica that is being filled says so until everything in it is on stable storage, and nobody reads it.
//! 8. A write is answered ok only when this member and all behind it have applied it.
//! 9. A replica answers for what other replicas held only if it was made from one of them since (`vouchers`).
//!
//! # Elsewhere
//! Bytes on disk: `store`. The rules of a chain: `wire::chain`. Which orders to give: `fleet`.

mod chain;
mod chains;
mod config;
mod control;
mod copy;
mod data;
mod disks;
mod error;
mod events;
mod filling;
mod handle;
mod identity;
mod mend;
mod orders;
mod pace;
mod repair;
mod source;
mod standing;
mod tasks;
mod torn;
mod turns;
mod upkeep;
mod vouchers;

pub use config::{Config, DiskConfig, OpenAdded, OpenDir};
pub use error::StartError;
pub use handle::{Chunkserver, ChunkserverHandle, DiskStatus, Status};
