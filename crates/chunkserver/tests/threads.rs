//! A chunkserver on real threads: what goes on while the data runtime is busy.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chunkserver::{Chunkserver, Config, DiskConfig};
use codec::control::OrderKind;
use common::*;
use env::{Env, RealDir};
use std::sync::mpsc;
use tokio::sync::oneshot;
use types::Status;

#[tokio::test]
async fn heartbeats_go_on_and_orders_are_taken_while_the_data_runtime_is_busy() {
    let world = World::real(0).await;
    let (data, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut on_disk = DiskConfig::new(RealDir::open(disk.path()).unwrap(), disk.path().display().to_string());
    on_disk.index_in_memory = true;
    let masters = vec![world.master.address.clone()];
    let config = Config::new("127.0.0.1:0", RealDir::open(data.path()).unwrap(), vec![on_disk], masters);
    let (tell, started) = oneshot::channel();
    let (make_busy, to_be_busy) = oneshot::channel::<()>();
    let (entering, entered) = oneshot::channel();
    let (let_go, gone) = mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let handle = Chunkserver::start(Env::real(), config).await.unwrap();
            tell.send(()).unwrap();
            to_be_busy.await.unwrap();
            entering.send(()).unwrap();
            // The only thread of the data runtime.
            gone.recv().unwrap();
            handle.shutdown().await;
        });
    });
    tokio::time::timeout(SOON, started).await.unwrap().unwrap();
    until("it is registered and has reported", || !world.master.heard().reports.is_empty()).await;
    let disk = *world.master.heard().reports.keys().next().unwrap();
    make_busy.send(()).unwrap();
    entered.await.unwrap();
    let before = world.master.heard().heartbeats;
    until("two more heartbeats", || world.master.heard().heartbeats >= before + 2).await;
    let delete = OrderKind::Delete { disk, chunk: CHUNK, version: V1, unknown: false };
    assert_eq!(world.master.order(1, disk, delete).await.result, Err(Status::NoChunk));
    assert_eq!(world.master.heard().registrations, 1);
    let_go.send(()).unwrap();
    server.join().unwrap();
}
