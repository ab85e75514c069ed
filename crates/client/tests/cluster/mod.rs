//! A small cluster in memory for the client's tests: `meta` behind one task as the master, and two
//! chunkservers that share what they store, so that a chain is one write.

use bytes::Bytes;
use codec::Message as _;
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer, SessionOpened};
use env::SimWorld;
use link::{Counters, Incoming, Refused, Replier, ServeOptions, serve};
use meta::{Cut, Meta};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use types::*;
use wire::message::{
    Flush, FlushAnswer, Hello, HelloAnswer, Read, ReadAnswer, Write, WriteAnswer, page_span,
};
use wire::{Frame, Kind};

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);

#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) version: Version,
    pub(crate) data: Vec<u8>,
    pub(crate) synced: Vec<u8>,
}

/// What master and chunkservers hold, for tests to look at and to break.
pub(crate) struct State {
    pub(crate) meta: Meta,
    pub(crate) term: Term,
    pub(crate) chunks: BTreeMap<ChunkId, Stored>,
    pub(crate) requests: Vec<Request>,
    pub(crate) writes: usize,
    pub(crate) reads: BTreeMap<u8, usize>,
    /// Reads from this chunkserver come with a bit flipped.
    pub(crate) rotten: BTreeSet<u8>,
    /// These pages of every chunk, counted from its start, come from this chunkserver with a bit flipped.
    pub(crate) rotten_pages: BTreeSet<(u8, u64)>,
    /// What is read does not match its checksums, unless it is looked at before.
    pub(crate) racing: bool,
    /// The master says that other replicas may be read soon.
    pub(crate) more: bool,
    /// What clients are told of these chunkservers.
    pub(crate) hints: BTreeMap<u8, ReadHints>,
    /// What clients said that they prefer, at each connection.
    pub(crate) preferences: Vec<Option<Expression>>,
    /// This chunkserver hangs: it answers no read.
    pub(crate) silent: BTreeSet<u8>,
    /// The next so many writes are refused by the second member of the chain.
    pub(crate) failing_writes: usize,
    pub(crate) boot: u64,
    /// No disk can be synced.
    pub(crate) stuck: bool,
    /// The log is applied, but nothing of it is told to be stable.
    pub(crate) unstable: bool,
    unanswered: Vec<Replier>,
    records: Vec<Record>,
    reserved: BTreeMap<(InodeRef, ChunkIndex), (ChunkId, Version)>,
    applied: BTreeSet<(ChunkId, u64, u64)>,
    next_chunk: u64,
    next_session: u64,
}

#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) world: SimWorld,
    state: Arc<Mutex<State>>,
    generation: Arc<Mutex<Vec<tokio::task::JoinHandle<()>>>>,
}

impl Cluster {
    pub(crate) async fn start(seed: u64) -> Self {
        let mut meta = Meta::new();
        let first = |index, op| Record {
            term: Term(1),
            index: LogIndex(index),
            at: Timestamp::new(1, 0),
            origin: None,
            op,
        };
        let record = first(1, Op::NewCluster { cluster: CLUSTER });
        meta.apply(&record).reply.expect("a new cluster");
        let state = State {
            meta,
            term: Term(1),
            chunks: BTreeMap::new(),
            requests: Vec::new(),
            writes: 0,
            reads: BTreeMap::new(),
            rotten: BTreeSet::new(),
            rotten_pages: BTreeSet::new(),
            racing: false,
            more: false,
            hints: BTreeMap::new(),
            preferences: Vec::new(),
            silent: BTreeSet::new(),
            failing_writes: 0,
            boot: 1,
            stuck: false,
            unstable: false,
            unanswered: Vec::new(),
            records: vec![record],
            reserved: BTreeMap::new(),
            applied: BTreeSet::new(),
            next_chunk: 0,
            next_session: 0,
        };
        let cluster = Self {
            world: SimWorld::new(seed),
            state: Arc::new(Mutex::new(state)),
            generation: Arc::default(),
        };
        for server in [1, 2] {
            cluster.serve(&format!("s{server}"), server).await;
        }
        cluster.start_master().await;
        cluster
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds it")
    }

    /// A master that starts takes a new term.
    pub(crate) async fn start_master(&self) {
        {
            let mut state = self.state();
            let term = Term(state.meta.term().0 + 1);
            state.term = term;
            state.log(None, Op::NewTerm { term }).expect("a new term");
            state.reserved.clear();
        }
        let task = self.serve("m", 0).await;
        self.generation.lock().expect("short").push(task);
    }

