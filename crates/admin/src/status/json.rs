//! `muskox status --json`.

use super::{muted, state_word, verdict};
use crate::API_VERSION;
use rpc::admin::{ClusterStatus, ServerState, Severity};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    verdict: String,
    cluster: Cluster<'a>,
    metadata: Metadata<'a>,
    storage: Storage,
    chunks: Chunks,
    trash: Trash,
    hops: Hops,
    servers: Vec<Server<'a>>,
    disks: Vec<Disk<'a>>,
    refused_disks: Vec<RefusedDisk<'a>>,
    clients: Vec<Client<'a>>,
    work: Vec<Work<'a>>,
    insecure: bool,
    warnings: Vec<Warning<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster<'a> {
    id: String,
    name: &'a str,
    version: &'a str,
    uptime_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    master: &'a str,
    address: &'a str,
    term: u32,
    applied: u64,
    stable: u64,
    files: u64,
    directories: u64,
    requests: u64,
    checkpoint_age_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Storage {
    raw_total_bytes: u64,
    raw_free_bytes: u64,
    usable_total_bytes: u64,
    usable_free_bytes: u64,
    goal: u32,
    min_write: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chunks {
    mapped: u64,
    ok: u64,
    undergoal: u64,
    endangered: u64,
    missing: u64,
    overgoal: u64,
    unknown: u64,
    quarantined: u64,
    deleting: u64,
    settling: bool,
    unsettled: u64,
    damaged: u64,
    leaving: u64,
    held: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trash {
    files: u64,
    bytes: u64,
    next_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hops {
    reported: u64,
    ignored: u64,
    far_left_out: u64,
    near_left_out: u64,
    denied: u64,
    spared: u64,
    held_back: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server<'a> {
    id: String,
    name: &'a str,
    address: &'a str,
    state: &'static str,
    heard_ms_ago: u64,
    labels: &'a [String],
    version: &'a str,
    removing: bool,
    maintenance: bool,
    maintenance_left_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Disk<'a> {
    id: String,
    server: String,
    path: &'a str,
    labels: &'a [String],
    state: &'static str,
    total_bytes: u64,
    free_bytes: u64,
    chunks: u64,
    errors: u64,
    pulled_bytes: u64,
    reported: bool,
    removal: Option<crate::removal::State>,
}

#[derive(Serialize)]
struct RefusedDisk<'a> {
    server: String,
    path: &'a str,
    labels: &'a [String],
    state: &'static str,
    reason: &'a str,
    next: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Client<'a> {
    name: &'a str,
    session: String,
    address: &'a str,
    since_ms_ago: u64,
    connected: bool,
}

#[derive(Serialize)]
struct Work<'a> {
    what: &'a str,
    done: u64,
    total: u64,
}

#[derive(Serialize)]
struct Warning<'a> {
    code: &'a str,
    severity: &'static str,
    message: &'a str,
    next: &'a str,
    amount: u64,
    muted: bool,
}

