//! The tasks of one role, ended together.

use std::future::Future;
use std::sync::Mutex;
use tokio::task::JoinSet;

/// Tasks that end when they are done, or when the role does.
#[derive(Default)]
pub(crate) struct Tasks {
    set: Mutex<Option<JoinSet<()>>>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { set: Mutex::new(Some(JoinSet::new())) }
    }

    /// Runs a task; after [`Tasks::end`] it is dropped at once.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().expect("nothing panics while it is held");
        if let Some(set) = set.as_mut() {
            while set.try_join_next().is_some() {}
            set.spawn(task);
        }
    }

    /// Ends all tasks.
    pub(crate) fn end(&self) {
        let set = self.set.lock().expect("nothing panics while it is held").take();
        drop(set);
    }
}
