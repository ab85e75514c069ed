//! `muskox disk`.

mod add;
mod keep;
mod label;
mod ls;
mod remove;
mod replace;

use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// Disks, their labels and how full they are
    Ls(ls::Arguments),
    /// Have a running server serve a directory, at once and from now on
    Add(add::Arguments),
    /// Give labels to a disk, live
    Label(label::Arguments),
    /// Empty a disk and take it out of the cluster
    Remove(remove::Arguments),
    /// Move what is on a disk to another one, which takes its place
    Replace(replace::Arguments),
    /// Undo `remove` and `replace`
    Keep(keep::Arguments),
}

/// Runs a verb.
pub(crate) fn run(command: &DiskCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        DiskCommand::Ls(arguments) => ls::run(arguments, config),
        DiskCommand::Add(arguments) => add::run(arguments, config),
        DiskCommand::Label(arguments) => label::run(arguments, config),
        DiskCommand::Remove(arguments) => remove::run(arguments, config),
        DiskCommand::Replace(arguments) => replace::run(arguments, config),
        DiskCommand::Keep(arguments) => keep::run(arguments, config),
    }
}
