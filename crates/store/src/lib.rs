//! Chunk files on disks: checksums, index, versions, free space.
