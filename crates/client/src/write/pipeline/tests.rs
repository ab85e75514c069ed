//! The writer of one file as a machine: grants, failed hops, fsync, commits.

mod chains;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use types::{
    AttributeChanges, Caller, Capability, ChunkId, DirtyChunk, DiskId, FileKind, Generation, InodeId,
    InodeRef, LeaseEpoch, Owner, ReplicaAddress, Rights, ServerId, Verifier,
};

const MIB: u64 = 1 << 20;
const INODE: InodeRef = InodeRef { id: InodeId(7), generation: Generation(1) };

/// Chunkservers and master of one file, as far as a writer can tell.
#[derive(Default)]
struct World {
    now: Duration,
    next_chunk: u64,
    reserved: BTreeMap<ChunkIndex, (ChunkId, Version)>,
    map: BTreeMap<ChunkIndex, (ChunkId, Version)>,
    data: BTreeMap<ChunkId, Vec<u8>>,
    applied: BTreeSet<(ChunkId, u64, u64)>,
    stable: BTreeMap<ChunkId, Vec<u8>>,
    length: u64,
    durable_length: u64,
    generation: u32,
    requests: usize,
    boots: [u64; 2],
    /// How often the replicas of a disk were made anew.
    made: [u64; 2],
    /// Chunks that no disk has any more.
    gone: BTreeSet<ChunkIndex>,
    /// Disks that a chain goes on without.
    left_out: BTreeSet<DiskId>,
}

impl World {
    fn moment(&self) -> Moment {
        Moment { now: Instant(self.now), term: Term(3), session: SessionId(9), pressure: false }
    }

    fn grant(&mut self, index: ChunkIndex, failed: Option<&FailedHop>) -> WriteGrant {
        self.requests += 1;
        let fresh = !self.map.contains_key(&index);
        if let Some(hop) = failed {
            if fresh {
                self.reserved.remove(&index).inspect(|_| self.next_chunk += 1);
            } else if let Some(entry) = self.map.get_mut(&index).filter(|entry| entry.1 == hop.version) {
                entry.1.counter += 1;
                if hop.status == Status::LostTail {
                    self.left_out.insert(hop.to);
                }
            }
        }
        let next = self.next_chunk;
        let version = Version { term: Term(3), counter: 1 };
        let (chunk, version) = match self.map.get(&index) {
            Some(entry) => *entry,
            None => *self.reserved.entry(index).or_insert_with(|| {
                (ChunkId::new(Term(3), 100 * (next + 1) + u64::from(index.0)).expect("small"), version)
            }),
        };
        let chain = [1, 2].map(|n| ReplicaAddress {
            server: ServerId([n; 16]),
            disk: DiskId([n; 16]),
            address: format!("s{n}:1"),
            hints: Default::default(),
        });
        WriteGrant {
            inode: INODE,
            index,
            chain: chain.into_iter().filter(|member| !self.left_out.contains(&member.disk)).collect(),
            capability: Capability {
                session: SessionId(9),
                term: Term(3),
                chunk,
                version,
                rights: Rights::Write,
                lease_epoch: LeaseEpoch(1),
                mac: Vec::new(),
            },
            fresh,
        }
    }

    fn witnesses(&self) -> Vec<Witness> {
        let all = [0_u8, 1].map(|n| {
            let (disk, n) = (DiskId([n + 1; 16]), usize::from(n));
            let verifier = Verifier { disk, boot: self.boots[n], made: self.made[n] };
            Witness { verifier, sources: Vec::new() }
        });
        all.into_iter().filter(|witness| !self.left_out.contains(&witness.verifier.disk)).collect()
    }

