//! `muskox class`.

mod clone;
mod create;
mod delete;
mod edit;
mod export;
mod get;
mod hold;
mod import;
mod ls;
mod parts;
mod rename;
mod set;
mod show;
mod xchg;

use super::surprised;
use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use rpc::admin::{AdminApi, AdminClient, Change, Changed, ClassStatus, Refusal, RefusalKind};
use std::process::ExitCode;
use types::{ClassName, StorageClass};

#[derive(Debug, Subcommand)]
pub(crate) enum ClassCommand {
    /// Make a class
    Create(create::Arguments),
    /// Change parts of a class; the others stay
    Edit(edit::Arguments),
    /// Give a class another name
    Rename(rename::Arguments),
    /// Make a class like another one
    Clone(clone::Arguments),
    /// Remove a class that no file has
    Delete(delete::Arguments),
    /// All classes
    Ls(ls::Arguments),
    /// What a class asks for, and what it lacks
    Show(show::Arguments),
    /// Make and change classes as a file says
    Import(import::Arguments),
    /// Classes as a file for import
    Export(export::Arguments),
    /// Give a class to a file or directory
    Set(set::Arguments),
    /// The class of a file or directory
    Get(get::Arguments),
    /// Give a class to what has a certain other one
    Xchg(xchg::Arguments),
    /// What edits made dispensable and is kept for a while
    Hold {
        #[command(subcommand)]
        command: hold::HoldCommand,
    },
}

/// Runs a verb.
pub(crate) fn run(command: &ClassCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        ClassCommand::Create(arguments) => create::run(arguments, config),
        ClassCommand::Edit(arguments) => edit::run(arguments, config),
        ClassCommand::Rename(arguments) => rename::run(arguments, config),
        ClassCommand::Clone(arguments) => clone::run(arguments, config),
        ClassCommand::Delete(arguments) => delete::run(arguments, config),
        ClassCommand::Ls(arguments) => ls::run(arguments, config),
        ClassCommand::Show(arguments) => show::run(arguments, config),
        ClassCommand::Import(arguments) => import::run(arguments, config),
        ClassCommand::Export(arguments) => export::run(arguments, config),
        ClassCommand::Set(arguments) => set::run(arguments, config),
        ClassCommand::Get(arguments) => get::run(arguments, config),
        ClassCommand::Xchg(arguments) => xchg::run(arguments, config),
        ClassCommand::Hold { command } => hold::run(command, config),
    }
}

/// A class by its name.
async fn find(master: &AdminClient, name: &ClassName) -> Result<ClassStatus, Failure> {
    let mut classes = master.classes().await?;
    if let Some(at) = classes.iter().position(|status| status.class.name == *name) {
        return Ok(classes.swap_remove(at));
    }
    let likeness = |status: &ClassStatus| strsim::jaro_winkler(name.as_str(), status.class.name.as_str());
    let near = classes.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let near = near.filter(|near| likeness(near) > 0.8).map(|near| near.class.name.to_string());
    Err(Refusal {
        kind: RefusalKind::NoSuchClass,
        subject: name.to_string(),
        why: String::new(),
        near: near.unwrap_or_default(),
    }
    .into())
}

/// The change that makes a class, or changes the one that is `before`.
fn to_put(before: Option<StorageClass>, class: StorageClass, allow_unsatisfiable: bool) -> Change {
    Change::PutClass { before: before.map(Box::new), class: Box::new(class), allow_unsatisfiable }
}

/// Makes a class, or changes the one that is `before`.
async fn put(
    master: &AdminClient,
    before: Option<StorageClass>,
    class: StorageClass,
    allow_unsatisfiable: bool,
) -> Result<ClassStatus, Failure> {
    match master.change(to_put(before, class, allow_unsatisfiable)).await? {
        Changed::Class(status) => Ok(status),
        _ => Err(surprised()),
    }
}

/// What is told of a class.
fn shown(status: &ClassStatus, json: bool) -> String {
    if json { admin::class::json_one(status) } else { admin::class::show(status) }
}
