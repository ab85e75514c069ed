//! What operators ask and are answered.

use super::*;
use codec::admin::{
    Change, Changed, ChunkCounts, ClassStatus, ClientStatus, ClusterStatus, DiskRemoval, DiskStatus,
    FileChunk, FileInfoReply, FileReplica, FileTarget, HoldStatus, HopCounts, LimitStatus, LimitTarget,
    Maintenance, MarkWish, MuteStatus, MuteWish, ObstacleKind, Refusal, RefusalKind, RefusedDiskStatus,
    Removal, RemovalDisk, RemovalObstacle, RemovalTarget, RestoreWish, ServerState, ServerStatus, Severity,
    TaskStatus, TrashEntry, TrashPage, TrashStatus, Unmet, Unrestored, Warning, WorkStatus,
};

fn disk_removal() -> impl Strategy<Value = DiskRemoval> {
    any::<(bool, [u64; 3], bool)>().prop_map(|(drain_only, n, safe)| DiskRemoval {
        drain_only,
        since_ms_ago: n[0],
        most: n[1],
        needed: n[2],
        safe,
    })
}

pub(crate) fn removal_target() -> impl Strategy<Value = RemovalTarget> {
    (text(), any::<bool>()).prop_map(|(holder, disk)| RemovalTarget { holder, disk })
}

pub(crate) fn removal() -> impl Strategy<Value = Removal> {
    let disk = (text(), any::<u64>(), of(disk_removal())).prop_map(|(name, chunks, removal)| RemovalDisk {
        name,
        chunks,
        removal,
    });
    let obstacle = (
        number(ChunkId),
        of((1..9_u64).prop_map(InodeId)),
        small(ChunkIndex),
        select(ObstacleKind::ALL),
        text(),
    )
        .prop_map(|(chunk, inode, index, kind, wants)| RemovalObstacle {
            chunk,
            inode,
            index,
            kind,
            wants,
        });
    (text(), any::<(bool, bool)>(), vec(disk, 0..3), any::<[u64; 5]>(), vec(obstacle, 0..3)).prop_map(
        |(holder, (marked, safe), disks, n, obstacles)| Removal {
            holder,
            marked,
            disks,
            chunks: n[0],
            copies: n[1],
            bytes: n[2],
            room_bytes: n[3],
            safe,
            obstacles,
            obstacles_total: n[4],
            timed: n[0],
            copy_ms: n[1],
            at_once: n[2],
        },
    )
}

pub(crate) fn cluster_status() -> impl Strategy<Value = ClusterStatus> {
    let marks = any::<(bool, Option<Option<u64>>)>();
    let server = (id(ServerId), text(), text(), any::<bool>(), any::<u64>(), vec(text(), 0..2), marks)
        .prop_map(|(server, name, address, up, heard_ms_ago, labels, (removing, maintenance))| {
            ServerStatus {
                server,
                version: name.clone(),
                name,
                address,
                state: if up { ServerState::Up } else { ServerState::Down },
                heard_ms_ago,
                labels,
                removing,
                maintenance: maintenance.map(|left_ms| Maintenance { left_ms }),
            }
        });
    let ids = (id(DiskId), id(ServerId));
    let disk = (ids, text(), of(disk_state()), any::<[u64; 5]>(), any::<bool>(), of(disk_removal()))
        .prop_map(|((disk, server), path, state, n, reported, removal)| DiskStatus {
            disk,
            server,
            labels: vec![path.clone()],
            path,
            state,
            total_bytes: n[0],
            free_bytes: n[1],
            chunks: n[2],
            errors: n[3],
            pulled_bytes: n[4],
            reported,
            removal,
        });
    let refused =
        (id(ServerId), refused_disk()).prop_map(|(server, disk)| RefusedDiskStatus { server, disk });
    let counts = (any::<[u64; 11]>(), any::<bool>()).prop_map(|(n, settling)| ChunkCounts {
        ok: n[0],
        undergoal: n[1],
        endangered: n[2],
        missing: n[3],
        overgoal: n[4],
        unknown: n[5],
        quarantined: n[6],
        deleting: n[7],
        settling,
        unsettled: n[8],
        damaged: n[9],
        leaving: n[10],
        held: n[10].rotate_left(7),
    });
    let client = (text(), number(SessionId), text(), any::<u64>(), any::<bool>()).prop_map(
        |(name, session, address, since_ms_ago, connected)| ClientStatus {
            name,
            session,
            address,
            since_ms_ago,
            connected,
        },
    );
    let warning = (text(), 0..3_u8, text()).prop_map(|(message, severity, next)| Warning {
        code: next.clone(),
        severity: [Severity::Note, Severity::Warning, Severity::Critical][usize::from(severity)],
        amount: message.len() as u64,
        message,
        next,
    });
    let work =
        (text(), any::<u64>(), any::<u64>()).prop_map(|(what, done, total)| WorkStatus { what, done, total });
    (
        (id(ClusterId), text(), term(), position(), any::<[u64; 6]>(), any::<Option<u64>>()),
        (vec(server, 0..3), vec(disk, 0..3), counts, vec(client, 0..3), vec(work, 0..3), vec(warning, 0..3)),
        (any::<bool>(), any::<u32>(), vec(refused, 0..3), vec(mute_status(), 0..3)),
        (vec(limit_status(), 0..3), vec(hold_status(), 0..3)),
    )
        .prop_map(|(a, b, c, d)| ClusterStatus {
            cluster: a.0,
            version: a.1.clone(),
            master_name: a.1.clone(),
            master_address: a.1.clone(),
            name: a.1,
            term: a.2,
            position: a.3,
            uptime_ms: a.4[0],
            files: a.4[1],
            directories: a.4[2],
            mapped_chunks: a.4[3],
            usable_total_bytes: a.4[4],
            usable_free_bytes: a.4[5],
            checkpoint_age_ms: a.5,
            servers: b.0,
            disks: b.1,
            chunks: b.2,
            clients: b.3,
            work: b.4,
            warnings: b.5,
            insecure: c.0,
            goal: c.1,
            requests: u64::from(c.1),
            refused_disks: c.2,
            min_write: c.1,
            hops: HopCounts {
                reported: a.4[0],
                ignored: a.4[1],
                far_left_out: a.4[2],
                near_left_out: a.4[3],
                denied: a.4[4],
                spared: a.4[5],
                held_back: u64::from(c.1),
            },
            trash: TrashStatus { files: a.4[1], bytes: a.4[2], next_ms: a.5 },
            mutes: c.3,
            limits: d.0,
            holds: d.1,
        })
}

