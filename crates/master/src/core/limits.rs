//! Limits of healing: as operators set them, told to the fleet, and what is said of those that keep copies back.
//!
//! # Invariants
//! 1. What the fleet knows of limits is what the metadata has; it learns of all of them with each change, and at the start.
//! 2. What goes into the log was read by `placement` and is written the way it prints it.

use super::Core;
use super::classes::{bad, known_labels, refuse};
use codec::admin::{Changed, LimitStatus, LimitTarget, RefusalKind, Severity, Warning};
use fleet::{Event, LimitView};
use placement::Condition;
use rpc::admin::AdminError;
use types::{Expression, Holder, Limit, LimitScope, Op, Status};

impl Core {
    /// Tells the fleet what the metadata has.
    pub(super) fn tell_limits(&mut self) {
        let limits = self.meta.limits().map(|(scope, limit)| (scope.clone(), limit)).collect();
        self.tell(Event::Limits(limits));
    }

    /// Sets a limit, or takes it away, live.
    pub(super) fn change_limit(
        &mut self,
        target: LimitTarget,
        limit: Option<Limit>,
        allow_unknown: bool,
    ) -> Result<Changed, AdminError> {
        let scope = self.limit_scope(target, limit.is_some() && !allow_unknown)?;
        let name = self.target_of(&scope);
        match self.log_change(Op::SetLimit { scope, limit }) {
            Err(AdminError::Refused(Status::NotFound)) => {
                return Err(refuse(RefusalKind::NoSuchLimit, words_of(&name)));
            }
            Err(AdminError::Refused(Status::TooBig)) => return Err(refuse(RefusalKind::TooMany, "limits")),
            other => other?,
        }
        tracing::info!(of = %words_of(&name), ?limit, "a limit of healing was changed");
        Ok(Changed::Done)
    }

    fn limit_scope(&self, target: LimitTarget, known: bool) -> Result<LimitScope, AdminError> {
        Ok(match target {
            LimitTarget::Server(name) => match self.find_named(&name, false)? {
                Holder::Server(server) => LimitScope::Server(server),
                Holder::Disk(_) => return Err(refuse(RefusalKind::NoSuchServer, name)),
            },
            LimitTarget::Pair { from, to } => {
                let labels = self.labels_in_use();
                let read = |part: &'static str, text: &str| {
                    if known {
                        known_labels(part, text, &labels)?;
                    }
                    let read = Condition::parse(text).map_err(|error| bad(part, text, error))?;
                    Expression::new(&read.to_string()).map_err(|error| bad(part, text, error))
                };
                LimitScope::Pair { from: read("from", &from)?, to: read("to", &to)? }
            }
        })
    }

    fn target_of(&self, scope: &LimitScope) -> LimitTarget {
        match scope {
            LimitScope::Server(server) => LimitTarget::Server(self.name_of(Holder::Server(*server))),
            LimitScope::Pair { from, to } => LimitTarget::Pair { from: from.to_string(), to: to.to_string() },
        }
    }

    /// All limits and what they do.
    pub(super) fn limit_statuses(&self) -> Vec<LimitStatus> {
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let status = |view: LimitView| LimitStatus {
            target: self.target_of(&view.scope),
            limit: view.limit,
            places: small(view.places),
            running: small(view.running.0),
            writing: small(view.running.1),
            holds_up: view.holds_up,
        };
        self.fleet.limits(self.now_ms()).into_iter().map(status).collect()
    }
}

/// What a limit is about, for people.
fn words_of(target: &LimitTarget) -> String {
    match target {
        LimitTarget::Server(name) => format!("server {name}"),
        LimitTarget::Pair { from, to } => format!("copies from {from} to {to}"),
    }
}

/// Why healing is slower than it could be.
pub(super) fn limit_warnings(limits: &[LimitStatus], waiting: u64) -> Vec<Warning> {
    let warning = |limit: &LimitStatus| Warning {
        code: format!("HEALING_LIMITED {}", words_of(&limit.target)),
        severity: Severity::Note,
        message: format!(
            "healing waits for the limit of {}: {} copies at a time{}, and {waiting} chunks wait for copies",
            words_of(&limit.target),
            limit.places,
            limit.limit.bytes_per_s.map_or_else(String::new, |rate| format!(" and {rate} bytes per second")),
        ),
        next: "muskox limit ls   (`muskox limit set` changes it, `muskox limit rm` takes it away)".into(),
        amount: 1,
    };
    limits.iter().filter(|limit| limit.holds_up && waiting > 0).map(warning).collect()
}
