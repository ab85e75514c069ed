//! What `/proc` tells about the process behind a request: its groups, its capabilities, and whether a signal is about to end it.
//!
//! fuser 0.18 answers FUSE_INTERRUPT with ENOSYS, so a request that waits long looks for itself.

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

/// Whether a signal that will end the thread, or asks its program to end, waits for it, or the thread is gone. Any other
/// signal that the program catches must not end an operation, which may have been done already: a program that uses timers or
/// waits for children does not expect files to give EINTR.
pub(crate) fn wants_out(pid: u32) -> bool {
    if pid == 0 {
        // A caller outside our pid namespace: nothing can be known.
        return false;
    }
    // `stat` waits for who is starting another program (exec_update_lock), and that one may close a file of ours and wait for us.
    // Who closes files because it ends has no memory any more.
    let ended = |status: &str| !has_memory(status) && stat_of(pid).is_none_or(|stat| was_ended(&stat));
    status_of(pid).is_none_or(|status| is_to_end(&status) || ended(&status))
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

fn is_to_end(status: &str) -> bool {
    let mask = |name: &str| mask(status, name);
    let kept_away = mask("SigBlk:") | mask("SigIgn:");
    let survived = mask("SigCgt:") & !ASKING | HARMLESS;
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
        assert!(is_to_end(&status(interrupt, 0, 0, 0)));
        assert!(is_to_end(&status(kill | alarm, 0, 0, alarm)));
        assert!(!is_to_end(&status(interrupt, interrupt, 0, 0)));
        assert!(!is_to_end(&status(interrupt, 0, interrupt, 0)));
        assert!(!is_to_end(&status(alarm, 0, 0, alarm)), "it is caught");
        assert!(is_to_end(&status(interrupt, 0, 0, interrupt)), "somebody pressed Ctrl-C");
        assert!(!is_to_end(&status(interrupt, interrupt, 0, interrupt)));
        assert!(!is_to_end(&status(child, 0, 0, 0)));
        assert!(!is_to_end(&status(0, 0, 0, 0)));
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
        assert!(!wants_out(unseen));
        assert!(is_administrator(0, unseen) && !is_administrator(1000, unseen));
        assert_eq!(with_groups(1000, 7, unseen), Caller { uid: 1000, gid: 7, groups: Vec::new() });
        // Unlike a thread that is gone.
        assert!(wants_out(u32::MAX));
    }
}
