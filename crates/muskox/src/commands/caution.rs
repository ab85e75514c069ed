//! Looking before an edit of a class or of labels: its plan, and a question if it cannot be taken back.
//!
//! Replicas that an edit makes dispensable are held for a while, so that it can be taken back; then nobody is asked. If they
//! are not, an edit that drops some needs `--yes`, or a yes on a terminal.

use crate::failure::{Exit, Failure, fail};
use clap::Args;
use rpc::admin::{AdminApi, AdminClient, AdminError, Change};
use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

/// How long a plan of a large cluster may take: longer than the master lets it.
const PLAN_WAIT: Duration = Duration::from_secs(55);

/// How cautious an edit is.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Caution {
    /// Only show what it would take: replicas to add and to drop, bytes, time, and what cannot be met
    #[arg(long)]
    plan: bool,
    /// Do not ask, also if replicas go that are not held
    #[arg(short = 'y', long, conflicts_with = "plan")]
    yes: bool,
}

impl Caution {
    /// Shows what a change takes, on stderr. The text if that was all that was wanted.
    pub(super) async fn look(
        self,
        master: AdminClient,
        change: &Change,
        json: bool,
    ) -> Result<(AdminClient, Option<String>), Failure> {
        let master = master.answers_within(PLAN_WAIT);
        let plan = match master.plan_edit(change.clone()).await {
            Ok(plan) => plan,
            // The change itself says so, and more.
            Err(AdminError::NotDone(_) | AdminError::Refused(_)) if !self.plan => return Ok((master, None)),
            Err(error) => return Err(error.into()),
        };
        if self.plan {
            let next = "the same command without --plan";
            let text =
                if json { admin::edit_plan::json(&plan) } else { admin::edit_plan::render(&plan, next) };
            return Ok((master, Some(text)));
        }
        if !admin::edit_plan::is_nothing(&plan) {
            // Who does not take it misses nothing.
            let _ = writeln!(std::io::stderr(), "{}", admin::edit_plan::summary(&plan));
        }
        if plan.drop > 0 && plan.hold_ms == 0 && !self.yes && !agreed(plan.drop) {
            let what =
                format!("{} replicas would go at once, and could not be had back without copies", plan.drop);
            let next =
                "the same command with --yes   (or hold-surplus-seconds in [master], --plan to see more)";
            return Err(fail("E0230", what, next).exit(Exit::Refused));
        }
        Ok((master, None))
    }
}

/// Asks on a terminal; elsewhere nobody agrees.
fn agreed(drop: u64) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    let _ = write!(std::io::stderr(), "{drop} replicas go at once. Go on? [y/N] ");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "yes")
}
