//! Storage classes, labels, marks and tasks.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use common::{Fs, MIB, ROOT, chunk, class, labels, load};
use meta::{ClassUse, Effect};
use types::{
    CLASSES_MAX, ClassId, DirCursor, DiskId, FileKind, Holder, InodeRef, Labels, Mark, Op, ServerId, Status,
    StorageClass, TASKS_MAX, TaskId, TaskWork,
};

const DEFAULT: ClassId = ClassId::DEFAULT;

/// A cluster with its class `default`.
fn cluster() -> Fs {
    let mut fs = Fs::default();
    assert_eq!(fs.define("default", "2*any"), DEFAULT);
    fs
}

fn set(fs: &mut Fs, id: ClassId, definition: StorageClass) -> Result<(), Status> {
    fs.op(Op::SetClass { class: id, definition: Box::new(definition) }).map(|_| ())
}

fn give(fs: &mut Fs, inode: InodeRef, class: ClassId) {
    fs.ok(Op::SetInodeClass { inodes: vec![inode], class });
}

fn used(fs: &Fs, class: ClassId) -> (u64, u64) {
    let ClassUse { inodes, bytes } = fs.meta.class_use(class);
    (inodes, bytes)
}

#[test]
fn a_class_is_made_changed_and_renamed_under_one_id() {
    let mut fs = cluster();
    let photos = fs.define("photos", "2*ssd");
    assert_eq!((photos, &*fs.effects), (ClassId(1), &[Effect::ClassSet { class: photos }][..]));
    assert_eq!(set(&mut fs, photos, class("photos", "3*ssd")), Ok(()));
    assert_eq!(set(&mut fs, photos, class("pictures", "3*ssd")), Ok(()));
    assert_eq!((fs.meta.find_class("photos"), fs.meta.find_class("pictures")), (None, Some(photos)));
    assert_eq!(fs.meta.class(photos), Some(&class("pictures", "3*ssd")));
    assert_eq!(set(&mut fs, photos, class("pictures", "3*ssd")), Ok(()));
    assert!(!fs.changed, "nothing to do");
    assert_eq!(set(&mut fs, photos, class("default", "3*ssd")), Err(Status::Exists));
    assert_eq!(set(&mut fs, ClassId(3), class("far", "any")), Err(Status::Invalid), "ids have no gap");
    let bad = StorageClass { min_write: Some(0), ..class("bad", "any") };
    assert_eq!(set(&mut fs, ClassId(2), bad), Err(Status::Invalid));
}

#[test]
fn the_default_class_stays_and_keeps_its_name() {
    let mut fs = cluster();
    assert_eq!(set(&mut fs, DEFAULT, class("other", "2*any")), Err(Status::NotPermitted));
    assert_eq!(set(&mut fs, DEFAULT, class("default", "3*any")), Ok(()));
    assert_eq!(fs.refused(Op::DeleteClass { class: DEFAULT }), Status::NotPermitted);
}

#[test]
fn an_id_is_given_once() {
    let mut fs = cluster();
    let gone = fs.define("gone", "any");
    fs.ok(Op::DeleteClass { class: gone });
    assert_eq!(fs.effects, [Effect::ClassGone { class: gone }]);
    assert_eq!(set(&mut fs, gone, class("gone", "any")), Err(Status::NotFound));
    assert_eq!(fs.define("gone", "any"), ClassId(2), "the name is free again");
    assert_eq!(load(&fs.checkpoint()).unwrap().next_class(), Some(ClassId(3)));
    let mut again = meta::Meta::new();
    fs.log.iter().for_each(|record| assert!(again.apply(record).changed));
    assert_eq!((again.digest(), again.next_class()), (fs.meta.digest(), Some(ClassId(3))));
}

#[test]
fn classes_have_a_limit() {
    let mut fs = cluster();
    for number in 1..CLASSES_MAX {
        fs.define(&format!("c{number}"), "any");
    }
    let next = fs.meta.next_class().unwrap();
    assert_eq!(set(&mut fs, next, class("more", "any")), Err(Status::TooBig));
    fs.ok(Op::DeleteClass { class: ClassId(7) });
    assert_eq!(set(&mut fs, next, class("more", "any")), Ok(()));
}

