//! From arguments and configuration to a running role, and from a signal to its end.

pub(crate) mod admin;
pub(crate) mod chunkserver;
pub(crate) mod master;
pub(crate) mod meta;
pub(crate) mod mount;

pub(crate) use admin::disks_ready;

use crate::failure::{Failure, SYSTEM, fail};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Something that comes true when a role is to end.
pub(crate) type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Is told the address once a role serves.
pub(crate) type Ready = Box<dyn FnOnce(&str) + Send>;

/// SIGTERM, SIGINT or SIGHUP (the terminal closed); to be called within a runtime.
pub(crate) fn signalled() -> Result<Stop, Failure> {
    let cannot = |error| fail("E0106", format!("cannot wait for signals: {error}"), SYSTEM);
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(cannot)?;
    Ok(Box::pin(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        crate::ready::tell_stopping();
    }))
}

/// Runs a role on a runtime of one thread with this name, until it ends. The process's first thread only waits:
/// its name is that of the process.
pub(crate) fn on_thread<F>(name: &str, role: impl FnOnce() -> F + Send) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, || on_this_thread(role()))
            .map_err(|error| fail("E0106", format!("cannot start a thread: {error}"), SYSTEM))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs something on a runtime of this one thread, until it ends.
pub(crate) fn on_this_thread(role: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("blocking")
        .build()
        .map_err(|error| fail("E0106", format!("cannot start a runtime: {error}"), SYSTEM))?
        .block_on(role)
}

/// Opens (and makes, if it is absent) a directory of ours.
pub(crate) fn directory(path: &Path, make: bool) -> Result<Arc<dyn env::Dir>, Failure> {
    let cannot = |error: std::io::Error| {
        fail(
            "E0107",
            format!("cannot use the directory {}: {error}", path.display()),
            format!("mkdir -p {0}   and see that this user may write to it", path.display()),
        )
    };
    if make {
        std::fs::create_dir_all(path).map_err(cannot)?;
    }
    let dir = env::RealDir::open(path).map_err(cannot)?;
    Ok(dir)
}

/// The host's name, as a default for a role's.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
