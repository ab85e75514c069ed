//! One master in a simulated world, clients that speak frames, and chunkservers that only pretend.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use bytes::Bytes;
use codec::Message as _;
use codec::control::{
    ChunkReport, DiskReport, OrderDone, OrderKind, RefusedDisk, Register, ReplicaFlags, ReportedChunk,
    ToMaster, ToServer,
};
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer, SessionOpened};
use env::{SimDisk, SimWorld};
use link::{Link, LinkOptions};
use master::{Config, Master, MasterHandle, StartError};
use rpc::control::ServerEnd;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;
use types::*;
use wire::Kind;
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Hello, Role};

pub const ADDRESS: &str = "master:9421";
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test on one thread with time of its own.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let sim = SimWorld::new(7);
        let disk = sim.disk("metadata");
        let test = test(World { sim, disk });
        tokio::time::timeout(Duration::from_secs(3600), test).await.expect("the test ends");
    });
}

/// The outside of the master.
#[derive(Clone)]
pub struct World {
    pub sim: SimWorld,
    pub disk: SimDisk,
}

impl World {
    pub fn config(&self) -> Config {
        let mut config = Config::new(ADDRESS, self.disk.dir());
        config.log_segment_bytes = 8 << 20;
        config
    }

    pub async fn start(&self) -> MasterHandle {
        self.try_start(self.config()).await.unwrap()
    }

    pub async fn start_with(&self, change: impl FnOnce(&mut Config)) -> MasterHandle {
        let mut config = self.config();
        change(&mut config);
        self.try_start(config).await.unwrap()
    }

    pub async fn try_start(&self, config: Config) -> Result<MasterHandle, StartError> {
        Master::start(self.sim.env("master"), config).await
    }

    /// The process dies and is started again.
    pub async fn restart(&self, master: MasterHandle) -> MasterHandle {
        master.kill().await;
        self.disk.kill();
        self.start().await
    }

    /// Power is lost and comes back.
    pub async fn cut_power(&self, master: MasterHandle) -> MasterHandle {
        master.kill().await;
        self.disk.power_cut();
        self.start().await
    }

    pub async fn client(&self, name: &str) -> Client {
        let mut client = Client {
            world: self.clone(),
            name: name.into(),
            link: None,
            session: None,
            sequence: 0,
            position: LogPosition::default(),
            term: Term(0),
            prefer: None,
        };
        client.connect().await;
        client
    }
}

