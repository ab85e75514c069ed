//! `muskox demo`: a whole local cluster as separate processes and a mounted directory, from one command.
//!
//! # Invariants
//! 1. One demo per directory: a lock names the pid of the one that runs.
//! 2. No process outlives the demo, however it ends.
//! 3. `demo.json` is there from when everything is ready until the demo ends.

mod control;
mod in_process;
mod layout;
mod part;
mod supervisor;

use crate::cli::{DemoArgs, DemoCommand};
use crate::failure::Failure;
pub(crate) use layout::{DemoFile, Layout, holder};

/// Runs `muskox demo` and its verbs.
pub(crate) fn run(arguments: DemoArgs) -> Result<(), Failure> {
    let ask = |data: Option<&std::path::Path>, line: &str| -> Result<(), Failure> {
        let default = Layout::new(data)?;
        let other = supervisor::running().into_iter().next().filter(|_| data.is_none());
        let layout = if holder(&default.lock()).is_none() { other.unwrap_or(default) } else { default };
        let answer = control::ask(&layout, line)?;
        crate::print_line(&answer);
        Ok(())
    };
    match &arguments.command {
        Some(DemoCommand::Kill { name, data }) => ask(data.data.as_deref(), &format!("kill {name}")),
        Some(DemoCommand::Start { name, data }) => ask(data.data.as_deref(), &format!("start {name}")),
        Some(DemoCommand::Stop { data }) => ask(data.data.as_deref(), "stop"),
        None => supervisor::run(&arguments),
    }
}

/// The demo of this user that runs now, if any; of several the one started last.
pub(crate) fn running() -> Option<DemoFile> {
    supervisor::running().into_iter().find_map(|layout| layout.read().ok())
}
