//! Stamping a directory and opening a disk.

use super::room::Room;
use super::tidy::TOGETHER_MIN;
use super::{Counts, Disk, Folders};
use crate::activity::{self, Activity, Named, Recovered};
use crate::cache::{Cache, OPEN_CHUNKS_MAX};
use crate::error::is_exhausted;
use crate::index::{Index, KvIndex, MemoryIndex, is_intact, open_sled};
use crate::locks::exclusive;
use crate::names::{CHUNKS, DELETED, LOCK, PROBE, QUARANTINE};
use crate::report::OpenReport;
use crate::stamp::{FORMAT, STAMP, STAMP_ASIDE, Stamp, StampError};
use crate::{FormatError, OpenDiskError};
use env::{Dir, OpenMode};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use types::{ChunkId, ClusterId, DiskId};

/// Filesystems with sparse files, hole punching and an fdatasync that is one.
const SUPPORTED: &[&str] = &["ext4", "xfs", "btrfs", "zfs"];
/// Good enough to try things out.
const TOLERATED: &[&str] = &["tmpfs", "overlay", "ramfs"];
/// Names shown of a directory that is not empty.
const NAMES_SHOWN: usize = 4;

/// How a new disk is stamped.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The cluster.
    pub cluster: ClusterId,
    /// A fresh random id.
    pub disk: DiskId,
}

/// How a disk is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskOptions {
    /// Refuse a disk of another cluster.
    pub cluster: Option<ClusterId>,
    /// Keep the index in memory even on a real directory (rebuilt by a walk at each start).
    pub index_in_memory: bool,
    /// Chunk files kept open at most; bounded by what one disk needs.
    pub open_chunks_max: Option<usize>,
    /// How often this process gave the disk up and opened it again. What it had not synced before may be lost, so
    /// it answers under another verifier each time.
    pub reopened: u64,
}

/// An open disk and what was found.
pub struct Opened {
    /// The disk.
    pub disk: Disk,
    /// What was found.
    pub report: OpenReport,
}

fn path_of(dir: &dyn Dir) -> String {
    dir.real_path().map_or_else(|| "the simulated directory".to_owned(), |path| path.display().to_string())
}

/// What is in the directory apart from what an unfinished format leaves.
fn strangers(dir: &dyn Dir) -> io::Result<Vec<String>> {
    let ours = ["lost+found", STAMP_ASIDE, LOCK, PROBE, activity::NAME, CHUNKS, DELETED, QUARANTINE];
    let mut names: Vec<String> = Vec::new();
    for entry in dir.list("")? {
        let empty_folder = [CHUNKS, DELETED, QUARANTINE].contains(&entry.name.as_str())
            && dir.list(&entry.name).is_ok_and(|below| below.is_empty());
        let is_folder = [CHUNKS, DELETED, QUARANTINE].contains(&entry.name.as_str());
        if !ours.contains(&entry.name.as_str()) || (is_folder && !empty_folder) {
            names.push(entry.name);
        }
    }
    names.sort();
    Ok(names)
}

fn some_of(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
    if names.len() > NAMES_SHOWN { format!("{shown} and {} more", names.len() - NAMES_SHOWN) } else { shown }
}

/// A warning, or the name of a filesystem that cannot be used.
fn judge_filesystem(dir: &dyn Dir) -> io::Result<Result<Option<String>, String>> {
    let filesystem = dir.identity()?.filesystem;
    let name = filesystem.as_str();
    if SUPPORTED.contains(&name) || dir.real_path().is_none() && !["vfat", "exfat", "msdos"].contains(&name) {
        return Ok(Ok(None));
    }
    if TOLERATED.contains(&name) {
        let path = path_of(dir);
        return Ok(Ok(Some(format!(
            "{path} is on {name}: good for a trial, but it does not keep data as a disk does"
        ))));
    }
    Ok(Err(filesystem))
}

impl Disk {
    /// Stamps an empty directory. Returns warnings for the operator.
    pub fn format(dir: Arc<dyn Dir>, format: Format) -> Result<Vec<String>, FormatError> {
        let path = path_of(&*dir);
        let failed = |source| FormatError::Disk { path: path.clone(), source };
        let warning = match judge_filesystem(&*dir).map_err(failed)? {
            Ok(warning) => warning,
            Err(filesystem) => return Err(FormatError::UnsupportedFilesystem { path, filesystem }),
        };
        if dir.exists(STAMP).map_err(failed)? {
            let bytes = Stamp::read(&*dir).map_err(failed)?;
            let cluster = Stamp::decode(&bytes).map_or_else(|_| ClusterId::default(), |stamp| stamp.cluster);
            return Err(FormatError::AlreadyFormatted { path, cluster });
        }
        let names = strangers(&*dir).map_err(failed)?;
        if !names.is_empty() {
            return Err(FormatError::NotEmpty { path, names: some_of(&names) });
        }
        let _lock = dir.lock(LOCK).map_err(|source| match source.kind() {
            io::ErrorKind::ResourceBusy => FormatError::InUse { path: path.clone(), source },
            _ => FormatError::Disk { path: path.clone(), source },
        })?;
        prepare(&*dir, format).map_err(failed)?;
        Ok(warning.into_iter().collect())
    }

