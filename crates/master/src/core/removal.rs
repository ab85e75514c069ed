//! What keeps a disk or a server from being removed, for operators; and what the removal of one that is not marked would take.
//!
//! A plan looks at every chunk of its disks, in bounded steps (`looks`).

use super::Core;
use super::classes::refuse;
use super::looks::{Look, STEP_CHUNKS_MAX};
use codec::admin::{
    DiskRemoval, OBSTACLES_MAX, ObstacleKind, RefusalKind, Removal, RemovalDisk, RemovalObstacle,
    RemovalTarget, Severity, Warning,
};
use fleet::{DiskView, Obstacle, Obstacles, Plan};
use rpc::admin::AdminError;
use tokio::sync::oneshot;
use types::{ChunkIndex, DiskId, Holder};

/// Obstacles that are looked at to see whether a removal goes on.
const LOOKED_MAX: usize = 8;

/// Answers an operator who asks about a removal.
pub(crate) type RemovalAnswerer = oneshot::Sender<Result<Removal, AdminError>>;

/// A plan that is being made.
struct Planning {
    plan: Plan,
    removal: Removal,
    answer: RemovalAnswerer,
}

/// The number of an obstacle.
pub(super) fn kind(obstacle: Obstacle) -> ObstacleKind {
    match obstacle {
        Obstacle::NoReplica => ObstacleKind::NoReplica,
        Obstacle::NoDisk => ObstacleKind::NoDisk,
        Obstacle::BeingMade => ObstacleKind::BeingMade,
        Obstacle::BeingWritten => ObstacleKind::BeingWritten,
        Obstacle::Compared => ObstacleKind::Compared,
        Obstacle::Copying => ObstacleKind::Copying,
        Obstacle::Failed => ObstacleKind::Failed,
        Obstacle::Awaited => ObstacleKind::Awaited,
        Obstacle::Waiting => ObstacleKind::Waiting,
        Obstacle::Limited => ObstacleKind::Limited,
        Obstacle::Mending => ObstacleKind::Mending,
        Obstacle::Surplus => ObstacleKind::Surplus,
        Obstacle::Settling => ObstacleKind::Settling,
        Obstacle::Held => ObstacleKind::Held,
    }
}

impl Core {
    /// How far it is with a disk, for an operator.
    pub(super) fn disk_removal(&self, view: &DiskView<'_>) -> Option<DiskRemoval> {
        view.removal.map(|removal| DiskRemoval {
            drain_only: removal.drain_only,
            since_ms_ago: self.now_ms().saturating_sub(removal.since_ms),
            most: removal.most,
            needed: removal.needed,
            safe: removal.safe,
        })
    }

    /// Answers at once about what is marked, and else when a plan is made.
    pub(super) fn removal_wanted(&mut self, target: &RemovalTarget, answer: RemovalAnswerer) {
        let (removal, disks) = match self.begin_removal_answer(target) {
            Ok(begun) => begun,
            Err(error) => return drop(answer.send(Err(error))),
        };
        if removal.marked {
            let found = self.fleet.obstacles(&disks, OBSTACLES_MAX, self.now_ms());
            let removal = self.with_obstacles(removal, found);
            return drop(answer.send(Ok(removal)));
        }
        if self.looks.is_full() {
            return drop(answer.send(Err(refuse(RefusalKind::TooMany, "plans"))));
        }
        let plan = self.fleet.plan(&disks, OBSTACLES_MAX);
        self.looks.begin(Planning { plan, removal, answer });
    }

