//! One fixed value of every variant, with a name. Their bytes are pinned by the golden files, so a sample
//! is never changed; a new variant gets a new one.

use codec::control::{
    BornReplica, ChunkReport, Cut, DiskRefusal, DiskReport, DiskState, Order, OrderDone, OrderKind, Refused,
    RefusedDisk, Register, Registered, ReplicaFlags, ReportedChunk, ToMaster, ToServer,
};
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer, SessionOpened};
use codec::{Message, record};
use types::*;

fn inode(number: u64) -> InodeRef {
    InodeRef { id: InodeId(number), generation: Generation(0x0300_0001) }
}
fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).expect("a name")
}
fn version(counter: u32) -> Version {
    Version { term: Term(3), counter }
}
fn chunk(counter: u64) -> ChunkId {
    ChunkId::new(Term(3), counter).expect("it fits")
}
fn mute() -> Mute {
    Mute { since: time(5), until: Some(time(6)), amount: 2, sticky: true, reason: "new fans".into() }
}
fn disk(byte: u8) -> DiskId {
    DiskId([byte; 16])
}
fn time(nanos: u32) -> Timestamp {
    Timestamp::new(1_760_000_000, nanos)
}
fn node() -> NodeSpec {
    NodeSpec {
        kind: FileKind::Symlink,
        mode: 0o4755,
        owner: Owner { uid: 1_000, gid: 100 },
        device: 0x801,
        target: b"../target".to_vec(),
    }
}
fn changes() -> AttributeChanges {
    AttributeChanges {
        mode: Some(0o644),
        uid: None,
        gid: Some(0),
        accessed: Some(SetTime::Now),
        modified: Some(SetTime::At(time(5))),
        clear_privileges: true,
    }
}
fn caller() -> Caller {
    Caller { uid: 1_000, gid: 100, groups: vec![4, 27] }
}
fn dirty() -> Vec<DirtyChunk> {
    vec![
        DirtyChunk { index: ChunkIndex(0), chunk: chunk(1), version: version(1) },
        DirtyChunk { index: ChunkIndex(7), chunk: chunk(2), version: version(4) },
    ]
}
fn raised() -> RaisedChunk {
    RaisedChunk { index: ChunkIndex(2), chunk: chunk(9), version: version(8) }
}
fn attributes() -> Attributes {
    Attributes {
        inode: inode(42),
        kind: FileKind::File,
        mode: 0o640,
        links: 2,
        owner: Owner { uid: 1_000, gid: 100 },
        device: 0,
        length: 70 << 20,
        chunks: 2,
        accessed: time(1),
        modified: time(2),
        changed: time(3),
        created: time(4),
        change_counter: 17,
        truncate_generation: TruncateGeneration(1),
    }
}
fn location() -> ChunkLocation {
    let replica = |n: u8| ReplicaAddress {
        server: ServerId([n; 16]),
        disk: disk(n + 16),
        address: format!("10.0.0.{n}:9422"),
        hints: ReadHints::default(),
    };
    ChunkLocation {
        index: ChunkIndex(0),
        chunk: chunk(1),
        version: version(1),
        replicas: vec![replica(1), replica(2)],
        more: false,
    }
}
fn grant() -> WriteGrant {
    WriteGrant {
        inode: inode(42),
        index: ChunkIndex(1),
        chain: location().replicas,
        capability: Capability {
            session: SessionId::new(Term(3), 5).expect("it fits"),
            term: Term(3),
            chunk: chunk(1),
            version: version(1),
            rights: Rights::Write,
            lease_epoch: LeaseEpoch(2),
            mac: vec![0xaa; 32],
        },
        fresh: true,
    }
}
fn failed() -> FailedHop {
    FailedHop {
        chunk: chunk(1),
        version: version(1),
        from: Some(disk(17)),
        to: disk(18),
        status: Status::ChainBroken,
    }
}