    fn write(&mut self, job: &WriteJob) -> Result<Vec<Witness>, DataError> {
        let capability = &job.grant.capability;
        let index = job.grant.index;
        let current = self.map.get(&index).or_else(|| self.reserved.get(&index)).copied();
        if current != Some((capability.chunk, capability.version)) {
            return Err(DataError::Refused { status: Status::WrongVersion, failed: None });
        }
        if !self.data.contains_key(&capability.chunk) && !job.create {
            return Err(DataError::Refused { status: Status::NoChunk, failed: None });
        }
        let data = self.data.entry(capability.chunk).or_default();
        if self.applied.insert((capability.chunk, capability.version.to_u64(), job.write_id)) {
            let at = (job.offset % CHUNK_BYTES) as usize;
            data.resize(data.len().max(at + job.data.len()), 0);
            data[at..at + job.data.len()].copy_from_slice(&job.data);
            // A repeat gets the first one's answer, and nothing else.
            if job.durable {
                self.stable.insert(capability.chunk, data.clone());
            }
        }
        Ok(self.witnesses())
    }

    fn commit(
        &mut self,
        generation: TruncateGeneration,
        length: u64,
        chunks: &[DirtyChunk],
        durable: bool,
    ) -> Result<Attributes, Status> {
        self.requests += 1;
        if generation.0 == self.generation {
            for dirty in chunks {
                if self.map.get(&dirty.index).is_some_and(|known| *known != (dirty.chunk, dirty.version)) {
                    return Err(Status::Io);
                }
            }
            for dirty in chunks {
                self.map.insert(dirty.index, (dirty.chunk, dirty.version));
                self.reserved.remove(&dirty.index);
            }
            self.length = self.length.max(length);
        }
        if durable {
            self.durable_length = self.length;
        }
        Ok(self.attributes())
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            inode: INODE,
            kind: FileKind::File,
            mode: 0o644,
            links: 1,
            owner: Owner::default(),
            device: 0,
            length: self.length,
            chunks: self.map.len() as u32,
            accessed: Timestamp::default(),
            modified: Timestamp::default(),
            changed: Timestamp::default(),
            created: Timestamp::default(),
            change_counter: 0,
            truncate_generation: TruncateGeneration(self.generation),
        }
    }

    fn content(&self) -> Vec<u8> {
        let mut content = vec![0; self.length as usize];
        for (index, (chunk, _)) in &self.map {
            let at = u64::from(index.0) * CHUNK_BYTES;
            for (n, byte) in self.data.get(chunk).into_iter().flatten().enumerate() {
                if let Some(place) = content.get_mut(at as usize + n) {
                    *place = *byte;
                }
            }
        }
        content
    }

    /// Carries one action out; `None`: the answer is lost on its way.
    fn carry_out(&mut self, action: &Action, lose: bool) -> Event {
        match action {
            Action::Grant { index, serial, failed, known } => {
                let grant = self.grant(*index, failed.as_ref());
                let other = known.is_some_and(|known| known != grant.capability.chunk);
                let generation = other.then_some(TruncateGeneration(self.generation));
                let result = match (self.gone.contains(index), lose) {
                    (true, _) => Err(Status::LostTail),
                    (false, true) => Err(Status::TryAgain),
                    (false, false) => Ok((grant, generation)),
                };
                Event::Granted { index: *index, serial: *serial, result }
            }
            Action::Write(job) => {
                let result = self.write(job);
                Event::Written {
                    index: job.grant.index,
                    extent: job.extent,
                    attempt: job.attempt,
                    version: job.grant.capability.version,
                    result: if lose { Err(DataError::Link) } else { result },
                }
            }
            Action::Flush { serial, grant, .. } => {
                let chunk = grant.capability.chunk;
                let current = self.map.get(&grant.index).or_else(|| self.reserved.get(&grant.index));
                let result = if current != Some(&(chunk, grant.capability.version)) {
                    Err(DataError::Refused { status: Status::WrongVersion, failed: None })
                } else {
                    let data = self.data.get(&chunk).cloned().unwrap_or_default();
                    self.stable.insert(chunk, data);
                    Ok(self.witnesses())
                };
                Event::Flushed {
                    index: grant.index,
                    serial: *serial,
                    version: grant.capability.version,
                    result: if lose { Err(DataError::Link) } else { result },
                }
            }
            Action::Attributes { serial, .. } => Event::Attributes {
                serial: *serial,
                result: if lose { Err(Status::TryAgain) } else { Ok(self.attributes()) },
            },
            Action::Commit { serial, truncate_generation, length, chunks, durable, .. } => Event::Committed {
                serial: *serial,
                result: self.commit(*truncate_generation, *length, chunks, *durable),
            },
        }
    }

    /// Until nothing is left to do. `losses` says, action by action, which answers get lost.
    fn run(&mut self, pipeline: &mut Pipeline, losses: &mut impl Iterator<Item = bool>) {
        let mut waiting: VecDeque<Action> = VecDeque::new();
        for _ in 0..10_000 {
            let mut actions = Vec::new();
            let wake = pipeline.decide(self.moment(), &mut actions);
            waiting.extend(actions);
            let Some(action) = waiting.pop_front() else {
                match wake {
                    Some(at) => self.now = self.now.max(at.0),
                    None => return,
                }
                continue;
            };
            self.now += Duration::from_micros(50);
            let event = self.carry_out(&action, losses.next().unwrap_or(false));
            pipeline.handle(event, Instant(self.now));
        }
        panic!("it does not come to an end");
    }
}

