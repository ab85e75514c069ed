//! What one seed does not show for sure: scenes with a fixed course.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::cluster::{DISKS, Place, SERVERS, Stop};
use crate::driver::{Stage, Violation};
use crate::nemesis::Faults;
use crate::oracle::content::{Content, fill};
use crate::run::{Plan, on_stage};
use client::{Created, OpenFlags};
use rpc::admin::FileInfoReply;
use std::collections::BTreeSet;
use std::time::Duration;
use types::{FileKind, InodeId, NodeSpec, Owner, Status};

const FLAGS: OpenFlags = OpenFlags { read: true, write: true, truncate: false };
const LENGTH: u64 = 100_000;
/// Longer than the master waits for a server before it heals without it.
const LONG: Duration = Duration::from_secs(720);

fn failed(status: Status) -> Violation {
    Violation(format!("{status:?}"))
}

/// Of a message.
const SLOW: Duration = Duration::from_millis(250);

/// A cluster with one file, of one chunk, synced.
async fn scene(stage: &Stage) -> Result<(Created, Content), Violation> {
    stage.cluster.start().await.map_err(Violation)?;
    let mut content = Content::new();
    let program = stage.cluster.program(0).await.map_err(Violation)?;
    let (kind, target) = (FileKind::File, Vec::new());
    let node = NodeSpec { kind, mode: 0o644, owner: Owner::default(), device: 0, target };
    let made = program.client.create(InodeId::ROOT, b"scene", node, true, FLAGS).await.map_err(failed)?;
    write(stage, &made, 1, &mut content).await?;
    program.client.fsync(made.opened.handle).await.map_err(failed)?;
    content.synced();
    Ok((made, content))
}

async fn write(stage: &Stage, made: &Created, id: u32, content: &mut Content) -> Result<(), Violation> {
    let program = stage.cluster.program(0).await.map_err(Violation)?;
    let mut data = vec![0; LENGTH as usize];
    fill(id, 0, &mut data);
    program.client.write(made.opened.handle, 0, &data).await.map_err(failed)?;
    content.write(0, LENGTH, id, true);
    Ok(())
}

#[test]
fn with_three_replicas_wanted_an_fsync_waits_for_the_second_and_never_succeeds_on_one() {
    let plan = Plan { faults: Faults::Kills, goal: 3, ..Plan::new(1) };
    let ran = on_stage(plan, "see the test", async |stage| {
        let cluster = &stage.cluster;
        let (made, mut content) = scene(stage).await?;
        let (inode, handle) = (made.known.attributes.inode.id, made.opened.handle);
        crate::invariants::synced::check(stage, inode, &content).map_err(Violation)?;
        let client = cluster.program(0).await.map_err(Violation)?.client;

        // One is gone: two are enough. Two are gone: it fails when the mount's patience is over.
        cluster.stop_server(0, Stop::Kill);
        write(stage, &made, 2, &mut content).await?;
        client.fsync(handle).await.map_err(failed)?;
        content.synced();
        crate::invariants::synced::check(stage, inode, &content).map_err(Violation)?;
        cluster.stop_server(1, Stop::Kill);
        write(stage, &made, 3, &mut content).await?;
        assert!(client.fsync(handle).await.is_err(), "an fsync succeeded on one replica");
        content.doubt_unclosed();
        tokio::time::sleep(LONG).await;
        write(stage, &made, 4, &mut content).await?;
        assert!(client.fsync(handle).await.is_err(), "whatever healing did meanwhile");
        content.doubt_unclosed();
        assert!(cluster.status().await.unwrap().hops.held_back > 0);

        // The second comes back while somebody waits.
        write(stage, &made, 5, &mut content).await?;
        let returns = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            cluster.start_server(1).await
        };
        let (synced, started) = tokio::join!(client.fsync(handle), returns);
        started.map_err(Violation)?;
        synced.map_err(failed)?;
        content.synced();
        crate::invariants::synced::check(stage, inode, &content).map_err(Violation)
    });
    ran.unwrap();
}

