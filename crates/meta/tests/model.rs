//! Random operations against a plain tree that knows nothing of slots, cursors or digests.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "model/tree.rs"]
mod tree;

use common::{Fs, ROOT, chunk_id, load, name, version_of};
use meta::{ClassUse, Cut, Meta};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tree::{ARCHIVE_AFTER_S, TRASH_KEEP_S, Tree};
use types::{
    AgeBy, Archive, AttributeChanges, CHUNK_BYTES, Caller, ChunkIndex, ClassId, DirCursor, DirtyChunk,
    Expression, FileKind, Generation, InodeId, InodeRef, Op, Origin, RaisedChunk, RenameMode, Reply,
    Sequence, SessionId, Stage, StorageClass, TruncateGeneration, XattrMode,
};

/// Numbers from which an operation is made, once it is known what exists.
type Seed = (u8, u8, u8, u8, u8, u8);

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const KINDS: [FileKind; 6] = [
    FileKind::File,
    FileKind::Directory,
    FileKind::Directory,
    FileKind::File,
    FileKind::Symlink,
    FileKind::CharDevice,
];

fn is_directory(kind: FileKind) -> bool {
    kind == FileKind::Directory
}

struct Maker<'a> {
    fs: &'a mut Fs,
    tree: &'a Tree,
    next_chunk: &'a mut u64,
}

