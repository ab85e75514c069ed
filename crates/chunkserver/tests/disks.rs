//! Disks that are absent, blank, of another cluster, given twice or slow: the others are served meanwhile, the
//! master hears why, and what can be used comes into service without a restart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chunkserver::{Chunkserver, ChunkserverHandle, Config, DiskConfig, StartError};
use codec::control::DiskRefusal;
use common::*;
use env::{Env, OpenMode, SimDisk};
use link::{Link, LinkOptions};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Disk, Format};
use types::{ChunkId, ClusterId, DiskId};

/// A server without disks so far, and a master.
struct Given {
    world: World,
    env: Env,
    data: SimDisk,
    disks: Vec<DiskConfig>,
}

/// A directory that is there or not.
struct Place {
    disk: SimDisk,
    there: Arc<AtomicBool>,
}

impl Given {
    async fn new() -> Self {
        let world = World::simulated(0).await;
        let sim = world.sim.clone().unwrap();
        Self { env: sim.env("cs"), data: sim.disk("cs-data"), disks: Vec::new(), world }
    }

    /// Gives the server a directory.
    fn give(&mut self, path: &str, there: bool) -> Place {
        let disk = self.world.sim.as_ref().unwrap().disk(path);
        let there = Arc::new(AtomicBool::new(there));
        let (content, is_there) = (disk.clone(), Arc::clone(&there));
        let open = move || match is_there.load(Ordering::Relaxed) {
            true => Ok(content.dir()),
            false => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        self.disks.push(DiskConfig::opened_by(Arc::new(open), path));
        Place { disk, there }
    }

    async fn start(&self) -> Result<ChunkserverHandle, StartError> {
        let masters = vec![self.world.master.address.clone()];
        let config = Config::new("cs:9422", self.data.dir(), self.disks.clone(), masters);
        Chunkserver::start(self.env.clone(), config).await
    }

    /// Waits until so many disks have reported.
    async fn reported(&self, count: usize) {
        until("the disks have reported", || self.world.master.heard().reports.len() == count).await;
    }

    /// What the master was last told about a directory.
    fn refusal(&self, path: &str) -> Option<DiskRefusal> {
        let heard = self.world.master.heard();
        heard.refused.iter().find(|disk| disk.path == path).map(|disk| disk.refusal)
    }
}

impl Place {
    fn stamp(&self, cluster: ClusterId, disk: DiskId) {
        Disk::format(self.disk.dir(), Format { cluster, disk }).unwrap();
    }
}

const KNOWN: DiskId = DiskId([0xd1; 16]);

#[test]
fn an_absent_disk_stops_nobody_and_comes_into_service_when_its_directory_appears() {
    simulated(async {
        let mut given = Given::new().await;
        given.give("/good", true);
        let away = given.give("/away", false);
        away.stamp(CLUSTER, KNOWN);
        let server = given.start().await.unwrap();
        given.reported(1).await;
        assert_eq!(given.refusal("/away"), Some(DiskRefusal::Absent));
        let registrations = given.world.master.heard().registrations;
        away.there.store(true, Ordering::Relaxed);
        given.reported(2).await;
        assert!(given.world.master.heard().reports.contains_key(&KNOWN));
        assert_eq!(given.world.master.heard().registrations, registrations + 1);
        until("no refusal is left", || given.world.master.heard().refused.is_empty()).await;
        // It serves like any other.
        let delete =
            codec::control::OrderKind::Delete { disk: KNOWN, chunk: CHUNK, version: V1, unknown: false };
        let done = given.world.master.order(1, KNOWN, delete).await;
        assert_eq!(done.result, Err(types::Status::NoChunk));
        assert_eq!(server.status().disks[1].error, None);
    });
}

#[test]
fn a_directory_that_appears_blank_is_not_stamped_and_what_is_mounted_over_it_is_served() {
    simulated(async {
        let mut given = Given::new().await;
        given.give("/good", true);
        let away = given.give("/away", false);
        let _server = given.start().await.unwrap();
        given.reported(1).await;
        away.there.store(true, Ordering::Relaxed);
        until("it is refused as blank", || given.refusal("/away") == Some(DiskRefusal::Blank)).await;
        assert!(away.disk.dir().list("").unwrap().is_empty(), "nothing was written there");
        away.stamp(CLUSTER, KNOWN);
        given.reported(2).await;
        assert!(given.world.master.heard().reports.contains_key(&KNOWN));
    });
}

#[test]
fn each_unusable_disk_is_told_with_its_reason_and_the_others_are_served() {
    simulated(async {
        let mut given = Given::new().await;
        let good = given.give("/good", true);
        good.stamp(CLUSTER, KNOWN);
        let damaged = given.give("/damaged", true);
        damaged.disk.dir().open("stamp", OpenMode::CreateNew).unwrap().write_at(&[7; 4_224], 0).unwrap();
        let foreign = given.give("/foreign", true);
        foreign.disk.dir().open("letter.txt", OpenMode::CreateNew).unwrap();
        given.give("/blank", true);
        given.disks.last_mut().unwrap().format_if_blank = false;
        given.give("/copy", true).stamp(CLUSTER, KNOWN);
        let server = given.start().await.unwrap();
        given.reported(1).await;
        let told: Vec<_> =
            ["/good", "/damaged", "/foreign", "/blank", "/copy"].map(|p| given.refusal(p)).into();
        let expected = [
            None,
            Some(DiskRefusal::Damaged),
            Some(DiskRefusal::Foreign),
            Some(DiskRefusal::Blank),
            Some(DiskRefusal::Duplicate),
        ];
        assert_eq!(told, expected);
        for refused in &given.world.master.heard().refused {
            assert!(!refused.reason.is_empty() && !refused.next.is_empty(), "{refused:?}");
        }
        assert!(server.status().registered);
    });
}

#[test]
fn a_disk_of_another_cluster_is_refused_alone_once_the_cluster_is_known() {
    simulated(async {
        let mut given = Given::new().await;
        let good = given.give("/good", true);
        good.stamp(CLUSTER, KNOWN);
        let server = given.start().await.unwrap();
        given.reported(1).await;
        server.shutdown().await;
        given.data.kill();
        good.disk.kill();
        given.give("/theirs", true).stamp(ClusterId([9; 16]), DiskId([9; 16]));
        let server = given.start().await.unwrap();
        until("it is told", || given.refusal("/theirs") == Some(DiskRefusal::OtherCluster)).await;
        assert!(server.status().disks[0].error.is_none());
    });
}

#[test]
fn without_one_usable_disk_it_does_not_start_and_says_why_of_each() {
    simulated(async {
        let mut given = Given::new().await;
        given.give("/away", false);
        given.give("/foreign", true).disk.dir().open("letter.txt", OpenMode::CreateNew).unwrap();
        let error = given.start().await.err().unwrap();
        let text = error.to_string();
        assert!(text.contains("/away does not exist") && text.contains("letter.txt"), "{text}");
        assert!(error.next().contains("mount its device"), "{}", error.next());
    });
}

#[test]
fn a_disk_that_takes_long_to_open_does_not_hold_up_the_others() {
    simulated(async {
        let mut given = Given::new().await;
        given.give("/good", true);
        given.give("/slow", true).stamp(CLUSTER, KNOWN);
        let (hung, waiting) = (Arc::new(AtomicBool::new(true)), Jobs::default());
        given.env.workers = Arc::new(Hanging::of("disk-1", &hung, &waiting));
        let _server = given.start().await.unwrap();
        given.reported(1).await;
        assert_eq!(given.refusal("/slow"), Some(DiskRefusal::Opening));
        hung.store(false, Ordering::Relaxed);
        let jobs = std::mem::take(&mut *waiting.lock().unwrap());
        assert_eq!(jobs.len(), 1, "it was asked once");
        jobs.into_iter().for_each(|job| job());
        given.reported(2).await;
        assert!(given.world.master.heard().reports.contains_key(&KNOWN));
    });
}

/// Not so long that it counts as one that failed.
#[test]
fn a_disk_whose_stamp_takes_long_is_reported_when_it_has_it() {
    simulated(async {
        let mut given = Given::new().await;
        given.give("/good", true);
        given.give("/slow", true);
        let (hung, waiting) = (Arc::new(AtomicBool::new(true)), Jobs::default());
        given.env.workers = Arc::new(Hanging::of("disk-1", &hung, &waiting));
        let server = given.start().await.unwrap();
        given.reported(1).await;
        let go_on = || {
            let jobs = std::mem::take(&mut *waiting.lock().unwrap());
            jobs.into_iter().for_each(|job| job());
        };
        // It is found to be blank; its next job is the stamp.
        go_on();
        until("it has an id", || given.world.master.heard().last_room.len() == 2).await;
        let heard = given.world.master.heard().heartbeats;
        until("the link goes on", || given.world.master.heard().heartbeats > heard + 2).await;
        assert_eq!(given.world.master.heard().reports.len(), 1, "nothing is known of it yet");
        let registrations = given.world.master.heard().registrations;
        hung.store(false, Ordering::Relaxed);
        go_on();
        given.reported(2).await;
        assert_eq!(given.world.master.heard().registrations, registrations, "the links stay");
        assert!(server.status().disks[1].error.is_none());
    });
}

#[test]
fn the_room_on_a_new_disk_is_told_before_its_report() {
    simulated(async {
        let world = World::simulated(1).await;
        let disk = world.disk(0);
        assert!(world.master.heard().room[&disk] > 0, "a disk that has reported is given chunks");
    });
}

/// Files are not closed, and thus not synced, by whoever opens one more.
#[test]
fn a_disk_with_many_open_files_syncs_and_closes_them_unasked() {
    simulated(async {
        let mut given = Given::new().await;
        let place = given.give("/disk", true);
        place.stamp(CLUSTER, KNOWN);
        given.disks[0].open_chunks_max = Some(64);
        let _server = given.start().await.unwrap();
        given.reported(1).await;
        let chain = vec![given.world.master.heard().addresses[&KNOWN].clone()];
        let link =
            Link::connect(&given.world.client, "cs:9422", &hello(), LinkOptions::default()).await.unwrap();
        let data = pattern(1, 5_000);
        let kept = || {
            let after = place.disk.fork();
            after.power_cut();
            after.paths("chunks/").len()
        };
        for n in 1..=49 {
            assert!(n < 49 || kept() < 40, "nothing is synced before there are many");
            let mut write = write_of(&chain, V1, 1, 0, &data);
            write.capability.chunk = ChunkId(n);
            assert_eq!(send(&link, &write, &data).await.result, Ok(()));
        }
        // The room for the last one was made before it was written.
        assert!(kept() >= 48);
    });
}