fn labels(words: &[&str]) -> Labels {
    Labels::new(words.iter().map(|word| Label::new(word).expect("a label"))).expect("they go together")
}
fn expression(text: &str) -> Expression {
    Expression::new(text).expect("an expression")
}
fn plain_class() -> StorageClass {
    StorageClass::new(ClassName::default_class(), expression("2*any"))
}
fn full_class() -> StorageClass {
    StorageClass {
        name: ClassName::new("photos").expect("a name"),
        create: Some(expression("ssd")),
        keep: expression("2*ssd,~backup"),
        archive: Some(Archive {
            to: expression("hdd,cloud"),
            after_s: 30 * 86_400,
            by: AgeBy::Accessed,
            min_size: 1 << 20,
            reversible: true,
        }),
        trash: Some(expression("hdd")),
        trash_keep_s: 14 * 86_400,
        mode: Mode::Strict,
        spread: Spread::Label(Label::new("site").expect("a label")),
        min_write: Some(2),
        read_last: Some(expression("backup")),
    }
}

/// Every operation. The `match` is there to fail when one is added.
pub(crate) fn records() -> Vec<(&'static str, Record)> {
    let session = SessionId::new(Term(3), 5).expect("it fits");
    let ops = vec![
        Op::NewCluster { cluster: ClusterId([9; 16]) },
        Op::NewTerm { term: Term(3) },
        Op::OpenSession { session, name: "ann@tiger:/mnt/muskox".into() },
        Op::CloseSession { session },
        Op::Create { parent: inode(1), name: name("file"), inode: inode(42), node: node(), exclusive: true },
        Op::Link { inode: inode(42), parent: inode(1), name: name("other") },
        Op::Unlink { parent: inode(1), name: name("file"), keep: true },
        Op::RemoveDirectory { parent: inode(1), name: name("dir") },
        Op::Rename {
            from: inode(1),
            from_name: name("a"),
            to: inode(2),
            to_name: name("b"),
            mode: RenameMode::Exchange,
            keep: false,
        },
        Op::SetAttributes { inode: inode(42), changes: changes(), caller: caller() },
        Op::SetLength { inode: inode(42), length: 4_097, clear_privileges: true, boundary: Some(raised()) },
        Op::Punch { inode: inode(42), offset: 100, length: 1 << 30, boundaries: vec![raised(), raised()] },
        Op::ForfeitAppends { inode: inode(42) },
        Op::SetXattr {
            inode: inode(42),
            name: b"user.note".to_vec(),
            value: vec![0, 255],
            mode: XattrMode::Create,
        },
        Op::RemoveXattr { inode: inode(42), name: b"user.note".to_vec() },
        Op::Commit {
            inode: inode(42),
            truncate_generation: TruncateGeneration(1),
            length: 70 << 20,
            modified: Some(time(2)),
            accessed: None,
            chunks: dirty(),
            clear_privileges: false,
            durable: true,
        },
        Op::Raise { chunk: chunk(1), version: version(2), members: vec![disk(17), disk(18)] },
        Op::Reap { inodes: vec![inode(42), inode(43)] },
        Op::RegisterDisk { server: ServerId([1; 16]), disk: disk(17), registrations: 6, path: String::new() },
        Op::RegisterDisk {
            server: ServerId([1; 16]),
            disk: disk(17),
            registrations: 7,
            path: "/mnt/hdd1".into(),
        },
        Op::RegisterServer {
            server: ServerId([1; 16]),
            name: "tiger".into(),
            address: "10.0.0.1:9422".into(),
        },
        Op::SetClass { class: ClassId(0), definition: Box::new(plain_class()) },
        Op::SetClass { class: ClassId(11), definition: Box::new(full_class()) },
        Op::DeleteClass { class: ClassId(11) },
        Op::SetInodeClass { inodes: vec![inode(42), inode(43)], class: ClassId(11) },
        Op::BeginTask { work: TaskWork::SetClass { root: inode(1), class: ClassId(11), from: None } },
        Op::BeginTask {
            work: TaskWork::SetClass { root: inode(1), class: ClassId(11), from: Some(ClassId(0)) },
        },
        Op::EndTask { task: TaskId(1_031) },
        Op::SetLabels { holder: Holder::Disk(disk(17)), labels: labels(&["fast", "site=home", "ssd"]) },
        Op::SetLabels { holder: Holder::Server(ServerId([1; 16])), labels: Labels::default() },
        Op::SetMark { holder: Holder::Disk(disk(17)), mark: Mark::Removing { drain_only: true, with: None } },
        Op::SetMark {
            holder: Holder::Server(ServerId([1; 16])),
            mark: Mark::Maintenance { until: Some(time(5)) },
        },
        Op::SetMark { holder: Holder::Server(ServerId([1; 16])), mark: Mark::None },
        Op::Forget { holder: Holder::Server(ServerId([1; 16])) },
        Op::Forget { holder: Holder::Disk(disk(17)) },
        Op::PurgeTrash { inodes: vec![inode(42), inode(43)] },
        Op::RestoreTrash {
            inode: inode(42),
            parent: inode(1),
            name: name("file"),
            replace: true,
            keep: true,
        },
        Op::Archive { inodes: vec![inode(42), inode(43)] },
        Op::SetMute { code: HealthCode::find("SERVER_DOWN").expect("a code"), mute: Some(Box::new(mute())) },
        Op::SetMute { code: HealthCode::find("CHUNK_DAMAGED").expect("a code"), mute: None },
        Op::SetLimit {
            scope: LimitScope::Server(ServerId([1; 16])),
            limit: Some(Limit { copies: Some(2), bytes_per_s: None }),
        },
        Op::SetLimit {
            scope: LimitScope::Pair { from: expression("site=home"), to: expression("any") },
            limit: Some(Limit { copies: None, bytes_per_s: Some(1 << 20) }),
        },
        Op::SetLimit { scope: LimitScope::Server(ServerId([1; 16])), limit: None },
        Op::Hold {
            cause: HoldCause::Class { class: ClassId(11), before: Box::new(full_class()) },
            until: time(7),
        },
        Op::Hold {
            cause: HoldCause::Labels { holder: Holder::Disk(disk(17)), before: labels(&["ssd"]) },
            until: time(7),
        },
        Op::EndHold { hold: HoldId(1_040) },
    ];
    let with_origin = |op: &Op| {
        !matches!(op, Op::NewCluster { .. } | Op::NewTerm { .. } | Op::Raise { .. } | Op::Reap { .. })
    };
    let origin = Origin { session, sequence: Sequence(11), answered_below: Sequence(9) };
    let mut index = 0;
    let records = ops.into_iter().map(|op| {
        index += 1;
        let name = match &op {
            Op::NewCluster { .. } => "new_cluster",
            Op::NewTerm { .. } => "new_term",
            Op::OpenSession { .. } => "open_session",
            Op::CloseSession { .. } => "close_session",
            Op::Create { .. } => "create",
            Op::Link { .. } => "link",
            Op::Unlink { .. } => "unlink",
            Op::RemoveDirectory { .. } => "remove_directory",
            Op::Rename { .. } => "rename",
            Op::SetAttributes { .. } => "set_attributes",
            Op::SetLength { .. } => "set_length",
            Op::Punch { .. } => "punch",
            Op::ForfeitAppends { .. } => "forfeit_appends",
            Op::SetXattr { .. } => "set_xattr",
            Op::RemoveXattr { .. } => "remove_xattr",
            Op::Commit { .. } => "commit",
            Op::Raise { .. } => "raise",
            Op::Reap { .. } => "reap",
            Op::RegisterDisk { .. } => "register_disk",
            Op::RegisterServer { .. } => "register_server",
            Op::SetClass { .. } => "set_class",
            Op::DeleteClass { .. } => "delete_class",
            Op::SetInodeClass { .. } => "set_inode_class",
            Op::BeginTask { .. } => "begin_task",
            Op::EndTask { .. } => "end_task",
            Op::SetLabels { .. } => "set_labels",
            Op::SetMark { .. } => "set_mark",
            Op::Forget { .. } => "forget",
            Op::PurgeTrash { .. } => "purge_trash",
            Op::RestoreTrash { .. } => "restore_trash",
            Op::Archive { .. } => "archive",
            Op::SetMute { .. } => "set_mute",
            Op::SetLimit { .. } => "set_limit",
            Op::Hold { .. } => "hold",
            Op::EndHold { .. } => "end_hold",
        };
        let origin = with_origin(&op).then_some(origin);
        (name, Record { term: Term(3), index: LogIndex(1_000 + index), at: time(6), origin, op })
    });
    records.collect()
}