    /// Opens a stamped directory: takes it for this process, and after an unclean stop settles what was
    /// being written.
    pub fn open(dir: Arc<dyn Dir>, options: DiskOptions) -> Result<Opened, OpenDiskError> {
        let path = path_of(&*dir);
        let failed = |source| OpenDiskError::Disk { path: path.clone(), source };
        if !dir.exists(STAMP).map_err(failed)? {
            let names = strangers(&*dir).map_err(failed)?;
            return Err(if names.is_empty() {
                OpenDiskError::Blank { path }
            } else {
                OpenDiskError::Foreign { path, names: some_of(&names) }
            });
        }
        let held = dir.lock(LOCK).map_err(|source| match source.kind() {
            io::ErrorKind::ResourceBusy => OpenDiskError::InUse { path: path.clone(), source },
            _ => OpenDiskError::Disk { path: path.clone(), source },
        })?;
        let bytes = Stamp::read(&*dir).map_err(failed)?;
        let stamp = Stamp::decode(&bytes).map_err(|error| match error {
            StampError::Damaged(what) => OpenDiskError::DamagedStamp { path: path.clone(), what },
            StampError::Newer(found) => {
                OpenDiskError::OtherFormat { path: path.clone(), found, known: FORMAT }
            }
        })?;
        if let Some(wanted) = options.cluster.filter(|wanted| *wanted != stamp.cluster) {
            return Err(OpenDiskError::WrongCluster { path, found: stamp.cluster, wanted });
        }
        Self::open_stamped(dir, stamp, &bytes, options, held).map_err(failed)
    }

    fn open_stamped(
        dir: Arc<dyn Dir>,
        stamp: Stamp,
        stamp_bytes: &[u8],
        options: DiskOptions,
        held: Box<dyn Send + Sync>,
    ) -> io::Result<Opened> {
        let mut report = OpenReport::default();
        if stamp.encode() != stamp_bytes {
            stamp.store(&*dir)?;
            report.warnings.push("one copy of the stamp was damaged and has been written anew".to_owned());
        }
        if let Ok(Some(warning)) = judge_filesystem(&*dir)? {
            report.warnings.push(warning);
        }
        for folder in [CHUNKS, DELETED, QUARANTINE] {
            dir.create_dir_all(folder)?;
        }
        let boot = dir.identity()?.boot;
        let log = dir.open(activity::NAME, OpenMode::Create)?;
        let mut bytes = vec![0; activity::FILE_BYTES];
        let length = log.read_at(&mut bytes, 0)?;
        let last = Recovered::decode(&bytes[..length], stamp.disk);
        if length < bytes.len() {
            log.write_at(&vec![0; bytes.len() - length], length as u64)?;
        }
        report.clean = last.clean;
        report.power_lost = !last.clean && (last.damaged || last.boot != boot);
        if last.damaged {
            report.warnings.push("the activity log was damaged: all chunk files were looked at".to_owned());
        }
        let (mut index, mut rebuilt) = open_index(&*dir, options);
        if rebuilt.is_none() && last.clean && !is_intact(&*index) {
            index.condemn();
            drop(index);
            (index, _) = open_index(&*dir, options);
            rebuilt = Some(Some("it does not hold what it held when it was closed".to_owned()));
        }
        let walk = rebuilt.is_some() || report.power_lost;
        let index = Arc::new(Index::new(index));
        let generation = last.generation + 1;
        // Nothing is written to the log before everything that it names is settled: `begin` comes last.
        let boots = [boot, epoch_of(&last, boot, options.reopened)];
        let settled = Settling { dir: &dir, stamp, index: &index, boots, options };
        let mut disk = settled.disk(Arc::clone(&log), generation, held)?;
        disk.power_lost = report.power_lost;
        disk.settle_named(&last, last.boot != boot, &mut report)?;
        if walk {
            let scan = disk.walk_all().map_err(io::Error::other)?;
            report.stubs += scan.stubs;
            report.torn_pages += scan.torn_pages;
            report.rotten_pages += scan.rotten_pages;
            // Of a disk without chunks there is nothing to tell.
            report.index_rebuilt = rebuilt.flatten().filter(|_| scan.chunks > 0);
        }
        disk.count_deleted()?;
        disk.index.flush();
        let held = disk.held_marks();
        report.held_back = held.len() as u64;
        disk.activity = Activity::begin(log, stamp.disk, boots, generation, index, held)?;
        Ok(Opened { disk, report })
    }

