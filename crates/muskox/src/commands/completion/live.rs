//! Names of the running cluster, for completion: servers, disks, labels, classes, tasks and holds. Without a master, or with
//! one that does not answer soon, there are none, and nobody is told.

use crate::cli::Target;
use crate::config::Config;
use crate::failure::Failure;
use crate::roles::{admin, on_this_thread};
use clap_complete::CompletionCandidate;
use rpc::admin::{AdminApi, AdminClient, AdminError, ClusterStatus, ServerState};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::time::Duration;
use types::HealthCode;

/// Somebody waits with a finger on the key.
const CONNECT_WAIT: Duration = Duration::from_millis(300);
const ANSWER_WAIT: Duration = Duration::from_millis(700);

/// What ends a label in an expression, and begins the next one.
const BETWEEN_LABELS: [char; 8] = ['*', ',', '&', '|', '!', '~', '(', ' '];

/// The value of an option in the line that is completed.
fn option(words: &[OsString], name: &str) -> Option<String> {
    let mut values = words.iter().zip(words.iter().skip(1)).filter_map(|(word, next)| {
        let word = word.to_str()?;
        match word.strip_prefix(name)?.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None => (word == name).then(|| next.to_str().map(str::to_owned))?,
        }
    });
    values.next()
}

/// Asks the master that the line means.
fn ask<T: Default>(question: impl AsyncFnOnce(AdminClient) -> Result<T, AdminError>) -> T {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let master = option(&words, "--master").unwrap_or_default();
    let target = Target { master: master.split(',').map(str::to_owned).collect() };
    let mut answer = T::default();
    let asked = || -> Result<(), Failure> {
        let config = Config::load(option(&words, "--config").as_deref().map(AsRef::as_ref))?;
        on_this_thread(async {
            let master = admin::first_answer_within(&target, &config, CONNECT_WAIT, ANSWER_WAIT).await?;
            answer = question(master).await?;
            Ok(())
        })
    };
    // Whoever presses the key for a name that cannot be had sees none: that says it.
    let _ = asked();
    answer
}

fn status() -> ClusterStatus {
    ask(async |master| master.status().await)
}

fn candidate(name: impl Into<OsString>, help: String) -> CompletionCandidate {
    CompletionCandidate::new(name).help(Some(help.into()))
}

/// Servers by their names.
pub(crate) fn servers() -> Vec<CompletionCandidate> {
    let server = |one: &rpc::admin::ServerStatus| {
        let state = if one.state == ServerState::Up { "up" } else { "down" };
        candidate(&one.name, [state, &one.labels.join(",")].join(" ").trim_end().to_owned())
    };
    status().servers.iter().filter(|one| !one.name.is_empty()).map(server).collect()
}

/// Disks as `SERVER:PATH`.
pub(crate) fn disks() -> Vec<CompletionCandidate> {
    let status = status();
    let disk = |one: &rpc::admin::DiskStatus| {
        let server = status.servers.iter().find(|server| server.server == one.server)?;
        let named = !server.name.is_empty() && !one.path.is_empty();
        named.then(|| candidate(format!("{}:{}", server.name, one.path), one.labels.join(",")))
    };
    status.disks.iter().filter_map(disk).collect()
}

fn label_words() -> BTreeSet<String> {
    let status = status();
    let of_servers = status.servers.into_iter().flat_map(|one| one.labels);
    of_servers.chain(status.disks.into_iter().flat_map(|one| one.labels)).collect()
}

/// Labels that servers and disks have.
pub(crate) fn labels() -> Vec<CompletionCandidate> {
    label_words().into_iter().map(CompletionCandidate::new).collect()
}

/// An expression whose last label is one of those.
pub(crate) fn expressions(begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else { return Vec::new() };
    let at = begun.rfind(BETWEEN_LABELS).map_or(0, |at| at + 1);
    let (head, tail) = begun.split_at(at);
    let words = label_words().into_iter().chain(["any".to_owned()]);
    let begins = words.filter(|word| word.starts_with(tail));
    begins.map(|word| CompletionCandidate::new(format!("{head}{word}"))).collect()
}

/// Classes, with what they keep.
pub(crate) fn classes() -> Vec<CompletionCandidate> {
    let classes = ask(async |master| master.classes().await);
    let class =
        |one: &rpc::admin::ClassStatus| candidate(one.class.name.to_string(), one.class.keep.to_string());
    classes.iter().map(class).collect()
}

/// Tasks under way by their numbers.
pub(crate) fn tasks() -> Vec<CompletionCandidate> {
    let tasks = ask(async |master| master.tasks().await);
    tasks.iter().map(|one| candidate(one.task.to_string(), one.what.clone())).collect()
}

/// Holds of edits by their numbers.
pub(crate) fn holds() -> Vec<CompletionCandidate> {
    let hold = |one: &rpc::admin::HoldStatus| {
        candidate(one.hold.to_string(), format!("{}, before: {}", one.what, one.before))
    };
    status().holds.iter().map(hold).collect()
}

/// Health codes; those that something has now first.
pub(crate) fn codes() -> Vec<CompletionCandidate> {
    let status = status();
    let code = |code: &HealthCode| {
        let warning = status.warnings.iter().find(|one| one.parts().0 == code.word());
        let order = if warning.is_some() { 0 } else { 1 };
        let why = warning.map_or_else(String::new, |one| one.message.clone());
        candidate(code.word(), why).display_order(Some(order))
    };
    HealthCode::ALL.iter().map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_and_the_configuration_of_the_line_are_those_that_are_asked() {
        let words = |text: &str| -> Vec<OsString> { text.split(' ').map(OsString::from).collect() };
        let of = |text: &str| option(&words(text), "--master");
        assert_eq!(of("muskox server ls --master a:1 x").as_deref(), Some("a:1"));
        assert_eq!(of("muskox --master=a:1,b:2 server keep ").as_deref(), Some("a:1,b:2"));
        assert_eq!(of("muskox server --masters a:1 x"), None);
        assert_eq!(of("muskox server keep --master"), None);
    }
}