/// Every request.
pub(crate) fn requests() -> Vec<(&'static str, RequestMessage)> {
    let requests = vec![
        Request::Lookup { parent: inode(1), name: name("file") },
        Request::LookupParent { dir: inode(2) },
        Request::GetAttributes { inode: inode(42) },
        Request::ReadLink { inode: inode(42) },
        Request::ReadDirectory { dir: inode(1), after: DirCursor(77), bytes_max: 65_536 },
        Request::GetXattr { inode: inode(42), name: b"user.note".to_vec() },
        Request::ListXattrs { inode: inode(42) },
        Request::StatFs,
        Request::Locate { inode: inode(42), first: ChunkIndex(3), count: 16 },
        Request::Grant { inode: inode(42), index: ChunkIndex(1), failed: Some(failed()) },
        Request::Create { parent: inode(1), name: name("file"), node: node(), exclusive: true, grant: true },
        Request::Link { inode: inode(42), parent: inode(1), name: name("other") },
        Request::Unlink { parent: inode(1), name: name("file"), unused: vec![InodeId(42), InodeId(43)] },
        Request::RemoveDirectory { parent: inode(1), name: name("dir") },
        Request::Rename {
            from: inode(1),
            from_name: name("a"),
            to: inode(2),
            to_name: name("b"),
            mode: RenameMode::NoReplace,
            unused: vec![InodeId(42)],
        },
        Request::SetAttributes { inode: inode(42), changes: changes(), caller: caller() },
        Request::SetLength { inode: inode(42), length: 4_097, clear_privileges: true },
        Request::Punch { inode: inode(42), offset: 100, length: 1 << 30 },
        Request::SetXattr {
            inode: inode(42),
            name: b"user.note".to_vec(),
            value: vec![0, 255],
            mode: XattrMode::Replace,
        },
        Request::RemoveXattr { inode: inode(42), name: b"user.note".to_vec() },
        Request::Commit {
            inode: inode(42),
            truncate_generation: TruncateGeneration(1),
            length: 70 << 20,
            modified: Some(time(2)),
            accessed: None,
            chunks: dirty(),
            clear_privileges: false,
            durable: true,
        },
        Request::Forget { inodes: vec![inode(42)], as_of: Sequence(11) },
        Request::Reclaim {
            inodes: vec![inode(42), inode(43)],
            appending: vec![AppendClaim { inode: inode(43), forfeits: 3 }],
            last: true,
        },
        Request::AppendLock { inode: inode(42), held: true },
        Request::AppendUnlock { inode: inode(42), forfeit: true },
        Request::Barrier,
        Request::KeepAlive,
        Request::FileInfo { inode: inode(42) },
        Request::Goodbye,
        Request::Reopen { inode: InodeId(42) },
    ];
    let named = requests.into_iter().map(|request| {
        let name = match &request {
            Request::Lookup { .. } => "lookup",
            Request::LookupParent { .. } => "lookup_parent",
            Request::GetAttributes { .. } => "get_attributes",
            Request::ReadLink { .. } => "read_link",
            Request::ReadDirectory { .. } => "read_directory",
            Request::GetXattr { .. } => "get_xattr",
            Request::ListXattrs { .. } => "list_xattrs",
            Request::StatFs => "stat_fs",
            Request::Locate { .. } => "locate",
            Request::Grant { .. } => "grant",
            Request::Create { .. } => "create",
            Request::Link { .. } => "link",
            Request::Unlink { .. } => "unlink",
            Request::RemoveDirectory { .. } => "remove_directory",
            Request::Rename { .. } => "rename",
            Request::SetAttributes { .. } => "set_attributes",
            Request::SetLength { .. } => "set_length",
            Request::Punch { .. } => "punch",
            Request::SetXattr { .. } => "set_xattr",
            Request::RemoveXattr { .. } => "remove_xattr",
            Request::Commit { .. } => "commit",
            Request::Forget { .. } => "forget",
            Request::Reclaim { .. } => "reclaim",
            Request::AppendLock { .. } => "append_lock",
            Request::AppendUnlock { .. } => "append_unlock",
            Request::Barrier => "barrier",
            Request::KeepAlive => "keep_alive",
            Request::FileInfo { .. } => "file_info",
            Request::Goodbye => "goodbye",
            Request::Reopen { .. } => "reopen",
        };
        (name, RequestMessage { sequence: Sequence(12), answered_below: Sequence(10), request })
    });
    named.collect()
}

