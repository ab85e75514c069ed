//! What survives: kills, loss of power, damaged files, repeats.

mod helper;

use codec::admin::Severity;
use env::{Effort, Fault};
use helper::{create, run};
use master::{Ack, Fatal, StartError};
use types::*;

#[test]
fn acknowledged_operations_survive_a_kill() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        for number in 0..300 {
            client.mkdir(&format!("d{number}")).await.unwrap();
        }
        let master = world.restart(master).await;
        assert_eq!(master.term(), Term(2));
        client.connect().await;
        for number in 0..300 {
            client.lookup(&format!("d{number}")).await.unwrap();
        }
    });
}

#[test]
fn a_first_start_that_was_stopped_while_its_log_was_made_is_done_again() {
    run(async |world| {
        world.disk.set_capacity(200 << 10);
        let error = world.try_start(world.config()).await.err().unwrap();
        assert!(matches!(error, StartError::Io { .. }), "{error}");
        world.disk.power_cut();
        world.disk.set_capacity(1 << 30);
        let _master = world.start().await;
        world.client("a").await.mkdir("d").await.unwrap();
    });
}

#[test]
fn a_barrier_keeps_everything_before_it_through_a_loss_of_power() {
    for seed in 0..8 {
        run(async |mut world| {
            world.disk = env::SimDisk::new(seed, "power");
            let mut master = world.start().await;
            for round in 0..4 {
                let mut client = world.client("a").await;
                for number in 0..10 {
                    client.mkdir(&format!("d{round}-{number}")).await.unwrap();
                }
                client.ask(Request::Barrier).await.unwrap();
                assert!(client.position.stable >= client.position.applied);
                client.mkdir(&format!("unsure{round}")).await.unwrap();
                master = world.cut_power(master).await;
                client.connect().await;
                for earlier in 0..=round {
                    for number in 0..10 {
                        client.lookup(&format!("d{earlier}-{number}")).await.unwrap();
                    }
                }
            }
        });
    }
}

#[test]
fn with_ack_stable_every_operation_waits_for_the_disk() {
    run(async |world| {
        let master = world.start_with(|config| config.ack = Ack::Stable).await;
        let mut client = world.client("a").await;
        for number in 0..20 {
            client.mkdir(&format!("d{number}")).await.unwrap();
            assert!(client.position.stable >= client.position.applied);
        }
        let _master = world.cut_power(master).await;
        assert!(!client.connect().await.lost_tail);
        for number in 0..20 {
            client.lookup(&format!("d{number}")).await.unwrap();
        }
    });
}

#[test]
fn an_unsynced_operation_is_synced_soon_although_nobody_waits() {
    run(async |world| {
        let _master = world.start().await;
        let mut client = world.client("a").await;
        client.mkdir("d").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        client.lookup("d").await.unwrap();
        assert_eq!(client.position.stable, client.position.applied);
    });
}

#[test]
fn a_repeated_request_takes_effect_once_also_after_a_restart() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        let root = client.root().await;
        client.sequence += 1;
        let sequence = client.sequence;
        let request = create(root, "d", FileKind::Directory, false);
        let Ok(Reply::Entry(first)) = client.ask_as(sequence, request.clone()).await else { panic!() };
        assert!(first.created);
        let again = client.ask_as(sequence, request.clone()).await;
        assert_eq!(again, Ok(Reply::Entry(first.clone())));
        let _master = world.restart(master).await;
        client.connect().await;
        assert_eq!(client.ask_as(sequence, request.clone()).await, Ok(Reply::Entry(first)));
        assert_eq!(client.ask(request).await, Err(Status::Exists), "a new number is a new request");
        let old = client.ask_as(sequence - 1, create(root, "late", FileKind::Directory, false)).await;
        assert_eq!(old, Err(Status::BadMessage), "what was answered is not done again");
    });
}

