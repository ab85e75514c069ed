//! Starting a chunkserver and holding it.

use crate::chain::{Budget, Context};
use crate::chains::Chains;
use crate::config::{CONTROL_RUNTIME, Config};
use crate::control::Control;
use crate::data::DataPlane;
use crate::disks::{DiskList, Disks};
use crate::error::StartError;
use crate::events::Events;
use crate::identity::{Identity, IdentityError};
use crate::orders::Orders;
use crate::pace::Paces;
use crate::standing::Standing;
use crate::tasks::Tasks;
use crate::upkeep;
use crate::vouchers::Vouchers;
use env::{Env, Runtime, Task};
use link::{Counters, CountersSnapshot, Pool, PoolOptions};
use rpc::port::{Frames, PortCounters, PortOptions, Services};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use types::{ClusterId, DiskId, ServerId, SessionId, Term};
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Hello, Role};

/// The lock in the data directory.
const LOCK: &str = "lock";
/// How long an orderly end waits for what a hung disk holds up.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// The role.
pub struct Chunkserver;

/// A running chunkserver. Dropping it ends the role at once, as a crash would; its tasks are gone, and its
/// directories free, when the runtime has had a turn.
pub struct ChunkserverHandle {
    address: String,
    standing: Arc<Standing>,
    disks: Arc<Disks>,
    chains: Arc<Chains>,
    context: Arc<Context>,
    /// Those of the control runtime.
    tasks: Arc<Tasks>,
    counters: Arc<Counters>,
    env: Env,
    _runtime: Runtime,
    _lock: Box<dyn Send + Sync>,
}

/// What a disk is to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskStatus {
    /// Where it is.
    pub path: String,
    /// Its id, if it is known.
    pub disk: Option<DiskId>,
    /// An empty directory that waits to be stamped.
    pub blank: bool,
    /// It was removed from the cluster and is not served.
    pub closed: bool,
    /// Why it is not served, with the next step.
    pub error: Option<String>,
    /// Its requests have not ended for too long.
    pub hung: bool,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes free to us.
    pub free_bytes: u64,
    /// Failed reads, writes and syncs since the start.
    pub errors: u64,
}

/// What a chunkserver is to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Identity.
    pub server: ServerId,
    /// The cluster, once it is known.
    pub cluster: Option<ClusterId>,
    /// The highest term seen.
    pub term: Term,
    /// Registered at that term: requests are served.
    pub registered: bool,
    /// Its disks.
    pub disks: Vec<DiskStatus>,
    /// Connections and bad frames.
    pub connections: CountersSnapshot,
}

impl Chunkserver {
    /// Opens the disks, listens, and follows the masters. Needs a tokio runtime, which becomes the data runtime;
    /// the control runtime and the disks' queues are made by `env.workers`.
    pub async fn start(env: Env, config: Config) -> Result<ChunkserverHandle, StartError> {
        let queue = env.workers.queue("identity", 1);
        let (identity, list, lock) = open_data(&env, &config, &queue).await?;
        let disks = Arc::new(Disks::open(&env, &config, list, identity.cluster).await?);
        let standing = Arc::new(Standing::new(Arc::clone(&env.clock), Arc::clone(&config.data), identity));
        if let (None, Some(cluster)) = (identity.cluster, disks.cluster()) {
            let standing = Arc::clone(&standing);
            let adopted = queue.call(move || standing.adopt(cluster, identity.term)).await;
            adopted
                .and_then(|adopted| adopted.map_err(io::Error::other))
                .map_err(|source| StartError::Data { source })?;
        }
        let runtime = env.workers.runtime(CONTROL_RUNTIME);
        let tasks = Arc::new(Tasks::new(runtime.handle().clone()));
        let (net, listen) = (Arc::clone(&env.net), config.listen.clone());
        let listener = Task::spawn(runtime.handle(), async move { net.listen(&listen).await })
            .await
            .and_then(|listener| listener)
            .map_err(|source| StartError::Listen { address: config.listen.clone(), source })?;
        let address = config.advertise.clone().unwrap_or_else(|| listener.address());
        let context = Arc::new(Context {
            pool: pool(&env, &standing, &config.name),
            events: Events::default(),
            tasks: Tasks::new(Handle::current()),
            active: Mutex::new(BTreeMap::new()),
            activity: Notify::new(),
            vouchers: Vouchers::default(),
        });
        let chains = Arc::new(Chains::new(Arc::clone(&context)));
        let counters = Arc::new(Counters::default());
        let plane = Arc::new(DataPlane {
            standing: Arc::clone(&standing),
            disks: Arc::clone(&disks),
            chains: Arc::clone(&chains),
            context: Arc::clone(&context),
            budget: Arc::new(Budget::default()),
            counters: Arc::clone(&counters),
            name: config.name.clone(),
        });
        let frames = Frames {
            handler: Arc::new(move |stream, peer| Box::pin(Arc::clone(&plane).serve(stream, peer))),
            runtime: Handle::current(),
        };
        let services = Services { frames: Some(frames), ..Services::default() };
        tasks.spawn(async move {
            let ended =
                rpc::port::serve(listener, services, PortOptions::default(), Arc::<PortCounters>::default())
                    .await;
            tracing::error!(error = ?ended.err(), "the port is lost: no further connections are taken");
        });
        let control = Arc::new(Control {
            env: env.clone(),
            name: config.name.clone(),
            labels: config.labels.clone(),
            address: address.clone(),
            standing: Arc::clone(&standing),
            disks: Arc::clone(&disks),
            context: Arc::clone(&context),
            orders: Arc::new(Orders {
                standing: Arc::clone(&standing),
                disks: Arc::clone(&disks),
                chains: Arc::clone(&chains),
                context: Arc::clone(&context),
                clock: Arc::clone(&env.clock),
                paces: Paces::default(),
                strays: Arc::default(),
            }),
            tasks: Arc::clone(&tasks),
            queue,
        });
        for master in config.masters {
            tasks.spawn(Arc::clone(&control).follow(master));
        }
        context.tasks.spawn(upkeep::keep_deadlines(Arc::clone(&context)));
        tasks.spawn(upkeep::probe(Arc::clone(&disks), Arc::clone(&env.clock)));
        for slot in disks.all() {
            control.look_after(slot);
        }
        tracing::info!(address, server = %standing.server(), "the chunkserver listens");
        Ok(ChunkserverHandle {
            address,
            standing,
            disks,
            chains,
            context,
            tasks,
            counters,
            env,
            _runtime: runtime,
            _lock: lock,
        })
    }
}

