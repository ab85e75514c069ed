//! Counting connections: in all, and per host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// That of the port.
    Port,
    /// That of one host.
    Peer,
}

/// The room of a port.
#[derive(Clone)]
pub(super) struct Seats(Arc<Room>);

struct Room {
    all_max: usize,
    per_host_max: usize,
    taken: Mutex<BTreeMap<String, usize>>,
}

/// One connection's place; given back when dropped.
pub(super) struct Seat {
    room: Arc<Room>,
    host: String,
}

impl Seats {
    pub(super) fn new(all_max: usize, per_host_max: usize) -> Self {
        Self(Arc::new(Room { all_max, per_host_max, taken: Mutex::default() }))
    }

    /// Takes a seat for a connection from `peer` (`host:port`).
    pub(super) fn take(&self, peer: &str) -> Result<Seat, Full> {
        let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host).to_owned();
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.0.all_max {
            return Err(Full::Port);
        }
        let of_host = taken.entry(host.clone()).or_default();
        if *of_host >= self.0.per_host_max {
            return Err(Full::Peer);
        }
        *of_host += 1;
        Ok(Seat { room: self.0.clone(), host })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Seats};

    #[test]
    fn a_host_and_the_port_have_their_limits_and_seats_are_given_back() {
        let seats = Seats::new(3, 2);
        let first = seats.take("10.0.0.1:1").ok();
        let second = seats.take("10.0.0.1:2").ok();
        assert!(first.is_some() && second.is_some());
        assert_eq!(seats.take("10.0.0.1:3").err(), Some(Full::Peer));
        let third = seats.take("[::1]:3").ok();
        assert!(third.is_some());
        assert_eq!(seats.take("10.0.0.9:1").err(), Some(Full::Port));
        drop(first);
        assert!(seats.take("10.0.0.1:4").is_ok());
    }
}
