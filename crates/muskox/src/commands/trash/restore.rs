//! `muskox trash restore`.

use super::{Age, find, nothing};
use crate::commands::{Talk, ask_quietly, surprised};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::roles::admin as files;
use admin::trash::{Pattern, Restored, plan};
use clap::Args;
use rpc::admin::{AdminApi, Change, Changed};
use std::process::ExitCode;
use types::RESTORE_PATH_BYTES_MAX;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Paths from the root of the cluster with all below them, also with *, ? and **; or IDs
    #[arg(value_name = "WHAT", required = true)]
    what: Vec<Pattern>,
    #[command(flatten)]
    age: Age,
    /// Below this directory of the cluster, under the path that they had
    #[arg(long, value_name = "DIR", value_parser = directory)]
    to: Option<String>,
    /// Also where there is a file of that name: it is deleted
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    talk: Talk,
}

fn directory(text: &str) -> Result<String, String> {
    match text.trim_matches('/') {
        "" => Err("name a directory, from the root of the cluster".to_owned()),
        inner if inner.len() >= RESTORE_PATH_BYTES_MAX => Err("the path is too long".to_owned()),
        inner => Ok(format!("/{inner}")),
    }
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let wanted = arguments.age.wanted(&arguments.what);
    let restored = ask_quietly(&arguments.talk, config, async |master| {
        let (found, _) = find(&master, &wanted).await?;
        if found.is_empty() {
            return Err(nothing());
        }
        let plan = plan(&found, arguments.to.as_deref());
        let mut restored = Restored { older: plan.older, ..Restored::default() };
        for wishes in plan.batches {
            let change = Change::RestoreTrash { wishes: wishes.clone(), overwrite: arguments.overwrite };
            let Changed::Restored(refused) = master.change(change).await? else { return Err(surprised()) };
            restored.files += (wishes.len() - refused.len().min(wishes.len())) as u64;
            let named =
                |wish: u32| wishes.get(wish as usize).map(|wish| wish.path.clone()).unwrap_or_default();
            restored.refused.extend(refused.into_iter().map(|one| (named(one.wish), one.status)));
        }
        Ok(restored)
    })?;
    files::write_text(&if arguments.talk.json { restored.json() } else { restored.told() });
    let exit = if restored.refused.is_empty() { Exit::Done } else { Exit::Refused };
    Ok(ExitCode::from(exit.code()))
}