/// Every reply, and a refusal.
pub(crate) fn answers() -> Vec<(&'static str, AnswerMessage)> {
    let entry =
        Entry { attributes: attributes(), first: Some(location()), grant: Some(grant()), created: true };
    let directory_entry =
        DirectoryEntry { cursor: DirCursor(78), name: name("file"), attributes: attributes() };
    let info =
        FileInfo { attributes: attributes(), class: "default".into(), goal: 2, chunks: vec![location()] };
    let outcomes = vec![
        Ok(Reply::Done),
        Ok(Reply::Entry(Box::new(entry))),
        Ok(Reply::Attributes(attributes())),
        Ok(Reply::Target(b"../target".to_vec())),
        Ok(Reply::Directory { entries: vec![directory_entry], end: true, parent: InodeId(77) }),
        Ok(Reply::Xattr(vec![0, 255])),
        Ok(Reply::XattrNames(vec![b"user.a".to_vec(), b"user.b".to_vec()])),
        Ok(Reply::FsStat(FsStat { total_bytes: 1 << 40, free_bytes: 1 << 39, inodes: 470 })),
        Ok(Reply::Locations(vec![location()])),
        Ok(Reply::Grant(Box::new(grant()))),
        Ok(Reply::AppendLock { attributes: attributes(), wanted: true }),
        Ok(Reply::Gone(vec![inode(43)])),
        Ok(Reply::FileInfo(Box::new(info))),
        Err(Status::NotEmpty),
    ];
    let named = outcomes.into_iter().map(|outcome| {
        let name = match &outcome {
            Ok(Reply::Done) => "done",
            Ok(Reply::Entry(_)) => "entry",
            Ok(Reply::Attributes(_)) => "attributes",
            Ok(Reply::Target(_)) => "target",
            Ok(Reply::Directory { .. }) => "directory",
            Ok(Reply::Xattr(_)) => "xattr",
            Ok(Reply::XattrNames(_)) => "xattr_names",
            Ok(Reply::FsStat(_)) => "fs_stat",
            Ok(Reply::Locations(_)) => "locations",
            Ok(Reply::Grant(_)) => "grant",
            Ok(Reply::AppendLock { .. }) => "append_lock",
            Ok(Reply::Gone(_)) => "gone",
            Ok(Reply::FileInfo(_)) => "file_info",
            Err(_) => "refusal",
        };
        let position = LogPosition { applied: LogIndex(184_220), stable: LogIndex(184_218) };
        (name, AnswerMessage { position, outcome, news: Vec::new() })
    });
    let news = AnswerMessage {
        position: LogPosition { applied: LogIndex(184_221), stable: LogIndex(184_218) },
        outcome: Ok(Reply::Done),
        news: vec![News { attributes: attributes(), before: 6 }],
    };
    let mut hinted = location();
    for (replica, (same_host, preferred, read_last)) in
        hinted.replicas.iter_mut().zip([(true, true, false), (false, false, true)])
    {
        replica.hints = ReadHints { same_host, preferred, read_last };
    }
    let hinted =
        AnswerMessage { outcome: Ok(Reply::Locations(vec![hinted])), news: Vec::new(), ..news.clone() };
    named.chain([("news", news), ("hinted", hinted)]).collect()
}

