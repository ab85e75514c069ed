//! The master's port: session sockets, chunkservers' control links, operators.
//!
//! Chunkservers and operators are served on the control runtime, sessions on the core's; so whoever asks is heard
//! while the core is busy, and a chunkserver's heartbeats are answered without it.
//! Everything becomes a message to the core. A session outlives its connection: what a connection knows is
//! only which session its requests belong to.
//!
//! # Invariants
//! 1. A message for which the core's inbox has no room is refused with `TryAgain` at once; nothing piles up here.
//! 2. A body that cannot be understood is answered with `BadMessage` and changes nothing.

use crate::config::{ADDITION_ANSWER_MAX, ADMIN_ANSWER_MAX, PLAN_ANSWER_MAX};
use crate::core::{Answerer, Attached, Connection, LinkId, Message, OpenAnswerer, ServerMessage, now_ms};
use bytes::Bytes;
use codec::Message as _;
use codec::admin::{
    Change, Changed, ChunkPage, ChunkQuery, ClassStatus, ClusterStatus, EditPlan, ExplainTarget, Explanation,
    FileInfoReply, FileTarget, Removal, RemovalTarget, TaskStatus, TrashPage, TrashQuery,
};
use codec::control::{ToMaster, ToServer};
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer};
use env::{BoxFuture, Clock, Stream};
use link::{Counters, Incoming, Refused, Replier, ServeOptions};
use rpc::admin::{AdminApi, AdminError};
use rpc::control::{ControlHandler, MasterEnd};
use rpc::port::{FrameHandler, Frames, Services};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use types::{BODY_BYTES_MAX, ClusterId, LogPosition, Reply, SessionId, Status, Term};
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Hello, HelloAnswer};
use wire::{Frame, Kind};

/// What every connection must know.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) inbox: mpsc::Sender<Message>,
    pub(crate) cluster: ClusterId,
    pub(crate) term: Term,
    pub(crate) counters: Arc<Counters>,
    pub(crate) address: String,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where chunkservers' links are served.
    pub(crate) control: Handle,
}

impl Door {
    /// All services of the port. Sessions are served on the runtime `core`.
    pub(crate) fn services(&self, core: Handle) -> Services {
        let frames = Frames { handler: self.frames(), runtime: core };
        Services { frames: Some(frames), control: Some(self.control()), admin: Some(self.admin()) }
    }

