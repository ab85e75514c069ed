//! BLAKE3 chaining values of blocks, and the value of a whole chunk merged from them.
//!
//! A block of 64 KiB is a complete subtree of the BLAKE3 tree over the 64 MiB of its chunk, so the value
//! of the chunk needs no data, only the values of its blocks. The value of a block depends on its place.

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use std::sync::OnceLock;
use types::{BLOCK_BYTES, BLOCKS_PER_CHUNK};

const BLOCKS: usize = BLOCKS_PER_CHUNK as usize;
const _: () = assert!(BLOCKS.is_power_of_two() && BLOCKS >= 2);

/// The chaining value of a block's 64 KiB at its place in the chunk.
pub fn block_value(block: usize, data: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(block as u64 * u64::from(BLOCK_BYTES));
    hasher.update(data);
    hasher.finalize_non_root()
}

/// The chaining value of a block of zeroes at its place; all are computed at the first use (some 10 ms).
pub fn hole_value(block: usize) -> ChainingValue {
    static VALUES: OnceLock<Vec<ChainingValue>> = OnceLock::new();
    let values = VALUES.get_or_init(|| {
        let zeroes = vec![0; BLOCK_BYTES as usize];
        (0..BLOCKS).map(|block| block_value(block, &zeroes)).collect()
    });
    values[block]
}

/// The value of a chunk: `blake3::hash` of its 64 MiB. `values` has one entry per block.
pub(crate) fn chunk_value(mut values: Vec<ChainingValue>) -> [u8; 32] {
    assert_eq!(values.len(), BLOCKS, "one value per block");
    while values.len() > 2 {
        values = values
            .chunks_exact(2)
            .map(|pair| merge_subtrees_non_root(&pair[0], &pair[1], Mode::Hash))
            .collect();
    }
    *merge_subtrees_root(&values[0], &values[1], Mode::Hash).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_values_are_the_hash_of_the_whole_chunk() {
        let mut chunk = vec![0_u8; types::CHUNK_BYTES as usize];
        for (n, byte) in chunk[100_000..9_000_000].iter_mut().enumerate() {
            *byte = (n % 251) as u8;
        }
        let values = chunk
            .chunks_exact(BLOCK_BYTES as usize)
            .enumerate()
            .map(
                |(block, data)| {
                    if crate::crc::is_zeroes(data) { hole_value(block) } else { block_value(block, data) }
                },
            )
            .collect();
        assert_eq!(chunk_value(values), *blake3::hash(&chunk).as_bytes());
    }
}
