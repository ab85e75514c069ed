//! Which operations of a simulated disk fail.

use std::io;

/// Kinds of operations, as faults tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Reading a file.
    Read,
    /// Writing, growing, shrinking, punching; making, renaming and removing names.
    Write,
    /// Making a file or a directory durable. A file's unsynced writes are then lost for good, as with Linux.
    Sync,
}

/// Operations that fail with EIO.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Paths that begin with this.
    pub path: String,
    /// What fails.
    pub effort: Effort,
    /// So many succeed before.
    pub skip: u64,
    /// So many fail; `u64::MAX` for all.
    pub count: u64,
}

/// How a write is acknowledged although its bytes are not where they belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// They are nowhere.
    Lost,
    /// They are so many bytes further up, or further down.
    Misdirected(i64),
}

/// One write that goes astray.
#[derive(Clone, Debug)]
struct StrayWrite {
    path: String,
    skip: u64,
    stray: Stray,
}

/// What becomes of one operation.
pub(super) enum Verdict {
    /// It is done.
    Done,
    /// It fails and changes nothing.
    Fails,
    /// The process stops in the middle of it.
    Stops,
    /// The process has stopped: nothing changes any more.
    Stopped,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    strays: Vec<StrayWrite>,
    efforts: u64,
    stop_at: Option<u64>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn add_stray(&mut self, path: String, skip: u64, stray: Stray) {
        self.strays.push(StrayWrite { path, skip, stray });
    }

    pub(super) fn is_astray(&self) -> bool {
        !self.strays.is_empty()
    }

    /// Whether a write that does not fail goes astray.
    pub(super) fn stray(&mut self, path: &str) -> Option<Stray> {
        let mut found = None;
        self.strays.retain_mut(|write| {
            if found.is_some() || !path.starts_with(&write.path) {
                return true;
            }
            if write.skip > 0 {
                write.skip -= 1;
                return true;
            }
            found = Some(write.stray);
            false
        });
        found
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
        self.strays.clear();
        self.restart();
    }

    /// A new process begins: it is not stopped.
    pub(super) fn restart(&mut self) {
        self.stop_at = None;
    }

    pub(super) fn efforts(&self) -> u64 {
        self.efforts
    }

    pub(super) fn stop_after(&mut self, count: u64) {
        self.stop_at = Some(self.efforts + count);
    }

    pub(super) fn judge(&mut self, effort: Effort, path: &str) -> Verdict {
        if effort != Effort::Read {
            self.efforts += 1;
            match self.stop_at {
                Some(at) if self.efforts == at + 1 => return Verdict::Stops,
                Some(at) if self.efforts > at => return Verdict::Stopped,
                _ => {}
            }
        }
        for fault in &mut self.faults {
            if fault.effort == effort && path.starts_with(&fault.path) {
                if fault.skip > 0 {
                    fault.skip -= 1;
                } else if fault.count > 0 {
                    if fault.count != u64::MAX {
                        fault.count -= 1;
                    }
                    return Verdict::Fails;
                }
            }
        }
        Verdict::Done
    }
}

/// The error of an operation that was made to fail.
pub(super) fn failure(effort: Effort, path: &str, disk: &str) -> io::Error {
    let what = match effort {
        Effort::Read => "reading",
        Effort::Write => "writing",
        Effort::Sync => "syncing",
    };
    io::Error::other(format!("simulated input/output error {what} {path:?} on {disk}"))
}
