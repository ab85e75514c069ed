//! Connections over simulated streams, on one thread with paused time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use env::{Env, Listener, Net, Stream};
use link::{
    Counters, Incoming, Link, LinkError, LinkOptions, Lost, Pool, PoolOptions, Refused, Replier,
    ServeOptions, serve,
};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use types::{ClusterId, PAYLOAD_BYTES_MAX, SessionId, Status, Term};
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Hello, HelloAnswer, Message, Role};
use wire::{Frame, Header, Kind, frame};

const CLUSTER: ClusterId = ClusterId([7; 16]);
const DEADLINE: Duration = Duration::from_secs(5);

/// Streams of memory; every connect arrives at the one listener, or fails if there is none.
#[derive(Default)]
struct MemoryNet {
    to: Mutex<Option<mpsc::UnboundedSender<DuplexStream>>>,
}

impl Net for MemoryNet {
    fn connect<'a>(&'a self, _address: &'a str) -> env::BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async {
            let (near, far) = tokio::io::duplex(64 << 10);
            let to = self.to.lock().unwrap();
            let accepted = to.as_ref().is_some_and(|to| to.send(far).is_ok());
            if accepted {
                Ok(Stream::Simulated(Box::new(near)))
            } else {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        })
    }

    fn listen<'a>(&'a self, _address: &'a str) -> env::BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

type Handler = Rc<RefCell<dyn FnMut(Frame, Replier)>>;

struct World {
    env: Env,
    net: Arc<MemoryNet>,
    counters: Arc<Counters>,
}

impl World {
    /// A server whose frames go to `handler`.
    fn new(options: ServeOptions, handler: Handler) -> Self {
        let net = Arc::new(MemoryNet::default());
        let counters = Arc::new(Counters::default());
        let (to, mut accepted) = mpsc::unbounded_channel();
        *net.to.lock().unwrap() = Some(to);
        let shared = Arc::clone(&counters);
        tokio::task::spawn_local(async move {
            while let Some(stream) = accepted.recv().await {
                let (counters, handler) = (Arc::clone(&shared), Rc::clone(&handler));
                tokio::task::spawn_local(async move {
                    let stream = Stream::Simulated(Box::new(stream));
                    let incoming = Incoming { stream, first: Bytes::new(), peer: "peer".into() };
                    let accept = |hello: &Hello| match hello.cluster {
                        Some(CLUSTER) | None => Ok((
                            HelloAnswer {
                                protocol_version: PROTOCOL_VERSION,
                                result: Ok(()),
                                cluster: Some(CLUSTER),
                                term: Term(3),
                                message: String::new(),
                            },
                            move |frame, replier| handler.borrow_mut()(frame, replier),
                        )),
                        Some(_) => {
                            Err(Refused { status: Status::WrongCluster, message: "another cluster".into() })
                        }
                    };
                    serve(incoming, options, &counters, accept).await;
                });
            }
        });
        Self { env: Env { net: net.clone(), ..Env::real() }, net, counters }
    }

    fn echoing() -> Self {
        let echo = |frame: Frame, replier: Replier| replier.answer(&frame.body, frame.payload);
        Self::new(ServeOptions::default(), Rc::new(RefCell::new(echo)))
    }

    async fn connect(&self) -> Link {
        Link::connect(&self.env, "there:1", &hello(), LinkOptions::default()).await.unwrap()
    }

    async fn raw(&self) -> Stream {
        self.env.net.connect("there:1").await.unwrap()
    }
}

fn hello() -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        role: Role::Client,
        cluster: Some(CLUSTER),
        term: Term(0),
        session: SessionId(0),
        name: "test".into(),
    }
}

fn on_one_thread<F: Future>(body: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, body)
}

async fn ask(link: &Link, body: &'static [u8]) -> Result<Frame, LinkError> {
    link.call(Kind::Request, Bytes::from_static(body), Bytes::new(), DEADLINE).await
}

/// What is left in a raw stream until the other end closes it.
async fn until_closed(stream: Stream) -> Vec<u8> {
    let Stream::Simulated(mut stream) = stream else { unreachable!("memory only") };
    let mut left = Vec::new();
    tokio::time::timeout(Duration::from_secs(120), stream.read_to_end(&mut left)).await.unwrap().unwrap();
    left
}

async fn send_raw(stream: &mut Stream, bytes: &[u8]) {
    let Stream::Simulated(stream) = stream else { unreachable!("memory only") };
    stream.write_all(bytes).await.unwrap();
}

fn hello_bytes() -> Bytes {
    frame::encode(Kind::Hello, false, 0, &hello().to_bytes(), 0).unwrap()
}

