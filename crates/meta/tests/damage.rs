//! Damaged checkpoints: an error or the same state, never a panic.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use codec::Malformed;
use codec::checkpoint::{Piece, Splitter};
use common::{Fs, ROOT, chunk, labels, load};
use meta::LoadError;
use proptest::prelude::*;
use types::{
    ChunkIndex, ClassId, DirCursor, DiskId, HealthCode, Holder, InodeId, Mute, Op, ServerId, StorageClass,
    TaskWork, XattrMode,
};

fn sample() -> Fs {
    let mut fs = Fs::default();
    let (a, b) = (fs.mkdir(ROOT, "a"), fs.mkdir(ROOT, "b"));
    let c = fs.mkdir(a, "c");
    let f = fs.file(c, "f");
    fs.commit(f, 1 << 30, &[chunk(0, 1, 1), chunk(2, 2, 1)]).unwrap();
    fs.link(f, b, "g").unwrap();
    fs.make(b, "s", types::FileKind::Symlink, 0o777);
    fs.ok(Op::SetXattr { inode: f, name: b"user.x".to_vec(), value: vec![1], mode: XattrMode::Set });
    fs.ok(Op::OpenSession { session: types::SessionId(4), name: "x".into() });
    let (_, op) = fs.create_op(b, "h", Fs::node(types::FileKind::File, 0o600));
    fs.asked(4, 1, 1, op).reply.unwrap();
    let (server, disk) = (ServerId([3; 16]), DiskId([4; 16]));
    fs.ok(Op::RegisterServer { server, name: "tiger".into(), address: "10.0.0.1:9422".into() });
    fs.ok(Op::RegisterDisk { server, disk, registrations: 2, path: "/mnt/d1".into() });
    fs.ok(Op::SetLabels { holder: Holder::Disk(disk), labels: labels("ssd site=home") });
    fs.define("default", "2*any");
    let photos = fs.define("photos", "2*ssd");
    fs.ok(Op::SetInodeClass { inodes: vec![a], class: photos });
    let kept = fs.meta.class(photos).unwrap().clone();
    let kept = StorageClass { trash_keep_s: 60, ..kept };
    fs.ok(Op::SetClass { class: photos, definition: Box::new(kept) });
    let deleted = fs.file(c, "deleted");
    fs.ok(Op::SetInodeClass { inodes: vec![deleted], class: photos });
    fs.commit(deleted, 5, &[chunk(0, 3, 1)]).unwrap();
    fs.unlink(c, "deleted").unwrap();
    let code = HealthCode::find("SERVER_DOWN").unwrap();
    fs.ok(Op::SetMute { code, mute: Some(Box::new(Mute { amount: 1, ..Mute::default() })) });
    fs.ok(Op::BeginTask { work: TaskWork::SetClass { root: a, class: photos, from: None } });
    fs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_an_error_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let fs = sample();
        let mut bytes = fs.checkpoint();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(meta) = load(&bytes) {
            prop_assert_eq!(meta.digest(), fs.meta.digest());
        }
    }

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(load(&bytes).is_err());
    }
}

/// Loads the sample after a change to its pieces; all lies, well formed.
fn load_changed(change: impl Fn(&mut Vec<Piece>)) -> LoadError {
    let mut pieces = Vec::new();
    let keep = |piece| {
        pieces.push(piece);
        Ok::<(), Malformed>(())
    };
    Splitter::default().feed(&sample().checkpoint(), keep).unwrap();
    change(&mut pieces);
    let mut bytes = Vec::new();
    pieces.into_iter().for_each(|piece| piece.encode(&mut bytes));
    load(&bytes).unwrap_err()
}

fn in_inodes(change: impl Fn(&mut Vec<codec::checkpoint::Inode>)) -> LoadError {
    load_changed(|pieces| {
        pieces.iter_mut().for_each(|piece| {
            if let Piece::Inodes(inodes) = piece {
                change(inodes);
            }
        });
    })
}

fn in_tables(change: impl Fn(&mut Vec<codec::checkpoint::Table>)) -> LoadError {
    load_changed(|pieces| {
        pieces.iter_mut().for_each(|piece| {
            if let Piece::Tables(tables) = piece {
                change(tables);
            }
        });
    })
}

