//! Deleted files that are kept, and files that are archived.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use common::{Fs, ROOT, chunk, class, load, name};
use meta::{Effect, Meta, TrashUse};
use types::{
    AgeBy, Archive, AttributeChanges, ChunkIndex, ClassId, Expression, FileKind, InodeId, InodeRef,
    NAME_BYTES_MAX, Op, SetTime, Stage, Status, StorageClass, TRASH_PATH_BYTES_MAX, Timestamp, XattrMode,
};

const KEEP_S: u64 = 100;

/// A cluster whose files are kept when they are deleted.
fn cluster() -> Fs {
    let mut fs = Fs::default();
    let id = fs.define("default", "2*any");
    let kept = StorageClass { trash_keep_s: KEEP_S, ..class("default", "2*any") };
    fs.ok(Op::SetClass { class: id, definition: Box::new(kept) });
    fs
}

fn trash(fs: &Fs) -> Vec<(InodeRef, String)> {
    let all = fs.meta.trash_after(InodeId(0), 100).into_iter();
    all.map(|one| (one.attributes.inode, String::from_utf8(one.path).unwrap())).collect()
}

fn restore(fs: &mut Fs, inode: InodeRef, to: (InodeRef, &str), replace: bool) -> Result<(), Status> {
    let (parent, name) = (to.0, name(to.1));
    fs.op(Op::RestoreTrash { inode, parent, name, replace, keep: false }).map(|_| ())
}

fn stages(fs: &Fs, inode: InodeRef, stage: Stage) -> Vec<Effect> {
    let views = fs.meta.chunks(inode, ChunkIndex(0), u32::MAX).unwrap();
    views.iter().map(|view| Effect::ChunkStage { slot: view.slot, stage }).collect()
}

fn same_after_a_restart(fs: &Fs) {
    let mut again = Meta::new();
    fs.log.iter().for_each(|record| assert!(again.apply(record).changed));
    for meta in [again, load(&fs.checkpoint()).unwrap()] {
        assert_eq!(meta.digest(), fs.meta.digest());
        assert_eq!(meta.recomputed_digest(), meta.digest());
        assert_eq!(meta.trash_after(InodeId(0), 100), fs.meta.trash_after(InodeId(0), 100));
        assert_eq!(meta.orphans(), fs.meta.orphans());
    }
    assert_eq!(fs.meta.check(), []);
}

#[test]
fn a_deleted_file_keeps_everything_but_its_name_and_comes_back_as_it_was() {
    let mut fs = cluster();
    let dir = fs.mkdir(ROOT, "d");
    let file = fs.file(dir, "f");
    fs.commit(file, 100, &[chunk(0, 1, 1)]).unwrap();
    fs.ok(Op::SetXattr { inode: file, name: b"user.x".to_vec(), value: vec![1], mode: XattrMode::Set });
    let before = fs.stat(file);
    let deleted = fs.now();
    fs.unlink(dir, "f").unwrap();
    let stage = Stage { trashed: true, archived: false };
    let told: Vec<_> =
        stages(&fs, file, stage).into_iter().chain([Effect::Shelved { inode: file }]).collect();
    assert_eq!((fs.effects.clone(), told.len()), (told, 2));
    assert_eq!((fs.names(dir), fs.meta.orphans()), (vec![], vec![]));
    let entry = fs.meta.trash_entry(file).unwrap();
    assert_eq!((&*entry.path, entry.deleted, entry.until), (&b"/d/f"[..], deleted, deleted.after(KEEP_S)));
    assert_eq!(fs.meta.trash_use(), TrashUse { files: 1, bytes: 100, next: Some(entry.until) });
    assert_eq!(fs.meta.find_chunk(common::chunk_id(1)).unwrap().1.stage, stage);
    assert_eq!(fs.link(file, ROOT, "again"), Err(Status::NotFound), "no name but by a restore");
    fs.ok(Op::Reap { inodes: vec![file] });
    assert!(!fs.changed, "what is in the trash is not reaped");
    same_after_a_restart(&fs);

    fs.rmdir(ROOT, "d").unwrap();
    assert_eq!(restore(&mut fs, file, (dir, "f"), false), Err(Status::Stale), "the directory is gone");
    assert_eq!(restore(&mut fs, file, (ROOT, "f"), false), Ok(()));
    assert_eq!(fs.effects, stages(&fs, file, Stage::default()));
    let after = fs.stat(file);
    let times =
        |a: types::Attributes| (a.modified, a.accessed, a.created, a.length, a.owner, a.mode, a.links);
    assert_eq!(times(after), times(before));
    assert_eq!(fs.meta.xattr(file, b"user.x"), Ok(vec![1]));
    assert_eq!((fs.map(file), trash(&fs).len()), (vec![(0, 1, 1)], 0));
    assert_eq!(
        restore(&mut fs, file, (ROOT, "g"), false),
        Err(Status::NotFound),
        "it is in the trash no more"
    );
    same_after_a_restart(&fs);
}

