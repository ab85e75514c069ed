//! Sessions, positions and checkpoints: the same records give the same state and the same answers.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use common::{Fs, ROOT, chunk, labels, load, name};
use meta::{LoadError, Loader, Meta};
use types::{
    AgeBy, Archive, ClassId, ClusterId, DirCursor, DiskId, Expression, FileKind, HealthCode, HoldCause,
    Holder, InodeId, Labels, Limit, LimitScope, LogIndex, Mark, Mute, Op, Record, SEQUENCES_AHEAD_MAX,
    Sequence, ServerId, SessionId, Status, StorageClass, TaskWork, Term, Timestamp, XattrMode,
};

/// A namespace with something of everything.
fn furnished() -> Fs {
    let mut fs = Fs::default();
    fs.ok(Op::OpenSession { session: SessionId(5), name: "host".into() });
    fs.ok(Op::OpenSession { session: SessionId(6), name: String::new() });
    let d = fs.make(ROOT, "d", FileKind::Directory, 0o2755);
    let f = fs.file(d, "f");
    fs.commit(f, 200 << 20, &[chunk(0, 1, 1), chunk(3, 2, 7)]).unwrap();
    fs.link(f, ROOT, "hard").unwrap();
    for (text, kind) in [("s", FileKind::Symlink), ("p", FileKind::Fifo), ("k", FileKind::Socket)] {
        fs.make(d, text, kind, 0o600);
    }
    let mut device = Fs::node(FileKind::CharDevice, 0o600);
    device.device = 0x0102_0304;
    let (_, op) = fs.create_op(d, "c", device);
    fs.ok(op);
    let orphan = fs.file(ROOT, "orphan");
    fs.ok(Op::Unlink { parent: ROOT, name: name("orphan"), keep: true });
    fs.commit(orphan, 9, &[chunk(0, 3, 1)]).unwrap();
    fs.unlink(d, "p").unwrap();
    fs.ok(Op::SetXattr { inode: f, name: b"user.x".to_vec(), value: vec![0, 1, 2], mode: XattrMode::Set });
    let (server, disk) = (ServerId([3; 16]), DiskId([4; 16]));
    fs.ok(Op::RegisterServer { server, name: "tiger".into(), address: "10.0.0.1:9422".into() });
    fs.ok(Op::RegisterDisk { server, disk, registrations: 2, path: "/mnt/d1".into() });
    fs.ok(Op::RegisterDisk { server, disk: DiskId([5; 16]), registrations: 1, path: String::new() });
    fs.ok(Op::SetLabels { holder: Holder::Disk(disk), labels: labels("ssd site=home") });
    fs.ok(Op::SetLabels { holder: Holder::Server(server), labels: labels("rack=2") });
    fs.ok(Op::SetMark { holder: Holder::Disk(disk), mark: Mark::Removing { drain_only: true, with: None } });
    let until = Some(Timestamp::new(2_000_000, 1));
    fs.ok(Op::SetMark { holder: Holder::Server(server), mark: Mark::Maintenance { until } });
    fs.define("default", "2*any");
    let photos = fs.define("photos", "2*ssd,~backup");
    let gone = fs.define("gone", "any");
    fs.ok(Op::DeleteClass { class: gone });
    fs.ok(Op::SetInodeClass { inodes: vec![d, f], class: photos });
    fs.file(d, "inherits");
    fs.ok(Op::BeginTask { work: TaskWork::SetClass { root: d, class: photos, from: Some(ClassId(0)) } });
    let archive = Archive {
        to: Expression::new("hdd").unwrap(),
        after_s: 0,
        by: AgeBy::Changed,
        min_size: 0,
        reversible: true,
    };
    let kept =
        StorageClass { archive: Some(archive), trash_keep_s: 600, ..fs.meta.class(photos).unwrap().clone() };
    fs.ok(Op::SetClass { class: photos, definition: Box::new(kept) });
    let (old, deleted) = (fs.file(d, "old"), fs.file(d, "deleted"));
    fs.commit(old, 10, &[chunk(0, 4, 1)]).unwrap();
    fs.commit(deleted, 11, &[chunk(0, 5, 1)]).unwrap();
    fs.ok(Op::Archive { inodes: vec![old] });
    fs.unlink(d, "deleted").unwrap();
    let mute = |until, sticky, reason: &str| {
        let since = Timestamp::new(1_000_000, 0);
        Some(Box::new(Mute { since, until, amount: 2, sticky, reason: reason.to_owned() }))
    };
    let code = |word| HealthCode::find(word).unwrap();
    fs.ok(Op::SetMute { code: code("SERVER_DOWN"), mute: mute(until, false, "new fans") });
    fs.ok(Op::SetMute { code: code("DISK_ERRORS"), mute: mute(None, true, "") });
    fs.ok(Op::SetMute { code: code("TRASH_LARGE"), mute: mute(None, false, "") });
    fs.ok(Op::SetMute { code: code("TRASH_LARGE"), mute: None });
    let limit = Some(Limit { copies: Some(2), bytes_per_s: Some(10 << 20) });
    fs.ok(Op::SetLimit { scope: LimitScope::Server(server), limit });
    let pair = |from: &str, to: &str| LimitScope::Pair {
        from: Expression::new(from).unwrap(),
        to: Expression::new(to).unwrap(),
    };
    fs.ok(Op::SetLimit { scope: pair("ssd", "site=home"), limit });
    fs.ok(Op::SetLimit { scope: pair("any", "any"), limit });
    fs.ok(Op::SetLimit { scope: pair("any", "any"), limit: None });
    let before = Box::new(fs.meta.class(photos).unwrap().clone());
    fs.ok(Op::Hold {
        cause: HoldCause::Class { class: photos, before },
        until: Timestamp::new(3_000_000, 0),
    });
    let of_disk = HoldCause::Labels { holder: Holder::Disk(disk), before: labels("hdd") };
    fs.ok(Op::Hold { cause: of_disk.clone(), until: Timestamp::new(3_000_000, 0) });
    fs.ok(Op::Hold { cause: of_disk, until: Timestamp::new(3_000_001, 0) });
    let of_server = HoldCause::Labels { holder: Holder::Server(server), before: Labels::default() };
    fs.ok(Op::Hold { cause: of_server.clone(), until: Timestamp::new(3_000_000, 0) });
    let ended = fs.meta.hold_for(&of_server).unwrap();
    fs.ok(Op::EndHold { hold: ended });
    let (_, op) = fs.create_op(ROOT, "asked", Fs::node(FileKind::File, 0o600));
    fs.asked(5, 3, 2, op).reply.unwrap();
    fs.asked(5, 4, 2, fs.commit_op(f, 1, &[])).reply.unwrap();
    fs.asked(5, 6, 2, Op::Unlink { parent: ROOT, name: name("asked"), keep: false }).reply.unwrap();
    fs
}

