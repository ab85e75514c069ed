//! Any valid value of the vocabulary.

mod admin;
mod explain;

pub(crate) use admin::*;
use codec::control::{
    BornReplica, ChunkReport, Cut, DiskRefusal, DiskReport, DiskState, Order, OrderDone, OrderKind, Refused,
    RefusedDisk, Register, Registered, ReplicaFlags, ReportedChunk, ToMaster, ToServer,
};
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer, SessionOpened};
pub(crate) use explain::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use types::*;

fn number<T: std::fmt::Debug>(make: fn(u64) -> T) -> impl Strategy<Value = T> {
    prop_oneof![0..300_u64, any::<u64>()].prop_map(make)
}
fn small<T: std::fmt::Debug>(make: fn(u32) -> T) -> impl Strategy<Value = T> {
    prop_oneof![0..300_u32, any::<u32>()].prop_map(make)
}
fn id<T: std::fmt::Debug>(make: fn([u8; 16]) -> T) -> impl Strategy<Value = T> {
    any::<[u8; 16]>().prop_map(make)
}
fn term() -> impl Strategy<Value = Term> {
    (0..=TERM_MAX).prop_map(Term)
}
fn version() -> impl Strategy<Value = Version> {
    (term(), any::<u32>()).prop_map(|(term, counter)| Version { term, counter })
}
fn inode() -> impl Strategy<Value = InodeRef> {
    (number(InodeId), small(Generation)).prop_map(|(id, generation)| InodeRef { id, generation })
}
fn unused() -> impl Strategy<Value = Vec<InodeId>> {
    vec(number(InodeId), 0..4)
}
fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_bits)
}
fn name() -> impl Strategy<Value = Name> {
    vec(any::<u8>(), 1..=255).prop_filter_map("not a name", |bytes| Name::new(&bytes).ok())
}
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}
fn xattr_name() -> impl Strategy<Value = Vec<u8>> {
    vec(1..=255_u8, 1..=255)
}
fn text() -> impl Strategy<Value = String> {
    "[a-zé0-9.:/-]{0,60}"
}
fn status() -> impl Strategy<Value = Status> {
    (0..Status::ALL.len()).prop_map(|at| Status::ALL[at])
}
fn kind() -> impl Strategy<Value = FileKind> {
    (1..=7_u8).prop_map(|code| FileKind::from_code(code).expect("1 to 7 are kinds"))
}
fn owner() -> impl Strategy<Value = Owner> {
    any::<(u32, u32)>().prop_map(|(uid, gid)| Owner { uid, gid })
}
fn position() -> impl Strategy<Value = LogPosition> {
    (number(LogIndex), number(LogIndex)).prop_map(|(applied, stable)| LogPosition { applied, stable })
}
fn node() -> impl Strategy<Value = NodeSpec> {
    (kind(), 0..=0o7777_u16, owner(), any::<u32>(), bytes())
        .prop_map(|(kind, mode, owner, device, target)| NodeSpec { kind, mode, owner, device, target })
}
pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    (
        (inode(), kind(), 0..=0o7777_u16, any::<u32>(), owner(), any::<u32>()),
        (any::<u64>(), any::<u32>(), timestamp(), timestamp(), timestamp(), timestamp()),
        (any::<u64>(), small(TruncateGeneration)),
    )
        .prop_map(|(a, b, c)| Attributes {
            inode: a.0,
            kind: a.1,
            mode: a.2,
            links: a.3,
            owner: a.4,
            device: a.5,
            length: b.0,
            chunks: b.1,
            accessed: b.2,
            modified: b.3,
            changed: b.4,
            created: b.5,
            change_counter: c.0,
            truncate_generation: c.1,
        })
}
fn set_time() -> impl Strategy<Value = SetTime> {
    prop_oneof![Just(SetTime::Now), timestamp().prop_map(SetTime::At)]
}
fn changes() -> impl Strategy<Value = AttributeChanges> {
    (
        of(0..=0o7777_u16),
        any::<Option<u32>>(),
        any::<Option<u32>>(),
        of(set_time()),
        of(set_time()),
        any::<bool>(),
    )
        .prop_map(|(mode, uid, gid, accessed, modified, clear_privileges)| AttributeChanges {
            mode,
            uid,
            gid,
            accessed,
            modified,
            clear_privileges,
        })
}
fn caller() -> impl Strategy<Value = Caller> {
    (any::<u32>(), any::<u32>(), vec(any::<u32>(), 0..20)).prop_map(|(uid, gid, groups)| Caller {
        uid,
        gid,
        groups,
    })
}
fn dirty() -> impl Strategy<Value = Vec<DirtyChunk>> {
    let one = (small(ChunkIndex), number(ChunkId), version())
        .prop_map(|(index, chunk, version)| DirtyChunk { index, chunk, version });
    vec(one, 0..8)
}
fn raised() -> impl Strategy<Value = RaisedChunk> {
    (small(ChunkIndex), number(ChunkId), version()).prop_map(|(index, chunk, version)| RaisedChunk {
        index,
        chunk,
        version,
    })
}
fn replica() -> impl Strategy<Value = ReplicaAddress> {
    let hints = any::<(bool, bool, bool)>().prop_map(|(same_host, preferred, read_last)| ReadHints {
        same_host,
        preferred,
        read_last,
    });
    (id(ServerId), id(DiskId), text(), hints).prop_map(|(server, disk, address, hints)| ReplicaAddress {
        server,
        disk,
        address,
        hints,
    })
}
fn location() -> impl Strategy<Value = ChunkLocation> {
    (small(ChunkIndex), number(ChunkId), version(), vec(replica(), 0..4), any::<bool>()).prop_map(
        |(index, chunk, version, replicas, more)| ChunkLocation { index, chunk, version, replicas, more },
    )
}
fn capability() -> impl Strategy<Value = Capability> {
    let rights = prop_oneof![Just(Rights::Read), Just(Rights::Write)];
    let mac = vec(any::<u8>(), 0..=32);
    (number(SessionId), term(), number(ChunkId), version(), rights, number(LeaseEpoch), mac).prop_map(
        |(session, term, chunk, version, rights, lease_epoch, mac)| Capability {
            session,
            term,
            chunk,
            version,
            rights,
            lease_epoch,
            mac,
        },
    )
}
fn grant() -> impl Strategy<Value = WriteGrant> {
    (inode(), small(ChunkIndex), vec(replica(), 0..4), capability(), any::<bool>()).prop_map(
        |(inode, index, chain, capability, fresh)| WriteGrant { inode, index, chain, capability, fresh },
    )
}
fn failed() -> impl Strategy<Value = FailedHop> {
    (number(ChunkId), version(), of(id(DiskId)), id(DiskId), status())
        .prop_map(|(chunk, version, from, to, status)| FailedHop { chunk, version, from, to, status })
}
fn rename_mode() -> impl Strategy<Value = RenameMode> {
    prop_oneof![Just(RenameMode::Replace), Just(RenameMode::NoReplace), Just(RenameMode::Exchange)]
}
fn xattr_mode() -> impl Strategy<Value = XattrMode> {
    prop_oneof![Just(XattrMode::Set), Just(XattrMode::Create), Just(XattrMode::Replace)]
}

