//! Why chunks are where they are, asked of a master.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod helper;

use codec::admin::{ExplainTarget, Explanation, FileTarget, ObstacleKind, Role, ServerAbsence, Worth};
use helper::{Client, FakeServer, create, eventually, run, two_servers};
use master::MasterHandle;
use types::*;

async fn explain(master: &MasterHandle, target: FileTarget, parent: Option<InodeId>) -> Explanation {
    master.admin().explain(ExplainTarget { target, parent }).await.unwrap()
}

/// A file in a directory with these chunks, each on both servers.
async fn film(client: &mut Client, servers: &mut [FakeServer; 2], dir: InodeRef, chunks: &[u32]) -> InodeRef {
    let inode = client.entry(create(dir, "film", FileKind::File, false)).await.unwrap().attributes.inode;
    for index in chunks {
        let grant = client.grant(inode, *index).await.unwrap();
        for server in &mut *servers {
            server.hold(grant.capability.chunk, grant.capability.version);
        }
        client.commit(inode, u64::from(index + 1) << 26, &grant).await.unwrap();
    }
    inode
}

#[test]
fn chunks_of_which_the_same_is_to_be_said_are_told_once_also_of_a_file_that_takes_several_steps() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let dir = client.mkdir("dir").await.unwrap();
        let indexes: Vec<u32> = (0..100).filter(|index| *index != 70).collect();
        film(&mut client, &mut servers, dir, &indexes).await;
        let told = explain(&master, FileTarget::Path(b"/dir/film".to_vec()), None).await;
        let [group] = &*told.groups else { panic!("{:?}", told.groups) };
        let parts = |first, last| (ChunkIndex(first), ChunkIndex(last));
        assert_eq!(group.ranges, [parts(0, 69), parts(71, 99)], "there is a hole");
        assert_eq!((told.chunks, group.chunks, told.left_out), (99, 99, 0));
        assert_eq!((group.hindrance, group.part.as_str()), (None, "keep"));
        let disks: Vec<&str> = group.places.iter().map(|place| place.disk.as_str()).collect();
        assert!(disks.contains(&"server1:/disks/1") && disks.contains(&"server2:/disks/2"), "{disks:?}");
        assert!(group.replicas.iter().all(|one| (one.worth, one.role) == (Worth::Good, Role::Fits)));

        servers[1].detach();
        eventually("it is away", || async {
            let told = explain(&master, FileTarget::Path(b"/dir/film".to_vec()), None).await;
            let kind = told.groups[0].hindrance.map(|hindrance| hindrance.kind);
            let waits = told.groups[0].hindrance.and_then(|one| one.wait_ms).is_some_and(|ms| ms <= 10_000);
            let away = told.groups[0].replicas.iter().find(|one| one.worth == Worth::Away);
            kind == Some(ObstacleKind::Awaited)
                && waits
                && away.is_some_and(|one| one.disk == "server2:/disks/2" && one.away == ServerAbsence::Away)
        })
        .await;
    });
}

#[test]
fn it_is_said_where_the_class_comes_from() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let outer = client.mkdir("outer").await.unwrap();
        let change = codec::admin::Change::GiveClass {
            target: FileTarget::Path(b"/outer".to_vec()),
            class: ClassName::new("single").unwrap(),
            from: None,
            recursive: false,
        };
        master.admin().change(change).await.unwrap();
        let create_inner = create(outer, "inner", FileKind::Directory, false);
        let inner = client.entry(create_inner).await.unwrap().attributes.inode;
        let file = film(&mut client, &mut servers, inner, &[]).await;
        let of = async |target, parent| {
            let told = explain(&master, target, parent).await;
            (told.class, told.levels, told.above)
        };
        let single = |levels| ("single".to_owned(), levels, "default".to_owned());
        assert_eq!(of(FileTarget::Path(b"/outer/inner/film".to_vec()), None).await, single(2));
        assert_eq!(of(FileTarget::Inode(file.id), Some(inner.id)).await, single(2));
        assert_eq!(of(FileTarget::Inode(outer.id), None).await, single(0));
        // Nobody said where it lies.
        assert_eq!(of(FileTarget::Inode(file.id), None).await, ("single".to_owned(), 0, String::new()));
        assert_eq!(of(FileTarget::Path(b"/".to_vec()), None).await, ("default".to_owned(), 0, String::new()));
        let none = ExplainTarget { target: FileTarget::Path(b"/outer/none".to_vec()), parent: None };
        let refused = master.admin().explain(none).await;
        assert_eq!(refused, Err(rpc::admin::AdminError::Refused(Status::NotFound)));
    });
}
