//! Runtimes with a thread of their own, and tasks that end with whoever holds them.
//!
//! A role divides its work over runtimes, so that one that is busy does not hold up what the others do. In a
//! simulation there is one runtime, and every [`Runtime`] is that one.
//!
//! # Invariants
//! 1. A dropped [`Task`] runs no further than to its next point of waiting, on whatever runtime it runs.
//! 2. When a real [`Runtime`] is dropped its thread ends, and with it every task on it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A runtime; made by [`crate::Workers::runtime`].
pub struct Runtime {
    handle: Handle,
    /// Its thread ends when this is dropped; `None`: it is the runtime of whoever asked for it.
    _thread: Option<oneshot::Sender<()>>,
}

impl Runtime {
    /// The runtime that calls this.
    pub fn here() -> Self {
        Self { handle: Handle::current(), _thread: None }
    }

    /// A runtime on a new thread.
    pub(crate) fn on_new_thread(name: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_name(name).build()?;
        let handle = runtime.handle().clone();
        let (keep, dropped) = oneshot::channel();
        // The system shows the first 15 bytes of the name.
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nothing is ever sent: the sender is dropped.
            let _ = runtime.block_on(dropped);
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _thread: Some(keep) })
    }

    /// For starting tasks on it. A task must not hold the [`Runtime`] itself.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// A task that ends when it is dropped.
pub struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    /// Runs `work` on a runtime.
    pub fn spawn(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(runtime.spawn(work))
    }

    /// Ends it, and waits until nothing is left of it.
    pub async fn end(mut self) {
        self.0.abort();
        if !self.0.is_finished() {
            // However it ended, it has ended.
            let _ = (&mut self.0).await;
        }
    }
}

impl<T> Future for Task<T> {
    /// An error if it panicked, or its runtime has gone.
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|done| done.map_err(|_| io::Error::other("a task stopped before it was done")))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Env, Stream};
    use std::sync::mpsc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_runtime_works_on_while_its_owner_is_busy() {
        let runtime = Env::real().workers.runtime("apart");
        let (send, receive) = mpsc::channel();
        drop(runtime.handle().spawn(async move {
            let _ = send.send(std::thread::current().name().map(str::to_owned));
        }));
        // This blocks the only thread of the test's runtime.
        let name = receive.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert_eq!(name.as_deref(), Some("apart"));
    }

    #[tokio::test]
    async fn a_dropped_runtime_ends_its_tasks() {
        let runtime = Env::real().workers.runtime("apart");
        let (held, gone) = oneshot::channel::<()>();
        drop(runtime.handle().spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        }));
        drop(runtime);
        assert!(gone.await.is_err());
    }

    #[tokio::test]
    async fn a_task_ends_with_whoever_holds_it() {
        let runtime = Env::real().workers.runtime("apart");
        let (held, gone) = oneshot::channel::<()>();
        let task = Task::spawn(runtime.handle(), async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(task);
        assert!(gone.await.is_err());
        assert_eq!(Task::spawn(runtime.handle(), async { 7 }).await.unwrap(), 7);
        assert!(Task::spawn(runtime.handle(), async { panic!("on purpose") }).await.is_err());
    }

    #[tokio::test]
    async fn a_socket_moves_to_another_runtime_with_what_it_has_received() {
        let env = Env::real();
        let listener = env.net.listen("127.0.0.1:0").await.unwrap();
        let address = listener.address();
        let (near, far) = tokio::join!(env.net.connect(&address), listener.accept());
        let (Stream::Tcp(mut near), (far, _)) = (near.unwrap(), far.unwrap()) else { panic!("real sockets") };
        near.write_all(b"before ").await.unwrap();
        let runtime = env.workers.runtime("apart");
        let task = Task::spawn(runtime.handle(), async move {
            let Ok(Stream::Tcp(mut far)) = far.move_here() else { panic!("a real socket") };
            let mut text = String::new();
            far.read_to_string(&mut text).await.map(|_| text)
        });
        near.write_all(b"after").await.unwrap();
        drop(near);
        assert_eq!(task.await.unwrap().unwrap(), "before after");
    }
}