fn assert_same(one: &Meta, other: &Meta) {
    assert_eq!(one.digest(), other.digest());
    assert_eq!(other.recomputed_digest(), other.digest());
    assert_eq!(one.counts(), other.counts());
    assert_eq!(one.orphans(), other.orphans());
    assert_eq!(one.sessions(), other.sessions());
    assert!(one.disks().eq(other.disks()) && one.servers().eq(other.servers()));
    assert!(one.classes().eq(other.classes()) && one.tasks().eq(other.tasks()));
    assert_eq!(one.trash_after(InodeId(0), 1_000), other.trash_after(InodeId(0), 1_000));
    assert!(one.limits().eq(other.limits()) && one.holds().eq(other.holds()));
    assert_eq!(one.trash_use(), other.trash_use());
    assert!(one.mutes().eq(other.mutes()));
    for (class, _) in one.classes() {
        assert_eq!(one.class_use(class), other.class_use(class));
    }
    assert_eq!(one.applied(), other.applied());
    assert_eq!(
        one.read_directory(ROOT, DirCursor(0), 1 << 20),
        other.read_directory(ROOT, DirCursor(0), 1 << 20)
    );
}

#[test]
fn replaying_the_log_gives_the_live_state() {
    let fs = furnished();
    let mut again = Meta::new();
    for record in &fs.log {
        assert!(again.replay(record).changed);
    }
    assert_same(&fs.meta, &again);
}

#[test]
fn a_checkpoint_and_the_log_after_it_give_the_live_state_and_the_same_answers() {
    let mut fs = furnished();
    let mut loaded = load(&fs.checkpoint()).unwrap();
    assert_same(&fs.meta, &loaded);
    for sequence in [3, 4, 5, 6] {
        let answer = |meta: &Meta| meta.answered(SessionId(5), Sequence(sequence));
        assert_eq!(answer(&fs.meta), answer(&loaded));
        assert_eq!(answer(&loaded).is_some(), sequence != 5);
    }
    let from = fs.log.len();
    fs.mkdir(ROOT, "later");
    fs.rename((ROOT, "hard"), (ROOT, "later2")).unwrap();
    let orphans = fs.meta.orphans();
    fs.ok(Op::Reap { inodes: orphans });
    for record in &fs.log[from..] {
        loaded.apply(record).reply.unwrap();
    }
    assert_same(&fs.meta, &loaded);
}

