//! The core: one task that owns `meta`, `fleet` and the journal, and works in batches.
//!
//! A batch: drain messages, apply what they ask, carry out what the fleet wants, write the successful
//! records in one write, let the answers leave. What is critical leaves when the log is stable. The order
//! of steps and the reasons are in `docs/protocol/master-loop.md`.
//!
//! # Invariants
//! 1. Between two batches the log holds exactly the records that `meta` has applied.
//! 2. An answer, an order or a registration leaves only after the batch that made it was written.
//! 3. At most one sync runs; whoever waits for stable storage is served by one that begins after its write.
//! 4. Nothing here waits: what takes long is begun and comes back as a message.
//!
//! # Elsewhere
//! Sockets and frames: `port`. Recovery before the core runs: `recover`.

mod additions;
mod aging;
mod appends;
mod bystanders;
mod checkpoints;
mod chunks;
mod classes;
mod commands;
mod control;
mod edit_plan;
mod edits;
mod explain;
mod grants;
mod health;
mod hold;
mod holds;
mod labels;
mod limits;
mod log;
mod looks;
mod marks;
mod mutations;
mod mutes;
mod orphans;
mod policies;
mod queue;
mod registration;
mod removal;
mod requests;
mod session_requests;
mod sessions;
mod status;
mod tasks;
mod trash;

pub(crate) use control::{Attached, LinkId, ServerMessage};
pub(crate) use session_requests::OpenAnswerer;
pub(crate) use sessions::{Answerer, Connection};

use crate::checkpoint::InLine;
use crate::config::{AWAY, BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, Config, GRACE, SYNC_DELAY_MAX, TICK};
use crate::error::Fatal;
use crate::recover::Recovered;
use crate::term::TermFile;
use additions::Additions;
use aging::Aging;
use appends::Appends;
use checkpoints::{BuildAnswerer, Checkpoints};
use classes::ChangeAnswerer;
use codec::admin::{
    Change, Changed, ChunkPage, ChunkQuery, ClassStatus, ExplainTarget, FileTarget, RemovalTarget,
    TaskStatus, TrashPage, TrashQuery, Warning,
};
use codec::control::{ToMaster, ToServer};
use codec::session::{AnswerMessage, RequestMessage, SessionOpen};
use control::Servers;
use edit_plan::EditPlanAnswerer;
use edits::Edits;
use env::{Clock, Env};
use explain::ExplainAnswerer;
use fleet::{Command, Event, Fleet, FleetOptions, RaiseTicket, Ticket};
use grants::Asked;
use hold::Hold;
use log::{Leaves, Log};
use looks::Looks;
use meta::{Effect, Meta};
use mutes::Mutes;
use orphans::Orphans;
use removal::RemovalAnswerer;
use rpc::admin::AdminError;
use session_requests::Opened;
use sessions::Sessions;
use status::{FileInfoAnswerer, StatusAnswerer};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tasks::Tasks;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use types::{
    ClusterId, LogIndex, LogPosition, News, Op, Origin, Record, Reply, SessionId, Stage, Status, Term,
    Timestamp,
};

/// What the core is told.
pub(crate) enum Message {
    /// A client wants a session.
    Open { open: SessionOpen, connection: Weak<Connection>, answer: OpenAnswerer },
    /// A client asks.
    Request { session: SessionId, message: RequestMessage, answer: Answerer },
    /// A control link came, went, or brought something.
    Server { link: LinkId, message: ServerMessage },
    /// An operator wants to see the state of the cluster.
    Status { answer: StatusAnswerer },
    /// An operator asks about a file.
    FileInfo { target: FileTarget, answer: FileInfoAnswerer },
    /// An operator asks for all classes.
    Classes { answer: oneshot::Sender<Vec<ClassStatus>> },
    /// An operator asks for all tasks.
    Tasks { answer: oneshot::Sender<Vec<TaskStatus>> },
    /// An operator asks what keeps a disk or a server from being removed.
    Removal { target: RemovalTarget, answer: RemovalAnswerer },
    /// An operator looks through all chunks.
    Chunks { query: ChunkQuery, answer: oneshot::Sender<ChunkPage> },
    /// An operator asks for a part of the trash.
    Trash { query: TrashQuery, answer: oneshot::Sender<TrashPage> },
    /// An operator asks why chunks are where they are.
    Explain { target: ExplainTarget, answer: ExplainAnswerer },
    /// An operator asks what a change would take.
    PlanEdit { change: Change, answer: EditPlanAnswerer },
    /// An operator wants something changed.
    Change { change: Change, answer: ChangeAnswerer },
    /// A checkpoint is wanted now.
    Checkpoint { answer: BuildAnswerer },
    /// The checkpoint that was begun is there, or is not.
    Built(Result<crate::checkpoint::Built, String>),
    /// Make everything stable and end.
    Stop { done: oneshot::Sender<()> },
}

