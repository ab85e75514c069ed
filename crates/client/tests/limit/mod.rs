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
