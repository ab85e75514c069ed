//! What `docs/semantics.md` promises, on a cluster in memory and in simulated time.

mod asking;
mod attributes;
mod cluster;
mod crowd;
mod damage;
mod leftovers;
mod limit;
mod nearness;
mod pages;
mod syncing;

use client::{AllocateMode, Client, ClientOptions, FileHandle, OpenFlags, SeekWhat};
use cluster::Cluster;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use types::{
    AttributeChanges, CHUNK_BYTES, Caller, DirCursor, FileKind, InodeId, NodeSpec, Owner, RenameMode,
    Request, SetTime, Status, Timestamp,
};

const ROOT: InodeId = InodeId::ROOT;
const RW: OpenFlags = OpenFlags { read: true, write: true, truncate: false };
const MIB: usize = 1 << 20;

fn simulate<F: Future<Output = ()>>(test: impl FnOnce(Cluster) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let limit = Duration::from_secs(3600);
        let run = async { test(Cluster::start(1).await).await };
        tokio::time::timeout(limit, run).await.expect("it ends");
    });
}

async fn mount(cluster: &Cluster, host: &str) -> Arc<Client> {
    mount_with(cluster, host, ClientOptions::default()).await
}

async fn mount_with(cluster: &Cluster, host: &str, options: ClientOptions) -> Arc<Client> {
    let options = ClientOptions { masters: vec!["m:9".to_owned()], name: host.to_owned(), ..options };
    Client::connect(cluster.world.env(host), options).await.expect("the master answers")
}

fn file() -> NodeSpec {
    node(FileKind::File)
}

fn node(kind: FileKind) -> NodeSpec {
    NodeSpec { kind, mode: 0o644, owner: Owner::default(), device: 0, target: Vec::new() }
}

async fn create(client: &Client, name: &str) -> (InodeId, FileHandle) {
    let created = client.create(ROOT, name.as_bytes(), file(), true, RW).await.expect("created");
    (created.known.attributes.inode.id, created.opened.handle)
}

fn pattern(length: usize, salt: u8) -> Vec<u8> {
    (0..length).map(|n| (n / 251) as u8 ^ (n as u8).wrapping_mul(salt | 1)).collect()
}

async fn read_all(client: &Client, handle: FileHandle) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = client.read(handle, all.len() as u64, 128 << 10).await.expect("read");
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

#[test]
fn a_small_file_is_written_with_two_requests_and_one_frame() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let before = cluster.state().requests.len();
        let (_, handle) = create(&client, "f").await;
        assert_eq!(client.try_write(handle, 0, b"hello"), Some(Ok(())));
        client.flush(handle).await.expect("stored");
        client.release(handle);
        let state = cluster.state();
        assert!(matches!(&state.requests[before..], [Request::Create { .. }, Request::Commit { .. }]));
        assert_eq!(state.writes, 1);
    });
}

#[test]
fn what_one_mount_closed_another_opens_and_reads() {
    simulate(|cluster| async move {
        let (a, b) = (mount(&cluster, "a").await, mount(&cluster, "b").await);
        let data = pattern(5 * MIB + 12_345, 3);
        let (_, handle) = create(&a, "f").await;
        for (n, piece) in data.chunks(100_000).enumerate() {
            a.write(handle, n as u64 * 100_000, piece).await.expect("written");
        }
        a.flush(handle).await.expect("stored");
        let known = b.lookup(ROOT, b"f").await.expect("it is there");
        assert_eq!(known.attributes.length, data.len() as u64);
        let handle = b.open(known.attributes.inode.id, RW).await.expect("opens").handle;
        assert!(read_all(&b, handle).await == data);
        // Single bytes around the edges of windows, and beyond the end.
        for at in [0, MIB - 1, MIB, data.len() - 1] {
            assert_eq!(b.read(handle, at as u64, 1).await.as_deref(), Ok(&data[at..=at]));
        }
        assert_eq!(b.read(handle, data.len() as u64, 10).await.as_deref(), Ok(&[][..]));
    });
}

