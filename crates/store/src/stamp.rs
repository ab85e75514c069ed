//! The stamp of a disk: what makes a directory ours. Layout: `docs/format/disk.md`.
//!
//! Two copies in one small file, replaced as a whole (written aside, synced, renamed), so that neither
//! a power cut nor one bad sector takes a disk away.

use crate::crc::crc32c;
use crate::header::{u16_at, u32_at, u64_at};
use env::{Dir, OpenMode};
use std::io;
use types::{ClusterId, DiskId};

/// The file's name in the disk's directory.
pub(crate) const STAMP: &str = "stamp";
/// Where the next one is written before it takes the place of `stamp`.
pub(crate) const STAMP_ASIDE: &str = "stamp.new";
/// The disk format that is written.
pub(crate) const FORMAT: u16 = 2;
const COPY_BYTES: usize = 128;
const COPIES_AT: [usize; 2] = [0, 4096];
const FILE_BYTES: usize = COPIES_AT[1] + COPY_BYTES;
const MAGIC: &[u8; 8] = b"MSKXDISK";
const CRC_AT: usize = COPY_BYTES - 4;

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) cluster: ClusterId,
    pub(crate) disk: DiskId,
    pub(crate) registrations: u64,
}

/// Why a stamp cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StampError {
    Damaged(&'static str),
    Newer(u16),
}

impl Stamp {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = [0; COPY_BYTES];
        copy[..8].copy_from_slice(MAGIC);
        copy[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        copy[16..32].copy_from_slice(&self.cluster.0);
        copy[32..48].copy_from_slice(&self.disk.0);
        copy[48..56].copy_from_slice(&self.registrations.to_le_bytes());
        let crc = crc32c(&copy[..CRC_AT]);
        copy[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        let mut bytes = vec![0; FILE_BYTES];
        for at in COPIES_AT {
            bytes[at..at + COPY_BYTES].copy_from_slice(&copy);
        }
        bytes
    }

    /// From the bytes of the file: the first copy that is valid.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StampError> {
        let mut error = StampError::Damaged("it is too short");
        for at in COPIES_AT {
            if let Some(copy) = bytes.get(at..at + COPY_BYTES) {
                match Self::decode_copy(copy) {
                    Ok(stamp) => return Ok(stamp),
                    Err(why) => error = why,
                }
            }
        }
        Err(error)
    }

    fn decode_copy(copy: &[u8]) -> Result<Self, StampError> {
        if &copy[..8] != MAGIC {
            return Err(StampError::Damaged("it does not begin as a stamp does"));
        }
        if crc32c(&copy[..CRC_AT]) != u32_at(copy, CRC_AT) {
            return Err(StampError::Damaged("its checksum is wrong"));
        }
        if u16_at(copy, 8) != FORMAT {
            return Err(StampError::Newer(u16_at(copy, 8)));
        }
        let damaged = StampError::Damaged("it is too short");
        Ok(Self {
            cluster: ClusterId::from_slice(&copy[16..32]).ok_or(damaged)?,
            disk: DiskId::from_slice(&copy[32..48]).ok_or(damaged)?,
            registrations: u64_at(copy, 48),
        })
    }

    /// Reads the bytes of the stamp file.
    pub(crate) fn read(dir: &dyn Dir) -> io::Result<Vec<u8>> {
        let file = dir.open(STAMP, OpenMode::Read)?;
        let mut bytes = vec![0; FILE_BYTES];
        let length = file.read_at(&mut bytes, 0)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Replaces the stamp file, durably.
    pub(crate) fn store(&self, dir: &dyn Dir) -> io::Result<()> {
        let file = dir.open(STAMP_ASIDE, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_at(&self.encode(), 0)?;
        file.sync_data()?;
        dir.rename(STAMP_ASIDE, STAMP)?;
        dir.sync_dir("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { cluster: ClusterId([1; 16]), disk: DiskId([2; 16]), registrations: 77 };

    #[test]
    fn one_damaged_copy_does_no_harm_and_two_are_noticed() {
        let good = STAMP.encode();
        assert_eq!(Stamp::decode(&good), Ok(STAMP));
        for bit in 0..COPY_BYTES * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Stamp::decode(&bytes), Ok(STAMP));
            bytes[4096 + bit / 8] ^= 1 << (bit % 8);
            assert!(Stamp::decode(&bytes).is_err());
        }
    }

    #[test]
    fn any_length_is_refused_or_read() {
        let good = STAMP.encode();
        for length in 0..good.len() {
            let _ = Stamp::decode(&good[..length]);
        }
        assert!(Stamp::decode(&[]).is_err());
    }
}
