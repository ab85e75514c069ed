//! A member that fills while its chain is written, against a model of the chain.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const BLOCKS: u32 = 6;
const END: u32 = BLOCKS * BLOCK_BYTES;
/// Bytes that the model looks at: a few around each border of two blocks.
const NEAR: u32 = 4;

#[derive(Clone, Debug)]
enum Job {
    Write(u32, Vec<u8>),
    /// Read the piece for the member that fills.
    Read(BlockRange),
    /// Store the piece that came, then these on top.
    Land(BlockRange, Vec<u8>, Vec<(u32, Vec<u8>)>),
    Complete,
}

/// Two members, what is under way between them, and what they are to hold.
struct World {
    writes: Vec<(u32, Vec<u8>)>,
    source: Vec<u8>,
    source_jobs: VecDeque<Job>,
    /// Writes on their way to the member that fills.
    frames: VecDeque<(u32, Vec<u8>)>,
    asks: VecDeque<BlockRange>,
    /// What was read, and after how many writes.
    answers: VecDeque<(BlockRange, Vec<u8>, u64)>,
    filling: Filling,
    taken: u64,
    target: Vec<u8>,
    target_jobs: VecDeque<Job>,
    applied: u64,
    /// After how many writes it said that it was complete.
    complete: Option<u64>,
    completing: bool,
}

fn put(bytes: &mut [u8], offset: u32, data: &[u8]) {
    bytes[offset as usize..offset as usize + data.len()].copy_from_slice(data);
}

impl World {
    fn new(before: u8) -> Self {
        Self {
            writes: Vec::new(),
            source: vec![before; END as usize],
            source_jobs: VecDeque::new(),
            frames: VecDeque::new(),
            asks: VecDeque::new(),
            answers: VecDeque::new(),
            filling: Filling::sized(END, 2 * BLOCK_BYTES),
            taken: 0,
            // What an older replica held.
            target: vec![0xEE; END as usize],
            target_jobs: VecDeque::new(),
            applied: 0,
            complete: None,
            completing: false,
        }
    }

    /// One thing happens; false if it cannot.
    fn step(&mut self, step: u8, write: (u32, u32)) -> bool {
        match step {
            0 => {
                let (offset, length) = write;
                let data = vec![self.writes.len() as u8 + 1; length.min(END - offset) as usize];
                self.writes.push((offset, data.clone()));
                self.source_jobs.push_back(Job::Write(offset, data.clone()));
                self.frames.push_back((offset, data));
            }
            1 => match self.source_jobs.pop_front() {
                Some(Job::Write(offset, data)) => put(&mut self.source, offset, &data),
                Some(Job::Read(blocks)) => {
                    let from = (blocks.first * BLOCK_BYTES) as usize;
                    let piece = self.source[from..from + (blocks.count * BLOCK_BYTES) as usize].to_vec();
                    let left = self.source_jobs.iter().filter(|job| matches!(job, Job::Write(..))).count();
                    self.answers.push_back((blocks, piece, (self.writes.len() - left) as u64));
                }
                _ => return false,
            },
            2 => {
                let Some((offset, data)) = self.frames.pop_front() else { return false };
                self.taken += 1;
                self.filling.wrote(offset, &data);
                self.target_jobs.push_back(Job::Write(offset, data));
            }
            3 => match self.target_jobs.pop_front() {
                Some(Job::Write(offset, data)) => {
                    put(&mut self.target, offset, &data);
                    self.applied += 1;
                }
                Some(Job::Land(blocks, piece, again)) => {
                    put(&mut self.target, blocks.first * BLOCK_BYTES, &piece);
                    again.iter().for_each(|(offset, data)| put(&mut self.target, *offset, data));
                    self.filling.landed();
                }
                Some(Job::Complete) => self.complete = Some(self.applied),
                Some(Job::Read(_)) | None => return false,
            },
            4 => {
                let Some(blocks) = self.filling.ask() else { return false };
                self.asks.push_back(blocks);
            }
            5 => {
                let Some(blocks) = self.asks.pop_front() else { return false };
                self.source_jobs.push_back(Job::Read(blocks));
            }
            6 => {
                let Some((blocks, piece, sequence)) = self.answers.pop_front() else { return false };
                let again = self.filling.arrived(ChainSequence(sequence));
                self.target_jobs.push_back(Job::Land(blocks, piece, again));
            }
            7 => {
                if self.completing || !self.filling.is_whole(ChainSequence(self.taken)) {
                    return false;
                }
                self.completing = true;
                self.target_jobs.push_back(Job::Complete);
            }
            // An answer is lost, and asked for again.
            _ => {
                if self.answers.pop_front().is_none() {
                    return false;
                }
                self.filling.lost();
            }
        }
        true
    }

