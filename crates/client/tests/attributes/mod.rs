//! Attributes of files that are being written: what waits for the commit, and who sees it.

use super::*;

fn set(mode: u16, modified: Timestamp) -> [AttributeChanges; 3] {
    let none = AttributeChanges::default();
    [
        AttributeChanges { modified: Some(SetTime::At(modified)), ..none },
        AttributeChanges { uid: Some(5), gid: Some(6), ..none },
        AttributeChanges { mode: Some(mode), ..none },
    ]
}

/// A time long ago.
fn time() -> Timestamp {
    Timestamp::new(123_456, 789)
}

#[test]
fn what_is_set_on_a_file_with_unsent_writes_is_told_with_their_commit() {
    simulate(|cluster| async move {
        let (client, other) = (mount(&cluster, "a").await, mount(&cluster, "b").await);
        let before = cluster.state().requests.len();
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"data").await.expect("written");
        for changes in set(0o600, time()) {
            let known = client.set_attributes(inode, changes, Caller::default()).await.expect("set");
            assert_eq!(Ok(known.attributes), client.attributes(inode).await.map(|known| known.attributes));
        }
        let shown = client.attributes(inode).await.expect("known").attributes;
        let is_set = |attributes: &types::Attributes| {
            attributes.modified == time()
                && (attributes.mode, attributes.owner) == (0o600, Owner { uid: 5, gid: 6 })
                && attributes.length == 4
        };
        assert!(is_set(&shown), "{shown:?}");
        assert_eq!(cluster.state().requests.len(), before + 1, "the master was not asked");
        client.flush(handle).await.expect("stored");
        let found = other.lookup(ROOT, b"f").await.expect("found").attributes;
        assert!(is_set(&found), "{found:?}");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(client.attributes(inode).await.is_ok_and(|known| is_set(&known.attributes)));
        let state = cluster.state();
        let told: Vec<_> = state.requests[before..].iter().filter(|request| request.is_mutation()).collect();
        let [Request::Create { .. }, Request::SetAttributes { .. }, Request::Commit { .. }] = told[..] else {
            panic!("{told:?}");
        };
    });
}

#[test]
fn a_write_after_a_time_was_set_counts_again() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"data").await.expect("written");
        let [modified, ..] = set(0, time());
        client.set_attributes(inode, modified, Caller::default()).await.expect("set");
        client.write(handle, 4, b"more").await.expect("written");
        let shown = client.attributes(inode).await.expect("known").attributes.modified;
        assert!(shown > time());
        client.fsync(handle).await.expect("durable");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(client.attributes(inode).await.map(|known| known.attributes.modified), Ok(shown));
    });
}

#[test]
fn an_fsync_covers_what_was_set() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"data").await.expect("written");
        let before = cluster.state().requests.len();
        let [.., mode] = set(0o600, time());
        client.set_attributes(inode, mode, Caller::default()).await.expect("set");
        client.fsync(handle).await.expect("durable");
        let state = cluster.state();
        let asked = &state.requests[before..];
        let durable = |request: &Request| matches!(request, Request::Commit { durable: true, .. });
        let set = asked.iter().position(|request| matches!(request, Request::SetAttributes { .. }));
        assert!(set.is_some() && set < asked.iter().position(durable), "{asked:?}");
    });
}

#[test]
fn what_only_the_master_knows_does_not_wait() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        let none = AttributeChanges::default();
        let now = AttributeChanges { modified: Some(SetTime::Now), ..none };
        let setuid = AttributeChanges { mode: Some(0o4755), ..none };
        let chown = AttributeChanges { uid: Some(7), ..none };
        // The last one clears what the one before has set.
        for changes in [now, setuid, chown] {
            client.write(handle, 0, b"data").await.expect("written");
            let before = cluster.state().requests.len();
            client.set_attributes(inode, changes, Caller::default()).await.expect("set");
            let state = cluster.state();
            assert!(
                matches!(state.requests[before..].last(), Some(Request::SetAttributes { .. })),
                "{changes:?}"
            );
        }
        let known = client.attributes(inode).await.expect("known").attributes;
        assert_eq!((known.mode, known.owner.uid), (0o755, 7));
    });
}

#[test]
fn what_waits_is_told_within_a_second_also_while_the_file_is_written_on() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        for host in ["s1", "s2"] {
            cluster.world.net().kill_host(host);
        }
        client.write(handle, 0, b"data").await.expect("written");
        let [.., mode] = set(0o600, time());
        client.set_attributes(inode, mode, Caller::default()).await.expect("set");
        let before = cluster.state().requests.len();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let state = cluster.state();
        let is_set = |request: &Request| matches!(request, Request::SetAttributes { .. });
        assert!(state.requests[before..].iter().any(is_set), "although no replica can be reached");
    });
}

#[test]
fn a_file_counts_as_written_when_room_in_it_is_reserved() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        let modified = async || {
            let known = client.attributes(inode).await.expect("known").attributes;
            known.modified
        };
        for unsent in [true, false] {
            client.write(handle, 0, &[1; 10_000]).await.expect("written");
            let end = client.attributes(inode).await.expect("known").attributes.length;
            let extend = AllocateMode::Extend;
            for (mode, offset) in [(AllocateMode::KeepSize, 1 << 20), (extend, 0), (extend, end)] {
                client.write(handle, 0, b"more").await.expect("written");
                if !unsent {
                    client.flush(handle).await.expect("stored");
                }
                let before = modified().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                client.allocate(handle, mode, offset, 4096).await.expect("reserved");
                let after = modified().await;
                assert!(after > before, "{mode:?}: {before:?}, {after:?}");
                client.flush(handle).await.expect("stored");
                tokio::time::sleep(Duration::from_secs(2)).await;
                assert_eq!(modified().await, after, "{mode:?}");
            }
        }
    });
}
