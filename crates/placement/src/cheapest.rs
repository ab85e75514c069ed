//! The cheapest way to give wanted replicas to failure domains, each to at most one: the Hungarian method.
//!
//! Few rows (at most nine) and few columns, since a replica never needs more than its nine cheapest domains: if it had a
//! dearer one, one of those would be left over by the other eight.
//!
//! # Invariants
//! 1. No two rows get one domain.
//! 2. No other assignment costs less; a row without a domain costs what was said for it.

/// A domain that will do for a row, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) domain: u64,
    pub(crate) disk: u16,
    pub(crate) cost: i64,
}

/// A wanted replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) edges: Vec<Edge>,
    /// What it costs to leave it without a domain.
    pub(crate) unfilled: i64,
}

/// More than any sum of costs.
const FAR: i64 = i64::MAX / 64;

/// For each row the edge it gets.
pub(crate) fn cheapest(rows: &[Row]) -> Vec<Option<Edge>> {
    let mut domains: Vec<u64> = rows.iter().flat_map(|row| &row.edges).map(|edge| edge.domain).collect();
    domains.sort_unstable();
    domains.dedup();
    let width = domains.len() + rows.len();
    // Columns: the domains, then one for each row that stays without. Counted from 1; row and column 0 are the method's.
    let mut costs = vec![FAR; rows.len() * width];
    for (number, row) in rows.iter().enumerate() {
        let line = &mut costs[number * width..(number + 1) * width];
        for edge in &row.edges {
            if let Ok(column) = domains.binary_search(&edge.domain) {
                line[column] = line[column].min(edge.cost);
            }
        }
        line[domains.len() + number] = row.unfilled;
    }
    let owners = hungarian(&costs, rows.len(), width);
    let mut given = vec![None; rows.len()];
    for (domain, owner) in domains.iter().zip(&owners[1..]) {
        if let Some(row) = owner.checked_sub(1) {
            let edges = rows[row].edges.iter().filter(|edge| edge.domain == *domain);
            given[row] = edges.min_by_key(|edge| edge.cost).copied();
        }
    }
    given
}

/// For each column, from 1, the row that has it, from 1; 0: none.
fn hungarian(costs: &[i64], height: usize, width: usize) -> Vec<usize> {
    let mut owners = vec![0usize; width + 1];
    let (mut of_row, mut of_column) = (vec![0i64; height + 1], vec![0i64; width + 1]);
    let mut came_from = vec![0usize; width + 1];
    for row in 1..=height {
        owners[0] = row;
        let mut column = 0;
        let mut slack = vec![i64::MAX; width + 1];
        let mut seen = vec![false; width + 1];
        while owners[column] != 0 {
            seen[column] = true;
            let at = owners[column];
            let (mut least, mut next) = (i64::MAX, 0);
            for other in 1..=width {
                if seen[other] {
                    continue;
                }
                let reduced = costs[(at - 1) * width + other - 1] - of_row[at] - of_column[other];
                if reduced < slack[other] {
                    (slack[other], came_from[other]) = (reduced, column);
                }
                if slack[other] < least {
                    (least, next) = (slack[other], other);
                }
            }
            for other in 0..=width {
                if seen[other] {
                    of_row[owners[other]] += least;
                    of_column[other] -= least;
                } else if slack[other] != i64::MAX {
                    slack[other] -= least;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = came_from[column];
            owners[column] = owners[before];
            column = before;
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The least that rows from this one on can cost, by trying all.
    fn least(rows: &[Row], taken: &mut Vec<u64>) -> i64 {
        let Some((row, rest)) = rows.split_first() else { return 0 };
        let mut best = row.unfilled + least(rest, taken);
        for edge in &row.edges {
            if !taken.contains(&edge.domain) {
                taken.push(edge.domain);
                best = best.min(edge.cost + least(rest, taken));
                taken.pop();
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_assignment_costs_less(
            rows in prop::collection::vec((prop::collection::vec((0u64..5, 0i64..20), 0..5), 0i64..30), 0..5),
        ) {
            let rows: Vec<Row> = rows.into_iter().map(|(edges, unfilled)| Row {
                edges: (0u16..).zip(edges).map(|(disk, (domain, cost))| Edge { domain, disk, cost }).collect(),
                unfilled,
            }).collect();
            let given = cheapest(&rows);
            let cost: i64 = given.iter().zip(&rows).map(|(edge, row)| edge.map_or(row.unfilled, |edge| edge.cost)).sum();
            prop_assert_eq!(cost, least(&rows, &mut Vec::new()));
            let mut domains: Vec<u64> = given.iter().flatten().map(|edge| edge.domain).collect();
            domains.sort_unstable();
            domains.dedup();
            prop_assert_eq!(domains.len(), given.iter().flatten().count(), "a domain was given twice");
        }
    }
}
