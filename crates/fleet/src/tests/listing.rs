//! Looking through all chunks.

use super::*;

impl World {
    /// All chunks that stand so, asked for in pages of `most` among `looked` entries.
    fn listed(&self, wanted: &[Standing], looked: usize, most: usize) -> Vec<(ChunkSlot, Standing)> {
        let (mut found, mut next) = (Vec::new(), Some(ChunkSlot(0)));
        while let Some(from) = next {
            let (page, then) = self.fleet.list(from, looked, most, |standing| wanted.contains(&standing));
            assert!(page.len() <= most && then.is_none_or(|then| then > from), "it goes on");
            found.extend(page.iter().map(|one| (one.slot, one.standing)));
            next = then;
        }
        found
    }
}

#[test]
fn chunks_are_found_by_how_they_stand_whatever_the_pages() {
    let mut world = World::new(3);
    let files: Vec<_> = (1..=6).map(|n| world.file(n)).collect();
    let gone = files[0].1.chain[0].disk;
    let expected: Vec<_> = files
        .iter()
        .map(|(slot, grant)| {
            let is_hit = grant.chain.iter().any(|member| member.disk == gone);
            (*slot, if is_hit { Standing::Endangered } else { Standing::Ok })
        })
        .collect();
    world.disconnect(gone.0[0] - 1);
    let all = [Standing::Ok, Standing::Endangered];
    for (looked, most) in [(1_000_000, 100), (4, 1), (1, 100), (3, 2)] {
        assert_eq!(world.listed(&all, looked, most), expected);
        let hit: Vec<_> = expected.iter().copied().filter(|(_, one)| *one == Standing::Endangered).collect();
        assert_eq!(world.listed(&[Standing::Endangered], looked, most), hit);
    }
    assert_eq!(world.listed(&[Standing::Missing], 100, 100), []);
}

#[test]
fn the_worst_is_said_and_what_has_not_been_told_yet_is_not_called_missing() {
    let mut world = World::new(3);
    let (slot, grant) = world.file(1);
    let all = [Standing::Ok, Standing::Damaged, Standing::Missing, Standing::Unknown];
    world.tell(Event::Damaged { disk: grant.chain[0].disk, slot: Some(slot), chunk: grant.chunk });
    assert_eq!(world.listed(&[Standing::Damaged, Standing::Endangered], 100, 100).len(), 1);
    world.restart_master();
    assert_eq!(world.listed(&all, 100, 100), [(slot, Standing::Unknown)]);
    world.advance(world.options.settle_ms);
    assert_eq!(world.listed(&all, 100, 100), [(slot, Standing::Missing)]);
}