fn pipeline() -> Pipeline {
    let rules = Rules { delay: Duration::from_millis(50), timeout: Some(Duration::from_secs(60)), writer: 0 };
    Pipeline::new(rules, TruncateGeneration(0))
}

/// What was given up since the last time.
fn lost(pipeline: &mut Pipeline) -> Vec<Status> {
    let status = |effect| if let Effect::Lost(status) = effect { Some(status) } else { None };
    pipeline.take_effects().into_iter().filter_map(status).collect()
}

/// The serial number of the question for a grant, if that is all there is to be done.
fn asked(pipeline: &mut Pipeline, moment: Moment) -> Option<u64> {
    let mut actions = Vec::new();
    pipeline.decide(moment, &mut actions);
    if let [Action::Grant { serial, .. }] = actions[..] { Some(serial) } else { None }
}

fn write(pipeline: &mut Pipeline, world: &World, offset: u64, data: &[u8]) {
    pipeline.write(offset, data, Instant(world.now), Timestamp::new(1, 0));
}

#[test]
fn a_small_file_costs_one_commit_besides_its_creation() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    let grant = world.grant(ChunkIndex(0), None);
    pipeline.decide(world.moment(), &mut Vec::new());
    pipeline.offer(grant);
    world.requests = 0;
    write(&mut pipeline, &world, 0, b"hello");
    let stamp = pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(pipeline.is_flushed(stamp) && pipeline.is_idle());
    assert_eq!((world.requests, world.content()), (1, b"hello".to_vec()));
}

#[test]
fn attributes_leave_with_a_commit_and_again_if_they_were_refused_for_now() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    let change = |pipeline: &mut Pipeline, world: &World, uid| {
        let what = AttributeChanges { uid: Some(uid), ..AttributeChanges::default() };
        pipeline.change(what, &Caller::default(), Instant(world.now), Timestamp::new(1, 0))
    };
    assert!(!change(&mut pipeline, &world, 1), "no commit is to come");
    write(&mut pipeline, &world, 0, b"hello");
    assert!(change(&mut pipeline, &world, 2));
    let stamp = pipeline.want_flush();
    let mut together = Vec::new();
    while together.is_empty() {
        let mut actions = Vec::new();
        pipeline.decide(world.moment(), &mut actions);
        match &actions[..] {
            [action] => pipeline.handle(world.carry_out(action, false), Instant(world.now)),
            _ => together = actions,
        }
    }
    let [attributes @ Action::Attributes { .. }, commit @ Action::Commit { .. }] = &together[..] else {
        panic!("{together:?}");
    };
    pipeline.handle(world.carry_out(attributes, true), Instant(world.now));
    pipeline.handle(world.carry_out(commit, false), Instant(world.now));
    assert!(!pipeline.is_flushed(stamp) && !pipeline.is_idle());
    let mut actions = Vec::new();
    pipeline.decide(world.moment(), &mut actions);
    assert!(matches!(&actions[..], [Action::Attributes { changes, .. }] if changes.uid == Some(2)));
    write(&mut pipeline, &world, 5, b"world");
    pipeline.want_flush();
    pipeline.handle(world.carry_out(&actions[0], false), Instant(world.now));
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(pipeline.is_flushed(stamp) && pipeline.is_idle());
    assert_eq!(lost(&mut pipeline), []);
}

