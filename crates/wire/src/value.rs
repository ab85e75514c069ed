//! BLAKE3 chaining values of the whole blocks that a payload covers.
//!
//! The writer computes them once, while the bytes are at hand, and they are stored as they came: replicas are compared
//! by them later without reading data (`docs/decisions/0003-checksums.md`). A value depends on the block's place
//! in its chunk.

use blake3::hazmat::HasherExt;
use types::BLOCK_BYTES;

/// One value for each block that lies wholly in a payload at `offset` of its chunk.
pub fn block_values(offset: u64, payload: &[u8]) -> Vec<[u8; 32]> {
    let block = u64::from(BLOCK_BYTES);
    let first = offset.next_multiple_of(block);
    let Some(whole) = payload.get((first - offset) as usize..) else { return Vec::new() };
    let values = whole.chunks_exact(BLOCK_BYTES as usize).zip(0_u64..).map(|(bytes, n)| {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(first + n * block);
        hasher.update(bytes);
        hasher.finalize_non_root()
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake3::hazmat::{Mode, merge_subtrees_root};

    #[test]
    fn only_blocks_that_are_wholly_covered_have_a_value() {
        let block = u64::from(BLOCK_BYTES);
        let payload = vec![7; 3 * BLOCK_BYTES as usize];
        for (offset, length, blocks) in [
            (0, 4096, 0),
            (0, block, 1),
            (0, block + 1, 1),
            (1, block, 0),
            (1, 2 * block - 1, 1),
            (block - 1, 2 * block + 1, 2),
            (4096, 3 * block, 2),
        ] {
            let values = block_values(offset, &payload[..length as usize]);
            assert_eq!(values.len(), blocks, "{length} bytes at {offset}");
        }
    }

    #[test]
    fn a_value_depends_on_the_place() {
        let payload = vec![7; 2 * BLOCK_BYTES as usize];
        let values = block_values(0, &payload);
        assert_ne!(values[0], values[1]);
        let merged = merge_subtrees_root(&values[0], &values[1], Mode::Hash);
        assert_eq!(merged, blake3::hash(&payload), "they are subtrees of the hash of the whole");
        let block = BLOCK_BYTES as usize;
        assert_eq!(block_values(u64::from(BLOCK_BYTES), &payload[block..]), values[1..]);
    }
}
