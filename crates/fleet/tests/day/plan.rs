//! How large a day is, and from which number it is drawn.

use fleet::FleetOptions;
use types::CHUNK_BYTES;

/// The default of the master's `hold-surplus`.
const HOLD_MS: u64 = 3_600_000;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) servers: u16,
    pub(crate) disks_per_server: u16,
    pub(crate) chunks: u32,
    pub(crate) hours: u64,
    /// Everything happens so many times as often as in a large cluster.
    pub(crate) haste: u64,
    /// Of a full chunk.
    pub(crate) full_bytes: u64,
    /// What a disk moves in a millisecond; so much that a heartbeat later it is as full as before, more or less.
    pub(crate) bytes_per_ms: u64,
    /// A line is told each hour.
    pub(crate) talks: bool,
    /// What becomes of the chunk in this slot is told.
    pub(crate) watched: Option<u32>,
    pub(crate) options: FleetOptions,
    /// For how long what an edit makes dispensable is held.
    pub(crate) hold_ms: u64,
}

/// The seed of the day that is always tried.
const SEED: u64 = 20_261_123;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not '{text}'")))
}

impl Plan {
    /// An hour of a small cluster in which as much happens as in a quarter of a day.
    pub(crate) fn small(seed: u64) -> Self {
        let (servers, disks_per_server, chunks, hours, haste) = (10, 4, 5_000, 1, 6);
        // Disks are to hold some hundred chunks, none of which makes one much fuller.
        let (full_bytes, bytes_per_ms) = (12 << 20, 6_000);
        Self {
            seed,
            servers,
            disks_per_server,
            chunks,
            hours,
            haste,
            full_bytes,
            bytes_per_ms,
            talks: false,
            watched: None,
            options: FleetOptions::default(),
            hold_ms: 600_000,
        }
    }

    /// By the environment; the small one if nothing is said.
    pub(crate) fn of_environment() -> Self {
        let watched = number("MUSKOX_DAY_WATCH").map(|slot| slot as u32);
        let small = Self { watched, ..Self::small(number("MUSKOX_DAY_SEED").unwrap_or(SEED)) };
        let Some(disks) = number("MUSKOX_DAY_DISKS") else { return small };
        let disks_per_server = if disks >= 200 { 10 } else { 4 };
        Self {
            servers: u16::try_from(disks / disks_per_server).unwrap().max(10),
            disks_per_server: disks_per_server as u16,
            chunks: u32::try_from(number("MUSKOX_DAY_CHUNKS").unwrap_or(disks * 1_000)).unwrap(),
            hours: number("MUSKOX_DAY_HOURS").unwrap_or(24),
            haste: number("MUSKOX_DAY_HASTE").unwrap_or(1).max(1),
            full_bytes: CHUNK_BYTES,
            bytes_per_ms: 150_000,
            talks: true,
            hold_ms: HOLD_MS,
            ..small
        }
    }

    /// The command that plays the same day.
    pub(crate) fn command(&self) -> String {
        let test = "cargo test --release -p fleet --test day -- --nocapture whatever";
        if !self.talks {
            return format!("MUSKOX_DAY_SEED={} {test}", self.seed);
        }
        format!(
            "MUSKOX_DAY_SEED={} MUSKOX_DAY_DISKS={} MUSKOX_DAY_CHUNKS={} MUSKOX_DAY_HOURS={} MUSKOX_DAY_HASTE={} {test}",
            self.seed,
            self.servers * self.disks_per_server,
            self.chunks,
            self.hours,
            self.haste,
        )
    }

    pub(crate) fn end_ms(&self) -> u64 {
        self.hours * 3_600_000
    }
}
