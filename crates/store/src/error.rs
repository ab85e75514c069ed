//! Why a disk could not be used, and why an operation on a chunk failed. Every message about a disk
//! ends with the next step.

use std::io;
use types::{ChunkId, ClusterId, Status, Version};

/// Why a directory could not be made a disk.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It has a stamp.
    #[error(
        "{path} is already a disk of cluster {cluster}; next step: add it as it is, or empty the directory first"
    )]
    AlreadyFormatted {
        /// Which directory.
        path: String,
        /// Whose disk it is.
        cluster: ClusterId,
    },
    /// It is not empty.
    #[error(
        "{path} is not empty (it holds {names}); next step: give an empty directory, such as {path}/muskox"
    )]
    NotEmpty {
        /// Which directory.
        path: String,
        /// Some of the names in it.
        names: String,
    },
    /// The filesystem lacks what a chunk file needs.
    #[error(
        "{path} is on {filesystem}, which cannot hold chunk files (ext4, xfs, btrfs and zfs can); \
         next step: mkfs.ext4 -m 0 -L muskox DEVICE (this erases it), mount it and try again"
    )]
    UnsupportedFilesystem {
        /// Which directory.
        path: String,
        /// What it is on.
        filesystem: String,
    },
    /// Somebody works in it.
    #[error("{path} is in use ({source}); next step: stop the other process")]
    InUse {
        /// Which directory.
        path: String,
        /// Who has it, if known.
        #[source]
        source: io::Error,
    },
    /// The device failed.
    #[error(
        "cannot prepare {path}: {source}; next step: check that it is mounted read-write and see the kernel's log"
    )]
    Disk {
        /// Which directory.
        path: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
}

/// Why a disk could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenDiskError {
    /// No stamp in an empty directory: new, or the device is not mounted.
    #[error(
        "{path} is empty and has no stamp; next step: if it had data, its device is not mounted: mount it; \
         if it is a new disk: muskox disk add SERVER {path}, or start the chunkserver with --format"
    )]
    Blank {
        /// Which directory.
        path: String,
    },
    /// No stamp, but other content.
    #[error(
        "{path} has no stamp but holds {names}; next step: check the path; a disk needs an empty directory"
    )]
    Foreign {
        /// Which directory.
        path: String,
        /// Some of the names in it.
        names: String,
    },
    /// The stamp names another cluster.
    #[error(
        "{path} belongs to cluster {found}, not to {wanted}; next step: check the path, or empty the directory if its data is not needed"
    )]
    WrongCluster {
        /// Which directory.
        path: String,
        /// What the stamp says.
        found: ClusterId,
        /// What was expected.
        wanted: ClusterId,
    },
    /// The stamp cannot be read as one.
    #[error(
        "the stamp of {path} is damaged ({what}); next step: check the device (smartctl, fsck); the chunk files are untouched"
    )]
    DamagedStamp {
        /// Which directory.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Written by another release.
    #[error(
        "{path} has disk format {found}, this release reads {known}; next step: run the release that wrote it"
    )]
    OtherFormat {
        /// Which directory.
        path: String,
        /// What the stamp says.
        found: u16,
        /// The one that is known here.
        known: u16,
    },
    /// Another process has it.
    #[error("{path} is in use ({source}); next step: stop the other chunkserver")]
    InUse {
        /// Which directory.
        path: String,
        /// Who has it, if known.
        #[source]
        source: io::Error,
    },
    /// The device failed.
    #[error("cannot read {path}: {source}; next step: check that it is mounted and see the kernel's log")]
    Disk {
        /// Which directory.
        path: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
}

/// Why an operation on a chunk failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No replica here.
    #[error("chunk {chunk} is not on this disk")]
    Absent {
        /// Which chunk.
        chunk: ChunkId,
    },
    /// A replica of another version.
    #[error("chunk {chunk} is at version {found}, wanted {wanted}")]
    WrongVersion {
        /// Which chunk.
        chunk: ChunkId,
        /// What the header says.
        found: Version,
        /// What the caller said.
        wanted: Version,
    },
    /// The payload does not match the CRCs that came with it; nothing was written.
    #[error("the payload for page {page} of chunk {chunk} does not match its checksum")]
    CorruptPayload {
        /// Which chunk.
        chunk: ChunkId,
        /// The first page that differs.
        page: u32,
    },
    /// A page of this replica does not match its record; nothing was written.
    #[error("page {page} of this replica of chunk {chunk} is damaged")]
    Damaged {
        /// Which chunk.
        chunk: ChunkId,
        /// The first such page.
        page: u32,
    },
    /// A page was being written at an unclean stop and does not match its record; other replicas are to be asked
    /// for it first. Nothing was written.
    #[error("page {page} of this replica of chunk {chunk} is torn")]
    Torn {
        /// Which chunk.
        chunk: ChunkId,
        /// The first such page.
        page: u32,
    },
    /// The header or the record table cannot be read.
    #[error("the replica of chunk {chunk} is damaged: {what}")]
    DamagedFile {
        /// Which chunk.
        chunk: ChunkId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An earlier fdatasync or write of the table failed: neither read nor written until rewritten.
    #[error("the replica of chunk {chunk} is bad: an earlier write to it was lost by the disk")]
    Bad {
        /// Which chunk.
        chunk: ChunkId,
    },
    /// It lacks what is being copied to it: not to be read.
    #[error("the replica of chunk {chunk} is being filled")]
    Filling {
        /// Which chunk.
        chunk: ChunkId,
    },
    /// No room. Nothing was cut.
    #[error("no space left on this disk")]
    NoSpace,
    /// The process or the host has no more of what this needs; the disk is not at fault.
    #[error("too many open files or too little memory: {source}")]
    Exhausted {
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The request makes no sense.
    #[error("invalid request: {what}")]
    Invalid {
        /// What is wrong.
        what: &'static str,
    },
    /// The device failed.
    #[error("the disk failed: {source}")]
    Disk {
        /// What happened.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// The word for the wire.
    pub fn status(&self) -> Status {
        match self {
            Self::Absent { .. } | Self::Filling { .. } => Status::NoChunk,
            Self::WrongVersion { .. } => Status::WrongVersion,
            // Another part of what was asked for may be sound.
            Self::CorruptPayload { .. } | Self::Damaged { .. } => Status::Corrupt,
            Self::DamagedFile { .. } | Self::Bad { .. } | Self::Disk { .. } => Status::Io,
            Self::NoSpace => Status::NoSpace,
            // It is settled when the chunk is raised next.
            Self::Exhausted { .. } | Self::Torn { .. } => Status::TryAgain,
            Self::Invalid { .. } => Status::Invalid,
        }
    }

    /// Of a cut that failed half way: some of it may be done, which [`StoreError::NoSpace`] denies.
    pub(crate) fn half_way(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Disk { source },
            _ => source.into(),
        }
    }

    /// Whether the replica itself is at fault, so that the master should hear of it.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::DamagedFile { .. } | Self::Bad { .. })
    }
}

impl From<io::Error> for StoreError {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ if is_exhausted(&source) => Self::Exhausted { source },
            _ => Self::Disk { source },
        }
    }
}

/// Whether the process or the host lacks something, rather than the disk: open files or memory.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    is_out_of_files(error) || error.raw_os_error() == Some(ENOMEM)
}

/// No more files can be opened: ENFILE, EMFILE. No write or sync ends so.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