#[test]
fn a_checkpoint_of_nothing_loads() {
    let empty = Fs::empty();
    assert_same_empty(&load(&empty.checkpoint()).unwrap());
}

fn assert_same_empty(meta: &Meta) {
    assert_eq!((meta.digest(), meta.cluster(), meta.counts().inodes), (Meta::new().digest(), None, 0));
}

/// With `MUSKOX_GOLDEN=write` in the environment the file is written anew; do that only for a new format version.
#[test]
fn the_checkpoint_of_this_format_still_loads_and_is_written_the_same() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/checkpoint-v5.bin");
    let fs = furnished();
    if std::env::var("MUSKOX_GOLDEN").is_ok_and(|v| v == "write") {
        std::fs::write(path, fs.checkpoint()).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    let loaded = load(&golden).unwrap();
    assert_same(&fs.meta, &loaded);
    assert_eq!(Fs { meta: loaded, ..Fs::empty() }.checkpoint(), golden);
}

#[test]
fn the_checkpoint_of_the_fourth_format_still_loads() {
    let loaded = load(include_bytes!("../testdata/checkpoint-v4.bin")).unwrap();
    assert_eq!(loaded.recomputed_digest(), loaded.digest());
    assert!(loaded.mutes().count() > 0);
    assert_eq!((loaded.limits().count(), loaded.holds().count()), (0, 0));
}

#[test]
fn the_checkpoint_of_the_third_format_still_loads() {
    let loaded = load(include_bytes!("../testdata/checkpoint-v3.bin")).unwrap();
    assert_eq!(loaded.recomputed_digest(), loaded.digest());
    assert_eq!((loaded.trash_use().files, loaded.mutes().count()), (1, 0));
}

#[test]
fn the_checkpoint_of_the_second_format_still_loads() {
    let loaded = load(include_bytes!("../testdata/checkpoint-v2.bin")).unwrap();
    assert_eq!(loaded.recomputed_digest(), loaded.digest());
    assert_eq!((loaded.classes().count() > 0, loaded.trash_use().files), (true, 0));
}

#[test]
fn the_checkpoint_of_the_first_format_still_loads() {
    let loaded = load(include_bytes!("../testdata/checkpoint-v1.bin")).unwrap();
    assert_eq!(loaded.recomputed_digest(), loaded.digest());
    assert_eq!((loaded.counts().inodes, loaded.counts().chunks, loaded.sessions().len()), (7, 3, 2));
    assert_eq!((loaded.classes().count(), loaded.next_class()), (0, Some(ClassId(0))));
    assert_eq!(loaded.class_use(ClassId(0)).inodes, 7);
}

#[test]
fn a_repeated_request_takes_effect_once_and_gets_its_first_answer() {
    let mut fs = furnished();
    let (_, op) = fs.create_op(ROOT, "once", Fs::node(FileKind::File, 0o600));
    let first = fs.asked(5, 10, 2, op.clone());
    assert!(first.changed);
    fs.set(
        fs.meta.lookup(ROOT, &name("once")).unwrap().inode,
        types::AttributeChanges { mode: Some(0), ..Default::default() },
        common::root_caller(),
    );
    let again = fs.asked(5, 10, 2, op);
    assert_eq!((again.reply, again.changed), (first.reply.clone(), false));
    assert_eq!(fs.meta.answered(SessionId(5), Sequence(10)), first.reply.ok());
}

#[test]
fn answers_go_once_the_client_has_them_and_never_pile_up() {
    let mut fs = furnished();
    let max = SEQUENCES_AHEAD_MAX;
    let mut touch = |sequence, below| {
        let inode = ROOT;
        let changes = types::AttributeChanges { mode: Some(0o755), ..Default::default() };
        let op = Op::SetAttributes { inode, changes, caller: common::root_caller() };
        fs.asked(5, sequence, below, op).reply.map(|_| ())
    };
    assert_eq!(touch(2 + max, 2), Err(Status::Invalid));
    assert_eq!(touch(1 + max, 2), Ok(()));
    assert_eq!(touch(1, 2), Err(Status::Invalid), "answered long ago");
    assert_eq!(touch(5 + max, 6), Ok(()));
    for gone in [3, 4] {
        assert_eq!(fs.meta.answered(SessionId(5), Sequence(gone)), None);
    }
    assert!(fs.meta.answered(SessionId(5), Sequence(6)).is_some());
    fs.ok(Op::CloseSession { session: SessionId(5) });
    assert_eq!(fs.meta.answered(SessionId(5), Sequence(6)), None);
    let (_, op) = fs.create_op(ROOT, "x", Fs::node(FileKind::File, 0o600));
    assert_eq!(fs.asked(5, 7, 6, op).reply, Err(Status::NoSession));
}

