//! Merging, order and bounds of unsent writes.

use super::*;
use proptest::prelude::*;

const DELAY: Duration = Duration::from_millis(10);
const NOW: Instant = Instant(Duration::ZERO);
const LATER: Instant = Instant(Duration::from_secs(1));

#[derive(Clone, Debug)]
enum Step {
    Write(u64, usize),
    Seal(bool),
    Send,
    Answer(usize, bool),
    Replace,
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let span = 3 * WINDOW_BYTES;
    // Small writes crowd around a few places, so that they join, overlap and share blocks.
    let place =
        prop_oneof![0..span, (0..6_u64).prop_map(|n| n * BLOCK), WINDOW_BYTES - 70..WINDOW_BYTES + 70];
    let length = prop_oneof![1..100_usize, 4000..70_000_usize, Just(WINDOW_BYTES as usize)];
    let step = prop_oneof![
        6 => (place, length).prop_map(|(at, n)| Step::Write(at, n)),
        2 => any::<bool>().prop_map(Step::Seal),
        3 => Just(Step::Send),
        3 => (0..4_usize, any::<bool>()).prop_map(|(n, ok)| Step::Answer(n, ok)),
        1 => Just(Step::Replace),
        1 => Just(Step::Commit),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// A model of the replicas takes what is sent, in order of the answers; what the buffer overlays on
    /// it is always what the program wrote.
    #[test]
    fn every_byte_reads_as_last_written_whatever_is_sent_answered_lost_or_replaced(steps in steps()) {
        let size = (4 * WINDOW_BYTES) as usize + 100;
        let (mut model, mut server, mut fresh) = (vec![0_u8; size], vec![0_u8; size], vec![0_u8; size]);
        let mut buffer = Buffer::default();
        let mut flying: Vec<(ExtentId, u32, u64, Bytes)> = Vec::new();
        let mut stamp = 0;
        for step in steps {
            match step {
                Step::Write(at, n) => {
                    stamp += 1;
                    let data: Vec<u8> = (0..n).map(|i| (i as u64 ^ (stamp * 37)) as u8).collect();
                    model[at as usize..at as usize + n].copy_from_slice(&data);
                    buffer.write(at, &data, stamp, NOW);
                }
                Step::Seal(all) => buffer.seal(all, if all { NOW } else { LATER }, DELAY),
                Step::Send => {
                    if let Some((id, extent)) = buffer.send_next(ChunkIndex(0)) {
                        prop_assert!(wire::crc::verify(extent.offset, &extent.data, &extent.crcs));
                        for (_, _, at, data) in &flying {
                            let theirs = blocks(*at, data.len() as u64);
                            let ours = blocks(extent.offset, extent.data.len() as u64);
                            prop_assert!(theirs.end() < ours.start() || ours.end() < theirs.start());
                        }
                        flying.push((id, extent.attempt, extent.offset, extent.data.clone()));
                    }
                }
                Step::Answer(n, ok) if !flying.is_empty() => {
                    let (id, attempt, at, data) = flying.remove(n % flying.len());
                    prop_assert!(buffer.is_in_flight(id, attempt));
                    if ok {
                        server[at as usize..at as usize + data.len()].copy_from_slice(&data);
                        buffer.stored(id);
                    } else {
                        buffer.requeue(id);
                    }
                }
                // The chunk was never committed and its chain is gone: an empty one takes its place.
                Step::Replace => {
                    buffer.requeue_chunk(ChunkIndex(0), true);
                    flying.clear();
                    server.clone_from(&fresh);
                }
                Step::Commit => {
                    let (ids, _) = buffer.stored_extents();
                    buffer.committed(&ids);
                    fresh.clone_from(&server);
                }
                Step::Answer(..) => {}
            }
            let mut seen = server.clone();
            buffer.overlay(0, size as u64).apply(0, &mut seen);
            prop_assert!(seen == model, "a byte is not as written");
            prop_assert_eq!(buffer.is_empty(), buffer.oldest_uncommitted().is_none());
            prop_assert_eq!(buffer.is_empty(), buffer.bytes() == 0);
        }
        // With answers coming, everything drains.
        for _ in 0..10_000 {
            for (id, ..) in flying.drain(..) {
                buffer.requeue(id);
            }
            buffer.seal(true, LATER, DELAY);
            let Some((id, extent)) = buffer.send_next(ChunkIndex(0)) else { break };
            server[extent.offset as usize..][..extent.data.len()].copy_from_slice(&extent.data);
            buffer.stored(id);
        }
        prop_assert_eq!(buffer.oldest_unstored(), None);
        let (ids, _) = buffer.stored_extents();
        buffer.committed(&ids);
        prop_assert!(buffer.is_empty() && buffer.bytes() == 0 && buffer.stored_bytes() == 0);
        prop_assert!(server == model);
    }
}

#[test]
fn small_sequential_writes_become_one_extent_per_window() {
    let mut buffer = Buffer::default();
    for n in 0..512_u64 {
        buffer.write(n * 4096, &[n as u8; 4096], n + 1, NOW);
    }
    let mut sent = Vec::new();
    while let Some((_, extent)) = buffer.send_next(ChunkIndex(0)) {
        sent.push((extent.offset, extent.data.len() as u64));
    }
    assert_eq!(sent, [(0, WINDOW_BYTES), (WINDOW_BYTES, WINDOW_BYTES)]);
}

#[test]
fn a_write_to_a_block_in_flight_waits_and_merges() {
    let mut buffer = Buffer::default();
    buffer.write(0, b"one", 1, NOW);
    buffer.seal(true, NOW, DELAY);
    let id = buffer.send_next(ChunkIndex(0)).map(|(id, _)| id).expect("one to send");
    buffer.write(1, b"two", 2, NOW);
    buffer.write(4, b"three", 3, NOW);
    buffer.seal(true, NOW, DELAY);
    assert!(buffer.send_next(ChunkIndex(0)).is_none());
    assert_eq!(buffer.due(DELAY), None);
    buffer.stored(id);
    assert_eq!(buffer.oldest_unstored(), Some(2));
    buffer.seal(true, NOW, DELAY);
    let (_, extent) = buffer.send_next(ChunkIndex(0)).expect("the merged one");
    assert_eq!((extent.offset, &extent.data[..]), (1, &b"twothree"[..]));
}

#[test]
fn extents_never_cross_a_chunk() {
    let mut buffer = Buffer::default();
    buffer.write(CHUNK_BYTES - 5, b"0123456789", 1, NOW);
    buffer.seal(true, NOW, DELAY);
    assert_eq!(buffer.chunks_queued().collect::<Vec<_>>(), [ChunkIndex(0), ChunkIndex(1)]);
    assert_eq!(buffer.end(), CHUNK_BYTES + 5);
    assert_eq!(
        &buffer.overlay(CHUNK_BYTES - 5, 10).whole(CHUNK_BYTES - 5, 10).expect("all here")[..],
        b"0123456789"
    );
}