/// What was written reached two servers. One cannot be reached, the other loses power, is all that there is for a while, and the first one's
/// replica is made anew from it: an fsync does not take that for the replica that was written.
#[test]
fn an_fsync_does_not_count_on_a_replica_that_was_made_anew_from_one_that_lost_power() {
    for seed in 1..4 {
        let plan = Plan { faults: Faults::PowerCuts, ..Plan::new(seed) };
        let ran = on_stage(plan, "see the test", async |stage| {
            let cluster = &stage.cluster;
            let (made, mut content) = scene(stage).await?;
            let (inode, handle) = (made.known.attributes.inode.id, made.opened.handle);
            let client = cluster.program(0).await.map_err(Violation)?.client;
            let has_chunk = |server: &usize| {
                (0..DISKS)
                    .any(|disk| !cluster.disk(Place { server: *server, disk }).paths("chunks/").is_empty())
            };
            let holders: Vec<usize> = (0..SERVERS).filter(has_chunk).collect();
            let [one, other] = holders[..] else { panic!("{holders:?} have the chunk") };
            let spare = (0..SERVERS).find(|server| !holders.contains(server)).unwrap();
            cluster.stop_server(spare, Stop::Kill);

            write(stage, &made, 2, &mut content).await?;
            client.flush(handle).await.map_err(failed)?;
            let away = &cluster.hosts()[1 + one];
            for host in cluster.all_hosts().iter().filter(|host| *host != away) {
                cluster.world().net().partition(host, away);
            }
            cluster.stop_server(other, Stop::PowerCut);
            cluster.start_server(other).await.map_err(Violation)?;
            tokio::time::sleep(LONG).await;
            cluster.world().net().heal();
            let healed = async {
                while !cluster
                    .file_info(inode)
                    .await
                    .is_ok_and(|info| info.chunks.iter().all(|chunk| chunk.replicas.len() == 2))
                {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            tokio::time::timeout(LONG, healed).await.map_err(|_| Violation("it does not heal".into()))?;
            if client.fsync(handle).await.is_ok() {
                content.synced();
                crate::invariants::synced::check(stage, inode, &content).map_err(Violation)?;
            }
            Ok(())
        });
        ran.unwrap();
    }
}

/// Two of three are there, and both are needed. One loses power, and is made equal to the other: an fsync of what was written before ends.
#[test]
fn an_fsync_ends_when_a_member_that_lost_power_was_made_equal_to_the_other() {
    for (seed, pause) in [(1, 0), (2, 0), (3, 30), (4, 30)] {
        let plan = Plan { faults: Faults::PowerCuts, goal: 3, ..Plan::new(seed) };
        let ran = on_stage(plan, "see the test", async |stage| {
            let cluster = &stage.cluster;
            let (made, mut content) = scene(stage).await?;
            let (inode, handle) = (made.known.attributes.inode.id, made.opened.handle);
            let client = cluster.program(0).await.map_err(Violation)?.client;
            cluster.stop_server(0, Stop::Kill);
            write(stage, &made, 2, &mut content).await?;
            client.flush(handle).await.map_err(failed)?;
            // After a while its header says that nothing of it can be lost.
            tokio::time::sleep(Duration::from_secs(pause)).await;
            cluster.stop_server(1, Stop::PowerCut);
            cluster.start_server(1).await.map_err(Violation)?;
            client.fsync(handle).await.map_err(failed)?;
            content.synced();
            crate::invariants::synced::check(stage, inode, &content).map_err(Violation)
        });
        ran.unwrap();
    }
}

/// What was written reached three servers. Two lose power and are made equal to each other while the third one cannot be reached, but the master
/// dies before that is recorded; then the third one is made equal to them: an fsync does not take it for the replica that was written.
#[test]
fn an_fsync_does_not_count_on_a_replica_that_was_made_equal_to_one_that_lost_power() {
    let mut outcomes = BTreeSet::new();
    for (cut_off, step) in (0..SERVERS).flat_map(|cut_off| (56..76).map(move |step| (cut_off, step))) {
        let plan = Plan { faults: Faults::PowerCuts, goal: 3, ..Plan::new(1) };
        let ran = on_stage(plan, "see the test", async |stage| {
            let cluster = &stage.cluster;
            let (made, mut content) = scene(stage).await?;
            let (inode, handle) = (made.known.attributes.inode.id, made.opened.handle);
            let client = cluster.program(0).await.map_err(Violation)?.client;
            write(stage, &made, 2, &mut content).await?;
            client.flush(handle).await.map_err(failed)?;
            let (hosts, net) = (cluster.hosts(), cluster.world().net());
            let away = &hosts[1 + cut_off];
            for host in cluster.all_hosts().iter().filter(|host| *host != away) {
                net.partition(host, away);
            }
            for number in (0..SERVERS).filter(|number| *number != cut_off) {
                cluster.stop_server(number, Stop::PowerCut);
                cluster.start_server(number).await.map_err(Violation)?;
                // Orders and answers take so long that the master may die between any two of them.
                net.set_delay(&hosts[0], &hosts[1 + number], SLOW, Duration::ZERO);
                net.set_delay(&hosts[1 + number], &hosts[0], SLOW, Duration::ZERO);
            }
            tokio::time::sleep(Duration::from_secs(55) + step * SLOW).await;
            cluster.stop_master(Stop::Kill).await;
            net.heal();
            for number in 0..SERVERS {
                net.forget_delay(&hosts[0], &hosts[1 + number]);
                net.forget_delay(&hosts[1 + number], &hosts[0]);
            }
            cluster.start().await.map_err(Violation)?;
            let equal = async {
                let is_equal =
                    |info: FileInfoReply| info.chunks.iter().all(|chunk| chunk.replicas.len() == 3);
                while !cluster.file_info(inode).await.is_ok_and(is_equal) {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            tokio::time::timeout(LONG, equal).await.map_err(|_| Violation("it does not heal".into()))?;
            let synced = client.fsync(handle).await;
            outcomes.insert((cut_off, synced.is_ok()));
            if synced.is_ok() {
                content.synced();
                crate::invariants::synced::check(stage, inode, &content).map_err(Violation)?;
            }
            Ok(())
        });
        ran.unwrap();
    }
    // From the last answer of the settling to the record it takes longer than a step, so the master died between them, too.
    assert_eq!(outcomes.len(), 2 * SERVERS, "it died always before the raise, or always after it");
}
