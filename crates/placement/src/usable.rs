//! How much can be stored when replicas of one thing must be on different servers.

/// Usable bytes of servers with these capacities at `replicas` each on another server. With fewer
/// servers that have room, as many replicas as there are.
///
/// `x` bytes can be stored with `k` replicas exactly if `sum(min(capacity, x)) >= k * x`: no server can
/// take more than one replica of each. The largest such `x`: take servers from the largest down; while
/// one has more than an equal share of what the smaller ones leave, it can only be used up to that share.
pub(crate) fn usable(capacities: &[u64], replicas: usize) -> u64 {
    let mut sorted: Vec<u64> = capacities.iter().copied().filter(|bytes| *bytes > 0).collect();
    sorted.sort_unstable();
    let mut replicas = replicas.clamp(1, sorted.len().max(1));
    let mut rest: u128 = sorted.iter().map(|bytes| u128::from(*bytes)).sum();
    while let Some(largest) = sorted.pop() {
        let share = rest / replicas as u128;
        if u128::from(largest) <= share || replicas == 1 {
            return u64::try_from(share).unwrap_or(u64::MAX);
        }
        // The largest holds one replica of everything; the others must hold the remaining replicas.
        rest -= u128::from(largest);
        replicas -= 1;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_smaller_of_two_servers_bounds_two_replicas() {
        assert_eq!(usable(&[100, 30], 2), 30);
        assert_eq!(usable(&[100, 30, 30], 2), 60);
        assert_eq!(usable(&[10, 10, 10], 2), 15);
        assert_eq!(usable(&[10], 2), 10);
        assert_eq!(usable(&[], 2), 0);
        assert_eq!(usable(&[10, 0, 0], 2), 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn usable_space_is_the_largest_that_fits(
            capacities in prop::collection::vec(1u64..60, 1..7),
            replicas in 1usize..5,
        ) {
            let k = replicas.min(capacities.len()) as u64;
            let fits = |x: u64| capacities.iter().map(|c| (*c).min(x)).sum::<u64>() >= k * x;
            let largest = (0..=500).rev().find(|x| fits(*x)).unwrap();
            prop_assert_eq!(usable(&capacities, replicas), largest);
        }
    }
}
