//! Repository chores: `cargo xtask tidy` and `cargo xtask soak NAME`.

mod soak;
mod tidy;

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("xtask lives two folders below the root")?
        .to_path_buf();
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("tidy") => tidy::run(&root),
        Some("soak") => soak::run(&root, &arguments.collect::<Vec<_>>()),
        _ => bail!("usage: cargo xtask tidy | cargo xtask soak NAME [ARGUMENTS]"),
    }
}
