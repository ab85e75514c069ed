//! Orders that wait: for a disk that hangs, for other servers, and longer than their link lasts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use codec::control::{Order, OrderKind, ToServer};
use common::*;
use env::Env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use types::{ChunkId, DiskId, Status};

/// Orders that are under way at one time on a disk, and some that wait.
const MANY: u64 = 600;
/// How long a master waits for who is to take a version.
const RAISE_TIMEOUT: Duration = Duration::from_secs(3);

/// One server with two disks, of which the first hangs when it is told to, and a chunk on the second.
struct TwoDisks {
    world: World,
    hanging: DiskId,
    well: DiskId,
    hung: Arc<AtomicBool>,
    waiting: Jobs,
    data: Vec<u8>,
}

impl TwoDisks {
    async fn new() -> Self {
        let mut world = World::simulated(1).await;
        world.kill(0).await;
        let (hung, waiting) = (Arc::new(AtomicBool::new(false)), Jobs::default());
        let sim = world.sim.clone().unwrap();
        let workers = Arc::new(Hanging::of("disk-0", &hung, &waiting));
        let server = &mut world.servers[0];
        server.env = Env { workers, ..server.env.clone() };
        let Storage::Simulated { disks, .. } = &mut server.storage else { unreachable!("simulated") };
        disks.push(sim.disk("second"));
        world.start(0).await;
        let well = world.servers[0].handle.as_ref().unwrap().status().disks[1].disk.unwrap();
        let (hanging, data) = (world.disk(0), pattern(1, 100));
        for disk in [hanging, well] {
            let chain = vec![world.master.heard().addresses[&disk].clone()];
            let link = world.connect(0).await;
            assert_eq!(send(&link, &write_of(&chain, V1, 1, 0, &data), &data).await.result, Ok(()));
        }
        Self { world, hanging, well, hung, waiting, data }
    }

    async fn give(&self, number: u64, what: OrderKind) {
        let link = self.world.master.heard().links.values().next().unwrap().clone();
        link.send(ToServer::Order(Order { order: number, term: TERM, what })).await.unwrap();
    }

    /// The first disk hangs, with more orders than it carries out at one time.
    async fn hang_with_many_orders(&self) {
        self.hung.store(true, Ordering::Relaxed);
        for n in 1_000..1_000 + MANY {
            let chunk = ChunkId(CHUNK.0 + n);
            let raise = OrderKind::Raise { disk: self.hanging, chunk, from: V1, to: V2, cuts: vec![] };
            self.give(n, raise).await;
        }
        until("they wait for the disk", || self.waiting.lock().unwrap().len() > 200).await;
    }

    /// It answers again.
    fn wake(&self) {
        self.hung.store(false, Ordering::Relaxed);
        let jobs = std::mem::take(&mut *self.waiting.lock().unwrap());
        jobs.into_iter().for_each(|job| job());
    }

    fn delete(disk: DiskId) -> OrderKind {
        OrderKind::Delete { disk, chunk: CHUNK, version: V1, unknown: false }
    }

    fn verify(disk: DiskId) -> OrderKind {
        OrderKind::Verify { disk, chunk: CHUNK, version: V1 }
    }

    /// The connection breaks, and the server has registered over another one.
    async fn break_link(&self) {
        let registrations = self.world.master.heard().registrations;
        self.world.master.heard().reports.clear();
        self.world.sim.clone().unwrap().net().kill_connections("master", "cs0");
        until("it registers anew", || self.world.master.heard().registrations > registrations).await;
        until("the healthy disk reports", || self.world.master.heard().reports.contains_key(&self.well))
            .await;
    }

    async fn has_its_data(&self, disk: DiskId) -> bool {
        let found = read(&self.world.connect(0).await, disk, V1, 0, 100).await;
        found.as_deref() == Ok(&self.data[..])
    }
}

#[test]
fn orders_for_a_disk_that_hangs_do_not_hold_up_those_for_another_one() {
    simulated(async {
        let disks = TwoDisks::new().await;
        disks.hang_with_many_orders().await;
        let raise = OrderKind::Raise { disk: disks.well, chunk: CHUNK, from: V1, to: V2, cuts: vec![] };
        let began = tokio::time::Instant::now();
        let done = disks.world.master.order(1, disks.well, raise).await;
        assert_eq!(done.result, Ok(()));
        assert!(began.elapsed() < RAISE_TIMEOUT, "{:?}", began.elapsed());
        disks.wake();
        until("all of the others are answered", || disks.world.master.heard().done.len() as u64 > MANY).await;
    });
}

