//! `muskox class edit`.

use super::parts::Parts;
use super::{find, put, shown};
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use std::process::ExitCode;
use types::ClassName;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The class
    name: ClassName,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    ask(&arguments.talk, config, async |master| {
        let before = find(&master, &arguments.name).await?.class;
        let class = arguments.parts.over(before.clone())?;
        let status = put(&master, Some(before), class, arguments.parts.allow_unsatisfiable).await?;
        Ok(shown(&status, arguments.talk.json))
    })
}
