//! `muskox task`.

mod cancel;
mod ls;

use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Tasks under way and how far they are
    Ls(ls::Arguments),
    /// End a task; what it did stays
    Cancel(cancel::Arguments),
}

/// Runs a verb.
pub(crate) fn run(command: &TaskCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        TaskCommand::Ls(arguments) => ls::run(arguments, config),
        TaskCommand::Cancel(arguments) => cancel::run(arguments, config),
    }
}
