//! A few chunkservers, a master that does what the test says, and a client that speaks frames.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses a part, and fails by panicking"
)]

use bytes::Bytes;
use chunkserver::{Chunkserver, ChunkserverHandle, Config, DiskConfig};
use codec::control::{
    BornReplica, Order, OrderDone, OrderKind, RefusedDisk, Registered, ReportedChunk, ToMaster, ToServer,
};
use env::{Dir, Env, Queue, RealDir, SimDisk, SimWorld, Workers};
use link::{Link, LinkOptions};
use rpc::control::MasterEnd;
use rpc::port::{PortOptions, Services};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use types::{
    Capability, ChainSequence, ChunkId, ClusterId, DiskId, LeaseEpoch, ReplicaAddress, Rights, ServerId,
    SessionId, Term, Verifier, Version, Witness,
};
use wire::Kind;
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Flush, FlushAnswer, Hello, Message, Read, ReadAnswer, Role, Write, WriteAnswer};

pub const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
pub const TERM: Term = Term(3);
pub const CHUNK: ChunkId = ChunkId((3 << 40) | 7);
pub const V1: Version = Version { term: TERM, counter: 1 };
pub const V2: Version = Version { term: TERM, counter: 2 };
pub const SOON: Duration = Duration::from_secs(20);

/// Runs a test on one thread with simulated time.
pub fn simulated<F: Future>(body: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(body)
}

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// What the master has heard.
#[derive(Default)]
pub struct Heard {
    pub born: Vec<BornReplica>,
    pub born_messages: u32,
    pub damaged: Vec<(DiskId, ChunkId)>,
    pub unsettled: Vec<(DiskId, Version)>,
    pub done: BTreeMap<u64, OrderDone>,
    pub reports: BTreeMap<DiskId, Vec<ReportedChunk>>,
    pub links: BTreeMap<ServerId, mpsc::Sender<ToServer>>,
    pub registrations: u64,
    pub heartbeats: u64,
    /// Disks that were to be added.
    pub not_added: Vec<RefusedDisk>,
    /// Of the last registration or heartbeat.
    pub refused: Vec<RefusedDisk>,
    /// Room on each disk when it reported.
    pub room: BTreeMap<DiskId, u64>,
    /// Room on each disk as of the last heartbeat.
    pub last_room: BTreeMap<DiskId, u64>,
    /// What each disk got from other servers, as of the last heartbeat.
    pub pulled: BTreeMap<DiskId, u64>,
    /// Which device each disk is on, as of the last heartbeat.
    pub boots: BTreeMap<DiskId, u64>,
    pub addresses: BTreeMap<DiskId, ReplicaAddress>,
    pub lease_ms: u32,
    pub term: Term,
}

/// A master that lets every chunkserver in.
#[derive(Clone)]
pub struct Master {
    pub address: String,
    pub heard: Arc<Mutex<Heard>>,
}

impl Master {
    async fn start(env: &Env, listen: &str) -> Self {
        let listener = env.net.listen(listen).await.unwrap();
        let address = listener.address();
        let heard = Arc::new(Mutex::new(Heard { term: TERM, ..Heard::default() }));
        let shared = Arc::clone(&heard);
        let handler = Arc::new(move |link: MasterEnd| {
            tokio::spawn(Self::serve(Arc::clone(&shared), link));
        });
        let services = Services { control: Some(handler), ..Services::default() };
        tokio::spawn(rpc::port::serve(listener, services, PortOptions::default(), Arc::default()));
        Self { address, heard }
    }

