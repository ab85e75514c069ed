//! Long runs that do not belong into CI: fresh seeds, kill rounds, more operations.
//!
//! Each is the same test as in CI with larger numbers, given by environment variables that the tests
//! read; the result goes to `docs/evidence/` by hand, with command, commit and date.

use anyhow::{Context, Result, bail, ensure};
use std::io::Write;
use std::path::Path;
use std::process::Command;

struct Soak {
    name: &'static str,
    says: &'static str,
    cargo: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    /// The variable that says for how long, if `--hours` is understood.
    seconds: Option<&'static str>,
    /// The variable that says how often, if `--rounds` is understood.
    rounds: Option<&'static str>,
    /// The variable that a fresh number is given to in each of `--rounds`, and how many if it is not said.
    fresh: Option<(&'static str, u64)>,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "sim",
        says: "fresh seeds through the simulated cluster (default 1 hour), checked as in CI",
        // Not --release: a violation is replayed with the build that found it, debug assertions included.
        cargo: &["test", "-p", "sim", "--test", "fresh", "--", "--nocapture"],
        variables: &[],
        seconds: Some("MUSKOX_SIM_FRESH"),
        rounds: None,
        fresh: None,
    },
    Soak {
        name: "kills",
        says: "real processes killed under load (default 100 rounds): a chunkserver, the master, everything at once",
        cargo: &[
            "test",
            "-p",
            "muskox",
            "--test",
            "faults",
            "kill",
            "--",
            "--nocapture",
            "--test-threads",
            "1",
        ],
        variables: &[("MUSKOX_KILL_ROUNDS", "100")],
        seconds: None,
        rounds: Some("MUSKOX_KILL_ROUNDS"),
        fresh: None,
    },
    Soak {
        name: "stress",
        says: "many processes, all operations, ten minutes a round (default 1), then a scan of everything and a check of the metadata",
        cargo: &["test", "--release", "-p", "muskox", "--test", "stress", "--", "--nocapture"],
        variables: &[("MUSKOX_STRESS_SECONDS", "600")],
        seconds: None,
        rounds: None,
        fresh: Some(("MUSKOX_STRESS_SEED", 1)),
    },
    Soak {
        name: "fsx",
        says: "a million operations of fsx a round (default 1), all kinds of them, over five seeds at the same time; then on files that cross a chunk's edge",
        cargo: &["test", "--release", "-p", "muskox", "--test", "workloads", "fsx", "--", "--nocapture"],
        variables: &[("MUSKOX_SOAK", "1")],
        seconds: None,
        rounds: None,
        fresh: Some(("MUSKOX_FSX_SEED", 1)),
    },
    Soak {
        name: "properties",
        says: "property tests of the crates with fresh cases (default 20 rounds); a failing round names its seed",
        cargo: &["test", "--quiet", "--workspace", "--exclude", "muskox", "--exclude", "sim"],
        variables: &[],
        seconds: None,
        rounds: None,
        fresh: Some(("PROPTEST_RNG_SEED", 20)),
    },
    Soak {
        name: "day",
        says: "a day of losses, returns and edits for 1,000 disks and a million chunks, servers played (default 1 round)",
        cargo: &["test", "--release", "-p", "fleet", "--test", "day", "--", "--nocapture", "whatever"],
        variables: &[
            ("MUSKOX_DAY_DISKS", "1000"),
            ("MUSKOX_DAY_CHUNKS", "1000000"),
            ("MUSKOX_DAY_HOURS", "24"),
        ],
        seconds: None,
        rounds: None,
        fresh: Some(("MUSKOX_DAY_SEED", 1)),
    },
    Soak {
        name: "e2e",
        says: "the end-to-end tests with full-size data (4 GiB file, large trees, fsx 200,000 per seed)",
        cargo: &["test", "--release", "-p", "muskox", "--", "--nocapture", "--test-threads", "1"],
        variables: &[("MUSKOX_SOAK", "1")],
        seconds: None,
        rounds: None,
        fresh: None,
    },
];

/// Takes `NAME N` out of the arguments; what is left goes to the test.
fn take(arguments: &mut Vec<String>, name: &str) -> Result<Option<f64>> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    let number = arguments.get(at + 1).with_context(|| format!("{name} wants a number"))?.parse::<f64>();
    let number = number.ok().filter(|number| *number > 0.0 && number.is_finite());
    arguments.drain(at..at + 2);
    Ok(Some(number.with_context(|| format!("{name} wants a number above 0"))?))
}

/// Runs one soak by name; the caller's environment wins over the defaults.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let Some(soak) = arguments.first().and_then(|n| SOAKS.iter().find(|s| s.name == *n)) else {
        let list: Vec<_> = SOAKS.iter().map(|s| format!("  {}: {}", s.name, s.says)).collect();
        bail!("usage: cargo xtask soak NAME [--hours N] [--rounds N]\n{}", list.join("\n"));
    };
    let mut rest = arguments[1..].to_vec();
    let (hours, rounds) = (take(&mut rest, "--hours")?, take(&mut rest, "--rounds")?);
    let takes_rounds = soak.rounds.is_some() || soak.fresh.is_some();
    ensure!(rounds.is_none() || takes_rounds, "soak {} takes no --rounds", soak.name);
    ensure!(
        hours.is_none() || soak.seconds.is_some(),
        "soak {} runs to its end; it takes no --hours",
        soak.name
    );
    let mut command = Command::new("cargo");
    command.current_dir(root).args(soak.cargo).args(&rest);
    for (name, value) in soak.variables {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    if let Some(name) = soak.seconds
        && (hours.is_some() || std::env::var_os(name).is_none())
    {
        command.env(name, (hours.unwrap_or(1.0) * 3600.0).to_string());
    }
    if let (Some(name), Some(rounds)) = (soak.rounds, rounds) {
        command.env(name, (rounds as u64).to_string());
    }
    let Some((fresh, most)) = soak.fresh else { return carry_out(&mut command, soak.name) };
    for round in 1..=rounds.map_or(most, |rounds| rounds as u64) {
        let seed = std::time::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
        writeln!(std::io::stderr(), "round {round}: {fresh}={seed}")?;
        carry_out(command.env(fresh, seed.to_string()), soak.name)?;
    }
    Ok(())
}

fn carry_out(command: &mut Command, name: &str) -> Result<()> {
    let status = command.status().context("cargo could not be started")?;
    ensure!(status.success(), "soak {name} failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::take;

    #[test]
    fn hours_are_taken_out_of_the_arguments_and_must_be_a_length_of_time() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut arguments = list("a --hours 0.5 b");
        let take_hours = |arguments: &mut Vec<String>| take(arguments, "--hours");
        assert_eq!(take_hours(&mut arguments).ok().flatten(), Some(0.5));
        assert_eq!(arguments, ["a", "b"]);
        assert!(take_hours(&mut list("a b")).is_ok_and(|hours| hours.is_none()));
        for wrong in ["--hours", "--hours x", "--hours 0", "--hours inf", "--hours -1"] {
            assert!(take_hours(&mut list(wrong)).is_err(), "{wrong}");
        }
    }
}