fn in_chunks(change: impl Fn(&mut Vec<codec::checkpoint::Chunk>)) -> LoadError {
    load_changed(|pieces| {
        pieces.iter_mut().for_each(|piece| {
            if let Piece::Chunks(chunks) = piece {
                change(chunks);
            }
        });
    })
}

#[test]
fn well_formed_lies_are_found() {
    let says = |what| LoadError::Inconsistent { what };
    assert_eq!(in_inodes(|inodes| inodes[1].attributes.links = 7), says("links of a directory"));
    assert_eq!(in_inodes(|inodes| inodes[4].attributes.links = 1), says("links of an inode"));
    assert_eq!(
        in_inodes(|inodes| inodes[4].attributes.inode.id = InodeId(0)),
        says("inode number out of range")
    );
    assert_eq!(in_inodes(|inodes| inodes[1].table = 1), says("entry table of an inode"));
    assert_eq!(in_inodes(|inodes| inodes[2] = inodes[1].clone()), says("an inode comes twice"));
    assert_eq!(in_inodes(|inodes| inodes[4].attributes.mode = 0o600), LoadError::Digest);
    assert_eq!(in_inodes(|inodes| inodes[4].class = ClassId(1)), LoadError::Digest);
    assert_eq!(in_inodes(|inodes| inodes[4].class = ClassId(3)), says("an inode without its class"));
    assert_eq!(in_inodes(|inodes| inodes[0].attributes.length = 3), says("length of an inode"));
    assert_eq!(in_inodes(|inodes| inodes[5].target.push(1)), says("target of an inode"));
    assert_eq!(in_inodes(|inodes| drop(inodes.remove(4))), says("an entry without its inode"));

    assert_eq!(in_tables(|tables| tables[0].refs = 2), says("references to an entry table"));
    assert_eq!(in_tables(|tables| tables[1].id = 1), says("two parts of an entry table disagree"));
    assert_eq!(in_tables(|tables| tables[0].entries[1].cursor = DirCursor(1)), says("cursors of a table"));
    assert_eq!(in_tables(|tables| tables[0].entries[1].name = b"a".to_vec()), says("a name comes twice"));
    assert_eq!(
        in_tables(|tables| tables[0].entries[1].inode = InodeId(2)),
        says("a directory has two names")
    );
    assert_eq!(in_tables(|tables| tables[1].entries[0].inode = InodeId(1)), says("the root has a name"));
    assert_eq!(in_tables(|tables| drop(tables.remove(2))), says("items are missing"));

    assert_eq!(in_chunks(|chunks| chunks[1].index = ChunkIndex(0)), says("two chunks at one place"));
    assert_eq!(in_chunks(|chunks| chunks[1].chunk = chunks[0].chunk), says("a chunk comes twice"));
    assert_eq!(in_chunks(|chunks| chunks[1].owner = InodeId(1)), says("a chunk without its file"));
    assert_eq!(in_chunks(|chunks| chunks[1].refs = 2), says("references to a chunk"));
    assert_eq!(in_chunks(|chunks| chunks[1].index = ChunkIndex(5)), LoadError::Digest);
    assert_eq!(load_changed(|pieces| pieces.swap(1, 2)), says("an entry table without its directory"));
    assert_eq!(load_changed(|pieces| pieces.rotate_left(1)), says("sections are out of order"));
    assert_eq!(
        load_changed(|pieces| {
            if let Piece::Header(header) = &mut pieces[0] {
                header.format_version = codec::checkpoint::FORMAT_VERSION + 1;
            }
        }),
        LoadError::Version { found: 6, known: 5 }
    );
}

