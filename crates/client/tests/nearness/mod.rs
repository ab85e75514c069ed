//! Which of two chunkservers is read, by the hints that the master gives.

use super::{MIB, ROOT, RW, create, mount, mount_with, simulate};
use crate::cluster::Cluster;
use client::{Client, ClientOptions};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{Expression, InodeId, ReadHints};

/// Longer than a location is used.
const STALE: Duration = Duration::from_secs(2);
/// The longest that one replica is waited for before another one is asked as well.
const HEDGE: Duration = Duration::from_millis(500);

/// Runs a test with a file of 8 MiB, stored by one mount and opened by another.
fn with_hints<F: Future<Output = ()>>(
    hints: [(u8, ReadHints); 1],
    test: impl FnOnce(Cluster, Arc<Client>, InodeId) -> F,
) {
    simulate(|cluster| async move {
        cluster.state().hints = hints.into();
        let writer = mount(&cluster, "writer").await;
        let (inode, handle) = create(&writer, "f").await;
        writer.write(handle, 0, &vec![7; 8 * MIB]).await.expect("written");
        writer.flush(handle).await.expect("stored");
        let reader = mount(&cluster, "reader").await;
        test(cluster, reader, inode).await;
    });
}

/// Reads the whole file anew: how often each chunkserver was asked, and the longest that one of the reads took.
async fn read(cluster: &Cluster, client: &Client, inode: InodeId) -> ([usize; 2], Duration) {
    tokio::time::sleep(STALE).await;
    cluster.state().reads.clear();
    let handle = client.open(inode, RW).await.expect("opens").handle;
    let mut slowest = Duration::ZERO;
    // From its end, so that nothing is read ahead.
    for n in (0..8).rev() {
        let began = Instant::now();
        let found = client.read(handle, n * MIB as u64, 4096).await.expect("it is read");
        assert!(found[..] == [7; 4096]);
        slowest = slowest.max(began.elapsed());
    }
    client.release(handle);
    let state = cluster.state();
    ([1, 2].map(|server| state.reads.get(&server).copied().unwrap_or(0)), slowest)
}

#[test]
fn what_the_master_calls_near_is_read_as_long_as_it_answers() {
    for near in [1, 2_u8] {
        for hint in [
            ReadHints { preferred: true, ..ReadHints::default() },
            ReadHints { same_host: true, ..ReadHints::default() },
        ] {
            with_hints([(near, hint)], |cluster, client, inode| async move {
                let (asked, _) = read(&cluster, &client, inode).await;
                let (of_near, of_other) = (asked[usize::from(near) - 1], asked[usize::from(2 - near)]);
                assert!(of_near >= 8 && of_other == 0, "{asked:?} with {near} near");
                // Hanging, it holds up one read, and not those after it.
                cluster.state().silent = [near].into();
                let (asked, slowest) = read(&cluster, &client, inode).await;
                assert_eq!(asked[usize::from(near) - 1], 1, "{asked:?}");
                assert!(slowest <= HEDGE, "{slowest:?}");
            });
        }
    }
}

#[test]
fn what_is_read_last_is_asked_only_when_the_others_are_silent_and_then_without_waiting_for_their_end() {
    for last in [1, 2_u8] {
        let hint = ReadHints { same_host: true, preferred: true, read_last: true };
        with_hints([(last, hint)], |cluster, client, inode| async move {
            let (asked, _) = read(&cluster, &client, inode).await;
            let (of_last, of_other) = (asked[usize::from(last) - 1], asked[usize::from(2 - last)]);
            assert!(of_last == 0 && of_other >= 8, "{asked:?} with {last} last");
            cluster.state().silent = [3 - last].into();
            let (asked, slowest) = read(&cluster, &client, inode).await;
            assert!(asked[0] >= 8 && asked[1] >= 8, "each read tries the other one before: {asked:?}");
            assert!(slowest < HEDGE + Duration::from_millis(50), "{slowest:?}");
        });
    }
}

#[test]
fn what_a_client_prefers_it_says_at_each_connection() {
    simulate(|cluster| async move {
        let prefer = Some(Expression::new("site=home").expect("it is one"));
        let options = ClientOptions { prefer: prefer.clone(), ..ClientOptions::default() };
        let client = mount_with(&cluster, "reader", options).await;
        cluster.kill_master();
        cluster.start_master().await;
        assert!(client.lookup(ROOT, b"nothing").await.is_err());
        assert_eq!(cluster.state().preferences, [prefer.clone(), prefer]);
    });
}
