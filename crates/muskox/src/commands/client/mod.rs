//! `muskox client`.

mod ls;

use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Mounts and whether they are connected
    Ls(ls::Arguments),
}

/// Runs a verb.
pub(crate) fn run(command: &ClientCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        ClientCommand::Ls(arguments) => ls::run(arguments, config),
    }
}