#[test]
fn a_file_closed_and_opened_again_takes_writes_under_the_same_chunk_version() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "one").await;
        let (inode, handle) = create(&client, "again").await;
        let (first, second) = (pattern(1000, 1), pattern(1000, 2));
        client.write(handle, 0, &first).await.unwrap();
        client.flush(handle).await.unwrap();
        client.release(handle);
        client.forget(inode, 1);
        // The background sync of the forgotten file ends, and with it all that was known of the file.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let known = client.lookup(ROOT, b"again").await.unwrap();
        assert_eq!(known.attributes.inode.id, inode);
        let handle = client.open(inode, RW).await.unwrap().handle;
        client.write(handle, 5000, &second).await.unwrap();
        client.flush(handle).await.unwrap();
        let other = mount(&cluster, "two").await;
        let handle = other.open(inode, RW).await.unwrap().handle;
        let found = other.read(handle, 0, 10_000).await.unwrap();
        assert!(found[..1000] == first && found[5000..] == second);
    });
}

#[test]
fn a_stream_is_read_with_one_request_per_mebibyte_and_mostly_from_memory() {
    simulate(|cluster| async move {
        let (a, b) = (mount(&cluster, "a").await, mount(&cluster, "b").await);
        let data = pattern(16 * MIB, 9);
        let (inode, handle) = create(&a, "f").await;
        a.write(handle, 0, &data).await.expect("written");
        a.flush(handle).await.expect("stored");
        let handle = b.open(inode, RW).await.expect("opens").handle;
        let (mut at, mut hits) = (0, 0);
        while at < data.len() {
            let piece = match b.try_read(handle, at as u64, 128 << 10) {
                Some(piece) => piece.inspect(|_| hits += 1),
                None => b.read(handle, at as u64, 128 << 10).await,
            };
            let piece = piece.expect("read");
            assert!(piece == data[at..at + piece.len()]);
            at += piece.len();
        }
        assert!(hits > 100, "{hits} of 128");
        let reads: usize = cluster.state().reads.values().sum();
        assert!(reads <= 18, "{reads}");
    });
}

#[test]
fn reads_see_unsent_writes_over_what_is_stored() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        let mut model = pattern(3 * MIB, 5);
        client.write(handle, 0, &model).await.expect("written");
        client.flush(handle).await.expect("stored");
        for (at, length) in [(10, 5), (MIB - 3, 10), (2 * MIB + 70_000, 130_000), (3 * MIB - 1, 2)] {
            let data = vec![0xEE; length];
            model.resize(model.len().max(at + length), 0);
            model[at..at + length].copy_from_slice(&data);
            client.write(handle, at as u64, &data).await.expect("written");
            assert!(read_all(&client, handle).await == model);
        }
        client.flush(handle).await.expect("stored");
        assert!(read_all(&client, handle).await == model);
    });
}

#[test]
fn truncate_then_extend_and_punched_ranges_read_as_zeroes() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        let mut model = pattern(2 * MIB, 7);
        client.write(handle, 0, &model).await.expect("written");
        client.set_length(inode, None, 1_000_000, false).await.expect("cut");
        model.truncate(1_000_000);
        client.write(handle, 1_500_000, b"tail").await.expect("written");
        model.resize(1_500_000, 0);
        model.extend_from_slice(b"tail");
        assert!(read_all(&client, handle).await == model);
        client.allocate(handle, AllocateMode::PunchHole, 5_000, 100_000).await.expect("punched");
        model[5_000..105_000].fill(0);
        assert!(read_all(&client, handle).await == model);
        client.allocate(handle, AllocateMode::Extend, 0, 3_000_000).await.expect("extended");
        model.resize(3_000_000, 0);
        client.flush(handle).await.expect("stored");
        assert!(read_all(&client, handle).await == model);
        let known = client.attributes(inode).await.expect("attributes");
        assert_eq!(known.attributes.length, 3_000_000);
    });
}

#[test]
fn an_fsync_puts_data_and_map_on_stable_storage_with_one_durable_frame_and_one_commit() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        for n in 0..5_u64 {
            let (requests, writes) = {
                let state = cluster.state();
                (state.requests.len(), state.writes)
            };
            client.write(handle, n * 4096, &[n as u8 + 1; 4096]).await.expect("written");
            client.fsync(handle).await.expect("durable");
            let state = cluster.state();
            assert_eq!((state.requests.len() - requests, state.writes - writes), (1, 1));
            assert!(matches!(state.requests.last(), Some(Request::Commit { durable: true, .. })));
            let stored = state.chunks.values().next().expect("one chunk");
            assert!(stored.synced == stored.data && stored.data.len() as u64 == (n + 1) * 4096);
        }
    });
}