impl Maker<'_> {
    /// Mostly an inode that exists and is of the wanted kind, now and then any number.
    fn inode(&self, pick: u8, wanted: impl Fn(FileKind) -> bool) -> InodeRef {
        let mut ids: Vec<u64> = self.tree.nodes.keys().copied().collect();
        if !pick.is_multiple_of(16) {
            ids.retain(|id| wanted(self.tree.nodes[id].kind));
        } else if pick.is_multiple_of(32) {
            ids.push(self.fs.next_inode.saturating_sub(2));
        }
        let id = if ids.is_empty() { 1 } else { ids[usize::from(pick) % ids.len()] };
        InodeRef { id: InodeId(id), generation: Generation(1 + u32::from(pick == 255)) }
    }

    /// Mostly a name that is there.
    fn entry(&self, dir: InodeRef, pick: u8) -> types::Name {
        let names: Vec<&String> =
            self.tree.nodes.get(&dir.id.0).into_iter().flat_map(|n| n.entries.keys()).collect();
        if names.is_empty() || pick.is_multiple_of(8) {
            return name(NAMES[usize::from(pick / 8) % 6]);
        }
        name(names[usize::from(pick) % names.len()])
    }

    /// A file of the trash, if there is one.
    fn trashed(&self, pick: u8) -> Option<InodeRef> {
        let trash = self.fs.meta.trash_after(InodeId(0), 100);
        trash.get(usize::from(pick) % trash.len().max(1)).map(|entry| entry.attributes.inode)
    }

    fn raised(&self, inode: InodeRef, cut: Cut, lie: bool) -> Vec<RaisedChunk> {
        let edges = self.fs.meta.cut_boundaries(inode, cut).unwrap_or_default();
        let raise = |edge: meta::Boundary| RaisedChunk {
            index: edge.view.index,
            chunk: edge.view.chunk,
            version: version_of(edge.view.version.counter + 1),
        };
        edges.into_iter().map(raise).skip(usize::from(lie)).collect()
    }

    fn dirty(&mut self, inode: InodeRef, index: u32, how: u8) -> DirtyChunk {
        let known = self.fs.meta.chunk_at(inode, ChunkIndex(index)).ok().flatten();
        match known {
            Some(view) if !how.is_multiple_of(8) => DirtyChunk {
                index: ChunkIndex(index),
                chunk: view.chunk,
                version: version_of((view.version.counter + u32::from(how % 3)).saturating_sub(1)),
            },
            _ if how % 16 == 1 => common::chunk(index, 1, 1),
            _ => {
                *self.next_chunk += 1;
                common::chunk(index, *self.next_chunk, 1)
            }
        }
    }

    fn make(&mut self, (what, a, b, c, d, e): Seed) -> Op {
        let (dir, to) = (self.inode(a, is_directory), self.inode(b, is_directory));
        let (file, any) = (self.inode(a, |kind| kind == FileKind::File), self.inode(a, |_| true));
        let (old, new) = (self.entry(dir, c), name(NAMES[usize::from(d) % 6]));
        let keep = e % 2 == 0;
        match what % 41 {
            0..=8 => {
                let mut node = Fs::node(KINDS[usize::from(e) % 6], u16::from(b) << 4);
                node.device = u32::from(e) * u32::from(node.kind == FileKind::CharDevice);
                let (_, op) = self.fs.create_op(dir, NAMES[usize::from(c) % 6], node);
                let Op::Create { parent, name, inode, node, .. } = op else { unreachable!("a create") };
                Op::Create { parent, name, inode, node, exclusive: d % 2 == 0 }
            }
            9..=10 => {
                Op::Link { inode: self.inode(a, |kind| kind != FileKind::Directory), parent: to, name: new }
            }
            11..=12 => Op::Unlink { parent: dir, name: old, keep },
            13 => Op::RemoveDirectory { parent: dir, name: old },
            14..=19 => {
                let mode = [RenameMode::Replace, RenameMode::NoReplace, RenameMode::Exchange]
                    [[0, 0, 0, 1, 2, 2][usize::from(e) % 6]];
                Op::Rename { from: dir, from_name: old, to, to_name: new, mode, keep }
            }
            20..=21 => {
                let changes = AttributeChanges {
                    mode: (c % 2 == 0).then_some(u16::from(d) << 4 | 0o5),
                    uid: (c % 3 == 0).then_some(u32::from(d % 3)),
                    gid: (c % 5 == 0).then_some(u32::from(e % 3)),
                    clear_privileges: c % 7 == 0,
                    ..Default::default()
                };
                Op::SetAttributes { inode: any, changes, caller: Caller { uid: 1, gid: 20, groups: vec![2] } }
            }
            22..=25 => {
                let chunks: Vec<_> =
                    (0..d % 4).map(|n| self.dirty(file, u32::from(c % 4 + n), e.wrapping_add(n))).collect();
                let mut op = self.fs.commit_op(file, u64::from(c) * (CHUNK_BYTES / 40), &chunks);
                if let Op::Commit { truncate_generation, .. } = &mut op
                    && e % 5 == 0
                {
                    *truncate_generation = TruncateGeneration(u32::from(d % 4));
                }
                op
            }
            26..=27 => {
                let length = u64::from(c) * (CHUNK_BYTES / 48);
                let boundary = self.raised(file, Cut::Length(length), e % 8 == 0).pop();
                Op::SetLength { inode: file, length, clear_privileges: keep, boundary }
            }
            28 => {
                let (offset, length) = (u64::from(c) * (CHUNK_BYTES / 64), u64::from(d) * (CHUNK_BYTES / 64));
                let boundaries = self.raised(file, Cut::Range { offset, length }, e % 8 == 0);
                Op::Punch { inode: file, offset, length, boundaries }
            }
            29 => {
                let mode = [XattrMode::Set, XattrMode::Create, XattrMode::Replace][usize::from(d) % 3];
                let key = [&b"user.a"[..], b"trusted.a", b"security.capability"][usize::from(c) % 3];
                Op::SetXattr { inode: any, name: key.to_vec(), value: vec![e; 3], mode }
            }
            30 => {
                let key = [&b"user.a"[..], b"trusted.a", b"security.capability"][usize::from(c) % 3];
                Op::RemoveXattr { inode: any, name: key.to_vec() }
            }
            31..=32 => Op::SetInodeClass {
                inodes: vec![any, self.inode(b, |_| true)],
                class: ClassId(u16::from(c) % 3),
            },
            33..=34 => Op::Archive { inodes: vec![file, self.inode(b, |kind| kind == FileKind::File)] },
            35..=36 => {
                let inode = self.trashed(b).unwrap_or(any);
                Op::RestoreTrash {
                    inode,
                    parent: dir,
                    name: if c % 3 == 0 { old } else { new },
                    replace: d % 2 == 0,
                    keep,
                }
            }
            37 => Op::PurgeTrash { inodes: self.trashed(b).into_iter().chain([any]).collect() },
            38 => Op::PurgeTrash { inodes: self.fs.meta.trash_due(self.fs.now(), 2) },
            39 => Op::ForfeitAppends { inode: if e % 4 == 0 { any } else { file } },
            _ => Op::Reap { inodes: self.fs.meta.orphans().into_iter().take(1).chain([any]).collect() },
        }
    }
}

