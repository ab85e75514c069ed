//! What `/proc` tells about the process behind a request: its groups, its capabilities, and whether a signal is about to end it.
//!
//! fuser 0.18 answers FUSE_INTERRUPT with ENOSYS, so a request that waits long looks for itself. The kernel names the thread that
//! asked, as a rule it waits for the answer. One that only began an operation (AIO, io_uring) may end before it does: then its
//! process is the one that is looked at.

use types::Caller;

/// A process's status file is a few KiB.
fn status_of(pid: u32) -> Option<String> {
    // For a thread id, /proc/TID works as well as /proc/PID.
    std::fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

/// What the kernel counts about a process, or a thread, in one line.
fn stat_of(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// The caller with its supplementary groups.
pub(crate) fn with_groups(uid: u32, gid: u32, pid: u32) -> Caller {
    let groups = status_of(pid).map(|status| groups_in(&status)).unwrap_or_default();
    Caller { uid, gid, groups }
}

fn groups_in(status: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// CAP_SYS_ADMIN among the bits of a set of capabilities.
const ADMINISTRATE: u64 = 1 << 21;
/// The first user namespace, by the number that the kernel gave it for good.
const FIRST_USERS: &str = "user:[4026531837]";

/// Whether the caller has CAP_SYS_ADMIN, as the kernel means it: in the first user namespace. Of whom nothing can be seen, the
/// user decides.
pub(crate) fn is_administrator(uid: u32, pid: u32) -> bool {
    let status = if pid == 0 { None } else { status_of(pid) };
    let users = std::fs::read_link(format!("/proc/{pid}/ns/user"));
    match (status, users) {
        (Some(status), Ok(users)) => {
            mask(&status, "CapEff:") & ADMINISTRATE != 0 && users.as_os_str() == FIRST_USERS
        }
        _ => uid == 0,
    }
}

/// A set of bits in a status file.
fn mask(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    u64::from_str_radix(line.trim(), 16).unwrap_or(0)
}

/// Signals by which somebody asks a program to end, whether it catches them or not: SIGHUP, SIGINT, SIGQUIT, SIGTERM.
const ASKING: u64 = signals(&[1, 2, 3, 15]);

/// Signals whose default is to be ignored or to stop or continue the process: SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
/// SIGTTIN, SIGTTOU, SIGURG, SIGWINCH.
const HARMLESS: u64 = signals(&[17, 18, 19, 20, 21, 22, 23, 28]);

/// Of the kernel's flags of a process: it is about to end (PF_EXITING).
const EXITING: i64 = 4;

const fn signals(numbers: &[u32]) -> u64 {
    let (mut set, mut n) = (0, 0);
    while n < numbers.len() {
        set |= 1 << (numbers[n] - 1);
        n += 1;
    }
    set
}

/// Who is looked at to see whether an operation is still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// 0: nothing can be known.
    thread: u32,
    /// Looked at when the thread is gone.
    process: u32,
    /// Whether a signal that the program catches ends the operation, if it asks the program to end.
    gives_in: bool,
}

impl From<u32> for Asker {
    /// A thread that waits for the answer, and so is there as long as the operation.
    fn from(thread: u32) -> Self {
        Self { thread, process: thread, gives_in: true }
    }
}

impl Asker {
    /// A thread that may end while its operation goes on. If it has already, its process is as a rule the one that opened the file.
    pub(crate) fn beginning(thread: u32, opener: u32) -> Self {
        let known = [thread, opener].into_iter().find_map(|one| Some((one, process_of(one)?)));
        let (thread, process) = known.unwrap_or_default();
        Self { thread, process, gives_in: true }
    }

    /// Of an operation that has taken effect already: to the program EINTR says that it has not.
    pub(crate) fn committed(self) -> Self {
        Self { gives_in: false, ..self }
    }

    /// Whether a signal that will end the thread, or asks its program to end, waits for it, or nobody is left. Any other
    /// signal that the program catches must not end an operation, which may have been done already: a program that uses timers or
    /// waits for children does not expect files to give EINTR.
    pub(crate) fn wants_out(self) -> bool {
        // 0 is a caller outside our pid namespace, too, and the kernel itself.
        self.thread != 0 && self.ends(self.thread).or_else(|| self.ends(self.process)).unwrap_or(true)
    }

    /// `None`: it is gone.
    fn ends(self, pid: u32) -> Option<bool> {
        // `stat` waits for who is starting another program (exec_update_lock), and that one may close a file of ours and wait for us.
        // Who closes files because it ends has no memory any more.
        let ended = |status: &str| !has_memory(status) && stat_of(pid).is_none_or(|stat| was_ended(&stat));
        status_of(pid).map(|status| is_to_end(&status, self.gives_in) || ended(&status))
    }
}

/// The process of a thread.
pub(crate) fn process_of(thread: u32) -> Option<u32> {
    let status = status_of(thread)?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// Of a line of `/proc/PID/status` that is there as long as the process has an address space.
fn has_memory(status: &str) -> bool {
    status.contains("\nVmSize:")
}

/// Whether this is what is left of a process that a signal has ended. When it closes its files, no signal may be seen any more: the
/// last of its threads may have blocked the one that did it, and the kernel drops those that come later, SIGKILL included.
/// A process that ends by itself waits for what it wrote.
fn was_ended(stat: &str) -> bool {
    // The name may hold anything; behind it stand the third field and those that follow.
    let rest: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let field = |number: usize| rest.get(number - 3).and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
    let (flags, exit_code) = (field(9), field(52));
    flags & EXITING != 0 && exit_code & 0x7f != 0
}

/// `gives_in`: also by a signal that asks the program to end and is caught.
fn is_to_end(status: &str, gives_in: bool) -> bool {
    let mask = |name: &str| mask(status, name);
    let kept_away = mask("SigBlk:") | mask("SigIgn:");
    let caught = mask("SigCgt:");
    let survived = if gives_in { caught & !ASKING } else { caught } | HARMLESS;
    (mask("SigPnd:") | mask("ShdPnd:")) & !(kept_away | survived) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_signal_that_ends_the_process_or_asks_it_to_end_ends_an_operation() {
        let status = |pending: u64, blocked: u64, ignored: u64, caught: u64| {
            format!(
                "Name:\tx\nGroups:\t4 24 1000 \nSigPnd:\t0\nShdPnd:\t{pending:016x}\nSigBlk:\t{blocked:016x}\n\
                 SigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
            )
        };
        let (interrupt, kill, alarm, child) = (1 << 1, 1 << 8, 1 << 13, 1 << 16);
        let ends = |status: String| is_to_end(&status, true);
        assert!(ends(status(interrupt, 0, 0, 0)));
        assert!(ends(status(kill | alarm, 0, 0, alarm)));
        assert!(!ends(status(interrupt, interrupt, 0, 0)));
        assert!(!ends(status(interrupt, 0, interrupt, 0)));
        assert!(!ends(status(alarm, 0, 0, alarm)), "it is caught");
        assert!(ends(status(interrupt, 0, 0, interrupt)), "somebody pressed Ctrl-C");
        assert!(!ends(status(interrupt, interrupt, 0, interrupt)));
        assert!(!ends(status(child, 0, 0, 0)));
        assert!(!ends(status(0, 0, 0, 0)));
        let committed = |status: String| is_to_end(&status, false);
        assert!(!committed(status(interrupt, 0, 0, interrupt)), "the program would do it again");
        assert!(committed(status(interrupt, 0, 0, 0)) && committed(status(kill, 0, 0, interrupt)));
        let left = |flags: u32, exit_code: u32| {
            format!("7 (a) b) D 1 7 7 0 -1 {flags}{} {exit_code}\n", " 0".repeat(42))
        };
        assert!(was_ended(&left(0x40_0044, 15)) && was_ended(&left(4, 0x80 | 11)));
        assert!(!was_ended(&left(4, 1 << 8)), "it ends by itself");
        assert!(!was_ended(&left(0x40_0040, 19)), "it is stopped");
        assert_eq!(groups_in(&status(0, 0, 0, 0)), [4, 24, 1000]);
        assert!(!has_memory(&status(0, 0, 0, 0)));
        assert!(has_memory(&status_of(std::process::id()).expect("this process")));
    }

    #[test]
    fn of_a_caller_that_cannot_be_seen_the_user_decides_and_no_signal_is_known() {
        // The kernel's number for somebody outside of our pid namespace.
        let unseen = 0;
        assert!(!Asker::from(unseen).wants_out());
        assert!(is_administrator(0, unseen) && !is_administrator(1000, unseen));
        assert_eq!(with_groups(1000, 7, unseen), Caller { uid: 1000, gid: 7, groups: Vec::new() });
        // Unlike a thread that is gone.
        assert!(Asker::from(u32::MAX).wants_out());
    }

    #[test]
    fn of_a_thread_that_ended_the_process_is_looked_at() {
        let thread = std::thread::spawn(|| {
            Asker::beginning(rustix::thread::gettid().as_raw_nonzero().get() as u32, 0)
        });
        let asker = thread.join().unwrap();
        let (gone, own) = (u32::MAX, std::process::id());
        assert!(asker.thread != own && asker.process == own);
        // It is gone from /proc a moment after it was joined.
        while status_of(asker.thread).is_some() {
            std::thread::yield_now();
        }
        assert!(!asker.wants_out() && !asker.committed().wants_out());
        assert!(Asker { process: gone, ..asker }.wants_out());
        // It was gone before anybody looked.
        assert_eq!(Asker::beginning(gone, own).process, own);
        assert!(!Asker::beginning(gone, gone).wants_out() && !Asker::beginning(gone, 0).wants_out());
    }
}
