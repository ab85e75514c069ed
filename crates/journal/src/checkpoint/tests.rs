//! Checkpoint files: whole, torn, flipped, pruned.

use super::*;
use env::SimDisk;

const CLUSTER: ClusterId = ClusterId([7; 16]);
type AnyError = Box<dyn Error + Send + Sync>;

fn write(dir: &Arc<dyn Dir>, index: u64, pieces: &[Vec<u8>]) -> io::Result<()> {
    let header = Header { cluster: CLUSTER, term: Term(3), index: LogIndex(index) };
    let mut writer = Writer::create(Arc::clone(dir), header)?;
    for piece in pieces {
        writer.piece(piece)?;
    }
    writer.finish([index as u8; 16])
}

fn load(dir: &dyn Dir) -> Loaded<Vec<Vec<u8>>> {
    load_newest(dir, CLUSTER, |reader| {
        let mut pieces = Vec::new();
        let digest = reader.read::<AnyError>(|piece| {
            pieces.push(piece.to_vec());
            Ok(())
        })?;
        assert_eq!(digest, [reader.header().index.0 as u8; 16]);
        Ok(pieces)
    })
    .unwrap()
}

fn pieces(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![number as u8; number * 100]).collect()
}

#[test]
fn pieces_come_back_in_order_and_the_newest_checkpoint_is_taken() {
    let dir = SimDisk::new(1, "d").dir();
    assert!(load(&*dir).checkpoint.is_none());
    write(&dir, 5, &pieces(3)).unwrap();
    write(&dir, 40, &pieces(20)).unwrap();
    let big = vec![vec![9; PIECE_BYTES_MAX], vec![], vec![8; PIECE_BYTES_MAX]];
    write(&dir, 9, &big).unwrap();
    assert_eq!(list(&*dir).unwrap(), [LogIndex(40), LogIndex(9), LogIndex(5)]);
    let (header, found) = load(&*dir).checkpoint.unwrap();
    assert_eq!((header.index, header.term), (LogIndex(40), Term(3)));
    assert_eq!(found, pieces(20));
    dir.remove(&name_of(LogIndex(40))).unwrap();
    assert!(load(&*dir).checkpoint.unwrap().1 == big);
    let writer = Writer::create(Arc::clone(&dir), Header { index: LogIndex(99), ..header });
    assert!(writer.unwrap().piece(&vec![0; PIECE_BYTES_MAX + 1]).is_err());
    assert_eq!(dir.list("").unwrap().len(), 2, "an unfinished one leaves nothing");
}

#[test]
fn any_flipped_bit_makes_the_older_one_be_used_and_is_told() {
    let disk = SimDisk::new(1, "d");
    write(&disk.dir(), 5, &pieces(2)).unwrap();
    write(&disk.dir(), 6, &pieces(3)).unwrap();
    let name = name_of(LogIndex(6));
    for offset in 0..disk.contents(&name).unwrap().len() as u64 {
        let disk = disk.fork();
        disk.flip_bit(&name, offset, offset as u32 % 8).unwrap();
        let loaded = load(&*disk.dir());
        assert_eq!(loaded.checkpoint.unwrap().0.index, LogIndex(5), "byte {offset}");
        assert_eq!(loaded.bad.len(), 1);
        assert_eq!(loaded.bad[0].file, name);
    }
}

#[test]
fn a_cut_off_checkpoint_is_not_used() {
    let disk = SimDisk::new(1, "d");
    write(&disk.dir(), 6, &pieces(3)).unwrap();
    let name = name_of(LogIndex(6));
    for length in 0..disk.contents(&name).unwrap().len() as u64 {
        let disk = disk.fork();
        disk.dir().open(&name, OpenMode::ReadWrite).unwrap().set_len(length).unwrap();
        assert!(load(&*disk.dir()).checkpoint.is_none());
    }
}

#[test]
fn another_clusters_checkpoint_is_refused() {
    let dir = SimDisk::new(1, "d").dir();
    write(&dir, 5, &pieces(2)).unwrap();
    let other = Reader::open(&*dir, ClusterId([8; 16]), LogIndex(5));
    assert!(matches!(other.map(drop), Err(CheckpointError::Foreign { .. })));
}

#[test]
fn a_power_cut_at_any_write_leaves_whole_checkpoints_only() {
    for seed in 0..10 {
        for stop in 0.. {
            let disk = SimDisk::new(seed, "d");
            write(&disk.dir(), 5, &pieces(2)).unwrap();
            disk.stop_after_writes(stop);
            let written = write(&disk.dir(), 6, &pieces(4)).is_ok();
            disk.power_cut();
            let loaded = load(&*disk.dir());
            assert!(loaded.bad.is_empty(), "seed {seed}, stop {stop}: {:?}", loaded.bad);
            let index = loaded.checkpoint.unwrap().0.index;
            assert!(index == LogIndex(6) || (index == LogIndex(5) && !written));
            if written {
                break;
            }
        }
    }
}

#[test]
fn two_checkpoints_are_kept_and_the_log_after_the_older() {
    let disk = SimDisk::new(1, "d");
    let dir = disk.dir();
    assert_eq!(prune(&*dir, 0).unwrap(), LogIndex(1));
    write(&dir, 5, &pieces(1)).unwrap();
    assert_eq!(prune(&*dir, 2).unwrap(), LogIndex(1), "with one checkpoint all log is kept");
    for index in [9, 20, 30] {
        write(&dir, index, &pieces(1)).unwrap();
    }
    dir.open(&(name_of(LogIndex(40)) + UNFINISHED), OpenMode::Create).unwrap();
    assert_eq!(prune(&*dir, 3).unwrap(), LogIndex(10));
    assert_eq!(prune(&*dir, 0).unwrap(), LogIndex(21));
    assert_eq!(list(&*dir).unwrap(), [LogIndex(30), LogIndex(20)]);
    assert_eq!(dir.list("").unwrap().len(), 2);
}

#[test]
fn random_bytes_are_refused_without_harm() {
    let disk = SimDisk::new(1, "d");
    write(&disk.dir(), 6, &pieces(3)).unwrap();
    let length = disk.contents(&name_of(LogIndex(6))).unwrap().len() as u64;
    let (env, _world) = env::Env::simulated(3);
    for _ in 0..300 {
        let disk = disk.fork();
        let from = env.seed.next_u64() % length;
        let noise: Vec<u8> = (0..40).flat_map(|_| env.seed.next_u64().to_le_bytes()).collect();
        disk.overwrite(&name_of(LogIndex(6)), from, &noise).unwrap();
        assert!(load(&*disk.dir()).checkpoint.is_none());
    }
}
