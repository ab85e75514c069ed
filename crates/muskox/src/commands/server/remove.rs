//! `muskox server remove`.

use crate::commands::completion::live;
use crate::commands::removal::{self, Holder, Wanted};
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
    removal::remove(&Holder { name: &arguments.server, disk: false }, "", &arguments.wanted, config)
}
