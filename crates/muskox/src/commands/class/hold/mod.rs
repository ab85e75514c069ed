//! `muskox class hold`.

mod end;
mod ls;

use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Edits of which something is held, and for how long yet
    Ls(ls::Arguments),
    /// Let go of what an edit made dispensable
    End(end::Arguments),
}

/// Runs a verb.
pub(super) fn run(command: &HoldCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        HoldCommand::Ls(arguments) => ls::run(arguments, config),
        HoldCommand::End(arguments) => end::run(arguments, config),
    }
}