fn op() -> impl Strategy<Value = Op> {
    let sessions = prop_oneof![
        id(ClusterId).prop_map(|cluster| Op::NewCluster { cluster }),
        term().prop_map(|term| Op::NewTerm { term }),
        (number(SessionId), text()).prop_map(|(session, name)| Op::OpenSession { session, name }),
        number(SessionId).prop_map(|session| Op::CloseSession { session }),
    ];
    let names = prop_oneof![
        (inode(), name(), inode(), node(), any::<bool>()).prop_map(
            |(parent, name, inode, node, exclusive)| Op::Create { parent, name, inode, node, exclusive }
        ),
        (inode(), inode(), name()).prop_map(|(inode, parent, name)| Op::Link { inode, parent, name }),
        (inode(), name(), any::<bool>()).prop_map(|(parent, name, keep)| Op::Unlink { parent, name, keep }),
        (inode(), name()).prop_map(|(parent, name)| Op::RemoveDirectory { parent, name }),
        (inode(), name(), inode(), name(), rename_mode(), any::<bool>()).prop_map(
            |(from, from_name, to, to_name, mode, keep)| Op::Rename {
                from,
                from_name,
                to,
                to_name,
                mode,
                keep
            }
        ),
    ];
    let inodes =
        prop_oneof![
            (inode(), changes(), caller()).prop_map(|(inode, changes, caller)| Op::SetAttributes {
                inode,
                changes,
                caller
            }),
            (inode(), any::<u64>(), any::<bool>(), of(raised())).prop_map(
                |(inode, length, clear_privileges, boundary)| Op::SetLength {
                    inode,
                    length,
                    clear_privileges,
                    boundary
                }
            ),
            (inode(), any::<u64>(), any::<u64>(), vec(raised(), 0..3)).prop_map(
                |(inode, offset, length, boundaries)| Op::Punch { inode, offset, length, boundaries }
            ),
            inode().prop_map(|inode| Op::ForfeitAppends { inode }),
            (inode(), xattr_name(), bytes(), xattr_mode())
                .prop_map(|(inode, name, value, mode)| Op::SetXattr { inode, name, value, mode }),
            (inode(), xattr_name()).prop_map(|(inode, name)| Op::RemoveXattr { inode, name }),
            commit_parts().prop_map(|p| Op::Commit {
                inode: p.0,
                truncate_generation: p.1,
                length: p.2,
                modified: p.3,
                accessed: p.4,
                chunks: p.5,
                clear_privileges: p.6,
                durable: p.7,
            }),
        ];
    let rest = prop_oneof![
        (number(ChunkId), version(), vec(id(DiskId), 0..5)).prop_map(|(chunk, version, members)| Op::Raise {
            chunk,
            version,
            members
        }),
        vec(inode(), 0..10).prop_map(|inodes| Op::Reap { inodes }),
        (id(ServerId), id(DiskId), any::<u64>(), text()).prop_map(|(server, disk, registrations, path)| {
            Op::RegisterDisk { server, disk, registrations, path }
        }),
        (id(ServerId), text(), text()).prop_map(|(server, name, address)| Op::RegisterServer {
            server,
            name,
            address
        }),
        (holder(), labels()).prop_map(|(holder, labels)| Op::SetLabels { holder, labels }),
        (holder(), mark()).prop_map(|(holder, mark)| Op::SetMark { holder, mark }),
        holder().prop_map(|holder| Op::Forget { holder }),
        (select(HealthCode::ALL), of(mute().prop_map(Box::new)))
            .prop_map(|(code, mute)| Op::SetMute { code, mute }),
    ];
    let classes = prop_oneof![
        (class_id(), class())
            .prop_map(|(class, definition)| Op::SetClass { class, definition: definition.into() }),
        class_id().prop_map(|class| Op::DeleteClass { class }),
        (vec(inode(), 0..10), class_id()).prop_map(|(inodes, class)| Op::SetInodeClass { inodes, class }),
        (inode(), class_id(), of(class_id()))
            .prop_map(|(root, class, from)| Op::BeginTask { work: TaskWork::SetClass { root, class, from } }),
        number(TaskId).prop_map(|task| Op::EndTask { task }),
        vec(inode(), 0..10).prop_map(|inodes| Op::PurgeTrash { inodes }),
        (inode(), inode(), name(), any::<bool>(), any::<bool>()).prop_map(
            |(inode, parent, name, replace, keep)| Op::RestoreTrash { inode, parent, name, replace, keep }
        ),
        vec(inode(), 0..10).prop_map(|inodes| Op::Archive { inodes }),
    ];
    let healing = prop_oneof![
        (limit_scope(), of(limit())).prop_map(|(scope, limit)| Op::SetLimit { scope, limit }),
        (hold_cause(), timestamp()).prop_map(|(cause, until)| Op::Hold { cause, until }),
        number(HoldId).prop_map(|hold| Op::EndHold { hold }),
    ];
    prop_oneof![sessions, names, inodes, rest, classes, healing]
}

