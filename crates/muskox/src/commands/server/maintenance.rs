//! `muskox server maintenance`.

use crate::commands::completion::live;
use crate::commands::removal::{self, Holder};
use crate::commands::{Talk, some_time};
use crate::config::Config;
use crate::failure::Failure;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use rpc::admin::MarkWish;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum Switch {
    /// What the server holds is not healed from now on: it is about to be stopped
    On(On),
    /// It is back
    Off(Off),
}

#[derive(Debug, Args)]
pub(crate) struct On {
    /// The server's name or id
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(live::servers))]
    server: String,
    /// No longer than this, such as 30m; without it, until it is switched off
    #[arg(long = "for", value_name = "TIME", value_parser = some_time)]
    time: Option<u64>,
    #[command(flatten)]
    talk: Talk,
}

#[derive(Debug, Args)]
pub(crate) struct Off {
    /// The server's name or id
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(live::servers))]
    server: String,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(switch: &Switch, config: &Config) -> Result<ExitCode, Failure> {
    match switch {
        Switch::On(on) => {
            let told = match on.time {
                Some(time) => {
                    format!("is in maintenance for {}: what it holds is not healed", admin::units::span(time))
                }
                None => "is in maintenance until it is switched off: what it holds is not healed".to_owned(),
            };
            let holder = Holder { name: &on.server, disk: false };
            removal::unmark(&holder, MarkWish::Maintain { for_s: on.time }, &told, &on.talk, config)
        }
        Switch::Off(off) => {
            let holder = Holder { name: &off.server, disk: false };
            let told = "is in maintenance no longer";
            removal::unmark(&holder, MarkWish::Maintained, told, &off.talk, config)
        }
    }
}