#[test]
fn attributes_are_told_although_the_writes_before_them_are_lost() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    let what = AttributeChanges { uid: Some(2), ..AttributeChanges::default() };
    assert!(pipeline.change(what, &Caller::default(), Instant(world.now), Timestamp::new(1, 0)));
    pipeline.fail(Status::Io);
    let mut actions = Vec::new();
    pipeline.decide(world.moment(), &mut actions);
    assert!(matches!(&actions[..], [Action::Attributes { changes, .. }] if changes.uid == Some(2)));
    pipeline.handle(world.carry_out(&actions[0], false), Instant(world.now));
    assert!(pipeline.is_idle());
    assert_eq!(lost(&mut pipeline), [Status::Io]);
}

#[test]
fn a_question_that_took_the_whole_limit_is_not_asked_again() {
    let (world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    let mut now = Instant(world.now);
    for status in [Status::TryAgain, Status::TimedOut] {
        let serial = asked(&mut pipeline, Moment { now, ..world.moment() }).unwrap();
        now = now + Duration::from_secs(2);
        pipeline.handle(Event::Granted { index: ChunkIndex(0), serial, result: Err(status) }, now);
        now = now + Duration::from_secs(2);
    }
    assert_eq!(lost(&mut pipeline), [Status::Io]);
    assert_eq!(asked(&mut pipeline, Moment { now, ..world.moment() }), None);
}

#[test]
fn write_and_fsync_is_one_pass_of_the_chain_and_one_commit() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    for n in 0..3 {
        write(&mut pipeline, &world, 5, &[n; 100]);
        let sync = pipeline.want_sync();
        let mut actions = Vec::new();
        pipeline.decide(world.moment(), &mut actions);
        assert!(matches!(&actions[..], [Action::Write(job)] if job.durable));
        pipeline.handle(world.carry_out(&actions[0], false), Instant(world.now));
        let mut actions = Vec::new();
        pipeline.decide(world.moment(), &mut actions);
        assert!(matches!(&actions[..], [Action::Commit { durable: true, .. }]));
        pipeline.handle(world.carry_out(&actions[0], false), Instant(world.now));
        assert!(pipeline.sync_outcome(sync) == Some(Ok(())) && !pipeline.is_unsynced());
    }
}

#[test]
fn a_write_that_is_sent_again_for_an_fsync_is_flushed_apart() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    write(&mut pipeline, &world, 0, b"world");
    pipeline.want_flush();
    let mut actions = Vec::new();
    pipeline.decide(world.moment(), &mut actions);
    assert!(matches!(&actions[..], [Action::Write(job)] if !job.durable));
    // The chain has it; nobody hears of it.
    pipeline.handle(world.carry_out(&actions[0], true), Instant(world.now));
    let sync = pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(pipeline.sync_outcome(sync) == Some(Ok(())));
    assert_eq!(world.stable.values().next().map(|data| &data[..]), Some(&b"world"[..]));
}

