//! What a chunkserver is told at its start, and the named maxima of its queues.

use env::{Dir, RealDir};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The runtime of the port's listener and of what concerns masters: registration, heartbeats, orders.
pub(crate) const CONTROL_RUNTIME: &str = "control";
/// Payload bytes of clients' writes that are not answered, over all connections; a further one is told to try
/// again. Forwarded frames come on top: refusing them would break chains.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 20;
/// Payload bytes without an answer on one connection; reading from it stops at the limit. So large, because a
/// peer's connection carries the frames of many heads, that two servers do not stop reading from each other;
/// what clients may have in flight is bounded by [`HEAD_BYTES_MAX`].
pub(crate) const CONNECTION_BYTES_MAX: usize = 256 << 20;
/// Jobs waiting for one disk beyond which reads are told to try again.
pub(crate) const DISK_JOBS_MAX: usize = 1_024;
/// Frames that wait until a replica's header was read.
pub(crate) const OPENING_FRAMES_MAX: usize = 128;
/// Replicas whose chain is remembered; idle ones are forgotten beyond it, and their next write asks for a raise.
pub(crate) const CHAINS_MAX: usize = 65_536;
/// Orders that are carried out at the same time on one disk.
pub(crate) const ORDERS_RUNNING_MAX: usize = 256;
/// Those on one disk that read from other servers; each has a piece of a chunk in memory.
pub(crate) const ORDERS_PULLING_MAX: usize = 64;
/// Orders for one disk that are under way or wait, about 2 KiB each; a further one is told to try again.
pub(crate) const ORDERS_TAKEN_MAX: usize = 16_384;
/// An order that could not begin because its chunk is busy (a hung disk) is given up after this.
pub(crate) const ORDER_WAIT_MAX: Duration = Duration::from_secs(20);
/// Born and damaged replicas waiting to be told to one master; beyond it the link is made anew, with a report.
pub(crate) const EVENTS_MAX: usize = 100_000;
/// How often each master hears of this server.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// A disk with a job that has not ended for so long is shown as hanging, and gets no new chunks.
pub(crate) const DISK_HANGING_AFTER: Duration = Duration::from_secs(5);
/// A disk whose jobs do not end for so long counts as failed until they do. An fdatasync behind a full page cache
/// takes many seconds on a slow disk.
pub(crate) const DISK_HUNG_AFTER: Duration = Duration::from_secs(30);
/// So long the start waits for disks to be opened; those that take longer come into service later.
pub(crate) const DISK_OPEN_MAX: Duration = Duration::from_secs(10);
/// How often a disk that is not served is looked at again.
pub(crate) const DISK_RETRY_INTERVAL: Duration = Duration::from_secs(3);
/// How often a disk tries again to settle what it holds back: a device may take seconds over a sector that it cannot read.
pub(crate) const DISK_SETTLE_INTERVAL: Duration = Duration::from_secs(60);
/// The interval doubles with each failure in service, so often: up to 48 s.
pub(crate) const DISK_RETRY_DOUBLINGS_MAX: u32 = 4;
/// A disk that served so long without failing begins anew with the short interval.
pub(crate) const DISK_CALM_AFTER: Duration = Duration::from_secs(600);
/// So long those of chunks that the metadata does not know: somebody may have restored an old copy of it.
pub(crate) const UNKNOWN_HOLD: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Deleted replicas are kept so long.
pub(crate) const DELETED_HOLD: Duration = Duration::from_secs(3_600);
/// Below this much free room deleted replicas are erased before their time.
pub(crate) const PURGE_BELOW_BYTES: u64 = 1 << 30;
/// After its files were synced and closed, a disk is left alone for so long, however many are open.
pub(crate) const TIDY_PAUSE: Duration = Duration::from_millis(250);
/// Patience of a request that names none.
pub(crate) const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);
/// Longest patience that is taken seriously.
pub(crate) const DEADLINE_MAX: Duration = Duration::from_secs(60);

/// Opens a disk's directory. Asked again while the disk is not served: the directory may come later, and another
/// device may be mounted over it.
pub type OpenDir = Arc<dyn Fn() -> io::Result<Arc<dyn Dir>> + Send + Sync>;

/// How a disk is opened that an operator adds, by its path.
pub type OpenAdded = Arc<dyn Fn(&str) -> DiskConfig + Send + Sync>;

/// One disk.
#[derive(Clone)]
pub struct DiskConfig {
    /// The directory.
    pub open: OpenDir,
    /// Where it is, for people.
    pub path: String,
    /// Labels of the disk alone.
    pub labels: Vec<String>,
    /// Stamp the directory if it is there and blank at the start. Otherwise a blank one is refused: its device may not be mounted.
    pub format_if_blank: bool,
    /// Threads for blocking work, 1 to 4.
    pub threads: usize,
    /// Keep the chunk index in memory even on a real directory; each start then walks the folders.
    pub index_in_memory: bool,
    /// Chunk files that this disk may keep open; `None`: as many as are of use.
    pub open_chunks_max: Option<usize>,
}

impl DiskConfig {
    /// The defaults, for a directory that is there.
    pub fn new(dir: Arc<dyn Dir>, path: impl Into<String>) -> Self {
        Self::opened_by(Arc::new(move || Ok(Arc::clone(&dir))), path)
    }

    /// The defaults, for a path of the system, which need not exist yet.
    pub fn at(path: PathBuf) -> Self {
        let shown = path.display().to_string();
        Self::opened_by(Arc::new(move || RealDir::open(&path)), shown)
    }

    /// The defaults, for whatever opens the directory.
    pub fn opened_by(open: OpenDir, path: impl Into<String>) -> Self {
        Self {
            open,
            path: path.into(),
            labels: Vec::new(),
            format_if_blank: true,
            threads: 2,
            index_in_memory: false,
            open_chunks_max: None,
        }
    }
}

/// How a chunkserver is to run.
#[derive(Clone)]
pub struct Config {
    /// `host:port` to listen on; port 0 takes a free one.
    pub listen: String,
    /// `host:port` that others are told; `None`: the one listened on.
    pub advertise: Option<String>,
    /// What people call it.
    pub name: String,
    /// Labels that its disks inherit.
    pub labels: Vec<String>,
    /// Where its identity is kept.
    pub data: Arc<dyn Dir>,
    /// Its disks. Blank ones are stamped when the first master has told the cluster.
    pub disks: Vec<DiskConfig>,
    /// `host:port` of each master.
    pub masters: Vec<String>,
    /// How disks are opened that operators add; `None`: none can be.
    pub open_added: Option<OpenAdded>,
}

impl Config {
    /// The defaults, for an address, a data directory, disks and masters.
    pub fn new(
        listen: impl Into<String>,
        data: Arc<dyn Dir>,
        disks: Vec<DiskConfig>,
        masters: Vec<String>,
    ) -> Self {
        Self {
            listen: listen.into(),
            advertise: None,
            name: "chunkserver".into(),
            labels: Vec::new(),
            data,
            disks,
            masters,
            open_added: None,
        }
    }
}
