//! Healthy, degraded or critical, and why.

use crate::Exit;
use crate::units::counted;
use rpc::admin::{
    ClusterStatus, DiskRefusal, DiskState, DiskStatus, RefusedDiskStatus, ServerState, ServerStatus,
    Severity, Warning,
};
use std::fmt;

/// Servers or disks that one warning names.
const NAMED_MAX: usize = 5;

/// The cluster in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing needs anybody.
    Healthy,
    /// All data can be read; redundancy or comfort is missing.
    Degraded,
    /// Some data cannot be read, or nothing can be written.
    Critical,
}

impl Verdict {
    /// What `muskox status` exits with.
    pub fn exit(self) -> Exit {
        match self {
            Self::Healthy => Exit::Done,
            Self::Degraded => Exit::Degraded,
            Self::Critical => Exit::Critical,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Critical => "CRITICAL",
        })
    }
}

/// The verdict: that of the worst warning.
pub fn verdict(status: &ClusterStatus) -> Verdict {
    match warnings(status).iter().map(|w| w.severity).max() {
        Some(Severity::Critical) => Verdict::Critical,
        Some(Severity::Warning) => Verdict::Degraded,
        Some(Severity::Note) | None => Verdict::Healthy,
    }
}

/// The master's warnings and those that follow from its counts, each code once, worst first.
pub fn warnings(status: &ClusterStatus) -> Vec<Warning> {
    let mut all = status.warnings.clone();
    for derived in derived(status) {
        if !all.iter().any(|w| w.code == derived.code) {
            all.push(derived);
        }
    }
    all.sort_by_key(|w| std::cmp::Reverse(w.severity));
    all
}

/// Whether its server says why it does not serve the disk.
pub(super) fn is_refused(status: &ClusterStatus, disk: &DiskStatus) -> bool {
    status.refused_disks.iter().any(|r| r.server == disk.server && r.disk.path == disk.path)
}

/// Not connected, and not on purpose.
fn is_missed(server: &ServerStatus) -> bool {
    server.state == ServerState::Down && server.maintenance.is_none()
}

fn derived(status: &ClusterStatus) -> Vec<Warning> {
    let mut all = Vec::new();
    let mut add = |code: &str, severity, message: String, next: &str| {
        all.push(Warning { code: code.into(), severity, message, next: next.into() });
    };
    let chunks = &status.chunks;
    let up = status.servers.iter().filter(|s| s.state == ServerState::Up).count();
    if up == 0 {
        add(
            "SERVER_DOWN",
            Severity::Critical,
            "no chunkserver is connected: nothing can be read or written".into(),
            "systemctl start muskox-chunkserver   (on each host with disks)",
        );
    } else if status.servers.iter().any(is_missed) {
        let down: Vec<&str> =
            status.servers.iter().filter(|s| is_missed(s)).map(|s| s.name.as_str()).collect();
        let named = down[..down.len().min(NAMED_MAX)].join(", ");
        let message = format!("{} not connected: {named}", counted(down.len() as u64, "server"));
        add(
            "SERVER_DOWN",
            Severity::Warning,
            message,
            "systemctl status muskox-chunkserver   (on that host)",
        );
    }
    if chunks.missing > 0 {
        let message =
            format!("{} without any replica: reads of their files wait", counted(chunks.missing, "chunk"));
        add(
            "CHUNK_MISSING",
            Severity::Critical,
            message,
            "bring back the servers and disks that are away, see below",
        );
    }
    if chunks.damaged > 0 {
        let message = format!("{} with damaged pages on a replica", counted(chunks.damaged, "chunk"));
        add(
            "CHUNK_DAMAGED",
            Severity::Warning,
            message,
            "they are mended from other replicas; if this stays, bring back disks that are away, and see the chunkservers' logs for the disk",
        );
    }
    if chunks.endangered > 0 {
        // Those with damaged replicas and no other are among them.
        let what = if chunks.damaged > 0 { "at most one sound replica" } else { "a single replica" };
        let message = format!("{} with {what} left", counted(chunks.endangered, "chunk"));
        add(
            "CHUNK_ENDANGERED",
            Severity::Warning,
            message,
            "bring back the servers and disks that are away, see below",
        );
    }
    if chunks.undergoal > 0 {
        let message = format!("{} with fewer replicas than wanted", counted(chunks.undergoal, "chunk"));
        add(
            "CHUNK_UNDERGOAL",
            Severity::Warning,
            message,
            "bring back the servers and disks that are away, see below",
        );
    }
    let half = |d: &&RefusedDiskStatus| {
        matches!(d.disk.refusal, DiskRefusal::Hanging | DiskRefusal::ReadOnly | DiskRefusal::HeldBack)
    };
    let unserved: Vec<_> = status.refused_disks.iter().filter(|d| !half(d)).collect();
    if let Some(first) = unserved.first() {
        let paths: Vec<&str> = unserved.iter().map(|d| d.disk.path.as_str()).collect();
        let named = paths[..paths.len().min(NAMED_MAX)].join(", ");
        let message = format!("{} not served: {named}", counted(paths.len() as u64, "disk"));
        add("DISK_NOT_SERVED", Severity::Warning, message, &first.disk.next);
    }
    let failed: Vec<&str> = status
        .disks
        .iter()
        .filter(|d| d.state == Some(DiskState::Failed) && !is_refused(status, d))
        .map(|d| d.path.as_str())
        .collect();
    if !failed.is_empty() {
        let named = failed[..failed.len().min(NAMED_MAX)].join(", ");
        let message = format!("{} failed: {named}", counted(failed.len() as u64, "disk"));
        add("DISK_DAMAGED", Severity::Warning, message, "journalctl -u muskox-chunkserver   (on that host)");
    }
    let erring = status.disks.iter().filter(|d| d.state != Some(DiskState::Failed) && d.errors > 0).count();
    if erring > 0 {
        let message = format!("{} with failed reads, writes or syncs", counted(erring as u64, "disk"));
        add("DISK_ERRORS", Severity::Warning, message, "journalctl -u muskox-chunkserver   (on that host)");
    }
    if status.insecure {
        add(
            "INSECURE",
            Severity::Note,
            "nothing is authenticated (insecure = true): whoever reaches the ports reads and writes everything".into(),
            "keep the ports inside a trusted network",
        );
    }
    all
}