#[test]
fn lies_about_classes_servers_and_tasks_are_found() {
    let says = |what| LoadError::Inconsistent { what };
    let in_classes = |change: fn(&mut Vec<codec::checkpoint::Class>)| {
        load_changed(|pieces| {
            pieces.iter_mut().for_each(|piece| {
                if let Piece::Classes(classes) = piece {
                    change(classes);
                }
            });
        })
    };
    assert_eq!(in_classes(|classes| classes[1].class = ClassId(2)), says("id of a class"));
    assert_eq!(in_classes(|classes| classes[1].class = ClassId(0)), says("a class comes twice"));
    assert_eq!(
        in_classes(|classes| classes[1].definition.name = classes[0].definition.name.clone()),
        says("two classes with one name")
    );
    assert_eq!(in_classes(|classes| classes[1].definition.trash_keep_s = 1), LoadError::Digest);
    assert_eq!(in_classes(|classes| drop(classes.pop())), says("a task without its class"));

    let changed = |change: fn(&mut Piece)| load_changed(|pieces| pieces.iter_mut().for_each(change));
    let twice = changed(|piece| {
        if let Piece::Servers(servers) = piece {
            servers.push(servers[0].clone());
        }
    });
    assert_eq!(twice, says("a server comes twice"));
    let later = changed(|piece| {
        if let Piece::Tasks(tasks) = piece {
            tasks[0].task.0 += 1;
        }
    });
    assert_eq!(later, says("id of a task"));
    let relabelled = changed(|piece| {
        if let Piece::Disks(disks) = piece {
            disks[0].labels = labels("hdd");
        }
    });
    assert_eq!(relabelled, LoadError::Digest);
    let muted = |change: fn(&mut Vec<(HealthCode, Mute)>)| {
        load_changed(|pieces| {
            pieces.iter_mut().for_each(|piece| {
                if let Piece::Mutes(mutes) = piece {
                    change(mutes);
                }
            });
        })
    };
    assert_eq!(muted(|mutes| mutes.push(mutes[0].clone())), says("a mute comes twice"));
    assert_eq!(muted(|mutes| mutes[0].1.amount += 1), LoadError::Digest);
    let given = changed(|piece| {
        if let Piece::Header(header) = piece {
            header.classes_given += 1;
        }
    });
    assert_eq!(given, LoadError::Digest);
}

#[test]
fn lies_about_deleted_files_are_found() {
    let says = |what| LoadError::Inconsistent { what };
    let in_trash = |change: fn(&mut Vec<codec::checkpoint::Trashed>)| {
        load_changed(|pieces| {
            pieces.iter_mut().for_each(|piece| {
                if let Piece::Trash(trash) = piece {
                    change(trash);
                }
            });
        })
    };
    assert_eq!(in_trash(|trash| trash[0].path.push(b'x')), LoadError::Digest);
    assert_eq!(in_trash(|trash| trash[0].until = trash[0].deleted), LoadError::Digest);
    assert_eq!(in_trash(|trash| drop(trash.pop())), LoadError::Digest, "it would be an orphan");
    assert_eq!(in_trash(|trash| trash.push(trash[0].clone())), says("a deleted file comes twice"));
    assert_eq!(in_trash(|trash| trash[0].path.clear()), says("path of a deleted file"));
    assert_eq!(in_trash(|trash| trash[0].path = vec![b'x'; 1 << 15]), says("path of a deleted file"));
    for named in [1, 5, 99] {
        let lie = load_changed(|pieces| {
            pieces.iter_mut().for_each(|piece| {
                if let Piece::Trash(trash) = piece {
                    trash[0].inode = InodeId(named);
                }
            });
        });
        assert_eq!(lie, says("something in the trash that is no deleted file"));
    }
    assert_eq!(in_inodes(|inodes| inodes[4].archived = true), LoadError::Digest);
    assert_eq!(in_inodes(|inodes| inodes[0].archived = true), says("something archived that is no file"));
}

#[test]
fn directories_in_a_loop_are_found() {
    // `a` hangs below its own child `c`; links and counts agree.
    let error = load_changed(|pieces| {
        for piece in pieces {
            match piece {
                Piece::Inodes(inodes) => {
                    inodes[0].attributes.links = 3;
                    inodes[3].attributes.links = 3;
                }
                Piece::Tables(tables) => {
                    let entry = tables[0].entries.remove(0);
                    tables[3].cursor_last = 9;
                    tables[3].entries.push(codec::checkpoint::Entry { cursor: DirCursor(9), ..entry });
                }
                _ => {}
            }
        }
    });
    assert_eq!(error, LoadError::Inconsistent { what: "directories form a loop" });
}
