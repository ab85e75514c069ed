//! `muskox trash purge`.

use super::{Age, find, nothing};
use crate::commands::{Talk, ask_quietly, surprised};
use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use crate::roles::admin as files;
use admin::trash::{Pattern, bytes_of};
use admin::units::{counted, size};
use clap::{ArgGroup, Args};
use rpc::admin::{AdminApi, AdminClient, Change, Changed, TRASH_BATCH_MAX, TrashEntry};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["patterns", "older", "newer", "all"]).required(true).multiple(true))]
pub(crate) struct Arguments {
    /// Paths from the root of the cluster with all below them, also with *, ? and **; or IDs
    #[arg(value_name = "PATTERN")]
    patterns: Vec<Pattern>,
    #[command(flatten)]
    age: Age,
    /// Everything
    #[arg(long, conflicts_with_all = ["patterns", "older", "newer"])]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let wanted = arguments.age.wanted(&arguments.patterns);
    let purged = ask_quietly(&arguments.talk, config, async |master| {
        let (found, _) = find(&master, &wanted).await?;
        if found.is_empty() {
            return Err(nothing());
        }
        if !arguments.yes {
            confirm(&found)?;
        }
        purge(&master, &found).await
    })?;
    let json = arguments.talk.json;
    files::write_text(&if json { admin::trash::purged_json(purged) } else { admin::trash::purged(purged) });
    Ok(ExitCode::SUCCESS)
}

/// Asks whoever sits there; where nobody does, it takes `--yes`.
fn confirm(found: &[TrashEntry]) -> Result<(), Failure> {
    let what = format!("{} of {}", counted(found.len() as u64, "deleted file"), size(bytes_of(found)));
    if std::io::stdin().is_terminal() {
        let mut answer = String::new();
        // A terminal that does not take it will not say yes either.
        let _ = write!(std::io::stderr(), "Delete {what} for good? [y/N] ");
        let _ = std::io::stdin().read_line(&mut answer);
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
    }
    let next = "muskox trash purge ... --yes   (muskox trash ls with the same words shows them)";
    Err(fail("E0241", format!("{what} would be deleted for good"), next).exit(Exit::Refused))
}

async fn purge(master: &AdminClient, found: &[TrashEntry]) -> Result<u64, Failure> {
    let mut purged = 0;
    for batch in found.chunks(TRASH_BATCH_MAX) {
        let inodes = batch.iter().map(|entry| entry.attributes.inode).collect();
        let Changed::Inodes(count) = master.change(Change::PurgeTrash(inodes)).await? else {
            return Err(surprised());
        };
        purged += count;
    }
    Ok(purged)
}
