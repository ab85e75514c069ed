//! Deleted files that are kept: shown, brought back, purged, and gone in the end.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod helper;

use codec::admin::{Change, Changed, RestoreWish, TrashEntry, TrashQuery, TrashStatus, Unrestored};
use helper::{Client, World, create, eventually, name, run, two_servers, written};
use master::MasterHandle;
use std::time::Duration;
use types::*;

/// `default` keeps deleted files for so long.
async fn keep(master: &MasterHandle, trash_keep_s: u64) {
    let classes = master.admin().classes().await.unwrap();
    let before = classes.into_iter().find(|one| one.id == ClassId::DEFAULT).unwrap().class;
    let class = Box::new(StorageClass { trash_keep_s, ..before.clone() });
    let change = Change::PutClass { before: Some(Box::new(before)), class, allow_unsatisfiable: true };
    master.admin().change(change).await.unwrap();
}

async fn trash(master: &MasterHandle) -> Vec<TrashEntry> {
    let page = master.admin().trash(TrashQuery::default()).await.unwrap();
    assert!(page.end);
    page.entries
}

async fn paths(master: &MasterHandle) -> Vec<String> {
    trash(master).await.into_iter().map(|one| String::from_utf8(one.path).unwrap()).collect()
}

async fn status(master: &MasterHandle) -> TrashStatus {
    master.admin().status().await.unwrap().trash
}

