//! `muskox class export`.

use super::find;
use crate::cli::Target;
use crate::commands::completion::live;
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::AdminApi;
use std::process::ExitCode;
use types::ClassName;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which classes [default: all]
    #[arg(add = ArgValueCandidates::new(live::classes))]
    names: Vec<ClassName>,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let talk = Talk { json: false, target: arguments.target.clone() };
    ask(&talk, config, async |master| {
        let mut classes = Vec::new();
        if arguments.names.is_empty() {
            classes = master.classes().await?;
        }
        for name in &arguments.names {
            classes.push(find(&master, name).await?);
        }
        Ok(admin::class::export(classes.iter().map(|status| &status.class)))
    })
}
