//! What happened on the connections of one role, for metrics, and a log of bad frames that cannot flood.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use wire::FrameError;

/// At most one line about bad frames in this time; the counts tell the rest.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Shared by all connections of one role.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    frames: AtomicU64,
    refused_hellos: AtomicU64,
    bad_magic: AtomicU64,
    bad_checksum: AtomicU64,
    bad_kind: AtomicU64,
    too_long: AtomicU64,
    protocol: AtomicU64,
    logged: Mutex<Option<Instant>>,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Connections accepted.
    pub connections: u64,
    /// Frames that arrived.
    pub frames: u64,
    /// Connections refused at HELLO: another cluster, another version, nonsense.
    pub refused_hellos: u64,
    /// Frames that did not begin with our magic.
    pub bad_magic: u64,
    /// Headers or bodies that did not match their checksums.
    pub bad_checksum: u64,
    /// Kinds or flags that are not known here.
    pub bad_kind: u64,
    /// Lengths above the limits.
    pub too_long: u64,
    /// Frames out of place: no HELLO first, a second one, an answer to nobody.
    pub protocol: u64,
}

impl Counters {
    /// The counts now.
    pub fn snapshot(&self) -> CountersSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CountersSnapshot {
            connections: get(&self.connections),
            frames: get(&self.frames),
            refused_hellos: get(&self.refused_hellos),
            bad_magic: get(&self.bad_magic),
            bad_checksum: get(&self.bad_checksum),
            bad_kind: get(&self.bad_kind),
            too_long: get(&self.too_long),
            protocol: get(&self.protocol),
        }
    }

    pub(crate) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn frame(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused_hello(&self, peer: &str, why: &str) {
        self.refused_hellos.fetch_add(1, Ordering::Relaxed);
        if self.may_log() {
            tracing::warn!(peer, why, "a connection was refused");
        }
    }

    pub(crate) fn protocol(&self, peer: &str, what: &'static str) {
        self.protocol.fetch_add(1, Ordering::Relaxed);
        if self.may_log() {
            tracing::warn!(peer, what, "a connection broke the protocol and was closed");
        }
    }

    pub(crate) fn bad_frame(&self, peer: &str, error: FrameError) {
        let counter = match error {
            FrameError::Magic => &self.bad_magic,
            FrameError::HeaderChecksum | FrameError::BodyChecksum => &self.bad_checksum,
            FrameError::Kind(_) | FrameError::Flags(_) => &self.bad_kind,
            FrameError::BodyTooLong(_) | FrameError::PayloadTooLong(_) => &self.too_long,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if self.may_log() {
            tracing::warn!(peer, %error, "a connection sent a bad frame and was closed");
        }
    }

    fn may_log(&self) -> bool {
        let mut logged = self.logged.lock().expect("nothing panics while it is held");
        let now = Instant::now();
        let may = logged.is_none_or(|last| now.duration_since(last) >= LOG_INTERVAL);
        if may {
            *logged = Some(now);
        }
        may
    }
}