    /// Serves sessions.
    fn frames(&self) -> FrameHandler {
        let door = self.clone();
        Arc::new(move |stream: Stream, peer: String| -> BoxFuture<'static, ()> {
            let door = door.clone();
            Box::pin(async move {
                let incoming = Incoming { stream, first: Bytes::new(), peer: peer.clone() };
                let counters = Arc::clone(&door.counters);
                let accept = move |hello: &Hello| door.accept(hello, peer);
                link::serve(incoming, ServeOptions::default(), &counters, accept).await;
            })
        })
    }

    fn accept(
        self,
        hello: &Hello,
        peer: String,
    ) -> Result<(HelloAnswer, impl FnMut(Frame, Replier) + use<>), Refused> {
        if let Some(theirs) = hello.cluster
            && theirs != self.cluster
        {
            let message = format!("this master is of cluster {}, not of {theirs}", self.cluster);
            return Err(Refused { status: Status::WrongCluster, message });
        }
        if hello.term > self.term {
            let message = format!("this master's term {} is outdated, {} was seen", self.term, hello.term);
            return Err(Refused { status: Status::WrongTerm, message });
        }
        let answer = HelloAnswer {
            protocol_version: PROTOCOL_VERSION,
            result: Ok(()),
            cluster: Some(self.cluster),
            term: self.term,
            message: String::new(),
        };
        let session = SessionSocket {
            inbox: self.inbox,
            session: Arc::new(AtomicU64::new(0)),
            connection: Arc::new(Connection { peer }),
        };
        Ok((answer, move |frame: Frame, replier: Replier| session.frame(&frame, replier)))
    }

    /// Takes chunkservers' links.
    pub(crate) fn control(&self) -> ControlHandler {
        let door = self.clone();
        let counter = Arc::new(AtomicU64::new(0));
        Arc::new(move |end: MasterEnd| {
            let link = LinkId(counter.fetch_add(1, Ordering::Relaxed));
            door.control.spawn(door.clone().forward(link, end));
        })
    }

    /// Answers operators.
    pub(crate) fn admin(&self) -> Arc<dyn AdminApi> {
        Arc::new(Admin { inbox: self.inbox.clone(), address: self.address.clone() })
    }

    /// Moves a chunkserver's messages into the inbox; the queue of the link gives back-pressure. When they came
    /// is noted here, and heartbeats are answered here: they say that the two reach each other, which is true
    /// also while the core is busy.
    async fn forward(self, link: LinkId, end: MasterEnd) {
        let MasterEnd { tx, mut rx, peer } = end;
        let heard_ms = Arc::new(AtomicU64::new(now_ms(&*self.clock)));
        let (wanted, mut unwanted) = oneshot::channel();
        let attached = Attached { to: tx.clone(), peer, heard_ms: Arc::clone(&heard_ms), _wanted: wanted };
        let mut next = Some(ServerMessage::Attached(attached));
        while let Some(message) = next {
            if self.inbox.send(Message::Server { link, message }).await.is_err() {
                return;
            }
            next = tokio::select! {
                biased;
                () = tx.closed() => None,
                // The core has dropped the link: the server is to notice at once, not after its patience.
                _ = &mut unwanted => None,
                said = rx.recv() => said.map(|said| {
                    heard_ms.store(now_ms(&*self.clock), Ordering::Relaxed);
                    if matches!(said, ToMaster::Heartbeat { .. }) {
                        // A server that does not read its answers misses this one too.
                        let _ = tx.try_send(ToServer::HeartbeatAck { term: self.term });
                    }
                    ServerMessage::Says(said)
                }),
            };
        }
        // If the core has gone nobody wants to know.
        let _ = self.inbox.send(Message::Server { link, message: ServerMessage::Gone }).await;
    }
}

/// One connection of a client.
struct SessionSocket {
    inbox: mpsc::Sender<Message>,
    /// 0 until SESSION_OPEN was answered.
    session: Arc<AtomicU64>,
    connection: Arc<Connection>,
}

impl SessionSocket {
    fn frame(&self, frame: &Frame, replier: Replier) {
        match frame.kind {
            Kind::SessionOpen => self.open(frame, replier),
            Kind::Request => self.request(frame, replier),
            _ => answer(replier, refusal(Status::Unsupported)),
        }
    }

    fn open(&self, frame: &Frame, replier: Replier) {
        let session = Arc::clone(&self.session);
        let answer: OpenAnswerer = Box::new(move |opened: SessionOpenAnswer| {
            if let Ok(opened) = &opened.0 {
                session.store(opened.session.0, Ordering::Relaxed);
            }
            replier.answer(&opened.to_bytes(), Bytes::new());
        });
        match SessionOpen::decode(&frame.body) {
            Ok(open) => {
                let connection = Arc::downgrade(&self.connection);
                self.send(Message::Open { open, connection, answer });
            }
            Err(_) => answer(SessionOpenAnswer(Err(Status::BadMessage))),
        }
    }

    fn request(&self, frame: &Frame, replier: Replier) {
        let respond: Answerer = Box::new(move |message| answer(replier, message));
        let session = SessionId(self.session.load(Ordering::Relaxed));
        match RequestMessage::decode(&frame.body) {
            Ok(message) => self.send(Message::Request { session, message, answer: respond }),
            Err(error) => {
                tracing::debug!(%error, peer = %self.connection.peer, "a request cannot be understood");
                respond(refusal(Status::BadMessage));
            }
        }
    }

    fn send(&self, message: Message) {
        match self.inbox.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(Message::Open { answer, .. })) => {
                answer(SessionOpenAnswer(Err(Status::TryAgain)));
            }
            Err(TrySendError::Full(Message::Request { answer, .. })) => {
                answer(refusal(Status::TryAgain));
            }
            // The core has gone and the connection ends with it: a client must not be told anything.
            Err(_) => {}
        }
    }
}

