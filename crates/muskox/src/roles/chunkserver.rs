//! `muskox chunkserver`.

use super::master::chain;
use super::{Ready, Stop, directory, host_name, on_thread, signalled};
use crate::cli::ChunkserverArgs;
use crate::config::Config;
use crate::discover::{self, allow_listening};
use crate::disk_words::{DiskWords, check_labels};
use crate::failure::{Exit, Failure, fail};
use crate::files;
use crate::ready;
use chunkserver::{Chunkserver, DiskConfig};
use env::Env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a chunkserver listens if nothing else is said.
const LISTEN: &str = "127.0.0.1:9422";
const DATA: &str = "/var/lib/muskox/chunkserver";

/// What a chunkserver is started with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
    pub(crate) data: PathBuf,
    pub(crate) name: String,
    pub(crate) disks: Vec<DiskWords>,
    pub(crate) labels: Vec<String>,
    pub(crate) format: bool,
    pub(crate) masters: Vec<String>,
    pub(crate) insecure: bool,
}

/// `muskox chunkserver`.
pub(crate) fn run(arguments: &ChunkserverArgs, config: &Config) -> Result<ExitCode, Failure> {
    let file = &config.chunkserver;
    let disks = if arguments.disks.is_empty() { &file.disks } else { &arguments.disks };
    let disks = disks.iter().map(|text| DiskWords::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let labels = match &*arguments.labels {
        [] => file.labels.clone(),
        given => given.iter().map(ToString::to_string).collect(),
    };
    check_labels(&labels)?;
    if disks.is_empty() {
        return Err(fail(
            "E0134",
            "a chunkserver needs at least one disk",
            "muskox chunkserver --disk /mnt/disk1 --master HOST:PORT",
        )
        .exit(Exit::Usage));
    }
    let settings = Settings {
        listen: arguments.listen.clone().or(file.listen.clone()).unwrap_or_else(|| LISTEN.to_owned()),
        advertise: arguments.advertise.clone().or(file.advertise.clone()),
        data: arguments.data.clone().or(file.data.clone()).unwrap_or_else(|| DATA.into()),
        name: arguments.name.clone().or(file.name.clone()).unwrap_or_else(host_name),
        disks,
        labels,
        format: arguments.format,
        masters: discover::masters(&arguments.target, &[&file.masters])?,
        insecure: arguments.insecure || file.insecure.unwrap_or(false),
    };
    on_thread("data", || async {
        let stop = signalled()?;
        serve(settings, stop, Box::new(ready::tell)).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a chunkserver until `stop`.
pub(crate) async fn serve(settings: Settings, stop: Stop, ready: Ready) -> Result<(), Failure> {
    allow_listening(&settings.listen, settings.insecure)?;
    let data = directory(&settings.data, true)?;
    // Half of what this process may open is for sockets and all else. One share more than there are disks is for those that are
    // added: each takes half of what is left of it.
    let files_per_disk = files::raise_limit() / 2 / (settings.disks.len() as u64 + 1);
    let open_chunks_max = usize::try_from(files_per_disk).ok();
    let left = AtomicUsize::new(open_chunks_max.unwrap_or(usize::MAX));
    // A disk's directory is never made here: an unmounted disk must not be taken for an empty one.
    let named = |DiskWords { path, labels }: &DiskWords| DiskConfig {
        labels: labels.clone(),
        format_if_blank: settings.format,
        open_chunks_max,
        ..DiskConfig::at(path.clone())
    };
    let disks = settings.disks.iter().map(named).collect();
    let mut config = chunkserver::Config::new(settings.listen, data, disks, settings.masters);
    config.advertise = settings.advertise;
    config.name = settings.name;
    config.labels = settings.labels;
    config.open_added = Some(Arc::new(move |path| {
        let left = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left - left / 2));
        let open_chunks_max = left.ok().map(|left| (left / 2).max(1));
        DiskConfig { open_chunks_max, ..DiskConfig::at(PathBuf::from(path)) }
    }));
    let handle = Chunkserver::start(Env::real(), config)
        .await
        .map_err(|error| chain("E0135", &error, error.next()))?;
    ready(handle.address());
    stop.await;
    handle.shutdown().await;
    Ok(())
}
