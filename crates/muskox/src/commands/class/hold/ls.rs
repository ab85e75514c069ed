//! `muskox class hold ls`.

use crate::commands::{Talk, show};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    show(&arguments.talk, config, admin::hold::list, admin::hold::json)
}
