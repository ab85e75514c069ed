//! fuser callbacks to the client; the one place with `errno` and the conventions of mount(8).
//!
//! # Invariants
//! 1. A session thread answers hits itself and never waits for the network.
//! 2. Every request is answered in bounded time; one that waits long gives way to a signal (`dispatch`).
//! 3. Only a mount that is ours is ever detached (`mountpoint`).
//!
//! # Elsewhere
//! Caches, handles and the write path: `client`. What is promised to applications: `docs/semantics.md`.

mod adapter;
mod attributes;
mod caller;
mod dispatch;
mod errno;
mod flags;
mod listing;
mod mountpoint;
mod options;
mod pages;
mod session;
mod unasked;

pub use mountpoint::{MountpointError, detach_dead, is_ours, remount};
pub use options::{BadOption, MountOptions};
pub use session::{Mount, MountError, check_mountpoint};
