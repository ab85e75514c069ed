//! The term file: which terms this data directory has taken, and how far the log reached before each.
//!
//! Two copies, each in a place of 20,480 bytes. Both are written over in place, the first one durably before the second: so the file needs no room on a
//! disk that is full, and one copy is always whole. A new file is made aside (temporary file, fsync, rename, fsync of the folder).
//!
//! Layout of a copy, little-endian; what follows it is zero:
//!
//! ```text
//! offset size field
//! 0      8    magic "MSKXTERM"
//! 8      4    format version, 2
//! 12     4    term: the highest taken
//! 16     16   cluster id
//! 32     4    1 once the first records of the cluster were stable, else 0
//! 36     4    n: number of beginnings, at most 1,024, the newest kept
//! 40     16n  beginnings, ascending: term (4), zero (4), last log index found when it began (8)
//! 40+16n 4    CRC32C of all before
//! ```
//!
//! # Invariants
//! 1. Both copies name a term before any record, order or grant of that term exists: so whichever of them is damaged, by a stop in the middle or
//!    later, the other one names every term that was used.
//! 2. A log that ends below the newest beginning has lost records that were stable.

use env::{Dir, OpenMode};
use std::io;
use types::{ClusterId, LogIndex, TERM_MAX, Term};

const PATH: &str = "term";
const PATH_NEW: &str = "term.new";
const MAGIC: &[u8; 8] = b"MSKXTERM";
const FORMAT: u32 = 2;
const HEADER_BYTES: usize = 40;
const BEGINNING_BYTES: usize = 16;
/// Clients that slept through more starts than this learn of a lost tail only by what is missing.
const BEGINNINGS_MAX: usize = 1024;
const BYTES_MAX: usize = HEADER_BYTES + BEGINNINGS_MAX * BEGINNING_BYTES + 4;
/// A copy with what fills its place.
const COPY_BYTES: usize = 20_480;
const COPIES: usize = 2;
const _: () = assert!(BYTES_MAX <= COPY_BYTES);

