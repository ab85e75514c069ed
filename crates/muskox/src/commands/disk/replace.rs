//! `muskox disk replace`.

use crate::commands::completion::live;
use crate::commands::labels::one_of_each;
use crate::commands::removal::{self, Holder, Wanted};
use crate::commands::{ask_quietly, surprised};
use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change, Changed, ClusterStatus, DiskStatus};
use std::process::ExitCode;
use types::Label;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The disk that goes: `SERVER:PATH`, as `muskox disk ls` shows it, or its id
    #[arg(value_name = "SERVER:PATH", add = ArgValueCandidates::new(live::disks))]
    disk: String,
    /// The one that takes its place: a directory on the same server, which is added with the labels of the other, or a disk that is
    /// there already
    #[arg(long, value_name = "PATH|SERVER:PATH", add = ArgValueCandidates::new(live::disks))]
    with: String,
    #[command(flatten)]
    wanted: Wanted,
}

fn name_of(status: &ClusterStatus, disk: &DiskStatus) -> String {
    let server = status.servers.iter().find(|server| server.server == disk.server);
    format!("{}:{}", server.map_or(String::new(), |server| server.name.clone()), disk.path)
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let Arguments { disk, with, wanted } = arguments;
    let holder = Holder { name: disk, disk: true };
    if wanted.plan {
        return removal::remove(&holder, "", wanted, config);
    }
    let with = ask_quietly(&wanted.talk, config, async |master| {
        let status = master.status().await?;
        let is_meant = |one: &&DiskStatus| name_of(&status, one) == *disk || one.disk.to_string() == *disk;
        let Some(old) = status.disks.iter().find(is_meant) else {
            let next = "muskox disk ls   (write SERVER:PATH as it stands there)";
            return Err(fail("E0208", format!("there is no disk {disk}"), next).exit(Exit::NotFound));
        };
        let old_name = name_of(&status, old);
        let (server, _) = old_name.split_once(':').unwrap_or_default();
        let (server, path) = match with.split_once(':') {
            Some((server, path)) if !with.starts_with('/') => (server, path),
            _ => (server, with.as_str()),
        };
        let new_name = format!("{server}:{path}");
        if status.disks.iter().any(|one| name_of(&status, one) == new_name) {
            return Ok(new_name);
        }
        let labels: Vec<Label> = old.labels.iter().filter_map(|label| Label::new(label).ok()).collect();
        let (server, path, labels) = (server.to_owned(), path.to_owned(), one_of_each(&labels)?);
        let master = master.answers_within(super::add::ADDED_WITHIN);
        match master.change(Change::AddDisk { server, path, labels }).await? {
            Changed::Disk(name) => Ok(name),
            _ => Err(surprised()),
        }
    })?;
    removal::remove(&holder, &with, wanted, config)
}
