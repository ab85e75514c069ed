//! A replica that the master does not know is kept: it stays in its place for an hour, for somebody may have restored old metadata
//! by mistake, and is set aside then, to be erased after seven days.
//!
//! What nobody knows may as well be garbage of an earlier reign, and nobody can tell from outside. So here is one that never was
//! any of this cluster's: a disk brings it along.

use crate::chance::Chance;
use crate::cluster::{Cluster, DISKS, Place, SERVERS, Stop};
use crate::driver::{Stage, Violation};
use crate::quiet::{deleted_replica, end_faults};
use std::time::Duration;
use store::{Disk, DiskOptions, StoreError, Write};
use types::{ChunkId, ClusterId, PAGE_BYTES, Term, Version};

/// Far above what a master gives in a run.
const STRANGER: ChunkId = ChunkId((1 << 40) | 0xff_ffff_ff00);
const VERSION: Version = Version { term: Term(1), counter: 1 };
const BYTE: u8 = 0x5a;
/// It is not touched for so long, by the master's clock (`FleetOptions::unknown_ms` is an hour).
const UNTOUCHED: Duration = Duration::from_secs(3_500);
/// Nor erased for so long afterwards: seven days, less what wall clocks may be wrong by.
const ERASED_AFTER_S: u64 = 6 * 24 * 3_600;
/// What is set aside counts from its name, and is erased an hour after what that says.
const HOLD_S: u64 = 3_600;
/// An unknown replica is set aside by then.
const ASIDE: Duration = Duration::from_secs(3 * 3_600);
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Brings the replica along and looks what becomes of it. Nothing is broken meanwhile.
pub(crate) async fn check(stage: &Stage, chance: &mut Chance) -> Result<(), Violation> {
    let (server, disk) = (chance.below(SERVERS as u64) as usize, chance.below(DISKS as u64) as usize);
    let place = Place { server, disk };
    stage.trace.note(format_args!("{place} brings along a replica that nobody knows"));
    let kept = async {
        let cluster = &stage.cluster;
        let known = cluster.status().await.ok_or("the master does not answer")?.cluster;
        cluster.stop_server(server, Stop::Kill);
        bring(&cluster.disk(place), known).map_err(|error| format!("{place}: {error}"))?;
        cluster.start().await?;
        watch(cluster, place).await
    };
    kept.await.map_err(|reason: String| stage.violation(reason))
}

fn bring(disk: &env::SimDisk, cluster: ClusterId) -> Result<(), String> {
    let opened = open(disk, Some(cluster))?;
    let data = [BYTE; PAGE_BYTES as usize];
    let page_crcs = wire::crc::page_crcs(0, &data);
    let (chunk, version) = (STRANGER, VERSION);
    let write = Write {
        chunk,
        version,
        offset: 0,
        data: &data,
        page_crcs: &page_crcs,
        block_values: &[],
        create: true,
    };
    opened.write(&write).and_then(|()| opened.close()).map_err(|error| error.to_string())
}

fn open(disk: &env::SimDisk, cluster: Option<ClusterId>) -> Result<Disk, String> {
    let options = DiskOptions { cluster, index_in_memory: true, ..DiskOptions::default() };
    Disk::open(disk.dir(), options).map(|opened| opened.disk).map_err(|error| error.to_string())
}

async fn watch(cluster: &Cluster, place: Place) -> Result<(), String> {
    let begun = tokio::time::Instant::now();
    loop {
        let disk = cluster.disk(place);
        let here = disk.paths("chunks/").iter().any(|path| path.ends_with(&format!("/{:016x}", STRANGER.0)));
        if !here {
            break;
        }
        if begun.elapsed() > ASIDE {
            return Err(format!("a replica that nobody knows is still in its place on {place}"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if begun.elapsed() < UNTOUCHED {
        let after = begun.elapsed();
        return Err(format!("a replica that nobody knows was touched on {place} after {after:?}"));
    }
    let copy = cluster.disk(place).fork();
    end_faults(&copy);
    let named = |path: &String| {
        let name = path.strip_prefix("deleted/")?;
        let (chunk, _) = deleted_replica(name)?;
        let second = u64::from_str_radix(name.split('-').next()?, 16).ok()?;
        (chunk == STRANGER).then_some((path.clone(), second))
    };
    let aside = copy.paths("deleted/").iter().find_map(named);
    let (path, second) =
        aside.ok_or_else(|| format!("a replica that nobody knows was erased on {place}, not set aside"))?;
    let now_s =
        u64::try_from(cluster.world().env(&format!("server{}", place.server)).clock.wall().0).unwrap_or(0);
    if second + HOLD_S < now_s + ERASED_AFTER_S {
        return Err(format!("{path} on {place} is erased before six days have passed: it is {now_s} now"));
    }
    copy.dir()
        .rename(&path, &super::redundancy::chunk_path(STRANGER))
        .map_err(|error| format!("{place}, {path}: {error}"))?;
    let back = open(&copy, None)?.read(STRANGER, VERSION, 0, PAGE_BYTES);
    match back {
        Ok(back) if back.data.iter().all(|byte| *byte == BYTE) && !back.zeroes => Ok(()),
        Ok(_) => Err(format!("{path} on {place} has other bytes than were written")),
        Err(StoreError::Absent { .. }) => Err(format!("{path} on {place} is no replica any more")),
        Err(error) => Err(format!("{path} on {place}: {error}")),
    }
}