pub(crate) fn trash_page() -> impl Strategy<Value = TrashPage> {
    let entry = (attributes(), text(), bytes(), timestamp(), timestamp()).prop_map(
        |(attributes, class, path, deleted, until)| TrashEntry { attributes, class, path, deleted, until },
    );
    (vec(entry, 0..3), any::<bool>(), timestamp()).prop_map(|(entries, end, now)| TrashPage {
        entries,
        end,
        now,
    })
}

pub(crate) fn file_target() -> impl Strategy<Value = FileTarget> {
    prop_oneof![bytes().prop_map(FileTarget::Path), number(InodeId).prop_map(FileTarget::Inode)]
}

pub(crate) fn file_info_reply() -> impl Strategy<Value = FileInfoReply> {
    let replica = (id(ServerId), text(), id(DiskId), text(), vec(text(), 0..3), any::<bool>()).prop_map(
        |(server, server_name, disk, disk_path, labels, damaged)| FileReplica {
            server,
            address: server_name.clone(),
            server_name,
            disk,
            disk_path,
            labels,
            damaged,
        },
    );
    let chunk = (small(ChunkIndex), number(ChunkId), version(), vec(replica, 0..3))
        .prop_map(|(index, chunk, version, replicas)| FileChunk { index, chunk, version, replicas });
    let stage = (0..Stage::COUNT).prop_map(Stage::from_number);
    (bytes(), attributes(), text(), any::<u32>(), vec(chunk, 0..4), stage).prop_map(
        |(path, attributes, class, goal, chunks, stage)| FileInfoReply {
            path,
            attributes,
            class,
            goal,
            chunks,
            stage,
        },
    )
}

pub(crate) fn unmet() -> impl Strategy<Value = Unmet> {
    (text(), expression(), any::<(u32, u32, u32, u32)>()).prop_map(|(part, condition, numbers)| Unmet {
        part,
        condition: condition.to_string(),
        wanted: numbers.0,
        lacking: numbers.1,
        disks: numbers.2,
        domains: numbers.3,
    })
}

pub(crate) fn class_status() -> impl Strategy<Value = ClassStatus> {
    (class_id(), class(), any::<(u64, u64)>(), vec(unmet(), 0..4))
        .prop_map(|(id, class, (inodes, bytes), unmet)| ClassStatus { id, class, inodes, bytes, unmet })
}

