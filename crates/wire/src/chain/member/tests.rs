//! A member of a write chain as a machine: order, gaps, flushes, lost neighbours.

mod flushes;
mod raises;

use super::super::table::WRITES_REMEMBERED_MAX;
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;

fn disk(n: usize) -> DiskId {
    DiskId([n as u8 + 1; 16])
}

fn verifier(n: usize) -> Verifier {
    Verifier { disk: disk(n), boot: 100 + n as u64, made: 7 }
}

fn witness(n: usize) -> Witness {
    Witness { verifier: verifier(n), sources: Vec::new() }
}

fn from_client(write_id: u64, next: Option<DiskId>) -> WriteInput {
    WriteInput {
        session: SessionId(1),
        write_id,
        answered_below: 1,
        chain_sequence: ChainSequence(0),
        offset: 4096 * write_id as u32,
        length: 10,
        next,
    }
}

/// The bytes that a write with this number covers.
fn range_of(write_id: u64) -> (u64, u64) {
    (4096 * write_id, 4096 * write_id + 10)
}

fn from_head(sequence: u64) -> WriteInput {
    WriteInput { chain_sequence: ChainSequence(sequence), ..from_client(sequence, None) }
}

/// Takes a write and names its operation.
fn take(member: &mut Member, input: &WriteInput) -> Op {
    let mut out = Vec::new();
    match member.write(input, &mut out) {
        Admission::Taken { op, .. } if out.is_empty() => op,
        other => panic!("not taken: {other:?} {out:?}"),
    }
}

fn refused(admission: Admission) -> Refusal {
    match admission {
        Admission::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_write_is_answered_only_when_it_is_applied_here_and_behind() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let mut out = Vec::new();
    let first = take(&mut head, &from_client(1, Some(disk(1))));
    let second = take(&mut head, &from_client(2, Some(disk(1))));
    head.applied(first, Ok(()), &mut out);
    head.answered(second, Ok(vec![witness(1)]), &mut out);
    assert_eq!(out, []);
    head.answered(first, Ok(vec![witness(1)]), &mut out);
    head.applied(second, Ok(()), &mut out);
    let both = Ok(vec![witness(0), witness(1)]);
    assert_eq!(
        out,
        [
            Answer { op: first, chain_sequence: ChainSequence(1), result: both.clone() },
            Answer { op: second, chain_sequence: ChainSequence(2), result: both },
        ]
    );
    let recent = vec![(4096, 4106), (8192, 8202)];
    head.close(Status::WrongVersion, &mut out);
    let applied = ChainSequence(2);
    assert_eq!(head.report(), Closed { applied, recent, ..Closed::default() }, "nothing failed");
}

#[test]
fn a_repeat_takes_effect_once_and_gets_the_first_answer() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let mut out = Vec::new();
    let op = take(&mut head, &from_client(1, None));
    assert_eq!(head.write(&from_client(1, None), &mut out), Admission::Joined { op });
    head.applied(op, Ok(()), &mut out);
    assert_eq!(
        head.write(&from_client(1, None), &mut out),
        Admission::Repeated { chain_sequence: ChainSequence(1), witnesses: vec![witness(0)] }
    );
    // Once the client holds the answer, an old copy of the frame is dropped.
    take(&mut head, &WriteInput { answered_below: 2, ..from_client(2, None) });
    assert_eq!(refused(head.write(&from_client(1, None), &mut out)).status, Status::Invalid);
}

#[test]
fn what_is_remembered_of_a_session_is_bounded() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let mut out = Vec::new();
    for write_id in 1..=WRITES_REMEMBERED_MAX as u64 {
        let op = take(&mut head, &from_client(write_id, None));
        head.applied(op, Ok(()), &mut out);
    }
    let next = from_client(WRITES_REMEMBERED_MAX as u64 + 1, None);
    assert_eq!(refused(head.write(&next, &mut out)).status, Status::TryAgain);
    take(&mut head, &WriteInput { answered_below: 2, ..next });
}

