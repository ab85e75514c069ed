//! Which disks: a maximum matching between wanted replicas and failure domains.
//!
//! # The problem
//! Each wanted replica accepts some disks; no two replicas may share a failure domain. Taking the best
//! disk for one replica after the other can waste the only disk another one accepts. The answer here
//! is a *maximum* matching (as many replicas placed as possible), and among those the one whose domains
//! come first in the order of preference.
//!
//! # Invariants
//! 1. No two chosen disks share a domain; each chosen disk is accepted for its replica.
//! 2. No other choice places more replicas.
//! 3. The same candidates in the same order give the same choice.
//!
//! # Why so few edges are enough
//! With `k` wanted replicas, one that has `k` acceptable domains can always be placed, whatever the
//! others take. So the first `k` domains per replica decide, at most 81 edges, however many disks exist.

use crate::Candidate;
use types::REPLICAS_MAX;

/// How many replicas are wanted and what each accepts.
pub trait Wanted {
    /// Replicas wanted; more than [`REPLICAS_MAX`] are cut off.
    fn replicas(&self) -> usize;
    /// Whether the disk will do for the replica with this number, from 0.
    fn accepts(&self, replica: usize, disk: &Candidate) -> bool;
}

/// So many replicas, anywhere.
#[derive(Clone, Copy, Debug)]
pub struct AnyDisk(pub usize);

impl Wanted for AnyDisk {
    fn replicas(&self) -> usize {
        self.0
    }
    fn accepts(&self, _replica: usize, _disk: &Candidate) -> bool {
        true
    }
}

/// The disks chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// For each wanted replica the number of its disk ([`Candidate::disk`]), or `None`: it cannot be placed.
    pub disks: Vec<Option<u16>>,
}

impl Choice {
    /// The disks found, in order of the wanted replicas.
    pub fn found(&self) -> impl Iterator<Item = u16> + '_ {
        self.disks.iter().flatten().copied()
    }
    /// Wanted replicas without a disk.
    pub fn missing(&self) -> usize {
        self.disks.iter().filter(|disk| disk.is_none()).count()
    }
}

/// An acceptable domain of one replica: the place of its best disk in the order of preference.
#[derive(Clone, Copy)]
struct Edge {
    domain: u32,
    disk: u16,
    rank: u32,
}

/// Chooses among candidates that come in order of preference, best first.
pub fn choose<'a>(candidates: impl IntoIterator<Item = &'a Candidate>, wanted: &impl Wanted) -> Choice {
    let replicas = wanted.replicas().min(REPLICAS_MAX);
    let mut edges: Vec<Vec<Edge>> = vec![Vec::with_capacity(replicas); replicas];
    let mut open = replicas;
    for (rank, candidate) in candidates.into_iter().enumerate() {
        if open == 0 {
            break;
        }
        for (replica, list) in edges.iter_mut().enumerate() {
            let full = list.len() == replicas;
            if full
                || list.iter().any(|edge| edge.domain == candidate.domain)
                || !wanted.accepts(replica, candidate)
            {
                continue;
            }
            list.push(Edge { domain: candidate.domain, disk: candidate.disk, rank: rank as u32 });
            open -= usize::from(list.len() == replicas);
        }
    }
    Choice { disks: match_domains(&edges) }
}

/// Takes domains in order of preference and keeps each that some augmenting path lets in. The domains
/// that can be matched together form a matroid, so this greedy order gives the best maximum matching.
fn match_domains(edges: &[Vec<Edge>]) -> Vec<Option<u16>> {
    let mut domains: Vec<(u32, u32)> = Vec::new();
    for edge in edges.iter().flatten() {
        match domains.iter_mut().find(|(_, domain)| *domain == edge.domain) {
            Some((rank, _)) => *rank = (*rank).min(edge.rank),
            None => domains.push((edge.rank, edge.domain)),
        }
    }
    domains.sort_unstable();
    let mut owner: Vec<Option<Edge>> = vec![None; edges.len()];
    for (_, domain) in domains {
        let mut seen = [false; REPLICAS_MAX];
        augment(domain, edges, &mut owner, &mut seen);
    }
    owner.into_iter().map(|edge| edge.map(|edge| edge.disk)).collect()
}

/// Gives the domain to a replica, moving others to where they may also go. The depth is at most the
/// number of replicas, since each is seen once.
fn augment(
    domain: u32,
    edges: &[Vec<Edge>],
    owner: &mut [Option<Edge>],
    seen: &mut [bool; REPLICAS_MAX],
) -> bool {
    for (replica, list) in edges.iter().enumerate() {
        if seen[replica] {
            continue;
        }
        let Some(edge) = list.iter().find(|edge| edge.domain == domain) else { continue };
        seen[replica] = true;
        let free = match owner[replica] {
            None => true,
            Some(taken) => augment(taken.domain, edges, owner, seen),
        };
        if free {
            owner[replica] = Some(*edge);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