#[test]
fn only_the_last_name_of_a_file_goes_there_and_only_if_its_class_keeps_it() {
    let mut fs = cluster();
    let short = fs.define("short", "2*any");
    let file = fs.file(ROOT, "one");
    fs.link(file, ROOT, "two").unwrap();
    fs.unlink(ROOT, "one").unwrap();
    assert_eq!(trash(&fs), []);
    fs.unlink(ROOT, "two").unwrap();
    assert_eq!(trash(&fs), [(file, "/two".to_owned())]);
    fs.make(ROOT, "s", FileKind::Symlink, 0o777);
    fs.unlink(ROOT, "s").unwrap();
    let gone = fs.file(ROOT, "gone");
    fs.ok(Op::SetInodeClass { inodes: vec![gone], class: short });
    fs.unlink(ROOT, "gone").unwrap();
    assert_eq!((trash(&fs).len(), fs.meta.exists(gone)), (1, false));
    let open = fs.file(ROOT, "open");
    fs.ok(Op::Unlink { parent: ROOT, name: name("open"), keep: true });
    assert_eq!((trash(&fs).len(), &*fs.effects), (2, &[][..]), "who has it open keeps what was granted");
    assert!(fs.commit(open, 7, &[chunk(0, 9, 1)]).is_ok(), "and may write");
    let stage = Stage { trashed: true, archived: false };
    assert_eq!(fs.effects[1..], stages(&fs, open, stage));
    same_after_a_restart(&fs);
}

#[test]
fn what_a_rename_replaces_goes_there_under_the_name_it_had() {
    let mut fs = cluster();
    let (a, b) = (fs.mkdir(ROOT, "a"), fs.mkdir(ROOT, "b"));
    let (new, old) = (fs.file(a, "new"), fs.file(b, "old"));
    fs.rename((a, "new"), (b, "old")).unwrap();
    assert_eq!(trash(&fs), [(old, "/b/old".to_owned())]);
    assert_eq!(restore(&mut fs, old, (b, "old"), false), Err(Status::Exists));
    assert_eq!(restore(&mut fs, old, (ROOT, "a"), true), Err(Status::IsDirectory));
    assert_eq!(restore(&mut fs, old, (b, "old"), true), Ok(()));
    assert_eq!(trash(&fs), [(new, "/b/old".to_owned())], "they changed places");
    assert_eq!(fs.meta.lookup(b, &name("old")).unwrap().inode, old);
    same_after_a_restart(&fs);
}

#[test]
fn paths_follow_directories_wherever_they_are_moved() {
    let mut fs = cluster();
    let (a, b) = (fs.mkdir(ROOT, "a"), fs.mkdir(ROOT, "b"));
    let below = fs.mkdir(a, "below");
    let files: Vec<_> = (0..4).map(|n| fs.file(below, &format!("f{n}"))).collect();
    fs.unlink(below, "f0").unwrap();
    fs.rename((a, "below"), (b, "moved")).unwrap();
    fs.unlink(below, "f1").unwrap();
    fs.rename_as((ROOT, "a"), (b, "moved"), types::RenameMode::Exchange).unwrap();
    fs.unlink(below, "f2").unwrap();
    let mut fs = Fs { meta: load(&fs.checkpoint()).unwrap(), ..fs };
    fs.rename((ROOT, "a"), (a, "z")).unwrap();
    fs.unlink(below, "f3").unwrap();
    let paths: Vec<_> = trash(&fs).into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, ["/a/below/f0", "/b/moved/f1", "/a/f2", "/b/moved/z/f3"]);
    assert_eq!(files.len(), paths.len());
    same_after_a_restart(&fs);
}

#[test]
fn of_a_path_that_is_too_long_the_end_is_kept() {
    let mut fs = cluster();
    let long = "x".repeat(NAME_BYTES_MAX);
    let mut dir = ROOT;
    for _ in 0..TRASH_PATH_BYTES_MAX / NAME_BYTES_MAX + 2 {
        dir = fs.mkdir(dir, &long);
    }
    fs.file(dir, "f");
    fs.unlink(dir, "f").unwrap();
    let path = &trash(&fs)[0].1;
    assert!(path.len() <= TRASH_PATH_BYTES_MAX && path.ends_with("x/f") && path.starts_with('x'));
    same_after_a_restart(&fs);
}