/// Waits until something is true.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + 10 * DEADLINE;
    while !check().await {
        assert!(tokio::time::Instant::now() < end, "in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A client that asks one thing at a time, without caches or retries.
pub struct Client {
    world: World,
    name: String,
    link: Option<Link>,
    pub session: Option<SessionId>,
    pub sequence: u64,
    pub position: LogPosition,
    pub term: Term,
    /// Told at the next [`Client::connect`].
    pub prefer: Option<Expression>,
}

impl Client {
    /// Connects and opens or resumes the session.
    pub async fn connect(&mut self) -> SessionOpened {
        let hello = Hello {
            protocol_version: PROTOCOL_VERSION,
            role: Role::Client,
            cluster: None,
            term: self.term,
            session: self.session.unwrap_or_default(),
            name: self.name.clone(),
        };
        let env = self.world.sim.env(&self.name);
        let link = Link::connect(&env, ADDRESS, &hello, LinkOptions::default()).await.unwrap();
        let open = SessionOpen {
            session: self.session,
            name: self.name.clone(),
            highest_answered: self.position.applied,
            answered_term: self.term,
            prefer: self.prefer.clone(),
        };
        let frame = link.call(Kind::SessionOpen, open.to_bytes(), Bytes::new(), DEADLINE).await.unwrap();
        let opened = SessionOpenAnswer::decode(&frame.body).unwrap().0.unwrap();
        if self.session != Some(opened.session) {
            self.sequence = 0;
        }
        self.session = Some(opened.session);
        self.term = opened.term;
        self.link = Some(link);
        opened
    }

    pub async fn ask(&mut self, request: Request) -> Result<Reply, Status> {
        self.sequence += 1;
        self.ask_as(self.sequence, request).await
    }

    /// Sends a request under a number of the caller's choice.
    pub async fn ask_as(&mut self, sequence: u64, request: Request) -> Result<Reply, Status> {
        let answer = self.try_ask(sequence, request).await.unwrap();
        self.position.applied = self.position.applied.max(answer.position.applied);
        self.position.stable = self.position.stable.max(answer.position.stable);
        answer.outcome
    }

    pub async fn try_ask(&self, sequence: u64, request: Request) -> Result<AnswerMessage, link::LinkError> {
        self.try_ask_beside(sequence, sequence, request).await
    }

    /// The same, while the answers to requests from `oldest` on are awaited.
    pub async fn try_ask_beside(
        &self,
        oldest: u64,
        sequence: u64,
        request: Request,
    ) -> Result<AnswerMessage, link::LinkError> {
        let message =
            RequestMessage { sequence: Sequence(sequence), answered_below: Sequence(oldest), request };
        let link = self.link.as_ref().unwrap();
        let frame = link.call(Kind::Request, message.to_bytes(), Bytes::new(), DEADLINE).await?;
        Ok(AnswerMessage::decode(&frame.body).unwrap())
    }

    pub async fn root(&mut self) -> InodeRef {
        match self.ask(Request::Reopen { inode: InodeId::ROOT }).await {
            Ok(Reply::Attributes(attributes)) => attributes.inode,
            other => panic!("{other:?}"),
        }
    }

    pub async fn entry(&mut self, request: Request) -> Result<Entry, Status> {
        match self.ask(request).await? {
            Reply::Entry(entry) => Ok(*entry),
            other => panic!("{other:?}"),
        }
    }

    pub async fn mkdir(&mut self, name: &str) -> Result<InodeRef, Status> {
        let parent = self.root().await;
        let request = create(parent, name, FileKind::Directory, false);
        Ok(self.entry(request).await?.attributes.inode)
    }

    pub async fn make_file(&mut self, name: &str) -> Entry {
        let parent = self.root().await;
        self.entry(create(parent, name, FileKind::File, true)).await.unwrap()
    }

    pub async fn lookup(&mut self, name: &str) -> Result<Entry, Status> {
        let parent = self.root().await;
        self.entry(Request::Lookup { parent, name: self::name(name) }).await
    }

    /// Removes a name of a file that it does not use.
    pub async fn unlink(&mut self, name: &str) -> Result<Reply, Status> {
        let parent = self.root().await;
        let unused = self.lookup(name).await.map(|entry| entry.attributes.inode.id);
        let unused = unused.into_iter().collect();
        self.ask(Request::Unlink { parent, name: self::name(name), unused }).await
    }

    pub async fn attributes(&mut self, inode: InodeRef) -> Result<Attributes, Status> {
        match self.ask(Request::GetAttributes { inode }).await? {
            Reply::Attributes(attributes) => Ok(attributes),
            other => panic!("{other:?}"),
        }
    }

    pub async fn grant(&mut self, inode: InodeRef, index: u32) -> Result<WriteGrant, Status> {
        match self.ask(Request::Grant { inode, index: ChunkIndex(index), failed: None }).await? {
            Reply::Grant(grant) => Ok(*grant),
            other => panic!("{other:?}"),
        }
    }

    pub async fn commit(
        &mut self,
        inode: InodeRef,
        length: u64,
        grant: &WriteGrant,
    ) -> Result<Attributes, Status> {
        let now = self.attributes(inode).await?;
        let request = Request::Commit {
            inode,
            truncate_generation: now.truncate_generation,
            length,
            modified: None,
            accessed: None,
            chunks: vec![DirtyChunk {
                index: grant.index,
                chunk: grant.capability.chunk,
                version: grant.capability.version,
            }],
            clear_privileges: false,
            durable: true,
        };
        match self.ask(request).await? {
            Reply::Attributes(attributes) => Ok(attributes),
            other => panic!("{other:?}"),
        }
    }

    /// The connection breaks; the session stays.
    pub fn disconnect(&mut self) {
        self.link = None;
    }
}

/// Changes things until the log has room for no more change; how many large ones it took.
pub async fn fill_log(client: &mut Client) -> u32 {
    let mut stored = 0;
    let refusal = loop {
        let inode = client.make_file(&format!("g{stored}")).await.attributes.inode;
        let (name, value) = (b"user.n".to_vec(), vec![7; 60_000]);
        if let Err(status) = client.ask(Request::SetXattr { inode, name, value, mode: XattrMode::Set }).await
        {
            break status;
        }
        stored += 1;
    };
    assert_eq!(refusal, Status::NoSpace);
    let mut made = 0;
    while client.mkdir(&format!("d{made}")).await.is_ok() {
        made += 1;
        assert!(made < 2_000, "small changes were never refused");
    }
    stored
}

pub fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

pub fn create(parent: InodeRef, text: &str, kind: FileKind, grant: bool) -> Request {
    let node = NodeSpec { kind, mode: 0o755, owner: Owner::default(), device: 0, target: Vec::new() };
    Request::Create { parent, name: name(text), node, exclusive: true, grant }
}

/// A chunkserver with one disk that keeps nothing but chunk versions.
pub struct FakeServer {
    pub id: u8,
    pub cluster: Option<ClusterId>,
    pub registrations: u64,
    /// Its disk stores the counters that it is given.
    pub stamps: bool,
    /// Its own and its disk's, by its configuration.
    pub labels: Vec<String>,
    pub replicas: BTreeMap<ChunkId, Version>,
    /// Directories that it does not serve.
    pub refused: Vec<RefusedDisk>,
    /// How it answers every order, without doing anything.
    pub refuses: Option<Status>,
    /// Orders carried out.
    pub orders: Vec<OrderKind>,
    end: Option<ServerEnd>,
}

impl FakeServer {
    pub fn new(id: u8) -> Self {
        Self {
            id,
            cluster: None,
            registrations: 0,
            stamps: true,
            labels: Vec::new(),
            replicas: BTreeMap::new(),
            refused: Vec::new(),
            refuses: None,
            orders: Vec::new(),
            end: None,
        }
    }

    pub fn disk(&self) -> DiskId {
        DiskId([self.id; 16])
    }

    fn report(&self) -> DiskReport {
        DiskReport {
            disk: self.disk(),
            path: format!("/disks/{}", self.id),
            labels: self.labels.clone(),
            total_bytes: 1 << 40,
            free_bytes: 1 << 39,
            registrations: self.registrations,
            ..DiskReport::default()
        }
    }

    /// Attaches and waits for the master's word.
    pub async fn register(&mut self, master: &MasterHandle) -> ToServer {
        let mut end = master.attach();
        let register = Register {
            server: ServerId([self.id; 16]),
            name: format!("server{}", self.id),
            address: format!("server{}:9422", self.id),
            cluster: self.cluster,
            labels: self.labels.clone(),
            highest_term: Term(0),
            disks: vec![self.report()],
            version: "test".into(),
            refused: self.refused.clone(),
        };
        end.tx.send(ToMaster::Register(register)).await.unwrap();
        let answer = end.rx.recv().await.unwrap();
        if let ToServer::Registered(registered) = &answer {
            self.cluster = Some(registered.cluster);
            for (disk, counter) in &registered.disks {
                assert_eq!(*disk, self.disk());
                if self.stamps {
                    self.registrations = *counter;
                }
            }
            let heartbeat = ToMaster::Heartbeat { disks: vec![self.report()], refused: self.refused.clone() };
            end.tx.send(heartbeat).await.unwrap();
            let flags = ReplicaFlags::COMPLETE;
            let entries = self
                .replicas
                .iter()
                .map(|(chunk, version)| ReportedChunk { chunk: *chunk, version: *version, flags })
                .collect();
            let report = ChunkReport { disk: self.disk(), entries, last: true };
            end.tx.send(ToMaster::Report(report)).await.unwrap();
        }
        self.end = Some(end);
        answer
    }

    /// A first write reached this disk.
    pub fn hold(&mut self, chunk: ChunkId, version: Version) {
        self.replicas.insert(chunk, version);
    }

    /// Takes one order and does not answer it; heartbeats go on meanwhile.
    pub async fn take_order(&mut self) -> OrderKind {
        loop {
            let received = tokio::time::timeout(Duration::from_secs(2), self.end.as_mut().unwrap().rx.recv());
            match received.await {
                Ok(Some(ToServer::Order(order))) => return order.what,
                Ok(Some(_)) => {}
                Ok(None) => panic!("the link ended"),
                Err(_) => self.heartbeat().await,
            }
        }
    }

    /// Carries out one order.
    pub async fn serve_one(&mut self) {
        let end = self.end.as_mut().unwrap();
        loop {
            let ToServer::Order(order) = end.rx.recv().await.unwrap() else { continue };
            match &order.what {
                _ if self.refuses.is_some() => {}
                OrderKind::Raise { chunk, to, .. } => {
                    self.replicas.insert(*chunk, *to);
                }
                OrderKind::Delete { chunk, .. } => {
                    self.replicas.remove(chunk);
                }
                OrderKind::Copy { chunk, version, .. } | OrderKind::Feed { chunk, version, .. } => {
                    self.replicas.insert(*chunk, *version);
                }
                OrderKind::Repair { .. }
                | OrderKind::Verify { .. }
                | OrderKind::Pace { .. }
                | OrderKind::Close { .. }
                | OrderKind::Fill { .. }
                | OrderKind::Mend { .. }
                | OrderKind::MendTorn { .. } => {}
            }
            self.orders.push(order.what);
            let done = OrderDone {
                order: order.order,
                result: self.refuses.map_or(Ok(()), Err),
                found: None,
                applied: ChainSequence(0),
                unsettled: types::Unsettled::default(),
            };
            return end.tx.send(ToMaster::OrderDone(done)).await.unwrap();
        }
    }

    pub async fn heartbeat(&mut self) {
        let disks = vec![self.report()];
        self.end
            .as_ref()
            .unwrap()
            .tx
            .send(ToMaster::Heartbeat { disks, refused: self.refused.clone() })
            .await
            .unwrap();
    }

    /// The control link breaks.
    pub fn detach(&mut self) {
        self.end = None;
    }
}

/// Waits until the master counts so many servers with complete reports.
pub async fn servers_up(master: &MasterHandle, count: usize) {
    let admin = master.admin();
    eventually("servers are up", || async {
        let status = admin.status().await.unwrap();
        status.disks.iter().filter(|disk| disk.reported && disk.state.is_some()).count() == count
    })
    .await;
}

/// A master with two registered chunkservers.
pub async fn two_servers(world: &World) -> (MasterHandle, [FakeServer; 2]) {
    let master = world.start().await;
    let mut servers = [FakeServer::new(1), FakeServer::new(2)];
    for server in &mut servers {
        assert!(matches!(server.register(&master).await, ToServer::Registered(_)));
    }
    servers_up(&master, 2).await;
    (master, servers)
}

/// A file with one committed chunk of `length` bytes, which both servers hold.
pub async fn written(
    client: &mut Client,
    servers: &mut [FakeServer; 2],
    name: &str,
    length: u64,
) -> (InodeRef, WriteGrant) {
    let entry = client.make_file(name).await;
    let grant = entry.grant.expect("chunkservers are there");
    for server in servers {
        server.hold(grant.capability.chunk, grant.capability.version);
    }
    client.commit(entry.attributes.inode, length, &grant).await.expect("the grant is good");
    (entry.attributes.inode, grant)
}

/// A folder of the data directory, for crates that read it by themselves.
impl World {
    pub fn newest_file(&self, folder: &str) -> String {
        let mut names: Vec<_> = self.disk.dir().list(folder).unwrap().into_iter().map(|e| e.name).collect();
        names.sort();
        format!("{folder}/{}", names.last().unwrap())
    }

    pub fn files(&self, folder: &str) -> usize {
        self.disk.dir().list(folder).unwrap().len()
    }
}