/// What leaves the core once the records it rests on are written, or stable.
enum Out {
    Answer(Answerer, Result<Reply, Status>, Vec<News>),
    Opened(OpenAnswerer, Opened),
    ToServer(LinkId, ToServer),
    Registered(LinkId),
    ServerSaid(LinkId, ToMaster),
    Raised(RaiseTicket),
    EditLogged(Ticket),
    Changed(ChangeAnswerer, Result<Changed, AdminError>),
    BuildCheckpoint,
    Stop(oneshot::Sender<()>),
}

/// A record that was applied, or a refusal.
struct Applied {
    reply: Result<Reply, Status>,
    /// Where it stands in the log; `None` if nothing changed.
    index: Option<LogIndex>,
    critical: bool,
    /// What it touched besides.
    news: Vec<News>,
}

impl Applied {
    /// Nothing was done.
    fn refused(status: Status) -> Self {
        Self { reply: Err(status), index: None, critical: false, news: Vec::new() }
    }
}

/// See the module.
pub(crate) struct Core {
    env: Env,
    config: Config,
    address: String,
    started_ms: u64,
    /// When time was looked at last, and until when nobody is called silent.
    ticked_ms: u64,
    judges_from_ms: u64,
    cluster: ClusterId,
    term: Term,
    terms: TermFile,
    meta: Meta,
    fleet: Fleet,
    log: Log,
    servers: Servers,
    sessions: Sessions,
    session_counter: u64,
    /// Requests of clients so far.
    requests: u64,
    edits: Edits,
    appends: Appends,
    orphans: Orphans,
    tasks: Tasks,
    aging: Aging,
    looks: Looks,
    additions: Additions,
    mutes: Mutes,
    checkpoints: Checkpoints,
    /// Questions to the fleet that are open.
    asked: BTreeMap<Ticket, Asked>,
    ticket: u64,
    /// What the fleet wants done, in order.
    commands: Vec<Command>,
    /// Leaves after this batch's write.
    out: Vec<Out>,
    /// Leaves when the log is stable.
    hold: Hold<Out>,
    inbox: mpsc::Sender<Message>,
    warnings: Vec<Warning>,
    stepped_down: Option<Term>,
    stopped: bool,
}

