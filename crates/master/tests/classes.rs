//! Operators' changes: classes, labels, tasks.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod helper;

use codec::admin::{Change, Changed, FileTarget, Refusal, RefusalKind};
use helper::{Client, FakeServer, World, create, eventually, run, servers_up, two_servers};
use master::MasterHandle;
use rpc::admin::AdminError;
use types::*;

fn class(name: &str, keep: &str) -> StorageClass {
    StorageClass::new(ClassName::new(name).unwrap(), Expression::new(keep).unwrap())
}

fn put(before: Option<&StorageClass>, class: StorageClass) -> Change {
    Change::PutClass {
        before: before.cloned().map(Box::new),
        class: Box::new(class),
        allow_unsatisfiable: false,
    }
}

async fn change(master: &MasterHandle, change: Change) -> Result<Changed, Refusal> {
    match master.admin().change(change).await {
        Ok(changed) => Ok(changed),
        Err(AdminError::NotDone(refusal)) => Err(refusal),
        Err(other) => panic!("{other}"),
    }
}

async fn refused(master: &MasterHandle, wanted: Change) -> (RefusalKind, String) {
    let refusal = change(master, wanted).await.unwrap_err();
    (refusal.kind, refusal.near)
}

async fn label(master: &MasterHandle, holder: &str, disk: bool, labels: &[&str]) -> Result<Changed, Refusal> {
    let labels = Labels::new(labels.iter().map(|word| Label::new(word).unwrap())).unwrap();
    let (holder, remove) = (holder.to_owned(), Labels::default());
    change(master, Change::SetLabels { holder, disk, add: labels, remove, replace: false }).await
}

async fn class_at(master: &MasterHandle, path: &str) -> String {
    master.admin().file_info(FileTarget::Path(path.into())).await.unwrap().class
}

#[test]
fn a_class_is_made_changed_and_refused_with_a_reason() {
    run(async |world| {
        let (master, _servers) = two_servers(&world).await;
        let mut names: Vec<_> =
            master.admin().classes().await.unwrap().iter().map(|one| one.class.name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["default", "single", "triple"]);
        label(&master, "server1:/disks/1", true, &["ssd"]).await.unwrap();

        let photos = class("photos", " 1 * ssd , any");
        let Ok(Changed::Class(made)) = change(&master, put(None, photos.clone())).await else { panic!() };
        assert_eq!((made.class.keep.as_str(), &*made.unmet), ("ssd,any", &[][..]));
        let made = made.class;
        let kind = |wanted| async { refused(&master, wanted).await };
        assert_eq!(kind(put(None, photos.clone())).await.0, RefusalKind::ClassExists);
        assert_eq!(kind(put(Some(&photos), made.clone())).await.0, RefusalKind::ClassChanged);
        assert_eq!(kind(put(None, class("a", "ssd,"))).await.0, RefusalKind::BadExpression);
        assert_eq!(kind(put(None, class("a", "2*sdd"))).await, (RefusalKind::UnknownLabel, "ssd".into()));
        assert_eq!(kind(put(None, class("a", "2*ssd"))).await.0, RefusalKind::Unsatisfiable);
        let greedy = StorageClass { min_write: Some(3), ..class("a", "2*any") };
        assert_eq!(kind(put(None, greedy)).await.0, RefusalKind::BadClass);
        let default = class("default", "2*any");
        let renamed = StorageClass { name: ClassName::new("other").unwrap(), ..default.clone() };
        assert_eq!(kind(put(Some(&default), renamed)).await.0, RefusalKind::ClassStays);
        let delete = |name: &str| Change::DeleteClass(ClassName::new(name).unwrap());
        assert_eq!(kind(delete("default")).await.0, RefusalKind::ClassStays);
        assert_eq!(kind(delete("none")).await.0, RefusalKind::NoSuchClass);

        // What cannot be had and was there before does not stand in the way of other changes.
        let far = Change::PutClass {
            before: None,
            class: Box::new(class("far", "2*tape")),
            allow_unsatisfiable: true,
        };
        change(&master, far).await.unwrap();
        let near = StorageClass { trash_keep_s: 60, ..class("near", "2*tape") };
        change(&master, put(Some(&class("far", "2*tape")), near)).await.unwrap();

        let master = world.restart(master).await;
        let classes = master.admin().classes().await.unwrap();
        assert!(classes.iter().any(|one| one.class == made));
        change(&master, delete("photos")).await.unwrap();
    });
}

#[test]
fn labels_of_a_configuration_are_first_values() {
    run(async |world| {
        let master = world.start().await;
        let mut server = FakeServer::new(1);
        server.labels = vec!["ssd".into(), "no label".into()];
        server.register(&master).await;
        servers_up(&master, 1).await;
        let shown = |master: &MasterHandle| {
            let admin = master.admin();
            async move {
                let status = admin.status().await.unwrap();
                let differs: Vec<String> = status
                    .warnings
                    .into_iter()
                    .map(|one| one.code)
                    .filter(|code| code.starts_with("LABELS"))
                    .collect();
                (status.disks[0].labels.join(","), status.servers[0].labels.join(","), differs)
            }
        };
        assert_eq!(shown(&master).await, ("ssd".into(), "ssd".into(), Vec::new()));
        let Ok(Changed::Labels { before, after, .. }) =
            label(&master, "server1:/disks/1", true, &["site=a"]).await
        else {
            panic!()
        };
        assert_eq!((before.to_string(), after.to_string()), ("ssd".into(), "site=a ssd".into()));
        // A key has one value; the commands count from now on, and the difference is named.
        label(&master, "server1:/disks/1", true, &["site=b"]).await.unwrap();
        let master = world.restart(master).await;
        server.register(&master).await;
        servers_up(&master, 1).await;
        let named = vec!["LABELS_DIFFER server1:/disks/1".to_owned()];
        assert_eq!(shown(&master).await, ("site=b,ssd".into(), "ssd".into(), named));
        let refusal = label(&master, "server1:/disks/2", true, &["x"]).await.unwrap_err();
        assert_eq!((refusal.kind, refusal.near.as_str()), (RefusalKind::NoSuchDisk, "server1:/disks/1"));
    });
}