#[test]
fn files_are_due_in_the_order_of_their_time_and_go_through_the_orphans() {
    let mut fs = cluster();
    let files: Vec<_> = (0..3).map(|n| fs.file(ROOT, &format!("f{n}"))).collect();
    for n in [2, 0, 1] {
        fs.commit(files[n], 10, &[chunk(0, n as u64 + 1, 1)]).unwrap();
        fs.unlink(ROOT, &format!("f{n}")).unwrap();
    }
    let until = |n: usize| fs.meta.trash_entry(files[n]).unwrap().until;
    assert_eq!(fs.meta.trash_due(fs.now(), 9), []);
    assert_eq!(fs.meta.trash_due(until(0), 9), [files[2], files[0]]);
    assert_eq!(fs.meta.trash_due(until(1), 1), [files[2]]);
    fs.ok(Op::PurgeTrash { inodes: vec![files[2], ROOT, files[2]] });
    assert_eq!(fs.effects, [Effect::Orphaned { inode: files[2] }]);
    assert_eq!((fs.meta.orphans(), fs.meta.trash_use().bytes), (vec![files[2]], 20));
    fs.ok(Op::PurgeTrash { inodes: vec![files[2]] });
    assert!(!fs.changed);
    assert_eq!(restore(&mut fs, files[2], (ROOT, "f2"), false), Err(Status::NotFound));
    same_after_a_restart(&fs);
    fs.ok(Op::Reap { inodes: vec![files[2]] });
    assert!(!fs.meta.exists(files[2]));
    same_after_a_restart(&fs);
}

#[test]
fn how_long_it_is_kept_was_decided_when_it_was_deleted() {
    let mut fs = cluster();
    let file = fs.file(ROOT, "f");
    fs.unlink(ROOT, "f").unwrap();
    let until = fs.meta.trash_entry(file).unwrap().until;
    fs.ok(Op::SetClass { class: ClassId::DEFAULT, definition: Box::new(class("default", "2*any")) });
    assert_eq!(fs.meta.trash_entry(file).unwrap().until, until);
}

/// As `cluster`, with an archive.
fn aging(by: AgeBy, reversible: bool) -> Fs {
    let mut fs = cluster();
    let to = Expression::new("hdd").unwrap();
    let archive = Archive { to, after_s: 10, by, min_size: 50, reversible };
    let kept = fs.meta.class(ClassId::DEFAULT).unwrap().clone();
    let kept = StorageClass { archive: Some(archive), ..kept };
    fs.ok(Op::SetClass { class: ClassId::DEFAULT, definition: Box::new(kept) });
    fs
}

fn pass(fs: &mut Fs, until: Timestamp) {
    while fs.now() < until {
        let dir = fs.mkdir(ROOT, "t");
        fs.rmdir(ROOT, "t").unwrap();
        assert!(!fs.meta.exists(dir));
    }
}

fn archive(fs: &mut Fs, inode: InodeRef) -> bool {
    fs.ok(Op::Archive { inodes: vec![inode] });
    fs.changed
}

const ARCHIVED: Stage = Stage { archived: true, trashed: false };

