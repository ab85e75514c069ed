//! `muskox class set`, and what it shares with `xchg`.

use crate::commands::caution::Caution;
use crate::commands::completion::live;
use crate::commands::{Talk, surprised};
use crate::config::Config;
use crate::failure::Failure;
use crate::roles::{admin as files, on_this_thread};
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, AdminClient, Change, Changed};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use types::{ClassName, TaskId};

/// How often a task is asked how far it is.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The class
    #[arg(add = ArgValueCandidates::new(live::classes))]
    class: ClassName,
    #[command(flatten)]
    tree: Tree,
}

/// What is to have the class.
#[derive(Debug, Args)]
pub(crate) struct Tree {
    /// A path on a mount, or from the root of the cluster
    path: PathBuf,
    /// Also everything below, as a task of the master
    #[arg(short, long)]
    recursive: bool,
    /// Do not wait for the task
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    caution: Caution,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    give(&arguments.class, None, &arguments.tree, config)
}

/// Gives a class, only to what has the class `from` if one is named.
pub(super) fn give(
    class: &ClassName,
    from: Option<&ClassName>,
    tree: &Tree,
    config: &Config,
) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    on_this_thread(async {
        let (master, target) = files::master_of(&tree.path, &tree.talk.target, config).await?;
        let (class, from) = (class.clone(), from.cloned());
        let name = class.to_string();
        let change = Change::GiveClass { target, class, from, recursive: tree.recursive };
        let (master, plan) = tree.caution.look(master, &change, tree.talk.json).await?;
        if let Some(plan) = plan {
            text = plan;
            return Ok(());
        }
        text = match master.change(change).await? {
            Changed::Inodes(count) => told(&name, &tree.path, count, None, tree.talk.json),
            Changed::Task(task) if tree.no_wait => told(&name, &tree.path, 0, Some(task), tree.talk.json),
            Changed::Task(task) => {
                let count = wait(&master, task).await?;
                told(&name, &tree.path, count, None, tree.talk.json)
            }
            _ => return Err(surprised()),
        };
        Ok(())
    })?;
    files::write_text(&text);
    Ok(ExitCode::SUCCESS)
}

/// Waits until a task has ended. How many inodes it was seen to have changed.
async fn wait(master: &AdminClient, task: TaskId) -> Result<u64, Failure> {
    let shows = std::io::stderr().is_terminal();
    let mut changed = 0;
    loop {
        let tasks = master.tasks().await.map_err(|error| {
            let next =
                format!("muskox task ls   (task {task} goes on in the master, also after its restart)");
            Failure::from(error).next(next)
        })?;
        let Some(now) = tasks.into_iter().find(|one| one.task == task) else { break };
        changed = now.changed;
        if shows {
            // A terminal that does not take it misses nothing.
            let _ = write!(std::io::stderr(), "\r{}   ", admin::task::progress(&now));
        }
        tokio::time::sleep(LOOK).await;
    }
    if shows {
        let _ = writeln!(std::io::stderr(), "\rdone{:60}", "");
    }
    Ok(changed)
}

fn told(class: &str, path: &Path, count: u64, task: Option<TaskId>, json: bool) -> String {
    let path = path.display().to_string();
    if json {
        return admin::class::given_json(class, &path, count, task);
    }
    admin::class::given(class, &path, task)
}