    async fn serve(heard: Arc<Mutex<Heard>>, mut link: MasterEnd) {
        while let Some(message) = link.rx.recv().await {
            let answer = {
                let mut heard = heard.lock().unwrap();
                match message {
                    ToMaster::Register(register) => {
                        heard.registrations += 1;
                        heard.refused.clone_from(&register.refused);
                        heard.links.insert(register.server, link.tx.clone());
                        for disk in &register.disks {
                            let address = ReplicaAddress {
                                server: register.server,
                                disk: disk.disk,
                                address: register.address.clone(),
                                hints: Default::default(),
                            };
                            heard.addresses.insert(disk.disk, address);
                        }
                        let counter = heard.registrations;
                        Some(ToServer::Registered(Registered {
                            term: heard.term,
                            cluster: CLUSTER,
                            disks: register.disks.iter().map(|disk| (disk.disk, counter)).collect(),
                            lease_ms: heard.lease_ms,
                        }))
                    }
                    ToMaster::Report(report) => {
                        let room = heard.last_room.get(&report.disk).copied().unwrap_or(0);
                        heard.room.insert(report.disk, room);
                        heard.reports.entry(report.disk).or_default().extend(report.entries);
                        None
                    }
                    ToMaster::Heartbeat { refused, disks } => {
                        heard.heartbeats += 1;
                        heard.last_room.extend(disks.iter().map(|disk| (disk.disk, disk.free_bytes)));
                        heard.pulled.extend(disks.iter().map(|disk| (disk.disk, disk.pulled_bytes)));
                        heard.boots.extend(disks.iter().map(|disk| (disk.disk, disk.boot)));
                        heard.refused = refused;
                        Some(ToServer::HeartbeatAck { term: heard.term })
                    }
                    ToMaster::Born(born) => {
                        heard.born_messages += 1;
                        heard.born.extend(born);
                        None
                    }
                    ToMaster::OrderDone(done) => {
                        heard.done.insert(done.order, done);
                        None
                    }
                    ToMaster::Damaged { disk, chunk, .. } => {
                        heard.damaged.push((disk, chunk));
                        None
                    }
                    ToMaster::Unsettled { disk, version, .. } => {
                        heard.unsettled.push((disk, version));
                        None
                    }
                    ToMaster::DiskNotAdded(refused) => {
                        heard.not_added.push(refused);
                        None
                    }
                }
            };
            if let Some(answer) = answer {
                let _ = link.tx.send(answer).await;
            }
        }
    }

    pub fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    /// Gives an order to the server of a disk and waits for its end.
    pub async fn order(&self, number: u64, disk: DiskId, what: OrderKind) -> OrderDone {
        self.order_of(TERM, number, disk, what).await
    }

    pub async fn order_of(&self, term: Term, number: u64, disk: DiskId, what: OrderKind) -> OrderDone {
        let link = {
            let mut heard = self.heard();
            heard.done.remove(&number);
            let server = heard.addresses[&disk].server;
            heard.links[&server].clone()
        };
        link.send(ToServer::Order(Order { order: number, term, what })).await.unwrap();
        until("the order is done", || self.heard().done.contains_key(&number)).await;
        self.heard().done[&number].clone()
    }

    pub async fn raise(&self, number: u64, disk: DiskId, to: Version) -> OrderDone {
        let from = Version { counter: 0, ..to };
        self.order(number, disk, OrderKind::Raise { disk, chunk: CHUNK, from, to, cuts: vec![] }).await
    }
}

/// Where the disks of a server are.
pub enum Storage {
    Simulated { data: SimDisk, disks: Vec<SimDisk> },
    Real { data: tempfile::TempDir, disks: Vec<tempfile::TempDir> },
}

/// One chunkserver that can be started again.
pub struct Server {
    pub name: String,
    pub env: Env,
    pub listen: String,
    pub storage: Storage,
    pub handle: Option<ChunkserverHandle>,
}

/// All of it.
pub struct World {
    pub sim: Option<SimWorld>,
    pub client: Env,
    pub master: Master,
    pub servers: Vec<Server>,
}

impl World {
    /// Simulated servers with one blank disk each, registered.
    pub async fn simulated(servers: usize) -> Self {
        let sim = SimWorld::new(42);
        let master = Master::start(&sim.env("master"), "master:9421").await;
        let mut world =
            Self { client: sim.env("client"), master, servers: Vec::new(), sim: Some(sim.clone()) };
        for n in 0..servers {
            let name = format!("cs{n}");
            let storage = Storage::Simulated {
                data: sim.disk(&format!("{name}-data")),
                disks: vec![sim.disk(&format!("{name}-disk"))],
            };
            let env = sim.env(&name);
            let listen = format!("{name}:9422");
            world.servers.push(Server { name, env, listen, storage, handle: None });
            world.start(n).await;
        }
        world
    }

