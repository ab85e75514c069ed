//! The foreground process of the demo: starts the parts, waits for orders, stops them.

use super::control::{self, LINE_BYTES_MAX, refused};
use super::in_process::Threads;
use super::layout::{DemoFile, Layout, holder, user_directory};
use super::part::Part;
use crate::cli::DemoArgs;
use crate::failure::{Exit, Failure, SYSTEM, fail};
use crate::print_line;
use crate::roles::signalled;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// What a fresh demo consists of if nothing else is asked for.
const SERVERS: u16 = 3;
const DISKS: u16 = 2;
/// Most servers, and most disks of one.
pub(crate) const PARTS_MAX: u16 = 64;
/// How long the disks may take to register before the demo says so and goes on.
const REGISTER_WAIT: Duration = Duration::from_secs(20);

/// The demos of this user that run now, wherever their data is, the newest first.
pub(crate) fn running() -> Vec<Layout> {
    let mut found: Vec<_> = std::fs::read_dir(registry().unwrap_or_default())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
            let data = std::fs::read_to_string(entry.path()).ok()?;
            let layout = Layout { data: PathBuf::from(data.trim_end()) };
            let since = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
            // Another demo may hold the same data since this one was killed.
            if holder(&layout.lock()) != Some(pid) {
                let _ = std::fs::remove_file(entry.path());
                return None;
            }
            Some((since, layout))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    found.into_iter().map(|(_, layout)| layout).collect()
}

fn registry() -> Option<PathBuf> {
    Some(user_directory("XDG_STATE_HOME", ".local/state").ok()?.join("muskox").join("demos"))
}

/// Only a convenience for commands without `--master`; a read-only home is no reason to fail.
pub(crate) fn remember(layout: &Layout) {
    if let Some(registry) = registry() {
        let _ = std::fs::create_dir_all(&registry);
        let _ = std::fs::write(
            registry.join(std::process::id().to_string()),
            format!("{}\n", layout.data.display()),
        );
    }
}

/// Undoes [`remember`].
pub(crate) fn forget() {
    if let Some(registry) = registry() {
        let _ = std::fs::remove_file(registry.join(std::process::id().to_string()));
    }
}

