//! `muskox server`.

mod forget;
mod keep;
mod label;
mod ls;
mod maintenance;
mod remove;

use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Chunkservers, their labels and whether they are there
    Ls(ls::Arguments),
    /// Give labels to a server, which its disks inherit, live
    Label(label::Arguments),
    /// Empty all disks of a server and take them out of the cluster
    Remove(remove::Arguments),
    /// Undo `remove`
    Keep(keep::Arguments),
    /// Stop a server for a while without anything being healed
    Maintenance {
        #[command(subcommand)]
        switch: maintenance::Switch,
    },
    /// Know a server no longer that is gone for good
    Forget(forget::Arguments),
}

/// Runs a verb.
pub(crate) fn run(command: &ServerCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        ServerCommand::Ls(arguments) => ls::run(arguments, config),
        ServerCommand::Label(arguments) => label::run(arguments, config),
        ServerCommand::Remove(arguments) => remove::run(arguments, config),
        ServerCommand::Keep(arguments) => keep::run(arguments, config),
        ServerCommand::Maintenance { switch } => maintenance::run(switch, config),
        ServerCommand::Forget(arguments) => forget::run(arguments, config),
    }
}