#[test]
fn an_fsync_fails_once_on_each_handle_when_power_took_unsynced_bytes() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, one) = create(&client, "f").await;
        let two = client.open(inode, RW).await.expect("opens").handle;
        client.write(one, 0, b"precious").await.expect("written");
        client.flush(one).await.expect("stored");
        cluster.state().boot = 2;
        let began = tokio::time::Instant::now();
        assert_eq!(client.fsync(one).await, Err(Status::Io));
        assert!(began.elapsed() < Duration::from_secs(2));
        for _ in 0..2 {
            assert_eq!(client.flush(two).await, Err(Status::Io), "a close takes no report from an fsync");
        }
        assert_eq!(client.flush(one).await, Ok(()));
        assert_eq!(client.fsync(two).await, Err(Status::Io));
        assert_eq!(client.flush(two).await, Ok(()));
        // What is left can be synced, and so can what is written next.
        for handle in [one, two] {
            assert_eq!(client.fsync(handle).await, Ok(()));
        }
        assert!(cluster.state().chunks.values().all(|stored| stored.synced == b"precious"));
        client.write(two, 0, b"another!").await.expect("written");
        assert_eq!(client.fsync(one).await, Ok(()));
        assert!(cluster.state().chunks.values().all(|stored| stored.synced == b"another!"));
    });
}

/// More of them than there is room for do not push out what somebody is to be told.
#[test]
fn files_that_are_removed_while_they_are_synced_in_the_background_are_no_losses() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let leave = async |name: String| {
            let (inode, handle) = create(&client, &name).await;
            client.write(handle, 0, b"bytes").await.expect("written");
            client.flush(handle).await.expect("stored");
            client.release(handle);
            client.forget(inode, 1);
        };
        cluster.state().boot = 1;
        let (inode, handle) = create(&client, "precious").await;
        client.write(handle, 0, b"precious").await.expect("written");
        client.flush(handle).await.expect("stored");
        cluster.state().boot = 2;
        client.release(handle);
        client.forget(inode, 1);
        tokio::time::sleep(Duration::from_secs(5)).await;
        for n in 0..4_200 {
            leave(format!("f{n}")).await;
            client.unlink(ROOT, format!("f{n}").as_bytes()).await.expect("removed");
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let inode = client.lookup(ROOT, b"precious").await.expect("it is there").attributes.inode.id;
        let handle = client.open(inode, OpenFlags { write: false, ..RW }).await.expect("opens").handle;
        assert_eq!(client.fsync(handle).await, Err(Status::Io));
    });
}

#[test]
fn a_loss_in_the_background_is_told_to_the_next_handle_that_opens_the_file() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"precious").await.expect("written");
        client.flush(handle).await.expect("stored");
        cluster.state().boot = 2;
        client.release(handle);
        client.forget(inode, 1);
        // The sync in the background fails, and the file is forgotten.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let open = async |flags| {
            let inode = client.lookup(ROOT, b"f").await.expect("it is there").attributes.inode.id;
            client.open(inode, flags).await.expect("opens").handle
        };
        let reader = open(OpenFlags { write: false, ..RW }).await;
        assert_eq!(client.flush(reader).await, Ok(()), "a reader's close takes no report away");
        client.release(reader);
        // As `sync f` does: open for reading, fsync.
        let next = open(OpenFlags { write: false, ..RW }).await;
        assert_eq!(client.fsync(next).await, Err(Status::Io));
        assert_eq!(client.fsync(next).await, Ok(()));
        let later = open(RW).await;
        assert_eq!(client.fsync(later).await, Ok(()), "it was reported once");
        assert_eq!(client.sync_all().await, Err(Status::Io), "and to syncfs, once");
        assert_eq!(client.sync_all().await, Ok(()));
    });
}

#[test]
fn two_fsyncs_under_way_on_one_handle_both_end_when_writes_are_lost() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        client.write(handle, 0, b"precious").await.expect("written");
        client.flush(handle).await.expect("stored");
        cluster.state().boot = 2;
        let (one, two) = tokio::join!(client.fsync(handle), client.fsync(handle));
        assert_eq!((one, two), (Err(Status::Io), Err(Status::Io)));
    });
}

