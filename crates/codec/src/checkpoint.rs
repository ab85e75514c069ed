//! Pieces of a metadata checkpoint.