#[test]
fn calls_are_answered_with_body_and_payload() {
    on_one_thread(async {
        let world = World::echoing();
        let link = world.connect().await;
        assert_eq!((link.hello().cluster, link.hello().term), (Some(CLUSTER), Term(3)));
        for size in [0, 1, 16 << 10, (16 << 10) + 1, 100_000, PAYLOAD_BYTES_MAX as usize] {
            let payload: Bytes = (0..size).map(|i| (i * 7) as u8).collect();
            let body = Bytes::from(vec![9; size / 2]);
            let frame = link.call(Kind::Write, body.clone(), payload.clone(), DEADLINE).await.unwrap();
            assert!(frame.body == body && frame.payload == payload, "size {size}");
        }
        let long = Bytes::from(vec![0; PAYLOAD_BYTES_MAX as usize + 1]);
        assert!(matches!(
            link.call(Kind::Write, Bytes::new(), long, DEADLINE).await,
            Err(LinkError::TooLong)
        ));
    });
}

#[test]
fn answers_find_their_calls_in_any_order_and_requests_keep_theirs() {
    on_one_thread(async {
        let held = Rc::new(RefCell::new(Vec::new()));
        let keep = Rc::clone(&held);
        let handler = move |frame: Frame, replier| keep.borrow_mut().push((frame, replier));
        let world = World::new(ServeOptions::default(), Rc::new(RefCell::new(handler)));
        let link = world.connect().await;
        let send = |n: u8| link.send(Kind::Write, Bytes::from(vec![n]), Bytes::new()).unwrap();
        let pending: Vec<_> = (0..100).map(send).collect();
        while held.borrow().len() < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let order: Vec<u8> = held.borrow().iter().map(|(frame, _)| frame.body[0]).collect();
        assert_eq!(order, (0..100).collect::<Vec<u8>>());
        for (frame, replier) in held.borrow_mut().drain(..).rev() {
            replier.answer(&frame.body, Bytes::new());
        }
        for (n, pending) in pending.into_iter().enumerate() {
            assert_eq!(pending.answer(DEADLINE).await.unwrap().body[0], n as u8);
        }
    });
}

#[test]
fn a_call_without_an_answer_ends_at_its_deadline_and_others_go_on() {
    on_one_thread(async {
        let handler = |frame: Frame, replier: Replier| {
            if frame.body != "silence" {
                replier.answer(b"", Bytes::new());
            }
        };
        let world = World::new(ServeOptions::default(), Rc::new(RefCell::new(handler)));
        let link = world.connect().await;
        let (silent, answered) = tokio::join!(ask(&link, b"silence"), ask(&link, b"x"));
        assert!(matches!(silent, Err(LinkError::TimedOut)));
        assert!(answered.is_ok());
        let long = Duration::from_secs(600);
        let silent = link.call(Kind::Request, Bytes::from_static(b"silence"), Bytes::new(), long).await;
        assert!(matches!(silent, Err(LinkError::TimedOut)), "PINGs keep the connection: {silent:?}");
        assert!(ask(&link, b"x").await.is_ok());
    });
}

#[test]
fn a_lost_connection_fails_every_call() {
    on_one_thread(async {
        let world =
            World::new(ServeOptions::default(), Rc::new(RefCell::new(|_, replier| drop::<Replier>(replier))));
        let (near, far) = tokio::io::duplex(1 << 20);
        world.net.to.lock().unwrap().as_ref().unwrap().send(far).unwrap();
        // A cable that can be cut.
        let (near, mut cable) = {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            (ours, (theirs, near))
        };
        let carry = tokio::task::spawn_local(async move {
            let _ = tokio::io::copy_bidirectional(&mut cable.0, &mut cable.1).await;
        });
        let stream = Stream::Simulated(Box::new(near));
        let link = Link::over(stream, "there:1", &hello(), LinkOptions::default()).await.unwrap();
        let (one, two, ()) = tokio::join!(ask(&link, b"1"), ask(&link, b"2"), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            carry.abort();
        });
        for result in [one, two, ask(&link, b"3").await] {
            let error = result.unwrap_err();
            assert!(matches!(error, LinkError::Lost { .. }), "{error}");
            assert_eq!(error.status(), Status::ChainBroken);
        }
    });
}

