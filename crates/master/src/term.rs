//! The term file: which terms this data directory has taken, and how far the log reached before each.
//!
//! Layout, little-endian; replaced as a whole (temporary file, fsync, rename, fsync of the folder):
//!
//! ```text
//! offset size field
//! 0      8    magic "MSKXTERM"
//! 8      4    format version, 1
//! 12     4    term: the highest taken
//! 16     16   cluster id
//! 32     4    1 once the first records of the cluster were stable, else 0
//! 36     4    n: number of beginnings, at most 1,024, the newest kept
//! 40     16n  beginnings, ascending: term (4), zero (4), last log index found when it began (8)
//! 40+16n 4    CRC32C of all before
//! ```
//!
//! # Invariants
//! 1. The file names a term before any record, order or grant of that term exists.
//! 2. A log that ends below the newest beginning has lost records that were stable.

use env::{Dir, OpenMode};
use std::io;
use types::{ClusterId, LogIndex, TERM_MAX, Term};

const PATH: &str = "term";
const PATH_NEW: &str = "term.new";
const MAGIC: &[u8; 8] = b"MSKXTERM";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 40;
const BEGINNING_BYTES: usize = 16;
/// Clients that slept through more starts than this learn of a lost tail only by what is missing.
const BEGINNINGS_MAX: usize = 1024;
const BYTES_MAX: usize = HEADER_BYTES + BEGINNINGS_MAX * BEGINNING_BYTES + 4;

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
        let length = file.len()?;
        let length = usize::try_from(length).ok().filter(|l| *l <= BYTES_MAX);
        let mut bytes = vec![0; length.ok_or(TermFileError::Damaged("it is too long"))?];
        if file.read_at(&mut bytes, 0)? != bytes.len() {
            return Err(TermFileError::Damaged("it ends early"));
        }
        Self::decode(&bytes).map(Some)
    }

    /// Replaces the file; stable when this returns.
    pub(crate) fn write(&self, dir: &dyn Dir) -> io::Result<()> {
        let file = dir.open(PATH_NEW, OpenMode::Create)?;
        let bytes = self.encode();
        file.set_len(bytes.len() as u64)?;
        file.write_at(&bytes, 0)?;
        file.sync_data()?;
        drop(file);
        dir.rename(PATH_NEW, PATH)?;
        dir.sync_dir("")
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BYTES_MAX);
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
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, TermFileError> {
        use TermFileError::Damaged;
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Damaged("it is too short"))?;
        if u32::from_le_bytes(*sum) != crc(body) {
            return Err(Damaged("its checksum does not match"));
        }
        let (header, rest) = body.split_first_chunk::<HEADER_BYTES>().ok_or(Damaged("it is too short"))?;
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if &header[..8] != MAGIC {
            return Err(Damaged("it is not a term file"));
        }
        if number(8) != FORMAT {
            return Err(Damaged("its format is of another release"));
        }
        if rest.len() != number(36) as usize * BEGINNING_BYTES || number(12) > TERM_MAX {
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
        for end in 0..good.len() {
            assert!(TermFile::decode(&good[..end]).is_err(), "cut at {end}");
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
        assert!(file.encode().len() <= BYTES_MAX);
    }
}
