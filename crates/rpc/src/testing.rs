//! What the tests of this crate share: a role's port on a real socket, and one on simulated streams.

use crate::admin::{
    AdminApi, AdminError, Change, Changed, ChunkEntry, ChunkPage, ChunkQuery, ClassStatus, ClusterStatus,
    EditPlan, ExplainTarget, Explanation, FileInfoReply, FileTarget, Refusal, RefusalKind, Removal,
    RemovalTarget, TaskStatus, TrashPage, TrashQuery, Unmet,
};
use crate::port::{self, PortCounters, PortOptions, Services};
use env::{BoxFuture, Env, Listener, Net, Stream};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// Fails a test that hangs.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("it happens soon")
}

/// A port being served; dropped with it.
pub(crate) struct Port {
    pub(crate) env: Env,
    pub(crate) address: String,
    pub(crate) counters: Arc<PortCounters>,
    pub(crate) task: JoinHandle<io::Result<()>>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves on a free port of loopback.
pub(crate) async fn real(services: Services, options: PortOptions) -> Port {
    open(Env::real(), "127.0.0.1:0", services, options).await
}

/// Serves on streams in memory.
pub(crate) async fn simulated(services: Services, options: PortOptions) -> Port {
    let mut env = Env::real();
    let (connects, accepts) = mpsc::channel(16);
    env.net = Arc::new(Memory { connects, accepts: Arc::new(Mutex::new(accepts)) });
    open(env, "memory:1", services, options).await
}

async fn open(env: Env, address: &str, services: Services, options: PortOptions) -> Port {
    let listener = env.net.listen(address).await.expect("the address is free");
    let address = listener.address();
    let counters = Arc::new(PortCounters::default());
    let task = tokio::spawn(port::serve(listener, services, options, counters.clone()));
    Port { env, address, counters, task }
}

struct Memory {
    connects: mpsc::Sender<Stream>,
    accepts: Arc<Mutex<mpsc::Receiver<Stream>>>,
}

struct MemoryListener(Arc<Mutex<mpsc::Receiver<Stream>>>);

impl Net for Memory {
    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(4_096);
            let far = Stream::Simulated(Box::new(far));
            self.connects.send(far).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Stream::Simulated(Box::new(near)))
        })
    }
    fn listen<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        let accepts = self.accepts.clone();
        Box::pin(async move { Ok(Box::new(MemoryListener(accepts)) as Box<dyn Listener>) })
    }
}

impl Listener for MemoryListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Stream, String)>> {
        Box::pin(async move {
            match self.0.lock().await.recv().await {
                Some(stream) => Ok((stream, "memory:2".into())),
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        })
    }
    fn address(&self) -> String {
        "memory:1".into()
    }
}

/// A master that answers every operator the same; `Inode(0)` never.
pub(crate) struct Answers;

impl AdminApi for Answers {
    fn status(&self) -> BoxFuture<'_, Result<ClusterStatus, AdminError>> {
        Box::pin(async { Ok(ClusterStatus { name: "home".into(), files: 412, ..Default::default() }) })
    }
    fn file_info(&self, target: FileTarget) -> BoxFuture<'_, Result<FileInfoReply, AdminError>> {
        Box::pin(async move {
            match target {
                FileTarget::Inode(types::InodeId(0)) => std::future::pending().await,
                _ => Err(AdminError::Refused(types::Status::NotFound)),
            }
        })
    }
    fn classes(&self) -> BoxFuture<'_, Result<Vec<ClassStatus>, AdminError>> {
        Box::pin(async {
            let keep = types::Expression::new("2*any").expect("an expression");
            let class = types::StorageClass::new(types::ClassName::default_class(), keep);
            let unmet = vec![Unmet { part: "keep".into(), lacking: 1, wanted: 2, ..Default::default() }];
            Ok(vec![ClassStatus { id: types::ClassId::DEFAULT, class, inodes: 7, bytes: 9, unmet }])
        })
    }
    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskStatus>, AdminError>> {
        Box::pin(async { Ok(vec![TaskStatus { task: types::TaskId(5), looked: 3, ..Default::default() }]) })
    }
    fn removal(&self, target: RemovalTarget) -> BoxFuture<'_, Result<Removal, AdminError>> {
        Box::pin(async move {
            match target.disk {
                true => Ok(Removal { holder: target.holder, obstacles_total: 7, ..Default::default() }),
                false => Err(AdminError::NotDone(Refusal {
                    kind: RefusalKind::NoSuchServer,
                    subject: target.holder,
                    ..Default::default()
                })),
            }
        })
    }
    fn chunks(&self, query: ChunkQuery) -> BoxFuture<'_, Result<ChunkPage, AdminError>> {
        let chunk = |state| ChunkEntry { state, ..ChunkEntry::default() };
        let chunks = query.states.into_iter().map(chunk).collect();
        Box::pin(async move { Ok(ChunkPage { chunks, next: query.from.checked_sub(1) }) })
    }
    fn trash(&self, query: TrashQuery) -> BoxFuture<'_, Result<TrashPage, AdminError>> {
        Box::pin(async move { Ok(TrashPage { end: query.after == types::InodeId(7), ..Default::default() }) })
    }
    fn explain(&self, target: ExplainTarget) -> BoxFuture<'_, Result<Explanation, AdminError>> {
        Box::pin(async move {
            match target.parent {
                Some(parent) => Ok(explanation(parent)),
                None => Err(AdminError::Refused(types::Status::NotFound)),
            }
        })
    }
    fn plan_edit(&self, change: Change) -> BoxFuture<'_, Result<EditPlan, AdminError>> {
        Box::pin(async move {
            match change {
                Change::DeleteClass(name) => Err(AdminError::NotDone(Refusal {
                    kind: RefusalKind::ClassInUse,
                    subject: name.to_string(),
                    ..Default::default()
                })),
                _ => Ok(EditPlan { add: 3, ..EditPlan::default() }),
            }
        })
    }
    fn change(&self, change: Change) -> BoxFuture<'_, Result<Changed, AdminError>> {
        Box::pin(async move {
            match change {
                Change::CancelTask(types::TaskId(5)) => Ok(Changed::Done),
                Change::DeleteClass(name) => Err(AdminError::NotDone(Refusal {
                    kind: RefusalKind::ClassInUse,
                    subject: name.to_string(),
                    ..Default::default()
                })),
                _ => Err(AdminError::Refused(types::Status::NoSpace)),
            }
        })
    }
}

/// What `explain` says of a file in this directory.
fn explanation(parent: types::InodeId) -> Explanation {
    let at = types::Timestamp::new(1, 0);
    Explanation {
        path: b"/a".to_vec(),
        attributes: types::Attributes {
            inode: types::InodeRef { id: parent, generation: types::Generation(1) },
            kind: types::FileKind::File,
            mode: 0o644,
            links: 1,
            owner: types::Owner::default(),
            device: 0,
            length: 3,
            chunks: 1,
            accessed: at,
            modified: at,
            changed: at,
            created: at,
            change_counter: 0,
            truncate_generation: types::TruncateGeneration::default(),
        },
        class: "photos".into(),
        levels: 2,
        above: "default".into(),
        parts: Vec::new(),
        spread: "host".into(),
        chunks: 1,
        groups: Vec::new(),
        left_out: 0,
    }
}
