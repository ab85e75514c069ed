//! `muskox status` and `muskox file info`, and how commands find their master.

use super::on_this_thread;
use crate::cli::StatusArgs;
use crate::cli::Target;
use crate::config::Config;
use crate::discover;
use crate::failure::{Exit, Failure, fail};
use env::Env;
use rpc::admin::{AdminApi, AdminClient, AdminError, ClusterStatus, DiskState, FileTarget};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long a command tries to reach one master, and waits for its answer: five seconds in all.
const CONNECT_WAIT: Duration = Duration::from_millis(1_500);
const ANSWER_WAIT: Duration = Duration::from_millis(3_500);
/// How long the demo waits for one answer while the cluster comes up.
const PROBE_WAIT: Duration = Duration::from_secs(2);

/// `muskox status`; the exit code is the verdict.
pub(crate) fn status(arguments: &StatusArgs, config: &Config) -> Result<ExitCode, Failure> {
    let mut status = ClusterStatus::default();
    on_this_thread(async {
        status = first_answer(&arguments.target, config).await?.status().await?;
        Ok(())
    })?;
    let text = if arguments.json { admin::status::json(&status) } else { admin::status::render(&status) };
    write_text(&text);
    Ok(ExitCode::from(admin::status::verdict(&status).exit().code()))
}

/// `muskox file info PATH`.
pub(crate) fn file_info(
    path: &Path,
    all: bool,
    json: bool,
    target: &Target,
    config: &Config,
) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    on_this_thread(async {
        let (master, wanted) = master_of(path, target, config).await?;
        let mut info = master.file_info(wanted).await?;
        // Of an inode the master knows no path.
        if info.path.is_empty() {
            info.path = path.as_os_str().as_encoded_bytes().into();
        }
        text = if json { admin::file_info::json(&info) } else { admin::file_info::render(&info, all) };
        Ok(())
    })?;
    write_text(&text);
    Ok(ExitCode::SUCCESS)
}

/// The master that is asked about a path, and what to ask it.
pub(crate) async fn master_of(
    path: &Path,
    target: &Target,
    config: &Config,
) -> Result<(AdminClient, FileTarget), Failure> {
    let located = admin::locate::locate(path)?;
    let of_mount = located.mount.as_ref().and_then(|mount| mount.source.strip_prefix("muskox:"));
    // fusermount3 puts `+` where a comma would begin another option.
    let of_mount: Option<Vec<String>> =
        of_mount.map(|masters| masters.split([',', '+']).map(str::to_owned).collect());
    let mut target = target.clone();
    let mut other = None;
    match of_mount {
        // The path itself says which cluster is meant.
        Some(masters) if target.master.is_empty() => target.master = masters,
        Some(masters) if !masters.iter().any(|master| target.master.contains(master)) => {
            other = Some(masters)
        }
        _ => {}
    }
    let master = first_answer(&target, config).await?;
    if let Some(masters) = other {
        same_cluster(path, &master, masters, config).await?;
    }
    Ok((master, located.target))
}

/// The first master of the list that can be reached.
pub(crate) async fn first_answer(target: &Target, config: &Config) -> Result<AdminClient, Failure> {
    first_answer_within(target, config, CONNECT_WAIT, ANSWER_WAIT).await
}

/// The same with other waits.
pub(crate) async fn first_answer_within(
    target: &Target,
    config: &Config,
    connect: Duration,
    answer: Duration,
) -> Result<AdminClient, Failure> {
    let lists: [&[String]; 2] = [&config.admin.masters, &config.mount.masters];
    let masters = discover::masters(target, &lists)?;
    let env = Env::real();
    let mut failed = None;
    for address in &masters {
        match AdminClient::connect(&env, address, connect).await {
            Ok(client) => return Ok(client.answers_within(answer)),
            Err(error) => failed = Some(error),
        }
    }
    let nobody = || AdminError::Unreachable { address: String::new(), reason: "no address".to_owned() };
    Err(failed.unwrap_or_else(nobody).into())
}

/// Refuses to ask one cluster about an inode number of another.
async fn same_cluster(
    path: &Path,
    named: &AdminClient,
    of_mount: Vec<String>,
    config: &Config,
) -> Result<(), Failure> {
    let mounted = first_answer(&Target { master: of_mount }, config).await?.status().await?.cluster;
    let named = named.status().await?.cluster;
    if named == mounted {
        return Ok(());
    }
    let path = path.display();
    let what = format!("{path} is on a mount of cluster {mounted}, the master named serves cluster {named}");
    Err(fail("E0312", what, format!("muskox file info {path}   (without --master)")).exit(Exit::Refused))
}

/// How many disks are registered and can be written; `None` if the master does not answer yet.
pub(crate) async fn disks_ready(master: &str) -> Option<usize> {
    let client = AdminClient::connect(&Env::real(), master, PROBE_WAIT).await.ok()?;
    let status = client.status().await.ok()?;
    Some(status.disks.iter().filter(|disk| disk.state == Some(DiskState::Good) && disk.reported).count())
}

pub(crate) fn write_text(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