#[test]
fn what_is_made_has_the_class_of_its_directory_and_keeps_it_when_it_moves() {
    let mut fs = cluster();
    let (photos, music) = (fs.define("photos", "2*ssd"), fs.define("music", "hdd"));
    let (p, m) = (fs.mkdir(ROOT, "p"), fs.mkdir(ROOT, "m"));
    give(&mut fs, p, photos);
    give(&mut fs, m, music);
    let file = fs.file(p, "f");
    let below = fs.mkdir(p, "below");
    let link = fs.make(below, "s", FileKind::Symlink, 0o777);
    for inode in [file, below, link] {
        assert_eq!(fs.meta.class_of(inode), Ok(photos));
    }
    fs.rename((p, "f"), (m, "f")).unwrap();
    fs.rename((p, "below"), (m, "below")).unwrap();
    for inode in [file, below, link] {
        assert_eq!(fs.meta.class_of(inode), Ok(photos), "a rename moves no data");
    }
    let later = fs.file(below, "later");
    assert_eq!(fs.meta.class_of(later), Ok(photos));
    fs.commit(file, 100, &[chunk(0, 1, 1)]).unwrap();
    let slot = fs.meta.find_chunk(common::chunk_id(1)).unwrap().0.slot;
    let born =
        Effect::ChunkBorn { slot, chunk: common::chunk_id(1), version: common::version_of(1), class: photos };
    assert_eq!(fs.effects, [born]);
}

#[test]
fn a_change_of_class_is_told_for_each_chunk_and_counts_nothing_else_as_changed() {
    let mut fs = cluster();
    let photos = fs.define("photos", "2*ssd");
    let (one, other) = (fs.file(ROOT, "one"), fs.file(ROOT, "other"));
    fs.commit(one, 200 * MIB, &[chunk(0, 1, 1), chunk(3, 2, 1)]).unwrap();
    let before = fs.stat(one);
    let gone = InodeRef { id: types::InodeId(99), ..one };
    fs.ok(Op::SetInodeClass { inodes: vec![gone, one, other, one], class: photos });
    let slots: Vec<_> =
        fs.meta.chunks(one, types::ChunkIndex(0), 9).unwrap().iter().map(|view| view.slot).collect();
    let told: Vec<_> = slots.iter().map(|slot| Effect::ChunkClass { slot: *slot, class: photos }).collect();
    assert_eq!((fs.effects.clone(), told.len()), (told, 2));
    assert_eq!(fs.stat(one), before, "caches of mounts stay good");
    assert_eq!(fs.meta.owner_of(slots[0]).unwrap().1.class, photos);
    fs.ok(Op::SetInodeClass { inodes: vec![one, gone], class: photos });
    assert!(!fs.changed);
    assert_eq!(fs.refused(Op::SetInodeClass { inodes: vec![one], class: ClassId(9) }), Status::NotFound);
}

#[test]
fn inodes_and_bytes_of_a_class_are_counted() {
    let mut fs = cluster();
    let photos = fs.define("photos", "2*ssd");
    assert_eq!((used(&fs, DEFAULT), used(&fs, photos)), ((1, 0), (0, 0)));
    let dir = fs.mkdir(ROOT, "d");
    give(&mut fs, dir, photos);
    let file = fs.file(dir, "f");
    fs.commit(file, 100, &[]).unwrap();
    fs.link(file, ROOT, "hard").unwrap();
    fs.make(dir, "s", FileKind::Symlink, 0o777);
    assert_eq!((used(&fs, DEFAULT), used(&fs, photos)), ((1, 0), (3, 100)));
    fs.truncate(file, 30, None).unwrap();
    assert_eq!(used(&fs, photos), (3, 30));
    assert_eq!(fs.refused(Op::DeleteClass { class: photos }), Status::Busy);
    give(&mut fs, file, DEFAULT);
    assert_eq!((used(&fs, DEFAULT), used(&fs, photos)), ((2, 30), (2, 0)));
    fs.unlink(dir, "f").unwrap();
    fs.ok(Op::Unlink { parent: ROOT, name: common::name("hard"), keep: true });
    assert_eq!(used(&fs, DEFAULT), (2, 30), "an orphan still has it");
    fs.ok(Op::Reap { inodes: vec![file] });
    assert_eq!(used(&fs, DEFAULT), (1, 0));
    let loaded = load(&fs.checkpoint()).unwrap();
    assert_eq!(loaded.class_use(photos), fs.meta.class_use(photos));
    fs.unlink(dir, "s").unwrap();
    fs.rmdir(ROOT, "d").unwrap();
    fs.ok(Op::DeleteClass { class: photos });
}