#[test]
fn a_full_window_asks_to_try_again_and_too_many_sessions_ask_for_a_raise() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let mut out = Vec::new();
    for write_id in 1..=WRITES_IN_FLIGHT_MAX as u64 {
        take(&mut head, &from_client(write_id, None));
    }
    let over = from_client(WRITES_IN_FLIGHT_MAX as u64 + 1, None);
    assert_eq!(refused(head.write(&over, &mut out)), Refusal { status: Status::TryAgain, failed: None });

    let mut head = Member::new(verifier(0), Origin::Beginning);
    for session in 0..=SESSIONS_MAX as u64 {
        let input = WriteInput { session: SessionId(session), ..from_client(1, None) };
        if session < SESSIONS_MAX as u64 {
            let op = take(&mut head, &input);
            head.applied(op, Ok(()), &mut out);
        } else {
            assert_eq!(refused(head.write(&input, &mut out)).status, Status::Gap);
        }
    }
}

#[test]
fn a_gap_fails_a_follower_for_good() {
    let mut follower = Member::new(verifier(1), Origin::Beginning);
    let mut out = Vec::new();
    let first = take(&mut follower, &from_head(1));
    let gap = refused(follower.write(&from_head(3), &mut out));
    assert_eq!(gap.failed, Some(FailedEdge { from: None, to: disk(1), status: Status::Gap }));
    assert_eq!(refused(follower.write(&from_head(2), &mut out)), gap);
    follower.applied(first, Ok(()), &mut out);
    assert!(out[0].result.is_ok(), "what came before the gap is sound");
}

#[test]
fn an_older_sequence_is_a_gap_too() {
    let mut follower = Member::new(verifier(1), Origin::Beginning);
    take(&mut follower, &from_head(1));
    assert_eq!(refused(follower.write(&from_head(1), &mut Vec::new())).status, Status::Gap);
}

#[test]
fn a_copy_names_the_disks_that_it_answers_for_with_its_own_and_one_that_is_being_filled_names_nobody() {
    let (mut out, mut head) = (Vec::new(), Member::new(verifier(0), Origin::Beginning));
    head.vouch(vec![verifier(7), verifier(8)]);
    let copy = |n, sources| Witness { sources, ..witness(n) };
    let (first, second) = (copy(0, vec![verifier(7), verifier(8)]), copy(1, vec![verifier(9)]));
    let write = take(&mut head, &from_client(1, Some(disk(1))));
    head.applied(write, Ok(()), &mut out);
    head.answered(write, Ok(vec![second.clone()]), &mut out);
    let all = vec![first, second];
    assert_eq!(out[0].result.as_ref(), Ok(&all));
    let repeat = head.write(&from_client(1, Some(disk(1))), &mut out);
    assert!(matches!(repeat, Admission::Repeated { witnesses, .. } if witnesses == all));
    let (mut out, mut filled) = (Vec::new(), Member::new(verifier(2), Origin::Filling));
    filled.vouch(vec![verifier(7)]);
    let write = take(&mut filled, &from_head(1));
    filled.applied(write, Ok(()), &mut out);
    assert_eq!(out.remove(0).result, Ok(vec![]));
    filled.filled();
    let write = take(&mut filled, &from_head(2));
    filled.applied(write, Ok(()), &mut out);
    assert_eq!(out.remove(0).result, Ok(vec![copy(2, vec![verifier(7)])]));
}

#[test]
fn the_edge_that_failed_first_is_named() {
    let mut out = Vec::new();
    let mut tail = Member::new(verifier(2), Origin::Beginning);
    let op = take(&mut tail, &from_head(1));
    tail.applied(op, Err(Status::Io), &mut out);
    let from_tail = out.remove(0).result.unwrap_err();
    assert_eq!(from_tail.failed, Some(FailedEdge { from: None, to: disk(2), status: Status::Io }));

    let mut middle = Member::new(verifier(1), Origin::Beginning);
    let op = take(&mut middle, &WriteInput { next: Some(disk(2)), ..from_head(1) });
    middle.answered(op, Err(from_tail), &mut out);
    let from_middle = out.remove(0).result.unwrap_err();
    let edge = FailedEdge { from: Some(disk(1)), to: disk(2), status: Status::Io };
    assert_eq!(from_middle, Refusal { status: Status::Io, failed: Some(edge) });

    let mut head = Member::new(verifier(0), Origin::Beginning);
    let op = take(&mut head, &from_client(1, Some(disk(1))));
    head.answered(op, Err(from_middle), &mut out);
    assert_eq!(out.remove(0).result, Err(from_middle));
    assert_eq!(refused(head.write(&from_client(2, Some(disk(1))), &mut out)), from_middle);
}

