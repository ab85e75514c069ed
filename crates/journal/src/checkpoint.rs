//! The container file of a checkpoint: checked pieces between a header and a footer.
//!
//! # Invariants
//! 1. A file with the final name was complete and durable before it got that name.
//! 2. A reader gives out a piece only after its checksum was right; the footer says whether all came.
//!
//! # Elsewhere
//! What the pieces contain: `meta` and `codec`.

use crate::segment::Window;
use crc_fast::{CrcAlgorithm, Digest};
use env::{Dir, EntryKind, File, OpenMode};
use std::error::Error;
use std::io;
use std::sync::Arc;
use types::{ClusterId, LogIndex, Term};

const MAGIC: [u8; 8] = *b"MSKXCKPT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const PIECE_HEADER_BYTES: usize = 8;
/// Stands where a piece has its length.
const FOOTER_MARK: u32 = u32::MAX;
const FOOTER_BYTES: usize = 32;
/// So much is gathered before it is written.
const BUFFER_BYTES: usize = 1 << 20;
/// Ends the name of a checkpoint that is not finished.
const UNFINISHED: &str = ".new";

const _: () = assert!((PIECE_BYTES_MAX as u64) < FOOTER_MARK as u64);

/// Largest piece.
pub const PIECE_BYTES_MAX: usize = 4 << 20;

/// Of which state a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster.
    pub cluster: ClusterId,
    /// Term of the last record that is in it.
    pub term: Term,
    /// The last record that is in it.
    pub index: LogIndex,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields mean")]
pub enum CheckpointError {
    #[error("{file} is damaged at byte {offset}: {what}")]
    Damaged { file: String, offset: u64, what: &'static str },
    #[error("{file} is of another cluster, {found}")]
    Foreign { file: String, found: ClusterId },
    #[error("{file} has format version {found}; this release reads versions up to {known}")]
    Version { file: String, found: u32, known: u32 },
    #[error("cannot read the checkpoint {file}")]
    Io { file: String, source: io::Error },
}

fn name_of(index: LogIndex) -> String {
    format!("checkpoint-{:020}", index.0)
}

fn index_of(name: &str) -> Option<LogIndex> {
    let index = LogIndex(name.strip_prefix("checkpoint-")?.parse().ok()?);
    (name_of(index) == name).then_some(index)
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.cluster.0);
        bytes[32..40].copy_from_slice(&self.index.0.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.term.0.to_le_bytes());
        let crc = header_crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// The checksum stands at 12..16 in every version.
fn header_crc(bytes: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&bytes[..12]);
    digest.update(&bytes[16..HEADER_BYTES]);
    digest.finalize() as u32
}

/// The checksum of a piece covers which checkpoint it is of, and its place in it.
fn piece_crc(index: LogIndex, number: u64, body: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&index.0.to_le_bytes());
    digest.update(&number.to_le_bytes());
    digest.update(body);
    digest.finalize() as u32
}

/// Writes one checkpoint. Dropped before [`Writer::finish`], it leaves none.
pub struct Writer {
    dir: Arc<dyn Dir>,
    file: Arc<dyn File>,
    index: LogIndex,
    buffer: Vec<u8>,
    offset: u64,
    pieces: u64,
    finished: bool,
}

impl Writer {
    /// Begins a checkpoint in a temporary file.
    pub fn create(dir: Arc<dyn Dir>, header: Header) -> io::Result<Self> {
        let file = dir.open(&(name_of(header.index) + UNFINISHED), OpenMode::Create)?;
        file.set_len(0)?;
        let buffer = header.encode().to_vec();
        Ok(Self { dir, file, index: header.index, buffer, offset: 0, pieces: 0, finished: false })
    }