    pub(crate) fn kill_master(&self) {
        for task in self.generation.lock().expect("short").drain(..) {
            task.abort();
        }
        self.world.net().kill_host("m");
    }

    async fn serve(&self, host: &str, server: u8) -> tokio::task::JoinHandle<()> {
        let env = self.world.env(host);
        let listener = env.net.listen(&format!("{host}:9")).await.expect("the port is free");
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let incoming = Incoming { stream, first: Bytes::new(), peer };
                    serve(incoming, ServeOptions::default(), &Counters::default(), accept(state, server))
                        .await;
                });
            }
        })
    }
}

type Handler = Box<dyn FnMut(Frame, Replier) + Send>;

fn accept(
    state: Arc<Mutex<State>>,
    server: u8,
) -> impl FnOnce(&Hello) -> Result<(HelloAnswer, Handler), Refused> {
    move |_| {
        let term = state.lock().expect("short").term;
        let answer = HelloAnswer {
            protocol_version: 1,
            result: Ok(()),
            cluster: Some(CLUSTER),
            term,
            message: String::new(),
        };
        let mut session = SessionId(0);
        let handler: Handler = Box::new(move |frame, replier| {
            let mut state = state.lock().expect("short");
            let (body, payload) = state.handle(&mut session, server, &frame);
            if frame.kind == Kind::Read && state.silent.contains(&server) {
                state.unanswered.push(replier);
                return;
            }
            replier.answer(&body, payload);
        });
        Ok((answer, handler))
    }
}

impl State {
    fn log(&mut self, origin: Option<Origin>, op: Op) -> Result<Reply, Status> {
        let (_, last) = self.meta.applied();
        let at = Timestamp::new(1000 + last.0 as i64, 0);
        let record = Record { term: self.term, index: LogIndex(last.0 + 1), at, origin, op };
        let outcome = self.meta.apply(&record);
        if outcome.changed {
            self.records.push(record);
        }
        outcome.reply
    }

    /// The last records are gone, as after a loss of power.
    pub(crate) fn lose_tail(&mut self, records: usize) {
        self.records.truncate(self.records.len() - records);
        self.meta = Meta::new();
        for record in &self.records {
            self.meta.apply(record).reply.expect("it was accepted before");
        }
    }

    /// Whether the record that an answer rested on is not in the log.
    fn lost(&self, term: Term, index: LogIndex) -> bool {
        index.0 > 0 && !self.records.iter().any(|record| record.index == index && record.term == term)
    }

    fn position(&self) -> LogPosition {
        let (_, applied) = self.meta.applied();
        LogPosition { applied, stable: if self.unstable { LogIndex(1) } else { applied } }
    }

    fn handle(&mut self, session: &mut SessionId, server: u8, frame: &Frame) -> (Bytes, Bytes) {
        let none = Bytes::new();
        match frame.kind {
            Kind::SessionOpen => {
                let open = SessionOpen::decode(&frame.body).expect("well formed");
                self.preferences.push(open.prefer.clone());
                *session = match open.session.filter(|known| self.meta.has_session(*known)) {
                    Some(known) => known,
                    None => {
                        self.next_session += 1;
                        let new = SessionId::new(self.term, self.next_session).expect("small");
                        self.log(None, Op::OpenSession { session: new, name: open.name }).expect("opens");
                        new
                    }
                };
                let opened = SessionOpened {
                    session: *session,
                    term: self.term,
                    cluster: CLUSTER,
                    lease_ms: 10_000,
                    position: self.position(),
                    lost_tail: self.lost(open.answered_term, open.highest_answered),
                };
                (SessionOpenAnswer(Ok(opened)).to_bytes(), none)
            }
            Kind::Request => {
                let message = RequestMessage::decode(&frame.body).expect("well formed");
                let outcome = self.request(*session, &message);
                let news = match message.request {
                    Request::ReadDirectory { dir, .. } => self.meta.attributes(dir).into_iter().collect(),
                    _ => Vec::new(),
                };
                let unchanged =
                    |attributes: Attributes| News { attributes, before: attributes.change_counter };
                let news = news.into_iter().map(unchanged).collect();
                (AnswerMessage { position: self.position(), outcome, news }.to_bytes(), none)
            }
            Kind::Write => {
                let write = Write::decode(&frame.body).expect("well formed");
                (self.write(&write, &frame.payload).to_bytes(), none)
            }
            Kind::Flush => {
                let flush = Flush::decode(&frame.body).expect("well formed");
                (self.flush(&flush).to_bytes(), none)
            }
            Kind::Read => {
                let read = Read::decode(&frame.body).expect("well formed");
                let (answer, payload) = self.read(server, &read);
                (answer.to_bytes(), payload)
            }
            Kind::Hello | Kind::Ping | Kind::Recall | Kind::Values => (none.clone(), none),
        }
    }

