//! `muskox limit`.

mod ls;
mod rm;
mod set;

use super::completion::live;
use super::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::{Args, Subcommand};
use clap_complete::{ArgValueCandidates, ArgValueCompleter};
use rpc::admin::{AdminApi, Change, LimitTarget};
use std::process::ExitCode;
use types::Limit;

#[derive(Debug, Subcommand)]
pub(crate) enum LimitCommand {
    /// Limit what healing copies, live
    Set(set::Arguments),
    /// Limits, and which of them slow healing down now
    Ls(ls::Arguments),
    /// Take a limit away, live
    Rm(rm::Arguments),
}

/// What a limit is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct What {
    /// What this server reads for copies, and what it writes: its name or id
    #[arg(long, value_name = "SERVER", conflicts_with_all = ["from", "to"], add = ArgValueCandidates::new(live::servers))]
    server: Option<String>,
    /// Copies from disks with these labels, such as 'site=home' or 'any'
    #[arg(long, value_name = "LABELS", requires = "to", add = ArgValueCompleter::new(live::expressions))]
    from: Option<String>,
    /// To disks with these labels
    #[arg(long, value_name = "LABELS", requires = "from", add = ArgValueCompleter::new(live::expressions))]
    to: Option<String>,
}

impl What {
    fn target(&self) -> LimitTarget {
        let words = |words: &Option<String>| words.clone().unwrap_or_default();
        match &self.server {
            Some(server) => LimitTarget::Server(server.clone()),
            None => LimitTarget::Pair { from: words(&self.from), to: words(&self.to) },
        }
    }
}

/// Runs a verb.
pub(crate) fn run(command: &LimitCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        LimitCommand::Set(arguments) => set::run(arguments, config),
        LimitCommand::Ls(arguments) => ls::run(arguments, config),
        LimitCommand::Rm(arguments) => rm::run(arguments, config),
    }
}

/// Has a limit changed and tells what holds then.
fn change(
    what: &What,
    limit: Option<Limit>,
    allow_unknown: bool,
    talk: &Talk,
    config: &Config,
) -> Result<ExitCode, Failure> {
    let target = what.target();
    ask(talk, config, async |master| {
        master.change(Change::SetLimit { target: target.clone(), limit, allow_unknown }).await?;
        let kind = if limit.is_some() { "LimitSet" } else { "LimitRemoved" };
        Ok(if talk.json {
            admin::done_json(kind, &admin::limit::words(&target))
        } else {
            admin::limit::changed(&target, limit)
        })
    })
}
