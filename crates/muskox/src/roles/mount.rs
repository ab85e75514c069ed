//! `muskox mount`; with mount(8)'s words: `helper`.

use super::{Ready, Stop, host_name, on_thread, signalled};
use crate::cli::{MountArgs, Target};
use crate::config::Config;
use crate::discover;
use crate::failure::{Exit, Failure, SYSTEM, fail};
use crate::ready;
use ::mount::{BadOption, Mount, MountOptions, check_mountpoint};
use client::{Client, ClientError, ClientOptions};
use env::Env;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

/// What a mount is started with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) masters: Vec<String>,
    pub(crate) mountpoint: PathBuf,
    pub(crate) options: MountOptions,
}

/// `muskox mount`.
pub(crate) fn run(arguments: &MountArgs, config: &Config) -> Result<ExitCode, Failure> {
    let settings = settings(arguments, config)?;
    if settings.options.remount {
        // mount(8) adds the flags that the mount has already.
        if !arguments.background {
            let next = format!("mount -o {} {}", arguments.options.join(","), settings.mountpoint.display());
            return Err(fail("E0147", "remounting is mount(8)'s", next).exit(Exit::Usage));
        }
        return remount(&settings);
    }
    if arguments.background {
        return in_background(&settings, arguments);
    }
    on_thread("io", || async {
        let stop = signalled()?;
        serve(settings, stop, Box::new(ready::tell)).await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn settings(arguments: &MountArgs, config: &Config) -> Result<Settings, Failure> {
    let (source, mountpoint) = match arguments.places.as_slice() {
        [source, mountpoint] => (Some(source.as_str()), mountpoint),
        [mountpoint] => (None, mountpoint),
        _ => {
            return Err(
                fail("E0140", "a mount needs a directory", "muskox mount MASTER DIR").exit(Exit::Usage)
            );
        }
    };
    let mut target: Target = arguments.target.clone();
    if let Some(source) = source.filter(|_| target.master.is_empty()) {
        // In fstab the source may be written `muskox:HOST:PORT`; a path within the cluster comes later.
        let list = source.strip_prefix("muskox:").unwrap_or(source);
        target.master = list.split(',').map(str::to_owned).collect();
    }
    let masters = discover::masters(&target, &[&config.mount.masters, &config.admin.masters])?;
    let mut options = MountOptions::default();
    if let Some(seconds) = config.mount.timeout_seconds {
        options.timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
    }
    if let Some(mib) = config.mount.write_buffer_mib {
        options.write_buffer_bytes = mib.max(4) << 20;
    }
    if let Some(mib) = config.mount.read_cache_mib {
        options.read_cache_bytes = mib.max(4) << 20;
    }
    let cannot = |error: BadOption| fail("E0141", error.to_string(), "muskox mount --help").exit(Exit::Usage);
    if let Some(prefer) = &config.mount.prefer {
        options.apply([format!("prefer={prefer}").as_str()]).map_err(cannot)?;
    }
    options.apply(arguments.options.iter().map(String::as_str)).map_err(cannot)?;
    Ok(Settings { masters, mountpoint: mountpoint.into(), options })
}

/// Runs a mount until `stop`, or until somebody unmounts it.
pub(crate) async fn serve(settings: Settings, stop: Stop, ready: Ready) -> Result<(), Failure> {
    let mountpoint = check_mountpoint(&settings.mountpoint)
        .map_err(|error| fail("E0142", error.to_string(), error.next()))?;
    let options = ClientOptions {
        masters: settings.masters.clone(),
        name: format!("{}:{}", host_name(), mountpoint.display()),
        write_buffer_bytes: settings.options.write_buffer_bytes,
        read_cache_bytes: settings.options.read_cache_bytes,
        timeout: settings.options.timeout,
        connect_timeout: Some(settings.options.mount_timeout),
        prefer: settings.options.prefer.clone(),
        ..ClientOptions::default()
    };
    let client = Client::connect(Env::real(), options).await.map_err(|error| {
        let next = match &error {
            ClientError::Refused { status: types::Status::Unsupported, .. } => {
                "name a master's address: a chunkserver or another service answers there".to_owned()
            }
            ClientError::Refused { .. } => format!("muskox status --master {}", settings.masters.join(",")),
            ClientError::NoMaster | ClientError::Unreachable { .. } => format!(
                "muskox status --master {}   (on the master's host: systemctl status muskox-master); \
                 a longer wait: -o mount-timeout=SECONDS",
                settings.masters.join(",")
            ),
        };
        fail("E0143", error.to_string(), next).exit(Exit::Unreachable)
    })?;
    let source = format!("muskox:{}", settings.masters.join(","));
    let runtime = tokio::runtime::Handle::current();
    let started = Mount::start(client.clone(), &mountpoint, &source, &settings.options, runtime);
    let mut mount = started.map_err(|error| match &error {
        ::mount::MountError::Mountpoint(cause) => fail("E0142", error.to_string(), cause.next()),
    })?;
    // Only once the root answers is the mount of use.
    if let Err(status) = client.attributes(types::InodeId::ROOT).await {
        return Err(fail("E0144", format!("the root directory does not answer: {status}"), "muskox status"));
    }
    tracing::info!(mountpoint = %mountpoint.display(), masters = %settings.masters.join(","), "mounted");
    ready("");
    let (send, unmounted) = tokio::sync::oneshot::channel();
    let path = mount.path().to_path_buf();
    let watcher = mount.take_watcher();
    let thread = std::thread::Builder::new().name("unmount-watch".to_owned()).spawn(move || {
        let _ = send.send(watcher.wait());
    });
    thread.map_err(|error| fail("E0106", format!("cannot start a thread: {error}"), SYSTEM))?;
    tokio::select! {
        biased;
        () = stop => {}
        outcome = unmounted => {
            if let Ok(Err(error)) = outcome {
                tracing::warn!(mountpoint = %path.display(), %error, "the mount ended");
            }
        }
    }
    if let Err(error) = mount.detach() {
        tracing::warn!(mountpoint = %path.display(), %error, "the mount could not be detached");
    }
    let closed = match ready::close_wait() {
        Some(wait) => {
            tokio::time::timeout(wait, client.close()).await.unwrap_or(Err(types::Status::TimedOut))
        }
        None => client.close().await,
    };
    closed.map_err(|status| {
        fail(
            "E0145",
            format!("some written data could not be stored before the end: {status}"),
            "muskox status",
        )
    })
}

fn remount(settings: &Settings) -> Result<ExitCode, Failure> {
    let mountpoint = &settings.mountpoint;
    ::mount::remount(mountpoint, &settings.options).map_err(|error| {
        let next = match error.kind() {
            std::io::ErrorKind::ResourceBusy => "close the files that are open for writing",
            std::io::ErrorKind::PermissionDenied => "do it as root",
            _ => "name the directory that is mounted: findmnt -t fuse.muskox",
        };
        fail("E0147", format!("cannot remount {}: {error}", mountpoint.display()), next)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// As mount(8) wants it: returns once the root answers, and a process of its own goes on serving.
fn in_background(settings: &Settings, arguments: &MountArgs) -> Result<ExitCode, Failure> {
    let cannot =
        |error: std::io::Error| fail("E0146", format!("cannot start the mount's process: {error}"), SYSTEM);
    let socket_dir = tempdir().map_err(cannot)?;
    let socket = socket_dir.join("notify");
    let notify = std::os::unix::net::UnixDatagram::bind(&socket).map_err(cannot)?;
    notify.set_read_timeout(Some(Duration::from_millis(100))).map_err(cannot)?;
    let mut command = std::process::Command::new(std::env::current_exe().map_err(cannot)?);
    command.arg("mount").arg(settings.masters.join(",")).arg(&settings.mountpoint);
    if !arguments.options.is_empty() {
        command.arg("-o").arg(arguments.options.join(","));
    }
    command.env("NOTIFY_SOCKET", &socket).stdin(Stdio::null()).stdout(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(cannot)?;
    let mut text = [0; 256];
    let outcome = loop {
        if let Ok(length) = notify.recv(&mut text)
            && text[..length].windows(7).any(|w| w == b"READY=1")
        {
            break Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = child.try_wait().map_err(cannot)? {
            let code = u8::try_from(status.code().unwrap_or(1)).unwrap_or(1);
            break Ok(ExitCode::from(code.max(1)));
        }
    };
    let _ = std::fs::remove_dir_all(&socket_dir);
    outcome
}

fn tempdir() -> std::io::Result<PathBuf> {
    let base =
        if Path::new("/run").is_dir() && rustix::process::geteuid().is_root() { "/run" } else { "/tmp" };
    let dir = Path::new(base).join(format!("muskox-mount-{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    Ok(dir)
}
