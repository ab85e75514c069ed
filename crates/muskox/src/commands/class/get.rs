//! `muskox class get`.

use crate::commands::Talk;
use crate::config::Config;
use crate::failure::Failure;
use crate::roles::{admin as files, on_this_thread};
use clap::Args;
use rpc::admin::AdminApi;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A path on a mount, or from the root of the cluster
    path: PathBuf,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    on_this_thread(async {
        let (master, target) = files::master_of(&arguments.path, &arguments.talk.target, config).await?;
        let class = master.file_info(target).await?.class;
        let path = arguments.path.display().to_string();
        text = if arguments.talk.json {
            admin::class::class_of_json(&path, &class)
        } else {
            format!("{path}   class {class}\nnext  muskox class show {class}\n")
        };
        Ok(())
    })?;
    files::write_text(&text);
    Ok(ExitCode::SUCCESS)
}