/// The whole document, ending in a newline. Ids are hexadecimal strings.
pub fn json(status: &ClusterStatus) -> String {
    let raw = |pick: fn(&rpc::admin::DiskStatus) -> u64| {
        status.disks.iter().fold(0_u64, |sum, d| sum.saturating_add(pick(d)))
    };
    let (c, h) = (&status.chunks, &status.hops);
    let document = Document {
        api_version: API_VERSION,
        kind: "ClusterStatus",
        verdict: verdict(status).to_string().to_lowercase(),
        cluster: Cluster {
            id: status.cluster.to_string(),
            name: &status.name,
            version: &status.version,
            uptime_ms: status.uptime_ms,
        },
        metadata: Metadata {
            master: &status.master_name,
            address: &status.master_address,
            term: status.term.0,
            applied: status.position.applied.0,
            stable: status.position.stable.0,
            files: status.files,
            directories: status.directories,
            requests: status.requests,
            checkpoint_age_ms: status.checkpoint_age_ms,
        },
        storage: Storage {
            raw_total_bytes: raw(|d| d.total_bytes),
            raw_free_bytes: raw(|d| d.free_bytes),
            usable_total_bytes: status.usable_total_bytes,
            usable_free_bytes: status.usable_free_bytes,
            goal: status.goal,
            min_write: status.min_write,
        },
        chunks: Chunks {
            mapped: status.mapped_chunks,
            ok: c.ok,
            undergoal: c.undergoal,
            endangered: c.endangered,
            missing: c.missing,
            overgoal: c.overgoal,
            unknown: c.unknown,
            quarantined: c.quarantined,
            deleting: c.deleting,
            settling: c.settling,
            unsettled: c.unsettled,
            damaged: c.damaged,
            leaving: c.leaving,
            held: c.held,
        },
        trash: Trash { files: status.trash.files, bytes: status.trash.bytes, next_ms: status.trash.next_ms },
        hops: Hops {
            reported: h.reported,
            ignored: h.ignored,
            far_left_out: h.far_left_out,
            near_left_out: h.near_left_out,
            denied: h.denied,
            spared: h.spared,
            held_back: h.held_back,
        },
        servers: status.servers.iter().map(server).collect(),
        disks: status.disks.iter().map(disk).collect(),
        refused_disks: status.refused_disks.iter().map(refused_disk).collect(),
        clients: status.clients.iter().map(client).collect(),
        work: status.work.iter().map(|w| Work { what: &w.what, done: w.done, total: w.total }).collect(),
        insecure: status.insecure,
        warnings: status.warnings.iter().map(|one| warning(status, one)).collect(),
    };
    crate::json_text(&document)
}

fn server(v: &rpc::admin::ServerStatus) -> Server<'_> {
    Server {
        id: v.server.to_string(),
        name: &v.name,
        address: &v.address,
        state: match v.state {
            ServerState::Up => "up",
            ServerState::Down => "down",
        },
        heard_ms_ago: v.heard_ms_ago,
        labels: &v.labels,
        version: &v.version,
        removing: v.removing,
        maintenance: v.maintenance.is_some(),
        maintenance_left_ms: v.maintenance.and_then(|one| one.left_ms),
    }
}

/// The disks alone.
pub(crate) fn disk_values(status: &ClusterStatus) -> Vec<impl Serialize + '_> {
    status.disks.iter().map(disk).collect()
}

fn disk(v: &rpc::admin::DiskStatus) -> Disk<'_> {
    Disk {
        id: v.disk.to_string(),
        server: v.server.to_string(),
        path: &v.path,
        labels: &v.labels,
        state: state_word(v.state),
        total_bytes: v.total_bytes,
        free_bytes: v.free_bytes,
        chunks: v.chunks,
        errors: v.errors,
        pulled_bytes: v.pulled_bytes,
        reported: v.reported,
        removal: v.removal.as_ref().map(|one| crate::removal::state(one, v.chunks)),
    }
}

fn refused_disk(v: &rpc::admin::RefusedDiskStatus) -> RefusedDisk<'_> {
    RefusedDisk {
        server: v.server.to_string(),
        path: &v.disk.path,
        labels: &v.disk.labels,
        state: v.disk.refusal.word(),
        reason: &v.disk.reason,
        next: &v.disk.next,
    }
}

fn client(v: &rpc::admin::ClientStatus) -> Client<'_> {
    Client {
        name: &v.name,
        session: format!("{:016x}", v.session.0),
        address: &v.address,
        since_ms_ago: v.since_ms_ago,
        connected: v.connected,
    }
}

fn warning<'a>(status: &ClusterStatus, v: &'a rpc::admin::Warning) -> Warning<'a> {
    Warning {
        code: &v.code,
        severity: match v.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        },
        message: &v.message,
        next: &v.next,
        amount: v.amount,
        muted: muted(status, v).is_some(),
    }
}