fn class_id() -> impl Strategy<Value = ClassId> {
    any::<u16>().prop_map(ClassId)
}
fn label() -> impl Strategy<Value = Label> {
    "[a-z0-9][a-zA-Z0-9._-]{0,20}(=[A-Z0-9][a-z0-9.]{0,8})?"
        .prop_filter_map("a reserved word", |text| Label::new(&text).ok())
}
pub(crate) fn labels() -> impl Strategy<Value = Labels> {
    vec(label(), 0..6).prop_filter_map("two values of one key", |labels| Labels::new(labels).ok())
}
fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![id(ServerId).prop_map(Holder::Server), id(DiskId).prop_map(Holder::Disk)]
}
fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        Just(Mark::None),
        (any::<bool>(), of(id(DiskId))).prop_map(|(drain_only, with)| Mark::Removing { drain_only, with }),
        of(timestamp()).prop_map(|until| Mark::Maintenance { until }),
    ]
}
fn mute() -> impl Strategy<Value = Mute> {
    (timestamp(), of(timestamp()), any::<u64>(), any::<bool>(), text())
        .prop_map(|(since, until, amount, sticky, reason)| Mute { since, until, amount, sticky, reason })
}
pub(crate) fn limit() -> impl Strategy<Value = Limit> {
    let copies = of(1..=LIMIT_COPIES_MAX);
    let rate = of(LIMIT_BYTES_PER_S_MIN..=LIMIT_BYTES_PER_S_MAX);
    (copies, rate)
        .prop_map(|(copies, bytes_per_s)| Limit { copies, bytes_per_s })
        .prop_filter("limits something", Limit::in_range)
}
fn limit_scope() -> impl Strategy<Value = LimitScope> {
    prop_oneof![
        id(ServerId).prop_map(LimitScope::Server),
        (expression(), expression()).prop_map(|(from, to)| LimitScope::Pair { from, to }),
    ]
}
fn hold_cause() -> impl Strategy<Value = HoldCause> {
    prop_oneof![
        (class_id(), class())
            .prop_map(|(class, before)| HoldCause::Class { class, before: Box::new(before) }),
        (holder(), labels()).prop_map(|(holder, before)| HoldCause::Labels { holder, before }),
    ]
}
fn expression() -> impl Strategy<Value = Expression> {
    "[ -~]{1,40}".prop_map(|text| Expression::new(&text).expect("printable"))
}
fn class_name() -> impl Strategy<Value = ClassName> {
    "[a-zA-Z0-9][a-z._-]{0,63}".prop_map(|text| ClassName::new(&text).expect("a name"))
}
fn spread() -> impl Strategy<Value = Spread> {
    let key = "[a-z0-9]{1,8}".prop_filter_map("a reserved word", |text| text.parse().ok());
    prop_oneof![Just(Spread::Disk), Just(Spread::Host), key]
}
pub(crate) fn class() -> impl Strategy<Value = StorageClass> {
    let archive =
        (expression(), 0..=CLASS_SECONDS_MAX, select(AgeBy::ALL), any::<u64>(), any::<bool>()).prop_map(
            |(to, after_s, by, min_size, reversible)| Archive { to, after_s, by, min_size, reversible },
        );
    let places = (of(expression()), expression(), of(archive), of(expression()), of(expression()));
    let rest = (0..=CLASS_SECONDS_MAX, select(Mode::ALL), spread(), of(1..=9_u8));
    (class_name(), places, rest).prop_map(|(name, places, rest)| StorageClass {
        name,
        create: places.0,
        keep: places.1,
        archive: places.2,
        trash: places.3,
        read_last: places.4,
        trash_keep_s: rest.0,
        mode: rest.1,
        spread: rest.2,
        min_write: rest.3,
    })
}