#[test]
fn labels_and_marks_belong_to_what_is_known() {
    let mut fs = cluster();
    let (server, disk) = (ServerId([3; 16]), DiskId([4; 16]));
    let (of_server, of_disk) = (Holder::Server(server), Holder::Disk(disk));
    for holder in [of_server, of_disk] {
        let set = Op::SetLabels { holder, labels: labels("ssd") };
        assert_eq!(fs.refused(set), Status::NotFound);
        assert_eq!(fs.refused(Op::SetMark { holder, mark: Mark::None }), Status::NotFound);
        assert_eq!(fs.refused(Op::Forget { holder }), Status::NotFound);
    }
    let name = |fs: &mut Fs, name: &str, address: &str| {
        fs.ok(Op::RegisterServer { server, name: name.into(), address: address.into() });
        fs.changed
    };
    assert!(name(&mut fs, "tiger", "a:1") && !name(&mut fs, "tiger", "a:1"));
    fs.ok(Op::SetLabels { holder: of_server, labels: labels("site=home") });
    assert!(name(&mut fs, "tiger", "b:1"));
    let known = fs.meta.server(server).unwrap();
    assert_eq!((&*known.address, &known.labels), ("b:1", &labels("site=home")), "labels stay");
    fs.ok(Op::RegisterDisk { server, disk, registrations: 1, path: "/d".into() });
    fs.ok(Op::SetLabels { holder: of_disk, labels: labels("ssd fast") });
    assert_eq!(fs.effects, [Effect::Labelled { holder: of_disk }]);
    fs.ok(Op::SetLabels { holder: of_disk, labels: labels("fast ssd") });
    assert!(!fs.changed);
    let mark = Mark::Removing { drain_only: false, with: None };
    fs.ok(Op::SetMark { holder: of_disk, mark });
    assert_eq!(fs.effects, [Effect::Marked { holder: of_disk }]);
    assert_eq!((fs.meta.disk(disk).unwrap().mark, fs.meta.server(server).unwrap().mark), (mark, Mark::None));
    assert_eq!(fs.refused(Op::Forget { holder: of_server }), Status::NotEmpty);
    fs.ok(Op::Forget { holder: of_disk });
    assert_eq!(fs.effects, [Effect::Forgotten { holder: of_disk }]);
    fs.ok(Op::Forget { holder: of_server });
    assert_eq!((fs.meta.disks().count(), fs.meta.servers().count()), (0, 0));
    assert_eq!(fs.meta.recomputed_digest(), fs.meta.digest());
    fs.ok(Op::RegisterDisk { server, disk, registrations: 1, path: "/d".into() });
    assert_eq!(fs.meta.disk(disk).unwrap().labels, Labels::default(), "it is new again");
}

#[test]
fn a_task_lives_until_it_ends_and_holds_its_classes() {
    let mut fs = cluster();
    let (photos, music) = (fs.define("photos", "2*ssd"), fs.define("music", "hdd"));
    let (dir, file) = (fs.mkdir(ROOT, "d"), fs.file(ROOT, "f"));
    let work = |root, class, from| Op::BeginTask { work: TaskWork::SetClass { root, class, from } };
    assert_eq!(fs.refused(work(file, photos, None)), Status::NotDirectory);
    assert_eq!(fs.refused(work(dir, ClassId(9), None)), Status::NotFound);
    assert_eq!(fs.refused(work(dir, photos, Some(ClassId(9)))), Status::NotFound);
    fs.ok(work(dir, photos, Some(music)));
    let task = TaskId(fs.log.len() as u64);
    for class in [photos, music] {
        assert_eq!(fs.refused(Op::DeleteClass { class }), Status::Busy);
    }
    let loaded = load(&fs.checkpoint()).unwrap();
    let kept = TaskWork::SetClass { root: dir, class: photos, from: Some(music) };
    assert_eq!(loaded.tasks().collect::<Vec<_>>(), [(task, &kept)]);
    fs.ok(Op::EndTask { task });
    assert_eq!(fs.refused(Op::EndTask { task }), Status::NotFound);
    fs.ok(Op::DeleteClass { class: music });
    for _ in 0..TASKS_MAX {
        fs.ok(work(dir, photos, None));
    }
    assert_eq!(fs.refused(work(dir, photos, None)), Status::TryAgain);
    assert_eq!(fs.meta.recomputed_digest(), fs.meta.digest());
}

#[test]
fn a_walk_goes_on_where_it_stopped() {
    let mut fs = cluster();
    let dir = fs.mkdir(ROOT, "d");
    for number in 0..10 {
        fs.file(dir, &format!("f{number}"));
    }
    let below = fs.mkdir(dir, "below");
    let file = fs.meta.lookup(dir, &common::name("f1")).unwrap().inode;
    fs.commit(file, 9, &[chunk(0, 1, 1)]).unwrap();
    let mut steps = Vec::new();
    let mut after = DirCursor(0);
    loop {
        let page = fs.meta.steps(dir, after, 4).unwrap();
        let Some(last) = page.last() else { break };
        after = last.cursor;
        steps.extend(page);
    }
    assert_eq!(steps.len(), 11);
    assert_eq!(
        steps.iter().filter(|step| step.directory).map(|step| step.inode).collect::<Vec<_>>(),
        [below]
    );
    assert_eq!(steps.iter().map(|step| step.chunks).sum::<u32>(), 1);
    assert_eq!(fs.meta.steps(file, DirCursor(0), 4), Err(Status::NotDirectory));
    assert!(fs.meta.lies_within(below, dir) && fs.meta.lies_within(dir, dir));
    assert!(!fs.meta.lies_within(dir, below) && !fs.meta.lies_within(file, dir));
}