    fn chain(&self) -> Vec<ReplicaAddress> {
        let member = |n: u8| ReplicaAddress {
            server: ServerId([n; 16]),
            disk: DiskId([n; 16]),
            address: format!("s{n}:9"),
            hints: self.hints.get(&n).copied().unwrap_or_default(),
        };
        [1, 2].map(member).to_vec()
    }

    fn grant(
        &mut self,
        session: SessionId,
        inode: InodeRef,
        index: ChunkIndex,
        failed: Option<FailedHop>,
    ) -> Result<WriteGrant, Status> {
        let mapped = self.meta.chunk_at(inode, index)?;
        let (chunk, version) = match mapped {
            Some(view) => {
                let mut version = view.version;
                if version.term != self.term || failed.is_some_and(|hop| hop.version == version) {
                    version = Version { term: self.term, counter: version.counter + 1 };
                    let members = self.chain().iter().map(|replica| replica.disk).collect();
                    self.log(None, Op::Raise { chunk: view.chunk, version, members })?;
                    self.chunks.entry(view.chunk).or_default().version = version;
                }
                (view.chunk, version)
            }
            None => {
                if failed.is_some() {
                    self.reserved.remove(&(inode, index));
                }
                self.next_chunk += 1;
                let new = ChunkId::new(self.term, self.next_chunk).expect("small");
                let version = Version { term: self.term, counter: 1 };
                *self.reserved.entry((inode, index)).or_insert((new, version))
            }
        };
        let capability = Capability {
            session,
            term: self.term,
            chunk,
            version,
            rights: Rights::Write,
            lease_epoch: LeaseEpoch(1),
            mac: Vec::new(),
        };
        Ok(WriteGrant { inode, index, chain: self.chain(), capability, fresh: mapped.is_none() })
    }

    fn locations(
        &self,
        inode: InodeRef,
        first: ChunkIndex,
        count: u32,
    ) -> Result<Vec<ChunkLocation>, Status> {
        let location = |view: meta::ChunkView| ChunkLocation {
            index: view.index,
            chunk: view.chunk,
            version: view.version,
            replicas: self.chain(),
            more: self.more,
        };
        Ok(self.meta.chunks(inode, first, count)?.into_iter().map(location).collect())
    }

    /// Cuts the boundary chunks of an edit under a raised version, as orders to the chunkservers would.
    fn cut(&mut self, inode: InodeRef, cut: Cut) -> Result<Vec<RaisedChunk>, Status> {
        let mut raised = Vec::new();
        for boundary in self.meta.cut_boundaries(inode, cut)? {
            let view = boundary.view;
            let version = Version { term: self.term, counter: view.version.counter + 1 };
            let stored = self.chunks.entry(view.chunk).or_default();
            stored.version = version;
            let (from, to) = (boundary.from as usize, (boundary.to as usize).min(stored.data.len()));
            if from < to {
                stored.data[from..to].fill(0);
            }
            raised.push(RaisedChunk { index: view.index, chunk: view.chunk, version });
        }
        Ok(raised)
    }

