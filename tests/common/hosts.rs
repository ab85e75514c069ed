//! A cluster of separate processes that a test kills, stops and cuts off one by one: a master, three chunkservers with
//! two disks each, and a mount, with a configuration of the test's own.
//!
//! Each process listens on an address of its own: of 127/8, or in a network namespace ([`Hosts::apart`]), where one way
//! between two of them can be closed without either being told ([`Hosts::cut`]).

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use super::common::*;
use super::namespaces::Namespaces;
use super::shell::{Shell, quoted};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// The processes, in the order in which they are started.
pub const NAMES: [&str; 5] = ["master", "cs1", "cs2", "cs3", "mount"];
const READY: Duration = Duration::from_secs(40);
/// Short waits, so that a test sees what follows them.
const CONFIG: &str = "[master]\nsession-lease-seconds = 5\nheal-after-endangered-seconds = 2\n\
                      heal-after-seconds = 4\nheal-after-together-seconds = 6\n";

pub struct Hosts {
    pub data: PathBuf,
    pub mountpoint: PathBuf,
    /// For the next start of the mount.
    pub mount_options: String,
    /// Pids.
    running: BTreeMap<&'static str, i32>,
    shell: Rc<Shell>,
    namespaces: Option<Namespaces>,
    /// Machines that lost power: what their kernel says of its boot.
    boots: BTreeMap<&'static str, PathBuf>,
    /// The part of the addresses that is this cluster's own.
    number: u8,
    home: tempfile::TempDir,
}

/// Clusters in this process get different addresses.
static NUMBER: AtomicU8 = AtomicU8::new(1);

impl Hosts {
    /// A cluster that runs and is mounted.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// The same, each process in a network namespace of its own.
    pub fn apart() -> Self {
        Self::start_with(true)
    }

    fn start_with(apart: bool) -> Self {
        let shell = Rc::new(Shell::start());
        let namespaces = apart.then(|| Namespaces::new(&shell, &NAMES));
        let home = tempfile::Builder::new().prefix("muskox-hosts-").tempdir().unwrap();
        let (data, mountpoint) = (home.path().join("data"), home.path().join("mnt"));
        std::fs::create_dir_all(&mountpoint).unwrap();
        std::fs::create_dir_all(data.join("logs")).unwrap();
        std::fs::write(data.join("muskox.toml"), CONFIG).unwrap();
        let mut hosts = Self {
            data,
            mountpoint,
            mount_options: "timeout=60".to_owned(),
            running: BTreeMap::new(),
            shell,
            namespaces,
            boots: BTreeMap::new(),
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            home,
        };
        hosts.start_all();
        hosts
    }

    /// `host:port` of a role.
    pub fn address(&self, name: &str) -> String {
        let place = NAMES.iter().position(|other| *other == name).unwrap();
        let port = if name == "master" { 9421 } else { 9422 };
        match &self.namespaces {
            Some(_) => format!("{}:{port}", Namespaces::address(place)),
            None => format!("127.{}.{}.{}:{port}", self.number, std::process::id() % 250, place + 1),
        }
    }

