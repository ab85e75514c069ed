//! The machines: one master, three chunkservers with two disks each, two clients, and what can be done to them.
//!
//! # Invariants
//! 1. All role code is the real one; only `Env`, disks and time are simulated.
//! 2. A role that was killed or lost power does nothing any more: its disks answer nobody who opened them
//!    before, and its host has no connections.
//! 3. A client that was killed never comes back: its host stays cut off, and its successor has another name.

use chunkserver::{Chunkserver, ChunkserverHandle, DiskConfig};
use client::{Client, ClientOptions};
use env::{SimDisk, SimWorld};
use master::{Master, MasterHandle};
use rpc::admin::{ClusterStatus, FileInfoReply, FileTarget};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use types::InodeId;

/// Chunkservers.
pub(crate) const SERVERS: usize = 3;
/// Disks of each.
pub(crate) const DISKS: usize = 2;
/// Clients.
pub(crate) const CLIENTS: usize = 2;

const MASTER: &str = "master";
const MASTER_ADDRESS: &str = "master:9421";
const MASTER_LOG_SEGMENT_BYTES: u64 = 8 << 20;
/// How long the simulated programs' operations wait for an absent cluster.
pub(crate) const CLIENT_TIMEOUT: Duration = Duration::from_secs(20);
/// No cluster takes longer to be whole again once the faults have stopped.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);
/// Short, for what is held counts as too much while a test waits for the end.
const HOLD_SURPLUS: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One disk of a chunkserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) server: usize,
    pub(crate) disk: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk{} of server{}", self.disk, self.server)
    }
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `kill -9`.
    Kill,
    /// Loss of power.
    PowerCut,
}

struct MasterHost {
    disk: SimDisk,
    handle: Option<MasterHandle>,
}

struct Server {
    host: String,
    data: SimDisk,
    disks: Vec<SimDisk>,
    /// Disks that were replaced so far.
    replaced: u64,
    handle: Option<ChunkserverHandle>,
}

struct Seat {
    /// Grows with each start; names the host.
    incarnation: u64,
    client: Option<Arc<Client>>,
    /// The present incarnation is gone.
    gone: Rc<Notify>,
}

/// See the module.
pub struct Cluster {
    world: SimWorld,
    master: RefCell<MasterHost>,
    servers: Vec<RefCell<Server>>,
    seats: Vec<RefCell<Seat>>,
    checkpoint_every: Cell<u64>,
    goal: usize,
}

/// A client as a program holds it.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) client: Arc<Client>,
    /// Unlike that of any other client before or after.
    pub(crate) incarnation: u64,
    /// Wakes when the client is killed.
    pub(crate) gone: Rc<Notify>,
}

impl Cluster {
    /// Machines that are switched off, with empty disks; so many replicas are wanted of each chunk.
    pub fn new(seed: u64, goal: usize) -> Self {
        let world = SimWorld::new(seed);
        let server = |number: usize| {
            let host = format!("server{number}");
            let disks = (0..DISKS).map(|disk| world.disk(&format!("{host}-disk{disk}"))).collect();
            RefCell::new(Server {
                data: world.disk(&format!("{host}-data")),
                disks,
                host,
                replaced: 0,
                handle: None,
            })
        };
        let seat = |_| RefCell::new(Seat { incarnation: 0, client: None, gone: Rc::default() });
        Self {
            master: RefCell::new(MasterHost { disk: world.disk("metadata"), handle: None }),
            servers: (0..SERVERS).map(server).collect(),
            seats: (0..CLIENTS).map(seat).collect(),
            checkpoint_every: Cell::new(1_000_000),
            goal,
            world,
        }
    }

    /// The world they live in.
    pub fn world(&self) -> &SimWorld {
        &self.world
    }

    /// Replicas wanted of each chunk.
    pub(crate) fn goal(&self) -> usize {
        self.goal
    }

    /// Checkpoints are built after so many records.
    pub(crate) fn checkpoint_every(&self, records: u64) {
        self.checkpoint_every.set(records);
    }

    /// The disk with the master's data.
    pub(crate) fn master_disk(&self) -> SimDisk {
        self.master.borrow().disk.clone()
    }

    // ---- starting ----

