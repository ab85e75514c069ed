//! `muskox disk remove`.

use crate::commands::removal::{self, Holder, Wanted};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// `SERVER:PATH`, as `muskox disk ls` shows it, or the disk's id
    #[arg(value_name = "SERVER:PATH")]
    disk: String,
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    removal::remove(&Holder { name: &arguments.disk, disk: true }, "", &arguments.wanted, config)
}