/// Takes the data directory and reads who this server is, and which disks it is not to serve.
async fn open_data(
    env: &Env,
    config: &Config,
    queue: &Arc<dyn env::Queue>,
) -> Result<(Identity, DiskList, Box<dyn Send + Sync>), StartError> {
    let (data, seed) = (Arc::clone(&config.data), Arc::clone(&env.seed));
    let writer = Arc::clone(queue);
    let opened = queue.call(move || {
        let lock = data.lock(LOCK);
        lock.map(|lock| (Identity::load_or_make(&*data, &*seed), DiskList::load(data, writer), lock))
    });
    match opened.await {
        Ok(Ok((Ok(identity), Ok(list), lock))) => Ok((identity, list, lock)),
        Ok(Ok((Err(IdentityError::Io(source)), ..) | (_, Err(source), _))) | Err(source) => {
            Err(StartError::Data { source })
        }
        Ok(Ok((Err(IdentityError::Damaged(what)), ..))) => Err(StartError::DamagedIdentity { what }),
        Ok(Err(source)) if source.kind() == io::ErrorKind::ResourceBusy => Err(StartError::Locked { source }),
        Ok(Err(source)) => Err(StartError::Data { source }),
    }
}

/// Connections to the members behind.
fn pool(env: &Env, standing: &Arc<Standing>, name: &str) -> Pool {
    let (standing, name) = (Arc::clone(standing), name.to_owned());
    Pool::new(env.clone(), PoolOptions::default(), move || Hello {
        protocol_version: PROTOCOL_VERSION,
        role: Role::Chunkserver,
        cluster: standing.cluster(),
        term: standing.highest_term(),
        session: SessionId(0),
        name: name.clone(),
    })
}

impl ChunkserverHandle {
    /// The address that others are told.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let (now, term) = (self.env.clock.now(), self.standing.highest_term());
        Status {
            server: self.standing.server(),
            cluster: self.standing.cluster(),
            term,
            registered: self.standing.registered_term() == Some(term),
            disks: self
                .disks
                .all()
                .iter()
                .map(|slot| DiskStatus {
                    path: slot.config.path.clone(),
                    disk: slot.id(),
                    blank: slot.is_blank(),
                    closed: slot.is_closed(),
                    error: slot.error(),
                    hung: slot.is_hung(now),
                    total_bytes: slot.space().total_bytes,
                    free_bytes: slot.space().free_bytes,
                    errors: slot.errors(),
                })
                .collect(),
            connections: self.counters.snapshot(),
        }
    }

    /// Takes nothing more, applies what was taken, flushes and closes the disks.
    pub async fn shutdown(self) {
        self.tasks.end();
        self.context.tasks.end();
        if tokio::time::timeout(DRAIN_MAX, self.chains.close_all()).await.is_err() {
            tracing::warn!("a disk hangs: what it was asked to do is not waited for");
        }
        for slot in self.disks.all() {
            let Some(disk) = slot.disk() else { continue };
            let path = slot.config.path.clone();
            let closed = slot.call(move || disk.close());
            match tokio::time::timeout(DRAIN_MAX, closed).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => tracing::error!(path, %error, "a disk could not be closed"),
                Ok(Err(error)) => tracing::error!(path, %error, "a disk could not be closed"),
                Err(_) => tracing::error!(path, "a disk hangs and is not closed"),
            }
        }
    }
}

impl Drop for ChunkserverHandle {
    fn drop(&mut self) {
        self.tasks.end();
        self.context.tasks.end();
        self.context.pool.clear();
        let active =
            std::mem::take(&mut *self.context.active.lock().expect("nothing panics while it is held"));
        drop(active);
    }
}
