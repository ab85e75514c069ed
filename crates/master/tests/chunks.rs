//! Chunkservers: registration, grants, edits, deletion.

mod helper;

use codec::control::{Cut, OrderKind, ToServer};
use helper::{FakeServer, create, eventually, run, servers_up, two_servers, written};
use std::time::Duration;
use types::*;

#[test]
fn create_answers_the_grant_of_the_first_chunk_and_commit_puts_it_into_the_map() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let (inode, grant) = written(&mut client, &mut servers, "f", 5).await;
        assert!(grant.fresh);
        assert_eq!(grant.chain.len(), 2);
        assert_eq!(grant.capability.session, client.session.unwrap());
        let found = client.lookup("f").await.unwrap();
        assert_eq!((found.attributes.length, found.attributes.chunks), (5, 1));
        let first = found.first.unwrap();
        assert_eq!((first.chunk, first.replicas.len()), (grant.capability.chunk, 2));
        let Ok(Reply::FileInfo(info)) = client.ask(Request::FileInfo { inode }).await else { panic!() };
        assert_eq!((info.class.as_str(), info.goal, info.chunks.len()), ("default", 2, 1));
    });
}

#[test]
fn two_writers_of_a_fresh_chunk_share_its_chain() {
    run(async |world| {
        let (_master, _servers) = two_servers(&world).await;
        let mut a = world.client("a").await;
        let mut b = world.client("b").await;
        let entry = a.make_file("f").await;
        let theirs = b.grant(entry.attributes.inode, 0).await.unwrap();
        let ours = entry.grant.unwrap();
        assert_eq!((ours.capability.chunk, ours.chain), (theirs.capability.chunk, theirs.chain));
    });
}

#[test]
fn a_chunk_that_nobody_granted_is_not_taken_into_a_map() {
    run(async |world| {
        let (_master, _servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let entry = client.make_file("f").await;
        let mut grant = entry.grant.unwrap();
        grant.capability.chunk = ChunkId(grant.capability.chunk.0 + 77);
        assert_eq!(client.commit(entry.attributes.inode, 5, &grant).await, Err(Status::Io));
    });
}

#[test]
fn without_chunkservers_a_file_is_made_and_a_grant_refused() {
    run(async |world| {
        let _master = world.start().await;
        let mut client = world.client("a").await;
        let entry = client.make_file("f").await;
        assert!(entry.grant.is_none());
        assert!(client.grant(entry.attributes.inode, 0).await.is_err());
    });
}

#[test]
fn after_a_restart_the_first_grant_raises_the_version_into_the_new_term() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let (inode, before) = written(&mut client, &mut servers, "f", 5).await;
        let master = world.restart(master).await;
        for server in &mut servers {
            server.register(&master).await;
        }
        servers_up(&master, 2).await;
        client.connect().await;
        let [one, two] = &mut servers;
        let (grant, (), ()) = tokio::join!(client.grant(inode, 0), one.serve_one(), two.serve_one());
        let grant = grant.unwrap();
        assert!(!grant.fresh);
        assert_eq!(grant.capability.chunk, before.capability.chunk);
        assert_eq!(grant.capability.version.term, Term(2));
        assert!(
            client.position.stable >= client.position.applied,
            "the raise is stable before the grant leaves"
        );
        assert!(matches!(one.orders[0], OrderKind::Raise { .. }));
        let again = client.grant(inode, 0).await.unwrap();
        assert_eq!(again.capability.version, grant.capability.version);
        let _master = world.cut_power(master).await;
        client.connect().await;
        let found = client.lookup("f").await.unwrap();
        assert_eq!(found.first.unwrap().version, grant.capability.version);
    });
}

