//! `muskox status`: a verdict with its reasons, the cluster in a few lines, the next step.

mod json;
mod verdict;

pub(crate) use json::disk_values;
pub use json::json;
pub(crate) use verdict::mutes;
pub use verdict::{Verdict, muted, verdict, warnings};

use crate::health::whole_s;
use crate::table;
use crate::units::{age, count, counted, percent, printable, size};
use rpc::admin::{
    ClusterStatus, DiskState, DiskStatus, MuteStatus, RefusedDiskStatus, ServerState, Severity, TrashStatus,
    Warning,
};
use types::ServerId;
use verdict::is_refused;

/// Lines of a terminal that nobody has enlarged.
const LINES_MAX: usize = 24;
/// Warnings shown, two lines each; the rest is counted.
const WARNINGS_MAX: usize = 4;

/// The whole text, ending in a newline.
pub fn render(status: &ClusterStatus) -> String {
    let mut lines = summary(status);
    let warnings: Vec<&Warning> = warnings(status).collect();
    lines.extend(warnings.iter().take(WARNINGS_MAX).flat_map(|one| warning(one)));
    if warnings.len() > WARNINGS_MAX {
        lines.push(format!("…    {} more warnings   (muskox status --json)", warnings.len() - WARNINGS_MAX));
    }
    lines.extend(muted_line(status));
    let next = next_step(status, &warnings);
    // An empty line and a head before the disks, the next step after them.
    let room = LINES_MAX.saturating_sub(lines.len() + 3);
    lines.extend(disks(status, room));
    lines.push(next);
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn summary(status: &ClusterStatus) -> Vec<String> {
    let name =
        if status.name.is_empty() { status.cluster.to_string() } else { printable(status.name.as_bytes()) };
    let mixed = status
        .servers
        .iter()
        .any(|s| s.state == ServerState::Up && !s.version.is_empty() && s.version != status.version);
    let mut lines = vec![format!(
        "cluster {name}   {}   version {}{}   up {}",
        verdict(status),
        status.version,
        if mixed { " (servers differ)" } else { "" },
        age(status.uptime_ms),
    )];
    let checkpoint = match status.checkpoint_age_ms {
        Some(ms) => format!("checkpoint {} ago", age(ms)),
        None => "no checkpoint since the start".into(),
    };
    lines.push(format!(
        "metadata  master {} {}   term {}   change {} (stable {})",
        printable(status.master_name.as_bytes()),
        status.master_address,
        status.term,
        count(status.position.applied.0),
        count(status.position.stable.0),
    ));
    lines.push(format!(
        "          {}, {}   {checkpoint}",
        counted(status.files, "file"),
        if status.directories == 1 {
            "1 directory".into()
        } else {
            format!("{} directories", count(status.directories))
        },
    ));
    if status.trash.files > 0 {
        lines.push(trash(status));
    }
    let up = status.servers.iter().filter(|s| s.state == ServerState::Up).count() as u64;
    let total: u64 = status.disks.iter().fold(0, |sum, d| sum.saturating_add(d.total_bytes));
    let free: u64 = status.disks.iter().fold(0, |sum, d| sum.saturating_add(d.free_bytes));
    lines.push(format!(
        "storage   {} of {}, {}   raw used {} of {}   usable free {} of {} ({})",
        count(up),
        counted(status.servers.len() as u64, "server"),
        counted(status.disks.len() as u64, "disk"),
        size(total.saturating_sub(free)),
        size(total),
        size(status.usable_free_bytes),
        size(status.usable_total_bytes),
        counted(status.goal.into(), "replica"),
    ));
    lines.push(chunks(status));
    let connected = status.clients.iter().filter(|c| c.connected).count();
    let away = status.clients.len() - connected;
    lines.push(format!(
        "clients   {}{}",
        counted(connected as u64, "mount"),
        if away == 0 { String::new() } else { format!(", {away} not connected now") },
    ));
    lines.push(format!("work      {}", work(status)));
    lines
}

fn trash(status: &ClusterStatus) -> String {
    let TrashStatus { files, bytes, next_ms } = status.trash;
    let next = next_ms.map_or_else(String::new, |ms| format!("   the next one goes in {}", age(ms)));
    format!("trash     {}, {}{next}", counted(files, "deleted file"), size(bytes))
}

fn chunks(status: &ClusterStatus) -> String {
    let c = &status.chunks;
    let mut text = format!(
        "chunks    {} ok · {} under · {} endangered · {} missing",
        count(c.ok),
        count(c.undergoal),
        count(c.endangered),
        count(c.missing)
    );
    for (number, word) in [
        (c.leaving, "leaving"),
        (c.overgoal, "over"),
        (c.held, "replicas held after an edit"),
        (c.unknown, "not yet reported"),
        (c.quarantined, "quarantined"),
        (c.deleting, "being deleted"),
        (c.unsettled, "to be compared"),
        (c.damaged, "damaged"),
    ] {
        if number > 0 {
            text.push_str(&format!(" · {} {word}", count(number)));
        }
    }
    text
}

fn work(status: &ClusterStatus) -> String {
    if status.work.is_empty() {
        return if status.chunks.settling { "waiting for all disks to report".into() } else { "idle".into() };
    }
    let pieces = status.work.iter().take(3).map(|w| match w.total {
        0 => printable(w.what.as_bytes()),
        total => format!("{} {}", printable(w.what.as_bytes()), percent(w.done, total)),
    });
    let mut text = pieces.collect::<Vec<_>>().join(" · ");
    if status.work.len() > 3 {
        text.push_str(&format!(" · {} more", status.work.len() - 3));
    }
    text
}

fn warning(warning: &Warning) -> [String; 2] {
    let word = match warning.severity {
        Severity::Note => "NOTE",
        Severity::Warning => "WARN",
        Severity::Critical => "CRIT",
    };
    [
        format!("{word} {}   {}", warning.code, printable(warning.message.as_bytes())),
        format!("     next  {}", printable(warning.next.as_bytes())),
    ]
}

fn disks(status: &ClusterStatus, room: usize) -> Vec<String> {
    let rows = disk_rows(status);
    if rows.is_empty() || room < 2 {
        return Vec::new();
    }
    let shown = if rows.len() <= room { rows.len() } else { room - 1 };
    let mut lines = vec![String::new()];
    lines.extend(table::lines(&DISK_HEAD, &rows[..shown]));
    if shown < rows.len() {
        lines.push(format!("…  {} more   (muskox disk ls)", rows.len() - shown));
    }
    lines
}

const DISK_HEAD: [&str; 7] = ["SERVER", "DISK", "LABELS", "STATE", "USED", "CHUNKS", "ERRORS"];

/// All disks, without a limit.
pub(crate) fn disk_table(status: &ClusterStatus) -> Vec<String> {
    table::lines(&DISK_HEAD, &disk_rows(status))
}

fn disk_rows(status: &ClusterStatus) -> Vec<Vec<String>> {
    // The troubled first: they are what one looks for. What a server does not serve has one line, also if the
    // master knows the disk from before.
    let mut disks: Vec<&DiskStatus> = status.disks.iter().filter(|d| !is_refused(status, d)).collect();
    disks.sort_by_key(|d| {
        (d.state == Some(DiskState::Good) && d.errors == 0, server_name(status, d.server), &d.path)
    });
    let refused = status.refused_disks.iter().map(|d| refused(status, d));
    refused.chain(disks.into_iter().map(|d| disk(status, d))).collect()
}

fn server_name(status: &ClusterStatus, id: ServerId) -> String {
    match status.servers.iter().find(|s| s.server == id) {
        Some(server) if !server.name.is_empty() => printable(server.name.as_bytes()),
        _ => id.to_string(),
    }
}

fn disk(status: &ClusterStatus, disk: &DiskStatus) -> Vec<String> {
    let used = disk.total_bytes.saturating_sub(disk.free_bytes);
    // Of a disk that did not come since the master's start only the id is known.
    let place =
        if disk.path.is_empty() { format!("id {}", disk.disk) } else { printable(disk.path.as_bytes()) };
    vec![
        server_name(status, disk.server),
        place,
        printable(disk.labels.join(",").as_bytes()),
        match &disk.removal {
            Some(removal) if disk.state == Some(DiskState::Good) => {
                crate::removal::in_table(removal, disk.chunks)
            }
            Some(removal) => {
                format!("{}, {}", state_word(disk.state), crate::removal::in_table(removal, disk.chunks))
            }
            None => state_word(disk.state).into(),
        },
        format!("{} of {}", percent(used, disk.total_bytes), size(disk.total_bytes)),
        count(disk.chunks),
        count(disk.errors),
    ]
}

fn refused(status: &ClusterStatus, refused: &RefusedDiskStatus) -> Vec<String> {
    let disk = &refused.disk;
    let mut row = vec![
        server_name(status, refused.server),
        printable(disk.path.as_bytes()),
        printable(disk.labels.join(",").as_bytes()),
        disk.refusal.word().into(),
    ];
    row.extend(["-", "-", "-"].map(str::to_owned));
    row
}

/// The word for the state of a disk, in tables and in JSON.
pub(crate) fn state_word(state: Option<DiskState>) -> &'static str {
    match state {
        Some(DiskState::Good) => "ok",
        Some(DiskState::ReadOnly) => "read-only",
        Some(DiskState::Failed) => "failed",
        None => "away",
    }
}

/// Which codes are muted, if any are.
fn muted_line(status: &ClusterStatus) -> Option<String> {
    let mute = |mute: &MuteStatus| match mute.left_ms {
        Some(ms) => format!("{} for {} more", mute.code, age(whole_s(ms))),
        None => mute.code.to_string(),
    };
    let all: Vec<String> = mutes(status).map(mute).collect();
    (!all.is_empty()).then(|| format!("muted     {}   (muskox health)", all.join(", ")))
}

fn next_step(status: &ClusterStatus, warnings: &[&Warning]) -> String {
    let next = if warnings.iter().any(|w| w.severity > Severity::Note) {
        "muskox status   again, once the step above is taken".to_owned()
    } else if status.clients.is_empty() {
        format!("muskox mount --master {} /mnt/muskox", status.master_address)
    } else {
        "muskox file info PATH   (where a file's chunks are)".to_owned()
    };
    format!("next      {next}")
}

#[cfg(test)]
mod tests;
