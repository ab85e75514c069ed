//! A network in memory: named hosts, delays, one-way partitions, broken connections.
//!
//! # Invariants
//! 1. Bytes of one direction of a connection arrive in order or not at all, as with TCP.
//! 2. While a direction is blocked nothing arrives through it; what was sent arrives after it is opened,
//!    as TCP would send it again.
//! 3. A host's connections break at [`SimNet::kill_host`]; the other end learns of it unless it is cut off: then
//!    its end stays open, nothing comes, and it is told when it writes after the way back was opened.

use super::pipe::{Arrival, Pipe};
use super::rng::Rng;
use crate::net::{BoxFuture, CONNECT_TIMEOUT};
use crate::{Listener, Net, Stream};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Sleep};

/// Connections that wait to be accepted.
const BACKLOG: usize = 128;
/// Ports from here on are given out for port 0.
const FIRST_FREE_PORT: u16 = 40_000;
const DEFAULT_DELAY: Delay = Delay { base: Duration::from_micros(50), jitter: Duration::from_micros(100) };

/// The network of a world; clones share it.
#[derive(Clone)]
pub struct SimNet {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Directions were opened or blocked.
    changed: Notify,
}

struct State {
    rng: Rng,
    listeners: BTreeMap<(String, u16), mpsc::Sender<(SimStream, String)>>,
    pipes: BTreeMap<u64, Pipe>,
    next_pipe: u64,
    next_port: u16,
    blocked: BTreeSet<(String, String)>,
    delays: BTreeMap<(String, String), Delay>,
    default_delay: Delay,
}

#[derive(Clone, Copy)]
struct Delay {
    base: Duration,
    jitter: Duration,
}

