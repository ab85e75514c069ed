//! Append locks: one holder, an order, and nothing of a holder that ended can land.

mod helper;

use codec::control::{Cut, OrderKind};
use helper::{Client, FakeServer, World, run, two_servers, written};
use master::MasterHandle;
use std::future::Future;
use std::time::Duration;
use types::*;

async fn lock(client: &mut Client, inode: InodeRef) -> Result<(u64, bool), Status> {
    ask(client, inode, false).await
}

async fn renew(client: &mut Client, inode: InodeRef) -> Result<(u64, bool), Status> {
    ask(client, inode, true).await
}

async fn ask(client: &mut Client, inode: InodeRef, held: bool) -> Result<(u64, bool), Status> {
    match client.ask(Request::AppendLock { inode, held }).await? {
        Reply::AppendLock { attributes, wanted } => Ok((attributes.length, wanted)),
        other => panic!("{other:?}"),
    }
}

/// Says after a new connection that this client holds the lock, as it was when nothing had been taken from anybody.
async fn claim(client: &mut Client, inode: InodeRef) {
    let appending = vec![AppendClaim { inode, forfeits: 0 }];
    client.ask(Request::Reclaim { inodes: vec![inode], appending, last: true }).await.expect("it is heard");
}

/// A master, two clients, and a file of which the first one holds the append lock.
async fn held_by_a(world: &World) -> (MasterHandle, Client, Client, InodeRef) {
    let master = world.start().await;
    let (mut a, b) = (world.client("a").await, world.client("b").await);
    let inode = a.make_file("f").await.attributes.inode;
    lock(&mut a, inode).await.expect("nobody else wants it");
    (master, a, b, inode)
}

async fn unlock(client: &mut Client, inode: InodeRef) {
    assert_eq!(client.ask(Request::AppendUnlock { inode, forfeit: false }).await, Ok(Reply::Done));
}

/// Whether a call waits for something.
async fn waits<T>(call: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_secs(1), call).await.is_err()
}

async fn serve(servers: &mut [FakeServer; 2]) -> ! {
    let [one, two] = servers;
    let forever = async |server: &mut FakeServer| {
        loop {
            if tokio::time::timeout(Duration::from_secs(2), server.serve_one()).await.is_err() {
                server.heartbeat().await;
            }
        }
    };
    tokio::join!(forever(one), forever(two));
    unreachable!("servers serve for ever")
}

#[test]
fn one_session_appends_at_a_time_and_is_told_that_another_one_waits() {
    run(async |world| {
        let _master = world.start().await;
        let (mut a, mut b) = (world.client("a").await, world.client("b").await);
        let inode = a.make_file("f").await.attributes.inode;
        assert_eq!(lock(&mut a, inode).await, Ok((0, false)));
        assert_eq!(renew(&mut a, inode).await, Ok((0, false)), "asked again by its holder");
        assert_eq!(renew(&mut b, inode).await, Err(Status::Busy));
        let handed_over = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(renew(&mut a, inode).await, Ok((0, true)));
            unlock(&mut a, inode).await;
        };
        let (got, ()) = tokio::join!(lock(&mut b, inode), handed_over);
        assert_eq!(got, Ok((0, false)));
        assert!(waits(lock(&mut a, inode)).await, "now b holds it");
    });
}

#[test]
fn who_no_longer_wants_the_lock_does_not_get_it() {
    run(async |world| {
        let _master = world.start().await;
        let (mut a, mut b) = (world.client("a").await, world.client("b").await);
        let mut c = world.client("c").await;
        let inode = a.make_file("f").await.attributes.inode;
        lock(&mut a, inode).await.unwrap();
        assert!(waits(lock(&mut b, inode)).await);
        unlock(&mut b, inode).await;
        unlock(&mut a, inode).await;
        assert_eq!(lock(&mut c, inode).await, Ok((0, false)));
    });
}

#[test]
fn a_truncate_of_another_session_waits_for_the_appends() {
    run(async |world| {
        let (_master, mut a, mut b, inode) = held_by_a(&world).await;
        let longer = Request::SetLength { inode, length: 7, clear_privileges: false };
        a.ask(longer).await.expect("the holder may cut");
        let cut = Request::SetLength { inode, length: 0, clear_privileges: false };
        let done = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(a.attributes(inode).await.unwrap().length, 7);
            unlock(&mut a, inode).await;
        };
        let (cut, ()) = tokio::join!(b.ask(cut), done);
        assert!(matches!(cut, Ok(Reply::Attributes(Attributes { length: 0, .. }))), "{cut:?}");
    });
}