#[test]
fn a_lost_connection_fails_what_waits_for_it_and_the_rest_is_still_applied_here() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let mut out = Vec::new();
    let first = take(&mut head, &from_client(1, Some(disk(1))));
    let second = take(&mut head, &from_client(2, Some(disk(1))));
    head.answered(first, Ok(vec![witness(1)]), &mut out);
    head.lost_behind(Status::ChainBroken, &mut out);
    assert_eq!((out.len(), out[0].op), (1, second));
    head.applied(first, Ok(()), &mut out);
    assert!(out[1].result.is_ok() && !head.is_drained());
    head.applied(second, Ok(()), &mut out);
    assert!(head.is_drained());
    assert_eq!(head.report().unacknowledged, [(8192, 8202)]);
}

#[test]
fn an_idle_connection_may_come_and_go() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let mut out = Vec::new();
    let first = take(&mut head, &from_client(1, Some(disk(1))));
    head.applied(first, Ok(()), &mut out);
    head.answered(first, Ok(vec![witness(1)]), &mut out);
    head.lost_behind(Status::ChainBroken, &mut out);
    take(&mut head, &from_client(2, Some(disk(1))));
}

#[test]
fn a_closed_member_answers_what_waits_and_takes_no_more() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let mut out = Vec::new();
    let op = take(&mut head, &from_client(1, Some(disk(1))));
    head.close(Status::WrongVersion, &mut out);
    assert_eq!(out[0].result, Err(Refusal { status: Status::WrongVersion, failed: None }));
    assert_eq!(refused(head.write(&from_client(2, Some(disk(1))), &mut out)).status, Status::WrongVersion);
    head.applied(op, Ok(()), &mut out);
    assert_eq!(out.len(), 1, "answered once");
    assert_eq!(head.report().unacknowledged.len(), 1);
}

#[test]
fn all_writers_use_the_same_chain() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    take(&mut head, &from_client(1, Some(disk(1))));
    assert_eq!(refused(head.write(&from_client(2, Some(disk(2))), &mut Vec::new())).status, Status::Invalid);
    let headless = WriteInput { next: Some(disk(1)), ..from_head(2) };
    assert_eq!(refused(head.write(&headless, &mut Vec::new())).status, Status::Invalid);
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Write(u64, u64),
    Flush { after: usize },
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Write(u64, u64),
    Flush,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    job: Job,
    sequence: ChainSequence,
    up_op: Op,
}

type Outcome = Result<Vec<Witness>, Refusal>;

/// Three members, two sessions, and connections that delay and break.
struct World {
    members: Vec<Member>,
    alive: [bool; 3],
    down: [VecDeque<Frame>; 2],
    up: [VecDeque<(Op, Outcome)>; 2],
    /// Frames that vanished: their answers never come, until the sender's patience ends.
    vanished: [VecDeque<Op>; 2],
    /// Connection broken, and whether the upstream member knows.
    broken: [Option<bool>; 2],
    strands: [VecDeque<(Op, Job)>; 3],
    stopped: [bool; 3],
    /// What was applied, and how much of it was flushed.
    logs: [Vec<(u64, u64)>; 3],
    synced: [usize; 3],
    /// Who waits for an operation: requests at the head, the upstream operation elsewhere.
    waiters: Vec<BTreeMap<Op, Vec<u64>>>,
    requests: Vec<(Asked, u32, Option<bool>)>,
    sent: [u64; 2],
}

impl World {
    fn new() -> Self {
        Self {
            members: (0..3).map(|n| Member::new(verifier(n), Origin::Beginning)).collect(),
            alive: [true; 3],
            down: Default::default(),
            up: Default::default(),
            vanished: Default::default(),
            broken: [None; 2],
            strands: Default::default(),
            stopped: [false; 3],
            logs: Default::default(),
            synced: [0; 3],
            waiters: vec![BTreeMap::new(); 3],
            requests: Vec::new(),
            sent: [0; 2],
        }
    }

