//! A shell that a test starts before it opens anything on a mount, and that runs everything else for it.
//!
//! A process forked by a thread of a test has all files that the others have open. When it becomes another program, the kernel
//! closes them, and on a mount of ours that waits for the cluster: a master started in this way would wait for itself.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Ends the answer to each command.
const END: &str = "--- the command has ended with";

pub struct Shell {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

/// A word for the shell.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl Shell {
    pub fn start() -> Self {
        let mut child = Command::new("bash")
            .env_remove("MUSKOX_MASTER")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It tells of everything that was killed.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, pipes: RefCell::new(pipes) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command; its exit code and what it printed.
    pub fn run(&self, command: &str) -> (i32, String) {
        let (stdin, stdout) = &mut *self.pipes.borrow_mut();
        writeln!(stdin, "{command}\nprintf '\\n%s %d\\n' '{END}' $?").unwrap();
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the shell has ended: {command}");
            if let Some(code) = line.strip_prefix(END) {
                return (code.trim().parse().unwrap(), answer);
            }
            answer += &line;
        }
    }

    /// Runs a command that must succeed; what it printed.
    pub fn ok(&self, command: &str) -> String {
        let (code, answer) = self.run(&format!("{{ {command} ; }} 2>&1"));
        assert_eq!(code, 0, "{command}: {answer}");
        answer
    }

    /// Starts a command in the background; its pid.
    pub fn spawn(&self, command: &str) -> i32 {
        self.run(&format!("{command} & echo $!")).1.trim().parse().unwrap()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