pub(crate) fn task_status() -> impl Strategy<Value = TaskStatus> {
    (number(TaskId), text(), bytes(), any::<(u64, u64, u64, u64)>()).prop_map(
        |(task, what, path, numbers)| TaskStatus {
            task,
            what,
            path,
            looked: numbers.0,
            changed: numbers.1,
            total: numbers.2,
            since_ms_ago: numbers.3,
        },
    )
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (of(class().prop_map(Box::new)), class().prop_map(Box::new), any::<bool>()).prop_map(
            |(before, class, allow_unsatisfiable)| {
                Change::PutClass { before, class, allow_unsatisfiable }
            }
        ),
        class_name().prop_map(Change::DeleteClass),
        (file_target(), class_name(), of(class_name()), any::<bool>()).prop_map(
            |(target, class, from, recursive)| Change::GiveClass { target, class, from, recursive }
        ),
        (text(), any::<(bool, bool)>(), labels(), labels()).prop_map(
            |(holder, (disk, replace), add, remove)| {
                Change::SetLabels { holder, disk, add, remove, replace }
            }
        ),
        number(TaskId).prop_map(Change::CancelTask),
        (text(), any::<bool>(), mark_wish()).prop_map(|(holder, disk, mark)| Change::SetMark {
            holder,
            disk,
            mark
        }),
        text().prop_map(Change::ForgetServer),
        (vec((inode(), bytes()).prop_map(|(inode, path)| RestoreWish { inode, path }), 0..3), any::<bool>())
            .prop_map(|(wishes, overwrite)| Change::RestoreTrash { wishes, overwrite }),
        vec(inode(), 0..4).prop_map(Change::PurgeTrash),
        (text(), of(mute_wish())).prop_map(|(code, mute)| Change::Mute { code, mute }),
        (limit_target(), of(limit()), any::<bool>())
            .prop_map(|(target, limit, allow_unknown)| { Change::SetLimit { target, limit, allow_unknown } }),
        number(HoldId).prop_map(Change::EndHold),
    ]
}

fn mute_wish() -> impl Strategy<Value = MuteWish> {
    (of(1..u64::MAX), any::<bool>(), text()).prop_map(|(for_s, sticky, reason)| MuteWish {
        for_s,
        sticky,
        reason,
    })
}

fn mute_status() -> impl Strategy<Value = MuteStatus> {
    (select(HealthCode::ALL), any::<(u64, Option<u64>, u64)>(), any::<bool>(), text(), of(1..u64::MAX))
        .prop_map(|(code, (since_ms_ago, left_ms, amount), sticky, reason, grown_to)| MuteStatus {
            code,
            since_ms_ago,
            left_ms,
            amount,
            sticky,
            reason,
            grown_to,
        })
}

fn limit_target() -> impl Strategy<Value = LimitTarget> {
    prop_oneof![
        "[a-z]{1,9}".prop_map(LimitTarget::Server),
        ("[a-z]{1,9}", "[a-z]{1,9}").prop_map(|(from, to)| LimitTarget::Pair { from, to }),
    ]
}

fn limit_status() -> impl Strategy<Value = LimitStatus> {
    (limit_target(), limit(), any::<([u32; 3], bool)>()).prop_map(|(target, limit, (n, holds_up))| {
        LimitStatus { target, limit, places: n[0], running: n[1], writing: n[2], holds_up }
    })
}

fn hold_status() -> impl Strategy<Value = HoldStatus> {
    (number(HoldId), text(), text(), any::<[u64; 3]>()).prop_map(|(hold, what, before, n)| HoldStatus {
        hold,
        what,
        before,
        since_ms_ago: n[0],
        left_ms: n[1],
        replicas: n[2],
    })
}

fn mark_wish() -> impl Strategy<Value = MarkWish> {
    prop_oneof![
        (any::<bool>(), text()).prop_map(|(drain_only, with)| MarkWish::Remove { drain_only, with }),
        Just(MarkWish::Keep),
        of(1..u64::MAX).prop_map(|for_s| MarkWish::Maintain { for_s }),
        Just(MarkWish::Maintained),
    ]
}

pub(crate) fn changed() -> impl Strategy<Value = Changed> {
    prop_oneof![
        Just(Changed::Done),
        class_status().prop_map(Changed::Class),
        any::<u64>().prop_map(Changed::Inodes),
        number(TaskId).prop_map(Changed::Task),
        vec((any::<u32>(), select(Status::ALL)).prop_map(|(wish, status)| Unrestored { wish, status }), 0..3)
            .prop_map(Changed::Restored),
        (text(), labels(), labels(), vec(class_name(), 0..3))
            .prop_map(|(holder, before, after, unmet)| Changed::Labels { holder, before, after, unmet }),
    ]
}

pub(crate) fn refusal() -> impl Strategy<Value = Refusal> {
    (select(RefusalKind::ALL), text(), text(), text()).prop_map(|(kind, subject, why, near)| Refusal {
        kind,
        subject,
        why,
        near,
    })
}