    fn next(n: usize) -> Option<DiskId> {
        (n < 2).then(|| disk(n + 1))
    }

    fn answer_client(&mut self, request: u64, ok: bool) {
        let request = &mut self.requests[request as usize];
        request.1 += 1;
        request.2 = Some(ok);
    }

    fn tell(&mut self, n: usize, waiter: u64, result: Outcome) {
        if n == 0 {
            self.answer_client(waiter, result.is_ok());
        } else if self.broken[n - 1].is_none() {
            self.up[n - 1].push_back((Op(waiter), result));
        }
    }

    fn answers(&mut self, n: usize, out: Vec<Answer>) {
        for answer in out {
            for waiter in self.waiters[n].remove(&answer.op).expect("each is answered once") {
                self.tell(n, waiter, answer.result.clone());
            }
        }
    }

    fn admitted(&mut self, n: usize, waiter: u64, job: Job, admission: Admission, out: Vec<Answer>) {
        self.answers(n, out);
        match admission {
            Admission::Taken { op, chain_sequence } => {
                self.waiters[n].insert(op, vec![waiter]);
                self.strands[n].push_back((op, job));
                if n < 2 && self.broken[n].is_none() {
                    self.down[n].push_back(Frame { job, sequence: chain_sequence, up_op: op });
                } else if n < 2 {
                    self.broken[n] = Some(false);
                }
            }
            Admission::Joined { op } => self.waiters[n].get_mut(&op).expect("in flight").push(waiter),
            Admission::Repeated { witnesses, .. } => self.tell(n, waiter, Ok(witnesses)),
            Admission::Refused(refusal) => self.tell(n, waiter, Err(refusal)),
        }
    }

    fn client_writes(&mut self, session: usize, write_id: u64) {
        if !self.alive[0] {
            return;
        }
        let session_id = session as u64 + 1;
        let held = |id: u64| {
            self.requests
                .iter()
                .any(|(asked, _, ok)| *asked == Asked::Write(session_id, id) && *ok == Some(true))
        };
        let answered_below = (1..=write_id).find(|id| !held(*id)).unwrap_or(write_id);
        let request = self.requests.len() as u64;
        self.requests.push((Asked::Write(session_id, write_id), 0, None));
        let input = WriteInput {
            session: SessionId(session_id),
            answered_below,
            ..from_client(write_id, Self::next(0))
        };
        let mut out = Vec::new();
        let admission = self.members[0].write(&input, &mut out);
        self.admitted(0, request, Job::Write(session_id, write_id), admission, out);
    }

    fn client_flushes(&mut self) {
        if !self.alive[0] {
            return;
        }
        let request = self.requests.len() as u64;
        self.requests.push((Asked::Flush { after: self.requests.len() }, 0, None));
        let held = [verifier(0), verifier(1), verifier(2)];
        let flush = FlushInput { chain_sequence: ChainSequence(0), held: &held, next: Self::next(0) };
        let admission = self.members[0].flush(&flush);
        self.admitted(0, request, Job::Flush, admission, Vec::new());
    }

    fn deliver_down(&mut self, edge: usize) -> bool {
        if self.broken[edge].is_some() {
            return false;
        }
        let Some(frame) = self.down[edge].pop_front() else { return false };
        let n = edge + 1;
        let mut out = Vec::new();
        let admission = match frame.job {
            Job::Write(session, write_id) => self.members[n].write(
                &WriteInput {
                    session: SessionId(session),
                    chain_sequence: frame.sequence,
                    ..from_client(write_id, Self::next(n))
                },
                &mut out,
            ),
            Job::Flush => self.members[n].flush(&FlushInput {
                chain_sequence: frame.sequence,
                held: &[verifier(n)],
                next: Self::next(n),
            }),
        };
        self.admitted(n, frame.up_op.0, frame.job, admission, out);
        true
    }

