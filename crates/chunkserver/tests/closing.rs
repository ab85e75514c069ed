//! A disk that is removed from the cluster: closed when nothing on it is needed, and not served again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::OrderKind;
use common::*;
use types::{DiskId, Status};

fn close(disk: DiskId, replicas: u64) -> OrderKind {
    OrderKind::Close { disk, replicas }
}

#[test]
fn a_disk_that_holds_more_than_its_master_knows_is_not_closed_and_serves_on() {
    simulated(async {
        let world = World::simulated(2).await;
        let (chain, data) = (world.chain(&[0, 1]), pattern(1, 10_000));
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        let disk = world.disk(1);
        let before = world.master.heard().registrations;
        assert_eq!(world.master.order(10, disk, close(disk, 0)).await.result, Err(Status::Busy));
        until("it tells anew what it holds", || world.master.heard().registrations > before).await;
        world.registered(1).await;
        assert_eq!(world.master.raise(11, disk, V2).await.result, Ok(()));
        assert_eq!(read(&world.connect(1).await, disk, V2, 0, 10_000).await.unwrap(), data);
    });
}

#[test]
fn a_closed_disk_is_served_no_more_also_after_a_start_and_a_loss_of_power() {
    simulated(async {
        let mut world = World::simulated(2).await;
        let (chain, data) = (world.chain(&[0, 1]), pattern(1, 10_000));
        let head = world.connect(0).await;
        assert_eq!(send(&head, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        let disk = world.disk(1);
        // Its one replica is known, and nobody needs it.
        assert_eq!(world.master.order(10, disk, close(disk, 1)).await.result, Ok(()));
        assert!(read(&world.connect(1).await, disk, V1, 0, 10_000).await.is_err());
        assert_eq!(world.master.order(11, disk, close(disk, 1)).await.result, Ok(()), "asked once more");
        world.kill(1).await;
        match &world.servers[1].storage {
            Storage::Simulated { data, disks } => {
                data.power_cut();
                disks[0].power_cut();
            }
            Storage::Real { .. } => panic!("it is simulated"),
        }
        world.start(1).await;
        let status = world.servers[1].handle.as_ref().unwrap().status();
        assert!(status.disks[0].closed && status.disks[0].disk.is_none(), "{:?}", status.disks);
        assert!(!world.master.heard().reports.contains_key(&disk));
        assert!(world.master.heard().refused.is_empty(), "nobody is bothered with it");
        // What is left when its device is gone is an empty directory, and no new disk.
        world.kill(1).await;
        let below = world.sim.as_ref().unwrap().disk("below the mountpoint");
        if let Storage::Simulated { disks, .. } = &mut world.servers[1].storage {
            disks[0] = below;
        }
        world.start(1).await;
        let status = world.servers[1].handle.as_ref().unwrap().status();
        assert!(status.disks[0].closed && !status.disks[0].blank, "{:?}", status.disks);
        assert!(world.sim_disk(1).dir().list("").unwrap().is_empty(), "it was stamped");
    });
}
