//! A demo cluster for a test: started from the built binary, stopped (and its data removed) when dropped.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub const MUSKOX: &str = env!("CARGO_BIN_EXE_muskox");
const READY_WAIT: Duration = Duration::from_secs(60);
const STOP_WAIT: Duration = Duration::from_secs(40);

/// Says loudly, unless it `can`, that a test is not run: the harness shows nothing that the macros print in a test that passes.
pub fn runs(can: bool, test: &str, needs: &str) -> bool {
    if !can {
        let _ = writeln!(std::io::stderr(), "NOT RUN: {test} needs {needs}");
    }
    can
}

/// Whether tests with real mounts can run here; says loudly if not.
pub fn can_mount(test: &str) -> bool {
    let can = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok();
    runs(can, test, "/dev/fuse, which cannot be opened here")
}

/// Whether this is root; says loudly if not.
pub fn is_root(test: &str) -> bool {
    runs(rustix::process::getuid().is_root(), test, "root")
}

/// Whether a program is installed; says loudly if not.
pub fn has_program(test: &str, program: &str) -> bool {
    let needs = format!("the program {program}, which is not installed here");
    runs(find_program(program).is_some(), test, &needs)
}

/// Finds a program in PATH or where cargo installs.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(cargo.map(|c| c.join("bin")))
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
}

/// Whether the long variant was asked for (`cargo xtask soak e2e`).
pub fn soak() -> bool {
    std::env::var_os("MUSKOX_SOAK").is_some()
}

/// A running demo.
pub struct Demo {
    pub data: PathBuf,
    pub mountpoint: PathBuf,
    pub ready_after: Duration,
    home: tempfile::TempDir,
    child: Option<Child>,
}

impl Demo {
    /// Starts a demo with fresh data.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a demo with fresh data and further arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut demo = Self::prepared();
        demo.run(arguments);
        demo
    }

    /// A demo with fresh directories that does not run yet.
    pub fn prepared() -> Self {
        let home = tempfile::Builder::new().prefix("muskox-test-").tempdir().unwrap();
        let data = home.path().join("data");
        let mountpoint = home.path().join("mnt");
        Self { data, mountpoint, ready_after: Duration::ZERO, home, child: None }
    }

    /// Starts (again) on the same data.
    pub fn run(&mut self, arguments: &[&str]) {
        assert!(self.child.is_none(), "it runs already");
        let begun = Instant::now();
        let mut child =
            self.command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, receive) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut seen = Vec::new();
        loop {
            match receive.recv_timeout(READY_WAIT.saturating_sub(begun.elapsed())) {
                Ok(line) if line == "ready" => break,
                Ok(line) => seen.push(line),
                Err(_) => {
                    let _ = child.kill();
                    let mut stderr = String::new();
                    let _ = child.stderr.take().unwrap().read_to_string(&mut stderr);
                    panic!("the demo was not ready:\n{}\n{stderr}\n{}", seen.join("\n"), self.logs());
                }
            }
        }
        self.ready_after = begun.elapsed();
        self.child = Some(child);
    }

    /// `muskox demo` on this test's directories.
    pub fn command(&self) -> Command {
        let mut command = self.muskox(&["demo", "--data"]);
        command.arg(&self.data).arg("--mountpoint").arg(&self.mountpoint);
        command
    }

    /// `muskox` with a home of its own, so that tests do not find each other's demos.
    pub fn muskox(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MUSKOX);
        command
            .env("HOME", self.home.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("MUSKOX_MASTER")
            .env_remove("MUSKOX_CONFIG")
            .args(arguments);
        command
    }

    /// Runs `muskox` and returns its stdout; panics if it fails.
    pub fn ask(&self, arguments: &[&str]) -> String {
        text(&ok(self.muskox(arguments)))
    }

    /// `kill`s or `start`s one of its processes.
    pub fn part(&self, verb: &str, name: &str) {
        self.ask(&["demo", verb, name, "--data", self.data.to_str().unwrap()]);
    }

    /// A mount that has read nothing yet.
    pub fn mount_anew(&self) {
        self.part("kill", "mount");
        self.part("start", "mount");
    }

    /// `muskox status --json`.
    pub fn status(&self) -> serde_json::Value {
        let output = self.muskox(&["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    /// `demo.json`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.data.join("demo.json")).unwrap()).unwrap()
    }

    /// The pid of one process.
    pub fn pid(&self, name: &str) -> i32 {
        let json = self.json();
        let process = json["processes"].as_array().unwrap().iter().find(|p| p["name"] == name).unwrap();
        i32::try_from(process["pid"].as_i64().unwrap()).unwrap()
    }

    /// Pids of all processes, the demo's own last.
    pub fn pids(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.json()["processes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| i32::try_from(p["pid"].as_i64().unwrap()).unwrap())
            .collect();
        pids.push(self.child.as_ref().unwrap().id().cast_signed());
        pids
    }

    /// Ctrl-C, and waits until everything has ended.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        signal(child.id().cast_signed(), rustix::process::Signal::INT);
        let until = Instant::now() + STOP_WAIT;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                if !std::thread::panicking() {
                    panic!("the demo did not stop\n{}", self.logs());
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `kill -9` of every process at once, the demo included, and waits until they are gone.
    pub fn kill_all(&mut self) {
        let pids = self.pids();
        for pid in &pids {
            signal(*pid, rustix::process::Signal::KILL);
        }
        self.child.take().unwrap().wait().unwrap();
        wait_until("the killed processes are gone", || pids.iter().all(|pid| !is_alive(*pid)));
    }

    /// The demo process was killed by the test itself.
    pub fn forget(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// A path under the mount.
    pub fn path(&self, name: &str) -> PathBuf {
        self.mountpoint.join(name)
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.data.join("logs")).into_iter().flatten().flatten() {
            let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(15).collect();
            text += &format!("--- {}\n", entry.path().display());
            for line in tail.into_iter().rev() {
                text += &format!("{line}\n");
            }
        }
        text
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        self.stop();
        let _ = Command::new("umount").arg("-l").arg(&self.mountpoint).stderr(Stdio::null()).status();
    }
}

/// Sends a signal to a process of this test.
pub fn signal(pid: i32, signal: rustix::process::Signal) {
    let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal);
    if signal == rustix::process::Signal::STOP {
        wait_until("it has stopped", || has_stopped(pid));
    }
}

/// Whether no thread of a process runs. Until one has taken SIGSTOP in, the others go on, and on a busy machine answer what they are asked for
/// some milliseconds.
fn has_stopped(pid: i32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // What sleeps without hearing signals stops before it does anything else.
        stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['T', 't', 'D', 'Z', 'X']))
    })
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits for a condition, at most 30 s.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_within(Duration::from_secs(30), what, condition);
}

/// Waits for a condition, at most so long.
pub fn wait_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command that must succeed.
pub fn ok(mut command: Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}\n{}",
        output.status,
        text(&output),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a shell script in a directory; it must succeed.
pub fn sh(dir: &Path, script: &str) -> String {
    let mut command = Command::new("bash");
    command.current_dir(dir).arg("-euo").arg("pipefail").arg("-c").arg(script);
    text(&ok(command))
}

/// Stdout as text.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Bytes that depend on a seed only.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}
