//! Healthy, degraded or critical, and why.

use crate::Exit;
use rpc::admin::{ClusterStatus, DiskStatus, MuteStatus, Severity, Warning};
use std::fmt;

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

/// The verdict: that of the worst warning that nobody muted.
pub fn verdict(status: &ClusterStatus) -> Verdict {
    match warnings(status).map(|w| w.severity).max() {
        Some(Severity::Critical) => Verdict::Critical,
        Some(Severity::Warning) => Verdict::Degraded,
        Some(Severity::Note) | None => Verdict::Healthy,
    }
}

/// What the master warns of and nobody muted, the worst first.
pub fn warnings(status: &ClusterStatus) -> impl Iterator<Item = &Warning> {
    status.warnings.iter().filter(|warning| muted(status, warning).is_none())
}

/// The mute that a warning falls under.
pub fn muted<'a>(status: &'a ClusterStatus, warning: &Warning) -> Option<&'a MuteStatus> {
    mutes(status).find(|mute| mute.code.word() == warning.parts().0)
}

/// The mutes that count.
pub(crate) fn mutes(status: &ClusterStatus) -> impl Iterator<Item = &MuteStatus> {
    status.mutes.iter().filter(|mute| mute.grown_to.is_none())
}

/// Whether its server says why it does not serve the disk.
pub(super) fn is_refused(status: &ClusterStatus, disk: &DiskStatus) -> bool {
    status.refused_disks.iter().any(|r| r.server == disk.server && r.disk.path == disk.path)
}
