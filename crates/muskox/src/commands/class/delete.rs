//! `muskox class delete`.

use crate::commands::caution::Caution;
use crate::commands::completion::live;
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change};
use std::process::ExitCode;
use types::ClassName;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The class
    #[arg(add = ArgValueCandidates::new(live::classes))]
    name: ClassName,
    #[command(flatten)]
    caution: Caution,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let name = &arguments.name;
    ask(&arguments.talk, config, async |master| {
        let change = Change::DeleteClass(name.clone());
        let (master, plan) = arguments.caution.look(master, &change, arguments.talk.json).await?;
        if let Some(plan) = plan {
            return Ok(plan);
        }
        master.change(change).await?;
        Ok(if arguments.talk.json {
            admin::done_json("ClassDeleted", name.as_str())
        } else {
            format!("class {name} is deleted\nnext  muskox class ls\n")
        })
    })
}
