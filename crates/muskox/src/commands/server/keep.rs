//! `muskox server keep`.

use crate::commands::Talk;
use crate::commands::completion::live;
use crate::commands::removal::{self, Holder};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::MarkWish;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The server's name or id
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(live::servers))]
    server: String,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let holder = Holder { name: &arguments.server, disk: false };
    removal::unmark(&holder, MarkWish::Keep, "stays, and takes chunks again", &arguments.talk, config)
}
