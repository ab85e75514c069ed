//! Data covered by a successful fsync is on stable storage on at least min-write replicas, and its length in durable
//! metadata: looked at in the moment in which a client is told so, whatever is broken just then.

use crate::cluster::Cluster;
use crate::driver::Stage;
use crate::oracle::content::{Content, Layer};
use crate::quiet::{is_good, opened, recovered};
use meta::ChunkView;
use store::{Disk, StoreError};
use types::{BLOCK_BYTES, CHUNK_BYTES, InodeId};

/// Read at a time.
const STEP_BYTES: u64 = BLOCK_BYTES as u64;

/// What of all machines were left of this file if power were lost everywhere now.
pub(crate) fn check(stage: &Stage, inode: InodeId, content: &Content) -> Result<(), String> {
    let cluster = &stage.cluster;
    let metadata = cluster.master_disk().fork();
    metadata.power_cut();
    let meta = recovered(&metadata)?;
    let attributes = meta.reopen(inode).map_err(|status| format!("it is not in the metadata: {status:?}"))?;
    let length = attributes.length;
    content.check(Layer::Synced, length, 1, &[])?;
    let views = meta.chunks(attributes.inode, types::ChunkIndex(0), u32::MAX);
    let views = views.map_err(|status| format!("it has no map: {status:?}"))?;
    let mut disks = Vec::new();
    for place in Cluster::places() {
        let disk = cluster.disk(place);
        let paths = disk.paths("chunks/");
        let named = |view: &ChunkView| format!("/{:016x}", view.chunk.0);
        if !views.iter().any(|view| paths.iter().any(|path| path.ends_with(&named(view)))) {
            continue;
        }
        let dark = disk.fork();
        dark.power_cut();
        disks.push((place, opened(&dark, &meta).map_err(|error| format!("{place}: {error}"))?));
    }
    for (start, end) in pieces(content, length) {
        let index = start / CHUNK_BYTES;
        if !views.iter().any(|view| u64::from(view.index.0) == index) {
            content.check(Layer::Synced, start, end - start, &vec![0; (end - start) as usize])?;
        }
    }
    for view in views {
        let mut held = Vec::new();
        let mut lacking = Vec::new();
        for (place, disk) in &disks {
            match holds(disk, &view, content, length) {
                // What it says is not believed, in either way.
                Ok(()) | Err(Lack::Bytes(_)) if Some(*place) == stage.rotten() => held.push(*place),
                Ok(()) => held.push(*place),
                Err(Lack::Bytes(why) | Lack::Replica(why)) => lacking.push(format!("{place}: {why}")),
            }
        }
        if held.len() < cluster.min_write() && !may_be_hole(&view, content, length) {
            return Err(format!(
                "chunk {} of {inode} at {} is held by {held:?} alone; {lacking:?}; {:?} rots",
                view.chunk,
                view.version,
                stage.rotten()
            ));
        }
    }
    Ok(())
}

/// Whether nothing of a chunk was covered: somebody else wrote it, and nobody synced that.
fn may_be_hole(view: &ChunkView, content: &Content, length: u64) -> bool {
    let own = pieces(content, length).filter(|(start, _)| start / CHUNK_BYTES == u64::from(view.index.0));
    own.map(|(start, end)| content.check(Layer::Synced, start, end - start, &vec![0; (end - start) as usize]))
        .all(|zeroes| zeroes.is_ok())
}

/// Why a disk does not count.
enum Lack {
    /// It has none that may be read.
    Replica(String),
    /// It has one without what was synced.
    Bytes(String),
}

/// Whether a disk has all that was synced of a chunk.
fn holds(disk: &Disk, view: &ChunkView, content: &Content, length: u64) -> Result<(), Lack> {
    let entry = disk.entry(view.chunk).map_err(|error| Lack::Replica(error.to_string()))?;
    if entry.version < view.version || !is_good(&entry, entry.version) {
        return Err(Lack::Replica(format!("{entry:?}")));
    }
    if entry.damaged {
        return Err(Lack::Bytes("it is damaged".into()));
    }
    let begin = u64::from(view.index.0) * CHUNK_BYTES;
    let own = pieces(content, length).filter(|(start, _)| start / CHUNK_BYTES == begin / CHUNK_BYTES);
    for (start, end) in own {
        let found = read(disk, view, entry.version, start - begin, end - begin).map_err(Lack::Bytes)?;
        content.check(Layer::Synced, start, end - start, &found).map_err(Lack::Bytes)?;
    }
    Ok(())
}

/// What is worth reading, in pieces within one block each.
fn pieces(content: &Content, length: u64) -> impl Iterator<Item = (u64, u64)> {
    content.regions().into_iter().flat_map(move |(start, end)| {
        let end = end.min(length);
        let mut at = start;
        std::iter::from_fn(move || {
            let from = at;
            at = ((from / STEP_BYTES + 1) * STEP_BYTES).min(end);
            (from < end).then_some((from, at))
        })
    })
}

/// Bytes `from..to` of a replica, both within one block.
fn read(
    disk: &Disk,
    view: &ChunkView,
    version: types::Version,
    from: u64,
    to: u64,
) -> Result<Vec<u8>, String> {
    let look = || disk.read(view.chunk, version, from, (to - from) as u32);
    let read = match look() {
        // A later write was cut short: if no other replica has the page, it keeps its bytes.
        Err(StoreError::Torn { .. }) => disk.keep_torn(view.chunk, version).and_then(|_| look()),
        read => read,
    };
    let read = read.map_err(|error| error.to_string())?;
    let length = (to - from) as usize;
    if read.zeroes {
        return Ok(vec![0; length]);
    }
    let within = (from % types::PAGE_BYTES as u64) as usize;
    read.data.get(within..within + length).map(<[u8]>::to_vec).ok_or_else(|| "too few bytes".to_owned())
}

impl Cluster {
    /// Fewest replicas that may acknowledge a write, by what operators are promised.
    pub(crate) fn min_write(&self) -> usize {
        match self.goal() {
            0..=2 => 1,
            _ => 2,
        }
    }
}
