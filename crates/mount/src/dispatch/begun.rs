//! A task that begins on the thread that makes it.
//!
//! It is polled once there. If it is not done then, it waits for its first waking, which puts it on the runtime for the rest
//! of its life. So nobody is woken for the sake of beginning it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use tokio::runtime::Handle;

type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins a task. It may use what belongs to the runtime, such as timers.
pub(super) fn begin(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    let mut task: Rest = Box::pin(task);
    let begun = Arc::new(Begun { runtime: runtime.clone(), state: Mutex::new(State::Beginning) });
    let waker = Waker::from(Arc::clone(&begun));
    let _entered = runtime.enter();
    // The panic hook has told about it; the kernel is answered by what the task held.
    let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut Context::from_waker(&waker))));
    if matches!(polled, Ok(Poll::Pending)) {
        begun.leave(task);
    }
}

struct Begun {
    runtime: Handle,
    state: Mutex<State>,
}

enum State {
    /// It is polled for the first time.
    Beginning,
    /// It waits for its first waking.
    Waiting(Rest),
    /// It was woken.
    Woken,
}

impl Begun {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    /// It was polled and is not done.
    fn leave(&self, task: Rest) {
        let mut now = self.lock();
        if matches!(*now, State::Beginning) {
            *now = State::Waiting(task);
        } else {
            drop(now);
            self.runtime.spawn(task);
        }
    }
}

impl Wake for Begun {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut now = self.lock();
        if let State::Waiting(task) = std::mem::replace(&mut *now, State::Woken) {
            drop(now);
            self.runtime.spawn(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread::{ThreadId, current};
    use tokio::sync::oneshot;

    /// A runtime on a thread of its own, and that thread.
    fn runtime() -> (env::Runtime, ThreadId) {
        let runtime = env::Env::real().workers.runtime("apart");
        let (send, receive) = mpsc::channel();
        drop(runtime.handle().spawn(async move { send.send(current().id()) }));
        (runtime, receive.recv().unwrap())
    }

    #[test]
    fn a_task_begins_here_and_goes_on_where_it_is_woken_to() {
        let (runtime, apart) = runtime();
        let (go, gone) = oneshot::channel::<()>();
        let (send, receive) = mpsc::channel();
        begin(runtime.handle(), async move {
            send.send(current().id()).unwrap();
            gone.await.unwrap();
            tokio::task::yield_now().await;
            send.send(current().id()).unwrap();
        });
        assert_eq!(receive.try_recv(), Ok(current().id()));
        go.send(()).unwrap();
        assert_eq!(receive.recv(), Ok(apart));
        assert!(receive.recv().is_err(), "it ran to its end once");
    }

    #[test]
    fn a_task_that_wakes_itself_while_it_begins_is_not_forgotten() {
        let (runtime, apart) = runtime();
        let (send, receive) = mpsc::channel();
        begin(runtime.handle(), async move {
            let mut yielded = false;
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            send.send(current().id()).unwrap();
        });
        assert_eq!(receive.recv(), Ok(apart));
    }

    #[test]
    fn a_task_that_panics_at_once_ends_alone() {
        let (runtime, _) = runtime();
        let (held, gone) = oneshot::channel::<()>();
        begin(runtime.handle(), async move {
            let _held = held;
            panic!("on purpose");
        });
        assert!(gone.blocking_recv().is_err());
    }
}
