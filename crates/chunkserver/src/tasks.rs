//! The tasks of one role on one of its runtimes, ended together.

use std::future::Future;
use std::sync::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Tasks that end when they are done, or when the role does.
pub(crate) struct Tasks {
    runtime: Handle,
    set: Mutex<Option<JoinSet<()>>>,
}

impl Tasks {
    /// On this runtime, whoever spawns them.
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, set: Mutex::new(Some(JoinSet::new())) }
    }

    /// Runs a task; after [`Tasks::end`] it is dropped at once.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().expect("nothing panics while it is held");
        if let Some(set) = set.as_mut() {
            while set.try_join_next().is_some() {}
            set.spawn_on(task, &self.runtime);
        }
    }

    /// Ends all tasks.
    pub(crate) fn end(&self) {
        let set = self.set.lock().expect("nothing panics while it is held").take();
        drop(set);
    }
}