#[test]
fn a_closed_file_whose_changes_went_with_the_masters_power_tells_its_next_handle() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"precious").await.expect("written");
        client.fsync(handle).await.expect("durable");
        client.release(handle);
        cluster.state().unstable = true;
        client.set_length(inode, None, 2, false).await.expect("cut");
        client.forget(inode, 1);
        cluster.kill_master();
        cluster.state().lose_tail(1);
        cluster.start_master().await;
        let inode = client.lookup(ROOT, b"f").await.expect("it is there").attributes.inode.id;
        let handle = client.open(inode, RW).await.expect("opens").handle;
        assert_eq!(client.fsync(handle).await, Err(Status::Io));
        assert_eq!(client.fsync(handle).await, Ok(()));
    });
}

#[test]
fn a_broken_chain_is_reported_by_its_edge_and_nothing_is_lost() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        let data = pattern(4 * MIB, 11);
        client.write(handle, 0, &data[..2 * MIB]).await.expect("written");
        client.flush(handle).await.expect("stored");
        cluster.state().failing_writes = 1;
        client.write(handle, 2 * MIB as u64, &data[2 * MIB..]).await.expect("written");
        client.fsync(handle).await.expect("durable");
        assert!(read_all(&client, handle).await == data);
        let state = cluster.state();
        let failed = state.requests.iter().find_map(|request| match request {
            Request::Grant { failed: Some(hop), .. } => Some(hop.clone()),
            _ => None,
        });
        let hop = failed.expect("the edge is named");
        assert_eq!((hop.from.map(|d| d.0[0]), hop.to.0[0], hop.status), (Some(1), 2, Status::TimedOut));
    });
}

#[test]
fn a_replica_with_wrong_bytes_is_passed_over() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        let data = pattern(2 * MIB, 13);
        client.write(handle, 0, &data).await.expect("written");
        client.flush(handle).await.expect("stored");
        cluster.state().rotten = [2].into();
        assert!(read_all(&client, handle).await == data);
        cluster.state().rotten = [1, 2].into();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(client.read(handle, 0, 100).await, Err(Status::Io));
    });
}

#[test]
fn a_restarted_master_is_found_again_and_work_goes_on() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        let data = pattern(MIB, 17);
        client.write(handle, 0, &data).await.expect("written");
        client.flush(handle).await.expect("stored");
        cluster.kill_master();
        client.write(handle, 1000, b"while away").await.expect("buffered");
        let flushing = {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.flush(handle).await })
        };
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!flushing.is_finished());
        cluster.start_master().await;
        assert_eq!(flushing.await.expect("no panic"), Ok(()));
        let mut model = data;
        model[1000..1010].copy_from_slice(b"while away");
        assert!(read_all(&client, handle).await == model);
    });
}

#[test]
fn a_master_that_lost_acknowledged_operations_is_noticed_once_by_each_open_file() {
    simulate(|cluster| async move {
        cluster.state().unstable = true;
        let client = mount(&cluster, "a").await;
        let (_, old) = create(&client, "old").await;
        client.write(old, 0, b"old").await.expect("written");
        client.fsync(old).await.expect("durable");
        cluster.state().unstable = false;
        client.fsync_directory(ROOT).await.expect("stable");
        cluster.state().unstable = true;
        let (_, new) = create(&client, "new").await;
        client.write(new, 0, b"new").await.expect("written");
        client.flush(new).await.expect("stored");
        cluster.kill_master();
        cluster.state().lose_tail(1);
        cluster.start_master().await;
        assert_eq!(client.lookup(ROOT, b"new").await.map(|known| known.attributes.length), Ok(0));
        assert_eq!(client.fsync(new).await, Err(Status::Io));
        assert_eq!(client.flush(new).await, Ok(()));
        assert_eq!(client.flush(old).await, Ok(()));
        assert_eq!(read_all(&client, old).await, b"old");
    });
}

#[test]
fn appends_of_two_handles_neither_overlap_nor_vanish() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, _) = create(&client, "log").await;
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..4_u8 {
            let handle = client.open(inode, RW).await.expect("opens").handle;
            let client = Arc::clone(&client);
            tasks.spawn(async move {
                for _ in 0..50 {
                    client.append(handle, &[b'a' + writer; 100]).await.expect("appended");
                }
                client.flush(handle).await.expect("stored");
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic");
        }
        let handle = client.open(inode, RW).await.expect("opens").handle;
        let all = read_all(&client, handle).await;
        assert_eq!(all.len(), 4 * 50 * 100);
        assert!(all.chunks(100).all(|line| line.iter().all(|byte| *byte == line[0])));
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"still here").await.expect("written");
        client.unlink(ROOT, b"f").await.expect("unlinked");
        assert_eq!(client.attributes(inode).await.map(|k| k.attributes.links), Ok(0));
        client.flush(handle).await.expect("stored");
        assert_eq!(read_all(&client, handle).await, b"still here");
        client.release(handle);
        client.forget(inode, 1);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let told = cluster.state().requests.iter().any(
            |request| matches!(request, Request::Forget { inodes, .. } if inodes.iter().any(|i| i.id == inode)),
        );
        assert!(told);
    });
}