#[test]
fn a_silent_peer_is_given_up() {
    on_one_thread(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let peer = tokio::task::spawn_local(async move {
            let mut bytes = vec![0; hello_bytes().len()];
            far.read_exact(&mut bytes).await.unwrap();
            let answer = HelloAnswer {
                protocol_version: PROTOCOL_VERSION,
                result: Ok(()),
                cluster: None,
                term: Term(0),
                message: String::new(),
            };
            far.write_all(&frame::encode(Kind::Hello, true, 0, &answer.to_bytes(), 0).unwrap())
                .await
                .unwrap();
            // Open, but dead.
            tokio::time::sleep(Duration::from_secs(10_000)).await;
            drop(far);
        });
        let stream = Stream::Simulated(Box::new(near));
        let link = Link::over(stream, "there:1", &hello(), LinkOptions::default()).await.unwrap();
        let began = tokio::time::Instant::now();
        let result = link.call(Kind::Read, Bytes::new(), Bytes::new(), Duration::from_secs(300)).await;
        assert!(matches!(result, Err(LinkError::Lost { reason: Lost::Silent, .. })), "{result:?}");
        assert!(began.elapsed() < Duration::from_secs(20));
        peer.abort();
    });
}

#[test]
fn the_accepting_side_stops_reading_at_its_limit() {
    on_one_thread(async {
        let held = Rc::new(RefCell::new(Vec::new()));
        let keep = Rc::clone(&held);
        let handler = move |_: Frame, replier| keep.borrow_mut().push(replier);
        let options = ServeOptions { requests_in_flight_max: 3, ..ServeOptions::default() };
        let world = World::new(options, Rc::new(RefCell::new(handler)));
        let link = world.connect().await;
        let pending: Vec<_> =
            (0..10).map(|_| link.send(Kind::Read, Bytes::new(), Bytes::new()).unwrap()).collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(held.borrow().len(), 3);
        for pending in pending {
            let replier: Replier = held.borrow_mut().remove(0);
            replier.answer(b"", Bytes::new());
            pending.answer(DEADLINE).await.unwrap();
        }
    });
}

/// Payloads that are in memory.
#[derive(Default)]
struct InMemory {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One of them.
struct Counted(Arc<InMemory>, Vec<u8>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl InMemory {
    fn payload(self: &Arc<Self>, length: usize) -> Bytes {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Bytes::from_owner(Counted(Arc::clone(self), vec![0; length]))
    }
}

/// The frames of so many answers, from a raw stream.
async fn answers_in(stream: &mut DuplexStream, count: usize) -> Vec<(Kind, u64)> {
    let mut found = Vec::new();
    while found.len() < count {
        let mut bytes = [0; wire::HEADER_BYTES];
        stream.read_exact(&mut bytes).await.unwrap();
        let header = Header::decode(&bytes).unwrap();
        let mut rest = vec![0; (header.body_bytes + header.payload_bytes) as usize];
        stream.read_exact(&mut rest).await.unwrap();
        found.push((header.kind, header.id));
    }
    found
}

const UNSENT_FRAMES: usize = 4;
const ASKED: u64 = 200;

/// A limit of bytes that is met by so many answers.
fn unsent() -> ServeOptions {
    ServeOptions { unsent_bytes_max: (UNSENT_FRAMES << 20) - 1, ..ServeOptions::default() }
}

/// A peer asks for many long answers and reads none for a while, then all. Returns how many were in memory at most.
fn unread_answers(options: ServeOptions, handler: impl FnOnce(Arc<InMemory>) -> Handler) -> usize {
    on_one_thread(async {
        let memory = Arc::<InMemory>::default();
        let world = World::new(options, handler(Arc::clone(&memory)));
        let (mut near, far) = tokio::io::duplex(64 << 10);
        world.net.to.lock().unwrap().as_ref().unwrap().send(far).unwrap();
        near.write_all(&hello_bytes()).await.unwrap();
        assert_eq!(answers_in(&mut near, 1).await, [(Kind::Hello, 0)]);
        for id in 1..=ASKED {
            near.write_all(&frame::encode(Kind::Read, false, id, b"", 0).unwrap()).await.unwrap();
        }
        near.write_all(&frame::encode(Kind::Ping, false, 0, b"", 0).unwrap()).await.unwrap();
        // Short of what a connection on which nothing can be sent is given.
        tokio::time::sleep(Duration::from_secs(20)).await;
        let most = memory.most.load(Ordering::SeqCst);
        let mut answers = answers_in(&mut near, ASKED as usize + 1).await;
        answers.sort_by_key(|(_, id)| *id);
        assert_eq!(answers[0], (Kind::Ping, 0));
        let expected: Vec<_> = (1..=ASKED).map(|id| (Kind::Read, id)).collect();
        assert_eq!(answers[1..], expected);
        assert_eq!(memory.most.load(Ordering::SeqCst), most, "nor afterwards");
        assert_eq!(memory.now.load(Ordering::SeqCst), 0);
        most
    })
}

fn answering_at_once(memory: Arc<InMemory>) -> Handler {
    Rc::new(RefCell::new(move |_: Frame, replier: Replier| {
        replier.answer(b"", memory.payload(PAYLOAD_BYTES_MAX as usize));
    }))
}

#[test]
fn answers_that_nobody_reads_fill_no_memory() {
    assert_eq!(unread_answers(unsent(), answering_at_once), UNSENT_FRAMES);
}

#[test]
fn a_request_is_in_flight_until_its_answer_was_sent() {
    let options = ServeOptions { requests_in_flight_max: 3, ..ServeOptions::default() };
    assert_eq!(unread_answers(options, answering_at_once), 3);
    // Of each request a unit of the budget.
    let options = ServeOptions { in_flight_bytes_max: 5 << 10, ..ServeOptions::default() };
    assert_eq!(unread_answers(options, answering_at_once), 5);
}

#[test]
fn who_makes_a_large_answer_later_waits_for_room() {
    fn make(memory: Arc<InMemory>, replier: Replier) {
        if replier.has_room() {
            return replier.answer(b"", memory.payload(PAYLOAD_BYTES_MAX as usize));
        }
        replier.when_room(PAYLOAD_BYTES_MAX as usize, move |replier| make(memory, replier));
    }
    let most = unread_answers(unsent(), |memory| {
        Rc::new(RefCell::new(move |_: Frame, replier: Replier| {
            // All requests have come before the first is looked at.
            let memory = Arc::clone(&memory);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                make(memory, replier);
            });
        }))
    });
    assert_eq!(most, UNSENT_FRAMES);
}

