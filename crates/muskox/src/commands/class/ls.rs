//! `muskox class ls`.

use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use rpc::admin::AdminApi;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    ask(&arguments.talk, config, async |master| {
        let classes = master.classes().await?;
        Ok(if arguments.talk.json { admin::class::json(&classes) } else { admin::class::list(&classes) })
    })
}