#[test]
fn a_file_that_another_mount_renamed_and_a_listing_found_outlives_its_new_name() {
    simulate(|cluster| async move {
        let (one, two) = (mount(&cluster, "a").await, mount(&cluster, "b").await);
        let (_, handle) = create(&one, "f").await;
        one.write(handle, 0, b"kept").await.expect("written");
        one.fsync(handle).await.expect("durable");
        two.lookup(ROOT, b"f").await.expect("found");
        two.rename(ROOT, b"f", ROOT, b"g", RenameMode::Replace).await.expect("renamed");
        let page = one.read_directory(ROOT, DirCursor(0), 4096).await.expect("listed");
        for entry in &page.entries {
            one.remember(&entry.attributes, Some((ROOT, entry.name.as_bytes())));
        }
        one.unlink(ROOT, b"g").await.expect("unlinked");
        assert_eq!(read_all(&one, handle).await, b"kept");
    });
}

#[test]
fn a_file_that_is_open_outlives_the_last_of_several_names_whichever_was_found_last() {
    simulate(|cluster| async move {
        let (one, two) = (mount(&cluster, "a").await, mount(&cluster, "b").await);
        // It is found under the first name, loses that, and is replaced under the other.
        let (inode, handle) = create(&one, "first").await;
        one.write(handle, 0, b"kept").await.expect("written");
        one.fsync(handle).await.expect("durable");
        one.link(inode, ROOT, b"second").await.expect("linked");
        one.lookup(ROOT, b"first").await.expect("found");
        one.unlink(ROOT, b"first").await.expect("unlinked");
        create(&one, "other").await;
        one.rename(ROOT, b"other", ROOT, b"second", RenameMode::Replace).await.expect("renamed");
        assert_eq!(read_all(&one, handle).await, b"kept");
        // Another mount gives it a name that is known here as that of another file.
        let (_, handle) = create(&one, "third").await;
        one.write(handle, 0, b"kept, too").await.expect("written");
        one.fsync(handle).await.expect("durable");
        one.lookup(ROOT, b"second").await.expect("found");
        two.rename(ROOT, b"third", ROOT, b"second", RenameMode::Replace).await.expect("renamed");
        one.unlink(ROOT, b"second").await.expect("unlinked");
        assert_eq!(read_all(&one, handle).await, b"kept, too");
    });
}

#[test]
fn what_a_lookup_under_way_may_name_is_not_forgotten() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.flush(handle).await.expect("stored");
        // A lookup takes longer than it takes until the master is told what was forgotten.
        cluster.world.net().set_default_delay(Duration::from_millis(1_500), Duration::ZERO);
        let begun = cluster.state().requests.len();
        client.release(handle);
        client.forget(inode, 1);
        let known = client.lookup(ROOT, b"f").await.expect("it is there");
        let handle = client.open(known.attributes.inode.id, RW).await.expect("opens").handle;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let is_forget = |request: &Request| matches!(request, Request::Forget { .. });
        assert!(!cluster.state().requests[begun..].iter().any(is_forget), "it is open");
        client.release(handle);
        client.forget(known.attributes.inode.id, 1);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(cluster.state().requests[begun..].iter().any(is_forget), "it is of no more use");
    });
}

#[test]
fn a_time_that_was_set_is_not_overwritten_by_a_commit_that_comes_later() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"data").await.expect("written");
        let time = Timestamp::new(123_456, 789);
        let changes = AttributeChanges { modified: Some(SetTime::At(time)), ..AttributeChanges::default() };
        client.set_attributes(inode, changes, Caller::default()).await.expect("set");
        client.flush(handle).await.expect("stored");
        client.fsync(handle).await.expect("durable");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(client.attributes(inode).await.map(|k| k.attributes.modified), Ok(time));
    });
}