#[test]
fn answers_longer_than_all_room_go_one_by_one() {
    on_one_thread(async {
        let options = ServeOptions { unsent_bytes_max: 1, ..ServeOptions::default() };
        let echo = |frame: Frame, replier: Replier| replier.answer(&frame.body, frame.payload);
        let world = World::new(options, Rc::new(RefCell::new(echo)));
        let link = world.connect().await;
        let payload = Bytes::from(vec![7; PAYLOAD_BYTES_MAX as usize]);
        let send = |_| link.send(Kind::Write, Bytes::new(), payload.clone()).unwrap();
        let pending: Vec<_> = (0..20).map(send).collect();
        for pending in pending {
            assert!(pending.answer(DEADLINE).await.unwrap().payload == payload);
        }
    });
}

#[test]
fn who_waits_for_room_does_not_outlive_the_connection() {
    on_one_thread(async {
        let kept = Arc::new(());
        let mark = Arc::clone(&kept);
        let handler = move |_: Frame, replier: Replier| {
            if replier.has_room() {
                return replier.answer(b"", Bytes::from(vec![0; PAYLOAD_BYTES_MAX as usize]));
            }
            let mark = Arc::clone(&mark);
            replier.when_room(1, move |replier| drop((mark, replier)));
        };
        let options = ServeOptions { unsent_bytes_max: 1, ..ServeOptions::default() };
        let late = move |frame: Frame, replier: Replier| {
            let handler = handler.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                handler(frame, replier);
            });
        };
        let world = World::new(options, Rc::new(RefCell::new(late)));
        let mut raw = world.raw().await;
        send_raw(&mut raw, &hello_bytes()).await;
        for id in 1..=10 {
            send_raw(&mut raw, &frame::encode(Kind::Read, false, id, b"", 0).unwrap()).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(Arc::strong_count(&kept) > 2, "some wait");
        drop(raw);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&kept), 2, "the handler's own is left");
    });
}

#[test]
fn the_budget_of_bytes_makes_callers_wait() {
    on_one_thread(async {
        let held = Rc::new(RefCell::new(Vec::new()));
        let keep = Rc::clone(&held);
        let handler = move |_: Frame, replier| keep.borrow_mut().push(replier);
        let world = World::new(ServeOptions::default(), Rc::new(RefCell::new(handler)));
        let options = LinkOptions { in_flight_bytes_max: 2 << 20, ..LinkOptions::default() };
        let link = Link::connect(&world.env, "there:1", &hello(), options).await.unwrap();
        let payload = Bytes::from(vec![0; 900 << 10]);
        let first = link.start(Kind::Write, Bytes::new(), payload.clone()).await.unwrap();
        let _second = link.start(Kind::Write, Bytes::new(), payload.clone()).await.unwrap();
        let mut third = Box::pin(link.start(Kind::Write, Bytes::new(), payload.clone()));
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut third).await.is_err());
        let replier: Replier = held.borrow_mut().remove(0);
        replier.answer(b"", Bytes::new());
        first.answer(DEADLINE).await.unwrap();
        third.await.unwrap();
    });
}

