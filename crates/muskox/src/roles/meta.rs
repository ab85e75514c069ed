//! `muskox meta check`: the metadata of a master that does not run, looked at without changing anything.

use super::directory;
use crate::failure::{Exit, Failure, fail};
use env::Env;
use master::check::Checked;
use master::checkpoint::BuildError;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Findings that are printed; the rest is counted.
const FINDINGS_SHOWN: usize = 15;

/// Checks the data directory; the exit code says whether all is well.
pub(crate) fn check(data: &Path) -> Result<ExitCode, Failure> {
    let dir = directory(data, false)?;
    let seed = Arc::clone(&Env::real().seed);
    let checked = master::check::check(&dir, seed).map_err(|error| refusal(&error, data))?;
    crate::print_line(render(&checked, data).trim_end());
    Ok(if checked.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Critical.code()) })
}

fn refusal(error: &BuildError, data: &Path) -> Failure {
    let shown = data.display();
    let (what, next) = match error {
        BuildError::Busy { .. } => (
            format!("{shown} is in use"),
            format!("cp -a {shown} COPY && muskox meta check --data COPY   (or stop the master first)"),
        ),
        BuildError::Absent => (
            format!("{shown} holds no metadata"),
            "muskox meta check --data DIR   (the `data` of the master's configuration)".to_owned(),
        ),
        _ => (
            format!("the metadata in {shown} cannot be read"),
            "keep a copy of the directory, then see docs/operating.md, *When something is damaged*"
                .to_owned(),
        ),
    };
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let _ = write!(why, ": {error}");
        cause = error.source();
    }
    let failure = fail("E0133", what, next).because(why);
    match error {
        BuildError::Busy { .. } => failure.exit(Exit::Refused),
        BuildError::Absent => failure.exit(Exit::NotFound),
        _ => failure.exit(Exit::Critical),
    }
}

fn render(checked: &Checked, data: &Path) -> String {
    let mut text = String::new();
    let counts = checked.counts;
    let digest: String = checked.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = writeln!(
        text,
        "metadata    {}   cluster {}   term {}",
        data.display(),
        checked.cluster,
        checked.term
    );
    for (index, wrong) in &checked.checkpoints {
        let _ = match wrong {
            None => writeln!(text, "checkpoint  record {index}   sound"),
            Some(why) => writeln!(text, "checkpoint  record {index}   UNUSABLE: {why}"),
        };
    }
    let _ = writeln!(text, "log         {} records replayed, up to {}", checked.replayed, checked.last);
    let _ = writeln!(
        text,
        "state       {} inodes, {} directories, {} names, {} chunks, {} without a name   digest {digest}",
        counts.inodes, counts.directories, counts.entries, counts.chunks, counts.orphans
    );
    for finding in checked.findings.iter().take(FINDINGS_SHOWN) {
        let _ = writeln!(text, "finding     {finding}");
    }
    let more = checked.findings.len().saturating_sub(FINDINGS_SHOWN);
    if more > 0 {
        let _ = writeln!(text, "            {more} more");
    }
    if checked.findings.is_empty() {
        let _ = writeln!(text, "references, counts and digest agree");
    }
    if !checked.is_sound() {
        let _ = writeln!(
            text,
            "  next: keep a copy of {}, and send it with this output to the project",
            data.display()
        );
    }
    text
}
