//! `muskox class import`.

use super::put;
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use clap::Args;
use rpc::admin::AdminApi;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A file that `muskox class export` wrote; -: standard input
    file: PathBuf,
    /// Take labels that no disk has, and replicas that no disk can hold
    #[arg(long)]
    allow_unsatisfiable: bool,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let wanted = admin::class::import(&read(&arguments.file)?)?;
    ask(&arguments.talk, config, async |master| {
        let known = master.classes().await?;
        let mut done = Vec::new();
        for class in wanted {
            let before = known.iter().find(|status| status.class.name == class.name);
            let before = before.map(|status| status.class.clone());
            let name = class.name.to_string();
            let what = match &before {
                Some(before) if *before == class => "unchanged",
                Some(_) => "changed",
                None => "created",
            };
            if what != "unchanged" {
                // What was done before a refusal stays; the same file can be imported again.
                put(&master, before, class, arguments.allow_unsatisfiable).await?;
            }
            done.push((name, what));
        }
        Ok(if arguments.talk.json {
            admin::class::imported_json(&done)
        } else {
            admin::class::imported(&done)
        })
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|error| {
        let what = format!("cannot read {}: {error}", path.display());
        fail("E0220", what, "muskox class export > FILE").exit(Exit::Usage)
    })
}
