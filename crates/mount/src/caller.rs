//! What `/proc` tells about the process behind a request: its groups, and whether a signal waits for it.
//!
//! fuser 0.18 answers FUSE_INTERRUPT with ENOSYS, so a request that waits long looks for itself.

use types::Caller;

/// A process's status file is a few KiB.
fn status_of(pid: u32) -> Option<String> {
    // For a thread id, /proc/TID works as well as /proc/PID.
    std::fs::read_to_string(format!("/proc/{pid}/status")).ok()
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

/// Whether a signal that is not blocked waits for the thread, or the thread is gone.
pub(crate) fn wants_out(pid: u32) -> bool {
    if pid == 0 {
        // A caller outside our pid namespace: nothing can be known.
        return false;
    }
    status_of(pid).is_none_or(|status| signal_waits(&status))
}

fn signal_waits(status: &str) -> bool {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        u64::from_str_radix(line.trim(), 16).unwrap_or(0)
    };
    let blocked = mask("SigBlk:");
    (mask("SigPnd:") | mask("ShdPnd:")) & !blocked & !mask("SigIgn:") != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_signals_are_seen_unless_blocked_or_ignored() {
        let status = |pending: &str, blocked: &str, ignored: &str| {
            format!(
                "Name:\tx\nGroups:\t4 24 1000 \nSigPnd:\t0\nShdPnd:\t{pending}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\n"
            )
        };
        assert!(signal_waits(&status("0000000000000002", "0", "0")));
        assert!(!signal_waits(&status("0000000000000002", "2", "0")));
        assert!(!signal_waits(&status("0000000000000002", "0", "2")));
        assert!(!signal_waits(&status("0", "0", "0")));
        assert_eq!(groups_in(&status("0", "0", "0")), [4, 24, 1000]);
    }
}