#[test]
fn an_fsync_after_a_close_still_flushes_the_chunk() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(world.stable.is_empty() && pipeline.is_unsynced());
    let sync = pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(pipeline.sync_outcome(sync) == Some(Ok(())) && !pipeline.is_unsynced());
    assert_eq!(world.stable.values().next().map(|data| &data[..]), Some(&b"hello"[..]));
}

#[test]
fn an_fsync_that_fails_again_for_what_was_reported_is_no_further_loss_and_not_done_until_it_is() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    let mut sync = |pipeline: &mut Pipeline, away: bool| {
        let sync = pipeline.want_sync();
        world.run(pipeline, &mut std::iter::repeat(away));
        (pipeline.sync_outcome(sync), lost(pipeline))
    };
    assert_eq!(sync(&mut pipeline, true), (None, vec![Status::Io]));
    assert_eq!(sync(&mut pipeline, true), (Some(Err(Status::Io)), Vec::new()));
    assert!(pipeline.is_unsynced());
    assert_eq!(sync(&mut pipeline, false), (Some(Ok(())), Vec::new()));
    assert!(!pipeline.is_unsynced());
}

/// How an fsync ended, and what was reported as lost.
type Synced = (Option<Result<(), Status>>, Vec<Status>);

/// A file of three chunks, stored and not synced; then `happens`, and it is synced twice.
fn syncs_of_three_chunks(happens: impl FnOnce(&mut World, &mut Pipeline)) -> Vec<Synced> {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    for index in 0..3 {
        write(&mut pipeline, &world, index * CHUNK_BYTES, b"hello");
    }
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    happens(&mut world, &mut pipeline);
    let mut sync = || {
        let sync = pipeline.want_sync();
        world.run(&mut pipeline, &mut std::iter::empty());
        (pipeline.sync_outcome(sync), lost(&mut pipeline))
    };
    (0..2).map(|_| sync()).collect()
}

#[test]
fn what_power_took_from_several_chunks_is_reported_by_one_fsync() {
    let told = [(None, vec![Status::LostTail]), (Some(Ok(())), Vec::new())];
    assert_eq!(syncs_of_three_chunks(|world, _| world.boots = [2, 2]), told);
}

#[test]
fn a_chunk_that_no_disk_has_any_more_is_reported_once_and_what_is_left_is_synced() {
    let told = [(None, vec![Status::LostTail]), (Some(Ok(())), Vec::new())];
    let lose_two = |world: &mut World, pipeline: &mut Pipeline| {
        world.gone.extend([ChunkIndex(0), ChunkIndex(2)]);
        pipeline.edited(TruncateGeneration(0), |_| false);
    };
    assert_eq!(syncs_of_three_chunks(lose_two), told);
}

#[test]
fn a_raise_is_told_before_anything_is_written_under_the_new_version() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    pipeline.take_effects();
    // The connection breaks twice: the chain goes on under another version.
    write(&mut pipeline, &world, 0, b"HELLO");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut [true, true].into_iter());
    let raised = Effect::Raised { index: ChunkIndex(0), version: Version { term: Term(3), counter: 2 } };
    let effects = pipeline.take_effects();
    let told = effects.iter().position(|effect| *effect == raised).expect("it is told");
    let stored = effects.iter().rposition(|effect| matches!(effect, Effect::Changed { .. })).unwrap();
    assert!(told < stored);
}

#[test]
fn a_fresh_chunk_lost_with_its_chain_is_written_again_from_memory() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    let data: Vec<u8> = (0..3 * MIB).map(|n| (n / 7) as u8).collect();
    write(&mut pipeline, &world, 0, &data);
    // Two extents are stored, the third finds the connection broken twice.
    let mut losses = [false, false, false, true, true].into_iter();
    pipeline.want_flush();
    world.run(&mut pipeline, &mut losses);
    assert!(pipeline.is_clean() && world.next_chunk == 1, "another chunk took its place");
    assert!(world.content() == data);
    assert_eq!(lost(&mut pipeline), []);
}

