//! The mount's limit: no call takes longer while the cluster is away, nor is one given up before.

use super::*;

#[test]
fn every_call_ends_within_the_limit_when_the_cluster_stays_away() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        cluster.kill_master();
        assert_eq!(within_the_limit(client.lookup(ROOT, b"g")).await, Err(Status::TimedOut));
        client.write(handle, 0, b"never stored").await.expect("buffered");
        assert!(within_the_limit(client.flush(handle)).await.is_err());
        assert!(within_the_limit(client.fsync(handle)).await.is_err());
        cluster.start_master().await;
        assert_eq!(client.lookup(ROOT, b"g").await, Err(Status::NotFound));
        client.write(handle, 0, b"stored").await.expect("buffered");
        assert_eq!(client.flush(handle).await, Ok(()));
        assert_eq!(read_all(&client, handle).await, b"stored");
    });
}

/// Waits for a call, which may take as long as the mount's limit.
async fn within_the_limit<T>(call: impl Future<Output = T>) -> T {
    let limit = ClientOptions::default().timeout.expect("there is one") + Duration::from_secs(1);
    tokio::time::timeout(limit, call).await.expect("it ends in time")
}

/// A question that was asked for what was given up since does not count: neither to shorten what comes later, nor to make it wait.
#[test]
fn what_comes_after_something_was_given_up_has_the_whole_limit_and_no_more() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (_, handle) = create(&client, "f").await;
        cluster.kill_master();
        client.write(handle, 0, b"first").await.expect("buffered");
        tokio::time::sleep(Duration::from_secs(45)).await;
        client.write(handle, CHUNK_BYTES, b"another chunk").await.expect("buffered");
        assert!(client.flush(handle).await.is_err());
        assert!(client.write(handle, CHUNK_BYTES, b"told of it").await.is_err());
        client.write(handle, CHUNK_BYTES, b"again").await.expect("buffered");
        let began = tokio::time::Instant::now();
        assert!(within_the_limit(client.flush(handle)).await.is_err());
        assert!(began.elapsed() > Duration::from_secs(55), "{:?}", began.elapsed());
    });
}

/// What was given up is in a chunk that no map has. A mount that forgot that, and asked for a chunk for the file again, would get the same one.
#[test]
fn what_was_given_up_does_not_come_back_for_who_opens_the_file_anew() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"given up").await.expect("buffered");
        cluster.kill_master();
        assert!(client.flush(handle).await.is_err());
        assert!(cluster.state().writes > 0, "replicas have it");
        client.release(handle);
        client.forget(inode, 1);
        // Long enough for the mount to have tried in vain.
        tokio::time::sleep(Duration::from_secs(180)).await;
        cluster.start_master().await;
        while client.inodes_known() > 1 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let known = client.lookup(ROOT, b"f").await.expect("it is there");
        let opened = client.open(known.attributes.inode.id, RW).await.expect("it opens");
        client.write(opened.handle, 100, b"new").await.expect("buffered");
        assert_eq!(client.fsync(opened.handle).await, Ok(()));
        let mut expected = vec![0; 100];
        expected.extend(b"new");
        assert_eq!(read_all(&client, opened.handle).await, expected);
    });
}
