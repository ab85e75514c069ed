//! Frames to chunkservers: WRITE, READ, FLUSH, each with its deadline.

use crate::read::replica::Replicas;
use crate::write::pipeline::{DataError, WriteJob};
use bytes::Bytes;
use codec::Message as _;
use env::{Env, Instant};
use link::{LinkError, Pool};
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use types::{
    BLOCK_BYTES, CHUNK_BYTES, Capability, ChainSequence, ChunkLocation, DiskId, LeaseEpoch, PAGE_BYTES,
    ReplicaAddress, Rights, SessionId, Status, Term, Verifier, Witness, WriteGrant,
};
use wire::Kind;
use wire::message::{Flush, FlushAnswer, Read, ReadAnswer, Write, WriteAnswer};

/// How long a chain may take for one write. Members have less, so that the hop next to a fault speaks first.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// A durable write or a flush waits for disks.
const FLUSH_DEADLINE: Duration = Duration::from_secs(30);
/// How long a replica may take for one read before another is asked.
const READ_DEADLINE: Duration = Duration::from_secs(5);
/// The chain is given this much less than the client waits.
const MARGIN: Duration = Duration::from_secs(2);
const _: () = assert!(BLOCK_BYTES.is_multiple_of(PAGE_BYTES));

/// Sends WRITE to the head of the chain.
pub(crate) async fn write(pool: &Pool, job: &WriteJob) -> Result<Vec<Witness>, DataError> {
    let (head, next) = split(&job.grant)?;
    let deadline = if job.durable { FLUSH_DEADLINE } else { WRITE_DEADLINE };
    let offset = job.offset % CHUNK_BYTES;
    let message = Write {
        capability: job.grant.capability.clone(),
        disk: head.disk,
        write_id: job.write_id,
        answered_below: job.answered_below,
        chain_sequence: ChainSequence(0),
        offset: offset as u32,
        length: job.data.len() as u32,
        page_crcs: job.crcs.to_vec(),
        block_values: wire::value::block_values(offset, &job.data),
        next: next.to_vec(),
        create: job.create,
        durable: job.durable,
        deadline_ms: (deadline - MARGIN).as_millis() as u32,
    };
    let body = message.to_bytes();
    let frame = call(pool, &head.address, Kind::Write, body, job.data.clone(), deadline).await;
    let frame = frame.map_err(|_| DataError::Link)?;
    let answer = WriteAnswer::decode(&frame.body).map_err(|_| DataError::Link)?;
    match answer.result {
        Ok(()) if answer.write_id == job.write_id => Ok(answer.witnesses),
        Ok(()) => Err(DataError::Refused { status: Status::BadMessage, failed: None }),
        Err(status) => Err(DataError::Refused { status, failed: answer.failed }),
    }
}

/// Sends FLUSH to the head of the chain.
pub(crate) async fn flush(
    pool: &Pool,
    grant: &WriteGrant,
    held: Vec<Verifier>,
) -> Result<Vec<Witness>, DataError> {
    let (head, next) = split(grant)?;
    let message = Flush {
        capability: grant.capability.clone(),
        disk: head.disk,
        chain_sequence: ChainSequence(0),
        next: next.to_vec(),
        held,
        deadline_ms: (FLUSH_DEADLINE - MARGIN).as_millis() as u32,
    };
    let body = message.to_bytes();
    let frame = call(pool, &head.address, Kind::Flush, body, Bytes::new(), FLUSH_DEADLINE).await;
    let frame = frame.map_err(|_| DataError::Link)?;
    let answer = FlushAnswer::decode(&frame.body).map_err(|_| DataError::Link)?;
    match answer.result {
        Ok(()) => Ok(answer.witnesses),
        Err(status) => Err(DataError::Refused { status, failed: answer.failed }),
    }
}

fn split(grant: &WriteGrant) -> Result<(&ReplicaAddress, &[ReplicaAddress]), DataError> {
    grant.chain.split_first().ok_or(DataError::Refused { status: Status::TryAgain, failed: None })
}

