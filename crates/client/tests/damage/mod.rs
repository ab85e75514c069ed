//! Reading what is damaged or missing: one page costs one page, and no read waits longer than the mount's limit.

use super::{MIB, ROOT, RW, create, mount, mount_with, simulate};
use crate::cluster::Cluster;
use client::{Client, ClientOptions, FileHandle};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{InodeId, PAGE_BYTES, Status};

const PAGE: usize = PAGE_BYTES as usize;
const LIMIT: Duration = Duration::from_secs(8);

/// Runs a test with a file of these bytes, stored by one mount and opened by another, whose limit is `LIMIT`.
fn with_file<F: Future<Output = ()>>(
    data: &[u8],
    test: impl FnOnce(Cluster, Arc<Client>, InodeId, FileHandle) -> F,
) {
    simulate(|cluster| async move {
        let writer = mount(&cluster, "writer").await;
        let (inode, handle) = create(&writer, "f").await;
        writer.write(handle, 0, data).await.expect("written");
        writer.flush(handle).await.expect("stored");
        let options = ClientOptions { timeout: Some(LIMIT), ..ClientOptions::default() };
        let reader = mount_with(&cluster, "reader", options).await;
        assert_eq!(reader.lookup(ROOT, b"f").await.expect("it is there").attributes.inode.id, inode);
        let handle = reader.open(inode, RW).await.expect("opens").handle;
        test(cluster, reader, inode, handle).await;
    });
}

/// Bytes of which no page is like another.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| ((n / PAGE) as u8).wrapping_mul(37) ^ n as u8 | 1).collect()
}

/// The pages of a file that cannot be read, one by one. The others are as they were written.
async fn unreadable(client: &Client, handle: FileHandle, data: &[u8]) -> Vec<u64> {
    let mut failed = Vec::new();
    for (n, page) in data.chunks(PAGE).enumerate() {
        match client.read(handle, (n * PAGE) as u64, PAGE_BYTES).await {
            Ok(bytes) => assert!(bytes == page, "page {n}"),
            Err(status) => {
                assert_eq!(status, Status::Io);
                failed.push(n as u64);
            }
        }
    }
    failed
}

fn reads(cluster: &Cluster) -> usize {
    cluster.state().reads.values().sum()
}

#[test]
fn replicas_damaged_at_different_pages_make_up_the_whole_file() {
    let data = pattern(3 * MIB + 1234);
    let model = data.clone();
    with_file(&data, |cluster, client, _, handle| async move {
        // The first and the last page, neighbours, and several in one window.
        let damage = [(1, 0), (2, 1), (1, 255), (2, 300), (1, 301), (1, 400), (2, 401), (2, 768), (1, 767)];
        cluster.state().rotten_pages = damage.into();
        let mut all = Vec::new();
        while all.len() < model.len() {
            let piece = client.read(handle, all.len() as u64, 128 << 10).await.expect("some replica has it");
            all.extend_from_slice(&piece);
        }
        assert!(all == model);
        assert!(reads(&cluster) <= 4 * 2 + damage.len() * 2 * 9, "{}", reads(&cluster));
        // Not through windows, and across two of them.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let found = client.read(handle, 999_999, 100_000).await.expect("some replica has it");
        assert!(found == model[999_999..1_099_999]);
    });
}

#[test]
fn what_is_written_while_it_is_sent_is_asked_for_again() {
    let data = pattern(2 * MIB);
    let model = data.clone();
    with_file(&data, |cluster, client, _, handle| async move {
        cluster.state().racing = true;
        let found = client.read(handle, MIB as u64 + 7, 100_000).await.expect("it is good");
        assert!(found == model[MIB + 7..MIB + 7 + 100_000]);
        let asked: Vec<usize> = cluster.state().reads.values().copied().collect();
        assert_eq!(asked, [2], "twice, and of the same replica");
    });
}

#[test]
fn a_page_damaged_on_every_replica_fails_alone() {
    let data = pattern(2 * MIB);
    let model = data.clone();
    with_file(&data, |cluster, client, inode, handle| async move {
        cluster.state().rotten_pages = [(1, 77), (2, 77), (1, 300), (2, 301)].into();
        assert_eq!(unreadable(&client, handle, &model).await, [77]);
        // What touches it fails as a whole: a short answer would say that the file ends there.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let handle = client.open(inode, RW).await.expect("opens").handle;
        let bad = 77 * PAGE as u64;
        for (offset, length) in [(bad - 5, 6), (bad + 4095, 1), (0, 1 << 20), (bad - 100, 9000)] {
            assert_eq!(client.read(handle, offset, length).await, Err(Status::Io), "{offset}");
        }
        for (offset, length) in [(bad - 5, 5), (bad + 4096, 3), (1 << 20, 1 << 20)] {
            let (from, to) = (offset as usize, offset as usize + length as usize);
            assert!(client.read(handle, offset, length).await.expect("it is good") == model[from..to]);
        }
        // Mended elsewhere, it is read again.
        cluster.state().rotten_pages.clear();
        assert!(
            client.read(handle, bad, PAGE_BYTES).await.expect("it is good") == model[77 * PAGE..78 * PAGE]
        );
    });
}

#[test]
fn a_page_that_another_replica_may_have_soon_is_waited_for() {
    let data = pattern(MIB);
    let model = data.clone();
    with_file(&data, |cluster, client, _, handle| async move {
        cluster.state().rotten_pages = [(1, 77), (2, 77)].into();
        cluster.state().more = true;
        let page = 77 * PAGE as u64;
        let read = tokio::spawn({
            let client = Arc::clone(&client);
            async move { client.read(handle, page, PAGE_BYTES).await }
        });
        tokio::time::sleep(LIMIT / 2).await;
        assert!(!read.is_finished());
        cluster.state().rotten_pages.clear();
        assert!(read.await.expect("it ends").expect("it is good") == model[77 * PAGE..78 * PAGE]);
        // Not for longer than the mount's limit.
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.state().rotten_pages = [(1, 9), (2, 9)].into();
        assert_eq!(client.read(handle, 9 * PAGE as u64, PAGE_BYTES).await, Err(Status::TimedOut));
    });
}

