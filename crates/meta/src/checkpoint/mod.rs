//! The whole state as a stream of pieces, and back (`docs/format/checkpoint.md`).

mod load;
mod write;

pub use load::Loader;
