//! Looking at the metadata of a master that does not run.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod helper;

use env::{Env, SimDisk};
use helper::{World, run};
use master::check::{Checked, check};
use master::checkpoint::BuildError;
use std::sync::Arc;
use types::LogIndex;

/// Where a segment's first batch begins (`docs/format/changelog.md`).
const DATA_OFFSET: u64 = 1024;

fn look(world: &World) -> Result<Checked, BuildError> {
    check(&world.disk.dir(), Arc::clone(&Env::real().seed))
}

/// A cluster with two checkpoints and some log after them; the master was killed. The indexes of the checkpoints.
async fn killed(world: &World) -> [LogIndex; 2] {
    let master = world.start().await;
    let mut client = world.client("a").await;
    client.mkdir("one").await.unwrap();
    let older = master.checkpoint().await.unwrap().index;
    client.mkdir("two").await.unwrap();
    let newer = master.checkpoint().await.unwrap().index;
    client.mkdir("three").await.unwrap();
    master.kill().await;
    world.disk.kill();
    [older, newer]
}

fn names(disk: &SimDisk, folder: &str) -> Vec<String> {
    disk.dir().list(folder).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn all_checkpoints_and_the_log_after_the_oldest_are_read() {
    run(async |world| {
        let indexes = killed(&world).await;
        let checked = look(&world).unwrap();
        assert_eq!(checked.checkpoints, indexes.map(|index| (index, None)));
        assert!(checked.is_sound());
        assert_eq!(checked.replayed, checked.last.0 - indexes[0].0);
        assert_eq!((checked.counts.directories, checked.counts.entries), (4, 3));
        // A start finds the same.
        let master = world.start().await;
        let again = master.admin().status().await.unwrap();
        assert_eq!((again.files, again.directories), (0, 4));
        assert!(matches!(look(&world), Err(BuildError::Busy { .. })), "a master runs on it");
    });
}

#[test]
fn a_damaged_checkpoint_is_told_and_stays_where_it_is() {
    run(async |world| {
        let indexes = killed(&world).await;
        let before = names(&world.disk, "checkpoints");
        world.disk.flip_bit(&world.newest_file("checkpoints"), 200, 3).unwrap();
        let checked = look(&world).unwrap();
        assert!(!checked.is_sound());
        assert_eq!(checked.checkpoints[0], (indexes[0], None));
        assert!(checked.checkpoints[1].1.is_some());
        assert_eq!(checked.counts.entries, 3, "the older one and the log have everything");
        assert_eq!(names(&world.disk, "checkpoints"), before);
    });
}

#[test]
fn a_log_that_lost_what_was_stable_is_refused_and_left_alone() {
    run(async |world| {
        killed(&world).await;
        let before = names(&world.disk, "log");
        let first = format!("log/{}", before.iter().min().unwrap());
        // The first batch begins behind two sectors.
        world.disk.flip_bit(&first, DATA_OFFSET + 70, 1).unwrap();
        assert!(matches!(look(&world), Err(BuildError::Log(_))));
        assert_eq!(names(&world.disk, "log"), before);
        world.disk.dir().remove_dir_all("log").unwrap();
        assert!(matches!(look(&world), Err(BuildError::Log(_))));
        assert!(!world.disk.dir().exists("log").unwrap(), "it is not made anew");
        world.disk.dir().remove("term").unwrap();
        assert!(matches!(look(&world), Err(BuildError::Absent)));
    });
}
