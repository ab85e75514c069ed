//! What is asked of the master, and what is not.

use super::*;

#[test]
fn the_end_of_a_list_is_not_asked_for_again_until_the_directory_changes() {
    simulate(|cluster| async move {
        let (client, other) = (mount(&cluster, "a").await, mount(&cluster, "b").await);
        let dir = client.make(ROOT, b"dir", node(FileKind::Directory)).await.expect("made");
        let dir = dir.attributes.inode.id;
        client.make(dir, b"f", file()).await.expect("made");
        assert!(!client.is_end(dir, DirCursor(0)));
        let page = client.read_directory(dir, DirCursor(0), 4096).await.expect("read");
        let last = page.entries.last().expect("one").cursor;
        assert!(client.is_end(dir, last) && !client.is_end(dir, DirCursor(0)));
        client.make(dir, b"g", file()).await.expect("made");
        assert!(!client.is_end(dir, last), "this mount sees its own changes");
        client.read_directory(dir, last, 4096).await.expect("read");
        other.lookup(ROOT, b"dir").await.expect("found");
        other.make(dir, b"h", file()).await.expect("made");
        tokio::time::sleep(Duration::from_millis(1_001)).await;
        assert!(!client.is_end(dir, page.entries[0].cursor), "it is believed for a second");
    });
}

#[test]
fn a_file_is_opened_and_read_with_one_question_at_a_time() {
    simulate(|cluster| async move {
        let (writer, reader) = (mount(&cluster, "a").await, mount(&cluster, "b").await);
        let (_, handle) = create(&writer, "f").await;
        writer.write(handle, 0, b"data").await.expect("written");
        writer.flush(handle).await.expect("stored");
        let asked = |from: usize| -> Vec<Request> {
            let is_alive = |request: &&Request| !matches!(request, Request::KeepAlive);
            cluster.state().requests[from..].iter().filter(is_alive).cloned().collect()
        };
        // A lookup and the open that belongs to it: the lookup says where the file begins.
        let before = cluster.state().requests.len();
        let inode = reader.lookup(ROOT, b"f").await.expect("found").attributes.inode.id;
        let handle = reader.open(inode, RW).await.expect("open").handle;
        assert_eq!(read_all(&reader, handle).await, b"data");
        assert!(matches!(asked(before)[..], [Request::Lookup { .. }]), "{:?}", asked(before));
        reader.release(handle);
        // An open later on asks for both at once.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = cluster.state().requests.len();
        let handle = reader.open(inode, RW).await.expect("open").handle;
        let both = asked(before);
        assert!(matches!(both[..], [Request::GetAttributes { .. }, Request::Locate { .. }]), "{both:?}");
        assert_eq!(read_all(&reader, handle).await, b"data");
        assert_eq!(asked(before).len(), 2);
    });
}