#[test]
fn the_search_for_good_pages_costs_some_requests_for_each_bad_one() {
    let data = pattern(MIB);
    for bad in [vec![0], vec![255], vec![100, 101], vec![3, 90, 200]] {
        let model = data.clone();
        with_file(&data, |cluster, client, _, handle| async move {
            let both = bad.iter().flat_map(|page| [(1, *page), (2, *page)]);
            cluster.state().rotten_pages = both.collect();
            let good = (0..256).find(|page| !bad.contains(page)).expect("there is one");
            let found = client.read(handle, good * PAGE as u64, 1).await.expect("it is good");
            assert_eq!(found[0], model[good as usize * PAGE]);
            // The window itself, twice of each replica; then eight levels, at each of them two halves from one or two.
            let most = 4 + bad.len() * 8 * 3;
            assert!(reads(&cluster) <= most, "{} for {bad:?}", reads(&cluster));
            assert_eq!(unreadable(&client, handle, &model).await, bad);
        });
    }
}

#[test]
fn pages_that_one_replica_has_are_read_while_the_other_hangs() {
    let data = pattern(MIB);
    let model = data.clone();
    with_file(&data, |cluster, client, _, handle| async move {
        cluster.state().rotten_pages = [(1, 9)].into();
        cluster.state().silent = [2].into();
        let began = Instant::now();
        let found = client.read(handle, 200 * PAGE as u64, PAGE_BYTES).await.expect("one has it");
        assert!(found == model[200 * PAGE..201 * PAGE]);
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    });
}

#[test]
fn a_chunk_that_only_refuses_is_not_searched_in_halves() {
    let data = pattern(MIB);
    with_file(&data, |cluster, client, _, handle| async move {
        cluster.state().chunks.clear();
        assert!(client.read(handle, 0, PAGE_BYTES).await.is_err());
        // Two in each round; the rounds are a second apart at last.
        assert!(reads(&cluster) <= 2 * 16, "{}", reads(&cluster));
    });
}

#[test]
fn a_read_and_its_repetition_by_the_kernel_end_within_the_limit() {
    let data = pattern(4 * MIB);
    let model = data.clone();
    with_file(&data, |cluster, client, _, handle| async move {
        let chunks = std::mem::take(&mut cluster.state().chunks);
        // A small one, a stream, one apart, and one across two windows; the kernel then asks for the first page.
        for (offset, length) in [(0, PAGE_BYTES), (0, 128 << 10), (3 << 20, 8192), ((1 << 20) - 50, 4096)] {
            let began = Instant::now();
            assert!(client.read(handle, offset, length).await.is_err());
            let took = began.elapsed();
            assert!((LIMIT..LIMIT + Duration::from_millis(10)).contains(&took), "{took:?} at {offset}");
            let page = offset - offset % PAGE as u64;
            assert!(client.read(handle, page, PAGE_BYTES).await.is_err());
            let took = began.elapsed();
            assert!(took < LIMIT + Duration::from_millis(100), "{took:?} with the repetition at {offset}");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        // Later reads have their own patience.
        let back = async {
            tokio::time::sleep(LIMIT / 2).await;
            cluster.state().chunks = chunks;
        };
        let (found, ()) = tokio::join!(client.read(handle, 0, PAGE_BYTES), back);
        assert!(found.expect("it came back") == model[..PAGE]);
    });
}

#[test]
fn a_read_that_joins_the_fetch_of_another_waits_for_its_own_limit() {
    let data = pattern(MIB);
    let model = data.clone();
    with_file(&data, |cluster, client, _, handle| async move {
        let chunks = std::mem::take(&mut cluster.state().chunks);
        let first = client.read(handle, 0, PAGE_BYTES);
        let second = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            client.read(handle, 4096, PAGE_BYTES).await
        };
        let back = async {
            tokio::time::sleep(LIMIT + Duration::from_millis(700)).await;
            cluster.state().chunks = chunks;
        };
        let (first, second, ()) = tokio::join!(first, second, back);
        assert!(first.is_err());
        assert!(second.expect("it came back in time") == model[PAGE..2 * PAGE]);
    });
}

#[test]
fn a_read_ends_within_the_limit_when_master_and_chunkservers_hang() {
    let data = pattern(MIB);
    let model = data.clone();
    with_file(&data, |cluster, client, _, handle| async move {
        cluster.state().silent = [1, 2].into();
        for master_too in [false, true] {
            tokio::time::sleep(Duration::from_secs(3)).await;
            if master_too {
                cluster.kill_master();
            }
            let began = Instant::now();
            assert!(client.read(handle, 0, PAGE_BYTES).await.is_err());
            assert!(began.elapsed() <= LIMIT + Duration::from_millis(10), "{:?}", began.elapsed());
            // For a page fault the kernel asks twice more.
            for again in 1..=2 {
                assert!(client.read(handle, 0, PAGE_BYTES).await.is_err());
                let tries = again * Duration::from_millis(1100);
                assert!(began.elapsed() <= LIMIT + tries, "{:?}", began.elapsed());
            }
            if !master_too {
                let hanging = std::mem::take(&mut cluster.state().silent);
                assert!(client.read(handle, 0, PAGE_BYTES).await.expect("they are back") == model[..PAGE]);
                cluster.state().silent = hanging;
            }
        }
    });
}
