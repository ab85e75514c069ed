//! The filesystem as an async library: handles, caches, read-ahead, write-back, chain writer.
//!
//! A [`Client`] is one session with the master and connections to chunkservers. Inodes are named by
//! [`types::InodeId`]; the client remembers the generation of each. Errors are [`types::Status`]:
//! turning them into `errno` is `mount`'s work.
//!
//! # Invariants
//! 1. A byte that a write accepted is readable through this client at once, and stays in memory until
//!    the chain has it *and* a commit naming its chunk was answered.
//! 2. At most one write of this client is in flight per 64 KiB block; later ones merge or wait.
//! 3. Data that could not be stored is reported once to each open handle (write, flush or fsync), and
//!    never turns into success afterwards.
//! 4. Dropping any future of this crate leaves the client's state whole.
//! 5. Memory is bounded: unsent and uncommitted writes by `write_buffer_bytes`, and with pages of mappings that must not wait for
//!    a cluster that is away by eight times as much; data read ahead by `read_cache_bytes`.
//! 6. Nothing depends on the order of a hash table, on threads or on the real clock.
//!
//! # Elsewhere
//! What is promised to programs: `docs/semantics.md`. Frames: `wire`. Connections: `link`.

mod api;
mod budget;
mod client;
mod data;
mod directories;
mod error;
mod house;
mod inodes;
mod losses;
mod names;
mod read;
mod session;
mod shared;
mod signal;
mod write;

pub use api::{
    AllocateMode, ClientOptions, Created, DirectoryPage, FileHandle, Known, OpenFlags, Opened, SeekWhat,
};
pub use client::Client;
pub use error::ClientError;
