//! Sessions: resuming, leases, and how long an unlinked file lives.

mod helper;

use helper::{eventually, name, run};
use std::time::Duration;
use types::*;

#[test]
fn a_session_is_resumed_after_its_connection_broke_and_after_a_restart() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        let session = client.session.unwrap();
        client.disconnect();
        assert_eq!(client.connect().await.session, session);
        let master = world.restart(master).await;
        let opened = client.connect().await;
        assert_eq!((opened.session, opened.term), (session, Term(2)));
        assert!(!opened.lost_tail);
        let status = master.admin().status().await.unwrap();
        assert_eq!(status.clients.len(), 1);
        assert!(status.clients[0].connected);
    });
}

#[test]
fn a_session_that_is_silent_for_its_lease_is_closed_and_its_client_gets_a_new_one() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        let session = client.session.unwrap();
        client.disconnect();
        let admin = master.admin();
        eventually("the session ends", || async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            admin.status().await.unwrap().clients.is_empty()
        })
        .await;
        assert_ne!(client.connect().await.session, session);
        client.mkdir("d").await.unwrap();
    });
}

#[test]
fn a_session_that_keeps_alive_stays() {
    run(async |world| {
        let _master = world.start().await;
        let mut client = world.client("a").await;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(30)).await;
            client.ask(Request::KeepAlive).await.unwrap();
        }
    });
}

#[test]
fn a_session_that_said_goodbye_is_gone() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        assert_eq!(client.ask(Request::Goodbye).await, Ok(Reply::Done));
        assert_eq!(client.ask(Request::KeepAlive).await, Err(Status::NoSession));
        let master = world.restart(master).await;
        assert!(master.admin().status().await.unwrap().clients.is_empty());
    });
}

#[test]
fn an_unlinked_file_lives_until_the_session_that_knows_it_forgets_it() {
    run(async |world| {
        let _master = world.start().await;
        let mut user = world.client("user").await;
        let mut remover = world.client("remover").await;
        let inode = user.make_file("f").await.attributes.inode;
        remover.unlink("f").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(user.attributes(inode).await.unwrap().links, 0);
        user.ask(Request::Forget { inodes: vec![inode], as_of: types::Sequence(u64::MAX) }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(user.attributes(inode).await.err(), Some(Status::Stale));
    });
}

#[test]
fn an_unlinked_file_that_only_its_remover_knew_is_gone_at_once() {
    run(async |world| {
        let _master = world.start().await;
        let mut client = world.client("a").await;
        let inode = client.make_file("f").await.attributes.inode;
        client.unlink("f").await.unwrap();
        assert_eq!(client.attributes(inode).await.err(), Some(Status::Stale));
    });
}

#[test]
fn an_unlinked_file_goes_with_the_last_session_that_knew_it() {
    run(async |world| {
        let _master = world.start().await;
        let mut user = world.client("user").await;
        let mut remover = world.client("remover").await;
        let inode = user.make_file("f").await.attributes.inode;
        remover.unlink("f").await.unwrap();
        user.ask(Request::Goodbye).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(remover.attributes(inode).await.err(), Some(Status::Stale));
    });
}

#[test]
fn a_replaced_target_of_rename_lives_while_it_is_known() {
    run(async |world| {
        let _master = world.start().await;
        let mut user = world.client("user").await;
        let mut other = world.client("other").await;
        let target = user.make_file("target").await.attributes.inode;
        other.make_file("new").await;
        let root = other.root().await;
        let request = Request::Rename {
            from: root,
            from_name: name("new"),
            to: root,
            to_name: name("target"),
            mode: RenameMode::Replace,
            unused: Vec::new(),
        };
        other.ask(request).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(user.attributes(target).await.unwrap().links, 0);
    });
}

#[test]
fn after_a_restart_orphans_wait_until_every_session_has_reclaimed() {
    run(async |world| {
        let master = world.start().await;
        let mut user = world.client("user").await;
        let mut remover = world.client("remover").await;
        let kept = user.make_file("kept").await.attributes.inode;
        let dropped = user.make_file("dropped").await.attributes.inode;
        remover.unlink("kept").await.unwrap();
        remover.unlink("dropped").await.unwrap();
        let master = world.restart(master).await;
        // Asked of the operator's side, so that no session comes to know it.
        let dropped_exists = async || {
            let target = codec::admin::FileTarget::Inode(dropped.id);
            master.admin().file_info(target).await.is_ok()
        };
        remover.connect().await;
        remover.ask(Request::Reclaim { inodes: Vec::new(), appending: vec![], last: true }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(dropped_exists().await);
        user.connect().await;
        let answer = user.ask(Request::Reclaim { inodes: vec![kept], appending: vec![], last: true }).await;
        assert_eq!(answer, Ok(Reply::Gone(Vec::new())));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!dropped_exists().await);
        assert_eq!(user.attributes(kept).await.unwrap().links, 0);
        let answer =
            user.ask(Request::Reclaim { inodes: vec![kept, dropped], appending: vec![], last: true }).await;
        assert_eq!(answer, Ok(Reply::Gone(vec![dropped])));
    });
}

#[test]
fn nonsense_is_answered_as_nonsense_and_changes_nothing() {
    run(async |world| {
        let _master = world.start().await;
        let mut client = world.client("a").await;
        assert_eq!(client.ask_as(5000, Request::KeepAlive).await, Ok(Reply::Done));
        let unknown = InodeRef { id: InodeId(999), generation: Generation(1) };
        for request in [
            Request::GetAttributes { inode: unknown },
            Request::Grant { inode: unknown, index: ChunkIndex(0), failed: None },
            Request::SetLength { inode: unknown, length: 5, clear_privileges: false },
            Request::Locate { inode: unknown, first: ChunkIndex(u32::MAX), count: 1024 },
            Request::FileInfo { inode: unknown },
        ] {
            client.sequence = client.sequence.max(5000);
            assert_eq!(client.ask(request).await.err(), Some(Status::Stale));
        }
    });
}