    /// Adds a piece of at most [`PIECE_BYTES_MAX`].
    pub fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = match u32::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= PIECE_BYTES_MAX => length,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "the piece is too large")),
        };
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&piece_crc(self.index, self.pieces, bytes).to_le_bytes());
        self.buffer.extend_from_slice(bytes);
        self.pieces += 1;
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    /// Ends the file, makes it durable and gives it its name.
    pub fn finish(mut self, digest: [u8; 16]) -> io::Result<()> {
        self.buffer.extend_from_slice(&footer(self.index, digest, self.pieces));
        self.write_out()?;
        self.file.sync_data()?;
        let name = name_of(self.index);
        self.dir.rename(&(name.clone() + UNFINISHED), &name)?;
        self.finished = true;
        self.dir.sync_dir("")
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // `prune` removes what is left if this fails.
            let _ = self.dir.remove(&(name_of(self.index) + UNFINISHED));
        }
    }
}

fn footer(index: LogIndex, digest: [u8; 16], pieces: u64) -> [u8; FOOTER_BYTES] {
    let mut bytes = [0; FOOTER_BYTES];
    bytes[..4].copy_from_slice(&FOOTER_MARK.to_le_bytes());
    bytes[8..24].copy_from_slice(&digest);
    bytes[24..32].copy_from_slice(&pieces.to_le_bytes());
    let crc = piece_crc(index, pieces, &bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads one checkpoint.
pub struct Reader {
    file: Arc<dyn File>,
    name: String,
    header: Header,
}

impl Reader {
    /// Opens the checkpoint made at `index`; its header has been checked.
    pub fn open(dir: &dyn Dir, cluster: ClusterId, index: LogIndex) -> Result<Self, CheckpointError> {
        let name = name_of(index);
        let read = || {
            let file = dir.open(&name, OpenMode::Read)?;
            let mut bytes = [0; HEADER_BYTES];
            let count = file.read_at(&mut bytes, 0)?;
            Ok((file, bytes, count))
        };
        let (file, bytes, count) = match read() {
            Ok(found) => found,
            Err(source) => return Err(CheckpointError::Io { file: name, source }),
        };
        let damaged = |what| CheckpointError::Damaged { file: name.clone(), offset: 0, what };
        if count < HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(damaged("it does not begin as a checkpoint does"));
        }
        if bytes[12..16] != header_crc(&bytes).to_le_bytes() {
            return Err(damaged("the checksum of its header is wrong"));
        }
        let found = u32_at(&bytes, 8);
        if found != VERSION {
            return Err(CheckpointError::Version { file: name, found, known: VERSION });
        }
        let mut id = ClusterId::default();
        id.0.copy_from_slice(&bytes[16..32]);
        if id != cluster {
            return Err(CheckpointError::Foreign { file: name, found: id });
        }
        let header = Header { cluster, term: Term(u32_at(&bytes, 40)), index: LogIndex(u64_at(&bytes, 32)) };
        if header.index != index {
            return Err(damaged("it was made at another index than its name says"));
        }
        Ok(Self { file, name, header })
    }

    /// Of which state it is.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Gives all pieces to `visit`, in order, and the digest after the last.
    pub fn read<E: From<CheckpointError>>(
        &mut self,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<[u8; 16], E> {
        let mut window = Window::new(&*self.file).map_err(|e| self.failed(e))?;
        let mut offset = HEADER_BYTES as u64;
        let mut number = 0;
        loop {
            let damaged = |what| CheckpointError::Damaged { file: self.name.clone(), offset, what };
            let head = window.get(offset, PIECE_HEADER_BYTES).map_err(|e| self.failed(e))?;
            let Some(head) = head else { return Err(damaged("it ends too early").into()) };
            let length = u32_at(head, 0);
            if length == FOOTER_MARK {
                let rest = window.get(offset, FOOTER_BYTES).map_err(|e| self.failed(e))?;
                let Some(rest) = rest else { return Err(damaged("it ends too early").into()) };
                let mut digest = [0; 16];
                digest.copy_from_slice(&rest[8..24]);
                if rest[..FOOTER_BYTES] != footer(self.header.index, digest, number) {
                    return Err(damaged("its footer does not match the pieces before it").into());
                }
                return Ok(digest);
            }
            let (length, crc) = (length as usize, u32_at(head, 4));
            if length > PIECE_BYTES_MAX {
                return Err(damaged("a piece is larger than any can be").into());
            }
            let piece = window.get(offset, PIECE_HEADER_BYTES + length).map_err(|e| self.failed(e))?;
            let Some(piece) = piece else { return Err(damaged("it ends too early").into()) };
            let body = &piece[PIECE_HEADER_BYTES..PIECE_HEADER_BYTES + length];
            if crc != piece_crc(self.header.index, number, body) {
                return Err(damaged("the checksum of a piece is wrong").into());
            }
            visit(body)?;
            number += 1;
            offset += (PIECE_HEADER_BYTES + length) as u64;
        }
    }

    fn failed(&self, source: io::Error) -> CheckpointError {
        CheckpointError::Io { file: self.name.clone(), source }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a range of four bytes is four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of eight bytes is eight bytes"))
}

/// A checkpoint that was passed over.
#[derive(Debug)]
pub struct Bad {
    /// Its file.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// What came of looking for a usable checkpoint.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The newest usable checkpoint and what was made of it; `None` if there is none.
    pub checkpoint: Option<(Header, T)>,
    /// Newer ones that could not be used.
    pub bad: Vec<Bad>,
}

/// The indexes of the checkpoints in `dir`, newest first.
pub fn list(dir: &dyn Dir) -> io::Result<Vec<LogIndex>> {
    let files = dir.list("")?.into_iter().filter(|entry| entry.kind == EntryKind::File);
    let mut indexes: Vec<LogIndex> = files.filter_map(|entry| index_of(&entry.name)).collect();
    indexes.sort_by(|a, b| b.cmp(a));
    Ok(indexes)
}

/// Loads the newest checkpoint for which `load` succeeds, trying older ones after damage; those that
/// were passed over are told.
pub fn load_newest<T>(
    dir: &dyn Dir,
    cluster: ClusterId,
    mut load: impl FnMut(&mut Reader) -> Result<T, Box<dyn Error + Send + Sync>>,
) -> io::Result<Loaded<T>> {
    let mut bad = Vec::new();
    for index in list(dir)? {
        let mut attempt = || {
            let mut reader = Reader::open(dir, cluster, index)?;
            let loaded = load(&mut reader)?;
            Ok::<_, Box<dyn Error + Send + Sync>>((reader.header(), loaded))
        };
        match attempt() {
            Ok(checkpoint) => return Ok(Loaded { checkpoint: Some(checkpoint), bad }),
            Err(error) => {
                bad.push(Bad { file: name_of(index), why: with_causes(&*error) });
                set_aside(dir, index)?;
            }
        }
    }
    Ok(Loaded { checkpoint: None, bad })
}

/// A damaged checkpoint keeps its bytes under another name, so that it does not count among those to keep.
fn set_aside(dir: &dyn Dir, index: LogIndex) -> io::Result<()> {
    let name = name_of(index);
    dir.rename(&name, &format!("damaged-{name}"))?;
    dir.sync_dir("")
}

/// An error and what caused it, in one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Removes all but the newest `keep` (at least two) and leftovers of unfinished ones. Answers the first
/// record that must stay in the log: the one after the oldest checkpoint kept, or 1 if there are fewer than two.
pub fn prune(dir: &dyn Dir, keep: usize) -> io::Result<LogIndex> {
    let keep = keep.max(2);
    for entry in dir.list("")? {
        if entry.name.strip_suffix(UNFINISHED).and_then(index_of).is_some() {
            dir.remove(&entry.name)?;
        }
    }
    let indexes = list(dir)?;
    for index in indexes.iter().skip(keep) {
        dir.remove(&name_of(*index))?;
    }
    dir.sync_dir("")?;
    match indexes.iter().take(keep).next_back() {
        Some(oldest) if indexes.len() >= 2 => Ok(LogIndex(oldest.0.saturating_add(1))),
        _ => Ok(LogIndex(1)),
    }
}

#[cfg(test)]
mod tests;