#[test]
fn a_directory_is_read_page_by_page() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        for n in 0..300 {
            let name = format!("a rather long name so that pages are several, number {n:05}");
            client.make(ROOT, name.as_bytes(), file()).await.expect("made");
        }
        let dir = client.make(ROOT, b"dir", node(FileKind::Directory)).await.expect("made");
        client.rename(ROOT, b"dir", ROOT, b"folder", RenameMode::NoReplace).await.expect("renamed");
        let dir = dir.attributes.inode.id;
        let before = cluster.state().requests.len();
        let inner = client.read_directory(dir, DirCursor(0), 4096).await.expect("read");
        assert_eq!((inner.entries.len(), inner.end, inner.parent), (0, true, ROOT));
        assert_eq!(cluster.state().requests.len(), before + 1, "a page says also where `..` leads");
        assert_eq!(client.read_directory(ROOT, DirCursor(0), 4096).await.expect("read").parent, ROOT);
        let (mut after, mut names, mut pages) = (DirCursor(0), Vec::new(), 0);
        loop {
            let page = client.read_directory(ROOT, after, 4096).await.expect("read");
            pages += 1;
            names.extend(page.entries.iter().map(|entry| entry.name.clone()));
            if page.end {
                break;
            }
            after = page.entries.last().expect("progress").cursor;
        }
        assert!(pages > 3);
        assert_eq!(names.len(), 301);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 301);
    });
}

#[test]
fn holes_are_found_at_the_grain_of_chunks_and_read_as_zeroes() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "sparse").await;
        client.write(handle, 2 * CHUNK_BYTES + 5, b"data").await.expect("written");
        assert_eq!(client.seek(handle, 0, SeekWhat::Data).await, Ok(Some(2 * CHUNK_BYTES)));
        assert_eq!(client.seek(handle, 0, SeekWhat::Hole).await, Ok(Some(0)));
        let end = 2 * CHUNK_BYTES + 9;
        assert_eq!(client.seek(handle, 2 * CHUNK_BYTES + 6, SeekWhat::Hole).await, Ok(Some(end)));
        assert_eq!(client.seek(handle, end, SeekWhat::Data).await, Ok(None));
        assert_eq!(client.read(handle, CHUNK_BYTES, 10).await.as_deref(), Ok(&[0; 10][..]));
        assert_eq!(client.read(handle, 2 * CHUNK_BYTES, 100).await.as_deref(), Ok(&b"\0\0\0\0\0data"[..]));
    });
}

#[test]
fn a_writer_faster_than_the_chain_is_held_back_and_everything_arrives() {
    simulate(|cluster| async move {
        let options = ClientOptions {
            masters: vec!["m:9".to_owned()],
            name: "small".to_owned(),
            write_buffer_bytes: 4 << 20,
            ..ClientOptions::default()
        };
        let client = Client::connect(cluster.world.env("small"), options).await.expect("connects");
        let data = pattern(20 * MIB, 19);
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..3 {
            let (_, handle) = create(&client, &format!("f{n}")).await;
            let (client, data) = (Arc::clone(&client), data.clone());
            tasks.spawn(async move {
                client.write(handle, 0, &data).await.expect("written");
                client.flush(handle).await.expect("stored");
                assert!(read_all(&client, handle).await == data);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic");
        }
        client.sync_all().await.expect("durable");
        client.close().await.expect("closed");
        assert!(cluster.state().chunks.values().all(|stored| stored.synced == stored.data));
    });
}

#[test]
fn a_client_with_nothing_unsent_ends_at_once_and_well_without_a_master() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        client.write(handle, 0, b"data").await.expect("written");
        client.fsync(handle).await.expect("durable");
        cluster.kill_master();
        let begun = tokio::time::Instant::now();
        client.close().await.expect("nothing is lost");
        assert!(begun.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || -> String {
        let trace = Arc::new(std::sync::Mutex::new(String::new()));
        let out = Arc::clone(&trace);
        simulate(|cluster| async move {
            let client = mount(&cluster, "a").await;
            for n in 0..10_u64 {
                let (_, handle) = create(&client, &format!("f{n}")).await;
                client.write(handle, n * 100_000, &pattern(300_000, n as u8)).await.expect("written");
                client.fsync(handle).await.expect("durable");
            }
            *out.lock().expect("short") = format!("{:?}", cluster.state().requests);
        });
        trace.lock().expect("short").clone()
    };
    assert!(run() == run());
}