#[test]
fn truncate_cuts_the_boundary_chunk_on_the_disks_before_it_is_answered() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let (inode, grant) = written(&mut client, &mut servers, "f", 100_000).await;
        let generation = client.attributes(inode).await.unwrap().truncate_generation;
        let [one, two] = &mut servers;
        let request = Request::SetLength { inode, length: 5_000, clear_privileges: false };
        let (answer, (), ()) = tokio::join!(client.ask(request), one.serve_one(), two.serve_one());
        let Ok(Reply::Attributes(after)) = answer else { panic!("{answer:?}") };
        assert_eq!(after.length, 5_000);
        assert!(after.truncate_generation > generation);
        let OrderKind::Raise { chunk, cuts, .. } = &one.orders[0] else { panic!() };
        assert_eq!(*chunk, grant.capability.chunk);
        assert_eq!(cuts[0].from, 5_000);
        assert!(matches!(cuts[0], Cut { to, .. } if u64::from(to) >= 100_000));
        let found = client.lookup("f").await.unwrap();
        assert!(found.first.unwrap().version > grant.capability.version);
    });
}

#[test]
fn edits_and_commits_of_one_file_keep_their_order() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let mut other = world.client("b").await;
        let (inode, grant) = written(&mut client, &mut servers, "f", 100_000).await;
        let [one, two] = &mut servers;
        let truncate = Request::SetLength { inode, length: 10, clear_privileges: false };
        let late_commit = async {
            let now = other.attributes(inode).await.unwrap();
            assert_eq!(now.length, 100_000);
            let answer = other.commit(inode, 200_000, &grant).await;
            answer.unwrap().length
        };
        let orders = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            tokio::join!(one.serve_one(), two.serve_one());
        };
        let (answer, length, ()) = tokio::join!(client.ask(truncate), late_commit, orders);
        answer.unwrap();
        assert_eq!(length, 10, "the commit waited and its truncate generation was old by then");
    });
}

#[test]
fn an_edit_without_any_replica_ends_in_bounded_time() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let (inode, _) = written(&mut client, &mut servers, "f", 100_000).await;
        for server in &mut servers {
            server.detach();
        }
        let request = Request::SetLength { inode, length: 10, clear_privileges: false };
        assert!(client.ask(request).await.is_err());
        assert_eq!(client.attributes(inode).await.unwrap().length, 100_000);
        let gone = Request::SetLength { inode, length: 0, clear_privileges: false };
        client.ask(gone).await.unwrap();
    });
}

#[test]
fn a_truncate_that_a_replica_was_told_of_is_carried_out_although_its_client_gave_up() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let (mut client, mut other) = (world.client("a").await, world.client("b").await);
        let (inode, _) = written(&mut client, &mut servers, "f", 100_000).await;
        let [one, two] = &mut servers;
        let silent = async {
            let never = async {
                tokio::join!(
                    async {
                        loop {
                            one.take_order().await;
                        }
                    },
                    async {
                        loop {
                            two.take_order().await;
                        }
                    }
                )
            };
            tokio::time::timeout(Duration::from_secs(25), never).await.is_err()
        };
        tokio::select! {
            biased;
            answer = client.ask(Request::SetLength { inode, length: 10, clear_privileges: false }) => {
                panic!("answered, although a replica may have cut already: {answer:?}")
            }
            waited = silent => assert!(waited),
        }
        let serve = async {
            tokio::join!(
                async {
                    loop {
                        one.serve_one().await;
                    }
                },
                async {
                    loop {
                        two.serve_one().await;
                    }
                }
            )
        };
        let cut = async {
            while other.attributes(inode).await.unwrap().length != 10 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            biased;
            () = cut => {}
            _ = serve => unreachable!("servers serve for ever"),
        }
    });
}

#[test]
fn a_truncate_that_replicas_refuse_at_once_is_repeated_at_growing_pauses() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let (inode, _) = written(&mut client, &mut servers, "f", 100_000).await;
        servers.iter_mut().for_each(|server| server.refuses = Some(Status::Io));
        let [one, two] = &mut servers;
        let answer = client.ask(Request::SetLength { inode, length: 10, clear_privileges: false });
        tokio::pin!(answer);
        let refused = async {
            loop {
                tokio::join!(one.serve_one(), two.serve_one());
            }
        };
        tokio::select! {
            biased;
            answer = &mut answer => panic!("nothing was cut: {answer:?}"),
            refused = tokio::time::timeout(Duration::from_secs(20), refused) => assert!(refused.is_err()),
        }
        assert!((5..30).contains(&one.orders.len()), "{} orders in 20 s", one.orders.len());
        (one.refuses, two.refuses) = (None, None);
        let served = async {
            loop {
                tokio::join!(one.serve_one(), two.serve_one());
            }
        };
        tokio::select! {
            biased;
            answer = &mut answer => assert!(answer.is_ok(), "{answer:?}"),
            () = served => unreachable!("servers serve for ever"),
        }
    });
}