    fn request(&mut self, session: SessionId, message: &RequestMessage) -> Result<Reply, Status> {
        let request = message.request.clone();
        if !matches!(request, Request::KeepAlive) {
            self.requests.push(request.clone());
        }
        if !self.meta.has_session(session) {
            return Err(Status::NoSession);
        }
        if let Some(reply) = self.meta.answered(session, message.sequence) {
            return Ok(reply);
        }
        let origin = Origin { session, sequence: message.sequence, answered_below: message.answered_below };
        let entry = |state: &Self, attributes: Attributes| {
            let file = attributes.kind == FileKind::File;
            let first = if file { state.locations(attributes.inode, ChunkIndex(0), 1)?.pop() } else { None };
            Ok(Reply::Entry(Box::new(Entry { attributes, first, grant: None, created: false })))
        };
        let op = match request {
            Request::Lookup { parent, name } => {
                return entry(self, self.meta.lookup(parent, &name)?);
            }
            Request::LookupParent { dir } => return entry(self, self.meta.parent_of(dir)?),
            Request::GetAttributes { inode } => return self.meta.attributes(inode).map(Reply::Attributes),
            Request::Reopen { inode } => return self.meta.reopen(inode).map(Reply::Attributes),
            Request::ReadDirectory { dir, after, bytes_max } => {
                let (entries, end) = self.meta.read_directory(dir, after, bytes_max)?;
                let parent = self.meta.parent_of(dir)?.inode.id;
                return Ok(Reply::Directory { entries, end, parent });
            }
            Request::Locate { inode, first, count } => {
                return self.locations(inode, first, count).map(Reply::Locations);
            }
            Request::Grant { inode, index, failed } => {
                return self.grant(session, inode, index, failed).map(|grant| Reply::Grant(Box::new(grant)));
            }
            Request::Create { parent, name, node, exclusive, grant } => {
                let inode = InodeRef {
                    id: InodeId(self.meta.inode_highest().0 + 1),
                    generation: Generation(self.term.0),
                };
                let mut reply =
                    self.log(Some(origin), Op::Create { parent, name, inode, node, exclusive })?;
                if let Reply::Entry(entry) = &mut reply
                    && grant
                {
                    entry.grant = Some(self.grant(session, entry.attributes.inode, ChunkIndex(0), None)?);
                }
                return Ok(reply);
            }
            Request::Link { inode, parent, name } => Op::Link { inode, parent, name },
            Request::Unlink { parent, name, unused } => {
                Op::Unlink { parent, keep: self.keeps(parent, &name, &unused), name }
            }
            Request::RemoveDirectory { parent, name } => Op::RemoveDirectory { parent, name },
            Request::Rename { from, from_name, to, to_name, mode, unused } => {
                Op::Rename { from, from_name, to, keep: self.keeps(to, &to_name, &unused), to_name, mode }
            }
            Request::SetAttributes { inode, changes, caller } => Op::SetAttributes { inode, changes, caller },
            Request::SetLength { inode, length, clear_privileges } => {
                let boundary = self.cut(inode, Cut::Length(length))?.pop();
                Op::SetLength { inode, length, clear_privileges, boundary }
            }
            Request::Punch { inode, offset, length } => {
                let boundaries = self.cut(inode, Cut::Range { offset, length })?;
                Op::Punch { inode, offset, length, boundaries }
            }
            Request::Commit {
                inode,
                truncate_generation,
                length,
                modified,
                accessed,
                chunks,
                clear_privileges,
                durable,
            } => {
                for dirty in &chunks {
                    self.reserved.remove(&(inode, dirty.index));
                }
                Op::Commit {
                    inode,
                    truncate_generation,
                    length,
                    modified,
                    accessed,
                    chunks,
                    clear_privileges,
                    durable,
                }
            }
            Request::AppendLock { inode, .. } => {
                let attributes = self.meta.attributes(inode)?;
                return Ok(Reply::AppendLock { attributes, wanted: false });
            }
            Request::Reclaim { inodes, .. } => {
                return Ok(Reply::Gone(
                    inodes.into_iter().filter(|inode| !self.meta.exists(*inode)).collect(),
                ));
            }
            Request::Forget { .. }
            | Request::AppendUnlock { .. }
            | Request::Barrier
            | Request::KeepAlive
            | Request::Goodbye => {
                return Ok(Reply::Done);
            }
            _ => return Err(Status::Unsupported),
        };
        self.log(Some(origin), op)
    }

    fn witnesses(&self) -> Vec<Witness> {
        let verifier = |r: &ReplicaAddress| Verifier { disk: r.disk, boot: self.boot, made: 1 };
        self.chain().iter().map(|r| Witness { verifier: verifier(r), sources: Vec::new() }).collect()
    }

    fn check(&self, capability: &Capability) -> Result<(), Status> {
        if capability.term != self.term {
            return Err(Status::WrongTerm);
        }
        match self.chunks.get(&capability.chunk) {
            None => Err(Status::NoChunk),
            Some(stored) if stored.version != capability.version => Err(Status::WrongVersion),
            Some(_) => Ok(()),
        }
    }