impl SimNet {
    pub(super) fn new(rng: Rng) -> Self {
        let state = State {
            rng,
            listeners: BTreeMap::new(),
            pipes: BTreeMap::new(),
            next_pipe: 0,
            next_port: FIRST_FREE_PORT,
            blocked: BTreeSet::new(),
            delays: BTreeMap::new(),
            default_delay: DEFAULT_DELAY,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    pub(super) fn host(&self, name: &str) -> HostNet {
        HostNet { host: name.to_owned(), net: self.clone() }
    }

    /// Sets how long bytes travel from one host to another: `base` plus a random part of `jitter`.
    pub fn set_delay(&self, from: &str, to: &str, base: Duration, jitter: Duration) {
        self.lock().delays.insert((from.to_owned(), to.to_owned()), Delay { base, jitter });
    }

    /// Ends [`SimNet::set_delay`].
    pub fn forget_delay(&self, from: &str, to: &str) {
        self.lock().delays.remove(&(from.to_owned(), to.to_owned()));
    }

    /// Sets the delay where no other was set.
    pub fn set_default_delay(&self, base: Duration, jitter: Duration) {
        self.lock().default_delay = Delay { base, jitter };
    }

    /// Stops everything from `from` to `to`; the other way stays open.
    pub fn block(&self, from: &str, to: &str) {
        self.lock().blocked.insert((from.to_owned(), to.to_owned()));
        self.after_change();
    }

    /// Opens what [`SimNet::block`] closed.
    pub fn unblock(&self, from: &str, to: &str) {
        self.lock().blocked.remove(&(from.to_owned(), to.to_owned()));
        self.after_change();
    }

    /// Stops everything between two hosts, both ways.
    pub fn partition(&self, one: &str, other: &str) {
        self.block(one, other);
        self.block(other, one);
    }

    /// Opens all directions.
    pub fn heal(&self) {
        self.lock().blocked.clear();
        self.after_change();
    }

    /// Breaks all connections between two hosts.
    pub fn kill_connections(&self, one: &str, other: &str) {
        for pipe in self.lock().pipes.values_mut() {
            if (pipe.from == one && pipe.to == other) || (pipe.from == other && pipe.to == one) {
                pipe.break_off();
            }
        }
    }

    /// All connections between two hosts carry nothing any more and neither end is told, as when something on the way
    /// forgot them. New ones can be made.
    pub fn abandon_connections(&self, one: &str, other: &str) {
        for pipe in self.lock().pipes.values_mut() {
            if (pipe.from == one && pipe.to == other) || (pipe.from == other && pipe.to == one) {
                pipe.fall_silent();
            }
        }
    }

    /// Closes what a host listens on and breaks all its connections, as when its kernel goes down.
    pub fn kill_host(&self, host: &str) {
        let state = &mut *self.lock();
        state.listeners.retain(|(name, _), _| name != host);
        let blocked = &state.blocked;
        for pipe in state.pipes.values_mut() {
            if pipe.from == host {
                if pipe.blocked { pipe.fall_silent() } else { pipe.break_off() }
            } else if pipe.to == host {
                let news_travel = !blocked.contains(&(host.to_owned(), pipe.from.clone()));
                if news_travel { pipe.break_off() } else { pipe.lose_reader() }
            }
        }
    }

    /// Connections with at least one end open.
    pub fn connections(&self) -> usize {
        self.lock().pipes.len().div_ceil(2)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn after_change(&self) {
        let state = &mut *self.lock();
        for pipe in state.pipes.values_mut() {
            let blocked = state.blocked.contains(&(pipe.from.clone(), pipe.to.clone()));
            if pipe.blocked != blocked {
                pipe.blocked = blocked;
                pipe.wake();
            }
        }
        self.shared.changed.notify_waiters();
    }

    /// Travels from one host to another, waiting while the way is blocked.
    async fn travel(&self, from: &str, to: &str) {
        loop {
            let changed = self.shared.changed.notified();
            let delay = {
                let mut state = self.lock();
                let open = !state.blocked.contains(&(from.to_owned(), to.to_owned()));
                open.then(|| state.draw_delay(from, to))
            };
            match delay {
                Some(delay) => return tokio::time::sleep(delay).await,
                None => changed.await,
            }
        }
    }
}

impl State {
    fn draw_delay(&mut self, from: &str, to: &str) -> Duration {
        let key = (from.to_owned(), to.to_owned());
        let delay = self.delays.get(&key).copied().unwrap_or(self.default_delay);
        let jitter = u64::try_from(delay.jitter.as_nanos()).unwrap_or(u64::MAX);
        delay.base + Duration::from_nanos(self.rng.below(jitter.saturating_add(1)))
    }

    fn new_pipe(&mut self, from: &str, to: &str) -> u64 {
        self.next_pipe += 1;
        let blocked = self.blocked.contains(&(from.to_owned(), to.to_owned()));
        self.pipes.insert(self.next_pipe, Pipe::new(from, to, blocked));
        self.next_pipe
    }

    fn take_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
        port
    }
}

/// The network as one host sees it.
pub(super) struct HostNet {
    host: String,
    net: SimNet,
}

impl HostNet {
    fn parse(&self, address: &str) -> io::Result<(String, u16)> {
        let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("{address:?} is not HOST:PORT"));
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let host = match host {
            "" | "0.0.0.0" | "[::]" | "127.0.0.1" | "[::1]" | "localhost" => &self.host,
            other => other,
        };
        Ok((host.to_owned(), port))
    }

    async fn connect(&self, address: &str) -> io::Result<Stream> {
        let (host, port) = self.parse(address)?;
        self.net.travel(&self.host, &host).await;
        // A stream takes the lock when it is dropped, so none is handled while it is held.
        let (listener, near, far, from) = {
            let mut state = self.net.lock();
            let there = state.new_pipe(&self.host, &host);
            let back = state.new_pipe(&host, &self.host);
            let from = format!("{}:{}", self.host, state.take_port());
            let near = SimStream::new(&self.net, there, back);
            let far = SimStream::new(&self.net, back, there);
            (state.listeners.get(&(host.clone(), port)).cloned(), near, far, from)
        };
        let accepted = match listener {
            Some(listener) => listener.try_send((far, from)).is_ok(),
            None => false,
        };
        self.net.travel(&host, &self.host).await;
        if !accepted {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, format!("{address} refused")));
        }
        Ok(Stream::Simulated(Box::new(near)))
    }
}