    /// Answers overtake each other.
    fn deliver_up(&mut self, edge: usize, which: usize) -> bool {
        if self.up[edge].is_empty() || self.broken[edge].is_some() {
            return false;
        }
        let which = which % self.up[edge].len();
        let (op, result) = self.up[edge].remove(which).expect("in range");
        let mut out = Vec::new();
        self.members[edge].answered(op, result, &mut out);
        self.answers(edge, out);
        true
    }

    fn run_job(&mut self, n: usize, fail: bool) -> bool {
        if !self.alive[n] || self.stopped[n] {
            return false;
        }
        let Some((op, job)) = self.strands[n].pop_front() else { return false };
        let mut out = Vec::new();
        if fail {
            self.stopped[n] = true;
            self.members[n].applied(op, Err(Status::Io), &mut out);
        } else {
            match job {
                Job::Write(session, write_id) => self.logs[n].push((session, write_id)),
                Job::Flush => self.synced[n] = self.logs[n].len(),
            }
            self.members[n].applied(op, Ok(()), &mut out);
        }
        self.answers(n, out);
        true
    }

    fn break_edge(&mut self, edge: usize) {
        self.down[edge].clear();
        self.up[edge].clear();
        self.broken[edge].get_or_insert(false);
    }

    fn notice(&mut self, edge: usize) -> bool {
        if self.broken[edge] != Some(false) || !self.alive[edge] {
            return false;
        }
        self.broken[edge] = Some(true);
        let mut out = Vec::new();
        self.members[edge].lost_behind(Status::ChainBroken, &mut out);
        self.answers(edge, out);
        true
    }

    /// A new connection takes the place of a broken one; it knows nothing of the old one's frames.
    fn reconnect(&mut self, edge: usize) {
        if edge < 2 && self.broken[edge] == Some(true) && self.alive[edge] && self.alive[edge + 1] {
            self.broken[edge] = None;
        }
    }

    fn vanish(&mut self, edge: usize) {
        if let Some(frame) = self.down[edge].pop_front() {
            self.vanished[edge].push_back(frame.up_op);
        }
    }

    fn time_out(&mut self, edge: usize) -> bool {
        let Some(op) = self.vanished[edge].pop_front() else { return false };
        if self.alive[edge] {
            let mut out = Vec::new();
            let refusal = Refusal { status: Status::TimedOut, failed: None };
            self.members[edge].answered(op, Err(refusal), &mut out);
            self.answers(edge, out);
        }
        true
    }

