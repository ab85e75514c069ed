//! Walking all chunk files, and the inventory.

use super::{Disk, entry_of};
use crate::StoreError;
use crate::header::Flags;
use crate::index::IndexEntry;
use crate::locks::{exclusive, shared};
use crate::names::{CHUNKS, chunk_named, folder_named, folder_of, folder_path};
use crate::replica::{LoadError, Replica};
use crate::report::{InventoryEntry, ScanReport};
use env::EntryKind;
use std::io;
use types::{ChunkId, Term, Version};

/// What the index says of a chunk whose header cannot be read.
pub(super) const UNREADABLE: IndexEntry =
    IndexEntry { version: Version { term: Term(0), counter: 0 }, flags: Flags(Flags::BAD) };
/// Entries taken from the index at a time, so that it is not held while the caller works.
const PAGE_ENTRIES: usize = 1024;

impl Disk {
    /// Names every replica, in the order of chunk ids, from the index (from the files if it is broken).
    pub fn inventory(&self, each: &mut dyn FnMut(InventoryEntry)) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.index.page(after, PAGE_ENTRIES);
            if self.index.is_broken() {
                break;
            }
            for (chunk, entry) in &page {
                each(entry.flags.entry(*chunk, entry.version));
            }
            match page.last() {
                Some((last, _)) => after = Some(*last),
                None => return Ok(()),
            }
        }
        for chunk in self.chunk_files(&mut ScanReport::default())? {
            if after.is_some_and(|after| chunk <= after) {
                continue;
            }
            let entry = match self.peek(chunk) {
                Ok(entry) if self.is_held(chunk) => IndexEntry { flags: Flags(Flags::HELD), ..entry },
                Ok(entry) => entry,
                Err(LoadError::Absent | LoadError::Stub) => continue,
                Err(LoadError::Unreadable(_)) => UNREADABLE,
                Err(LoadError::Disk(_)) if self.is_held(chunk) => UNREADABLE,
                Err(LoadError::Disk(error)) => return Err(error.into()),
            };
            each(entry.flags.entry(chunk, entry.version));
        }
        Ok(())
    }

    /// Walks all chunk files and corrects the index.
    pub fn scan(&self) -> Result<ScanReport, StoreError> {
        self.walk_all()
    }

    pub(super) fn walk_all(&self) -> Result<ScanReport, StoreError> {
        let mut report = ScanReport::default();
        let files = self.chunk_files(&mut report)?;
        for chunk in &files {
            let before = self.index.get(*chunk);
            let slot = self.slot(*chunk);
            let mut state = exclusive(&slot.state);
            let known = state.is_some();
            let found =
                if known { Ok(Default::default()) } else { self.load_named(*chunk, &mut state, None) };
            match found {
                Ok(settled) => {
                    report.chunks += 1;
                    report.torn_pages += settled.torn_pages;
                    report.rotten_pages += settled.rotten_pages;
                    if let Some(replica) = state.as_ref() {
                        let entry = entry_of(replica);
                        if before != Some(entry) {
                            report.corrected += 1;
                            self.index.put(*chunk, entry);
                        }
                    }
                }
                Err(LoadError::Absent) => {}
                Err(LoadError::Stub) => report.stubs += 1,
                Err(LoadError::Unreadable(what)) => {
                    report.unreadable += 1;
                    self.unreadable(*chunk, what);
                }
                Err(LoadError::Disk(error)) if crate::error::is_exhausted(&error) => return Err(error.into()),
                Err(LoadError::Disk(error)) => {
                    tracing::warn!(%chunk, disk = %self.disk, %error, "a chunk file cannot be read");
                    report.unreadable += 1;
                    if !self.is_held(*chunk) {
                        self.index.put(*chunk, UNREADABLE);
                    }
                }
            }
        }
        self.drop_vanished(&files, &mut report)?;
        Ok(report)
    }

    /// Removes entries of the index without a file.
    fn drop_vanished(&self, files: &[ChunkId], report: &mut ScanReport) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.index.page(after, PAGE_ENTRIES);
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            for (chunk, _) in page {
                // Made since the walk began, perhaps: the file itself decides.
                if files.binary_search(&chunk).is_err() {
                    let slot = self.slot(chunk);
                    let state = shared(&slot.state);
                    if state.is_none() && !self.dir.exists(&crate::names::chunk_path(chunk))? {
                        self.index.remove(chunk);
                        report.vanished += 1;
                    }
                }
            }
        }
    }

    /// What a chunk's header says, without keeping it open.
    fn peek(&self, chunk: ChunkId) -> Result<IndexEntry, LoadError> {
        if let Some(slot) = self.cache.known(chunk)
            && let Some(replica) = shared(&slot.state).as_ref()
        {
            return Ok(entry_of(replica));
        }
        let path = crate::names::chunk_path(chunk);
        let file = self.dir.open(&path, env::OpenMode::ReadWrite)?;
        Replica::load(file, chunk, self.cluster, 0).map(|replica| entry_of(&replica))
    }

    /// The ids of all chunk files, in order.
    fn chunk_files(&self, report: &mut ScanReport) -> io::Result<Vec<ChunkId>> {
        let mut chunks = Vec::new();
        for entry in self.dir.list(CHUNKS)? {
            let Some(folder) = folder_named(&entry.name).filter(|_| entry.kind == EntryKind::Directory)
            else {
                report.foreign += 1;
                continue;
            };
            for file in self.dir.list(&folder_path(folder))? {
                match chunk_named(&file.name) {
                    Some(chunk) if folder_of(chunk) == folder && file.kind == EntryKind::File => {
                        chunks.push(chunk);
                    }
                    _ => report.foreign += 1,
                }
            }
        }
        chunks.sort_unstable();
        Ok(chunks)
    }
}