impl Core {
    /// Takes over what recovery found. `inbox` is the sender of the core's own channel, for work that comes back.
    pub(crate) fn new(
        env: Env,
        config: Config,
        address: String,
        recovered: Recovered,
        inbox: mpsc::Sender<Message>,
    ) -> Self {
        let Recovered { meta, journal, cluster, term, terms, since_checkpoint, checkpoint, warnings } =
            recovered;
        let now_ms = now_ms(&*env.clock);
        let mut sessions = Sessions::default();
        for (id, name) in meta.sessions() {
            sessions.found(id, name, now_ms);
        }
        let orphans = Orphans::new(meta.orphans());
        let log = Log::new(journal, env.workers.as_ref());
        let builder = config
            .checkpointer
            .clone()
            .unwrap_or_else(|| Arc::new(InLine::new(Arc::clone(&config.data), env.workers.as_ref())));
        let checkpoints = Checkpoints::new(builder, since_checkpoint, checkpoint);
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 1);
        let options = FleetOptions {
            goal: config.goal,
            heal_endangered_ms: ms(config.heal_after_endangered),
            heal_ms: ms(config.heal_after),
            heal_together_ms: ms(config.heal_after_together),
            ..FleetOptions::default()
        };
        let fleet = Fleet::new(term, options, now_ms);
        let mut core = Self {
            env,
            config,
            address,
            started_ms: now_ms,
            ticked_ms: now_ms,
            judges_from_ms: now_ms,
            cluster,
            term,
            terms,
            meta,
            fleet,
            log,
            servers: Servers::default(),
            sessions,
            session_counter: 0,
            requests: 0,
            edits: Edits::default(),
            appends: Appends::default(),
            orphans,
            tasks: Tasks::default(),
            aging: Aging::default(),
            looks: Looks::default(),
            additions: Additions::default(),
            mutes: Mutes::default(),
            checkpoints,
            asked: BTreeMap::new(),
            ticket: 0,
            commands: Vec::new(),
            out: Vec::new(),
            hold: Hold::new(),
            inbox,
            warnings,
            stepped_down: None,
            stopped: false,
        };
        core.introduce_policies();
        core.introduce_holds();
        core.introduce_chunks(now_ms);
        core.take_up_tasks();
        core.look_for_aging(None);
        core
    }

    /// The fleet learns of the disks and chunks that the metadata has.
    fn introduce_chunks(&mut self, now_ms: u64) {
        let disks = self.meta.disks().map(|(disk, known)| (known.server, disk)).collect();
        self.fleet.handle(Event::KnownDisks(disks), now_ms, &mut self.commands);
        for (view, owner) in self.meta.all_chunks() {
            let event = Event::ChunkBorn {
                slot: view.slot,
                chunk: view.chunk,
                version: view.version,
                class: owner.class,
            };
            self.fleet.handle(event, now_ms, &mut self.commands);
            if owner.stage != Stage::default() {
                let event = Event::ChunkStage { slot: view.slot, stage: owner.stage };
                self.fleet.handle(event, now_ms, &mut self.commands);
            }
        }
    }

    /// Serves until it is stopped or cannot go on.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<(), Fatal> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stopped {
            let sync_due = self.log.sync_due();
            tokio::select! {
                biased;
                synced = self.log.synced() => self.synced(synced)?,
                () = tokio::time::sleep_until(sync_due.unwrap_or_else(Instant::now)), if sync_due.is_some() => {
                    self.log.begin_sync();
                }
                _ = tick.tick() => {
                    self.log.note_stable()?;
                    self.tick();
                }
                message = inbox.recv() => {
                    let mut next = message;
                    let mut handled = 0;
                    while let Some(message) = next.take() {
                        self.handle(message);
                        handled += 1;
                        if handled < BATCH_MESSAGES_MAX && self.log.batch_bytes() < BATCH_BYTES_MAX {
                            next = inbox.try_recv().ok();
                        }
                    }
                }
                // Whoever else can go on does so first.
                () = tokio::task::yield_now(), if self.tasks.can_go_on() || !self.looks.is_empty() => {
                    self.task_step();
                    self.look_step();
                }
            }
            self.end_batch()?;
            self.send_unsent();
        }
        self.log.note_stable()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Open { open, connection, answer } => self.open_session(open, connection, answer),
            Message::Request { session, message, answer } => self.request(session, message, answer),
            Message::Server { link, message } => self.server_message(link, message),
            // Whoever asked may have given up waiting.
            Message::Status { answer } => drop(answer.send(self.status())),
            Message::FileInfo { target, answer } => drop(answer.send(self.file_info_for_operator(target))),
            Message::Classes { answer } => drop(answer.send(self.class_statuses())),
            Message::Tasks { answer } => drop(answer.send(self.task_statuses())),
            Message::Removal { target, answer } => self.removal_wanted(&target, answer),
            Message::Chunks { query, answer } => drop(answer.send(self.chunk_page(&query))),
            Message::Trash { query, answer } => drop(answer.send(self.trash_page(query.after))),
            Message::Explain { target, answer } => self.explain_wanted(target, answer),
            Message::PlanEdit { change, answer } => self.edit_plan_wanted(change, answer),
            Message::Change { change, answer } => self.change(change, answer),
            Message::Checkpoint { answer } => self.checkpoint_wanted(answer),
            Message::Built(result) => self.checkpoint_built(result),
            Message::Stop { done } => self.leave_when_stable(self.applied(), Out::Stop(done)),
        }
    }

    /// Work that time brings.
    fn tick(&mut self) {
        let now_ms = self.now_ms();
        let last_ms = std::mem::replace(&mut self.ticked_ms, now_ms);
        if now_ms.saturating_sub(last_ms) >= AWAY.as_millis() as u64 {
            // What the others said meanwhile waits to be read: it comes before any judgement about who is silent.
            tracing::warn!(ms = now_ms - last_ms, "the master was stopped for a while, or had no processor");
            self.judges_from_ms = now_ms + GRACE.as_millis() as u64;
            return;
        }
        self.tell(Event::Tick);
        if now_ms >= self.judges_from_ms {
            self.drop_silent_servers();
            self.expire_sessions();
            self.forfeit_silent_locks();
        }
        self.retry_edits();
        self.retry_appends();
        self.archive_aged();
        self.expire_trash();
        self.reap_orphans();
        self.retry_tasks();
        self.end_maintenance();
        self.review_mutes();
        self.end_holds();
        self.expire_additions();
        self.log.retry_room();
        self.retry_checkpoint();
    }

    /// Carries out the fleet's wishes, writes the batch, and lets go what may leave, until nothing follows
    /// from it any more.
    fn end_batch(&mut self) -> Result<(), Fatal> {
        loop {
            self.carry_out_commands();
            if let Some(seen) = self.stepped_down {
                return Err(Fatal::Deposed { seen });
            }
            if self.log.write()? {
                self.log.sync_within(SYNC_DELAY_MAX);
                self.checkpoint_if_due();
            }
            for out in std::mem::take(&mut self.out) {
                self.leave(out);
            }
            while let Some(out) = self.hold.pop(self.log.stable()) {
                self.leave(out);
            }
            if self.commands.is_empty() && self.out.is_empty() {
                break;
            }
        }
        if !self.hold.is_empty() {
            self.log.begin_sync();
        }
        Ok(())
    }

    /// A sync ended: whoever waited for it may go on.
    fn synced(&mut self, result: std::io::Result<LogIndex>) -> Result<(), Fatal> {
        let stable = self.log.sync_ended(result)?;
        self.tell(Event::Stable { index: stable });
        Ok(())
    }

    fn leave(&mut self, out: Out) {
        match out {
            Out::Answer(answer, outcome, news) => {
                answer(AnswerMessage { position: self.position(), outcome, news });
            }
            Out::Opened(answer, opened) => self.opened(answer, opened),
            Out::ToServer(link, message) => self.send_to_server(link, message),
            Out::Registered(link) => self.registered(link),
            Out::ServerSaid(link, message) => self.serve_message(link, message),
            Out::Raised(raise) => self.tell(Event::Logged { raise, result: Ok(()) }),
            Out::EditLogged(ticket) => self.tell(Event::EditLogged { ticket }),
            // Whoever asked may have given up waiting.
            Out::Changed(answer, result) => drop(answer.send(result)),
            Out::BuildCheckpoint => self.build_checkpoint(),
            Out::Stop(done) => {
                self.stopped = true;
                // Whoever asked may have given up waiting.
                let _ = done.send(());
            }
        }
    }

    /// Applies an operation and stages its record, unless it is refused or changes nothing.
    fn log(&mut self, origin: Option<Origin>, op: Op) -> Applied {
        let leaves = Leaves::of(origin, &op);
        self.log_leaving(leaves, origin, op)
    }

    /// The same of a record that leaves so much of the log to others.
    fn log_leaving(&mut self, leaves: Leaves, origin: Option<Origin>, op: Op) -> Applied {
        let critical = op.is_critical();
        let record = Record { term: self.term, index: self.next_index(), at: self.record_time(), origin, op };
        if let Err(status) = self.log.stage(&record, leaves) {
            return Applied::refused(status);
        }
        let outcome = self.meta.apply(&record);
        if !outcome.changed {
            self.log.unstage();
        }
        for effect in outcome.effects {
            self.tell_effect(effect, record.index);
        }
        let index = outcome.changed.then_some(record.index);
        Applied { reply: outcome.reply, index, critical, news: Vec::new() }
    }

    fn tell_effect(&mut self, effect: Effect, index: LogIndex) {
        let event = match effect {
            Effect::ChunkBorn { slot, chunk, version, class } => {
                Event::ChunkBorn { slot, chunk, version, class }
            }
            Effect::ChunkGone { slot, chunk, version } => Event::ChunkGone { slot, chunk, version, index },
            Effect::ChunkVersion { slot, chunk, version } => Event::ChunkVersion { slot, chunk, version },
            Effect::InodeGone { inode } => {
                self.orphans.gone(inode);
                self.aging.gone(inode);
                self.appends.gone(inode.id);
                Event::InodeGone { inode, index }
            }
            Effect::Orphaned { inode } => return self.orphans.add(inode),
            Effect::ChunkClass { slot, class } => Event::ChunkClass { slot, class },
            Effect::ChunkStage { slot, stage } => Event::ChunkStage { slot, stage },
            Effect::Shelved { inode } => {
                self.appends.gone(inode.id);
                Event::InodeGone { inode, index }
            }
            Effect::Ages { inode } => return self.note_aging(inode),
            Effect::ClassSet { class } => {
                self.look_for_aging(Some(class));
                return self.tell_class(class);
            }
            Effect::ClassGone { class } => Event::ClassGone { class },
            Effect::Labelled { holder } => return self.tell_labels(holder),
            Effect::Marked { holder } => return self.tell_mark(holder),
            Effect::LimitsSet => return self.tell_limits(),
            Effect::Held { hold } => return self.tell_hold(hold),
            Effect::HoldEnded { hold } => Event::HoldEnded { hold },
            Effect::Forgotten { holder } => {
                self.servers.forget(holder);
                Event::Forgotten { holder }
            }
        };
        self.tell(event);
    }

    fn tell(&mut self, event: Event) {
        let now_ms = self.now_ms();
        self.fleet.handle(event, now_ms, &mut self.commands);
    }

    /// Answers after this batch's write.
    fn answer(&mut self, answer: Answerer, outcome: Result<Reply, Status>) {
        self.out.push(Out::Answer(answer, outcome, Vec::new()));
    }

    /// Answers a mutation: after the write, or when its record is stable if it is critical or the operator
    /// wants it so. A success that changed nothing rests on the records before it.
    fn answer_applied(&mut self, answer: Answerer, applied: Applied) {
        let must_wait = applied.critical || self.config.ack == crate::Ack::Stable;
        let must_wait = applied.reply.is_ok() && must_wait;
        let out = Out::Answer(answer, applied.reply, applied.news);
        if must_wait {
            self.leave_when_stable(applied.index.unwrap_or(self.applied()), out);
        } else {
            self.out.push(out);
        }
    }

    fn leave_when_stable(&mut self, index: LogIndex, out: Out) {
        self.hold.push(index, out);
    }

    fn next_ticket(&mut self) -> Ticket {
        self.ticket += 1;
        Ticket(self.ticket)
    }

    fn now_ms(&self) -> u64 {
        now_ms(&*self.env.clock)
    }

    fn applied(&self) -> LogIndex {
        self.meta.applied().1
    }

    fn next_index(&self) -> LogIndex {
        LogIndex(self.applied().0 + 1)
    }

    fn position(&self) -> LogPosition {
        LogPosition { applied: self.applied(), stable: self.log.stable() }
    }

    fn record_time(&self) -> Timestamp {
        record_time(&self.env, &self.meta)
    }
}

/// The time by which the core judges silence.
pub(crate) fn now_ms(clock: &dyn Clock) -> u64 {
    clock.now().0.as_millis() as u64
}

/// The wall clock, but never before the last record.
pub(crate) fn record_time(env: &Env, meta: &Meta) -> Timestamp {
    let (seconds, nanos) = env.clock.wall();
    Timestamp::new(seconds, nanos).max(meta.time())
}
