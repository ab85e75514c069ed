//! No read returns wrong bytes: bits flip, or sectors become unreadable, in every replica of each chunk, each in another page (of a chunk of one page in
//! all replicas but one), and everything is still read as it was written, before and after the replicas mended each other.

use crate::chance::Chance;
use crate::cluster::Place;
use crate::driver::{Stage, Violation};
use crate::quiet::Quiet;
use types::{CHUNK_BYTES, ChunkId, PAGE_BYTES};

/// Flips bits. What is read afterwards is compared by the look that follows.
pub(crate) async fn flip(stage: &Stage, chance: &mut Chance) -> Result<(), Violation> {
    let flipped = async {
        let quiet = Quiet::look(stage).await?;
        for (view, owner) in quiet.chunks().filter(|(_, owner)| quiet.is_durable(owner)) {
            let start = u64::from(owner.index.0) * CHUNK_BYTES;
            let known = quiet.meta.attributes(owner.inode).map_err(|status| status.to_string())?;
            let bytes = known.length.saturating_sub(start).min(CHUNK_BYTES);
            let mut good: Vec<Place> = quiet.good(&view).map(|disk| disk.place).collect();
            if good.is_empty() || bytes == 0 {
                continue;
            }
            let page = u64::from(PAGE_BYTES);
            let (pages, replicas) = (bytes.div_ceil(page), good.len() as u64);
            good.swap(0, chance.below(replicas) as usize);
            let all = replicas > 1 && pages >= replicas;
            if !all {
                good.remove(0);
            }
            for (n, place) in (0..).zip(good) {
                let disk = stage.cluster.disk(place);
                let bit = chance.below(8) as u32;
                let offset = if all {
                    // Each replica has its own part of the pages.
                    let (from, to) = (pages * n / replicas, pages * (n + 1) / replicas);
                    (from + chance.below(to - from)) * page + chance.below(page)
                } else {
                    chance.below(bytes)
                };
                let path = path_of(&disk, view.chunk).ok_or("a replica has no file")?;
                rot(stage, (&disk, place), &path, offset, bit);
            }
        }
        Ok(())
    };
    flipped.await.map_err(|reason: String| stage.violation(reason))
}

/// One bit flips, or, one time in eight, its page cannot be read any more. Where there is no file, or its end comes before,
/// there is nothing to rot.
pub(crate) fn rot(stage: &Stage, on: (&env::SimDisk, Place), path: &str, offset: u64, bit: u32) {
    let (disk, place) = on;
    let (done, what) = match bit {
        0 => (disk.spoil(path, offset), "becomes unreadable"),
        _ => (disk.flip_bit(path, offset, bit), "flips"),
    };
    if done.is_ok() {
        stage.trace.note(format_args!("bit {bit} of byte {offset} of {path} {what} on {place}"));
    }
}

/// The path of a chunk file (`docs/format/disk.md`), by looking for it.
fn path_of(disk: &env::SimDisk, chunk: ChunkId) -> Option<String> {
    disk.paths("chunks/").into_iter().find(|path| path.ends_with(&format!("/{:016x}", chunk.0)))
}
