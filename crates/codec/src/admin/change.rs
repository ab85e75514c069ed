//! Storage classes, labels and tasks, as operators see and change them.

mod convert;

pub use convert::{classes, tasks};

use super::{FileTarget, LimitTarget, MuteWish, RestoreWish, Unrestored};
use std::fmt;
use types::{ClassId, ClassName, HoldId, InodeRef, Labels, Limit, StorageClass, TaskId};

/// Most tasks in one answer.
pub const TASKS_MAX: usize = types::TASKS_MAX;

/// A class and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassStatus {
    /// Its id.
    pub id: ClassId,
    /// What it asks for.
    pub class: StorageClass,
    /// Inodes that have it.
    pub inodes: u64,
    /// Lengths of the files among them.
    pub bytes: u64,
    /// What the cluster's disks cannot give.
    pub unmet: Vec<Unmet>,
}

/// Replicas of one item of a class that no disk can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmet {
    /// Which part of the class asks for them: `create`, `keep`, `archive` or `trash`.
    pub part: String,
    /// Which disks they want.
    pub condition: String,
    /// How many the part asks for.
    pub wanted: u32,
    /// How many of them have no disk.
    pub lacking: u32,
    /// Disks that would do, if they were not too near to each other.
    pub disks: u32,
    /// Failure domains that these are in.
    pub domains: u32,
}

/// A task under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskStatus {
    /// Which.
    pub task: TaskId,
    /// In a few words.
    pub what: String,
    /// Path of the directory it works on; empty if it has none any longer.
    pub path: Vec<u8>,
    /// Inodes looked at.
    pub looked: u64,
    /// Inodes changed.
    pub changed: u64,
    /// Inodes to be looked at; 0: not known.
    pub total: u64,
    /// Since it began, or began anew at the master's start.
    pub since_ms_ago: u64,
}

/// What an operator wants changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make a class, or change or rename one.
    PutClass {
        /// What it is now, as the operator knows it; `None`: there is none with the new name.
        before: Option<Box<StorageClass>>,
        /// What it is to be.
        class: Box<StorageClass>,
        /// Also if labels are unknown or disks are missing.
        allow_unsatisfiable: bool,
    },
    /// Remove a class that nothing has.
    DeleteClass(ClassName),
    /// Give a class to a file or directory.
    GiveClass {
        /// To what.
        target: FileTarget,
        /// The class.
        class: ClassName,
        /// Only to what has this one.
        from: Option<ClassName>,
        /// Also to everything below, as a task.
        recursive: bool,
    },
    /// Other labels for a server or a disk.
    SetLabels {
        /// A server's name or id; of a disk `SERVER:PATH` or its id.
        holder: String,
        /// Whether a disk is meant.
        disk: bool,
        /// To be there.
        add: Labels,
        /// To be gone.
        remove: Labels,
        /// No others than those added.
        replace: bool,
    },
    /// End a task; what it did stays.
    CancelTask(TaskId),
    /// Another mark for a server or a disk.
    SetMark {
        /// A server's name or id; of a disk `SERVER:PATH` or its id.
        holder: String,
        /// Whether a disk is meant.
        disk: bool,
        /// Which.
        mark: MarkWish,
    },
    /// Know a server no longer that is gone for good.
    ForgetServer(String),
    /// Have a server serve a directory that its configuration does not name, or that was removed.
    AddDisk {
        /// A server's name or id.
        server: String,
        /// From the root of the server's filesystems.
        path: String,
        /// Labels to be there.
        labels: Labels,
    },
    /// Bring deleted files back.
    RestoreTrash {
        /// Which, and where to; at most [`super::TRASH_BATCH_MAX`].
        wishes: Vec<RestoreWish>,
        /// Also where something is: it is deleted.
        overwrite: bool,
    },
    /// Mute a health code, or take its mute away.
    Mute {
        /// The code, as the operator wrote it.
        code: String,
        /// How; `None`: it counts again.
        mute: Option<MuteWish>,
    },
    /// Have deleted files leave for good; at most [`super::TRASH_BATCH_MAX`].
    PurgeTrash(Vec<InodeRef>),
    /// Another limit of healing.
    SetLimit {
        /// Of what.
        target: LimitTarget,
        /// How much; `None`: as much as goes.
        limit: Option<Limit>,
        /// Also if no disk has a label that it names.
        allow_unknown: bool,
    },
    /// Hold no longer what an edit made dispensable.
    EndHold(HoldId),
}

