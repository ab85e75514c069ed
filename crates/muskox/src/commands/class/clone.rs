//! `muskox class clone`.

use super::parts::Parts;
use super::{find, put, shown};
use crate::commands::completion::live;
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::process::ExitCode;
use types::{ClassName, StorageClass};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The class to take
    #[arg(add = ArgValueCandidates::new(live::classes))]
    name: ClassName,
    /// The name of the new one
    new_name: ClassName,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    ask(&arguments.talk, config, async |master| {
        let class = find(&master, &arguments.name).await?.class;
        let class = arguments.parts.over(StorageClass { name: arguments.new_name.clone(), ..class })?;
        let status = put(&master, None, class, arguments.parts.allow_unsatisfiable).await?;
        Ok(shown(&status, arguments.talk.json))
    })
}
