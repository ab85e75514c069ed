//! Telling whoever started a role that it is ready: systemd, or the demo, through `NOTIFY_SOCKET`.

use sd_notify::NotifyState;
use std::time::Duration;

/// The variable by which a role tells its address beside `READY=1`.
pub(crate) const ADDRESS: &str = "X_MUSKOX_ADDRESS";
/// Set by the demo for its children: the process that must not be outlived.
pub(crate) const PARENT: &str = "MUSKOX_DEMO_PARENT";

/// Says that the role serves at `address`.
pub(crate) fn tell(address: &str) {
    let line = format!("{ADDRESS}={address}");
    if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&line), NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager could not be told that this role is ready");
    }
}

/// Says that the role is about to end.
pub(crate) fn tell_stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

/// How long a child of the demo may take to store what is unsent when it ends: less than the demo waits for it. If the
/// demo was killed, the servers end at this moment too.
pub(crate) fn close_wait() -> Option<Duration> {
    let parent = parent()?;
    Some(if is_parent(parent) { Duration::from_secs(6) } else { Duration::ZERO })
}

fn parent() -> Option<i32> {
    std::env::var(PARENT).ok()?.parse().ok()
}

fn is_parent(pid: i32) -> bool {
    rustix::process::getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == pid)
}

/// In a child of the demo: end when the demo ends, also if it is killed.
pub(crate) fn end_with_parent() {
    let Some(parent) = parent() else { return };
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
    if !is_parent(parent) {
        std::process::exit(0);
    }
}
