//! Long runs that do not belong into CI: fresh seeds, kill rounds, more operations.
//!
//! Each is the same test as in CI with larger numbers, given by environment variables that the tests
//! read; the result goes to `docs/evidence/` by hand, with command, commit and date.

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

struct Soak {
    name: &'static str,
    says: &'static str,
    cargo: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "sim",
        says: "fresh seeds through the simulated cluster (MUSKOX_SIM_SEEDS, default 1000)",
        cargo: &["test", "--release", "-p", "sim", "--", "--nocapture"],
        variables: &[("MUSKOX_SIM_SEEDS", "1000"), ("MUSKOX_SIM_FRESH", "1")],
    },
    Soak {
        name: "e2e",
        says: "the end-to-end tests with full-size data (4 GiB file, large trees, fsx 100,000 per seed)",
        cargo: &["test", "--release", "-p", "muskox", "--", "--nocapture", "--test-threads", "1"],
        variables: &[("MUSKOX_SOAK", "1")],
    },
];

/// Runs one soak by name; the caller's environment wins over the defaults.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let Some(soak) = arguments.first().and_then(|n| SOAKS.iter().find(|s| s.name == *n)) else {
        let list: Vec<_> = SOAKS.iter().map(|s| format!("  {}: {}", s.name, s.says)).collect();
        bail!("usage: cargo xtask soak NAME\n{}", list.join("\n"));
    };
    let mut command = Command::new("cargo");
    command.current_dir(root).args(soak.cargo).args(&arguments[1..]);
    for (name, value) in soak.variables {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let status = command.status().context("cargo could not be started")?;
    ensure!(status.success(), "soak {} failed", soak.name);
    Ok(())
}
