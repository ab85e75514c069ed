//! `muskox disk label` and `muskox server label`.

use super::caution::Caution;
use super::{Talk, ask, surprised};
use crate::commands::completion::live;
use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change, Changed};
use std::process::ExitCode;
use types::{Label, Labels};

#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Labels to be there: words, or key=value
    #[arg(value_name = "LABEL", required_unless_present_any = ["remove", "replace"], add = ArgValueCandidates::new(live::labels))]
    labels: Vec<Label>,
    /// A label to be gone; may be repeated
    #[arg(long, value_name = "LABEL", add = ArgValueCandidates::new(live::labels))]
    remove: Vec<Label>,
    /// These labels and no others; without labels, none
    #[arg(long, conflicts_with = "remove")]
    replace: bool,
    #[command(flatten)]
    caution: Caution,
    #[command(flatten)]
    talk: Talk,
}

/// Labels that go together.
pub(super) fn one_of_each(labels: &[Label]) -> Result<Labels, Failure> {
    Labels::new(labels.iter().cloned())
        .map_err(|error| fail("E0222", error.to_string(), "give each key one value").exit(Exit::Usage))
}

/// Sets labels and tells what became of them.
pub(super) fn run(holder: &str, disk: bool, wanted: &Wanted, config: &Config) -> Result<ExitCode, Failure> {
    let (add, remove) = (one_of_each(&wanted.labels)?, one_of_each(&wanted.remove)?);
    let change = Change::SetLabels { holder: holder.to_owned(), disk, add, remove, replace: wanted.replace };
    ask(&wanted.talk, config, async |master| {
        let (master, plan) = wanted.caution.look(master, &change, wanted.talk.json).await?;
        if let Some(plan) = plan {
            return Ok(plan);
        }
        match master.change(change).await? {
            Changed::Labels { holder, before, after, unmet } => Ok(if wanted.talk.json {
                admin::hosts::labelled_json(&holder, &before, &after, &unmet)
            } else {
                admin::hosts::labelled(&holder, &before, &after, &unmet)
            }),
            _ => Err(surprised()),
        }
    })
}
