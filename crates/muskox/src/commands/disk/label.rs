//! `muskox disk label`.

use crate::commands::completion::live;
use crate::commands::labels::{self, Wanted};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// `SERVER:PATH`, as `muskox disk ls` shows it, or the disk's id
    #[arg(value_name = "SERVER:PATH", add = ArgValueCandidates::new(live::disks))]
    disk: String,
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    labels::run(&arguments.disk, true, &arguments.wanted, config)
}
