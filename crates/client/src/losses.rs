//! Lost writes of a file, and who was told of them.
//!
//! # Invariants
//! 1. A loss is reported once to each handle that was open when it happened: by write or fsync. Until then each close(2) of a
//!    descriptor of the handle reports it too, and takes it from neither: a program that is started closes the descriptors it
//!    was given (fork, FD_CLOEXEC) and looks at no answer.
//! 2. A loss that was reported to nobody yet is reported to the handles opened later too, at their fsync or
//!    close, until one of them was told; also if the inode was forgotten and found again meanwhile ([`Debts`]).
//! 3. A handle that cannot write is told by its fsync alone (`Client::flush`): a passing reader, who looks at no answer of
//!    close(2), does not take the report away from who needs it.
//! 4. What forgotten inodes owe is bounded by [`DEBTS_MAX`] and [`WATCHED_MAX`].

use std::collections::BTreeMap;
use types::{InodeRef, LogIndex, Status};

/// Most forgotten inodes whose loss nobody was told of; beyond it the oldest is given up. A hundred bytes each, and
/// only as many as files that lost writes and were never opened again.
const DEBTS_MAX: usize = 4_096;
/// Most forgotten inodes whose last change may still be lost with the master's power; they are few, since
/// the master syncs its log within milliseconds.
const WATCHED_MAX: usize = 16_384;

/// What a program sees of a reason.
fn reported(status: Status) -> Status {
    if status == Status::LostTail { Status::Io } else { status }
}

/// How a handle meets the losses of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// write(2): only of what was lost since the handle was opened.
    Write,
    /// close(2) of a handle that can write.
    Close,
    /// fsync(2).
    Sync,
}

/// The losses of one file.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    count: u64,
    last: Option<Status>,
    untold: bool,
}

impl Losses {
    /// Writes were lost.
    pub(crate) fn note(&mut self, status: Status) {
        self.count += 1;
        self.last = Some(status);
        self.untold = true;
    }

    /// How often.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// A loss that nobody was told of.
    pub(crate) fn untold(&self) -> Option<Status> {
        self.last.filter(|_| self.untold)
    }

    /// Reports what was lost since the count was `before`, without having told anybody.
    pub(crate) fn since(&self, before: u64) -> Result<(), Status> {
        match self.last {
            Some(status) if self.count > before => Err(reported(status)),
            _ => Ok(()),
        }
    }

    /// Reports what nobody was told of, and has told it.
    pub(crate) fn take(&mut self) -> Result<(), Status> {
        let untold = self.untold();
        self.untold = false;
        untold.map_or(Ok(()), |status| Err(reported(status)))
    }
}

/// What one handle was told.
#[derive(Debug)]
pub(crate) struct Told {
    /// The count when it was opened.
    opened_at: u64,
    /// Losses up to this count are known to it.
    upto: u64,
}

impl Told {
    /// For a handle that is opened now.
    pub(crate) fn new(losses: &Losses) -> Self {
        Self { opened_at: losses.count, upto: losses.count - u64::from(losses.untold) }
    }

    /// Reports what the handle was not told of.
    pub(crate) fn report(&mut self, losses: &mut Losses, call: Call) -> Result<(), Status> {
        let known = match call {
            Call::Write => self.upto.max(self.opened_at),
            Call::Close | Call::Sync => self.upto,
        };
        let outcome = losses.since(known);
        if outcome.is_err() {
            // The handle stays in debt to an fsync, but handles opened from now on are not.
            losses.untold = false;
            if call != Call::Close {
                self.upto = losses.count;
            }
        }
        outcome
    }
}

/// What inodes that are not known any more owe to the next handle.
#[derive(Debug, Default)]
pub(crate) struct Debts {
    owed: BTreeMap<InodeRef, (u64, Status)>,
    by_age: BTreeMap<u64, InodeRef>,
    next: u64,
    /// The last change of each, as long as it may be lost.
    watched: BTreeMap<InodeRef, LogIndex>,
}

