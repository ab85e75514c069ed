//! `muskox health unmute`.

use crate::commands::completion::live;
use crate::commands::{Talk, ask, surprised};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change, Changed};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A health code
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(live::codes))]
    code: String,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let Arguments { code, talk } = arguments;
    ask(talk, config, async |master| {
        let Changed::Done = master.change(Change::Mute { code: code.clone(), mute: None }).await? else {
            return Err(surprised());
        };
        Ok(if talk.json {
            admin::done_json("Unmuted", code)
        } else {
            format!("{code} counts\nnext  muskox health\n")
        })
    })
}
