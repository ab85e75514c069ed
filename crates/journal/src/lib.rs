//! Numbered checksummed records and checkpoints on disk.
//!
//! The changelog is cut into segments of fixed size that are zeroed or recycled off the append path.
//! One append is one write; [`Syncer::sync`] makes everything written so far durable. A batch of
//! records begins with the index known to be durable when it was written, which is how recovery
//! tells a torn tail from damage. The bytes are described in `docs/format/changelog.md` and
//! `docs/format/checkpoint-file.md`.
//!
//! # Invariants
//! 1. A record for which `sync` has answered is found again after loss of power.
//! 2. A record for which `append` has returned is found again after `kill -9`.
//! 3. What is recovered is a prefix of what was appended: no gap, nothing from an earlier use of a segment.
//! 4. Damage at or below the highest index known durable is refused, never skipped; damage above it is
//!    cut, kept aside and reported.
//! 5. After a failed write or sync, every later append and sync fails.
//! 6. Bytes from a disk never cause a panic or an allocation beyond the size of a segment.
//!
//! # Elsewhere
//! What a record means: `codec` and `meta`. Which thread calls what, and the term file: `master`.

pub mod checkpoint;
mod error;
mod format;
mod journal;
mod options;
mod reader;
mod recovery;
mod segment;
mod shared;
mod syncer;

pub use error::{OpenError, ReplayError};
pub use journal::Journal;
pub use options::{Cut, Entry, Needed, Options, Recovery, SealedSegment};
pub use reader::Reader;
pub use recovery::inspect;
pub use syncer::Syncer;