impl Net for HostNet {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, self.connect(address)).await {
                Ok(result) => result,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("{address} did not answer"))),
            }
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (host, port) = self.parse(address)?;
            if host != self.host {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            let mut state = self.net.lock();
            let port = if port == 0 { state.take_port() } else { port };
            let key = (host, port);
            if state.listeners.get(&key).is_some_and(|listener| !listener.is_closed()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let (send, receive) = mpsc::channel(BACKLOG);
            let address = format!("{}:{port}", key.0);
            state.listeners.insert(key, send);
            Ok(Box::new(SimListener { receive: Mutex::new(receive), address }) as Box<dyn Listener>)
        })
    }
}

struct SimListener {
    receive: Mutex<mpsc::Receiver<(SimStream, String)>>,
    address: String,
}

impl Listener for SimListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Stream, String)>> {
        Box::pin(std::future::poll_fn(|context| {
            let mut receive = self.receive.lock().unwrap_or_else(PoisonError::into_inner);
            receive.poll_recv(context).map(|accepted| match accepted {
                Some((stream, from)) => Ok((Stream::Simulated(Box::new(stream)), from)),
                None => Err(io::ErrorKind::ConnectionAborted.into()),
            })
        }))
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

/// One end of a connection.
struct SimStream {
    net: SimNet,
    outgoing: u64,
    incoming: u64,
    /// Set while bytes are on their way that arrive later.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl SimStream {
    fn new(net: &SimNet, outgoing: u64, incoming: u64) -> Self {
        Self { net: net.clone(), outgoing, incoming, sleep: None }
    }

    /// When what is sent now arrives.
    fn arrival(state: &mut State, pipe: u64) -> Instant {
        let now = Instant::now();
        match state.pipes.get(&pipe).map(|pipe| (pipe.from.clone(), pipe.to.clone())) {
            Some((from, to)) => now + state.draw_delay(&from, &to),
            None => now,
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let arrival = {
                let mut state = self.net.lock();
                let Some(pipe) = state.pipes.get_mut(&self.incoming) else {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                };
                pipe.read(buffer.initialize_unfilled(), Instant::now(), context)?
            };
            match arrival {
                Arrival::Bytes(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Arrival::Wait => return Poll::Pending,
                Arrival::At(time) => {
                    let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(time)));
                    sleep.as_mut().reset(time);
                    if sleep.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.net.lock();
        let arrival = Self::arrival(&mut state, self.outgoing);
        let reverse_blocked = state.pipes.get(&self.incoming).is_some_and(|pipe| pipe.blocked);
        match state.pipes.get_mut(&self.outgoing) {
            Some(pipe) => pipe.write(data, arrival, reverse_blocked, context),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.net.lock();
        let arrival = Self::arrival(&mut state, self.outgoing);
        if let Some(pipe) = state.pipes.get_mut(&self.outgoing) {
            pipe.finish(arrival);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let mut state = self.net.lock();
        let arrival = Self::arrival(&mut state, self.outgoing);
        if let Some(pipe) = state.pipes.get_mut(&self.outgoing) {
            pipe.finish(arrival);
            pipe.writer_gone = true;
        }
        if let Some(pipe) = state.pipes.get_mut(&self.incoming) {
            pipe.reader_gone = true;
            pipe.wake();
        }
        for number in [self.outgoing, self.incoming] {
            if state.pipes.get(&number).is_some_and(|pipe| pipe.reader_gone && pipe.writer_gone) {
                state.pipes.remove(&number);
            }
        }
    }
}