/// Opening a session, and its answers.
pub(crate) fn session_opens() -> Vec<(&'static str, SessionOpen)> {
    let known = SessionId::new(Term(3), 5).expect("it fits");
    let open = |session| SessionOpen {
        session,
        name: "ann@tiger".into(),
        highest_answered: LogIndex(184_220),
        answered_term: Term(2),
        prefer: None,
    };
    let prefers = SessionOpen { prefer: Some(expression("site=home&!usb")), ..open(None) };
    vec![("new", open(None)), ("known", open(Some(known))), ("prefers", prefers)]
}

/// Answers to opening a session.
pub(crate) fn session_open_answers() -> Vec<(&'static str, SessionOpenAnswer)> {
    let opened = SessionOpened {
        session: SessionId::new(Term(3), 5).expect("it fits"),
        term: Term(3),
        cluster: ClusterId([9; 16]),
        lease_ms: 60_000,
        position: LogPosition { applied: LogIndex(184_220), stable: LogIndex(184_218) },
        lost_tail: true,
    };
    vec![("opened", SessionOpenAnswer(Ok(opened))), ("refused", SessionOpenAnswer(Err(Status::WrongCluster)))]
}

fn disk_report() -> DiskReport {
    DiskReport {
        disk: disk(17),
        path: "/mnt/d1".into(),
        labels: vec!["ssd".into(), "rack=2".into()],
        total_bytes: 1 << 40,
        free_bytes: 1 << 39,
        registrations: 5,
        boot: 0x0123_4567_89ab_cdef,
        state: DiskState::ReadOnly,
        errors: 3,
        pulled_bytes: 4 << 20,
    }
}

