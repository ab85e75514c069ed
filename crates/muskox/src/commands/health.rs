//! `muskox health`; the exit code is the verdict.

use super::{Talk, ask_quietly};
use crate::config::Config;
use crate::failure::Failure;
use crate::roles::admin as files;
use clap::Args;
use rpc::admin::AdminApi;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    talk: Talk,
}

pub(crate) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let talk = &arguments.talk;
    let status = ask_quietly(talk, config, async |master| Ok(master.status().await?))?;
    files::write_text(&if talk.json { admin::health::json(&status) } else { admin::health::render(&status) });
    Ok(ExitCode::from(admin::status::verdict(&status).exit().code()))
}