#[test]
fn replicas_of_a_removed_file_are_deleted_once_the_record_is_stable() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        written(&mut client, &mut servers, "f", 5).await;
        client.unlink("f").await.unwrap();
        let [one, two] = &mut servers;
        let both = async { tokio::join!(one.serve_one(), two.serve_one()) };
        tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        assert!(one.replicas.is_empty() && two.replicas.is_empty());
        client.ask(Request::KeepAlive).await.unwrap();
        assert_eq!(client.position.stable, client.position.applied);
    });
}

#[test]
fn a_chunkserver_of_another_cluster_is_refused_with_a_reason() {
    run(async |world| {
        let master = world.start().await;
        let mut server = FakeServer::new(1);
        server.cluster = Some(ClusterId([9; 16]));
        let ToServer::Refused(refused) = server.register(&master).await else { panic!() };
        assert_eq!(refused.status, Status::WrongCluster);
        assert!(refused.reason.contains("server1"));
    });
}

#[test]
fn a_disk_with_a_used_counter_is_not_taken() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        assert_eq!(servers[0].registrations, 1);
        servers[0].register(&master).await;
        assert_eq!(servers[0].registrations, 2);
        servers[0].heartbeat().await;
        servers_up(&master, 2).await;
        let master = world.restart(master).await;
        servers[0].registrations = 1;
        let ToServer::Registered(answer) = servers[0].register(&master).await else { panic!() };
        assert!(answer.disks.is_empty());
        let admin = master.admin();
        let status = admin.status().await.unwrap();
        assert!(status.warnings.iter().any(|w| w.code.starts_with("DISK_UNTRUSTED")));
    });
}

#[test]
fn a_disk_that_could_not_store_its_counter_is_taken_again() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        servers[0].stamps = false;
        servers[0].register(&master).await;
        servers_up(&master, 2).await;
        assert_eq!(servers[0].registrations, 1);
        let master = world.restart(master).await;
        assert!(matches!(servers[0].register(&master).await, ToServer::Registered(r) if r.disks.len() == 1));
        servers_up(&master, 1).await;
    });
}

#[test]
fn a_disk_whose_stamp_is_ahead_of_the_metadata_is_taken() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let master = world.restart(master).await;
        // It stamped its disk and died before it could say so.
        servers[0].registrations += 1;
        assert!(matches!(servers[0].register(&master).await, ToServer::Registered(r) if r.disks.len() == 1));
        servers_up(&master, 1).await;
    });
}

#[test]
fn a_silent_chunkserver_counts_as_gone() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let admin = master.admin();
        eventually("both servers are down", || async {
            let status = admin.status().await.unwrap();
            status.warnings.iter().filter(|w| w.code == "SERVER_DOWN").count() == 2
        })
        .await;
        servers[1].detach();
    });
}

#[test]
fn operators_see_a_file_by_path_with_its_replicas() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let dir = client.mkdir("dir").await.unwrap();
        let entry = client.entry(create(dir, "f", FileKind::File, true)).await.unwrap();
        let grant = entry.grant.unwrap();
        for server in &mut servers {
            server.hold(grant.capability.chunk, grant.capability.version);
        }
        client.commit(entry.attributes.inode, 7, &grant).await.unwrap();
        let target = codec::admin::FileTarget::Path(b"/dir//f".to_vec());
        let info = master.admin().file_info(target).await.unwrap();
        assert_eq!(info.attributes.length, 7);
        let names: Vec<_> = info.chunks[0].replicas.iter().map(|r| r.server_name.as_str()).collect();
        assert_eq!(names.len(), 2);
        assert!(names.contains(&"server1") && names.contains(&"server2"));
        let missing = codec::admin::FileTarget::Path(b"/nothing".to_vec());
        assert!(master.admin().file_info(missing).await.is_err());
        let status = master.admin().status().await.unwrap();
        assert_eq!((status.files, status.directories, status.chunks.ok), (1, 2, 1));
    });
}

