//! `muskox class rename`.

use super::{find, put, shown, to_put};
use crate::commands::caution::Caution;
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
    /// The class
    #[arg(add = ArgValueCandidates::new(live::classes))]
    name: ClassName,
    /// Its new name
    new_name: ClassName,
    #[command(flatten)]
    caution: Caution,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    ask(&arguments.talk, config, async |master| {
        let before = find(&master, &arguments.name).await?.class;
        let class = StorageClass { name: arguments.new_name.clone(), ..before.clone() };
        let change = to_put(Some(before.clone()), class.clone(), false);
        let (master, plan) = arguments.caution.look(master, &change, arguments.talk.json).await?;
        if let Some(plan) = plan {
            return Ok(plan);
        }
        let status = put(&master, Some(before), class, false).await?;
        Ok(shown(&status, arguments.talk.json))
    })
}
