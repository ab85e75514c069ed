//! What operators see and change: noun, then verb; a file for each verb.

mod caution;
pub(crate) mod chunk;
pub(crate) mod class;
pub(crate) mod client;
pub(crate) mod completion;
pub(crate) mod disk;
pub(crate) mod explain;
pub(crate) mod health;
mod labels;
pub(crate) mod limit;
mod removal;
pub(crate) mod server;
pub(crate) mod task;
pub(crate) mod trash;

use crate::cli::Target;
use crate::config::Config;
use crate::failure::Failure;
use crate::roles::{admin, on_this_thread};
use ::admin::units::parse_span;
use clap::Args;
use rpc::admin::{AdminApi, AdminClient, ClusterStatus};
use std::process::ExitCode;

/// How a command talks.
#[derive(Debug, Args)]
pub(crate) struct Talk {
    /// Machine-readable
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Asks the master and prints what comes of it.
fn ask(
    talk: &Talk,
    config: &Config,
    question: impl AsyncFnOnce(AdminClient) -> Result<String, Failure>,
) -> Result<ExitCode, Failure> {
    admin::write_text(&ask_quietly(talk, config, question)?);
    Ok(ExitCode::SUCCESS)
}

/// Asks the master.
fn ask_quietly<T>(
    talk: &Talk,
    config: &Config,
    question: impl AsyncFnOnce(AdminClient) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut answer = None;
    on_this_thread(async {
        answer = Some(question(admin::first_answer(&talk.target, config).await?).await?);
        Ok(())
    })?;
    answer.ok_or_else(surprised)
}

/// A span of at least a second.
fn some_time(text: &str) -> Result<u64, String> {
    match parse_span(text)? {
        0 => Err("that is no time at all".into()),
        seconds => Ok(seconds),
    }
}

/// Prints a part of the cluster's status.
fn show(
    talk: &Talk,
    config: &Config,
    table: fn(&ClusterStatus) -> String,
    json: fn(&ClusterStatus) -> String,
) -> Result<ExitCode, Failure> {
    ask(talk, config, async |master| {
        let status = master.status().await?;
        Ok(if talk.json { json(&status) } else { table(&status) })
    })
}

/// The answer of the master is of another kind than the question.
fn surprised() -> Failure {
    let reason = "it answers another question".to_owned();
    rpc::admin::AdminError::BadAnswer { address: "the master".to_owned(), reason }.into()
}
