//! `muskox class xchg`.

use super::set::{Tree, give};
use crate::commands::completion::live;
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::process::ExitCode;
use types::ClassName;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What has this class
    #[arg(add = ArgValueCandidates::new(live::classes))]
    from: ClassName,
    /// gets this one
    #[arg(add = ArgValueCandidates::new(live::classes))]
    class: ClassName,
    #[command(flatten)]
    tree: Tree,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    give(&arguments.class, Some(&arguments.from), &arguments.tree, config)
}
