//! The rules of POSIX that the namespace keeps, one sentence each.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use common::{Fs, ROOT, name, root_caller};
use types::{
    AttributeChanges, Caller, FileKind, Op, RenameMode, Reply, SetTime, Status, Timestamp, XattrMode,
};

#[test]
fn a_directory_counts_itself_its_name_and_its_subdirectories() {
    let mut fs = Fs::default();
    let a = fs.mkdir(ROOT, "a");
    let b = fs.mkdir(a, "b");
    fs.file(a, "f");
    assert_eq!((fs.stat(ROOT).links, fs.stat(a).links, fs.stat(b).links), (3, 3, 2));
    assert_eq!(fs.stat(a).length, 2);
    fs.rename((a, "b"), (ROOT, "b")).unwrap();
    assert_eq!((fs.stat(ROOT).links, fs.stat(a).links), (4, 2));
    assert_eq!(fs.meta.parent_of(b).unwrap().inode, ROOT);
    fs.rmdir(ROOT, "b").unwrap();
    assert_eq!(fs.stat(ROOT).links, 3);
    assert_eq!(fs.meta.parent_of(ROOT).unwrap().inode, ROOT);
}

#[test]
fn names_of_the_wrong_kind_are_refused() {
    let mut fs = Fs::default();
    let d = fs.mkdir(ROOT, "d");
    let f = fs.file(d, "f");
    assert_eq!(fs.unlink(ROOT, "d"), Err(Status::IsDirectory));
    assert_eq!(fs.rmdir(d, "f"), Err(Status::NotDirectory));
    assert_eq!(fs.rmdir(ROOT, "d"), Err(Status::NotEmpty));
    assert_eq!(fs.rmdir(ROOT, "none"), Err(Status::NotFound));
    assert_eq!(fs.link(d, ROOT, "l"), Err(Status::NotPermitted));
    assert_eq!(fs.link(f, d, "f"), Err(Status::Exists));
    assert_eq!(fs.unlink(f, "x"), Err(Status::NotDirectory));
    assert_eq!(fs.meta.lookup(f, &name("x")), Err(Status::NotDirectory));
    assert_eq!(fs.meta.read_link(f), Err(Status::Invalid));
}

#[test]
fn what_is_gone_is_stale_and_nothing_is_made_in_a_removed_directory() {
    let mut fs = Fs::default();
    let d = fs.mkdir(ROOT, "d");
    fs.rmdir(ROOT, "d").unwrap();
    assert_eq!(fs.meta.attributes(d), Err(Status::Stale));
    let (_, op) = fs.create_op(d, "f", Fs::node(FileKind::File, 0o644));
    assert_eq!(fs.refused(op), Status::Stale);
    let mut wrong = fs.file(ROOT, "f");
    wrong.generation.0 += 1;
    assert_eq!(fs.meta.attributes(wrong), Err(Status::Stale));
}

#[test]
fn an_open_unlinked_file_lives_until_it_is_reaped() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    fs.commit(f, 10, &[common::chunk(0, 1, 1)]).unwrap();
    fs.ok(Op::Unlink { parent: ROOT, name: name("f"), keep: true });
    assert_eq!(fs.effects, [meta::Effect::Orphaned { inode: f }]);
    assert_eq!((fs.stat(f).links, fs.meta.orphans()), (0, vec![f]));
    assert_eq!(fs.link(f, ROOT, "again"), Err(Status::NotFound));
    fs.commit(f, 20, &[]).unwrap();
    fs.ok(Op::Reap { inodes: vec![f, ROOT] });
    assert_eq!(fs.effects.len(), 2);
    assert_eq!(fs.meta.attributes(f), Err(Status::Stale));
    assert_eq!(fs.meta.counts().chunks, 0);
    fs.ok(Op::Reap { inodes: vec![f] });
    assert!(!fs.changed, "reaping twice has nothing to do");
}

#[test]
fn unlinking_one_of_two_names_changes_ctime_and_keeps_the_file() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    let linked = fs.now();
    fs.link(f, ROOT, "g").unwrap();
    assert_eq!((fs.stat(f).links, fs.stat(f).changed), (2, linked));
    let removed = fs.now();
    fs.unlink(ROOT, "f").unwrap();
    let stat = fs.stat(f);
    assert_eq!((stat.links, stat.changed, fs.stat(ROOT).modified), (1, removed, removed));
    assert!(stat.modified < removed);
    fs.unlink(ROOT, "g").unwrap();
    assert_eq!(fs.effects, [meta::Effect::InodeGone { inode: f }]);
}

