//! CRC32C of the pages that a payload touches.
//!
//! A payload need not begin or end at a page's edge. Its checksums are those of its *pieces*: the bytes that
//! fall into each page it touches, in order. A piece that fills its page has the checksum that is stored.

use types::{PAGE_BYTES, pages_touched};

/// CRC32C (Castagnoli).
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The pieces of a payload that lies at `offset` of its chunk.
pub fn pieces(offset: u64, payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let page = PAGE_BYTES as usize;
    let in_page = (offset % u64::from(PAGE_BYTES)) as usize;
    let (first, rest) = payload.split_at(payload.len().min(page - in_page));
    Some(first).filter(|piece| !piece.is_empty()).into_iter().chain(rest.chunks(page))
}

/// The checksum of each piece.
pub fn page_crcs(offset: u64, payload: &[u8]) -> Vec<u32> {
    pieces(offset, payload).map(crc32c).collect()
}

/// Whether the payload is what the sender computed `crcs` of.
pub fn verify(offset: u64, payload: &[u8], crcs: &[u32]) -> bool {
    pages_touched(offset, payload.len() as u64) == crcs.len() as u64
        && pieces(offset, payload).zip(crcs).all(|(piece, crc)| crc32c(piece) == *crc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_zeroes_has_the_value_of_a_hole() {
        assert_eq!(crc32c(&[0; PAGE_BYTES as usize]), types::ZERO_PAGE_CRC);
    }

    #[test]
    fn an_unaligned_payload_has_one_checksum_per_touched_page() {
        let payload: Vec<u8> = (0..10_000_u32).map(|i| i as u8).collect();
        for (offset, pages) in [(0, 3), (1, 3), (4095, 4), (4096, 3), (8191, 4)] {
            let crcs = page_crcs(offset, &payload);
            assert_eq!(crcs.len(), pages);
            assert!(verify(offset, &payload, &crcs));
            assert!(!verify(offset, &payload, &crcs[1..]));
            assert!(!verify(offset, &payload[1..], &crcs));
        }
        assert_eq!(page_crcs(5, b""), Vec::<u32>::new());
        assert_eq!(page_crcs(4090, b"abc"), vec![crc32c(b"abc")]);
    }
}