#[test]
fn nothing_of_a_holder_that_ended_can_land_when_the_next_one_appends() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        let (mut a, mut b) = (world.client("a").await, world.client("b").await);
        let (inode, grant) = written(&mut a, &mut servers, "f", 100_000).await;
        lock(&mut a, inode).await.unwrap();
        let before = a.attributes(inode).await.unwrap();
        a.disconnect();
        let keep_alive = async {
            while master.admin().status().await.unwrap().clients.len() > 1 {
                tokio::time::sleep(Duration::from_secs(5)).await;
                b.ask(Request::KeepAlive).await.unwrap();
            }
        };
        tokio::select! {
            biased;
            () = keep_alive => {}
            _ = serve(&mut servers) => {}
        }
        let locked = tokio::select! {
            biased;
            locked = lock(&mut b, inode) => locked,
            _ = serve(&mut servers) => unreachable!("servers serve for ever"),
        };
        assert_eq!(locked, Ok((100_000, false)));
        for server in &servers {
            assert!(server.replicas[&grant.capability.chunk] > grant.capability.version);
            let cut = |order: &OrderKind| {
                let all = Cut { from: 100_000, to: CHUNK_BYTES as u32 };
                matches!(order, OrderKind::Raise { cuts, .. } if *cuts == [all])
            };
            assert!(server.orders.iter().any(cut), "{:?}", server.orders);
        }
        let after = b.attributes(inode).await.unwrap();
        assert!(after.truncate_generation > before.truncate_generation, "late commits are ignored");
        assert_eq!(lock(&mut b, inode).await, Ok((100_000, false)));
    });
}

#[test]
fn a_holder_that_is_silent_loses_the_lock_to_who_waits_and_is_told() {
    run(async |world| {
        let (_master, mut a, mut b, inode) = held_by_a(&world).await;
        let before = a.attributes(inode).await.unwrap().truncate_generation;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(renew(&mut a, inode).await, Ok((0, false)), "nobody else wanted it");
        assert_eq!(lock(&mut b, inode).await, Ok((0, false)), "after a while");
        assert_eq!(renew(&mut a, inode).await, Err(Status::Busy));
        unlock(&mut b, inode).await;
        a.connect().await;
        claim(&mut a, inode).await;
        assert_eq!(
            renew(&mut a, inode).await,
            Err(Status::Busy),
            "it does not come back by a new connection"
        );
        assert!(a.attributes(inode).await.unwrap().truncate_generation > before, "late commits are ignored");
    });
}

#[test]
fn after_a_restart_a_lock_is_given_when_all_others_have_said_what_they_hold() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let _master = world.restart(master).await;
        b.connect().await;
        assert!(waits(lock(&mut b, inode)).await, "a may hold it");
        a.connect().await;
        claim(&mut a, inode).await;
        b.ask(Request::Reclaim { inodes: vec![inode], appending: vec![], last: true }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(waits(lock(&mut b, inode)).await, "a holds it");
        unlock(&mut a, inode).await;
        assert!(waits(lock(&mut a, inode)).await, "b, which asked before, holds it");
    });
}

#[test]
fn after_a_restart_a_truncate_waits_for_who_names_its_lock_at_once() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let longer = Request::SetLength { inode, length: 7, clear_privileges: false };
        a.ask(longer).await.unwrap();
        let _master = world.restart(master).await;
        b.connect().await;
        a.connect().await;
        let cut = Request::SetLength { inode, length: 0, clear_privileges: false };
        let done = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            claim(&mut a, inode).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(a.attributes(inode).await.unwrap().length, 7, "the truncate waits");
            unlock(&mut a, inode).await;
        };
        let (cut, ()) = tokio::join!(b.ask(cut), done);
        assert!(matches!(cut, Ok(Reply::Attributes(Attributes { length: 0, .. }))), "{cut:?}");
    });
}

#[test]
fn who_names_its_lock_after_a_truncate_does_not_get_it_back() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let _master = world.restart(master).await;
        b.connect().await;
        let cut = Request::SetLength { inode, length: 5, clear_privileges: false };
        let cut = tokio::time::timeout(Duration::from_secs(5), b.ask(cut)).await;
        assert!(matches!(cut, Ok(Ok(_))), "nobody waits a whole lease for a mount that is away: {cut:?}");
        a.connect().await;
        claim(&mut a, inode).await;
        assert_eq!(renew(&mut a, inode).await, Err(Status::Busy));
    });
}

#[test]
fn a_lock_given_back_by_who_gave_up_writes_is_fenced_like_one_that_was_lost() {
    run(async |world| {
        let _master = world.start().await;
        let (mut a, mut b) = (world.client("a").await, world.client("b").await);
        let inode = a.make_file("f").await.attributes.inode;
        let generation = a.attributes(inode).await.unwrap().truncate_generation;
        lock(&mut a, inode).await.unwrap();
        a.ask(Request::AppendUnlock { inode, forfeit: true }).await.unwrap();
        assert_eq!(a.attributes(inode).await.unwrap().truncate_generation, generation);
        lock(&mut b, inode).await.unwrap();
        assert!(
            a.attributes(inode).await.unwrap().truncate_generation > generation,
            "late commits are ignored"
        );
    });
}

