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
use crate::failure::{Exit, Failure, fail};
pub(crate) use layout::{DemoFile, Layout, holder};

/// The verb that ends a demo.
const STOP: &str = "stop";

/// Runs `muskox demo` and its verbs.
pub(crate) fn run(arguments: DemoArgs) -> Result<(), Failure> {
    let ask = |data: Option<&std::path::Path>, line: &str| -> Result<(), Failure> {
        let default = Layout::new(data)?;
        let layout = match holder(&default.lock()) {
            None if data.is_none() => {
                the_only(supervisor::running(), |layout| layout.data.display().to_string(), "--data DIR")?
                    .unwrap_or(default)
            }
            _ => default,
        };
        let answer = control::ask(&layout, line)?;
        if line == STOP {
            control::wait_for_end(&layout)?;
        }
        crate::print_line(&answer);
        Ok(())
    };
    match &arguments.command {
        Some(DemoCommand::Kill { name, data }) => ask(data.data.as_deref(), &format!("kill {name}")),
        Some(DemoCommand::Start { name, data }) => ask(data.data.as_deref(), &format!("start {name}")),
        Some(DemoCommand::Stop { data }) => ask(data.data.as_deref(), STOP),
        None => supervisor::run(&arguments),
    }
}

/// The demo of this user that runs now, if any. Of several none is taken: the wrong one might be asked.
pub(crate) fn running() -> Result<Option<DemoFile>, Failure> {
    let files = supervisor::running().into_iter().filter_map(|layout| layout.read().ok()).collect();
    the_only(files, |file: &DemoFile| file.master.clone(), "--master HOST:PORT")
}

fn the_only<T>(mut all: Vec<T>, name: impl Fn(&T) -> String, flag: &str) -> Result<Option<T>, Failure> {
    if all.len() > 1 {
        let names: Vec<String> = all.iter().map(name).collect();
        let what = format!("{} demos of this user are running: {}", names.len(), names.join(", "));
        return Err(fail("E0108", what, format!("say which one with {flag}")).exit(Exit::Usage));
    }
    Ok(all.pop())
}
