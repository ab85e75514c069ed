//! Names of files and folders on a disk: `docs/format/disk.md`.

use types::{ChunkId, Version};

pub(crate) const CHUNKS: &str = "chunks";
pub(crate) const DELETED: &str = "deleted";
pub(crate) const QUARANTINE: &str = "quarantine";
pub(crate) const LOCK: &str = "lock";
/// Written to see whether the disk can be written.
pub(crate) const PROBE: &str = "probe";

/// The two folder numbers of a chunk, as one. A multiplicative hash, since ids are given in order.
pub(crate) fn folder_of(chunk: ChunkId) -> u16 {
    (chunk.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as u16
}

/// The path of a folder, outer and inner.
pub(crate) fn folder_path(folder: u16) -> (String, String) {
    let outer = format!("{CHUNKS}/{:02x}", folder >> 8);
    let inner = format!("{outer}/{:02x}", folder & 0xff);
    (outer, inner)
}

/// The path of a chunk file.
pub(crate) fn chunk_path(chunk: ChunkId) -> String {
    format!("{}/{:016x}", folder_path(folder_of(chunk)).1, chunk.0)
}

/// The chunk of a file name within `chunks/xx/yy`.
pub(crate) fn chunk_named(name: &str) -> Option<ChunkId> {
    hex(name).map(ChunkId)
}

/// Exactly 16 lower-case hexadecimal digits.
fn hex(text: &str) -> Option<u64> {
    let plain = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { u64::from_str_radix(text, 16).ok() } else { None }
}

/// A folder number of two digits.
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
    fn names_round_trip_and_strangers_are_not_taken() {
        assert_eq!(chunk_path(ChunkId(1)), "chunks/9e/37/0000000000000001");
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
