//! What operators ask: the state of the cluster, and where a file is.

use super::Core;
use super::health::Judged;
use codec::admin::{
    ChunkCounts, ClientStatus, ClusterStatus, DiskStatus, FileChunk, FileInfoReply, FileReplica, FileTarget,
    HopCounts, RefusedDiskStatus, ServerState, ServerStatus, TaskStatus, WorkStatus,
};
use std::collections::BTreeMap;
use types::{Attributes, ClassId, DiskId, InodeId, Label, Labels, Name, ServerId, Status};

/// Answers a question for the status.
pub(crate) type StatusAnswerer = tokio::sync::oneshot::Sender<ClusterStatus>;
/// Answers a question about a file.
pub(crate) type FileInfoAnswerer = tokio::sync::oneshot::Sender<Result<FileInfoReply, Status>>;

impl Core {
    /// The state of the cluster now.
    pub(super) fn status(&self) -> ClusterStatus {
        let now_ms = self.now_ms();
        let counts = self.meta.counts();
        let space = self.fleet.space(ClassId(0));
        let trash = self.trash_status();
        let servers = self.server_statuses(now_ms);
        let disks = self.disk_statuses();
        let chunks = self.chunk_counts();
        let refused_disks = self.refused_disks(&servers);
        let limits = self.limit_statuses();
        let mut warnings = self.judged(&Judged {
            servers: &servers,
            disks: &disks,
            refused: &refused_disks,
            chunks,
            limits: &limits,
            free_bytes: space.free_bytes,
        });
        warnings.truncate(codec::admin::NOTES_MAX);
        ClusterStatus {
            cluster: self.cluster,
            name: String::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            term: self.term,
            uptime_ms: now_ms.saturating_sub(self.started_ms),
            master_name: self.config.name.clone(),
            master_address: self.address.clone(),
            position: self.position(),
            files: counts.inodes.saturating_sub(counts.directories).saturating_sub(trash.files),
            directories: counts.directories,
            mapped_chunks: counts.chunks,
            checkpoint_age_ms: self.checkpoints.complete_at_ms.map(|at| now_ms.saturating_sub(at)),
            servers,
            disks,
            chunks,
            clients: self.client_statuses(now_ms),
            work: self.work(),
            insecure: self.config.insecure,
            warnings,
            usable_total_bytes: space.total_bytes,
            usable_free_bytes: space.free_bytes,
            goal: self.goal(),
            requests: self.requests,
            refused_disks,
            min_write: u32::try_from(self.fleet.min_write()).unwrap_or(u32::MAX),
            hops: self.hop_counts(),
            trash,
            mutes: self.mute_statuses(),
            limits,
            holds: self.hold_statuses(),
        }
    }

