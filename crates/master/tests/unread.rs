//! A client that asks for large listings and reads none of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod helper;

use codec::Message as _;
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer};
use helper::{ADDRESS, run};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::*;
use wire::frame::PROTOCOL_VERSION;
use wire::message::{Hello, Role};
use wire::{HEADER_BYTES, Header, Kind, frame};

type Peer = Box<dyn env::SimulatedStream>;

/// Fewer than a connection may have in flight.
const LISTINGS: u64 = 400;
const MIB: usize = 1 << 20;
/// What may wait (`ServeOptions::unsent_bytes_max`).
const UNSENT_MAX: usize = 64 * MIB;

async fn next(stream: &mut Peer) -> (Header, Vec<u8>) {
    let mut bytes = [0; HEADER_BYTES];
    stream.read_exact(&mut bytes).await.unwrap();
    let header = Header::decode(&bytes).unwrap();
    let mut body = vec![0; header.body_bytes as usize];
    stream.read_exact(&mut body).await.unwrap();
    (header, body)
}

async fn send(stream: &mut Peer, kind: Kind, id: u64, body: &[u8]) {
    stream.write_all(&frame::encode(kind, false, id, body, 0).unwrap()).await.unwrap();
}

#[test]
fn who_reads_no_answers_is_refused_listings_until_he_does() {
    run(async |world| {
        let _master = world.start().await;
        let mut client = world.client("a").await;
        let root = client.root().await;
        for n in 0..4_200 {
            client.mkdir(&format!("{n:0250}")).await.unwrap();
        }
        let env::Stream::Simulated(mut peer) = world.sim.env("b").net.connect(ADDRESS).await.unwrap() else {
            unreachable!("a simulated world")
        };
        let hello = Hello {
            protocol_version: PROTOCOL_VERSION,
            role: Role::Client,
            cluster: None,
            term: Term(0),
            session: SessionId::default(),
            name: "b".into(),
        };
        send(&mut peer, Kind::Hello, 0, &hello.to_bytes()).await;
        assert_eq!(next(&mut peer).await.0.kind, Kind::Hello);
        let open = SessionOpen {
            session: None,
            name: "b".into(),
            highest_answered: LogIndex(0),
            answered_term: Term(0),
            prefer: None,
        };
        send(&mut peer, Kind::SessionOpen, 1, &open.to_bytes()).await;
        SessionOpenAnswer::decode(&next(&mut peer).await.1).unwrap().0.unwrap();
        let listing = |sequence| RequestMessage {
            sequence: Sequence(sequence),
            answered_below: Sequence(1),
            request: Request::ReadDirectory { dir: root, after: DirCursor::default(), bytes_max: MIB as u32 },
        };
        for n in 1..=LISTINGS {
            send(&mut peer, Kind::Request, 1 + n, &listing(n).to_bytes()).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (mut listed, mut refused) = (0, 0);
        for _ in 0..LISTINGS {
            let (_, body) = next(&mut peer).await;
            match AnswerMessage::decode(&body).unwrap().outcome {
                Ok(Reply::Directory { .. }) => listed += body.len(),
                Err(Status::TryAgain) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        // The connection has taken some.
        assert!((UNSENT_MAX..2 * UNSENT_MAX).contains(&listed), "{} MiB", listed / MIB);
        assert!(refused > 0);
        send(&mut peer, Kind::Request, 2 + LISTINGS, &listing(1 + LISTINGS).to_bytes()).await;
        let last = AnswerMessage::decode(&next(&mut peer).await.1).unwrap();
        assert!(matches!(last.outcome, Ok(Reply::Directory { .. })), "now there is room");
    });
}
