//! A mounted cluster: from the mountpoint to the threads that serve it, and back.

use crate::adapter::Adapter;
use crate::mountpoint::{self, MountpointError};
use crate::options::MountOptions;
use crate::unasked::Unasked;
use client::Client;
use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Why a mount did not come about.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mountpoint cannot be used.
    #[error(transparent)]
    Mountpoint(#[from] MountpointError),
}

/// Checks that a mountpoint can be used, before anything else is started; detaches a dead mount of ours.
pub fn check_mountpoint(path: &Path) -> Result<PathBuf, MountpointError> {
    mountpoint::prepare(path)
}

/// A mounted cluster. Dropping it detaches the mount.
pub struct Mount {
    path: PathBuf,
    session: Option<BackgroundSession>,
    mounted: bool,
}

impl Mount {
    /// Mounts `client` at `path` (checked before by [`check_mountpoint`]). Operations run on `runtime`;
    /// the session threads are the mount's own, one for each core.
    pub fn start(
        client: Arc<Client>,
        path: &Path,
        source: &str,
        options: &MountOptions,
        runtime: Handle,
    ) -> Result<Self, MountError> {
        let failed = |source| MountpointError::Failed { path: path.display().to_string(), source };
        let mut config = Config::default();
        config.n_threads = Some(std::thread::available_parallelism().map_or(2, usize::from));
        // A clone of the device for each thread: requests are spread without a shared lock.
        config.clone_fd = true;
        let acl = if options.private { SessionACL::Owner } else { SessionACL::All };
        config.acl = acl;
        let unasked = Arc::new(Unasked::default());
        let adapter = Adapter::new(client, runtime, Arc::clone(&unasked));
        let session = if rustix::process::geteuid().is_root() {
            let device = mountpoint::mount_as_root(path, source, options.flags.bits(), options.private)
                .map_err(failed)?;
            match Session::from_fd(adapter, device, acl, config) {
                Ok(session) => session,
                Err(error) => {
                    let _ = mountpoint::detach(path);
                    return Err(failed(error).into());
                }
            }
        } else {
            config.mount_options = options_for_fusermount(source, options);
            Session::new(adapter, path, &config).map_err(failed)?
        };
        let _ = unasked.notifier.set(session.notifier());
        let session = session.spawn().map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), session: Some(session), mounted: true })
    }

    /// What waits until somebody unmounts the directory from outside; to be taken once.
    pub fn take_watcher(&mut self) -> Watcher {
        Watcher { session: self.session.take() }
    }

    /// The mountpoint.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Detaches the mount, lazily if it is busy. Those who still use it are served until this process ends.
    pub fn detach(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.mounted, false) || !mountpoint::is_ours(&self.path)? {
            return Ok(());
        }
        mountpoint::detach(&self.path)
    }
}

/// Waits for the end of a mount's session threads; see [`Mount::take_watcher`].
pub struct Watcher {
    session: Option<BackgroundSession>,
}

impl Watcher {
    /// Blocks until the directory is unmounted and nobody uses it any more.
    pub fn wait(self) -> io::Result<()> {
        self.session.map_or(Ok(()), BackgroundSession::join)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = self.detach() {
            tracing::warn!(path = %self.path.display(), %error, "the mount could not be detached");
        }
    }
}

/// fusermount3 takes words; a comma in one of them would become a further option.
fn options_for_fusermount(source: &str, options: &MountOptions) -> Vec<MountOption> {
    let mut words = vec![
        MountOption::FSName(source.replace(',', "+")),
        MountOption::Subtype("muskox".to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoAtime,
    ];
    let flags = options.flags;
    for (set, word) in [
        (flags.read_only, MountOption::RO),
        (flags.no_suid, MountOption::NoSuid),
        (flags.no_dev, MountOption::NoDev),
        (flags.no_exec, MountOption::NoExec),
        (flags.dir_sync, MountOption::DirSync),
        (flags.sync, MountOption::Sync),
    ] {
        if set {
            words.push(word);
        }
    }
    words
}
