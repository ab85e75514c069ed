//! What a master is told at its start, and the named maxima of its queues.

use std::sync::Arc;
use std::time::Duration;

/// Most sessions at one time; each keeps up to [`types::SEQUENCES_AHEAD_MAX`] answers.
pub const SESSIONS_MAX: usize = 4_096;
/// A segment of the log holds at least one whole batch.
pub const LOG_SEGMENT_BYTES_MIN: u64 = 8 << 20;
/// Messages waiting for the core; senders wait when it is full.
pub(crate) const INBOX_MESSAGES_MAX: usize = 8_192;
/// Messages handled between two writes of the log: bounds the latency that a batch adds.
pub(crate) const BATCH_MESSAGES_MAX: usize = 256;
/// Bytes of records written at once: bounds the size of one write of the log.
pub(crate) const BATCH_BYTES_MAX: usize = 4 << 20;
/// The runtime of the port: chunkservers, operators.
pub(crate) const CONTROL_RUNTIME: &str = "control";
/// The queue of the thread that syncs and rotates the log.
pub(crate) const LOG_QUEUE: &str = "log";
/// The queue of the in-line checkpoint builder.
pub(crate) const CHECKPOINT_QUEUE: &str = "checkpoint";
/// Segments of the log.
pub(crate) const LOG_FOLDER: &str = "log";
/// Checkpoints.
pub(crate) const CHECKPOINT_FOLDER: &str = "checkpoints";
/// A sync of the log begins at most this long after a write, also when nobody waits for it.
pub(crate) const SYNC_DELAY_MAX: Duration = Duration::from_millis(20);
/// A chunkserver silent for so long is gone.
pub(crate) const SERVER_SILENCE_MAX: Duration = Duration::from_secs(10);
/// Control links at one time.
pub(crate) const SERVER_LINKS_MAX: usize = 4_096;
/// How long an operator's question may take: less than the command waits, so that the answer says who is slow.
pub(crate) const ADMIN_ANSWER_MAX: Duration = Duration::from_secs(3);
/// The same of one that a chunkserver answers, which may have to wait for a disk.
pub(crate) const ADDITION_ANSWER_MAX: Duration = Duration::from_secs(70);
/// The same of one for which all chunks are looked at.
pub(crate) const PLAN_ANSWER_MAX: Duration = Duration::from_secs(50);
/// How often time-driven work (leases, silent servers, the fleet's own deadlines) is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// A pause between two ticks that says that this process was stopped.
pub(crate) const AWAY: Duration = Duration::from_secs(1);
/// For so long after such a pause nobody is called silent.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

const _: () =
    assert!(LOG_SEGMENT_BYTES_MIN > BATCH_BYTES_MAX as u64 + 2 * codec::limits::RECORD_BYTES_MAX as u64);

/// When ordinary mutations are answered; critical ones always wait for stable storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// When they are written to the log: they survive `kill -9`, and a loss of power at most 20 ms later.
    #[default]
    Local,
    /// When the log is on stable storage.
    Stable,
}

/// How a master is to run.
#[derive(Clone)]
pub struct Config {
    /// `host:port` to listen on; port 0 takes a free one.
    pub listen: String,
    /// `host:port` that others are told; `None`: the one listened on.
    pub advertise: Option<String>,
    /// The master's name in logs and status.
    pub name: String,
    /// The data directory: lock, term, `log/`, `checkpoints/`.
    pub data: Arc<dyn env::Dir>,
    /// When ordinary mutations are answered.
    pub ack: Ack,
    /// A checkpoint is built after so many records.
    pub checkpoint_every_records: u64,
    /// A checkpoint is built after so many bytes of log.
    pub checkpoint_every_bytes: u64,
    /// Bytes of a segment of the log; less than [`LOG_SEGMENT_BYTES_MIN`] counts as that.
    pub log_segment_bytes: u64,
    /// Replicas wanted of each chunk, until storage classes say so.
    pub goal: usize,
    /// A silent server counts as lost after this for chunks with one replica left.
    pub heal_after_endangered: Duration,
    /// A silent server counts as lost after this for other chunks.
    pub heal_after: Duration,
    /// Servers that fell silent together count as lost after this.
    pub heal_after_together: Duration,
    /// What an edit of a class or of labels makes dispensable is kept for so long.
    pub hold_surplus: Duration,
    /// A session that sends nothing for so long is closed.
    pub session_lease: Duration,
    /// Builds checkpoints; `None`: in this process, on a queue of its own.
    pub checkpointer: Option<Arc<dyn crate::Checkpointer>>,
    /// The operator accepted that nothing is authenticated; shown in status.
    pub insecure: bool,
}

impl Config {
    /// The defaults, for a data directory and an address.
    pub fn new(listen: impl Into<String>, data: Arc<dyn env::Dir>) -> Self {
        Self {
            listen: listen.into(),
            advertise: None,
            name: "master".into(),
            data,
            ack: Ack::Local,
            checkpoint_every_records: 1_000_000,
            checkpoint_every_bytes: 256 << 20,
            log_segment_bytes: 64 << 20,
            goal: 2,
            heal_after_endangered: Duration::from_secs(10),
            heal_after: Duration::from_secs(60),
            heal_after_together: Duration::from_secs(600),
            hold_surplus: Duration::from_secs(3_600),
            session_lease: Duration::from_secs(60),
            checkpointer: None,
            insecure: false,
        }
    }
}
