//! `muskox master`, and the process that builds a checkpoint for it.

use super::{Ready, Stop, directory, host_name, on_thread, signalled};
use crate::cli::MasterArgs;
use crate::config::Config;
use crate::discover::allow_listening;
use crate::failure::{Failure, fail};
use crate::ready;
use env::Env;
use master::checkpoint::Built;
use master::{Ack, Checkpointer, Master};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use types::LogIndex;

/// Where a master listens if nothing else is said.
const LISTEN: &str = "127.0.0.1:9421";
const DATA: &str = "/var/lib/muskox/master";
/// Priority of the process that builds a checkpoint: below all that serve.
const BUILDER_NICENESS: i32 = 10;

/// What a master is started with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: String,
    pub(crate) data: PathBuf,
    pub(crate) name: String,
    pub(crate) insecure: bool,
    pub(crate) stable: bool,
    pub(crate) session_lease: Option<Duration>,
    pub(crate) heal_after: HealAfter,
    pub(crate) hold_surplus: Option<Duration>,
    pub(crate) checkpoint_records: Option<u64>,
}

/// How long silent servers are waited for; `None`: the default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HealAfter {
    pub(crate) endangered: Option<Duration>,
    pub(crate) others: Option<Duration>,
    pub(crate) together: Option<Duration>,
}

/// `muskox master`.
pub(crate) fn run(arguments: &MasterArgs, config: &Config) -> Result<ExitCode, Failure> {
    let file = &config.master;
    let settings = Settings {
        listen: arguments.listen.clone().or(file.listen.clone()).unwrap_or_else(|| LISTEN.to_owned()),
        data: data_directory(arguments.data.as_ref(), config),
        name: arguments.name.clone().or(file.name.clone()).unwrap_or_else(host_name),
        insecure: arguments.insecure || file.insecure.unwrap_or(false),
        stable: file.ack.as_deref() == Some("stable"),
        session_lease: file.session_lease_seconds.map(Duration::from_secs),
        heal_after: HealAfter {
            endangered: file.heal_after_endangered_seconds.map(Duration::from_secs),
            others: file.heal_after_seconds.map(Duration::from_secs),
            together: file.heal_after_together_seconds.map(Duration::from_secs),
        },
        hold_surplus: file.hold_surplus_seconds.map(Duration::from_secs),
        checkpoint_records: file.checkpoint_records,
    };
    on_thread("state", || async {
        let stop = signalled()?;
        serve(settings, stop, Box::new(ready::tell)).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Where a master's metadata is.
pub(crate) fn data_directory(argument: Option<&PathBuf>, config: &Config) -> PathBuf {
    argument.or(config.master.data.as_ref()).map_or_else(|| DATA.into(), PathBuf::clone)
}

/// Runs a master until `stop`.
pub(crate) async fn serve(settings: Settings, stop: Stop, ready: Ready) -> Result<(), Failure> {
    allow_listening(&settings.listen, settings.insecure)?;
    let data = directory(&settings.data, true)?;
    let mut config = master::Config::new(settings.listen, data);
    config.checkpointer = Some(Arc::new(BuilderProcess { data: settings.data }));
    config.name = settings.name;
    config.insecure = settings.insecure;
    config.ack = if settings.stable { Ack::Stable } else { Ack::Local };
    if let Some(lease) = settings.session_lease {
        config.session_lease = lease;
    }
    let heal_after = settings.heal_after;
    config.heal_after_endangered = heal_after.endangered.unwrap_or(config.heal_after_endangered);
    config.heal_after = heal_after.others.unwrap_or(config.heal_after);
    config.heal_after_together = heal_after.together.unwrap_or(config.heal_after_together);
    config.hold_surplus = settings.hold_surplus.unwrap_or(config.hold_surplus);
    if let Some(records) = settings.checkpoint_records {
        config.checkpoint_every_records = records;
    }
    let mut handle =
        Master::start(Env::real(), config).await.map_err(|error| chain("E0130", &error, error.next()))?;
    ready(handle.address());
    tokio::select! {
        biased;
        () = stop => handle.shutdown().await.map_err(|error| chain("E0131", &error, error.next())),
        fatal = handle.ended() => Err(chain("E0131", &fatal, fatal.next())),
    }
}

/// Builds a checkpoint at `index`; run by the master as a process of its own. Prints index and digest.
pub(crate) fn build_checkpoint(data: &Path, index: u64) -> Result<ExitCode, Failure> {
    let dir = directory(data, false)?;
    // Whoever serves comes first.
    let _ = rustix::process::nice(BUILDER_NICENESS);
    let built = master::checkpoint::build(&dir, LogIndex(index)).map_err(|error| {
        chain("E0132", &error, "see the log of the master, which runs this by itself and tries again")
    })?;
    let digest: String = built.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    crate::print_line(&format!("{} {digest}", built.index));
    Ok(ExitCode::SUCCESS)
}

/// Has checkpoints built by a process of the same binary, so that the master's memory and thread are left alone.
struct BuilderProcess {
    data: PathBuf,
}

impl Checkpointer for BuilderProcess {
    fn build(&self, upto: LogIndex) -> env::BoxFuture<'static, Result<Built, String>> {
        let data = self.data.clone();
        Box::pin(async move {
            let exe = std::env::current_exe().map_err(|error| error.to_string())?;
            let mut command = tokio::process::Command::new(exe);
            command.arg("checkpoint-build").arg("--data").arg(data).arg("--index").arg(upto.to_string());
            command.env_remove("NOTIFY_SOCKET").stdin(std::process::Stdio::null()).kill_on_drop(true);
            let output = command.output().await.map_err(|error| error.to_string())?;
            if !output.status.success() {
                let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(format!("the builder ended with {}: {reason}", output.status));
            }
            parse_built(&String::from_utf8_lossy(&output.stdout))
                .ok_or_else(|| "the builder's answer makes no sense".into())
        })
    }
}

fn parse_built(line: &str) -> Option<Built> {
    let (index, hex) = line.trim().split_once(' ')?;
    let mut digest = [0; 16];
    if hex.len() != 2 * digest.len() {
        return None;
    }
    for (n, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(Built { index: LogIndex(index.parse().ok()?), digest })
}

/// A failure from an error and its causes.
pub(crate) fn chain(code: &'static str, error: &dyn std::error::Error, next: impl Into<String>) -> Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text += ": ";
            text += &more;
        }
        cause = next.source();
    }
    fail(code, text, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builders_answer_is_checked() {
        let built = parse_built("77 000102030405060708090a0b0c0d0eff\n").unwrap();
        assert_eq!((built.index, built.digest[15]), (LogIndex(77), 0xff));
        for bad in [
            "",
            "77",
            "x 000102030405060708090a0b0c0d0eff",
            "77 0001",
            "77 00010203040506070809\u{e4}b0c0d0eff0",
        ] {
            assert!(parse_built(bad).is_none(), "{bad}");
        }
    }
}
