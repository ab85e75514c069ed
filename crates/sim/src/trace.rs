//! What happened, in order: a hash over everything, and the last lines for people.

use crate::chance::mix;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use tokio::time::Instant;

/// Lines kept for a failure's report.
const LINES_KEPT: usize = 60;

/// See the module.
pub(crate) struct Trace {
    begin: Instant,
    state: RefCell<State>,
    aloud: bool,
}

struct State {
    hash: u64,
    events: u64,
    lines: VecDeque<String>,
}

impl Trace {
    /// Nothing happened yet. `aloud`: every line goes to stderr too.
    pub(crate) fn new(aloud: bool) -> Self {
        let state = State { hash: 0, events: 0, lines: VecDeque::new() };
        Self { begin: Instant::now(), state: RefCell::new(state), aloud }
    }

    /// Notes an event at the present simulated time.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let at = self.begin.elapsed();
        let line = format!("{:>12.6} {what}", at.as_secs_f64());
        let mut state = self.state.borrow_mut();
        state.hash = line.bytes().fold(state.hash, |hash, byte| mix(hash ^ u64::from(byte)));
        state.events += 1;
        if self.aloud {
            eprintln!("{line}");
        }
        state.lines.push_back(line);
        if state.lines.len() > LINES_KEPT {
            state.lines.pop_front();
        }
    }

    /// The hash of all events, and their number.
    pub(crate) fn digest(&self) -> (u64, u64) {
        let state = self.state.borrow();
        (state.hash, state.events)
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        let state = self.state.borrow();
        state.lines.iter().map(|line| format!("  {line}\n")).collect()
    }
}

/// A short name for bytes.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    bytes
        .chunks(8)
        .fold(bytes.len() as u64, |hash, word| mix(hash ^ word.iter().fold(0, |w, b| w << 8 | u64::from(*b))))
}
