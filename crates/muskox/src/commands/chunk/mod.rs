//! `muskox chunk`.

mod ls;

use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum ChunkCommand {
    /// Chunks that are not as they should be, and why
    Ls(ls::Arguments),
}

/// Runs a verb.
pub(crate) fn run(command: &ChunkCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        ChunkCommand::Ls(arguments) => ls::run(arguments, config),
    }
}
