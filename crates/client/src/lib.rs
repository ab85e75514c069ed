//! The filesystem as an async library: handles, caches, read-ahead, write-back, chain writer.
