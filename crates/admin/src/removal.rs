//! `muskox disk remove` and `muskox server remove`: what it takes, how far it is, and whether it is safe.

mod json;

pub use json::json;
pub(crate) use json::{State, state};

use crate::edit_plan::takes;
use crate::units::{age, count, counted, percent, printable, size};
use rpc::admin::{DiskRemoval, EditPlan, ObstacleKind, Removal, RemovalDisk, RemovalObstacle};

/// Chunks that are named, one line each; the rest is counted.
const NAMED_MAX: usize = 12;

/// What in a removal is done: replicas that are gone, of how many.
fn done(disk: &RemovalDisk) -> (u64, u64) {
    let most = disk.removal.map_or(0, |removal| removal.most).max(disk.chunks);
    (most - disk.chunks, most)
}

/// Milliseconds that the rest takes at the pace so far; `None`: nothing was done yet.
fn left_ms(removal: &DiskRemoval, chunks: u64) -> Option<u64> {
    let done = removal.most.checked_sub(chunks).filter(|done| *done > 0)?;
    let left = u128::from(removal.since_ms_ago) * u128::from(chunks) / u128::from(done);
    u64::try_from(left).ok()
}

/// The copies of a removal, as those of any plan.
fn copies(removal: &Removal) -> EditPlan {
    let Removal { copies, timed, copy_ms, at_once, .. } = *removal;
    EditPlan { add: copies, timed, copy_ms, at_once, ..EditPlan::default() }
}

/// How far it is, in a few words.
pub fn progress(removal: &Removal) -> String {
    let (gone, most) = removal.disks.iter().map(done).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let needed: u64 = removal.disks.iter().filter_map(|disk| disk.removal).map(|one| one.needed).sum();
    let times = removal.disks.iter().filter_map(|disk| left_ms(&disk.removal?, disk.chunks));
    let left = times.max().filter(|_| gone < most).map(|ms| format!(", about {} left", age(ms.max(1_000))));
    let part = if most == 0 { "100 %".to_owned() } else { percent(gone, most) };
    let needed = match needed {
        0 => String::new(),
        needed => format!("; {} needed yet", counted(needed, "chunk")),
    };
    format!(
        "{part}, {} of {} left{}{needed}",
        count(most - gone),
        counted(most, "chunk"),
        left.unwrap_or_default()
    )
}

/// The state of one disk, for tables.
pub(crate) fn in_table(removal: &DiskRemoval, chunks: u64) -> String {
    if removal.safe {
        return if removal.drain_only { "drained, safe".into() } else { "leaving, safe".into() };
    }
    let gone = removal.most.saturating_sub(chunks);
    let left = left_ms(removal, chunks).map(|ms| format!(", {} left", age(ms.max(1_000))));
    format!("leaving {}{}", percent(gone, removal.most), left.unwrap_or_default())
}

/// What is in the way, as a sentence.
pub(crate) fn why(kind: ObstacleKind) -> &'static str {
    match kind {
        ObstacleKind::NoReplica => {
            "no good replica can be reached that could be copied: bring back the disks that have one"
        }
        ObstacleKind::NoDisk => "no disk that stays has its labels and room, apart from its other replicas",
        ObstacleKind::BeingMade => "it is being written for the first time",
        ObstacleKind::BeingWritten => "it is being written, and left alone for some seconds",
        ObstacleKind::Compared => "its replicas are being compared",
        ObstacleKind::Copying => "it is being copied",
        ObstacleKind::Failed => "a copy failed and is tried again",
        ObstacleKind::Awaited => "a replica that may come back is waited for (heal-after)",
        ObstacleKind::Waiting => "its turn has not come",
        ObstacleKind::Limited => "a limit of healing has no place for it (muskox limit ls)",
        ObstacleKind::Mending => "a damaged replica is being mended from others",
        ObstacleKind::Surplus => "a replica that is not needed is about to go",
        ObstacleKind::Held => "replicas that an edit made dispensable are kept, so that it can be taken back",
        ObstacleKind::Settling => "the master waits for all disks to report after its start",
    }
}

fn obstacle(obstacle: &RemovalObstacle) -> String {
    let wants = match (obstacle.kind, obstacle.wants.as_str()) {
        (_, "") => String::new(),
        (ObstacleKind::NoDisk, wants) => format!(" ({})", printable(wants.as_bytes())),
        _ => String::new(),
    };
    let file = obstacle.inode.map(|inode| format!("   part {} of inode {}", obstacle.index.0, inode.0));
    format!("  chunk {}{}   {}{wants}", obstacle.chunk, file.unwrap_or_default(), why(obstacle.kind))
}

fn obstacles(removal: &Removal) -> Vec<String> {
    let named = &removal.obstacles[..removal.obstacles.len().min(NAMED_MAX)];
    let mut lines: Vec<String> = named.iter().map(obstacle).collect();
    let more = removal.obstacles_total.saturating_sub(named.len() as u64);
    if more > 0 {
        lines.push(format!("  … {} more   (--json names up to 64)", count(more)));
    }
    lines
}

/// Whether nothing of it goes on by itself.
pub fn is_stuck(removal: &Removal) -> bool {
    !removal.obstacles.is_empty() && removal.obstacles.iter().all(|one| one.kind.needs_somebody())
}

/// The state of what is marked, or the plan for what is not. `noun`: disk or server.
pub fn render(noun: &str, removal: &Removal) -> String {
    let name = printable(removal.holder.as_bytes());
    let mut lines = Vec::new();
    let next = if removal.marked {
        lines.push(format!("{name}   safe: {}", if removal.safe { "yes" } else { "no" }));
        lines.push(format!("  {}", progress(removal)));
        lines.extend(obstacles(removal));
        format!("muskox {noun} remove {name} --wait   (undo: muskox {noun} keep {name})")
    } else {
        let disks = if noun == "server" {
            format!(" on {}", counted(removal.disks.len() as u64, "disk"))
        } else {
            String::new()
        };
        lines.push(format!(
            "{name}   plan: {}{disks}, {} in use; {} to be made elsewhere, where {} are free",
            counted(removal.chunks, "chunk"),
            size(removal.bytes),
            counted(removal.copies, "replica"),
            size(removal.room_bytes),
        ));
        if removal.copies > 0 {
            lines.push(format!("  takes {}", takes(&copies(removal))));
        }
        lines.push(
            "  meanwhile each replica stays, is read and takes writes until others are complete".into(),
        );
        match removal.obstacles_total {
            0 => lines.push("  nothing is in the way".into()),
            total => lines.push(format!("  in the way: {}", counted(total, "chunk"))),
        }
        lines.extend(obstacles(removal));
        match removal.obstacles_total {
            0 => format!("muskox {noun} remove {name} --wait"),
            _ => format!(
                "muskox disk ls   (add or label disks first; muskox {noun} remove {name} moves what can be moved)"
            ),
        }
    };
    lines.push(format!("next  {next}\n"));
    lines.join("\n")
}

/// It is gone from the cluster, or drained.
pub fn removed(noun: &str, name: &str, drain_only: bool) -> String {
    let name = printable(name.as_bytes());
    match (drain_only, noun) {
        (true, _) => {
            format!("{name} is drained, safe: yes\nnext  muskox {noun} keep {name}   (to use it again)\n")
        }
        (false, "server") => format!(
            "{name} is empty, safe: yes; its disks are closed\nnext  muskox server forget {name}   (when it is switched off)\n"
        ),
        (false, _) => format!(
            "{name} is removed, safe: yes; its directory is not used any more\nnext  muskox disk ls\n"
        ),
    }
}

#[cfg(test)]
mod tests;