#[test]
fn rename_replaces_only_what_matches() {
    let mut fs = Fs::default();
    let (d, e, f) = (fs.mkdir(ROOT, "d"), fs.mkdir(ROOT, "e"), fs.file(ROOT, "f"));
    let inner = fs.file(e, "inner");
    assert_eq!(fs.rename((ROOT, "d"), (ROOT, "f")), Err(Status::NotDirectory));
    assert_eq!(fs.rename((ROOT, "f"), (ROOT, "d")), Err(Status::IsDirectory));
    assert_eq!(fs.rename((ROOT, "d"), (ROOT, "e")), Err(Status::NotEmpty));
    assert_eq!(fs.rename((ROOT, "x"), (ROOT, "e")), Err(Status::NotFound));
    fs.rename((ROOT, "e"), (ROOT, "d")).unwrap();
    assert_eq!(fs.meta.attributes(d), Err(Status::Stale));
    assert_eq!((fs.stat(ROOT).links, fs.names(ROOT)), (3, vec!["d".into(), "f".into()]));
    let at = fs.now();
    fs.rename((ROOT, "f"), (e, "inner")).unwrap();
    assert_eq!(fs.meta.attributes(inner), Err(Status::Stale));
    assert_eq!((fs.stat(f).changed, fs.stat(e).modified, fs.stat(ROOT).modified), (at, at, at));
}

#[test]
fn a_directory_is_not_moved_below_itself() {
    let mut fs = Fs::default();
    let a = fs.mkdir(ROOT, "a");
    let b = fs.mkdir(a, "b");
    fs.mkdir(b, "c");
    assert_eq!(fs.rename((ROOT, "a"), (b, "x")), Err(Status::Invalid));
    assert_eq!(fs.rename((ROOT, "a"), (a, "x")), Err(Status::Invalid));
    assert_eq!(fs.rename((b, "c"), (ROOT, "a")), Err(Status::NotEmpty));
    assert_eq!(fs.rename_as((ROOT, "a"), (b, "c"), RenameMode::Exchange), Err(Status::Invalid));
    assert_eq!(fs.rename_as((b, "c"), (ROOT, "a"), RenameMode::Exchange), Err(Status::Invalid));
    fs.rename((ROOT, "a"), (ROOT, "a")).unwrap();
    assert!(!fs.changed);
}

#[test]
fn renaming_onto_another_name_of_the_same_file_does_nothing() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    fs.link(f, ROOT, "g").unwrap();
    fs.rename((ROOT, "f"), (ROOT, "g")).unwrap();
    assert!(!fs.changed);
    assert_eq!(fs.names(ROOT), ["f", "g"]);
}

#[test]
fn noreplace_and_exchange_do_what_renameat2_says() {
    let mut fs = Fs::default();
    let (a, b) = (fs.mkdir(ROOT, "a"), fs.mkdir(ROOT, "b"));
    let (d, f) = (fs.mkdir(a, "d"), fs.file(b, "f"));
    assert_eq!(fs.rename_as((a, "d"), (b, "f"), RenameMode::NoReplace), Err(Status::Exists));
    assert_eq!(fs.rename_as((a, "d"), (b, "none"), RenameMode::Exchange), Err(Status::NotFound));
    fs.rename_as((a, "d"), (b, "f"), RenameMode::Exchange).unwrap();
    assert_eq!(fs.meta.lookup(b, &name("f")).unwrap().inode, d);
    assert_eq!(fs.meta.lookup(a, &name("d")).unwrap().inode, f);
    assert_eq!((fs.stat(a).links, fs.stat(b).links), (2, 3));
    assert_eq!(fs.meta.parent_of(d).unwrap().inode, b);
    fs.rename_as((b, "f"), (ROOT, "new"), RenameMode::NoReplace).unwrap();
    assert_eq!(fs.stat(ROOT).links, 5);
}

#[test]
fn a_replaced_file_that_is_open_becomes_an_orphan() {
    let mut fs = Fs::default();
    let (_, g) = (fs.file(ROOT, "f"), fs.file(ROOT, "g"));
    fs.ok(Op::Rename {
        from: ROOT,
        from_name: name("f"),
        to: ROOT,
        to_name: name("g"),
        mode: RenameMode::Replace,
        keep: true,
    });
    assert_eq!((fs.meta.orphans(), fs.stat(g).links), (vec![g], 0));
}