type CommitParts =
    (InodeRef, TruncateGeneration, u64, Option<Timestamp>, Option<Timestamp>, Vec<DirtyChunk>, bool, bool);

fn commit_parts() -> impl Strategy<Value = CommitParts> {
    (
        inode(),
        small(TruncateGeneration),
        any::<u64>(),
        of(timestamp()),
        of(timestamp()),
        dirty(),
        any::<bool>(),
        any::<bool>(),
    )
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let origin = (number(SessionId), number(Sequence), number(Sequence))
        .prop_map(|(session, sequence, answered_below)| Origin { session, sequence, answered_below });
    (term(), number(LogIndex), timestamp(), of(origin), op())
        .prop_map(|(term, index, at, origin, op)| Record { term, index, at, origin, op })
}

fn request() -> impl Strategy<Value = Request> {
    let reads = prop_oneof![
        (inode(), name()).prop_map(|(parent, name)| Request::Lookup { parent, name }),
        inode().prop_map(|dir| Request::LookupParent { dir }),
        inode().prop_map(|inode| Request::GetAttributes { inode }),
        inode().prop_map(|inode| Request::ReadLink { inode }),
        (inode(), number(DirCursor), any::<u32>())
            .prop_map(|(dir, after, bytes_max)| Request::ReadDirectory { dir, after, bytes_max }),
        (inode(), xattr_name()).prop_map(|(inode, name)| Request::GetXattr { inode, name }),
        inode().prop_map(|inode| Request::ListXattrs { inode }),
        Just(Request::StatFs),
        (inode(), small(ChunkIndex), 0..=1_024_u32).prop_map(|(inode, first, count)| Request::Locate {
            inode,
            first,
            count
        }),
        inode().prop_map(|inode| Request::FileInfo { inode }),
    ];
    let names = prop_oneof![
        (inode(), name(), node(), any::<bool>(), any::<bool>()).prop_map(
            |(parent, name, node, exclusive, grant)| Request::Create { parent, name, node, exclusive, grant }
        ),
        (inode(), inode(), name()).prop_map(|(inode, parent, name)| Request::Link { inode, parent, name }),
        (inode(), name(), unused()).prop_map(|(parent, name, unused)| Request::Unlink {
            parent,
            name,
            unused
        }),
        (inode(), name()).prop_map(|(parent, name)| Request::RemoveDirectory { parent, name }),
        (inode(), name(), inode(), name(), rename_mode(), unused()).prop_map(
            |(from, from_name, to, to_name, mode, unused)| Request::Rename {
                from,
                from_name,
                to,
                to_name,
                mode,
                unused
            }
        ),
    ];
    let inodes = prop_oneof![
        (inode(), small(ChunkIndex), of(failed())).prop_map(|(inode, index, failed)| Request::Grant {
            inode,
            index,
            failed
        }),
        (inode(), changes(), caller()).prop_map(|(inode, changes, caller)| Request::SetAttributes {
            inode,
            changes,
            caller
        }),
        (inode(), any::<u64>(), any::<bool>()).prop_map(|(inode, length, clear_privileges)| {
            Request::SetLength { inode, length, clear_privileges }
        }),
        (inode(), any::<u64>(), any::<u64>()).prop_map(|(inode, offset, length)| Request::Punch {
            inode,
            offset,
            length
        }),
        (inode(), xattr_name(), bytes(), xattr_mode())
            .prop_map(|(inode, name, value, mode)| Request::SetXattr { inode, name, value, mode }),
        (inode(), xattr_name()).prop_map(|(inode, name)| Request::RemoveXattr { inode, name }),
        commit_parts().prop_map(|p| Request::Commit {
            inode: p.0,
            truncate_generation: p.1,
            length: p.2,
            modified: p.3,
            accessed: p.4,
            chunks: p.5,
            clear_privileges: p.6,
            durable: p.7,
        }),
    ];
    let claim = (inode(), any::<u8>()).prop_map(|(inode, forfeits)| AppendClaim { inode, forfeits });
    let session = prop_oneof![
        (vec(inode(), 0..10), any::<u64>())
            .prop_map(|(inodes, as_of)| Request::Forget { inodes, as_of: Sequence(as_of) }),
        (vec(inode(), 0..10), vec(claim, 0..10), any::<bool>())
            .prop_map(|(inodes, appending, last)| Request::Reclaim { inodes, appending, last }),
        (inode(), any::<bool>()).prop_map(|(inode, held)| Request::AppendLock { inode, held }),
        (inode(), any::<bool>()).prop_map(|(inode, forfeit)| Request::AppendUnlock { inode, forfeit }),
        Just(Request::Barrier),
        Just(Request::KeepAlive),
        Just(Request::Goodbye),
        number(InodeId).prop_map(|inode| Request::Reopen { inode }),
    ];
    prop_oneof![reads, names, inodes, session]
}

