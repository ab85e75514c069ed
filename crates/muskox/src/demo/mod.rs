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
        let answer = control::ask(&Layout::new(data)?, line)?;
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

/// The demo of this user that runs now, if any: the default one, or the one started last elsewhere.
pub(crate) fn running() -> Option<DemoFile> {
    let last = supervisor::last_started();
    let default = Layout::new(None).ok();
    last.into_iter().chain(default).find_map(|layout| {
        holder(&layout.lock())?;
        layout.read().ok()
    })
}