impl Debts {
    /// An inode is forgotten with a loss that nobody was told of.
    pub(crate) fn owe(&mut self, inode: InodeRef, status: Status) {
        if let Some((age, _)) = self.owed.insert(inode, (self.next, status)) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.next, inode);
        self.next += 1;
        if self.owed.len() > DEBTS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.owed.remove(&oldest);
            tracing::warn!(inode = %oldest.id, "lost writes of a file that nobody opened again are not remembered any longer");
        }
    }

    /// An inode is forgotten whose last change is not known to be on stable storage.
    pub(crate) fn watch(&mut self, inode: InodeRef, changed_at: LogIndex, stable: LogIndex) {
        if changed_at <= stable {
            return;
        }
        if self.watched.len() >= WATCHED_MAX {
            self.watched.retain(|_, changed_at| *changed_at > stable);
        }
        if self.watched.len() < WATCHED_MAX {
            self.watched.insert(inode, changed_at);
        }
    }

    /// The master lost everything after `stable`: watched inodes that were changed since then owe a report.
    /// Says whether there were any.
    pub(crate) fn tail_lost(&mut self, stable: LogIndex) -> bool {
        let watched = std::mem::take(&mut self.watched);
        let mut any = false;
        for (inode, _) in watched.into_iter().filter(|(_, changed_at)| *changed_at > stable) {
            self.owe(inode, Status::Io);
            any = true;
        }
        any
    }

    /// The inode is known again: what it owes, and its last change if that may be lost.
    pub(crate) fn settle(&mut self, inode: InodeRef) -> (Option<Status>, Option<LogIndex>) {
        let owed = self.owed.remove(&inode).map(|(age, status)| {
            self.by_age.remove(&age);
            status
        });
        (owed, self.watched.remove(&inode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Generation, InodeId};

    fn inode(number: usize) -> InodeRef {
        InodeRef { id: InodeId(number as u64), generation: Generation(1) }
    }

    #[test]
    fn a_loss_that_nobody_saw_is_told_to_the_next_handle_and_then_to_no_other() {
        let mut losses = Losses::default();
        losses.note(Status::LostTail);
        let mut next = Told::new(&losses);
        assert_eq!(next.report(&mut losses, Call::Write), Ok(()), "its own write is not lost");
        assert_eq!(next.report(&mut losses, Call::Close), Err(Status::Io));
        assert_eq!(Told::new(&losses).report(&mut losses, Call::Sync), Ok(()));
    }

    #[test]
    fn a_close_of_a_copied_descriptor_takes_a_loss_from_no_later_call() {
        let mut losses = Losses::default();
        let mut told = Told::new(&losses);
        losses.note(Status::Io);
        assert_eq!(told.report(&mut losses, Call::Close), Err(Status::Io), "a child's");
        assert_eq!(told.report(&mut losses, Call::Close), Err(Status::Io), "another one's");
        assert_eq!(told.report(&mut losses, Call::Sync), Err(Status::Io));
        assert_eq!(told.report(&mut losses, Call::Sync), Ok(()));
        assert_eq!(told.report(&mut losses, Call::Close), Ok(()), "it was told");
    }

    #[test]
    fn what_is_lost_after_a_close_is_told_to_the_next_handle_and_what_was_lost_before_is_not() {
        let mut losses = Losses::default();
        let mut told = Told::new(&losses);
        losses.note(Status::Io);
        assert_eq!(told.report(&mut losses, Call::Close), Err(Status::Io), "a child's");
        assert_eq!(Told::new(&losses).report(&mut losses, Call::Close), Ok(()));
        losses.note(Status::Io);
        assert_eq!(Told::new(&losses).report(&mut losses, Call::Close), Err(Status::Io));
        assert_eq!(told.report(&mut losses, Call::Sync), Err(Status::Io));
    }

    #[test]
    fn each_handle_that_was_open_is_told_once_and_its_writes_too() {
        let mut losses = Losses::default();
        let (mut one, mut two) = (Told::new(&losses), Told::new(&losses));
        losses.note(Status::NoSpace);
        assert_eq!(one.report(&mut losses, Call::Write), Err(Status::NoSpace));
        assert_eq!(one.report(&mut losses, Call::Close), Ok(()));
        assert_eq!(two.report(&mut losses, Call::Sync), Err(Status::NoSpace));
        assert_eq!(two.report(&mut losses, Call::Sync), Ok(()));
    }

    #[test]
    fn debts_of_forgotten_inodes_are_bounded_and_the_oldest_goes_first() {
        let mut debts = Debts::default();
        for number in 0..=DEBTS_MAX {
            debts.owe(inode(number), Status::Io);
        }
        assert_eq!(debts.settle(inode(0)), (None, None));
        assert_eq!(debts.settle(inode(1)), (Some(Status::Io), None));
        assert_eq!(debts.settle(inode(1)), (None, None), "it is paid once");
    }

    #[test]
    fn a_forgotten_inode_owes_a_report_only_for_changes_that_went_with_the_tail() {
        let mut debts = Debts::default();
        debts.watch(inode(1), LogIndex(10), LogIndex(10));
        debts.watch(inode(2), LogIndex(11), LogIndex(10));
        debts.watch(inode(3), LogIndex(13), LogIndex(10));
        assert!(debts.tail_lost(LogIndex(12)));
        assert_eq!([1, 2, 3].map(|n| debts.settle(inode(n)).0), [None, None, Some(Status::Io)]);
    }
}