    fn write(&mut self, write: &Write, payload: &[u8]) -> WriteAnswer {
        let capability = &write.capability;
        let refuse = |status, failed| WriteAnswer {
            result: Err(status),
            write_id: write.write_id,
            chain_sequence: ChainSequence(0),
            witnesses: Vec::new(),
            failed,
        };
        if !wire::crc::verify(u64::from(write.offset), payload, &write.page_crcs) {
            return refuse(Status::Corrupt, None);
        }
        if self.failing_writes > 0 {
            self.failing_writes -= 1;
            let edge = wire::message::FailedEdge {
                from: Some(DiskId([1; 16])),
                to: DiskId([2; 16]),
                status: Status::TimedOut,
            };
            return refuse(Status::ChainBroken, Some(edge));
        }
        if write.create && capability.term == self.term {
            let new = || Stored { version: capability.version, ..Stored::default() };
            self.chunks.entry(capability.chunk).or_insert_with(new);
        }
        if let Err(status) = self.check(capability) {
            return refuse(status, None);
        }
        if self.stuck && write.durable {
            return refuse(Status::Io, None);
        }
        self.writes += 1;
        let new = self.applied.insert((capability.chunk, capability.version.to_u64(), write.write_id));
        let witnesses = self.witnesses();
        let stored = self.chunks.get_mut(&capability.chunk).expect("checked");
        if new {
            let at = write.offset as usize;
            stored.data.resize(stored.data.len().max(at + payload.len()), 0);
            stored.data[at..at + payload.len()].copy_from_slice(payload);
        }
        if write.durable {
            stored.synced.clone_from(&stored.data);
        }
        WriteAnswer {
            result: Ok(()),
            write_id: write.write_id,
            chain_sequence: ChainSequence(1),
            witnesses,
            failed: None,
        }
    }

    fn flush(&mut self, flush: &Flush) -> FlushAnswer {
        let mut result = self.check(&flush.capability);
        let witnesses = self.witnesses();
        let lost = flush.held.iter().find(|held| witnesses.iter().all(|witness| witness.verifier != **held));
        let failed = lost.map(|held| wire::message::FailedEdge {
            from: None,
            to: held.disk,
            status: Status::LostTail,
        });
        if failed.is_some() {
            result = Err(Status::LostTail);
        } else if self.stuck {
            result = Err(Status::Io);
        }
        if result.is_ok()
            && let Some(stored) = self.chunks.get_mut(&flush.capability.chunk)
        {
            stored.synced.clone_from(&stored.data);
        }
        FlushAnswer { result, witnesses: if result.is_ok() { witnesses } else { Vec::new() }, failed }
    }

    /// Whether a file stays without a name: the client that removes it may use it.
    fn keeps(&self, parent: InodeRef, name: &Name, unused: &[InodeId]) -> bool {
        self.meta.lookup(parent, name).is_ok_and(|target| !unused.contains(&target.inode.id))
    }

    fn read(&mut self, server: u8, read: &Read) -> (ReadAnswer, Bytes) {
        *self.reads.entry(server).or_default() += 1;
        let chain_sequence = ChainSequence(0);
        if let Err(status) = self.check(&read.capability) {
            return (
                ReadAnswer { result: Err(status), page_crcs: Vec::new(), zeroes: false, chain_sequence },
                Bytes::new(),
            );
        }
        let (from, to) = page_span(read.offset, read.length);
        let stored = &self.chunks[&read.capability.chunk].data;
        let mut payload = vec![0; (to - from) as usize];
        let have = stored.len().clamp(from as usize, to as usize);
        payload[..have - from as usize].copy_from_slice(&stored[(from as usize).min(have)..have]);
        if payload.iter().all(|byte| *byte == 0) {
            return (
                ReadAnswer { result: Ok(()), page_crcs: Vec::new(), zeroes: true, chain_sequence },
                Bytes::new(),
            );
        }
        let page_crcs = wire::crc::page_crcs(from, &payload);
        let sound = payload.clone();
        if self.rotten.contains(&server) || (self.racing && !read.doubted) {
            payload[0] ^= 1;
        }
        for (n, page) in payload.chunks_mut(PAGE_BYTES as usize).enumerate() {
            if self.rotten_pages.contains(&(server, from / u64::from(PAGE_BYTES) + n as u64)) {
                page[n % 7] ^= 1;
            }
        }
        if read.doubted && payload != sound {
            let answer = ReadAnswer {
                result: Err(Status::Corrupt),
                page_crcs: Vec::new(),
                zeroes: false,
                chain_sequence,
            };
            return (answer, Bytes::new());
        }
        (ReadAnswer { result: Ok(()), page_crcs, zeroes: false, chain_sequence }, payload.into())
    }
}
