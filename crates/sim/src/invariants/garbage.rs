//! Bytes from a socket never cause a panic or an endless loop: strangers send nonsense to every port, and everything
//! still works. (A panic of any task ends the run; see `panics`.)

use crate::chance::Chance;
use crate::driver::{Stage, Violation};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{SessionId, Term};
use wire::Kind;
use wire::frame::{HEADER_BYTES, PROTOCOL_VERSION};
use wire::message::{Hello, Role};

const STRANGER: &str = "stranger";
/// Strangers at each port.
const TRIES: u64 = 8;
/// Longest nonsense.
const BYTES_MAX: u64 = 4096;
/// How long a stranger listens to the answer.
const LISTENS: Duration = Duration::from_secs(1);

/// Sends nonsense to all roles.
pub(crate) async fn send(stage: &Stage, chance: &mut Chance) -> Result<(), Violation> {
    let env = stage.cluster.world().env(STRANGER);
    for address in stage.cluster.addresses() {
        for _ in 0..TRIES {
            let nonsense = some_nonsense(chance);
            let connected = env.net.connect(&address).await;
            let mut stream = match connected {
                Ok(env::Stream::Simulated(stream)) => stream,
                Ok(env::Stream::Tcp(_)) => return Err(stage.violation("the simulated network has sockets")),
                Err(error) => {
                    return Err(stage.violation(format_args!("{address} takes no connection: {error}")));
                }
            };
            stage.trace.note(format_args!("{} bytes of nonsense to {address}", nonsense.len()));
            // Being cut off in the middle is the right answer.
            let _ = stream.write_all(&nonsense).await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(LISTENS, stream.read_to_end(&mut answer)).await;
        }
    }
    Ok(())
}

/// Nothing but chance; a greeting followed by chance; or a frame with a right header and a body that makes no sense.
fn some_nonsense(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = |most: u64| -> Vec<u8> {
        let count = chance.within(1, most);
        (0..count).map(|_| chance.next() as u8).collect()
    };
    let noise = bytes(BYTES_MAX);
    let body = bytes(200);
    match chance.below(4) {
        0 => noise,
        1 => [wire::frame::MAGIC.as_slice(), &noise].concat(),
        2 => [hello(), noise].concat(),
        _ => {
            let kind = *chance.pick(&Kind::ALL);
            let nonsense = wire::frame::encode(kind, chance.percent(20), chance.next(), &body, 0);
            let mut frame = nonsense.map(|frame| frame.to_vec()).unwrap_or_default();
            if chance.percent(30) {
                let at = chance.below(HEADER_BYTES as u64) as usize;
                frame[at] ^= 1 << chance.below(8);
            }
            [hello(), frame].concat()
        }
    }
}

fn hello() -> Vec<u8> {
    let hello = Hello {
        protocol_version: PROTOCOL_VERSION,
        role: Role::Client,
        cluster: None,
        term: Term(0),
        session: SessionId(0),
        name: STRANGER.to_owned(),
    };
    let body = codec::Message::to_bytes(&hello);
    wire::frame::encode(Kind::Hello, false, 1, &body, 0).map(|frame| frame.to_vec()).unwrap_or_default()
}
