//! One direction of a simulated connection: bytes on their way.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// Bytes on their way before the writer waits, as with a socket's buffers.
const WINDOW_BYTES: usize = 1 << 20;

/// Bytes that travel from one host to another, in order.
pub(super) struct Pipe {
    pub(super) from: String,
    pub(super) to: String,
    segments: VecDeque<(Instant, Vec<u8>)>,
    /// Bytes of the first segment that were read already.
    taken: usize,
    bytes: usize,
    last_arrival: Option<Instant>,
    end: Option<Instant>,
    reset: bool,
    /// Nothing arrives any more, and neither end is told: the connection is half-open.
    silent: bool,
    pub(super) blocked: bool,
    pub(super) reader_gone: bool,
    pub(super) writer_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What a reader is told.
pub(super) enum Arrival {
    /// So many bytes were put into the buffer; 0 is the end.
    Bytes(usize),
    /// Look again at this time.
    At(Instant),
    /// Wait to be woken.
    Wait,
}

impl Pipe {
    pub(super) fn new(from: &str, to: &str, blocked: bool) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            segments: VecDeque::new(),
            taken: 0,
            bytes: 0,
            last_arrival: None,
            end: None,
            reset: false,
            silent: false,
            blocked,
            reader_gone: false,
            writer_gone: false,
            reader: None,
            writer: None,
        }
    }

    /// Takes bytes that arrive at `arrival`, never before those sent earlier.
    pub(super) fn write(
        &mut self,
        data: &[u8],
        arrival: Instant,
        reverse_blocked: bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.silent {
            return Poll::Ready(Ok(data.len()));
        }
        if self.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.reader_gone {
            // The news travels the other way; until it comes, the bytes go nowhere.
            return Poll::Ready(if reverse_blocked {
                Ok(data.len())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            });
        }
        let room = WINDOW_BYTES.saturating_sub(self.bytes).min(data.len());
        if room == 0 && !data.is_empty() {
            self.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let arrival = self.arrival(arrival);
        self.segments.push_back((arrival, data[..room].to_vec()));
        self.bytes += room;
        self.wake_reader();
        Poll::Ready(Ok(room))
    }

    /// Nothing more will be written.
    pub(super) fn finish(&mut self, arrival: Instant) {
        if self.end.is_none() && !self.silent {
            self.end = Some(self.arrival(arrival));
            self.wake_reader();
        }
    }

    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        now: Instant,
        context: &mut Context<'_>,
    ) -> io::Result<Arrival> {
        if self.reset || self.reader_gone {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.reader = Some(context.waker().clone());
        if self.blocked {
            return Ok(Arrival::Wait);
        }
        let mut filled = 0;
        while let Some((at, data)) = self.segments.front()
            && filled < buffer.len()
        {
            if *at > now {
                break;
            }
            let rest = &data[self.taken..];
            let count = rest.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&rest[..count]);
            filled += count;
            self.taken += count;
            if self.taken == data.len() {
                self.segments.pop_front();
                self.taken = 0;
            }
        }
        if filled > 0 {
            self.bytes -= filled;
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
            return Ok(Arrival::Bytes(filled));
        }
        match (self.segments.front(), self.end) {
            (Some((at, _)), _) => Ok(Arrival::At(*at)),
            (None, Some(end)) if end <= now => Ok(Arrival::Bytes(0)),
            (None, Some(end)) => Ok(Arrival::At(end)),
            (None, None) => Ok(Arrival::Wait),
        }
    }

    /// The connection breaks: what was on its way is lost.
    pub(super) fn break_off(&mut self) {
        self.reset = true;
        self.segments.clear();
        self.bytes = 0;
        self.wake();
    }

    /// Whoever read is gone, and the writer has not been told.
    pub(super) fn lose_reader(&mut self) {
        self.reader_gone = true;
        self.segments.clear();
        self.bytes = 0;
        self.wake();
    }

    /// Nothing comes through any more, and nobody is told: what was on its way is lost, what is written goes nowhere.
    pub(super) fn fall_silent(&mut self) {
        if !self.reset {
            self.silent = true;
            self.end = None;
            self.segments.clear();
            self.bytes = 0;
            self.wake();
        }
    }

    pub(super) fn wake(&mut self) {
        self.wake_reader();
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn arrival(&mut self, wanted: Instant) -> Instant {
        let arrival = self.last_arrival.map_or(wanted, |last| last.max(wanted));
        self.last_arrival = Some(arrival);
        arrival
    }
}
