//! What a simulated file holds after a loss of power.

use super::*;

fn write(offset: u64, byte: u8, count: usize) -> Change {
    Change::Write { offset, data: vec![byte; count] }
}

fn bytes(content: &Sparse) -> Vec<u8> {
    let mut buffer = vec![0xEE; content.length() as usize];
    assert_eq!(content.read(&mut buffer, 0), buffer.len());
    buffer
}

#[test]
fn synced_bytes_survive_a_power_cut() {
    for seed in 0..50 {
        let mut file = Content::default();
        file.change(write(100, 7, 5000));
        file.sync();
        file.change(write(8000, 9, 5000));
        file.lose_power(&mut Rng::new(seed));
        assert_eq!(&bytes(&file.live)[100..5100], &[7; 5000][..]);
    }
}

#[test]
fn an_unsynced_write_is_torn_at_sectors_only() {
    let (mut torn, mut whole, mut none) = (0, 0, 0);
    for seed in 0..200 {
        let mut file = Content::default();
        file.change(write(0, 1, 2048));
        file.sync();
        file.change(write(0, 2, 2048));
        file.lose_power(&mut Rng::new(seed));
        let after = bytes(&file.live);
        let news = after
            .chunks(512)
            .map(|sector| {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed} tore a sector");
                usize::from(sector[0] == 2)
            })
            .sum::<usize>();
        match news {
            0 => none += 1,
            4 => whole += 1,
            _ => torn += 1,
        }
    }
    assert!(torn > 20 && whole > 20 && none > 20, "{torn} {whole} {none}");
}

#[test]
fn the_length_after_a_power_cut_is_one_the_file_had() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut file = Content::default();
        file.change(write(0, 1, 100));
        file.change(write(100, 2, 100));
        file.change(Change::SetLength { from: 200, to: 50 });
        file.lose_power(&mut Rng::new(seed));
        seen.insert(file.live.length());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 50, 100, 200]);
}

#[test]
fn bytes_cut_off_by_a_truncate_do_not_come_back_when_the_file_grows_again() {
    for seed in 0..300 {
        let mut file = Content::default();
        file.change(write(0, 1, 4096));
        file.sync();
        file.change(write(0, 2, 4096));
        file.change(Change::SetLength { from: 4096, to: 1024 });
        file.change(Change::SetLength { from: 1024, to: 3000 });
        file.lose_power(&mut Rng::new(seed));
        let after = bytes(&file.live);
        if after.len() == 3000 {
            assert!(after[1024..].iter().all(|byte| *byte == 0), "seed {seed}");
        }
    }
}

#[test]
fn punched_ranges_are_holes() {
    let mut file = Content::default();
    file.change(write(0, 1, 20_000));
    assert_eq!(file.live.page_count(), 5);
    file.change(Change::Punch { offset: 4000, length: 9000 });
    assert_eq!(file.live.page_count(), 3);
    let after = bytes(&file.live);
    assert!(after[..4000].iter().all(|byte| *byte == 1));
    assert!(after[4000..13_000].iter().all(|byte| *byte == 0));
    assert!(after[13_000..].iter().all(|byte| *byte == 1));
    file.change(Change::Punch { offset: 15_000, length: u64::MAX });
    assert_eq!(file.live.length(), 20_000);
    assert!(bytes(&file.live)[15_000..].iter().all(|byte| *byte == 0));
}

#[test]
fn what_a_failed_sync_forgot_is_shown_until_the_power_goes() {
    let mut file = Content::default();
    file.change(write(0, 1, 512));
    file.forget_unsynced();
    file.sync();
    assert_eq!(file.live.length(), 512);
    file.lose_power(&mut Rng::new(1));
    assert_eq!(file.live.length(), 0);
}
