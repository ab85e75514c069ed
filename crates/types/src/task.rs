//! Tasks: large changes that the master carries out in small steps.

use crate::{ClassId, InodeRef};

/// Most tasks at one time.
pub const TASKS_MAX: usize = 256;

/// What a task does. It begins anew at every start of a master, so doing a part of it twice changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskWork {
    /// Gives a class to a directory and to everything below it.
    SetClass {
        /// The directory.
        root: InodeRef,
        /// The class.
        class: ClassId,
        /// Only to what has this one.
        from: Option<ClassId>,
    },
}
