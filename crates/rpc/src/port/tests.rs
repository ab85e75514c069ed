//! One port, told apart by its first bytes.

use super::*;
use crate::testing::{Port, real, simulated, soon};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

fn both(stream: Stream) -> Box<dyn Both> {
    match stream {
        Stream::Tcp(stream) => Box::new(stream),
        Stream::Simulated(stream) => Box::new(stream),
    }
}

/// A port whose frame handler echoes four bytes, then holds the connection until the other end goes.
fn echo() -> Services {
    let handler: FrameHandler = Arc::new(|stream, _peer| {
        Box::pin(async move {
            let mut stream = both(stream);
            let mut first = [0; 4];
            if stream.read_exact(&mut first).await.is_ok() {
                let _ = stream.write_all(&first).await;
                let _ = stream.read_u8().await;
            }
        })
    });
    Services { frames: Some(Frames { handler, runtime: Handle::current() }), ..Default::default() }
}

async fn open(port: &Port) -> Box<dyn Both> {
    both(port.env.net.connect(&port.address).await.expect("the port is up"))
}

async fn echoed(stream: &mut dyn Both) -> io::Result<[u8; 4]> {
    let mut back = [0; 4];
    soon(stream.read_exact(&mut back)).await.map(|_| back)
}

async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_handler_of_frames_sees_the_stream_from_its_first_byte() {
    for port in [real(echo(), PortOptions::default()).await, simulated(echo(), PortOptions::default()).await]
    {
        let mut stream = open(&port).await;
        stream.write_all(b"MS").await.expect("connected");
        stream.flush().await.expect("connected");
        tokio::task::yield_now().await;
        stream.write_all(b"KX").await.expect("connected");
        assert_eq!(&echoed(&mut *stream).await.expect("an echo"), b"MSKX");
        assert_eq!(port.counters.frames.load(Relaxed), 1);
    }
}

#[tokio::test]
async fn a_browser_gets_a_short_text() {
    let port = real(echo(), PortOptions::default()).await;
    let mut stream = open(&port).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("connected");
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
    assert_eq!(port.counters.http.load(Relaxed), 1);
}

#[tokio::test]
async fn strangers_are_closed_and_counted() {
    let port = real(echo(), PortOptions::default()).await;
    // gRPC is unknown where no service takes it; the plain carrier on every real socket.
    for bytes in [*b"SSH-", *b"PRI ", carrier::MAGIC] {
        let mut stream = open(&port).await;
        stream.write_all(&bytes).await.expect("connected");
        assert!(echoed(&mut *stream).await.is_err());
    }
    assert_eq!(port.counters.unknown.load(Relaxed), 3);
}

#[tokio::test]
async fn whoever_says_nothing_is_closed_in_time() {
    let options = PortOptions { first_bytes_timeout: Duration::from_millis(50), ..PortOptions::default() };
    for port in [real(echo(), options).await, simulated(echo(), options).await] {
        let mut stream = open(&port).await;
        stream.write_all(b"MSK").await.expect("connected");
        assert!(echoed(&mut *stream).await.is_err());
        assert_eq!(port.counters.silent.load(Relaxed), 1);
    }
}

#[tokio::test]
async fn a_full_port_turns_away_until_somebody_leaves() {
    let options = PortOptions { per_peer_max: 2, ..PortOptions::default() };
    let port = real(echo(), options).await;
    let mut inside = Vec::new();
    for _ in 0..2 {
        let mut stream = open(&port).await;
        stream.write_all(b"MSKX").await.expect("connected");
        echoed(&mut *stream).await.expect("an echo");
        inside.push(stream);
    }
    let mut outside = open(&port).await;
    assert!(echoed(&mut *outside).await.is_err());
    assert_eq!(port.counters.refused_peer.load(Relaxed), 1);
    inside.pop();
    soon(async {
        loop {
            let mut stream = open(&port).await;
            if stream.write_all(b"MSKX").await.is_ok() && echoed(&mut *stream).await.is_ok() {
                return;
            }
        }
    })
    .await;
    until(|| port.counters.frames.load(Relaxed) == 3).await;
}

#[tokio::test]
async fn dropping_the_port_cuts_its_connections() {
    for port in [real(echo(), PortOptions::default()).await, simulated(echo(), PortOptions::default()).await]
    {
        let mut stream = open(&port).await;
        stream.write_all(b"MSKX").await.expect("connected");
        echoed(&mut *stream).await.expect("an echo");
        drop(port);
        assert!(echoed(&mut *stream).await.is_err());
    }
}
