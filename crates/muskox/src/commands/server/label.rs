//! `muskox server label`.

use crate::commands::completion::live;
use crate::commands::labels::{self, Wanted};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The server's name or id
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(live::servers))]
    server: String,
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    labels::run(&arguments.server, false, &arguments.wanted, config)
}
