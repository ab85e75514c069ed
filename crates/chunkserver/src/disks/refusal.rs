//! Why a disk is not served, and what the operator can do.

use codec::control::DiskRefusal;
use codec::limits::TEXT_BYTES_MAX;
use std::fmt;
use std::io;
use store::OpenDiskError;
use types::DiskId;

/// What divides reason and next step in the messages of `store`.
const NEXT: &str = "; next step: ";

/// A kind, a reason and a next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) refusal: DiskRefusal,
    pub(crate) reason: String,
    pub(crate) next: String,
}

impl Refusal {
    pub(crate) fn new(refusal: DiskRefusal, reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self { refusal, reason: short(reason.into()), next: short(next.into()) }
    }

    /// From a message that says both.
    pub(crate) fn split(refusal: DiskRefusal, message: &str, otherwise: &str) -> Self {
        let (reason, next) = message.split_once(NEXT).unwrap_or((message, otherwise));
        Self::new(refusal, reason, next)
    }

    pub(crate) fn opening(path: &str) -> Self {
        Self::new(
            DiskRefusal::Opening,
            format!("{path} is still being opened"),
            "wait; if it does not end, see the kernel's log: dmesg",
        )
    }

    pub(crate) fn duplicate(path: &str, disk: DiskId) -> Self {
        Self::new(
            DiskRefusal::Duplicate,
            format!("{path}: another directory of this server is disk {disk} already"),
            "remove the copy",
        )
    }

    pub(crate) fn blank(path: &str) -> Self {
        Self::split(DiskRefusal::Blank, &OpenDiskError::Blank { path: path.to_owned() }.to_string(), "")
    }

    /// An operator makes a directory and then mounts a device there: in between it looks like a new disk.
    pub(crate) fn appeared_blank(path: &str) -> Self {
        Self::new(
            DiskRefusal::Blank,
            format!(
                "{path} was not there at the start and is empty: a device may be about to be mounted there"
            ),
            format!("mount its device; if it is a new disk: muskox disk add SERVER {path}"),
        )
    }

    /// The directory itself could not be opened.
    pub(crate) fn of_directory(path: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::new(
                DiskRefusal::Absent,
                format!("{path} does not exist"),
                format!("mount its device; for a new disk: mkdir {path}   and muskox disk add SERVER {path}"),
            ),
            io::ErrorKind::NotADirectory => Self::new(
                DiskRefusal::Foreign,
                format!("{path} is not a directory"),
                "check the path; a disk needs a directory",
            ),
            _ => Self::new(
                DiskRefusal::Unreadable,
                format!("{path}: {error}"),
                "see that the chunkserver's user may read and write it, and see the kernel's log: dmesg",
            ),
        }
    }
}

impl From<&OpenDiskError> for Refusal {
    fn from(error: &OpenDiskError) -> Self {
        let refusal = match error {
            OpenDiskError::Blank { .. } => DiskRefusal::Blank,
            OpenDiskError::Foreign { .. } => DiskRefusal::Foreign,
            OpenDiskError::WrongCluster { .. } => DiskRefusal::OtherCluster,
            OpenDiskError::DamagedStamp { .. } => DiskRefusal::Damaged,
            OpenDiskError::OtherFormat { .. } => DiskRefusal::OtherFormat,
            OpenDiskError::InUse { .. } => DiskRefusal::InUse,
            OpenDiskError::Disk { .. } => DiskRefusal::Unreadable,
        };
        Self::split(refusal, &error.to_string(), "see the chunkserver's log")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{NEXT}{}", self.reason, self.next)
    }
}

/// What a message may hold: names of a stranger's files may be long.
fn short(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ClusterId;

    #[test]
    fn every_refusal_has_a_reason_and_a_next_step() {
        let path = || "/mnt/d1".to_owned();
        let source = || io::Error::other("it clicks");
        let errors = [
            OpenDiskError::Blank { path: path() },
            OpenDiskError::Foreign { path: path(), names: "a, b".into() },
            OpenDiskError::WrongCluster {
                path: path(),
                found: ClusterId([1; 16]),
                wanted: ClusterId([2; 16]),
            },
            OpenDiskError::DamagedStamp { path: path(), what: "no copy is valid" },
            OpenDiskError::OtherFormat { path: path(), found: 2, known: 1 },
            OpenDiskError::InUse { path: path(), source: source() },
            OpenDiskError::Disk { path: path(), source: source() },
        ];
        let kinds = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory, io::ErrorKind::PermissionDenied];
        let refusals = errors
            .iter()
            .map(Refusal::from)
            .chain(kinds.map(|kind| Refusal::of_directory("/mnt/d1", &kind.into())))
            .chain([Refusal::blank("/mnt/d1"), Refusal::appeared_blank("/mnt/d1")])
            .chain([Refusal::opening("/mnt/d1"), Refusal::duplicate("/mnt/d1", DiskId([7; 16]))]);
        for refusal in refusals {
            assert!(refusal.reason.contains("/mnt/d1"), "{refusal:?}");
            assert!(!refusal.next.is_empty() && !refusal.reason.contains("next step"), "{refusal:?}");
        }
    }

    #[test]
    fn a_long_reason_fits_its_message() {
        let refusal = Refusal::new(DiskRefusal::Foreign, "ü".repeat(TEXT_BYTES_MAX), "x");
        assert!(refusal.reason.len() <= TEXT_BYTES_MAX && refusal.reason.ends_with('ü'));
    }
}
