//! Pages of mappings: taken without room when nothing is stored, since a process that ends waits for that.

use super::*;
use tokio::time::timeout;

const BUFFER: usize = 4 * MIB;
/// Longer than a page of a mapping waits for room, and much less than the limit.
const MOMENT: Duration = Duration::from_secs(2);

#[test]
fn pages_of_a_mapping_wait_for_room_for_a_moment_only_and_go_nowhere_else_than_other_bytes() {
    simulate(|cluster| async move {
        let options = ClientOptions { write_buffer_bytes: BUFFER as u64, ..ClientOptions::default() };
        let client = mount_with(&cluster, "a", options).await;
        let (_, handle) = create(&client, "f").await;
        client.write(handle, 0, b"first").await.expect("written");
        client.fsync(handle).await.expect("durable");
        cluster.kill_master();
        let data = pattern(8 * BUFFER, 7);
        let mut tasks = tokio::task::JoinSet::new();
        for (n, page) in data.chunks(MIB).enumerate() {
            let (client, page) = (Arc::clone(&client), page.to_vec());
            tasks.spawn(async move { client.write_pages(handle, (n * MIB) as u64, &page).await });
        }
        let taken =
            async { while tasks.join_next().await.is_some_and(|done| done.is_ok_and(|d| d.is_ok())) {} };
        timeout(MOMENT, taken).await.expect("they do not wait for a cluster that is away");
        assert!(tasks.is_empty(), "one was refused");
        // What may wait does, and beyond the further bound pages do as well.
        let at = data.len() as u64;
        assert!(timeout(MOMENT, client.write(handle, at, b"last")).await.is_err());
        assert!(timeout(MOMENT, client.write_pages(handle, at, b"last")).await.is_err());
        cluster.start_master().await;
        client.write_pages(handle, at, b"last").await.expect("there is room again");
        client.fsync(handle).await.expect("durable");
        let reader = mount(&cluster, "b").await;
        let inode = reader.lookup(ROOT, b"f").await.expect("it is there").attributes.inode.id;
        let handle = reader.open(inode, RW).await.expect("opens").handle;
        assert!(read_all(&reader, handle).await == [&data[..], b"last"].concat());
    });
}
