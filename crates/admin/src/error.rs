//! Failures as operators see them: a stable code, what, why, and the next step.

use rpc::admin::AdminError;
use std::fmt;
use types::Status;

/// Exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The cluster is degraded.
    Degraded = 3,
    /// The cluster is critical.
    Critical = 4,
    /// Not found.
    NotFound = 5,
    /// Refused for safety.
    Refused = 6,
    /// Nobody answers.
    Unreachable = 7,
    /// A wait took too long.
    TimedOut = 8,
    /// Not permitted.
    Permission = 9,
}

impl Exit {
    /// The number for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a command failed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `E` and four digits; never given a second meaning.
    pub code: &'static str,
    /// What happened, to what.
    pub what: String,
    /// Why; may be empty.
    pub why: String,
    /// One runnable command.
    pub next: String,
    /// For the shell.
    pub exit: Exit,
}

impl Failure {
    /// A failure without a reason beyond what happened.
    pub fn new(code: &'static str, exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: String::new(), next: next.into(), exit }
    }

    /// The same, with another next step.
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// The same, with another exit code.
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same, about a named thing.
    pub fn of(mut self, subject: impl fmt::Display) -> Self {
        self.what = format!("{subject}: {}", self.what);
        self
    }

    /// The same, with the reason.
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = why.to_string();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.what)?;
        if !self.why.is_empty() {
            write!(f, ": {}", self.why)?;
        }
        if self.next.is_empty() { Ok(()) } else { write!(f, "\n  next: {}", self.next) }
    }
}

impl std::error::Error for Failure {}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Unreachable { address, reason } => Self::new(
                "E0301",
                Exit::Unreachable,
                format!("no master can be reached at {address}"),
                "muskox status --master HOST:PORT   (on the master's host: systemctl status muskox-master)",
            )
            .because(reason),
            AdminError::TimedOut { address, after } => Self::new(
                "E0302",
                Exit::Unreachable,
                format!("the master at {address} did not answer within {} s", after.as_secs_f32()),
                "see that a master listens there and is not overloaded: journalctl -u muskox-master   (on its host)",
            ),
            AdminError::BadAnswer { address, reason } => Self::new(
                "E0303",
                Exit::Failed,
                format!("the answer of {address} cannot be used"),
                "see that this is a master's address and that it runs the release of: muskox --version",
            )
            .because(reason),
            AdminError::Refused(status) => Self::from(status),
            AdminError::NotDone(refusal) => Self::from(refusal),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let (code, exit, next) = match status {
            Status::NotFound | Status::Stale | Status::NotDirectory => {
                ("E0304", Exit::NotFound, "muskox file info /   (paths start at the cluster's root)")
            }
            Status::NotPermitted | Status::AccessDenied | Status::ReadOnly => {
                ("E0305", Exit::Permission, "sudo !!   (or ask whoever runs the cluster)")
            }
            Status::TryAgain | Status::Busy | Status::TimedOut => {
                ("E0306", Exit::Failed, "muskox status   (then try again)")
            }
            Status::WrongTerm => ("E0307", Exit::Failed, "muskox status   (another master leads now)"),
            _ => {
                ("E0308", Exit::Failed, "muskox status   (and the master's log: journalctl -u muskox-master)")
            }
        };
        Self::new(code, exit, "the master refused", next).because(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_failure_has_a_code_an_exit_code_and_a_next_step() {
        let address = || "10.0.0.1:9421".to_owned();
        let mut cases: Vec<(AdminError, u8)> = vec![
            (AdminError::Unreachable { address: address(), reason: "refused".into() }, 7),
            (AdminError::TimedOut { address: address(), after: Duration::from_secs(5) }, 7),
            (AdminError::BadAnswer { address: address(), reason: "it is empty".into() }, 1),
            (AdminError::Refused(Status::NotFound), 5),
            (AdminError::Refused(Status::AccessDenied), 9),
        ];
        cases.extend(Status::ALL.iter().map(|s| (AdminError::Refused(*s), 255)));
        for (error, exit) in cases {
            let failure = Failure::from(error.clone());
            let text = failure.to_string();
            let (first, last) = text.split_once("\n  next: ").expect("a next step");
            assert!(first.starts_with('E') && first[1..5].bytes().all(|b| b.is_ascii_digit()), "{first}");
            assert!(!last.trim().is_empty());
            assert!(exit == 255 || failure.exit.code() == exit, "{error:?} {failure:?}");
        }
    }
}
