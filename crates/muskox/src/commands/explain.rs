//! `muskox explain`.

use super::Talk;
use crate::config::Config;
use crate::failure::Failure;
use crate::roles::{admin as files, on_this_thread};
use clap::Args;
use rpc::admin::{AdminApi, ExplainTarget, FileTarget};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A path on a mount, or from the root of the cluster
    path: PathBuf,
    /// All that there is to say of a file with many chunks
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    talk: Talk,
}

pub(crate) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let Arguments { path, all, talk } = arguments;
    let mut text = String::new();
    on_this_thread(async {
        let (master, target) = files::master_of(path, &talk.target, config).await?;
        let parent = match target {
            FileTarget::Inode(_) => admin::locate::directory_of(path),
            FileTarget::Path(_) => None,
        };
        let mut told = master.explain(ExplainTarget { target, parent }).await?;
        // Of an inode the master knows no path.
        if told.path.is_empty() {
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            told.path = whole.as_os_str().as_encoded_bytes().into();
        }
        text = if talk.json { admin::explain::json(&told) } else { admin::explain::render(&told, *all) };
        Ok(())
    })?;
    files::write_text(&text);
    Ok(ExitCode::SUCCESS)
}
