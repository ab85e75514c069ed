//! Limits of healing and holds: changed by operators, and the same after a restart.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod helper;

use codec::admin::{Change, Changed, HoldStatus, LimitStatus, LimitTarget, RefusalKind};
use helper::{World, eventually, run, servers_up, two_servers};
use master::MasterHandle;
use rpc::admin::AdminError;
use std::time::Duration;
use types::*;

async fn changed(master: &MasterHandle, change: Change) {
    assert!(matches!(master.admin().change(change).await, Ok(Changed::Done | Changed::Class(_))));
}

async fn refused(master: &MasterHandle, change: Change) -> RefusalKind {
    match master.admin().change(change).await {
        Err(AdminError::NotDone(refusal)) => refusal.kind,
        other => panic!("{other:?}"),
    }
}

fn limit(target: LimitTarget, limit: Option<Limit>) -> Change {
    Change::SetLimit { target, limit, allow_unknown: false }
}

fn pair(from: &str, to: &str) -> LimitTarget {
    LimitTarget::Pair { from: from.into(), to: to.into() }
}

async fn limits(master: &MasterHandle) -> Vec<LimitStatus> {
    master.admin().status().await.unwrap().limits
}

async fn holds(master: &MasterHandle) -> Vec<HoldStatus> {
    master.admin().status().await.unwrap().holds
}

/// `default` keeps this.
async fn keep(master: &MasterHandle, layout: &str) {
    let classes = master.admin().classes().await.unwrap();
    let before = classes.into_iter().find(|one| one.id == ClassId::DEFAULT).unwrap().class;
    let class = StorageClass { keep: Expression::new(layout).unwrap(), ..before.clone() };
    let (before, class) = (Some(Box::new(before)), Box::new(class));
    changed(master, Change::PutClass { before, class, allow_unsatisfiable: true }).await;
}

#[test]
fn limits_are_set_refused_with_a_reason_and_there_again_after_a_restart() {
    run(async |world: World| {
        let (master, mut servers) = two_servers(&world).await;
        let some = Some(Limit { copies: Some(2), bytes_per_s: Some(10 << 20) });
        let of_server = LimitTarget::Server("server1".into());
        assert_eq!(refused(&master, limit(of_server.clone(), None)).await, RefusalKind::NoSuchLimit);
        let nobody = LimitTarget::Server("nobody".into());
        assert_eq!(refused(&master, limit(nobody, some)).await, RefusalKind::NoSuchServer);
        assert_eq!(refused(&master, limit(pair("tape", "any"), some)).await, RefusalKind::UnknownLabel);
        assert_eq!(refused(&master, limit(pair("any", "(any"), some)).await, RefusalKind::BadExpression);
        changed(&master, limit(of_server.clone(), some)).await;
        changed(&master, limit(pair(" any ", "any"), some)).await;
        let expected = |all: &[LimitStatus]| {
            all.iter().map(|one| (one.target.clone(), Some(one.limit))).collect::<Vec<_>>()
                == [(of_server.clone(), some), (pair("any", "any"), some)]
        };
        assert!(expected(&limits(&master).await), "{:?}", limits(&master).await);
        let master = world.restart(master).await;
        for server in &mut servers {
            server.register(&master).await;
        }
        servers_up(&master, 2).await;
        assert!(expected(&limits(&master).await), "{:?}", limits(&master).await);
        for target in [of_server.clone(), pair("any", "any")] {
            changed(&master, limit(target, None)).await;
        }
        assert_eq!(limits(&master).await, []);
    });
}

#[test]
fn an_edit_makes_one_hold_that_outlives_the_master_and_ends_by_its_time_or_by_command() {
    run(async |world: World| {
        let master = world.start_with(|config| config.hold_surplus = Duration::from_secs(20)).await;
        keep(&master, "1*any").await;
        keep(&master, "2*any").await;
        keep(&master, "1*any").await;
        let made = holds(&master).await;
        let wanted: Vec<&str> = made.iter().map(|hold| hold.before.as_str()).collect();
        assert_eq!(wanted, ["keep 2*any", "keep any"], "one for each cause: {made:?}");
        let master = world.restart(master).await;
        let again = holds(&master).await;
        let ids = |all: &[HoldStatus]| all.iter().map(|hold| hold.hold).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&made));
        changed(&master, Change::EndHold(made[0].hold)).await;
        assert_eq!(refused(&master, Change::EndHold(made[0].hold)).await, RefusalKind::NoSuchHold);
        assert_eq!(ids(&holds(&master).await), ids(&made[1..]));
        eventually("its time is over", || async { holds(&master).await.is_empty() }).await;
    });
}