#[test]
fn a_refused_request_is_not_remembered() {
    let mut fs = furnished();
    let op = Op::RemoveDirectory { parent: ROOT, name: name("none") };
    assert_eq!(fs.asked(5, 8, 2, op).reply, Err(Status::NotFound));
    assert_eq!(fs.meta.answered(SessionId(5), Sequence(8)), None);
}

#[test]
fn records_out_of_order_or_of_an_older_reign_are_refused() {
    let fs = furnished();
    let Fs { mut meta, log, .. } = fs;
    let next = log.len() as u64 + 1;
    let record = |index, term| Record {
        index: LogIndex(index),
        term: Term(term),
        op: Op::NewTerm { term: Term(9) },
        ..log[0].clone()
    };
    assert_eq!(meta.apply(&record(next + 1, 9)).reply, Err(Status::Gap));
    assert_eq!(meta.apply(&record(next - 1, 9)).reply, Err(Status::Gap));
    assert_eq!(meta.apply(&record(next, 0)).reply, Err(Status::WrongTerm));
    assert!(meta.apply(&record(next, 9)).changed);
    assert_eq!((meta.term(), meta.applied()), (Term(9), (Term(9), LogIndex(next))));
    assert_eq!(meta.apply(&record(next + 1, 9)).reply, Err(Status::WrongTerm), "a term is taken once");
    assert!(!meta.replay(&record(next + 1, 9)).changed);
    assert_eq!(meta.applied().1, LogIndex(next + 1), "replay passes over a refusal");
}

#[test]
fn a_cluster_is_made_once_and_before_all_else() {
    let mut fs = Fs::empty();
    assert_eq!(fs.refused(Op::OpenSession { session: SessionId(1), name: "x".into() }), Status::WrongCluster);
    let mut fs = Fs::default();
    assert_eq!(fs.refused(Op::NewCluster { cluster: ClusterId([1; 16]) }), Status::Exists);
    assert_eq!(fs.meta.cluster(), Some(ClusterId([9; 16])));
}

#[test]
fn a_disk_registers_with_a_growing_counter() {
    let mut fs = furnished();
    let mut register = |registrations| {
        let (server, disk) = (ServerId([8; 16]), DiskId([4; 16]));
        fs.op(Op::RegisterDisk { server, disk, registrations, path: "/mnt/new".into() }).map(|_| ())
    };
    assert_eq!(register(2), Err(Status::Invalid));
    assert_eq!(register(3), Ok(()));
    let known = fs.meta.disk(DiskId([4; 16])).unwrap();
    assert_eq!((known.server, known.registrations, &*known.path), (ServerId([8; 16]), 3, "/mnt/new"));
    assert_eq!(
        (&known.labels, known.mark),
        (&labels("ssd site=home"), Mark::Removing { drain_only: true, with: None })
    );
}

#[test]
fn a_listing_resumes_after_an_entry_that_is_gone_and_shows_each_name_once() {
    let mut fs = Fs::default();
    for number in 0..2000 {
        fs.file(ROOT, &format!("name-{number:05}"));
    }
    let mut seen = Vec::new();
    let mut after = DirCursor(0);
    loop {
        let (entries, end) = fs.meta.read_directory(ROOT, after, 10_000).unwrap();
        assert!(entries.len() <= 44, "a page of 10,000 bytes");
        after = entries.last().map_or(after, |entry| entry.cursor);
        for entry in entries {
            seen.push(entry.name.to_string());
            fs.unlink(ROOT, &entry.name.to_string()).unwrap();
        }
        fs.file(ROOT, &format!("later-{}", seen.len()));
        if end || seen.len() > 3000 {
            break;
        }
    }
    seen.retain(|name| name.starts_with("name"));
    assert_eq!((seen.len(), seen.is_sorted()), (2000, true));
    let (entries, end) = fs.meta.read_directory(ROOT, DirCursor(u64::MAX), 0).unwrap();
    assert!(entries.is_empty() && end);
}

#[test]
fn another_digest_than_the_expected_one_is_refused() {
    let fs = furnished();
    let mut loader = Loader::new();
    loader.feed(&fs.checkpoint()).unwrap();
    assert_eq!(loader.finish(Some([0; 16])).unwrap_err(), LoadError::Digest);
    let mut short = Loader::new();
    short.feed(&fs.checkpoint()[..100]).unwrap();
    assert!(matches!(short.finish(None), Err(LoadError::Malformed { .. })));
}
