//! The admin service over both carriers.

use super::*;
use crate::port::{PortOptions, Services};
use crate::testing::{Answers, real, simulated, soon};
use env::Env;
use std::sync::Arc;
use types::{ClassName, InodeId, TaskId};

const TIMEOUT: Duration = Duration::from_secs(5);

fn services() -> Services {
    Services { admin: Some(Arc::new(Answers)), ..Default::default() }
}

#[tokio::test]
async fn answers_and_refusals_come_back_over_both_carriers() {
    for port in
        [real(services(), PortOptions::default()).await, simulated(services(), PortOptions::default()).await]
    {
        let client = AdminClient::connect(&port.env, &port.address, TIMEOUT).await.expect("the port is up");
        let status = client.status().await.expect("an answer");
        assert_eq!((status.name.as_str(), status.files), ("home", 412));
        let refused = client.file_info(FileTarget::Path(b"/nothing".to_vec())).await;
        assert_eq!(refused, Err(AdminError::Refused(Status::NotFound)));
        let too_long = client.file_info(FileTarget::Path(vec![b'x'; 5_000])).await;
        assert_eq!(too_long, Err(AdminError::Refused(Status::BadMessage)));
    }
}

#[tokio::test]
async fn changes_and_their_refusals_come_back_over_both_carriers() {
    for port in
        [real(services(), PortOptions::default()).await, simulated(services(), PortOptions::default()).await]
    {
        let client = AdminClient::connect(&port.env, &port.address, TIMEOUT).await.expect("the port is up");
        let classes = client.classes().await.expect("an answer");
        assert_eq!((classes[0].class.name.as_str(), classes[0].unmet[0].lacking), ("default", 1));
        assert_eq!(client.tasks().await.expect("an answer")[0].task, TaskId(5));
        assert_eq!(client.change(Change::CancelTask(TaskId(5))).await, Ok(Changed::Done));
        let refused = client.change(Change::CancelTask(TaskId(6))).await;
        assert_eq!(refused, Err(AdminError::Refused(Status::NoSpace)));
        let kept = client.change(Change::DeleteClass(ClassName::default_class())).await;
        match kept {
            Err(AdminError::NotDone(refusal)) => {
                assert_eq!((refusal.kind, refusal.subject.as_str()), (RefusalKind::ClassInUse, "default"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_keeps_a_disk_and_what_is_in_the_trash_comes_back_over_both_carriers() {
    for port in
        [real(services(), PortOptions::default()).await, simulated(services(), PortOptions::default()).await]
    {
        let client = AdminClient::connect(&port.env, &port.address, TIMEOUT).await.expect("the port is up");
        let removal = client.removal(RemovalTarget { holder: "cs1:/d1".into(), disk: true }).await;
        assert_eq!(removal.map(|one| (one.holder, one.obstacles_total)), Ok(("cs1:/d1".into(), 7)));
        for (after, end) in [(7, true), (6, false)] {
            let page = client.trash(TrashQuery { after: InodeId(after) }).await;
            assert_eq!(page.map(|page| page.end), Ok(end));
        }
        let refused = client.removal(RemovalTarget { holder: "cs9".into(), disk: false }).await;
        match refused {
            Err(AdminError::NotDone(refusal)) => assert_eq!(refusal.kind, RefusalKind::NoSuchServer),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn parts_of_all_chunks_come_back_over_both_carriers() {
    for port in
        [real(services(), PortOptions::default()).await, simulated(services(), PortOptions::default()).await]
    {
        let client = AdminClient::connect(&port.env, &port.address, TIMEOUT).await.expect("the port is up");
        for (from, next) in [(0, None), (5, Some(4))] {
            let query = ChunkQuery { from, states: ChunkState::ALL.into() };
            let page = client.chunks(query).await.expect("an answer");
            let states: Vec<ChunkState> = page.chunks.iter().map(|one| one.state).collect();
            assert_eq!((&states[..], page.next), (&ChunkState::ALL[..], next));
        }
    }
}

#[tokio::test]
async fn explanations_come_back_over_both_carriers() {
    for port in
        [real(services(), PortOptions::default()).await, simulated(services(), PortOptions::default()).await]
    {
        let client = AdminClient::connect(&port.env, &port.address, TIMEOUT).await.expect("the port is up");
        let target = |parent| ExplainTarget { target: FileTarget::Inode(InodeId(9)), parent };
        let told = client.explain(target(Some(InodeId(5)))).await.expect("an answer");
        assert_eq!((told.class.as_str(), told.levels, told.attributes.inode.id), ("photos", 2, InodeId(5)));
        assert_eq!(client.explain(target(None)).await, Err(AdminError::Refused(Status::NotFound)));
    }
}

#[tokio::test]
async fn plans_and_their_refusals_come_back_over_both_carriers() {
    for port in
        [real(services(), PortOptions::default()).await, simulated(services(), PortOptions::default()).await]
    {
        let client = AdminClient::connect(&port.env, &port.address, TIMEOUT).await.expect("the port is up");
        let plan = client.plan_edit(Change::CancelTask(TaskId(5))).await;
        assert_eq!(plan, Ok(EditPlan { add: 3, ..EditPlan::default() }));
        match client.plan_edit(Change::DeleteClass(ClassName::default_class())).await {
            Err(AdminError::NotDone(refusal)) => assert_eq!(refusal.kind, RefusalKind::ClassInUse),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_master_that_does_not_answer_is_told_from_one_that_is_not_there() {
    let quick = Duration::from_millis(200);
    for port in
        [real(services(), PortOptions::default()).await, simulated(services(), PortOptions::default()).await]
    {
        let client = AdminClient::connect(&port.env, &port.address, quick).await.expect("the port is up");
        let answer = soon(client.file_info(FileTarget::Inode(InodeId(0)))).await;
        assert_eq!(answer, Err(AdminError::TimedOut { address: port.address.clone(), after: quick }));
    }
    // Port 1 of loopback: nobody listens.
    match AdminClient::connect(&Env::real(), "127.0.0.1:1", TIMEOUT).await.err() {
        Some(AdminError::Unreachable { address, .. }) => assert_eq!(address, "127.0.0.1:1"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn somebody_who_speaks_another_protocol_is_not_a_master() {
    let port = real(Services::default(), PortOptions::default()).await;
    let error = match AdminClient::connect(&port.env, &port.address, TIMEOUT).await {
        Ok(client) => soon(client.status()).await.expect_err("gRPC is refused there"),
        Err(error) => error,
    };
    assert!(matches!(error, AdminError::Unreachable { .. } | AdminError::BadAnswer { .. }), "{error:?}");
}