#[test]
fn somebody_elses_truncate_makes_the_data_go_again() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"first");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    world.generation += 1;
    world.length = 0;
    world.map.clear();
    world.next_chunk += 1;
    write(&mut pipeline, &world, 0, b"second");
    let stamp = pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(pipeline.is_flushed(stamp));
    assert_eq!((world.content(), lost(&mut pipeline)), (b"second".to_vec(), Vec::new()));
}

#[test]
fn after_a_truncate_that_the_master_lost_the_file_can_be_synced_again() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"first");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    pipeline.edited(TruncateGeneration(world.generation + 1), |_| true);
    pipeline.fail(Status::Io);
    assert_eq!(sync_in(&mut world, &mut pipeline), Some(Ok(())), "nothing is unsynced any more");
    write(&mut pipeline, &world, 0, b"SE");
    assert_eq!(sync_in(&mut world, &mut pipeline), Some(Ok(())));
    assert_eq!((world.content(), lost(&mut pipeline)), (b"SErst".to_vec(), vec![Status::Io]));
}

fn sync_in(world: &mut World, pipeline: &mut Pipeline) -> Option<Result<(), Status>> {
    let sync = pipeline.want_sync();
    world.run(pipeline, &mut std::iter::empty());
    pipeline.sync_outcome(sync)
}

/// A file with one chunk that is synced, and of which no answer to a commit said so.
fn synced_and_not_named(world: &mut World) -> Pipeline {
    let mut pipeline = pipeline();
    write(&mut pipeline, world, 0, b"first");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    pipeline.want_sync();
    let mut actions = Vec::new();
    while !matches!(&actions[..], [Action::Commit { .. }]) {
        actions.clear();
        pipeline.decide(world.moment(), &mut actions);
        if let [flush @ Action::Flush { .. }] = &actions[..] {
            pipeline.handle(world.carry_out(flush, false), Instant(world.now));
        }
    }
    let Action::Commit { serial, .. } = actions[0] else { unreachable!() };
    pipeline.handle(Event::Committed { serial, result: Err(Status::TimedOut) }, Instant(world.now));
    pipeline
}

/// Somebody else cuts all of it.
fn cut_all(world: &mut World) {
    (world.generation, world.length) = (world.generation + 1, 0);
    world.map.clear();
    world.next_chunk += 1;
}

fn syncs_and_names_nothing(world: &mut World, mut pipeline: Pipeline) {
    let sync = pipeline.want_sync();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert_eq!(pipeline.sync_outcome(sync), Some(Ok(())));
    assert!(world.map.is_empty(), "{:?}", world.map);
}

#[test]
fn what_was_cut_after_it_was_synced_is_not_named_again() {
    let mut world = World::default();
    let mut pipeline = synced_and_not_named(&mut world);
    cut_all(&mut world);
    pipeline.learn_generation(TruncateGeneration(world.generation));
    syncs_and_names_nothing(&mut world, pipeline);
}

#[test]
fn nor_if_an_edit_of_this_client_followed() {
    let mut world = World::default();
    let mut pipeline = synced_and_not_named(&mut world);
    cut_all(&mut world);
    world.generation += 1;
    pipeline.edited(TruncateGeneration(world.generation), |_| false);
    syncs_and_names_nothing(&mut world, pipeline);
}

#[test]
fn nor_if_the_grant_that_says_that_it_is_there_was_given_before() {
    let mut world = World::default();
    let mut pipeline = synced_and_not_named(&mut world);
    world.generation += 1;
    pipeline.learn_generation(TruncateGeneration(world.generation));
    pipeline.want_sync();
    let mut actions = Vec::new();
    pipeline.decide(world.moment(), &mut actions);
    assert!(matches!(&actions[..], [Action::Grant { .. }]));
    let late = world.carry_out(&actions[0], false);
    cut_all(&mut world);
    pipeline.learn_generation(TruncateGeneration(world.generation));
    pipeline.handle(late, Instant(world.now));
    syncs_and_names_nothing(&mut world, pipeline);
}

