//! CRC32C of pages and of pieces of pages.
//!
//! A range of bytes touches pages; its *pieces* are its parts within each page. A frame carries one CRC
//! per piece; a record holds one CRC per whole page. CRC32C was measured against BLAKE3 alone:
//! `docs/decisions/0003-checksums.md`.

use crc_fast::CrcAlgorithm;
use types::{PAGE_BYTES, ZERO_PAGE_CRC};

/// A page as bytes.
pub(crate) const PAGE: usize = PAGE_BYTES as usize;

/// CRC32C (Castagnoli) of some bytes.
pub(crate) fn crc32c(data: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, data) as u32
}

/// CRC32C of a prefix and some bytes.
pub(crate) fn crc32c_after(prefix: &[u8], data: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(prefix);
    digest.update(data);
    digest.finalize() as u32
}

/// Whether all bytes are zero.
pub(crate) fn is_zeroes(data: &[u8]) -> bool {
    let (chunks, rest) = data.as_chunks::<64>();
    chunks.iter().all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|b| *b == 0)
}

/// Whether a page has the checksum of a hole without being one (one page in 2^32 does).
pub(crate) fn looks_like_hole(page: &[u8], crc: u32) -> bool {
    crc == ZERO_PAGE_CRC && !is_zeroes(page)
}

/// One piece of a range: the part that falls into one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The page within the chunk.
    pub page: u32,
    /// Where the piece starts within the page.
    pub start: usize,
    /// Where it ends within the page.
    pub end: usize,
    /// Where it starts within the range.
    pub at: usize,
}

impl Piece {
    /// It covers its page.
    pub(crate) fn is_whole(&self) -> bool {
        self.start == 0 && self.end == PAGE
    }
    /// Its bytes in the range's bytes.
    pub(crate) fn of<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        &data[self.at..self.at + (self.end - self.start)]
    }
}

/// Cuts a range of bytes into pieces, in order.
pub(crate) fn pieces(offset: u64, length: u64) -> impl Iterator<Item = Piece> {
    let end = offset + length;
    let mut from = offset;
    std::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let page = from / PAGE as u64;
        let base = page * PAGE as u64;
        let to = end.min(base + PAGE as u64);
        let piece = Piece {
            page: page as u32,
            start: (from - base) as usize,
            end: (to - base) as usize,
            at: (from - offset) as usize,
        };
        from = to;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c_after(b"1234", b"56789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; PAGE]), ZERO_PAGE_CRC);
    }

    #[test]
    fn pieces_cover_a_range_page_by_page() {
        let all: Vec<_> = pieces(4000, 4300).collect();
        let flat: Vec<_> = all.iter().map(|p| (p.page, p.start, p.end, p.at)).collect();
        assert_eq!(flat, [(0, 4000, 4096, 0), (1, 0, 4096, 96), (2, 0, 108, 4192)]);
        assert_eq!(pieces(0, 0).count(), 0);
    }

    #[test]
    fn zeroes_are_recognised() {
        assert!(is_zeroes(&[0; 4096]));
        let mut page = [0; 4096];
        page[4095] = 1;
        assert!(!is_zeroes(&page));
        assert!(!is_zeroes(&page[4000..]));
    }
}
