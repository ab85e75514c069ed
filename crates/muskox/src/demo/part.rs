//! One process of the demo: how it is started, known to be ready, stopped.

use super::layout::{DemoProcess, Layout};
use crate::failure::{Failure, fail};
use crate::print_line;
use crate::ready::{ADDRESS, PARENT};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

/// How long a part may take until it is ready.
const READY_WAIT: Duration = Duration::from_secs(30);
/// How long a part may take to end after SIGTERM (a chunkserver syncs its disks); then it is killed.
const STOP_WAIT: Duration = Duration::from_secs(60);
/// After so long the user is told what is waited for.
const STOP_QUIET: Duration = Duration::from_secs(3);

/// One process of the demo.
pub(crate) struct Part {
    pub(crate) process: DemoProcess,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Part {
    /// Describes a part; nothing runs yet.
    pub(crate) fn new(name: &str, role: &str, directories: &[PathBuf], arguments: Vec<String>) -> Self {
        let process = DemoProcess {
            name: name.to_owned(),
            role: role.to_owned(),
            directories: directories.iter().map(|d| d.display().to_string()).collect(),
            ..DemoProcess::default()
        };
        Self { process, arguments, child: None }
    }

    /// Whether it runs as far as is known.
    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Starts the process and waits until it says that it is ready.
    pub(crate) async fn start(&mut self, layout: &Layout) -> Result<(), Failure> {
        let name = self.process.name.clone();
        let cannot = |error: std::io::Error| {
            fail("E0120", format!("cannot start {name}: {error}"), "muskox demo --help")
        };
        let directory = File::open(&layout.data).map_err(cannot)?;
        let socket = format!("/proc/{}/fd/{}/notify-{name}.sock", std::process::id(), directory.as_raw_fd());
        let _ = std::fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).map_err(cannot)?;
        let log = File::options().create(true).append(true).open(layout.log(&name)).map_err(cannot)?;
        let logged = log.metadata().map_err(cannot)?.len();
        let mut arguments = self.arguments.clone();
        if !self.process.address.is_empty() {
            // The same address as before, so that the others find it again.
            if let Some(place) = arguments.iter().position(|a| a == "--listen") {
                arguments[place + 1].clone_from(&self.process.address);
            }
        }
        let exe = std::env::current_exe().map_err(cannot)?;
        let mut child = Command::new(exe)
            .args(&arguments)
            .env("NOTIFY_SOCKET", &socket)
            .env(PARENT, std::process::id().to_string())
            .env_remove("MUSKOX_CONFIG")
            .env_remove("MUSKOX_MASTER")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        self.process.pid = child.id().unwrap_or_default();
        let mut told = [0; 512];
        let ready = async {
            loop {
                let length = notify.recv(&mut told).await?;
                let text = String::from_utf8_lossy(&told[..length]);
                if text.lines().any(|line| line == "READY=1") {
                    let address = text.lines().find_map(|l| l.strip_prefix(ADDRESS)?.strip_prefix('='));
                    return Ok::<_, std::io::Error>(address.unwrap_or_default().to_owned());
                }
            }
        };
        let outcome = tokio::select! {
            biased;
            ready = ready => ready.map_err(cannot),
            status = child.wait() => Err(self.ended_early(layout, logged, status.ok())),
            () = tokio::time::sleep(READY_WAIT) => {
                Err(fail("E0121", format!("{name} was not ready within {} s", READY_WAIT.as_secs()), format!("see {}", layout.log(&name).display())))
            }
        };
        let _ = std::fs::remove_file(layout.data.join(format!("notify-{name}.sock")));
        self.process.address = outcome?;
        self.child = Some(child);
        Ok(())
    }

    /// `logged`: how long its log was before.
    fn ended_early(&self, layout: &Layout, logged: u64, status: Option<ExitStatus>) -> Failure {
        let log = layout.log(&self.process.name);
        let text = std::fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(text.get(logged as usize..).unwrap_or_default());
        let name = &self.process.name;
        let (what, next) = match last_error(&text) {
            Some((error, next)) => (format!("{name} did not start: {error}"), next.to_owned()),
            None => {
                let status = status.map(|status| status.to_string()).unwrap_or_default();
                (format!("{name} ended at once ({status})"), format!("see {}", log.display()))
            }
        };
        fail("E0122", what, next)
    }

    /// Waits until the process ends by itself; for ever if it does not run.
    pub(crate) async fn ended(&mut self) -> Option<ExitStatus> {
        match &mut self.child {
            Some(child) => {
                let status = child.wait().await.ok();
                self.child = None;
                status
            }
            None => std::future::pending().await,
        }
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
    }

    /// SIGTERM.
    pub(crate) fn ask_to_end(&self) {
        let id = self.child.as_ref().and_then(Child::id);
        if let Some(pid) = id.and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Waits for the end of a process that was asked to; SIGKILL if that takes too long.
    pub(crate) async fn wait_for_end(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if tokio::time::timeout(STOP_QUIET, child.wait()).await.is_ok() {
            return;
        }
        let name = &self.process.name;
        print_line(&format!(
            "{name} still stores what it holds; waiting for it, {} s at most",
            STOP_WAIT.as_secs()
        ));
        if tokio::time::timeout(STOP_WAIT - STOP_QUIET, child.wait()).await.is_err() {
            let _ = child.kill().await;
            print_line(&format!("{name} did not end in time and was killed; what was fsynced is safe"));
        }
    }
}

/// What a process said last before it ended: its error, and the next step.
fn last_error(text: &str) -> Option<(&str, &str)> {
    let is_code = |line: &&str| {
        let code = line.split(' ').next().and_then(|word| word.strip_prefix('E'));
        code.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let error = text.lines().rfind(is_code)?;
    let behind = &text[error.as_ptr().addr() - text.as_ptr().addr()..];
    let next = behind.lines().find_map(|line| line.trim_start().strip_prefix("next: "));
    Some((error, next.unwrap_or("see its log")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_last_error_is_shown_with_its_next_step() {
        let log = "2026-11-22 INFO it starts\nE0129 the first\n  next: one\nEvery line\nE0130 the log is damaged: x\n  next: muskox meta check\n";
        assert_eq!(last_error(log), Some(("E0130 the log is damaged: x", "muskox meta check")));
        assert_eq!(last_error("2026-11-22 WARN nothing of the kind\n"), None);
    }
}