    /// The same over loopback and temporary directories.
    pub async fn real(servers: usize) -> Self {
        let env = Env::real();
        let master = Master::start(&env, "127.0.0.1:0").await;
        let mut world = Self { client: env.clone(), master, servers: Vec::new(), sim: None };
        for n in 0..servers {
            let storage = Storage::Real {
                data: tempfile::tempdir().unwrap(),
                disks: vec![tempfile::tempdir().unwrap()],
            };
            let (name, env, listen) = (format!("cs{n}"), env.clone(), "127.0.0.1:0".to_owned());
            world.servers.push(Server { name, env, listen, storage, handle: None });
            world.start(n).await;
        }
        world
    }

    /// Starts a server and waits until it is registered and has reported.
    pub async fn start(&mut self, n: usize) {
        self.master.heard().reports.clear();
        let master = self.master.address.clone();
        let server = &mut self.servers[n];
        let (data, disks): (Arc<dyn Dir>, Vec<DiskConfig>) = match &server.storage {
            Storage::Simulated { data, disks } => {
                let disks = disks.iter().enumerate();
                (
                    data.dir(),
                    disks.map(|(d, disk)| DiskConfig::new(disk.dir(), format!("/disk{d}"))).collect(),
                )
            }
            Storage::Real { data, disks } => {
                let disk = |dir: &tempfile::TempDir| {
                    let mut config =
                        DiskConfig::new(RealDir::open(dir.path()).unwrap(), dir.path().display().to_string());
                    config.index_in_memory = true;
                    config
                };
                (RealDir::open(data.path()).unwrap(), disks.iter().map(disk).collect())
            }
        };
        let mut config = Config::new(server.listen.clone(), data, disks, vec![master]);
        config.name.clone_from(&server.name);
        let handle = Chunkserver::start(server.env.clone(), config).await.unwrap();
        server.handle = Some(handle);
        self.registered(n).await;
    }

    pub async fn registered(&self, n: usize) {
        let handle = self.servers[n].handle.as_ref().unwrap();
        until("it is registered", || {
            let status = handle.status();
            let reported = |disk: &chunkserver::DiskStatus| {
                disk.error.is_some()
                    || disk.closed
                    || disk.disk.is_some_and(|disk| self.master.heard().reports.contains_key(&disk))
            };
            status.registered && status.disks.iter().all(reported)
        })
        .await;
    }

    /// The process of a server is killed.
    pub async fn kill(&mut self, n: usize) {
        drop(self.servers[n].handle.take());
        // Its tasks are dropped when the runtime has had a turn.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if let Storage::Simulated { data, disks } = &self.servers[n].storage {
            data.kill();
            disks.iter().for_each(SimDisk::kill);
        }
        if let Some(sim) = &self.sim {
            self.servers[n].env = sim.env(&self.servers[n].name);
        }
    }

    pub fn disk(&self, n: usize) -> DiskId {
        self.servers[n].handle.as_ref().unwrap().status().disks[0].disk.unwrap()
    }

    pub fn sim_disk(&self, n: usize) -> &SimDisk {
        match &self.servers[n].storage {
            Storage::Simulated { disks, .. } => &disks[0],
            Storage::Real { .. } => panic!("the disks are real"),
        }
    }

    /// The members of a chain, as they would be granted.
    pub fn chain(&self, members: &[usize]) -> Vec<ReplicaAddress> {
        let heard = self.master.heard();
        members.iter().map(|n| heard.addresses[&self.disk(*n)].clone()).collect()
    }

    /// A client's connection to a server.
    pub async fn connect(&self, n: usize) -> Link {
        let address = self.servers[n].handle.as_ref().unwrap().address().to_owned();
        Link::connect(&self.client, &address, &hello(), LinkOptions::default()).await.unwrap()
    }
}

pub fn hello() -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        role: Role::Client,
        cluster: Some(CLUSTER),
        term: TERM,
        session: SessionId(1),
        name: "test".into(),
    }
}

pub fn capability(session: u64, version: Version) -> Capability {
    Capability {
        session: SessionId(session),
        term: TERM,
        chunk: CHUNK,
        version,
        rights: Rights::Write,
        lease_epoch: LeaseEpoch(0),
        mac: vec![],
    }
}