pub(crate) fn request_message() -> impl Strategy<Value = RequestMessage> {
    (number(Sequence), number(Sequence), request())
        .prop_map(|(sequence, answered_below, request)| RequestMessage { sequence, answered_below, request })
}

fn reply() -> impl Strategy<Value = Reply> {
    let entry = (attributes(), of(location()), of(grant()), any::<bool>())
        .prop_map(|(attributes, first, grant, created)| Entry { attributes, first, grant, created });
    let directory_entry = (number(DirCursor), name(), attributes())
        .prop_map(|(cursor, name, attributes)| DirectoryEntry { cursor, name, attributes });
    let fs_stat = any::<(u64, u64, u64)>().prop_map(|(total_bytes, free_bytes, inodes)| FsStat {
        total_bytes,
        free_bytes,
        inodes,
    });
    let file_info = (attributes(), text(), any::<u32>(), vec(location(), 0..4))
        .prop_map(|(attributes, class, goal, chunks)| FileInfo { attributes, class, goal, chunks });
    prop_oneof![
        Just(Reply::Done),
        entry.prop_map(|e| Reply::Entry(Box::new(e))),
        attributes().prop_map(Reply::Attributes),
        bytes().prop_map(Reply::Target),
        (vec(directory_entry, 0..6), any::<bool>(), any::<u64>())
            .prop_map(|(entries, end, parent)| Reply::Directory { entries, end, parent: InodeId(parent) }),
        bytes().prop_map(Reply::Xattr),
        vec(xattr_name(), 0..6).prop_map(Reply::XattrNames),
        fs_stat.prop_map(Reply::FsStat),
        vec(location(), 0..4).prop_map(Reply::Locations),
        grant().prop_map(|g| Reply::Grant(Box::new(g))),
        (attributes(), any::<bool>())
            .prop_map(|(attributes, wanted)| Reply::AppendLock { attributes, wanted }),
        vec(inode(), 0..10).prop_map(Reply::Gone),
        file_info.prop_map(|i| Reply::FileInfo(Box::new(i))),
    ]
}

