//! `muskox server forget`.

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
    /// The server's name or id
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(live::servers))]
    server: String,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let Arguments { server, talk } = arguments;
    ask(talk, config, async |master| match master.change(Change::ForgetServer(server.clone())).await? {
        Changed::Done if talk.json => Ok(admin::done_json("ServerForgotten", server)),
        Changed::Done => Ok(format!("{server} is forgotten, with its disks\nnext  muskox server ls\n")),
        _ => Err(surprised()),
    })
}