#[test]
fn an_order_to_delete_that_waits_for_its_turn_ends_with_its_link() {
    simulated(async {
        let disks = TwoDisks::new().await;
        disks.hang_with_many_orders().await;
        disks.give(1, TwoDisks::delete(disks.hanging)).await;
        // Its turn is behind the others', and orders of one link come one after the other.
        let again = OrderKind::Raise { disk: disks.well, chunk: CHUNK, from: V1, to: V1, cuts: vec![] };
        disks.world.master.order(2, disks.well, again).await;
        disks.break_link().await;
        disks.wake();
        let verified = disks.world.master.order(3, disks.hanging, TwoDisks::verify(disks.hanging)).await;
        assert_eq!(verified.result, Ok(()), "and nobody deletes it any more");
        assert!(disks.has_its_data(disks.hanging).await);
    });
}

#[test]
fn an_order_to_delete_that_its_disk_begins_after_the_replica_was_told_anew_changes_nothing() {
    simulated(async {
        let disks = TwoDisks::new().await;
        disks.hung.store(true, Ordering::Relaxed);
        let before = disks.waiting.lock().unwrap().len();
        disks.give(1, TwoDisks::delete(disks.hanging)).await;
        until("it waits for the disk", || disks.waiting.lock().unwrap().len() > before).await;
        disks.break_link().await;
        disks.wake();
        assert!(disks.has_its_data(disks.hanging).await);
        let verified = disks.world.master.order(2, disks.hanging, TwoDisks::verify(disks.hanging)).await;
        assert_eq!(verified.result, Ok(()));
    });
}

#[test]
fn nobody_vouches_for_a_replica_while_an_order_to_delete_it_waits() {
    simulated(async {
        let disks = TwoDisks::new().await;
        disks.hung.store(true, Ordering::Relaxed);
        disks.give(1, TwoDisks::delete(disks.hanging)).await;
        let verified = disks.world.master.order(2, disks.hanging, TwoDisks::verify(disks.hanging)).await;
        assert_eq!(verified.result, Err(Status::TryAgain));
        disks.wake();
        until("it is deleted", || disks.world.master.heard().done.contains_key(&1)).await;
        assert_eq!(disks.world.master.heard().done[&1].result, Ok(()));
        let verified = disks.world.master.order(3, disks.hanging, TwoDisks::verify(disks.hanging)).await;
        assert_eq!(verified.result, Err(Status::NoChunk));
    });
}

/// Its master has gone, and the next one believes the report.
#[test]
fn a_raise_that_ends_after_its_disk_was_told_anew_is_told_of() {
    simulated(async {
        let disks = TwoDisks::new().await;
        let version = |disks: &TwoDisks| {
            let heard = disks.world.master.heard();
            heard.reports.get(&disks.hanging).map(|told| told.last().unwrap().version)
        };
        disks.hung.store(true, Ordering::Relaxed);
        let before = disks.waiting.lock().unwrap().len();
        let raise = OrderKind::Raise { disk: disks.hanging, chunk: CHUNK, from: V1, to: V2, cuts: vec![] };
        disks.give(1, raise).await;
        until("it waits for the disk", || disks.waiting.lock().unwrap().len() > before).await;
        // What comes later goes another way than the slow one.
        disks.hung.store(false, Ordering::Relaxed);
        disks.break_link().await;
        until("the disk is told", || version(&disks) == Some(V1)).await;
        disks.wake();
        until("the disk is told anew", || version(&disks) == Some(V2)).await;
    });
}

#[test]
fn a_raise_that_was_told_of_in_time_is_not_told_of_again() {
    simulated(async {
        let disks = TwoDisks::new().await;
        let registrations = disks.world.master.heard().registrations;
        assert_eq!(disks.world.master.raise(1, disks.hanging, V2).await.result, Ok(()));
        let heartbeats = disks.world.master.heard().heartbeats;
        until("time passes", || disks.world.master.heard().heartbeats > heartbeats + 3).await;
        assert_eq!(disks.world.master.heard().registrations, registrations);
    });
}