pub(crate) fn answer_message() -> impl Strategy<Value = AnswerMessage> {
    let outcome = prop_oneof![4 => reply().prop_map(Ok), 1 => status().prop_map(Err)];
    let news = (attributes(), any::<u64>()).prop_map(|(attributes, before)| News { attributes, before });
    (position(), outcome, vec(news, 0..=4)).prop_map(|(position, outcome, news)| AnswerMessage {
        position,
        outcome,
        news,
    })
}

pub(crate) fn session_open() -> impl Strategy<Value = SessionOpen> {
    (of((1..u64::MAX).prop_map(SessionId)), text(), number(LogIndex), term(), of(expression())).prop_map(
        |(session, name, highest_answered, answered_term, prefer)| SessionOpen {
            session,
            name,
            highest_answered,
            answered_term,
            prefer,
        },
    )
}

pub(crate) fn session_open_answer() -> impl Strategy<Value = SessionOpenAnswer> {
    let opened =
        ((1..u64::MAX).prop_map(SessionId), term(), id(ClusterId), any::<u32>(), position(), any::<bool>())
            .prop_map(|(session, term, cluster, lease_ms, position, lost_tail)| SessionOpened {
                session,
                term,
                cluster,
                lease_ms,
                position,
                lost_tail,
            });
    prop_oneof![opened.prop_map(Ok), status().prop_map(Err)].prop_map(SessionOpenAnswer)
}