fn refused_disk() -> RefusedDisk {
    RefusedDisk {
        path: "/mnt/d2".into(),
        labels: vec!["hdd".into()],
        refusal: DiskRefusal::Foreign,
        reason: "/mnt/d2 has no stamp".into(),
        next: "check the path".into(),
    }
}

/// Every message of a chunkserver.
pub(crate) fn to_master() -> Vec<(&'static str, ToMaster)> {
    let register = Register {
        server: ServerId([1; 16]),
        name: "cs1".into(),
        address: "10.0.0.1:9422".into(),
        cluster: Some(ClusterId([9; 16])),
        labels: vec!["site=home".into()],
        highest_term: Term(2),
        disks: vec![disk_report()],
        version: "0.1.0".into(),
        refused: Vec::new(),
    };
    let with_refused = Register { refused: vec![refused_disk()], ..register.clone() };
    let entry = |n, flags| ReportedChunk { chunk: chunk(n), version: version(1), flags };
    let marked = ReplicaFlags::COMPLETE.with(ReplicaFlags::MARKED);
    let report = ChunkReport {
        disk: disk(17),
        entries: vec![entry(1, ReplicaFlags::COMPLETE), entry(2, marked)],
        last: true,
    };
    let done = OrderDone {
        order: 9,
        result: Err(Status::WrongVersion),
        found: Some(version(8)),
        applied: ChainSequence(4),
        unsettled: Unsettled {
            touched: vec![BlockRange { first: 0, count: 2 }, BlockRange { first: 1_023, count: 1 }],
            ..Unsettled::default()
        },
    };
    let forgetful = OrderDone {
        unsettled: Unsettled {
            touched: Vec::new(),
            recent: vec![BlockRange { first: 3, count: 1 }],
            memory: Memory::PowerLost,
            failed: false,
        },
        ..done.clone()
    };
    let messages = vec![
        ToMaster::Register(register),
        ToMaster::Report(report),
        ToMaster::Heartbeat { disks: vec![disk_report()], refused: Vec::new() },
        ToMaster::Born(vec![BornReplica { disk: disk(17), chunk: chunk(5), version: version(1) }]),
        ToMaster::OrderDone(done),
        ToMaster::Damaged { disk: disk(17), chunk: chunk(5), version: version(1) },
        ToMaster::Register(with_refused),
        ToMaster::Heartbeat { disks: Vec::new(), refused: vec![refused_disk()] },
        ToMaster::OrderDone(forgetful),
        ToMaster::Unsettled { disk: disk(17), chunk: chunk(5), version: version(1) },
        ToMaster::DiskNotAdded(refused_disk()),
    ];
    let named = messages.into_iter().map(|message| {
        let name = match &message {
            ToMaster::Register(_) => "register",
            ToMaster::Report(_) => "report",
            ToMaster::Heartbeat { .. } => "heartbeat",
            ToMaster::Born(_) => "born",
            ToMaster::OrderDone(_) => "order_done",
            ToMaster::Damaged { .. } => "damaged",
            ToMaster::Unsettled { .. } => "unsettled",
            ToMaster::DiskNotAdded(_) => "disk_not_added",
        };
        (name, message)
    });
    named.collect()
}

