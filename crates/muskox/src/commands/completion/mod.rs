//! `muskox completion`: a script for a shell, which asks `muskox complete` for what may come next.
//!
//! # Elsewhere
//! Names of the running cluster: `live`. What words mean: clap's own engine, from the same description as the parser.

pub(crate) mod live;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::roles::admin::write_text;
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::CompletionCandidate;
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
#[command(after_help = "\
bash  source <(muskox completion bash)     in ~/.bashrc
zsh   source <(muskox completion zsh)      in ~/.zshrc, after compinit
fish  muskox completion fish | source      in ~/.config/fish/config.fish")]
pub(crate) struct Arguments {
    /// For which shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    write_text(match arguments.shell {
        Shell::Bash => include_str!("muskox.bash"),
        Shell::Zsh => include_str!("muskox.zsh"),
        Shell::Fish => include_str!("muskox.fish"),
    });
    ExitCode::SUCCESS
}

/// What a script asks.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The words of the line up to the cursor, `muskox` first; the last one is completed
    #[arg(last = true)]
    words: Vec<OsString>,
}

/// Prints what the last word may become, one a line, with what that is after a tab.
pub(crate) fn answer(question: Question) -> Result<ExitCode, Failure> {
    let here = std::env::current_dir().ok();
    let last = question.words.len().saturating_sub(1);
    // A line that makes no sense has no completion.
    let found = clap_complete::engine::complete(&mut Cli::command(), question.words, last, here.as_deref())
        .unwrap_or_default();
    let is_option = |one: &CompletionCandidate| one.get_value().as_encoded_bytes().starts_with(b"-");
    let shown: Vec<_> = found.iter().filter(|one| !one.is_hide_set()).collect();
    // Options are many, and nobody looks for them before they have begun one, unless there is nothing else.
    let names = shown.iter().any(|one| !is_option(one));
    let mut text = String::new();
    for one in shown.into_iter().filter(|one| !names || !is_option(one)) {
        let help = one.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.lines().next().unwrap_or_default().replace('\t', " ");
        // A name with a line break could not be told from two.
        if let Some(value) = one.get_value().to_str().filter(|value| !value.contains(['\n', '\t'])) {
            text.push_str(&format!("{value}\t{help}\n"));
        }
    }
    write_text(&text);
    Ok(ExitCode::SUCCESS)
}