fn disk_state() -> impl Strategy<Value = DiskState> {
    prop_oneof![Just(DiskState::Good), Just(DiskState::ReadOnly), Just(DiskState::Failed)]
}
fn disk_report() -> impl Strategy<Value = DiskReport> {
    (id(DiskId), text(), vec(text(), 0..3), any::<[u64; 6]>(), disk_state()).prop_map(
        |(disk, path, labels, n, state)| DiskReport {
            disk,
            path,
            labels,
            total_bytes: n[0],
            free_bytes: n[1],
            registrations: n[2],
            boot: n[3],
            state,
            errors: n[4],
            pulled_bytes: n[5],
        },
    )
}

fn refused_disk() -> impl Strategy<Value = RefusedDisk> {
    (text(), vec(text(), 0..3), select(&DiskRefusal::ALL[..]), text(), text())
        .prop_map(|(path, labels, refusal, reason, next)| RefusedDisk { path, labels, refusal, reason, next })
}

pub(crate) fn to_master() -> impl Strategy<Value = ToMaster> {
    let register = (
        (id(ServerId), text(), text(), of(id(ClusterId))),
        (vec(text(), 0..3), term(), vec(disk_report(), 0..3), text(), vec(refused_disk(), 0..3)),
    )
        .prop_map(|(a, b)| Register {
            server: a.0,
            name: a.1,
            address: a.2,
            cluster: a.3,
            labels: b.0,
            highest_term: b.1,
            disks: b.2,
            version: b.3,
            refused: b.4,
        });
    let entry = (number(ChunkId), version(), any::<u32>()).prop_map(|(chunk, version, flags)| {
        ReportedChunk { chunk, version, flags: ReplicaFlags::from_bits(flags) }
    });
    let report = (id(DiskId), vec(entry, 0..20), any::<bool>())
        .prop_map(|(disk, entries, last)| ChunkReport { disk, entries, last });
    let born = (id(DiskId), number(ChunkId), version()).prop_map(|(disk, chunk, version)| BornReplica {
        disk,
        chunk,
        version,
    });
    let result = prop_oneof![Just(Ok(())), status().prop_map(Err)];
    let memory = prop_oneof![
        Just(Memory::Kept),
        Just(Memory::Forgot),
        Just(Memory::Marked),
        Just(Memory::Torn),
        Just(Memory::PowerLost),
        Just(Memory::PowerLostTorn)
    ];
    let unsettled = (vec(block_range(), 0..5), vec(block_range(), 0..5), memory, any::<bool>())
        .prop_map(|(touched, recent, memory, failed)| Unsettled { touched, recent, memory, failed });
    let done = (any::<u64>(), result, of(version()), number(ChainSequence), unsettled).prop_map(
        |(order, result, found, applied, unsettled)| OrderDone { order, result, found, applied, unsettled },
    );
    prop_oneof![
        register.prop_map(ToMaster::Register),
        report.prop_map(ToMaster::Report),
        (vec(disk_report(), 0..4), vec(refused_disk(), 0..3))
            .prop_map(|(disks, refused)| ToMaster::Heartbeat { disks, refused }),
        vec(born, 0..5).prop_map(ToMaster::Born),
        done.prop_map(ToMaster::OrderDone),
        refused_disk().prop_map(ToMaster::DiskNotAdded),
        (id(DiskId), number(ChunkId), version()).prop_map(|(disk, chunk, version)| ToMaster::Unsettled {
            disk,
            chunk,
            version
        }),
        (id(DiskId), number(ChunkId), version()).prop_map(|(disk, chunk, version)| ToMaster::Damaged {
            disk,
            chunk,
            version
        }),
    ]
}

