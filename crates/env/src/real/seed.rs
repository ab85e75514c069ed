//! Randomness from getrandom(2).

use crate::Seed;
use rustix::rand::{GetRandomFlags, getrandom};

/// The system's random source.
pub(super) struct RealSeed;

impl Seed for RealSeed {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0u8; 8];
        loop {
            // Up to 256 bytes come whole once the pool is ready; before that a signal may interrupt.
            match getrandom(&mut bytes, GetRandomFlags::empty()) {
                Ok(8) => return u64::from_ne_bytes(bytes),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("getrandom(2) has worked since Linux 3.17: {error}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        assert_ne!(RealSeed.next_id(), RealSeed.next_id());
    }
}
