//! The client's standing with the master: one connection, many requests in flight, kept across losses.
//!
//! # Invariants
//! 1. A request keeps its sequence until it is answered or nobody waits for it; after a new connection to
//!    the same session it is sent again under it, so it takes effect once.
//! 2. When the session itself is lost, a mutation that was sent and not answered fails with `Io`: whether it
//!    took effect is unknown. Everything else goes on in the new session.
//! 3. Inodes held open are claimed again before any other request of a new connection.
//!
//! # Elsewhere
//! What the messages look like: `codec::session`. What is dropped when acknowledged operations are gone:
//! [`Holder`].

mod window;

use crate::signal::Signal;
use crate::{ClientError, ClientOptions};
use bytes::Bytes;
use codec::Message as _;
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer, SessionOpened};
use env::Env;
use link::{Link, LinkError, LinkOptions};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use types::{
    AppendClaim, ClusterId, Expression, InodeRef, LogIndex, LogPosition, News, Reply, Request, Sequence,
    SessionId, Status, Term,
};
use window::Window;
use wire::Kind;
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Hello, Role};

const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Pause before a request is sent again that the master could not take.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// Longest wait for the answer to SESSION_OPEN: opening one is a critical record.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// A lease shorter than this is taken for this long; guards against a busy loop.
const LEASE_MIN: Duration = Duration::from_millis(300);
/// Inodes of one Reclaim, each of which may have a claim.
const RECLAIM_MAX: usize = 16_384;
/// No answer takes longer on a live connection; the caller's own limit comes first.
const ANSWER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Who holds state that rests on the session.
pub(crate) trait Holder: Send + Sync {
    /// Inodes that this client holds open.
    fn held(&self) -> Vec<InodeRef>;
    /// Of these, the ones whose append lock it holds.
    fn appending(&self) -> Vec<AppendClaim>;
    /// Some of them are no more.
    fn gone(&self, inodes: Vec<InodeRef>);
    /// A connection was made. `lost`: acknowledged records are gone, and this was the last one known to be
    /// on stable storage, so all after it are in doubt. `anew`: the session is a new one.
    fn reopened(&self, lost: Option<LogIndex>, anew: bool);
}

/// A connection with an open session on it.
#[derive(Clone)]
struct Line {
    link: Link,
    number: u64,
    opened: SessionOpened,
}

struct State {
    window: Window,
    session: Option<SessionId>,
    cluster: Option<ClusterId>,
    term: Term,
    answered: (Term, LogIndex),
    stable: LogIndex,
    lines: u64,
    closed: bool,
}

/// See the module.
pub(crate) struct Session {
    env: Env,
    masters: Vec<String>,
    name: String,
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    /// Told at each connection: the master keeps it no longer than its own life.
    prefer: Option<Expression>,
    state: Mutex<State>,
    line: Mutex<Option<Line>>,
    line_changed: Signal,
    room: Notify,
    lost: Notify,
    holder: OnceLock<Weak<dyn Holder>>,
}

/// A sequence, given back when dropped.
struct Ticket<'a> {
    session: &'a Session,
    id: SessionId,
    sequence: Sequence,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        if state.session == Some(self.id) {
            state.window.end(self.sequence);
        }
        drop(state);
        self.session.room.notify_waiters();
    }
}

/// Whether those who send the request ask again by themselves, and tell meanwhile what has failed.
fn has_patience(request: &Request) -> bool {
    matches!(request, Request::Grant { .. } | Request::Commit { .. } | Request::AppendLock { .. })
}

/// Whether replicas carry the request out before it is recorded.
fn is_edit(request: &Request) -> bool {
    matches!(request, Request::SetLength { .. } | Request::Punch { .. })
}

