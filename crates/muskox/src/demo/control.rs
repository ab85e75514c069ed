//! How `muskox demo kill|start|stop` reaches the running demo: one line over a Unix socket in its directory.
//!
//! The socket is reached through `/proc/self/fd`, so that the length of the directory's path does not matter.

use super::layout::{Layout, holder};
use crate::failure::{Exit, Failure, fail};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SOCKET: &str = "demo.sock";
/// A line is a verb and a name.
pub(crate) const LINE_BYTES_MAX: usize = 128;
/// Starting a process waits until it is ready.
const ANSWER_WAIT: Duration = Duration::from_secs(180);
/// How often the lock of a demo that ends is tried.
const END_POLL: Duration = Duration::from_millis(20);

fn near(layout: &Layout) -> std::io::Result<(File, PathBuf)> {
    let dir = File::open(&layout.data)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()));
    Ok((dir, path))
}

/// The running demo's side.
pub(crate) fn listen(layout: &Layout) -> std::io::Result<UnixListener> {
    let (_dir, path) = near(layout)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes the socket.
pub(crate) fn close(layout: &Layout) {
    let _ = std::fs::remove_file(layout.data.join(SOCKET));
}

/// What divides reason and next step in a refusal.
const NEXT: &str = "   next: ";

/// The line that refuses a command.
pub(crate) fn refused(what: &str, next: &str) -> String {
    format!("error {what}{NEXT}{next}")
}

/// Sends one line and returns the answer.
pub(crate) fn ask(layout: &Layout, line: &str) -> Result<String, Failure> {
    let absent = |_| {
        fail(
            "E0111",
            format!("no demo is running in {}", layout.data.display()),
            format!("muskox demo --data {}", layout.data.display()),
        )
        .exit(Exit::NotFound)
    };
    let (_dir, path) = near(layout).map_err(absent)?;
    let mut stream = UnixStream::connect(path).map_err(absent)?;
    let broken = |error| fail("E0115", format!("the demo did not answer: {error}"), "muskox status");
    stream.set_read_timeout(Some(ANSWER_WAIT)).map_err(broken)?;
    stream.write_all(format!("{line}\n").as_bytes()).map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(broken)?;
    match answer.trim_end().split_once(' ') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some(("error", text)) => {
            // Reason and next step, as `refused` has put them.
            let (what, next) = text.split_once(NEXT).unwrap_or((text, "muskox status"));
            Err(fail("E0116", what, next).exit(Exit::NotFound))
        }
        _ => Err(fail("E0115", "the demo ended before it answered", "muskox demo")),
    }
}

/// Waits until the demo and all its processes have ended.
pub(crate) fn wait_for_end(layout: &Layout) -> Result<(), Failure> {
    let until = Instant::now() + ANSWER_WAIT;
    while let Some(pid) = holder(&layout.lock()) {
        if Instant::now() > until {
            let what = format!("the demo was told to stop, but process {pid} still runs");
            return Err(fail("E0123", what, format!("kill -9 {pid}")));
        }
        std::thread::sleep(END_POLL);
    }
    Ok(())
}

/// The running side of a demo within one process: only `stop` can be obeyed. Returns when it was asked for.
pub(crate) async fn obey_stop_only(listener: tokio::net::UnixListener) {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let mut reader = BufReader::new(read.take(LINE_BYTES_MAX as u64));
        let _ = tokio::time::timeout(Duration::from_secs(1), reader.read_line(&mut line)).await;
        let stop = line.trim() == "stop";
        let answer = if stop {
            "ok the demo stops\n".to_owned()
        } else {
            refused("with --in-process nothing can be killed or started singly", "muskox demo stop") + "\n"
        };
        let _ = write.write_all(answer.as_bytes()).await;
        if stop {
            return;
        }
    }
}
