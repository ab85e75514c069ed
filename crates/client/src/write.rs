//! From an accepted write to stored and committed bytes.

pub(crate) mod append;
pub(crate) mod buffer;
mod chain;
pub(crate) mod engine;
mod held;
pub(crate) mod late;
mod orders;
mod overlay;
pub(crate) mod pipeline;
