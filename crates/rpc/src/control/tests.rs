//! The control service over both carriers.

use super::*;
use crate::port::{PortOptions, Services};
use crate::testing::{Port, real, simulated, soon};
use codec::control::{
    BornReplica, ChunkReport, Cut, DiskReport, Order, OrderDone, OrderKind, Refused, Register, ReplicaFlags,
    ReportedChunk,
};
use types::{ChainSequence, ChunkId, DiskId, ServerId, Status, Term, Version};

fn version(counter: u32) -> Version {
    Version { term: Term(3), counter }
}

fn talk() -> (Vec<ToMaster>, Vec<ToServer>) {
    let disk = DiskId([7; 16]);
    let register = Register {
        server: ServerId([1; 16]),
        name: "cs1".into(),
        address: "10.0.0.1:9422".into(),
        cluster: None,
        labels: vec!["site=home".into()],
        highest_term: Term(2),
        disks: vec![DiskReport { disk, path: "/mnt/d1".into(), ..Default::default() }],
        version: "0.1.0".into(),
        refused: Vec::new(),
    };
    let entry = |n| ReportedChunk { chunk: ChunkId(n), version: version(1), flags: ReplicaFlags::COMPLETE };
    let report = ChunkReport { disk, entries: (0..10_000).map(entry).collect(), last: true };
    let done = OrderDone {
        order: 9,
        result: Err(Status::WrongVersion),
        found: Some(version(8)),
        applied: ChainSequence(4),
        unsettled: types::Unsettled::default(),
    };
    let born = BornReplica { disk, chunk: ChunkId(5), version: version(1) };
    let raise = OrderKind::Raise {
        disk,
        chunk: ChunkId(5),
        from: version(1),
        to: version(2),
        cuts: vec![Cut { from: 10, to: 20 }],
    };
    let order = Order { order: 9, term: Term(3), what: raise };
    (
        vec![
            ToMaster::Register(register),
            ToMaster::Report(report),
            ToMaster::Born(vec![born]),
            ToMaster::OrderDone(done),
        ],
        vec![ToServer::Order(order), ToServer::HeartbeatAck { term: Term(3) }],
    )
}

/// A port that hands its control links to the test.
fn services() -> (Services, mpsc::Receiver<MasterEnd>) {
    let (links, accepted) = mpsc::channel(4);
    let handler: ControlHandler = Arc::new(move |link| links.try_send(link).expect("few links"));
    (Services { control: Some(handler), ..Default::default() }, accepted)
}

async fn messages_arrive_in_order(mut server: ServerEnd, mut master: MasterEnd) {
    let (up, down) = talk();
    for message in &up {
        server.tx.send(message.clone()).await.expect("the link is up");
    }
    for message in &up {
        assert_eq!(soon(master.rx.recv()).await.as_ref(), Some(message));
    }
    for message in &down {
        master.tx.send(message.clone()).await.expect("the link is up");
    }
    for message in &down {
        assert_eq!(soon(server.rx.recv()).await.as_ref(), Some(message));
    }
}

async fn a_refusal_arrives_before_the_end(mut server: ServerEnd, mut master: MasterEnd) {
    let refused =
        ToServer::Refused(Refused { status: Status::WrongCluster, reason: "another".into(), term: Term(1) });
    master.tx.send(refused.clone()).await.expect("the link is up");
    drop(master.tx);
    assert_eq!(soon(server.rx.recv()).await, Some(refused));
    assert_eq!(soon(server.rx.recv()).await, None);
    drop(server);
    assert_eq!(soon(master.rx.recv()).await, None);
}

async fn linked(port: &Port, accepted: &mut mpsc::Receiver<MasterEnd>) -> (ServerEnd, MasterEnd) {
    let (server, master) = tokio::join!(connect(&port.env, &port.address), soon(accepted.recv()));
    (server.expect("the port is up"), master.expect("a link"))
}

#[tokio::test]
async fn messages_arrive_in_order_in_memory_by_grpc_and_by_the_plain_carrier() {
    let (server, master) = pair();
    messages_arrive_in_order(server, master).await;

    let (services, mut accepted) = services();
    let port = real(services.clone(), PortOptions::default()).await;
    let (server, master) = linked(&port, &mut accepted).await;
    assert!(master.peer.starts_with("127.0.0.1:"), "{}", master.peer);
    messages_arrive_in_order(server, master).await;

    let port = simulated(services, PortOptions::default()).await;
    let (server, master) = linked(&port, &mut accepted).await;
    messages_arrive_in_order(server, master).await;
}

#[tokio::test]
async fn a_refused_server_learns_why_before_its_link_ends() {
    let (services, mut accepted) = services();
    for port in [
        real(services.clone(), PortOptions::default()).await,
        simulated(services.clone(), PortOptions::default()).await,
    ] {
        let (server, master) = linked(&port, &mut accepted).await;
        a_refusal_arrives_before_the_end(server, master).await;
    }
}

#[tokio::test]
async fn dropping_the_port_ends_every_link_on_both_sides() {
    let (services, mut accepted) = services();
    for port in [
        real(services.clone(), PortOptions::default()).await,
        simulated(services.clone(), PortOptions::default()).await,
    ] {
        let (mut server, mut master) = linked(&port, &mut accepted).await;
        drop(port);
        assert_eq!(soon(server.rx.recv()).await, None);
        assert_eq!(soon(master.rx.recv()).await, None);
    }
}

#[tokio::test]
async fn a_port_without_the_service_refuses_with_a_reason() {
    let services = Services { admin: Some(Arc::new(crate::testing::Answers)), ..Default::default() };
    let port = real(services, PortOptions::default()).await;
    let error = soon(connect(&port.env, &port.address)).await.expect_err("no control service here");
    assert!(error.to_string().contains("does not offer"), "{error}");
}