    pub fn directory(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// The directories of all disks.
    pub fn disks(&self) -> Vec<PathBuf> {
        let servers = NAMES.iter().filter(|name| name.starts_with("cs"));
        servers.flat_map(|name| (1..=2).map(|n| self.directory(name).join(format!("d{n}")))).collect()
    }

    fn arguments(&self, name: &str) -> Vec<String> {
        let directory = self.directory(name).display().to_string();
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (listen, master) = (self.address(name), self.address("master"));
        match name {
            "master" => list(&["master", "--listen", &listen, "--data", &directory, "--insecure"]),
            "mount" => {
                let mountpoint = self.mountpoint.to_str().unwrap();
                list(&["mount", "-o", &self.mount_options, &master, mountpoint])
            }
            server => {
                let mut words =
                    list(&["chunkserver", "--listen", &listen, "--data", &directory, "--insecure"]);
                words.extend(list(&["--name", server, "--master", &master, "--format"]));
                for disk in 1..=2 {
                    let disk = format!("{directory}/d{disk}");
                    std::fs::create_dir_all(&disk).unwrap();
                    words.extend(list(&["--disk", &disk]));
                }
                words
            }
        }
    }

    /// `muskox` in a process's network, as a line for the shell.
    fn muskox(&self, place: Option<&str>, arguments: &[String]) -> String {
        let within = self.namespaces.as_ref().map_or(String::new(), |namespaces| namespaces.within(place));
        let config = self.data.join("muskox.toml");
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let (home, words) = (self.home.path().display(), words.join(" "));
        let boot = place.and_then(|name| self.boots.get(name)).map_or(String::new(), |boot| {
            let bind = format!("mount --bind {} /proc/sys/kernel/random/boot_id", boot.display());
            format!("unshare -m sh -c '{bind} && exec \"$@\"' sh ")
        });
        format!("HOME={home} MUSKOX_CONFIG={} {within}{boot}{MUSKOX} {words}", config.display())
    }

    /// The machine of a chunkserver loses power: its process is gone, its disks are what they were when `disks` was copied from
    /// [`Hosts::directory`], and from its next start on its kernel says that it was booted anew.
    pub fn lose_power(&mut self, name: &str, disks: &Path) {
        self.kill(name);
        std::fs::remove_dir_all(self.directory(name)).unwrap();
        super::replicas::copy_directory(disks, &self.directory(name));
        self.boot_anew(name);
    }

    /// From its next start on a machine's kernel says that it was booted anew.
    pub fn boot_anew(&mut self, name: &str) {
        let name = *NAMES.iter().find(|other| **other == name).unwrap();
        let boot = self.data.join(format!("boot-{name}"));
        let id = format!("{:08x}-0000-4000-8000-{:012x}\n", std::process::id(), self.boots.len() + 1);
        std::fs::write(&boot, id).unwrap();
        self.boots.insert(name, boot);
    }

    /// Starts a process; the mount is waited for. It ends with the test.
    pub fn start_one(&mut self, name: &str) {
        let name = *NAMES.iter().find(|other| **other == name).unwrap();
        assert!(!self.running.contains_key(name), "{name} runs already");
        let command = self.muskox(Some(name), &self.arguments(name));
        let (parent, log) = (self.shell.pid(), self.log(name).display().to_string());
        let command = format!("MUSKOX_DEMO_PARENT={parent} {command} </dev/null >>{log} 2>&1");
        self.running.insert(name, self.shell.spawn(&command));
        if name == "mount" {
            wait_within(READY, "it is mounted", || self.is_mounted());
        }
    }

    /// Starts what does not run, and waits until all disks have reported.
    pub fn start_all(&mut self) {
        for name in NAMES.into_iter().filter(|name| *name != "mount") {
            if !self.running.contains_key(name) {
                self.start_one(name);
            }
        }
        self.wait_whole();
        if !self.running.contains_key("mount") {
            self.start_one("mount");
        }
    }

    pub fn wait_whole(&self) {
        wait_within(READY, "all disks are in service", || self.disks_in_service() == 6);
    }

    /// Disks that have reported.
    pub fn disks_in_service(&self) -> usize {
        let Some(status) = self.status() else { return 0 };
        let disks = status["disks"].as_array().unwrap();
        disks.iter().filter(|disk| disk["state"] == "ok").count()
    }

    fn is_mounted(&self) -> bool {
        let device = |path: &Path| rustix::fs::stat(path).map(|stat| stat.st_dev);
        matches!((device(&self.mountpoint), device(self.home.path())), (Ok(one), Ok(other)) if one != other)
    }

    /// The pid of a process that runs.
    pub fn pid(&self, name: &str) -> i32 {
        self.running[name]
    }

    fn kill_and_wait(&mut self, names: &[&'static str]) {
        let pids: Vec<i32> = names.iter().map(|name| self.running.remove(name).unwrap()).collect();
        pids.iter().for_each(|pid| signal(*pid, Signal::KILL));
        // Until all their threads have let go of files, locks among them.
        pids.iter().for_each(|pid| drop(self.shell.run(&format!("wait {pid}"))));
        if names.contains(&"mount") {
            self.detach();
        }
    }

    /// `kill -9`; a mount that is gone is detached.
    pub fn kill(&mut self, name: &str) {
        let name = *NAMES.iter().find(|other| **other == name).unwrap();
        self.kill_and_wait(&[name]);
    }

    /// `kill -9` of everything at once.
    pub fn kill_all(&mut self) {
        let names: Vec<&'static str> = self.running.keys().copied().collect();
        self.kill_and_wait(&names);
    }

    fn detach(&self) {
        self.shell.run(&format!("umount -l {} 2>/dev/null", self.mountpoint.display()));
    }

    pub fn send(&self, name: &str, what: Signal) {
        signal(self.pid(name), what);
    }

    /// Waits until a process ends by itself; its exit code.
    pub fn wait_ended(&mut self, name: &str) -> i32 {
        let pid = self.running.remove(name).unwrap();
        wait_until("it has ended", || !is_alive(pid));
        self.shell.run(&format!("wait {pid}")).0
    }

    /// Nothing gets from one process to another any more, and neither is told.
    pub fn cut(&self, from: &str, to: &str) {
        self.namespaces.as_ref().unwrap().cut(from, to);
    }

    /// Takes back [`Hosts::cut`].
    pub fn join(&self, from: &str, to: &str) {
        self.namespaces.as_ref().unwrap().join(from, to);
    }

    /// `muskox status --json`; `None` while the master does not answer.
    pub fn status(&self) -> Option<serde_json::Value> {
        let arguments = ["status", "--json", "--master", &self.address("master")].map(str::to_owned);
        let (_, answer) = self.shell.run(&format!("{} 2>/dev/null", self.muskox(None, &arguments)));
        serde_json::from_str(&answer).ok()
    }

    /// Runs `muskox` and gives what it says; it must succeed.
    pub fn ask(&self, arguments: &[&str]) -> String {
        let words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        self.shell.ok(&self.muskox(None, &words))
    }

    /// One count of the chunks; `None` while the master does not answer.
    pub fn count(&self, what: &str) -> Option<u64> {
        self.status()?["chunks"][what].as_u64()
    }

    /// The codes of all warnings.
    pub fn warnings(&self) -> Vec<String> {
        let status = self.status().unwrap_or_default();
        let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until every chunk has two replicas and none is left over.
    pub fn wait_healed(&self, within: Duration) {
        let mut last = None;
        let healed = || {
            let status = self.status()?;
            let count = |what: &str| status["chunks"][what].as_u64().unwrap();
            let short = count("endangered") + count("undergoal") + count("missing") + count("overgoal");
            let disks = status["disks"].as_array().unwrap();
            let replicas: u64 = disks.iter().map(|disk| disk["chunks"].as_u64().unwrap()).sum();
            last = Some(format!("{} {replicas} replicas", status["chunks"]));
            Some(short == 0 && replicas == 2 * count("ok"))
        };
        let mut healed = healed;
        let until = std::time::Instant::now() + within;
        while healed() != Some(true) {
            if std::time::Instant::now() > until {
                panic!("not healed within {within:?}: {}", last.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `muskox file info --json`.
    pub fn file_info(&self, path: &str) -> serde_json::Value {
        let answer = self.ask(&["file", "info", "--json", path, "--master", &self.address("master")]);
        serde_json::from_str(&answer).unwrap()
    }

    /// All replicas that `muskox file info` names, by their chunk as files on disks are called.
    pub fn replicas(&self, path: &Path) -> BTreeMap<String, Vec<serde_json::Value>> {
        let info = self.file_info(path.to_str().unwrap());
        let name = |chunk: &serde_json::Value| chunk["chunk"].as_str().unwrap().to_owned();
        let replicas = |chunk: &serde_json::Value| chunk["replicas"].as_array().unwrap().clone();
        info["chunks"].as_array().unwrap().iter().map(|chunk| (name(chunk), replicas(chunk))).collect()
    }

    /// The replicas of all files below the mountpoint.
    pub fn all_replicas(&self) -> BTreeMap<String, Vec<serde_json::Value>> {
        let files = super::common::sh(&self.mountpoint, "find . -type f -size +0");
        files.lines().flat_map(|path| self.replicas(&self.mountpoint.join(path))).collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.mountpoint.join(name)
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.data.join("logs").join(format!("{name}.log"))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (name, pid) in self.running.iter().filter(|(_, pid)| !is_alive(**pid)) {
                eprintln!("--- {name} ({pid}) has ended");
            }
            for name in NAMES {
                let log = std::fs::read_to_string(self.log(name)).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(12).collect();
                eprintln!("--- {name}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
        // They may be stopped, and a kill works all the same.
        self.running.values().for_each(|pid| signal(*pid, Signal::KILL));
        self.detach();
    }
}
