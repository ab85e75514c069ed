//! Which replicas a client had better read first, and which last: hints that go with where a chunk is.
//!
//! # Invariants
//! 1. A hint is about the order alone: every replica that may be read is told, whatever its hints.
//! 2. Labels count as placement sees them now, those of the disk's server included.
//! 3. For who prefers nothing, and a class that wants nothing read last, a replica costs one comparison of two addresses.
//!
//! # Elsewhere
//! What a client makes of hints, and of what it measured itself: `read/replica.rs` of `client`.

use crate::fleet::Fleet;
use placement::Condition;
use types::{ClassId, ReadHints, ReplicaAddress};

/// Who reads, as far as it says what is near.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Empty: nobody knows.
    host: String,
    prefer: Option<Condition>,
}

impl Reader {
    /// One that is connected from the address `peer`, and would rather read from the disks of a condition.
    pub fn new(peer: &str, prefer: Option<Condition>) -> Self {
        let host = host_of(peer);
        // So IPv4 comes in by a socket for both.
        let mapped = host.strip_prefix("[::ffff:").and_then(|rest| rest.strip_suffix(']'));
        Self { host: mapped.unwrap_or(host).to_owned(), prefer }
    }
}

/// Of `host:port`. Hosts are compared as they are written: names are not looked up.
fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

impl Fleet {
    /// Gives replicas of a chunk the hints for a reader. The class is that of the chunk's file.
    pub fn hint(&self, class: ClassId, reader: &Reader, replicas: &mut [ReplicaAddress]) {
        let (class, pool) = (self.classes.get(class), &self.hosts.pool);
        let by_labels = reader.prefer.is_some() || class.spares_any();
        for replica in replicas {
            let same_host = !reader.host.is_empty() && host_of(&replica.address) == reader.host;
            replica.hints = ReadHints { same_host, ..ReadHints::default() };
            if by_labels && let Some(disk) = self.hosts.disk_number(replica.disk) {
                let prefer = reader.prefer.as_ref();
                replica.hints.preferred = prefer.is_some_and(|condition| pool.meets(disk, condition));
                replica.hints.read_last = class.is_read_last(disk, pool);
            }
        }
    }
}
