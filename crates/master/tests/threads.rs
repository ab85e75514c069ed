//! The master on real threads: what goes on while the core is busy.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use codec::control::{ChunkReport, DiskReport, Register, ToMaster, ToServer};
use env::{BoxFuture, Clock, Env, Instant, RealDir};
use master::checkpoint::Built;
use master::{Checkpointer, Config, Master, MasterHandle};
use rpc::admin::{AdminApi, AdminClient, ServerState};
use rpc::control::ServerEnd;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use types::{DiskId, LogIndex, ServerId, Term};

/// Fails a test that hangs.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it happens soon")
}

/// Keeps the core busy from the moment a checkpoint is begun until it is let go.
struct Busy {
    entered: Mutex<Option<oneshot::Sender<()>>>,
    let_go: Mutex<mpsc::Receiver<()>>,
}

impl Checkpointer for Busy {
    fn build(&self, _: LogIndex) -> BoxFuture<'static, Result<Built, String>> {
        let _ = self.entered.lock().unwrap().take().unwrap().send(());
        let _ = self.let_go.lock().unwrap().recv();
        Box::pin(async { Err("the test wants none".to_owned()) })
    }
}

/// The system's clock, put forward by the test.
struct Ahead {
    system: Arc<dyn Clock>,
    seconds: AtomicU64,
}

impl Clock for Ahead {
    fn now(&self) -> Instant {
        self.system.now() + Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
    fn wall(&self) -> (i64, u32) {
        self.system.wall()
    }
}

/// A master on a thread of its own.
struct Running {
    env: Env,
    address: String,
    clock: Arc<Ahead>,
    begin: Option<oneshot::Sender<()>>,
    entered: Option<oneshot::Receiver<()>>,
    let_go: mpsc::Sender<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (entering, entered) = oneshot::channel();
        let (let_go, gone) = mpsc::channel();
        let (tell, told) = oneshot::channel();
        let (begin, begun) = oneshot::channel::<()>();
        let (stop, stopped) = oneshot::channel::<()>();
        let env = Env::real();
        let clock = Arc::new(Ahead { system: Arc::clone(&env.clock), seconds: AtomicU64::new(0) });
        let mut config = Config::new("127.0.0.1:0", RealDir::open(dir.path()).unwrap());
        config.checkpointer =
            Some(Arc::new(Busy { entered: Mutex::new(Some(entering)), let_go: Mutex::new(gone) }));
        let its = Env { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..env.clone() };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let master: MasterHandle = Master::start(its, config).await.unwrap();
                tell.send(master.address().to_owned()).unwrap();
                begun.await.unwrap();
                master.checkpoint().await.unwrap_err();
                stopped.await.unwrap();
                master.shutdown().await.unwrap();
            });
        });
        Self {
            env,
            address: soon(told).await.unwrap(),
            clock,
            begin: Some(begin),
            entered: Some(entered),
            let_go,
            stop: Some(stop),
            thread: Some(thread),
            _dir: dir,
        }
    }

    /// Returns when the core's thread is busy.
    async fn make_busy(&mut self) {
        self.begin.take().unwrap().send(()).unwrap();
        soon(self.entered.take().unwrap()).await.unwrap();
    }

    async fn admin(&self) -> AdminClient {
        AdminClient::connect(&self.env, &self.address, Duration::from_secs(30)).await.unwrap()
    }

    /// Attaches as a chunkserver with one disk and waits until it is in service.
    async fn attach(&self) -> ServerEnd {
        let mut end = rpc::control::connect(&self.env, &self.address).await.unwrap();
        let disk = DiskId([1; 16]);
        let register = Register {
            server: ServerId([1; 16]),
            name: "cs1".into(),
            address: "127.0.0.1:1".into(),
            cluster: None,
            labels: Vec::new(),
            highest_term: Term(0),
            disks: vec![DiskReport { disk, path: "/d1".into(), ..DiskReport::default() }],
            version: "test".into(),
            refused: Vec::new(),
        };
        end.tx.send(ToMaster::Register(register)).await.unwrap();
        assert!(matches!(soon(end.rx.recv()).await, Some(ToServer::Registered(_))));
        heartbeat(&mut end).await;
        let report = ChunkReport { disk, entries: Vec::new(), last: true };
        end.tx.send(ToMaster::Report(report)).await.unwrap();
        let admin = self.admin().await;
        soon(async {
            while admin.status().await.unwrap().servers.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        end
    }

    fn finish(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn heartbeat(end: &mut ServerEnd) {
    end.tx.send(ToMaster::Heartbeat { disks: Vec::new(), refused: Vec::new() }).await.unwrap();
    assert!(matches!(soon(end.rx.recv()).await, Some(ToServer::HeartbeatAck { term: Term(1) })));
}

#[tokio::test]
async fn heartbeats_are_answered_and_connections_taken_while_the_core_is_busy() {
    let mut master = Running::start().await;
    let mut server = master.attach().await;
    master.make_busy().await;
    heartbeat(&mut server).await;
    // Connections made now, a chunkserver's and an operator's, are taken; what concerns the state waits for it.
    let mut second = rpc::control::connect(&master.env, &master.address).await.unwrap();
    heartbeat(&mut second).await;
    let admin = master.admin().await;
    let asked = tokio::spawn(async move { admin.status().await });
    heartbeat(&mut server).await;
    assert!(!asked.is_finished(), "the core answered while it was busy: this test proves nothing");
    master.let_go.send(()).unwrap();
    assert_eq!(soon(asked).await.unwrap().unwrap().servers.len(), 1);
    master.finish();
}

#[tokio::test]
async fn a_chunkserver_that_was_heard_is_not_dropped_because_the_core_was_busy() {
    let mut master = Running::start().await;
    let mut server = master.attach().await;
    master.make_busy().await;
    // Longer than a chunkserver may be silent; it was not.
    master.clock.seconds.store(60, Ordering::Relaxed);
    heartbeat(&mut server).await;
    master.let_go.send(()).unwrap();
    let admin = master.admin().await;
    let status = soon(admin.status()).await.unwrap();
    assert_eq!(status.servers[0].state, ServerState::Up);
    // That it is dropped when it really was silent, and then notices at once, shows that the test can fail.
    master.clock.seconds.store(120, Ordering::Relaxed);
    assert!(soon(server.rx.recv()).await.is_none());
    assert_eq!(soon(admin.status()).await.unwrap().servers[0].state, ServerState::Down);
    master.finish();
}