    /// Reads every chunk that the activity log names from its file and settles its marked regions. `moved`: what was not synced
    /// may be gone, also if the last user closed the disk in order, of chunks that he held back.
    fn settle_named(&self, last: &Recovered, moved: bool, report: &mut OpenReport) -> io::Result<()> {
        // Thousands may be named: what is in the page cache is written at once. What is lost in it each file tells itself.
        if last.chunks.len() >= TOGETHER_MIN
            && let Err(error) = self.dir.sync_all()
        {
            tracing::warn!(disk = %self.disk, %error, "a disk could not be synced as a whole");
        }
        for (chunk, named) in &last.chunks {
            report.chunks_checked += 1;
            let slot = self.slot(*chunk);
            let mut state = exclusive(&slot.state);
            let power_lost = self.power_lost || named.power_lost || named.held && moved;
            let named = Named { power_lost, ..*named };
            match self.load_named(*chunk, &mut state, Some(named)) {
                Ok(settled) => {
                    report.torn_pages += settled.torn_pages;
                    report.rotten_pages += settled.rotten_pages;
                }
                Err(error) => match self.judge_unread(*chunk, named, error) {
                    Ok(stubs) => report.stubs += stubs,
                    Err(error) if is_exhausted(&error) => return Err(error),
                    Err(error) => self.hold_back(*chunk, named, &error)?,
                },
            }
        }
        Ok(())
    }

    /// The inventory shows a chunk whose header cannot be read as bad.
    pub(super) fn unreadable(&self, chunk: ChunkId, what: &'static str) {
        tracing::warn!(%chunk, disk = %self.disk, what, "a chunk file cannot be read as one");
        self.index.put(chunk, super::walk::UNREADABLE);
    }
}

/// See [`Recovered::epoch`]. Of what a disk held back when it was closed in order, that is not known.
fn epoch_of(last: &Recovered, boot: u64, reopened: u64) -> u64 {
    let in_order = last.clean && last.chunks.values().all(|named| !named.held);
    match !last.damaged && (last.boot == boot || in_order) {
        true => last.epoch.wrapping_add(reopened.min(1)),
        false => boot.wrapping_add(reopened),
    }
}

/// The parts of a disk that is being opened.
struct Settling<'a> {
    dir: &'a Arc<dyn Dir>,
    stamp: Stamp,
    index: &'a Arc<Index>,
    boots: [u64; 2],
    options: DiskOptions,
}

impl Settling<'_> {
    /// A disk whose activity log takes no marks: settling needs none, as the old ones still stand.
    fn disk(&self, log: Arc<dyn env::File>, generation: u64, held: Box<dyn Send + Sync>) -> io::Result<Disk> {
        Ok(Disk {
            dir: Arc::clone(self.dir),
            stamp: Mutex::new(self.stamp),
            disk: self.stamp.disk,
            cluster: self.stamp.cluster,
            boot: self.boots[0],
            epoch: self.boots[1],
            index: Arc::clone(self.index),
            activity: Activity::closed(log, self.stamp.disk, self.boots, generation, Arc::clone(self.index)),
            cache: Cache::new(self.options.open_chunks_max.unwrap_or(OPEN_CHUNKS_MAX)),
            folders: Mutex::new(Folders::default()),
            bad: Mutex::default(),
            held: Mutex::default(),
            losses: Mutex::default(),
            power_lost: false,
            loads: AtomicU64::new(1),
            opening: generation,
            fillings: AtomicU32::new(0),
            counts: Counts::default(),
            room: Room::default(),
            deleted_bytes: AtomicU64::new(0),
            _lock: held,
        })
    }
}

fn prepare(dir: &dyn Dir, format: Format) -> io::Result<()> {
    for folder in [CHUNKS, DELETED, QUARANTINE] {
        dir.create_dir_all(folder)?;
    }
    let log = dir.open(activity::NAME, OpenMode::Create)?;
    log.write_at(&activity::blank(format.disk, dir.identity()?.boot), 0)?;
    log.sync_data()?;
    dir.sync_dir("")?;
    // The stamp comes last: with it the directory is a disk.
    Stamp { cluster: format.cluster, disk: format.disk, registrations: 0 }.store(dir)
}

/// The index; and, if it is empty and must be filled by a walk, why (nothing to tell if it always is).
fn open_index(dir: &dyn Dir, options: DiskOptions) -> (Box<dyn KvIndex>, Option<Option<String>>) {
    let memory = || Box::new(MemoryIndex::default());
    match dir.real_path() {
        Some(root) if !options.index_in_memory => match open_sled(dir, &root) {
            Ok(opened) => (opened.index, opened.rebuilt.map(Some)),
            Err(error) => {
                let why = format!("it cannot be opened ({error}) and is kept in memory until the next start");
                (memory(), Some(Some(why)))
            }
        },
        _ => (memory(), Some(None)),
    }
}