#[test]
fn a_checkpoint_has_the_digest_of_the_live_state_and_recovery_uses_it() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        for number in 0..50 {
            client.mkdir(&format!("d{number}")).await.unwrap();
        }
        let first = master.checkpoint().await.unwrap();
        client.mkdir("after").await.unwrap();
        let master = world.restart(master).await;
        client.connect().await;
        client.lookup("d49").await.unwrap();
        client.lookup("after").await.unwrap();
        let second = master.checkpoint().await.unwrap();
        assert!(second.index > first.index);
        let master = world.restart(master).await;
        client.connect().await;
        client.lookup("after").await.unwrap();
        let status = master.admin().status().await.unwrap();
        assert!(
            status.warnings.iter().all(|warning| warning.code == "SERVER_DOWN"),
            "there is none: {status:?}"
        );
    });
}

#[test]
fn checkpoints_are_built_by_themselves_after_enough_records() {
    run(async |world| {
        let master = world.start_with(|config| config.checkpoint_every_records = 100).await;
        let mut client = world.client("a").await;
        for number in 0..250 {
            client.mkdir(&format!("d{number}")).await.unwrap();
        }
        let admin = master.admin();
        helper::eventually("a checkpoint is complete", || async {
            admin.status().await.unwrap().checkpoint_age_ms.is_some()
        })
        .await;
        assert!(world.files("checkpoints") >= 2);
        let _master = world.restart(master).await;
        client.connect().await;
        client.lookup("d249").await.unwrap();
    });
}

#[test]
fn a_damaged_newest_checkpoint_is_passed_over_and_the_operator_is_told() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        client.mkdir("one").await.unwrap();
        master.checkpoint().await.unwrap();
        client.mkdir("two").await.unwrap();
        let newest = master.checkpoint().await.unwrap();
        client.mkdir("three").await.unwrap();
        master.kill().await;
        world.disk.kill();
        let file = world.newest_file("checkpoints");
        world.disk.flip_bit(&file, 200, 3).unwrap();
        let master = world.start().await;
        client.connect().await;
        for name in ["one", "two", "three"] {
            client.lookup(name).await.unwrap();
        }
        let status = master.admin().status().await.unwrap();
        let warning = status.warnings.iter().find(|w| w.code == "CHECKPOINT_DAMAGED").unwrap();
        assert_eq!(warning.severity, Severity::Warning);
        assert!(newest.index < status.position.applied);
    });
}

#[test]
fn metadata_that_vanished_is_refused_and_not_begun_anew() {
    run(async |world| {
        let master = world.start().await;
        world.client("a").await.mkdir("d").await.unwrap();
        master.kill().await;
        world.disk.kill();
        world.disk.dir().remove_dir_all("log").unwrap();
        let error = world.try_start(world.config()).await.err().unwrap();
        assert!(matches!(error, StartError::Damaged { .. }), "{error}");
    });
}

#[test]
fn a_second_master_on_one_directory_is_refused() {
    run(async |world| {
        let _master = world.start().await;
        let mut config = world.config();
        config.listen = "master:9999".into();
        let error = world.try_start(config).await.err().unwrap();
        assert!(matches!(error, StartError::Locked { .. }), "{error}");
    });
}

#[test]
fn after_a_failed_write_of_the_log_nothing_is_answered() {
    run(async |world| {
        let mut master = world.start().await;
        let mut client = world.client("a").await;
        client.mkdir("before").await.unwrap();
        let root = client.root().await;
        world.disk.inject(Fault { path: "log".into(), effort: Effort::Write, skip: 0, count: u64::MAX });
        let answer = client.try_ask(client.sequence + 1, create(root, "d", FileKind::Directory, false)).await;
        assert!(answer.is_err(), "{answer:?}");
        assert!(matches!(master.ended().await, Fatal::Log { .. }));
    });
}

#[test]
fn after_a_failed_sync_a_barrier_is_not_answered() {
    run(async |world| {
        let mut master = world.start().await;
        let mut client = world.client("a").await;
        world.disk.inject(Fault { path: "log".into(), effort: Effort::Sync, skip: 0, count: 1 });
        client.mkdir("d").await.unwrap();
        assert!(client.try_ask(client.sequence + 1, Request::Barrier).await.is_err());
        assert!(matches!(master.ended().await, Fatal::Log { .. }));
    });
}