    fn kill(&mut self, n: usize) {
        self.alive[n] = false;
        if n > 0 {
            self.break_edge(n - 1);
        }
        if n < 2 {
            self.break_edge(n);
        }
    }

    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for n in 0..3 {
                moved |= self.run_job(n, false);
                if n < 2 {
                    moved |= self.deliver_down(n) | self.deliver_up(n, 0) | self.notice(n) | self.time_out(n);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn step(&mut self, action: u8, value: u8) {
        let value = usize::from(value);
        match action {
            0..=5 => {
                let session = value % 2;
                self.sent[session] += 1;
                self.client_writes(session, self.sent[session]);
            }
            6 => {
                let session = value % 2;
                if self.sent[session] > 0 {
                    self.client_writes(session, 1 + value as u64 % self.sent[session]);
                }
            }
            7 => self.client_flushes(),
            8..=11 => {
                self.deliver_down(value % 2);
            }
            12..=15 => {
                self.deliver_up(value % 2, value / 2);
            }
            16..=21 => {
                self.run_job(value % 3, false);
            }
            22 => {
                let noticed = self.notice(value % 2);
                self.reconnect(value % 2 + 2 * usize::from(noticed));
            }
            // Rare: one fault in most runs.
            23 if value < 40 => {
                self.run_job(value % 3, true);
            }
            23 if value < 80 => self.break_edge(value % 2),
            23 if value < 120 => self.kill(value % 3),
            23 if value < 160 => self.vanish(value % 2),
            _ => {}
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for log in &self.logs {
            let distinct: std::collections::BTreeSet<_> = log.iter().collect();
            prop_assert_eq!(distinct.len(), log.len(), "a write was applied twice");
        }
        for n in 0..2 {
            let shorter = self.logs[n].len().min(self.logs[n + 1].len());
            prop_assert_eq!(&self.logs[n][..shorter], &self.logs[n + 1][..shorter], "the order differs");
            if self.alive[n] && !self.stopped[n] {
                prop_assert!(self.logs[n].len() >= self.logs[n + 1].len(), "a successor has more");
            }
        }
        let reports: Vec<Closed> = self.members.iter().map(Member::report).collect();
        for (has, lacks) in (0..3).flat_map(|one| (0..3).map(move |other| (one, other))) {
            for (session, write_id) in self.logs[has].iter().filter(|write| !self.logs[lacks].contains(write))
            {
                // Of a member that was killed nobody asks.
                let told = (0..3).filter(|n| self.alive[*n]).any(|n| {
                    let of_all = reports[n].unacknowledged.iter();
                    let of_recent = reports[n].recent.iter().filter(|_| !self.alive[lacks]);
                    of_all.chain(of_recent).any(|range| *range == range_of(*write_id))
                });
                prop_assert!(
                    told || !self.alive[has],
                    "nobody tells that {lacks} lacks {session}.{write_id}"
                );
            }
        }
        for (number, (asked, answers, ok)) in self.requests.iter().enumerate() {
            prop_assert!(*answers <= 1, "request {} was answered {} times", number, answers);
            if self.alive[0] {
                prop_assert_eq!(*answers, 1, "request {} {:?} was not answered", number, asked);
            }
            if *ok != Some(true) {
                continue;
            }
            match asked {
                Asked::Write(session, write_id) => {
                    for log in &self.logs {
                        prop_assert!(
                            log.contains(&(*session, *write_id)),
                            "an acknowledged write is missing"
                        );
                    }
                }
                Asked::Flush { after } => {
                    for (log, synced) in self.logs.iter().zip(self.synced) {
                        for (earlier, ..) in self.requests[..*after].iter() {
                            let Asked::Write(session, write_id) = earlier else { continue };
                            // Refused ones are nowhere; what was taken is on stable storage everywhere.
                            let somewhere = self.logs[0].contains(&(*session, *write_id));
                            let covered = log[..synced].contains(&(*session, *write_id));
                            prop_assert!(covered || !somewhere, "a flush missed a write");
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_acknowledged_is_on_every_member_in_one_order(steps in vec((0..24_u8, any::<u8>()), 1..120)) {
        let mut world = World::new();
        for (action, value) in steps {
            world.step(action, value);
        }
        world.settle();
        world.check()?;
    }
}

#[test]
fn no_fsync_counts_on_a_member_that_is_being_filled() {
    let mut out = Vec::new();
    let mut filling = Member::new(verifier(1), Origin::Filling);
    let before = take(&mut filling, &from_head(1));
    filling.applied(before, Ok(()), &mut out);
    assert_eq!(out.remove(0).result, Ok(vec![]), "it took the write and is not named");
    let after = take(&mut filling, &from_head(2));
    filling.filled();
    filling.applied(after, Ok(()), &mut out);
    assert_eq!(out.remove(0).result, Ok(vec![witness(1)]));
    assert!(!filling.report().forgot);
}

#[test]
fn a_member_that_is_being_filled_is_never_the_head_nor_a_source() {
    let mut filling = Member::new(verifier(1), Origin::Filling);
    assert_eq!(refused(filling.write(&from_client(1, None), &mut Vec::new())).status, Status::Invalid);
    assert_eq!(filling.read(), Err(Status::NoChunk));
    filling.filled();
    assert_eq!(filling.read(), Ok(ChainSequence(0)));
}

#[test]
fn only_a_member_that_knows_what_it_took_is_read_in_the_chains_order() {
    let mut out = Vec::new();
    let mut head = Member::new(verifier(0), Origin::Beginning);
    take(&mut head, &from_client(1, Some(disk(1))));
    assert_eq!(head.read(), Ok(ChainSequence(1)), "what is taken is applied before the read has its turn");
    head.applied(Op(1), Err(Status::Io), &mut out);
    assert_eq!(head.read(), Err(Status::Io));
    assert_eq!(Member::new(verifier(0), Origin::Unknown).read(), Err(Status::Gap));
    head.close(Status::WrongVersion, &mut out);
    assert_eq!(head.read(), Err(Status::WrongVersion));
}
