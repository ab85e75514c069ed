//! An fsync that fails, and the one after it.

use super::{ROOT, RW, create, mount, simulate};
use std::time::Duration;
use types::Status;

#[test]
fn an_fsync_that_fails_again_is_news_to_its_caller_alone_and_the_next_one_that_can_be_done_succeeds() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, one) = create(&client, "f").await;
        let two = client.open(inode, RW).await.expect("opens").handle;
        client.write(one, 0, b"precious").await.expect("written");
        client.flush(one).await.expect("stored");
        cluster.state().stuck = true;
        assert_eq!(client.fsync(one).await, Err(Status::Io));
        assert_eq!(client.fsync(two).await, Err(Status::Io), "each handle is told");
        let three = client.open(inode, RW).await.expect("opens").handle;
        for handle in [one, three] {
            assert_eq!(client.fsync(handle).await, Err(Status::Io), "nothing was synced");
        }
        for handle in [one, two, three] {
            assert_eq!(client.flush(handle).await, Ok(()), "nothing more was lost");
            client.write(handle, 100, b"on").await.expect("nor does a write hear of it");
        }
        assert_eq!(client.sync_all().await, Err(Status::Io));
        cluster.state().stuck = false;
        for handle in [one, two, three] {
            assert_eq!(client.flush(handle).await, Err(Status::Io), "these writes were lost, too");
            assert_eq!(client.fsync(handle).await, Err(Status::Io));
            assert_eq!(client.fsync(handle).await, Ok(()));
        }
        assert!(cluster.state().chunks.values().all(|stored| stored.synced == stored.data));
        assert_eq!(client.sync_all().await, Ok(()));
    });
}

#[test]
fn an_fsync_that_cannot_be_done_is_no_loss_where_nothing_is_in_danger() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, one) = create(&client, "f").await;
        let two = client.open(inode, RW).await.expect("opens").handle;
        client.write(one, 0, b"precious").await.expect("written");
        client.fsync(one).await.expect("durable");
        cluster.kill_master();
        assert!(client.fsync(one).await.is_err());
        cluster.start_master().await;
        for handle in [two, one] {
            assert_eq!(client.flush(handle).await, Ok(()));
            assert_eq!(client.fsync(handle).await, Ok(()));
        }
    });
}

/// As of a program that tries again while a child still has a copy of the first descriptor.
#[test]
fn a_close_stores_what_was_written_after_a_loss_and_a_handle_opened_after_a_close_told_of_it_is_not_told() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, one) = create(&client, "f").await;
        client.write(one, 0, b"first").await.expect("written");
        client.flush(one).await.expect("stored");
        cluster.state().stuck = true;
        assert_eq!(client.sync_all().await, Err(Status::Io));
        cluster.state().stuck = false;
        // Nothing of this one was stored when it was told.
        let two = client.open(inode, RW).await.expect("opens").handle;
        client.write(two, 0, b"again").await.expect("written");
        assert_eq!(client.flush(two).await, Err(Status::Io));
        assert!(cluster.state().chunks.values().any(|stored| stored.data == b"again"));
        let three = client.open(inode, RW).await.expect("opens").handle;
        client.write(three, 0, b"third").await.expect("written");
        assert_eq!(client.flush(three).await, Ok(()));
        assert_eq!(client.fsync(one).await, Err(Status::Io), "it was told by no fsync");
    });
}

/// Nobody knows any more what of it is to be synced.
#[test]
fn a_file_that_is_forgotten_with_bytes_that_no_disk_took_tells_its_next_handle() {
    simulate(|cluster| async move {
        let client = mount(&cluster, "a").await;
        let (inode, handle) = create(&client, "f").await;
        client.write(handle, 0, b"precious").await.expect("written");
        client.flush(handle).await.expect("stored");
        cluster.state().stuck = true;
        assert_eq!(client.fsync(handle).await, Err(Status::Io));
        client.release(handle);
        client.forget(inode, 1);
        tokio::time::sleep(Duration::from_secs(200)).await;
        let inode = client.lookup(ROOT, b"f").await.expect("it is there").attributes.inode.id;
        let handle = client.open(inode, RW).await.expect("opens").handle;
        assert_eq!(client.fsync(handle).await, Err(Status::Io));
    });
}