#[test]
fn a_client_learns_of_a_lost_tail_also_when_the_log_has_grown_past_it() {
    run(async |mut world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        client.mkdir("kept").await.unwrap();
        client.ask(Request::Barrier).await.unwrap();
        let earlier = world.disk.fork();
        client.mkdir("lost").await.unwrap();
        client.disconnect();
        master.kill().await;
        world.disk = earlier;
        let _master = world.start().await;
        let mut other = world.client("b").await;
        for number in 0..10 {
            other.mkdir(&format!("new{number}")).await.unwrap();
        }
        let session = client.session;
        let opened = client.connect().await;
        assert!(opened.lost_tail);
        assert_eq!(Some(opened.session), session, "the session itself was stable");
        assert_eq!(client.lookup("lost").await.err(), Some(Status::NotFound));
        client.lookup("kept").await.unwrap();
        client.disconnect();
        assert!(!client.connect().await.lost_tail, "it is told once");
    });
}

#[test]
fn a_stopped_master_has_everything_stable() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        client.mkdir("d").await.unwrap();
        master.shutdown().await.unwrap();
        world.disk.power_cut();
        let _master = world.start().await;
        client.connect().await;
        client.lookup("d").await.unwrap();
    });
}

#[test]
fn on_a_full_disk_changes_are_refused_reads_go_on_and_room_is_used_at_once() {
    run(async |world| {
        let master = world.start().await;
        let mut client = world.client("a").await;
        let file = client.make_file("f").await.attributes.inode;
        // The segment in use and the next one; no room for a checkpoint.
        world.disk.set_capacity((16 << 20) + (300 << 10));
        let stored = helper::fill_log(&mut client).await;
        assert!(stored > 200, "{stored}");
        let full = |status: &codec::admin::ClusterStatus| {
            status.warnings.iter().any(|warning| warning.code == "LOG_FULL")
        };
        assert!(full(&master.admin().status().await.unwrap()));
        // A sync of what nobody wrote needs no room; one of what was written tells that there is none.
        let sync = |modified| Request::Commit {
            inode: file,
            truncate_generation: types::TruncateGeneration(0),
            length: 0,
            modified,
            accessed: None,
            chunks: Vec::new(),
            clear_privileges: false,
            durable: true,
        };
        client.ask(sync(None)).await.unwrap();
        let written = client.ask(sync(Some(types::Timestamp::default()))).await;
        assert_eq!(written.map(drop), Err(types::Status::NoSpace));
        // Reads, new sessions and chunkservers that register go on.
        client.lookup("f").await.unwrap();
        let mut other = world.client("b").await;
        assert_eq!(other.lookup("f").await.unwrap().attributes.inode, file);
        let mut server = helper::FakeServer::new(1);
        server.register(&master).await;
        helper::servers_up(&master, 1).await;
        world.disk.set_capacity(1 << 30);
        helper::eventually("the warning is gone", || async {
            !full(&master.admin().status().await.unwrap())
        })
        .await;
        client.mkdir("d").await.unwrap();
        let master = world.cut_power(master).await;
        client.connect().await;
        client.lookup("f").await.unwrap();
        drop(master);
    });
}

#[test]
fn a_full_disk_gets_room_by_a_checkpoint_that_gives_back_old_segments() {
    run(async |world| {
        let _master = world.start().await;
        let mut client = world.client("a").await;
        let file = client.make_file("f").await.attributes.inode;
        world.disk.set_capacity(18 << 20);
        let xattr = |number: u32| Request::SetXattr {
            inode: file,
            name: b"user.n".to_vec(),
            value: vec![number as u8; 60_000],
            mode: XattrMode::Set,
        };
        let mut stored = 0;
        while client.ask(xattr(stored)).await.is_ok() {
            stored += 1;
        }
        helper::eventually("there is room", || {
            let (world, again) = (world.clone(), xattr(stored));
            async move { world.client("b").await.ask(again).await.is_ok() }
        })
        .await;
    });
}
