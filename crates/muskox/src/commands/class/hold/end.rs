//! `muskox class hold end`.

use crate::commands::completion::live;
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change};
use std::process::ExitCode;
use types::HoldId;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The number that `muskox class hold ls` shows
    #[arg(add = ArgValueCandidates::new(live::holds))]
    hold: u64,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let hold = arguments.hold;
    ask(&arguments.talk, config, async |master| {
        master.change(Change::EndHold(HoldId(hold))).await?;
        Ok(if arguments.talk.json {
            admin::done_json("HoldEnded", &hold.to_string())
        } else {
            format!(
                "hold {hold} is over: what it kept goes now, unless another hold wants it\nnext  muskox class hold ls\n"
            )
        })
    })
}