/// Everything a client can see of an inode and below, against the model.
fn compare(meta: &Meta, tree: &Tree) {
    assert_eq!(meta.counts().inodes as usize, tree.nodes.len());
    let trash: Vec<_> = meta
        .trash_after(InodeId(0), 1_000)
        .into_iter()
        .map(|one| {
            assert_eq!(one.until, one.deleted.after(TRASH_KEEP_S));
            (one.attributes.inode.id.0, (String::from_utf8(one.path).unwrap(), one.deleted))
        })
        .collect();
    let kept = tree.nodes.iter().filter_map(|(id, node)| Some((*id, node.trashed.clone()?)));
    assert_eq!(trash, kept.collect::<Vec<_>>());
    assert_eq!(meta.trash_use().files as usize, trash.len());
    let aging: BTreeMap<_, _> = meta.aging_from(0, u32::MAX).0.into_iter().collect();
    for (class, _) in meta.classes() {
        let having = tree.nodes.values().filter(|node| node.class == class.0);
        let files = having.clone().filter(|node| node.kind == FileKind::File);
        let (inodes, bytes) = (having.count() as u64, files.map(|node| node.size).sum());
        assert_eq!(meta.class_use(class), ClassUse { inodes, bytes });
    }
    for (id, node) in &tree.nodes {
        let inode = InodeRef { id: InodeId(*id), generation: Generation(1) };
        let stat = meta.attributes(inode).expect("the model has it");
        assert_eq!((stat.kind, stat.mode), (node.kind, node.mode));
        assert_eq!(meta.class_of(inode), Ok(ClassId(node.class)));
        assert_eq!((stat.owner.uid, stat.owner.gid), (node.uid, node.gid));
        assert_eq!(stat.links, tree.links(*id), "links of {id}");
        assert_eq!(stat.length, node.length());
        assert_eq!((stat.modified, stat.changed), (node.modified, node.changed), "times of {id}");
        assert_eq!(stat.truncate_generation.0, node.truncations);
        let names: Vec<_> = meta
            .xattrs(inode)
            .unwrap()
            .into_iter()
            .map(|n| (n.clone(), meta.xattr(inode, &n).unwrap()))
            .collect();
        assert_eq!(names, node.xattrs.clone().into_iter().collect::<Vec<_>>());
        assert_eq!(meta.archive_due(inode), tree.due(*id), "age of {id}");
        assert_eq!(aging.get(&inode).copied(), tree.due(*id));
        if node.kind == FileKind::File {
            let stage = Stage { archived: node.archived, trashed: node.trashed.is_some() };
            for view in meta.chunks(inode, ChunkIndex(0), u32::MAX).unwrap() {
                assert_eq!(meta.owner_of(view.slot).unwrap().1.stage, stage);
            }
            let chunks = meta.chunks(inode, ChunkIndex(0), u32::MAX).unwrap();
            let map: BTreeMap<_, _> =
                chunks.iter().map(|view| (view.index.0, (view.chunk, view.version.counter))).collect();
            assert_eq!(map, node.chunks);
            assert_eq!(stat.chunks as usize, map.len());
        }
        if node.kind == FileKind::Directory {
            let (entries, _) = meta.read_directory(inode, DirCursor(0), 1 << 20).unwrap();
            assert!(entries.is_sorted_by(|one, other| one.cursor < other.cursor));
            let found: BTreeMap<_, _> =
                entries.iter().map(|entry| (entry.name.to_string(), entry.attributes.inode.id.0)).collect();
            assert_eq!(found, node.entries);
            let parent = meta.parent_of(inode).unwrap().inode.id.0;
            assert_eq!(parent, tree.parent(*id).unwrap_or(ROOT.id.0));
        }
    }
}