/// Why files are not restored to these paths.
async fn restore(master: &MasterHandle, wishes: &[(InodeRef, &str)], overwrite: bool) -> Vec<(u32, Status)> {
    let wish =
        |(inode, path): &(InodeRef, &str)| RestoreWish { inode: *inode, path: path.as_bytes().to_vec() };
    let wishes = wishes.iter().map(wish).collect();
    match master.admin().change(Change::RestoreTrash { wishes, overwrite }).await.unwrap() {
        Changed::Restored(refused) => {
            refused.iter().map(|Unrestored { wish, status }| (*wish, *status)).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn purge(master: &MasterHandle, inodes: Vec<InodeRef>) -> u64 {
    match master.admin().change(Change::PurgeTrash(inodes)).await.unwrap() {
        Changed::Inodes(count) => count,
        other => panic!("{other:?}"),
    }
}

async fn file_in(client: &mut Client, dir: InodeRef, text: &str) -> InodeRef {
    client.entry(create(dir, text, FileKind::File, false)).await.unwrap().attributes.inode
}

async fn remove(client: &mut Client, parent: InodeRef, text: &str) {
    let lookup = Request::Lookup { parent, name: name(text) };
    let unused = vec![client.entry(lookup).await.unwrap().attributes.inode.id];
    client.ask(Request::Unlink { parent, name: name(text), unused }).await.unwrap();
}

#[test]
fn a_deleted_file_comes_back_with_its_directories_also_after_a_restart() {
    run(async |world: World| {
        let (master, mut servers) = two_servers(&world).await;
        keep(&master, 3_600).await;
        let mut client = world.client("a").await;
        let (kept, grant) = written(&mut client, &mut servers, "kept", 100).await;
        let dir = client.mkdir("dir").await.unwrap();
        let below = client.entry(create(dir, "below", FileKind::Directory, false)).await.unwrap();
        let below = below.attributes.inode;
        let file = file_in(&mut client, below, "file").await;
        client.unlink("kept").await.unwrap();
        remove(&mut client, below, "file").await;
        for (parent, text) in [(dir, "below"), (InodeRef::ROOT, "dir")] {
            client.ask(Request::RemoveDirectory { parent, name: name(text) }).await.unwrap();
        }
        let shown = status(&master).await;
        assert_eq!((shown.files, shown.bytes), (2, 100));
        assert!(shown.next_ms.is_some_and(|ms| ms > 3_590_000 && ms <= 3_600_000), "{shown:?}");
        assert_eq!(master.admin().status().await.unwrap().files, 0, "they are no files any more");
        assert_eq!(client.lookup("kept").await.map(|_| ()), Err(Status::NotFound));

        let master = world.restart(master).await;
        client.connect().await;
        assert_eq!(paths(&master).await, ["/kept", "/dir/below/file"]);
        let wishes = [(kept, "/kept"), (file, "/dir/below/file")];
        assert_eq!(restore(&master, &wishes, false).await, []);
        let back = client.lookup("kept").await.unwrap();
        assert_eq!((back.attributes.inode, back.attributes.length, back.attributes.links), (kept, 100, 1));
        assert_eq!(back.first.unwrap().chunk, grant.capability.chunk);
        let dir = client.lookup("dir").await.unwrap().attributes;
        assert_eq!((dir.kind, dir.mode), (FileKind::Directory, 0o700), "nobody sees more than before");
        assert_eq!(restore(&master, &wishes, false).await, [(0, Status::NotFound), (1, Status::NotFound)]);
        assert_eq!(status(&master).await, TrashStatus::default());
        let master = world.restart(master).await;
        client.connect().await;
        assert_eq!(client.lookup("kept").await.unwrap().attributes.inode, kept);
        drop(master);
    });
}

#[test]
fn what_is_there_is_not_overwritten_unless_somebody_says_so() {
    run(async |world: World| {
        let master = world.start().await;
        keep(&master, 3_600).await;
        let mut client = world.client("a").await;
        let root = client.root().await;
        let old = client.make_file("f").await.attributes.inode;
        client.unlink("f").await.unwrap();
        let new = client.make_file("f").await.attributes.inode;
        client.mkdir("d").await.unwrap();
        let cases = [
            ("/f", Status::Exists),
            ("/d", Status::Exists),
            ("/f/x", Status::NotDirectory),
            ("f2", Status::Invalid),
            ("/", Status::Invalid),
        ];
        for (path, why) in cases {
            assert_eq!(restore(&master, &[(old, path)], false).await, [(0, why)], "{path}");
        }
        assert_eq!(restore(&master, &[(old, "/d")], true).await, [(0, Status::IsDirectory)]);
        assert_eq!(restore(&master, &[(old, "/f")], true).await, []);
        assert_eq!(client.lookup("f").await.unwrap().attributes.inode, old);
        assert_eq!(trash(&master).await[0].attributes.inode, new, "what was there is in the trash now");
        assert_eq!(restore(&master, &[(new, "/g/h")], false).await, []);
        assert_eq!(client.root().await, root);
    });
}

#[test]
fn what_is_kept_no_longer_goes_with_its_chunks() {
    run(async |world: World| {
        let (master, mut servers) = two_servers(&world).await;
        // Less than a chunkserver may be silent.
        keep(&master, 6).await;
        let mut client = world.client("a").await;
        let (first, grant) = written(&mut client, &mut servers, "first", 100).await;
        client.unlink("first").await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        client.make_file("second").await;
        client.unlink("second").await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(
            (status(&master).await.files, master.admin().status().await.unwrap().mapped_chunks),
            (2, 1)
        );
        let admin = master.admin();
        eventually("the first one is gone", || async { admin.status().await.unwrap().mapped_chunks == 0 })
            .await;
        assert_eq!(paths(&master).await, ["/second"]);
        assert_eq!(client.attributes(first).await, Err(Status::Stale));
        for server in &mut servers {
            while server.replicas.contains_key(&grant.capability.chunk) {
                server.serve_one().await;
            }
        }
        let master = world.restart(master).await;
        client.connect().await;
        assert_eq!(paths(&master).await, ["/second"]);
        let admin = master.admin();
        eventually("the second one is gone", || async { admin.status().await.unwrap().trash.files == 0 })
            .await;
    });
}

#[test]
fn a_file_that_somebody_has_open_is_purged_when_it_is_closed() {
    run(async |world: World| {
        let (master, mut servers) = two_servers(&world).await;
        keep(&master, 3_600).await;
        let mut client = world.client("a").await;
        let mut other = world.client("b").await;
        let (file, grant) = written(&mut client, &mut servers, "f", 100).await;
        other.lookup("f").await.unwrap();
        client.unlink("f").await.unwrap();
        assert_eq!(paths(&master).await, ["/f"]);
        assert_eq!(purge(&master, vec![file, InodeRef::ROOT]).await, 1);
        assert_eq!(purge(&master, vec![file]).await, 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = other.commit(file, 120, &grant).await.unwrap();
        assert_eq!((now.length, now.links), (120, 0), "who has it open goes on");
        assert_eq!(restore(&master, &[(file, "/f")], false).await, [(0, Status::NotFound)]);
        let as_of = Sequence(other.sequence);
        other.ask(Request::Forget { inodes: vec![file], as_of }).await.unwrap();
        let admin = master.admin();
        eventually("it is gone", || async { admin.status().await.unwrap().mapped_chunks == 0 }).await;
    });
}

#[test]
fn files_without_number_go_a_few_at_a_time_and_are_listed_in_pages() {
    run(async |world: World| {
        let master = world.start().await;
        keep(&master, 600).await;
        let mut client = world.client("a").await;
        const FILES: u64 = 1_500;
        for number in 0..FILES {
            client.make_file(&format!("f{number}")).await;
            client.unlink(&format!("f{number}")).await.unwrap();
        }
        let first = master.admin().trash(TrashQuery::default()).await.unwrap();
        assert_eq!((first.end, first.entries.len()), (false, codec::admin::TRASH_PAGE_MAX));
        let after = first.entries.last().unwrap().attributes.inode.id;
        let second = master.admin().trash(TrashQuery { after }).await.unwrap();
        assert_eq!((second.end, second.entries.len() as u64), (true, FILES - first.entries.len() as u64));
        let next = status(&master).await.next_ms.unwrap();
        // The simulated clock goes on for all of them at once.
        let master = {
            master.kill().await;
            world.disk.kill();
            tokio::time::sleep(Duration::from_millis(next) + Duration::from_secs(60)).await;
            world.start().await
        };
        let mut left = FILES;
        let mut steps = 0;
        while left > 0 {
            let now = status(&master).await.files;
            assert!(left - now <= 2 * 256, "{left} to {now} between two looks");
            steps += u32::from(now < left);
            left = now;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(steps >= 4, "{steps}");
    });
}