async fn call(
    pool: &Pool,
    address: &str,
    kind: Kind,
    body: Bytes,
    payload: Bytes,
    deadline: Duration,
) -> Result<wire::Frame, LinkError> {
    let answer = async {
        let link = pool.get(address).await?;
        link.call(kind, body, payload, deadline).await
    };
    tokio::time::timeout(deadline, answer).await.unwrap_or(Err(LinkError::TimedOut))
}

/// Why a range could not be read from any replica of a location.
#[derive(Debug, Default)]
pub(crate) struct ReadFailure {
    /// How many replicas had bytes that do not match their checksums.
    pub(crate) corrupt: usize,
    /// Replicas that answered, these among them. The others could not be reached, or kept silent.
    pub(crate) answered: Vec<DiskId>,
}

/// A range of a chunk that lies in one window.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) offset: u32,
    pub(crate) length: u32,
    /// Bytes around it did not match their checksums.
    pub(crate) doubted: bool,
}

/// Why one replica could not be read.
enum ReplicaError {
    /// It answered, and not with what was asked for.
    Refused(Status),
    /// The bytes do not match their checksums.
    Mismatch,
    /// There was no answer.
    Silent(LinkError),
}

impl ReplicaError {
    fn status(&self) -> Status {
        match self {
            Self::Refused(status) => *status,
            Self::Mismatch => Status::Corrupt,
            Self::Silent(error) => error.status(),
        }
    }
}

/// Requests for one range that are under way: what is asked, since when, and its answer.
type Asking<'a> = (DiskId, Instant, Pin<Box<dyn Future<Output = Result<Bytes, ReplicaError>> + Send + 'a>>);

/// Reads, trying one replica after the other, and a further one while one
/// takes its time. The bytes match their checksums.
pub(crate) async fn read(
    env: &Env,
    pool: &Pool,
    replicas: &Replicas,
    epoch: (Term, SessionId),
    location: &ChunkLocation,
    wanted: Wanted,
) -> Result<Bytes, ReadFailure> {
    let Wanted { offset, length, doubted } = wanted;
    let mut failure = ReadFailure::default();
    let mut order = replicas.order(location, env.clock.now()).into_iter().peekable();
    let mut asking: Vec<Asking<'_>> = Vec::new();
    let mut hedges = Vec::new();
    let ask = |n: usize| {
        let replica = &location.replicas[n];
        let read = Read {
            capability: Capability {
                session: epoch.1,
                term: epoch.0,
                chunk: location.chunk,
                version: location.version,
                rights: Rights::Read,
                lease_epoch: LeaseEpoch(0),
                mac: Vec::new(),
            },
            disk: replica.disk,
            offset,
            length,
            deadline_ms: READ_DEADLINE.as_millis() as u32,
            verified: false,
            ordered: false,
            recorded: false,
            doubted,
        };
        let one: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(read_from(env, pool, replicas, replica, read));
        (replica.disk, env.clock.now(), one)
    };
    loop {
        if asking.is_empty() {
            let Some(n) = order.next() else { return Err(failure) };
            asking.push(ask(n));
        }
        let patience = match (asking.last(), order.peek()) {
            (Some((disk, ..)), Some(next)) => replicas.patience(*disk, location.replicas[*next].hints),
            _ => Duration::ZERO,
        };
        let (answered, outcome) = tokio::select! {
            biased;
            answer = first_of(&mut asking) => answer,
            () = tokio::time::sleep(patience), if order.peek().is_some() => {
                // If too many are asked twice already, this one is waited for.
                if let Some(hedge) = replicas.hedge()
                    && let Some(n) = order.next()
                {
                    hedges.push(hedge);
                    asking.push(ask(n));
                }
                continue;
            }
        };
        let (disk, ..) = asking.swap_remove(answered);
        match outcome {
            Ok(bytes) => {
                let now = env.clock.now();
                asking.iter().for_each(|(disk, begun, _)| replicas.late(*disk, now.since(*begun), now));
                return Ok(bytes);
            }
            Err(ReplicaError::Silent(_)) => {}
            Err(answered) => {
                failure.corrupt += usize::from(answered.status() == Status::Corrupt);
                failure.answered.push(disk);
            }
        }
    }
}

