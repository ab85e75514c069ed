//! Label expressions and which disks should hold a chunk.
mod candidates;
mod matching;

pub use candidates::{Candidate, Candidates};
pub use matching::{AnyDisk, Choice, Wanted, choose};
