//! `muskox limit rm`.

use super::{What, change};
use crate::commands::Talk;
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    change(&arguments.what, None, true, &arguments.talk, config)
}
