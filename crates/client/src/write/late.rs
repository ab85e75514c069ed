//! Files whose first unsent bytes wait for company: the tasks of all of them begin together, when that wait is over.
//!
//! Most small files are closed at once, and closing begins the task of a file. To begin it with the first write would wake the
//! runtime once more for each.
//!
//! # Invariants
//! 1. A file with unsent bytes has a task, or is looked at within [`crate::ClientOptions::write_delay`].

use super::engine;
use crate::inodes::Inode;
use crate::shared::Shared;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// See the module.
#[derive(Default)]
pub(crate) struct Late {
    waiting: Mutex<Vec<Weak<Inode>>>,
}

impl Late {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Inode>>> {
        self.waiting.lock().expect("nothing panics while it is held")
    }
}

/// Has the file's task begin, or look at its pipeline, when the wait is over.
pub(crate) fn wake(shared: &Arc<Shared>, inode: &Arc<Inode>) {
    let mut waiting = shared.late.lock();
    waiting.push(Arc::downgrade(inode));
    let first = waiting.len() == 1;
    drop(waiting);
    if first {
        shared.runtime.spawn(look(Arc::clone(shared)));
    }
}

async fn look(shared: Arc<Shared>) {
    tokio::time::sleep(shared.options.write_delay).await;
    let waiting = std::mem::take(&mut *shared.late.lock());
    for inode in waiting.iter().filter_map(Weak::upgrade) {
        let mut state = inode.state();
        if state.is_dirty() {
            engine::wake(&shared, &inode, &mut state);
        }
    }
}
