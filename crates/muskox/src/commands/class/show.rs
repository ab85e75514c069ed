//! `muskox class show`.

use super::{find, shown};
use crate::commands::completion::live;
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::process::ExitCode;
use types::ClassName;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The class
    #[arg(add = ArgValueCandidates::new(live::classes))]
    name: ClassName,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    ask(&arguments.talk, config, async |master| {
        Ok(shown(&find(&master, &arguments.name).await?, arguments.talk.json))
    })
}
