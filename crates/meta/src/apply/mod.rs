//! `apply`: one record in, one outcome out.
//!
//! Every operation first decides, reading only, whether it can be carried out; then it changes the state
//! without a way to fail. So a refusal leaves no trace.

mod attributes;
mod classes;
mod commit;
mod create;
mod cut;
mod holds;
mod registry;
mod remove;
mod rename;
mod system;
mod trash;

use crate::api::{Effect, Outcome};
use crate::sessions::Answer;
use crate::state::Meta;
use types::{LogIndex, Op, Record, Status, TERM_MAX, Term, Timestamp};

/// An operation that was carried out, or found nothing to do.
pub(crate) enum Done {
    Changed(Answer),
    Nothing(Answer),
}

/// What an operation gets besides its own fields.
pub(crate) struct Context {
    pub(crate) at: Timestamp,
    pub(crate) term: Term,
    pub(crate) index: LogIndex,
    pub(crate) effects: Vec<Effect>,
}

impl Meta {
    /// Applies the record that follows. Total: whatever the record says, the outcome is an answer.
    /// A record whose index is not the next one is refused with `Gap`, one of an older term with `WrongTerm`.
    pub fn apply(&mut self, record: &Record) -> Outcome {
        let at = record.at.max(self.position.at);
        let mut context = Context { at, term: record.term, index: record.index, effects: Vec::new() };
        let result = self.check_position(record).and_then(|()| self.carry_out(record, &mut context));
        match result {
            Ok(Done::Changed(answer)) => {
                if let Some(origin) = record.origin {
                    self.sessions.keep(origin, answer);
                }
                self.advance(record);
                Outcome { reply: Ok(answer.to_reply()), effects: context.effects, changed: true }
            }
            Ok(Done::Nothing(answer)) => {
                Outcome { reply: Ok(answer.to_reply()), effects: Vec::new(), changed: false }
            }
            Err(status) => Outcome { reply: Err(status), effects: Vec::new(), changed: false },
        }
    }

    /// As [`Meta::apply`], for records read back from a log: the position advances also over a record
    /// that changes nothing.
    pub fn replay(&mut self, record: &Record) -> Outcome {
        let outcome = self.apply(record);
        if !outcome.changed && self.check_position(record).is_ok() {
            self.advance(record);
        }
        outcome
    }

    fn check_position(&self, record: &Record) -> Result<(), Status> {
        if record.index != LogIndex(self.position.applied.0 + 1) {
            return Err(Status::Gap);
        }
        if record.term < self.position.applied_term || record.term.0 > TERM_MAX {
            return Err(Status::WrongTerm);
        }
        Ok(())
    }

    fn advance(&mut self, record: &Record) {
        self.position.applied = record.index;
        self.position.applied_term = record.term;
        self.position.at = record.at.max(self.position.at);
    }

    fn carry_out(&mut self, record: &Record, cx: &mut Context) -> Result<Done, Status> {
        if let Some(origin) = record.origin
            && let Some(answer) = self.sessions.admit(origin)?
        {
            return Ok(Done::Nothing(answer));
        }
        if self.position.cluster.is_none() && !matches!(record.op, Op::NewCluster { .. } | Op::NewTerm { .. })
        {
            return Err(Status::WrongCluster);
        }
        match &record.op {
            Op::NewCluster { cluster } => self.new_cluster(*cluster, cx),
            Op::NewTerm { term } => self.new_term(*term),
            Op::OpenSession { session, name } => self.open_session(*session, name),
            Op::CloseSession { session } => self.close_session(*session),
            Op::Create { parent, name, inode, node, exclusive } => {
                self.create(*parent, name, *inode, node, *exclusive, cx)
            }
            Op::Link { inode, parent, name } => self.link(*inode, *parent, name, cx),
            Op::Unlink { parent, name, keep } => self.unlink(*parent, name, *keep, cx),
            Op::RemoveDirectory { parent, name } => self.remove_directory(*parent, name, cx),
            Op::Rename { from, from_name, to, to_name, mode, keep } => {
                self.rename((*from, from_name), (*to, to_name), *mode, *keep, cx)
            }
            Op::SetAttributes { inode, changes, caller } => self.set_attributes(*inode, changes, caller, cx),
            Op::SetLength { inode, length, clear_privileges, boundary } => {
                self.set_length(*inode, *length, *clear_privileges, boundary.as_slice(), cx)
            }
            Op::Punch { inode, offset, length, boundaries } => {
                self.punch(*inode, *offset, *length, boundaries, cx)
            }
            Op::SetXattr { inode, name, value, mode } => self.set_xattr(*inode, name, value, *mode, cx),
            Op::RemoveXattr { inode, name } => self.remove_xattr(*inode, name, cx),
            Op::Commit {
                inode,
                truncate_generation,
                length,
                modified,
                accessed,
                chunks,
                clear_privileges,
                durable: _,
            } => {
                let commit = commit::Commit {
                    truncate_generation: *truncate_generation,
                    length: *length,
                    modified: *modified,
                    accessed: *accessed,
                    chunks,
                    clear_privileges: *clear_privileges,
                };
                self.commit(*inode, &commit, cx)
            }
            Op::Raise { chunk, version, members: _ } => self.raise(*chunk, *version, cx),
            Op::ForfeitAppends { inode } => self.forfeit_appends(*inode),
            Op::Reap { inodes } => self.reap(inodes, cx),
            Op::RegisterDisk { server, disk, registrations, path } => {
                self.register_disk(*server, *disk, *registrations, path)
            }
            Op::RegisterServer { server, name, address } => self.register_server(*server, name, address),
            Op::SetLabels { holder, labels } => self.set_labels(*holder, labels, cx),
            Op::SetMark { holder, mark } => self.set_mark(*holder, *mark, cx),
            Op::Forget { holder } => self.forget(*holder, cx),
            Op::SetMute { code, mute } => self.set_mute(*code, mute.as_deref()),
            Op::SetClass { class, definition } => self.set_class(*class, definition, cx),
            Op::DeleteClass { class } => self.delete_class(*class, cx),
            Op::SetInodeClass { inodes, class } => self.set_inode_class(inodes, *class, cx),
            Op::PurgeTrash { inodes } => self.purge_trash(inodes, cx),
            Op::RestoreTrash { inode, parent, name, replace, keep } => {
                self.restore_trash(*inode, (*parent, name), *replace, *keep, cx)
            }
            Op::Archive { inodes } => self.archive(inodes, cx),
            Op::BeginTask { work } => self.begin_task(*work, cx),
            Op::EndTask { task } => self.end_task(*task),
            Op::SetLimit { scope, limit } => self.set_limit(scope, *limit, cx),
            Op::Hold { cause, until } => self.hold(cause, *until, cx),
            Op::EndHold { hold } => self.end_hold(*hold, cx),
        }
    }
}
