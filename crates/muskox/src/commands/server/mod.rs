//! `muskox server`.

mod label;
mod ls;

use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Chunkservers, their labels and whether they are there
    Ls(ls::Arguments),
    /// Give labels to a server, which its disks inherit, live
    Label(label::Arguments),
}

/// Runs a verb.
pub(crate) fn run(command: &ServerCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        ServerCommand::Ls(arguments) => ls::run(arguments, config),
        ServerCommand::Label(arguments) => label::run(arguments, config),
    }
}