#[test]
fn an_answer_that_names_a_chunk_which_was_cut_since_says_nothing_of_its_successor() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"first");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    // An fsync names the chunk; the answer takes its time.
    pipeline.want_sync();
    let mut actions = Vec::new();
    pipeline.decide(world.moment(), &mut actions);
    pipeline.handle(world.carry_out(&actions[0], false), Instant(world.now));
    let mut actions = Vec::new();
    pipeline.decide(world.moment(), &mut actions);
    assert!(matches!(&actions[..], [Action::Commit { chunks, .. }] if chunks.len() == 1));
    let late = world.carry_out(&actions[0], false);
    // Meanwhile this client truncates the file and writes to it again.
    (world.generation, world.length) = (world.generation + 1, 0);
    world.map.clear();
    world.next_chunk += 1;
    pipeline.edited(TruncateGeneration(world.generation), |_| true);
    write(&mut pipeline, &world, 0, b"second");
    let stamp = pipeline.want_flush();
    for _ in 0..2 {
        let mut actions = Vec::new();
        pipeline.decide(world.moment(), &mut actions);
        for action in &actions {
            pipeline.handle(world.carry_out(action, false), Instant(world.now));
        }
    }
    pipeline.handle(late, Instant(world.now));
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(pipeline.is_flushed(stamp));
    assert_eq!((world.content(), lost(&mut pipeline)), (b"second".to_vec(), Vec::new()));
}

#[test]
fn a_chain_that_stays_away_is_an_error_once_and_the_data_is_given_up() {
    let (mut world, mut pipeline) = (World::default(), pipeline());
    write(&mut pipeline, &world, 0, b"hello");
    pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::repeat(true));
    assert_eq!(lost(&mut pipeline), [Status::Io]);
    assert!(pipeline.is_idle() && pipeline.is_clean() && world.now >= Duration::from_secs(60));
    write(&mut pipeline, &world, 0, b"again");
    let stamp = pipeline.want_flush();
    world.run(&mut pipeline, &mut std::iter::empty());
    assert!(pipeline.is_flushed(stamp) && world.content() == b"again");
    assert_eq!(lost(&mut pipeline), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_answers_are_lost_a_flush_or_an_fsync_that_succeeds_means_the_bytes_are_there(
        writes in proptest::collection::vec((0..3 * MIB, 1..300_000_usize, 0..4_u8), 1..20),
        losses in proptest::collection::vec(proptest::bool::weighted(0.15), 0..200),
    ) {
        let (mut world, mut pipeline) = (World::default(), pipeline());
        let mut model: Vec<u8> = Vec::new();
        let mut losses = losses.into_iter();
        for (n, (at, length, then)) in writes.into_iter().enumerate() {
            let data = vec![n as u8 + 1; length];
            model.resize(model.len().max(at as usize + length), 0);
            model[at as usize..at as usize + length].copy_from_slice(&data);
            write(&mut pipeline, &world, at, &data);
            match then {
                0 => {
                    let stamp = pipeline.want_flush();
                    world.run(&mut pipeline, &mut losses);
                    prop_assert!(pipeline.is_flushed(stamp));
                    prop_assert!(world.content() == model);
                }
                1 => {
                    let sync = pipeline.want_sync();
                    world.run(&mut pipeline, &mut losses);
                    prop_assert!(pipeline.sync_outcome(sync) == Some(Ok(())) && !pipeline.is_unsynced());
                    prop_assert_eq!(world.durable_length, model.len() as u64);
                    for (chunk, _) in world.map.values() {
                        prop_assert!(world.stable.get(chunk) == world.data.get(chunk));
                    }
                    prop_assert!(world.content() == model);
                }
                _ => {}
            }
            prop_assert_eq!(lost(&mut pipeline), []);
        }
    }
}
