//! `muskox disk keep`.

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
    /// `SERVER:PATH`, as `muskox disk ls` shows it, or the disk's id
    #[arg(value_name = "SERVER:PATH", add = ArgValueCandidates::new(live::disks))]
    disk: String,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let holder = Holder { name: &arguments.disk, disk: true };
    removal::unmark(&holder, MarkWish::Keep, "stays, and takes chunks again", &arguments.talk, config)
}