#[test]
fn a_setgid_directory_hands_down_its_group() {
    let mut fs = Fs::default();
    let d = fs.make(ROOT, "d", FileKind::Directory, 0o2755);
    fs.set(d, AttributeChanges { gid: Some(99), ..Default::default() }, root_caller());
    assert_eq!(fs.stat(d).mode, 0o2755, "chown leaves a directory's bits");
    let (sub, f) = (fs.mkdir(d, "sub"), fs.file(d, "f"));
    assert_eq!((fs.stat(sub).mode, fs.stat(sub).owner.gid), (0o2755, 99));
    assert_eq!((fs.stat(f).mode, fs.stat(f).owner.gid), (0o644, 99));
}

#[test]
fn chown_drops_setuid_and_setgid_of_programs() {
    let mut fs = Fs::default();
    let program = fs.make(ROOT, "program", FileKind::File, 0o6755);
    let locked = fs.make(ROOT, "locked", FileKind::File, 0o6745);
    fs.ok(Op::SetXattr {
        inode: program,
        name: b"security.capability".to_vec(),
        value: vec![1],
        mode: XattrMode::Set,
    });
    let chown = AttributeChanges { uid: Some(1), ..Default::default() };
    assert_eq!(fs.set(program, chown, root_caller()).mode, 0o755);
    assert_eq!(fs.set(locked, chown, root_caller()).mode, 0o2745);
    assert_eq!(fs.meta.xattr(program, b"security.capability"), Err(Status::NoAttribute));
}

#[test]
fn writing_by_somebody_unprivileged_drops_setuid_and_setgid() {
    let mut fs = Fs::default();
    let f = fs.make(ROOT, "f", FileKind::File, 0o6755);
    let clear = AttributeChanges { clear_privileges: true, ..Default::default() };
    assert_eq!(fs.set(f, clear, root_caller()).mode, 0o755);
    let g = fs.make(ROOT, "g", FileKind::File, 0o4755);
    fs.ok(Op::SetLength { inode: g, length: 1, clear_privileges: true, boundary: None });
    assert_eq!(fs.stat(g).mode, 0o755);
}

#[test]
fn chmod_by_somebody_outside_the_group_drops_setgid() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    let chmod = AttributeChanges { mode: Some(0o2755), ..Default::default() };
    let caller = |uid, gid, groups: &[u32]| Caller { uid, gid, groups: groups.to_vec() };
    assert_eq!(fs.set(f, chmod, caller(10, 5, &[])).mode, 0o755);
    assert_eq!(fs.set(f, chmod, caller(10, 20, &[])).mode, 0o2755);
    assert_eq!(fs.set(f, chmod, caller(10, 5, &[4, 20])).mode, 0o2755);
    assert_eq!(fs.set(f, chmod, caller(0, 5, &[])).mode, 0o2755);
}

#[test]
fn times_are_those_of_the_record_or_those_given() {
    let mut fs = Fs::default();
    let created = fs.now();
    let f = fs.file(ROOT, "f");
    let old = Timestamp::new(-5, 3);
    let changed = fs.now();
    let changes = AttributeChanges {
        accessed: Some(SetTime::Now),
        modified: Some(SetTime::At(old)),
        ..Default::default()
    };
    let stat = fs.set(f, changes, root_caller());
    assert_eq!((stat.accessed, stat.modified, stat.changed, stat.created), (changed, old, changed, created));
    assert_eq!(stat.change_counter, 1);
}

#[test]
fn create_without_exclusive_finds_the_file_and_changes_nothing() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    fs.mkdir(ROOT, "d");
    fs.make(ROOT, "s", FileKind::Symlink, 0o777);
    for (text, found) in [("f", None), ("d", Some(Status::IsDirectory)), ("s", Some(Status::Exists))] {
        let (_, op) = fs.create_op(ROOT, text, Fs::node(FileKind::File, 0o600));
        let Op::Create { parent, name, inode, node, .. } = op else { panic!("a create") };
        match fs.op(Op::Create { parent, name, inode, node, exclusive: false }) {
            Ok(Reply::Entry(entry)) => {
                assert_eq!((entry.attributes.inode, entry.created, fs.changed), (f, false, false));
            }
            other => assert_eq!(other.err(), found),
        }
    }
    let (_, op) = fs.create_op(ROOT, "f", Fs::node(FileKind::File, 0o600));
    assert_eq!(fs.refused(op), Status::Exists);
}

