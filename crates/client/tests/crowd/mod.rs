//! More inodes than are to be kept: which are let go, and which are not.

use super::*;
use types::DirectoryEntry;

/// A client that is to keep few inodes, with a directory of many more.
async fn mount_with_many_files(cluster: &Cluster) -> Arc<Client> {
    let options = ClientOptions { inodes_max: 20, ..ClientOptions::default() };
    let client = mount_with(cluster, "a", options).await;
    for n in 0..200 {
        let (_, handle) = create(&client, &format!("f{n}")).await;
        client.release(handle);
    }
    client
}

/// Tells the client that its kernel was told of all files, as when `ls -l` lists them.
fn remember(client: &Client, files: &[DirectoryEntry]) {
    for file in files {
        client.remember(&file.attributes, Some((ROOT, file.name.as_bytes())));
    }
}

async fn list(client: &Client) -> Vec<DirectoryEntry> {
    let mut files: Vec<DirectoryEntry> = Vec::new();
    loop {
        let after = files.last().map_or(DirCursor(0), |file| file.cursor);
        let page = client.read_directory(ROOT, after, 64 << 10).await.expect("listed");
        if page.entries.is_empty() {
            return files;
        }
        files.extend(page.entries);
    }
}

#[test]
fn a_large_listing_does_not_fill_the_memory_with_inodes() {
    simulate(|cluster| async move {
        let client = mount_with_many_files(&cluster).await;
        remember(&client, &list(&client).await);
        assert!(client.inodes_known() > 200);
        // Long before attributes are outdated.
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(client.inodes_known() <= 20, "{}", client.inodes_known());
    });
}

/// The first open went on with an inode that had left, and the second one got another: neither saw what the other wrote.
#[test]
fn an_inode_that_is_being_opened_is_not_let_go() {
    simulate(|cluster| async move {
        let client = mount_with_many_files(&cluster).await;
        let files = list(&client).await;
        let file = files[7].attributes.inode.id;
        remember(&client, &files);
        tokio::time::sleep(Duration::from_secs(2)).await;
        remember(&client, &files[7..8]);
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The master is asked, and meanwhile others crowd the table.
        let crowd = async { remember(&client, &files) };
        let (one, ()) = tokio::join!(client.open(file, RW), crowd);
        let one = one.expect("opens").handle;
        client.write(one, 0, b"of the first").await.expect("written");
        let two = client.open(file, RW).await.expect("opens").handle;
        assert_eq!(read_all(&client, two).await, b"of the first");
        client.release(one);
        client.release(two);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(client.inodes_known() <= 20, "{}", client.inodes_known());
    });
}

#[test]
fn inodes_that_are_not_open_are_let_go_and_found_again_by_number() {
    simulate(|cluster| async move {
        let options = ClientOptions { inodes_max: 20, ..ClientOptions::default() };
        let client = mount_with(&cluster, "a", options).await;
        let (kept, held) = create(&client, "kept").await;
        client.write(held, 0, b"kept").await.expect("written");
        let mut inodes = Vec::new();
        for n in 0..500 {
            let (inode, handle) = create(&client, &format!("f{n}")).await;
            client.write(handle, 0, &[n as u8; 10]).await.expect("written");
            client.flush(handle).await.expect("stored");
            client.release(handle);
            inodes.push(inode);
        }
        while client.inodes_known() > 20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for (n, inode) in inodes.into_iter().enumerate() {
            let handle = client.open(inode, RW).await.expect("found by its number").handle;
            assert_eq!(read_all(&client, handle).await, [n as u8; 10]);
            client.release(handle);
        }
        assert_eq!(read_all(&client, held).await, b"kept");
        assert_eq!(client.attributes(kept).await.map(|k| k.attributes.length), Ok(4));
        let told = |request: &Request| match request {
            Request::Forget { inodes, .. } => inodes.len(),
            _ => 0,
        };
        assert!(cluster.state().requests.iter().map(told).sum::<usize>() >= 480);
    });
}
