//! What is left of a directory that was removed.

use super::{ROOT, file, mount, mount_with, node, simulate};
use client::ClientOptions;
use std::time::Duration;
use types::{DirCursor, FileKind, RenameMode, Status};

#[test]
fn a_directory_that_is_no_more_has_attributes_and_no_name_as_long_as_the_kernel_knows_it() {
    simulate(|cluster| async move {
        let options = ClientOptions { inodes_max: 8, ..ClientOptions::default() };
        let (one, two) = (mount_with(&cluster, "a", options).await, mount(&cluster, "b").await);
        let make = async |name: &str| {
            let known = one.make(ROOT, name.as_bytes(), node(FileKind::Directory)).await.expect("made");
            known.attributes.inode.id
        };
        let (removed, replaced) = (make("removed").await, make("replaced").await);
        let elsewhere = make("elsewhere").await;
        make("other").await;
        let links = async |dir| one.attributes(dir).await.map(|known| known.attributes.links);
        two.remove_directory(ROOT, b"elsewhere").await.expect("removed");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(links(elsewhere).await, Ok(0));
        one.remove_directory(ROOT, b"removed").await.expect("removed");
        one.rename(ROOT, b"other", ROOT, b"replaced", RenameMode::Replace).await.expect("renamed");
        // More than there is room for do not push it out.
        for n in 0..50 {
            one.make(ROOT, format!("f{n}").as_bytes(), file()).await.expect("made");
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        for dir in [removed, replaced, elsewhere] {
            let known = one.attributes(dir).await.expect("what is left").attributes;
            assert_eq!((known.kind, known.mode, known.links), (FileKind::Directory, 0o644, 0));
            assert_eq!(one.read_directory(dir, DirCursor(0), 4096).await.map(drop), Err(Status::NotFound));
            assert_eq!(one.lookup(dir, b"f").await.map(drop), Err(Status::Stale));
            assert_eq!(one.make(dir, b"f", file()).await.map(drop), Err(Status::Stale));
            one.forget(dir, 1);
            assert_eq!(links(dir).await, Err(Status::Stale), "the kernel does not ask for it any more");
        }
    });
}
