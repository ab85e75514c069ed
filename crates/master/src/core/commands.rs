//! Carrying out what the fleet wants.

use super::{Core, Out};
use fleet::{Command, Event};
use types::Op;

impl Core {
    /// Carries out all commands, also those that follow from carrying out others.
    pub(super) fn carry_out_commands(&mut self) {
        while !self.commands.is_empty() {
            for command in std::mem::take(&mut self.commands) {
                self.carry_out(command);
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Order { server, order, term, what } => self.send_order(server, order, term, what),
            Command::LogRaise { raise, chunk, version, members } => {
                let applied = self.log(None, Op::Raise { chunk, version, members });
                match (applied.reply, applied.index) {
                    (Ok(_), index) => {
                        self.leave_when_stable(index.unwrap_or(self.applied()), Out::Raised(raise));
                    }
                    (Err(status), _) => self.tell(Event::Logged { raise, result: Err(status) }),
                }
            }
            Command::Granted { ticket, grant } => self.granted(ticket, grant),
            Command::EditReady { ticket, version } => self.edit_ready(ticket, version),
            Command::Closed { disk } => self.disk_closed(disk),
            Command::StepDown { seen } => {
                tracing::error!(%seen, own = %self.term, "a disk has seen a newer master; this one stops");
                self.stepped_down = Some(seen);
            }
        }
    }
}