/// An entry that is there before and after an operation has kept its cursor.
fn check_cursors(meta: &Meta, known: &mut BTreeMap<(u64, String), u64>, tree: &Tree) {
    let mut now = BTreeMap::new();
    for (id, node) in &tree.nodes {
        if node.kind == FileKind::Directory {
            let dir = InodeRef { id: InodeId(*id), generation: Generation(1) };
            for entry in meta.read_directory(dir, DirCursor(0), 1 << 20).unwrap().0 {
                now.insert((*id, entry.name.to_string()), entry.cursor.0);
            }
        }
    }
    for (key, cursor) in known.iter() {
        assert!(now.get(key).is_none_or(|same| same == cursor), "{key:?} lost its cursor");
    }
    *known = now;
}

fn run(seeds: Vec<Seed>) {
    let mut fs = Fs::default();
    fs.ok(Op::OpenSession { session: SessionId(1), name: "model".into() });
    for class in ["default", "photos", "music"] {
        fs.define(class, "2*any");
    }
    let archive = Archive {
        to: Expression::new("hdd").unwrap(),
        after_s: ARCHIVE_AFTER_S,
        by: AgeBy::Changed,
        min_size: 0,
        reversible: true,
    };
    let music = common::class("music", "2*any");
    let music = StorageClass { archive: Some(archive), trash_keep_s: TRASH_KEEP_S, ..music };
    fs.ok(Op::SetClass { class: ClassId(2), definition: Box::new(music) });
    let mut tree = Tree::new(&fs.log[0]);
    let (mut next_chunk, mut cursors) = (1, BTreeMap::new());
    let half = seeds.len() / 2;
    let mut middle = None;
    for (step, seed) in seeds.into_iter().enumerate() {
        if step == half {
            middle = Some((fs.checkpoint(), fs.log.len()));
        }
        let op = Maker { fs: &mut fs, tree: &tree, next_chunk: &mut next_chunk }.make(seed);
        let at = fs.now();
        let wanted = tree.apply(&op, at);
        let sequence = Sequence(step as u64 + 1);
        let below = Sequence((step as u64 + 1).saturating_sub(u64::from(seed.5)));
        let origin = Origin { session: SessionId(1), sequence, answered_below: below };
        let outcome = fs.outcome(op.clone(), Some(origin));
        assert_eq!(outcome.reply.clone().map(|_| ()), wanted, "{op:?}");
        if let Ok(Reply::Attributes(attributes)) = &outcome.reply {
            assert_eq!(fs.meta.attributes(attributes.inode), Ok(*attributes));
        }
        if outcome.changed {
            let again = fs.outcome(op, Some(origin));
            assert_eq!((again.reply, again.changed), (outcome.reply, false), "a repeat is answered only");
        }
        assert_eq!(fs.meta.recomputed_digest(), fs.meta.digest());
        check_cursors(&fs.meta, &mut cursors, &tree);
    }
    compare(&fs.meta, &tree);
    assert_eq!(fs.meta.check(), []);
    assert!(fs.meta.find_chunk(chunk_id(next_chunk + 1)).is_none());

    let mut replayed = Meta::new();
    fs.log.iter().for_each(|record| assert!(replayed.apply(record).changed));
    assert_eq!(replayed.digest(), fs.meta.digest());
    let (bytes, from) = middle.unwrap_or_else(|| (fs.checkpoint(), fs.log.len()));
    let mut resumed = load(&bytes).unwrap();
    fs.log[from..].iter().for_each(|record| assert!(resumed.apply(record).changed));
    assert_eq!(resumed.digest(), fs.meta.digest());
    compare(&resumed, &tree);
    assert_eq!(load(&fs.checkpoint()).unwrap().digest(), fs.meta.digest());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_give_what_a_plain_tree_gives(
        seeds in prop::collection::vec(any::<Seed>(), 1..250)
    ) {
        run(seeds);
    }
}