#[test]
fn status_shows_what_a_server_does_not_serve_as_long_as_it_says_so() {
    run(|world| async move {
        let master = world.start().await;
        let mut server = FakeServer::new(1);
        server.refused = vec![codec::control::RefusedDisk {
            path: "/disks/2".into(),
            refusal: codec::control::DiskRefusal::Absent,
            reason: "/disks/2 does not exist".into(),
            next: "mount its device".into(),
            ..Default::default()
        }];
        server.register(&master).await;
        servers_up(&master, 1).await;
        let status = master.admin().status().await.unwrap();
        let shown: Vec<_> =
            status.refused_disks.iter().map(|refused| (refused.server, &refused.disk)).collect();
        assert_eq!(shown, [(ServerId([1; 16]), &server.refused[0])]);
        let warning = status.warnings.iter().find(|warning| warning.code == "DISK_NOT_SERVED").unwrap();
        assert!(
            warning.message.contains("does not exist") && warning.next == "mount its device",
            "{warning:?}"
        );
        server.refused.clear();
        server.heartbeat().await;
        eventually("it is no longer shown", || async {
            master.admin().status().await.unwrap().refused_disks.is_empty()
        })
        .await;
    });
}

#[test]
fn a_delete_order_is_given_again_when_the_server_restarted_before_it_answered() {
    for carried_out in [false, true] {
        run(async |world| {
            let (master, mut servers) = two_servers(&world).await;
            let mut client = world.client("a").await;
            let (_, grant) = written(&mut client, &mut servers, "f", 5).await;
            let chunk = grant.capability.chunk;
            client.unlink("f").await.unwrap();
            let [first, second] = &mut servers;
            let (ordered, ()) = tokio::join!(first.take_order(), second.serve_one());
            assert!(matches!(ordered, OrderKind::Delete { chunk: c, .. } if c == chunk), "{ordered:?}");
            // The process dies, with the file moved aside or not, and the answer unsent.
            if carried_out {
                first.replicas.remove(&chunk);
            }
            first.detach();
            assert!(matches!(first.register(&master).await, ToServer::Registered(_)));
            let again = first.take_order().await;
            assert!(matches!(again, OrderKind::Delete { chunk: c, .. } if c == chunk), "{again:?}");
            // And once more, with an answer at last.
            first.detach();
            first.register(&master).await;
            first.serve_one().await;
            let admin = master.admin();
            eventually("nothing is left to be deleted", || async {
                admin.status().await.unwrap().chunks.deleting == 0
            })
            .await;
            assert!(first.replicas.is_empty());
        });
    }
}

#[test]
fn a_truncate_that_is_put_off_ends_when_its_file_is_removed() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let (inode, _) = written(&mut client, &mut servers, "f", 100_000).await;
        let parent = client.root().await;
        servers.iter_mut().for_each(|server| server.refuses = Some(Status::TryAgain));
        let [one, two] = &mut servers;
        let truncate = Request::SetLength { inode, length: 5_000, clear_privileges: false };
        let unlink = Request::Unlink { parent, name: helper::name("f"), unused: vec![inode.id] };
        let (first, second) = (client.sequence + 1, client.sequence + 2);
        let removal = async {
            tokio::join!(one.serve_one(), two.serve_one());
            client.try_ask_beside(first, second, unlink).await.unwrap().outcome
        };
        let (cut, removed) = tokio::join!(client.try_ask(first, truncate), removal);
        assert!(removed.is_ok());
        assert_eq!(cut.unwrap().outcome.map(drop), Err(Status::Stale));
    });
}