#[test]
fn garbage_closes_only_its_own_connection() {
    on_one_thread(async {
        let world = World::echoing();
        let link = world.connect().await;

        let mut flipped = hello_bytes().to_vec();
        flipped[20] ^= 1;
        let mut torn_body = hello_bytes().to_vec();
        *torn_body.last_mut().unwrap() ^= 1;
        let long = Header { body_bytes: u32::MAX, ..Header::new(Kind::Hello, false, 0, b"", 0).unwrap() };
        let large_hello =
            Header { body_bytes: 1 << 20, ..Header::new(Kind::Hello, false, 0, b"", 0).unwrap() };
        let not_hello = frame::encode(Kind::Request, false, 1, b"", 0).unwrap();
        let twice = [hello_bytes(), hello_bytes()].concat();
        let answer = [hello_bytes(), frame::encode(Kind::Request, true, 1, b"", 0).unwrap()].concat();
        let cases: [&[u8]; 9] = [
            b"GET / HTTP/1.1\r\nHost: there:9421\r\nAccept: */*\r\n\r\n",
            &[0xff; 4096],
            &flipped,
            &torn_body,
            &long.encode(),
            &large_hello.encode(),
            &not_hello,
            &twice,
            &answer,
        ];
        for bytes in cases {
            let mut raw = world.raw().await;
            send_raw(&mut raw, bytes).await;
            until_closed(raw).await;
            assert!(ask(&link, b"still there").await.is_ok());
        }
        let counts = world.counters.snapshot();
        assert_eq!((counts.bad_magic, counts.bad_checksum, counts.too_long), (2, 2, 1));
        assert_eq!(counts.protocol, 4);
    });
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    on_one_thread(async {
        let world = World::echoing();
        assert_eq!(until_closed(world.raw().await).await, b"");
        let mut truncated = world.raw().await;
        send_raw(&mut truncated, &hello_bytes()[..40]).await;
        until_closed(truncated).await;
        let mut idle = world.raw().await;
        send_raw(&mut idle, &hello_bytes()).await;
        assert!(!until_closed(idle).await.is_empty(), "HELLO was answered first");
    });
}

#[test]
fn an_idle_link_stays() {
    on_one_thread(async {
        let world = World::echoing();
        let link = world.connect().await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(ask(&link, b"x").await.is_ok());
        assert_eq!(world.counters.snapshot().connections, 1);
    });
}

#[test]
fn another_cluster_or_version_is_told_why() {
    on_one_thread(async {
        let world = World::echoing();
        let other = Hello { cluster: Some(ClusterId([1; 16])), ..hello() };
        let newer = Hello { protocol_version: 2, ..hello() };
        for (hello, expected) in [(other, Status::WrongCluster), (newer, Status::Unsupported)] {
            let result = Link::connect(&world.env, "there:1", &hello, LinkOptions::default()).await;
            match result.map(|_| ()) {
                Err(LinkError::Refused { status, message, .. }) => {
                    assert_eq!(status, expected);
                    assert!(!message.is_empty());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(world.counters.snapshot().refused_hellos, 2);
    });
}

#[test]
fn a_pool_shares_connections_and_makes_lost_ones_again() {
    on_one_thread(async {
        let world = World::echoing();
        let pool = Pool::new(world.env.clone(), PoolOptions::default(), hello);
        assert!(pool.get_now("a:1").is_none());
        let (first, second) = tokio::join!(pool.get("a:1"), pool.get("a:1"));
        let _ = (first.unwrap(), second.unwrap());
        assert!(pool.get_now("a:1").is_some());
        pool.get("b:1").await.unwrap();
        assert_eq!(world.counters.snapshot().connections, 2);

        let to = world.net.to.lock().unwrap().take();
        pool.clear();
        assert!(matches!(pool.get("a:1").await, Err(LinkError::Connect { .. })));
        *world.net.to.lock().unwrap() = to;
        assert!(pool.get("a:1").await.is_err(), "it was tried a moment ago");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(ask(&pool.get("a:1").await.unwrap(), b"x").await.is_ok());
    });
}

#[test]
fn the_same_calls_take_the_same_time_twice() {
    let run = || {
        on_one_thread(async {
            let world = World::echoing();
            let link = world.connect().await;
            let began = tokio::time::Instant::now();
            let mut trace = Vec::new();
            for n in 0..20 {
                let payload = Bytes::from(vec![n; usize::from(n) * 10_000]);
                link.call(Kind::Write, Bytes::new(), payload, DEADLINE).await.unwrap();
                trace.push(began.elapsed());
            }
            trace
        })
    };
    assert_eq!(run(), run());
}