/// Every message of a master.
pub(crate) fn to_server() -> Vec<(&'static str, ToServer)> {
    let registered = Registered {
        term: Term(3),
        cluster: ClusterId([9; 16]),
        disks: vec![(disk(17), 6)],
        lease_ms: 10_000,
    };
    let refused =
        Refused { status: Status::WrongCluster, reason: "the disks belong to another".into(), term: Term(3) };
    let order = |what| ToServer::Order(Order { order: 9, term: Term(3), what });
    let raise = OrderKind::Raise {
        disk: disk(17),
        chunk: chunk(5),
        from: version(1),
        to: version(2),
        cuts: vec![Cut { from: 10, to: 64 << 20 }],
    };
    let delete = OrderKind::Delete { disk: disk(17), chunk: chunk(5), version: version(2), unknown: false };
    let source = ReplicaAddress {
        server: ServerId([3; 16]),
        disk: disk(18),
        address: "cs2:9422".into(),
        hints: ReadHints::default(),
    };
    let repair = OrderKind::Repair {
        disk: disk(17),
        chunk: chunk(5),
        version: version(2),
        source: Some(source.clone()),
        blocks: vec![BlockRange { first: 3, count: 1 }],
    };
    let copy = OrderKind::Copy {
        disk: disk(17),
        chunk: chunk(5),
        version: version(2),
        sources: vec![source.clone()],
    };
    let fill = OrderKind::Fill { disk: disk(17), chunk: chunk(5), version: version(2) };
    let feed = OrderKind::Feed {
        disk: disk(17),
        chunk: chunk(5),
        version: version(2),
        sources: vec![source.clone()],
    };
    let mend = OrderKind::Mend {
        disk: disk(17),
        chunk: chunk(5),
        version: version(2),
        sources: vec![source.clone()],
    };
    let (sources, doubted) = (vec![source.clone()], vec![source]);
    let mend_torn =
        OrderKind::MendTorn { disk: disk(17), chunk: chunk(5), version: version(2), sources, doubted };
    let verify = OrderKind::Verify { disk: disk(17), chunk: chunk(5), version: version(2) };
    let close = OrderKind::Close { disk: disk(17), replicas: 3 };
    let messages = vec![
        ToServer::Registered(registered),
        ToServer::Refused(refused),
        order(raise),
        order(delete),
        order(copy),
        order(verify),
        ToServer::HeartbeatAck { term: Term(3) },
        order(repair),
        order(fill),
        order(feed),
        order(mend),
        order(mend_torn),
        order(close),
        ToServer::AddDisk { path: "/mnt/d9".into() },
        order(OrderKind::Pace { disk: disk(17), chunk: chunk(5), bytes_per_s: 1 << 20 }),
    ];
    let named = messages.into_iter().map(|message| {
        let name = match &message {
            ToServer::Registered(_) => "registered",
            ToServer::Refused(_) => "refused",
            ToServer::Order(Order { what: OrderKind::Raise { .. }, .. }) => "raise",
            ToServer::Order(Order { what: OrderKind::Delete { .. }, .. }) => "delete",
            ToServer::Order(Order { what: OrderKind::Copy { .. }, .. }) => "copy",
            ToServer::Order(Order { what: OrderKind::Fill { .. }, .. }) => "fill",
            ToServer::Order(Order { what: OrderKind::Feed { .. }, .. }) => "feed",
            ToServer::Order(Order { what: OrderKind::Mend { .. }, .. }) => "mend",
            ToServer::Order(Order { what: OrderKind::MendTorn { .. }, .. }) => "mend_torn",
            ToServer::Order(Order { what: OrderKind::Verify { .. }, .. }) => "verify",
            ToServer::Order(Order { what: OrderKind::Repair { .. }, .. }) => "repair",
            ToServer::Order(Order { what: OrderKind::Close { .. }, .. }) => "close",
            ToServer::Order(Order { what: OrderKind::Pace { .. }, .. }) => "pace",
            ToServer::HeartbeatAck { .. } => "heartbeat_ack",
            ToServer::AddDisk { .. } => "add_disk",
        };
        (name, message)
    });
    named.collect()
}

/// The bytes of all of them.
pub(crate) fn all_bytes() -> Vec<Vec<u8>> {
    fn each<M: Message>(samples: Vec<(&str, M)>) -> impl Iterator<Item = Vec<u8>> {
        samples.into_iter().map(|(_, message)| message.to_bytes().to_vec())
    }
    let records = records().into_iter().map(|(_, value)| {
        let mut bytes = Vec::new();
        record::encode(&value, &mut bytes);
        bytes
    });
    records
        .chain(each(requests()))
        .chain(each(answers()))
        .chain(each(session_opens()))
        .chain(each(session_open_answers()))
        .chain(each(to_master()))
        .chain(each(to_server()))
        .collect()
}
