//! From an accepted write to stored and committed bytes.

pub(crate) mod buffer;
mod overlay;