impl Session {
    /// A session that is not open yet.
    pub(crate) fn new(env: Env, options: &ClientOptions) -> Self {
        Self {
            env,
            masters: options.masters.clone(),
            name: options.name.clone(),
            timeout: options.timeout,
            connect_timeout: options.connect_timeout.or(options.timeout),
            prefer: options.prefer.clone(),
            state: Mutex::new(State {
                window: Window::default(),
                session: None,
                cluster: None,
                term: Term(0),
                answered: (Term(0), LogIndex(0)),
                stable: LogIndex(0),
                lines: 0,
                closed: false,
            }),
            line: Mutex::new(None),
            line_changed: Signal::default(),
            room: Notify::new(),
            lost: Notify::new(),
            holder: OnceLock::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    fn holder(&self) -> Option<Arc<dyn Holder>> {
        self.holder.get().and_then(Weak::upgrade)
    }

    /// The master's term and this client's session; grants of others are void.
    pub(crate) fn epoch(&self) -> (Term, SessionId) {
        let state = self.state();
        (state.term, state.session.unwrap_or_default())
    }

    /// The last record that an answer rested on.
    pub(crate) fn answered(&self) -> LogIndex {
        self.state().answered.1
    }

    /// The last record known to be on stable storage.
    pub(crate) fn stable(&self) -> LogIndex {
        self.state().stable
    }

    /// The HELLO of a connection to a chunkserver.
    pub(crate) fn hello(&self) -> Hello {
        let state = self.state();
        Hello {
            protocol_version: PROTOCOL_VERSION,
            role: Role::Client,
            cluster: state.cluster,
            term: state.term,
            session: state.session.unwrap_or_default(),
            name: self.name.clone(),
        }
    }

    /// Ends all calls, present and to come.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.lost.notify_one();
        self.set_line(None);
    }

    /// Whether [`Session::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    // ---- requests ----

    /// Asks the master, waiting for it as long as the options say.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Status> {
        self.call_with_news(request).await.0
    }

    /// As [`Session::call`], with what the answer tells of other inodes.
    pub(crate) async fn call_with_news(&self, request: Request) -> (Result<Reply, Status>, Vec<News>) {
        let answer = async {
            match self.call_patiently(request).await {
                Ok(answer) => (answer.outcome, answer.news),
                Err(status) => (Err(status), Vec::new()),
            }
        };
        match self.timeout {
            Some(timeout) => tokio::time::timeout(timeout, answer)
                .await
                .unwrap_or_else(|_| (Err(Status::TimedOut), Vec::new())),
            None => answer.await,
        }
    }

    async fn call_patiently(&self, request: Request) -> Result<AnswerMessage, Status> {
        let mutation = request.is_mutation();
        let mut message = RequestMessage { sequence: Sequence(0), answered_below: Sequence(0), request };
        let mut ticket: Option<Ticket<'_>> = None;
        let mut sent = false;
        // It was sent before, and nobody said what became of it.
        let mut in_doubt = false;
        loop {
            let line = self.line().await?;
            let held = match ticket.take().filter(|ticket| ticket.id == line.opened.session) {
                Some(held) => held,
                None if sent && mutation => return Err(Status::Io),
                None => {
                    sent = false;
                    match self.begin(line.opened.session).await {
                        Some(new) => new,
                        None => continue,
                    }
                }
            };
            message.sequence = held.sequence;
            message.answered_below = self.state().window.answered_below();
            sent = true;
            match ask(&line, &message).await {
                Ok(answer) => {
                    self.note(line.opened.term, answer.position);
                    match answer.outcome {
                        Err(Status::NoSession) => {
                            // Refused, so it did not take effect.
                            self.forget_session(&line);
                            sent = false;
                        }
                        Err(Status::WrongTerm) => self.report_lost(line.number),
                        // It was not done, and can be asked for again under its number.
                        Err(Status::TryAgain) if !has_patience(&message.request) => {
                            tokio::time::sleep(TRY_AGAIN).await;
                        }
                        // It is refused now, but the master that took it first may have had replicas cut.
                        Err(Status::NoSpace) if in_doubt && is_edit(&message.request) => {
                            return Err(Status::Io);
                        }
                        _ => return Ok(answer),
                    }
                }
                Err(LinkError::TooLong) => return Err(Status::TooBig),
                Err(_) => {
                    in_doubt = true;
                    self.report_lost(line.number);
                }
            }
            ticket = Some(held);
        }
    }

    /// The present session and its last request.
    pub(crate) fn last_request(&self) -> (Option<SessionId>, Sequence) {
        let state = self.state();
        (state.session, state.window.last())
    }

    /// Whether every request up to this one was answered, or nobody waits for its answer.
    pub(crate) fn is_answered_up_to(&self, sequence: Sequence) -> bool {
        self.state().window.answered_below() > sequence
    }

    /// Sends without waiting for an answer; false if it could not be sent.
    pub(crate) async fn tell(&self, request: Request) -> bool {
        let Some(line) = self.present_line() else { return false };
        let Some(ticket) = self.begin(line.opened.session).await else { return false };
        let answered_below = self.state().window.answered_below();
        let message = RequestMessage { sequence: ticket.sequence, answered_below, request };
        let sent = line.link.start(Kind::Request, message.to_bytes(), Bytes::new()).await;
        drop(ticket);
        sent.is_ok()
    }

