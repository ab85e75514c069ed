//! `muskox health`; the exit code is the verdict.

mod mute;
mod unmute;

use super::{Talk, ask_quietly};
use crate::config::Config;
use crate::failure::Failure;
use crate::roles::admin as files;
use clap::{Args, Subcommand};
use rpc::admin::AdminApi;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<HealthCommand>,
    #[command(flatten)]
    talk: Talk,
}

#[derive(Debug, Subcommand)]
enum HealthCommand {
    /// A code that is known: it is shown, and costs no health, until it concerns more things, or none
    Mute(mute::Arguments),
    /// A code that counts again
    Unmute(unmute::Arguments),
}

pub(crate) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Some(HealthCommand::Mute(arguments)) => mute::run(arguments, config),
        Some(HealthCommand::Unmute(arguments)) => unmute::run(arguments, config),
        None => show(&arguments.talk, config),
    }
}

fn show(talk: &Talk, config: &Config) -> Result<ExitCode, Failure> {
    let status = ask_quietly(talk, config, async |master| Ok(master.status().await?))?;
    files::write_text(&if talk.json { admin::health::json(&status) } else { admin::health::render(&status) });
    Ok(ExitCode::from(admin::status::verdict(&status).exit().code()))
}
