//! Opening, resuming and ending sessions.

use super::{Connection, Core, Out};
use crate::config::SESSIONS_MAX;
use codec::admin::Severity;
use codec::session::{SessionOpen, SessionOpenAnswer, SessionOpened};
use placement::Condition;
use std::sync::Weak;
use types::{Expression, Op, SessionId, Status};

/// Sends the answer to SESSION_OPEN.
pub(crate) type OpenAnswerer = Box<dyn FnOnce(SessionOpenAnswer) + Send>;

/// A session that is open once its record is stable, or a refusal.
pub(super) type Opened = Result<(SessionId, bool), Status>;

impl Core {
    /// A client arrives or comes back. A session that is unknown here has ended: the client gets a new one.
    pub(super) fn open_session(
        &mut self,
        open: SessionOpen,
        connection: Weak<Connection>,
        answer: OpenAnswerer,
    ) {
        let SessionOpen { session, name, highest_answered, answered_term, prefer } = open;
        let lost_tail = self.terms.lost(answered_term, highest_answered);
        if lost_tail {
            tracing::warn!(
                %name, %highest_answered, %answered_term,
                "a client was answered operations that are no longer in the log"
            );
            self.warn(
                "LOST_TAIL",
                Severity::Warning,
                format!("client {name} was answered up to record {highest_answered}, which the log has lost"),
                "check the files written last before the loss of power; ack = \"stable\" prevents this",
            );
        }
        let prefer = prefer.and_then(|text| self.preference(&name, &text));
        let now_ms = self.now_ms();
        if let Some(id) = session
            && self.sessions.touch(id, now_ms)
        {
            self.sessions.connect(id, connection, prefer);
            // Its record may be as young as the last batch.
            return self.leave_when_stable(self.applied(), Out::Opened(answer, Ok((id, lost_tail))));
        }
        match self.new_session(name) {
            Ok(id) => {
                self.sessions.connect(id, connection, prefer);
                self.leave_when_stable(self.applied(), Out::Opened(answer, Ok((id, lost_tail))));
            }
            Err(status) => self.out.push(Out::Opened(answer, Err(status))),
        }
    }

    /// What a client prefers to read from. It goes without rather than be refused; a label that no disk has may get one later.
    fn preference(&self, name: &str, text: &Expression) -> Option<Condition> {
        let condition = match Condition::parse(text.as_str()) {
            Ok(condition) => condition,
            Err(error) => {
                tracing::warn!(%name, prefer = %text, %error, "what a client prefers cannot be read and is ignored");
                return None;
            }
        };
        for unknown in placement::unknown_labels(text.as_str(), &self.labels_in_use()) {
            tracing::warn!(%name, prefer = %text, %unknown, "a client prefers a label that no disk has now");
        }
        Some(condition)
    }

    fn new_session(&mut self, name: String) -> Result<SessionId, Status> {
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(Status::TryAgain);
        }
        self.session_counter += 1;
        let session = SessionId::new(self.term, self.session_counter).ok_or(Status::TryAgain)?;
        self.log(None, Op::OpenSession { session, name: name.clone() }).reply?;
        let now_ms = self.now_ms();
        self.sessions.opened(session, name, now_ms);
        Ok(session)
    }

    /// Answers SESSION_OPEN.
    pub(super) fn opened(&mut self, answer: OpenAnswerer, opened: Opened) {
        answer(SessionOpenAnswer(opened.map(|(session, lost_tail)| SessionOpened {
            session,
            term: self.term,
            cluster: self.cluster,
            lease_ms: u32::try_from(self.config.session_lease.as_millis()).unwrap_or(u32::MAX),
            position: self.position(),
            lost_tail,
        })));
    }

    /// Ends the sessions that were silent for a whole lease.
    pub(super) fn expire_sessions(&mut self) {
        let lease_ms = self.config.session_lease.as_millis() as u64;
        for session in self.sessions.expired(self.now_ms(), lease_ms) {
            tracing::warn!(%session, lease_ms, "a session was silent for its lease and is closed");
            self.close_session(session, None);
        }
    }
}