/// When a term began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The term.
    pub(crate) term: Term,
    /// The last record found in the log when it began.
    pub(crate) found: LogIndex,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TermFile {
    pub(crate) term: Term,
    pub(crate) cluster: ClusterId,
    pub(crate) established: bool,
    pub(crate) beginnings: Vec<Beginning>,
}

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TermFileError {
    #[error("cannot read the term file")]
    Io(#[from] io::Error),
    #[error("the term file is damaged: {0}")]
    Damaged(&'static str),
}

impl TermFile {
    /// Before the first start of a cluster.
    pub(crate) fn fresh(cluster: ClusterId) -> Self {
        Self { term: Term(0), cluster, established: false, beginnings: Vec::new() }
    }

    /// Notes that `term` begins after the log was found to end at `found`.
    pub(crate) fn begin(&mut self, term: Term, found: LogIndex) {
        self.term = term;
        self.beginnings.push(Beginning { term, found });
        let excess = self.beginnings.len().saturating_sub(BEGINNINGS_MAX);
        self.beginnings.drain(..excess);
    }

    /// Whether a record that `highest` names, answered under `term`, is no longer in the log.
    pub(crate) fn lost(&self, term: Term, highest: LogIndex) -> bool {
        self.beginnings.iter().find(|b| b.term > term).is_some_and(|b| b.found < highest)
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn read(dir: &dyn Dir) -> Result<Option<Self>, TermFileError> {
        if !dir.exists(PATH)? {
            return Ok(None);
        }
        let file = dir.open(PATH, OpenMode::Read)?;
        let copies = (0..COPIES).map(|copy| {
            let mut bytes = vec![0; COPY_BYTES];
            match file.read_at(&mut bytes, (copy * COPY_BYTES) as u64)? {
                COPY_BYTES => Self::decode(&bytes),
                _ => Err(TermFileError::Damaged("it ends early")),
            }
        });
        Self::newer(copies).map(Some)
    }

    /// The newer of the copies that can be used; if none can, what is wrong with the first.
    fn newer(copies: impl Iterator<Item = Result<Self, TermFileError>>) -> Result<Self, TermFileError> {
        let (mut newest, mut wrong): (Option<Self>, Option<TermFileError>) = (None, None);
        for copy in copies {
            match copy {
                Ok(copy) => {
                    let is_newer =
                        |than: &Self| (copy.term, copy.established) > (than.term, than.established);
                    if newest.as_ref().is_none_or(is_newer) {
                        newest = Some(copy);
                    }
                }
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        newest.ok_or_else(|| wrong.unwrap_or(TermFileError::Damaged("it is empty")))
    }

    /// Replaces what the file says, of which it needs no more room than it has; stable when this returns.
    pub(crate) fn write(&self, dir: &dyn Dir) -> io::Result<()> {
        let bytes = self.encode();
        if !dir.exists(PATH)? {
            let file = dir.open(PATH_NEW, OpenMode::Create)?;
            file.set_len(0)?;
            file.write_at(&bytes.repeat(COPIES), 0)?;
            file.sync_data()?;
            drop(file);
            dir.rename(PATH_NEW, PATH)?;
            return dir.sync_dir("");
        }
        let file = dir.open(PATH, OpenMode::ReadWrite)?;
        for copy in 0..COPIES {
            file.write_at(&bytes, (copy * COPY_BYTES) as u64)?;
            file.sync_data()?;
        }
        // The one who made it may have been stopped before its name was durable.
        dir.sync_dir("")
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(COPY_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.term.0.to_le_bytes());
        out.extend_from_slice(&self.cluster.0);
        out.extend_from_slice(&u32::from(self.established).to_le_bytes());
        out.extend_from_slice(&(self.beginnings.len() as u32).to_le_bytes());
        for beginning in &self.beginnings {
            out.extend_from_slice(&beginning.term.0.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&beginning.found.0.to_le_bytes());
        }
        out.extend_from_slice(&crc(&out).to_le_bytes());
        out.resize(COPY_BYTES, 0);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, TermFileError> {
        use TermFileError::Damaged;
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Damaged("it is too short"))?;
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if &header[..8] != MAGIC {
            return Err(Damaged("it is not a term file"));
        }
        if number(8) != FORMAT {
            return Err(Damaged("its format is of another release"));
        }
        let length = (number(36) as usize).checked_mul(BEGINNING_BYTES);
        let cut = length.and_then(|length| rest.split_at_checked(length));
        let (rest, after) = cut.ok_or(Damaged("its fields contradict each other"))?;
        let sum = after.first_chunk::<4>().ok_or(Damaged("it is too short"))?;
        if u32::from_le_bytes(*sum) != crc(&bytes[..HEADER_BYTES + rest.len()]) {
            return Err(Damaged("its checksum does not match"));
        }
        if number(12) > TERM_MAX || after[4..].iter().any(|byte| *byte != 0) {
            return Err(Damaged("its fields contradict each other"));
        }
        let (entries, _) = rest.as_chunks::<BEGINNING_BYTES>();
        let beginnings = entries
            .iter()
            .map(|entry| Beginning {
                term: Term(u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])),
                found: LogIndex(u64::from_le_bytes([
                    entry[8], entry[9], entry[10], entry[11], entry[12], entry[13], entry[14], entry[15],
                ])),
            })
            .collect();
        let cluster = ClusterId::from_slice(&header[16..32]).expect("the slice has 16 bytes");
        Ok(Self { term: Term(number(12)), cluster, established: number(32) == 1, beginnings })
    }
}

fn crc(bytes: &[u8]) -> u32 {
    // The algorithm is 32 bits wide, so nothing is cut off.
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TermFile {
        let mut file = TermFile::fresh(ClusterId([7; 16]));
        file.begin(Term(1), LogIndex(0));
        file.begin(Term(2), LogIndex(120));
        file.begin(Term(3), LogIndex(100));
        file
    }

    #[test]
    fn a_term_file_reads_as_written() {
        let file = sample();
        assert_eq!(TermFile::decode(&file.encode()).unwrap(), file);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let good = sample().encode();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(TermFile::decode(&bad).is_err(), "byte {at}");
        }
        for end in 0..HEADER_BYTES + 3 * BEGINNING_BYTES + 4 {
            assert!(TermFile::decode(&good[..end]).is_err(), "cut at {end}");
        }
    }

    /// Also on a disk that has no room for anything new.
    #[test]
    fn a_stop_after_any_write_and_rot_of_either_copy_leave_a_term_that_was_written() {
        let (old, mut new) = (sample(), sample());
        new.begin(Term(4), LogIndex(130));
        for writes in 0..=2 {
            let disk = env::SimDisk::new(1, "master");
            let dir = disk.dir();
            old.write(&*dir).unwrap();
            let place = dir.open(PATH, OpenMode::ReadWrite).unwrap();
            for copy in 0..writes {
                place.write_at(&new.encode(), (copy * COPY_BYTES) as u64).unwrap();
            }
            let whole = if writes == 0 { &old } else { &new };
            assert_eq!(TermFile::read(&*dir).unwrap().unwrap(), *whole);
            for copy in 0..COPIES {
                let at = (copy * COPY_BYTES + 50) as u64;
                let mut byte = [0];
                place.read_at(&mut byte, at).unwrap();
                place.write_at(&[byte[0] ^ 1], at).unwrap();
                let left = TermFile::read(&*dir).unwrap().unwrap();
                assert!(left == *whole || writes == 1 && copy == 0 && left == old, "{writes}, {copy}");
                place.write_at(&byte, at).unwrap();
            }
            let allocated = place.allocated_bytes().unwrap();
            new.write(&*dir).unwrap();
            assert_eq!(place.allocated_bytes().unwrap(), allocated);
            assert_eq!(TermFile::read(&*dir).unwrap().unwrap(), new);
            for copy in 0..COPIES {
                place.write_at(b"x", (copy * COPY_BYTES) as u64).unwrap();
            }
            assert!(matches!(TermFile::read(&*dir), Err(TermFileError::Damaged(_))));
        }
    }

    #[test]
    fn a_lost_tail_is_noticed_even_after_the_log_grew_past_it() {
        let file = sample();
        assert!(!file.lost(Term(1), LogIndex(120)));
        assert!(file.lost(Term(1), LogIndex(121)));
        assert!(file.lost(Term(2), LogIndex(150)));
        assert!(!file.lost(Term(3), LogIndex(5000)), "the present term has lost nothing");
    }

    #[test]
    fn only_the_newest_beginnings_are_kept() {
        let mut file = TermFile::fresh(ClusterId([1; 16]));
        for term in 1..2000 {
            file.begin(Term(term), LogIndex(u64::from(term)));
        }
        assert_eq!(file.beginnings.len(), BEGINNINGS_MAX);
        assert_eq!(file.term, Term(1999));
        assert_eq!(TermFile::decode(&file.encode()).unwrap(), file);
    }
}
