//! The bytes of replicas as they are on disks, read behind the chunkservers' backs (`docs/format/disk.md`).

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Data of a chunk file; header and checksums follow.
const CHUNK_BYTES: u64 = 64 << 20;
const PAGE_BYTES: usize = 4096;

/// All chunk files below a disk's directory of that name, by the name of the chunk.
pub fn chunk_files(disk: &Path, directory: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut directories = vec![disk.join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                found.push((entry.file_name().into_string().unwrap(), entry.path()));
            }
        }
    }
    found
}

/// The pages of a chunk file that are not all zeroes, hashed with their places; `None` if it was just removed.
fn digest(path: &Path) -> Option<blake3::Hash> {
    let file = File::open(path).ok()?;
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    let mut page = [0; PAGE_BYTES];
    while at < CHUNK_BYTES {
        let Ok(next) = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) else { break };
        at = next / PAGE_BYTES as u64 * PAGE_BYTES as u64;
        if at >= CHUNK_BYTES {
            break;
        }
        let count = file.read_at(&mut page, at).unwrap();
        page[count..].fill(0);
        if page.iter().any(|byte| *byte != 0) {
            hasher.update(&at.to_le_bytes()).update(&page);
        }
        at += PAGE_BYTES as u64;
    }
    Some(hasher.finalize())
}

/// Whether each of these chunks has two replicas on these disks, with the same bytes; if not, what is wrong. There may be
/// others, that no file has: their writers died before they were committed.
pub fn equal_twins<'a>(disks: &[PathBuf], named: impl IntoIterator<Item = &'a String>) -> Result<(), String> {
    equal_replicas(disks, named, 2)
}

/// The same of so many.
pub fn equal_replicas<'a>(
    disks: &[PathBuf],
    named: impl IntoIterator<Item = &'a String>,
    count: usize,
) -> Result<(), String> {
    let mut chunks: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for disk in disks {
        for (name, path) in chunk_files(disk, "chunks") {
            chunks.entry(name).or_default().push(path);
        }
    }
    for name in named {
        let replicas = chunks.remove(name).unwrap_or_default();
        let digests: Vec<_> = replicas.iter().map(|path| digest(path)).collect();
        let equal = digests.iter().all(|digest| digest.is_some() && *digest == digests[0]);
        if digests.len() != count || !equal {
            return Err(format!("chunk {name} has not {count} equal replicas: {replicas:?}"));
        }
    }
    Ok(())
}

/// Copies a directory with everything in it.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut command = std::process::Command::new("cp");
    command.arg("-a").arg("--sparse=always").arg(format!("{}/.", from.display())).arg(to);
    super::common::ok(command);
}

/// The bytes of a file.
pub fn contents(path: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    File::open(path).unwrap().read_to_end(&mut all).unwrap();
    all
}