/// Seed `Network` 17771499649647977536: who was silent claimed the lock of the next master, and its bytes came to where
/// another client had appended meanwhile.
#[test]
fn who_lost_its_lock_by_silence_does_not_get_it_back_from_the_next_master() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let taken = async {
            let before = b.attributes(inode).await.unwrap().truncate_generation;
            lock(&mut b, inode).await.unwrap();
            assert_eq!(
                b.attributes(inode).await.unwrap().truncate_generation.forfeits(),
                before.forfeits() + 1
            );
        };
        taken.await;
        let _master = world.restart(master).await;
        b.connect().await;
        a.connect().await;
        claim(&mut a, inode).await;
        assert_eq!(renew(&mut a, inode).await, Err(Status::Busy));
        let appending = vec![AppendClaim { inode, forfeits: 1 }];
        b.ask(Request::Reclaim { inodes: vec![inode], appending, last: true }).await.unwrap();
        assert_eq!(renew(&mut b, inode).await, Ok((0, false)), "who was told of it holds it on");
    });
}

#[test]
fn who_was_not_heard_before_a_truncate_does_not_get_its_lock_back_from_the_master_after_the_next() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let master = world.restart(master).await;
        b.connect().await;
        b.ask(Request::SetLength { inode, length: 5, clear_privileges: false }).await.unwrap();
        let _master = world.restart(master).await;
        a.connect().await;
        claim(&mut a, inode).await;
        assert_eq!(renew(&mut a, inode).await, Err(Status::Busy));
    });
}

#[test]
fn a_truncate_by_its_holder_takes_no_lock_away() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let master = world.restart(master).await;
        a.connect().await;
        claim(&mut a, inode).await;
        a.ask(Request::SetLength { inode, length: 5, clear_privileges: false }).await.unwrap();
        let _master = world.restart(master).await;
        a.connect().await;
        claim(&mut a, inode).await;
        b.connect().await;
        assert_eq!(renew(&mut a, inode).await, Ok((5, false)));
    });
}

/// A renewal that waits behind an edit, however long replicas are away, is no silence; and who is told that it holds the lock does.
#[test]
fn a_holder_whose_renewal_waits_for_an_edit_keeps_the_lock() {
    run(async |world| {
        let (_master, mut servers) = two_servers(&world).await;
        let (mut a, mut b) = (world.client("a").await, world.client("b").await);
        let mut c = world.client("c").await;
        let (inode, _) = written(&mut a, &mut servers, "f", 100_000).await;
        lock(&mut a, inode).await.unwrap();
        let generation = a.attributes(inode).await.unwrap().truncate_generation;
        let punched = c.ask(Request::Punch { inode, offset: 0, length: 100 });
        let renewed = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            renew(&mut a, inode).await
        };
        let served = async {
            // No replica answers for longer than a holder may be silent.
            for _ in 0..7 {
                tokio::time::sleep(Duration::from_secs(2)).await;
                for server in &mut servers {
                    server.heartbeat().await;
                }
            }
            serve(&mut servers).await
        };
        let waits = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(waits(lock(&mut b, inode)).await);
        };
        let (punched, renewed, ()) = tokio::select! {
            biased;
            done = async { tokio::join!(punched, renewed, waits) } => done,
            _ = served => unreachable!("servers serve for ever"),
        };
        punched.unwrap();
        assert_eq!(renewed, Ok((100_000, true)));
        let after = a.attributes(inode).await.unwrap().truncate_generation;
        assert_eq!(after.forfeits(), generation.forfeits(), "nothing was taken away");
    });
}

#[test]
fn after_a_restart_a_lock_is_taken_from_who_stays_away_as_from_who_is_silent() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let _master = world.restart(master).await;
        b.connect().await;
        b.ask(Request::Reclaim { inodes: vec![inode], appending: vec![], last: true }).await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(lock(&mut b, inode).await, Ok((0, false)));
        assert!(began.elapsed() < APPEND_LEASE + Duration::from_secs(2), "{:?}", began.elapsed());
        a.connect().await;
        claim(&mut a, inode).await;
        assert_eq!(renew(&mut a, inode).await, Err(Status::Busy));
        assert_eq!(renew(&mut b, inode).await, Ok((0, false)));
    });
}

/// 256 times would be as if nothing had been taken away.
#[test]
fn many_truncates_while_somebody_stays_away_take_its_lock_once() {
    run(async |world| {
        let (master, mut a, mut b, inode) = held_by_a(&world).await;
        let _master = world.restart(master).await;
        b.connect().await;
        for length in 0..256 {
            b.ask(Request::SetLength { inode, length, clear_privileges: false }).await.unwrap();
        }
        a.connect().await;
        assert_eq!(a.attributes(inode).await.unwrap().truncate_generation.forfeits(), 1);
        claim(&mut a, inode).await;
        assert_eq!(renew(&mut a, inode).await, Err(Status::Busy));
    });
}