/// What an operator is about to do with a server or a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkWish {
    /// Take it away.
    Remove {
        /// It is to stay in service when it is empty.
        drain_only: bool,
        /// `SERVER:PATH` or the id of the disk that takes its place; empty: none.
        with: String,
    },
    /// Keep it after all.
    Keep,
    /// Stop a server for a while.
    Maintain {
        /// So many seconds at most; `None`: until it is ended.
        for_s: Option<u64>,
    },
    /// The server is back.
    Maintained,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// That, and there is no more to say.
    Done,
    /// The class is this now.
    Class(ClassStatus),
    /// So many inodes have another class.
    Inodes(u64),
    /// A task was begun.
    Task(TaskId),
    /// A disk of this name is in service.
    Disk(String),
    /// Deleted files are back, but for these.
    Restored(Vec<Unrestored>),
    /// Labels of a server or a disk.
    Labels {
        /// Whose.
        holder: String,
        /// Those before.
        before: Labels,
        /// Those now.
        after: Labels,
        /// Classes that cannot be met now and could before.
        unmet: Vec<ClassName>,
    },
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum RefusalKind {
    /// No class has this name.
    #[default]
    NoSuchClass = 1,
    /// A class has this name.
    ClassExists = 2,
    /// Inodes have the class, or a task gives it.
    ClassInUse = 3,
    /// `default` stays.
    ClassStays = 4,
    /// An expression cannot be read.
    BadExpression = 5,
    /// A label that no disk has.
    UnknownLabel = 6,
    /// The parts of a class contradict each other.
    BadClass = 7,
    /// No disk has this name.
    NoSuchDisk = 8,
    /// No server has this name.
    NoSuchServer = 9,
    /// Several have this name.
    Ambiguous = 10,
    /// Labels that do not go together.
    BadLabels = 11,
    /// The disks cannot give what a class asks for.
    Unsatisfiable = 12,
    /// No task has this number.
    NoSuchTask = 13,
    /// Somebody changed the class meanwhile.
    ClassChanged = 14,
    /// There are as many as there can be.
    TooMany = 15,
    /// The server is connected.
    Connected = 16,
    /// It may hold the last replica of a chunk.
    WouldLose = 17,
    /// The server is not connected.
    NotConnected = 18,
    /// A server does not take a directory as a disk. `near` is the next step.
    DiskNotTaken = 19,
    /// There is no such health code.
    NoSuchCode = 20,
    /// Nothing has this health code.
    NotRaised = 21,
    /// Nothing limits this.
    NoSuchLimit = 22,
    /// No hold has this number.
    NoSuchHold = 23,
}

impl RefusalKind {
    /// All of them, in order of their numbers.
    pub const ALL: &[Self] = &[
        Self::NoSuchClass,
        Self::ClassExists,
        Self::ClassInUse,
        Self::ClassStays,
        Self::BadExpression,
        Self::UnknownLabel,
        Self::BadClass,
        Self::NoSuchDisk,
        Self::NoSuchServer,
        Self::Ambiguous,
        Self::BadLabels,
        Self::Unsatisfiable,
        Self::NoSuchTask,
        Self::ClassChanged,
        Self::TooMany,
        Self::Connected,
        Self::WouldLose,
        Self::NotConnected,
        Self::DiskNotTaken,
        Self::NoSuchCode,
        Self::NotRaised,
        Self::NoSuchLimit,
        Self::NoSuchHold,
    ];
}

/// Why a change was refused; it is for `admin` to say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// What it is about: a name, or a part of a class with its expression.
    pub subject: String,
    /// More, as a sentence; may be empty.
    pub why: String,
    /// What was probably meant, or what to do; may be empty.
    pub near: String,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, condition, wanted, lacking, disks, domains } = self;
        write!(f, "{part}: {lacking} of {wanted} replicas on {condition} have no disk")?;
        match (disks, domains) {
            (0, _) => f.write_str(" (no disk would do)"),
            (1, _) => f.write_str(" (1 disk would do)"),
            (disks, 1) => write!(f, " ({disks} disks would do, but only one failure domain has them)"),
            (disks, domains) => write!(f, " ({disks} disks in {domains} failure domains would do)"),
        }
    }
}
