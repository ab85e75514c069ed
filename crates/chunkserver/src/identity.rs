//! Who this server is and the highest term it has seen, durably (`docs/format/chunkserver-identity.md`).
//!
//! Layout, little-endian; replaced as a whole (new file, fsync, rename, fsync of the folder):
//!
//! ```text
//! offset size field
//! 0      8    magic "MSKXSRVR"
//! 8      4    format version, 1
//! 12     4    the highest term seen, 0 if none
//! 16     16   server id
//! 32     16   cluster id, zeroes if not known yet
//! 48     4    CRC32C of all before
//! ```
//!
//! # Invariants
//! 1. A term or cluster is in the file before anything is done in its name.
//! 2. Neither goes back: terms only grow, a cluster is never replaced.

use env::{Dir, OpenMode, Seed};
use std::io;
use types::{ClusterId, ServerId, TERM_MAX, Term};

const PATH: &str = "identity";
const PATH_NEW: &str = "identity.new";
const MAGIC: &[u8; 8] = b"MSKXSRVR";
const FORMAT: u32 = 1;
const BYTES: usize = 52;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) server: ServerId,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) term: Term,
}

/// Why the file could not be read.
#[derive(Debug)]
pub(crate) enum IdentityError {
    Io(io::Error),
    Damaged(&'static str),
}

impl From<io::Error> for IdentityError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Identity {
    /// Reads the file, or draws a new identity and writes it.
    pub(crate) fn load_or_make(dir: &dyn Dir, seed: &dyn Seed) -> Result<Self, IdentityError> {
        if dir.exists(PATH)? {
            return Self::load(dir);
        }
        let identity = Self { server: ServerId(seed.next_id()), cluster: None, term: Term(0) };
        identity.store(dir)?;
        Ok(identity)
    }

    fn load(dir: &dyn Dir) -> Result<Self, IdentityError> {
        let file = dir.open(PATH, OpenMode::Read)?;
        if file.len()? != BYTES as u64 {
            return Err(IdentityError::Damaged("it has another length"));
        }
        let mut bytes = [0; BYTES];
        if file.read_at(&mut bytes, 0)? != BYTES {
            return Err(IdentityError::Damaged("it ends early"));
        }
        Self::decode(&bytes).map_err(IdentityError::Damaged)
    }

    /// Makes it durable.
    pub(crate) fn store(&self, dir: &dyn Dir) -> io::Result<()> {
        let file = dir.open(PATH_NEW, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_at(&self.encode(), 0)?;
        file.sync_data()?;
        dir.rename(PATH_NEW, PATH)?;
        dir.sync_dir("")
    }

    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.term.0.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.server.0);
        bytes[32..48].copy_from_slice(&self.cluster.unwrap_or_default().0);
        let crc = wire::crc::crc32c(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; BYTES]) -> Result<Self, &'static str> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[0..8] != *MAGIC {
            return Err("it is something else");
        }
        if u32_at(48) != wire::crc::crc32c(&bytes[..48]) {
            return Err("it does not match its checksum");
        }
        if u32_at(8) != FORMAT {
            return Err("it was written by a newer release");
        }
        let (server, cluster) = (ServerId::from_slice(&bytes[16..32]), ClusterId::from_slice(&bytes[32..48]));
        let (Some(server), Some(cluster), true) = (server, cluster, u32_at(12) <= TERM_MAX) else {
            return Err("its term is out of range");
        };
        let cluster = Some(cluster).filter(|cluster| *cluster != ClusterId::default());
        Ok(Self { server, cluster, term: Term(u32_at(12)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;

    fn sample() -> Identity {
        Identity { server: ServerId([1; 16]), cluster: Some(ClusterId([2; 16])), term: Term(0x0003_0201) }
    }

    #[test]
    fn the_file_looks_as_it_always_did() {
        let hex: String = sample().encode().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = "4d534b585352565201000000010203000101010101010101010101010101010102020202020202020202020202020202";
        assert_eq!(hex[..96], *body);
        assert_eq!(Identity::decode(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn damage_is_noticed() {
        for bit in 0..BYTES * 8 {
            let mut bytes = sample().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Identity::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_identity_stays_over_a_loss_of_power() {
        let (env, world) = Env::simulated(1);
        let disk = world.disk("data");
        let made = Identity::load_or_make(&*disk.dir(), &*env.seed).ok().unwrap();
        let raised = Identity { term: Term(7), cluster: Some(ClusterId([9; 16])), ..made };
        raised.store(&*disk.dir()).unwrap();
        disk.power_cut();
        let found = Identity::load_or_make(&*disk.dir(), &*env.seed).ok().unwrap();
        assert_eq!(found, raised);
    }
}