    fn present_line(&self) -> Option<Line> {
        self.line.lock().expect("nothing panics while it is held").clone()
    }

    fn set_line(&self, line: Option<Line>) {
        *self.line.lock().expect("nothing panics while it is held") = line;
        self.line_changed.ring();
    }

    async fn line(&self) -> Result<Line, Status> {
        loop {
            let changed = self.line_changed.next();
            if let Some(line) = self.present_line() {
                return Ok(line);
            }
            if self.is_closed() {
                return Err(Status::NoSession);
            }
            changed.await;
        }
    }

    /// A sequence of this session; waits while too many are open. `None`: the session is another one now.
    async fn begin(&self, id: SessionId) -> Option<Ticket<'_>> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let mut state = self.state();
                if state.session != Some(id) {
                    return None;
                }
                if let Some(sequence) = state.window.begin() {
                    return Some(Ticket { session: self, id, sequence });
                }
            }
            room.await;
        }
    }

    fn note(&self, term: Term, position: LogPosition) {
        let mut state = self.state();
        state.answered = state.answered.max((term, position.applied));
        state.stable = state.stable.max(position.stable);
    }

    fn report_lost(&self, number: u64) {
        let took = {
            let mut line = self.line.lock().expect("nothing panics while it is held");
            line.take_if(|line| line.number == number).is_some()
        };
        if took {
            self.line_changed.ring();
            self.lost.notify_one();
        }
    }

    fn forget_session(&self, line: &Line) {
        let mut state = self.state();
        if state.session == Some(line.opened.session) {
            state.session = None;
            state.window = Window::default();
        }
        drop(state);
        self.report_lost(line.number);
        self.room.notify_waiters();
    }

    // ---- connections ----

    /// Makes the first connection.
    pub(crate) async fn open(&self, holder: Weak<dyn Holder>) -> Result<(), ClientError> {
        let _ = self.holder.set(holder);
        if self.masters.is_empty() {
            return Err(ClientError::NoMaster);
        }
        let last = Mutex::new(None);
        let first = async {
            let mut round = 0;
            loop {
                match self.connect_round().await {
                    Ok(line) => {
                        self.set_line(Some(line));
                        return Ok(());
                    }
                    Err(LinkError::Refused { address, status, message }) if is_hopeless(status) => {
                        return Err(ClientError::Refused { address, status, message });
                    }
                    Err(error) => *last.lock().expect("nothing panics while it is held") = Some(error),
                }
                self.back_off(&mut round).await;
            }
        };
        let Some(timeout) = self.connect_timeout else { return first.await };
        tokio::time::timeout(timeout, first).await.unwrap_or_else(|_| {
            let last = last.lock().expect("nothing panics while it is held").take();
            Err(ClientError::Unreachable {
                masters: self.masters.join(","),
                last: last.map_or_else(|| "no answer".to_owned(), |error| error.to_string()),
            })
        })
    }

    /// Keeps a connection until the session is closed.
    pub(crate) async fn keep(self: Arc<Self>) {
        while !self.is_closed() {
            let line = self.present_line();
            match line {
                Some(line) => self.keep_alive(&line).await,
                None => {
                    let mut round = 0;
                    while !self.is_closed() {
                        match self.connect_round().await {
                            Ok(line) => {
                                self.set_line(Some(line));
                                break;
                            }
                            Err(error) => tracing::debug!(%error, "no master answers"),
                        }
                        self.back_off(&mut round).await;
                    }
                }
            }
        }
        self.set_line(None);
    }

    /// Returns when the connection is lost.
    async fn keep_alive(&self, line: &Line) {
        let third = Duration::from_millis(u64::from(line.opened.lease_ms)).max(LEASE_MIN) / 3;
        loop {
            tokio::select! {
                biased;
                () = self.lost.notified() => {}
                () = tokio::time::sleep(third) => {
                    env::buffer::trim();
                    let alive = tokio::time::timeout(third, self.call_on(line, Request::KeepAlive)).await;
                    match alive {
                        Ok(Ok(Err(Status::NoSession))) => self.forget_session(line),
                        Ok(Ok(_)) => {}
                        Ok(Err(_)) | Err(_) => self.report_lost(line.number),
                    }
                }
            }
            let current = self.present_line().is_some_and(|now| now.number == line.number);
            if !current || self.is_closed() {
                return;
            }
        }
    }

    async fn back_off(&self, round: &mut u32) {
        let delay = BACKOFF_FIRST.saturating_mul(1 << (*round).min(8)).min(BACKOFF_MAX);
        *round += 1;
        // Half of it at random, so that clients of a restarted master do not come in step.
        let half = delay.as_millis() as u64 / 2;
        let jitter = Duration::from_millis(self.env.seed.next_u64() % (half + 1));
        tokio::time::sleep(delay - Duration::from_millis(half) + jitter).await;
    }

    /// Tries every master once.
    async fn connect_round(&self) -> Result<Line, LinkError> {
        let mut last = LinkError::TimedOut;
        for address in &self.masters {
            match self.connect(address).await {
                Ok(line) => return Ok(line),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect(&self, address: &str) -> Result<Line, LinkError> {
        let link = Link::connect(&self.env, address, &self.hello(), LinkOptions::default()).await?;
        let (before, open) = {
            let state = self.state();
            let open = SessionOpen {
                session: state.session,
                name: self.name.clone(),
                highest_answered: state.answered.1,
                answered_term: state.answered.0,
                prefer: self.prefer.clone(),
            };
            (state.session, open)
        };
        let refused = |status, message: &str| LinkError::Refused {
            address: address.to_owned(),
            status,
            message: message.to_owned(),
        };
        let frame = link.call(Kind::SessionOpen, open.to_bytes(), Bytes::new(), OPEN_TIMEOUT).await?;
        let SessionOpenAnswer(answer) = SessionOpenAnswer::decode(&frame.body)
            .map_err(|_| refused(Status::BadMessage, "its answer to SESSION_OPEN makes no sense"))?;
        let opened = answer.map_err(|status| refused(status, "no session"))?;
        let (number, first, lost) = {
            let mut state = self.state();
            if state.cluster.is_some_and(|known| known != opened.cluster) {
                return Err(refused(Status::WrongCluster, "it serves another cluster now"));
            }
            if opened.term < state.term {
                return Err(refused(Status::WrongTerm, "it is a master of an earlier term"));
            }
            let first = state.lines == 0;
            if state.session != Some(opened.session) {
                state.window = Window::default();
                state.session = Some(opened.session);
            }
            state.cluster = Some(opened.cluster);
            state.term = opened.term;
            let lost = opened.lost_tail.then_some(state.stable);
            if opened.lost_tail {
                state.answered = (opened.term, opened.position.applied);
                state.stable = opened.position.stable;
            }
            state.lines += 1;
            (state.lines, first, lost)
        };
        self.room.notify_waiters();
        let line = Line { link, number, opened };
        if !first && let Some(holder) = self.holder() {
            holder.reopened(lost, before != Some(line.opened.session));
            let mut held = holder.held();
            let mut appending: BTreeMap<InodeRef, AppendClaim> =
                holder.appending().into_iter().map(|claim| (claim.inode, claim)).collect();
            // Sent also when nothing is held: the master waits for it before it frees unlinked files.
            loop {
                let later = held.split_off(held.len().min(RECLAIM_MAX));
                let appending = held.iter().filter_map(|inode| appending.remove(inode)).collect();
                let last = later.is_empty();
                let reply = self.call_on(&line, Request::Reclaim { inodes: held, appending, last }).await?;
                if let Ok(Reply::Gone(gone)) = reply {
                    holder.gone(gone);
                }
                if last {
                    break;
                }
                held = later;
            }
        }
        tracing::info!(address, session = %line.opened.session, term = %line.opened.term, "session open");
        Ok(line)
    }

    /// One request on this connection, without a second try.
    async fn call_on(&self, line: &Line, request: Request) -> Result<Result<Reply, Status>, LinkError> {
        let Some(ticket) = self.begin(line.opened.session).await else { return Err(LinkError::TimedOut) };
        let answered_below = self.state().window.answered_below();
        let message = RequestMessage { sequence: ticket.sequence, answered_below, request };
        let answer = ask(line, &message).await?;
        self.note(line.opened.term, answer.position);
        Ok(answer.outcome)
    }
}

fn ask<'a>(
    line: &'a Line,
    message: &RequestMessage,
) -> impl Future<Output = Result<AnswerMessage, LinkError>> + Send + 'a {
    let body = message.to_bytes();
    async move {
        let frame = line.link.call(Kind::Request, body, Bytes::new(), ANSWER_MAX).await?;
        AnswerMessage::decode(&frame.body).map_err(|_| LinkError::TimedOut)
    }
}

/// Refusals that another try will not change.
fn is_hopeless(status: Status) -> bool {
    matches!(
        status,
        Status::WrongCluster
            | Status::Unsupported
            | Status::AccessDenied
            | Status::NotPermitted
            | Status::BadMessage
    )
}
