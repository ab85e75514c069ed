//! `muskox task cancel`.

use crate::commands::completion::live;
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change};
use std::process::ExitCode;
use types::TaskId;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The number that `muskox task ls` shows
    #[arg(add = ArgValueCandidates::new(live::tasks))]
    task: u64,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let task = arguments.task;
    ask(&arguments.talk, config, async |master| {
        master.change(Change::CancelTask(TaskId(task))).await?;
        Ok(if arguments.talk.json {
            admin::done_json("TaskCancelled", &task.to_string())
        } else {
            format!("task {task} is cancelled; what it did stays\nnext  muskox task ls\n")
        })
    })
}