/// The first answer of those that are awaited, and which it is.
async fn first_of(asking: &mut [Asking<'_>]) -> (usize, Result<Bytes, ReplicaError>) {
    std::future::poll_fn(|context| {
        for (n, (.., answer)) in asking.iter_mut().enumerate() {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready((n, answer));
            }
        }
        Poll::Pending
    })
    .await
}

/// Reads from one replica.
async fn read_from(
    env: &Env,
    pool: &Pool,
    replicas: &Replicas,
    replica: &ReplicaAddress,
    mut read: Read,
) -> Result<Bytes, ReplicaError> {
    let began = env.clock.now();
    let asked = replicas.ask(replica.disk);
    let mut outcome = ask_once(pool, replica, &read).await;
    if matches!(outcome, Err(ReplicaError::Mismatch)) && !read.doubted {
        // Damaged there or on its way: the server looks, and says so to the master.
        read.doubted = true;
        outcome = ask_once(pool, replica, &read).await;
    }
    let now = env.clock.now();
    match &outcome {
        Ok(_) => asked.answered(now.since(began)),
        Err(error) => {
            let (chunk, disk, status) = (read.capability.chunk, replica.disk, error.status());
            tracing::warn!(%chunk, %disk, %status, "a replica could not be read, the next is tried");
            asked.failed(now);
        }
    }
    outcome
}

async fn ask_once(pool: &Pool, replica: &ReplicaAddress, read: &Read) -> Result<Bytes, ReplicaError> {
    let body = read.to_bytes();
    let answer = call(pool, &replica.address, Kind::Read, body, Bytes::new(), READ_DEADLINE).await;
    let frame = answer.map_err(ReplicaError::Silent)?;
    let answer = ReadAnswer::decode(&frame.body).map_err(|_| ReplicaError::Refused(Status::BadMessage))?;
    check(answer, frame.payload, read.offset, read.length)
}

/// The wanted bytes of an answer, if they match their checksums.
fn check(answer: ReadAnswer, payload: Bytes, offset: u32, length: u32) -> Result<Bytes, ReplicaError> {
    answer.result.map_err(ReplicaError::Refused)?;
    if answer.zeroes {
        return Ok(zeroes(length as usize));
    }
    let (first, end) = wire::message::page_span(offset, length);
    if payload.len() as u64 != end - first {
        return Err(ReplicaError::Refused(Status::BadMessage));
    }
    if !wire::crc::verify(first, &payload, &answer.page_crcs) {
        return Err(ReplicaError::Mismatch);
    }
    let from = (u64::from(offset) - first) as usize;
    Ok(payload.slice(from..from + length as usize))
}

/// Zeroes without memory of their own.
pub(crate) fn zeroes(length: usize) -> Bytes {
    static ZEROES: [u8; 1 << 20] = [0; 1 << 20];
    if length <= ZEROES.len() { Bytes::from_static(&ZEROES[..length]) } else { vec![0; length].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(payload: &[u8]) -> ReadAnswer {
        let page_crcs = wire::crc::page_crcs(0, payload);
        ReadAnswer { result: Ok(()), page_crcs, zeroes: false, chain_sequence: ChainSequence(0) }
    }

    #[test]
    fn an_answer_is_cut_to_what_was_asked_and_believed_only_with_its_checksums() {
        let payload: Vec<u8> = (0..8192_u32).map(|n| (n / 3) as u8).collect();
        let bytes = Bytes::from(payload.clone());
        let check = |answer, payload, offset, length| {
            check(answer, payload, offset, length).map_err(|error| error.status())
        };
        let got = check(answer(&payload), bytes.clone(), 4096 + 100, 5000);
        assert_eq!(got.as_deref(), Ok(&payload[100..5100]));
        let mut rotten = payload.clone();
        rotten[8000] ^= 1;
        assert_eq!(check(answer(&payload), rotten.into(), 4096, 8192), Err(Status::Corrupt));
        assert_eq!(check(answer(&payload), bytes.slice(4096..), 4096, 8192), Err(Status::BadMessage));
        let holes = ReadAnswer { zeroes: true, ..answer(&[]) };
        assert_eq!(check(holes, Bytes::new(), 7, 3).as_deref(), Ok(&[0, 0, 0][..]));
    }
}
