//! `muskox demo --in-process`: each role on a thread of this process. Nothing can be killed singly.

use super::control;
use super::layout::{DemoFile, DemoProcess, Layout};
use super::supervisor::{forget, remember, servers, summary, wait_for_disks};
use crate::cli::DemoArgs;
use crate::disk_words::DiskWords;
use crate::failure::{Failure, SYSTEM, fail};
use crate::print_line;
use crate::roles::master::HealAfter;
use crate::roles::{self, Ready, Stop, on_this_thread, signalled};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const READY_WAIT: Duration = Duration::from_secs(30);
/// What to do about a role that does not do its work.
const REPORT: &str =
    "run it with --log info; without --in-process each role has a log of its own in DIR/logs";

/// A thread that serves a role until it is told to stop.
type Role = JoinHandle<Result<(), Failure>>;

/// The roles that run on threads, in the order of their start.
#[derive(Default)]
pub(crate) struct Threads {
    running: Vec<(watch::Sender<bool>, Role)>,
    file: DemoFile,
}

impl Threads {
    /// Runs the demo until Ctrl-C, SIGTERM or `muskox demo stop`.
    pub(crate) fn run(
        arguments: &DemoArgs,
        layout: &Layout,
        mountpoint: Option<&Path>,
        begun: Instant,
    ) -> Result<(), Failure> {
        let mut threads = Self::default();
        let outcome =
            threads.start_all(arguments, layout, mountpoint).and_then(|()| threads.wait(layout, begun));
        let stopped = threads.stop_all();
        let _ = std::fs::remove_file(layout.json());
        control::close(layout);
        forget();
        print_line("stopped; the data is still there. Start again: muskox demo");
        outcome.and(stopped)
    }

    fn start_all(
        &mut self,
        arguments: &DemoArgs,
        layout: &Layout,
        mountpoint: Option<&Path>,
    ) -> Result<(), Failure> {
        let home = layout.home("master");
        let settings = roles::master::Settings {
            listen: "127.0.0.1:0".to_owned(),
            data: home.clone(),
            name: "master".to_owned(),
            insecure: false,
            stable: false,
            session_lease: None,
            heal_after: HealAfter::default(),
            hold_surplus: None,
            checkpoint_records: None,
        };
        let master = self.start("master", "master", &[home], move |stop, ready| {
            roles::master::serve(settings, stop, ready)
        })?;
        self.file.master.clone_from(&master);
        for (name, disks) in servers(arguments, layout) {
            let disks: Vec<PathBuf> = (1..=disks).map(|disk| layout.disk(&name, disk)).collect();
            let mut directories = vec![layout.home(&name)];
            directories.extend(disks.iter().cloned());
            let settings = roles::chunkserver::Settings {
                listen: "127.0.0.1:0".to_owned(),
                advertise: None,
                data: layout.home(&name),
                name: name.clone(),
                disks: disks.into_iter().map(DiskWords::plain).collect(),
                labels: Vec::new(),
                format: true,
                masters: vec![master.clone()],
                insecure: false,
            };
            for directory in &directories {
                let _ = std::fs::create_dir_all(directory);
            }
            self.start(&name, "chunkserver", &directories, move |stop, ready| {
                roles::chunkserver::serve(settings, stop, ready)
            })?;
        }
        if let Some(mountpoint) = mountpoint {
            let settings = roles::mount::Settings {
                masters: vec![master],
                mountpoint: mountpoint.to_path_buf(),
                options: mount::MountOptions::default(),
            };
            self.file.mountpoint = mountpoint.display().to_string();
            self.start("mount", "mount", &[], move |stop, ready| roles::mount::serve(settings, stop, ready))?;
        }
        Ok(())
    }

    fn start<F: Future<Output = Result<(), Failure>>>(
        &mut self,
        name: &str,
        role: &str,
        directories: &[PathBuf],
        serve: impl FnOnce(Stop, Ready) -> F + Send + 'static,
    ) -> Result<String, Failure> {
        let (stop, mut stopping) = watch::channel(false);
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let stop: Stop = Box::pin(async move {
                // A sender that is gone means the same.
                let _ = stopping.wait_for(|stop| *stop).await;
            });
            let ready: Ready = Box::new(move |address: &str| {
                let _ = tell.send(address.to_owned());
            });
            on_this_thread(serve(stop, ready))
        });
        let thread =
            thread.map_err(|error| fail("E0106", format!("cannot start a thread: {error}"), SYSTEM))?;
        match told.recv_timeout(READY_WAIT) {
            Ok(address) => {
                self.running.push((stop, thread));
                self.file.processes.push(DemoProcess {
                    name: name.to_owned(),
                    role: role.to_owned(),
                    pid: std::process::id(),
                    address: address.clone(),
                    directories: directories.iter().map(|d| d.display().to_string()).collect(),
                });
                Ok(address)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(thread
                .join()
                .unwrap_or_else(|_| Err(fail("E0122", format!("{name} panicked"), REPORT)))
                .err()
                .unwrap_or_else(|| fail("E0122", format!("{name} ended at once"), REPORT))),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(fail("E0121", format!("{name} was not ready within {} s", READY_WAIT.as_secs()), REPORT))
            }
        }
    }

    fn wait(&self, layout: &Layout, begun: Instant) -> Result<(), Failure> {
        on_this_thread(async {
            let stop = signalled()?;
            let disks = self.file.processes.iter().map(|p| p.directories.len().saturating_sub(1)).sum();
            wait_for_disks(&self.file.master, disks).await;
            let listener =
                control::listen(layout).and_then(tokio::net::UnixListener::from_std).map_err(|error| {
                    fail("E0117", format!("cannot listen for demo commands: {error}"), SYSTEM)
                })?;
            layout.write(&self.file)?;
            remember(layout);
            print_line(&summary(&self.file, begun.elapsed()));
            print_line("ready");
            tokio::select! {
                biased;
                () = stop => {}
                () = control::obey_stop_only(listener) => {}
            }
            Ok(())
        })
    }

    fn stop_all(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for (stop, thread) in self.running.drain(..).rev() {
            let _ = stop.send(true);
            let ended = thread.join().unwrap_or_else(|_| Err(fail("E0122", "a role panicked", REPORT)));
            outcome = outcome.and(ended);
        }
        outcome
    }
}
