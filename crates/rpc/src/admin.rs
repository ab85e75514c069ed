//! What operators ask a master, behind one trait.
//!
//! The master implements [`AdminApi`] and hands it to [`crate::port::serve`]; called directly it is the
//! in-memory carrier. [`AdminClient`] is the same trait over a connection.

mod client;
mod service;

pub use client::AdminClient;
pub(crate) use service::{AdminService, plain};

pub use codec::admin::*;
pub use codec::control::{DiskRefusal, DiskState, RefusedDisk};
use env::BoxFuture;
use std::time::Duration;
use types::Status;

/// Largest answer: a file of 1 TiB with all its replicas, or a very large cluster.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Largest question: a path.
pub const QUESTION_BYTES_MAX: usize = 64 << 10;

/// What operators ask.
pub trait AdminApi: Send + Sync {
    /// The state of the cluster.
    fn status(&self) -> BoxFuture<'_, Result<ClusterStatus, AdminError>>;
    /// A file and where its chunks are.
    fn file_info(&self, target: FileTarget) -> BoxFuture<'_, Result<FileInfoReply, AdminError>>;
    /// All storage classes.
    fn classes(&self) -> BoxFuture<'_, Result<Vec<ClassStatus>, AdminError>>;
    /// All tasks under way.
    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskStatus>, AdminError>>;
    /// What keeps a disk or a server from being removed, or what its removal would take.
    fn removal(&self, target: RemovalTarget) -> BoxFuture<'_, Result<Removal, AdminError>>;
    /// A part of the trash.
    fn trash(&self, query: TrashQuery) -> BoxFuture<'_, Result<TrashPage, AdminError>>;
    /// A part of all chunks, from a place on, of those that stand in certain ways.
    fn chunks(&self, query: ChunkQuery) -> BoxFuture<'_, Result<ChunkPage, AdminError>>;
    /// Why the chunks of a file are where they are.
    fn explain(&self, target: ExplainTarget) -> BoxFuture<'_, Result<Explanation, AdminError>>;
    /// What a change would take; nothing is changed.
    fn plan_edit(&self, change: Change) -> BoxFuture<'_, Result<EditPlan, AdminError>>;
    /// Changes something; it is stable when this answers.
    fn change(&self, change: Change) -> BoxFuture<'_, Result<Changed, AdminError>>;
}

/// Why an operator got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// Nobody answers there, or nobody who speaks this protocol.
    #[error("no master can be reached at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The master was reached and did not answer in time.
    #[error("the master at {address} did not answer within {} s", after.as_secs_f32())]
    TimedOut {
        /// Where.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// The master refused.
    #[error("the master refused: {0}")]
    Refused(#[from] Status),
    /// The master refused a change, and says why.
    #[error("the master refused to change {}: {}", .0.subject, .0.why)]
    NotDone(Refusal),
    /// The connection broke, or the answer made no sense.
    #[error("the answer of the master at {address} cannot be used: {reason}")]
    BadAnswer {
        /// Where.
        address: String,
        /// What was wrong.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