#[test]
fn symlinks_and_devices_keep_what_they_are_made_with() {
    let mut fs = Fs::default();
    let s = fs.make(ROOT, "s", FileKind::Symlink, 0o777);
    assert_eq!((fs.meta.read_link(s).unwrap(), fs.stat(s).length), (b"target".to_vec(), 6));
    let mut node = Fs::node(FileKind::BlockDevice, 0o600);
    node.device = 0x801;
    let (device, op) = fs.create_op(ROOT, "sda1", node);
    fs.ok(op);
    assert_eq!((fs.stat(device).device, fs.stat(device).kind), (0x801, FileKind::BlockDevice));
    let mut empty = Fs::node(FileKind::Symlink, 0o777);
    empty.target = Vec::new();
    let (_, op) = fs.create_op(ROOT, "e", empty);
    assert_eq!(fs.refused(op), Status::NotFound);
    assert_eq!(fs.truncate(s, 0, None), Err(Status::Invalid));
    assert_eq!(fs.truncate(ROOT, 0, None), Err(Status::IsDirectory));
}

#[test]
fn extended_attributes_keep_modes_namespaces_and_limits() {
    let mut fs = Fs::default();
    let (f, s) = (fs.file(ROOT, "f"), fs.make(ROOT, "s", FileKind::Symlink, 0o777));
    let set = |fs: &mut Fs, inode, name: &[u8], size: usize, mode| {
        fs.op(Op::SetXattr { inode, name: name.to_vec(), value: vec![7; size], mode }).map(|_| ())
    };
    assert_eq!(set(&mut fs, f, b"user.a", 3, XattrMode::Replace), Err(Status::NoAttribute));
    assert_eq!(set(&mut fs, f, b"user.a", 3, XattrMode::Create), Ok(()));
    assert_eq!(set(&mut fs, f, b"user.a", 3, XattrMode::Create), Err(Status::Exists));
    assert_eq!(set(&mut fs, f, b"user.a", 4, XattrMode::Replace), Ok(()));
    assert_eq!(set(&mut fs, f, b"system.posix_acl_access", 4, XattrMode::Set), Err(Status::Unsupported));
    assert_eq!(set(&mut fs, f, b"plain", 4, XattrMode::Set), Err(Status::Unsupported));
    assert_eq!(set(&mut fs, f, b"user.", 4, XattrMode::Set), Err(Status::Invalid));
    assert_eq!(
        set(&mut fs, f, &[b"user.", &[b'x'; 251][..]].concat(), 4, XattrMode::Set),
        Err(Status::NameTooLong)
    );
    assert_eq!(set(&mut fs, f, b"user.b", 65537, XattrMode::Set), Err(Status::TooBig));
    assert_eq!(set(&mut fs, f, b"user.b", 65536, XattrMode::Set), Err(Status::NoSpace));
    assert_eq!(set(&mut fs, f, b"user.b", 65536 - 16, XattrMode::Set), Ok(()));
    assert_eq!(set(&mut fs, f, b"user.c", 0, XattrMode::Set), Err(Status::NoSpace));
    assert_eq!(set(&mut fs, s, b"user.a", 1, XattrMode::Set), Err(Status::NotPermitted));
    assert_eq!(set(&mut fs, s, b"trusted.a", 1, XattrMode::Set), Ok(()));
    assert_eq!(fs.meta.xattr(f, b"user.a").unwrap(), vec![7; 4]);
    assert_eq!(fs.meta.xattrs(f).unwrap(), [b"user.a".to_vec(), b"user.b".to_vec()]);
    let at = fs.now();
    fs.ok(Op::RemoveXattr { inode: f, name: b"user.b".to_vec() });
    assert_eq!(fs.stat(f).changed, at);
    assert_eq!(fs.refused(Op::RemoveXattr { inode: f, name: b"user.b".to_vec() }), Status::NoAttribute);
}

#[test]
fn the_times_of_a_write_are_those_of_the_write_and_not_of_its_commit() {
    let mut fs = Fs::default();
    let f = fs.file(ROOT, "f");
    let written = Timestamp::new(fs.stat(f).changed.seconds() + 1_000, 5);
    let mut op = fs.commit_op(f, 10, &[]);
    if let Op::Commit { modified, .. } = &mut op {
        *modified = Some(written);
    }
    fs.op(op).unwrap();
    assert_eq!((fs.stat(f).modified, fs.stat(f).changed), (written, written));
    let counter = fs.stat(f).change_counter;
    let mut op = fs.commit_op(f, 10, &[]);
    if let Op::Commit { modified, .. } = &mut op {
        *modified = Some(Timestamp::new(7, 0));
    }
    fs.op(op).unwrap();
    assert_eq!(fs.stat(f).modified, Timestamp::new(7, 0));
    assert_ne!(fs.stat(f).changed, written, "a writer's clock that is behind hides no change");
    assert!(fs.stat(f).change_counter > counter);
}