    /// What is known without looking at chunks.
    fn begin_removal_answer(&self, target: &RemovalTarget) -> Result<(Removal, Vec<DiskId>), AdminError> {
        let holder = self.find_named(&target.holder, target.disk)?;
        let goes = |view: &DiskView<'_>| match holder {
            Holder::Disk(disk) => view.disk == disk,
            Holder::Server(server) => view.server == server,
        };
        let pace = self.fleet.pace();
        let mut removal = Removal {
            holder: self.name_of(holder),
            timed: pace.copies,
            copy_ms: pace.mean_ms,
            at_once: pace.at_once,
            ..Removal::default()
        };
        let mut disks = Vec::new();
        for view in self.fleet.disks() {
            if goes(&view) {
                let name = self.name_of(Holder::Disk(view.disk));
                let marked = self.disk_removal(&view);
                removal.disks.push(RemovalDisk { name, chunks: view.replicas, removal: marked });
                removal.chunks += view.replicas;
                removal.bytes += view.total_bytes.saturating_sub(view.free_bytes);
                disks.push(view.disk);
            } else if view.up && view.removal.is_none() {
                removal.room_bytes += view.free_bytes;
            }
        }
        removal.marked = removal.disks.iter().all(|disk| disk.removal.is_some());
        // Of a disk that nobody has told of since the master started, nothing is known.
        let is_heard = |(disk, server)| match holder {
            Holder::Disk(one) => one != disk || disks.contains(&disk),
            Holder::Server(one) => one != server || disks.contains(&disk),
        };
        let all_heard = self.meta.disks().all(|(disk, known)| is_heard((disk, known.server)));
        removal.safe = all_heard && removal.disks.iter().all(|disk| disk.removal.is_some_and(|one| one.safe));
        Ok((removal, disks))
    }

    fn with_obstacles(&self, removal: Removal, found: Obstacles) -> Removal {
        let obstacle = |(chunk, slot, obstacle): (_, Option<_>, _)| {
            let known = slot.and_then(|_| self.meta.find_chunk(chunk)).map(|(_, owner)| owner);
            let class = known.as_ref().and_then(|owner| self.meta.class(owner.class));
            let wants =
                class.map_or_else(String::new, |class| format!("class {}: {}", class.name, class.keep));
            RemovalObstacle {
                chunk,
                inode: known.as_ref().map(|owner| owner.inode.id),
                index: known.as_ref().map_or(ChunkIndex(0), |owner| owner.index),
                kind: kind(obstacle),
                wants,
            }
        };
        let obstacles = found.chunks.into_iter().map(obstacle).collect();
        Removal { obstacles, obstacles_total: found.total, ..removal }
    }

    /// What is to be said of disks and servers that are to go, and of those that are away on purpose.
    pub(super) fn mark_warnings(&self) -> Vec<Warning> {
        let mut all = Vec::new();
        for view in self.fleet.disks() {
            let Some(removal) = view.removal else { continue };
            let name = self.name_of(Holder::Disk(view.disk));
            let found = self.fleet.obstacles(&[view.disk], LOOKED_MAX, self.now_ms());
            let stuck = found.chunks.iter().any(|(_, _, obstacle)| kind(*obstacle).needs_somebody());
            let next = format!("muskox disk remove {name} --plan   (or: muskox disk keep {name})");
            let (code, severity, message) = match (removal.safe, stuck) {
                (true, _) if removal.drain_only => (
                    "REMOVAL_DONE",
                    Severity::Note,
                    format!("disk {name} is drained: nothing on it is needed"),
                ),
                (true, _) => {
                    ("REMOVAL_RUNNING", Severity::Note, format!("disk {name} is safe and is being closed"))
                }
                (false, false) => (
                    "REMOVAL_RUNNING",
                    Severity::Note,
                    format!("disk {name} is being emptied: {} chunks are needed yet", found.total),
                ),
                (false, true) => (
                    "REMOVAL_STUCK",
                    Severity::Warning,
                    format!(
                        "disk {name} cannot be emptied: {} chunks are needed, some can go nowhere",
                        found.total
                    ),
                ),
            };
            all.push(Warning { code: format!("{code} {name}"), severity, message, next, amount: 1 });
        }
        for view in self.fleet.servers() {
            let Some(maintenance) = self.maintenance_of(view.server) else { continue };
            let name = self.name_of(Holder::Server(view.server));
            let left = maintenance.left_ms.map_or_else(
                || "until it is ended".to_owned(),
                |ms| format!("for {} s more", ms.div_ceil(1_000)),
            );
            all.push(Warning {
                code: format!("SERVER_MAINTENANCE {name}"),
                severity: Severity::Note,
                message: format!("server {name} is in maintenance {left}: what it holds is not healed"),
                next: format!("muskox server maintenance off {name}"),
                amount: 1,
            });
        }
        all
    }
}

impl Look for Planning {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn step(mut self: Box<Self>, core: &Core) -> Option<Box<dyn Look>> {
        core.fleet.go_on_planning(&mut self.plan, STEP_CHUNKS_MAX);
        if !self.plan.is_over() {
            return Some(self);
        }
        let Self { plan, removal, answer } = *self;
        let removal = Removal { chunks: plan.chunks, copies: plan.copies, ..removal };
        // Whoever asked may have given up waiting.
        drop(answer.send(Ok(core.with_obstacles(removal, plan.obstacles))));
        None
    }
}
