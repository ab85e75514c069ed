//! `muskox`, the one binary: roles, the demo, and the operator's commands. Also acts as mount(8)'s helper.
//!
//! No logic lives here: arguments and the configuration become the settings of a role or a command.

mod cli;
mod commands;
mod config;
mod demo;
mod discover;
mod disk_words;
mod failure;
mod files;
mod helper;
mod ready;
mod roles;

use clap::Parser;
use cli::{Cli, Command, ConfigCommand, FileCommand, MetaCommand};
use config::Config;
use failure::Failure;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ready::end_with_parent();
    let cli = Cli::parse_from(helper::arguments());
    start_logging(&cli);
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.exit.code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    files::enough()?;
    let config = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Demo(arguments) => demo::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Master(arguments) => roles::master::run(&arguments, &config()?),
        Command::Chunkserver(arguments) => roles::chunkserver::run(&arguments, &config()?),
        Command::Mount(arguments) => roles::mount::run(&arguments, &config()?),
        Command::Status(arguments) => roles::admin::status(&arguments, &config()?),
        Command::File { command: FileCommand::Info { path, all, json, target } } => {
            roles::admin::file_info(&path, all, json, &target, &config()?)
        }
        Command::Health(arguments) => commands::health::run(&arguments, &config()?),
        Command::Explain(arguments) => commands::explain::run(&arguments, &config()?),
        Command::Class { command } => commands::class::run(&command, &config()?),
        Command::Disk { command } => commands::disk::run(&command, &config()?),
        Command::Server { command } => commands::server::run(&command, &config()?),
        Command::Client { command } => commands::client::run(&command, &config()?),
        Command::Limit { command } => commands::limit::run(&command, &config()?),
        Command::Chunk { command } => commands::chunk::run(&command, &config()?),
        Command::Task { command } => commands::task::run(&command, &config()?),
        Command::Trash { command } => commands::trash::run(&command, &config()?),
        Command::Meta { command: MetaCommand::Check { data } } => {
            let config = config()?;
            roles::meta::check(&roles::master::data_directory(data.as_ref(), &config))
        }
        Command::Config { command: ConfigCommand::Example } => {
            print_line(config::EXAMPLE.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Config { command: ConfigCommand::Check } => {
            config()?;
            print_line("the configuration can be used");
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion(arguments) => Ok(commands::completion::run(&arguments)),
        Command::Complete(question) => commands::completion::answer(question),
        Command::CheckpointBuild { data, index } => roles::master::build_checkpoint(&data, index),
    }
}

/// Writes a line to stdout; a closed pipe is no error.
pub(crate) fn print_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

fn start_logging(cli: &Cli) {
    use tracing_subscriber::EnvFilter;
    let is_role = matches!(cli.command, Command::Master(_) | Command::Chunkserver(_) | Command::Mount(_));
    let default = if is_role { "info" } else { "warn" };
    let filter = match &cli.log {
        Some(filter) => EnvFilter::try_new(filter).unwrap_or_else(|error| {
            let _ = writeln!(std::io::stderr(), "the log filter `{filter}` is ignored: {error}");
            EnvFilter::new(default)
        }),
        None => EnvFilter::new(default),
    };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    if cli.log_format == "json" { lines.json().init() } else { lines.init() }
}