    /// What everybody holds after so many writes.
    fn after(&self, before: u8, writes: u64) -> Vec<u8> {
        let mut bytes = vec![before; END as usize];
        self.writes[..writes as usize].iter().for_each(|(offset, data)| put(&mut bytes, *offset, data));
        bytes
    }

    fn check(&self, before: u8) {
        if self.complete.is_some() {
            assert!(
                self.target == self.after(before, self.applied),
                "complete, and not what the others held"
            );
        }
    }
}

/// Short writes near borders of blocks, and long ones.
fn write() -> impl Strategy<Value = (u32, u32)> {
    let near = (0..BLOCKS, 0..2 * NEAR, 1..2 * NEAR)
        .prop_map(|(block, at, length)| ((block * BLOCK_BYTES + at).saturating_sub(NEAR), length));
    prop_oneof![3 => near, 1 => (0..END, 1..2 * BLOCK_BYTES)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whoever_is_complete_holds_what_the_others_held_after_its_last_write(
        steps in prop::collection::vec((0..9_u8, write()), 1..150),
        order in Just(Vec::from_iter(1..8_u8)).prop_shuffle(),
    ) {
        let mut world = World::new(0xBB);
        for (step, write) in steps {
            world.step(step, write);
            world.check(0xBB);
        }
        // Everything under way arrives, what is first in this order before the others.
        world.step(0, (BLOCK_BYTES - 1, 2));
        while order.iter().any(|step| world.step(*step, (0, 1))) {
            world.check(0xBB);
        }
        prop_assert!(world.complete.is_some(), "it never came to an end");
        prop_assert!(world.target == world.source);
    }
}

#[test]
fn what_was_taken_while_a_piece_was_on_its_way_is_written_on_top_of_it() {
    let mut filling = Filling::sized(END, 2 * BLOCK_BYTES);
    filling.wrote(0, &[1]);
    assert_eq!(filling.ask(), Some(BlockRange { first: 0, count: 2 }));
    assert_eq!(filling.ask(), None, "one at a time");
    filling.wrote(10, &[2, 2, 2, 2]);
    filling.wrote(12, &[3, 3, 3, 3]);
    filling.wrote(2 * BLOCK_BYTES - 1, &[4, 4]);
    filling.wrote(2 * BLOCK_BYTES, &[5]);
    let again = filling.arrived(ChainSequence(3));
    assert_eq!(again, [(10, vec![2, 2, 3, 3, 3, 3]), (2 * BLOCK_BYTES - 1, vec![4])]);
    filling.wrote(10, &[6]);
    filling.landed();
    assert_eq!(filling.ask(), Some(BlockRange { first: 2, count: 2 }));
}

#[test]
fn a_member_whose_pieces_are_ahead_of_what_it_took_is_not_whole() {
    let mut filling = Filling::sized(2 * BLOCK_BYTES, 2 * BLOCK_BYTES);
    filling.ask();
    assert!(!filling.is_whole(ChainSequence(9)));
    filling.arrived(ChainSequence(5));
    filling.landed();
    assert!(!filling.is_whole(ChainSequence(4)));
    assert!(filling.is_whole(ChainSequence(5)));
}
