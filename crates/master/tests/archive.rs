//! Files that are archived when they did not change for long.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod helper;

use codec::admin::{Change, FileTarget};
use helper::{World, eventually, run, servers_up, two_servers, written};
use master::MasterHandle;
use std::time::Duration;
use types::*;

/// `default` archives files of at least 50 bytes after so long.
async fn archive(master: &MasterHandle, after_s: Option<u64>) {
    let classes = master.admin().classes().await.unwrap();
    let before = classes.into_iter().find(|one| one.id == ClassId::DEFAULT).unwrap().class;
    let archive = after_s.map(|after_s| Archive {
        to: Expression::new("any").unwrap(),
        after_s,
        by: AgeBy::Changed,
        min_size: 50,
        reversible: true,
    });
    let class = Box::new(StorageClass { archive, ..before.clone() });
    let change = Change::PutClass { before: Some(Box::new(before)), class, allow_unsatisfiable: true };
    master.admin().change(change).await.unwrap();
}

/// Whether a file is archived, and how many replicas are wanted of it.
async fn archived(master: &MasterHandle, path: &str) -> (bool, u32) {
    let info = master.admin().file_info(FileTarget::Path(path.into())).await.unwrap();
    (info.stage.archived, info.goal)
}

async fn until_archived(master: &MasterHandle, path: &str) {
    eventually(path, || async { archived(master, path).await == (true, 1) }).await;
}

#[test]
fn a_file_is_archived_when_its_time_has_come_also_after_a_restart_and_a_write_brings_it_back() {
    run(async |world: World| {
        let (master, mut servers) = two_servers(&world).await;
        archive(&master, Some(5)).await;
        let mut client = world.client("a").await;
        let (file, grant) = written(&mut client, &mut servers, "f", 50).await;
        written(&mut client, &mut servers, "short", 49).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(archived(&master, "/f").await, (false, 2));
        client.commit(file, 60, &grant).await.unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(archived(&master, "/f").await, (false, 2), "it changed meanwhile");
        let master = world.restart(master).await;
        client.connect().await;
        for server in &mut servers {
            server.register(&master).await;
        }
        servers_up(&master, 2).await;
        until_archived(&master, "/f").await;
        assert_eq!(archived(&master, "/short").await, (false, 2));

        client.commit(file, 70, &grant).await.unwrap();
        assert_eq!(archived(&master, "/f").await, (false, 2));
        // It changes once more before it is looked at, and is put in again.
        tokio::time::sleep(Duration::from_secs(3)).await;
        client.commit(file, 80, &grant).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(archived(&master, "/f").await, (false, 2));
        until_archived(&master, "/f").await;
        let master = world.restart(master).await;
        assert_eq!(archived(&master, "/f").await, (true, 1), "it is recorded");
        for server in &mut servers {
            server.register(&master).await;
        }
        // Of two replicas the archive wants one.
        let admin = master.admin();
        eventually("the fleet knows too", || async { admin.status().await.unwrap().chunks.overgoal == 1 })
            .await;
    });
}

#[test]
fn a_class_that_gets_an_archive_finds_what_is_old_already() {
    run(async |world: World| {
        let (master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        written(&mut client, &mut servers, "f", 50).await;
        let (gone, _) = written(&mut client, &mut servers, "gone", 50).await;
        archive(&master, Some(3_600)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(archived(&master, "/f").await, (false, 2));
        client.unlink("gone").await.unwrap();
        archive(&master, Some(1)).await;
        until_archived(&master, "/f").await;
        assert!(client.attributes(gone).await.is_err());
        archive(&master, None).await;
        assert_eq!(
            archived(&master, "/f").await,
            (true, 2),
            "it lives where keep says, as there is no archive"
        );
    });
}

#[test]
fn files_without_number_are_archived_a_few_at_a_time() {
    run(async |world: World| {
        let (master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        const FILES: usize = 700;
        for number in 0..FILES {
            written(&mut client, &mut servers, &format!("f{number}"), 50).await;
        }
        archive(&master, Some(0)).await;
        let (mut last, mut steps) = (0, 0);
        while last < FILES {
            let mut now = 0;
            for number in 0..FILES {
                now += usize::from(archived(&master, &format!("/f{number}")).await.0);
            }
            assert!(now - last <= 3 * 256, "{last} to {now}");
            steps += usize::from(now > last);
            last = now;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(steps >= 3, "{steps}");
    });
}
