//! `muskox trash`.

mod ls;
mod purge;
mod restore;

use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use admin::trash::{Pattern, Wanted};
use admin::units::parse_span;
use clap::{Args, Subcommand};
use rpc::admin::{AdminApi, AdminClient, TrashEntry, TrashQuery};
use std::process::ExitCode;
use types::{InodeId, Timestamp};

#[derive(Debug, Subcommand)]
pub(crate) enum TrashCommand {
    /// Deleted files that are kept
    Ls(ls::Arguments),
    /// Bring deleted files back
    Restore(restore::Arguments),
    /// Delete files of the trash for good
    Purge(purge::Arguments),
}

/// Which of them by their age.
#[derive(Debug, Args)]
struct Age {
    /// Deleted longer ago than this, such as 7d
    #[arg(long, value_name = "AGE", value_parser = parse_span)]
    older: Option<u64>,
    /// Deleted since then, such as 10m
    #[arg(long, visible_alias = "since", value_name = "AGE", value_parser = parse_span)]
    newer: Option<u64>,
}

impl Age {
    fn wanted(&self, patterns: &[Pattern]) -> Wanted {
        Wanted { patterns: patterns.to_vec(), older_s: self.older, newer_s: self.newer }
    }
}

/// Runs a verb.
pub(crate) fn run(command: &TrashCommand, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        TrashCommand::Ls(arguments) => ls::run(arguments, config),
        TrashCommand::Restore(arguments) => restore::run(arguments, config),
        TrashCommand::Purge(arguments) => purge::run(arguments, config),
    }
}

/// The files that are meant, those deleted last first, and the master's clock.
async fn find(master: &AdminClient, wanted: &Wanted) -> Result<(Vec<TrashEntry>, Timestamp), Failure> {
    let mut found = Vec::new();
    let mut after = InodeId(0);
    loop {
        let page = master.trash(TrashQuery { after }).await?;
        after = page.entries.last().map_or(after, |last| last.attributes.inode.id);
        found.extend(page.entries.into_iter().filter(|entry| wanted.matches(entry, page.now)));
        if page.end {
            found.sort_by_key(|entry| std::cmp::Reverse((entry.deleted, entry.attributes.inode.id)));
            return Ok((found, page.now));
        }
    }
}

/// Nothing of what was named is there.
fn nothing() -> Failure {
    fail("E0240", "nothing of that is in the trash", "muskox trash ls").exit(Exit::NotFound)
}