/// A write of a client to the head of a chain.
pub fn write_of(
    chain: &[ReplicaAddress],
    version: Version,
    write_id: u64,
    offset: u32,
    data: &[u8],
) -> Write {
    Write {
        capability: capability(1, version),
        disk: chain[0].disk,
        write_id,
        answered_below: 0,
        chain_sequence: ChainSequence(0),
        offset,
        length: data.len() as u32,
        page_crcs: wire::crc::page_crcs(u64::from(offset), data),
        block_values: vec![],
        next: chain[1..].to_vec(),
        create: true,
        durable: false,
        deadline_ms: 4_000,
    }
}

/// The next write to a chunk file fails.
pub fn fail_next_write(world: &World, n: usize) {
    let (path, effort) = ("chunks".into(), env::Effort::Write);
    world.sim_disk(n).inject(env::Fault { path, effort, skip: 0, count: 1 });
}

pub async fn send(link: &Link, write: &Write, data: &[u8]) -> WriteAnswer {
    let payload = Bytes::copy_from_slice(data);
    let frame = link.call(Kind::Write, write.to_bytes(), payload, SOON).await.unwrap();
    WriteAnswer::decode(&frame.body).unwrap()
}

/// Under what the members of a chain answered.
pub fn verifiers(witnesses: &[Witness]) -> Vec<Verifier> {
    witnesses.iter().map(|witness| witness.verifier).collect()
}

pub async fn flush(
    link: &Link,
    chain: &[ReplicaAddress],
    version: Version,
    held: &[Verifier],
) -> FlushAnswer {
    let flush = Flush {
        capability: capability(1, version),
        disk: chain[0].disk,
        chain_sequence: ChainSequence(0),
        next: chain[1..].to_vec(),
        held: held.to_vec(),
        deadline_ms: 4_000,
    };
    let frame = link.call(Kind::Flush, flush.to_bytes(), Bytes::new(), SOON).await.unwrap();
    FlushAnswer::decode(&frame.body).unwrap()
}

/// Reads a range and verifies it as a client does.
pub async fn read(
    link: &Link,
    disk: DiskId,
    version: Version,
    offset: u32,
    length: u32,
) -> Result<Vec<u8>, types::Status> {
    let capability = Capability { rights: Rights::Read, ..capability(1, version) };
    let read = Read {
        capability,
        disk,
        offset,
        length,
        deadline_ms: 4_000,
        verified: false,
        ordered: false,
        recorded: false,
        doubted: false,
    };
    let frame = link.call(Kind::Read, read.to_bytes(), Bytes::new(), SOON).await.unwrap();
    let answer = ReadAnswer::decode(&frame.body).unwrap();
    answer.result?;
    if answer.zeroes {
        return Ok(vec![0; length as usize]);
    }
    if !wire::crc::verify(0, &frame.payload, &answer.page_crcs) {
        return Err(types::Status::Corrupt);
    }
    let from = (offset % 4096) as usize;
    Ok(frame.payload[from..from + length as usize].to_vec())
}

/// Bytes that differ from place to place.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|n| ((n * 31 + seed * 7919) >> 3) as u8 ^ n as u8).collect()
}

/// Queues of which those of one disk stop when told to; what they were given waits.
pub struct Hanging {
    name: String,
    hung: Arc<AtomicBool>,
    waiting: Jobs,
}

impl Hanging {
    pub fn of(name: &str, hung: &Arc<AtomicBool>, waiting: &Jobs) -> Self {
        Self { name: name.to_owned(), hung: Arc::clone(hung), waiting: Arc::clone(waiting) }
    }
}

pub type Jobs = Arc<Mutex<Vec<Box<dyn FnOnce() + Send>>>>;

impl Workers for Hanging {
    fn queue(&self, name: &str, _threads: usize) -> Arc<dyn Queue> {
        let hung = if name == self.name { Arc::clone(&self.hung) } else { Arc::default() };
        Arc::new(Hanging::of(name, &hung, &self.waiting))
    }

    fn runtime(&self, _name: &str) -> env::Runtime {
        env::Runtime::here()
    }
}

impl Queue for Hanging {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        if self.hung.load(Ordering::Relaxed) {
            self.waiting.lock().unwrap().push(job);
        } else {
            job();
        }
    }

    fn depth(&self) -> usize {
        0
    }
}
