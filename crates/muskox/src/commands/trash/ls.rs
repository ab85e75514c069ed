//! `muskox trash ls`.

use super::{Age, find};
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use admin::trash::Pattern;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only these: paths from the root of the cluster with all below them, also with *, ? and **; or an ID
    #[arg(value_name = "PATTERN")]
    patterns: Vec<Pattern>,
    #[command(flatten)]
    age: Age,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let wanted = arguments.age.wanted(&arguments.patterns);
    ask(&arguments.talk, config, async |master| {
        let (files, now) = find(&master, &wanted).await?;
        Ok(if arguments.talk.json {
            admin::trash::json(&files, now)
        } else {
            admin::trash::list(&files, now)
        })
    })
}