#[test]
fn a_truncate_that_every_disk_refuses_ends_and_the_file_goes_on() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let (mut client, mut other) = (world.client("a").await, world.client("b").await);
        let (inode, grant) = written(&mut client, &mut servers, "f", 100_000).await;
        let [one, two] = &mut servers;
        (one.refuses, two.refuses) = (Some(Status::Io), Some(Status::Io));
        let refuse = async |server: &mut FakeServer| {
            loop {
                match tokio::time::timeout(Duration::from_secs(2), server.serve_one()).await {
                    Ok(()) => {}
                    Err(_) => server.heartbeat().await,
                }
            }
        };
        let begun = tokio::time::Instant::now();
        let truncate = async {
            client.sequence += 1;
            loop {
                let request = Request::SetLength { inode, length: 10, clear_privileges: false };
                if let Ok(answer) = client.try_ask(client.sequence, request).await {
                    break answer.outcome;
                }
            }
        };
        let behind = async {
            tokio::time::sleep(Duration::from_secs(45)).await;
            other.commit(inode, 200_000, &grant).await
        };
        let (cut, committed) = tokio::select! {
            both = async { tokio::join!(truncate, behind) } => both,
            _ = async { tokio::join!(refuse(one), refuse(two)) } => unreachable!("they refuse for ever"),
        };
        assert_eq!(cut.map(drop), Err(Status::Io));
        assert!(begun.elapsed() >= Duration::from_secs(60), "for a while it may pass");
        assert_eq!(committed.unwrap().length, 200_000, "what waited behind it goes on");
    });
}

#[test]
fn a_truncate_to_nothing_does_not_wait_for_one_whose_replicas_are_gone_for_good() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let (mut client, mut other) = (world.client("a").await, world.client("b").await);
        let (inode, _) = written(&mut client, &mut servers, "f", 100_000).await;
        let [one, two] = &mut servers;
        let cut = Request::SetLength { inode, length: 10, clear_privileges: false };
        let begun = async {
            one.take_order().await;
            two.take_order().await;
            one.detach();
            two.detach();
            // One that leaves something of the chunk waits as well.
            let some = Request::SetLength { inode, length: 5, clear_privileges: false };
            let waits = tokio::time::timeout(Duration::from_secs(25), other.ask(some)).await;
            assert!(waits.is_err(), "{waits:?}");
            other.ask(Request::SetLength { inode, length: 0, clear_privileges: false }).await
        };
        let (cut, gone) = tokio::join!(client.ask(cut), begun);
        assert_eq!(cut.map(drop), Err(Status::Io));
        gone.unwrap();
        assert_eq!(client.attributes(inode).await.unwrap().length, 0);
    });
}

/// A punch that cuts into two chunks; the second one's only server is away, and comes back.
#[test]
fn a_chunk_that_is_cut_is_not_held_for_another_one_whose_replicas_are_away() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let (mut client, mut other) = (world.client("a").await, world.client("b").await);
        let (inode, first) = written(&mut client, &mut servers, "f", CHUNK_BYTES).await;
        let second = client.grant(inode, 1).await.unwrap();
        client.commit(inode, 2 * CHUNK_BYTES, &second).await.unwrap();
        let (first, second) = (first.capability, second.capability);
        let [one, two] = &mut servers;
        for (server, holds) in [(&mut *one, &first), (&mut *two, &second)] {
            server.replicas = [(holds.chunk, holds.version)].into();
            server.detach();
            server.register(&master).await;
        }
        servers_up(&master, 2).await;
        two.detach();
        servers_up(&master, 1).await;
        let punch = Request::Punch { inode, offset: CHUNK_BYTES - 100_000, length: 200_000 };
        let punched = client.ask(punch);
        tokio::pin!(punched);
        let is_recorded = async {
            let cuts = |one: &FakeServer| {
                let is_cut =
                    |order: &&OrderKind| matches!(order, OrderKind::Raise { cuts, .. } if !cuts.is_empty());
                one.orders.iter().filter(is_cut).count()
            };
            while cuts(one) == 0 {
                one.serve_one().await;
            }
            let version = one.replicas[&first.chunk];
            eventually("the first chunk's version is recorded", || async {
                let target = codec::admin::FileTarget::Path(b"/f".to_vec());
                master.admin().file_info(target).await.unwrap().chunks[0].version == version
            })
            .await;
            for _ in 0..5 {
                let _ = tokio::time::timeout(Duration::from_secs(2), one.serve_one()).await;
                one.heartbeat().await;
            }
            assert_eq!(cuts(one), 1, "it is asked for again when the second one is ready, and not before");
        };
        tokio::select! {
            biased;
            answer = &mut punched => panic!("the second chunk is not cut: {answer:?}"),
            () = is_recorded => {}
        }
        let told = other.lookup("f").await.unwrap().first.unwrap();
        assert_eq!(told.version, one.replicas[&first.chunk]);
        two.register(&master).await;
        let served = async {
            tokio::join!(
                async {
                    loop {
                        one.serve_one().await;
                    }
                },
                async {
                    loop {
                        two.serve_one().await;
                    }
                }
            )
        };
        tokio::select! {
            biased;
            answer = &mut punched => drop(answer.unwrap()),
            _ = served => unreachable!("servers serve for ever"),
        }
        assert!(two.replicas[&second.chunk] > second.version);
        let told = other.lookup("f").await.unwrap().first.unwrap();
        assert_eq!(told.version, one.replicas[&first.chunk], "the edit's record names the last version");
    });
}