#[test]
fn a_file_is_archived_once_it_did_not_change_for_long_and_a_write_brings_it_back() {
    let mut fs = aging(AgeBy::Changed, true);
    let file = fs.file(ROOT, "f");
    fs.commit(file, 49, &[chunk(0, 1, 1)]).unwrap();
    assert_eq!(fs.meta.archive_due(file), None, "it is too short");
    fs.commit(file, 50, &[]).unwrap();
    assert_eq!(fs.effects, [Effect::Ages { inode: file }]);
    let due = fs.meta.archive_due(file).unwrap();
    assert_eq!(due, fs.stat(file).changed.after(10));
    assert_eq!(fs.meta.aging_from(0, 1_000), (vec![(file, due)], None));
    assert!(!archive(&mut fs, file), "its time has not come");
    pass(&mut fs, due);
    let before = fs.stat(file);
    assert!(archive(&mut fs, file));
    assert_eq!((fs.effects.clone(), fs.stat(file)), (stages(&fs, file, ARCHIVED), before));
    assert!(!archive(&mut fs, file));
    same_after_a_restart(&fs);

    fs.unlink(ROOT, "f").unwrap();
    assert_eq!(fs.effects[0], stages(&fs, file, Stage { archived: true, trashed: true })[0]);
    restore(&mut fs, file, (ROOT, "f"), false).unwrap();
    assert_eq!(fs.effects, stages(&fs, file, ARCHIVED), "as it was");

    fs.commit(file, 60, &[chunk(1, 2, 1)]).unwrap();
    let told = [stages(&fs, file, Stage::default()), vec![Effect::Ages { inode: file }]].concat();
    assert!(fs.effects.ends_with(&told), "{:?}", fs.effects);
    same_after_a_restart(&fs);
    for back in [60, 55] {
        let due = fs.meta.archive_due(file).unwrap();
        pass(&mut fs, due);
        assert!(archive(&mut fs, file));
        fs.truncate(file, back, None)
            .unwrap_or_else(|_| fs.truncate(file, back, Some(common::raised(0, 1, 2))).unwrap());
        assert_eq!(
            fs.meta.owner_of(fs.meta.chunks(file, ChunkIndex(0), 1).unwrap()[0].slot).unwrap().1.stage,
            Stage::default()
        );
    }
}

#[test]
fn without_a_way_back_what_is_written_is_archived_too() {
    let mut fs = aging(AgeBy::Modified, false);
    let file = fs.file(ROOT, "f");
    fs.commit(file, 50, &[chunk(0, 1, 1)]).unwrap();
    let due = fs.meta.archive_due(file).unwrap();
    pass(&mut fs, due);
    assert!(archive(&mut fs, file));
    fs.commit(file, 60, &[chunk(1, 2, 1)]).unwrap();
    assert_eq!(fs.effects[1..], stages(&fs, file, ARCHIVED)[1..]);
    assert_eq!(fs.meta.archive_due(file), None);
    same_after_a_restart(&fs);
}

#[test]
fn a_read_that_was_told_keeps_a_file_young_if_the_class_says_so() {
    for (by, counts) in [(AgeBy::Accessed, true), (AgeBy::Changed, false), (AgeBy::Modified, false)] {
        let mut fs = aging(by, true);
        let file = fs.file(ROOT, "f");
        fs.commit(file, 50, &[chunk(0, 1, 1)]).unwrap();
        let due = fs.meta.archive_due(file).unwrap();
        let read = fs.now().after(5);
        let Op::Commit { inode, truncate_generation, length, .. } = fs.commit_op(file, 50, &[]) else {
            panic!()
        };
        let (modified, accessed, chunks) = (None, Some(read), Vec::new());
        let (clear_privileges, durable) = (false, false);
        fs.ok(Op::Commit {
            inode,
            truncate_generation,
            length,
            modified,
            accessed,
            chunks,
            clear_privileges,
            durable,
        });
        assert_eq!(fs.meta.archive_due(file).unwrap(), if counts { read.after(10) } else { due }, "{by:?}");
    }
}

#[test]
fn a_time_that_is_set_is_told_and_a_new_class_has_its_own_say() {
    let mut fs = aging(AgeBy::Modified, true);
    let plain = fs.define("plain", "2*any");
    let file = fs.file(ROOT, "f");
    fs.commit(file, 50, &[chunk(0, 1, 1)]).unwrap();
    let past = Timestamp::new(1_000, 0);
    let changes = AttributeChanges { modified: Some(SetTime::At(past)), ..Default::default() };
    fs.set(file, changes, common::root_caller());
    assert_eq!(
        (&*fs.effects, fs.meta.archive_due(file)),
        (&[Effect::Ages { inode: file }][..], Some(past.after(10)))
    );
    assert!(archive(&mut fs, file));
    let class_told = |fs: &Fs, class| Effect::ChunkClass {
        slot: fs.meta.chunks(file, ChunkIndex(0), 1).unwrap()[0].slot,
        class,
    };
    fs.ok(Op::SetInodeClass { inodes: vec![file], class: plain });
    assert_eq!(fs.effects, [vec![class_told(&fs, plain)], stages(&fs, file, Stage::default())].concat());
    fs.ok(Op::SetInodeClass { inodes: vec![file], class: ClassId::DEFAULT });
    assert_eq!(
        fs.effects,
        [vec![class_told(&fs, ClassId::DEFAULT)], stages(&fs, file, ARCHIVED)].concat(),
        "old enough at once"
    );
    same_after_a_restart(&fs);
}