#[test]
fn a_server_that_has_not_come_since_the_start_has_a_name() {
    run(async |world| {
        let (master, _servers) = two_servers(&world).await;
        let master = world.restart(master).await;
        let status = master.admin().status().await.unwrap();
        let mut names: Vec<_> = status.servers.iter().map(|one| (&*one.name, &*one.address)).collect();
        names.sort();
        assert_eq!(names, [("server1", "server1:9422"), ("server2", "server2:9422")]);
        assert!(status.disks.iter().all(|disk| disk.path.starts_with("/disks/")));
        let down = status.warnings.iter().filter(|one| one.code == "SERVER_DOWN");
        assert!(down.clone().any(|one| one.message.contains("server1")) && down.count() == 2);
    });
}

/// Three directories, each in the one before, with files.
async fn furnish(client: &mut Client, files: usize) {
    let mut parent = client.root().await;
    for depth in 0..3 {
        let made =
            client.entry(create(parent, &format!("d{depth}"), FileKind::Directory, false)).await.unwrap();
        parent = made.attributes.inode;
        for number in 0..files {
            client.entry(create(parent, &format!("f{number}"), FileKind::File, false)).await.unwrap();
        }
    }
}

fn give(class: &str, from: Option<&str>) -> Change {
    let name = |text| ClassName::new(text).unwrap();
    let target = FileTarget::Path(b"/d0".to_vec());
    Change::GiveClass { target, class: name(class), from: from.map(name), recursive: true }
}

async fn inodes(master: &MasterHandle, name: &str) -> u64 {
    let classes = master.admin().classes().await.unwrap();
    classes.iter().find(|one| one.class.name.as_str() == name).unwrap().inodes
}

async fn idle(master: &MasterHandle) {
    let admin = master.admin();
    eventually("no task is left", || async { admin.tasks().await.unwrap().is_empty() }).await;
}

async fn tree(world: &World, files: usize) -> (MasterHandle, Client) {
    let master = world.start().await;
    let mut client = world.client("a").await;
    furnish(&mut client, files).await;
    (master, client)
}

#[test]
fn a_task_gives_a_class_to_a_whole_tree_and_leaves_what_has_another() {
    run(async |world| {
        let (master, mut client) = tree(&world, 300).await;
        let Ok(Changed::Task(_)) = change(&master, give("single", None)).await else { panic!() };
        idle(&master).await;
        assert_eq!((inodes(&master, "single").await, inodes(&master, "default").await), (903, 1));
        let one = Change::GiveClass {
            target: FileTarget::Path(b"/d0/d1/f7".to_vec()),
            class: ClassName::new("triple").unwrap(),
            from: None,
            recursive: false,
        };
        assert_eq!(change(&master, one.clone()).await, Ok(Changed::Inodes(1)));
        assert_eq!(change(&master, one).await, Ok(Changed::Inodes(0)));
        change(&master, give("default", Some("single"))).await.unwrap();
        idle(&master).await;
        assert_eq!(
            (inodes(&master, "single").await, class_at(&master, "/d0/d1/f7").await),
            (0, "triple".into())
        );
        client.lookup("d0").await.unwrap();
    });
}

#[test]
fn a_task_goes_on_after_a_restart_and_serves_others_meanwhile() {
    run(async |world| {
        let (master, mut client) = tree(&world, 1_000).await;
        change(&master, give("single", None)).await.unwrap();
        let tasks = master.admin().tasks().await.unwrap();
        assert_eq!(tasks.len(), 1, "it has only begun");
        assert!(tasks[0].looked < 3_000 && tasks[0].what.contains("single for /d0"), "{tasks:?}");
        let in_use = change(&master, Change::DeleteClass(ClassName::new("single").unwrap())).await;
        assert_eq!(in_use.unwrap_err().kind, RefusalKind::ClassInUse);
        let master = world.restart(master).await;
        client.connect().await;
        client.lookup("d0").await.unwrap();
        idle(&master).await;
        assert_eq!(inodes(&master, "single").await, 3_003);
        assert!(master.admin().status().await.unwrap().work.is_empty());
    });
}

#[test]
fn a_cancelled_task_changes_nothing_more() {
    run(async |world| {
        let (master, _client) = tree(&world, 1_000).await;
        let Ok(Changed::Task(task)) = change(&master, give("single", None)).await else { panic!() };
        assert_eq!(change(&master, Change::CancelTask(task)).await, Ok(Changed::Done));
        let done = inodes(&master, "single").await;
        assert!(done < 3_003, "it was still at it");
        assert_eq!(refused(&master, Change::CancelTask(task)).await.0, RefusalKind::NoSuchTask);
        let master = world.restart(master).await;
        assert_eq!((inodes(&master, "single").await, master.admin().tasks().await.unwrap().len()), (done, 0));
    });
}