    /// Starts what is down, and waits until the master knows all disks and their replicas.
    pub async fn start(&self) -> Result<(), String> {
        self.start_master().await?;
        for number in 0..SERVERS {
            self.start_server(number).await?;
        }
        let whole = async {
            loop {
                if let Some(status) = self.status().await
                    && is_whole(&status)
                {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(WHOLE_WITHIN, whole).await.is_err() {
            let status = self.status().await.unwrap_or_default();
            return Err(format!("the cluster is not whole {WHOLE_WITHIN:?} after the faults: {status:?}"));
        }
        Ok(())
    }

    /// Starts the master if it is down.
    pub(crate) async fn start_master(&self) -> Result<(), String> {
        if self.master.borrow().handle.is_some() {
            return Ok(());
        }
        let disk = self.master_disk();
        // Nobody else has it open.
        disk.kill();
        self.world.net().kill_host(MASTER);
        let mut config = master::Config::new(MASTER_ADDRESS, disk.dir());
        config.log_segment_bytes = MASTER_LOG_SEGMENT_BYTES;
        config.checkpoint_every_records = self.checkpoint_every.get();
        config.goal = self.goal;
        config.hold_surplus = HOLD_SURPLUS;
        let handle = Master::start(self.world.env(MASTER), config)
            .await
            .map_err(|error| format!("the master does not start: {}", causes(&error)))?;
        self.master.borrow_mut().handle = Some(handle);
        Ok(())
    }

    /// Starts a chunkserver if it is down.
    pub(crate) async fn start_server(&self, number: usize) -> Result<(), String> {
        let (host, config) = {
            let server = self.servers[number].borrow();
            if server.handle.is_some() {
                return Ok(());
            }
            server.data.kill();
            let disks = server.disks.iter().enumerate().map(|(disk, content)| {
                content.kill();
                let path = format!("/{}/disk{disk}", server.host);
                DiskConfig { index_in_memory: true, ..DiskConfig::new(content.dir(), path) }
            });
            let config = chunkserver::Config {
                name: server.host.clone(),
                ..chunkserver::Config::new(
                    server_address(&server.host),
                    server.data.dir(),
                    disks.collect(),
                    vec![MASTER_ADDRESS.into()],
                )
            };
            (server.host.clone(), config)
        };
        self.world.net().kill_host(&host);
        let handle = Chunkserver::start(self.world.env(&host), config)
            .await
            .map_err(|error| format!("{host} does not start: {}", causes(&error)))?;
        self.servers[number].borrow_mut().handle = Some(handle);
        Ok(())
    }

    /// The client of a seat, started if there is none. An error if the cluster is away for too long.
    pub(crate) async fn program(&self, number: usize) -> Result<Program, String> {
        let (incarnation, gone) = {
            let mut seat = self.seats[number].borrow_mut();
            if let Some(client) = &seat.client {
                let (incarnation, gone) = (seat.incarnation + number as u64, Rc::clone(&seat.gone));
                return Ok(Program { client: Arc::clone(client), incarnation, gone });
            }
            seat.incarnation += CLIENTS as u64;
            seat.gone = Rc::default();
            (seat.incarnation + number as u64, Rc::clone(&seat.gone))
        };
        let name = client_host(incarnation);
        let options = ClientOptions {
            masters: vec![MASTER_ADDRESS.into()],
            name: name.clone(),
            write_buffer_bytes: 4 << 20,
            read_cache_bytes: 4 << 20,
            timeout: Some(CLIENT_TIMEOUT),
            ..ClientOptions::default()
        };
        let client = Client::connect(self.world.env(&name), options).await.map_err(|error| causes(&error))?;
        self.seats[number].borrow_mut().client = Some(Arc::clone(&client));
        Ok(Program { client, incarnation, gone })
    }

    // ---- stopping ----

    /// Stops the master.
    pub(crate) async fn stop_master(&self, how: Stop) {
        let handle = self.master.borrow_mut().handle.take();
        self.world.net().kill_host(MASTER);
        stop_disk(&self.master_disk(), how);
        if let Some(handle) = handle {
            handle.kill().await;
        }
    }

    /// Takes away a master that ended by itself; why it did.
    pub(crate) async fn bury_master(&self) -> Option<String> {
        let mut handle = self.master.borrow_mut().handle.take()?;
        let ended = tokio::select! {
            biased;
            fatal = handle.ended() => Some(causes(&fatal)),
            () = std::future::ready(()) => None,
        };
        if ended.is_none() {
            self.master.borrow_mut().handle = Some(handle);
        }
        ended
    }

    /// Stops a chunkserver.
    pub(crate) fn stop_server(&self, number: usize, how: Stop) {
        let mut server = self.servers[number].borrow_mut();
        self.world.net().kill_host(&server.host);
        let disks = server.disks.iter().chain([&server.data]);
        disks.for_each(|disk| stop_disk(disk, how));
        server.handle = None;
    }

    /// Kills a chunkserver and puts a blank disk in the place of one of its disks.
    pub(crate) fn replace_disk(&self, place: Place) {
        self.stop_server(place.server, Stop::Kill);
        let mut server = self.servers[place.server].borrow_mut();
        server.replaced += 1;
        let name = format!("{}-disk{}-new{}", server.host, place.disk, server.replaced);
        server.disks[place.disk] = self.world.disk(&name);
    }

    /// Kills a client.
    pub(crate) fn stop_client(&self, number: usize) {
        let mut seat = self.seats[number].borrow_mut();
        if seat.client.take().is_none() {
            return;
        }
        let host = client_host(seat.incarnation + number as u64);
        let net = self.world.net();
        net.kill_host(&host);
        for other in self.hosts() {
            net.partition(&host, &other);
        }
        seat.gone.notify_waiters();
        seat.gone.notify_one();
    }

    /// All clients that are alive.
    fn clients(&self) -> impl Iterator<Item = usize> + '_ {
        (0..CLIENTS).filter(|number| self.seats[*number].borrow().client.is_some())
    }

    /// The hosts of the roles.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let servers = self.servers.iter().map(|server| server.borrow().host.clone());
        std::iter::once(MASTER.to_owned()).chain(servers).collect()
    }

    /// The hosts of the roles, then those of the clients that are alive.
    pub(crate) fn all_hosts(&self) -> Vec<String> {
        let clients = self.clients().map(|number| self.host_of_client(number));
        self.hosts().into_iter().chain(clients).collect()
    }

    /// The host of a client that is alive.
    pub(crate) fn host_of_client(&self, number: usize) -> String {
        client_host(self.seats[number].borrow().incarnation + number as u64)
    }

    // ---- asking ----

    /// The state of the cluster as the master tells operators; `None` while it is down.
    pub(crate) async fn status(&self) -> Option<ClusterStatus> {
        let admin = self.master.borrow().handle.as_ref()?.admin();
        admin.status().await.ok()
    }

    /// What the master tells operators of a file.
    pub(crate) async fn file_info(&self, inode: InodeId) -> Result<FileInfoReply, String> {
        let admin = self.master.borrow().handle.as_ref().map(master::MasterHandle::admin);
        let admin = admin.ok_or("the master is down")?;
        admin.file_info(FileTarget::Inode(inode)).await.map_err(|error| causes(&error))
    }

    /// The places of all disks of chunkservers.
    pub(crate) fn places() -> impl Iterator<Item = Place> {
        (0..SERVERS).flat_map(|server| (0..DISKS).map(move |disk| Place { server, disk }))
    }

    /// The disk at a place.
    pub(crate) fn disk(&self, place: Place) -> SimDisk {
        self.servers[place.server].borrow().disks[place.disk].clone()
    }

    /// Where all roles listen.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let servers = self.servers.iter().map(|server| server_address(&server.borrow().host));
        std::iter::once(MASTER_ADDRESS.to_owned()).chain(servers).collect()
    }

    /// Lets the master build a checkpoint.
    pub(crate) async fn checkpoint(&self) -> Result<master::checkpoint::Built, String> {
        let handle = self.master.borrow_mut().handle.take().ok_or("the master is down")?;
        let built = handle.checkpoint().await;
        self.master.borrow_mut().handle = Some(handle);
        built
    }
}

fn server_address(host: &str) -> String {
    format!("{host}:9422")
}

fn client_host(incarnation: u64) -> String {
    format!("client{incarnation}")
}

fn stop_disk(disk: &SimDisk, how: Stop) {
    match how {
        Stop::Kill => disk.kill(),
        Stop::PowerCut => disk.power_cut(),
    }
}

fn is_whole(status: &ClusterStatus) -> bool {
    let reported = status.disks.iter().filter(|disk| disk.state.is_some() && disk.reported).count();
    reported == SERVERS * DISKS && !status.chunks.settling
}

/// An error with all its causes, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
