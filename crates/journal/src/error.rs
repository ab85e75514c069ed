//! Why a journal cannot be opened or read.

use std::io;
use types::LogIndex;

/// Why a journal cannot be opened. Nothing was changed on disk, but for `Io`.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields mean")]
pub enum OpenError {
    #[error(
        "{file} is damaged at byte {offset}: record {index} cannot be read, and all up to {stable} \
         was on stable storage. Nothing was changed. Restore the log from a backup"
    )]
    Damaged { file: String, offset: u64, index: LogIndex, stable: LogIndex },
    #[error(
        "{file} is damaged: neither copy of its stamp, at byte 0 and at byte 512, can be read. Nothing was \
         changed. Restore the log from a backup"
    )]
    Stamp { file: String },
    #[error(
        "{file} is damaged: it has {found} bytes, and was made with {made}; what is missing may have held records. Nothing was \
         changed. Restore the log from a backup"
    )]
    Short { file: String, found: u64, made: u64 },
    #[error(
        "{file} begins with record {found}, but the segment before it ends with {before}; a segment \
         does not belong here. Restore the log from a backup"
    )]
    Overlap { file: String, found: LogIndex, before: LogIndex },
    #[error("{file} is missing, but later segments are there. Restore it, or the whole log, from a backup")]
    Missing { file: String },
    #[error("{file} belongs to another place: {what}. Move it out of the folder of the log")]
    Foreign { file: String, what: String },
    #[error("{file} has format version {found}; this release reads versions up to {known}")]
    Version { file: String, found: u32, known: u32 },
    #[error("{file} at byte {offset}: record {index} has a lower term than the one before it")]
    TermOrder { file: String, offset: u64, index: LogIndex },
    #[error(
        "the log begins with record {first}, but the newest usable checkpoint ends before record {needed}: what lies \
         between is missing. Nothing was changed. Restore the log or a checkpoint from a backup"
    )]
    Gap { first: LogIndex, needed: LogIndex },
    #[error("the options of the journal are refused: {what}")]
    Options { what: &'static str },
    #[error("cannot open the log")]
    Io(#[from] io::Error),
}

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields mean")]
pub enum ReplayError {
    #[error("record {wanted} is no longer in the log, which begins with {first}")]
    Gone { wanted: LogIndex, first: LogIndex },
    #[error("record {wanted} is not in the log yet, which ends with {last}")]
    NotYet { wanted: LogIndex, last: LogIndex },
    #[error("{file} is damaged at byte {offset}: record {index} cannot be read")]
    Damaged { file: String, offset: u64, index: LogIndex },
    #[error("{file} belongs to another place: {what}")]
    Foreign { file: String, what: String },
    #[error("cannot read the log")]
    Io(#[from] io::Error),
}
