//! `muskox disk add`.

use crate::commands::completion::live;
use crate::commands::labels::one_of_each;
use crate::commands::{Talk, ask, surprised};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change, Changed};
use std::process::ExitCode;
use std::time::Duration;
use types::Label;

/// Longer than the master waits for the server.
pub(super) const ADDED_WITHIN: Duration = Duration::from_secs(75);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A server's name, as `muskox server ls` shows it, or its id
    #[arg(value_name = "SERVER", add = ArgValueCandidates::new(live::servers))]
    server: String,
    /// The directory on that server: empty, or a disk of this cluster, also one that was removed before
    #[arg(value_name = "PATH")]
    path: String,
    /// Labels of the disk: words, or key=value
    #[arg(long = "label", value_name = "LABEL", value_delimiter = ',', add = ArgValueCandidates::new(live::labels))]
    labels: Vec<Label>,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let Arguments { server, path, labels, talk } = arguments;
    let labels = one_of_each(labels)?;
    let change = Change::AddDisk { server: server.clone(), path: path.clone(), labels };
    ask(talk, config, async |master| match master.answers_within(ADDED_WITHIN).change(change).await? {
        Changed::Disk(name) if talk.json => Ok(admin::done_json("DiskAdded", &name)),
        Changed::Disk(name) => Ok(format!("{name} is in service\nnext  muskox disk ls\n")),
        _ => Err(surprised()),
    })
}
