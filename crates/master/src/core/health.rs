//! Whether the cluster is well: every reason why it is not, with its code and the next step.
//!
//! # Invariants
//! 1. All judgement is here and in what is called from here: operators' tools show it, and judge nothing.
//! 2. The word of each code is one of [`HealthCode::ALL`], and how many things it concerns is said.
//!
//! # Elsewhere
//! Codes that operators know of: `mutes`.

use super::Core;
use super::limits::limit_warnings;
use codec::admin::{
    ChunkCounts, DiskStatus, LimitStatus, RefusedDiskStatus, ServerState, ServerStatus, Severity, Warning,
};
use codec::control::{DiskRefusal, DiskState};
use types::HealthCode;

/// What to do about chunks with too few replicas.
const HEALS: &str =
    "they are copied to other servers if there are any with room; else bring back what is down";

/// What to do about chunks of which some have damaged replicas only.
const MENDS: &str = "what is sound of them is mended and copied by itself; bring back what is down; a page that is damaged on each replica has to be written again";

/// What is judged, beside what the core itself knows.
pub(super) struct Judged<'a> {
    pub(super) servers: &'a [ServerStatus],
    pub(super) disks: &'a [DiskStatus],
    pub(super) refused: &'a [RefusedDiskStatus],
    pub(super) chunks: ChunkCounts,
    pub(super) limits: &'a [LimitStatus],
    pub(super) free_bytes: u64,
}

impl Core {
    /// Everything that deserves a look, the worst first.
    pub(super) fn judged(&self, of: &Judged<'_>) -> Vec<Warning> {
        let mut all = self.warnings.clone();
        all.extend(self.servers.untaken.values().flatten().cloned());
        if let Some(why) = self.log.no_room() {
            all.push(Warning {
                code: "LOG_FULL".into(),
                severity: Severity::Critical,
                message: format!("the changelog cannot grow ({why}): changes are refused, reads go on"),
                next: "make room on the disk of the master's data directory; it goes on by itself".into(),
                amount: 1,
            });
        }
        health(of, &mut all);
        let waiting = of.chunks.endangered + of.chunks.undergoal + of.chunks.leaving;
        all.extend(limit_warnings(of.limits, waiting));
        all.extend(self.class_warnings());
        all.extend(self.label_warnings());
        all.extend(self.mark_warnings());
        all.extend(self.trash_warning(of.free_bytes));
        if self.config.insecure {
            all.push(Warning {
                code: "INSECURE".into(),
                severity: Severity::Note,
                message: "nothing is authenticated: whoever reaches the ports can read and change all files"
                    .into(),
                next: "keep the ports inside a trusted network".into(),
                amount: 1,
            });
        }
        debug_assert!(
            all.iter().all(|one| HealthCode::find(one.parts().0).is_some()),
            "a code that nobody can mute: {all:?}"
        );
        all.sort_by_key(|one| std::cmp::Reverse(one.severity));
        all
    }
}

/// Adds what servers, disks and counts say about health.
fn health(of: &Judged<'_>, out: &mut Vec<Warning>) {
    let Judged { servers, disks, refused, chunks, .. } = of;
    let mut add = |code: &str, severity, amount: u64, message: String, next: &str| {
        if amount > 0 {
            out.push(Warning { code: code.into(), severity, message, next: next.into(), amount });
        }
    };
    let missing = format!("{} chunks have no replica that can be reached", chunks.missing);
    let back = "bring back the servers and disks that are down";
    add("CHUNK_MISSING", Severity::Critical, chunks.missing, missing, back);
    let damaged = format!("{} chunks have damaged pages on a replica", chunks.damaged);
    let mended = "they are mended from other replicas; if this stays, bring back disks that are away; a page that no \
                  replica has sound has to be written again: muskox explain PATH names stale replicas, which are kept";
    add("CHUNK_DAMAGED", Severity::Warning, chunks.damaged, damaged, mended);
    // Those with damaged replicas and no other are among them.
    let (what, next) = match chunks.damaged {
        0 => ("one replica left", HEALS),
        _ => ("at most one sound replica left", MENDS),
    };
    let endangered = format!("{} chunks have {what}", chunks.endangered);
    add("CHUNK_ENDANGERED", Severity::Warning, chunks.endangered, endangered, next);
    let undergoal = format!("{} chunks have fewer replicas than wanted", chunks.undergoal);
    add("CHUNK_UNDERGOAL", Severity::Warning, chunks.undergoal, undergoal, HEALS);

    // Without any server nothing can be read or written: that is more than the sum of them, also if all are away on purpose.
    let nobody = !servers.iter().any(|server| server.state == ServerState::Up);
    let is_missed =
        |server: &&ServerStatus| server.state == ServerState::Down && server.maintenance.is_none();
    let (severity, means) = match nobody {
        true => (Severity::Critical, ", nor is any other: nothing can be read or written"),
        false => (Severity::Warning, ""),
    };
    for server in servers.iter().filter(is_missed) {
        let message = format!("chunkserver {} ({}) is not connected{means}", server.name, server.address);
        add("SERVER_DOWN", severity, 1, message, "start it, or look at its log");
    }
    if nobody && !servers.iter().any(|server| is_missed(&server)) {
        let message = "no chunkserver is connected: nothing can be read or written".to_owned();
        let next = "systemctl start muskox-chunkserver   (on each host with disks)";
        add("SERVER_DOWN", Severity::Critical, 1, message, next);
    }
    for RefusedDiskStatus { server, disk } in *refused {
        let name = servers.iter().find(|known| known.server == *server).map_or("", |known| &known.name);
        let (word, reason) = (disk.refusal.word(), &disk.reason);
        let (code, message) = match disk.refusal {
            DiskRefusal::Hanging => ("DISK_HANGING", format!("a disk of {name} hangs: {reason}")),
            DiskRefusal::ReadOnly => ("DISK_READ_ONLY", format!("a disk of {name} is read-only: {reason}")),
            DiskRefusal::HeldBack => {
                ("REPLICAS_HELD_BACK", format!("a disk of {name} holds replicas back: {reason}"))
            }
            _ => ("DISK_NOT_SERVED", format!("a disk of {name} is not served ({word}): {reason}")),
        };
        add(code, Severity::Warning, 1, message, &disk.next);
    }
    let explained = |failed: &DiskStatus| {
        refused.iter().any(|refused| refused.server == failed.server && refused.disk.path == failed.path)
    };
    for disk in *disks {
        let failed = disk.state == Some(DiskState::Failed);
        let (id, path) = (disk.disk, &disk.path);
        let (dead, errs) = (failed && !explained(disk), !failed && disk.errors > 0);
        let message = format!("disk {id} at {path} has failed");
        let next = "replace the disk (smartctl, dmesg say why)";
        add("DISK_DAMAGED", Severity::Warning, dead.into(), message, next);
        let message = format!("disk {id} at {path} had {} failed reads, writes or syncs", disk.errors);
        let next = "see the chunkserver's log on that host, and smartctl and dmesg there";
        add("DISK_ERRORS", Severity::Warning, errs.into(), message, next);
    }
}

#[cfg(test)]
mod tests;
