//! Simulated disks, network and clock keep the rules of real ones.

use super::*;
use crate::{Dir, Listener, OpenMode, Stream};
use std::io::{self, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn put(dir: &dyn Dir, path: &str, data: &[u8], sync: bool) -> io::Result<()> {
    let file = dir.open(path, OpenMode::Create)?;
    file.write_at(data, 0)?;
    if sync {
        file.sync_data()?;
        dir.sync_dir("")?;
    }
    Ok(())
}

#[test]
fn a_kill_loses_nothing_and_ends_what_was_open() {
    let disk = SimDisk::new(1, "d");
    let dir = disk.dir();
    put(&*dir, "f", b"data", false).unwrap();
    let file = dir.open("f", OpenMode::ReadWrite).unwrap();
    let boot = dir.identity().unwrap();
    let _lock = dir.lock("lock").unwrap();
    disk.kill();
    assert!(file.write_at(b"late", 0).is_err() && dir.exists("f").is_err());
    assert_eq!(disk.contents("f").unwrap(), b"data");
    assert_eq!(disk.dir().identity().unwrap(), boot);
    disk.dir().lock("lock").map(drop).unwrap();
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_changes_the_boot() {
    let mut kept = 0;
    for seed in 0..100 {
        let disk = SimDisk::new(seed, "d");
        let dir = disk.dir();
        put(&*dir, "synced", b"data", true).unwrap();
        put(&*dir, "unsynced", b"data", false).unwrap();
        let boot = dir.identity().unwrap();
        disk.power_cut();
        assert_eq!(disk.contents("synced").unwrap(), b"data");
        assert_ne!(disk.dir().identity().unwrap(), boot);
        kept += usize::from(disk.contents("unsynced").is_ok_and(|bytes| bytes == b"data"));
    }
    assert!((5..70).contains(&kept), "{kept} of 100 unsynced files survived");
}

#[test]
fn a_synced_file_without_a_synced_name_may_vanish() {
    let vanished = (0..100).filter(|seed| {
        let disk = SimDisk::new(*seed, "d");
        let file = disk.dir().open("f", OpenMode::Create).unwrap();
        file.write_at(b"x", 0).unwrap();
        file.sync_data().unwrap();
        disk.power_cut();
        disk.contents("f").is_err()
    });
    assert!((20..80).contains(&vanished.count()));
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = |seed| {
        let disk = SimDisk::new(seed, "d");
        for number in 0..20 {
            put(&*disk.dir(), &format!("f{number}"), &[number; 3000], number % 3 == 0).unwrap();
        }
        disk.power_cut();
        let names = disk.dir().list("").unwrap();
        let contents: Vec<_> = names.iter().map(|entry| disk.contents(&entry.name).unwrap()).collect();
        (names, contents)
    };
    assert_eq!(run(5), run(5));
    assert!((0..20).any(|seed| run(seed) != run(5)));
}

#[test]
fn after_the_chosen_write_nothing_changes_any_more() {
    let disk = SimDisk::new(1, "d");
    let dir = disk.dir();
    let file = dir.open("f", OpenMode::Create).unwrap();
    let before = disk.writes();
    disk.stop_after_writes(1);
    file.write_at(b"one", 0).unwrap();
    assert!(file.write_at(&[2; 5000], 0).is_err());
    let torn = disk.contents("f").unwrap();
    assert!(file.write_at(b"three", 0).is_err() && file.sync_data().is_err());
    assert!(dir.rename("f", "g").is_err() && dir.open("h", OpenMode::Create).is_err());
    assert_eq!(disk.contents("f").unwrap(), torn);
    assert!(disk.writes() > before);
    disk.kill();
    put(&*disk.dir(), "f", b"again", true).unwrap();
}

#[test]
fn faults_hit_the_named_paths_as_often_as_asked() {
    let disk = SimDisk::new(1, "d");
    let dir = disk.dir();
    put(&*dir, "bad", b"x", true).unwrap();
    disk.inject(Fault { path: "bad".into(), effort: Effort::Read, skip: 1, count: 2 });
    let file = dir.open("bad", OpenMode::ReadWrite).unwrap();
    let outcomes: Vec<_> = (0..4).map(|_| file.read_at(&mut [0], 0).is_ok()).collect();
    assert_eq!(outcomes, [true, false, false, true]);
    disk.inject(Fault { path: "bad".into(), effort: Effort::Write, skip: 0, count: u64::MAX });
    assert!(file.write_at(b"y", 0).is_err());
    put(&*dir, "good", b"x", true).unwrap();
    disk.clear_faults();
    file.write_at(b"y", 0).unwrap();
}

#[test]
fn a_failed_sync_loses_the_data_although_the_next_one_succeeds() {
    let disk = SimDisk::new(1, "d");
    let dir = disk.dir();
    put(&*dir, "f", b"old", true).unwrap();
    disk.inject(Fault { path: "f".into(), effort: Effort::Sync, skip: 0, count: 1 });
    let file = dir.open("f", OpenMode::ReadWrite).unwrap();
    file.write_at(b"new", 0).unwrap();
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    disk.power_cut();
    assert_eq!(disk.contents("f").unwrap(), b"old");
}

#[test]
fn a_sync_of_all_keeps_files_and_names_and_each_handle_tells_of_a_loss_once() {
    let disk = SimDisk::new(1, "d");
    let dir = disk.dir();
    dir.create_dir_all("a/b").unwrap();
    let files = ["a/b/good", "a/b/lost"].map(|path| dir.open(path, OpenMode::Create).unwrap());
    files.iter().for_each(|file| file.write_at(b"data", 0).unwrap());
    disk.inject(Fault { path: "a/b/lost".into(), effort: Effort::Sync, skip: 0, count: 1 });
    let early = dir.open("a/b/lost", OpenMode::Read).unwrap();
    dir.sync_all().unwrap();
    files[0].check_written().unwrap();
    assert!(files[1].check_written().is_err() && early.sync_data().is_err());
    assert!(files[1].check_written().is_ok() && early.sync_data().is_ok());
    dir.open("a/b/lost", OpenMode::Read).unwrap().check_written().unwrap();
    drop((files, early));
    disk.power_cut();
    assert_eq!(disk.contents("a/b/good").unwrap(), b"data");
    assert!(disk.contents("a/b/lost").unwrap().is_empty());
}

#[test]
fn a_full_disk_refuses_until_something_is_removed() {
    let disk = SimDisk::new(1, "d");
    disk.set_capacity(8 * 4096);
    let dir = disk.dir();
    put(&*dir, "f", &[1; 6 * 4096], false).unwrap();
    assert_eq!(put(&*dir, "g", &[1; 3 * 4096], false).unwrap_err().kind(), ErrorKind::StorageFull);
    put(&*dir, "f", &[2; 6 * 4096], false).unwrap();
    dir.remove("f").unwrap();
    put(&*dir, "g", &[1; 3 * 4096], false).unwrap();
    assert_eq!(dir.space().unwrap().free_bytes, 5 * 4096);
}

#[test]
fn a_full_disk_that_copies_on_write_refuses_to_write_anew_what_it_has() {
    let disk = SimDisk::new(1, "d");
    disk.set_capacity(8 * 4096);
    let dir = disk.dir();
    put(&*dir, "f", &[1; 6 * 4096], false).unwrap();
    disk.set_copies_on_write(true);
    let file = dir.open("f", OpenMode::ReadWrite).unwrap();
    file.write_at(&[2; 2 * 4096], 4096).unwrap();
    assert_eq!(disk.used_bytes(), 6 * 4096);
    assert_eq!(file.write_at(&[3; 10], 4095).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.contents("f").unwrap()[..2 * 4096], [[1; 4096], [2; 4096]].concat());
    file.sync_data().unwrap();
    file.write_at(&[3; 10], 4095).unwrap();
}

#[test]
fn files_are_found_below_a_directory() {
    let disk = SimDisk::new(1, "d");
    let dir = disk.dir();
    dir.create_dir_all("a/b").unwrap();
    for path in ["f", "a/g", "a/b/h"] {
        put(&*dir, path, &[1; 5000], false).unwrap();
    }
    assert_eq!(disk.paths(""), ["a/b/h", "a/g", "f"]);
    assert_eq!(disk.paths("a/"), ["a/b/h", "a/g"]);
    assert_eq!(disk.used_bytes(), 6 * 4096);
}

#[test]
fn flipped_bits_stay() {
    let disk = SimDisk::new(1, "d");
    put(&*disk.dir(), "f", &[0; 10], true).unwrap();
    disk.flip_bit("f", 3, 1).unwrap();
    disk.power_cut();
    assert_eq!(disk.contents("f").unwrap(), [0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_fork_goes_its_own_way() {
    let disk = SimDisk::new(1, "d");
    put(&*disk.dir(), "f", b"both", true).unwrap();
    let fork = disk.fork();
    put(&*disk.dir(), "f", b"here", true).unwrap();
    assert_eq!(fork.contents("f").unwrap(), b"both");
    assert_eq!(disk.contents("f").unwrap(), b"here");
}

#[test]
fn a_write_that_goes_astray_is_acknowledged() {
    let disk = SimDisk::new(1, "d");
    put(&*disk.dir(), "f", &[0; 8192], true).unwrap();
    disk.lead_astray("f", 1, Stray::Lost);
    disk.lead_astray("f", 0, Stray::Misdirected(4096));
    let file = disk.dir().open("f", OpenMode::ReadWrite).unwrap();
    for value in [1, 2, 3] {
        file.write_at(&[value; 2], u64::from(value) * 10).unwrap();
    }
    let found = disk.contents("f").unwrap();
    let places: Vec<usize> = (0..found.len()).filter(|at| found[*at] != 0).collect();
    assert_eq!(places, [30, 31, 4106, 4107]);
}

async fn pair(world: &SimWorld) -> (Stream, Stream, Box<dyn Listener>) {
    let listener = world.env("b").net.listen("0.0.0.0:7").await.unwrap();
    assert_eq!(listener.address(), "b:7");
    let env = world.env("a");
    let (near, far) = tokio::join!(env.net.connect("b:7"), listener.accept());
    let (far, from) = far.unwrap();
    assert!(from.starts_with("a:"));
    (near.unwrap(), far, listener)
}

fn parts(stream: Stream) -> Box<dyn crate::SimulatedStream> {
    match stream {
        Stream::Simulated(stream) => stream,
        Stream::Tcp(_) => panic!("a real socket in a simulation"),
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_in_order_and_after_the_delay() {
    let world = SimWorld::new(1);
    world.net().set_delay("a", "b", Duration::from_millis(10), Duration::from_millis(5));
    let (near, far, _listener) = pair(&world).await;
    let (mut near, mut far) = (parts(near), parts(far));
    let start = tokio::time::Instant::now();
    let data: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let sent = data.clone();
    let writer = tokio::spawn(async move {
        near.write_all(&sent).await.unwrap();
        near.shutdown().await.unwrap();
        near
    });
    let mut received = Vec::new();
    far.read_to_end(&mut received).await.unwrap();
    assert!(received == data);
    assert!(start.elapsed() >= Duration::from_millis(10) && start.elapsed() < Duration::from_secs(1));
    writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_one_way_partition_holds_bytes_back_until_it_heals() {
    let world = SimWorld::new(1);
    let (near, far, _listener) = pair(&world).await;
    let (mut near, mut far) = (parts(near), parts(far));
    world.net().block("a", "b");
    near.write_all(b"late").await.unwrap();
    far.write_all(b"open").await.unwrap();
    let mut buffer = [0; 4];
    near.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"open");
    let waited = tokio::time::timeout(Duration::from_secs(60), far.read_exact(&mut buffer)).await;
    assert!(waited.is_err());
    let error = world.env("a").net.connect("b:7").await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    world.net().heal();
    far.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"late");
}

#[tokio::test(start_paused = true)]
async fn killing_a_host_breaks_its_connections_and_refuses_new_ones() {
    let world = SimWorld::new(1);
    let (near, far, listener) = pair(&world).await;
    let (mut near, mut far) = (parts(near), parts(far));
    world.net().kill_host("b");
    assert_eq!(near.read(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(far.write_all(b"x").await.is_err());
    assert!(listener.accept().await.is_err());
    let error = world.env("a").net.connect("b:7").await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    drop((near, far));
    assert_eq!(world.net().connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_ends_the_other_after_what_was_sent() {
    let world = SimWorld::new(1);
    let (near, far, listener) = pair(&world).await;
    let (mut near, mut far) = (parts(near), parts(far));
    near.write_all(b"last words").await.unwrap();
    drop(near);
    let mut received = Vec::new();
    far.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"last words");
    assert!(far.write_all(b"x").await.is_err());
    drop(listener);
    let error = world.env("a").net.connect("b:7").await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    drop(far);
    assert_eq!(world.net().connections(), 0);
    world.env("b").net.listen("b:7").await.map(drop).unwrap();
}

#[tokio::test(start_paused = true)]
async fn clocks_follow_paused_time_and_walls_can_be_wrong() {
    let world = SimWorld::new(1);
    let (a, b) = (world.env("a"), world.env("b"));
    let (now, wall) = (a.clock.now(), a.clock.wall());
    world.set_wall_offset("b", Duration::ZERO, Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(a.clock.now().since(now), Duration::from_millis(1500));
    assert_eq!(a.clock.now(), b.clock.now());
    assert_eq!(a.clock.wall(), (wall.0 + 1, wall.1 + 500_000_000));
    assert_eq!(b.clock.wall().0, a.clock.wall().0 - 3600);
}

#[tokio::test(start_paused = true)]
async fn jobs_run_in_line_and_numbers_come_from_the_seed() {
    let draw = |seed, host: &str| SimWorld::new(seed).env(host).seed.next_id();
    assert_eq!(draw(1, "a"), draw(1, "a"));
    assert_ne!(draw(1, "a"), draw(1, "b"));
    assert_ne!(draw(1, "a"), draw(2, "a"));
    let (env, world) = Env::simulated(1);
    assert_ne!(world.env("host").seed.next_id(), env.seed.next_id(), "a restart draws anew");
    let queue = env.workers.queue("disk", 4);
    assert_eq!(queue.call(|| 7).await.unwrap(), 7);
    assert_eq!(queue.depth(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_dies_behind_a_partition_leaves_half_open_connections() {
    let world = SimWorld::new(1);
    let (near, far, _listener) = pair(&world).await;
    let (mut near, _far) = (parts(near), far);
    world.net().block("b", "a");
    world.net().kill_host("b");
    near.write_all(b"into the void").await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(600), near.read(&mut [0; 4])).await;
    assert!(waited.is_err(), "nobody tells it: {waited:?}");
    world.net().heal();
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_connection_is_silent_both_ways_and_a_new_one_works() {
    let world = SimWorld::new(1);
    let (near, far, listener) = pair(&world).await;
    let (mut near, mut far) = (parts(near), parts(far));
    world.net().abandon_connections("a", "b");
    near.write_all(b"x").await.unwrap();
    far.write_all(b"x").await.unwrap();
    drop(far);
    let waited = tokio::time::timeout(Duration::from_secs(600), near.read(&mut [0; 4])).await;
    assert!(waited.is_err());
    let env = world.env("a");
    let (again, accepted) = tokio::join!(env.net.connect("b:7"), listener.accept());
    let (mut again, mut accepted) = (parts(again.unwrap()), parts(accepted.unwrap().0));
    again.write_all(b"news").await.unwrap();
    let mut buffer = [0; 4];
    accepted.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"news");
}

#[tokio::test(start_paused = true)]
async fn where_a_queue_snags_a_job_that_syncs_takes_seconds_and_others_overtake_it() {
    let world = SimWorld::new(1);
    let queue = world.env("host").workers.queue("disk-0", 2);
    let file = world.disk("disk-0").dir().open("file", OpenMode::Create).unwrap();
    let sync = || {
        let file = Arc::clone(&file);
        queue.call(move || file.sync_data().unwrap())
    };
    sync().await.unwrap();
    world.snag_queue("host", "disk-0", Duration::from_secs(8));
    let (mut quick, mut long) = (0, 0);
    for _ in 0..100 {
        let begun = tokio::time::Instant::now();
        sync().await.unwrap();
        match begun.elapsed() {
            Duration::ZERO => quick += 1,
            taken if taken > Duration::from_secs(1) => long += 1,
            _ => {}
        }
    }
    assert!(quick > 50 && long > 10, "{quick} {long}");
    let begun = tokio::time::Instant::now();
    for _ in 0..100 {
        queue.call(|| ()).await.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "what does not sync goes by at once");
}

#[tokio::test(start_paused = true)]
async fn a_slow_queue_answers_late_and_a_hung_one_when_it_goes_on() {
    let world = SimWorld::new(1);
    let env = world.env("host");
    let queue = env.workers.queue("disk-0", 1);
    let begun = tokio::time::Instant::now();
    world.slow_queue("host", "disk-0", Duration::from_secs(1));
    queue.call(|| ()).await.unwrap();
    assert!(begun.elapsed() > Duration::ZERO && begun.elapsed() < Duration::from_secs(1));
    world.hang_queue("host", "disk-0");
    let order = Arc::new(Mutex::new(Vec::new()));
    let job = |number| {
        let order = Arc::clone(&order);
        queue.call(move || order.lock().unwrap().push(number))
    };
    let (mut first, mut second) = (Box::pin(job(1)), Box::pin(job(2)));
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, async { tokio::join!(&mut first, &mut second) }).await.is_err());
    assert_eq!((queue.depth(), order.lock().unwrap().len()), (2, 0));
    assert_eq!(env.workers.queue("disk-1", 1).call(|| 7).await.unwrap(), 7);
    world.free_queue("host", "disk-0");
    let third = job(3);
    let _ = tokio::join!(first, second, third);
    assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    assert_eq!(queue.depth(), 0);
}
