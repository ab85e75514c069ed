//! Sizes that formats and protocols rest on.

/// Bytes of a chunk: a file is cut into pieces of this size.
pub const CHUNK_BYTES: u64 = 64 << 20;
/// Bytes of a block: the unit of BLAKE3 chaining values.
pub const BLOCK_BYTES: u32 = 64 << 10;
/// Bytes of a page: the unit of CRC32C.
pub const PAGE_BYTES: u32 = 4 << 10;
/// Pages of a block.
pub const PAGES_PER_BLOCK: u32 = BLOCK_BYTES / PAGE_BYTES;
/// Blocks of a chunk.
pub const BLOCKS_PER_CHUNK: u32 = (CHUNK_BYTES / BLOCK_BYTES as u64) as u32;
/// Pages of a chunk.
pub const PAGES_PER_CHUNK: u32 = BLOCKS_PER_CHUNK * PAGES_PER_BLOCK;
/// Largest payload of one data-plane frame.
pub const PAYLOAD_BYTES_MAX: u32 = 1 << 20;
/// Largest protobuf body of one frame.
pub const BODY_BYTES_MAX: u32 = 1 << 20;
/// Largest file: as many chunks as a 32-bit index reaches.
pub const FILE_BYTES_MAX: u64 = CHUNK_BYTES << 32;
/// Longest name of a directory entry.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest target of a symbolic link.
pub const SYMLINK_BYTES_MAX: usize = 4095;
/// Longest value of one extended attribute.
pub const XATTR_BYTES_MAX: usize = 64 << 10;
/// All extended attributes of one inode, names and values (Linux caps a listing at 64 KiB).
pub const XATTRS_BYTES_MAX: usize = 64 << 10;
/// Most hard links to one inode.
pub const LINKS_MAX: u32 = 1 << 24;
/// Most requests of one session without an answer.
pub const REQUESTS_OPEN_MAX: usize = 1024;
/// How far a session's requests may run ahead of its oldest one without an answer, so that one that waits long does
/// not stop the others; as many answers to mutations are kept at most.
pub const SEQUENCES_AHEAD_MAX: u64 = 16 * 1024;
/// Most replicas of one chunk.
pub const REPLICAS_MAX: usize = 9;
/// CRC32C of a page of zeroes: the explicit value of a hole.
pub const ZERO_PAGE_CRC: u32 = 0x98F9_4189;

const _: () = assert!(CHUNK_BYTES.is_multiple_of(BLOCK_BYTES as u64));
const _: () = assert!(BLOCK_BYTES.is_multiple_of(PAGE_BYTES));
const _: () = assert!(PAYLOAD_BYTES_MAX.is_multiple_of(BLOCK_BYTES));

/// How many pages the range touches.
pub fn pages_touched(offset: u64, length: u64) -> u64 {
    if length == 0 {
        return 0;
    }
    let page = u64::from(PAGE_BYTES);
    (offset.saturating_add(length - 1)) / page - offset / page + 1
}

/// How many whole blocks the range covers, and the first of them.
pub fn whole_blocks(offset: u64, length: u64) -> (u64, u64) {
    let block = u64::from(BLOCK_BYTES);
    let first = offset.div_ceil(block);
    (first, (offset.saturating_add(length) / block).saturating_sub(first))
}

/// Whether the range is not empty and lies in a chunk.
pub fn in_chunk(offset: u64, length: u64) -> bool {
    length > 0 && offset.checked_add(length).is_some_and(|end| end <= CHUNK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_only_between_their_edges() {
        let block = u64::from(BLOCK_BYTES);
        assert_eq!(whole_blocks(0, block), (0, 1));
        assert_eq!(whole_blocks(1, block), (1, 0));
        assert_eq!(whole_blocks(1, 2 * block), (1, 1));
        assert_eq!(whole_blocks(3 * block, 16 * block), (3, 16));
        assert!(in_chunk(CHUNK_BYTES - 1, 1) && !in_chunk(CHUNK_BYTES, 1) && !in_chunk(u64::MAX, 2));
    }
}
