//! Torn pages: kept apart from rot until other replicas were asked for them.
//!
//! # Invariants
//! 1. The header names the regions in which a page that does not match its record is torn; this outlives further stops.
//! 2. A torn page is neither read nor merged with; a write of the whole page, or a cut, replaces it.
//! 3. Bytes of a torn page get a new checksum only by [`Replica::keep_torn`].

use super::edit::{Edit, PageState};
use super::{PAGES, Pages, Replica};
use crate::StoreError;
use crate::activity::{Activity, regions};
use crate::crc::{PAGE, crc32c};
use crate::header::Flags;
use env::File;
use std::io;
use std::ops::Range;
use types::{BLOCK_BYTES, BLOCKS_PER_CHUNK};

impl Replica {
    /// Whether a page, if it does not match its record, is torn.
    pub(crate) fn may_be_torn(&self, page: u32) -> bool {
        regions(u64::from(page) * PAGE as u64, PAGE as u64) & self.header.torn != 0
    }

    /// What a page that does not match its record is.
    pub(super) fn mismatch(&self, page: u32) -> StoreError {
        let chunk = self.chunk;
        match self.may_be_torn(page) {
            true => StoreError::Torn { chunk, page },
            false => StoreError::Damaged { chunk, page },
        }
    }

    /// There are torn pages in these regions, too. Durable with the next sync.
    pub(super) fn set_torn(&mut self, regions: u16) -> io::Result<()> {
        if regions & !self.header.torn == 0 {
            return Ok(());
        }
        self.header.torn |= regions;
        self.header.flags.set(Flags::TORN);
        self.write_header()
    }

    /// No page is torn any more. Durable with the next sync.
    pub(crate) fn clear_torn(&mut self) -> io::Result<()> {
        if self.header.torn == 0 {
            return Ok(());
        }
        self.header.torn = 0;
        self.header.flags.clear(Flags::TORN);
        self.write_header()
    }

    /// As [`Replica::read_pages`], but refuses torn pages.
    pub(crate) fn read_untorn(
        &self,
        pages: Range<u32>,
        read: impl FnMut(&dyn File, &mut [u8], u64) -> io::Result<Option<usize>>,
    ) -> Result<Option<Pages>, StoreError> {
        let first = pages.start;
        let read = self.read_pages(pages, read)?;
        if let Some(found) = read.as_ref().filter(|_| self.header.torn != 0) {
            for (page, (data, crc)) in (first..).zip(found.data.chunks_exact(PAGE).zip(&found.crcs)) {
                if self.may_be_torn(page) && crc32c(data) != *crc {
                    return Err(StoreError::Torn { chunk: self.chunk, page });
                }
            }
        }
        Ok(read)
    }

    /// A page's bytes, and whether they are its own. Those of a damaged page that the device cannot read are zeroes.
    pub(super) fn page_as_it_is(&self, page: u32) -> Result<(Vec<u8>, PageState), StoreError> {
        match self.verified_page(page) {
            Err(StoreError::Torn { .. }) => Ok((self.bytes_of(page)?, PageState::Torn)),
            Err(StoreError::Damaged { .. } | StoreError::DamagedFile { .. }) => {
                let mut data = vec![0; PAGE];
                super::read_readable(&*self.file, &mut data, u64::from(page) * PAGE as u64)?;
                Ok((data, PageState::Damaged))
            }
            verified => Ok((verified?, PageState::Sound)),
        }
    }

    /// The checksum on record of a page, and that of its bytes. Of what cannot be read the other one says it alone.
    pub(crate) fn checksums(&self, page: u32) -> Result<[u32; 2], StoreError> {
        let (crc, hole) = match self.record_of(page) {
            Err(StoreError::Damaged { .. } | StoreError::Torn { .. }) => {
                return Ok([crc32c(&self.bytes_of(page)?); 2]);
            }
            record => record?,
        };
        let found = if hole { crc } else { self.bytes_of(page).map_or(crc, |bytes| crc32c(&bytes)) };
        Ok([crc, found])
    }

    fn bytes_of(&self, page: u32) -> io::Result<Vec<u8>> {
        let mut data = vec![0; PAGE];
        super::read_padded(&*self.file, &mut data, u64::from(page) * PAGE as u64)?;
        Ok(data)
    }

    /// The pages that are torn. All records are loaded; where a page of them is damaged, or the device cannot read, all
    /// are.
    pub(crate) fn torn_pages(&self) -> Vec<u32> {
        let mut torn = Vec::new();
        for block in 0..BLOCKS_PER_CHUNK {
            let bytes = u64::from(BLOCK_BYTES);
            if regions(u64::from(block) * bytes, bytes) & self.header.torn != 0 {
                let pages = block * PAGES as u32..(block + 1) * PAGES as u32;
                torn.extend(self.damaged_pages(pages.clone()).unwrap_or_else(|_| pages.collect()));
            }
        }
        torn
    }

    /// Gives pages a checksum of the bytes that they have. False: they cannot be read.
    pub(crate) fn keep_torn(&mut self, page: u32, activity: &Activity) -> Result<bool, StoreError> {
        let Ok(data) = self.bytes_of(page) else { return Ok(false) };
        let mut edit = Edit::default();
        edit.keep(page, &data);
        match self.apply(edit, activity) {
            Ok(()) => Ok(true),
            Err(StoreError::DamagedFile { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