/// Room for the segment in use and the next one, not for a third one nor for a checkpoint.
const LITTLE_BYTES: u64 = (16 << 20) + (300 << 10);

#[test]
fn on_a_full_disk_an_edit_is_refused_before_any_replica_is_told_of_it() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let mut client = world.client("a").await;
        let (inode, _) = written(&mut client, &mut servers, "f", 100_000).await;
        world.disk.set_capacity(LITTLE_BYTES);
        helper::fill_log(&mut client).await;
        let before = client.position.applied;
        for length in [5_000, 200_000] {
            for _ in 0..100 {
                let cut = Request::SetLength { inode, length, clear_privileges: false };
                assert_eq!(client.ask(cut).await.map(drop), Err(Status::NoSpace));
                let punch = Request::Punch { inode, offset: 10, length };
                assert_eq!(client.ask(punch).await.map(drop), Err(Status::NoSpace));
            }
        }
        assert_eq!(
            client.grant(inode, 0).await.map(drop),
            Err(Status::NoSpace),
            "what is written finds no room"
        );
        assert_eq!(client.position.applied, before, "refusals take no room");
        let [one, two] = &mut servers;
        tokio::select! {
            biased;
            () = one.serve_one() => panic!("an order left: {:?}", one.orders),
            () = two.serve_one() => panic!("an order left: {:?}", two.orders),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        world.disk.set_capacity(1 << 30);
        let cut = async {
            loop {
                let request = Request::SetLength { inode, length: 5_000, clear_privileges: false };
                match client.ask(request).await {
                    // The master looks for room now and then.
                    Err(Status::NoSpace) => tokio::time::sleep(Duration::from_millis(100)).await,
                    answer => break answer,
                }
            }
        };
        let (answer, (), ()) = tokio::join!(cut, one.serve_one(), two.serve_one());
        let Ok(Reply::Attributes(after)) = answer else { panic!("{answer:?}") };
        assert_eq!(after.length, 5_000);
    });
}

#[test]
fn an_edit_that_replicas_were_told_of_is_recorded_although_the_disk_is_full_by_then() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let (mut client, mut other) = (world.client("a").await, world.client("b").await);
        let (inode, _) = written(&mut client, &mut servers, "f", 100_000).await;
        world.disk.set_capacity(LITTLE_BYTES);
        let [one, two] = &mut servers;
        let meanwhile = async {
            helper::fill_log(&mut other).await;
            tokio::join!(one.serve_one(), two.serve_one());
        };
        let cut = Request::SetLength { inode, length: 5_000, clear_privileges: false };
        let (answer, ()) = tokio::join!(client.ask(cut), meanwhile);
        let Ok(Reply::Attributes(after)) = answer else { panic!("{answer:?}") };
        assert_eq!(after.length, 5_000);
        let _master = world.cut_power(master).await;
        client.connect().await;
        assert_eq!(client.attributes(inode).await.unwrap().length, 5_000);
    });
}