    pub(super) fn server_statuses(&self, now_ms: u64) -> Vec<ServerStatus> {
        let status = |view: fleet::ServerView<'_>| {
            let heard = self.servers.heard.get(&view.server).cloned().unwrap_or_default();
            // A server that has not come since the start is known by the metadata alone.
            let known = self.meta.server(view.server).cloned().unwrap_or_default();
            let or_known = |seen: &str, known: String| if seen.is_empty() { known } else { seen.to_owned() };
            ServerStatus {
                server: view.server,
                name: or_known(view.name, known.name),
                address: or_known(view.address, known.address),
                state: if view.up { ServerState::Up } else { ServerState::Down },
                heard_ms_ago: now_ms.saturating_sub(heard.at_ms.max(self.started_ms)),
                labels: words(&known.labels),
                version: heard.version,
                removing: matches!(known.mark, types::Mark::Removing { .. }),
                maintenance: self.maintenance_of(view.server),
            }
        };
        self.fleet.servers().take(codec::admin::SERVERS_MAX).map(status).collect()
    }

    pub(super) fn disk_statuses(&self) -> Vec<DiskStatus> {
        let known = |disk| self.meta.disk(disk).cloned().unwrap_or_default();
        let counts = |disk| self.servers.disk_counts.get(&disk).copied().unwrap_or_default();
        let status = |view: fleet::DiskView<'_>| DiskStatus {
            disk: view.disk,
            server: view.server,
            removal: self.disk_removal(&view),
            path: if view.path.is_empty() { known(view.disk).path } else { view.path.into() },
            labels: words(&known(view.disk).labels),
            state: (view.up || view.state == fleet::DiskState::Failed).then_some(match view.state {
                fleet::DiskState::Good => codec::control::DiskState::Good,
                fleet::DiskState::ReadOnly => codec::control::DiskState::ReadOnly,
                fleet::DiskState::Failed => codec::control::DiskState::Failed,
            }),
            total_bytes: view.total_bytes,
            free_bytes: view.free_bytes,
            chunks: view.replicas,
            errors: counts(view.disk).errors,
            pulled_bytes: counts(view.disk).pulled_bytes,
            reported: view.reported,
        };
        self.fleet.disks().take(codec::admin::STATUS_DISKS_MAX).map(status).collect()
    }

    /// What is being done in the background.
    fn work(&self) -> Vec<WorkStatus> {
        let summary = self.fleet.summary();
        let waiting = summary.endangered + summary.undergoal + summary.leaving;
        let mut work = Vec::new();
        if summary.copying > 0 {
            let what = format!("healing: {} copies under way", summary.copying);
            work.push(WorkStatus { what, done: summary.copied, total: summary.copied + waiting });
        }
        let task = |task: TaskStatus| WorkStatus {
            what: format!("task {}: {}", task.task, task.what),
            done: task.looked,
            total: task.total,
        };
        work.extend(self.task_statuses().into_iter().map(task));
        work
    }

    /// What the servers that are up do not serve; of the others nothing is known.
    pub(super) fn refused_disks(&self, servers: &[ServerStatus]) -> Vec<RefusedDiskStatus> {
        let up = servers.iter().filter(|server| server.state == ServerState::Up);
        let heard = up.filter_map(|server| Some((server.server, self.servers.heard.get(&server.server)?)));
        heard
            .flat_map(|(server, heard)| heard.refused.iter().map(move |disk| (server, disk.clone())))
            .map(|(server, disk)| RefusedDiskStatus { server, disk })
            .take(codec::admin::STATUS_DISKS_MAX)
            .collect()
    }

    /// The number of replicas that every chunk should have.
    pub(super) fn goal(&self) -> u32 {
        u32::try_from(self.config.goal).unwrap_or(u32::MAX)
    }

    fn hop_counts(&self) -> HopCounts {
        let fleet::Summary { hops, held_back, .. } = self.fleet.summary();
        HopCounts {
            reported: hops.reported,
            ignored: hops.ignored,
            far_left_out: hops.far_left_out,
            near_left_out: hops.near_left_out,
            denied: hops.denied,
            spared: hops.spared,
            held_back,
        }
    }

    pub(super) fn chunk_counts(&self) -> ChunkCounts {
        let summary = self.fleet.summary();
        ChunkCounts {
            ok: summary.ok,
            undergoal: summary.undergoal,
            endangered: summary.endangered,
            missing: summary.missing,
            overgoal: summary.overgoal,
            unknown: summary.unknown,
            quarantined: summary.quarantined,
            deleting: summary.deleting,
            settling: summary.settling,
            unsettled: summary.unsettled,
            damaged: summary.damaged,
            leaving: summary.leaving,
            held: summary.held,
        }
    }

    fn client_statuses(&self, now_ms: u64) -> Vec<ClientStatus> {
        let sessions = self.sessions.iter().take(codec::admin::CLIENTS_MAX);
        sessions
            .map(|(session, state)| ClientStatus {
                name: state.name.clone(),
                session,
                address: state.peer().unwrap_or_default(),
                since_ms_ago: now_ms.saturating_sub(state.since_ms),
                connected: state.peer().is_some(),
            })
            .collect()
    }

    /// A file and where its chunks are.
    pub(super) fn file_info_for_operator(&self, target: FileTarget) -> Result<FileInfoReply, Status> {
        let (path, attributes) = self.find_file(target)?;
        let stage = self.meta.stage(attributes.inode)?;
        let info = self.file_info(attributes.inode)?;
        let servers: BTreeMap<ServerId, _> = self.fleet.servers().map(|view| (view.server, view)).collect();
        let disks: BTreeMap<DiskId, _> = self.fleet.disks().map(|view| (view.disk, view)).collect();
        let replica = |address: types::ReplicaAddress, damaged: &[DiskId]| {
            let server = servers.get(&address.server);
            let disk = disks.get(&address.disk);
            let of_server = self.meta.server(address.server).map(|known| known.labels.clone());
            let of_disk = self.meta.disk(address.disk).map(|known| known.labels.clone());
            let labels = words(&of_disk.unwrap_or_default().over(&of_server.unwrap_or_default()));
            FileReplica {
                server: address.server,
                server_name: server.map_or_else(String::new, |view| view.name.into()),
                disk: address.disk,
                disk_path: disk.map_or_else(String::new, |view| view.path.into()),
                address: address.address,
                labels,
                damaged: damaged.contains(&address.disk),
            }
        };
        let chunks = info
            .chunks
            .into_iter()
            .map(|chunk| {
                let damaged =
                    self.slot(chunk.chunk).map(|slot| self.fleet.damaged_on(slot)).unwrap_or_default();
                FileChunk {
                    index: chunk.index,
                    chunk: chunk.chunk,
                    version: chunk.version,
                    replicas: chunk.replicas.into_iter().map(|one| replica(one, &damaged)).collect(),
                }
            })
            .collect();
        Ok(FileInfoReply { path, attributes, class: info.class, goal: info.goal, chunks, stage })
    }

    /// What an operator means: its path, if it was asked for by one, and its attributes.
    pub(super) fn find_file(&self, target: FileTarget) -> Result<(Vec<u8>, Attributes), Status> {
        Ok(match target {
            FileTarget::Inode(inode) => (Vec::new(), self.meta.reopen(inode)?),
            FileTarget::Path(path) => {
                let attributes = self.resolve(&path)?;
                (path, attributes)
            }
        })
    }

    /// Follows a path from the root; symbolic links are not followed.
    fn resolve(&self, path: &[u8]) -> Result<Attributes, Status> {
        let mut at = self.meta.reopen(InodeId::ROOT)?;
        for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".") {
            at = self.meta.lookup(at.inode, &Name::new(part)?)?;
        }
        Ok(at)
    }
}

/// Labels for people.
pub(super) fn words(labels: &Labels) -> Vec<String> {
    labels.iter().map(Label::to_string).collect()
}
