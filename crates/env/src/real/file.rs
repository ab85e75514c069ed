//! A real file.

use crate::File;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Piece in which zeroes are written where a filesystem cannot punch holes.
const ZERO_PIECE_BYTES: usize = 64 << 10;

/// An open file of the system.
pub(super) struct RealFile {
    pub(super) file: std::fs::File,
}

impl File for RealFile {
    fn read_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while !buffer.is_empty() {
            match self.file.read_at(buffer, offset) {
                Ok(0) => break,
                Ok(count) => {
                    done += count;
                    offset += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let wanted = buffer.len();
        let mut pieces = [IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&self.file, &mut pieces, offset, ReadWriteFlags::NOWAIT) {
            Ok(count) if count == wanted => Ok(Some(count)),
            // Short: either the rest is not resident or the file ends here.
            Ok(count) if offset + count as u64 >= self.len()? => Ok(Some(count)),
            Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    #[allow(unsafe_code, reason = "no safe binding of sync_file_range exists")]
    fn start_writing(&self, offset: u64, length: u64) {
        let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else { return };
        // SAFETY: the descriptor is open as long as `self.file`, and the call touches no memory of ours. It takes no error
        // away from a later fdatasync, since it waits for nothing.
        unsafe { libc::sync_file_range(self.file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[allow(unsafe_code, reason = "no safe binding of sync_file_range exists")]
    fn check_written(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as `self.file`, and the call touches no memory of ours.
        let done =
            unsafe { libc::sync_file_range(self.file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WAIT_BEFORE) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(at) => Ok(Some(at)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok((offset < self.len()?).then_some(offset)),
            Err(error) => Err(error.into()),
        }
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        let end = offset.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?;
        if length == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), offset, length) {
            Ok(()) => Ok(()),
            // zfs and network filesystems cannot reserve; growing is what is left.
            Err(Errno::OPNOTSUPP) if self.len()? < end => self.set_len(end),
            Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn punch_hole(&self, offset: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if length == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, flags, offset, length) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP) => self.write_zeroes(offset, length),
            Err(error) => Err(error.into()),
        }
    }
}

impl RealFile {
    /// Writes zeroes over a range, up to the end of the file.
    fn write_zeroes(&self, offset: u64, length: u64) -> io::Result<()> {
        let zeroes = [0; ZERO_PIECE_BYTES];
        let end = offset.saturating_add(length).min(self.len()?);
        let mut at = offset;
        while at < end {
            let count = (end - at).min(ZERO_PIECE_BYTES as u64);
            self.write_at(&zeroes[..count as usize], at)?;
            at += count;
        }
        Ok(())
    }
}
