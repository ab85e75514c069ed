//! Numbered checksummed records and checkpoints on disk.