/// Runs the demo until Ctrl-C, SIGTERM or `muskox demo stop`.
pub(crate) fn run(arguments: &DemoArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let layout = Layout::new(arguments.data.data.as_deref())?;
    let cannot = |error: std::io::Error| {
        fail("E0117", format!("cannot use {}: {error}", layout.data.display()), "muskox demo --data DIR")
    };
    std::fs::create_dir_all(layout.logs()).map_err(cannot)?;
    let _lock = take_lock(&layout)?;
    let mountpoint = if arguments.no_mount { None } else { Some(prepare_mountpoint(arguments, &layout)?) };
    print_line(&format!(
        "muskox {}  starting a local cluster in {}   (Ctrl-C stops it, data stays)",
        env!("CARGO_PKG_VERSION"),
        layout.data.display()
    ));
    if arguments.in_process {
        return Threads::run(arguments, &layout, mountpoint.as_deref(), begun);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    runtime.block_on(async {
        let mut demo = Demo { layout: layout.clone(), parts: Vec::new(), file: DemoFile::default() };
        let stop = signalled()?;
        let outcome = tokio::select! {
            biased;
            () = stop => Ok(()),
            outcome = demo.start_and_serve(arguments, mountpoint.as_deref(), begun) => outcome,
        };
        demo.stop_all().await;
        let _ = std::fs::remove_file(layout.json());
        control::close(&layout);
        forget();
        print_line("stopped; the data is still there. Start again: muskox demo");
        outcome
    })
}

fn take_lock(layout: &Layout) -> Result<std::fs::File, Failure> {
    let path = layout.lock();
    let error = |error: std::io::Error| {
        fail("E0117", format!("cannot use {}: {error}", path.display()), "muskox demo --data OTHER_DIR")
    };
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(error)?;
    if file.try_lock().is_err() {
        let pid = holder(&path).map_or_else(|| "another process".to_owned(), |pid| format!("pid {pid}"));
        return Err(fail(
            "E0118",
            format!("{} is in use by {pid}", layout.data.display()),
            format!("muskox demo stop --data {0}   or   muskox demo --data OTHER_DIR", layout.data.display()),
        )
        .exit(Exit::Refused));
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(error)?;
    Ok(file)
}

fn prepare_mountpoint(arguments: &DemoArgs, layout: &Layout) -> Result<PathBuf, Failure> {
    let wanted = match &arguments.mountpoint {
        Some(dir) => std::path::absolute(dir).map_err(|e| {
            fail("E0110", format!("{}: {e}", dir.display()), "muskox demo --mountpoint OTHER_DIR")
        })?,
        None => user_directory("MUSKOX_DEMO_HOME", "muskox")?,
    };
    let detach = || {
        mount::detach_dead(&wanted).map_err(|error| {
            fail(
                "E0119",
                format!("cannot detach the dead mount at {}: {error}", wanted.display()),
                format!("umount -l {}", wanted.display()),
            )
        })
    };
    detach()?;
    let mut made = std::fs::create_dir_all(&wanted);
    if made.is_err() {
        // A mount that was killed a moment ago may have died in between.
        detach()?;
        made = std::fs::create_dir_all(&wanted);
    }
    made.map_err(|error| {
        fail(
            "E0119",
            format!("cannot make the mountpoint {}: {error}", wanted.display()),
            "muskox demo --mountpoint DIR",
        )
    })?;
    if layout.data.starts_with(&wanted) {
        return Err(fail(
            "E0119",
            format!("the data {} would lie under the mountpoint", layout.data.display()),
            "muskox demo --data DIR --mountpoint OTHER_DIR",
        )
        .exit(Exit::Usage));
    }
    hides_nothing(&wanted)?;
    Ok(wanted)
}

/// What is in the mountpoint could not be seen while the demo runs; a former mountpoint is empty.
fn hides_nothing(mountpoint: &Path) -> Result<(), Failure> {
    let shown = mountpoint.display();
    let mut names = std::fs::read_dir(mountpoint).map_err(|error| {
        fail(
            "E0119",
            format!("cannot look into the mountpoint {shown}: {error}"),
            "muskox demo --mountpoint DIR",
        )
    })?;
    match names.next() {
        None => Ok(()),
        Some(_) if mount::is_ours(mountpoint).unwrap_or(false) => Err(fail(
            "E0119",
            format!("{shown} is a mounted MuskoxFS already"),
            format!("muskox demo --mountpoint OTHER_DIR   or   umount {shown}"),
        )
        .exit(Exit::Refused)),
        Some(_) => Err(fail(
            "E0119",
            format!("{shown} is not empty: what is in it would be hidden by the mount"),
            "muskox demo --mountpoint OTHER_DIR   (one that is empty, or does not exist yet)",
        )
        .exit(Exit::Refused)),
    }
}

struct Demo {
    layout: Layout,
    parts: Vec<Part>,
    file: DemoFile,
}

impl Demo {
    async fn start_and_serve(
        &mut self,
        arguments: &DemoArgs,
        mountpoint: Option<&Path>,
        begun: Instant,
    ) -> Result<(), Failure> {
        let layout = self.layout.clone();
        self.start_master().await?;
        let master = self.file.master.clone();
        let mut rest = chunkserver_parts(arguments, &layout, &master);
        let disks = rest.iter().map(|part| part.process.directories.len() - 1).sum();
        if let Some(mountpoint) = mountpoint {
            let dir = mountpoint.display().to_string();
            rest.push(Part::new("mount", "mount", &[], vec!["mount".into(), master.clone(), dir.clone()]));
            self.file.mountpoint = dir;
        }
        // All at once: each waits for its own word that it is ready.
        let started = start_together(&layout, rest).await;
        let mut failed = None;
        for (part, outcome) in started {
            if let Err(failure) = outcome {
                failed.get_or_insert(failure);
            }
            self.parts.push(part);
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        wait_for_disks(&master, disks).await;
        let listener = control::listen(&layout)
            .and_then(tokio::net::UnixListener::from_std)
            .map_err(|error| fail("E0117", format!("cannot listen for demo commands: {error}"), SYSTEM))?;
        self.publish()?;
        remember(&layout);
        print_line(&summary(&self.file, begun.elapsed()));
        print_line("ready");
        loop {
            tokio::select! {
                biased;
                stream = listener.accept() => {
                    if let Ok((stream, _)) = stream
                        && self.obey(stream).await?
                    {
                        return Ok(());
                    }
                }
                (name, status) = self.any_ended() => {
                    let status = status.map(|s| s.to_string()).unwrap_or_default();
                    print_line(&format!("{name} ended ({status})   again: muskox demo start {name}"));
                }
            }
        }
    }

    async fn start_master(&mut self) -> Result<(), Failure> {
        let home = self.layout.home("master");
        let arguments =
            ["master", "--listen", "127.0.0.1:0", "--data", &home.display().to_string(), "--name", "master"];
        let mut part = Part::new("master", "master", &[home], arguments.map(str::to_owned).to_vec());
        part.start(&self.layout).await?;
        self.file.master.clone_from(&part.process.address);
        self.parts.push(part);
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Failure> {
        self.file.processes = self.parts.iter().map(|part| part.process.clone()).collect();
        self.layout.write(&self.file)
    }

    async fn any_ended(&mut self) -> (String, Option<std::process::ExitStatus>) {
        let mut waiting: Vec<_> = self
            .parts
            .iter_mut()
            .map(|part| {
                let name = part.process.name.clone();
                Box::pin(async move { (name, part.ended().await) })
            })
            .collect();
        std::future::poll_fn(|context| {
            for one in &mut waiting {
                if let std::task::Poll::Ready(ended) = one.as_mut().poll(context) {
                    return std::task::Poll::Ready(ended);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Carries out one line of `muskox demo kill|start|stop`; true means stop.
    async fn obey(&mut self, stream: UnixStream) -> Result<bool, Failure> {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let mut reader = BufReader::new(read.take(LINE_BYTES_MAX as u64));
        let read = tokio::time::timeout(Duration::from_secs(1), reader.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) {
            return Ok(false);
        }
        let mut words = line.split_whitespace();
        let (answer, stop) = match (words.next(), words.next()) {
            (Some("stop"), None) => ("ok the demo stops".to_owned(), true),
            (Some(verb @ ("kill" | "start")), Some(name)) => (self.kill_or_start(verb, name).await, false),
            _ => (refused("the demo does not know this command", "muskox demo --help"), false),
        };
        self.publish()?;
        let _ = write.write_all(format!("{answer}\n").as_bytes()).await;
        Ok(stop)
    }

    async fn kill_or_start(&mut self, verb: &str, name: &str) -> String {
        let names: Vec<_> = self.parts.iter().map(|p| p.process.name.clone()).collect();
        let layout = self.layout.clone();
        let mountpoint = PathBuf::from(&self.file.mountpoint);
        let Some(part) = self.parts.iter_mut().find(|part| part.process.name == name) else {
            let what = format!("nothing is called {name}; there are {}", names.join(", "));
            return refused(&what, &format!("muskox demo {verb} {}", names[0]));
        };
        match (verb, part.is_running()) {
            ("kill", true) => {
                part.kill().await;
                print_line(&format!("{name} was killed   again: muskox demo start {name}"));
                format!("ok {name} (pid {}) was killed   again: muskox demo start {name}", part.process.pid)
            }
            ("kill", false) => {
                refused(&format!("{name} is not running"), &format!("muskox demo start {name}"))
            }
            (_, true) => refused(
                &format!("{name} is running already (pid {})", part.process.pid),
                &format!("muskox demo kill {name}   or   muskox status"),
            ),
            (_, false) => {
                if part.process.role == "mount" {
                    let _ = mount::detach_dead(&mountpoint);
                }
                match part.start(&layout).await {
                    Ok(()) => {
                        print_line(&format!("{name} runs again (pid {})", part.process.pid));
                        format!("ok {name} runs again (pid {})", part.process.pid)
                    }
                    Err(failure) => {
                        let what = failure.of(format!("{name} did not start"));
                        refused(&format!("{} {}", what.code, what.what).replace('\n', "  "), &what.next)
                    }
                }
            }
        }
    }

    /// Stops the mount first, then all chunkservers, the master last.
    async fn stop_all(&mut self) {
        for role in ["mount", "chunkserver", "master"] {
            let mut parts: Vec<&mut Part> =
                self.parts.iter_mut().filter(|part| part.process.role == role).collect();
            parts.iter().for_each(|part| part.ask_to_end());
            for part in &mut parts {
                part.wait_for_end().await;
            }
        }
        if !self.file.mountpoint.is_empty() {
            let _ = mount::detach_dead(Path::new(&self.file.mountpoint));
        }
    }
}

/// Names of the chunkservers and how many disks each has: as many as asked for, and never fewer than hold data.
pub(crate) fn servers(arguments: &DemoArgs, layout: &Layout) -> Vec<(String, u16)> {
    let last_there =
        |path: &dyn Fn(u16) -> PathBuf| (1..=PARTS_MAX).rev().find(|n| path(*n).is_dir()).unwrap_or(0);
    let there = last_there(&|n| layout.home(&format!("cs{n}")));
    let wanted = arguments.chunkservers.unwrap_or(if there > 0 { there } else { SERVERS });
    if there > wanted {
        print_line(&format!("  {there} chunkservers hold data, so {there} are started"));
    }
    (1..=wanted.max(there))
        .map(|number| {
            let name = format!("cs{number}");
            let disks = last_there(&|n| layout.disk(&name, n));
            let wanted = arguments.disks.unwrap_or(if disks > 0 { disks } else { DISKS });
            (name, wanted.max(disks))
        })
        .collect()
}

/// The chunkservers of a demo.
fn chunkserver_parts(arguments: &DemoArgs, layout: &Layout, master: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for (name, disks) in servers(arguments, layout) {
        let home = layout.home(&name);
        let mut words: Vec<String> = [
            "chunkserver",
            "--format",
            "--listen",
            "127.0.0.1:0",
            "--master",
            master,
            "--name",
            &name,
            "--data",
        ]
        .map(str::to_owned)
        .to_vec();
        words.push(home.display().to_string());
        let mut directories = vec![home];
        for disk in 1..=disks {
            let path = layout.disk(&name, disk);
            words.push("--disk".to_owned());
            words.push(path.display().to_string());
            directories.push(path);
        }
        for directory in &directories {
            let _ = std::fs::create_dir_all(directory);
        }
        parts.push(Part::new(&name, "chunkserver", &directories, words));
    }
    parts
}

async fn start_together(layout: &Layout, parts: Vec<Part>) -> Vec<(Part, Result<(), Failure>)> {
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = parts
        .into_iter()
        .map(|mut part| {
            let layout = layout.clone();
            local.spawn_local(async move {
                let outcome = part.start(&layout).await;
                (part, outcome)
            })
        })
        .collect();
    local
        .run_until(async {
            let mut started = Vec::new();
            for task in tasks {
                started.push(task.await.expect("a start neither panics nor is cancelled"));
            }
            started
        })
        .await
}

/// Waits until every disk has registered, so that the first write finds room.
pub(crate) async fn wait_for_disks(master: &str, disks: usize) {
    let until = Instant::now() + REGISTER_WAIT;
    while Instant::now() < until {
        if crate::roles::disks_ready(master).await.is_some_and(|ready| ready >= disks) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    print_line("  some disks have not registered yet   next: muskox status");
}

/// What to try next.
pub(crate) fn summary(file: &DemoFile, took: Duration) -> String {
    let mut text = String::new();
    for process in &file.processes {
        let what = match process.role.as_str() {
            "mount" => file.mountpoint.clone(),
            "chunkserver" => {
                format!("{}   {} disks", process.address, process.directories.len().saturating_sub(1))
            }
            _ => process.address.clone(),
        };
        text += &format!("  {:<12} {:<8} {what}\n", process.role, process.name);
    }
    text += &format!("ready in {:.2} s\n\n", took.as_secs_f64());
    if file.mountpoint.is_empty() {
        text += "  Try:   muskox status\n";
    } else {
        text += &format!(
            "  Try:   echo hello > {0}/hello.txt && muskox file info {0}/hello.txt\n",
            file.mountpoint
        );
    }
    if file.processes.iter().map(|p| p.pid).any(|pid| pid != std::process::id()) {
        text += "  Break: muskox demo kill cs2     (then: muskox status; muskox demo start cs2)\n";
    }
    text + "  Stop:  Ctrl-C, or muskox demo stop"
}
