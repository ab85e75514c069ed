//! The term and the cluster in a small durable file, replaced as a whole.
//!
//! A new term must be stable before the first order given under it, and before any record of it.
//!
//! # Invariants
//! 1. A power cut leaves the file as it was or as it was to be.
//! 2. A file that cannot be read as one is an error, never "nothing stored": the term would go back.

use crc_fast::crc32_iscsi;
use env::{Dir, OpenMode};
use std::io;
use types::{ClusterId, TERM_MAX, Term};

const NAME: &str = "term";
const UNFINISHED: &str = "term.new";
const MAGIC: [u8; 8] = *b"MSKXTERM";
const VERSION: u32 = 1;
const BYTES: usize = 36;

/// What a master remembers beside its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign {
    /// The cluster.
    pub cluster: ClusterId,
    /// The highest term ever taken or seen.
    pub term: Term,
}

impl Reign {
    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.cluster.0);
        bytes[28..32].copy_from_slice(&self.term.0.to_le_bytes());
        let crc = crc32_iscsi(&bytes[..32]);
        bytes[32..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; BYTES]) -> Option<Self> {
        let mut cluster = ClusterId::default();
        cluster.0.copy_from_slice(&bytes[12..28]);
        let term = Term(u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]));
        let reign = Self { cluster, term };
        // What encodes to the same bytes has the right magic, version and checksum.
        (reign.encode() == *bytes && term.0 <= TERM_MAX).then_some(reign)
    }
}

/// Reads it; `None` if it was never stored. A damaged file is an error (`InvalidData`), never `None`.
pub fn load(dir: &dyn Dir) -> io::Result<Option<Reign>> {
    let file = match dir.open(NAME, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; BYTES];
    let whole = file.len()? == BYTES as u64 && file.read_at(&mut bytes, 0)? == BYTES;
    match Reign::decode(&bytes) {
        Some(reign) if whole => Ok(Some(reign)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file `term`, with the term and the cluster, is damaged; restore it from a backup, or \
             start from a metalogger",
        )),
    }
}

/// Stores it; durable when this returns.
pub fn store(dir: &dyn Dir, reign: Reign) -> io::Result<()> {
    let file = dir.open(UNFINISHED, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_at(&reign.encode(), 0)?;
    file.sync_data()?;
    dir.rename(UNFINISHED, NAME)?;
    dir.sync_dir("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::SimDisk;

    fn reign(term: u32) -> Reign {
        Reign { cluster: ClusterId([7; 16]), term: Term(term) }
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let dir = SimDisk::new(1, "d").dir();
        assert_eq!(load(&*dir).unwrap(), None);
        for term in [1, 2, TERM_MAX] {
            store(&*dir, reign(term)).unwrap();
            assert_eq!(load(&*dir).unwrap(), Some(reign(term)));
        }
    }

    #[test]
    fn a_power_cut_at_any_write_leaves_the_old_term_or_the_new_one() {
        for seed in 0..20 {
            for stop in 0..8 {
                let disk = SimDisk::new(seed, "d");
                store(&*disk.dir(), reign(1)).unwrap();
                disk.stop_after_writes(stop);
                let stored = store(&*disk.dir(), reign(2)).is_ok();
                disk.power_cut();
                let term = load(&*disk.dir()).unwrap().unwrap().term;
                assert!(term == Term(2) || (term == Term(1) && !stored), "seed {seed}, stop {stop}");
            }
        }
    }

    #[test]
    fn any_flipped_bit_is_an_error() {
        for bit in 0..BYTES as u64 * 8 {
            let disk = SimDisk::new(1, "d");
            store(&*disk.dir(), reign(3)).unwrap();
            disk.flip_bit(NAME, bit / 8, (bit % 8) as u32).unwrap();
            assert_eq!(load(&*disk.dir()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
