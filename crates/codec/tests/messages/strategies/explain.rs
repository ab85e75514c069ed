//! Why chunks are where they are, and what an edit would do.

use super::*;
use codec::admin::{
    ChunkEntry, ChunkGroup, ChunkPage, ChunkQuery, ChunkState, CopyStage, EditPlan, ExplainTarget,
    ExplainedCopy, ExplainedPart, ExplainedPlace, ExplainedReplica, Explanation, Hindrance, ObstacleKind,
    Role, ServerAbsence, Worth,
};

pub(crate) fn explain_target() -> impl Strategy<Value = ExplainTarget> {
    (file_target(), of((1..9_u64).prop_map(InodeId)))
        .prop_map(|(target, parent)| ExplainTarget { target, parent })
}

pub(crate) fn explanation() -> impl Strategy<Value = Explanation> {
    let part = (text(), text(), vec(unmet(), 0..2)).prop_map(|(name, wants, unmet)| ExplainedPart {
        name,
        wants,
        unmet,
    });
    (
        bytes(),
        attributes(),
        (text(), text(), text()),
        vec(part, 0..3),
        any::<(u32, u64, u64)>(),
        vec(group(), 0..3),
    )
        .prop_map(|(path, attributes, (class, above, spread), parts, n, groups)| Explanation {
            path,
            attributes,
            class,
            levels: n.0,
            above,
            parts,
            spread,
            chunks: n.1,
            groups,
            left_out: n.2,
        })
}

fn group() -> impl Strategy<Value = ChunkGroup> {
    let absence = select(&[ServerAbsence::Here, ServerAbsence::Away, ServerAbsence::Maintenance]);
    let rest = any::<(Option<u64>, bool)>();
    let replica = (text(), vec(text(), 0..2), select(Worth::ALL), select(Role::ALL), absence, rest).prop_map(
        |(disk, labels, worth, role, away, (held_ms, read_last))| ExplainedReplica {
            disk,
            labels,
            worth,
            role,
            away,
            held_ms,
            read_last,
        },
    );
    let place =
        (text(), text(), any::<[bool; 4]>(), any::<[u32; 4]>()).prop_map(|(condition, disk, is, n)| {
            ExplainedPlace {
                condition,
                lagging: is[0],
                disk,
                held: is[1],
                off_label: is[2],
                off_spread: is[3],
                lack_away: n[0],
                lack_leaving: n[1],
                lack_full: n[2],
                lack_near: n[3],
            }
        });
    let hindrance = (select(ObstacleKind::ALL), any::<Option<u64>>())
        .prop_map(|(kind, wait_ms)| Hindrance { kind, wait_ms });
    let copy = (text(), text(), select(CopyStage::ALL), any::<Option<u64>>())
        .prop_map(|(from, to, stage, since_ms_ago)| ExplainedCopy { from, to, stage, since_ms_ago });
    let range = (small(ChunkIndex), small(ChunkIndex));
    let many = (vec(range, 0..3), vec(replica, 0..3), vec(place, 0..3));
    (many, any::<u64>(), text(), of(hindrance), of(copy)).prop_map(
        |((ranges, replicas, places), chunks, part, hindrance, copy)| ChunkGroup {
            ranges,
            chunks,
            part,
            replicas,
            places,
            hindrance,
            copy,
        },
    )
}

pub(crate) fn chunk_query() -> impl Strategy<Value = ChunkQuery> {
    let states = vec(select(&ChunkState::ALL), 0..4);
    (any::<u32>(), states)
        .prop_map(|(from, states)| ChunkQuery { from, states: states.into_iter().collect() })
}

pub(crate) fn chunk_page() -> impl Strategy<Value = ChunkPage> {
    let of_chunk = (number(ChunkId), version(), select(&ChunkState::ALL));
    let entry = (of_chunk, text(), of(number(InodeId)), group()).prop_map(
        |((chunk, version, state), class, inode, told)| ChunkEntry {
            chunk,
            version,
            state,
            class,
            inode,
            told,
        },
    );
    (vec(entry, 0..3), any::<Option<u32>>()).prop_map(|(chunks, next)| ChunkPage { chunks, next })
}

pub(crate) fn edit_plan() -> impl Strategy<Value = EditPlan> {
    (any::<[u64; 12]>(), vec(unmet(), 0..3)).prop_map(|(n, unmet)| EditPlan {
        chunks: n[0],
        add: n[1],
        add_bytes: n[2],
        drop: n[3],
        drop_bytes: n[4],
        lacking: n[5],
        amiss: n[6],
        room_bytes: n[7],
        hold_ms: n[8],
        timed: n[9],
        copy_ms: n[10],
        at_once: n[11],
        unmet,
    })
}