fn block_range() -> impl Strategy<Value = BlockRange> {
    (0..BLOCKS_PER_CHUNK)
        .prop_flat_map(|first| (Just(first), 1..=BLOCKS_PER_CHUNK - first))
        .prop_map(|(first, count)| BlockRange { first, count })
}

pub(crate) fn to_server() -> impl Strategy<Value = ToServer> {
    let registered = (term(), id(ClusterId), vec((id(DiskId), any::<u64>()), 0..4), any::<u32>())
        .prop_map(|(term, cluster, disks, lease_ms)| Registered { term, cluster, disks, lease_ms });
    let refused =
        (status(), text(), term()).prop_map(|(status, reason, term)| Refused { status, reason, term });
    let cut = (0..CHUNK_BYTES as u32)
        .prop_flat_map(|from| (Just(from), from + 1..=CHUNK_BYTES as u32))
        .prop_map(|(from, to)| Cut { from, to });
    let what = prop_oneof![
        (id(DiskId), number(ChunkId), version(), version(), vec(cut, 0..3))
            .prop_map(|(disk, chunk, from, to, cuts)| OrderKind::Raise { disk, chunk, from, to, cuts }),
        (id(DiskId), number(ChunkId), version(), any::<bool>())
            .prop_map(|(disk, chunk, version, unknown)| OrderKind::Delete { disk, chunk, version, unknown }),
        (id(DiskId), number(ChunkId), version(), vec(replica(), 1..4))
            .prop_map(|(disk, chunk, version, sources)| OrderKind::Copy { disk, chunk, version, sources }),
        (id(DiskId), number(ChunkId), version(), of(replica()), vec(block_range(), 0..4)).prop_map(
            |(disk, chunk, version, source, blocks)| OrderKind::Repair {
                disk,
                chunk,
                version,
                source,
                blocks
            }
        ),
        (id(DiskId), number(ChunkId), any::<u64>()).prop_map(|(disk, chunk, bytes_per_s)| OrderKind::Pace {
            disk,
            chunk,
            bytes_per_s
        }),
        (id(DiskId), number(ChunkId), version()).prop_map(|(disk, chunk, version)| OrderKind::Fill {
            disk,
            chunk,
            version
        }),
        (id(DiskId), number(ChunkId), version(), vec(replica(), 1..4))
            .prop_map(|(disk, chunk, version, sources)| OrderKind::Feed { disk, chunk, version, sources }),
        (id(DiskId), number(ChunkId), version(), vec(replica(), 0..4))
            .prop_map(|(disk, chunk, version, sources)| OrderKind::Mend { disk, chunk, version, sources }),
        (id(DiskId), number(ChunkId), version(), vec(replica(), 0..4), vec(replica(), 0..4)).prop_map(
            |(disk, chunk, version, sources, doubted)| OrderKind::MendTorn {
                disk,
                chunk,
                version,
                sources,
                doubted
            }
        ),
        (id(DiskId), any::<u64>()).prop_map(|(disk, replicas)| OrderKind::Close { disk, replicas }),
        (id(DiskId), number(ChunkId), version()).prop_map(|(disk, chunk, version)| OrderKind::Verify {
            disk,
            chunk,
            version
        }),
    ];
    prop_oneof![
        registered.prop_map(ToServer::Registered),
        refused.prop_map(ToServer::Refused),
        (any::<u64>(), term(), what).prop_map(|(order, term, what)| ToServer::Order(Order {
            order,
            term,
            what
        })),
        term().prop_map(|term| ToServer::HeartbeatAck { term }),
        text().prop_map(|path| ToServer::AddDisk { path }),
    ]
}