/// A refusal that the core had no part in.
fn refusal(status: Status) -> AnswerMessage {
    AnswerMessage { position: LogPosition::default(), outcome: Err(status), news: Vec::new() }
}

/// What is read may be long: who asks for it and reads no answers is refused. Other answers are short, and what they tell is done.
fn answer(replier: Replier, mut message: AnswerMessage) {
    let is_read = matches!(
        message.outcome,
        Ok(Reply::Directory { .. }
            | Reply::Locations(_)
            | Reply::FileInfo(_)
            | Reply::Xattr(_)
            | Reply::XattrNames(_))
    );
    if is_read && !replier.has_room() {
        message.outcome = Err(Status::TryAgain);
    }
    let mut body = message.to_bytes();
    if body.len() > BODY_BYTES_MAX as usize {
        body = AnswerMessage { outcome: Err(Status::TooBig), ..message }.to_bytes();
    }
    replier.answer(&body, Bytes::new());
}

/// Operators' questions as messages.
struct Admin {
    inbox: mpsc::Sender<Message>,
    address: String,
}

impl Admin {
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, AdminError> {
        self.ask_within(ADMIN_ANSWER_MAX, question).await
    }

    async fn ask_within<T>(
        &self,
        limit: Duration,
        question: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, AdminError> {
        let (send, receive) = oneshot::channel();
        let asked = async {
            self.inbox.send(question(send)).await.ok()?;
            receive.await.ok()
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(AdminError::Unreachable {
                address: self.address.clone(),
                reason: "the master has stopped".into(),
            }),
            Err(_) => Err(AdminError::TimedOut { address: self.address.clone(), after: limit }),
        }
    }
}

impl AdminApi for Admin {
    fn status(&self) -> BoxFuture<'_, Result<ClusterStatus, AdminError>> {
        Box::pin(self.ask(|answer| Message::Status { answer }))
    }

    fn file_info(&self, target: FileTarget) -> BoxFuture<'_, Result<FileInfoReply, AdminError>> {
        Box::pin(async move {
            let answer = self.ask(|answer| Message::FileInfo { target, answer }).await?;
            answer.map_err(AdminError::Refused)
        })
    }

    fn classes(&self) -> BoxFuture<'_, Result<Vec<ClassStatus>, AdminError>> {
        Box::pin(self.ask(|answer| Message::Classes { answer }))
    }

    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskStatus>, AdminError>> {
        Box::pin(self.ask(|answer| Message::Tasks { answer }))
    }

    fn removal(&self, target: RemovalTarget) -> BoxFuture<'_, Result<Removal, AdminError>> {
        Box::pin(async move { self.ask(|answer| Message::Removal { target, answer }).await? })
    }

    fn chunks(&self, query: ChunkQuery) -> BoxFuture<'_, Result<ChunkPage, AdminError>> {
        Box::pin(self.ask(move |answer| Message::Chunks { query, answer }))
    }

    fn trash(&self, query: TrashQuery) -> BoxFuture<'_, Result<TrashPage, AdminError>> {
        Box::pin(self.ask(move |answer| Message::Trash { query, answer }))
    }

    fn explain(&self, target: ExplainTarget) -> BoxFuture<'_, Result<Explanation, AdminError>> {
        Box::pin(async move {
            let answer = self.ask(|answer| Message::Explain { target, answer }).await?;
            answer.map_err(AdminError::Refused)
        })
    }

    fn plan_edit(&self, change: Change) -> BoxFuture<'_, Result<EditPlan, AdminError>> {
        let ask = self.ask_within(PLAN_ANSWER_MAX, |answer| Message::PlanEdit { change, answer });
        Box::pin(async move { ask.await? })
    }

    fn change(&self, change: Change) -> BoxFuture<'_, Result<Changed, AdminError>> {
        let limit = match &change {
            Change::AddDisk { .. } => ADDITION_ANSWER_MAX,
            _ => ADMIN_ANSWER_MAX,
        };
        Box::pin(async move { self.ask_within(limit, |answer| Message::Change { change, answer }).await? })
    }
}
