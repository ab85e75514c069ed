//! What a client is told of how near replicas are: by where it is connected from, what it prefers, and its file's class.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod helper;

use codec::admin::Change;
use helper::{Client, create, eventually, run, servers_up, two_servers, written};
use master::MasterHandle;
use types::*;

/// The same host, preferred, read last.
type Said = (bool, bool, bool);

const NOTHING: Said = (false, false, false);

/// What is said of the replica on each of the two servers.
fn said(replicas: &[ReplicaAddress]) -> [Said; 2] {
    [1, 2].map(|n| {
        let replica = replicas.iter().find(|replica| replica.server == ServerId([n; 16]));
        let hints = replica.expect("both have one").hints;
        (hints.same_host, hints.preferred, hints.read_last)
    })
}

async fn located(client: &mut Client, inode: InodeRef) -> [Said; 2] {
    match client.ask(Request::Locate { inode, first: ChunkIndex(0), count: 8 }).await {
        Ok(Reply::Locations(locations)) => said(&locations[0].replicas),
        other => panic!("{other:?}"),
    }
}

async fn looked_up(client: &mut Client, name: &str) -> [Said; 2] {
    said(&client.lookup(name).await.unwrap().first.unwrap().replicas)
}

fn expression(text: &str) -> Option<Expression> {
    Some(Expression::new(text).unwrap())
}

/// The connection breaks, and the client comes back to its session and says what it prefers.
async fn reconnect(client: &mut Client, prefer: Option<Expression>) {
    let session = client.session;
    client.disconnect();
    client.prefer = prefer;
    client.connect().await;
    assert_eq!(client.session, session);
}

async fn label(master: &MasterHandle, holder: &str, disk: bool, label: &str) {
    let (add, remove) = (Labels::new([Label::new(label).unwrap()]).unwrap(), Labels::default());
    let change = Change::SetLabels { holder: holder.into(), disk, add, remove, replace: false };
    master.admin().change(change).await.unwrap();
}

/// The first server's disks are at home by its label; the class wants those of the second read last.
async fn prepare(master: &MasterHandle) {
    label(master, "server1", false, "site=home").await;
    label(master, "server2:/disks/2", true, "usb").await;
    let before = StorageClass::new(ClassName::default_class(), Expression::new("2*any").unwrap());
    let class = StorageClass { read_last: expression("usb"), ..before.clone() };
    let change = Change::PutClass {
        before: Some(Box::new(before)),
        class: Box::new(class),
        allow_unsatisfiable: false,
    };
    master.admin().change(change).await.unwrap();
}

#[test]
fn every_answer_with_replicas_says_what_is_near_the_client_that_asked() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        prepare(&master).await;
        let mut writer = world.client("writer").await;
        let (inode, grant) = written(&mut writer, &mut servers, "f", 5).await;
        let last = (false, false, true);
        assert_eq!(said(&grant.chain), [NOTHING, last]);
        assert_eq!(located(&mut writer, inode).await, [NOTHING, last]);

        let mut near = world.client("server2").await;
        let at_home = (false, true, false);
        reconnect(&mut near, expression("site=home&!ssd")).await;
        let wanted = [at_home, (true, false, true)];
        assert_eq!(located(&mut near, inode).await, wanted);
        assert_eq!(looked_up(&mut near, "f").await, wanted);
        let again = near.grant(inode, 1).await.unwrap();
        assert_eq!(said(&again.chain), wanted);
        let root = near.root().await;
        let made = near.entry(create(root, "g", FileKind::File, true)).await.unwrap();
        assert_eq!(said(&made.grant.unwrap().chain), wanted);

        // Labels count as they are now.
        label(&master, "server1:/disks/1", true, "ssd").await;
        assert_eq!(located(&mut near, inode).await, [NOTHING, (true, false, true)]);
        assert_eq!(located(&mut writer, inode).await, [NOTHING, last], "each is told its own");
    });
}

#[test]
fn what_a_client_prefers_is_what_it_said_at_its_last_connection() {
    run(async |world| {
        let (master, mut servers) = two_servers(&world).await;
        prepare(&master).await;
        let mut client = world.client("reader").await;
        let (inode, _) = written(&mut client, &mut servers, "f", 5).await;
        let (at_home, last) = ((false, true, false), (false, false, true));
        let home = expression("site=home");
        reconnect(&mut client, home.clone()).await;
        assert_eq!(located(&mut client, inode).await, [at_home, last]);
        reconnect(&mut client, home.clone()).await;
        assert_eq!(located(&mut client, inode).await, [at_home, last]);

        let master = world.restart(master).await;
        for server in &mut servers {
            server.register(&master).await;
        }
        servers_up(&master, 2).await;
        reconnect(&mut client, home).await;
        let admin = master.admin();
        eventually("both replicas are known", || async { admin.status().await.unwrap().chunks.ok == 1 })
            .await;
        assert_eq!(located(&mut client, inode).await, [at_home, last]);

        // Labels that no disk has, and what only another release can read, keep nobody out.
        for unknown in ["site=mars|tape", "site=home&"] {
            reconnect(&mut client, expression(unknown)).await;
            assert_eq!(located(&mut client, inode).await, [NOTHING, last], "{unknown}");
        }
        reconnect(&mut client, None).await;
        assert_eq!(located(&mut client, inode).await, [NOTHING, last]);
    });
}
