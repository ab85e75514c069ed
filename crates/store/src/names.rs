//! Names of files and folders on a disk: `docs/format/disk.md`.

use types::{ChunkId, Version};

pub(crate) const CHUNKS: &str = "chunks";
pub(crate) const DELETED: &str = "deleted";
pub(crate) const QUARANTINE: &str = "quarantine";
pub(crate) const LOCK: &str = "lock";
/// Written to see whether the disk can be written.
pub(crate) const PROBE: &str = "probe";

/// How many folders hold chunk files. 10 million small chunks make 40,000 files in each, which ext4, xfs and btrfs find as fast
/// as among 100.
pub(crate) const FOLDERS: usize = 256;
/// So many ids in a row share a folder: a filesystem keeps the inodes of one folder together, so what is made together is
/// written and read together.
const RUN_BITS: u32 = 12;

/// The folder of a chunk. A multiplicative hash, since ids are given in order, in each term anew.
pub(crate) fn folder_of(chunk: ChunkId) -> u8 {
    ((chunk.0 >> RUN_BITS).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

/// The path of a folder.
pub(crate) fn folder_path(folder: u8) -> String {
    format!("{CHUNKS}/{folder:02x}")
}

/// The path of a chunk file.
pub(crate) fn chunk_path(chunk: ChunkId) -> String {
    format!("{}/{:016x}", folder_path(folder_of(chunk)), chunk.0)
}

/// The chunk of a file name within `chunks/xx`.
pub(crate) fn chunk_named(name: &str) -> Option<ChunkId> {
    hex(name).map(ChunkId)
}

/// Exactly 16 lower-case hexadecimal digits.
fn hex(text: &str) -> Option<u64> {
    let plain = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { u64::from_str_radix(text, 16).ok() } else { None }
}

/// A folder number.
pub(crate) fn folder_named(name: &str) -> Option<u8> {
    let plain = name.len() == 2 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { u8::from_str_radix(name, 16).ok() } else { None }
}

/// The name of a deleted replica: names sort by the moment of their deletion, and say what their erasing gives back.
pub(crate) fn deleted_name(now_s: u64, chunk: ChunkId, version: Version, bytes: u64) -> String {
    format!("{now_s:016x}-{:016x}-{:016x}-{bytes:016x}", chunk.0, version.to_u64())
}

/// When a replica of this name was deleted, and the bytes it takes.
pub(crate) fn deleted_named(name: &str) -> Option<(u64, u64)> {
    let mut parts = name.split('-').map(hex);
    let mut next = || parts.next()?;
    let (at, _chunk, _version, bytes) = (next()?, next()?, next()?, next()?);
    parts.next().is_none().then_some((at, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_made_together_share_a_folder_and_all_folders_get_their_part() {
        for term in 1..4u64 {
            let mut runs = [0; FOLDERS];
            for run in 0..4_096u64 {
                runs[usize::from(folder_of(ChunkId(term << 40 | run << RUN_BITS)))] += 1;
            }
            assert!(runs.iter().all(|count| (14..=18).contains(count)), "term {term}: {runs:?}");
        }
        assert_eq!(folder_of(ChunkId(1 << 40)), folder_of(ChunkId(1 << 40 | 0xfff)));
        let first: std::collections::BTreeSet<u8> =
            (1..=20).map(|term| folder_of(ChunkId(term << 40))).collect();
        assert!(first.len() > 15, "the first chunks of each term: {first:?}");
    }

    #[test]
    fn names_round_trip_and_strangers_are_not_taken() {
        assert_eq!(chunk_path(ChunkId(0x1001)), "chunks/9e/0000000000001001");
        assert_eq!(chunk_named("00000000000000ff"), Some(ChunkId(255)));
        for stranger in
            ["", "ff", "00000000000000FF", "+0000000000000ff", "00000000000000ff~", "é00000000000000"]
        {
            assert_eq!(chunk_named(stranger), None, "{stranger}");
            assert_eq!(deleted_named(stranger), None, "{stranger}");
        }
        let name = deleted_name(77, ChunkId(1), Version::default(), 8_192);
        assert_eq!(deleted_named(&name), Some((77, 8_192)));
        assert_eq!(deleted_named(&name[..name.len() - 17]), None);
        assert_eq!(deleted_named(&format!("{name}-0")), None);
        assert_eq!(folder_named("0a"), Some(10));
        assert_eq!(folder_named("+a"), None);
    }
}
