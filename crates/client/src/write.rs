//! From an accepted write to stored and committed bytes.

pub(crate) mod buffer;
pub(crate) mod chain;
pub(crate) mod overlay;
pub(crate) mod pipeline;
