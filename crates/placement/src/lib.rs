//! Label expressions and which disks should hold a chunk.
